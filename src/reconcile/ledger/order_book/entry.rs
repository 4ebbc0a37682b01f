//! An order as the match needs it: its effective lines summed, joined with the bill. Made by `join`; knows no
//! files.

use super::order::Line;
use crate::dataset::columns::Micros;
use crate::money::Fen;
use crate::sorter::{CellPacker, Unpacker};

/// Amounts of the line on which a coupon was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::reconcile::ledger) struct LineAmounts {
    pub(in crate::reconcile::ledger) goods: Fen,
    pub(in crate::reconcile::ledger) discount: Fen,
    pub(in crate::reconcile::ledger) paid: Fen,
}

/// An order of the look-back, its effective lines summed and joined with the bill: what the match needs of a row of
/// `order_totals`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(in crate::reconcile) struct Order<'a> {
    pub(in crate::reconcile) out_trade_no: &'a str,
    pub(in crate::reconcile) transaction_id: Option<&'a str>,
    pub(in crate::reconcile::ledger) merchant: Option<&'a str>,
    pub(in crate::reconcile) openid: Option<&'a str>,
    pub(in crate::reconcile) paid_at: Option<Micros>,
    pub(in crate::reconcile) refund: Fen,
    pub(in crate::reconcile::ledger) bill_paid: Option<Fen>,
    pub(in crate::reconcile::ledger) bill_refund: Fen,
    pub(in crate::reconcile::ledger) bill_refund_count: i64,
    pub(in crate::reconcile::ledger) bill_refunded_at: Option<Micros>,
    pub(in crate::reconcile::ledger) is_fully_refunded: bool,
    pub(in crate::reconcile::ledger) is_live: bool,
    /// Amounts of its only line without a coupon.
    pub(in crate::reconcile::ledger) plain_line: Option<LineAmounts>,
}

impl<'a> Order<'a> {
    pub(in crate::reconcile) fn pack(&self, cells: &mut CellPacker<'_>) {
        cells.text(self.out_trade_no);
        for text in [self.transaction_id, self.merchant, self.openid] {
            cells.maybe_text(text);
        }
        cells.maybe_integer(self.paid_at);
        cells.integer(self.refund.0);
        cells.maybe_integer(self.bill_paid.map(|fen| fen.0));
        cells.integer(self.bill_refund.0);
        cells.integer(self.bill_refund_count);
        cells.maybe_integer(self.bill_refunded_at);
        cells.flag(self.is_fully_refunded);
        cells.flag(self.is_live);
        cells.flag(self.plain_line.is_some());
        if let Some(amounts) = self.plain_line {
            amounts.pack(cells);
        }
    }

    pub(in crate::reconcile) fn unpack(cells: &mut Unpacker<'a>) -> Order<'a> {
        Order {
            out_trade_no: cells.text(),
            transaction_id: cells.maybe_text(),
            merchant: cells.maybe_text(),
            openid: cells.maybe_text(),
            paid_at: cells.maybe_integer(),
            refund: Fen(cells.integer()),
            bill_paid: cells.maybe_integer().map(Fen),
            bill_refund: Fen(cells.integer()),
            bill_refund_count: cells.integer(),
            bill_refunded_at: cells.maybe_integer(),
            is_fully_refunded: cells.flag(),
            is_live: cells.flag(),
            plain_line: cells.flag().then(|| LineAmounts::unpack(cells)),
        }
    }
}

impl LineAmounts {
    pub(super) fn of(line: &Line<'_>) -> LineAmounts {
        LineAmounts { goods: line.row.goods_fen, discount: line.row.discount_fen, paid: line.row.paid_fen }
    }

    pub(in crate::reconcile::ledger) fn pack(self, cells: &mut CellPacker<'_>) {
        for amount in [self.goods, self.discount, self.paid] {
            cells.integer(amount.0);
        }
    }

    pub(in crate::reconcile::ledger) fn unpack(cells: &mut Unpacker<'_>) -> LineAmounts {
        LineAmounts { goods: Fen(cells.integer()), discount: Fen(cells.integer()), paid: Fen(cells.integer()) }
    }
}
