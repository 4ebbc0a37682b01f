//! Limits of the reduction: which tables are small enough to stay whole, and how much a useful
//! condition may match.

use super::source::Source;

/// Limits of the reduction.
#[derive(Debug, Clone, Copy)]
pub(in crate::reconcile) struct Limits {
    /// A table with at most this many rows stays whole.
    pub(in crate::reconcile) small_rows: u64,
    /// A condition may always match this many rows, whatever their share of the table.
    pub(in crate::reconcile) matched_rows: u64,
    /// Above that, at most one row in this many.
    pub(in crate::reconcile) matched_share: u64,
    /// The maximum number of excluded keys held in memory.
    pub(in crate::reconcile) held_keys: usize,
}

impl Limits {
    /// Whether a table stays whole.
    pub(super) fn is_small(self, source: &Source) -> bool {
        source.is_in_memory() || source.rows <= self.small_rows
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { small_rows: 8_192, matched_rows: 16_384, matched_share: 16, held_keys: 16_384 }
    }
}
