//! The order columns of a ledger row: what was matched tonight or, for orders that left the look-back, what the previous row
//! had.

use std::io;

use super::matching::{Match, Pass};
use super::order_book::{LineAmounts, Order, OrderBook, RefundBlocks, Refunded};
use super::wallet::PreviousRow;
use crate::dataset::columns::Micros;
use crate::money::Fen;
use crate::record::match_pass::AMBIGUOUS;

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

/// What the order side needs of exports and bills.
pub(super) struct LookBack<'w> {
    /// Its first instant.
    pub(super) from: Micros,
    pub(super) orders: &'w OrderBook,
    pub(super) blocks: &'w mut Blocks,
}

/// Memory for reading them.
#[derive(Default)]
pub(super) struct Blocks {
    orders: Vec<u8>,
    refunds: RefundBlocks,
}

/// The refunds of the order in the bills.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct BillRefund {
    pub(super) amount: Option<Fen>,
    pub(super) count: i64,
    pub(super) last_at: Option<Micros>,
}

impl LookBack<'_> {
    /// Whether an order is not in the look-back, or no longer.
    fn has_left(&mut self, out_trade_no: &str) -> io::Result<bool> {
        Ok(self.orders.by_number.find(out_trade_no, &mut self.blocks.orders)?.is_none())
    }

    /// Whether the line that claimed the coupon has left the look-back, even if other lines of the order have not: the
    /// lines of an older order leave one by one.
    fn has_claim_left(&self, row: &PreviousRow<'_>, matched: &Match<'_>, paid_claims: i64) -> bool {
        let is_old = row.order_paid_at.is_some_and(|paid_at| paid_at < self.from);
        let is_gone = match matched {
            Match::Found { order, .. } if paid_claims == 1 => row.out_trade_no != Some(order.out_trade_no),
            _ => paid_claims == 0,
        };
        is_old && is_gone && row.match_pass == Some(Pass::Claim.as_str())
    }

    /// The refunds of an order in its bills.
    fn refunded(&mut self, transaction_id: Option<&str>, out_trade_no: &str) -> io::Result<Option<Refunded<'_>>> {
        self.orders.refunds.of(transaction_id, out_trade_no, &mut self.blocks.refunds)
    }
}

impl<'a> OrderSide<'a> {
    /// The order columns after the passes. `paid_claims` are the claims of tonight's paid orders,
    /// `previous` is the coupon's row of the night before, `returned_at` its last return by tonight.
    pub(super) fn new(
        matched: Match<'a>,
        paid_claims: i64,
        previous: Option<&PreviousRow<'a>>,
        returned_at: Option<Micros>,
        mut look_back: LookBack<'_>,
    ) -> io::Result<OrderSide<'a>> {
        let outlived = match previous {
            Some(row) if outlives(row, &matched, paid_claims, returned_at, &mut look_back)? => Some(row),
            _ => None,
        };
        let mut side = outlived.map_or_else(|| OrderSide::shown(matched, previous), carried);
        let Some(number) = side.out_trade_no else { return Ok(side) };
        let is_leaving = outlived.is_some() || side.paid_at.is_some_and(|paid_at| paid_at < look_back.from);
        let shown = side.refunded();
        if let Some(row) = previous.filter(|row| row.out_trade_no == Some(number) && is_leaving) {
            side.bill_refund = BillRefund::of_previous(row).with(look_back.refunded(side.transaction_id, number)?);
        }
        if is_leaving {
            side.hold_to_its_payment(shown);
        }
        Ok(side)
    }

    /// What exports and bills of the look-back show of the order.
    fn shown(matched: Match<'a>, previous: Option<&PreviousRow<'a>>) -> OrderSide<'a> {
        match matched {
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
        }
    }

    /// The refunded amount of the order, by its export or by the bills.
    fn refunded(&self) -> Fen {
        self.order_refund.max(self.bill_refund.amount).unwrap_or_default()
    }

    /// The lines of an order older than the look-back leave one by one, and the remaining ones may look fully refunded:
    /// its payment in the bill, if known, must be refunded too. One paid just after midnight may have left before it is
    /// that old, in the export of the day before. Conversely the refunds of such an order may only add up
    /// here (those that left and those of tonight), although neither the look-back nor the previous row (`shown`)
    /// reaches the payment on its own.
    fn hold_to_its_payment(&mut self, shown: Fen) {
        let Some(paid) = self.bill_paid else { return };
        let (was_refunded, is_refunded) = (self.is_fully_refunded == Some(true), self.refunded() >= paid);
        let has_become_refunded = !was_refunded && paid > Fen::ZERO && shown < paid && is_refunded;
        if has_become_refunded || (was_refunded && !is_refunded) {
            self.count_as_refunded(is_refunded);
        }
    }

    fn count_as_refunded(&mut self, is_fully_refunded: bool) {
        (self.is_live, self.is_fully_refunded) = (Some(!is_fully_refunded), Some(is_fully_refunded));
        if self.match_pass == Some(Pass::Claim.as_str()) {
            self.claim_count = i64::from(!is_fully_refunded);
        }
    }
}

/// Whether the row of the night before says more about the order than tonight's passes: its order, or the line that
/// claimed the coupon, has left the look-back, and the passes found none; or only a refunded one beside its live one;
/// or one that does not name the coupon beside its claim; or the same order by a weaker pass than its claim; or several
/// live orders claimed the coupon, and claims have left.
fn outlives(
    row: &PreviousRow<'_>,
    matched: &Match<'_>,
    paid_claims: i64,
    returned_at: Option<Micros>,
    look_back: &mut LookBack<'_>,
) -> io::Result<bool> {
    let has_claim_left = look_back.has_claim_left(row, matched, paid_claims);
    let is_better = match matched {
        Match::Ambiguous { .. } => false,
        _ if row.match_pass == Some(AMBIGUOUS) => return Ok(paid_claims < row.claim_count),
        Match::Nothing => true,
        Match::Found { order, .. } if has_claim_left && row.out_trade_no == Some(order.out_trade_no) => true,
        Match::Found { pass, order, .. } => {
            row.order_live == Some(true) && (!order.is_live || is_held_by_claim(row, *pass, returned_at))
        }
    };
    match row.out_trade_no {
        Some(number) if is_better => Ok(has_claim_left || look_back.has_left(number)?),
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
        bill_refund: BillRefund::of(order),
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

    /// Refunds leave the look-back one by one: the refunds of an order that left it are what yesterday's row knew plus
    /// what was first listed after it. The look-back (`seen`) may show more if that row missed a refund for another
    /// reason, such as a late bill.
    fn with(self, seen: Option<Refunded<'_>>) -> BillRefund {
        let Some(seen) = seen else { return self };
        let last_at = self.last_at.max(seen.last_at);
        let all = match self.amount {
            None if seen.fresh_count == 0 => None,
            amount => Some(amount.unwrap_or_default() + seen.fresh),
        };
        if all < Some(seen.fen) {
            return BillRefund { amount: Some(seen.fen), count: seen.count, last_at };
        }
        BillRefund { amount: all, count: self.count + seen.fresh_count, last_at }
    }
}

/// Whether the claim of the night before goes before an order found by this pass, as it would in the look-back. A
/// coupon that came back since is another matter: what it is used for next may be known by its association alone.
fn is_held_by_claim(row: &PreviousRow<'_>, pass: Pass, returned_at: Option<Micros>) -> bool {
    let is_kept = returned_at.is_none_or(|returned_at| row.order_paid_at.is_some_and(|paid_at| returned_at < paid_at));
    pass != Pass::Claim && row.match_pass == Some(Pass::Claim.as_str()) && is_kept
}
