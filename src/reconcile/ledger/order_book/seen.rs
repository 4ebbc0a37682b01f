//! Marks which bill rows some order refers to, by transaction and by order number. A mark is never removed.

use super::order::Totals;
use crate::reconcile::rows::text_hash::TextMap;

/// Transactions and order numbers; true once an order has it.
#[derive(Debug, Default)]
pub(super) struct Seen {
    transactions: TextMap<String, bool>,
    numbers: TextMap<String, bool>,
}

impl Seen {
    /// Those of bill rows, given as pairs, all unmarked.
    pub(super) fn none_of<'r>(rows: impl Iterator<Item = (&'r str, &'r str)>) -> Seen {
        let mut seen = Seen::default();
        for (transaction_id, out_trade_no) in rows {
            seen.transactions.entry(transaction_id.to_owned()).or_default();
            seen.numbers.entry(out_trade_no.to_owned()).or_default();
        }
        seen
    }

    /// Marks the transaction and the number of an order.
    pub(super) fn see(&mut self, order: &Totals<'_>) {
        if self.numbers.is_empty() {
            return;
        }
        let id = order.transaction_id.and_then(|id| self.transactions.get_mut(id));
        id.into_iter().chain(self.numbers.get_mut(order.out_trade_no)).for_each(|seen| *seen = true);
    }

    /// Whether an order has the transaction or the number of a bill row.
    pub(super) fn has(&self, transaction_id: &str, out_trade_no: &str) -> bool {
        self.transactions.get(transaction_id) == Some(&true) || self.numbers.get(out_trade_no) == Some(&true)
    }
}
