//! The refunds in the bills: the refunded amount of each payment, found by its transaction and by the order number it
//! names, and which rows belong to an order; as defined by `jobs/rules/views/03_bill_refunds.sql`. All of it is in
//! scratch files, so memory does not grow with the refunds.

use std::io;
use std::marker::PhantomData;
use std::path::Path;

use chrono::NaiveDate;

use super::filter::{BITS_OF_FEW, Filter, FilterWriter};
use super::lookup::{Filing, Lookup, LookupWriter};
use super::order::Totals;
use super::table::{RefundsRow, RefundsTable, path_of};
use crate::dataset::columns::{DayNumber, Micros, row_type};
use crate::money::Fen;
use crate::reconcile::basis::parameters::days;
use crate::reconcile::error::{ReconcileError, scratched, torn};
use crate::reconcile::ledger::tally::{BillRows, Tally};
use crate::reconcile::rows::cursor;
use crate::reconcile::rows::grouped::{Grouped, by_text, key_of, packed, sorter};
use crate::reconcile::rows::merge::{DayMerge, Keyed};
use crate::reconcile::rows::scratch_table::RowWriter;
use crate::reconcile::rows::text_hash::hash;
use crate::sorter::{CellPacker, PackedRow, Rows, Sorter, Unpacker};

row_type! {
    /// A refund row of a bill.
    RefundRow of RefundColumns {
        refund_id: text,
        transaction_id: text,
        out_trade_no: text,
        accepted_time: instant,
        refund_status: maybe_text,
        applied_refund_fen: fen,
    }
}

impl Keyed for RefundColumns {
    fn key(&self, row: usize) -> &str {
        self.refund_id.value(row)
    }
}

/// The refunds of one payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::reconcile::ledger) struct Refunded<'a> {
    pub(super) transaction_id: &'a str,
    pub(super) out_trade_no: &'a str,
    pub(in crate::reconcile::ledger) fen: Fen,
    pub(in crate::reconcile::ledger) count: i64,
    pub(in crate::reconcile::ledger) last_at: Option<Micros>,
    pub(super) day: Option<DayNumber>,
    /// The part of `fen` that was first listed after the previous ledger, whose sums lack it.
    pub(in crate::reconcile::ledger) fresh: Fen,
    /// The same part of `count`.
    pub(in crate::reconcile::ledger) fresh_count: i64,
}

impl<'a> Refunded<'a> {
    fn with(self, other: Refunded<'a>) -> Refunded<'a> {
        Refunded {
            transaction_id: self.transaction_id.max(other.transaction_id),
            out_trade_no: self.out_trade_no.max(other.out_trade_no),
            fen: self.fen + other.fen,
            count: self.count + other.count,
            last_at: self.last_at.max(other.last_at),
            day: self.day.max(other.day),
            fresh: self.fresh + other.fresh,
            fresh_count: self.fresh_count + other.fresh_count,
        }
    }

    fn of_rows(rows: Rows<'a>) -> Refunded<'a> {
        let refunded = rows.map(|row| Refunded::unpack(&mut row.unpack()));
        refunded.reduce(Refunded::with).unwrap_or_default()
    }

    fn row(&self) -> RefundsRow<'a> {
        RefundsRow {
            transaction_id: self.transaction_id,
            out_trade_no: self.out_trade_no,
            refund_fen: self.fen,
            refund_count: self.count,
            refunded_at: self.last_at,
            dt: self.day,
        }
    }

    pub(super) fn pack(&self, cells: &mut CellPacker<'_>) {
        cells.text(self.transaction_id);
        cells.text(self.out_trade_no);
        cells.integer(self.fen.0);
        cells.integer(self.count);
        cells.maybe_integer(self.last_at);
        cells.maybe_integer(self.day.map(i64::from));
        cells.integer(self.fresh.0);
        cells.integer(self.fresh_count);
    }

    pub(super) fn unpack(cells: &mut Unpacker<'a>) -> Refunded<'a> {
        Refunded {
            transaction_id: cells.text(),
            out_trade_no: cells.text(),
            fen: Fen(cells.integer()),
            count: cells.integer(),
            last_at: cells.maybe_integer(),
            day: cells.maybe_integer().map(|day| DayNumber::try_from(day).expect("a packed day")),
            fresh: Fen(cells.integer()),
            fresh_count: cells.integer(),
        }
    }
}

/// Refunds of payments, found by one of their strings.
struct Filed<K>(PhantomData<K>);

/// The string by which they are found.
trait FiledBy {
    fn key<'r>(refunded: &'r Refunded<'_>) -> &'r str;
}

struct Transaction;

struct OrderNumber;

impl FiledBy for Transaction {
    fn key<'r>(refunded: &'r Refunded<'_>) -> &'r str {
        refunded.transaction_id
    }
}

impl FiledBy for OrderNumber {
    fn key<'r>(refunded: &'r Refunded<'_>) -> &'r str {
        refunded.out_trade_no
    }
}

impl<K: FiledBy> Filing for Filed<K> {
    type Row<'a> = Refunded<'a>;

    const FILTER_BITS: u64 = BITS_OF_FEW;
    /// Every refund is read once, by its order, and there are few.
    const BLOCK_BYTES: u64 = 4 << 10;

    fn key<'r>(refunded: &'r Refunded<'_>) -> &'r str {
        K::key(refunded)
    }

    fn pack(refunded: &Refunded<'_>, cells: &mut CellPacker<'_>) {
        refunded.pack(cells);
    }

    fn unpack<'a>(cells: &mut Unpacker<'a>) -> Refunded<'a> {
        Refunded::unpack(cells)
    }
}

