//! The asynchronous runtimes of the commands. Runs no request itself.

use std::fs::File;
use std::io;

use tokio::runtime::{Builder, Runtime};

use crate::durable::advice_for_open_files;
use crate::error::{ExitCode, Failure};

/// The file handles of a command before it opens anything: events and signals of its runtime and of the one that
/// listens for signals.
const OPEN_FILES: usize = 12;

/// One thread sends, signs and receives: handing every answer between threads costs a twentieth of a page's time, and
/// one thread handles well over the 500 requests a second that documented limits allow. Computation has threads of its
/// own.
pub(super) fn one_thread() -> Result<Runtime, Failure> {
    begin(&mut Builder::new_current_thread())
}

/// For serving many connections at once.
pub(super) fn many_threads() -> Result<Runtime, Failure> {
    begin(&mut Builder::new_multi_thread())
}

/// For listening to signals beside one of those.
pub(super) fn another_thread() -> Result<Runtime, Failure> {
    Builder::new_current_thread().enable_all().build().map_err(|error| refused(&error))
}

fn begin(builder: &mut Builder) -> Result<Runtime, Failure> {
    require_open_files().and_then(|()| builder.enable_all().build()).map_err(|error| refused(&error))
}

/// The runtime would abort the process if it could not open what it needs for signals, so that is tried before.
fn require_open_files() -> io::Result<()> {
    let opened: io::Result<Vec<File>> = (0..OPEN_FILES).map(|_| File::open("/")).collect();
    opened.map(drop)
}

fn refused(error: &io::Error) -> Failure {
    let failure = Failure::caused_by(ExitCode::TryLater, "the system refuses what every command needs", error);
    failure.with_hint(advice_for_open_files(error).map(|advice| format!("{advice} and run the same command again")))
}
