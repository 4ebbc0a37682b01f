//! One partition as one Parquet file: typed by its contract, sorted by its key, the same bytes for
//! the same rows. Never decides where the file goes.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use crate::contract::{Contract, contract};
use crate::record::Record;

/// Rows per row group, and per batch in memory.
const ROW_GROUP_ROWS: usize = 1 << 20;
const BATCH_ROWS: usize = 1 << 14;

/// What can go wrong with a partition file.
#[derive(Debug, thiserror::Error)]
pub enum PartitionError {
    /// The file system said no.
    #[error("`{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not readable as Parquet.
    #[error("`{}`: {source}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// Why.
        source: parquet::errors::ParquetError,
    },
    /// Rows and contract do not fit.
    #[error("rows of `{dataset}` do not fit their contract: {why}")]
    Shape {
        /// The dataset.
        dataset: &'static str,
        /// Why.
        why: String,
    },
    /// Two rows have one key: something was about to be counted twice.
    #[error("`{dataset}` would hold the key {key} twice")]
    DuplicateKey {
        /// The dataset.
        dataset: &'static str,
        /// The key's values.
        key: String,
    },
}

/// Facts about how a file came to be, kept in its metadata.
#[derive(Debug, Clone, Default)]
pub struct Provenance {
    /// SHA-256 of the rule files in force.
    pub rules_sha256: String,
    /// SHA-256 of everything the rows were made of.
    pub inputs_sha256: String,
}

/// Writes `rows`, already sorted by the contract's key, to `path` and syncs it.
pub fn write_rows<R: Record>(path: &Path, rows: &[R], provenance: &Provenance) -> Result<(), PartitionError> {
    let contract = contract(R::DATASET);
    let schema = contract.arrow();
    let io = |source| PartitionError::Io { path: path.to_path_buf(), source };
    let parquet = |source| PartitionError::Parquet { path: path.to_path_buf(), source };
    let file = File::create(path).map_err(io)?;
    let properties = writer_properties(contract, provenance);
    let mut writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties)).map_err(parquet)?;
    let mut keys = KeyOrder::new(contract);
    for rows in rows.chunks(BATCH_ROWS) {
        let batch = encode(rows, &schema)?;
        keys.check::<R>(&batch)?;
        writer.write(&batch).map_err(parquet)?;
    }
    let file = writer.into_inner().map_err(parquet)?;
    file.sync_all().map_err(io)
}

/// Reads every row of `path`.
pub fn read_rows<R: Record>(path: &Path) -> Result<Vec<R>, PartitionError> {
    let mut rows = Vec::new();
    for batch in read_batches(path)? {
        rows.extend(decode::<R>(&batch?)?);
    }
    Ok(rows)
}

/// The record batches of `path`, one after the other.
pub fn read_batches(
    path: &Path,
) -> Result<impl Iterator<Item = Result<RecordBatch, PartitionError>> + use<>, PartitionError> {
    let owned = path.to_path_buf();
    let file = File::open(path).map_err(|source| PartitionError::Io { path: owned.clone(), source })?;
    let parquet = |source| PartitionError::Parquet { path: owned.clone(), source };
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(parquet)?;
    let reader = builder.with_batch_size(BATCH_ROWS).build().map_err(parquet)?;
    let owned = path.to_path_buf();
    Ok(reader
        .map(move |batch| batch.map_err(|error| PartitionError::Parquet { path: owned.clone(), source: error.into() })))
}

fn encode<R: Record>(rows: &[R], schema: &SchemaRef) -> Result<RecordBatch, PartitionError> {
    serde_arrow::to_record_batch(schema.fields(), &rows).map_err(shape::<R>)
}

fn decode<R: Record>(batch: &RecordBatch) -> Result<Vec<R>, PartitionError> {
    serde_arrow::from_record_batch(batch).map_err(shape::<R>)
}

fn shape<R: Record>(error: serde_arrow::Error) -> PartitionError {
    PartitionError::Shape { dataset: R::DATASET, why: error.to_string() }
}

