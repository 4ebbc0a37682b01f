//! Files that are each sorted by one text key, read as one sorted sequence. Holds a batch per file.

use std::cmp::Ordering;
use std::path::Path;

use chrono::NaiveDate;

use super::columns::DayNumber;
use super::cursor::{Columns, Cursor, Held};
use super::error::ReconcileError;
use super::parameters::days;
use crate::dataset::partition::PartitionError;

/// Columns whose rows are sorted by one text.
pub(super) trait Keyed: Columns {
    /// The key of a row.
    fn key(&self, row: usize) -> &str;
}

/// The days of a dataset merged by key; rows of one key come in the order of their days.
pub(super) struct DayMerge<C> {
    days: Vec<(DayNumber, Cursor<C>)>,
    /// A binary heap of places in `days`, the smallest key first.
    heap: Vec<usize>,
    last_key: String,
}

impl<C: Keyed> DayMerge<C> {
    pub(super) fn open(dataset: &'static str, window: &[(NaiveDate, &Path)]) -> Result<DayMerge<C>, PartitionError> {
        let open = |(date, path): &(NaiveDate, &Path)| Ok((days(*date), Cursor::open(dataset, Some(path))?));
        let days: Vec<_> = window.iter().map(open).collect::<Result<_, PartitionError>>()?;
        let heap = (0..days.len()).filter(|day| days[*day].1.place().is_some()).collect();
        let mut merge = DayMerge { days, heap, last_key: String::new() };
        for at in (0..merge.heap.len() / 2).rev() {
            merge.sink(at);
        }
        Ok(merge)
    }

    /// The smallest key left.
    pub(super) fn peek_key(&self) -> Option<&str> {
        self.heap.first().map(|day| self.key(*day))
    }

    /// The row of the smallest key, and its day.
    pub(super) fn peek(&self) -> Option<(DayNumber, C::Row<'_>)> {
        let (day, cursor) = &self.days[*self.heap.first()?];
        Some((*day, cursor.peek()?))
    }

    /// As `peek`; the row is kept.
    pub(super) fn hold(&self) -> Option<(DayNumber, Held<C>)> {
        let (day, cursor) = &self.days[*self.heap.first()?];
        Some((*day, cursor.hold()?))
    }

    /// Goes on to the next row.
    pub(super) fn advance(&mut self) -> Result<(), ReconcileError> {
        let Some(&day) = self.heap.first() else { return Ok(()) };
        let (_, cursor) = &mut self.days[day];
        if let Some((columns, row)) = cursor.place() {
            self.last_key.clear();
            self.last_key.push_str(columns.key(row));
        }
        cursor.advance()?;
        match cursor.place() {
            None => drop(self.heap.swap_remove(0)),
            Some((columns, row)) if columns.key(row) < self.last_key.as_str() => {
                let key = columns.key(row).to_owned();
                return Err(ReconcileError::Unsorted { dataset: cursor.dataset(), key });
            }
            Some(_) => {}
        }
        self.sink(0);
        Ok(())
    }

    fn key(&self, day: usize) -> &str {
        let place = self.days[day].1.place();
        place.map_or("", |(columns, row)| columns.key(row))
    }

    fn compare(&self, one: usize, other: usize) -> Ordering {
        let (one, other) = (self.heap[one], self.heap[other]);
        self.key(one).cmp(self.key(other)).then(one.cmp(&other))
    }

    fn sink(&mut self, mut at: usize) {
        loop {
            let smallest = [2 * at + 1, 2 * at + 2]
                .into_iter()
                .filter(|child| *child < self.heap.len())
                .fold(at, |best, child| if self.compare(child, best).is_lt() { child } else { best });
            if smallest == at {
                return;
            }
            self.heap.swap(at, smallest);
            at = smallest;
        }
    }
}
