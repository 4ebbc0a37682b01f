//! Ctrl-C and SIGTERM: makes the journal durable, then ends the process at once. A night that is cut
//! off in any other way is resumed from the journal just the same.

use std::process;
use std::sync::{Arc, Mutex};

use tokio::signal::unix::{SignalKind, signal};

use super::runtime::another_thread;
use super::terminal::{self, Level};
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
    /// Listens for both signals from now on, on a thread of its own, since a night may compute for
    /// minutes.
    pub(super) fn watch() -> Result<Interrupt, Failure> {
        let interrupt = Interrupt::default();
        let runtime = another_thread()?;
        let listening = runtime.enter();
        outlive_file_size_limit();
        let [mut interrupted, mut terminated] = [SignalKind::interrupt(), SignalKind::terminate()]
            .map(|kind| signal(kind).expect("signals can be listened to"));
        drop(listening);
        let ending = interrupt.clone();
        let first = async move {
            tokio::select! {
                _ = interrupted.recv() => ExitCode::Interrupted,
                _ = terminated.recv() => ExitCode::Terminated,
            }
        };
        std::thread::spawn(move || ending.end(runtime.block_on(first)));
        Ok(interrupt)
    }

    fn end(&self, code: ExitCode) -> ! {
        let journal = self.journal.lock().expect("no holder of this lock panics").clone();
        let kept = journal.map(|journal| journal.flush());
        if let Some(words) = self.words.lock().expect("no holder of this lock panics").as_ref() {
            words.write();
        }
        match kept {
            Some(Err(error)) => {
                terminal::tell(Level::Error, format_args!("interrupted; the journal could not be kept: {error}"))
            }
            _ => terminal::tell(Level::Warn, "interrupted; the journal is kept, run the same command to go on"),
        }
        process::exit(code as i32)
    }
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
