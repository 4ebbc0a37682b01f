//! An order according to the merchant's exports of the look-back: its effective lines and their sums, as defined by
//! `jobs/rules/views/01_order_lines.sql` and the inner part of `04_order_totals.sql`.

use std::cmp::Reverse;
use std::path::Path;

use chrono::NaiveDate;

use crate::dataset::columns::{DayNumber, Micros, row_type};
use crate::money::Fen;
use crate::reconcile::error::ReconcileError;
use crate::reconcile::rows::merge::{DayMerge, Keyed};
use crate::sorter::{CellPacker, Unpacker};

row_type! {
    /// A line of an order export.
    LineRow of LineColumns {
        out_trade_no: text,
        stock_id: text,
        coupon_code: text,
        transaction_id: maybe_text,
        merchant: maybe_text,
        openid: maybe_text,
        channel: maybe_text,
        paid_at: maybe_instant,
        goods_fen: fen,
        discount_fen: fen,
        paid_fen: fen,
        refund_fen: fen,
        source_file: text,
    }
}

impl Keyed for LineColumns {
    fn key(&self, row: usize) -> &str {
        self.out_trade_no.value(row)
    }
}

/// An effective line, and the day of its file.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Line<'a> {
    pub(super) row: LineRow<'a>,
    pub(super) day: DayNumber,
}

/// The effective lines of one order, summed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Totals<'a> {
    pub(super) out_trade_no: &'a str,
    pub(super) transaction_id: Option<&'a str>,
    pub(super) merchant: Option<&'a str>,
    pub(super) openid: Option<&'a str>,
    pub(super) channel: Option<&'a str>,
    pub(super) source_file: &'a str,
    pub(super) paid_at: Option<Micros>,
    pub(super) changed_day: DayNumber,
    pub(super) goods: Fen,
    pub(super) discount: Fen,
    pub(super) paid: Fen,
    pub(super) refund: Fen,
}

