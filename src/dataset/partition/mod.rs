//! Reads and writes a partition: one Parquet file, or several above a size limit; typed by its contract, sorted by its
//! key, the same bytes for the same rows. A file of an older contract is read with its new columns null. Never decides
//! where a file goes.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, new_null_array};
use arrow::datatypes::{Date32Type, Field, Int64Type, Schema, SchemaRef};
use arrow::error::ArrowError;
use chrono::NaiveDate;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;
use serde::de::DeserializeOwned;

use super::batches::{Batches, opened};
use super::columns::Columns;
use super::encoder::{Encoder, GroupLimit};
use super::key_order::KeyOrder;
use super::properties::{ROWS_PER_GROUP, contract_version, is_marked_partial, writer_properties};
use super::{never_negative, parts};
use crate::contract::{Contract, contract};
use crate::durable;
use crate::money::Fen;
use crate::record::Record;
use crate::threads::prefetch::Prefetch;

pub use super::error::PartitionError;
pub use super::properties::Provenance;

/// Rows converted to Arrow at a time: bounds the memory of reading and writing.
pub const ROWS_PER_BATCH: usize = 16_384;
/// Rows per batch when reading ahead.
const ROWS_AHEAD: usize = 4_096;

/// The size limits of a part and of a row group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartLimit {
    /// A part ends with the row group that reaches this size.
    pub bytes: u64,
    /// A row group ends with the row that fills it.
    pub group: GroupLimit,
}

impl PartLimit {
    /// Everything in one file.
    pub const NONE: PartLimit = PartLimit::of_bytes(u64::MAX);

    /// Parts of about `bytes`, exceeded by at most a row group. A row group also ends once its rows take as much before
    /// encoding, so that a small limit is kept too.
    pub const fn of_bytes(bytes: u64) -> PartLimit {
        PartLimit { bytes, group: GroupLimit { rows: ROWS_PER_GROUP, plain_bytes: bytes } }
    }

    /// A part per `rows` rows.
    #[cfg(test)]
    pub(crate) const fn of_rows(rows: usize) -> PartLimit {
        PartLimit { bytes: 1, group: GroupLimit { rows, plain_bytes: u64::MAX } }
    }
}

/// Writes `rows`, sorted by the contract's key, to `path` and syncs it.
///
/// # Errors
/// The file cannot be written, rows do not fit the contract, or keys are repeated or out of order.
pub fn write_rows<R: Record>(path: &Path, rows: &[R], provenance: &Provenance) -> Result<(), PartitionError> {
    let mut writer = Writer::create(path, contract(R::DATASET), provenance, PartLimit::NONE)?;
    writer.write_rows(rows)?;
    writer.finish().map(drop)
}

/// Writes record batches of a contract's schema, sorted by its key, to `path` and syncs it.
pub fn write_batches(
    path: &Path,
    contract: &'static Contract,
    provenance: &Provenance,
    batches: impl Iterator<Item = Result<RecordBatch, PartitionError>>,
) -> Result<(), PartitionError> {
    let mut writer = Writer::create(path, contract, provenance, PartLimit::NONE)?;
    for batch in batches {
        writer.write(&batch?)?;
    }
    writer.finish().map(drop)
}

/// A partition that is being written: memory does not grow with its rows.
pub struct Writer {
    first: PathBuf,
    contract: &'static Contract,
    schema: SchemaRef,
    properties: WriterProperties,
    limit: PartLimit,
    /// Encoding threads, if not the default.
    threads: Option<usize>,
    part: Encoder,
    /// Rows of each part; the last one is in progress.
    rows: Vec<u64>,
    keys: KeyOrder,
}

impl Writer {
    /// Starts a partition of a contract whose first file is `first`.
    pub fn create(
        first: &Path,
        contract: &'static Contract,
        provenance: &Provenance,
        limit: PartLimit,
    ) -> Result<Writer, PartitionError> {
        let (schema, properties) = (contract.arrow(), writer_properties(contract, provenance));
        let (part, keys) = (begin(first, &schema, &properties, limit)?, KeyOrder::of(contract));
        Ok(Writer {
            first: first.to_owned(),
            contract,
            schema,
            properties,
            limit,
            threads: None,
            part,
            rows: vec![0],
            keys,
        })
    }

    /// Encodes on one thread, for rows whose computation already occupies the cores.
    #[must_use]
    pub fn on_one_thread(mut self) -> Writer {
        self.threads = Some(1);
        self.part.set_threads(1);
        self
    }

