//! What the merchant and the bills say about coupons, as typed rows of the shared views.
//! Reads through the engine only; decides nothing.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::engine::{Engine, ResultColumn};
use super::error::ReconcileError;
use crate::contract::ColumnKind::{Boolean, Instant, Integer, Text};
use crate::money::Fen;

/// Stock and code of a coupon.
pub(super) type CouponKey = (String, String);

/// A fact about one coupon.
pub(super) trait AboutCoupon {
    /// The coupon.
    fn key(&self) -> (&str, &str);
}

/// An order of the look-back, its effective lines summed and the bill hung on (view `order_totals`).
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Order {
    pub(super) out_trade_no: String,
    pub(super) transaction_id: Option<String>,
    pub(super) merchant: Option<String>,
    pub(super) openid: Option<String>,
    pub(super) paid_at: Option<DateTime<Utc>>,
    pub(super) refund_fen: Fen,
    pub(super) bill_paid_fen: Option<Fen>,
    pub(super) bill_refund_fen: Fen,
    pub(super) bill_refund_count: i64,
    pub(super) bill_refunded_at: Option<DateTime<Utc>>,
    pub(super) is_fully_refunded: bool,
    pub(super) is_live: bool,
}

/// An order line that names a coupon.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Claim {
    pub(super) stock_id: String,
    pub(super) coupon_code: String,
    pub(super) out_trade_no: String,
    pub(super) goods_fen: Fen,
    pub(super) discount_fen: Fen,
    pub(super) paid_fen: Fen,
}

/// Amounts of the line a coupon was used on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LineAmounts {
    pub(super) goods: Fen,
    pub(super) discount: Fen,
    pub(super) paid: Fen,
}

/// A dispatched code, or a notification that a coupon was sent.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Dispatch {
    pub(super) stock_id: String,
    pub(super) coupon_code: String,
    pub(super) openid: Option<String>,
    pub(super) dispatched_at: Option<DateTime<Utc>>,
}

/// A subsidy payment receipt (view `receipts`).
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Receipt {
    pub(super) stock_id: String,
    pub(super) coupon_code: String,
    pub(super) out_subsidy_no: String,
    pub(super) transaction_id: Option<String>,
    pub(super) amount_fen: Fen,
    pub(super) status: String,
    pub(super) create_time: Option<DateTime<Utc>>,
    pub(super) is_live: bool,
    pub(super) is_paid: bool,
}

/// A successful subsidy return (view `returns`).
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Return {
    pub(super) stock_id: String,
    pub(super) coupon_code: String,
    pub(super) amount_fen: Fen,
}

/// The orders of the look-back.
#[derive(Debug, Default)]
pub(super) struct Orders {
    by_number: HashMap<String, Order>,
    plain_lines: HashMap<String, LineAmounts>,
}

/// Every fact of the night but the wallets.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) orders: Orders,
    pub(super) sides: CouponFacts,
}

/// Facts about coupons, each sorted by coupon.
#[derive(Debug, Default)]
pub(super) struct CouponFacts {
    pub(super) claims: Vec<Claim>,
    pub(super) dispatches: Vec<Dispatch>,
    pub(super) receipts: Vec<Receipt>,
    pub(super) returns: Vec<Return>,
}

impl LineAmounts {
    fn of(claim: &Claim) -> LineAmounts {
        LineAmounts { goods: claim.goods_fen, discount: claim.discount_fen, paid: claim.paid_fen }
    }
}

impl Claim {
    /// Amounts of the claiming line.
    pub(super) fn amounts(&self) -> LineAmounts {
        LineAmounts::of(self)
    }
}

impl Orders {
    /// Orders by number, and per order the amounts of its only line that names no coupon.
    pub(super) fn new(orders: Vec<Order>, plain_lines: Vec<Claim>) -> Orders {
        let by_number = orders.into_iter().map(|order| (order.out_trade_no.clone(), order)).collect();
        let amounts = plain_lines.into_iter().map(|line| (line.out_trade_no.clone(), line.amounts()));
        Orders { by_number, plain_lines: amounts.collect() }
    }

    /// The order of a number, paid or not.
    pub(super) fn find(&self, out_trade_no: &str) -> Option<&Order> {
        self.by_number.get(out_trade_no)
    }

    /// The paid order of a number.
    pub(super) fn find_paid(&self, out_trade_no: &str) -> Option<&Order> {
        self.find(out_trade_no).filter(|order| order.paid_at.is_some())
    }

    /// Amounts of the order's only line that names no coupon.
    pub(super) fn plain_line(&self, out_trade_no: &str) -> Option<LineAmounts> {
        self.plain_lines.get(out_trade_no).copied()
    }
}

impl Facts {
    /// Reads the facts of the night.
    pub(super) fn read(engine: &mut Engine<'_>) -> Result<Facts, ReconcileError> {
        let orders = engine.rows("order_totals", ORDERS, ORDER_COLUMNS)?;
        let plain_lines = engine.rows("order_lines", PLAIN_LINES, CLAIM_COLUMNS)?;
        let sides = CouponFacts {
            claims: sorted(engine, "order_lines", CLAIMS, CLAIM_COLUMNS)?,
            dispatches: sorted(engine, "coupon_codes", DISPATCHES, DISPATCH_COLUMNS)?,
            receipts: sorted(engine, "receipts", RECEIPTS, RECEIPT_COLUMNS)?,
            returns: sorted(engine, "returns", RETURNS, RETURN_COLUMNS)?,
        };
        Ok(Facts { orders: Orders::new(orders, plain_lines), sides })
    }
}

