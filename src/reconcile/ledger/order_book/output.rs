//! The outputs of the join: claims to be sorted by coupon, orders to be found by number, the views'
//! tables, the control totals.

use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;

use super::entry::LineAmounts;
use super::joined::{Joined, Settled};
use super::lookup::{Lookup, LookupWriter, OrdersByNumber};
use super::order::Line;
use super::refunds::Refunds;
use super::table::{LinesRow, LinesTable, TotalsRow, TotalsTable, path_of};
use crate::clock::business_day;
use crate::reconcile::error::{ReconcileError, scratched, torn};
use crate::reconcile::ledger::tally::{BillRows, Tally};
use crate::reconcile::rows::grouped::{Grouped, by_text, packed, sorter};
use crate::reconcile::rows::scratch_table::RowWriter;
use crate::reconcile::rules::Reads;
use crate::sorter::{CellPacker, Sorted, Sorter};

/// The orders of the look-back, ready for the match.
pub(in crate::reconcile) struct OrderBook {
    /// Order lines that name a coupon, with their orders, sorted by coupon.
    pub(in crate::reconcile::ledger) claims: Sorted,
    /// Orders by number.
    pub(in crate::reconcile::ledger) by_number: Lookup,
    /// Refunds in the bills, by transaction and by order number.
    pub(in crate::reconcile::ledger) refunds: Refunds,
    /// Lines that name a coupon.
    pub(in crate::reconcile::ledger) coupon_lines: Tally,
    /// Payment rows of the bills.
    pub(in crate::reconcile::ledger) payment_rows: BillRows,
    /// Refund rows of the bills.
    pub(in crate::reconcile::ledger) refund_rows: BillRows,
}

/// The outputs of the join.
pub(super) struct Output {
    scratch: PathBuf,
    claims: Sorter,
    by_number: LookupWriter<OrdersByNumber>,
    late: Late,
    totals: RowWriter<TotalsTable>,
    lines: RowWriter<LinesTable>,
    coupon_lines: Tally,
    /// The packed order that is being written.
    packed_order: Vec<u8>,
}

/// Orders that come after their turn.
struct Late {
    orders: Sorter,
    count: u64,
}

impl Output {
    /// For this many order lines; `reads` says which columns of the tables are needed.
    pub(super) fn new(scratch: &Path, lines: u64, reads: &Reads) -> Result<Output, ReconcileError> {
        Ok(Output {
            scratch: scratch.to_owned(),
            claims: sorter(scratch),
            by_number: LookupWriter::new(scratch, lines).map_err(scratched)?,
            late: Late { orders: sorter(scratch), count: 0 },
            totals: RowWriter::new(path_of(scratch, "order_totals"), lines).only(reads.of("order_totals")),
            lines: RowWriter::new(path_of(scratch, "order_lines"), lines).only(reads.of("order_lines")),
            coupon_lines: Tally::default(),
            packed_order: Vec::new(),
        })
    }

    /// Writes all settled orders, which come in the order of their numbers.
    pub(super) fn take_all(mut self, settled: Receiver<Settled>) -> Result<Output, ReconcileError> {
        for chunk in settled {
            chunk.each(|joined| self.order(joined))?;
        }
        Ok(self)
    }

    /// Adds an order, with a larger number than the one before.
    fn order(&mut self, joined: &Joined<'_>) -> Result<(), ReconcileError> {
        self.pack(joined);
        self.by_number.push_packed(joined.totals.out_trade_no, &self.packed_order).map_err(scratched)?;
        self.push_rows(joined)
    }

    /// Adds an order after its turn.
    pub(super) fn late_order(&mut self, joined: &Joined<'_>) -> Result<(), ReconcileError> {
        self.pack(joined);
        self.late.count += 1;
        let (key, order) = (by_text(joined.totals.out_trade_no), &self.packed_order);
        self.late.orders.push(&packed(key, |cells| cells.bytes(order))).map_err(scratched)?;
        self.push_rows(joined)
    }

