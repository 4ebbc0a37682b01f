//! The order columns of a ledger row: what the passes found tonight, or, for an order that left the
//! look-back, what the previous row knew.

use chrono::{DateTime, Utc};

use super::facts::{LineAmounts, Order, Orders};
use super::matching::Match;
use crate::money::Fen;
use crate::record::LedgerRow;

/// The order columns of a ledger row.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct OrderSide {
    pub(super) match_pass: Option<String>,
    pub(super) claim_count: i64,
    pub(super) out_trade_no: Option<String>,
    pub(super) transaction_id: Option<String>,
    pub(super) openid: Option<String>,
    pub(super) merchant: Option<String>,
    pub(super) paid_at: Option<DateTime<Utc>>,
    pub(super) is_live: Option<bool>,
    pub(super) is_fully_refunded: Option<bool>,
    pub(super) goods: Option<Fen>,
    pub(super) discount: Option<Fen>,
    pub(super) paid: Option<Fen>,
    pub(super) order_refund: Option<Fen>,
    pub(super) bill_paid: Option<Fen>,
    pub(super) bill_refund: BillRefund,
}

/// What the bill refunded of the order.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct BillRefund {
    pub(super) amount: Option<Fen>,
    pub(super) count: i64,
    pub(super) last_at: Option<DateTime<Utc>>,
}

impl OrderSide {
    /// The order columns after the passes. `previous` is the coupon's row of the night before.
    pub(super) fn of(matched: Match<'_>, orders: &Orders, previous: Option<&LedgerRow>) -> OrderSide {
        match matched {
            Match::Found { pass, claim_count, order, amounts } => {
                let mut side = found(order, amounts, previous);
                side.match_pass = Some(pass.as_str().to_owned());
                side.claim_count = claim_count;
                side
            }
            Match::Ambiguous { claim_count } => {
                OrderSide { match_pass: Some("ambiguous".to_owned()), claim_count, ..OrderSide::default() }
            }
            Match::Nothing => previous.filter(|row| left_the_lookback(row, orders)).map(carried).unwrap_or_default(),
        }
    }
}

fn left_the_lookback(previous: &LedgerRow, orders: &Orders) -> bool {
    previous.out_trade_no.as_deref().is_some_and(|number| orders.find(number).is_none())
}

fn found(order: &Order, amounts: Option<LineAmounts>, previous: Option<&LedgerRow>) -> OrderSide {
    let previous = previous.filter(|row| row.out_trade_no.as_deref() == Some(&*order.out_trade_no));
    OrderSide {
        match_pass: None,
        claim_count: 0,
        out_trade_no: Some(order.out_trade_no.clone()),
        transaction_id: order.transaction_id.clone(),
        openid: order.openid.clone(),
        merchant: order.merchant.clone(),
        paid_at: order.paid_at,
        is_live: Some(order.is_live),
        is_fully_refunded: Some(order.is_fully_refunded),
        goods: amounts.map(|amounts| amounts.goods),
        discount: amounts.map(|amounts| amounts.discount),
        paid: amounts.map(|amounts| amounts.paid),
        order_refund: Some(order.refund_fen),
        bill_paid: order.bill_paid_fen.or_else(|| previous?.bill_paid_fen),
        bill_refund: BillRefund::of(order).or_earlier(previous.map(BillRefund::of_previous)),
    }
}

fn carried(row: &LedgerRow) -> OrderSide {
    OrderSide {
        match_pass: row.match_pass.clone(),
        claim_count: row.claim_count,
        out_trade_no: row.out_trade_no.clone(),
        transaction_id: row.transaction_id.clone(),
        openid: row.order_openid.clone(),
        merchant: row.order_merchant.clone(),
        paid_at: row.order_paid_at,
        is_live: row.order_live,
        is_fully_refunded: row.order_fully_refunded,
        goods: row.goods_fen,
        discount: row.discount_fen,
        paid: row.paid_fen,
        order_refund: row.order_refund_fen,
        bill_paid: row.bill_paid_fen,
        bill_refund: BillRefund::of_previous(row),
    }
}

impl BillRefund {
    fn of(order: &Order) -> BillRefund {
        let amount = (order.bill_refund_count > 0).then_some(order.bill_refund_fen);
        BillRefund { amount, count: order.bill_refund_count, last_at: order.bill_refunded_at }
    }

    fn of_previous(row: &LedgerRow) -> BillRefund {
        BillRefund { amount: row.refund_fen, count: row.refund_count, last_at: row.refunded_at }
    }

    /// Refund rows leave the look-back before the order does; what was refunded stays refunded.
    fn or_earlier(self, earlier: Option<BillRefund>) -> BillRefund {
        earlier.filter(|earlier| earlier.amount > self.amount).unwrap_or(self)
    }
}