/// The engine gives no order that could be relied on; the merge needs one.
fn sorted<T: DeserializeOwned + AboutCoupon>(
    engine: &mut Engine<'_>,
    what: &str,
    sql: &str,
    columns: &[ResultColumn<'_>],
) -> Result<Vec<T>, ReconcileError> {
    let mut rows: Vec<T> = engine.rows(what, sql, columns)?;
    rows.sort_by(|one, other| one.key().cmp(&other.key()));
    Ok(rows)
}

macro_rules! about_coupon {
    ($($fact:ty),*) => { $(
        impl AboutCoupon for $fact {
            fn key(&self) -> (&str, &str) {
                (&self.stock_id, &self.coupon_code)
            }
        }
    )* };
}

about_coupon!(Claim, Dispatch, Receipt, Return, crate::record::UserCoupon, crate::record::LedgerRow);

const ORDERS: &str = "SELECT out_trade_no AS out_trade_no, transaction_id AS transaction_id, merchant AS merchant, \
     openid AS openid, paid_at AS paid_at, refund_fen AS refund_fen, bill_paid_fen AS bill_paid_fen, \
     bill_refund_fen AS bill_refund_fen, bill_refund_count AS bill_refund_count, \
     bill_refunded_at AS bill_refunded_at, is_fully_refunded AS is_fully_refunded, is_live AS is_live \
     FROM order_totals";
const ORDER_COLUMNS: &[ResultColumn<'_>] = &[
    ("out_trade_no", Text),
    ("transaction_id", Text),
    ("merchant", Text),
    ("openid", Text),
    ("paid_at", Instant),
    ("refund_fen", Integer),
    ("bill_paid_fen", Integer),
    ("bill_refund_fen", Integer),
    ("bill_refund_count", Integer),
    ("bill_refunded_at", Instant),
    ("is_fully_refunded", Boolean),
    ("is_live", Boolean),
];

const CLAIMS: &str = "SELECT stock_id AS stock_id, coupon_code AS coupon_code, out_trade_no AS out_trade_no, \
     goods_fen AS goods_fen, discount_fen AS discount_fen, paid_fen AS paid_fen \
     FROM order_lines WHERE stock_id <> '' AND coupon_code <> ''";
const PLAIN_LINES: &str = "SELECT '' AS stock_id, '' AS coupon_code, out_trade_no AS out_trade_no, \
     MAX(goods_fen) AS goods_fen, MAX(discount_fen) AS discount_fen, MAX(paid_fen) AS paid_fen \
     FROM order_lines WHERE coupon_code = '' GROUP BY out_trade_no HAVING COUNT(*) = 1";
const CLAIM_COLUMNS: &[ResultColumn<'_>] = &[
    ("stock_id", Text),
    ("coupon_code", Text),
    ("out_trade_no", Text),
    ("goods_fen", Integer),
    ("discount_fen", Integer),
    ("paid_fen", Integer),
];

const DISPATCHES: &str = "SELECT stock_id AS stock_id, coupon_code AS coupon_code, MAX(openid) AS openid, \
     MIN(dispatched_at) AS dispatched_at \
     FROM (SELECT c.stock_id AS stock_id, c.coupon_code AS coupon_code, c.openid AS openid, \
                  c.dispatched_time AS dispatched_at \
           FROM coupon_codes c CROSS JOIN params p \
           WHERE (c.code_status = 'DISPATCHED' OR c.dispatched_time IS NOT NULL) \
             AND (c.dispatched_time IS NULL OR c.dispatched_time < p.day_end_at) \
           UNION ALL \
           SELECT stock_id AS stock_id, coupon_code AS coupon_code, openid AS openid, send_time AS dispatched_at \
           FROM coupon_events_history) d \
     GROUP BY stock_id, coupon_code";
const DISPATCH_COLUMNS: &[ResultColumn<'_>] =
    &[("stock_id", Text), ("coupon_code", Text), ("openid", Text), ("dispatched_at", Instant)];

const RECEIPTS: &str = "SELECT stock_id AS stock_id, coupon_code AS coupon_code, out_subsidy_no AS out_subsidy_no, \
     transaction_id AS transaction_id, amount_fen AS amount_fen, status AS status, create_time AS create_time, \
     is_live AS is_live, is_paid AS is_paid FROM receipts";
const RECEIPT_COLUMNS: &[ResultColumn<'_>] = &[
    ("stock_id", Text),
    ("coupon_code", Text),
    ("out_subsidy_no", Text),
    ("transaction_id", Text),
    ("amount_fen", Integer),
    ("status", Text),
    ("create_time", Instant),
    ("is_live", Boolean),
    ("is_paid", Boolean),
];

const RETURNS: &str = "SELECT stock_id AS stock_id, coupon_code AS coupon_code, amount_fen AS amount_fen \
     FROM returns WHERE is_done";
const RETURN_COLUMNS: &[ResultColumn<'_>] = &[("stock_id", Text), ("coupon_code", Text), ("amount_fen", Integer)];
