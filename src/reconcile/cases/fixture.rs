//! A night given as CSV files and converted to partitions, for rule cases and ledger cases.
//!
//! `<dataset>.csv` is the partition of D, `<dataset>@2026-11-18.csv` an earlier one; only the relevant
//! columns are given. Times are Asia/Shanghai. A dataset without a file has an empty day, as if the job had
//! every source. `case.toml` states what differs from the defaults.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use chrono::{Days, NaiveDate, NaiveDateTime};
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::contract::{self, Column, ColumnKind, Contract};
use crate::dataset::partition::{self, Provenance};
use crate::job::{MerchantPair, PathPattern, SubsidyAmount, SubsidyProgram};
use crate::money::Fen;
use crate::reconcile::basis::Basis;
use crate::reconcile::basis::decisions::Decisions;
use crate::reconcile::basis::files::{DayFiles, Scratch, Shortfall};
use crate::reconcile::basis::parameters::days;
use crate::reconcile::basis::terms::{OrderChannels, Terms};
use crate::reconcile::breaks::judge::{Judgement, NightRules};
use crate::reconcile::engine::COMPUTED_VIEWS;
use crate::reconcile::error::ReconcileError;
use crate::reconcile::ledger;
use crate::reconcile::ledger::Asked;
use crate::reconcile::ledger::footing::Footing;
use crate::reconcile::rules::Rules;
use crate::record::{Break, LedgerRow, Record};

/// The default business date of a case.
const DEFAULT_DATE: (i32, u32, u32) = (2026, 11, 20);
/// Days before D for which every dataset has an empty partition, unless the case provides one.
const DEFAULT_KNOWN_DAYS: u64 = 3;

/// A night that is ready for match and rules. Its partitions live as long as this value.
pub(in crate::reconcile) struct Fixture {
    pub(in crate::reconcile) terms: Terms,
    pub(in crate::reconcile) asked: Asked,
    /// The wallets by name, since `asked` only has fingerprints.
    #[cfg(test)]
    pub(in crate::reconcile) asked_wallets: Vec<String>,
    /// Likewise, users and coupons.
    #[cfg(test)]
    pub(in crate::reconcile) unknown_coupons: Vec<(String, String)>,
    pub(in crate::reconcile) files: DayFiles,
    pub(in crate::reconcile) scratch: Scratch,
}

impl Fixture {
    /// Reads the folder of a case.
    pub(in crate::reconcile) fn read(case: &Path) -> Result<Fixture, ReconcileError> {
        let settings = read_settings(case)?;
        let scratch = Scratch::new_in(&std::env::temp_dir()).map_err(|error| wrong(case, error.to_string()))?;
        let date = settings.date.unwrap_or_else(default_date);
        let files = partitions(case, date, &settings, scratch.folder())?;
        Ok(Fixture {
            terms: settings.terms(),
            asked: settings.asked(),
            #[cfg(test)]
            asked_wallets: settings.asked,
            #[cfg(test)]
            unknown_coupons: settings.unknown_coupons,
            files,
            scratch,
        })
    }

    /// Builds the ledger of the case as the day's `coupon_ledger`, for these rules; returns its control
    /// totals.
    pub(in crate::reconcile) fn put_ledger(&mut self, rules: &Rules) -> Result<Vec<Footing>, ReconcileError> {
        let path = self.scratch.folder().join("built-ledger.parquet");
        let mut batches = Vec::new();
        let reads = rules.reads(&COMPUTED_VIEWS);
        let sink = |batch| {
            batches.push(batch);
            Ok::<_, ReconcileError>(())
        };
        let night = ledger::Night::open(&self.terms, &self.files, &self.asked)?;
        let footing = night.build(&reads, &self.scratch, sink)?;
        let contract = contract::contract(LedgerRow::DATASET);
        partition::write_batches(&path, contract, &Provenance::default(), batches.into_iter().map(Ok))?;
        self.files.day.insert(LedgerRow::DATASET.to_owned(), path);
        Ok(footing)
    }

    /// What its rules are judged on.
    pub(in crate::reconcile) fn basis<'a>(&'a self, rules: &'a Rules) -> Basis<'a> {
        Basis { terms: &self.terms, rules, files: &self.files }
    }