    /// Appends rows.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), PartitionError> {
        self.keys.check(batch)?;
        never_negative::check(self.contract, batch)?;
        let mut written = 0;
        while written < batch.num_rows() {
            if self.part.bytes_between_groups().is_some_and(|bytes| bytes >= self.limit.bytes) {
                self.turn()?;
            }
            let rows = self.part.write(&batch.slice(written, batch.num_rows() - written));
            let rows = rows.map_err(|source| PartitionError::Parquet { path: self.path(), source })?;
            written += rows;
            *self.rows.last_mut().expect("a part is under way") += rows as u64;
        }
        Ok(())
    }

    /// Appends rows, batch by batch. The bytes of the file depend on where batches end: all calls but the last should
    /// pass a multiple of `ROWS_PER_BATCH`.
    pub fn write_rows<R: Record>(&mut self, rows: &[R]) -> Result<(), PartitionError> {
        let schema = contract(R::DATASET).arrow();
        rows.chunks(ROWS_PER_BATCH).try_for_each(|rows| self.write(&to_batch::<R>(&self.path(), &schema, rows)?))
    }

    /// Ends the partition and syncs its files; returns the rows of each.
    pub fn finish(self) -> Result<Vec<u64>, PartitionError> {
        let path = self.path();
        end(self.part, &path)?;
        Ok(self.rows)
    }

    /// Ends a part, because more rows follow.
    fn turn(&mut self) -> Result<(), PartitionError> {
        let path = self.path();
        self.rows.push(0);
        let mut next = begin(&self.path(), &self.schema, &self.properties, self.limit)?;
        self.threads.iter().for_each(|threads| next.set_threads(*threads));
        end(std::mem::replace(&mut self.part, next), &path)
    }

    /// The part in progress.
    fn path(&self) -> PathBuf {
        parts::path(&self.first, self.rows.len() - 1)
    }
}

/// A partition that is being written row by row.
#[derive(Debug)]
pub struct RowWriter<R> {
    writer: Writer,
    /// Rows of the batch under way.
    waiting: Vec<R>,
}

impl<R: Record> RowWriter<R> {
    /// Writes rows to a partition of their dataset.
    pub fn new(writer: Writer) -> RowWriter<R> {
        RowWriter { writer, waiting: Vec::new() }
    }

    /// Appends a row.
    pub fn push(&mut self, row: R) -> Result<(), PartitionError> {
        self.waiting.push(row);
        if self.waiting.len() == ROWS_PER_BATCH { self.flush() } else { Ok(()) }
    }

    /// The writer, with every row.
    pub fn finish(mut self) -> Result<Writer, PartitionError> {
        self.flush()?;
        Ok(self.writer)
    }

    fn flush(&mut self) -> Result<(), PartitionError> {
        self.writer.write_rows(&self.waiting)?;
        self.waiting.clear();
        Ok(())
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("first", &self.first).finish_non_exhaustive()
    }
}

fn begin(
    path: &Path,
    schema: &SchemaRef,
    properties: &WriterProperties,
    limit: PartLimit,
) -> Result<Encoder, PartitionError> {
    let file = durable::create(path).map_err(|source| PartitionError::Open { path: path.to_owned(), source })?;
    let encoder = Encoder::new(file, schema, properties.clone(), limit.group);
    encoder.map_err(|source| PartitionError::Parquet { path: path.to_owned(), source })
}

fn end(part: Encoder, path: &Path) -> Result<(), PartitionError> {
    let file = part.finish().map_err(|source| PartitionError::Parquet { path: path.to_owned(), source })?;
    file.sync_all().map_err(|source| PartitionError::Open { path: path.to_owned(), source })
}

/// The rows of a partition, read batch by batch: memory does not grow with its files.
pub struct Rows<R> {
    schema: SchemaRef,
    batches: Batches,
    ready: std::vec::IntoIter<R>,
}

impl<R> std::fmt::Debug for Rows<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows").field("batches", &self.batches).finish_non_exhaustive()
    }
}

/// Opens a partition, given its first file, for reading row by row.
pub fn open_rows<R: Record>(path: &Path) -> Result<Rows<R>, PartitionError> {
    let batches = Batches::open(path, None, ROWS_PER_BATCH)?;
    Ok(Rows { schema: contract(R::DATASET).arrow(), batches, ready: Vec::new().into_iter() })
}

