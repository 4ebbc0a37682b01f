//! What an inspection finds. Looks at nothing itself.

use std::path::PathBuf;

/// What is wrong with a published file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong.
    pub what: String,
}

/// What was looked at and found.
#[derive(Debug, Default)]
pub struct Inspection {
    /// Partitions and reports that were read.
    pub files: usize,
    /// Rows in them.
    pub rows: u64,
    /// Whether there is nothing of the day at all: what was never published cannot be damaged.
    pub is_of_nothing: bool,
    /// Everything wrong.
    pub findings: Vec<Finding>,
}

impl Inspection {
    pub(super) fn find(&mut self, path: impl Into<PathBuf>, what: impl Into<String>) {
        self.findings.push(Finding { path: path.into(), what: what.into() });
    }
}
