//! Errors of the operating system together with the path they are about. Interprets nothing.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// An error of the operating system and its path. The message contains the error, which is therefore not its `source`:
/// otherwise a chain of causes would show it twice.
#[derive(Debug)]
pub(super) struct WithPath {
    path: PathBuf,
    pub(super) error: io::Error,
}

impl fmt::Display for WithPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.path.display(), self.error)
    }
}

impl Error for WithPath {}

/// Adds the path to an error of the operating system, which does not name it; other errors already do.
pub fn with_path(path: &Path) -> impl FnOnce(io::Error) -> io::Error + '_ {
    move |error| match error.raw_os_error() {
        Some(_) => io::Error::new(error.kind(), WithPath { path: path.to_owned(), error }),
        None => error,
    }
}
