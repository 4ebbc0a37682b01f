//! Where the joined orders and payments go: claims to be sorted by coupon, orders to be found by number,
//! the views' tables, the control totals.

use std::path::Path;

use super::bill::{BilledOrder, Refunds};
use super::join::{Bills, Joined};
use super::lookup::{Lookup, LookupWriter};
use super::order::Line;
use super::table::{LinesRow, LinesTable, RefundsRow, RefundsTable, TotalsRow, TotalsTable, path_of, torn};
use super::{LineAmounts, OrderBook, spilled};
use crate::reconcile::columns::business_day;
use crate::reconcile::error::ReconcileError;
use crate::reconcile::footing::{BillRows, Tally};
use crate::reconcile::scratch_table::{ROWS_PER_BATCH, ScratchWriter};
use crate::reconcile::spill::{Scatter, Sorted, Sorter, Unpacker};
use crate::reconcile::text_hash::hash;

/// Everything that comes out of the join of one share of the parts.
pub(super) struct Output {
    claims: Sorter,
    lookup: LookupWriter,
    totals: (TotalsTable, ScratchWriter),
    lines: (LinesTable, ScratchWriter),
    coupon_lines: Tally,
    payment_rows: BillRows,
    /// Payments that wait for the end: an order of another part may know them.
    loose: Scatter,
}

impl Output {
    /// The output of a share that has about so many orders.
    pub(super) fn new(scratch: &Path, share: usize, orders: u64) -> Result<Output, ReconcileError> {
        let file = |view| ScratchWriter::new(path_of(scratch, view, share));
        Ok(Output {
            claims: Sorter::new(scratch),
            lookup: LookupWriter::new(scratch, orders).map_err(spilled)?,
            totals: (TotalsTable::new(), file("order_totals")),
            lines: (LinesTable::new(), file("order_lines")),
            coupon_lines: Tally::default(),
            payment_rows: BillRows::default(),
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

    /// Counts the payments no order of their part knows: `has_order` tells whether another one does.
    fn count_loose(
        &mut self,
        has_order: &impl Fn(&BilledOrder<'_>) -> bool,
        scratch: &Path,
    ) -> Result<(), ReconcileError> {
        let loose = std::mem::replace(&mut self.loose, Scatter::new(scratch, 1).map_err(spilled)?);
        for mut part in loose.finish().map_err(spilled)? {
            let bytes = part.read().map_err(spilled)?;
            let mut cells = Unpacker::new(&bytes);
            while !cells.is_empty() {
                let payment = BilledOrder::unpack(&mut cells);
                self.payment_rows.count(payment.rows, has_order(&payment));
            }
        }
        Ok(())
    }
}

/// Closes the outputs of all shares and brings them together. `payments` is what all of them sum up to, `parts` how
/// many parts there were.
pub(super) fn finish(
    outputs: Vec<Output>,
    (bills, parts): (&Bills, u64),
    payments: Tally,
    scratch: &Path,
    has_order: impl Fn(&BilledOrder<'_>) -> bool,
) -> Result<OrderBook, ReconcileError> {
    write_refunds(&bills.refunds, scratch)?;
    let mut payment_rows = bills.odd_counted();
    payment_rows.total = payments;
    let (mut claims, mut lookups, mut lines) = (Vec::new(), Vec::new(), Tally::default());
    for mut output in outputs {
        output.count_loose(&has_order, scratch)?;
        payment_rows.matched = payment_rows.matched.plus(output.payment_rows.matched);
        payment_rows.unmatched = payment_rows.unmatched.plus(output.payment_rows.unmatched);
        lines = lines.plus(output.coupon_lines);
        close(output.totals.1, output.totals.0.take())?;
        close(output.lines.1, output.lines.0.take())?;
        claims.push(output.claims);
        lookups.push(output.lookup);
    }
    Ok(OrderBook {
        claims: Sorted::of(claims).map_err(spilled)?,
        lookup: Lookup::of_shares(lookups, parts).map_err(spilled)?,
        lines,
        payments: payment_rows,
        refunds: refund_rows(bills),
    })
}

fn refund_rows(bills: &Bills) -> BillRows {
    let mut refunds = BillRows::default();
    for ((transaction_id, out_trade_no), (rows, fen)) in &bills.refunds.rows {
        let tally = Tally { rows: *rows, fen: *fen };
        refunds.total = refunds.total.plus(tally);
        refunds.count(tally, bills.seen_refunds.has(transaction_id, out_trade_no));
    }
    refunds
}

fn write_refunds(refunds: &Refunds, scratch: &Path) -> Result<(), ReconcileError> {
    let (mut table, mut file) = (RefundsTable::new(), ScratchWriter::new(path_of(scratch, "bill_refunds", 0)));
    for refunded in &refunds.all {
        table.push(&RefundsRow {
            transaction_id: &refunded.transaction_id,
            out_trade_no: &refunded.out_trade_no,
            refund_fen: refunded.fen,
            refund_count: refunded.count,
            refunded_at: refunded.last_at,
            dt: refunded.day,
        });
        if table.rows() >= ROWS_PER_BATCH {
            file.write(table.take()).map_err(torn)?;
        }
    }
    close(file, table.take())
}

fn close(mut file: ScratchWriter, rest: Vec<(&'static str, arrow::array::ArrayRef)>) -> Result<(), ReconcileError> {
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
