//! The rows of a rule's query: breaks of tonight, before they are matched with those of earlier nights.

use chrono::NaiveDate;
use serde::Deserialize;

use crate::contract::ColumnKind::{Date, Integer, Text};
use crate::money::Fen;
use crate::reconcile::engine::tables::ResultColumn;
use crate::reconcile::rules::Rule;
use crate::sha256::sha256_of;

/// Rules may compare sums: a thousand times the largest amount.
const LARGEST_SUM: Fen = Fen(Fen::LARGEST.0 * 1000);

/// A result row of a rule's query.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[cfg_attr(test, derive(Default))]
pub(in crate::reconcile) struct Candidate {
    pub(in crate::reconcile) stock_id: Option<String>,
    pub(in crate::reconcile) coupon_code: Option<String>,
    pub(in crate::reconcile) openid: Option<String>,
    pub(in crate::reconcile) out_trade_no: Option<String>,
    pub(in crate::reconcile) transaction_id: Option<String>,
    pub(in crate::reconcile) out_subsidy_no: Option<String>,
    pub(super) subsidy_receipt_id: Option<String>,
    pub(in crate::reconcile) card_id: Option<String>,
    pub(in crate::reconcile) ref_date: Option<NaiveDate>,
    pub(super) subject: Option<String>,
    pub(super) expected_fen: Option<Fen>,
    pub(super) actual_fen: Option<Fen>,
    pub(in crate::reconcile) expected_count: Option<i64>,
    pub(in crate::reconcile) actual_count: Option<i64>,
    pub(super) at_risk_fen: Option<Fen>,
    pub(in crate::reconcile) why: Option<String>,
    pub(super) event_date: Option<NaiveDate>,
    pub(super) oldest_input_date: Option<NaiveDate>,
    /// A day not known tonight that may have what the row says is absent.
    pub(super) unknown_date: Option<NaiveDate>,
}

/// The columns that a rule's query may return; a missing one is null.
pub(in crate::reconcile) const COLUMNS: &[ResultColumn<'_>] = &[
    ("stock_id", Text),
    ("coupon_code", Text),
    ("openid", Text),
    ("out_trade_no", Text),
    ("transaction_id", Text),
    ("out_subsidy_no", Text),
    ("subsidy_receipt_id", Text),
    ("card_id", Text),
    ("ref_date", Date),
    ("subject", Text),
    ("expected_fen", Integer),
    ("actual_fen", Integer),
    ("expected_count", Integer),
    ("actual_count", Integer),
    ("at_risk_fen", Integer),
    ("why", Text),
    ("event_date", Date),
    ("oldest_input_date", Date),
    ("unknown_date", Date),
];

impl Candidate {
    /// The stable id of the break (design §7): the first 16 hex digits of SHA-256 over the rule's id
    /// and the key columns, empty where a column is not in the rule's key.
    pub(in crate::reconcile) fn break_id(&self, rule: &Rule) -> String {
        let ref_date = self.ref_date.map(|date| date.to_string());
        let columns = [
            ("stock_id", &self.stock_id),
            ("coupon_code", &self.coupon_code),
            ("openid", &self.openid),
            ("out_trade_no", &self.out_trade_no),
            ("transaction_id", &self.transaction_id),
            ("out_subsidy_no", &self.out_subsidy_no),
            ("card_id", &self.card_id),
            ("ref_date", &ref_date),
            ("subject", &self.subject),
        ];
        let values = columns.map(|(name, value)| value.as_deref().filter(|_| rule.has_key(name)).unwrap_or(""));
        let text = [&[rule.id.as_str()], values.as_slice()].concat().join("\n");
        sha256_of(text.as_bytes())[..16].to_owned()
    }

    /// The first amount out of range: the SQL of a rule may return any number, but differences and the sum
    /// at risk must fit into 64 bits.
    pub(super) fn implausible_amount(&self) -> Option<(&'static str, Fen)> {
        let columns = [
            ("expected_fen", self.expected_fen, LARGEST_SUM),
            ("actual_fen", self.actual_fen, LARGEST_SUM),
            ("at_risk_fen", self.at_risk_fen, Fen::LARGEST),
        ];
        let mut amounts = columns.into_iter().filter_map(|(column, amount, largest)| Some((column, amount?, largest)));
        amounts.find(|(_, amount, largest)| amount.abs() > *largest).map(|(column, amount, _)| (column, amount))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::rules::Rules;

    /// `printf 'AO01\n1288\nC1\n\n\n\n\n\n\n' | sha256sum | cut -c1-16`
    #[test]
    fn the_break_id_is_the_designs_hash_of_the_key_and_ignores_everything_else() {
        let rules = Rules::built_in();
        let rule = rules.find("AO01").unwrap();
        let [stock_id, coupon_code] = ["1288", "C1"].map(|id| Some(id.to_owned()));
        let mut row = Candidate { stock_id, coupon_code, ..Candidate::default() };
        assert_eq!(row.break_id(rule), "2650aed11c021e86");
        row.openid = Some("o1".to_owned());
        row.out_trade_no = Some("T1".to_owned());
        assert_eq!(row.break_id(rule), "2650aed11c021e86");
    }
}
