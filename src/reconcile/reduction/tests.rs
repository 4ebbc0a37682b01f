//! Tests that rules give the same result over reduced and over whole tables: for every rule case, and for random nights
//! in which everything nullable is null somewhere, keys repeat and amounts are at their limits.

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

use super::Limits;
use crate::contract::{self, Column, ColumnKind, Contract};
use crate::dataset::partition::{self, Provenance};
use crate::job::{MerchantPair, PathPattern, SubsidyAmount, SubsidyProgram};
use crate::money::Fen;
use crate::reconcile::basis::Basis;
use crate::reconcile::basis::files::{DayFiles, Scratch};
use crate::reconcile::basis::parameters::days;
use crate::reconcile::basis::terms::{OrderChannels, Terms};
use crate::reconcile::breaks::candidate::{self, Candidate};
use crate::reconcile::cases::fixture::{Fixture, folders, name_of};
use crate::reconcile::cases::parts_tests::in_parts;
use crate::reconcile::engine::Engine;
use crate::reconcile::ledger::observed;
use crate::reconcile::rules::{Reads, Rules};
use crate::record::{LedgerRow, Record};

/// No table is too small and no condition matches too many rows: every condition of a table reduces it.
const EAGER: Limits = Limits { small_rows: 0, matched_rows: u64::MAX, matched_share: 1, held_keys: 0 };
/// Conditions that match more than a quarter are given up, so that keys, absences and large groups must reduce.
const PICKY: Limits = Limits { small_rows: 0, matched_rows: 2, matched_share: 4, held_keys: 0 };
/// Some tables stay whole and provide keys, others are reduced.
const MIXED: Limits = Limits { small_rows: 12, matched_rows: 2, matched_share: 4, held_keys: 6 };

/// Compares the rows of every rule over reduced tables with those over whole ones; returns the rules that read less, and
/// the number of rows found.
fn compare(name: &str, basis: Basis<'_>, scratch: &Scratch) -> (BTreeSet<String>, usize) {
    let rules = basis.rules;
    let mut engine = Engine::open(basis, scratch).unwrap();
    let whole = whole_rows(&mut engine, rules);
    let mut had_less = BTreeSet::new();
    for limits in [EAGER, PICKY, MIXED, Limits::default()] {
        let reduction = engine.reduce(rules.iter(), limits);
        for (rule, whole) in rules.iter().zip(&whole) {
            let rows = engine.reduced_rows::<Candidate>(rule, &reduction, candidate::COLUMNS);
            if let Some(rows) = rows {
                let mut rows: Vec<_> = rows.unwrap().flat_map(Result::unwrap).collect();
                rows.sort();
                assert_eq!(rows, *whole, "{name}: {} {limits:?}", rule.id);
                had_less.insert(rule.id.clone());
            }
        }
    }
    (had_less, whole.iter().map(Vec::len).sum())
}

/// The rows of every rule over whole tables.
fn whole_rows(engine: &mut Engine<'_>, rules: &Rules) -> Vec<Vec<Candidate>> {
    let rows = rules.iter().map(|rule| {
        let mut rows = engine.rows::<Candidate>(&rule.id, &rule.sql, candidate::COLUMNS).unwrap();
        rows.sort();
        rows
    });
    rows.collect()
}

#[test]
fn every_rule_case_gives_the_same_over_reduced_tables() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules");
    for case in folders(&root).unwrap().iter().flat_map(|folder| folders(folder).unwrap()) {
        let rules = Rules::built_in().only(&name_of(case.parent().unwrap()));
        let mut night = Fixture::read(&case).unwrap();
        if !night.files.day.contains_key(LedgerRow::DATASET) {
            night.put_ledger(&Rules::built_in()).unwrap();
        }
        let name = case.display().to_string();
        compare(&name, night.basis(&rules), &night.scratch);
    }
}

#[test]
fn random_nights_give_the_same_over_reduced_tables() {
    let rules = Rules::built_in();
    let (mut reduced, mut found) = (BTreeSet::new(), 0);
    for seed in 0..20 {
        let scratch = Scratch::new_in(&std::env::temp_dir()).unwrap();
        let files = Chance::seeded(seed).night(scratch.folder());
        let basis = Basis { terms: &terms(), rules: &rules, files: &files };
        let (rules, rows) = compare(&format!("seed {seed}"), basis, &scratch);
        reduced.extend(rules);
        found += rows;
        hold_observed_coupons_against_their_view(&files);
    }
    assert!(found > 1_000, "only {found} breaks in all nights");
    let whole: Vec<_> = rules.iter().map(|rule| &rule.id).filter(|id| !reduced.contains(*id)).collect();
    assert!(whole.len() <= 12, "never reduced: {whole:?}");
}