    fn pack(&mut self, joined: &Joined<'_>) {
        self.packed_order.clear();
        joined.order().pack(&mut CellPacker::behind(&mut self.packed_order));
    }

    /// Adds the rows of an order that is packed: its claims, its totals and its lines.
    fn push_rows(&mut self, joined: &Joined<'_>) -> Result<(), ReconcileError> {
        for line in joined.lines.iter().filter(|line| line.names_coupon()) {
            self.coupon_lines.add(line.row.discount_fen);
            let claim = |cells: &mut CellPacker<'_>| {
                LineAmounts::of(line).pack(cells);
                cells.bytes(&self.packed_order);
            };
            self.claims.push(&packed((line.row.stock_id, line.row.coupon_code), claim)).map_err(scratched)?;
        }
        self.totals.push(&totals_row(joined)).map_err(torn)?;
        joined.lines.iter().try_for_each(|line| self.lines.push(&lines_row(line))).map_err(torn)
    }

    /// Closes everything, given the rows of the bills.
    pub(super) fn finish(
        self,
        payment_rows: BillRows,
        (refunds, refund_rows): (Refunds, BillRows),
    ) -> Result<OrderBook, ReconcileError> {
        self.totals.finish().map_err(torn)?;
        self.lines.finish().map_err(torn)?;
        let late = self.late.finish(&self.scratch).map_err(scratched)?;
        Ok(OrderBook {
            claims: self.claims.finish().map_err(scratched)?,
            by_number: Lookup::of([self.by_number, late]).map_err(scratched)?,
            refunds,
            coupon_lines: self.coupon_lines,
            payment_rows,
            refund_rows,
        })
    }
}

impl Late {
    fn finish(self, scratch: &Path) -> std::io::Result<LookupWriter<OrdersByNumber>> {
        let mut lookup = LookupWriter::new(scratch, self.count)?;
        let mut orders = Grouped::new(self.orders.finish()?)?;
        while orders.take_smaller(None)? {
            orders.rows().try_for_each(|row| lookup.push_packed(orders.text(), row.cells()))?;
        }
        Ok(lookup)
    }
}

fn totals_row<'a>(joined: &Joined<'a>) -> TotalsRow<'a> {
    let (totals, bill) = (&joined.totals, &joined.bill);
    TotalsRow {
        out_trade_no: totals.out_trade_no,
        transaction_id: totals.transaction_id,
        merchant: totals.merchant,
        openid: totals.openid,
        channel: totals.channel,
        source_file: totals.source_file,
        paid_at: totals.paid_at,
        paid_date: totals.paid_at.map(business_day),
        changed_date: totals.changed_day,
        goods_fen: totals.goods,
        discount_fen: totals.discount,
        paid_fen: totals.paid,
        refund_fen: totals.refund,
        bill_transaction_id: bill.transaction_id,
        bill_paid_fen: bill.paid,
        bill_date: bill.day,
        bill_is_revoked: bill.is_revoked,
        bill_refund_fen: joined.bill_refund(),
        bill_refund_count: bill.refunded.map_or(0, |refunded| refunded.count),
        bill_refunded_at: bill.refunded.and_then(|refunded| refunded.last_at),
        bill_refund_date: bill.refunded.and_then(|refunded| refunded.day),
        is_paid: totals.paid_at.is_some(),
        is_fully_refunded: joined.is_fully_refunded(),
        is_live: joined.is_live(),
    }
}

fn lines_row<'a>(line: &Line<'a>) -> LinesRow<'a> {
    let row = &line.row;
    LinesRow {
        out_trade_no: row.out_trade_no,
        stock_id: row.stock_id,
        coupon_code: row.coupon_code,
        transaction_id: row.transaction_id,
        merchant: row.merchant,
        openid: row.openid,
        channel: row.channel,
        paid_at: row.paid_at,
        goods_fen: row.goods_fen,
        discount_fen: row.discount_fen,
        paid_fen: row.paid_fen,
        refund_fen: row.refund_fen,
        source_file: row.source_file,
        dt: line.day,
    }
}
