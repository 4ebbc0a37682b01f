//! Which rows one lake has and another lacks.

use std::collections::BTreeMap;

use arrow::row::{RowConverter, SortField};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// Published files by path.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Rows of `right` that `found` lacks, and rows `found` has beyond `right`.
pub fn differences(right: &Files, found: &Files) -> (u64, u64) {
    let nothing = Vec::new();
    let (mut lost, mut doubled) = (0, 0);
    for name in right.keys().chain(found.keys().filter(|name| !right.contains_key(*name))) {
        let (a, b) = (right.get(name).unwrap_or(&nothing), found.get(name).unwrap_or(&nothing));
        if a == b {
            continue;
        }
        let (a, b) = (count(name, a), count(name, b));
        let beyond = |these: &BTreeMap<Vec<u8>, u64>, those: &BTreeMap<Vec<u8>, u64>| -> u64 {
            these.iter().map(|(row, times)| times.saturating_sub(those.get(row).copied().unwrap_or(0))).sum()
        };
        lost += beyond(&a, &b);
        doubled += beyond(&b, &a);
    }
    (lost, doubled)
}

/// How often each row stands in a file; lines, where it is no Parquet.
fn count(name: &str, bytes: &[u8]) -> BTreeMap<Vec<u8>, u64> {
    let mut rows = BTreeMap::new();
    if !name.ends_with(".parquet") || bytes.is_empty() {
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            *rows.entry(line.to_vec()).or_default() += 1;
        }
        return rows;
    }
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::copy_from_slice(bytes)).unwrap();
    let fields = reader.schema().fields().iter().map(|field| SortField::new(field.data_type().clone()));
    let converter = RowConverter::new(fields.collect()).unwrap();
    for batch in reader.build().unwrap() {
        for row in &converter.convert_columns(batch.unwrap().columns()).unwrap() {
            *rows.entry(row.data().to_vec()).or_default() += 1;
        }
    }
    rows
}
