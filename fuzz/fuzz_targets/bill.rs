//! Feeds what libFuzzer makes to `entries::bill`; a panic is a finding.
#![no_main]

#[allow(dead_code, reason = "each target uses one of the entries")]
#[path = "../entries.rs"]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entries::bill(bytes));