    /// Runs the rules over the case, which has its ledger, on this machine.
    pub(in crate::reconcile) fn judge(
        &self,
        rules: &Rules,
        shortfall: &Shortfall,
        decisions: &Decisions,
    ) -> Result<(Vec<Break>, Judgement), ReconcileError> {
        let (basis, scratch) = (self.basis(rules), &self.scratch);
        let mut breaks = Vec::new();
        let judgement = NightRules { basis, scratch, shortfall, decisions }.judge(|row| {
            breaks.push(row);
            Ok::<_, ReconcileError>(())
        })?;
        Ok((breaks, judgement))
    }
}

/// `case.toml`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CaseFile {
    date: Option<NaiveDate>,
    known_days: Option<u64>,
    /// Days on which a dataset is not known, by dataset.
    missing: BTreeMap<String, Vec<NaiveDate>>,
    /// Days before `date` whose partition of a dataset is marked as partial, by dataset.
    partial: BTreeMap<String, Vec<NaiveDate>>,
    asked: Vec<String>,
    unknown_coupons: Vec<(String, String)>,
    must_associate: Vec<String>,
    merchant_pairs: Vec<(String, String)>,
    wechat_channels: Vec<String>,
    own_merchants: Vec<String>,
    max_coupons_per_order: Option<u32>,
    grace_days: BTreeMap<String, u32>,
    without: Vec<String>,
    subsidy_programs: Vec<CaseProgram>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseProgram {
    stock_id: String,
    #[serde(default)]
    payer_merchant: String,
    #[serde(default)]
    payee_merchant: String,
    amount_fen: Option<i64>,
    percent_of_discount: Option<i64>,
    #[serde(default)]
    due_days: u32,
}

/// A table as written: header and rows of text.
pub(in crate::reconcile) struct Csv {
    path: PathBuf,
    pub(in crate::reconcile) header: Vec<String>,
    pub(in crate::reconcile) rows: Vec<Vec<String>>,
}

impl CaseFile {
    fn terms(&self) -> Terms {
        let mut terms = Terms { grace_days: self.grace_days.clone(), ..Terms::default() };
        terms.rules.must_associate = self.must_associate.clone();
        terms.rules.merchant_pairs =
            self.merchant_pairs.iter().cloned().map(|(belong, order)| MerchantPair { belong, order }).collect();
        terms.rules.max_coupons_per_order = self.max_coupons_per_order.unwrap_or(1);
        terms.programs = self.subsidy_programs.iter().map(CaseProgram::checked).collect();
        terms.own_merchants = self.own_merchants.clone();
        terms.order_sources =
            vec![OrderChannels { path: PathPattern::new("", "*"), wechat_channels: self.wechat_channels.clone() }];
        terms
    }

    fn asked(&self) -> Asked {
        Asked {
            wallets: self.asked.iter().map(|openid| [openid.as_str()]).collect(),
            unknown_coupons: self.unknown_coupons.iter().map(|(openid, code)| [openid.as_str(), code]).collect(),
        }
    }
}

impl CaseProgram {
    fn checked(&self) -> SubsidyProgram {
        let percent = self.percent_of_discount.map(SubsidyAmount::PercentOfDiscount);
        SubsidyProgram {
            stock_id: self.stock_id.clone(),
            payer_merchant: self.payer_merchant.clone(),
            payee_merchant: self.payee_merchant.clone(),
            amount: percent.unwrap_or(SubsidyAmount::Fixed(Fen(self.amount_fen.unwrap_or(0)))),
            due_days: self.due_days,
        }
    }
}

/// Converts the case's CSVs to partitions. Every other dataset gets an empty day, as if the job had every
/// source; `without` leaves a dataset out.
fn partitions(case: &Path, date: NaiveDate, settings: &CaseFile, scratch: &Path) -> Result<DayFiles, ReconcileError> {
    let mut files = DayFiles::new(date);
    let known_days = settings.known_days.unwrap_or(DEFAULT_KNOWN_DAYS);
    for contract in contract::all() {
        let is_made_here = contract.name == LedgerRow::DATASET || contract.name == Break::DATASET;
        if is_made_here || settings.without.contains(&contract.name) {
            continue;
        }
        let empty = scratch.join(format!("empty-{}.parquet", contract.name));
        write(&empty, contract, date, &Csv::empty())?;
        let earlier = (1..=known_days).rev().map(|day| (date - Days::new(day), empty.clone()));
        files.history.insert(contract.name.clone(), earlier.collect());
        files.day.insert(contract.name.clone(), empty);
    }
    for path in csv_files(case)? {
        let stem = name_of(&path).trim_end_matches(".csv").to_owned();
        let (dataset, day) = stem.split_once('@').unwrap_or((&stem, ""));
        let day = if day.is_empty() { date } else { parse_date(&path, day)? };
        let contract = contract::find(dataset).ok_or_else(|| wrong(&path, format!("`{dataset}` is not a dataset")))?;
        let file = scratch.join(format!("{stem}.parquet"));
        write(&file, contract, day, &Csv::read(&path)?)?;
        place(&mut files, dataset, day, file);
    }
    for (dataset, days) in &settings.missing {
        let published = files.history.get_mut(dataset).into_iter();
        published.for_each(|published| published.retain(|(day, _)| !days.contains(day)));
    }
    let marked = settings.partial.iter().flat_map(|(dataset, days)| days.iter().map(|day| (dataset.clone(), *day)));
    files.partial.extend(marked);
    Ok(files)
}

