//! Control totals of the match: every row that went in stands somewhere, matched or not, in rows and
//! in fen. What went in is counted by SQL over the tables, where it went by the match itself.

use std::fmt;

use serde::Deserialize;

use super::engine::{Engine, ResultColumn};
use super::error::ReconcileError;
use super::facts::{Claim, Receipt};
use crate::contract::ColumnKind::Integer;
use crate::money::Fen;
use crate::record::{LedgerRow, UserCoupon};

/// Rows and their amount.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct Tally {
    /// How many rows.
    pub rows: i64,
    /// Their sum, fen.
    pub fen: Fen,
}

/// The control totals of one side of the match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footing {
    /// `user_coupons`, `orders` (lines that name a coupon), `subsidy_payments`, `payments`, `refunds`.
    pub side: &'static str,
    /// What went in.
    pub total: Tally,
    /// Found its partner: coupons and receipts an order, order lines their coupon, bill rows an order.
    pub matched: Tally,
    /// Did not.
    pub unmatched: Tally,
    /// Not of this day's books: received or created after D, or the second wallet of a coupon.
    pub left_out: Tally,
}

/// Counts where the rows of the match went.
#[derive(Debug, Default)]
pub(super) struct Counts {
    coupons: [Tally; 3],
    lines: [Tally; 2],
    receipts: [Tally; 2],
}

const TALLY_COLUMNS: &[ResultColumn<'_>] = &[("rows", Integer), ("fen", Integer)];

impl Tally {
    fn add(&mut self, fen: Fen) {
        self.rows += 1;
        self.fen = self.fen + fen;
    }

    fn plus(self, other: Tally) -> Tally {
        Tally { rows: self.rows + other.rows, fen: self.fen + other.fen }
    }
}

impl Footing {
    /// Whether what went in is what came out.
    pub fn holds(&self) -> bool {
        self.total == self.matched.plus(self.unmatched).plus(self.left_out)
    }
}

impl fmt::Display for Footing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Footing { side, total, matched, unmatched, left_out } = self;
        write!(f, "`{side}` {total}; matched {matched}, unmatched {unmatched}, left out {left_out}")
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows of {} yuan", self.rows, self.fen)
    }
}

impl Counts {
    /// A wallet row that is not of this day's books.
    pub(super) fn leave_out(&mut self, wallet: &UserCoupon) {
        self.coupons[2].add(face_value(wallet));
    }

    /// The sides that went into one ledger row.
    pub(super) fn add(&mut self, row: &LedgerRow, wallet: Option<&UserCoupon>, claims: &[Claim], receipts: &[Receipt]) {
        let unmatched = usize::from(row.out_trade_no.is_none());
        if let Some(wallet) = wallet {
            self.coupons[unmatched].add(face_value(wallet));
        }
        for receipt in receipts {
            self.receipts[unmatched].add(receipt.amount_fen);
        }
        for claim in claims {
            let is_other = row.out_trade_no.as_ref() != Some(&claim.out_trade_no);
            self.lines[usize::from(is_other)].add(claim.discount_fen);
        }
    }
}

fn face_value(wallet: &UserCoupon) -> Fen {
    wallet.discount_amount_fen.unwrap_or_default()
}

/// The control totals of the night.
pub(super) fn of(engine: &mut Engine<'_>, counts: &Counts) -> Result<Vec<Footing>, ReconcileError> {
    let [matched, unmatched, left_out] = counts.coupons;
    let nothing = Tally::default();
    let coupons = "SELECT COUNT(*) AS rows, COALESCE(SUM(discount_amount_fen), 0) AS fen FROM user_coupons";
    let lines = "SELECT COUNT(*) AS rows, COALESCE(SUM(discount_fen), 0) AS fen FROM order_lines \
                 WHERE stock_id <> '' AND coupon_code <> ''";
    let receipts = "SELECT COUNT(*) AS rows, COALESCE(SUM(amount_fen), 0) AS fen FROM subsidy_payments";
    let later = "SELECT COUNT(*) AS rows, COALESCE(SUM(r.amount_fen), 0) AS fen FROM subsidy_payments r \
                 CROSS JOIN params p WHERE r.create_time >= p.day_end_at";
    Ok(vec![
        Footing { side: "user_coupons", total: tally(engine, coupons)?, matched, unmatched, left_out },
        Footing {
            side: "orders",
            total: tally(engine, lines)?,
            matched: counts.lines[0],
            unmatched: counts.lines[1],
            left_out: nothing,
        },
        Footing {
            side: "subsidy_payments",
            total: tally(engine, receipts)?,
            matched: counts.receipts[0],
            unmatched: counts.receipts[1],
            left_out: tally(engine, later)?,
        },
        bill_side(engine, "payments", "order_fen")?,
        bill_side(engine, "refunds", "applied_refund_fen")?,
    ])
}

/// Bill rows with and without an order, counted by a join and by its complement.
fn bill_side(engine: &mut Engine<'_>, side: &'static str, amount: &str) -> Result<Footing, ReconcileError> {
    let select = format!("SELECT COUNT(*) AS rows, COALESCE(SUM(b.{amount}), 0) AS fen FROM {side}_history b");
    let joins = "LEFT JOIN (SELECT DISTINCT transaction_id FROM order_totals) t ON t.transaction_id = b.transaction_id \
                 LEFT JOIN order_totals n ON n.out_trade_no = b.out_trade_no";
    let matched = format!("{select} {joins} WHERE t.transaction_id IS NOT NULL OR n.out_trade_no IS NOT NULL");
    let unmatched = format!("{select} {joins} WHERE t.transaction_id IS NULL AND n.out_trade_no IS NULL");
    Ok(Footing {
        side,
        total: tally(engine, &select)?,
        matched: tally(engine, &matched)?,
        unmatched: tally(engine, &unmatched)?,
        left_out: Tally::default(),
    })
}

fn tally(engine: &mut Engine<'_>, sql: &str) -> Result<Tally, ReconcileError> {
    let rows: Vec<Tally> = engine.rows("control totals", sql, TALLY_COLUMNS)?;
    Ok(rows.first().copied().unwrap_or_default())
}
