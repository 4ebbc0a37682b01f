//! Counts of rows and sums of their amounts, for the control totals.

use std::fmt;

use crate::money::Fen;
use crate::quantity::counted;

/// Rows and their amount.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many rows.
    pub rows: i64,
    /// Their sum, fen.
    pub fen: Fen,
}

/// Rows of the bills: all of them, those with an order, those without.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct BillRows {
    pub(super) total: Tally,
    pub(super) matched: Tally,
    pub(super) unmatched: Tally,
}

impl Tally {
    pub(in crate::reconcile) fn add(&mut self, fen: Fen) {
        self.rows += 1;
        self.fen += fen;
    }

    /// The sum of two.
    pub(in crate::reconcile) fn plus(self, other: Tally) -> Tally {
        Tally { rows: self.rows + other.rows, fen: self.fen + other.fen }
    }
}

impl BillRows {
    /// Counts rows with an order.
    pub(super) fn count_matched(&mut self, rows: Tally) {
        self.matched = self.matched.plus(rows);
    }

    /// Counts rows without an order.
    pub(super) fn count_unmatched(&mut self, rows: Tally) {
        self.unmatched = self.unmatched.plus(rows);
    }

    /// Counts rows on the side that `has_order` says.
    pub(super) fn count(&mut self, rows: Tally, has_order: bool) {
        if has_order { self.count_matched(rows) } else { self.count_unmatched(rows) }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} yuan", counted(self.rows, "row", "rows"), self.fen)
    }
}
