//! A reader that hashes and counts the bytes of a file, and the identity of the file. Changes no
//! byte.

use std::io::{self, Read};

use crate::sha256::Sha256;

/// A file that was read, for `inputs_sha256`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExportFile {
    /// Name as in the job file, with the date filled in; never a path of this machine.
    pub name: String,
    /// SHA-256 of its bytes, lower-case hex.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

/// Hashes and counts the bytes that pass through.
pub(super) struct Hashing<R> {
    inner: R,
    digest: Sha256,
    bytes: u64,
}

impl<R: Read> Hashing<R> {
    pub(super) fn new(inner: R) -> Hashing<R> {
        Hashing { inner, digest: Sha256::default(), bytes: 0 }
    }

    /// The identity of the whole file: reads the rest of it first.
    pub(super) fn finish(mut self, name: &str) -> io::Result<ExportFile> {
        io::copy(&mut self, &mut io::sink())?;
        Ok(ExportFile { name: name.to_owned(), sha256: self.digest.finish(), bytes: self.bytes })
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.digest.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

impl<R> std::fmt::Debug for Hashing<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hashing").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}
