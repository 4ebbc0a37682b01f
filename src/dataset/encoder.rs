//! Batches become row groups of a Parquet file, columns on two threads: the bytes are those one thread would
//! write, since a column chunk depends on nothing but its column. Knows no contract.

use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;

/// Threads that encode; the one that makes the rows is a third.
const THREADS: usize = 2;
/// Batches that wait for a thread: enough that nobody waits for single batches.
const BATCHES_AHEAD: usize = 2;

/// A Parquet file of flat columns being written.
pub struct Encoder {
    file: SerializedFileWriter<File>,
    factory: ArrowRowGroupWriterFactory,
    schema: SchemaRef,
    rows_per_group: usize,
    group: Option<Group>,
    groups: usize,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").finish_non_exhaustive()
    }
}

impl Encoder {
    /// Begins a file of the columns of `schema`, `rows_per_group` rows to a row group.
    ///
    /// # Errors
    /// The file cannot be written, or a column is not flat.
    pub fn new(
        file: File,
        schema: &SchemaRef,
        properties: WriterProperties,
        rows_per_group: usize,
    ) -> Result<Encoder, ParquetError> {
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties))?;
        let (file, factory) = writer.into_serialized_writer()?;
        Ok(Encoder { file, factory, schema: schema.clone(), rows_per_group, group: None, groups: 0 })
    }

    /// Adds rows behind the others.
    ///
    /// # Errors
    /// The file cannot be written; it may be rows added before that could not be.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), ParquetError> {
        let mut written = 0;
        while written < batch.num_rows() {
            let mut group = match self.group.take() {
                Some(group) => group,
                None => Group::begin(self.factory.create_column_writers(self.groups)?, &self.schema),
            };
            let rows = (batch.num_rows() - written).min(self.rows_per_group - group.rows);
            group.write(batch.slice(written, rows))?;
            written += rows;
            match group.rows == self.rows_per_group {
                true => self.append(group)?,
                false => self.group = Some(group),
            }
        }
        Ok(())
    }

    /// Ends the file and gives it back, not synced yet.
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

/// A row group whose columns are being encoded.
struct Group {
    rows: usize,
    threads: Vec<Thread>,
}

impl Group {
    fn begin(writers: Vec<ArrowColumnWriter>, schema: &SchemaRef) -> Group {
        let mut shares: Vec<Share> = (0..THREADS).map(|_| Vec::new()).collect();
        for (column, writer) in writers.into_iter().enumerate() {
            shares[column % THREADS].push((column, writer));
        }
        Group { rows: 0, threads: shares.into_iter().map(|share| Thread::start(share, schema.clone())).collect() }
    }

    fn write(&mut self, batch: RecordBatch) -> Result<(), ParquetError> {
        self.rows += batch.num_rows();
        let batch = Arc::new(batch);
        self.threads.iter_mut().try_for_each(|thread| thread.write(&batch))
    }

    /// The chunks in the order of the columns.
    fn close(self) -> Result<Vec<ArrowColumnChunk>, ParquetError> {
        let mut chunks = Vec::new();
        for thread in self.threads {
            chunks.extend(thread.close()?);
        }
        chunks.sort_by_key(|(column, _)| *column);
        Ok(chunks.into_iter().map(|(_, chunk)| chunk).collect())
    }
}

/// Columns of one thread, by their numbers.
type Share = Vec<(usize, ArrowColumnWriter)>;
type Chunks = Result<Vec<(usize, ArrowColumnChunk)>, ParquetError>;

/// A thread and what it is given.
struct Thread {
    batches: Option<SyncSender<Arc<RecordBatch>>>,
    handle: Option<JoinHandle<Chunks>>,
}

impl Thread {
    fn start(share: Share, schema: SchemaRef) -> Thread {
        let (sender, batches) = sync_channel(BATCHES_AHEAD);
        let handle = std::thread::spawn(move || encode(share, &schema, &batches));
        Thread { batches: Some(sender), handle: Some(handle) }
    }

    fn write(&mut self, batch: &Arc<RecordBatch>) -> Result<(), ParquetError> {
        let batches = self.batches.as_ref().expect("a thread that was not closed takes batches");
        match batches.send(batch.clone()) {
            Ok(()) => Ok(()),
            // A thread that takes no more has failed, and says why when it ends.
            Err(_) => self.join().map(drop),
        }
    }

    fn close(mut self) -> Chunks {
        self.join()
    }

    fn join(&mut self) -> Chunks {
        self.batches = None;
        let handle = self.handle.take().expect("a thread ends once");
        handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
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

    fn properties() -> WriterProperties {
        WriterProperties::builder().set_max_row_group_row_count(Some(ROWS_PER_GROUP)).build()
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
    fn two_threads_write_the_bytes_of_one() {
        let field = |name, kind| Field::new(name, kind, true);
        let fields = vec![field("a", DataType::Utf8), field("b", DataType::Int64), field("c", DataType::Utf8)];
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let folder = tempfile::tempdir().unwrap();
        let create = |name: &str| File::create(folder.path().join(name)).unwrap();
        for count in 0..=5 {
            let mut one = ArrowWriter::try_new(create("one"), schema.clone(), Some(properties())).unwrap();
            let mut two = Encoder::new(create("two"), &schema, properties(), ROWS_PER_GROUP).unwrap();
            for batch in &batches(&schema)[..count] {
                one.write(batch).unwrap();
                two.write(batch).unwrap();
            }
            one.close().unwrap();
            two.finish().unwrap();
            let bytes = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
            assert!(bytes("one") == bytes("two"), "{count} batches");
        }
    }
}
