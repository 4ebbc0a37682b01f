//! The open breaks of a published day, as a plan needs them: those that a call may resolve are held, the others only
//! counted by rule, since a person finds them in the reports.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::proposals::has_remedy;
use crate::money::Fen;
use crate::reconcile::Decisions;
use crate::record::Break;

/// Breaks of a rule that a person has to examine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ByHand {
    /// The rule.
    pub rule_id: String,
    /// How many are open.
    pub breaks: u64,
    /// Fen at risk.
    pub at_risk_fen: Fen,
    /// What to do, according to the rule.
    pub action: String,
}

/// The open breaks of a day.
#[derive(Debug, Default)]
pub struct OpenBreaks {
    with_remedy: Vec<Break>,
    by_hand: BTreeMap<String, ByHand>,
}

impl OpenBreaks {
    /// The open ones among the `breaks` of `date`, in their order. One without a remedy about which a person has decided is
    /// nobody's task any more.
    ///
    /// # Errors
    /// The first error of `breaks`.
    pub fn of<E>(
        breaks: impl IntoIterator<Item = Result<Break, E>>,
        decisions: &Decisions,
        date: NaiveDate,
    ) -> Result<OpenBreaks, E> {
        let mut open = OpenBreaks::default();
        for it in breaks {
            let it = it?;
            if !it.is_open() {
                continue;
            }
            if has_remedy(&it.rule_id) {
                open.with_remedy.push(it);
            } else if decisions.find_in_force(&it.break_id, date).is_none() {
                open.leave_to_people(it);
            }
        }
        Ok(open)
    }

    /// Those of rules with a remedy.
    pub fn with_remedy(&self) -> &[Break] {
        &self.with_remedy
    }

    /// The others, by rule.
    pub(super) fn by_hand(&self) -> impl Iterator<Item = &ByHand> {
        self.by_hand.values()
    }

    fn leave_to_people(&mut self, Break { rule_id, at_risk_fen, action, .. }: Break) {
        let none = || ByHand { rule_id: rule_id.clone(), breaks: 0, at_risk_fen: Fen::ZERO, action };
        let of_rule = self.by_hand.entry(rule_id.clone()).or_insert_with(none);
        of_rule.breaks += 1;
        of_rule.at_risk_fen += at_risk_fen;
    }
}
