//! The control totals of an export, by what happened to its rows. Knows no row.

use crate::money::Fen;

/// The control totals of an export. A row whose amount cannot be read adds nothing, and is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Of every row whose amount could be read.
    pub read: Fen,
    /// Of those that repeated another one exactly.
    pub collapsed: Fen,
    /// Of those put aside: malformed elsewhere, or contradicting each other.
    pub quarantined: Fen,
    /// Malformed rows whose amount could not be read.
    pub unreadable: u64,
}

impl Amounts {
    /// A malformed row.
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
