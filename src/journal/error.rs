//! What can go wrong with the journal. Says so; touches no file.

use std::io;
use std::path::{Path, PathBuf};

/// What can go wrong with the journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file system said no.
    #[error("the journal at `{}`: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A segment that passed its checksum is not readable: a fault of this program.
    #[error("journal segment `{}`: {why}", path.display())]
    Segment {
        /// The segment.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// `--replay` of a day that was never fetched.
    #[error("nothing is journalled for {0}: a replay needs a night that was fetched")]
    NothingToReplay(String),
}

pub(super) fn io_error(path: &Path, source: io::Error) -> JournalError {
    JournalError::Io { path: path.to_path_buf(), source }
}
