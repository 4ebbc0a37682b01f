//! Reads a partition as record batches, one part after the other: a batch never spans two parts. Holds one batch at a
//! time.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::vec::IntoIter;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};

use super::error::PartitionError;
use super::parts;

/// The batches of a partition.
pub struct Batches {
    columns: Option<Vec<String>>,
    rows_at_once: usize,
    part: PathBuf,
    reader: ParquetRecordBatchReader,
    /// The parts after it, already open, so that all are of one version.
    later: IntoIter<(PathBuf, File)>,
}

impl std::fmt::Debug for Batches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batches").field("part", &self.part).finish_non_exhaustive()
    }
}

impl Batches {
    /// Opens the partition whose first file is `first`, with those of `columns` that the file has, or with all
    /// columns.
    ///
    /// # Errors
    /// A part is missing, or the first is not a Parquet file.
    pub fn open(first: &Path, columns: Option<&[&str]>, rows_at_once: usize) -> Result<Batches, PartitionError> {
        let columns: Option<Vec<_>> = columns.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        let opened = parts::open(first).map_err(|source| PartitionError::Open { path: first.to_owned(), source })?;
        let mut later = opened.into_iter();
        let (part, file) = later.next().expect("a partition has a first part");
        let reader = reader(file, columns.as_deref(), rows_at_once);
        let reader = reader.map_err(|source| PartitionError::Parquet { path: part.clone(), source })?;
        Ok(Batches { columns, rows_at_once, part, reader, later })
    }

    /// The part that the last batch came from, or that could not be read.
    pub fn part(&self) -> &Path {
        &self.part
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(batch) = self.reader.next() {
                return Some(batch);
            }
            let file;
            (self.part, file) = self.later.next()?;
            match reader(file, self.columns.as_deref(), self.rows_at_once) {
                Ok(reader) => self.reader = reader,
                Err(error) => return Some(Err(error.into())),
            }
        }
    }
}

fn reader(
    file: File,
    columns: Option<&[String]>,
    rows_at_once: usize,
) -> Result<ParquetRecordBatchReader, ParquetError> {
    let builder = opened(file)?.with_batch_size(rows_at_once);
    let builder = match columns {
        Some(columns) => {
            let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().map(String::as_str));
            builder.with_projection(mask)
        }
        None => builder,
    };
    builder.build()
}

/// Opens a Parquet file for reading. Checks first what the library would panic over: a damaged footer that places a
/// column before the start of the file.
pub(super) fn opened(file: File) -> Result<ParquetRecordBatchReaderBuilder<File>, ParquetError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let mut columns = builder.metadata().row_groups().iter().flat_map(RowGroupMetaData::columns);
    let begins = |column: &ColumnChunkMetaData| column.dictionary_page_offset().unwrap_or(column.data_page_offset());
    match columns.any(|column| begins(column) < 0 || column.compressed_size() < 0) {
        true => Err(ParquetError::General("its footer is damaged: a column begins before the file".to_owned())),
        false => Ok(builder),
    }
}
