//! The trade bills of the look-back: the amount paid per payment, as defined by
//! `jobs/rules/views/02_bill_payments.sql`.

use crate::dataset::columns::{DayNumber, Micros, row_type};
use crate::money::Fen;
use crate::reconcile::ledger::tally::Tally;
use crate::reconcile::rows::merge::Keyed;
use crate::sorter::{CellPacker, Unpacker};

row_type! {
    /// A payment row of a bill.
    PaymentRow of PaymentColumns {
        transaction_id: text,
        trade_state: text,
        trade_time: instant,
        mchid: maybe_text,
        sub_mchid: maybe_text,
        out_trade_no: text,
        openid: maybe_text,
        order_fen: fen,
    }
}

impl Keyed for PaymentColumns {
    fn key(&self, row: usize) -> &str {
        self.transaction_id.value(row)
    }
}

/// A payment of the bills, with its rows combined and counted.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Payment<'a> {
    pub(super) transaction_id: &'a str,
    pub(super) out_trade_no: &'a str,
    pub(super) openid: Option<&'a str>,
    pub(super) mchid: Option<&'a str>,
    pub(super) sub_mchid: Option<&'a str>,
    /// Null if there is no SUCCESS row.
    pub(super) order_fen: Option<Fen>,
    pub(super) trade_time: Micros,
    pub(super) day: DayNumber,
    pub(super) is_revoked: bool,
    rows: Tally,
}

/// What the join needs of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct BilledOrder<'a> {
    pub(super) transaction_id: &'a str,
    pub(super) out_trade_no: &'a str,
    pub(super) order_fen: Option<Fen>,
    pub(super) day: DayNumber,
    pub(super) is_revoked: bool,
    /// Its rows; zero if they name several orders and are counted individually.
    pub(super) rows: Tally,
}

impl<'a> BilledOrder<'a> {
    /// The payment made of `rows`; those that name several orders are added to `odd_rows`.
    pub(super) fn of(
        payment: &Payment<'a>,
        rows: impl Iterator<Item = Payment<'a>> + Clone,
        odd_rows: &mut Vec<OddRow>,
    ) -> BilledOrder<'a> {
        let is_odd = rows.clone().any(|row| row.out_trade_no != payment.out_trade_no);
        if is_odd {
            odd_rows.extend(rows.map(|row| OddRow::of(&row)));
        }
        BilledOrder {
            transaction_id: payment.transaction_id,
            out_trade_no: payment.out_trade_no,
            order_fen: payment.order_fen,
            day: payment.day,
            is_revoked: payment.is_revoked,
            rows: if is_odd { Tally::default() } else { payment.rows },
        }
    }

    /// Packs everything but the order number, by which it is sorted.
    pub(super) fn pack(&self, cells: &mut CellPacker<'_>) {
        cells.text(self.transaction_id);
        cells.maybe_integer(self.order_fen.map(|fen| fen.0));
        cells.integer(i64::from(self.day));
        cells.flag(self.is_revoked);
        cells.integer(self.rows.rows);
        cells.integer(self.rows.fen.0);
    }

    pub(super) fn unpack(out_trade_no: &'a str, cells: &mut Unpacker<'a>) -> BilledOrder<'a> {
        BilledOrder {
            transaction_id: cells.text(),
            out_trade_no,
            order_fen: cells.maybe_integer().map(Fen),
            day: DayNumber::try_from(cells.integer()).expect("a packed day"),
            is_revoked: cells.flag(),
            rows: Tally { rows: cells.integer(), fen: Fen(cells.integer()) },
        }
    }
}

impl<'a> Payment<'a> {
    /// Combines the rows of one payment.
    pub(super) fn of_rows(rows: impl Iterator<Item = Payment<'a>>) -> Payment<'a> {
        rows.reduce(Payment::with).unwrap_or_default()
    }

    /// The rows it was made from.
    pub(super) fn tally(&self) -> Tally {
        self.rows
    }

    pub(super) fn of_row(day: DayNumber, row: PaymentRow<'a>) -> Payment<'a> {
        Payment {
            transaction_id: row.transaction_id,
            out_trade_no: row.out_trade_no,
            openid: row.openid,
            mchid: row.mchid,
            sub_mchid: row.sub_mchid,
            order_fen: (row.trade_state == "SUCCESS").then_some(row.order_fen),
            trade_time: row.trade_time,
            day,
            is_revoked: row.trade_state == "REVOKED",
            rows: Tally { rows: 1, fen: row.order_fen },
        }
    }

    /// Combines two parts of one payment.
    fn with(self, other: Payment<'a>) -> Payment<'a> {
        Payment {
            transaction_id: self.transaction_id,
            out_trade_no: self.out_trade_no.max(other.out_trade_no),
            openid: self.openid.max(other.openid),
            mchid: self.mchid.max(other.mchid),
            sub_mchid: self.sub_mchid.max(other.sub_mchid),
            order_fen: self.order_fen.max(other.order_fen),
            trade_time: self.trade_time.min(other.trade_time),
            day: self.day.min(other.day),
            is_revoked: self.is_revoked || other.is_revoked,
            rows: self.rows.plus(other.rows),
        }
    }
}

/// A row of a payment whose rows name more than one order: counted individually.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OddRow {
    pub(super) transaction_id: String,
    pub(super) out_trade_no: String,
    pub(super) fen: Fen,
}

impl OddRow {
    fn of(row: &Payment<'_>) -> OddRow {
        OddRow {
            transaction_id: row.transaction_id.to_owned(),
            out_trade_no: row.out_trade_no.to_owned(),
            fen: row.rows.fen,
        }
    }
}
