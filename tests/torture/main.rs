//! The long part of `make torture`: the program is killed at every commit point and at random moments,
//! and asked to fetch a great deal from a server of which every twentieth answer is a fault. Prints a
//! table; ends with 1 when a row was lost or doubled.
//!
//! `TORTURE_KILLS` (200) and `SOAK_REQUESTS` (20000) set how long it takes.

#[path = "../it/support/mod.rs"]
#[allow(dead_code)] // It has more than is needed here.
mod support;

mod kills;
mod rows;
mod soak;

use std::time::Instant;

/// One line of the table.
#[derive(Debug, Default)]
struct Line {
    /// What was done to the program.
    what: String,
    /// How often.
    tried: u64,
    /// After how many of them every published byte was right.
    survived: u64,
    /// Rows a night without faults publishes and these did not.
    lost: u64,
    /// Rows these published beyond it.
    doubled: u64,
    /// What else is worth knowing.
    note: String,
}

fn main() {
    let mut is_sound = true;
    println!("{:<34} {:>7} {:>9} {:>6} {:>8} {:>8}  note", "fault", "tried", "survived", "lost", "doubled", "seconds");
    for torture in [kills::at_every_commit_point, kills::at_random_moments, kills::while_restating, soak::run] {
        let start = Instant::now();
        let line = torture();
        is_sound &= line.tried > 0 && line.survived == line.tried && line.lost + line.doubled == 0;
        println!(
            "{:<34} {:>7} {:>9} {:>6} {:>8} {:>8}  {}",
            line.what,
            line.tried,
            line.survived,
            line.lost,
            line.doubled,
            start.elapsed().as_secs(),
            line.note
        );
    }
    std::process::exit(i32::from(!is_sound));
}

/// A number from the environment.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}
