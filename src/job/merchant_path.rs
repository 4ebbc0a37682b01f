//! Files and folders of the merchant that the job file names. Only the caller checks whether they exist: tonight's export
//! may not be there yet, its folder should be.

use std::path::PathBuf;

/// The path of a folder or file of the merchant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MerchantPath {
    /// The key of the job file.
    pub key: String,
    /// Its line in the job file.
    pub line: Option<usize>,
    /// The path.
    pub path: PathBuf,
    /// Whether it should be a folder.
    pub is_folder: bool,
}

impl MerchantPath {
    /// Why it cannot be used now.
    pub fn problem(&self) -> Option<String> {
        let (is_there, kind) = match self.is_folder {
            true => (self.path.is_dir(), "folder"),
            false => (self.path.is_file(), "file"),
        };
        (!is_there).then(|| format!("there is no {kind} `{}`", self.path.display()))
    }
}
