//! The night as a script for `spark-submit`: a Python program with the same SQL, columns and settings as a session.
//! A pure function of the night, so that results can be attributed to exactly this night. Text only.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Int64Type, TimestampMicrosecondType};
use arrow::temporal_conversions::{date32_to_datetime, timestamp_us_to_datetime};
use chrono::NaiveDate;

use super::catalog::{self, Table};
use super::place::Place;
use super::{CONFIGURATION, SORTED_LEDGER, ledger};
use crate::contract;
use crate::dataset::parts;
use crate::reconcile::basis::Basis;
use crate::reconcile::error::{ReconcileError, scratched};
use crate::reconcile::ledger::order_book;
use crate::reconcile::rules::Rule;
use crate::record::{LedgerRow, Record};
use crate::sha256::sha256_of;

/// The functions of every script.
const FUNCTIONS: &str = include_str!("script.py");
/// The result that names the completed script.
pub(super) const END: &str = "end";
/// The result that is the ledger.
pub(super) const LEDGER: &str = "ledger";
/// The requested wallets and coupons: one fingerprint per line (`Fingerprints`).
const ASKED: [&str; 2] = ["fingerprints_of_wallets", "fingerprints_of_coupons"];

/// What is handed over to a script and what it returns, all below one folder of the lake.
#[derive(Debug)]
pub struct Handover {
    /// The folder.
    pub folder: PathBuf,
    /// The digest of every partition that may be read, by its SQL name (`orders__20261118`), and of `ASKED`: the
    /// SHA-256 of its file, or that of its parts together.
    pub digests: BTreeMap<String, String>,
}

impl Handover {
    /// The handed-over first file of D of a dataset; its other parts are beside it.
    pub fn input(&self, dataset: &str) -> PathBuf {
        self.folder.join("inputs").join(dataset).join(parts::FIRST)
    }

    /// The handed-over fingerprints of the requested wallets and coupons, and their names.
    pub fn asked(&self) -> [(&'static str, PathBuf); 2] {
        ASKED.map(|name| (name, self.folder.join("inputs").join(format!("{name}.txt"))))
    }

    /// The name of a day's file in `digests`.
    pub fn name_of_day(dataset: &str, date: NaiveDate) -> String {
        catalog::name_of_day(dataset, date)
    }
}

/// A night for `spark-submit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// A Python program.
    pub text: String,
    /// Where it writes its results.
    pub(super) answers: PathBuf,
}

impl Script {
    /// The digest that identifies the script, in hexadecimal.
    pub(super) fn sha256(&self) -> String {
        sha256_of(self.text.as_bytes())
    }
}

/// Writes a night as a script: the ledger, its totals and the rows of these rules.
pub(in crate::reconcile) fn write(
    job: &str,
    basis: Basis<'_>,
    judged: &[&Rule],
    place: &Place,
    handover: &Handover,
) -> Result<Script, ReconcileError> {
    let (mut handed, mut staged) = (basis.files.clone(), BTreeMap::new());
    for (dataset, path) in &mut handed.day {
        let input = handover.input(dataset);
        staged.insert(input.clone(), std::mem::replace(path, input));
    }
    let (declared, body) = (BTreeSet::new(), String::new());
    let mut writer = Writer { basis: Basis { files: &handed, ..basis }, place, handover, staged, declared, body };
    writer.name_asked()?;
    let order_files = || wechat_channels(basis);
    writer.answer(LEDGER, SORTED_LEDGER, &order_files)?;
    for (name, sql) in ledger::questions() {
        writer.answer(name, &sql, &order_files)?;
    }
    for rule in judged {
        writer.answer(&rule.id, &rule.sql, &order_files)?;
    }
    let text = format!("{}\n{FUNCTIONS}{}\n{ENDING}", heading(job, basis.files.date, place, handover)?, writer.body);
    Ok(Script { text, answers: handover.folder.join("answers") })
}

/// The last lines of every script.
const ENDING: &str = "\
with open(__file__, \"rb\") as script:
    end(hashlib.sha256(script.read()).hexdigest(), spark.version)
";

