//! Where a command that waits for others does so. Asks nobody itself.

use std::fs::File;
use std::io;

use tokio::runtime::{Builder, Runtime};

use crate::durable::advice_for_open_files;
use crate::error::{ExitCode, Failure};

/// What a command has open before it opens anything: events and signals of this runtime and of the one that listens for
/// the end.
const OPEN_FILES: usize = 12;

/// One thread asks, signs and reads: to hand every answer from thread to thread costs a twentieth of a page, and one asks
/// for well over the 500 a second that documented limits reach. What computes has threads of its own.
pub(super) fn one_thread() -> Result<Runtime, Failure> {
    begin(&mut Builder::new_current_thread())
}

/// Whoever serves many at once.
pub(super) fn many_threads() -> Result<Runtime, Failure> {
    begin(&mut Builder::new_multi_thread())
}

/// Whoever listens for the end beside one of those.
pub(super) fn another_thread() -> Result<Runtime, Failure> {
    Builder::new_current_thread().enable_all().build().map_err(|error| refused(&error))
}

fn begin(builder: &mut Builder) -> Result<Runtime, Failure> {
    require_open_files().and_then(|()| builder.enable_all().build()).map_err(|error| refused(&error))
}

/// The runtime ends the process where it cannot have its signals, so what it opens is tried before.
fn require_open_files() -> io::Result<()> {
    let opened: io::Result<Vec<File>> = (0..OPEN_FILES).map(|_| File::open("/")).collect();
    opened.map(drop)
}

fn refused(error: &io::Error) -> Failure {
    let failure = Failure::caused_by(ExitCode::TryLater, "the system does not give what every command needs", error);
    failure.with_hint(advice_for_open_files(error).map(|advice| format!("{advice} and run the same command again")))
}
