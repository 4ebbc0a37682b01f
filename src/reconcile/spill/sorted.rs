//! Sorted rows, one after the other or all of a coupon at a time. Never goes back, and never holds more than a coupon and what
//! is merged ahead.

use std::io;

use super::Packed;
use super::merge::Merge;
use super::run::{Batch, Run};
use crate::ahead::Ahead;
use crate::reconcile::coupon_key::CouponKey;
use crate::reconcile::text_hash::TextMap;

/// Batches merged before they are asked for.
const BATCHES_AHEAD: usize = 2;

/// Sorted rows, taken one by one. Those of many runs are merged on a thread that is a little ahead.
#[derive(Default)]
pub(in crate::reconcile) struct Sorted {
    next: Option<Packed>,
    source: Source,
}

/// Where the rows behind the next one come from.
enum Source {
    Here(Merge),
    Ahead { batch: Batch, batches: Ahead<io::Result<Batch>> },
}

impl Sorted {
    /// The rows of sorted runs, of these stocks.
    pub(super) fn merge(runs: Vec<Run>, ranks: TextMap<String, u32>) -> io::Result<Sorted> {
        let is_many = runs.len() > 1;
        let merge = Merge::of(runs, ranks)?;
        let source = if is_many { Source::ahead(merge) } else { Source::Here(merge) };
        let mut sorted = Sorted { next: None, source };
        sorted.next(Packed::default())?;
        Ok(sorted)
    }

    /// The coupon of the next row.
    pub(in crate::reconcile) fn peek_coupon(&self) -> Option<CouponKey<'_>> {
        self.next.as_ref().map(Packed::coupon)
    }

    /// Takes the next row; `spare` lends its memory to the one that follows.
    pub(in crate::reconcile) fn next(&mut self, mut spare: Packed) -> io::Result<Option<Packed>> {
        let is_more = self.source.next(&mut spare)?;
        Ok(std::mem::replace(&mut self.next, is_more.then_some(spare)))
    }
}

impl Source {
    fn ahead(merge: Merge) -> Source {
        Source::Ahead { batch: Batch::default(), batches: Ahead::of(merge.batches(), BATCHES_AHEAD) }
    }

    /// Puts the next row into `row`; `false` at the end.
    fn next(&mut self, row: &mut Packed) -> io::Result<bool> {
        match self {
            Source::Here(merge) => merge.next(row),
            Source::Ahead { batch, batches } => {
                row.0.clear();
                while !batch.next(&mut row.0) {
                    match batches.next() {
                        Some(next) => *batch = next?,
                        None => return Ok(false),
                    }
                }
                Ok(true)
            }
        }
    }
}

impl Default for Source {
    fn default() -> Source {
        Source::Here(Merge::default())
    }
}

/// Sorted rows, those of one coupon at a time.
#[derive(Default)]
pub(in crate::reconcile) struct Grouped {
    sorted: Sorted,
    rows: Vec<Packed>,
    spare: Vec<Packed>,
}

impl Grouped {
    pub(in crate::reconcile) fn new(sorted: Sorted) -> Grouped {
        Grouped { sorted, ..Grouped::default() }
    }

    /// The rows taken last.
    pub(in crate::reconcile) fn rows(&self) -> &[Packed] {
        &self.rows
    }

    /// The coupon of the rows that come next.
    pub(in crate::reconcile) fn peek(&self) -> Option<CouponKey<'_>> {
        self.sorted.peek_coupon()
    }

    /// Takes the rows of a coupon, if it is theirs that come next, or none.
    pub(in crate::reconcile) fn take(&mut self, key: CouponKey<'_>) -> io::Result<()> {
        self.clear();
        while self.peek() == Some(key) {
            self.take_one()?;
        }
        Ok(())
    }

    /// Takes the rows of the next coupon; `false` when there is none left.
    pub(in crate::reconcile) fn take_next(&mut self) -> io::Result<bool> {
        self.clear();
        while self.rows.first().is_none_or(|first| self.peek() == Some(first.coupon())) && self.take_one()? {}
        Ok(!self.rows.is_empty())
    }

    /// Takes the next row alone, if its coupon is smaller than this; any is, where there is none.
    pub(in crate::reconcile) fn take_smaller(&mut self, key: Option<CouponKey<'_>>) -> io::Result<Option<&Packed>> {
        self.clear();
        if self.peek().is_some_and(|next| key.is_none_or(|key| next < key)) {
            self.take_one()?;
        }
        Ok(self.rows.first())
    }

    fn clear(&mut self) {
        self.spare.append(&mut self.rows);
    }

    fn take_one(&mut self) -> io::Result<bool> {
        let next = self.sorted.next(self.spare.pop().unwrap_or_default())?;
        let is_one = next.is_some();
        self.rows.extend(next);
        Ok(is_one)
    }
}
