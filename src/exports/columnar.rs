//! Reads Parquet exports: flat columns of any simple type, rendered as the text a CSV would hold.
//! Holds one batch of rows at a time. Never writes Parquet; `dataset` does.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float32Type, Float64Type, Schema, TimeUnit, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::DateTime;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, Type as PhysicalType};
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::schema::types::Type;

use super::error::ExportError;
use super::found::{self, Found};
use super::hashing::Hashing;
use super::rendered;
use super::row::{Lost, TypedCell, TypedRow, typed_row};
use super::sheet::{Sheet, header_text};

/// Opens a file; its first row counts as line 2, as if there were a header.
pub(super) fn open(found: &Found) -> Result<Sheet, ExportError> {
    let opened = || File::open(&found.path).map_err(|source| found::refused(&found.path, source));
    let file = Hashing::new(opened()?).finish(&found.name).map_err(|source| found::refused(&found.path, source))?;
    let reader = reader(opened()?).map_err(|error| unreadable(&file.name, &error))?;
    let mut chunks = reader.metadata().row_groups().iter().flat_map(RowGroupMetaData::columns);
    chunks.try_for_each(|chunk| refuse_other_codec(&file.name, chunk.compression()))?;
    let header = reader.schema().fields().iter().map(|field| header_text(field.name()).to_owned()).collect();
    let batches = reader.build().map_err(|error| unreadable(&file.name, &error))?;
    let name = file.name.clone();
    let rows = batches.flat_map(move |batch| match batch.and_then(|batch| rows(&batch)) {
        Ok(rows) => rows.into_iter().map(Ok).collect::<Vec<_>>(),
        Err(error) => vec![Err(unreadable(&name, &error))],
    });
    Ok(Sheet::of_cells(file, header, Box::new(rows), 2))
}

/// A reader of a file, to which times of Spark are instants.
fn reader(file: File) -> Result<ParquetRecordBatchReaderBuilder<File>, ParquetError> {
    let as_written = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())?;
    let metadata = match is_of_spark(&as_written) {
        true => {
            let options = ArrowReaderOptions::new().with_schema(Arc::new(with_instants(&as_written)));
            ArrowReaderMetadata::try_new(as_written.metadata().clone(), options)?
        }
        false => as_written,
    };
    Ok(ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata))
}

fn is_of_spark(metadata: &ArrowReaderMetadata) -> bool {
    let notes = metadata.metadata().file_metadata().key_value_metadata();
    notes.is_some_and(|notes| notes.iter().any(|note| note.key.starts_with("org.apache.spark.")))
}

/// The schema of a file of Spark. Unless it is told otherwise, Spark writes a TIMESTAMP as INT96: an instant, normalised
/// to UTC, though this type cannot say so. Impala and others write a wall-clock time as the same type.
fn with_instants(metadata: &ArrowReaderMetadata) -> Schema {
    let stored = metadata.parquet_schema().root_schema().get_fields();
    let instant = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let fields = metadata.schema().fields().iter().zip(stored).map(|(field, stored)| match is_int96(stored) {
        true => Arc::new(Field::clone(field).with_data_type(instant())),
        false => Arc::clone(field),
    });
    Schema::new(fields.collect::<Vec<_>>())
}

fn is_int96(stored: &Type) -> bool {
    stored.is_primitive() && stored.get_physical_type() == PhysicalType::INT96
}

fn unreadable(name: &str, error: &dyn std::fmt::Display) -> ExportError {
    ExportError::Format { file: name.to_owned(), why: format!("is not a readable Parquet file ({error})") }
}

/// Refuses codecs that this program is built without; they are hardly used.
fn refuse_other_codec(name: &str, codec: Compression) -> Result<(), ExportError> {
    let other = match codec {
        Compression::BROTLI(_) => "BROTLI",
        Compression::LZO => "LZO",
        _ => return Ok(()),
    };
    let why = format!("is compressed with {other}, which is not supported: write it with snappy, zstd, gzip or none");
    Err(ExportError::Format { file: name.to_owned(), why })
}

fn rows(batch: &RecordBatch) -> Result<Vec<TypedRow>, ArrowError> {
    let columns: Vec<_> = batch.columns().iter().map(cells).collect::<Result<_, _>>()?;
    let row = |index: usize| typed_row(columns.iter().map(|column: &Vec<TypedCell>| &column[index]));
    Ok((0..batch.num_rows()).map(row).collect())
}

/// Every value of a column; null is the empty string.
fn cells(column: &ArrayRef) -> Result<Vec<TypedCell>, ArrowError> {
    match column.data_type() {
        DataType::Dictionary(_, values) => cells(&cast(column, values)?),
        // Many writers do not mark a column of bytes as text; rendered as hexadecimal, its ids would be wrong.
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            let bytes = cast(column, &DataType::LargeBinary)?;
            let values = bytes.as_binary::<i64>().iter();
            Ok(values.map(|value| value.map_or_else(TypedCell::default, text_of)).collect())
        }
        kind => {
            let lost = no_text(kind);
            let typed = |text: String| TypedCell { lost: lost.filter(|_| !text.is_empty()), text };
            Ok(texts(column)?.into_iter().map(typed).collect())
        }
    }
}

