//! One Parquet file of a dataset: rows of the contract in, rows out.
//! Knows no folder of the lake and publishes nothing; a file of an older contract reads with its new columns null.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::contract::{self, Contract};
use crate::record::Record;

/// Rows turned into Arrow at once: bounds the memory of a read and of a write.
const ROWS_PER_BATCH: usize = 16_384;

/// Why a partition file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum PartitionError {
    /// The file could not be opened or created.
    #[error("cannot open `{path}`", path = .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no Parquet file, or a torn one.
    #[error("`{path}` is not a readable Parquet file", path = .path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the Parquet library said.
        source: ParquetError,
    },
    /// The rows could not be turned into the contract's columns, or back.
    #[error("the rows of `{path}` do not fit the contract of `{dataset}`", path = .path.display())]
    Rows {
        /// The file.
        path: PathBuf,
        /// Name of the dataset.
        dataset: &'static str,
        /// Which column, and why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Rows of a partition file, read batch by batch: memory does not grow with the file.
pub struct Rows<R> {
    path: PathBuf,
    schema: SchemaRef,
    batches: ParquetRecordBatchReader,
    ready: std::vec::IntoIter<R>,
}

impl<R> std::fmt::Debug for Rows<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Opens a partition file for reading row by row, in file order.
pub fn open_rows<R: Record>(path: &Path) -> Result<Rows<R>, PartitionError> {
    let file = File::open(path).map_err(|source| PartitionError::Open { path: path.to_owned(), source })?;
    let batches = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(|builder| builder.with_batch_size(ROWS_PER_BATCH).build())
        .map_err(|source| PartitionError::Parquet { path: path.to_owned(), source })?;
    Ok(Rows { path: path.to_owned(), schema: contract_of::<R>().arrow(), batches, ready: Vec::new().into_iter() })
}

/// All rows of a partition file, in file order.
pub fn read_rows<R: Record>(path: &Path) -> Result<Vec<R>, PartitionError> {
    open_rows(path)?.collect()
}

/// Writes rows as one Parquet file of the dataset's contract, in the order given. No metadata, no
/// atomic rename: publishing a day is another module's work.
pub fn write_rows<R: Record>(path: &Path, rows: &[R]) -> Result<(), PartitionError> {
    let schema = contract_of::<R>().arrow();
    let batches = rows.chunks(ROWS_PER_BATCH).map(|rows| to_batch::<R>(path, &schema, rows));
    write_batches(path, &schema, batches)
}

/// Writes record batches of one schema as one Parquet file.
pub(crate) fn write_batches(
    path: &Path,
    schema: &SchemaRef,
    batches: impl Iterator<Item = Result<RecordBatch, PartitionError>>,
) -> Result<(), PartitionError> {
    let parquet_error = |source| PartitionError::Parquet { path: path.to_owned(), source };
    let file = File::create(path).map_err(|source| PartitionError::Open { path: path.to_owned(), source })?;
    let compression = Compression::ZSTD(ZstdLevel::default());
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut writer = ArrowWriter::try_new(file, schema.clone(), Some(properties)).map_err(parquet_error)?;
    for batch in batches {
        writer.write(&batch?).map_err(parquet_error)?;
    }
    writer.close().map_err(parquet_error)?;
    Ok(())
}

fn contract_of<R: Record>() -> &'static Contract {
    contract::find(R::DATASET).expect("every record type has a contract, a test of `record` says so")
}

fn to_batch<R: Record>(path: &Path, schema: &SchemaRef, rows: &[R]) -> Result<RecordBatch, PartitionError> {
    let batch = serde_arrow::to_record_batch(schema.fields(), &rows).map_err(|source| misfit::<R>(path, source))?;
    // Nullability and metadata are the contract's, not the serializer's.
    RecordBatch::try_new(schema.clone(), batch.columns().to_vec()).map_err(|source| misfit::<R>(path, source))
}

