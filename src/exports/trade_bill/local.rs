//! Bills that the merchant downloaded itself (`bills.source = "files"`): found, parsed and hashed in
//! one pass. Several files of a day, one per merchant number, are read one after the other.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;

use super::bill::{TakeEntry, TradeBill, read};
use super::error::BillError;
use super::read_ahead::ReadAhead;
use super::row::Entry;
use super::unpacked::Unpacked;
use crate::exports::error::ExportError;
use crate::exports::found::{self, Found};
use crate::exports::hashing::{ExportFile, Hashing};
use crate::job::PathPattern;

/// A bill and its file.
#[derive(Debug, Clone, PartialEq)]
pub struct LocalBill {
    /// What it states.
    pub bill: TradeBill,
    /// The file as stored, gzipped or not.
    pub file: ExportFile,
    /// Its path.
    pub path: PathBuf,
}

/// Reads the local bills of a business date, in order of file names; their rows go to `take`.
pub fn read_local(path: &PathPattern, date: NaiveDate, take: &mut TakeEntry<'_>) -> Result<Vec<LocalBill>, BillError> {
    let files = found::find(path, date).map_err(|error| bill_error(error, path.name_of(date)))?;
    files.iter().map(|Found { path, name }| read_file(path, name, date, take)).collect()
}

/// Reads a bill from a file, reading its bytes ahead.
pub fn read_file(path: &Path, name: &str, date: NaiveDate, take: &mut TakeEntry<'_>) -> Result<LocalBill, BillError> {
    let damaged = |source| BillError::Read { file: name.to_owned(), source };
    let file = Hashing::new(File::open(path).map_err(damaged)?);
    let mut bytes = ReadAhead::start(Unpacked::detect(file).map_err(damaged)?);
    let bill = read(&mut bytes, name, date, take)?;
    // Bytes after the end of a gzip stream belong to the file too.
    let file = bytes.into_source().into_source().finish(name).map_err(damaged)?;
    Ok(LocalBill { bill, file, path: path.to_owned() })
}

/// Reads bills again for the rows that `is_sought` selects: name of the bill and line of each.
pub fn find_rows(
    bills: &[(String, PathBuf)],
    date: NaiveDate,
    is_sought: impl Fn(&Entry<'_>) -> bool,
) -> Result<Vec<(String, u64)>, BillError> {
    let mut found = Vec::new();
    for (name, path) in bills {
        let mut take = |entry: Entry<'_>, line| {
            if is_sought(&entry) {
                found.push((name.clone(), line));
            }
            Ok(())
        };
        read_file(path, name, date, &mut take)?;
    }
    Ok(found)
}

fn bill_error(error: ExportError, file: String) -> BillError {
    match error {
        ExportError::Missing { path } => BillError::Missing { path },
        ExportError::Read { source, .. } => BillError::Read { file, source },
        other => BillError::Read { file, source: io::Error::other(other) },
    }
}
