//! The trade bills of the look-back: what was paid per payment and what was refunded.
//! The definitions are `jobs/rules/views/02_bill_payments.sql` and `03_bill_refunds.sql`.

use crate::money::Fen;
use crate::reconcile::columns::{DayNumber, Micros, row_type};
use crate::reconcile::error::ReconcileError;
use crate::reconcile::footing::Tally;
use crate::reconcile::merge::{DayMerge, Keyed};
use crate::reconcile::spill::{Packer, Unpacker};
use crate::reconcile::text_hash::TextMap;

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

impl Keyed for PaymentColumns {
    fn key(&self, row: usize) -> &str {
        self.transaction_id.value(row)
    }
}

impl Keyed for RefundColumns {
    fn key(&self, row: usize) -> &str {
        self.refund_id.value(row)
    }
}

/// A payment of the bills: its rows taken together, and how many they were.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Payment<'a> {
    pub(super) transaction_id: &'a str,
    pub(super) out_trade_no: &'a str,
    pub(super) openid: Option<&'a str>,
    pub(super) mchid: Option<&'a str>,
    pub(super) sub_mchid: Option<&'a str>,
    /// Null when no SUCCESS row was seen.
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
    /// Its rows; none where they name several orders and are counted one by one.
    pub(super) rows: Tally,
}

impl<'a> BilledOrder<'a> {
    /// The payment made of `rows`; those that name several orders are put into `odd_rows`.
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

    /// All but the order number, by which it is sorted.
    pub(super) fn pack(&self, cells: &mut Packer<'_>) {
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
    /// The rows of one payment taken together.
    pub(super) fn of_rows(rows: impl Iterator<Item = Payment<'a>>) -> Payment<'a> {
        rows.reduce(Payment::with).unwrap_or_default()
    }

    /// The rows it was made of.
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

    /// Two parts of one payment taken together.
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

/// A payment whose rows name more than one order: they are counted row by row.
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

/// What the bills refunded of one payment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Refunded {
    pub(super) transaction_id: String,
    pub(super) out_trade_no: String,
    pub(super) fen: Fen,
    pub(super) count: i64,
    pub(super) last_at: Option<Micros>,
    pub(super) day: Option<DayNumber>,
}

/// The refunds of the look-back. They are few beside the payments and held in memory.
#[derive(Debug, Default)]
pub(super) struct Refunds {
    /// Per payment, sorted by transaction_id: the view `bill_refunds`.
    pub(super) all: Vec<Refunded>,
    by_transaction: TextMap<String, usize>,
    by_number: TextMap<String, Refunded>,
    /// Every row of the bills, failed ones too: (transaction_id, out_trade_no) → rows and fen.
    pub(super) rows: TextMap<(String, String), (i64, Fen)>,
}

impl Refunds {
    /// Reads the refunds of the bills: a refund listed twice counts once, one that failed not at all.
    pub(super) fn read(bills: &mut DayMerge<RefundColumns>) -> Result<Refunds, ReconcileError> {
        let mut refunds = Refunds::default();
        let mut payments: TextMap<String, Refunded> = TextMap::default();
        while let Some(key) = bills.peek_key() {
            let refund_id = key.to_owned();
            let (refund, has_failed) = refunds.take(&refund_id, bills)?;
            if !has_failed {
                let payment = payments.entry(refund.transaction_id.clone()).or_insert_with(|| Refunded {
                    transaction_id: refund.transaction_id.clone(),
                    ..Refunded::default()
                });
                payment.add(&refund);
            }
        }
        refunds.all = payments.into_values().collect();
        refunds.all.sort_by(|one, other| one.transaction_id.cmp(&other.transaction_id));
        for (place, payment) in refunds.all.iter().enumerate() {
            refunds.by_transaction.insert(payment.transaction_id.clone(), place);
            refunds.by_number.entry(payment.out_trade_no.clone()).or_default().add(payment);
        }
        Ok(refunds)
    }

    /// One refund: its rows taken together, and whether it failed.
    fn take(
        &mut self,
        refund_id: &str,
        bills: &mut DayMerge<RefundColumns>,
    ) -> Result<(Refunded, bool), ReconcileError> {
        let (mut refund, mut has_failed) = (Refunded { count: 1, ..Refunded::default() }, false);
        let mut fen = None;
        while bills.peek_key() == Some(refund_id) {
            let Some((day, row)) = bills.peek() else { break };
            let seen = self.rows.entry((row.transaction_id.to_owned(), row.out_trade_no.to_owned())).or_default();
            *seen = (seen.0 + 1, seen.1 + row.applied_refund_fen);
            has_failed |= row.refund_status == Some("FAIL");
            fen = fen.max(Some(row.applied_refund_fen));
            refund.last_at = refund.last_at.max(Some(row.accepted_time));
            refund.day = refund.day.max(Some(day));
            larger(&mut refund.transaction_id, row.transaction_id);
            larger(&mut refund.out_trade_no, row.out_trade_no);
            bills.advance()?;
        }
        refund.fen = fen.unwrap_or_default();
        Ok((refund, has_failed))
    }

    /// What was refunded of the payment, else of the order's number.
    pub(super) fn of(&self, transaction_id: Option<&str>, out_trade_no: &str) -> Option<&Refunded> {
        let by_transaction = transaction_id.and_then(|id| self.by_transaction.get(id)).map(|place| &self.all[*place]);
        by_transaction.or_else(|| self.by_number.get(out_trade_no))
    }
}

impl Refunded {
    fn add(&mut self, other: &Refunded) {
        larger(&mut self.out_trade_no, &other.out_trade_no);
        self.fen += other.fen;
        self.count += other.count;
        self.last_at = self.last_at.max(other.last_at);
        self.day = self.day.max(other.day);
    }
}

fn larger(text: &mut String, other: &str) {
    if other > text.as_str() {
        text.clear();
        text.push_str(other);
    }
}
