//! Tests that the SQL and the local match give the same ledger: over the cases, and over random nights with few
//! values and many collisions.

use std::path::Path;

use polars::prelude::*;
use proptest::prelude::*;

use super::*;
use crate::contract;
use crate::dataset::partition;
use crate::reconcile::cases::fixture::{Fixture, folders, name_of};
use crate::reconcile::cluster::{FOOTING, Side};
use crate::reconcile::engine::Engine;
use crate::reconcile::engine::tables;
use crate::reconcile::error::ReconcileError;
use crate::reconcile::rules::{self, Rules};
use crate::record::{LedgerRow, Record, Stock};

/// An engine with all views defined.
fn engine<'a>(night: &'a Fixture, rules: &'a Rules) -> Result<Engine<'a>, ReconcileError> {
    let mut engine = Engine::open(night.basis(rules), &night.scratch)?;
    let latest = |dataset| {
        let contract = contract::contract(dataset);
        let path = match dataset {
            Stock::DATASET => night.files.of_day(dataset).or_else(|| night.files.latest_before(dataset)),
            _ => night.files.latest_before(dataset),
        };
        path.map_or_else(|| tables::empty(contract), |path| tables::scan(contract, path))
    };
    let (openids, codes): (Vec<_>, Vec<_>) = night.unknown_coupons.iter().cloned().unzip();
    let inputs = [
        ("latest_stocks", latest(Stock::DATASET)),
        ("coupon_ledger_yesterday", latest(LedgerRow::DATASET)),
        ("asked_wallets", df!["openid" => night.asked_wallets.clone()].map(DataFrame::lazy)),
        ("unknown_coupons", df!["openid" => openids, "coupon_code" => codes].map(DataFrame::lazy)),
    ];
    for (name, table) in inputs {
        engine.put(name, table.map_err(ReconcileError::query(name))?);
    }
    views().iter().try_for_each(|view| engine.define(view.name, view.sql))?;
    Ok(engine)
}

/// The difference between the ledger of the SQL and the local one; empty if there is none.
fn differences(night: &mut Fixture) -> Result<Vec<String>, ReconcileError> {
    let footing = night.put_ledger(&Rules::built_in())?;
    let local: Vec<LedgerRow> = partition::read_rows(night.files.of_day(LedgerRow::DATASET).expect("just built"))?;
    let rules = Rules::built_in();
    let mut engine = engine(night, &rules)?;
    let contract = contract::contract(LedgerRow::DATASET);
    let columns: Vec<_> = contract.columns.iter().map(|column| (column.name.as_str(), column.kind)).collect();
    let mut rows: Vec<LedgerRow> = engine.rows("ledger", "SELECT * FROM coupon_ledger", &columns)?;
    rows.sort_by(|one, other| (&one.stock_id, &one.coupon_code).cmp(&(&other.stock_id, &other.coupon_code)));
    let sides: Vec<Side> = engine.rows("footing", "SELECT * FROM footing", &FOOTING)?;
    let mut told = Vec::new();
    if rows.len() != local.len() {
        told.push(format!("{} rows, locally {}", rows.len(), local.len()));
    }
    told.extend(rows.iter().zip(&local).filter(|(sql, local)| sql != local).map(|(sql, local)| unlike(sql, local)));
    for side in footing {
        let row = sides.iter().find(|row| row.side == side.side);
        if row.map(|row| row.footing(side.side)).as_ref() != Some(&side) {
            told.push(format!("footing {row:?}, locally {side}"));
        }
    }
    Ok(told)
}

fn unlike(sql: &LedgerRow, local: &LedgerRow) -> String {
    let [sql, local] = [sql, local].map(|row| serde_json::to_value(row).expect("a record is plain"));
    let columns = contract::contract(LedgerRow::DATASET).columns.iter().map(|column| &column.name);
    let unlike = columns.filter(|name| sql[name.as_str()] != local[name.as_str()]);
    let unlike: Vec<_> = unlike.map(|name| format!("{name} {}, locally {}", sql[name], local[name])).collect();
    format!("{}/{}: {}", local["stock_id"], local["coupon_code"], unlike.join("; "))
}

#[test]
fn the_views_are_portable() {
    for view in views() {
        let found: Vec<_> = rules::findings(view.sql).iter().map(ToString::to_string).collect();
        assert!(found.is_empty(), "{}: {found:?}", view.name);
    }
}

#[test]
fn the_views_the_rules_share_are_the_rules_own() {
    let rules = Rules::built_in();
    for view in views().iter().filter(|view| rules.view(view.name).is_some()) {
        assert_eq!(rules.view(view.name), Some(view.sql), "{}", view.name);
    }
}

