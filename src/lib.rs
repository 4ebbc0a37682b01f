//! coupon-recon reconciles every WeChat merchant coupon (商家券) with orders, payments and subsidies,
//! once per business date.
//!
//! The data flow: job file → sources → page journal → typed datasets → match → coupon ledger →
//! rules → breaks → reports. ARCHITECTURE.md has the map of the modules and the rules they follow.

// A type nobody can print is no good in a failing test; a `pub` that nobody outside can reach says nothing.
#![warn(missing_debug_implementations, unreachable_pub)]

// From the bottom to the top: a module may use those above it, never those below (`tests/it/tidy.rs`).

// What knows no job and no network.
pub mod money;
pub(crate) mod quantity;
pub mod sha256;
pub(crate) mod byte_order_mark;
pub mod api;
pub mod stage;
pub(crate) mod threads;
pub(crate) mod bisection;
pub mod clock;
pub mod secret;
pub mod contract;
pub mod fingerprints;
pub mod sorter;
pub mod record;
pub mod pseudonyms;
pub mod durable;
pub mod causes;

// What a night is made of.
pub mod job;
pub mod store;
#[cfg(feature = "spark")]
pub mod spark;
pub mod http;
pub mod wechat;
pub mod exports;
pub mod journal;
pub mod dataset;
pub mod reconcile;
pub mod extract;
pub mod report;
pub mod remedy;
pub mod watch;
pub mod dictionary;

// What runs one.
pub mod pipeline;
pub mod error;
pub mod cli;

// What stands apart.
pub mod simulator;
