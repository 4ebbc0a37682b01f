//! The merchant's orders of the look-back with the bills hung on, in bounded memory whatever their
//! number: what the views in `VIEWS` define, a test holds them equal. The exports of the days are each
//! sorted by order number, so one merge sees every order whole; the payments, sorted by the number they name,
//! walk along. Where order and payment name each other's transaction but not each other's number, they are
//! brought together at the end, by transaction.

mod apart;
mod bill;
mod filter;
mod join;
mod lookup;
mod order;
mod output;
mod payments;
mod refunds;
mod seen;
mod source_files;
mod table;

use std::panic::resume_unwind;
use std::path::Path;
use std::sync::mpsc::sync_channel;

use chrono::NaiveDate;

use bill::PaymentColumns;
use join::Join;
use order::LineColumns;
use refunds::RefundColumns;

pub(super) use lookup::Lookup;
pub(super) use refunds::{RefundBlocks, Refunded, Refunds};
pub(super) use source_files::source_files;
pub(super) use table::path_of as table;

use super::coupon_key::CouponKey;
use super::cursor;
use super::error::ReconcileError;
use super::files::DayFiles;
use super::rules::Reads;
use super::tally::{BillRows, Tally};
use crate::dataset::columns::Columns;
use crate::dataset::columns::Micros;
use crate::money::Fen;
use crate::record::{LedgerRow, Record};
use crate::sorter::{CellPacker, Sorted, Unpacker};

/// The views this module computes.
pub(super) const VIEWS: [&str; 5] = ["order_lines", "order_totals", "bill_payments", "bill_refunds", "bill_merchants"];
/// What is read of the exports and bills.
pub(super) const READ: [(&str, &[&str]); 3] =
    [("orders", LineColumns::NAMES), ("payments", PaymentColumns::NAMES), ("refunds", RefundColumns::NAMES)];
/// Chunks of orders that wait to be joined.
const CHUNKS_AHEAD: usize = 2;

/// Amounts of the line a coupon was used on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LineAmounts {
    pub(super) goods: Fen,
    pub(super) discount: Fen,
    pub(super) paid: Fen,
}

/// An order of the look-back, its effective lines summed and the bill hung on: what the match needs of
/// a row of `order_totals`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Order<'a> {
    pub(super) out_trade_no: &'a str,
    pub(super) transaction_id: Option<&'a str>,
    pub(super) merchant: Option<&'a str>,
    pub(super) openid: Option<&'a str>,
    pub(super) paid_at: Option<Micros>,
    pub(super) refund: Fen,
    pub(super) bill_paid: Option<Fen>,
    pub(super) bill_refund: Fen,
    pub(super) bill_refund_count: i64,
    pub(super) bill_refunded_at: Option<Micros>,
    pub(super) is_fully_refunded: bool,
    pub(super) is_live: bool,
    /// Amounts of its only line that names no coupon.
    pub(super) plain_line: Option<LineAmounts>,
}

/// The orders of the look-back, ready for the match.
pub(super) struct OrderBook {
    /// Order lines that name a coupon, each with its order, sorted by coupon.
    pub(super) claims: Sorted,
    /// Orders by number.
    pub(super) lookup: Lookup,
    /// What the bills refunded, by transaction and by number.
    pub(super) refunded: Refunds,
    /// Lines that name a coupon.
    pub(super) lines: Tally,
    /// Payment rows of the bills.
    pub(super) payments: BillRows,
    /// Refund rows of the bills.
    pub(super) refunds: BillRows,
}

impl<'a> Order<'a> {
    pub(super) fn pack(&self, cells: &mut CellPacker<'_>) {
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

    pub(super) fn unpack(cells: &mut Unpacker<'a>) -> Order<'a> {
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
    pub(super) fn pack(self, cells: &mut CellPacker<'_>) {
        for amount in [self.goods, self.discount, self.paid] {
            cells.integer(amount.0);
        }
    }

    pub(super) fn unpack(cells: &mut Unpacker<'_>) -> LineAmounts {
        LineAmounts { goods: Fen(cells.integer()), discount: Fen(cells.integer()), paid: Fen(cells.integer()) }
    }
}

impl OrderBook {
    /// Reads orders and bills from `from` up to D; writes of the views' tables what is read of them into `scratch`.
    pub(super) fn build(
        files: &DayFiles,
        from: NaiveDate,
        scratch: &Path,
        reads: &Reads,
    ) -> Result<OrderBook, ReconcileError> {
        let (bills, exports) = (files.window("payments", from), files.window("orders", from));
        let known_to = files.latest_day_before(LedgerRow::DATASET);
        let (refunds, refund_rows) = Refunds::read(&files.window("refunds", from), known_to, scratch)?;
        let payments = payments::sort(&bills, scratch, reads)?;
        let lines = cursor::count_rows(exports.iter().map(|(_, path)| *path))?;
        let mut join = Join::new(scratch, refunds, refund_rows, payments, lines, reads)?;
        join_all(&exports, &mut join)?;
        join.finish(&bills)
    }
}

/// Joins every order of the exports: one thread merges their days, this one joins what comes, and one puts it out.
fn join_all(exports: &[(NaiveDate, &Path)], join: &mut Join) -> Result<(), ReconcileError> {
    std::thread::scope(|threads| {
        let (sender, chunks) = sync_channel(CHUNKS_AHEAD);
        // Who no longer receives wants no more: the thread ends.
        let reading = threads.spawn(move || order::pack_all(exports, |chunk| sender.send(chunk).is_ok()));
        for chunk in chunks {
            if !join.orders(chunk)? {
                break;
            }
        }
        // A thread that failed is no end of the exports.
        reading.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// What is sorted by one text: it stands where a coupon's code would.
fn by_text(text: &str) -> (&str, &str) {
    ("", text)
}

/// The key of what was sorted `by_text`.
fn key_of(text: &str) -> CouponKey<'_> {
    CouponKey::of(b"", text.as_bytes())
}

#[cfg(test)]
mod tests;
