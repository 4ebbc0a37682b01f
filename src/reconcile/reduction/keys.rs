//! Keys of rows as 128-bit hashes: what a join compares, without its texts.
//!
//! A set of keys that keeps rows may hold one too many: a hash that two keys share only keeps a row more. The keys
//! of an anti-join drop rows, so they rely on XXH3-128 telling keys apart: among a billion keys two
//! alike are less likely than 10⁻²⁰.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use xxhash_rust::xxh3::xxh3_128;

/// A set of keys.
pub(super) type Keys = HashSet<u128, BuildHasherDefault<AsIs>>;

/// A key is a hash already.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let mut low = [0; 8];
        low.copy_from_slice(&bytes[..8]);
        self.0 = u64::from_le_bytes(low);
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }
}

/// The key of a row that has none. It is in no set.
pub(super) const NO_KEY: u128 = 0;

/// The columns of a batch that make its keys.
pub(super) struct KeyColumns {
    columns: Vec<ArrayRef>,
    /// The keys of all rows, once many were asked for.
    hashed: Option<Vec<u128>>,
}

impl KeyColumns {
    /// Columns that are missing are an error, types that no key has too.
    pub(super) fn of(batch: &RecordBatch, names: &[String]) -> Result<KeyColumns, ArrowError> {
        let column = |name: &String| match batch.column_by_name(name) {
            Some(column) if is_key_type(column.data_type()) => Ok(column.clone()),
            _ => Err(ArrowError::SchemaError(format!("no key column `{name}`"))),
        };
        Ok(KeyColumns { columns: names.iter().map(column).collect::<Result<_, _>>()?, hashed: None })
    }

    /// Hashes every row at once.
    pub(super) fn hash_all(&mut self, rows: usize) {
        if self.hashed.is_none() {
            self.hashed = Some((0..rows).map(|row| self.hash(row)).collect());
        }
    }

    /// The key of a row; `NO_KEY` where a column is null, for null equals nothing.
    pub(super) fn key(&self, row: usize) -> u128 {
        self.hashed.as_ref().map_or_else(|| self.hash(row), |hashed| hashed[row])
    }

    fn hash(&self, row: usize) -> u128 {
        let mut cells = self.columns.iter().map(|column| cell(column, row));
        let first = cells.next().unwrap_or(NO_KEY);
        cells.fold(first, |key, cell| if key == NO_KEY || cell == NO_KEY { NO_KEY } else { combined(key, cell) })
    }
}

/// Whether values of a type can be hashed as a key.
pub(super) fn is_key_type(kind: &DataType) -> bool {
    matches!(kind, DataType::Utf8 | DataType::Int64 | DataType::Date32 | DataType::Timestamp(..))
}

fn cell(column: &ArrayRef, row: usize) -> u128 {
    if column.is_null(row) {
        return NO_KEY;
    }
    let hash = match column.data_type() {
        DataType::Utf8 => xxh3_128(column.as_string::<i32>().value(row).as_bytes()),
        DataType::Int64 => xxh3_128(&column.as_primitive::<Int64Type>().value(row).to_le_bytes()),
        DataType::Date32 => xxh3_128(&column.as_primitive::<Date32Type>().value(row).to_le_bytes()),
        _ => xxh3_128(&column.as_primitive::<TimestampMicrosecondType>().value(row).to_le_bytes()),
    };
    hash.max(1)
}

fn combined(one: u128, other: u128) -> u128 {
    let mut both = [0; 32];
    both[..16].copy_from_slice(&one.to_le_bytes());
    both[16..].copy_from_slice(&other.to_le_bytes());
    xxh3_128(&both).max(1)
}
