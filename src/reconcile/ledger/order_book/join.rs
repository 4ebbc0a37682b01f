//! Joins orders and payments by order number, both sorted by it, as defined by the outer part of
//! `jobs/rules/views/04_order_totals.sql`. What order numbers leave open is left to `apart`.

use std::path::Path;

use chrono::NaiveDate;

use super::apart::Apart;
use super::bill::BilledOrder;
use super::joined::{BillSide, Settled, of_number};
use super::order::{Line, Orders, Totals};
use super::output::{OrderBook, Output};
use super::payments::Payments;
use super::refunds::{RefundBlocks, RefundRows, Refunds};
use super::seen::Seen;
use crate::reconcile::error::{ReconcileError, scratched};
use crate::reconcile::ledger::tally::{BillRows, Tally};
use crate::reconcile::rows::grouped::key_of;
use crate::reconcile::rows::text_hash::hash;
use crate::sorter::{CellPacker, PackedRow};
use crate::threads::worker::Worker;

/// Chunks of orders that wait to be written.
const SETTLED_AHEAD: usize = 2;

/// The join in progress; a thread writes its results.
pub(super) struct Join {
    output: Worker<Settled, Result<Output, ReconcileError>>,
    payment_rows: BillRows,
    refunds: Refunds,
    refund_rows: RefundRows,
    refund_blocks: RefundBlocks,
    payments: Payments,
    /// The rows of payments that name several orders.
    seen_odd: Seen,
    apart: Apart,
}

impl Join {
    /// Starts the join; what it sets apart goes to `scratch`.
    pub(super) fn new(
        scratch: &Path,
        (refunds, refund_rows): (Refunds, RefundRows),
        payments: Payments,
        output: Output,
    ) -> Join {
        let odd = payments.odd_rows.iter().map(|row| (row.transaction_id.as_str(), row.out_trade_no.as_str()));
        let seen_odd = Seen::none_of(odd);
        Join {
            output: Worker::start(SETTLED_AHEAD, |settled| output.take_all(settled)),
            payment_rows: BillRows { total: payments.total, ..BillRows::default() },
            refunds,
            refund_rows,
            refund_blocks: RefundBlocks::default(),
            payments,
            seen_odd,
            apart: Apart::new(scratch),
        }
    }

    /// Joins the orders of a chunk, which follow those of the previous one. False if the writer has ended: `finish`
    /// returns why.
    pub(super) fn orders(&mut self, chunk: Vec<u8>) -> Result<bool, ReconcileError> {
        let mut bills = Vec::with_capacity(chunk.len() / 4);
        let (mut orders, mut lines) = (Orders::in_bytes(&chunk), Vec::new());
        while orders.next_into(&mut lines) {
            self.order(&lines, &mut CellPacker::behind(&mut bills))?;
        }
        Ok(self.output.send(Settled { lines: chunk, bills }))
    }

    /// Packs the bill side of an order.
    fn order(&mut self, lines: &[Line<'_>], bill: &mut CellPacker<'_>) -> Result<(), ReconcileError> {
        let totals = Totals::of(lines);
        self.seen_odd.see(&totals);
        self.refund_rows.see(&totals).map_err(scratched)?;
        self.pass_payments(Some(totals.out_trade_no))?;
        self.payments.by_number.take(key_of(totals.out_trade_no)).map_err(scratched)?;
        let same_number: Vec<_> = self.payments.by_number.rows().map(|row| billed(totals.out_trade_no, row)).collect();
        same_number.iter().for_each(|payment| self.payment_rows.count_matched(payment.rows));
        let by_id = |id: &str| same_number.iter().find(|payment| payment.transaction_id == id).copied();
        let found = totals.transaction_id.and_then(by_id);
        let may_be_apart = |id: &&str| found.is_none() && self.payments.transactions.may_hold(hash(id));
        let apart = totals.transaction_id.filter(may_be_apart);
        bill.flag(apart.is_none());
        if let Some(id) = apart {
            return self.apart.order(id, lines, &same_number);
        }
        let refunded = self.refunds.of(totals.transaction_id, totals.out_trade_no, &mut self.refund_blocks);
        BillSide::new(found, of_number(&same_number), refunded.map_err(scratched)?).pack(bill);
        Ok(())
    }

    /// Skips the payments of smaller numbers: no order has theirs.
    fn pass_payments(&mut self, out_trade_no: Option<&str>) -> Result<(), ReconcileError> {
        let key = out_trade_no.map(key_of);
        let payments = &mut self.payments.by_number;
        while payments.take_smaller(key).map_err(scratched)? {
            payments.rows().try_for_each(|row| self.apart.payment(&billed(payments.text(), row)))?;
        }
        Ok(())
    }

    /// Joins what was set apart, scanning the bills of `window` once more, and closes everything.
    pub(super) fn finish(mut self, window: &[(NaiveDate, &Path)]) -> Result<OrderBook, ReconcileError> {
        self.pass_payments(None)?;
        let mut output = self.output.finish()?;
        self.apart.finish(window, &self.refunds, &mut output, &mut self.payment_rows)?;
        for row in &self.payments.odd_rows {
            let has_order = self.seen_odd.has(&row.transaction_id, &row.out_trade_no);
            self.payment_rows.count(Tally { rows: 1, fen: row.fen }, has_order);
        }
        let refund_rows = self.refund_rows.finish().map_err(scratched)?;
        output.finish(self.payment_rows, (self.refunds, refund_rows))
    }
}

fn billed<'a>(out_trade_no: &'a str, row: PackedRow<'a>) -> BilledOrder<'a> {
    BilledOrder::unpack(out_trade_no, &mut row.unpack())
}
