//! How many orders differ from the bill in what was paid, and how many of them by a factor of exactly 100. Counts; what that
//! may mean, `setup_mistakes` says.

use crate::money::Fen;
use crate::record::Break;

/// The orders that differ from the bill in what was paid, as open breaks that the night found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct UnitCounts {
    /// All of them.
    pub(super) differing: i64,
    /// The order says 100 times of what the bill says.
    pub(super) hundredfold: i64,
    /// The order says a hundredth of it.
    pub(super) hundredth: i64,
}

impl UnitCounts {
    /// Counts a break, if it is one of these.
    pub(super) fn note(&mut self, it: &Break) {
        if !it.is_open() || it.rule_id != "PM01" || it.last_seen_date != it.business_date {
            return;
        }
        // The rule expects of the bill (actual) what the order says (expected).
        self.differing += 1;
        self.hundredfold += i64::from(is_hundredfold(it.expected_fen, it.actual_fen));
        self.hundredth += i64::from(is_hundredfold(it.actual_fen, it.expected_fen));
    }
}

fn is_hundredfold(amount: Option<Fen>, of: Option<Fen>) -> bool {
    let (Some(amount), Some(of)) = (amount, of) else { return false };
    of != Fen::ZERO && of.0.checked_mul(100) == Some(amount.0)
}
