//! A downloaded file (a bill) kept unchanged: streamed to disk and named by its digest.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

use super::error::{JournalError, io_error};
use crate::durable;
use crate::sha256::{Sha256, sha256_of_file};
use crate::wechat::pay_v3::bills::BillSink;

/// A file being written to the journal. If it is dropped before `keep`, nothing is left that is
/// ever read.
pub struct Blob {
    folder: PathBuf,
    staged: PathBuf,
    file: File,
    digest: Sha256,
}

impl Blob {
    pub(super) fn create(folder: &Path) -> Result<Blob, JournalError> {
        durable::create_private_folder(folder).map_err(|source| io_error(folder, source))?;
        let staged = folder.join("incoming.staged");
        let file = durable::create(&staged).map_err(|source| io_error(&staged, source))?;
        Ok(Blob { folder: folder.to_path_buf(), staged, file, digest: Sha256::default() })
    }

    /// Makes the file durable under its digest; returns its name.
    ///
    /// # Errors
    /// The file cannot be synced or renamed.
    pub fn keep(self, extension: &str) -> Result<String, JournalError> {
        let name = format!("{}.{extension}", self.digest.finish());
        let path = self.folder.join(&name);
        self.file.sync_all().map_err(|source| io_error(&path, source))?;
        durable::move_file(&self.staged, &path).map_err(|source| io_error(&path, source))?;
        Ok(name)
    }
}

/// Whether a kept file exists and its bytes match its name.
pub(super) fn is_sound(path: &Path) -> io::Result<bool> {
    let Some(sum) = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.split('.').next()) else {
        return Ok(false);
    };
    let is_kept = path.parent().and_then(Path::file_name).is_some_and(|folder| folder == "files");
    if !is_kept || sum.len() != 64 {
        return Ok(false);
    }
    match sha256_of_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        actual => Ok(actual? == sum),
    }
}

impl Write for Blob {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl BillSink for Blob {
    /// The bytes so far belong to a failed download.
    fn restart(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.digest = Sha256::default();
        Ok(())
    }
}

impl std::fmt::Debug for Blob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Blob({})", self.staged.display())
    }
}