/// What an opened partition yields; if it could not be opened, that error is the only item.
pub(crate) fn or_error<T>(
    opened: Result<impl Iterator<Item = Result<T, PartitionError>>, PartitionError>,
) -> impl Iterator<Item = Result<T, PartitionError>> {
    let (items, error) = match opened {
        Ok(items) => (Some(items), None),
        Err(error) => (None, Some(Err(error))),
    };
    error.into_iter().chain(items.into_iter().flatten())
}

/// All rows of a partition, in its order.
pub fn read_rows<R: Record>(path: &Path) -> Result<Vec<R>, PartitionError> {
    open_rows(path)?.collect()
}

/// The named columns of a partition as record batches, in order; a thread reads ahead.
///
/// # Errors
/// A file is not a Parquet file; a torn part is an error at its place.
pub fn open_batches_ahead(
    path: &Path,
    columns: &[&str],
) -> Result<impl Iterator<Item = Result<RecordBatch, PartitionError>> + use<>, PartitionError> {
    let mut batches = Batches::open(path, Some(columns), ROWS_AHEAD)?;
    let read = move || Some(batches.next()?.map_err(|error| unreadable(&batches, error)));
    Ok(Prefetch::start(std::iter::from_fn(read), 1))
}

/// Passes on the rows of a partition, in order, as typed columns; other columns are not read.
///
/// # Errors
/// A file is torn or does not fit; errors of `take`.
pub(crate) fn each_row<C: Columns, E: From<PartitionError>>(
    path: &Path,
    dataset: &'static str,
    mut take: impl FnMut(C::Row<'_>) -> Result<(), E>,
) -> Result<(), E> {
    for batch in open_batches_ahead(path, C::NAMES)? {
        let batch = batch?;
        let misfit = |source| PartitionError::Rows { path: path.to_owned(), dataset, source: Box::new(source) };
        let columns = C::of(&batch).map_err(misfit)?;
        (0..batch.num_rows()).try_for_each(|row| take(columns.row(row)))?;
    }
    Ok(())
}

/// The named columns of a partition, in order, deserialised into rows of type `T` and held in memory; other columns are
/// not read.
///
/// # Errors
/// A file is no Parquet file; a row does not fit.
pub fn read_columns<T: DeserializeOwned>(
    path: &Path,
    dataset: &'static str,
    columns: &[&str],
) -> Result<Vec<T>, PartitionError> {
    let mut batches = Batches::open(path, Some(columns), ROWS_PER_BATCH)?;
    let mut rows = Vec::new();
    while let Some(batch) = batches.next() {
        let batch = batch.map_err(|error| unreadable(&batches, error))?;
        let misfit =
            |source| PartitionError::Rows { path: batches.part().to_owned(), dataset, source: Box::new(source) };
        rows.append(&mut serde_arrow::from_record_batch(&batch).map_err(misfit)?);
    }
    Ok(rows)
}

/// Verifies a partition against a contract: the schema of each part, order and uniqueness of keys over all parts,
/// what is never negative, and that every row is of `date`. Returns the rows of each part.
///
/// # Errors
/// The first fault.
pub fn check_partition(
    path: &Path,
    contract: &'static Contract,
    date: Option<NaiveDate>,
) -> Result<Vec<u64>, PartitionError> {
    let parts = parts::open(path).map_err(|source| PartitionError::Open { path: path.to_owned(), source })?;
    let mut keys = KeyOrder::of(contract);
    let check = |(path, file): (PathBuf, File)| check_part(&path, file, contract, date, &mut keys);
    parts.into_iter().map(check).collect()
}

fn check_part(
    path: &Path,
    file: File,
    contract: &'static Contract,
    date: Option<NaiveDate>,
    keys: &mut KeyOrder,
) -> Result<u64, PartitionError> {
    let parquet = |source| PartitionError::Parquet { path: path.to_owned(), source };
    let builder = opened(file).map_err(parquet)?;
    if !has_columns_of(contract, &builder) {
        return Err(PartitionError::Schema { path: path.to_owned(), dataset: contract.name.as_str() });
    }
    let mut rows = 0;
    for batch in builder.with_batch_size(ROWS_PER_BATCH).build().map_err(parquet)? {
        let batch = batch.map_err(|error| parquet(error.into()))?;
        keys.check(&batch)?;
        never_negative::check(contract, &batch)?;
        if let Some(date) = date.filter(|date| !is_of(&batch, *date)) {
            return Err(PartitionError::OtherDay { dataset: contract.name.as_str(), date });
        }
        rows += batch.num_rows() as u64;
    }
    Ok(rows)
}

/// Whether a partition was marked as partial when it was written.
///
/// # Errors
/// The file cannot be read.
pub fn is_partial(path: &Path) -> Result<bool, PartitionError> {
    let parquet = |source| PartitionError::Parquet { path: path.to_owned(), source };
    let file = File::open(path).map_err(|source| PartitionError::Open { path: path.to_owned(), source })?;
    let file = opened(file).map_err(parquet)?;
    Ok(is_marked_partial(file.metadata().file_metadata().key_value_metadata()))
}

/// Whether the columns are those of the contract. A file of another version of it may lack nullable columns.
fn has_columns_of(contract: &Contract, file: &ParquetRecordBatchReaderBuilder<File>) -> bool {
    let (fields, wanted) = (file.schema().fields(), contract.arrow());
    let version = contract_version(file.metadata().file_metadata().key_value_metadata());
    let may_lack = |field: &Field| field.is_nullable() && version.is_some_and(|version| version != contract.version);
    let is_there = |field: &&Arc<Field>| file.schema().column_with_name(field.name()).is_some() || !may_lack(field);
    fields.iter().eq(wanted.fields().iter().filter(is_there))
}

/// Whether every row is of `date`.
fn is_of(batch: &RecordBatch, date: NaiveDate) -> bool {
    let Some(column) = batch.column_by_name("business_date") else { return true };
    let days = column.as_primitive::<Date32Type>();
    days.iter().all(|day| day == Some(Date32Type::from_naive_date(date)))
}

/// The sum of an amount column of a partition, read back from the file.
///
/// # Errors
/// The file is torn, the column is not an amount, or the sum overflows 64 bits.
pub fn sum_of<R: Record>(path: &Path, column: &str) -> Result<Fen, PartitionError> {
    let mut batches = Batches::open(path, Some(&[column]), ROWS_PER_BATCH)?;
    let mut sum = Fen::ZERO;
    while let Some(batch) = batches.next() {
        let batch = batch.map_err(|error| unreadable(&batches, error))?;
        let amounts = batch.columns().first().and_then(|column| column.as_primitive_opt::<Int64Type>());
        let amounts =
            amounts.ok_or_else(|| misfit::<R>(path, io::Error::other(format!("`{column}` is not an amount"))))?;
        for amount in amounts.iter().flatten() {
            let overflow = || misfit::<R>(path, io::Error::other(format!("the sum of `{column}` exceeds 64 bits")));
            sum = sum.checked_add(Fen(amount)).ok_or_else(overflow)?;
        }
    }
    Ok(sum)
}

fn to_batch<R: Record>(path: &Path, schema: &SchemaRef, rows: &[R]) -> Result<RecordBatch, PartitionError> {
    let batch = serde_arrow::to_record_batch(schema.fields(), &rows).map_err(|source| misfit::<R>(path, source))?;
    // Nullability and metadata come from the contract, not from the serializer.
    RecordBatch::try_new(schema.clone(), batch.columns().to_vec()).map_err(|source| misfit::<R>(path, source))
}

fn unreadable(batches: &Batches, error: ArrowError) -> PartitionError {
    PartitionError::Parquet { path: batches.part().to_owned(), source: error.into() }
}

fn misfit<R: Record>(path: &Path, source: impl std::error::Error + Send + Sync + 'static) -> PartitionError {
    PartitionError::Rows { path: path.to_owned(), dataset: R::DATASET, source: Box::new(source) }
}

impl<R: Record> Iterator for Rows<R> {
    type Item = Result<R, PartitionError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.ready.next() {
                return Some(Ok(row));
            }
            let batch = self.batches.next()?;
            let part = self.batches.part();
            let batch = batch.and_then(|batch| align(&batch, &self.schema)).map_err(|source| misfit::<R>(part, source));
            let rows = |batch| serde_arrow::from_record_batch(&batch).map_err(|source| misfit::<R>(part, source));
            match batch.and_then(rows) {
                Ok(rows) => self.ready = Vec::into_iter(rows),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// The columns of the contract in order; a nullable one that the file lacks is null.
fn align(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let column = |field: &Arc<Field>| -> Result<ArrayRef, ArrowError> {
        match batch.column_by_name(field.name()) {
            Some(column) => Ok(column.clone()),
            None if field.is_nullable() => Ok(new_null_array(field.data_type(), batch.num_rows())),
            None => Err(ArrowError::SchemaError(format!("the file has no column `{}`", field.name()))),
        }
    };
    let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>, _>>()?;
    let schema = Schema::new(schema.fields().clone());
    RecordBatch::try_new(Arc::new(schema), columns)
}

#[cfg(test)]
mod tests;
