//! Merges the sorted parts that a cluster wrote into one stream in key order: typed by the contract, in batches of a
//! fixed size, so that the resulting file has the bytes that the local match would have written.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, RecordBatch, RecordBatchReader, make_array};
use arrow::compute::{SortColumn, concat_batches, interleave_record_batch, lexsort_to_indices, take_record_batch};
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::typed;
use crate::contract::Contract;
use crate::reconcile::engine::tables::ResultColumn;
use crate::reconcile::error::{ReconcileError, scratched};
use crate::reconcile::ledger::ROWS_PER_BATCH;
use crate::sorter::LoserTree;

type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>>>;

/// One part, at a row; past the last row of its last batch at its end.
struct Part {
    path: PathBuf,
    rows: Batches,
    batch: RecordBatch,
    row: usize,
}

/// The parts of a folder, as batches of rows sorted by the first two columns of the contract's key.
pub(super) struct Gather<'a> {
    contract: &'static Contract,
    columns: Vec<ResultColumn<'a>>,
    /// Where those two are among the columns.
    key: [usize; 2],
    parts: Vec<Part>,
    tree: LoserTree,
}

impl<'a> Gather<'a> {
    /// Opens every part of `folder`; other files a cluster leaves there are ignored.
    pub(super) fn open(contract: &'static Contract, folder: &Path) -> Result<Gather<'a>, ReconcileError> {
        let columns = contract.columns.iter().map(|column| (column.name.as_str(), column.kind)).collect();
        let place = |name: &String| contract.columns.iter().position(|column| column.name == *name);
        let key = [0, 1].map(|part| place(&contract.key[part]).expect("a key is made of columns"));
        let mut gather = Gather { contract, columns, key, parts: Vec::new(), tree: LoserTree::default() };
        for path in parts_of(folder)? {
            let rows = sorted_rows(contract, &path).map_err(ReconcileError::shape(&contract.name))?;
            let batch = RecordBatch::new_empty(contract.arrow());
            gather.parts.push(Part { path, rows, batch, row: 0 });
            gather.refill(gather.parts.len() - 1)?;
        }
        gather.tree = LoserTree::new(gather.parts.len(), |one, other| precedes(&gather.parts, key, one, other));
        Ok(gather)
    }

    /// The next batch of `ROWS_PER_BATCH` rows; the last may be shorter.
    pub(super) fn next_batch(&mut self) -> Result<Option<RecordBatch>, ReconcileError> {
        // A part's batch is kept until its rows are copied, even if the part has advanced.
        let mut held: Vec<RecordBatch> = self.parts.iter().map(|part| part.batch.clone()).collect();
        let mut held_of: Vec<usize> = (0..held.len()).collect();
        let mut picked = Vec::with_capacity(ROWS_PER_BATCH);
        while picked.len() < ROWS_PER_BATCH {
            let Some(place) = self.tree.winner().filter(|place| self.parts[*place].has_row()) else { break };
            picked.push((held_of[place], self.parts[place].row));
            if self.advance(place)? {
                held_of[place] = held.len();
                held.push(self.parts[place].batch.clone());
            }
            self.tree.replay(|one, other| precedes(&self.parts, self.key, one, other));
        }
        if picked.is_empty() {
            return Ok(None);
        }
        let batches: Vec<&RecordBatch> = held.iter().collect();
        let shape = || ReconcileError::shape(&self.contract.name);
        let batch = interleave_record_batch(&batches, &picked).map_err(shape())?;
        RecordBatch::try_new(self.contract.arrow(), batch.columns().to_vec()).map(Some).map_err(shape())
    }

    /// Advances a part to its next row; returns whether that is in another batch.
    fn advance(&mut self, place: usize) -> Result<bool, ReconcileError> {
        let part = &mut self.parts[place];
        part.row += 1;
        if part.has_row() { Ok(false) } else { self.refill(place) }
    }

    /// Reads the next rows of a part; false at its end.
    fn refill(&mut self, place: usize) -> Result<bool, ReconcileError> {
        let part = &mut self.parts[place];
        for batch in part.rows.by_ref() {
            let batch = batch.map_err(ReconcileError::shape(&self.contract.name))?;
            let batch = typed(&part.path.display().to_string(), &batch, &self.columns)?;
            if batch.num_rows() > 0 {
                (part.batch, part.row) = (batch, 0);
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Part {
    fn has_row(&self) -> bool {
        self.row < self.batch.num_rows()
    }

    /// The cells of its row in these columns; `None` at its end.
    fn key(&self, columns: [usize; 2]) -> Option<[&str; 2]> {
        let cell = |column: usize| {
            let column = self.batch.column(column).as_string::<i32>();
            if column.is_null(self.row) { "" } else { column.value(self.row) }
        };
        self.has_row().then(|| columns.map(cell))
    }
}

/// Whether a part comes before another: by the key of its row, then by the name of its file.
fn precedes(parts: &[Part], key: [usize; 2], one: usize, other: usize) -> bool {
    match (parts[one].key(key), parts[other].key(key)) {
        (Some(mine), Some(of_other)) => (mine, one) < (of_other, other),
        (mine, _) => mine.is_some(),
    }
}

/// The same rows, without a null mask where a column has no nulls: the local match makes none, and it affects where
/// the pages of a Parquet file end.
pub(super) fn without_idle_masks(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().map(|column| match column.nulls() {
        Some(nulls) if nulls.null_count() == 0 => make_array(column.to_data()),
        _ => column.clone(),
    });
    RecordBatch::try_new(batch.schema(), columns.collect())
}

/// The rows of a part in key order. Spark keeps the order of what it writes; Sail does not, so its parts are sorted
/// here, in memory.
fn sorted_rows(contract: &Contract, path: &Path) -> Result<Batches, ArrowError> {
    let rows = open(path)?.with_batch_size(ROWS_PER_BATCH).build()?;
    if is_sorted(contract, path)? {
        return Ok(Box::new(rows));
    }
    let schema = rows.schema();
    let whole = concat_batches(&schema, &rows.collect::<Result<Vec<_>, _>>()?)?;
    let column = |name: &String| SortColumn {
        values: whole.column_by_name(name).cloned().unwrap_or(whole.column(0).clone()),
        options: None,
    };
    let order = lexsort_to_indices(&contract.key.iter().map(column).collect::<Vec<_>>(), None)?;
    Ok(Box::new(std::iter::once(take_record_batch(&whole, &order))))
}

/// Whether the keys of a part strictly increase.
fn is_sorted(contract: &Contract, path: &Path) -> Result<bool, ArrowError> {
    let file = open(path)?;
    let keys = ProjectionMask::columns(file.parquet_schema(), contract.key.iter().map(String::as_str));
    let mut last: Option<Vec<String>> = None;
    for batch in file.with_projection(keys).build()? {
        let batch = batch?;
        let columns = contract.key.iter().filter_map(|name| batch.column_by_name(name)?.as_string_opt::<i32>());
        let columns: Vec<_> = columns.collect();
        for row in 0..batch.num_rows() {
            let key = columns.iter().map(|column| column.value(row));
            if last.as_ref().is_some_and(|last| last.iter().map(String::as_str).gt(key.clone())) {
                return Ok(false);
            }
            last = Some(key.map(str::to_owned).collect());
        }
    }
    Ok(true)
}

pub(super) fn open(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>, ArrowError> {
    Ok(ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?)
}

/// The Parquet files of a folder, by name, without hidden ones.
pub(super) fn parts_of(folder: &Path) -> Result<Vec<PathBuf>, ReconcileError> {
    let mut parts = Vec::new();
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(parts),
        entries => entries.map_err(scratched)?,
    };
    for entry in entries {
        let path = entry.map_err(scratched)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".parquet") && !name.starts_with(['.', '_']) {
            parts.push(path);
        }
    }
    parts.sort();
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::contract;
    use crate::dataset::partition::{self, Provenance};
    use arrow::array::{ArrayRef, Int32Array, StringArray, new_null_array};
    use arrow::compute::cast;
    use parquet::arrow::ArrowWriter;

    /// Ledger rows of these coupons, null wherever the contract allows it.
    fn rows_of(codes: &[usize]) -> RecordBatch {
        let schema = contract::contract("coupon_ledger").arrow();
        let cells = schema.fields().iter().map(|field| -> ArrayRef {
            match field.name().as_str() {
                "coupon_code" => Arc::new(StringArray::from_iter_values(codes.iter().map(|code| format!("{code:06}")))),
                _ if field.is_nullable() => new_null_array(field.data_type(), codes.len()),
                _ => cast(&Int32Array::from(vec![0; codes.len()]), field.data_type()).unwrap(),
            }
        });
        let cells = cells.collect();
        RecordBatch::try_new(schema, cells).unwrap()
    }

    fn gathered(parts: &[Vec<usize>]) -> Vec<RecordBatch> {
        let folder = tempfile::tempdir().unwrap();
        for (place, codes) in parts.iter().enumerate() {
            let rows = rows_of(codes);
            let file = File::create(folder.path().join(format!("part-{place:05}.parquet"))).unwrap();
            let mut writer = ArrowWriter::try_new(file, rows.schema(), None).unwrap();
            writer.write(&rows).unwrap();
            writer.close().unwrap();
        }
        std::fs::write(folder.path().join("_SUCCESS"), b"").unwrap();
        std::fs::write(folder.path().join(".part-00000.parquet.crc"), b"x").unwrap();
        let mut gather = Gather::open(contract::contract("coupon_ledger"), folder.path()).unwrap();
        std::iter::from_fn(|| gather.next_batch().unwrap()).collect()
    }

    #[test]
    fn parts_that_interleave_come_out_in_order_and_in_batches_of_one_size() {
        let rows = 2 * ROWS_PER_BATCH + 5;
        for parts in [1, 3] {
            let parts: Vec<Vec<usize>> = (0..parts).map(|part| (part..rows).step_by(parts).collect()).collect();
            let batches = gathered(&parts);
            let sizes: Vec<_> = batches.iter().map(RecordBatch::num_rows).collect();
            assert_eq!(sizes, [ROWS_PER_BATCH, ROWS_PER_BATCH, 5]);
            let column = |batch: &RecordBatch| batch.column_by_name("coupon_code").unwrap().clone();
            let codes: Vec<_> = batches.iter().map(column).collect();
            let codes = codes.iter().flat_map(|column| column.as_string::<i32>().iter().flatten());
            assert!(codes.eq((0..rows).map(|code| format!("{code:06}"))));
        }
    }

    /// Ledger rows from the local match whose buyers are unknown in the first batch only.
    fn rows_with_buyers(rows: std::ops::Range<usize>) -> RecordBatch {
        let codes: Vec<_> = rows.clone().collect();
        let plain = rows_of(&codes);
        let place = plain.schema().index_of("order_openid").unwrap();
        let buyers = rows.map(|row| (row >= ROWS_PER_BATCH || row % 3 > 0).then(|| format!("o{:040x}", row * 7_919)));
        let mut columns = plain.columns().to_vec();
        columns[place] = Arc::new(buyers.collect::<StringArray>());
        RecordBatch::try_new(plain.schema(), columns).unwrap()
    }

    #[test]
    fn what_is_gathered_gives_the_bytes_of_the_local_match_when_a_batch_has_no_null() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = |name: &str, batches: Vec<RecordBatch>| {
            let path = folder.path().join(name);
            let contract = contract::contract("coupon_ledger");
            partition::write_batches(&path, contract, &Provenance::default(), batches.into_iter().map(Ok)).unwrap();
            std::fs::read(path).unwrap()
        };
        let local: Vec<_> =
            (0..9).map(|batch| rows_with_buyers(batch * ROWS_PER_BATCH..(batch + 1) * ROWS_PER_BATCH)).collect();
        let part = concat_batches(&local[0].schema(), &local).unwrap();
        let place: Vec<_> = (0..local.len() * ROWS_PER_BATCH).map(|row| (0, row)).collect();
        let gathered = place.chunks(ROWS_PER_BATCH).map(|rows| interleave_record_batch(&[&part], rows).unwrap());
        let gathered: Vec<_> = gathered.collect();
        let buyers = |batch: &RecordBatch| batch.column_by_name("order_openid").unwrap().nulls().is_some();
        assert!(buyers(&gathered[1]) && !buyers(&local[1]), "what this is about");
        let gathered: Vec<_> = gathered.iter().map(|batch| without_idle_masks(batch).unwrap()).collect();
        assert!(bytes("gathered", gathered) == bytes("local", local));
    }

    #[test]
    fn a_part_that_lost_its_order_is_sorted() {
        let batches = gathered(&[vec![3, 1, 2], vec![0, 4]]);
        let codes = batches[0].column_by_name("coupon_code").unwrap().as_string::<i32>();
        assert!(codes.iter().flatten().eq(["000000", "000001", "000002", "000003", "000004"]));
    }

    #[test]
    fn a_folder_without_rows_gives_none() {
        assert!(gathered(&[]).is_empty() && gathered(&[vec![], vec![]]).is_empty());
    }
}
