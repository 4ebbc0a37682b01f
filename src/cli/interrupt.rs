//! Ctrl-C, SIGTERM and a terminal that hangs up: makes the journal durable, then ends the process at once. A night that
//! is cut off in any other way is resumed from the journal just the same.

use std::fs;
use std::future::pending;
use std::process;
use std::sync::{Arc, Mutex};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::runtime::another_thread;
use super::terminal::{self, Level};
use crate::causes::in_one_line;
use crate::error::{ExitCode, Failure};
use crate::journal::Journal;
use crate::pipeline::{JournalKeeper, LastWords};

/// Knows the journal to make durable.
#[derive(Debug, Clone, Default)]
pub(super) struct Interrupt {
    journal: Arc<Mutex<Option<Arc<Journal>>>>,
    words: Arc<Mutex<Option<LastWords>>>,
}

impl Interrupt {
    /// Listens for these signals from now on, on a thread of its own, since a night may compute for
    /// minutes.
    pub(super) fn watch() -> Result<Interrupt, Failure> {
        let interrupt = Interrupt::default();
        let runtime = another_thread()?;
        let listening = runtime.enter();
        outlive_file_size_limit();
        let [mut interrupted, mut terminated] = [SignalKind::interrupt(), SignalKind::terminate()].map(listen_for);
        let hung_up = may_hang_up().then(|| listen_for(SignalKind::hangup()));
        drop(listening);
        let ending = interrupt.clone();
        let first = async move {
            tokio::select! {
                _ = interrupted.recv() => ExitCode::Interrupted,
                _ = terminated.recv() => ExitCode::Terminated,
                () = received(hung_up) => ExitCode::Terminated,
            }
        };
        std::thread::spawn(move || ending.end(runtime.block_on(first)));
        Ok(interrupt)
    }

    /// Forgets the journal of an attempt that has ended.
    pub(super) fn forget_journal(&self) {
        *self.journal.lock().expect("no holder of this lock panics") = None;
    }

    /// Whether a journal was opened since.
    pub(super) fn has_journal(&self) -> bool {
        self.journal.lock().expect("no holder of this lock panics").is_some()
    }

    fn end(&self, code: ExitCode) -> ! {
        let journal = self.journal.lock().expect("no holder of this lock panics").clone();
        let kept = journal.map(|journal| journal.flush());
        if let Some(words) = self.words.lock().expect("no holder of this lock panics").as_ref() {
            words.write();
        }
        match kept {
            Some(Err(error)) => {
                let why = in_one_line(&error);
                terminal::tell(Level::Error, format_args!("interrupted; the journal could not be saved: {why}"));
            }
            _ => terminal::tell(Level::Warn, "interrupted; the journal is kept: run the same command to continue"),
        }
        process::exit(code as i32)
    }
}

fn listen_for(kind: SignalKind) -> Signal {
    signal(kind).expect("signals can be listened to")
}

/// Waits for a signal; for ever, if it is not listened for.
async fn received(signal: Option<Signal>) {
    match signal {
        Some(mut signal) => drop(signal.recv().await),
        None => pending().await,
    }
}

/// Whether this process was started to end when its terminal hangs up: `nohup` has the signal ignored, and a handler would
/// undo that. Only Linux says so; elsewhere the signal keeps its default.
fn may_hang_up() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignored_signals(&status).is_some_and(|ignored| ignored & 1 == 0)
}

/// The signals that are ignored, the first in the lowest bit (`proc_pid_status(5)`).
fn ignored_signals(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

/// Ignores the signal for a file that exceeds `ulimit -f`, so that the write fails with an error
/// instead of ending the process: once installed, the handler stays.
fn outlive_file_size_limit() {
    let exceeded = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
    drop(signal(exceeded).expect("signals can be listened to"));
}

impl JournalKeeper for Interrupt {
    fn keep(&self, journal: &Arc<Journal>) {
        *self.journal.lock().expect("no holder of this lock panics") = Some(Arc::clone(journal));
    }

    fn keep_words(&self, words: Option<LastWords>) {
        *self.words.lock().expect("no holder of this lock panics") = words;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_stands_in_the_status_of_the_process() {
        let status = |mask: &str| format!("Name:\tx\nSigBlk:\t0000000000000000\nSigIgn:\t{mask}\nSigCgt:\t0\n");
        assert_eq!(ignored_signals(&status("0000000000001000")), Some(0x1000));
        assert_eq!(ignored_signals(&status("0000000000001001")).map(|ignored| ignored & 1), Some(1));
        assert_eq!(ignored_signals("Name:\tx\n"), None);
    }
}
