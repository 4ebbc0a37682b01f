//! Results on stdout. A reader that has gone away (`| head`) ends the program quietly.

use std::fmt::Display;
use std::io::Write;

/// Writes one line of results.
pub(super) fn say(line: impl Display) {
    if writeln!(std::io::stdout(), "{line}").is_err() {
        std::process::exit(0);
    }
}