#[test]
fn rules_find_the_same_in_partitions_of_many_parts_reduced_or_whole() {
    let (terms, rules) = (terms(), Rules::built_in());
    for seed in 0..6 {
        let [scratch, of_parts] = [(); 2].map(|()| Scratch::new_in(&std::env::temp_dir()).unwrap());
        let files = Chance::seeded(seed).night(scratch.folder());
        let parts = in_parts(&files, &of_parts.folder().join("parts"), 3);
        let mut engines = [(&files, &scratch), (&parts, &of_parts)]
            .map(|(files, scratch)| Engine::open(Basis { terms: &terms, rules: &rules, files }, scratch).unwrap());
        let [one, many] = engines.each_mut().map(|engine| whole_rows(engine, &rules));
        assert!(one == many, "seed {seed}");
        compare(&format!("seed {seed} in parts"), Basis { terms: &terms, rules: &rules, files: &parts }, &of_parts);
        hold_observed_coupons_against_their_view(&parts);
    }
}

#[test]
fn a_group_is_held_against_the_number_of_its_own_stock_not_against_the_least_of_all() {
    let case = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(case.path().join(name), text).unwrap();
    write("stocks.csv", "stock_id,total_send_num\nS1,1\nS2,9\nS3,2\n");
    write("user_coupons.csv", "stock_id,coupon_code\nS1,A\nS2,B\nS2,C\nS3,D\nS3,E\nS3,F\nS4,G\nS4,H\n");
    let mut night = Fixture::read(case.path()).unwrap();
    night.put_ledger(&Rules::built_in()).unwrap();
    let rules = Rules::built_in().only("ST01");
    let mut engine = Engine::open(night.basis(&rules), &night.scratch).unwrap();
    let reduction = engine.reduce(rules.iter(), Limits { matched_rows: 3, ..PICKY });
    let reduced = reduction.of("ST01").unwrap();
    let coupons = reduced.tables.iter().position(|table| table == "observed_coupons").unwrap();
    assert_eq!(reduced.rows[&coupons], [3, 4, 5], "the coupons of S3, of which two were sent");
}

/// The view that is computed from two sorted files equals the result of its SQL in all columns.
fn hold_observed_coupons_against_their_view(files: &DayFiles) {
    let (terms, rules) = (terms(), Rules::built_in());
    let scratch = Scratch::new_in(&std::env::temp_dir()).unwrap();
    observed::write(files, &Reads::default(), scratch.folder()).unwrap();
    let mut engine = Engine::open(Basis { terms: &terms, rules: &rules, files }, &scratch).unwrap();
    let columns = [("stock_id", ColumnKind::Text), ("coupon_code", ColumnKind::Text)];
    let walked = engine.sorted("SELECT stock_id, coupon_code FROM observed_coupons", &columns).unwrap();
    let defined = engine.sorted(rules.view("observed_coupons").unwrap(), &columns).unwrap();
    assert!(walked.equals_missing(&defined), "{walked} {defined}");
}

fn date() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, 20).unwrap()
}

fn terms() -> Terms {
    let mut terms = Terms::default();
    terms.rules.must_associate = vec!["S1".to_owned()];
    terms.rules.merchant_pairs = vec![MerchantPair { belong: "M1".to_owned(), order: "M2".to_owned() }];
    terms.rules.max_coupons_per_order = 1;
    terms.own_merchants = vec!["M1".to_owned()];
    terms.order_sources =
        vec![OrderChannels { path: PathPattern::new("", "x1"), wechat_channels: vec!["x1".to_owned()] }];
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

/// A random night: every dataset, including the ledger, independent of the others.
struct Chance(StdRng);

impl Chance {
    fn seeded(seed: u64) -> Chance {
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

    /// Rows with sorted, unique keys.
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
                ColumnKind::Text => Cell::Text(self.text(&column.name)),
                ColumnKind::Integer => Cell::Integer(*[0, 0, 1, 2, 3, 99, 100, 100, 101].choose(&mut self.0).unwrap()),
                ColumnKind::Boolean => Cell::Flag(self.0.gen_bool(0.5)),
                ColumnKind::Date if column.name == "business_date" => Cell::Day(days(day)),
                ColumnKind::Date => Cell::Day(days(date()) - self.0.gen_range(-1..4)),
                ColumnKind::Instant => {
                    // Including midnights in Shanghai and the microsecond before.
                    let hours = i64::from(days(date())) * 24 - 8 - self.0.gen_range(-3..6) * 12;
                    Cell::Instant(hours * 3_600_000_000 - self.0.gen_range(0..2))
                }
            })
            .collect()
    }
}

impl Chance {
    /// Few values, so that rows match.
    fn text(&mut self, column: &str) -> String {
        let words: &[&str] = match column {
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
            "coupon_code" if self.0.gen_bool(0.1) => &[""],
            _ => &[],
        };
        if let Some(word) = words.choose(&mut self.0) {
            return (*word).to_owned();
        }
        let (letter, count) = match column {
            "stock_id" | "coupon_stock_id" => ("S", 3),
            "coupon_code" => ("C", 12),
            "out_trade_no" | "associate_out_trade_no" => ("O", 40),
            name if name.ends_with("openid") => ("U", 5),
            name if name.ends_with("transaction_id") => ("T", 40),
            name if name.contains("merchant") || name.contains("mchid") => ("M", 3),
            name if name.contains("subsidy") => ("N", 12),
            _ => ("x", 3),
        };
        format!("{letter}{}", self.0.gen_range(1..=count))
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
