//! The long part of `make torture`: the program is killed at every commit point and at random moments,
//! and asked to fetch a great deal from a server of which every twentieth answer is a fault. Prints a
//! table; ends with 1 when a row was lost or doubled.
//!
//! `TORTURE_KILLS` (200), `SOAK_REQUESTS` (20000) and `SOAK_RATE` (300 a second) set how long it takes; `TORTURE_LANES` (twice the
//! cores) how much is done at once. `-- soak` runs the lines of the table whose names hold that word.

#![expect(clippy::disallowed_methods, reason = "what takes long is timed, and how long may be said outside")]

#[path = "../it/support/mod.rs"]
#[allow(dead_code, reason = "the torture needs only a part of it")]
mod support;

mod desk;
mod kills;
mod pace;
mod points;
mod rows;
mod soak;

use std::io::Write;
use std::sync::LazyLock;
use std::time::Instant;

use desk::Night;

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
    let begun = Instant::now();
    let mut table = Table { is_sound: true, chosen: std::env::args().skip(1).collect() };
    say(format_args!(
        "{:<38} {:>6} {:>9} {:>5} {:>8} {:>8}  note",
        "fault", "tried", "survived", "lost", "doubled", "seconds"
    ));
    // Opened by the first line that needs them.
    let desks = LazyLock::new(kills::open_desks);
    for (what, night) in [
        ("SIGKILL at every point of a night", Night::First),
        ("SIGKILL at every point of the next", Night::Second),
        ("SIGKILL while a kill is mended", Night::Recovery),
        ("SIGKILL while a day is restated", Night::Restated),
    ] {
        table.add(what, || kills::at_every_commit_point(&desks, what, night));
    }
    table.add("SIGKILL at random moments", || kills::at_random_moments(&desks, "SIGKILL at random moments"));
    table.add("rate, answers that take 150 ms", pace::run);
    table.add("soak, 5 % mixed faults", soak::run);
    say(format_args!("{} s in all", begun.elapsed().as_secs()));
    std::process::exit(i32::from(!table.is_sound));
}

/// The table as it grows.
struct Table {
    is_sound: bool,
    /// Words of the lines to run; none means all.
    chosen: Vec<String>,
}

impl Table {
    fn add(&mut self, name: &str, torture: impl FnOnce() -> Line) {
        if !self.chosen.is_empty() && !self.chosen.iter().any(|word| name.contains(word.as_str())) {
            return;
        }
        let begun = Instant::now();
        let Line { what, tried, survived, lost, doubled, note } = torture();
        self.is_sound &= tried > 0 && survived == tried && lost + doubled == 0;
        let seconds = begun.elapsed().as_secs();
        say(format_args!("{what:<38} {tried:>6} {survived:>9} {lost:>5} {doubled:>8} {seconds:>8}  {note}"));
    }
}

/// Prints a line of the table immediately.
fn say(line: std::fmt::Arguments<'_>) {
    let mut out = std::io::stdout();
    writeln!(out, "{line}").and_then(|()| out.flush()).unwrap();
}

/// A number from the environment.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}