#[test]
fn as_many_receipts_are_told_as_promised() {
    let sql = views().iter().find(|view| view.name == "receipt_statuses").unwrap().sql;
    let half = MOST_RECEIPTS / 2;
    assert!(sql.contains(&format!("LEAD(told_{half}, {half}) OVER w, '') AS told_{MOST_RECEIPTS}")));
    assert!(sql.contains(&format!("WHEN receipt_count > {MOST_RECEIPTS} THEN '+…'")));
}

#[test]
fn every_case_gives_the_ledger_the_local_match_gives() {
    for case in folders(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ledger")).unwrap() {
        let told = differences(&mut Fixture::read(&case).unwrap()).unwrap();
        assert!(told.is_empty(), "{}: {}", name_of(&case), told.join("\n"));
    }
}

/// The nights of one coupon whose order was paid at 00:03 on the 18th and stands in the export of the 17th: with a
/// look-back of two days the export has left it on the 19th, the payment a day later. Per night the rest of a line
/// of the bill's refunds, if there is one; returns what each ledger says of the order.
fn nights_after_midnight(refunds: &[(u32, &str)]) -> Vec<(Option<bool>, Option<bool>, i64)> {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, lines: &[&str]| std::fs::write(folder.path().join(name), lines.join("\n")).unwrap();
    let order = "out_trade_no,transaction_id,stock_id,coupon_code,openid,paid_at,goods_fen,discount_fen,paid_fen";
    write("orders@2026-11-17.csv", &[order, "T1,X1,S1,C1,u1,2026-11-18 00:03:00,1500,500,1000"]);
    let mut nights: Vec<Fixture> = Vec::new();
    for day in 18..=21 {
        write("case.toml", &[&format!("date = \"2026-11-{day}\"")]);
        if day == 18 {
            let payment = "transaction_id,trade_state,trade_time,out_trade_no,order_fen";
            write("payments@2026-11-18.csv", &[payment, "X1,SUCCESS,2026-11-18 00:03:00,T1,1000"]);
        }
        for (_, refund) in refunds.iter().filter(|(of, _)| *of == day) {
            let header = "transaction_id,out_trade_no,accepted_time,refund_id,refund_status,applied_refund_fen";
            let row = format!("X1,T1,2026-11-{day} 10:00:00,{refund}");
            write(&format!("refunds@2026-11-{day}.csv"), &[header, &row]);
        }
        let mut night = Fixture::read(folder.path()).unwrap();
        night.terms.rules.lookback_days = 2;
        let before =
            nights.last().and_then(|before| Some((before.files.date, before.files.of_day(LedgerRow::DATASET)?)));
        let before = before.map(|(date, ledger)| vec![(date, ledger.to_owned())]);
        night.files.history.insert(LedgerRow::DATASET.to_owned(), before.unwrap_or_default());
        let told = differences(&mut night).unwrap();
        assert!(told.is_empty(), "2026-11-{day}: {}", told.join("\n"));
        nights.push(night);
    }
    let rows = nights.iter().map(|night| {
        let rows: Vec<LedgerRow> = partition::read_rows(night.files.of_day(LedgerRow::DATASET).unwrap()).unwrap();
        (rows[0].order_live, rows[0].order_fully_refunded, rows[0].claim_count)
    });
    rows.collect()
}

#[test]
fn an_order_paid_after_midnight_is_fully_refunded_whichever_night_its_refund_comes() {
    let (live, refunded) = ((Some(true), Some(false), 1), (Some(false), Some(true), 0));
    for (day, nights) in [(18, 0), (19, 1), (20, 2), (21, 3)] {
        let expected: Vec<_> = (0..4).map(|night| if night < nights { live } else { refunded }).collect();
        assert_eq!(nights_after_midnight(&[(day, "R1,SUCCESS,1000")]), expected, "refunded on the {day}th");
    }
    let by_halves = nights_after_midnight(&[(18, "R1,SUCCESS,400"), (19, "R2,SUCCESS,600")]);
    assert_eq!(by_halves, [live, refunded, refunded, refunded]);
    let in_part = nights_after_midnight(&[(19, "R1,SUCCESS,999")]);
    assert_eq!(in_part, [live, live, live, live]);
}

type Choices = &'static [(&'static str, &'static [&'static str])];

