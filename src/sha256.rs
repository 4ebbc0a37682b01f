//! SHA-256 in hexadecimal: of bytes, of whole files, and of what comes piece by piece.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use aws_lc_rs::digest;

/// SHA-256 of a file.
pub fn sha256_of_file(path: &Path) -> io::Result<String> {
    let mut sha256 = Sha256::default();
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(sha256.finish()),
            read => sha256.update(&buffer[..read]),
        }
    }
}

/// SHA-256 of bytes.
pub fn sha256_of(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

/// SHA-256 of the pieces so far.
#[derive(Clone)]
pub(crate) struct Sha256(digest::Context);

impl Default for Sha256 {
    fn default() -> Sha256 {
        Sha256(digest::Context::new(&digest::SHA256))
    }
}

impl Sha256 {
    pub(crate) fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    pub(crate) fn finish(self) -> String {
        hex::encode(self.0.finish())
    }
}

impl std::fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sha256").finish_non_exhaustive()
    }
}
