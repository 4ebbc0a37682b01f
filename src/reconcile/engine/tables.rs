//! Partitions as Polars tables with the types of their contract, and conversion of results to Arrow.
//! A file of an older contract has nulls in its new columns.

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use bytes::Bytes;
use chrono::NaiveDate;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use polars::prelude::*;
use serde::de::DeserializeOwned;

use crate::contract::{ColumnKind, Contract};
use crate::dataset::parts;
use crate::reconcile::basis::parameters::{days, instant_type};
use crate::reconcile::error::ReconcileError;
use crate::reconcile::reduction::ROW_COLUMN;

/// A column of a result: name and type.
pub(in crate::reconcile) type ResultColumn<'a> = (&'a str, ColumnKind);

/// The rows of a result, some of them in memory at a time.
pub(in crate::reconcile) type RowBatches<'c, T> = Box<dyn Iterator<Item = Result<Vec<T>, ReconcileError>> + 'c>;

/// How many.
const ROWS_PER_BATCH: usize = 16_384;

/// A partition, by its first file.
pub(in crate::reconcile) fn scan(contract: &Contract, first: &Path) -> PolarsResult<LazyFrame> {
    let mut frame = scan_files(&parts::of(first)?)?;
    let present = frame.collect_schema()?;
    Ok(frame.select(contract_columns(contract, &present)))
}

/// A file of a view: it already has the columns that the rules expect.
pub(super) fn scan_view(path: &Path) -> PolarsResult<LazyFrame> {
    scan_files(&[path.to_owned()])
}

/// Files with the same columns, one after the other.
fn scan_files(paths: &[PathBuf]) -> PolarsResult<LazyFrame> {
    let args = ScanArgsParquet { glob: false, hive_options: HiveOptions::new_disabled(), ..Default::default() };
    let paths = paths.iter().map(|path| PlRefPath::new(path.to_string_lossy()));
    LazyFrame::scan_parquet_files(paths.collect(), args)
}

/// The rows with these numbers, from files with a column of row numbers, in all other columns.
pub(in crate::reconcile) fn rows_of(paths: &[PathBuf], rows: &[u64]) -> PolarsResult<LazyFrame> {
    let numbers = rows.iter().map(|row| i64::try_from(*row).expect("a row number")).collect::<Vec<_>>();
    let numbers = Series::new(ROW_COLUMN.into(), numbers);
    let is_it = col(ROW_COLUMN).is_in(lit(numbers).implode(false), false);
    Ok(scan_files(paths)?.filter(is_it).drop(cols([ROW_COLUMN])))
}

/// An empty table of a dataset.
pub(in crate::reconcile) fn empty(contract: &Contract) -> PolarsResult<LazyFrame> {
    let nothing = df!["nothing" => Vec::<i64>::new()]?.lazy();
    Ok(nothing.select(contract_columns(contract, &Schema::default())).limit(0))
}

/// All days of the window, one after the other, with the day in `dt`.
pub(in crate::reconcile) fn history(contract: &Contract, window: &[(NaiveDate, &Path)]) -> PolarsResult<LazyFrame> {
    let dated = |frame: LazyFrame, date: NaiveDate| frame.with_column(lit(days(date)).cast(DataType::Date).alias("dt"));
    if window.is_empty() {
        return Ok(dated(empty(contract)?, NaiveDate::default()));
    }
    let days = window.iter().map(|(date, path)| Ok(dated(scan(contract, path)?, *date)));
    concat(days.collect::<PolarsResult<Vec<_>>>()?, UnionArgs::default())
}