const STOCKS: &[&str] = &["S1", "S2"];
const CODES: &[&str] = &["C1", "C2", "C3", "C4"];
const USERS: &[&str] = &["u1", "u2", "u3", ""];
const STATES: &[&str] = &["", "SENDED", "USED", "EXPIRED", "DELETED", "DEACTIVATED", "NEWER"];
const TYPES: &[&str] = &["", "NORMAL", "DISCOUNT", "EXCHANGE"];
const NUMBERS: &[&str] = &["T1", "T2", "T3", "T4", ""];
const TRANSACTIONS: &[&str] = &["", "X1", "X2", "X3"];
const FEN: &[&str] = &["0", "1", "33", "500", "777"];
const MAYBE_FEN: &[&str] = &["", "0", "33", "550"];
const FLAGS: &[&str] = &["", "true", "false"];
const TIMES: &[&str] = &[
    "",
    "2024-02-29 12:30:00",
    "2025-12-31 23:59:59.5",
    "2026-03-01 08:00:00",
    "2026-10-30 07:59:59",
    "2026-11-20 10:00:00.12",
    "2026-11-20 10:00:00.8",
    "2026-11-20 23:59:59.999999",
    "2026-11-21 00:00:00",
    "2026-11-22 09:00:00",
];

/// The columns that the match reads, and their possible values. The key comes first.
const TABLES: &[(&str, usize, Choices)] = &[
    (
        "user_coupons",
        3,
        &[
            ("stock_id", STOCKS),
            ("coupon_code", CODES),
            ("openid", &["u1", "u2", "u3"]),
            ("coupon_state", STATES),
            ("stock_type", TYPES),
            ("belong_merchant", &["", "M1"]),
            ("discount_amount_fen", MAYBE_FEN),
            ("discount_percent", &["", "88", "50"]),
            ("exchange_price_fen", MAYBE_FEN),
            ("transaction_minimum_fen", MAYBE_FEN),
            ("available_start_time", TIMES),
            ("expire_time", TIMES),
            ("receive_time", TIMES),
            ("use_time", TIMES),
            ("return_time", TIMES),
            ("deactivate_time", TIMES),
            ("use_request_no", NUMBERS),
            ("return_request_no", &["", "R1"]),
            ("associate_out_trade_no", NUMBERS),
            ("verified_date", &["2026-11-18", "2026-11-20"]),
        ],
    ),
    (
        "coupon_ledger@2026-11-19",
        2,
        &[
            ("stock_id", STOCKS),
            ("coupon_code", CODES),
            ("openid", USERS),
            ("coupon_state", STATES),
            ("state_on_date", STATES),
            ("stock_type", TYPES),
            ("belong_merchant", &["", "M2"]),
            ("discount_amount_fen", MAYBE_FEN),
            ("discount_percent", &["", "90"]),
            ("exchange_price_fen", MAYBE_FEN),
            ("transaction_minimum_fen", MAYBE_FEN),
            ("available_start_at", TIMES),
            ("expire_at", TIMES),
            ("received_at", TIMES),
            ("used_at", TIMES),
            ("returned_at", TIMES),
            ("deactivated_at", TIMES),
            ("use_request_no", NUMBERS),
            ("return_request_no", &["", "R2"]),
            ("associate_out_trade_no", NUMBERS),
            ("match_pass", &["", "claim", "association"]),
            ("claim_count", &["0", "1"]),
            ("out_trade_no", &["", "T1", "T2", "T9"]),
            ("transaction_id", TRANSACTIONS),
            ("order_openid", USERS),
            ("order_merchant", &["", "M1"]),
            ("order_paid_at", TIMES),
            ("order_live", FLAGS),
            ("order_fully_refunded", FLAGS),
            ("goods_fen", MAYBE_FEN),
            ("discount_fen", MAYBE_FEN),
            ("paid_fen", MAYBE_FEN),
            ("order_refund_fen", MAYBE_FEN),
            ("bill_paid_fen", MAYBE_FEN),
            ("refund_fen", MAYBE_FEN),
            ("refunded_at", TIMES),
            ("refund_count", &["0", "2"]),
            ("asked_date", &["", "2026-11-19"]),
            ("verified_date", &["", "2026-11-19"]),
        ],
    ),
    ("orders", 3, ORDERS),
    ("orders@2026-11-19", 3, ORDERS),
    ("payments", 2, PAYMENTS),
    ("payments@2026-11-19", 2, PAYMENTS),
    ("refunds", 1, REFUNDS),
    ("refunds@2026-11-19", 1, REFUNDS),
    ("stocks@2026-11-18", 1, OF_STOCK),
    (
        "subsidy_payments",
        1,
        &[
            ("out_subsidy_no", &["P1", "P2", "P3", "P4", "P5", "P6", "P7"]),
            ("stock_id", STOCKS),
            ("coupon_code", &["C1", "C5"]),
            ("transaction_id", TRANSACTIONS),
            ("amount_fen", FEN),
            ("status", &["", "ACCEPTED", "SUCCESS", "FAIL", "RETURNING", "PARTIAL_RETURN", "FULL_RETURN"]),
            ("create_time", TIMES),
        ],
    ),
    (
        "subsidy_returns",
        1,
        &[
            ("out_subsidy_return_no", &["Q1", "Q2", "Q3"]),
            ("stock_id", STOCKS),
            ("coupon_code", &["C1", "C6"]),
            ("amount_fen", FEN),
            ("status", &["", "ACCEPTED", "SUCCESS"]),
            ("return_create_time", TIMES),
        ],
    ),
    (
        "coupon_codes",
        2,
        &[
            ("stock_id", STOCKS),
            ("coupon_code", &["C1", "C7"]),
            ("code_status", &["", "AVAILABLE", "DISPATCHED"]),
            ("dispatched_time", TIMES),
            ("openid", USERS),
        ],
    ),
    (
        "coupon_events@2026-11-18",
        2,
        &[
            ("stock_id", STOCKS),
            ("coupon_code", &["C2", "C7", "C8"]),
            ("event_id", &["E1"]),
            ("send_time", TIMES),
            ("openid", USERS),
        ],
    ),
];
const ORDERS: Choices = &[
    ("out_trade_no", &["T1", "T2", "T3", "T4"]),
    ("stock_id", &["S1", "S1", "S2", ""]),
    ("coupon_code", &["C1", "C2", "C3", ""]),
    ("transaction_id", TRANSACTIONS),
    ("merchant", &["", "M1", "M2"]),
    ("openid", USERS),
    ("paid_at", TIMES),
    ("goods_fen", FEN),
    ("discount_fen", FEN),
    ("paid_fen", FEN),
    ("refund_fen", FEN),
];
const PAYMENTS: Choices = &[
    ("transaction_id", &["X1", "X2", "X3"]),
    ("trade_state", &["SUCCESS", "REVOKED", "REFUND"]),
    ("trade_time", TIMES),
    ("out_trade_no", &["T1", "T2", "T3", "T9"]),
    ("order_fen", FEN),
];
const REFUNDS: Choices = &[
    ("refund_id", &["R1", "R2", "R3"]),
    ("transaction_id", &["X1", "X2", "X3"]),
    ("out_trade_no", &["T1", "T2", "T3", "T9"]),
    ("accepted_time", TIMES),
    ("refund_status", &["", "SUCCESS", "FAIL"]),
    ("applied_refund_fen", FEN),
];
const OF_STOCK: Choices = &[
    ("stock_id", STOCKS),
    ("stock_type", TYPES),
    ("belong_merchant", &["", "M3"]),
    ("discount_amount_fen", MAYBE_FEN),
    ("discount_percent", &["", "80"]),
    ("exchange_price_fen", MAYBE_FEN),
    ("transaction_minimum_fen", MAYBE_FEN),
];
const SETTINGS: &str = r#"
asked = ["u1"]
unknown_coupons = [["u2", "C2"], ["u3", "C9"]]
[[subsidy_programs]]
stock_id = "S1"
percent_of_discount = 50
due_days = 40
[[subsidy_programs]]
stock_id = "S2"
amount_fen = 100
"#;

