//! A table of the night in the scratch folder, as Arrow IPC: writing and reading it is little more than a copy, and
//! a batch is found by its number. Only read by this program, within the same night. Knows no dataset.

mod batches;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use arrow::array::{Array, ArrayRef, RecordBatch, UInt64Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions};
use arrow::ipc::{Block, CompressionType};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use batches::{Batches, Footer, Layout};

use super::builders::Table;
use crate::sorter::ZSTD_LEVEL;
use crate::threads::worker::Worker;

/// Rows of every batch but the last.
pub(in crate::reconcile) const ROWS_PER_BATCH: usize = 8_192;
/// Number of rows up to which a table is not compressed.
const LOOSE_ROWS: u64 = 8 << 20;
/// Metadata key of the number of rows.
const ROWS: &str = "rows";
const BUFFER: usize = 1 << 18;

/// Batches that wait to be written.
const BATCHES_AHEAD: usize = 2;

/// A table that a thread writes.
pub(super) struct ScratchWriter {
    path: PathBuf,
    is_loose: bool,
    thread: Option<Thread>,
    rows: usize,
}

/// A table that is written row by row.
pub(in crate::reconcile) struct RowWriter<T> {
    rows: T,
    file: ScratchWriter,
}

/// Receives batches, then `None` at the end: a table without its end is invalid.
type Thread = Worker<Option<RecordBatch>, Result<(), ArrowError>>;

/// A complete table.
#[derive(Debug, Clone)]
pub(in crate::reconcile) struct ScratchTable {
    path: PathBuf,
    schema: SchemaRef,
    rows: u64,
    layout: Layout,
}

impl ScratchWriter {
    /// For about this many rows: a large table is compressed.
    pub(super) fn new(path: PathBuf, expected_rows: u64) -> ScratchWriter {
        ScratchWriter { path, is_loose: expected_rows <= LOOSE_ROWS, thread: None, rows: 0 }
    }

    /// Adds named columns; those of the first batch, which may be empty, define the schema.
    ///
    /// # Errors
    /// The file cannot be written; the failed write may be that of earlier rows.
    pub(super) fn write(&mut self, columns: Vec<(&'static str, ArrayRef)>) -> Result<(), ArrowError> {
        let field = |(name, array): &(&str, ArrayRef)| Field::new(*name, array.data_type().clone(), true);
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        let arrays = columns.into_iter().map(|(_, array)| array).collect();
        let batch = RecordBatch::try_new(schema, arrays)?;
        assert!(self.rows.is_multiple_of(ROWS_PER_BATCH), "only the last batch is not full");
        assert!(batch.num_rows() <= ROWS_PER_BATCH, "a batch is found by the number of its rows");
        self.rows += batch.num_rows();
        if self.thread.is_none() {
            self.thread = Some(start(&self.path, &batch.schema(), self.is_loose)?);
        }
        self.send(Some(batch))
    }

    /// Finishes the file. If nothing was written, not even an empty batch, there is no file.
    pub(super) fn finish(mut self) -> Result<(), ArrowError> {
        if self.thread.is_some() {
            self.send(None)?;
        }
        self.join()
    }

    fn send(&mut self, batch: Option<RecordBatch>) -> Result<(), ArrowError> {
        let is_taken = self.thread.as_ref().is_some_and(|thread| thread.send(batch));
        // A thread that no longer accepts batches has failed; its error is returned when it ends.
        if is_taken { Ok(()) } else { self.join() }
    }

    fn join(&mut self) -> Result<(), ArrowError> {
        self.thread.take().map_or(Ok(()), Worker::finish)
    }
}

impl<T: Table> RowWriter<T> {
    /// For about this many rows, as `ScratchWriter::new`.
    pub(in crate::reconcile) fn new(path: PathBuf, expected_rows: u64) -> RowWriter<T> {
        RowWriter { rows: T::default(), file: ScratchWriter::new(path, expected_rows) }
    }

