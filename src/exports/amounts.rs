//! The control totals of an export, by what happened to its rows. Knows no row.

use crate::money::Fen;

/// The control totals of an export. A row whose amount cannot be parsed adds nothing and is
/// counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Of every row with a parsed amount.
    pub read: Fen,
    /// Of those that repeated another one exactly.
    pub collapsed: Fen,
    /// Of those quarantined: malformed in another cell, or contradicting each other.
    pub quarantined: Fen,
    /// Malformed rows whose amount could not be parsed.
    pub unreadable: u64,
}

impl Amounts {
    /// Counts a malformed row.
    pub(super) fn put_aside(&mut self, amount: Option<Fen>) {
        match amount {
            Some(amount) => {
                self.read += amount;
                self.quarantined += amount;
            }
            None => self.unreadable += 1,
        }
    }
}
