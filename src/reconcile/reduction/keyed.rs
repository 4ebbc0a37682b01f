//! Rows gathered by a key in one walk through a table, and scattered over parts in a scratch file: rows of one key lie in
//! one part. Parts are looked at one after the other, so neither memory nor the number of open files follows the table.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Mutex;

use arrow::array::{Array, RecordBatch};
use arrow::error::ArrowError;

use super::evaluate::Evaluator;
use super::keys::NO_KEY;
use super::sift::{BatchKeys, Condition, KeyNames, Trial, matching};
use super::source::Source;
use super::term::Mention;
use crate::threads::{THREADS, side_by_side};

/// Rows of a part: their keys are in memory at once.
const ROWS_PER_PART: u64 = 1 << 18;
const MOST_PARTS: u64 = 1 << 10;
/// A key and the number of a row.
const ENTRY_BYTES: usize = 24;
/// What a part gathers before it is written: whole entries, about 16 KiB.
const CHUNK_BYTES: usize = 682 * ENTRY_BYTES;

/// Keyed rows in their parts, which lie in chunks in one unnamed file.
pub(super) struct KeyedRows {
    file: File,
    /// Chunks of the file.
    chunks: u64,
    parts: Vec<Part>,
}

/// Where the rows of a part are.
#[derive(Default)]
struct Part {
    /// Places of its chunks in the file.
    written: Vec<u64>,
    /// What comes after them.
    filling: Vec<u8>,
}

impl KeyedRows {
    /// As many parts as tables of so many rows need.
    pub(super) fn parts_for(rows: u64) -> usize {
        usize::try_from(rows.div_ceil(ROWS_PER_PART).clamp(1, MOST_PARTS)).expect("few parts")
    }

    pub(super) fn new(scratch: &Path, parts: usize) -> io::Result<KeyedRows> {
        let parts = (0..parts).map(|_| Part::default()).collect();
        Ok(KeyedRows { file: tempfile::tempfile_in(scratch)?, chunks: 0, parts })
    }

    fn push(&mut self, key: u128, row: u64) -> io::Result<()> {
        // The other half of the key tells apart what lies in one part.
        let part = ((key >> 64) * self.parts.len() as u128) >> 64;
        let part = &mut self.parts[usize::try_from(part).expect("a part's number")];
        part.filling.extend_from_slice(&key.to_le_bytes());
        part.filling.extend_from_slice(&row.to_le_bytes());
        if part.filling.len() == CHUNK_BYTES {
            self.file.write_all_at(&part.filling, self.chunks * CHUNK_BYTES as u64)?;
            part.written.push(self.chunks);
            part.filling.clear();
            self.chunks += 1;
        }
        Ok(())
    }

    /// The number of parts.
    pub(super) fn parts(&self) -> usize {
        self.parts.len()
    }

    /// Shows the rows of a part, in any order; holds a chunk of them. Parts are best looked at in their order.
    pub(super) fn each(&self, part: usize, mut see: impl FnMut(u128, u64)) -> io::Result<()> {
        self.parts.get(part + 1).into_iter().for_each(|next| self.read_ahead(next));
        let Part { written, filling } = &self.parts[part];
        let mut chunk = [0; CHUNK_BYTES];
        for place in written {
            self.file.read_exact_at(&mut chunk, place * CHUNK_BYTES as u64)?;
            entries(&chunk).for_each(|(key, row)| see(key, row));
        }
        entries(filling).for_each(|(key, row)| see(key, row));
        Ok(())
    }

