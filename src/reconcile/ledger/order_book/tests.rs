//! Tests that the tables of the order book equal the results of the views' SQL, for arbitrary exports
//! and bills.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Days, NaiveDate, Utc};
use proptest::prelude::*;

use super::*;
use crate::contract::ColumnKind::{self, Boolean, Date, Instant, Integer, Text};
use crate::dataset::partition::{self, Provenance};
use crate::money::Fen;
use crate::reconcile::basis::Basis;
use crate::reconcile::basis::files::Scratch;
use crate::reconcile::basis::terms::Terms;
use crate::reconcile::engine::Engine;
use crate::reconcile::ledger::tally::{BillRows, Tally};
use crate::reconcile::rules::{Reads, Rules};
use crate::record::{OrderLine, Payment, Record, Refund};

const LINES: &[(&str, ColumnKind)] = &[
    ("out_trade_no", Text),
    ("stock_id", Text),
    ("coupon_code", Text),
    ("transaction_id", Text),
    ("merchant", Text),
    ("openid", Text),
    ("channel", Text),
    ("paid_at", Instant),
    ("goods_fen", Integer),
    ("discount_fen", Integer),
    ("paid_fen", Integer),
    ("refund_fen", Integer),
    ("source_file", Text),
    ("dt", Date),
];
const TOTALS: &[(&str, ColumnKind)] = &[
    ("out_trade_no", Text),
    ("transaction_id", Text),
    ("merchant", Text),
    ("openid", Text),
    ("channel", Text),
    ("source_file", Text),
    ("paid_at", Instant),
    ("paid_date", Date),
    ("changed_date", Date),
    ("goods_fen", Integer),
    ("discount_fen", Integer),
    ("paid_fen", Integer),
    ("refund_fen", Integer),
    ("bill_transaction_id", Text),
    ("bill_paid_fen", Integer),
    ("bill_date", Date),
    ("bill_is_revoked", Boolean),
    ("bill_refund_fen", Integer),
    ("bill_refund_count", Integer),
    ("bill_refunded_at", Instant),
    ("bill_refund_date", Date),
    ("is_paid", Boolean),
    ("is_fully_refunded", Boolean),
    ("is_live", Boolean),
];
const PAYMENTS: &[(&str, ColumnKind)] = &[
    ("transaction_id", Text),
    ("out_trade_no", Text),
    ("openid", Text),
    ("mchid", Text),
    ("sub_mchid", Text),
    ("order_fen", Integer),
    ("trade_time", Instant),
    ("dt", Date),
    ("is_revoked", Boolean),
];
const REFUNDS: &[(&str, ColumnKind)] = &[
    ("transaction_id", Text),
    ("out_trade_no", Text),
    ("refund_fen", Integer),
    ("refund_count", Integer),
    ("refunded_at", Instant),
    ("dt", Date),
];

const MERCHANTS: &[(&str, ColumnKind)] = &[("merchant", Text)];

fn date() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, 20).unwrap()
}

fn instant(hours: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000 + hours * 3_600, 0).unwrap()
}

fn maybe(choice: u8, name: &str) -> Option<String> {
    (!choice.is_multiple_of(5)).then(|| format!("{name}{}", choice % 5))
}

/// Nine small numbers give an order line, a payment or a refund: few values, many collisions.
type Numbers = [u8; 9];

fn line([number, coupon, id, user, paid_at, goods, discount, paid, refund]: Numbers) -> OrderLine {
    OrderLine {
        out_trade_no: format!("T{}", number % 5),
        stock_id: if coupon % 3 == 0 { String::new() } else { "S".to_owned() },
        coupon_code: if coupon % 3 == 0 { String::new() } else { format!("C{}", coupon % 3) },
        transaction_id: maybe(id, "X"),
        merchant: maybe(user, "M"),
        openid: maybe(user / 2, "u"),
        channel: maybe(paid, "ch"),
        product: None,
        remark: None,
        paid_at: (paid_at % 4 > 0).then(|| instant(i64::from(paid_at))),
        goods_fen: Fen(i64::from(goods)),
        discount_fen: Fen(i64::from(discount)),
        paid_fen: Fen(i64::from(paid % 3)),
        refund_fen: Fen(i64::from(refund % 3)),
        source_file: format!("{}.csv", user % 2),
        source_line: 1,
        business_date: date(),
    }
}

fn payment([number, state, id, user, time, fen, ..]: Numbers) -> Payment {
    Payment {
        transaction_id: format!("X{}", id % 6),
        trade_state: ["SUCCESS", "REVOKED", "REFUND"][usize::from(state % 3)].to_owned(),
        trade_time: instant(i64::from(time)),
        appid: None,
        mchid: maybe(user, "M"),
        sub_mchid: maybe(user / 3, "M"),
        device_info: None,
        out_trade_no: format!("T{}", number % 6),
        openid: maybe(user / 2, "u"),
        trade_type: None,
        bank_type: None,
        fee_type: None,
        settled_fen: Fen(1),
        coupon_fee_fen: Fen(0),
        body: None,
        attach: None,
        service_fee_millifen: 0,
        rate: None,
        order_fen: Fen(i64::from(fen)),
        rate_remark: None,
        business_date: date(),
    }
}