/// Writes the head of the script: what it is, where the lake is, and the constants of the functions.
fn heading(job: &str, date: NaiveDate, place: &Place, handover: &Handover) -> Result<String, ReconcileError> {
    let folder = below(place, &handover.folder)?;
    let lake = place.uri(&place.root)?;
    let settings: String =
        CONFIGURATION.iter().map(|(key, value)| format!("    {}: {},\n", text(key), text(value))).collect();
    let columns: String = contract::all()
        .map(|contract| format!("    {}: {},\n", text(&contract.name), text(&catalog::ddl(contract))))
        .collect();
    Ok(format!(
        "#!/usr/bin/env python3\n\
         \"\"\"The night of {date} of a job, for spark-submit; written by coupon-recon {version}.\n\n    \
         spark-submit SCRIPT [LAKE]\n    \
         coupon-recon run JOB.toml --date {date} --engine spark --take-script\n\n\
         The first builds the coupon ledger and applies the rules; the second publishes the results, and refuses those of a\n\
         script that was changed. LAKE is where the cluster sees the lake, if not at the address below.\n\
         \"\"\"\n\n\
         NAME = {name}\n\
         LAKE = {lake}\n\
         FOLDER = {folder}\n\
         SETTINGS = {{\n{settings}}}\n\
         COLUMNS = {{\n{columns}}}\n",
        version = env!("CARGO_PKG_VERSION"),
        name = text(&format!("coupon-recon {job} {date}")),
        lake = text(lake.trim_end_matches('/')),
        folder = text(&folder),
    ))
}

struct Writer<'a> {
    basis: Basis<'a>,
    place: &'a Place,
    handover: &'a Handover,
    /// The current path of each file, by the path to which it will be handed over.
    staged: BTreeMap<PathBuf, PathBuf>,
    declared: BTreeSet<String>,
    body: String,
}

type OrderFiles<'a> = &'a dyn Fn() -> Result<Vec<RecordBatch>, ReconcileError>;

impl Writer<'_> {
    /// The requested wallets and coupons.
    fn name_asked(&mut self) -> Result<(), ReconcileError> {
        for (name, path) in self.handover.asked() {
            let call = format!("lines({}, {})", text(name), text(&below(self.place, &path)?));
            self.read(name, &call);
        }
        Ok(())
    }

    /// A question, after everything it depends on.
    fn answer(&mut self, name: &str, sql: &str, order_files: OrderFiles<'_>) -> Result<(), ReconcileError> {
        for (name, table) in self.basis.undeclared(sql, &mut self.declared)? {
            self.declare(&name, &table, order_files)?;
        }
        self.query("answer", name, sql);
        Ok(())
    }

    fn declare(&mut self, name: &str, table: &Table, order_files: OrderFiles<'_>) -> Result<(), ReconcileError> {
        match table {
            Table::File(first, _) => {
                let paths = self.parts_of(first)?;
                self.read(name, &format!("file({}, {})", text(name), paths.join(", ")));
            }
            Table::Query(sql) => self.query("view", name, sql),
            Table::Shared(sql) if name == LedgerRow::DATASET => self.query("store", name, &with_asked(sql)),
            Table::Shared(sql) => self.query("store", name, sql),
            Table::Rows(batches) => self.rows(name, batches),
            Table::WechatChannels => self.rows(name, &order_files()?),
            Table::Nothing(columns) => self.call(&format!("rows({}, {}, [])", text(name), text(columns))),
        }
        Ok(())
    }

    /// The paths of the parts of a partition, as Python expressions. Those of D are counted in the staging folder.
    fn parts_of(&self, first: &Path) -> Result<Vec<String>, ReconcileError> {
        let lying = parts::of(self.staged.get(first).map_or(first, PathBuf::as_path)).map_err(scratched)?;
        let paths = (0..lying.len()).map(|number| parts::path(first, number));
        paths.map(|path| Ok(text(&below(self.place, &path)?))).collect()
    }

    /// A file and its digest.
    fn read(&mut self, name: &str, call: &str) {
        let digest = self.handover.digests.get(name).map_or("", String::as_str);
        self.call(&format!("{call}  # {digest}"));
    }

    fn query(&mut self, function: &str, name: &str, sql: &str) {
        self.call(&format!("\n{function}({}, {})", text(name), long_text(sql)));
    }

    fn rows(&mut self, name: &str, batches: &[RecordBatch]) {
        let columns = batches[0].schema();
        let columns: Vec<_> =
            columns.fields().iter().map(|it| format!("{} {}", it.name(), sql_type(it.data_type()))).collect();
        let rows: String =
            batches.iter().flat_map(|batch| (0..batch.num_rows()).map(|row| row_of(batch, row))).collect();
        self.call(&format!("rows({}, {}, [\n{rows}])", text(name), text(&columns.join(", "))));
    }

    fn call(&mut self, call: &str) {
        let _ = writeln!(self.body, "{call}");
    }
}