    /// Tells the system which chunks come next: they lie all over the file, and of a large one not all are in its cache.
    #[cfg(target_os = "linux")]
    fn read_ahead(&self, Part { written, .. }: &Part) {
        use rustix::fs::{Advice, fadvise};
        let length = std::num::NonZeroU64::new(CHUNK_BYTES as u64);
        for place in written {
            // Advice that is not taken costs time alone.
            let _ = fadvise(&self.file, place * CHUNK_BYTES as u64, length, Advice::WillNeed);
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn read_ahead(&self, _: &Part) {}
}

fn entries(bytes: &[u8]) -> impl Iterator<Item = (u128, u64)> {
    bytes.as_chunks().0.iter().map(|entry: &[u8; ENTRY_BYTES]| {
        let (key, row) = entry.split_at(16);
        let key = u128::from_le_bytes(key.try_into().expect("16 bytes"));
        (key, u64::from_le_bytes(row.try_into().expect("8 bytes")))
    })
}

/// What one walk gathers of a mention: the rows that match its condition, by a key.
pub(super) struct Gathering {
    pub(super) mention: Mention,
    pub(super) condition: Condition,
    /// The columns of the key.
    pub(super) names: KeyNames,
    /// A column in which a matching row must not be null.
    pub(super) present: Option<String>,
    pub(super) keyed: KeyedRows,
    /// Matching rows with a null in their key, where they are wanted.
    pub(super) keyless: Option<Vec<u64>>,
    /// A matching row was null where it must not be.
    pub(super) has_null: bool,
}

impl Gathering {
    /// The rows of a trial.
    pub(super) fn of(trial: &Trial, names: KeyNames, keyed: KeyedRows) -> Gathering {
        Gathering {
            mention: trial.mention,
            condition: trial.condition.clone(),
            names,
            present: None,
            keyed,
            keyless: Some(Vec::new()),
            has_null: false,
        }
    }

    fn columns(&self, columns: &mut BTreeSet<String>) {
        self.condition.columns(self.mention, columns);
        columns.extend(self.names.iter().chain(&self.present).cloned());
    }

    fn take(&mut self, first: u64, rows: &[usize], keys: &mut BatchKeys<'_>) -> Result<(), ArrowError> {
        let columns = keys.of(&self.names, rows.len())?;
        for row in rows {
            let (key, number) = (columns.key(*row), first + *row as u64);
            if key == NO_KEY {
                self.keyless.iter_mut().for_each(|rows| rows.push(number));
            } else {
                self.keyed.push(key, number)?;
            }
        }
        Ok(())
    }

    fn look_for_null(&mut self, batch: &RecordBatch, rows: &[usize]) -> Result<(), ArrowError> {
        let Some(name) = &self.present else { return Ok(()) };
        let column = batch.column_by_name(name);
        let column = column.ok_or_else(|| ArrowError::SchemaError(format!("no column `{name}`")))?;
        self.has_null |= rows.iter().any(|row| column.is_null(*row));
        Ok(())
    }
}

/// Walks through `source` once for all gatherings, on all threads: one of them at a time gives a gathering its rows.
pub(super) fn gather<'g>(
    source: &Source,
    gatherings: impl Iterator<Item = &'g mut Gathering>,
) -> Result<(), ArrowError> {
    let mut columns = BTreeSet::new();
    let shared: Vec<_> = gatherings
        .map(|gathering| {
            gathering.columns(&mut columns);
            (gathering.condition.clone(), gathering.names.clone(), Mutex::new(gathering))
        })
        .collect();
    let see = |first, batch: &RecordBatch| {
        let (mut evaluator, mut keys) = (Evaluator::new(batch), BatchKeys::new(batch));
        for (condition, names, gathering) in &shared {
            let rows = matching(condition, &mut evaluator, &mut keys)?;
            keys.of(names, rows.len())?;
            let mut gathering = gathering.lock().expect("nobody panics while he gives rows");
            gathering.look_for_null(batch, &rows)?;
            gathering.take(first, &rows, &mut keys)?;
        }
        Ok(ControlFlow::Continue(()))
    };
    let walk = |stretch| source.scan_stretch(stretch, &columns, see);
    side_by_side(THREADS, source.stretches(), walk).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_of_one_key_lie_in_one_part_and_none_is_lost(
            // Some parts have more rows than a chunk.
            keys in proptest::collection::vec((0_u128..9).prop_map(|key| (key + 1) << 122 | key), 0..3_000),
            parts in 1_usize..5,
        ) {
            let scratch = tempfile::tempdir().unwrap();
            let mut rows = KeyedRows::new(scratch.path(), parts).unwrap();
            let keyed: Vec<(u128, u64)> = keys.into_iter().zip(0..).collect();
            keyed.iter().for_each(|(key, row)| rows.push(*key, *row).unwrap());
            let mut part_of = BTreeMap::new();
            let mut found = Vec::new();
            for part in 0..rows.parts() {
                let read = || {
                    let mut read = Vec::new();
                    rows.each(part, |key, row| read.push((key, row))).unwrap();
                    read
                };
                prop_assert_eq!(read(), read());
                let read = read();
                prop_assert!(read.iter().all(|(key, _)| *part_of.entry(*key).or_insert(part) == part));
                found.extend(read);
            }
            found.sort_by_key(|(_, row)| *row);
            prop_assert_eq!(found, keyed);
        }
    }
}
