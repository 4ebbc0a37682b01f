//! Encodes batches into row groups of a Parquet file, columns on one thread or two. The bytes are the same, since a column
//! chunk depends only on its own column. Knows no contract.

use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;

use crate::bisection::partition_point;
use crate::threads::worker::Worker;

/// Default number of encoding threads; the thread that produces the rows is another one.
const THREADS: usize = 2;
/// Batches queued per thread: enough that the producer does not wait for single batches.
const BATCHES_AHEAD: usize = 2;

/// A Parquet file of flat columns that is being written.
pub struct Encoder {
    file: SerializedFileWriter<File>,
    factory: ArrowRowGroupWriterFactory,
    schema: SchemaRef,
    limit: GroupLimit,
    threads: usize,
    group: Option<Group>,
    groups: usize,
}

/// The size of a row group: it ends with the row that reaches either limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupLimit {
    /// Rows.
    pub rows: usize,
    /// Bytes of the rows before encoding.
    pub plain_bytes: u64,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").finish_non_exhaustive()
    }
}

impl Encoder {
    /// Starts a file with the columns of `schema`.
    ///
    /// # Errors
    /// The file cannot be written, or a column is not flat.
    pub fn new(
        file: File,
        schema: &SchemaRef,
        properties: WriterProperties,
        limit: GroupLimit,
    ) -> Result<Encoder, ParquetError> {
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties))?;
        let (file, factory) = writer.into_serialized_writer()?;
        Ok(Encoder { file, factory, schema: schema.clone(), limit, threads: THREADS, group: None, groups: 0 })
    }

    /// Sets the number of threads for row groups that have not been started yet.
    pub fn set_threads(&mut self, threads: usize) {
        self.threads = threads;
    }

    /// Appends the first rows of a non-empty batch, as many as the row group takes, and returns their number.
    ///
    /// # Errors
    /// The file cannot be written; the failed write may be that of earlier rows.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<usize, ParquetError> {
        let mut group = match self.group.take() {
            Some(group) => group,
            None => Group::begin(self.factory.create_column_writers(self.groups)?, &self.schema, self.threads),
        };
        let rows = group.room(self.limit, batch);
        group.write(batch.slice(0, rows))?;
        match group.is_full(self.limit) {
            true => self.append(group)?,
            false => self.group = Some(group),
        }
        Ok(rows)
    }

    /// The size of the file so far, if a row group has just ended; `None` inside a row group.
    pub fn bytes_between_groups(&self) -> Option<u64> {
        let is_between = self.groups > 0 && self.group.is_none();
        is_between.then(|| self.file.bytes_written() as u64)
    }

    /// Ends the file and returns it; it is not synced yet.
    ///
    /// # Errors
    /// As `write`.
    pub fn finish(mut self) -> Result<File, ParquetError> {
        if let Some(group) = self.group.take() {
            self.append(group)?;
        }
        self.file.into_inner()
    }

    fn append(&mut self, group: Group) -> Result<(), ParquetError> {
        let mut row_group = self.file.next_row_group()?;
        for chunk in group.close()? {
            chunk.append_to_row_group(&mut row_group)?;
        }
        row_group.close()?;
        self.groups += 1;
        Ok(())
    }
}

/// A row group that is being encoded.
struct Group {
    rows: usize,
    plain_bytes: u64,
    threads: Vec<Thread>,
}

impl Group {
    fn begin(writers: Vec<ArrowColumnWriter>, schema: &SchemaRef, threads: usize) -> Group {
        let mut shares: Vec<Share> = (0..threads).map(|_| Vec::new()).collect();
        for (column, writer) in writers.into_iter().enumerate() {
            shares[column % threads].push((column, writer));
        }
        Group {
            rows: 0,
            plain_bytes: 0,
            threads: shares.into_iter().map(|share| start(share, schema.clone())).collect(),
        }
    }

    /// How many rows of a batch still belong to this row group.
    fn room(&self, limit: GroupLimit, batch: &RecordBatch) -> usize {
        let rows = batch.num_rows().min(limit.rows - self.rows);
        let is_below = |rows: usize| self.plain_bytes + plain_bytes(batch, rows) < limit.plain_bytes;
        if is_below(rows) { rows } else { partition_point(1..rows, is_below) }
    }

    fn is_full(&self, limit: GroupLimit) -> bool {
        self.rows == limit.rows || self.plain_bytes >= limit.plain_bytes
    }

    fn write(&mut self, batch: RecordBatch) -> Result<(), ParquetError> {
        self.rows += batch.num_rows();
        self.plain_bytes += plain_bytes(&batch, batch.num_rows());
        let batch = Arc::new(batch);
        // A thread that no longer accepts batches has failed; its error is returned when it ends.
        let failed = self.threads.iter().position(|thread| !thread.send(batch.clone()));
        failed.map_or(Ok(()), |thread| self.threads.swap_remove(thread).finish().map(drop))
    }

    /// The chunks in column order.
    fn close(self) -> Result<Vec<ArrowColumnChunk>, ParquetError> {
        let mut chunks = Vec::new();
        for thread in self.threads {
            chunks.extend(thread.finish()?);
        }
        chunks.sort_by_key(|(column, _)| *column);
        Ok(chunks.into_iter().map(|(_, chunk)| chunk).collect())
    }
}

/// The size of the first rows of a batch before encoding: a function of the rows, not of how they were batched.
fn plain_bytes(batch: &RecordBatch, rows: usize) -> u64 {
    batch.columns().iter().map(|column| plain_bytes_of(column, rows) as u64).sum()
}

