//! Rows collected by key in one scan of a table: as keys found there, or as numbers of rows still to be decided.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex};

use arrow::array::{Array, RecordBatch};
use arrow::error::ArrowError;

use super::evaluate::Evaluator;
use super::keys::{KeyColumns, Keys, NO_KEY};
use super::scattered::Scattered;
use super::source::Source;
use super::table_scan::{BatchKeys, Condition, KeyNames, Trial, matching};
use super::term::Mention;
use crate::threads::{THREADS, map_parallel};

/// What one scan collects for a mention: the rows that satisfy its condition, by key.
pub(super) struct Gathering<K> {
    pub(super) mention: Mention,
    pub(super) condition: Condition,
    /// The columns of the key.
    pub(super) names: KeyNames,
    pub(super) kept: K,
}

/// What is kept of these rows.
pub(super) trait Keep: Send {
    /// Columns needed besides those of condition and key.
    fn columns(&self) -> impl Iterator<Item = &String>;

    /// Adds rows of a batch whose first row has this number.
    fn take(&mut self, first: u64, batch: &RecordBatch, rows: &[usize], keys: &KeyColumns) -> Result<(), ArrowError>;
}

/// A set of keys: held in memory if few, partitioned if many.
pub(super) struct FoundKeys {
    few: Arc<Keys>,
    /// The maximum number of keys in memory.
    held: usize,
    many: Option<Scattered<u128>>,
    parts: usize,
    scratch: Arc<Path>,
    /// Columns in which no matching row may be null.
    pub(super) presences: Vec<Presence>,
}

/// Whether a column, if one is named, was never null.
#[derive(Debug, PartialEq)]
pub(super) struct Presence {
    pub(super) column: Option<String>,
    pub(super) has_null: bool,
}

/// Rows that are to be decided.
pub(super) struct Numbered {
    pub(super) scattered: Scattered<(u128, u64)>,
    /// Rows with a null in their key.
    pub(super) keyless: Vec<u64>,
}

impl Numbered {
    /// The rows of a trial.
    pub(super) fn of(trial: &Trial, names: KeyNames, scattered: Scattered<(u128, u64)>) -> Gathering<Numbered> {
        let kept = Numbered { scattered, keyless: Vec::new() };
        Gathering { mention: trial.mention, condition: trial.condition.clone(), names, kept }
    }

    /// The rows without a key, and those of each part that remain, on all threads.
    pub(super) fn part_by_part(
        self,
        left: impl Fn(usize, &Scattered<(u128, u64)>) -> Result<Vec<u64>, ArrowError> + Sync,
    ) -> Result<Vec<u64>, ArrowError> {
        let Numbered { scattered, keyless: mut rows } = self;
        for part in map_parallel(THREADS, (0..scattered.parts()).collect(), |part| left(part, &scattered)) {
            rows.extend(part?);
        }
        Ok(rows)
    }
}

impl Keep for Numbered {
    fn columns(&self) -> impl Iterator<Item = &String> {
        std::iter::empty()
    }

    fn take(&mut self, first: u64, _: &RecordBatch, rows: &[usize], keys: &KeyColumns) -> Result<(), ArrowError> {
        for row in rows {
            let (key, number) = (keys.key(*row), first + *row as u64);
            if key == NO_KEY {
                self.keyless.push(number);
            } else {
                self.scattered.push((key, number))?;
            }
        }
        Ok(())
    }
}

impl FoundKeys {
    /// Empty; with more than `held` keys, all are moved to partitions.
    pub(super) fn new(held: usize, parts: usize, scratch: Arc<Path>) -> FoundKeys {
        FoundKeys { few: Arc::default(), held, many: None, parts, scratch, presences: Vec::new() }
    }

    /// All of them, if they are few.
    pub(super) fn few(&self) -> Option<&Arc<Keys>> {
        self.many.is_none().then_some(&self.few)
    }

    /// The number of partitions, if they are many.
    pub(super) fn parts(&self) -> usize {
        self.parts
    }

