//! What claims, codes, notifications and receipts say about single coupons, each sorted by coupon. Reads partitions; decides
//! nothing.

use std::path::Path;

use chrono::NaiveDate;

use super::order_book::{LineAmounts, Order};
use super::tally::Tally;
use crate::dataset::columns::{Columns, Micros, row_type};
use crate::money::Fen;
use crate::reconcile::basis::files::DayFiles;
use crate::reconcile::error::{ReconcileError, scratched};
use crate::reconcile::rows::cursor::Cursor;
use crate::reconcile::rows::grouped::{packed, sorter};
use crate::record::receipt_status;
use crate::sorter::{PackedRow, Rows, Sorted};

row_type! {
    ReceiptFileRow of ReceiptColumns {
        stock_id: text,
        coupon_code: text,
        out_subsidy_no: text,
        transaction_id: maybe_text,
        amount_fen: fen,
        status: maybe_text,
        create_time: maybe_instant,
    }
}

row_type! {
    ReturnFileRow of ReturnColumns {
        stock_id: text,
        coupon_code: text,
        amount_fen: fen,
        status: maybe_text,
        return_create_time: maybe_instant,
    }
}

row_type! {
    CodeRow of CodeColumns {
        stock_id: text,
        coupon_code: text,
        code_status: maybe_text,
        dispatched_time: maybe_instant,
        openid: maybe_text,
    }
}

row_type! {
    EventRow of EventColumns {
        stock_id: text,
        coupon_code: text,
        send_time: maybe_instant,
        openid: maybe_text,
    }
}

/// The columns that this module reads.
pub(super) const READ: [(&str, &[&str]); 4] = [
    ("subsidy_payments", ReceiptColumns::NAMES),
    ("subsidy_returns", ReturnColumns::NAMES),
    ("coupon_codes", CodeColumns::NAMES),
    ("coupon_events", EventColumns::NAMES),
];

/// An order line that names the coupon, and its order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::reconcile) struct Claim<'a> {
    pub(super) amounts: LineAmounts,
    pub(super) order: Order<'a>,
}

/// A dispatched code, or a notification that a coupon was sent.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Dispatch<'a> {
    pub(super) openid: Option<&'a str>,
    pub(super) dispatched_at: Option<Micros>,
}

/// A subsidy payment receipt that existed at the end of the day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::reconcile) struct Receipt<'a> {
    pub(super) out_subsidy_no: &'a str,
    pub(super) transaction_id: Option<&'a str>,
    pub(super) amount: Fen,
    pub(super) status: &'a str,
    pub(super) created_at: Option<Micros>,
}

/// Facts from codes, notifications and the subsidy side, each sorted by coupon.
pub(in crate::reconcile) struct Facts {
    pub(super) dispatches: Sorted,
    pub(in crate::reconcile) receipts: Sorted,
    pub(super) receipt_rows: ReceiptRows,
    pub(in crate::reconcile) returns: Sorted,
}

/// Rows of the subsidy receipts.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::reconcile) struct ReceiptRows {
    /// All of them.
    pub(super) total: Tally,
    /// Created after D.
    pub(super) left_out: Tally,
}

impl Facts {
    /// Reads the state at `end`; notifications from `from` on.
    pub(in crate::reconcile) fn read(
        files: &DayFiles,
        from: NaiveDate,
        end: Micros,
        scratch: &Path,
    ) -> Result<Facts, ReconcileError> {
        let (receipts, receipt_rows) = receipts(files, end, scratch)?;
        let (dispatches, returns) = (dispatches(files, from, end, scratch)?, returns(files, end, scratch)?);
        Ok(Facts { dispatches, receipts, receipt_rows, returns })
    }
}

