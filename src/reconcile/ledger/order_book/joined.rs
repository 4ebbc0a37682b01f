//! The result of joining an order with its bill, and its packed form for later steps. How the two are matched is in `join`.

use super::bill::BilledOrder;
use super::entry::{LineAmounts, Order};
use super::order::{Line, Orders, Totals};
use super::refunds::Refunded;
use crate::dataset::columns::DayNumber;
use crate::money::Fen;
use crate::reconcile::error::ReconcileError;
use crate::sorter::{CellPacker, Unpacker};

/// The bill side of an order.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct BillSide<'a> {
    pub(super) transaction_id: Option<&'a str>,
    pub(super) paid: Option<Fen>,
    pub(super) day: Option<DayNumber>,
    pub(super) is_revoked: bool,
    pub(super) refunded: Option<Refunded<'a>>,
}

/// An order with its lines and its bill side.
pub(super) struct Joined<'a> {
    pub(super) totals: Totals<'a>,
    pub(super) lines: &'a [Line<'a>],
    pub(super) bill: BillSide<'a>,
}

/// Joined orders: their lines, and the bill side of each.
pub(super) struct Settled {
    /// Packed orders.
    pub(super) lines: Vec<u8>,
    /// The packed bill side of each; empty for one that is set apart.
    pub(super) bills: Vec<u8>,
}

impl<'a> BillSide<'a> {
    /// Made from an order's own payment, the one that stands for those of its number, and the refunds.
    pub(super) fn new(
        by_id: Option<BilledOrder<'a>>,
        by_number: Option<BilledOrder<'a>>,
        refunded: Option<Refunded<'a>>,
    ) -> BillSide<'a> {
        let payment = by_id.or(by_number);
        BillSide {
            transaction_id: payment.map(|it| it.transaction_id),
            paid: by_id.and_then(|it| it.order_fen).or_else(|| by_number?.order_fen),
            day: payment.map(|it| it.day),
            is_revoked: payment.is_some_and(|it| it.is_revoked),
            refunded,
        }
    }

    pub(super) fn pack(&self, cells: &mut CellPacker<'_>) {
        cells.maybe_text(self.transaction_id);
        cells.maybe_integer(self.paid.map(|fen| fen.0));
        cells.maybe_integer(self.day.map(i64::from));
        cells.flag(self.is_revoked);
        cells.flag(self.refunded.is_some());
        if let Some(refunded) = self.refunded {
            refunded.pack(cells);
        }
    }

    fn unpack(cells: &mut Unpacker<'a>) -> BillSide<'a> {
        BillSide {
            transaction_id: cells.maybe_text(),
            paid: cells.maybe_integer().map(Fen),
            day: cells.maybe_integer().map(|day| DayNumber::try_from(day).expect("a packed day")),
            is_revoked: cells.flag(),
            refunded: cells.flag().then(|| Refunded::unpack(cells)),
        }
    }
}

impl Settled {
    /// Passes on every order that is not set apart.
    pub(super) fn each(
        &self,
        mut see: impl FnMut(&Joined<'_>) -> Result<(), ReconcileError>,
    ) -> Result<(), ReconcileError> {
        let (mut orders, mut bills, mut lines) =
            (Orders::in_bytes(&self.lines), Unpacker::of_cells(&self.bills), Vec::new());
        while orders.next_into(&mut lines) {
            if bills.flag() {
                see(&Joined { totals: Totals::of(&lines), lines: &lines, bill: BillSide::unpack(&mut bills) })?;
            }
        }
        Ok(())
    }
}

impl<'a> Joined<'a> {
    pub(super) fn bill_refund(&self) -> Fen {
        self.bill.refunded.map_or(Fen::ZERO, |refunded| refunded.fen)
    }

    pub(super) fn is_fully_refunded(&self) -> bool {
        self.totals.paid > Fen::ZERO && self.totals.refund.max(self.bill_refund()) >= self.totals.paid
    }

    pub(super) fn is_live(&self) -> bool {
        self.totals.paid_at.is_some() && !self.is_fully_refunded()
    }

    /// What the match needs.
    pub(super) fn order(&self) -> Order<'a> {
        let totals = &self.totals;
        Order {
            out_trade_no: totals.out_trade_no,
            transaction_id: totals.transaction_id,
            merchant: totals.merchant,
            openid: totals.openid,
            paid_at: totals.paid_at,
            refund: totals.refund,
            bill_paid: self.bill.paid,
            bill_refund: self.bill_refund(),
            bill_refund_count: self.bill.refunded.map_or(0, |refunded| refunded.count),
            bill_refunded_at: self.bill.refunded.and_then(|refunded| refunded.last_at),
            is_fully_refunded: self.is_fully_refunded(),
            is_live: self.is_live(),
            plain_line: self.plain_line(),
        }
    }

    fn plain_line(&self) -> Option<LineAmounts> {
        let mut plain = self.lines.iter().filter(|line| line.row.coupon_code.is_empty());
        let only = plain.next()?;
        plain.next().is_none().then(|| LineAmounts::of(only))
    }
}

/// The payment that stands for those of one order number, with its own amount (`pn` in the view): one that stands before a
/// revoked one, then the largest.
pub(super) fn of_number<'a>(payments: &[BilledOrder<'a>]) -> Option<BilledOrder<'a>> {
    payments.iter().copied().max_by_key(|it| (!it.is_revoked, it.order_fen, it.transaction_id))
}