/// The ledger, which the SQL builds as if nothing had been requested, with D as the `asked_date` of what was.
/// A fingerprint is the first half of the SHA-256 over the strings, each preceded by its length (`Fingerprints`).
fn with_asked(sql: &str) -> String {
    let names = contract::contract(LedgerRow::DATASET).columns.iter().map(|column| column.name.as_str());
    let cells = names.map(|name| match name {
        "asked_date" => "CASE WHEN w.value IS NOT NULL OR c.value IS NOT NULL THEN l.business_date\n            \
                         ELSE l.asked_date END AS asked_date"
            .to_owned(),
        name => format!("l.{name} AS {name}"),
    });
    let cells = cells.collect::<Vec<_>>().join(",\n       ");
    let measured =
        |column: &str| format!("UNHEX(LPAD(HEX(OCTET_LENGTH(l.{column})), 16, '0')), CAST(l.{column} AS BINARY)");
    let fingerprint = |texts: &str| format!("SUBSTRING(SHA2(CONCAT({texts}), 256), 1, 32)");
    let [wallets, coupons] = ASKED;
    let wallet = fingerprint(&measured("order_openid"));
    let coupon = fingerprint(&format!("{}, {}", measured("order_openid"), measured("coupon_code")));
    format!(
        "SELECT {cells}\nFROM (\n{sql}\n) l\nLEFT JOIN {wallets} w ON w.value = {wallet}\n\
         LEFT JOIN {coupons} c ON c.value = {coupon}"
    )
}

/// The WeChat channels of the order files, whose names are read here.
fn wechat_channels(basis: Basis<'_>) -> Result<Vec<RecordBatch>, ReconcileError> {
    catalog::wechat_channels(basis.terms, &order_book::source_files(basis.files, basis.lookback_start())?)
}

/// A path relative to the lake.
fn below(place: &Place, path: &Path) -> Result<String, ReconcileError> {
    let out_of_reach = || ReconcileError::OutOfReach { path: path.to_owned() };
    place.uri(path)?;
    let below = path.strip_prefix(&place.root).map_err(|_| out_of_reach())?;
    below.to_str().map(str::to_owned).ok_or_else(out_of_reach)
}

/// A string literal for Python, which reads JSON strings alike.
fn text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A multi-line string, verbatim where Python reads it unchanged.
fn long_text(sql: &str) -> String {
    let is_plain = !sql.contains("\"\"\"") && !sql.contains(['\r', '\0']);
    if is_plain { format!("r\"\"\"\n{}\n\"\"\"", sql.trim_end()) } else { text(sql) }
}

fn sql_type(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Int64 => "BIGINT",
        DataType::Boolean => "BOOLEAN",
        DataType::Date32 => "DATE",
        DataType::Timestamp(..) => "TIMESTAMP",
        _ => "STRING",
    }
}

fn row_of(batch: &RecordBatch, row: usize) -> String {
    let cells: Vec<_> = batch.columns().iter().map(|column| cell(column.as_ref(), row)).collect();
    format!("    [{}],\n", cells.join(", "))
}

/// A cell as a Python literal; dates and instants in ISO 8601.
fn cell(array: &dyn Array, row: usize) -> String {
    if array.is_null(row) {
        return "None".to_owned();
    }
    match array.data_type() {
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Boolean => if array.as_boolean().value(row) { "True" } else { "False" }.to_owned(),
        DataType::Date32 => {
            let day = date32_to_datetime(array.as_primitive::<Date32Type>().value(row));
            text(&day.expect("a business date exists").date().to_string())
        }
        DataType::Timestamp(..) => {
            let instant = timestamp_us_to_datetime(array.as_primitive::<TimestampMicrosecondType>().value(row));
            text(&format!("{}+00:00", instant.expect("an instant of a night exists").format("%Y-%m-%dT%H:%M:%S%.6f")))
        }
        DataType::Utf8View => text(array.as_string_view().value(row)),
        DataType::LargeUtf8 => text(array.as_string::<i64>().value(row)),
        DataType::Utf8 => text(array.as_string::<i32>().value(row)),
        other => unreachable!("the small tables of a night have no {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_given_to_python_as_it_is() {
        assert_eq!(text("a\"b\\n券"), r#""a\"b\\n券""#);
        assert_eq!(long_text("SELECT '\\d'\n\n"), "r\"\"\"\nSELECT '\\d'\n\"\"\"");
        assert_eq!(long_text("SELECT '\"\"\"'\n"), r#""SELECT '\"\"\"'\n""#);
        assert_eq!(long_text("SELECT 1\r\n"), r#""SELECT 1\r\n""#);
    }

    #[test]
    fn the_ledger_of_a_script_has_the_columns_of_the_contract_and_knows_whom_the_night_asked() {
        let sql = with_asked("SELECT 1");
        let contract = contract::contract(LedgerRow::DATASET);
        for column in &contract.columns {
            assert!(sql.contains(&format!(" AS {}", column.name)), "{}", column.name);
        }
        assert!(sql.contains("FROM (\nSELECT 1\n) l") && sql.contains("THEN l.business_date"));
    }
}
