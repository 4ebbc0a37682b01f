//! Which rows one lake has and another lacks.

use std::collections::BTreeMap;

use arrow::util::display::{ArrayFormatter, FormatOptions};
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
        let beyond = |these: &BTreeMap<String, u64>, those: &BTreeMap<String, u64>| -> u64 {
            these.iter().map(|(row, times)| times.saturating_sub(those.get(row).copied().unwrap_or(0))).sum()
        };
        lost += beyond(&a, &b);
        doubled += beyond(&b, &a);
    }
    (lost, doubled)
}

/// How often each row stands in a file; lines, where it is no Parquet.
fn count(name: &str, bytes: &[u8]) -> BTreeMap<String, u64> {
    let mut rows = BTreeMap::new();
    if !name.ends_with(".parquet") || bytes.is_empty() {
        for line in String::from_utf8_lossy(bytes).lines() {
            *rows.entry(line.to_owned()).or_default() += 1;
        }
        return rows;
    }
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::copy_from_slice(bytes)).unwrap().build().unwrap();
    for batch in reader {
        let batch = batch.unwrap();
        let options = FormatOptions::default();
        let columns: Vec<_> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            let cells: Vec<_> = columns.iter().map(|column| column.value(row).to_string()).collect();
            *rows.entry(cells.join("\t")).or_default() += 1;
        }
    }
    rows
}
