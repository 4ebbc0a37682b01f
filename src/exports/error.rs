//! The errors of an export as a whole: file, place, cause and what to do. Never shows a row.

use std::io;
use std::path::PathBuf;

use super::bad_row::BadRow;

use crate::quantity::counted;

/// A column that the job file or the format requires and the file lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingColumn {
    /// Our name for it.
    pub ours: &'static str,
    /// The expected header.
    pub header: String,
    /// The most similar header of the file.
    pub nearest: Option<String>,
}

/// Why an export could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// No such file or folder; the caller knows whether it is just too early.
    #[error("`{}` is not there", path.display())]
    Missing {
        /// The path looked for; may hold `*`.
        path: PathBuf,
    },
    /// The system refused to read it.
    #[error("`{}` cannot be read", path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Bytes that are invalid in the encoding.
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
    /// The same, where a key of the job file may declare how the file is written.
    #[error("`{file}` {what}: {advice}")]
    OtherKind {
        /// Name of the file.
        file: String,
        /// What it is instead.
        what: String,
        /// What to do.
        advice: String,
    },
    /// Columns the file lacks.
    #[error("`{file}` lacks {}; its headers are {}{}", listed(columns), quoted(found), read_of(worksheets))]
    MissingColumns {
        /// Name of the file.
        file: String,
        /// What is missing.
        columns: Vec<MissingColumn>,
        /// The headers it has.
        found: Vec<String>,
        /// Of a workbook with several worksheets: the one that was read, then the others.
        worksheets: Vec<String>,
    },
    /// A needed header occurs twice.
    #[error("`{file}` has the header `{header}` twice: it is not clear which one is meant: rename one")]
    DuplicateHeader {
        /// Name of the file.
        file: String,
        /// The header.
        header: String,
    },
    /// The scratch folder for sorting is full or failed.
    #[error("the rows of the exports cannot be sorted on disk")]
    Scratch(#[from] io::Error),
    /// Invalid rows, and the job says `on_bad_row = "fail"`.
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

fn read_of(worksheets: &[String]) -> String {
    match worksheets {
        [read, others @ ..] if !others.is_empty() => {
            format!("; they are on the worksheet `{read}`, the first one, and there is also {}", quoted(others))
        }
        _ => String::new(),
    }
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn shown(rows: &[BadRow], total: usize) -> String {
    let mut text = counted(total, "malformed row", "malformed rows");
    for row in rows {
        text.push_str(&format!("\n  {row}"));
    }
    if total > rows.len() {
        text.push_str(&format!("\n  … and {} more", total - rows.len()));
    }
    text
}