fn refund([number, state, id, refund, time, fen, ..]: Numbers) -> Refund {
    Refund {
        refund_id: format!("R{}", refund % 4),
        out_refund_no: None,
        transaction_id: format!("X{}", id % 6),
        out_trade_no: format!("T{}", number % 6),
        accepted_time: instant(i64::from(time)),
        success_time: None,
        appid: None,
        mchid: None,
        sub_mchid: None,
        device_info: None,
        openid: None,
        trade_type: None,
        bank_type: None,
        fee_type: None,
        refund_type: None,
        refund_status: ["SUCCESS", "FAIL", "CHANGE"].get(usize::from(state % 4)).map(|text| (*text).to_owned()),
        refund_fen: Fen(1),
        applied_refund_fen: Fen(i64::from(fen % 4)),
        coupon_refund_fen: Fen(0),
        body: None,
        attach: None,
        service_fee_millifen: 0,
        rate: None,
        rate_remark: None,
        business_date: date(),
    }
}

/// Publishes the rows of one day, each key once.
fn publish<R: Record>(
    files: &mut DayFiles,
    scratch: &Scratch,
    days_back: u64,
    rows: impl Iterator<Item = R>,
    key: impl Fn(&R) -> Vec<String>,
) {
    let rows: BTreeMap<_, _> = rows.map(|row| (key(&row), row)).collect();
    let path = scratch.folder().join(format!("{}-{days_back}", R::DATASET));
    partition::write_rows(&path, &rows.into_values().collect::<Vec<_>>(), &Provenance::default()).unwrap();
    match days_back {
        0 => drop(files.day.insert(R::DATASET.to_owned(), path)),
        _ => files.history.entry(R::DATASET.to_owned()).or_default().push((date() - Days::new(days_back), path)),
    }
}

fn files(scratch: &Scratch, days: &[[Vec<Numbers>; 3]]) -> DayFiles {
    let mut files = DayFiles::new(date());
    for (days_back, [lines, payments, refunds]) in days.iter().enumerate().rev() {
        let days_back = days_back as u64;
        publish(&mut files, scratch, days_back, lines.iter().copied().map(line), |row| {
            vec![row.out_trade_no.clone(), row.stock_id.clone(), row.coupon_code.clone()]
        });
        publish(&mut files, scratch, days_back, payments.iter().copied().map(payment), |row| {
            vec![row.transaction_id.clone(), row.trade_state.clone()]
        });
        publish(&mut files, scratch, days_back, refunds.iter().copied().map(refund), |row| vec![row.refund_id.clone()]);
    }
    files
}

/// Bill rows with and without an order, as joins over the views count them.
fn bill_rows(engine: &mut Engine<'_>, side: &str, amount: &str) -> BillRows {
    let select = format!("SELECT COUNT(*) AS rows, COALESCE(SUM(b.{amount}), 0) AS fen FROM {side}_history b");
    let joins = "LEFT JOIN (SELECT DISTINCT transaction_id FROM order_totals) t ON t.transaction_id = b.transaction_id \
                 LEFT JOIN order_totals n ON n.out_trade_no = b.out_trade_no";
    let mut tally = |sql: &str| {
        let rows: Vec<(i64, i64)> = engine.rows("control totals", sql, &[("rows", Integer), ("fen", Integer)]).unwrap();
        Tally { rows: rows[0].0, fen: Fen(rows[0].1) }
    };
    BillRows {
        total: tally(&select),
        matched: tally(&format!("{select} {joins} WHERE t.transaction_id IS NOT NULL OR n.out_trade_no IS NOT NULL")),
        unmatched: tally(&format!("{select} {joins} WHERE t.transaction_id IS NULL AND n.out_trade_no IS NULL")),
    }
}

fn numbers() -> impl Strategy<Value = Vec<Numbers>> {
    proptest::collection::vec(proptest::array::uniform9(0_u8..60), 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_tables_are_what_the_views_say(
        days in proptest::collection::vec((numbers(), numbers(), numbers()), 1..4),
    ) {
        let scratch = Scratch::new_in(&std::env::temp_dir()).unwrap();
        let days: Vec<_> = days.into_iter().map(|(lines, payments, refunds)| [lines, payments, refunds]).collect();
        let files = files(&scratch, &days);
        let (terms, rules) = (Terms::default(), Rules::built_in());
        let from = terms.rules.lookback_start(files.date);
        let book = build(&files, from, scratch.folder(), &Reads::default()).unwrap();
        let mut engine = Engine::open(Basis { terms: &terms, rules: &rules, files: &files }, &scratch).unwrap();
        let views = [
            ("order_lines", LINES),
            ("bill_payments", PAYMENTS),
            ("bill_refunds", REFUNDS),
            ("order_totals", TOTALS),
            ("bill_merchants", MERCHANTS),
        ];
        for (view, columns) in views {
            let names = columns.iter().map(|(name, _)| format!("{name} AS {name}")).collect::<Vec<_>>().join(", ");
            let table = engine.sorted(&format!("SELECT {names} FROM {view}"), columns).unwrap();
            let wanted = engine.sorted(rules.view(view).unwrap(), columns).unwrap();
            prop_assert!(table.equals_missing(&wanted), "{view}\n{table}\n{wanted}");
        }
        let named: Vec<(String,)> = engine
            .rows("files", "SELECT DISTINCT source_file AS source_file FROM orders_history", &[("source_file", Text)])
            .unwrap();
        let named: BTreeSet<_> = named.into_iter().map(|(file,)| file).collect();
        prop_assert_eq!(source_files(&files, from).unwrap(), named);
        prop_assert_eq!(book.payment_rows, bill_rows(&mut engine, "payments", "order_fen"));
        prop_assert_eq!(book.refund_rows, bill_rows(&mut engine, "refunds", "applied_refund_fen"));
    }
}
