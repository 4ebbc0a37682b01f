//! Polars over the partitions of a night: every dataset as the view of D and as its history, the
//! small tables, the shared views. The only file that knows which engine runs the SQL.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use bytes::Bytes;
use chrono::NaiveDate;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use polars::prelude::*;
use polars::sql::SQLContext;
use regex::Regex;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::error::ReconcileError;
use super::files::DayFiles;
use super::parameters::{self, days, instant_type};
use super::rules::Rules;
use super::terms::Terms;
use crate::contract::{self, ColumnKind, Contract};

/// Tables ready for SQL.
#[derive(Default)]
pub(super) struct Engine {
    tables: BTreeMap<String, LazyFrame>,
}

/// A column of a result: its name and type.
pub(super) type ResultColumn<'a> = (&'a str, ColumnKind);

#[derive(Deserialize)]
struct OrderFile {
    source_file: String,
}

impl Engine {
    /// Registers everything a rule of this night may read.
    pub(super) fn open(terms: &Terms, rules: &Rules, files: &DayFiles) -> Result<Engine, ReconcileError> {
        let mut engine = Engine::default();
        for contract in contract::all() {
            engine.register_dataset(terms, contract, files).map_err(ReconcileError::query(&contract.name))?;
        }
        for (name, table) in parameters::tables(terms, files).map_err(ReconcileError::query("params"))? {
            engine.register(name, table);
        }
        engine.register_wechat_channels(terms)?;
        for (name, sql) in rules.views() {
            engine.register_view(name, sql).map_err(ReconcileError::query(name))?;
        }
        Ok(engine)
    }

    /// Runs a query and reads its rows into `T`, whose fields are among `columns`; a column the query
    /// does not give is null, one that is not listed is an error.
    pub(super) fn rows<T: DeserializeOwned>(
        &self,
        what: &str,
        sql: &str,
        columns: &[ResultColumn<'_>],
    ) -> Result<Vec<T>, ReconcileError> {
        let query = self.query(sql).map_err(ReconcileError::query(what))?;
        let frame = typed(query, columns).and_then(LazyFrame::collect).map_err(ReconcileError::query(what))?;
        let batches = to_arrow(frame).map_err(ReconcileError::shape(what))?;
        let mut rows = Vec::new();
        for batch in batches {
            let part: Vec<T> = serde_arrow::from_record_batch(&batch).map_err(ReconcileError::shape(what))?;
            rows.extend(part);
        }
        Ok(rows)
    }

    /// Plans a query. Every query gets a context of its own: Polars leaves the aliases of one query
    /// behind as tables of the next.
    fn query(&self, sql: &str) -> PolarsResult<LazyFrame> {
        let mut context = SQLContext::new();
        for (name, table) in &self.tables {
            context.register(name, table.clone());
        }
        context.execute(&dialect(sql))
    }

    fn register(&mut self, name: &str, table: LazyFrame) {
        self.tables.insert(name.to_owned(), table);
    }

    fn register_dataset(&mut self, terms: &Terms, contract: &Contract, files: &DayFiles) -> PolarsResult<()> {
        let day = match files.of_day(&contract.name) {
            Some(path) => scan(contract, path)?,
            None => empty(contract)?,
        };
        let window = files.window(&contract.name, terms.rules.lookback_start(files.date));
        self.register(&contract.name, day);
        self.register(&format!("{}_history", contract.name), history(contract, &window)?);
        if contract.name == "breaks" {
            let memory = files.latest_before("breaks").map_or_else(|| empty(contract), |path| scan(contract, path))?;
            self.register("breaks_yesterday", memory);
        }
        Ok(())
    }

    fn register_wechat_channels(&mut self, terms: &Terms) -> Result<(), ReconcileError> {
        let sql = "SELECT DISTINCT source_file AS source_file FROM orders_history";
        let files: Vec<OrderFile> = self.rows("orders_history", sql, &[("source_file", ColumnKind::Text)])?;
        let files: Vec<_> = files.into_iter().map(|file| file.source_file).collect();
        let table = parameters::wechat_channels(terms, &files).map_err(ReconcileError::query("wechat_channels"))?;
        self.register("wechat_channels", table);
        Ok(())
    }

    /// Computes a shared view once; the rules then read the result.
    fn register_view(&mut self, name: &str, sql: &str) -> PolarsResult<()> {
        let frame = self.query(sql)?.collect()?;
        self.register(name, frame.lazy());
        Ok(())
    }
}

/// The portable `INTERVAL '8' HOUR` as this Polars writes it: `INTERVAL '8 HOUR'`.
fn dialect(sql: &str) -> Cow<'_, str> {
    static INTERVAL: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"INTERVAL '(\d+)' ([A-Z]+)").expect("the pattern is well-formed"));
    INTERVAL.replace_all(sql, "INTERVAL '$1 $2'")
}