fn misfit<R: Record>(path: &Path, source: impl std::error::Error + Send + Sync + 'static) -> PartitionError {
    PartitionError::Rows { path: path.to_owned(), dataset: R::DATASET, source: Box::new(source) }
}

impl<R: Record> Rows<R> {
    fn next_batch(&mut self) -> Option<Result<Vec<R>, PartitionError>> {
        let batch = self.batches.next()?;
        let rows =
            batch.and_then(|batch| align(&batch, &self.schema)).map_err(|source| misfit::<R>(&self.path, source));
        Some(
            rows.and_then(|batch| {
                serde_arrow::from_record_batch(&batch).map_err(|source| misfit::<R>(&self.path, source))
            }),
        )
    }
}

impl<R: Record> Iterator for Rows<R> {
    type Item = Result<R, PartitionError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.ready.next() {
                return Some(Ok(row));
            }
            match self.next_batch()? {
                Ok(rows) => self.ready = rows.into_iter(),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// The columns of the contract in its order; a nullable one the file does not have yet is null.
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
mod tests {
    use arrow::array::StringArray;
    use arrow::datatypes::DataType;
    use chrono::{DateTime, NaiveDate, Utc};
    use proptest::prelude::*;

    use super::*;
    use crate::money::Fen;
    use crate::record::OrderLine;

    fn line(number: u32, paid_at: Option<DateTime<Utc>>, paid_fen: i64) -> OrderLine {
        OrderLine {
            out_trade_no: format!("T{number:05}"),
            stock_id: String::new(),
            coupon_code: "券".to_owned(),
            transaction_id: None,
            merchant: Some("1900000001".to_owned()),
            openid: None,
            channel: None,
            product: None,
            remark: Some(String::new()),
            paid_at,
            goods_fen: Fen(paid_fen),
            discount_fen: Fen(0),
            paid_fen: Fen(paid_fen),
            refund_fen: Fen(-1),
            source_file: "orders.csv".to_owned(),
            source_line: i64::from(number),
            business_date: NaiveDate::from_ymd_opt(2026, 11, 18).unwrap(),
        }
    }

    #[test]
    fn rows_come_back_as_they_were_written_across_batches() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part-0.parquet");
        let paid_at = DateTime::from_timestamp_micros(1_795_000_000_123_456);
        let count = u32::try_from(ROWS_PER_BATCH).unwrap() + 3;
        let rows: Vec<_> = (0..count).map(|number| line(number, paid_at, 100)).collect();
        write_rows(&path, &rows).unwrap();
        assert_eq!(read_rows::<OrderLine>(&path).unwrap(), rows);
    }

    #[test]
    fn an_empty_day_is_a_file_with_the_whole_schema() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part-0.parquet");
        write_rows::<OrderLine>(&path, &[]).unwrap();
        assert!(read_rows::<OrderLine>(&path).unwrap().is_empty());
        let file = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
        assert_eq!(file.schema().fields(), contract_of::<OrderLine>().arrow().fields());
    }

    #[test]
    fn a_file_without_a_required_column_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part-0.parquet");
        let schema = Arc::new(Schema::new(vec![Field::new("out_trade_no", DataType::Utf8, false)]));
        let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(StringArray::from(vec!["T1"]))]).unwrap();
        write_batches(&path, &schema, std::iter::once(Ok(batch))).unwrap();
        let error = read_rows::<OrderLine>(&path).unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("no column `stock_id`"), "{cause}");
    }

    #[test]
    fn a_torn_file_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("torn.parquet");
        std::fs::write(&path, b"PAR1").unwrap();
        assert!(read_rows::<OrderLine>(&path).unwrap_err().to_string().contains("torn.parquet"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn any_instant_and_amount_survives(micros in proptest::option::of(0i64..4_000_000_000_000_000), fen in any::<i64>()) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("part-0.parquet");
            let rows = vec![line(1, micros.and_then(DateTime::from_timestamp_micros), fen)];
            write_rows(&path, &rows).unwrap();
            prop_assert_eq!(read_rows::<OrderLine>(&path).unwrap(), rows);
        }
    }
}