    /// Keeps only the first column and the named ones: the others are never read.
    pub(in crate::reconcile) fn only(mut self, columns: Option<&BTreeSet<String>>) -> RowWriter<T> {
        self.rows.keep(|place, name| place == 0 || columns.is_none_or(|columns| columns.contains(name)));
        self
    }

    /// Adds a row.
    ///
    /// # Errors
    /// As `ScratchWriter::write`.
    #[inline]
    pub(in crate::reconcile) fn push(&mut self, row: &T::Row<'_>) -> Result<(), ArrowError> {
        self.rows.push(row);
        if self.rows.rows() < ROWS_PER_BATCH { Ok(()) } else { self.write() }
    }

    /// Finishes the file; it has its columns even without rows.
    pub(in crate::reconcile) fn finish(mut self) -> Result<(), ArrowError> {
        self.write()?;
        self.file.finish()
    }

    fn write(&mut self) -> Result<(), ArrowError> {
        self.file.write(self.rows.take())
    }
}

fn start(path: &Path, schema: &SchemaRef, is_loose: bool) -> Result<Thread, ArrowError> {
    let file = BufWriter::with_capacity(BUFFER, File::create(path)?);
    let (codec, level) = if is_loose { (None, None) } else { (Some(CompressionType::ZSTD), Some(ZSTD_LEVEL)) };
    let options = IpcWriteOptions::default().try_with_compression(codec)?.try_with_compression_level(level)?;
    let file = FileWriter::try_new_with_options(file, schema, options)?;
    Ok(Worker::start(BATCHES_AHEAD, move |batches| write_all(file, &batches)))
}

fn write_all(mut file: FileWriter<BufWriter<File>>, batches: &Receiver<Option<RecordBatch>>) -> Result<(), ArrowError> {
    let mut rows = 0;
    for batch in batches {
        let Some(batch) = batch else {
            file.write_metadata(ROWS, rows.to_string());
            return file.finish();
        };
        rows += batch.num_rows();
        if batch.num_rows() > 0 {
            file.write(&batch)?;
        }
    }
    Ok(())
}

impl ScratchTable {
    pub(in crate::reconcile) fn open(path: &Path) -> Result<ScratchTable, ArrowError> {
        let Footer { schema, rows, layout } = Footer::read(&File::open(path)?, ROWS)?;
        let rows = rows.ok_or_else(|| ArrowError::IpcError("a scratch table that was not finished".to_owned()))?;
        Ok(ScratchTable { path: path.to_owned(), schema, rows, layout })
    }

    pub(in crate::reconcile) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(in crate::reconcile) fn rows(&self) -> u64 {
        self.rows
    }

    /// The number of rows of each stretch of `batches` batches; the last may be shorter.
    pub(in crate::reconcile) fn stretches(&self, batches: usize) -> impl Iterator<Item = u64> {
        let rows = (batches * ROWS_PER_BATCH) as u64;
        (0..self.rows.div_ceil(rows)).map(move |place| rows.min(self.rows - place * rows))
    }

    /// Reads a stretch of batches in those of the given columns that the table has.
    pub(in crate::reconcile) fn read_stretch(
        &self,
        columns: &BTreeSet<String>,
        place: usize,
        batches: usize,
    ) -> Result<Batches, ArrowError> {
        self.read(columns, self.layout.blocks.iter().skip(place * batches).take(batches).copied().collect())
    }

    /// The rows with these ascending numbers, in these columns: one batch for each batch that contains any.
    pub(in crate::reconcile) fn fetch(
        &self,
        columns: &BTreeSet<String>,
        numbers: &[u64],
        mut see: impl FnMut(RecordBatch) -> Result<(), ArrowError>,
    ) -> Result<(), ArrowError> {
        let batch_of = |number: u64| number / ROWS_PER_BATCH as u64;
        let of_batches: Vec<_> = numbers.chunk_by(|one, other| batch_of(*one) == batch_of(*other)).collect();
        let block_of =
            |mine: &&[u64]| self.layout.blocks[usize::try_from(batch_of(mine[0])).expect("a batch's number")];
        let batches = self.read(columns, of_batches.iter().map(block_of).collect())?;
        for (mine, batch) in of_batches.into_iter().zip(batches) {
            let first = batch_of(mine[0]) * ROWS_PER_BATCH as u64;
            let places = mine.iter().map(|number| number - first).collect::<UInt64Array>();
            see(take_record_batch(&batch?, &places)?)?;
        }
        Ok(())
    }

