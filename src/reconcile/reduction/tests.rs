//! Reduced tables give what whole tables give, rule by rule: over every rule case and over random nights in which
//! everything that can be null is null somewhere, keys stand twice and amounts lie at their edges.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use chrono::{Days, NaiveDate};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use super::super::candidate::{self, Candidate};
use super::super::engine::Engine;
use super::super::files::{DayFiles, Scratch};
use super::super::fixture::{Fixture, folders};
use super::super::parameters::days;
use super::super::rules::Rules;
use super::super::terms::Terms;
use super::Limits;
use crate::contract::{self, Column, ColumnKind, Contract};
use crate::dataset::partition::{self, Provenance};
use crate::job::{PathPattern, SubsidyAmount, SubsidyProgram};
use crate::money::Fen;
use crate::record::{LedgerRow, Record};

/// Nothing is too small to be reduced and nothing matches too much.
const EAGER: Limits = Limits { small_rows: 0, matched_rows: u64::MAX };

/// Holds every rule's rows over reduced tables against those over whole ones; gives the rules that had less to read,
/// and how many rows came out.
fn compare(
    name: &str,
    (terms, rules): (&Terms, &Rules),
    (files, scratch): (&DayFiles, &Scratch),
) -> (BTreeSet<String>, usize) {
    let mut engine = Engine::open(terms, rules, files, scratch).unwrap();
    let reduction = engine.reduce(rules.iter(), EAGER);
    let mut found = 0;
    for rule in rules.iter() {
        let mut whole: Vec<Candidate> = engine.rows(&rule.id, &rule.sql, candidate::COLUMNS).unwrap();
        let reduced = engine.reduced_rows(rule, &reduction, candidate::COLUMNS);
        let mut reduced: Vec<Candidate> = reduced.unwrap_or_else(|| Ok(whole.clone())).unwrap();
        whole.sort();
        reduced.sort();
        assert_eq!(reduced, whole, "{name}: {}", rule.id);
        found += whole.len();
    }
    let reduced = rules.iter().filter(|rule| reduction.of(&rule.id).is_some()).map(|rule| rule.id.clone());
    (reduced.collect(), found)
}

#[test]
fn every_rule_case_gives_the_same_over_reduced_tables() {
    let rules = Rules::built_in();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules");
    for case in folders(&root).unwrap().iter().flat_map(|folder| folders(folder).unwrap()) {
        let mut night = Fixture::read(&case).unwrap();
        if !night.files.day.contains_key(LedgerRow::DATASET) {
            night.put_ledger().unwrap();
        }
        let name = case.display().to_string();
        compare(&name, (&night.terms, &rules), (&night.files, &night.scratch));
    }
}

#[test]
fn random_nights_give_the_same_over_reduced_tables() {
    let rules = Rules::built_in();
    let (mut reduced, mut found) = (BTreeSet::new(), 0);
    for seed in 0..24 {
        let scratch = Scratch::new_in(&std::env::temp_dir()).unwrap();
        let files = Chance::of(seed).night(scratch.folder());
        let (rules, rows) = compare(&format!("seed {seed}"), (&terms(), &rules), (&files, &scratch));
        reduced.extend(rules);
        found += rows;
    }
    assert!(found > 2_000, "only {found} breaks in all nights");
    let whole: Vec<_> = rules.iter().map(|rule| &rule.id).filter(|id| !reduced.contains(*id)).collect();
    assert!(whole.len() <= 12, "never reduced: {whole:?}");
}

fn date() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, 20).unwrap()
}

fn terms() -> Terms {
    let mut terms = Terms::default();
    terms.rules.must_associate = vec!["S1".to_owned()];
    terms.rules.merchant_pairs = vec![("M1".to_owned(), "M2".to_owned())];
    terms.rules.max_coupons_per_order = 1;
    terms.own_merchants = vec!["M1".to_owned()];
    terms.order_sources = vec![(PathPattern::new("", "x1"), vec!["x1".to_owned()])];
    terms.programs = ["S1", "S2"].map(program).to_vec();
    terms
}

fn program(stock_id: &str) -> SubsidyProgram {
    SubsidyProgram {
        stock_id: stock_id.to_owned(),
        payer_merchant: "M1".to_owned(),
        payee_merchant: "M2".to_owned(),
        amount: SubsidyAmount::Fixed(Fen(100)),
        due_days: 1,
    }
}

/// A night made by chance: every dataset, the ledger too, without any agreement between them.
struct Chance(StdRng);

impl Chance {
    fn of(seed: u64) -> Chance {
        Chance(StdRng::seed_from_u64(seed))
    }

    fn night(&mut self, folder: &Path) -> DayFiles {
        let mut files = DayFiles::new(date());
        for contract in contract::all().filter(|contract| contract.name != "breaks") {
            for day in (0..3).rev().map(|back| date() - Days::new(back)) {
                let path = folder.join(format!("{}-{day}.parquet", contract.name));
                let batch = self.batch(contract, day);
                partition::write_batches(&path, contract, &Provenance::default(), std::iter::once(Ok(batch))).unwrap();
                if day == date() {
                    files.day.insert(contract.name.clone(), path);
                } else {
                    files.history.entry(contract.name.clone()).or_default().push((day, path));
                }
            }
        }
        files
    }

