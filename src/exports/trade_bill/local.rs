//! Bills the merchant downloaded itself (`bills.source = "files"`): found, read, hashed in one pass.
//! Several files of a day, one per merchant number, are read one by one.

use std::fs::File;
use std::io::{self, Read};

use chrono::NaiveDate;
use sha2::{Digest, Sha256};

use super::{BillError, TradeBill, read};
use crate::exports::found::{self, Found};
use crate::exports::{ExportError, ExportFile};
use crate::job::PathPattern;

/// A bill and the file it stood in.
#[derive(Debug, Clone, PartialEq)]
pub struct LocalBill {
    /// Its rows.
    pub bill: TradeBill,
    /// The file as it lies there, packed or not.
    pub file: ExportFile,
}

/// The local bills of a business date, by file name.
pub fn read_local(path: &PathPattern, date: NaiveDate) -> Result<Vec<LocalBill>, BillError> {
    let files = found::find(path, date).map_err(|error| bill_error(error, path.name_of(date)))?;
    files.iter().map(|found| read_one(found, date)).collect()
}

fn read_one(found: &Found, date: NaiveDate) -> Result<LocalBill, BillError> {
    let damaged = |source| BillError::Read { file: found.name.clone(), source };
    let mut hashing = Hashing { inner: File::open(&found.path).map_err(damaged)?, digest: Sha256::new(), bytes: 0 };
    let bill = read(&mut hashing, &found.name, date)?;
    // What stands behind the end of a gzip stream belongs to the file too.
    io::copy(&mut hashing, &mut io::sink()).map_err(damaged)?;
    let sha256 = hex::encode(hashing.digest.finalize());
    let file = ExportFile { name: found.name.clone(), sha256, bytes: hashing.bytes };
    Ok(LocalBill { bill, file })
}

fn bill_error(error: ExportError, file: String) -> BillError {
    match error {
        ExportError::Missing { path } => BillError::Missing { path },
        ExportError::Read { source, .. } => BillError::Read { file, source },
        other => BillError::Read { file, source: io::Error::other(other.to_string()) },
    }
}

/// Hashes and counts what passes through.
struct Hashing<R> {
    inner: R,
    digest: Sha256,
    bytes: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.digest.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}
