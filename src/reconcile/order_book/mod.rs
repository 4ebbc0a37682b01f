//! The merchant's orders of the look-back with the bills hung on, in bounded memory whatever their
//! number: what the views `order_lines`, `bill_payments`, `bill_refunds` and `order_totals` define, a
//! test holds them equal. The days' files are each sorted, so one merge sees every order and every
//! payment whole; both are scattered by order number and joined part by part. A payment that names
//! another number than the order with its transaction is joined at the end.

mod bill;
mod join;
mod lookup;
mod order;
mod output;
mod payments;
mod seen;
mod table;

use std::io;
use std::panic::resume_unwind;
use std::path::Path;

use chrono::NaiveDate;

use bill::{PaymentColumns, RefundColumns, Refunds};
use join::{Bills, Join};
use order::{LineColumns, PackedOrder};
use output::Output;

pub(super) use lookup::Lookup;
pub(super) use table::shares_of as tables;

use super::columns::Micros;
use super::cursor::{self, Columns};
use super::error::ReconcileError;
use super::files::DayFiles;
use super::footing::{BillRows, Tally};
use super::merge::DayMerge;
use super::spill::{Packer, Part, Scatter, Sorted, Unpacker};
use super::text_hash::hash;
use super::threads::{THREADS, side_by_side};
use crate::money::Fen;

/// The views this module computes.
pub(super) const VIEWS: [&str; 4] = ["order_lines", "order_totals", "bill_payments", "bill_refunds"];
/// What is read of the exports and bills.
pub(super) const READ: [(&str, &[&str]); 3] =
    [("orders", LineColumns::NAMES), ("payments", PaymentColumns::NAMES), ("refunds", RefundColumns::NAMES)];
/// Orders a thread joins at once.
const ORDERS_PER_PART: u64 = 1 << 15;

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
    /// Lines that name a coupon.
    pub(super) lines: Tally,
    /// Payment rows of the bills.
    pub(super) payments: BillRows,
    /// Refund rows of the bills.
    pub(super) refunds: BillRows,
}

impl<'a> Order<'a> {
    pub(super) fn pack(&self, cells: &mut Packer<'_>) {
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
    pub(super) fn pack(self, cells: &mut Packer<'_>) {
        for amount in [self.goods, self.discount, self.paid] {
            cells.integer(amount.0);
        }
    }

    pub(super) fn unpack(cells: &mut Unpacker<'_>) -> LineAmounts {
        LineAmounts { goods: Fen(cells.integer()), discount: Fen(cells.integer()), paid: Fen(cells.integer()) }
    }
}

impl OrderBook {
    /// Reads orders and bills from `from` up to D; writes the views' tables into `scratch`.
    pub(super) fn build(files: &DayFiles, from: NaiveDate, scratch: &Path) -> Result<OrderBook, ReconcileError> {
        let parts = Scatter::parts_for(count_rows(files, from)?, 2 * ORDERS_PER_PART);
        OrderBook::build_in_parts(files, from, scratch, (parts, THREADS))
    }

    fn build_in_parts(
        files: &DayFiles,
        from: NaiveDate,
        scratch: &Path,
        (parts, threads): (usize, usize),
    ) -> Result<OrderBook, ReconcileError> {
        let refunds = Refunds::read(&mut DayMerge::<RefundColumns>::open("refunds", &files.window("refunds", from))?)?;
        let (bills, exports) = (files.window("payments", from), files.window("orders", from));
        let (payments, orders) = std::thread::scope(|threads| {
            let payments = threads.spawn(|| payments::scatter(&bills, scratch, parts));
            let orders = scatter_orders(&exports, scratch, parts);
            (payments.join().unwrap_or_else(|panic| resume_unwind(panic)), orders)
        });
        let (mut payments, orders) = (payments?, orders?);
        let rows = count_rows(files, from)?.div_ceil(threads as u64);
        let bills = Bills::new(refunds, payments.transactions, payments.odd_rows);
        let shares = dealt(orders.into_iter().zip(&mut payments.parts), threads);
        let joins = side_by_side(threads, shares, |(share, parts)| join_share(scratch, (share, rows), &bills, parts));
        let joins = joins.into_iter().collect::<Result<_, _>>()?;
        join::finish(joins, &bills, &mut payments.parts, payments.total, scratch)
    }
}

/// Parts with their numbers, dealt out to so many shares one by one.
fn dealt<T>(parts: impl Iterator<Item = T>, shares: usize) -> Vec<(usize, Vec<(usize, T)>)> {
    let mut dealt: Vec<_> = (0..shares).map(|share| (share, Vec::new())).collect();
    parts.enumerate().for_each(|(number, part)| dealt[number % shares].1.push((number, part)));
    dealt
}

/// Joins one part after the other.
fn join_share<'n>(
    scratch: &Path,
    (share, rows): (usize, u64),
    bills: &'n Bills,
    parts: Vec<(usize, (Part, &mut Part))>,
) -> Result<Join<'n>, ReconcileError> {
    let mut join = Join::new(bills, Output::new(scratch, share, rows)?);
    for (number, (mut orders, payments)) in parts {
        join.part(number, &orders.read().map_err(spilled)?, &payments.read().map_err(spilled)?)?;
    }
    Ok(join)
}

/// How many order lines and payment rows the look-back has.
fn count_rows(files: &DayFiles, from: NaiveDate) -> Result<u64, ReconcileError> {
    let windows = ["orders", "payments"].map(|dataset| files.window(dataset, from));
    Ok(cursor::count_rows(windows.iter().flatten().map(|(_, path)| *path))?)
}

fn scatter_orders(window: &[(NaiveDate, &Path)], scratch: &Path, parts: usize) -> Result<Vec<Part>, ReconcileError> {
    let mut exports = DayMerge::<LineColumns>::open("orders", window)?;
    let mut scatter = Scatter::new(scratch, parts).map_err(spilled)?;
    let mut order = PackedOrder::default();
    while order.take(&mut exports)? {
        scatter.push_bytes(hash(&order.out_trade_no), &order.bytes).map_err(spilled)?;
    }
    scatter.finish().map_err(spilled)
}

fn spilled(source: io::Error) -> ReconcileError {
    ReconcileError::Scratch { source }
}

#[cfg(test)]
mod tests;
