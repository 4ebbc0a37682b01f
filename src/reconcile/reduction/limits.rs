//! What is small enough to stay whole, and what a condition may match to be worth it.

/// What counts as small, and as too much.
#[derive(Debug, Clone, Copy)]
pub(in crate::reconcile) struct Limits {
    /// A table of no more rows stays whole.
    pub(in crate::reconcile) small_rows: u64,
    /// A condition may match so many rows whatever their share of the table.
    pub(in crate::reconcile) matched_rows: u64,
    /// Above that, one row in so many.
    pub(in crate::reconcile) matched_share: u64,
    /// So many keys that others must not have are held in memory.
    pub(in crate::reconcile) held_keys: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { small_rows: 8_192, matched_rows: 16_384, matched_share: 16, held_keys: 16_384 }
    }
}