/// Why values of a type are neither ids nor amounts.
fn no_text(kind: &DataType) -> Option<Lost> {
    match kind {
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => Some(Lost::Time),
        kind if kind.is_nested() => Some(Lost::Nested),
        _ => None,
    }
}

fn text_of(bytes: &[u8]) -> TypedCell {
    match std::str::from_utf8(bytes) {
        Ok(text) => TypedCell { text: text.to_owned(), lost: None },
        Err(_) => TypedCell { text: String::new(), lost: Some(Lost::Bytes) },
    }
}

/// Every value of a column as text; null is the empty string.
fn texts(column: &ArrayRef) -> Result<Vec<String>, ArrowError> {
    match column.data_type() {
        DataType::Timestamp(_, zone) => {
            let micros = cast(column, &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?;
            let values = micros.as_primitive::<TimestampMicrosecondType>().iter();
            Ok(values.map(|value| value.map_or_else(String::new, |value| time(value, zone.is_some()))).collect())
        }
        DataType::Float64 => {
            let values = column.as_primitive::<Float64Type>().iter();
            Ok(values.map(|value| value.map_or_else(String::new, rendered::number)).collect())
        }
        DataType::Float32 => {
            let values = column.as_primitive::<Float32Type>().iter();
            Ok(values.map(|value| value.map_or_else(String::new, rendered::short_number)).collect())
        }
        _ => {
            let options = FormatOptions::default().with_null("");
            let formatter = ArrayFormatter::try_new(column.as_ref(), &options)?;
            Ok((0..column.len()).map(|index| formatter.value(index).to_string()).collect())
        }
    }
}

/// A timestamp with a time zone is an instant, one without is a wall-clock time of Asia/Shanghai.
fn time(micros: i64, zoned: bool) -> String {
    match DateTime::from_timestamp_micros(micros) {
        Some(instant) if zoned => rendered::instant(instant),
        Some(wall) => rendered::wall_clock(wall.naive_utc()),
        None => micros.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        BinaryArray, BinaryViewArray, Date32Array, Decimal128Array, DictionaryArray, FixedSizeBinaryArray,
        Float64Array, Int64Array, LargeBinaryArray, ListArray, StringArray, TimestampMillisecondArray,
    };
    use arrow::datatypes::Int32Type;
    use parquet::data_type::{Int96, Int96Type};
    use parquet::file::metadata::KeyValue;
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::*;

    fn typed(column: impl Array + 'static) -> Vec<TypedCell> {
        cells(&(Arc::new(column) as ArrayRef)).unwrap()
    }

    fn shown(column: impl Array + 'static) -> Vec<String> {
        typed(column).into_iter().map(|cell| cell.text).collect()
    }

    #[test]
    fn values_of_every_simple_type_read_as_in_a_csv() {
        assert_eq!(shown(StringArray::from(vec![Some("券"), None])), ["券", ""]);
        assert_eq!(shown(Int64Array::from(vec![1230])), ["1230"]);
        assert_eq!(shown(Float64Array::from(vec![Some(12.3), None])), ["12.3", ""]);
        let decimal = Decimal128Array::from(vec![1230]).with_precision_and_scale(10, 2).unwrap();
        assert_eq!(shown(decimal), ["12.30"]);
        let category: DictionaryArray<Int32Type> = vec!["a", "b", "a"].into_iter().collect();
        assert_eq!(shown(category), ["a", "b", "a"]);
    }

    #[test]
    fn bytes_are_text_where_they_can_be_and_lost_where_not() {
        let values = vec![Some("券1".as_bytes()), None, Some(b"\xff\xfe"), Some(b"")];
        let lost = |cell: &TypedCell| cell.lost == Some(Lost::Bytes);
        for cells in [
            typed(BinaryArray::from(values.clone())),
            typed(LargeBinaryArray::from(values.clone())),
            typed(BinaryViewArray::from(values.clone())),
            typed(DictionaryArray::<Int32Type>::new(
                vec![0, 1, 2, 3].into(),
                Arc::new(BinaryArray::from(values)) as ArrayRef,
            )),
        ] {
            assert_eq!(cells.iter().map(|cell| cell.text.as_str()).collect::<Vec<_>>(), ["券1", "", "", ""]);
            assert_eq!(cells.iter().map(lost).collect::<Vec<_>>(), [false, false, true, false]);
        }
    }

    #[test]
    fn what_is_stored_once_for_many_rows_reads_like_the_values_themselves() {
        let keys = || vec![Some(0), Some(0), None].into();
        let stored_once = |values: ArrayRef| typed(DictionaryArray::<Int32Type>::new(keys(), values));
        let midnight = TimestampMillisecondArray::from(vec![1_794_960_000_000]).with_timezone("Asia/Shanghai");
        let cells = stored_once(Arc::new(midnight));
        let texts: Vec<_> = cells.iter().map(|cell| cell.text.as_str()).collect();
        assert_eq!(texts, ["2026-11-18 08:00:00", "2026-11-18 08:00:00", ""]);
        assert_eq!(cells.iter().map(|cell| cell.lost).collect::<Vec<_>>(), [Some(Lost::Time), Some(Lost::Time), None]);
        let sums = stored_once(Arc::new(Float64Array::from(vec![0.1 + 0.2])));
        assert_eq!(sums.into_iter().map(|cell| cell.text).collect::<Vec<_>>(), ["0.3", "0.3", ""]);
    }

    #[test]
    fn bytes_of_a_fixed_width_are_text_too() {
        let codes = FixedSizeBinaryArray::try_from_iter([b"RY1", b"RY2"].into_iter()).unwrap();
        assert_eq!(shown(codes), ["RY1", "RY2"]);
    }

    #[test]
    fn a_date_or_a_list_is_no_id() {
        let lost = |column: ArrayRef| cells(&column).unwrap().into_iter().map(|cell| cell.lost).collect::<Vec<_>>();
        assert_eq!(lost(Arc::new(Date32Array::from(vec![Some(20_775), None]))), [Some(Lost::Time), None]);
        let ids = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1)]), None]);
        assert_eq!(lost(Arc::new(ids)), [Some(Lost::Nested), None]);
    }

    #[test]
    fn a_codec_that_is_not_read_is_named() {
        let error = refuse_other_codec("f", Compression::BROTLI(Default::default())).unwrap_err().to_string();
        assert_eq!(
            error,
            "`f` is compressed with BROTLI, which is not supported: write it with snappy, zstd, gzip or none"
        );
        refuse_other_codec("f", Compression::LZO).unwrap_err();
    }

    #[test]
    fn a_gap_in_a_column_of_numbers_is_empty() {
        let floats = Float64Array::from(vec![1288880001.0, f64::NAN]);
        assert_eq!(shown(floats), ["1288880001", ""]);
    }

    #[test]
    fn times_with_a_zone_are_instants_and_without_one_of_shanghai() {
        let midnight = 1_794_960_000_000; // 2026-11-18T00:00:00Z
        assert_eq!(shown(TimestampMillisecondArray::from(vec![midnight])), ["2026-11-18 00:00:00"]);
        let zoned = TimestampMillisecondArray::from(vec![midnight]).with_timezone("UTC");
        assert_eq!(shown(zoned), ["2026-11-18 08:00:00"]);
        let times = typed(TimestampMillisecondArray::from(vec![Some(midnight + 7), None]));
        let told: Vec<_> = times.iter().map(|cell| (cell.text.as_str(), cell.lost)).collect();
        assert_eq!(told, [("2026-11-18 00:00:00.007", Some(Lost::Time)), ("", None)]);
    }

    /// What a file of one INT96 column holds of 2026-11-18T00:00:00Z and of no time, with a note under `key` in its
    /// footer.
    fn read_back(key: &str) -> Vec<String> {
        const JULIAN_DAY: u32 = 2_461_363;
        let note = KeyValue { key: key.to_owned(), value: Some("3.5.1".to_owned()) };
        let properties = WriterProperties::builder().set_key_value_metadata(Some(vec![note])).build();
        let schema = Arc::new(parse_message_type("message spark_schema { optional int96 paid_at; }").unwrap());
        let file = tempfile::tempfile().unwrap();
        let mut writer = SerializedFileWriter::new(file.try_clone().unwrap(), schema, Arc::new(properties)).unwrap();
        let mut rows = writer.next_row_group().unwrap();
        let mut column = rows.next_column().unwrap().unwrap();
        let midnight = Int96::from(vec![0, 0, JULIAN_DAY]);
        column.typed::<Int96Type>().write_batch(&[midnight], Some(&[1, 0]), None).unwrap();
        column.close().unwrap();
        rows.close().unwrap();
        writer.close().unwrap();
        let batches = reader(file).unwrap().build().unwrap();
        batches.flat_map(|batch| cells(batch.unwrap().column(0)).unwrap()).map(|cell| cell.text).collect()
    }

    #[test]
    fn a_time_of_spark_is_an_instant_though_its_column_does_not_say_so() {
        for key in ["org.apache.spark.version", "org.apache.spark.sql.parquet.row.metadata"] {
            assert_eq!(read_back(key), ["2026-11-18 08:00:00", ""], "{key}");
        }
        assert_eq!(read_back("pandas"), ["2026-11-18 00:00:00", ""]);
    }
}