impl<'a> Totals<'a> {
    /// Sums the lines of one order; for strings the largest value is taken, as in the view.
    pub(super) fn of(lines: &[Line<'a>]) -> Totals<'a> {
        let rows = || lines.iter().map(|line| line.row);
        Totals {
            out_trade_no: lines.first().map_or("", |line| line.row.out_trade_no),
            transaction_id: rows().filter_map(|row| row.transaction_id).max(),
            merchant: rows().filter_map(|row| row.merchant).max(),
            openid: rows().filter_map(|row| row.openid).max(),
            channel: rows().filter_map(|row| row.channel).max(),
            source_file: rows().map(|row| row.source_file).max().unwrap_or_default(),
            paid_at: rows().filter_map(|row| row.paid_at).max(),
            changed_day: lines.iter().map(|line| line.day).max().unwrap_or_default(),
            goods: rows().map(|row| row.goods_fen).sum(),
            discount: rows().map(|row| row.discount_fen).sum(),
            paid: rows().map(|row| row.paid_fen).sum(),
            refund: rows().map(|row| row.refund_fen).sum(),
        }
    }
}

impl<'a> Line<'a> {
    pub(super) fn names_coupon(&self) -> bool {
        !(self.row.stock_id.is_empty() || self.row.coupon_code.is_empty())
    }

    pub(super) fn pack(&self, cells: &mut CellPacker<'_>) {
        let row = &self.row;
        cells.text(row.out_trade_no);
        cells.text(row.stock_id);
        cells.text(row.coupon_code);
        for text in [row.transaction_id, row.merchant, row.openid, row.channel] {
            cells.maybe_text(text);
        }
        cells.maybe_integer(row.paid_at);
        for amount in [row.goods_fen, row.discount_fen, row.paid_fen, row.refund_fen] {
            cells.integer(amount.0);
        }
        cells.text(row.source_file);
        cells.integer(i64::from(self.day));
    }

    pub(super) fn unpack(cells: &mut Unpacker<'a>) -> Line<'a> {
        let row = LineRow {
            out_trade_no: cells.text(),
            stock_id: cells.text(),
            coupon_code: cells.text(),
            transaction_id: cells.maybe_text(),
            merchant: cells.maybe_text(),
            openid: cells.maybe_text(),
            channel: cells.maybe_text(),
            paid_at: cells.maybe_integer(),
            goods_fen: Fen(cells.integer()),
            discount_fen: Fen(cells.integer()),
            paid_fen: Fen(cells.integer()),
            refund_fen: Fen(cells.integer()),
            source_file: cells.text(),
        };
        Line { row, day: DayNumber::try_from(cells.integer()).expect("a packed day") }
    }
}

/// Bytes of orders per chunk.
const CHUNK_BYTES: usize = 512 << 10;

/// Merges the exports and passes on the packed effective lines of every order, a chunk of whole orders at a time, until
/// `take` returns false.
pub(super) fn pack_all(
    window: &[(NaiveDate, &Path)],
    mut take: impl FnMut(Vec<u8>) -> bool,
) -> Result<(), ReconcileError> {
    let mut exports = DayMerge::<LineColumns>::open("orders", window)?;
    let (mut number, mut chunk) = (String::new(), Vec::with_capacity(CHUNK_BYTES));
    while pack_next(&mut exports, &mut number, &mut chunk)? {
        if chunk.len() >= CHUNK_BYTES && !take(std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK_BYTES))) {
            return Ok(());
        }
    }
    take(chunk);
    Ok(())
}

/// Appends the next order to `chunk`: per (stock_id, coupon_code) the line of the latest day. `number` is reused
/// memory. False if there is none.
fn pack_next(
    exports: &mut DayMerge<LineColumns>,
    number: &mut String,
    chunk: &mut Vec<u8>,
) -> Result<bool, ReconcileError> {
    let Some(next) = exports.peek_key() else { return Ok(false) };
    number.clear();
    number.push_str(next);
    let (start, mut rows) = (chunk.len(), 0);
    while exports.peek_key() == Some(number) {
        let Some((day, row)) = exports.peek() else { break };
        Line { row, day }.pack(&mut CellPacker::behind(chunk));
        rows += 1;
        exports.advance()?;
    }
    if rows > 1 {
        let latest = latest(&chunk[start..]);
        chunk.truncate(start);
        chunk.extend(latest);
    }
    Ok(true)
}

/// Keeps, of the packed lines of an order, those of the latest day for each coupon.
fn latest(packed: &[u8]) -> Vec<u8> {
    let mut lines = lines(packed);
    lines.sort_by_key(|line| (line.row.stock_id, line.row.coupon_code, Reverse(line.day)));
    lines.dedup_by_key(|line| (line.row.stock_id, line.row.coupon_code));
    let mut kept = Vec::with_capacity(packed.len());
    lines.iter().for_each(|line| line.pack(&mut CellPacker::behind(&mut kept)));
    kept
}

/// Packed lines in sequence.
fn lines(bytes: &[u8]) -> Vec<Line<'_>> {
    let mut cells = Unpacker::of_cells(bytes);
    let mut lines = Vec::new();
    while !cells.rest().is_empty() {
        lines.push(Line::unpack(&mut cells));
    }
    lines
}

/// Packed orders in sequence: lines with the same number are adjacent.
pub(super) struct Orders<'a> {
    cells: Unpacker<'a>,
    next: Option<Line<'a>>,
}

impl<'a> Orders<'a> {
    pub(super) fn in_bytes(bytes: &'a [u8]) -> Orders<'a> {
        let mut orders = Orders { cells: Unpacker::of_cells(bytes), next: None };
        orders.read();
        orders
    }

    fn read(&mut self) {
        self.next = (!self.cells.rest().is_empty()).then(|| Line::unpack(&mut self.cells));
    }

    /// Unpacks the lines of the next order into `lines`; false if there is none.
    pub(super) fn next_into(&mut self, lines: &mut Vec<Line<'a>>) -> bool {
        lines.clear();
        while let Some(line) =
            self.next.filter(|line| lines.first().is_none_or(|first| first.row.out_trade_no == line.row.out_trade_no))
        {
            lines.push(line);
            self.read();
        }
        !lines.is_empty()
    }
}
