//! An assembly on a thread of its own: rows are settled while those before them become columns. They are copied in batches;
//! their order, and with it every byte of the file, stays the same.

use std::sync::mpsc::Receiver;

use super::assembly::Assembly;
use super::partition::{PartitionError, Writer};
use crate::sorter::{PackedRow, PackedRows};
use crate::threads::worker::Worker;

/// Bytes of rows per batch.
const BATCH_BYTES: usize = 256 << 10;
/// Batches that wait for the thread.
const BATCHES_WAITING: usize = 2;

/// Takes the rows of an assembly.
#[derive(Debug)]
pub struct AssemblyLine {
    thread: Worker<PackedRows, Result<Writer, PartitionError>>,
    batch: PackedRows,
}

impl AssemblyLine {
    /// Starts the thread.
    pub fn start(assembly: Assembly) -> AssemblyLine {
        let thread = Worker::start(BATCHES_WAITING, |batches| assemble(assembly, &batches));
        AssemblyLine { thread, batch: PackedRows::default() }
    }

    /// Adds a row, as `Assembly::add`. If it cannot be added, `finish` tells.
    pub fn add(&mut self, row: PackedRow<'_>) {
        self.batch.push(&row);
        if self.batch.bytes() >= BATCH_BYTES {
            self.pass_on();
        }
    }

    /// Ends the rows; returns the writer, which is still to be finished.
    ///
    /// # Errors
    /// The first row that could not be added.
    pub fn finish(mut self) -> Result<Writer, PartitionError> {
        self.pass_on();
        self.thread.finish()
    }

    fn pass_on(&mut self) {
        // A thread that has failed takes no more rows.
        let _ = self.thread.send(std::mem::take(&mut self.batch));
    }
}

fn assemble(mut assembly: Assembly, batches: &Receiver<PackedRows>) -> Result<Writer, PartitionError> {
    for batch in batches {
        batch.iter().try_for_each(|row| assembly.add(row))?;
    }
    assembly.finish()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use chrono::NaiveDate;

    use super::super::partition::{PartLimit, Provenance, write_rows};
    use super::*;
    use crate::contract::contract;
    use crate::pseudonyms::Pseudonyms;
    use crate::record::{CouponCode, Record};
    use crate::sorter::HeldRow;

    fn code(number: usize) -> CouponCode {
        CouponCode {
            stock_id: "128".into(),
            coupon_code: format!("C{number:08}"),
            code_status: Some("DISPATCHED".into()),
            upload_time: None,
            dispatched_time: None,
            openid: (!number.is_multiple_of(3)).then(|| format!("o{number}")),
            unionid: None,
            extra: None,
            business_date: NaiveDate::from_ymd_opt(2026, 11, 18).unwrap(),
        }
    }

    fn write(path: &Path, codes: &[CouponCode]) -> Result<Vec<u64>, PartitionError> {
        let writer = Writer::create(path, contract(CouponCode::DATASET), &Provenance::default(), PartLimit::NONE)?;
        let assembly = Assembly::new(contract(CouponCode::DATASET), &Pseudonyms::raw(), writer);
        let (mut line, mut held) = (AssemblyLine::start(assembly), HeldRow::default());
        for code in codes {
            held.pack(code);
            line.add(held.row());
        }
        line.finish()?.finish()
    }

    #[test]
    fn many_batches_and_none_give_the_bytes_of_rows_that_were_held() {
        let folder = tempfile::tempdir().unwrap();
        let (line, held) = (folder.path().join("line"), folder.path().join("held"));
        for rows in [0, 1, 40_000] {
            let codes: Vec<_> = (0..rows).map(code).collect();
            assert_eq!(write(&line, &codes).unwrap(), [rows as u64]);
            write_rows(&held, &codes, &Provenance::default()).unwrap();
            assert!(std::fs::read(&line).unwrap() == std::fs::read(&held).unwrap(), "{rows} rows");
        }
    }

    #[test]
    fn a_row_that_cannot_be_added_is_told_however_many_come_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut codes: Vec<_> = (0..60_000).map(code).collect();
        codes[9_000].coupon_code = codes[8_999].coupon_code.clone();
        codes[50_000].coupon_code = codes[49_999].coupon_code.clone();
        let error = write(&folder.path().join("line"), &codes).unwrap_err().to_string();
        assert!(error.contains("C00008999"), "{error}");
    }
}
