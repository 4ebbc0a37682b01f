//! The order columns of a ledger row: what the passes found tonight, or, where orders left the look-back,
//! what the previous row knew.

use super::matching::{Match, Pass};
use super::order_book::{LineAmounts, Order};
use super::wallet::PreviousRow;
use crate::dataset::columns::Micros;
use crate::money::Fen;

/// `match_pass` of a coupon that several live orders claim.
const AMBIGUOUS: &str = "ambiguous";

/// The order columns of a ledger row.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct OrderSide<'a> {
    pub(super) match_pass: Option<&'a str>,
    pub(super) claim_count: i64,
    pub(super) out_trade_no: Option<&'a str>,
    pub(super) transaction_id: Option<&'a str>,
    pub(super) openid: Option<&'a str>,
    pub(super) merchant: Option<&'a str>,
    pub(super) paid_at: Option<Micros>,
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
    pub(super) last_at: Option<Micros>,
}

impl<'a> OrderSide<'a> {
    /// The order columns after the passes. `paid_claims` are the claims of tonight's paid orders,
    /// `previous` is the coupon's row of the night before, `has_left` tells whether an order number is
    /// no longer in the look-back, which begins at `from`.
    pub(super) fn of<E>(
        matched: Match<'a>,
        paid_claims: i64,
        previous: Option<&PreviousRow<'a>>,
        from: Micros,
        has_left: impl FnOnce(&str) -> Result<bool, E>,
    ) -> Result<OrderSide<'a>, E> {
        let mut side = OrderSide::shown(matched, paid_claims, previous, has_left)?;
        if side.paid_at.is_some_and(|paid_at| paid_at < from) {
            side.hold_to_its_payment();
        }
        Ok(side)
    }

    /// What exports and bills of the look-back show of the order, else what was known of it.
    fn shown<E>(
        matched: Match<'a>,
        paid_claims: i64,
        previous: Option<&PreviousRow<'a>>,
        has_left: impl FnOnce(&str) -> Result<bool, E>,
    ) -> Result<OrderSide<'a>, E> {
        if let Some(row) = previous
            && outlives(row, &matched, paid_claims, has_left)?
        {
            return Ok(carried(row));
        }
        Ok(match matched {
            Match::Found { pass, claim_count, order, amounts } => {
                let mut side = found(&order, amounts, previous);
                side.match_pass = Some(pass.as_str());
                side.claim_count = claim_count;
                side
            }
            Match::Ambiguous { claim_count } => {
                OrderSide { match_pass: Some(AMBIGUOUS), claim_count, ..OrderSide::default() }
            }
            Match::Nothing => OrderSide::default(),
        })
    }

    /// The lines of an order older than the look-back leave one by one, and those that are left may look fully refunded:
    /// its payment in the bill, where that is known, must be refunded too.
    fn hold_to_its_payment(&mut self) {
        let Some(paid) = self.bill_paid else { return };
        let reaches_payment = self.order_refund.max(self.bill_refund.amount).unwrap_or_default() >= paid;
        if self.is_fully_refunded == Some(true) && !reaches_payment {
            self.become_live();
        }
    }

    fn become_live(&mut self) {
        (self.is_fully_refunded, self.is_live) = (Some(false), Some(true));
        if self.match_pass == Some(Pass::Claim.as_str()) {
            self.claim_count = 1;
        }
    }
}

/// Whether what the row of the night before knew of the order tells more than the passes tonight: its
/// order has left the look-back, and they found none, or only a refunded one beside its live one; or
/// several live orders claimed the coupon, and claims have left.
fn outlives<E>(
    row: &PreviousRow<'_>,
    matched: &Match<'_>,
    paid_claims: i64,
    has_left: impl FnOnce(&str) -> Result<bool, E>,
) -> Result<bool, E> {
    let is_better = match matched {
        Match::Ambiguous { .. } => false,
        _ if row.match_pass == Some(AMBIGUOUS) => return Ok(paid_claims < row.claim_count),
        Match::Nothing => true,
        Match::Found { order, .. } => row.order_live == Some(true) && !order.is_live,
    };
    match row.out_trade_no {
        Some(number) if is_better => has_left(number),
        _ => Ok(false),
    }
}

fn found<'a>(order: &Order<'a>, amounts: Option<LineAmounts>, previous: Option<&PreviousRow<'a>>) -> OrderSide<'a> {
    let previous = previous.filter(|row| row.out_trade_no == Some(order.out_trade_no));
    OrderSide {
        match_pass: None,
        claim_count: 0,
        out_trade_no: Some(order.out_trade_no),
        transaction_id: order.transaction_id,
        openid: order.openid,
        merchant: order.merchant,
        paid_at: order.paid_at,
        is_live: Some(order.is_live),
        is_fully_refunded: Some(order.is_fully_refunded),
        goods: amounts.map(|amounts| amounts.goods),
        discount: amounts.map(|amounts| amounts.discount),
        paid: amounts.map(|amounts| amounts.paid),
        order_refund: Some(order.refund),
        bill_paid: order.bill_paid.or_else(|| previous?.bill_paid_fen),
        bill_refund: BillRefund::of(order).or_earlier(previous.map(BillRefund::of_previous)),
    }
}

fn carried<'a>(row: &PreviousRow<'a>) -> OrderSide<'a> {
    OrderSide {
        match_pass: row.match_pass,
        claim_count: row.claim_count,
        out_trade_no: row.out_trade_no,
        transaction_id: row.transaction_id,
        openid: row.order_openid,
        merchant: row.order_merchant,
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
    fn of(order: &Order<'_>) -> BillRefund {
        let amount = (order.bill_refund_count > 0).then_some(order.bill_refund);
        BillRefund { amount, count: order.bill_refund_count, last_at: order.bill_refunded_at }
    }

    fn of_previous(row: &PreviousRow<'_>) -> BillRefund {
        BillRefund { amount: row.refund_fen, count: row.refund_count, last_at: row.refunded_at }
    }

    /// Refund rows leave the look-back before the order does; what was refunded stays refunded.
    fn or_earlier(self, earlier: Option<BillRefund>) -> BillRefund {
        earlier.filter(|earlier| earlier.amount > self.amount).unwrap_or(self)
    }
}
