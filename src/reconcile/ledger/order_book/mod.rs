//! The merchant's orders of the look-back joined with the bills, in bounded memory: computes the views in `VIEWS`,
//! and a test compares the results. The exports of the days are each sorted by order number, so one merge sees
//! every order as a whole; the payments, sorted by the number they name, are merged with it. Orders and payments
//! that agree in the transaction but not in the number are joined at the end, by transaction.

mod apart;
mod bill;
mod entry;
mod filter;
mod join;
mod joined;
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
use output::Output;
use refunds::RefundColumns;

pub(super) use entry::{LineAmounts, Order};
pub(super) use lookup::Lookup;
pub(super) use output::OrderBook;
pub(super) use refunds::{RefundBlocks, Refunded, Refunds};
pub(in crate::reconcile) use source_files::source_files;
pub(in crate::reconcile) use table::path_of;

use crate::dataset::columns::Columns;
use crate::reconcile::basis::files::DayFiles;
use crate::reconcile::error::ReconcileError;
use crate::reconcile::rows::cursor;
use crate::reconcile::rules::Reads;
use crate::record::{LedgerRow, Record};

/// The views this module computes.
pub(in crate::reconcile) const VIEWS: [&str; 5] =
    ["order_lines", "order_totals", "bill_payments", "bill_refunds", "bill_merchants"];
/// The columns read from exports and bills.
pub(super) const READ: [(&str, &[&str]); 3] =
    [("orders", LineColumns::NAMES), ("payments", PaymentColumns::NAMES), ("refunds", RefundColumns::NAMES)];
/// Chunks of orders that wait to be joined.
const CHUNKS_AHEAD: usize = 2;

/// Reads orders and bills from `from` up to D; writes those columns of the views' tables that are read to
/// `scratch`.
pub(in crate::reconcile) fn build(
    files: &DayFiles,
    from: NaiveDate,
    scratch: &Path,
    reads: &Reads,
) -> Result<OrderBook, ReconcileError> {
    let (bills, exports) = (files.window("payments", from), files.window("orders", from));
    let known_to = files.latest_day_before(LedgerRow::DATASET);
    let refunds = Refunds::read(&files.window("refunds", from), known_to, scratch)?;
    let payments = payments::sort(&bills, scratch, reads)?;
    let lines = cursor::count_rows(exports.iter().map(|(_, path)| *path))?;
    let mut join = Join::new(scratch, refunds, payments, Output::new(scratch, lines, reads)?);
    join_all(&exports, &mut join)?;
    join.finish(&bills)
}

/// Joins every order of the exports: one thread merges their days, this one joins, and one writes.
fn join_all(exports: &[(NaiveDate, &Path)], join: &mut Join) -> Result<(), ReconcileError> {
    std::thread::scope(|threads| {
        let (sender, chunks) = sync_channel(CHUNKS_AHEAD);
        // If the receiver is gone, nothing more is needed: the thread ends.
        let reading = threads.spawn(move || order::pack_all(exports, |chunk| sender.send(chunk).is_ok()));
        for chunk in chunks {
            if !join.orders(chunk)? {
                break;
            }
        }
        // A thread that panicked is not the end of the exports.
        reading.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

#[cfg(test)]
mod tests;
