//! The result of an inspection.

use std::path::PathBuf;

/// What is wrong with a published file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong.
    pub what: String,
}

/// The result of an inspection.
#[derive(Debug, Default)]
pub struct Inspection {
    /// Partitions and reports that were read.
    pub files: usize,
    /// Rows in them.
    pub rows: u64,
    /// Whether nothing of the day was found: what was never published cannot be damaged.
    pub is_of_nothing: bool,
    /// Everything wrong.
    pub findings: Vec<Finding>,
}

impl Inspection {
    pub(super) fn find(&mut self, path: impl Into<PathBuf>, what: impl Into<String>) {
        self.findings.push(Finding { path: path.into(), what: what.into() });
    }
}
