//! A staged file with its size and hash, as listed in the manifest and compared with published files. Moves nothing.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::parts;
use crate::sha256::sha256_of_file;

/// Stands for a dataset in the entry of a report file.
pub const REPORTS: &str = "reports";

/// A staged file and its size and digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedFile {
    /// Dataset, or `reports`.
    pub dataset: String,
    /// File name below the partition.
    pub name: String,
    /// Rows, for datasets.
    pub rows: u64,
    /// Size.
    pub bytes: u64,
    /// SHA-256, hex.
    pub sha256: String,
}

impl StagedFile {
    /// Describes the file at `path`.
    pub(super) fn describe(dataset: &str, name: &str, path: &Path, rows: u64) -> io::Result<StagedFile> {
        Ok(StagedFile {
            dataset: dataset.to_owned(),
            name: name.to_owned(),
            rows,
            bytes: fs::metadata(path)?.len(),
            sha256: sha256_of_file(path)?,
        })
    }

    /// Whether it is a file of the reports, not of a dataset.
    pub fn is_report(&self) -> bool {
        self.dataset == REPORTS
    }

    /// Whether the file at `path` has the same bytes.
    pub(super) fn stands_at(&self, path: &Path) -> io::Result<bool> {
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            metadata => Ok(metadata?.len() == self.bytes && sha256_of_file(path)? == self.sha256),
        }
    }
}

/// Groups the files by partition; all reports are one group.
pub fn partitions(files: &[StagedFile]) -> impl Iterator<Item = &[StagedFile]> {
    files.chunk_by(|one, other| one.dataset == other.dataset)
}

/// The digest of a partition of these parts (`parts::digest`).
pub fn digest_of<'a>(files: impl IntoIterator<Item = &'a StagedFile>) -> String {
    parts::digest(files.into_iter().map(|file| (file.name.as_str(), file.sha256.as_str())))
}
