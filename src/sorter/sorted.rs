//! Sorted rows: one at a time, grouped by key, or merged in advance by a thread.

use std::io;

use super::merge::Merge;
use super::packed_rows::PackedRows;
use super::row::{HeldRow, PackedRow};
use crate::threads::prefetch::Prefetch;

/// Bytes of rows per batch that a thread merges ahead.
const BATCH_BYTES: usize = 256 << 10;
/// Batches merged ahead.
const BATCHES_AHEAD: usize = 2;

/// Sorted rows, read one by one.
#[derive(Debug, Default)]
pub struct Sorted {
    merge: Merge,
    /// Whether only the last row of every key is passed on.
    is_superseding: bool,
}

/// Sorted rows, merged ahead by a thread.
#[derive(Debug)]
pub struct SortedAhead {
    batches: Prefetch<io::Result<PackedRows>>,
    batch: PackedRows,
    /// The offset of the next row in the batch.
    at: usize,
}

impl Sorted {
    pub(super) fn new(merge: Merge) -> Sorted {
        Sorted { merge, is_superseding: false }
    }

    /// Only the last row of every key.
    pub(super) fn superseding(self) -> io::Result<Sorted> {
        let mut rows = Sorted { is_superseding: true, ..self };
        rows.skip_superseded()?;
        Ok(rows)
    }

    fn skip_superseded(&mut self) -> io::Result<()> {
        while self.merge.is_followed_by_its_key() {
            self.merge.advance()?;
        }
        Ok(())
    }

    /// The next row; unchanged until `advance`.
    #[inline]
    pub fn peek(&self) -> Option<PackedRow<'_>> {
        self.merge.peek()
    }

    /// Advances to the row after it.
    ///
    /// # Errors
    /// The scratch file cannot be read back.
    #[inline]
    pub fn advance(&mut self) -> io::Result<()> {
        self.merge.advance()?;
        if self.is_superseding { self.skip_superseded() } else { Ok(()) }
    }

    /// The same rows, merged ahead on a thread.
    ///
    /// # Errors
    /// As `advance`.
    pub fn ahead(mut self) -> io::Result<SortedAhead> {
        let batches = std::iter::from_fn(move || self.next_batch().transpose());
        let batches = Prefetch::start(batches, BATCHES_AHEAD);
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

    /// Passes on every row.
    ///
    /// # Errors
    /// As `advance`; errors of `take`.
    pub fn each(mut self, mut take: impl FnMut(PackedRow<'_>) -> io::Result<()>) -> io::Result<()> {
        while let Some(row) = self.peek() {
            take(row)?;
            self.advance()?;
        }
        Ok(())
    }

    /// Passes the last row of every key to `last`, and those before it to `earlier`.
    ///
    /// # Errors
    /// As `advance`; errors of `last`.
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

    /// Passes on the rows that equal the next one in the first `texts` strings of their keys; returns whether
    /// there were any.
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

    /// Maps every row with `own`.
    pub fn map<T>(mut self, mut own: impl FnMut(PackedRow<'_>) -> T) -> impl Iterator<Item = io::Result<T>> {
        std::iter::from_fn(move || {
            let made = own(self.peek()?);
            Some(self.advance().map(|()| made))
        })
    }

    /// The number of runs on disk.
    #[cfg(test)]
    pub(super) fn runs_on_disk(&self) -> usize {
        self.merge.runs_on_disk()
    }
}

impl SortedAhead {
    /// The next row; unchanged until `advance`.
    #[inline]
    pub fn peek(&self) -> Option<PackedRow<'_>> {
        self.batch.at(self.at)
    }

    /// Advances to the row after it.
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
