//! Sorted rows: one at a time, grouped by key, or merged in advance by a thread.

use std::io;

use super::merge::Merge;
use super::packed_rows::PackedRows;
use super::row::{HeldRow, PackedRow};
use crate::threads::prefetch::Prefetch;

/// Bytes of rows merged at once by a thread that is ahead.
const BATCH_BYTES: usize = 256 << 10;
/// Batches merged before they are asked for.
const BATCHES_AHEAD: usize = 2;

/// Rows in order, looked at one by one.
#[derive(Debug, Default)]
pub struct Sorted {
    merge: Merge,
}

/// Rows in order, merged by a thread that is a little ahead.
#[derive(Debug)]
pub struct SortedAhead {
    batches: Prefetch<io::Result<PackedRows>>,
    batch: PackedRows,
    /// Where in the batch the next row stands.
    at: usize,
}

impl Sorted {
    pub(super) fn of(merge: Merge) -> Sorted {
        Sorted { merge }
    }

    /// These rows and those of `later` in one order; of one key, those of `later` come last.
    #[must_use]
    pub fn and(self, later: Sorted) -> Sorted {
        Sorted::of(self.merge.and(later.merge))
    }

    /// The next row; it stays the next one until `advance`.
    #[inline]
    pub fn peek(&self) -> Option<PackedRow<'_>> {
        self.merge.peek()
    }

    /// Goes on to the row after it.
    ///
    /// # Errors
    /// The scratch file does not give back what was written.
    #[inline]
    pub fn advance(&mut self) -> io::Result<()> {
        self.merge.advance()
    }

    /// The same rows, merged by a thread of its own.
    ///
    /// # Errors
    /// As `advance`.
    pub fn ahead(mut self) -> io::Result<SortedAhead> {
        let batches = std::iter::from_fn(move || self.next_batch().transpose());
        let batches = Prefetch::of(batches, BATCHES_AHEAD);
        let mut rows = SortedAhead { batches, batch: PackedRows::default(), at: 0 };
        rows.load()?;
        Ok(rows)
    }

    fn next_batch(&mut self) -> io::Result<Option<PackedRows>> {
        let mut batch = PackedRows::with_capacity(BATCH_BYTES + BATCH_BYTES / 16);
        while let Some(row) = self.peek().filter(|_| batch.bytes() < BATCH_BYTES) {
            batch.push(&row);
            self.advance()?;
        }
        Ok((!batch.is_empty()).then_some(batch))
    }

    /// Hands over every row.
    ///
    /// # Errors
    /// As `advance`; what `take` says.
    pub fn each(mut self, mut take: impl FnMut(PackedRow<'_>) -> io::Result<()>) -> io::Result<()> {
        while let Some(row) = self.peek() {
            take(row)?;
            self.advance()?;
        }
        Ok(())
    }

    /// Hands over the last row of every key to `last`, and those before it to `earlier`.
    ///
    /// # Errors
    /// As `advance`; what `last` says.
    pub fn last_of_each(
        mut self,
        mut earlier: impl FnMut(PackedRow<'_>),
        mut last: impl FnMut(PackedRow<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut held = HeldRow::default();
        let Some(first) = self.peek() else { return Ok(()) };
        held.hold(first);
        self.advance()?;
        while let Some(row) = self.peek() {
            match row.key() == held.row().key() {
                true => earlier(held.row()),
                false => last(held.row())?,
            }
            held.hold(row);
            self.advance()?;
        }
        last(held.row())
    }

    /// Hands over the rows that agree with the next one in the first `texts` texts of their keys; whether there
    /// were any.
    ///
    /// # Errors
    /// As `advance`.
    pub fn next_group(&mut self, texts: usize, mut take: impl FnMut(PackedRow<'_>)) -> io::Result<bool> {
        let Some(first) = self.peek() else { return Ok(false) };
        let beginning = first.beginning(texts).to_vec();
        while let Some(row) = self.peek().filter(|row| row.beginning(texts) == beginning) {
            take(row);
            self.advance()?;
        }
        Ok(true)
    }

    /// What `own` makes of every row, one by one.
    pub fn map<T>(mut self, mut own: impl FnMut(PackedRow<'_>) -> T) -> impl Iterator<Item = io::Result<T>> {
        std::iter::from_fn(move || {
            let made = own(self.peek()?);
            Some(self.advance().map(|()| made))
        })
    }

    /// Runs that had to be written to the disk.
    #[cfg(test)]
    pub(super) fn runs_on_disk(&self) -> usize {
        self.merge.runs_on_disk()
    }
}

impl SortedAhead {
    /// The next row; it stays the next one until `advance`.
    #[inline]
    pub fn peek(&self) -> Option<PackedRow<'_>> {
        self.batch.at(self.at)
    }

    /// Goes on to the row after it.
    ///
    /// # Errors
    /// As `Sorted::advance`.
    #[inline]
    pub fn advance(&mut self) -> io::Result<()> {
        let Some(row) = self.batch.at(self.at) else { return Ok(()) };
        self.at += row.length();
        if self.at < self.batch.bytes() { Ok(()) } else { self.load() }
    }

    fn load(&mut self) -> io::Result<()> {
        (self.batch, self.at) = (self.batches.next().transpose()?.unwrap_or_default(), 0);
        Ok(())
    }
}
