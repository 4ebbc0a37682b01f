//! The errors of a bill: file, line, column, cause. Shows no openid.

use std::io;
use std::path::PathBuf;

use chrono::NaiveDate;

/// Why a bill could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BillError {
    /// No such file.
    #[error("the bill `{}` is not there", path.display())]
    Missing {
        /// The path looked for; may hold `*`.
        path: PathBuf,
    },
    /// The bytes could not be read or decompressed.
    #[error("the bill `{file}` cannot be read to its end")]
    Read {
        /// Name of the bill.
        file: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The scratch folder for sorting is full or failed.
    #[error("the rows of the bill `{file}` cannot be sorted on disk")]
    Scratch {
        /// Name of the bill.
        file: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// WeChat answered with an error instead of a bill.
    #[error("`{file}` is not a bill but an error document: {said}")]
    ErrorDocument {
        /// Name of the bill.
        file: String,
        /// Its code, such as `20002` or `NO_STATEMENT_EXIST`.
        code: Option<String>,
        /// Code and message.
        said: String,
    },
    /// The file is empty.
    #[error("the bill `{file}` is empty: it does not even have a header")]
    Empty {
        /// Name of the bill.
        file: String,
    },
    /// The header is not that of a trade bill.
    #[error("the header of the bill `{file}` lacks {missing}; it reads {found}")]
    Header {
        /// Name of the bill.
        file: String,
        /// The columns that are missing.
        missing: String,
        /// The line found.
        found: String,
    },
    /// A line is invalid.
    #[error("the bill `{file}` line {line}{}: `{value}`: {why}", in_column(column))]
    Row {
        /// Name of the bill.
        file: String,
        /// Physical line, 1-based.
        line: u64,
        /// Header of the column; empty when the whole line is meant.
        column: String,
        /// The value.
        value: String,
        /// What is wrong.
        why: String,
    },
    /// There is no trailer: the file is truncated.
    #[error("the bill `{file}` ends at line {line} without its trailer `总交易单数…`: the file is cut off")]
    Truncated {
        /// Name of the bill.
        file: String,
        /// Last line read.
        line: u64,
    },
    /// The trailer states other totals than the details have.
    #[error("the trailer of the bill `{file}` differs from its details: {}", differences.join(", "))]
    TrailerDiffers {
        /// Name of the bill.
        file: String,
        /// One sentence per total that differs.
        differences: Vec<String>,
    },
    /// The bill of another day.
    #[error("the bill `{file}` is not of {date}: its rows are of {found}")]
    OtherDay {
        /// Name of the bill.
        file: String,
        /// The requested business date.
        date: NaiveDate,
        /// The day of its first row.
        found: NaiveDate,
    },
}

fn in_column(column: &str) -> String {
    if column.is_empty() { String::new() } else { format!(", column `{column}`") }
}