    fn read(&self, columns: &BTreeSet<String>, blocks: Vec<Block>) -> Result<Batches, ArrowError> {
        Ok(Batches::new(File::open(&self.path)?, &self.schema, &self.layout, columns, blocks))
    }
}

/// Converts a table to a Parquet file, for an engine that reads nothing else.
pub(in crate::reconcile) fn write_parquet(table: &Path, path: &Path) -> Result<(), ArrowError> {
    let table = ScratchTable::open(table)?;
    let properties = WriterProperties::builder().set_compression(Compression::UNCOMPRESSED).build();
    let mut writer = ArrowWriter::try_new(File::create(path)?, table.schema.clone(), Some(properties))?;
    for batch in FileReader::try_new(BufReader::new(File::open(&table.path)?), None)? {
        writer.write(&batch?)?;
    }
    writer.close()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Int64Array, StringArray};
    use arrow::datatypes::Int64Type;

    use super::super::builders::table_type;
    use super::*;

    fn columns(first: usize, rows: usize) -> Vec<(&'static str, ArrayRef)> {
        let numbers = || (first..first + rows).map(|number| i64::try_from(number).unwrap());
        let texts = numbers().map(|number| (number % 3 > 0).then(|| format!("{number}"))).collect::<StringArray>();
        vec![("number", Arc::new(numbers().collect::<Int64Array>())), ("text", Arc::new(texts))]
    }

    fn table(folder: &Path, rows: usize) -> ScratchTable {
        table_expecting(folder, rows, rows as u64)
    }

    fn table_expecting(folder: &Path, rows: usize, expected_rows: u64) -> ScratchTable {
        let path = folder.join("table");
        let mut writer = ScratchWriter::new(path.clone(), expected_rows);
        for first in (0..rows.max(1)).step_by(ROWS_PER_BATCH) {
            writer.write(columns(first, ROWS_PER_BATCH.min(rows - first))).unwrap();
        }
        writer.finish().unwrap();
        ScratchTable::open(&path).unwrap()
    }

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn whole(table: &ScratchTable, columns: &[&str]) -> Vec<RecordBatch> {
        table.read_stretch(&names(columns), 0, usize::MAX).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn batches_come_back_as_they_were_in_the_columns_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let rows = 2 * ROWS_PER_BATCH + 5;
        let table = table(folder.path(), rows);
        let batches = whole(&table, &["text", "none"]);
        assert_eq!((table.rows(), batches.len()), (rows as u64, 3));
        assert!(batches.iter().all(|batch| batch.num_columns() == 1));
        let wanted = columns(2 * ROWS_PER_BATCH, 5).remove(1).1;
        assert_eq!(batches[2].column(0), &wanted);
    }