impl<'a> Claim<'a> {
    pub(super) fn of(row: PackedRow<'a>) -> Claim<'a> {
        let mut cells = row.unpack();
        Claim { amounts: LineAmounts::unpack(&mut cells), order: Order::unpack(&mut cells) }
    }
}

impl<'a> Dispatch<'a> {
    /// Combines what several sources say about one coupon.
    pub(super) fn of(rows: Rows<'a>) -> Option<Dispatch<'a>> {
        let one = |row: PackedRow<'a>| {
            let mut cells = row.unpack();
            Dispatch { openid: cells.maybe_text(), dispatched_at: cells.maybe_integer() }
        };
        rows.map(one).reduce(|one, other| Dispatch {
            openid: one.openid.max(other.openid),
            dispatched_at: one.dispatched_at.into_iter().chain(other.dispatched_at).min(),
        })
    }
}

impl<'a> Receipt<'a> {
    pub(super) fn of(row: PackedRow<'a>) -> Receipt<'a> {
        let mut cells = row.unpack();
        Receipt {
            out_subsidy_no: cells.text(),
            transaction_id: cells.maybe_text(),
            amount: Fen(cells.integer()),
            status: cells.text(),
            created_at: cells.maybe_integer(),
        }
    }

    pub(super) fn is_live(&self) -> bool {
        receipt_status::is_live(self.status)
    }

    pub(super) fn is_paid(&self) -> bool {
        receipt_status::is_paid(self.status)
    }
}

/// The amount of a successful subsidy return.
pub(in crate::reconcile) fn returned(row: PackedRow<'_>) -> Fen {
    Fen(row.unpack().integer())
}

/// Reads the receipts that existed at `end` (view `receipts`), and counts all.
fn receipts(files: &DayFiles, end: Micros, scratch: &Path) -> Result<(Sorted, ReceiptRows), ReconcileError> {
    let (mut sorter, mut rows) = (sorter(scratch), ReceiptRows::default());
    each::<ReceiptColumns>("subsidy_payments", files.of_day("subsidy_payments"), |row| {
        rows.total.add(row.amount_fen);
        if row.create_time.is_some_and(|created| created >= end) {
            rows.left_out.add(row.amount_fen);
            return Ok(());
        }
        sorter.push(&packed((row.stock_id, row.coupon_code), |cells| {
            cells.text(row.out_subsidy_no);
            cells.maybe_text(row.transaction_id);
            cells.integer(row.amount_fen.0);
            cells.text(row.status.unwrap_or("UNKNOWN"));
            cells.maybe_integer(row.create_time);
        }))
    })?;
    Ok((sorter.finish().map_err(scratched)?, rows))
}

/// Reads the successful returns that existed at `end` (view `returns`).
fn returns(files: &DayFiles, end: Micros, scratch: &Path) -> Result<Sorted, ReconcileError> {
    let mut sorter = sorter(scratch);
    each::<ReturnColumns>("subsidy_returns", files.of_day("subsidy_returns"), |row| {
        let is_done =
            row.status == Some(receipt_status::SUCCESS) && row.return_create_time.is_none_or(|created| created < end);
        if !is_done {
            return Ok(());
        }
        sorter.push(&packed((row.stock_id, row.coupon_code), |cells| cells.integer(row.amount_fen.0)))
    })?;
    sorter.finish().map_err(scratched)
}

/// Reads the codes dispatched by `end` and the notifications of the look-back.
fn dispatches(files: &DayFiles, from: NaiveDate, end: Micros, scratch: &Path) -> Result<Sorted, ReconcileError> {
    let mut sorter = sorter(scratch);
    each::<CodeColumns>("coupon_codes", files.of_day("coupon_codes"), |row| {
        if !is_dispatched_by(end, row.code_status, row.dispatched_time) {
            return Ok(());
        }
        sorter.push(&packed((row.stock_id, row.coupon_code), |cells| {
            cells.maybe_text(row.openid);
            cells.maybe_integer(row.dispatched_time);
        }))
    })?;
    for (_, path) in files.window("coupon_events", from) {
        each::<EventColumns>("coupon_events", Some(path), |row| {
            sorter.push(&packed((row.stock_id, row.coupon_code), |cells| {
                cells.maybe_text(row.openid);
                cells.maybe_integer(row.send_time);
            }))
        })?;
    }
    sorter.finish().map_err(scratched)
}

/// Whether a code was dispatched by `end`, as far as its row in the pool says.
pub(super) fn is_dispatched_by(end: Micros, code_status: Option<&str>, dispatched_time: Option<Micros>) -> bool {
    let is_dispatched = code_status == Some("DISPATCHED") || dispatched_time.is_some();
    is_dispatched && dispatched_time.is_none_or(|dispatched| dispatched < end)
}

fn each<C: Columns>(
    dataset: &'static str,
    path: Option<&Path>,
    mut take: impl FnMut(C::Row<'_>) -> std::io::Result<()>,
) -> Result<(), ReconcileError> {
    let mut cursor = Cursor::<C>::open(dataset, path)?;
    loop {
        match cursor.peek().map(&mut take) {
            None => return Ok(()),
            Some(taken) => taken.map_err(scratched)?,
        }
        cursor.advance()?;
    }
}