/// A table as CSV with random cells and unique keys.
fn csv(columns: Choices, key_columns: usize, rows: &[Vec<prop::sample::Index>]) -> String {
    let names: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
    let pick = |row: &Vec<prop::sample::Index>| -> Vec<&str> {
        columns.iter().zip(row).map(|((_, choices), index)| *index.get(choices)).collect()
    };
    let rows: std::collections::BTreeMap<_, _> =
        rows.iter().map(pick).map(|row| (row[..key_columns].to_vec(), row.join(","))).collect();
    let lines = std::iter::once(names.join(",")).chain(rows.into_values());
    lines.collect::<Vec<_>>().join("\n")
}

/// Rows of every table.
fn nights() -> impl Strategy<Value = Vec<Vec<Vec<prop::sample::Index>>>> {
    let rows = |(_, _, columns): &(&str, usize, Choices)| {
        let row = prop::collection::vec(any::<prop::sample::Index>(), columns.len());
        prop::collection::vec(row, 0..10)
    };
    TABLES.iter().map(rows).collect::<Vec<_>>()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_night_gives_the_ledger_the_local_match_gives(night in nights()) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("case.toml"), SETTINGS).unwrap();
        for ((name, key_columns, columns), rows) in TABLES.iter().zip(&night) {
            std::fs::write(folder.path().join(format!("{name}.csv")), csv(columns, *key_columns, rows)).unwrap();
        }
        let told = differences(&mut Fixture::read(folder.path()).unwrap()).unwrap();
        prop_assert!(told.is_empty(), "{}", told.join("\n"));
    }
}