fn writer_properties(contract: &Contract, provenance: &Provenance) -> WriterProperties {
    let entry = |key: &str, value: &str| KeyValue::new(format!("coupon_recon.{key}"), value.to_owned());
    let metadata = vec![
        entry("contract", &contract.name),
        entry("contract_version", &contract.version),
        entry("code_version", env!("CARGO_PKG_VERSION")),
        entry("rules_sha256", &provenance.rules_sha256),
        entry("inputs_sha256", &provenance.inputs_sha256),
    ];
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).expect("3 is a zstd level")))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_created_by(concat!("coupon-recon ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(metadata))
        .build()
}

/// Watches that keys only ever grow, over batch borders too.
struct KeyOrder {
    key: Vec<String>,
    last: Option<Vec<String>>,
}

impl KeyOrder {
    fn new(contract: &Contract) -> KeyOrder {
        KeyOrder { key: contract.key.clone(), last: None }
    }

    fn check<R: Record>(&mut self, batch: &RecordBatch) -> Result<(), PartitionError> {
        let columns: Vec<_> = self
            .key
            .iter()
            .map(|name| batch.column_by_name(name).expect("key columns are in the schema").clone())
            .collect();
        for row in 0..batch.num_rows() {
            let key: Vec<String> = columns.iter().map(|column| key_text(column, row)).collect();
            match &self.last {
                Some(last) if *last == key => {
                    return Err(PartitionError::DuplicateKey { dataset: R::DATASET, key: key.join(", ") });
                }
                Some(last) if *last > key => {
                    let why = format!("not sorted by key: {} after {}", key.join(", "), last.join(", "));
                    return Err(PartitionError::Shape { dataset: R::DATASET, why });
                }
                _ => self.last = Some(key),
            }
        }
        Ok(())
    }
}

/// A key value as text that sorts as the value does.
fn key_text(column: &arrow::array::ArrayRef, row: usize) -> String {
    use arrow::array::AsArray;
    use arrow::datatypes::{DataType, Date32Type, Int64Type};
    match column.data_type() {
        DataType::Int64 => format!("{:020}", i128::from(column.as_primitive::<Int64Type>().value(row)) + (1 << 63)),
        DataType::Date32 => {
            let days = column.as_primitive::<Date32Type>().value(row);
            Date32Type::to_naive_date_opt(days).map_or_else(String::new, |date| date.to_string())
        }
        _ => column.as_string::<i32>().value(row).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, NaiveDate, Utc};

    use super::*;
    use crate::money::Fen;
    use crate::record::{MemberCardDay, Payment};

    fn payment(transaction_id: &str) -> Payment {
        Payment {
            transaction_id: transaction_id.into(),
            trade_state: "SUCCESS".into(),
            trade_time: "2026-11-18T01:02:03.000004Z".parse::<DateTime<Utc>>().unwrap(),
            appid: None,
            mchid: Some("1900000001".into()),
            sub_mchid: None,
            device_info: None,
            out_trade_no: "o1".into(),
            openid: None,
            trade_type: None,
            bank_type: None,
            fee_type: None,
            settled_fen: Fen(100),
            coupon_fee_fen: Fen(-5),
            body: Some("拿铁, 大杯".into()),
            attach: None,
            service_fee_millifen: 600,
            rate: None,
            order_fen: Fen(i64::MAX),
            rate_remark: None,
            business_date: NaiveDate::from_ymd_opt(2026, 11, 18).unwrap(),
        }
    }

    #[test]
    fn rows_survive_the_file_exactly_and_twice_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("1"), folder.path().join("2"));
        let rows = vec![payment("4200"), payment("4201")];
        write_rows(&one, &rows, &Provenance::default()).unwrap();
        write_rows(&two, &rows, &Provenance::default()).unwrap();
        assert_eq!(read_rows::<Payment>(&one).unwrap(), rows);
        assert_eq!(std::fs::read(one).unwrap(), std::fs::read(two).unwrap());
    }

    #[test]
    fn an_empty_day_is_a_file_with_the_schema() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p");
        write_rows::<MemberCardDay>(&path, &[], &Provenance::default()).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
        assert_eq!(reader.schema().fields(), contract("member_card_daily").arrow().fields());
        assert!(read_rows::<MemberCardDay>(&path).unwrap().is_empty());
    }

    #[test]
    fn a_key_that_stands_twice_or_out_of_order_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let write = |rows: &[Payment]| write_rows(&folder.path().join("p"), rows, &Provenance::default());
        let twice = write(&[payment("4200"), payment("4200")]).unwrap_err();
        assert_eq!(twice.to_string(), "`payments` would hold the key 4200, SUCCESS twice");
        let unsorted = write(&[payment("4201"), payment("4200")]).unwrap_err();
        assert!(unsorted.to_string().contains("not sorted by key"), "{unsorted}");
    }
}
