//! Keys of rows as 128-bit hashes: join keys without their strings.
//!
//! A key set that keeps rows may contain a false match, which only keeps an extra row. The keys of an anti-join
//! drop rows, so they rely on XXH3-128 having no collision: among a billion keys its probability is below 10⁻²⁰.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use xxhash_rust::xxh3::xxh3_128;

/// A set of keys.
pub(super) type Keys = HashSet<u128, BuildHasherDefault<AsIs>>;

/// The hasher of keys, which are hashes already.
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

/// The key of a row with a null in a key column. It is in no set.
pub(super) const NO_KEY: u128 = 0;

/// The key columns of a batch.
pub(super) struct KeyColumns {
    columns: Vec<ArrayRef>,
    /// The keys of all rows, once many were requested.
    hashed: Option<Vec<u128>>,
}

impl KeyColumns {
    /// A missing column or an unsupported key type is an error.
    pub(super) fn of(batch: &RecordBatch, names: &[String]) -> Result<KeyColumns, ArrowError> {
        let column = |name: &String| match batch.column_by_name(name) {
            Some(column) if is_key_type(column.data_type()) => Ok(column.clone()),
            _ => Err(ArrowError::SchemaError(format!("no key column `{name}`"))),
        };
        Ok(KeyColumns { columns: names.iter().map(column).collect::<Result<_, _>>()?, hashed: None })
    }

    /// Computes the keys of all rows at once.
    pub(super) fn hash_all(&mut self, rows: usize) {
        if self.hashed.is_none() {
            self.hashed = Some((0..rows).map(|row| self.hash(row)).collect());
        }
    }

    /// The key of a row; `NO_KEY` if a column is null, since null equals nothing.
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