    #[test]
    fn of_columns_nobody_asks_for_no_byte_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let table = table(folder.path(), 2 * ROWS_PER_BATCH);
        let numbers = whole(&table, &["number"]);
        // Not UTF-8, with invalid offsets: reading it as text would fail.
        let spoilt = table.layout.spoil(&table.path, &table.schema, "text");
        assert!(spoilt > 100_000, "{spoilt} bytes");
        assert_eq!(whole(&table, &["number"]), numbers);
        assert!(table.read_stretch(&names(&["text"]), 0, 1).unwrap().next().unwrap().is_err());
    }

    #[test]
    fn a_batch_that_is_still_held_is_not_written_over_by_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let table = table(folder.path(), 3 * ROWS_PER_BATCH + 5);
        let held = whole(&table, &["text", "number"]);
        let one_by_one = table.read_stretch(&names(&["text", "number"]), 0, usize::MAX).unwrap();
        let mut batches = 0;
        for (batch, held) in one_by_one.zip(&held) {
            assert_eq!(batch.unwrap(), *held);
            batches += 1;
        }
        assert_eq!(batches, 4);
        assert_eq!(held[3].column(1), &columns(3 * ROWS_PER_BATCH, 5).remove(1).1);
    }

    #[test]
    fn stretches_are_all_batches_each_once() {
        let folder = tempfile::tempdir().unwrap();
        let table = table(folder.path(), 4 * ROWS_PER_BATCH + 5);
        let all = names(&["number", "text"]);
        let whole = whole(&table, &["number", "text"]);
        for batches in [1, 2, 3, 5, 9] {
            let rows: Vec<_> = table.stretches(batches).collect();
            let read =
                |place| table.read_stretch(&all, place, batches).unwrap().map(Result::unwrap).collect::<Vec<_>>();
            let stretches: Vec<_> = (0..rows.len()).map(read).collect();
            let found =
                stretches.iter().map(|batches| batches.iter().map(|batch| batch.num_rows() as u64).sum::<u64>());
            assert!(found.eq(rows.iter().copied()), "{batches} batches a stretch: {rows:?}");
            assert_eq!(stretches.concat(), whole);
        }
    }

    #[test]
    fn rows_are_found_by_their_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let table = table(folder.path(), 3 * ROWS_PER_BATCH);
        let wanted: Vec<u64> = vec![0, 8_191, 8_192, 20_000, 24_575];
        let mut found = Vec::new();
        let see = |batch: RecordBatch| {
            found.extend(batch.column(0).as_primitive::<Int64Type>().values().iter().map(|number| *number as u64));
            Ok(())
        };
        table.fetch(&names(&["number"]), &wanted, see).unwrap();
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_table_of_many_rows_is_smaller_and_comes_back_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let of = |expected_rows| {
            let table = table_expecting(folder.path(), 20_000, expected_rows);
            let batches = whole(&table, &["number", "text"]);
            (std::fs::metadata(folder.path().join("table")).unwrap().len(), batches)
        };
        let ((loose_bytes, loose), (bytes, compressed)) = (of(LOOSE_ROWS), of(LOOSE_ROWS + 1));
        assert_eq!(loose, compressed);
        assert!(bytes < loose_bytes / 2, "{bytes} of {loose_bytes}");
    }

    table_type! {
        /// A row of a table of three columns.
        ThreeRow into ThreeTable {
            one: text,
            two: integer,
            three: maybe_text,
        }
    }

    #[test]
    fn a_table_has_the_columns_that_are_read_and_its_first_one() {
        let folder = tempfile::tempdir().unwrap();
        let columns_of = |read: Option<&BTreeSet<String>>| {
            let path = folder.path().join("table");
            let mut table = RowWriter::<ThreeTable>::new(path.clone(), 1).only(read);
            table.push(&ThreeRow { one: "1", two: 2, three: None }).unwrap();
            table.finish().unwrap();
            let schema = ScratchTable::open(&path).unwrap().schema;
            schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>()
        };
        assert_eq!(columns_of(None), ["one", "two", "three"]);
        assert_eq!(columns_of(Some(&names(&["three"]))), ["one", "three"]);
        assert_eq!(columns_of(Some(&names(&[]))), ["one"]);
    }

    #[test]
    fn a_table_without_a_row_has_its_columns() {
        let folder = tempfile::tempdir().unwrap();
        let table = table(folder.path(), 0);
        assert_eq!((table.rows(), table.schema().fields().len()), (0, 2));
        assert_eq!(whole(&table, &["number"]), []);
        let parquet = folder.path().join("parquet");
        write_parquet(&folder.path().join("table"), &parquet).unwrap();
        assert!(parquet.exists());
    }
}