    /// The keys of a partition.
    pub(super) fn part(&self, part: usize) -> Result<Keys, ArrowError> {
        let mut keys = Keys::default();
        if let Some(many) = &self.many {
            many.each(part, |key| {
                keys.insert(key);
            })?;
        }
        Ok(keys)
    }

    fn push(&mut self, key: u128) -> Result<(), ArrowError> {
        if let Some(many) = &mut self.many {
            return Ok(many.push(key)?);
        }
        let few = Arc::get_mut(&mut self.few).expect("nobody has them before all are found");
        few.insert(key);
        if few.len() > self.held {
            let mut many = Scattered::new(&self.scratch, self.parts)?;
            few.drain().try_for_each(|key| many.push(key))?;
            self.many = Some(many);
        }
        Ok(())
    }
}

impl Keep for FoundKeys {
    fn columns(&self) -> impl Iterator<Item = &String> {
        self.presences.iter().flat_map(|presence| &presence.column)
    }

    fn take(&mut self, _: u64, batch: &RecordBatch, rows: &[usize], keys: &KeyColumns) -> Result<(), ArrowError> {
        self.presences.iter_mut().try_for_each(|presence| presence.look_for_null(batch, rows))?;
        let mut found = rows.iter().map(|row| keys.key(*row)).filter(|key| *key != NO_KEY);
        found.try_for_each(|key| self.push(key))
    }
}

impl Presence {
    fn look_for_null(&mut self, batch: &RecordBatch, rows: &[usize]) -> Result<(), ArrowError> {
        let Some(name) = &self.column else { return Ok(()) };
        let column = batch.column_by_name(name);
        let column = column.ok_or_else(|| ArrowError::SchemaError(format!("no column `{name}`")))?;
        self.has_null |= column.null_count() > 0 && rows.iter().any(|row| column.is_null(*row));
        Ok(())
    }
}

impl<K: Keep> Gathering<K> {
    fn columns(&self, columns: &mut BTreeSet<String>) {
        self.condition.columns(self.mention, columns);
        columns.extend(self.names.iter().chain(self.kept.columns()).cloned());
    }
}

/// Scans `source` once for all gatherings, on all threads; one thread at a time adds rows to a gathering.
pub(super) fn gather<'g, K: Keep + 'g>(
    source: &Source,
    gatherings: impl Iterator<Item = &'g mut Gathering<K>>,
) -> Result<(), ArrowError> {
    let mut columns = BTreeSet::new();
    let shared: Vec<_> = gatherings
        .map(|gathering| {
            gathering.columns(&mut columns);
            (&gathering.condition, &gathering.names, Mutex::new(&mut gathering.kept))
        })
        .collect();
    let see = |first, batch: &RecordBatch| {
        let (mut evaluator, mut keys) = (Evaluator::new(batch), BatchKeys::new(batch));
        for (condition, names, kept) in &shared {
            let rows = matching(condition, &mut evaluator, &mut keys)?;
            let keys = keys.of(names, rows.len())?;
            kept.lock().expect("nobody panics while he gives rows").take(first, batch, &rows, keys)?;
        }
        Ok(ControlFlow::Continue(()))
    };
    let walk = |stretch| source.scan_stretch(stretch, &columns, see);
    map_parallel(THREADS, source.stretches(), walk).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_keys_are_held_than_may_be_and_none_is_lost_when_they_are_scattered() {
        let scratch = tempfile::tempdir().unwrap();
        let keys: Vec<u128> = (1..=5).map(|key| key << 120 | key).collect();
        let found = |held| {
            let mut found = FoundKeys::new(held, 3, scratch.path().into());
            keys.iter().chain(&keys).for_each(|key| found.push(*key).unwrap());
            found
        };
        let all: Keys = keys.iter().copied().collect();
        assert_eq!(found(5).few().map(AsRef::as_ref), Some(&all));
        for held in [0, 2, 4] {
            let found = found(held);
            assert_eq!(found.few(), None);
            let parts: Vec<_> = (0..3).map(|part| found.part(part).unwrap()).collect();
            assert_eq!(parts.iter().map(Keys::len).sum::<usize>(), 5, "each key lies in one part");
            assert_eq!(parts.into_iter().flatten().collect::<Keys>(), all);
        }
    }
}