fn place(files: &mut DayFiles, dataset: &str, day: NaiveDate, file: PathBuf) {
    if day == files.date {
        files.day.insert(dataset.to_owned(), file);
        return;
    }
    let history = files.history.entry(dataset.to_owned()).or_default();
    history.retain(|(other, _)| *other != day);
    history.push((day, file));
    history.sort();
}

/// Writes a CSV as a partition, sorted by the contract's key.
fn write(path: &Path, contract: &'static Contract, date: NaiveDate, csv: &Csv) -> Result<(), ReconcileError> {
    csv.check_header(contract)?;
    let mut rows: Vec<_> = csv.rows.iter().collect();
    rows.sort_by_key(|row| contract.key.iter().map(|key| csv.cell(row, key)).collect::<Vec<_>>());
    let schema = contract.arrow();
    let columns = contract.columns.iter().map(|column| csv.column(&rows, column, date));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let batch = RecordBatch::try_new(schema, columns).map_err(|error| wrong(&csv.path, error.to_string()))?;
    Ok(partition::write_batches(path, contract, &Provenance::default(), std::iter::once(Ok(batch)))?)
}

impl Csv {
    fn empty() -> Csv {
        Csv { path: PathBuf::new(), header: Vec::new(), rows: Vec::new() }
    }

    /// Reads a CSV file.
    pub(in crate::reconcile) fn read(path: &Path) -> Result<Csv, ReconcileError> {
        let csv_error = |error: csv::Error| wrong(path, error.to_string());
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(path).map_err(csv_error)?;
        let header = reader.headers().map_err(csv_error)?.iter().map(str::to_owned).collect();
        let rows = reader.records().map(|record| Ok(record?.iter().map(str::to_owned).collect()));
        let rows = rows.collect::<Result<_, csv::Error>>().map_err(csv_error)?;
        Ok(Csv { path: path.to_owned(), header, rows })
    }

    fn check_header(&self, contract: &Contract) -> Result<(), ReconcileError> {
        let is_column = |name: &&String| contract.columns.iter().any(|column| column.name == **name);
        match self.header.iter().find(|name| !is_column(name)) {
            Some(name) => Err(wrong(&self.path, format!("`{}` has no column `{name}`", contract.name))),
            None => Ok(()),
        }
    }

