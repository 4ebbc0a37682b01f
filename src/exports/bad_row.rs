//! A rejected row: where it is and why it was rejected. Decides nothing about other rows.

use std::fmt;

/// A rejected row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// Name of the file.
    pub file: String,
    /// Physical line (spreadsheet or Parquet row), 1-based; the header is line 1.
    pub line: u64,
    /// Header of the column; empty if the whole row is meant.
    pub column: String,
    /// The value of the cell; omitted for openids.
    pub value: String,
    /// What is wrong and what to do.
    pub why: String,
    /// The row as written in the file. Contains personal data: for the quarantine, not for messages.
    pub raw: String,
}

impl fmt::Display for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` line {}", self.file, self.line)?;
        if !self.column.is_empty() {
            write!(f, ", column `{}`", self.column)?;
        }
        if !self.value.is_empty() {
            write!(f, ": `{}`", self.value)?;
        }
        write!(f, ": {}", self.why)
    }
}
