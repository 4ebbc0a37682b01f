//! What the system says of a file or folder, with its name. Judges nothing.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// An error of the system and what it is about. It shows the error itself and so does not name it as its cause: who
/// tells causes would tell it twice.
#[derive(Debug)]
pub(super) struct Said {
    path: PathBuf,
    pub(super) error: io::Error,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.path.display(), self.error)
    }
}

impl Error for Said {}

/// What the system says, with the file or folder it is about. Anybody else's error says so itself.
pub fn said_of(path: &Path) -> impl FnOnce(io::Error) -> io::Error + '_ {
    move |error| match error.raw_os_error() {
        Some(_) => io::Error::new(error.kind(), Said { path: path.to_owned(), error }),
        None => error,
    }
}
