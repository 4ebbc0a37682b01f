//! A rejected row: where it is and why it was rejected. Decides nothing about other rows.

use std::fmt;

/// A row that cannot be taken as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// Name of the file.
    pub file: String,
    /// Physical line (spreadsheet or Parquet row), 1-based; the header is line 1.
    pub line: u64,
    /// Header text of the column; empty when the row as a whole is meant.
    pub column: String,
    /// What stood there; left out for openids.
    pub value: String,
    /// What is wrong and what to do.
    pub why: String,
    /// The whole row as it stood in the file. Holds personal data: for the quarantine, not for messages.
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