/// A query whose result has only the given columns, in types that may become theirs; others are refused.
pub(super) fn fitting(mut query: LazyFrame, columns: &[ResultColumn<'_>]) -> PolarsResult<LazyFrame> {
    let present = query.collect_schema()?;
    let is_known = |name: &str| columns.iter().any(|(known, _)| *known == name);
    if let Some(unknown) = present.iter_names().find(|name| !is_known(name)) {
        polars_bail!(ColumnNotFound: "`{unknown}` is not a column the result may have");
    }
    for (name, kind) in columns {
        if let Some(advice) = present.get(name).and_then(|found| misfit(found, *kind)) {
            polars_bail!(SchemaMismatch: "`{name}` is {advice}");
        }
    }
    Ok(query)
}

/// A result in the given columns and types: a missing column is null.
pub(in crate::reconcile) fn typed(mut query: LazyFrame, columns: &[ResultColumn<'_>]) -> PolarsResult<LazyFrame> {
    let present = query.collect_schema()?;
    Ok(query.select(columns.iter().map(|column| typed_column(&present, *column)).collect::<Vec<_>>()))
}

/// A Polars result as rows of type `T`, whose fields are among `columns`. What the query gave stays in memory until the
/// last row is read; what it did not give, like a column of nulls, is made for some rows at a time.
pub(in crate::reconcile) fn read<'c, T: DeserializeOwned + 'c>(
    what: &str,
    frame: DataFrame,
    columns: &'c [ResultColumn<'c>],
) -> RowBatches<'c, T> {
    let what = what.to_owned();
    let starts = (0..frame.height()).step_by(ROWS_PER_BATCH);
    let read = move |start: usize| {
        let rows = typed(frame.slice(start as i64, ROWS_PER_BATCH).lazy(), columns).and_then(LazyFrame::collect);
        let batches = to_arrow(rows.map_err(ReconcileError::query(&what))?).map_err(ReconcileError::shape(&what))?;
        let read = batches.iter().map(serde_arrow::from_record_batch::<Vec<T>>);
        let read = read.collect::<Result<Vec<_>, _>>().map_err(ReconcileError::shape(&what))?;
        Ok(read.into_iter().flatten().collect())
    };
    Box::new(starts.map(read))
}

/// Converts a Polars result to Arrow through Parquet in memory: the one format that both libraries
/// share without unsafe code.
pub(super) fn to_arrow(frame: DataFrame) -> Result<Vec<RecordBatch>, ArrowError> {
    to_arrow_with_schema(frame).map(|(_, batches)| batches)
}

/// As `to_arrow`; a table without a row still has its columns.
pub(in crate::reconcile) fn to_arrow_with_schema(
    mut frame: DataFrame,
) -> Result<(SchemaRef, Vec<RecordBatch>), ArrowError> {
    let mut bytes = Vec::new();
    let writer = ParquetWriter::new(&mut bytes).with_compression(ParquetCompression::Uncompressed);
    writer.finish(&mut frame).map_err(|error| ArrowError::ExternalError(Box::new(error)))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes))?;
    let schema = builder.schema().clone();
    Ok((schema, builder.build()?.collect::<Result<_, _>>()?))
}

fn contract_columns(contract: &Contract, present: &Schema) -> Vec<Expr> {
    contract.columns.iter().map(|column| typed_column(present, (&column.name, column.kind))).collect()
}

fn typed_column(present: &Schema, (name, kind): ResultColumn<'_>) -> Expr {
    let value = if present.contains(name) { col(name) } else { lit(NULL) };
    value.cast(data_type(kind)).alias(name)
}

/// What a column of a result is instead of its kind. A cast would make nothing, another amount or another day of it
/// without a word: a text that is no number null, an instant the day in UTC.
fn misfit(found: &DataType, kind: ColumnKind) -> Option<&'static str> {
    match (kind, found) {
        (_, DataType::Null) | (ColumnKind::Text, _) => None,
        (ColumnKind::Integer, found) if found.is_integer() => None,
        (ColumnKind::Integer, found) if found.is_numeric() => {
            Some("a number with a fraction: say how it is rounded, as in CAST(FLOOR(…) AS BIGINT)")
        }
        (ColumnKind::Integer, _) => Some("not a whole number"),
        (ColumnKind::Date, DataType::Datetime(..)) => Some("an instant in UTC: give the business date of it"),
        (ColumnKind::Date, found) if *found != DataType::Date => {
            Some("not a date: CAST(… AS DATE) turns a text into one")
        }
        (ColumnKind::Boolean, found) if *found != DataType::Boolean => Some("neither true nor false"),
        (ColumnKind::Instant, found) if !matches!(found, DataType::Datetime(..)) => Some("no instant"),
        _ => None,
    }
}

fn data_type(kind: ColumnKind) -> DataType {
    match kind {
        ColumnKind::Text => DataType::String,
        ColumnKind::Integer => DataType::Int64,
        ColumnKind::Boolean => DataType::Boolean,
        ColumnKind::Date => DataType::Date,
        ColumnKind::Instant => instant_type(),
    }
}
