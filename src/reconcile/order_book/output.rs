//! Where the joined orders and payments go: claims to be sorted by coupon, orders to be found by number,
//! the views' tables, the control totals.

use std::path::{Path, PathBuf};

use super::bill::{BilledOrder, Refunds};
use super::join::Joined;
use super::lookup::LookupWriter;
use super::order::{Line, Totals};
use super::table::{
    LinesRow, LinesTable, ROWS_PER_BATCH, RefundsRow, RefundsTable, TableFile, TotalsRow, TotalsTable, path_of, torn,
};
use super::{LineAmounts, OrderBook, spilled};
use crate::reconcile::columns::business_day;
use crate::reconcile::error::ReconcileError;
use crate::reconcile::footing::{BillRows, Tally};
use crate::reconcile::spill::{Scatter, Sorter, Unpacker};
use crate::reconcile::text_hash::{TextMap, hash};

/// Everything that comes out of the join.
pub(super) struct Output {
    scratch: PathBuf,
    claims: Sorter,
    lookup: LookupWriter,
    totals: (TotalsTable, TableFile),
    lines: (LinesTable, TableFile),
    coupon_lines: Tally,
    payment_rows: BillRows,
    matched_refunds: MatchedRefunds,
    /// Payments that wait for the end: an order of another part may know them.
    loose: Scatter,
}

/// Transactions and numbers of refund rows; true once an order has it.
struct MatchedRefunds {
    transactions: TextMap<String, bool>,
    numbers: TextMap<String, bool>,
}

impl Output {
    pub(super) fn new(scratch: &Path, refunds: &Refunds, parts: usize, rows: u64) -> Result<Output, ReconcileError> {
        let file = |view| TableFile::new(path_of(scratch, view));
        Ok(Output {
            scratch: scratch.to_owned(),
            claims: Sorter::new(scratch),
            lookup: LookupWriter::new(scratch, parts, rows).map_err(spilled)?,
            totals: (TotalsTable::new(), file("order_totals")),
            lines: (LinesTable::new(), file("order_lines")),
            coupon_lines: Tally::default(),
            payment_rows: BillRows::default(),
            matched_refunds: MatchedRefunds::new(refunds),
            loose: Scatter::new(scratch, 1).map_err(spilled)?,
        })
    }

    /// An order of the current part.
    pub(super) fn order(&mut self, joined: &Joined<'_>) -> Result<(), ReconcileError> {
        self.lookup.push(hash(joined.totals.out_trade_no), &joined.order());
        self.anywhere(joined)
    }

    /// An order whose part is over.
    pub(super) fn late_order(&mut self, joined: &Joined<'_>) -> Result<(), ReconcileError> {
        self.lookup.push_late(&joined.order());
        self.anywhere(joined)
    }

    fn anywhere(&mut self, joined: &Joined<'_>) -> Result<(), ReconcileError> {
        self.matched_refunds.see(&joined.totals);
        let order = joined.order();
        for line in joined.lines.iter().filter(|line| line.names_coupon()) {
            self.coupon_lines = self.coupon_lines.plus(Tally { rows: 1, fen: line.row.discount_fen });
            let claim = |cells: &mut crate::reconcile::spill::Packer<'_>| {
                LineAmounts::of(line).pack(cells);
                order.pack(cells);
            };
            self.claims.push((line.row.stock_id, line.row.coupon_code), claim).map_err(spilled)?;
        }
        self.totals.0.push(&totals_row(joined));
        if self.totals.0.rows() >= ROWS_PER_BATCH {
            self.totals.1.write(self.totals.0.take()).map_err(torn)?;
        }
        for line in joined.lines {
            self.lines.0.push(&lines_row(line));
            if self.lines.0.rows() >= ROWS_PER_BATCH {
                self.lines.1.write(self.lines.0.take()).map_err(torn)?;
            }
        }
        Ok(())
    }

    /// A payment of the current part, and whether one of its orders knows it.
    pub(super) fn payment(&mut self, payment: &BilledOrder<'_>, has_order: bool) -> Result<(), ReconcileError> {
        if has_order {
            self.payment_rows.count(payment.rows, true);
            return Ok(());
        }
        self.loose.push(0, |cells| payment.pack(cells)).map_err(spilled)
    }

    pub(super) fn end_part(&mut self, part: usize) -> Result<(), ReconcileError> {
        self.lookup.end_part(part).map_err(spilled)
    }

    /// Closes everything. `has_order` tells it of a payment no order of its part knows, `odd` what rows of odd
    /// payments were matched.
    pub(super) fn finish(
        mut self,
        refunds: &Refunds,
        payments: Tally,
        odd: BillRows,
        has_order: impl Fn(&BilledOrder<'_>) -> bool,
    ) -> Result<OrderBook, ReconcileError> {
        let loose = std::mem::replace(&mut self.loose, Scatter::new(&self.scratch, 1).map_err(spilled)?);
        for mut part in loose.finish().map_err(spilled)? {
            let bytes = part.read().map_err(spilled)?;
            let mut cells = Unpacker::new(&bytes);
            while !cells.is_empty() {
                let payment = BilledOrder::unpack(&mut cells);
                self.payment_rows.count(payment.rows, has_order(&payment));
            }
        }
        self.write_refunds(refunds)?;
        close(self.totals.1, self.totals.0.take())?;
        close(self.lines.1, self.lines.0.take())?;
        let mut refund_rows = BillRows::default();
        for (row, (rows, fen)) in &refunds.rows {
            let tally = Tally { rows: *rows, fen: *fen };
            refund_rows.total = refund_rows.total.plus(tally);
            refund_rows.count(tally, self.matched_refunds.has(row));
        }
        self.payment_rows.total = payments;
        self.payment_rows.matched = self.payment_rows.matched.plus(odd.matched);
        self.payment_rows.unmatched = self.payment_rows.unmatched.plus(odd.unmatched);
        Ok(OrderBook {
            claims: self.claims.finish().map_err(spilled)?,
            lookup: self.lookup.finish().map_err(spilled)?,
            lines: self.coupon_lines,
            payments: self.payment_rows,
            refunds: refund_rows,
        })
    }

    fn write_refunds(&self, refunds: &Refunds) -> Result<(), ReconcileError> {
        let (mut table, file) = (RefundsTable::new(), TableFile::new(path_of(&self.scratch, "bill_refunds")));
        for refunded in &refunds.all {
            table.push(&RefundsRow {
                transaction_id: &refunded.transaction_id,
                out_trade_no: &refunded.out_trade_no,
                refund_fen: refunded.fen,
                refund_count: refunded.count,
                refunded_at: refunded.last_at,
                dt: refunded.day,
            });
        }
        close(file, table.take())
    }
}

impl MatchedRefunds {
    fn new(refunds: &Refunds) -> MatchedRefunds {
        let rows = || refunds.rows.keys();
        MatchedRefunds {
            transactions: rows().map(|(id, _)| (id.clone(), false)).collect(),
            numbers: rows().map(|(_, number)| (number.clone(), false)).collect(),
        }
    }

    fn see(&mut self, order: &Totals<'_>) {
        let id = order.transaction_id.and_then(|id| self.transactions.get_mut(id));
        id.into_iter().chain(self.numbers.get_mut(order.out_trade_no)).for_each(|seen| *seen = true);
    }

    fn has(&self, (id, number): &(String, String)) -> bool {
        self.transactions[id] || self.numbers[number]
    }
}

fn close(mut file: TableFile, rest: Vec<(&'static str, arrow::array::ArrayRef)>) -> Result<(), ReconcileError> {
    file.write(rest).and_then(|()| file.finish()).map_err(torn)
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
