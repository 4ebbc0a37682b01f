//! Files the merchant has: orders, trade bills, subsidy ledger, notifications, roster.
//! Reads and judges them; never writes, never asks the network, never publishes an openid.

mod ahead;
mod cell;
mod columnar;
mod distinct;
mod fixed;
mod found;
mod hashing;
mod quotes;
mod records;
mod rendered;
mod sheet;
mod spreadsheet;
mod text;

pub mod notifications;
pub mod orders;
pub mod roster_file;
pub mod subsidy_ledger;
pub mod trade_bill;
pub mod v2_coupons_file;

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::money::Fen;

pub use distinct::{Export, Kind, Settled};

/// The control totals of an export. A row whose amount cannot be read adds nothing, and is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Of every row whose amount could be read.
    pub read: Fen,
    /// Of those that repeated another one exactly.
    pub collapsed: Fen,
    /// Of those put aside: malformed elsewhere, or contradicting each other.
    pub quarantined: Fen,
    /// Malformed rows whose amount could not be read.
    pub unreadable: u64,
}

impl Amounts {
    /// A malformed row.
    fn put_aside(&mut self, amount: Option<Fen>) {
        match amount {
            Some(amount) => {
                self.read += amount;
                self.quarantined += amount;
            }
            None => self.unreadable += 1,
        }
    }
}

/// A file that was read: what goes into `inputs_sha256`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExportFile {
    /// Name as in the job file, with the date filled in; never a path of this machine.
    pub name: String,
    /// SHA-256 of its bytes, lower-case hex.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

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

/// A column that the job file or the format names and the file lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingColumn {
    /// Our name of it.
    pub ours: &'static str,
    /// The header text looked for.
    pub header: String,
    /// The header in the file that is spelt most like it.
    pub nearest: Option<String>,
}

/// Why an export could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// No such file or folder; the caller knows whether it is only too early.
    #[error("`{}` is not there", path.display())]
    Missing {
        /// The path looked for; may hold `*`.
        path: PathBuf,
    },
    /// The system would not let us read it.
    #[error("`{}` cannot be read", path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Bytes that the encoding does not have.
    #[error("`{file}` line {line}: bytes that are not {encoding}; {advice}")]
    Encoding {
        /// Name of the file.
        file: String,
        /// Physical line, 1-based.
        line: u64,
        /// Encoding of the job file.
        encoding: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// Not a file of the expected kind.
    #[error("`{file}` {why}")]
    Format {
        /// Name of the file.
        file: String,
        /// What it is instead, and what to do.
        why: String,
    },
    /// Columns the file lacks.
    #[error("`{file}` lacks {}; its headers are {}", listed(columns), quoted(found))]
    MissingColumns {
        /// Name of the file.
        file: String,
        /// What is missing.
        columns: Vec<MissingColumn>,
        /// The headers it has.
        found: Vec<String>,
    },
    /// A needed header stands there twice.
    #[error("`{file}` has the header `{header}` twice: which one is meant cannot be told, rename one")]
    DuplicateHeader {
        /// Name of the file.
        file: String,
        /// The header.
        header: String,
    },
    /// The scratch folder, where rows are sorted that do not fit in memory, has no room or failed.
    #[error("the rows of the exports cannot be sorted on the disk")]
    Scratch(#[from] io::Error),
    /// Rows that cannot be taken, and the job says `on_bad_row = "fail"`.
    #[error("{}", shown(rows, *total))]
    BadRows {
        /// The first of them, at most 20.
        rows: Vec<BadRow>,
        /// How many there are.
        total: usize,
    },
}

fn listed(columns: &[MissingColumn]) -> String {
    let one = |column: &MissingColumn| match &column.nearest {
        Some(near) => format!("the column `{}` for `{}` (did you mean `{near}`?)", column.header, column.ours),
        None => format!("the column `{}` for `{}`", column.header, column.ours),
    };
    columns.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn shown(rows: &[BadRow], total: usize) -> String {
    let plural = if total == 1 { "" } else { "s" };
    let mut text = format!("{total} malformed row{plural}");
    for row in rows {
        text.push_str(&format!("\n  {row}"));
    }
    if total > rows.len() {
        text.push_str(&format!("\n  … and {} more", total - rows.len()));
    }
    text
}