/// Memory for reading refunds.
#[derive(Debug, Default)]
pub(in crate::reconcile::ledger) struct RefundBlocks([Vec<u8>; 2]);

/// The refunds of the look-back.
pub(in crate::reconcile::ledger) struct Refunds {
    by_transaction: Lookup<Filed<Transaction>>,
    by_number: Lookup<Filed<OrderNumber>>,
}

impl Refunds {
    /// Reads the refunds of the bills: a refund that is listed twice counts once, a failed one not at all. Writes the
    /// table of the view `bill_refunds` to `scratch`, and returns the rows too. What was first listed after `known_to`
    /// is fresh.
    pub(super) fn read(
        window: &[(NaiveDate, &Path)],
        known_to: Option<NaiveDate>,
        scratch: &Path,
    ) -> Result<(Refunds, RefundRows), ReconcileError> {
        let known_to = known_to.map(days);
        let mut bills = DayMerge::<RefundColumns>::open("refunds", window)?;
        let count = cursor::count_rows(window.iter().map(|(_, path)| *path))?;
        let (mut rows, mut refunds) = (RowsRead::expecting(count, scratch), sorter(scratch));
        while let Some(refund) = Refund::take(&mut bills, |row| rows.add(row))? {
            let refunded = refund.refunded(known_to);
            if !refund.has_failed {
                refunds
                    .push(&packed(by_text(refunded.transaction_id), |cells| refunded.pack(cells)))
                    .map_err(scratched)?;
            }
        }
        let rows = rows.finish(scratch).map_err(scratched)?;
        Ok((Refunds::file(refunds, count, scratch)?, rows))
    }

    /// Combines the refunds of each payment, then those of each number.
    fn file(refunds: Sorter, count: u64, scratch: &Path) -> Result<Refunds, ReconcileError> {
        let mut table = RowWriter::<RefundsTable>::new(path_of(scratch, "bill_refunds"), count);
        let mut numbers = sorter(scratch);
        let mut by_transaction = LookupWriter::new(scratch, count).map_err(scratched)?;
        let mut payments = refunds.finish().and_then(Grouped::new).map_err(scratched)?;
        while payments.take_next().map_err(scratched)? {
            let refunded = Refunded::of_rows(payments.rows());
            by_transaction.push(&refunded).map_err(scratched)?;
            numbers.push(&packed(by_text(refunded.out_trade_no), |cells| refunded.pack(cells))).map_err(scratched)?;
            table.push(&refunded.row()).map_err(torn)?;
        }
        table.finish().map_err(torn)?;
        let by_number = file_by_number(numbers, count, scratch).map_err(scratched)?;
        Ok(Refunds { by_transaction: Lookup::of([by_transaction]).map_err(scratched)?, by_number })
    }

    /// The refunds of an order's payment, else those of its number.
    pub(in crate::reconcile::ledger) fn of<'a>(
        &'a self,
        transaction_id: Option<&str>,
        out_trade_no: &str,
        RefundBlocks([of_transaction, of_number]): &'a mut RefundBlocks,
    ) -> io::Result<Option<Refunded<'a>>> {
        match transaction_id.map(|id| self.by_transaction.find(id, of_transaction)).transpose()?.flatten() {
            Some(refunded) => Ok(Some(refunded)),
            None => self.by_number.find(out_trade_no, of_number),
        }
    }
}

fn file_by_number(numbers: Sorter, count: u64, scratch: &Path) -> io::Result<Lookup<Filed<OrderNumber>>> {
    let (mut lookup, mut numbers) = (LookupWriter::new(scratch, count)?, Grouped::new(numbers.finish()?)?);
    while numbers.take_next()? {
        lookup.push(&Refunded::of_rows(numbers.rows()))?;
    }
    Lookup::of([lookup])
}

/// A refund with its rows combined.
#[derive(Debug, Default)]
struct Refund {
    refund_id: String,
    transaction_id: String,
    out_trade_no: String,
    fen: Option<Fen>,
    last_at: Option<Micros>,
    /// First and last day of the bills that list it.
    days: Option<(DayNumber, DayNumber)>,
    has_failed: bool,
}

