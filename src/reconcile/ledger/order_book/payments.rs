//! Reads the payments of the bills: each goes into the view's table, and what the join needs of it is
//! sorted by the order number it names.

use std::collections::BTreeSet;
use std::path::Path;

use chrono::NaiveDate;

use super::bill::{BilledOrder, OddRow, Payment, PaymentColumns};
use super::filter::{BITS_OF_MANY, Filter, FilterWriter};
use super::table::{MerchantsRow, MerchantsTable, PaymentsRow, PaymentsTable, path_of};
use crate::dataset::columns::DayNumber;
use crate::reconcile::error::{ReconcileError, scratched, torn};
use crate::reconcile::ledger::tally::Tally;
use crate::reconcile::rows::cursor::{self, Held};
use crate::reconcile::rows::grouped::{Grouped, by_text, packed, sorter};
use crate::reconcile::rows::merge::DayMerge;
use crate::reconcile::rows::scratch_table::RowWriter;
use crate::reconcile::rows::text_hash::hash;
use crate::reconcile::rules::Reads;

/// Payments sorted by the order number they name.
pub(super) struct Payments {
    pub(super) by_number: Grouped,
    /// Tells which transactions no payment has.
    pub(super) transactions: Filter,
    /// Rows of payments that name several orders.
    pub(super) odd_rows: Vec<OddRow>,
    pub(super) total: Tally,
}

/// Collects the view `bill_merchants`: bills have many payments but few merchants.
#[derive(Default)]
struct Merchants(BTreeSet<String>);

/// Reads the bills of the look-back; writes the tables of their payments and merchants to `scratch`.
pub(super) fn sort(window: &[(NaiveDate, &Path)], scratch: &Path, reads: &Reads) -> Result<Payments, ReconcileError> {
    let mut bills = DayMerge::<PaymentColumns>::open("payments", window)?;
    let mut sorter = sorter(scratch);
    let count = cursor::count_rows(window.iter().map(|(_, path)| *path))?;
    let mut transactions = FilterWriter::for_keys(count, BITS_OF_MANY);
    let mut table = RowWriter::<PaymentsTable>::new(path_of(scratch, "bill_payments"), count);
    table = table.only(reads.of("bill_payments"));
    let mut merchants = Merchants::default();
    let (mut rows, mut odd_rows, mut total) = (Vec::new(), Vec::new(), Tally::default());
    while take_payment(&mut bills, &mut rows)? {
        let rows = rows.iter().map(|(day, row): &(_, Held<PaymentColumns>)| Payment::of_row(*day, row.row()));
        let payment = Payment::of_rows(rows.clone());
        let billed = BilledOrder::of(&payment, rows, &mut odd_rows);
        total = total.plus(payment.tally());
        transactions.add(hash(payment.transaction_id));
        sorter.push(&packed(by_text(payment.out_trade_no), |cells| billed.pack(cells))).map_err(scratched)?;
        merchants.add(&payment);
        table.push(&payments_row(&payment)).map_err(torn)?;
    }
    table.finish().map_err(torn)?;
    merchants.write(scratch)?;
    let by_number = sorter.finish().and_then(Grouped::new).map_err(scratched)?;
    Ok(Payments { by_number, transactions: transactions.finish(), odd_rows, total })
}

/// The rows of the next payment, each with its day; false if there is none.
fn take_payment(
    bills: &mut DayMerge<PaymentColumns>,
    rows: &mut Vec<(DayNumber, Held<PaymentColumns>)>,
) -> Result<bool, ReconcileError> {
    rows.clear();
    while let Some((day, row)) = bills.hold() {
        let is_next = rows.first().is_none_or(|(_, first)| first.row().transaction_id == row.row().transaction_id);
        if !is_next {
            break;
        }
        rows.push((day, row));
        bills.advance()?;
    }
    Ok(!rows.is_empty())
}

fn payments_row<'a>(payment: &Payment<'a>) -> PaymentsRow<'a> {
    PaymentsRow {
        transaction_id: payment.transaction_id,
        out_trade_no: payment.out_trade_no,
        openid: payment.openid,
        mchid: payment.mchid,
        sub_mchid: payment.sub_mchid,
        order_fen: payment.order_fen,
        trade_time: payment.trade_time,
        dt: payment.day,
        is_revoked: payment.is_revoked,
    }
}

impl Merchants {
    fn add(&mut self, payment: &Payment<'_>) {
        for merchant in [payment.mchid, payment.sub_mchid].into_iter().flatten() {
            if !self.0.contains(merchant) {
                self.0.insert(merchant.to_owned());
            }
        }
    }

    fn write(&self, scratch: &Path) -> Result<(), ReconcileError> {
        let mut table = RowWriter::<MerchantsTable>::new(path_of(scratch, "bill_merchants"), self.0.len() as u64);
        self.0.iter().try_for_each(|merchant| table.push(&MerchantsRow { merchant })).map_err(torn)?;
        table.finish().map_err(torn)
    }
}