/// The file's columns in the contract's types; one the file does not have yet is null.
fn scan(contract: &Contract, path: &Path) -> PolarsResult<LazyFrame> {
    let args = ScanArgsParquet { glob: false, hive_options: HiveOptions::new_disabled(), ..Default::default() };
    let mut frame = LazyFrame::scan_parquet(PlRefPath::new(path.to_string_lossy()), args)?;
    let present = frame.collect_schema()?;
    let columns = contract.columns.iter().map(|column| (column.name.as_str(), column.kind));
    Ok(frame.select(columns.map(|column| typed_column(&present, column)).collect::<Vec<_>>()))
}

/// All days of the window one after the other, `dt` telling which.
fn history(contract: &Contract, window: &[(NaiveDate, &Path)]) -> PolarsResult<LazyFrame> {
    let dated = |frame: LazyFrame, date: NaiveDate| frame.with_column(lit(days(date)).cast(DataType::Date).alias("dt"));
    if window.is_empty() {
        return Ok(dated(empty(contract)?, NaiveDate::default()));
    }
    let days = window.iter().map(|(date, path)| Ok(dated(scan(contract, path)?, *date)));
    concat(days.collect::<PolarsResult<Vec<_>>>()?, UnionArgs::default())
}

fn empty(contract: &Contract) -> PolarsResult<LazyFrame> {
    let columns = contract.columns.iter().map(|column| (column.name.as_str(), column.kind));
    let nothing = df!["nothing" => Vec::<i64>::new()]?.lazy();
    let present = Schema::default();
    Ok(nothing.select(columns.map(|column| typed_column(&present, column)).collect::<Vec<_>>()).limit(0))
}

fn typed(mut query: LazyFrame, columns: &[ResultColumn<'_>]) -> PolarsResult<LazyFrame> {
    let present = query.collect_schema()?;
    let is_known = |name: &str| columns.iter().any(|(known, _)| *known == name);
    if let Some(unknown) = present.iter_names().find(|name| !is_known(name)) {
        polars_bail!(ColumnNotFound: "`{unknown}` is not a column the result may have");
    }
    Ok(query.select(columns.iter().map(|column| typed_column(&present, *column)).collect::<Vec<_>>()))
}

fn typed_column(present: &Schema, (name, kind): ResultColumn<'_>) -> Expr {
    let value = if present.contains(name) { col(name) } else { lit(NULL) };
    value.cast(data_type(kind)).alias(name)
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

/// Hands a Polars result over to Arrow through Parquet in memory: the one format both libraries
/// agree on without unsafe code.
fn to_arrow(mut frame: DataFrame) -> Result<Vec<RecordBatch>, ArrowError> {
    let mut bytes = Vec::new();
    let writer = ParquetWriter::new(&mut bytes).with_compression(ParquetCompression::Uncompressed);
    writer.finish(&mut frame).map_err(|error| ArrowError::ExternalError(Box::new(error)))?;
    ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes))?.build()?.collect()
}
