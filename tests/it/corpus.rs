//! The functions of the fuzz targets over a small corpus and seeded mutations of it: the same bytes every
//! time, and never a panic. `cargo fuzz` continues from the same corpus (see `fuzz/`).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use coupon_recon::exports::trade_bill;
use coupon_recon::wechat::pay_v2::xml;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[path = "../../fuzz/entries.rs"]
mod entries;

const MUTATIONS_PER_FILE: usize = 2000;
/// Bytes that mean something to one of the parsers.
const TOKENS: [&str; 20] = [
    "<",
    ">",
    "</xml>",
    "<![CDATA[",
    "]]>",
    "&#x0;",
    "&amp;",
    "<!DOCTYPE",
    "\"",
    "{",
    "}",
    "[",
    "null",
    "-1",
    "1e999",
    "`",
    ",",
    "\r\n",
    "\u{feff}",
    "总交易单数",
];

#[test]
fn no_document_of_v2_panics() {
    survives("v2_xml", entries::v2_xml);
}

#[test]
fn no_error_body_panics() {
    survives("v3_error", entries::v3_error);
}

#[test]
fn no_callback_panics() {
    survives("callback", entries::callback);
}

#[test]
fn no_bill_panics() {
    survives("bill", entries::bill);
}

/// A corpus of which every file is rejected immediately would prove nothing.
#[test]
fn the_good_seeds_are_good() {
    let seed = |target: &str, name: &str| {
        corpus(target).into_iter().find(|(found, _)| found == name).map(|(_, bytes)| bytes).unwrap()
    };
    let date = crate::support::day(18);
    for (name, payments, refunds) in [("all.csv", 2, 2), ("refunds_lf.csv", 0, 2), ("packed.csv.gz", 2, 0)] {
        let bill = trade_bill::read(seed("bill", name).as_slice(), name, date, &mut |_, _| Ok(())).unwrap();
        assert_eq!((bill.payments, bill.refunds), (payments, refunds), "{name}");
    }
    for name in ["entities.xml", "query_coupon_stock.xml", "send_coupon.xml"] {
        assert!(xml::read(&seed("v2_xml", name)).is_ok(), "{name}");
    }
    assert!(entries::opens(&seed("callback", "coupon_send.json")));
}

fn survives(target: &str, entry: fn(&[u8])) {
    let seeds = corpus(target);
    assert!(seeds.len() >= 3, "the corpus of {target} has {} files", seeds.len());
    for (name, seed) in &seeds {
        let mut dice = ChaCha8Rng::seed_from_u64(20_261_118);
        feed(target, name, 0, entry, seed);
        for round in 1..=MUTATIONS_PER_FILE {
            let other = &seeds[dice.gen_range(0..seeds.len())].1;
            feed(target, name, round, entry, &mutated(seed, other, &mut dice));
        }
    }
}

fn feed(target: &str, name: &str, round: usize, entry: fn(&[u8]), bytes: &[u8]) {
    let outcome = catch_unwind(AssertUnwindSafe(|| entry(bytes)));
    assert!(outcome.is_ok(), "{target}: mutation {round} of {name} panics: {:?}", String::from_utf8_lossy(bytes));
}

/// The files of a corpus in the order of their names.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/corpus").join(target);
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<_> = entries
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

/// One to four changes: a bit, a byte, a cut, a repeat, a token, a piece of another seed.
fn mutated(seed: &[u8], other: &[u8], dice: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..dice.gen_range(1..=4) {
        let at = dice.gen_range(0..=bytes.len());
        let span = dice.gen_range(0..=(bytes.len() - at).min(40));
        match dice.gen_range(0..7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.gen_range(0..8),
            1 if at < bytes.len() => bytes[at] = dice.gen_range(0..=255),
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..at + span)),
            4 => insert(&mut bytes, at, &seed[..seed.len().min(span)]),
            5 => insert(&mut bytes, at, TOKENS[dice.gen_range(0..TOKENS.len())].as_bytes()),
            _ => {
                let from = dice.gen_range(0..=other.len());
                let piece = &other[from..other.len().min(from + 60)];
                insert(&mut bytes, at, piece);
            }
        }
    }
    bytes
}

fn insert(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    bytes.splice(at..at, piece.iter().copied());
}