impl Refund {
    /// Takes the next refund; passes each of its rows to `see`.
    fn take(
        bills: &mut DayMerge<RefundColumns>,
        mut see: impl FnMut(&RefundRow<'_>) -> Result<(), ReconcileError>,
    ) -> Result<Option<Refund>, ReconcileError> {
        let Some(refund_id) = bills.peek_key() else { return Ok(None) };
        let mut refund = Refund { refund_id: refund_id.to_owned(), ..Refund::default() };
        while bills.peek_key() == Some(&refund.refund_id) {
            let Some((day, row)) = bills.peek() else { break };
            see(&row)?;
            refund.add(day, &row);
            bills.advance()?;
        }
        Ok(Some(refund))
    }

    fn add(&mut self, day: DayNumber, row: &RefundRow<'_>) {
        self.has_failed |= row.refund_status == Some("FAIL");
        self.fen = self.fen.max(Some(row.applied_refund_fen));
        self.last_at = self.last_at.max(Some(row.accepted_time));
        self.days = Some(self.days.map_or((day, day), |(first, last)| (first.min(day), last.max(day))));
        larger(&mut self.transaction_id, row.transaction_id);
        larger(&mut self.out_trade_no, row.out_trade_no);
    }

    fn refunded(&self, known_to: Option<DayNumber>) -> Refunded<'_> {
        let is_fresh = self.days.map(|(first, _)| first) > known_to;
        let fen = self.fen.unwrap_or_default();
        Refunded {
            transaction_id: &self.transaction_id,
            out_trade_no: &self.out_trade_no,
            fen,
            count: 1,
            last_at: self.last_at,
            day: self.days.map(|(_, last)| last),
            fresh: if is_fresh { fen } else { Fen::ZERO },
            fresh_count: i64::from(is_fresh),
        }
    }
}

fn larger(text: &mut String, other: &str) {
    if other > text.as_str() {
        text.clear();
        text.push_str(other);
    }
}

/// The refund rows of the bills, failed ones too, until it is known which belong to an order: by order number while
/// orders are processed, or by transaction at the end.
pub(super) struct RefundRows {
    by_number: Grouped,
    /// Tells which transactions no row has.
    transactions: Filter,
    /// Rows with numbers that no order has.
    left: Sorter,
    /// Transactions of orders that a row may have.
    asked: Sorter,
    counted: BillRows,
}

/// The refund rows of the bills while they are read.
struct RowsRead {
    unsorted: Sorter,
    transactions: FilterWriter,
    total: Tally,
}

impl RowsRead {
    fn expecting(count: u64, scratch: &Path) -> RowsRead {
        let transactions = FilterWriter::for_keys(count, BITS_OF_FEW);
        RowsRead { unsorted: sorter(scratch), transactions, total: Tally::default() }
    }

    fn add(&mut self, row: &RefundRow<'_>) -> Result<(), ReconcileError> {
        self.total.add(row.applied_refund_fen);
        self.transactions.add(hash(row.transaction_id));
        let pack = |cells: &mut CellPacker<'_>| {
            cells.text(row.transaction_id);
            cells.integer(row.applied_refund_fen.0);
        };
        self.unsorted.push(&packed(by_text(row.out_trade_no), pack)).map_err(scratched)
    }

    fn finish(self, scratch: &Path) -> io::Result<RefundRows> {
        Ok(RefundRows {
            by_number: Grouped::new(self.unsorted.finish()?)?,
            transactions: self.transactions.finish(),
            left: sorter(scratch),
            asked: sorter(scratch),
            counted: BillRows { total: self.total, ..BillRows::default() },
        })
    }
}

impl RefundRows {
    /// Counts the rows with the number of an order; orders must come in ascending order of numbers.
    pub(super) fn see(&mut self, order: &Totals<'_>) -> io::Result<()> {
        self.pass(Some(order.out_trade_no))?;
        self.by_number.take(key_of(order.out_trade_no))?;
        self.by_number.rows().for_each(|row| self.counted.count_matched(tally(row)));
        let asked = order.transaction_id.filter(|id| self.transactions.may_hold(hash(id)));
        asked.map_or(Ok(()), |id| self.asked.push(&packed(by_text(id), |_| {})))
    }

    /// Skips the rows of smaller numbers: no order has theirs.
    fn pass(&mut self, out_trade_no: Option<&str>) -> io::Result<()> {
        while self.by_number.take_smaller(out_trade_no.map(key_of))? {
            for row in self.by_number.rows() {
                let (transaction_id, fen) = (row.unpack().text(), tally(row).fen);
                self.left.push(&packed(by_text(transaction_id), |left| {
                    left.text("");
                    left.integer(fen.0);
                }))?;
            }
        }
        Ok(())
    }

    /// After all orders: counts the rows with the transaction of an order, and the others.
    pub(super) fn finish(mut self) -> io::Result<BillRows> {
        self.pass(None)?;
        let (mut left, mut asked) = (Grouped::new(self.left.finish()?)?, Grouped::new(self.asked.finish()?)?);
        while left.take_next()? {
            let transaction = key_of(left.text());
            while asked.take_smaller(Some(transaction))? {}
            let has_order = asked.peek() == Some(transaction);
            left.rows().for_each(|row| self.counted.count(tally(row), has_order));
        }
        Ok(self.counted)
    }
}

/// A row, with its amount after a string.
fn tally(row: PackedRow<'_>) -> Tally {
    let mut cells = row.unpack();
    cells.text();
    Tally { rows: 1, fen: Fen(cells.integer()) }
}
