//! Second pass, by transaction, over what order numbers could not match: orders whose transaction appears in no payment of
//! their number but maybe in one of another number, and payments that no order names. Both are sorted by transaction like
//! the bills, so one more merge settles them in bounded memory.

use std::path::Path;

use chrono::NaiveDate;

use super::bill::{BilledOrder, Payment, PaymentColumns};
use super::joined::{BillSide, Joined, of_number};
use super::order::{Line, Totals};
use super::output::Output;
use super::refunds::{RefundBlocks, Refunds};
use crate::dataset::columns::DayNumber;
use crate::dataset::partition::PartitionError;
use crate::money::Fen;
use crate::reconcile::basis::parameters::days;
use crate::reconcile::error::{ReconcileError, scratched};
use crate::reconcile::ledger::tally::{BillRows, Tally};
use crate::reconcile::rows::cursor::{Cursor, Held};
use crate::reconcile::rows::grouped::{Grouped, by_text, key_of, packed, sorter};
use crate::reconcile::rows::merge::Keyed;
use crate::sorter::{CellPacker, PackedRow, Sorter};

/// Orders and payments that wait for the second pass, by transaction.
pub(super) struct Apart {
    orders: Sorter,
    payments: Sorter,
}

/// A second scan of the bills' payments, each day sorted by transaction, as the first scan has checked.
struct BillWalk {
    days: Vec<(DayNumber, Cursor<PaymentColumns>)>,
    /// The rows of the last requested transaction, in the order of the days.
    rows: Vec<(DayNumber, Held<PaymentColumns>)>,
}

/// An order that waits.
struct Waiting<'a> {
    lines: Vec<Line<'a>>,
    same_number: Vec<BilledOrder<'a>>,
}

impl Apart {
    pub(super) fn new(scratch: &Path) -> Apart {
        Apart { orders: sorter(scratch), payments: sorter(scratch) }
    }

    /// Adds an order with a transaction, and the payments of its number, none of which is of that transaction.
    pub(super) fn order(
        &mut self,
        transaction_id: &str,
        lines: &[Line<'_>],
        same_number: &[BilledOrder<'_>],
    ) -> Result<(), ReconcileError> {
        let pack = |cells: &mut CellPacker<'_>| {
            cells.count(lines.len());
            lines.iter().for_each(|line| line.pack(cells));
            cells.count(same_number.len());
            same_number.iter().for_each(|payment| payment.pack(cells));
        };
        self.orders.push(&packed(by_text(transaction_id), pack)).map_err(scratched)
    }

    /// Adds a payment whose number no order has.
    pub(super) fn payment(&mut self, payment: &BilledOrder<'_>) -> Result<(), ReconcileError> {
        let pack = |cells: &mut CellPacker<'_>| {
            cells.integer(payment.rows.rows);
            cells.integer(payment.rows.fen.0);
        };
        self.payments.push(&packed(by_text(payment.transaction_id), pack)).map_err(scratched)
    }

    /// Joins every order with the payment of its transaction, into `output`, and counts the payments.
    pub(super) fn finish(
        self,
        window: &[(NaiveDate, &Path)],
        refunds: &Refunds,
        output: &mut Output,
        payment_rows: &mut BillRows,
    ) -> Result<(), ReconcileError> {
        let mut orders = self.orders.finish().and_then(Grouped::new).map_err(scratched)?;
        let mut payments = self.payments.finish().and_then(Grouped::new).map_err(scratched)?;
        let mut blocks = RefundBlocks::default();
        let mut bills = BillWalk::open(if orders.peek().is_none() { &[] } else { window })?;
        while orders.take_next().map_err(scratched)? {
            let transaction_id = orders.text();
            count_smaller(&mut payments, Some(transaction_id), payment_rows)?;
            payments.take(key_of(transaction_id)).map_err(scratched)?;
            payments.rows().for_each(|payment| payment_rows.count_matched(tally(payment)));
            let payment = bills.find(transaction_id)?;
            for order in orders.rows() {
                let Waiting { lines, same_number } = Waiting::of(order);
                let totals = Totals::of(&lines);
                let refunded = refunds.of(totals.transaction_id, totals.out_trade_no, &mut blocks);
                let bill = BillSide::new(payment, of_number(&same_number), refunded.map_err(scratched)?);
                output.late_order(&Joined { totals, lines: &lines, bill })?;
            }
        }
        count_smaller(&mut payments, None, payment_rows)
    }
}

/// Counts the payments of smaller transactions: no order has theirs.
fn count_smaller(
    payments: &mut Grouped,
    transaction_id: Option<&str>,
    payment_rows: &mut BillRows,
) -> Result<(), ReconcileError> {
    while payments.take_smaller(transaction_id.map(key_of)).map_err(scratched)? {
        payments.rows().for_each(|payment| payment_rows.count_unmatched(tally(payment)));
    }
    Ok(())
}

fn tally(payment: PackedRow<'_>) -> Tally {
    let mut cells = payment.unpack();
    Tally { rows: cells.integer(), fen: Fen(cells.integer()) }
}

impl<'a> Waiting<'a> {
    fn of(row: PackedRow<'a>) -> Waiting<'a> {
        let mut cells = row.unpack();
        let lines: Vec<_> = (0..cells.count()).map(|_| Line::unpack(&mut cells)).collect();
        let number = lines.first().map_or("", |line| line.row.out_trade_no);
        let same_number = (0..cells.count()).map(|_| BilledOrder::unpack(number, &mut cells)).collect();
        Waiting { lines, same_number }
    }
}

impl BillWalk {
    fn open(window: &[(NaiveDate, &Path)]) -> Result<BillWalk, PartitionError> {
        let open = |(date, path): &(NaiveDate, &Path)| Ok((days(*date), Cursor::open_ahead("payments", Some(*path))?));
        Ok(BillWalk { days: window.iter().map(open).collect::<Result<_, _>>()?, rows: Vec::new() })
    }

    /// The payment of a transaction; transactions must be passed in ascending order.
    fn find(&mut self, transaction_id: &str) -> Result<Option<BilledOrder<'_>>, ReconcileError> {
        self.rows.clear();
        for (day, bill) in &mut self.days {
            bill.pass(|rows, row| rows.key(row) < transaction_id)?;
            while bill.place().is_some_and(|(rows, row)| rows.key(row) == transaction_id) {
                self.rows.extend(bill.hold().map(|row| (*day, row)));
                bill.advance()?;
            }
        }
        let rows = self.rows.iter().map(|(day, row)| Payment::of_row(*day, row.row()));
        let payment = Payment::of_rows(rows.clone());
        // Rows that name several orders were reported in the first scan.
        let billed = BilledOrder::of(&payment, rows, &mut Vec::new());
        Ok((!self.rows.is_empty()).then_some(billed))
    }
}
