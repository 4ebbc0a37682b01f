//! The errors of the journal.

use std::io;
use std::path::{Path, PathBuf};

/// The errors of the journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file system failed.
    #[error("the journal cannot use `{}`", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A segment with a valid checksum cannot be read: a bug of this program.
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
