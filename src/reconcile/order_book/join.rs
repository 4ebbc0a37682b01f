//! Orders and payments brought together by order number, in the order of which both come. The definition is the outer
//! part of `jobs/rules/views/04_order_totals.sql`. What the numbers leave open is left to `apart`.

use std::path::Path;

use chrono::NaiveDate;

use super::apart::Apart;
use super::bill::BilledOrder;
use super::order::{Line, Orders, Totals};
use super::output::Output;
use super::payments::Payments;
use super::refunds::{RefundBlocks, RefundRows, Refunded, Refunds};
use super::seen::Seen;
use super::{LineAmounts, Order, OrderBook, key_of};
use crate::behind::Behind;
use crate::dataset::columns::DayNumber;
use crate::money::Fen;
use crate::reconcile::error::{ReconcileError, scratched};
use crate::reconcile::rules::Reads;
use crate::reconcile::tally::{BillRows, Tally};
use crate::reconcile::text_hash::hash;
use crate::sorter::{CellPacker, PackedRow, Unpacker};

/// Chunks of orders that wait to be put out.
const SETTLED_AHEAD: usize = 2;

/// What the bills say about an order.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct BillSide<'a> {
    pub(super) transaction_id: Option<&'a str>,
    pub(super) paid: Option<Fen>,
    pub(super) day: Option<DayNumber>,
    pub(super) is_revoked: bool,
    pub(super) refunded: Option<Refunded<'a>>,
}

/// The payments that name one order number, taken together: the view's `pn`.
#[derive(Debug, Clone, Copy)]
pub(super) struct OfNumber<'a> {
    transaction_id: &'a str,
    order_fen: Option<Fen>,
    day: DayNumber,
    is_revoked: bool,
}

/// An order with its lines and its bill.
pub(super) struct Joined<'a> {
    pub(super) totals: Totals<'a>,
    pub(super) lines: &'a [Line<'a>],
    pub(super) bill: BillSide<'a>,
}

/// Orders that are joined: their lines, and what the bills say about each.
pub(super) struct Settled {
    /// Packed orders.
    lines: Vec<u8>,
    /// For each of them its side of the bills, packed; nothing for one that is set apart.
    bills: Vec<u8>,
}

/// The join under way. What is joined is put out by a thread behind it.
pub(super) struct Join {
    output: Behind<Settled, Result<Output, ReconcileError>>,
    payment_rows: BillRows,
    refunds: Refunds,
    refund_rows: RefundRows,
    refund_blocks: RefundBlocks,
    payments: Payments,
    /// The rows of payments that name several orders.
    seen_odd: Seen,
    apart: Apart,
}

impl<'a> BillSide<'a> {
    /// Of an order's own payment, of the payments of its number, and of what was refunded.
    pub(super) fn of(
        by_id: Option<BilledOrder<'a>>,
        by_number: Option<OfNumber<'a>>,
        refunded: Option<Refunded<'a>>,
    ) -> BillSide<'a> {
        let fallback = |of: fn(OfNumber<'a>) -> Option<Fen>| by_number.and_then(of);
        BillSide {
            transaction_id: by_id.map(|it| it.transaction_id).or(by_number.map(|it| it.transaction_id)),
            paid: by_id.and_then(|it| it.order_fen).or_else(|| fallback(|it| it.order_fen)),
            day: by_id.map(|it| it.day).or(by_number.map(|it| it.day)),
            is_revoked: by_id.map(|it| it.is_revoked).or(by_number.map(|it| it.is_revoked)).unwrap_or(false),
            refunded,
        }
    }