    /// Rows with keys that are sorted and stand once.
    fn batch(&mut self, contract: &'static Contract, day: NaiveDate) -> RecordBatch {
        let rows = self.0.gen_range(0..40);
        let columns: Vec<_> = contract.columns.iter().map(|column| self.column(contract, column, day, rows)).collect();
        let place = |key: &String| contract.columns.iter().position(|column| column.name == *key).unwrap();
        let keys: Vec<_> = contract.key.iter().map(|key| columns[place(key)].clone()).collect();
        let key_of = |row: usize| keys.iter().map(|cells| cells[row].key()).collect::<Vec<_>>();
        let mut order: Vec<_> = (0..rows).collect();
        order.sort_by_key(|row| key_of(*row));
        order.dedup_by_key(|row| key_of(*row));
        let arrays = contract.columns.iter().zip(&columns).map(|(column, cells)| array(column.kind, cells, &order));
        RecordBatch::try_new(contract.arrow(), arrays.collect()).unwrap()
    }

    fn column(&mut self, contract: &Contract, column: &Column, day: NaiveDate, rows: usize) -> Vec<Cell> {
        let may_be_null = column.nullable && !contract.key.contains(&column.name);
        (0..rows)
            .map(|_| match column.kind {
                _ if may_be_null && self.0.gen_bool(0.2) => Cell::Null,
                ColumnKind::Text => Cell::Text(pool(&column.name).choose(&mut self.0).unwrap().to_string()),
                ColumnKind::Integer => Cell::Integer(*[0, 0, 1, 2, 3, 99, 100, 100, 101].choose(&mut self.0).unwrap()),
                ColumnKind::Boolean => Cell::Flag(self.0.gen_bool(0.5)),
                ColumnKind::Date if column.name == "business_date" => Cell::Day(days(day)),
                ColumnKind::Date => Cell::Day(days(date()) - self.0.gen_range(-1..4)),
                ColumnKind::Instant => {
                    // Midnights of Shanghai among them, and the microsecond before.
                    let hours = i64::from(days(date())) * 24 - 8 - self.0.gen_range(-3..6) * 12;
                    Cell::Instant(hours * 3_600_000_000 - self.0.gen_range(0..2))
                }
            })
            .collect()
    }
}

#[derive(Debug, Clone)]
enum Cell {
    Null,
    Text(String),
    Integer(i64),
    Flag(bool),
    Day(i32),
    Instant(i64),
}

impl Cell {
    fn key(&self) -> (i64, String) {
        match self {
            Cell::Text(text) => (0, text.clone()),
            Cell::Integer(number) | Cell::Instant(number) => (*number, String::new()),
            Cell::Day(day) => (i64::from(*day), String::new()),
            Cell::Flag(flag) => (i64::from(*flag), String::new()),
            Cell::Null => (i64::MIN, String::new()),
        }
    }
}

fn array(kind: ColumnKind, cells: &[Cell], order: &[usize]) -> ArrayRef {
    let cells = order.iter().map(|row| &cells[*row]);
    macro_rules! of {
        ($array:ty, $cell:path) => {
            cells.map(|cell| if let $cell(value) = cell { Some(value.clone()) } else { None }).collect::<$array>()
        };
    }
    match kind {
        ColumnKind::Text => Arc::new(of!(StringArray, Cell::Text)),
        ColumnKind::Integer => Arc::new(of!(Int64Array, Cell::Integer)),
        ColumnKind::Boolean => Arc::new(of!(BooleanArray, Cell::Flag)),
        ColumnKind::Date => Arc::new(of!(Date32Array, Cell::Day)),
        ColumnKind::Instant => Arc::new(of!(TimestampMicrosecondArray, Cell::Instant).with_timezone("UTC")),
    }
}

/// Few values, so that they meet.
fn pool(column: &str) -> &'static [&'static str] {
    match column {
        "stock_id" | "coupon_stock_id" => &["S1", "S2", "S3"],
        "coupon_code" => &["C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8", ""],
        "out_trade_no" | "associate_out_trade_no" => &["O1", "O2", "O3", "O4", "O5", "O6", "O7", "O8", "O9"],
        "coupon_state" | "state_on_date" => &["USED", "USED", "SENDED", "EXPIRED", "DEACTIVATED"],
        "match_pass" => &["claim", "claim", "association", "use_request", "ambiguous"],
        "stock_type" => &["NORMAL", "DISCOUNT", "EXCHANGE"],
        "stock_state" => &["RUNNING", "STOPED", "PAUSED"],
        "status" => &["ACCEPTED", "SUCCESS", "FAIL", "RETURNING", "PARTIAL_RETURN", "FULL_RETURN", "NEW"],
        "code_status" => &["DISPATCHED", "AVAILABLE"],
        "coupon_stock_status" => &["4", "8", "1"],
        "trade_state" => &["SUCCESS", "SUCCESS", "REVOKED", "REFUND"],
        "refund_status" => &["SUCCESS", "FAIL"],
        "subsidy_return_receipt_id" => &["", "", "R1", "R2"],
        "dataset" => &["payments", "orders", "refunds"],
        name if name.ends_with("openid") => &["U1", "U2", "U3"],
        name if name.ends_with("transaction_id") => &["T1", "T2", "T3", "T4", "T5", "T6", "T7", "T8"],
        name if name.contains("merchant") || name.contains("mchid") => &["M1", "M2", "M3"],
        name if name.contains("subsidy") => &["N1", "N2", "N3", "N4", "N5", "N6", "N7"],
        _ => &["x1", "x2", "x3"],
    }
}
