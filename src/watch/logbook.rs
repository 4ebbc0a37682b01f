//! The log lines of the current run, kept in memory until they are written beside the manifest. Bounded: of a long
//! log it keeps the beginning and the number of lines that were dropped.

use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// More than a normal night logs; a storm of warnings only repeats itself.
const MOST_BYTES: usize = 1 << 20;

static LOGBOOK: Mutex<Logbook> = Mutex::new(Logbook { lines: Vec::new(), lost: 0 });

struct Logbook {
    lines: Vec<u8>,
    /// Lines dropped because the buffer was full.
    lost: usize,
}

/// A writer for the log subscriber, which passes each line in one write.
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

/// Everything since the last call, with a final line that counts the dropped lines.
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
