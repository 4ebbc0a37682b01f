//! The log of the run under way, kept until it is written beside the manifest. Bounded: of a long one the beginning,
//! and how much is missing.

use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a night says at the level of a log; a storm of warnings says the same a thousand times.
const MOST_BYTES: usize = 1 << 20;

static LOGBOOK: Mutex<Logbook> = Mutex::new(Logbook { lines: Vec::new(), lost: 0 });

struct Logbook {
    lines: Vec<u8>,
    /// Lines that found no room.
    lost: usize,
}

/// Takes lines, each in one write, as a log gives them.
#[derive(Debug, Default)]
pub struct Scribe;

impl Write for Scribe {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        logbook().add(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Everything since it was last taken.
pub fn take() -> String {
    logbook().take()
}

fn logbook() -> MutexGuard<'static, Logbook> {
    LOGBOOK.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Logbook {
    fn add(&mut self, line: &[u8]) {
        if self.lost > 0 || self.lines.len() + line.len() > MOST_BYTES {
            self.lost += 1;
            return;
        }
        self.lines.extend_from_slice(line);
    }

    fn take(&mut self) -> String {
        let lines = std::mem::take(&mut self.lines);
        let mut text = String::from_utf8_lossy(&lines).into_owned();
        match std::mem::take(&mut self.lost) {
            0 => {}
            lost => text.push_str(&format!("… and {lost} more\n")),
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_log_keeps_its_beginning_and_counts_the_rest() {
        let mut logbook = Logbook { lines: Vec::new(), lost: 0 };
        logbook.add(b"first\n");
        (0..3).for_each(|_| logbook.add(&[b'x'; MOST_BYTES - 6]));
        logbook.add(b"short\n");
        let text = logbook.take();
        assert!(text.starts_with("first\nx") && text.ends_with("x… and 3 more\n"));
        assert_eq!(logbook.take(), "");
    }
}
