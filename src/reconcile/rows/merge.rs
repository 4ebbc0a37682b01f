//! Merges files that are each sorted by one string key into one sorted sequence. Holds a batch per file (a
//! few more if a thread reads ahead).

use std::path::Path;

use chrono::NaiveDate;

use super::cursor::{Cursor, Held};
use crate::dataset::columns::{Columns, DayNumber};
use crate::dataset::partition::PartitionError;
use crate::reconcile::basis::parameters::days;
use crate::reconcile::error::ReconcileError;
use crate::sorter::{LoserTree, beginning, precedes};

/// Columns whose rows are sorted by one string.
pub(in crate::reconcile) trait Keyed: Columns {
    /// The key of a row.
    fn key(&self, row: usize) -> &str;
}

/// The days of a dataset merged by key; rows with the same key come in the order of their days.
pub(in crate::reconcile) struct DayMerge<C> {
    days: Vec<(DayNumber, Cursor<C>)>,
    /// The first bytes of the key of each day's next row; `None` at the end of the day.
    beginnings: Vec<Option<u128>>,
    tree: LoserTree,
    /// The last key of the previous batch.
    last_key: String,
}

impl<C: Keyed> DayMerge<C> {
    pub(in crate::reconcile) fn open(
        dataset: &'static str,
        window: &[(NaiveDate, &Path)],
    ) -> Result<DayMerge<C>, PartitionError> {
        let open = |(date, path): &(NaiveDate, &Path)| Ok((days(*date), Cursor::open(dataset, Some(path))?));
        let days: Vec<_> = window.iter().map(open).collect::<Result<_, PartitionError>>()?;
        let key = |day| key(&days, day);
        let beginnings: Vec<_> = (0..days.len()).map(|day| Some(beginning(key(day)?.as_bytes()))).collect();
        let tree = LoserTree::new(days.len(), |one, other| precedes(&beginnings, key, one, other));
        Ok(DayMerge { days, beginnings, tree, last_key: String::new() })
    }

    /// The day of the smallest remaining key.
    fn next_day(&self) -> Option<usize> {
        self.tree.winner().filter(|day| self.beginnings[*day].is_some())
    }

    /// The smallest remaining key.
    pub(in crate::reconcile) fn peek_key(&self) -> Option<&str> {
        key(&self.days, self.next_day()?)
    }

    /// The row of the smallest key, and its day.
    pub(in crate::reconcile) fn peek(&self) -> Option<(DayNumber, C::Row<'_>)> {
        let (day, cursor) = &self.days[self.next_day()?];
        Some((*day, cursor.peek()?))
    }

    /// As `peek`, with its batch.
    pub(in crate::reconcile) fn hold(&self) -> Option<(DayNumber, Held<C>)> {
        let (day, cursor) = &self.days[self.next_day()?];
        Some((*day, cursor.hold()?))
    }

    /// Advances to the next row.
    pub(in crate::reconcile) fn advance(&mut self) -> Result<(), ReconcileError> {
        let Some(day) = self.next_day() else { return Ok(()) };
        self.beginnings[day] = self.pass(day)?;
        self.tree.replay(|one, other| precedes(&self.beginnings, |day| key(&self.days, day), one, other));
        Ok(())
    }

    /// Advances a day to its next row; returns the first bytes of its key.
    fn pass(&mut self, day: usize) -> Result<Option<u128>, ReconcileError> {
        let (_, cursor) = &mut self.days[day];
        if let Some((columns, row)) = cursor.place().filter(|_| cursor.is_last_of_batch()) {
            self.last_key.clear();
            self.last_key.push_str(columns.key(row));
        }
        cursor.advance()?;
        let Some((columns, row)) = cursor.place() else { return Ok(None) };
        let before = if row > 0 { columns.key(row - 1) } else { &self.last_key };
        let key = columns.key(row);
        if key < before {
            return Err(ReconcileError::Unsorted { dataset: cursor.dataset(), key: key.to_owned() });
        }
        Ok(Some(beginning(key.as_bytes())))
    }
}

fn key<C: Keyed>(days: &[(DayNumber, Cursor<C>)], day: usize) -> Option<&str> {
    days[day].1.place().map(|(columns, row)| columns.key(row))
}
