//! Control totals of the match: every input row must be accounted for, matched or not, in rows and in fen. Inputs are
//! counted where files are read, results by the match.

use std::fmt;

use super::facts::{Claim, Receipt, ReceiptRows};
use super::order_book::OrderBook;
use super::tally::{BillRows, Tally};
use super::wallet::WalletRow;
use crate::money::Fen;

/// The control totals of one side of the match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footing {
    /// `user_coupons`, `orders` (lines that name a coupon), `subsidy_payments`, `payments`, `refunds`.
    pub side: &'static str,
    /// All inputs.
    pub total: Tally,
    /// Matched: coupons and receipts with an order, order lines with their coupon, bill rows with an order.
    pub matched: Tally,
    /// Unmatched.
    pub unmatched: Tally,
    /// Not part of this day: received or created after D, or the second wallet of a coupon.
    pub left_out: Tally,
}

/// Counts the results of the match.
#[derive(Debug, Default)]
pub(in crate::reconcile) struct Counts {
    wallets: Tally,
    coupons: Split,
    coupons_left_out: Tally,
    lines: Split,
    receipts: Split,
}

/// Rows that were matched, and rows that were not.
#[derive(Debug, Clone, Copy, Default)]
struct Split {
    matched: Tally,
    unmatched: Tally,
}

impl Split {
    fn count(&mut self, is_matched: bool, fen: Fen) {
        let tally = if is_matched { &mut self.matched } else { &mut self.unmatched };
        tally.add(fen);
    }

    fn footing(self, side: &'static str, total: Tally, left_out: Tally) -> Footing {
        Footing { side, total, matched: self.matched, unmatched: self.unmatched, left_out }
    }
}

impl Footing {
    /// Whether inputs and results add up.
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

impl Counts {
    /// Counts a wallet row, whatever its result.
    pub(in crate::reconcile) fn read(&mut self, wallet: &WalletRow<'_>) {
        self.wallets.add(face_value(wallet));
    }

    /// Counts a wallet row that is not part of this day.
    pub(super) fn leave_out(&mut self, wallet: &WalletRow<'_>) {
        self.coupons_left_out.add(face_value(wallet));
    }

    /// Counts the sides that went into one ledger row with `out_trade_no`.
    pub(in crate::reconcile) fn add(
        &mut self,
        out_trade_no: Option<&str>,
        wallet: Option<&WalletRow<'_>>,
        claims: &[Claim<'_>],
        receipts: &[Receipt<'_>],
    ) {
        let has_order = out_trade_no.is_some();
        if let Some(wallet) = wallet {
            self.coupons.count(has_order, face_value(wallet));
        }
        for receipt in receipts {
            self.receipts.count(has_order, receipt.amount);
        }
        for claim in claims {
            let is_of_order = out_trade_no == Some(claim.order.out_trade_no);
            self.lines.count(is_of_order, claim.amounts.discount);
        }
    }

    /// The control totals of the night.
    pub(in crate::reconcile) fn footing(&self, orders: &OrderBook, receipts: ReceiptRows) -> Vec<Footing> {
        vec![
            self.coupons.footing("user_coupons", self.wallets, self.coupons_left_out),
            self.lines.footing("orders", orders.coupon_lines, Tally::default()),
            self.receipts.footing("subsidy_payments", receipts.total, receipts.left_out),
            bill_side("payments", orders.payment_rows),
            bill_side("refunds", orders.refund_rows),
        ]
    }
}

fn face_value(wallet: &WalletRow<'_>) -> Fen {
    wallet.discount_amount_fen.unwrap_or_default()
}

/// Bill rows with and without an order, each counted on its own.
fn bill_side(side: &'static str, rows: BillRows) -> Footing {
    Footing { side, total: rows.total, matched: rows.matched, unmatched: rows.unmatched, left_out: Tally::default() }
}