    fn pack(&self, cells: &mut CellPacker<'_>) {
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
    /// Shows every order that is not set apart.
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

    /// What the match needs of it.
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

impl LineAmounts {
    pub(super) fn of(line: &Line<'_>) -> LineAmounts {
        LineAmounts { goods: line.row.goods_fen, discount: line.row.discount_fen, paid: line.row.paid_fen }
    }
}

impl<'a> OfNumber<'a> {
    pub(super) fn of(payments: impl Iterator<Item = BilledOrder<'a>>) -> Option<OfNumber<'a>> {
        let one = |it: BilledOrder<'a>| OfNumber {
            transaction_id: it.transaction_id,
            order_fen: it.order_fen,
            day: it.day,
            is_revoked: it.is_revoked,
        };
        payments.map(one).reduce(|one, other| OfNumber {
            transaction_id: one.transaction_id.max(other.transaction_id),
            order_fen: one.order_fen.max(other.order_fen),
            day: one.day.max(other.day),
            is_revoked: one.is_revoked && other.is_revoked,
        })
    }
}

impl Join {
    /// Starts the join of exports of so many lines, for those who read that of its tables.
    pub(super) fn new(
        scratch: &Path,
        refunds: Refunds,
        refund_rows: RefundRows,
        payments: Payments,
        lines: u64,
        reads: &Reads,
    ) -> Result<Join, ReconcileError> {
        let odd = payments.odd_rows.iter().map(|row| (row.transaction_id.as_str(), row.out_trade_no.as_str()));
        let seen_odd = Seen::none_of(odd);
        let (output, apart) = (Output::new(scratch, lines, reads)?, Apart::new(scratch));
        Ok(Join {
            output: Behind::of(SETTLED_AHEAD, |settled| output.take_all(settled)),
            payment_rows: BillRows { total: payments.total, ..BillRows::default() },
            refunds,
            refund_rows,
            refund_blocks: RefundBlocks::default(),
            payments,
            seen_odd,
            apart,
        })
    }

    /// Joins the orders of a chunk, which follow those of the one before. `false` when they are no more put out: `finish`
    /// tells why.
    pub(super) fn orders(&mut self, chunk: Vec<u8>) -> Result<bool, ReconcileError> {
        let mut bills = Vec::with_capacity(chunk.len() / 4);
        let (mut orders, mut lines) = (Orders::in_bytes(&chunk), Vec::new());
        while orders.next_into(&mut lines) {
            self.order(&lines, &mut CellPacker::behind(&mut bills))?;
        }
        Ok(self.output.give(Settled { lines: chunk, bills }))
    }

    /// Packs what the bills say about an order.
    fn order(&mut self, lines: &[Line<'_>], bill: &mut CellPacker<'_>) -> Result<(), ReconcileError> {
        let totals = Totals::of(lines);
        self.seen_odd.see(&totals);
        self.refund_rows.see(&totals).map_err(scratched)?;
        self.pass_payments(Some(totals.out_trade_no))?;
        self.payments.by_number.take(key_of(totals.out_trade_no)).map_err(scratched)?;
        let same_number: Vec<_> = self.payments.by_number.rows().map(|row| billed(totals.out_trade_no, row)).collect();
        same_number.iter().for_each(|payment| self.payment_rows.count(payment.rows, true));
        let by_id = |id: &str| same_number.iter().find(|payment| payment.transaction_id == id).copied();
        let found = totals.transaction_id.and_then(by_id);
        let may_be_apart = |id: &&str| found.is_none() && self.payments.transactions.may_hold(hash(id));
        let apart = totals.transaction_id.filter(may_be_apart);
        bill.flag(apart.is_none());
        if let Some(id) = apart {
            return self.apart.order(id, lines, &same_number);
        }
        let of_number = OfNumber::of(same_number.iter().copied());
        let refunded = self.refunds.of(totals.transaction_id, totals.out_trade_no, &mut self.refund_blocks);
        BillSide::of(found, of_number, refunded.map_err(scratched)?).pack(bill);
        Ok(())
    }

    /// Goes past the payments of smaller numbers: no order has theirs.
    fn pass_payments(&mut self, out_trade_no: Option<&str>) -> Result<(), ReconcileError> {
        let key = out_trade_no.map(key_of);
        let payments = &mut self.payments.by_number;
        while payments.take_smaller(key).map_err(scratched)? {
            payments.rows().try_for_each(|row| self.apart.payment(&billed(payments.text(), row)))?;
        }
        Ok(())
    }

    /// Joins what lies apart, for which it reads the bills of `window` once more, and closes everything.
    pub(super) fn finish(mut self, window: &[(NaiveDate, &Path)]) -> Result<OrderBook, ReconcileError> {
        self.pass_payments(None)?;
        let mut output = self.output.finish()?;
        self.apart.finish(window, &self.refunds, &mut output, &mut self.payment_rows)?;
        for row in &self.payments.odd_rows {
            let has_order = self.seen_odd.has(&row.transaction_id, &row.out_trade_no);
            self.payment_rows.count(Tally { rows: 1, fen: row.fen }, has_order);
        }
        let refunds = self.refund_rows.finish().map_err(scratched)?;
        output.finish(self.payment_rows, (self.refunds, refunds))
    }
}

fn billed<'a>(out_trade_no: &'a str, row: PackedRow<'a>) -> BilledOrder<'a> {
    BilledOrder::unpack(out_trade_no, &mut row.unpack())
}