fn plain_bytes_of(column: &ArrayRef, rows: usize) -> usize {
    match column.as_string_opt::<i32>() {
        Some(texts) => (texts.value_offsets()[rows] - texts.value_offsets()[0]) as usize + rows * size_of::<i32>(),
        None => rows * column.data_type().primitive_width().unwrap_or(1),
    }
}

/// The columns of one thread, by index.
type Share = Vec<(usize, ArrowColumnWriter)>;
type Chunks = Result<Vec<(usize, ArrowColumnChunk)>, ParquetError>;

/// Receives the batches of a group; returns the chunks of its columns.
type Thread = Worker<Arc<RecordBatch>, Chunks>;

fn start(share: Share, schema: SchemaRef) -> Thread {
    Worker::start(BATCHES_AHEAD, move |batches| encode(share, &schema, &batches))
}

fn encode(mut share: Share, schema: &SchemaRef, batches: &Receiver<Arc<RecordBatch>>) -> Chunks {
    for batch in batches {
        for (column, writer) in &mut share {
            for leaf in compute_leaves(schema.field(*column), batch.column(*column))? {
                writer.write(&leaf)?;
            }
        }
    }
    share.into_iter().map(|(column, writer)| Ok((column, writer.close()?))).collect()
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    const ROWS_PER_GROUP: usize = 1000;
    const ROWS_ONLY: GroupLimit = GroupLimit { rows: ROWS_PER_GROUP, plain_bytes: u64::MAX };

    fn properties() -> WriterProperties {
        WriterProperties::builder().set_max_row_group_row_count(Some(ROWS_PER_GROUP)).build()
    }

    fn schema() -> SchemaRef {
        let field = |name, kind| Field::new(name, kind, true);
        let fields = vec![field("a", DataType::Utf8), field("b", DataType::Int64), field("c", DataType::Utf8)];
        Arc::new(Schema::new(fields))
    }

    fn write_all(encoder: &mut Encoder, batch: &RecordBatch) {
        let mut written = 0;
        while written < batch.num_rows() {
            written += encoder.write(&batch.slice(written, batch.num_rows() - written)).unwrap();
        }
    }

    /// The rows of each row group of a file.
    fn groups(file: File) -> Vec<i64> {
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        reader.metadata().row_groups().iter().map(|group| group.num_rows()).collect()
    }

    fn batches(schema: &SchemaRef) -> Vec<RecordBatch> {
        let batch = |(number, rows): (usize, i64)| {
            let text = |row: i64| (row % 3 > 0).then(|| format!("{number}-{}", row * 7919 % 977));
            let texts: ArrayRef = Arc::new((0..rows).map(text).collect::<StringArray>());
            let numbers: ArrayRef = Arc::new((0..rows).map(|row| Some(row * row)).collect::<Int64Array>());
            RecordBatch::try_new(schema.clone(), vec![texts.clone(), numbers, texts]).unwrap()
        };
        [700, 2650, 0, 650, 1].into_iter().enumerate().map(batch).collect()
    }

    #[test]
    fn any_number_of_threads_writes_the_bytes_of_none() {
        let schema = schema();
        let folder = tempfile::tempdir().unwrap();
        let create = |name: &str| File::create(folder.path().join(name)).unwrap();
        for (count, threads) in (0..=5).flat_map(|count| [1, 2, 3].map(|threads| (count, threads))) {
            let mut one = ArrowWriter::try_new(create("one"), schema.clone(), Some(properties())).unwrap();
            let mut other = Encoder::new(create("other"), &schema, properties(), ROWS_ONLY).unwrap();
            other.set_threads(threads);
            for batch in &batches(&schema)[..count] {
                one.write(batch).unwrap();
                write_all(&mut other, batch);
            }
            one.close().unwrap();
            other.finish().unwrap();
            let bytes = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
            assert!(bytes("one") == bytes("other"), "{count} batches, {threads} threads");
        }
    }

    #[test]
    fn a_row_group_ends_at_the_row_that_fills_it_however_the_rows_were_batched() {
        let schema = schema();
        let folder = tempfile::tempdir().unwrap();
        let limit = GroupLimit { rows: 700, plain_bytes: 20_000 };
        let whole = arrow::compute::concat_batches(&schema, &batches(&schema)).unwrap();
        let mut told = Vec::new();
        for rows_at_once in [1, 97, 4_001] {
            let path = folder.path().join(rows_at_once.to_string());
            let mut encoder = Encoder::new(File::create(&path).unwrap(), &schema, properties(), limit).unwrap();
            for first in (0..whole.num_rows()).step_by(rows_at_once) {
                write_all(&mut encoder, &whole.slice(first, rows_at_once.min(whole.num_rows() - first)));
            }
            encoder.finish().unwrap();
            told.push(groups(File::open(path).unwrap()));
        }
        assert!(told.iter().all(|groups| *groups == told[0]), "{told:?}");
        let mut first = 0;
        for rows in &told[0] {
            let rows = usize::try_from(*rows).unwrap();
            let group = whole.slice(first, rows);
            let is_last = first + rows == whole.num_rows();
            assert!(is_last || rows == 700 || plain_bytes(&group, rows) >= 20_000, "{told:?}");
            assert!(plain_bytes(&group, rows - 1) < 20_000 && rows <= 700, "{told:?}");
            first += rows;
        }
        assert!(first == whole.num_rows() && told[0].len() > 3);
    }
}