    fn cell<'a>(&self, row: &'a [String], column: &str) -> &'a str {
        let index = self.header.iter().position(|name| name == column);
        index.and_then(|index| row.get(index)).map_or("", String::as_str)
    }

    /// A column of the partition: an empty cell is null, or the zero of its type if null is not allowed; for
    /// a date, that of the partition.
    fn column(&self, rows: &[&Vec<String>], column: &Column, date: NaiveDate) -> Result<ArrayRef, ReconcileError> {
        let cells = rows.iter().map(|row| Some(self.cell(row, &column.name)).filter(|cell| !cell.is_empty()));
        let zero = !column.nullable;
        Ok(match column.kind {
            ColumnKind::Text => Arc::new(cells.map(|cell| cell.or(zero.then_some(""))).collect::<StringArray>()),
            ColumnKind::Integer => {
                let number = |cell: &str| cell.parse().map_err(|_| self.not_a("number", cell));
                let cells = cells.map(|cell| Ok(cell.map(number).transpose()?.or(zero.then_some(0))));
                Arc::new(cells.collect::<Result<Int64Array, ReconcileError>>()?)
            }
            ColumnKind::Boolean => {
                let cells = cells.map(|cell| cell.map(|cell| cell == "true").or(zero.then_some(false)));
                Arc::new(cells.collect::<BooleanArray>())
            }
            ColumnKind::Date => {
                let cells = cells.map(|cell| {
                    let cell = cell.map(|cell| parse_date(&self.path, cell)).transpose()?;
                    Ok(cell.or(zero.then_some(date)).map(days))
                });
                Arc::new(cells.collect::<Result<Date32Array, ReconcileError>>()?)
            }
            ColumnKind::Instant => {
                let cells = cells.map(|cell| {
                    let cell = cell.map(|cell| self.instant(cell)).transpose()?;
                    Ok(cell.or(zero.then_some(clock::start_of(date).timestamp_micros())))
                });
                let array = cells.collect::<Result<TimestampMicrosecondArray, ReconcileError>>()?;
                Arc::new(array.with_timezone("UTC"))
            }
        })
    }

    fn instant(&self, cell: &str) -> Result<i64, ReconcileError> {
        let local = NaiveDateTime::parse_from_str(cell, "%Y-%m-%d %H:%M:%S%.f");
        let local = local.map_err(|_| self.not_a("time `YYYY-MM-DD hh:mm:ss`", cell))?;
        Ok(clock::beijing_instant(local).timestamp_micros())
    }

    fn not_a(&self, kind: &str, cell: &str) -> ReconcileError {
        wrong(&self.path, format!("`{cell}` is not a {kind}"))
    }
}

/// How records differ from the rows of a CSV, in its columns; `None` if they do not.
pub(in crate::reconcile) fn difference<R: Serialize>(expected: &Csv, records: &[R]) -> Option<String> {
    let rows = records.iter().map(|row| texts(row, &expected.header));
    let (mut actual, mut wanted): (Vec<_>, Vec<_>) = (rows.collect(), expected.rows.clone());
    actual.sort();
    wanted.sort();
    if actual == wanted {
        return None;
    }
    let show = |rows: &[Vec<String>]| rows.iter().map(|row| format!("\n    {}", row.join(","))).collect::<String>();
    let columns = expected.header.join(",");
    Some(format!("\n  columns {columns}\n  expected{}\n  found{}", show(&wanted), show(&actual)))
}

/// The columns of a record as CSV cells.
fn texts<R: Serialize>(row: &R, columns: &[String]) -> Vec<String> {
    let json = serde_json::to_value(row).unwrap_or_default();
    let text = |column: &String| match json.get(column) {
        None => "(no such column)".to_owned(),
        Some(serde_json::Value::Null) => String::new(),
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    columns.iter().map(text).collect()
}

fn read_settings(case: &Path) -> Result<CaseFile, ReconcileError> {
    let path = case.join("case.toml");
    if !path.exists() {
        return Ok(CaseFile::default());
    }
    let text = std::fs::read_to_string(&path).map_err(|error| wrong(&path, error.to_string()))?;
    toml::from_str(&text).map_err(|error| wrong(&path, error.to_string()))
}

fn default_date() -> NaiveDate {
    let (year, month, day) = DEFAULT_DATE;
    NaiveDate::from_ymd_opt(year, month, day).expect("the default date exists")
}

fn parse_date(path: &Path, text: &str) -> Result<NaiveDate, ReconcileError> {
    NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| wrong(path, format!("`{text}` is not a date `YYYY-MM-DD`")))
}

/// The folders in a folder, by name.
pub(in crate::reconcile) fn folders(dir: &Path) -> Result<Vec<PathBuf>, ReconcileError> {
    Ok(entries(dir)?.into_iter().filter(|path| path.is_dir()).collect())
}

fn csv_files(case: &Path) -> Result<Vec<PathBuf>, ReconcileError> {
    let is_input = |path: &PathBuf| name_of(path) != "expected.csv" && name_of(path).ends_with(".csv");
    Ok(entries(case)?.into_iter().filter(is_input).collect())
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>, ReconcileError> {
    let read = std::fs::read_dir(dir).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let mut paths: Vec<PathBuf> = read.map_err(|error: std::io::Error| wrong(dir, error.to_string()))?;
    paths.sort();
    Ok(paths)
}

/// The last component of a path.
pub(in crate::reconcile) fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn wrong(path: &Path, why: String) -> ReconcileError {
    ReconcileError::Case { path: path.to_owned(), why }
}
