//! Which days each rule speaks about tonight, and what it means that a break of yesterday is not found. Runs no rule.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Days, NaiveDate};

use super::lifecycle::Sight;
use crate::reconcile::basis::Basis;
use crate::reconcile::basis::parameters;
use crate::reconcile::rules::Rule;
use crate::record::Break;

/// Datasets whose events must be explained by the merchant's exports.
const TRANSACTIONS: [&str; 7] =
    ["orders", "payments", "refunds", "user_coupons", "subsidy_payments", "subsidy_returns", "subsidy_orders"];

/// What tonight says about breaks of yesterday.
#[derive(Default)]
pub(super) struct Outlook<'a> {
    /// Of the judged rules.
    rules: BTreeMap<&'a str, RuleOutlook>,
    /// Ids of breaks that the queries still find, but whose rule does not judge them any more.
    left: BTreeSet<String>,
}

/// Which rows and breaks of a rule are judged tonight, and which of them are due (design §7).
pub(super) struct RuleOutlook {
    date: NaiveDate,
    /// The first day of events: of the look-back or, for rules on transactions, the first known export day in it.
    events_from: NaiveDate,
    /// The first day of the look-back.
    inputs_from: NaiveDate,
    grace: Days,
    is_of_stocks: bool,
}

impl<'a> Outlook<'a> {
    /// Adds a rule that was judged, and what left its days.
    pub(super) fn add(&mut self, rule: &'a Rule, outlook: RuleOutlook, left: BTreeSet<String>) {
        self.left.extend(left);
        self.rules.insert(&rule.id, outlook);
    }

    /// The meaning of a break not being found.
    pub(super) fn of_unseen(&self, row: &Break) -> Sight {
        let Some(rule) = self.rules.get(row.rule_id.as_str()) else { return Sight::NotJudged };
        if rule.judges(rule.event_of(row), row.oldest_input_date) && !self.left.contains(&row.break_id) {
            return Sight::Gone;
        }
        Sight::Left { is_due: rule.is_due(row.event_date) }
    }

    /// The grace of breaks that describe the state of a stock.
    pub(super) fn grace_of_state(&self, row: &Break) -> Option<Days> {
        self.rules.get(row.rule_id.as_str()).filter(|rule| rule.is_of_stocks).map(|rule| rule.grace)
    }
}

impl RuleOutlook {
    pub(super) fn of(basis: Basis<'_>, rule: &Rule) -> RuleOutlook {
        let Basis { terms, files, .. } = basis;
        let inputs_from = basis.lookback_start();
        let is_of_transactions = rule.datasets().any(|dataset| TRANSACTIONS.contains(&dataset));
        RuleOutlook {
            date: files.date,
            events_from: match is_of_transactions {
                true => parameters::first_known_order_day(terms, files),
                false => inputs_from,
            },
            inputs_from,
            grace: terms.grace_days_of(rule.datasets()),
            is_of_stocks: rule.is_of_stocks(),
        }
    }

    /// Whether a row is judged tonight: its event and all it depends on are within the look-back. Data of earlier days
    /// would seem to be missing. An event of tonight was never judged before, so it is judged now.
    pub(super) fn judges(&self, event: Option<NaiveDate>, oldest_input: Option<NaiveDate>) -> bool {
        let is_known = oldest_input.is_none_or(|oldest| oldest >= self.inputs_from);
        event.is_none_or(|event| event >= self.events_from) && (is_known || event == Some(self.date))
    }

    /// Whether every source has had its grace tonight.
    pub(super) fn is_due(&self, event: Option<NaiveDate>) -> bool {
        event.is_none_or(|event| event + self.grace <= self.date)
    }

    /// The day a break is judged by; none where it tells how a stock was on the night it was seen last, for a state is there
    /// or not on any night, however long nobody could look.
    fn event_of(&self, row: &Break) -> Option<NaiveDate> {
        row.event_date.filter(|event| !self.is_of_stocks || *event != row.last_seen_date)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::basis::files::DayFiles;
    use crate::reconcile::basis::terms::Terms;
    use crate::reconcile::rules::Rules;

    const DATE: NaiveDate = NaiveDate::from_ymd_opt(2026, 11, 20).unwrap();

    /// What a built-in rule says about tonight, for a job with the defaults and without files.
    fn outlook_of(rule_id: &str) -> RuleOutlook {
        let (terms, rules, files) = (Terms::default(), Rules::built_in(), DayFiles::new(DATE));
        let basis = Basis { terms: &terms, rules: &rules, files: &files };
        RuleOutlook::of(basis, rules.find(rule_id).unwrap())
    }

    #[test]
    fn how_a_stock_was_does_not_leave_the_look_back_while_nobody_could_look() {
        let sight = |rule_id: &str, seen_days_ago: u64, event_days_ago: u64, oldest_input: Option<u64>| {
            let before = |days: u64| DATE - Days::new(days);
            let row = Break {
                event_date: Some(before(event_days_ago)),
                oldest_input_date: oldest_input.map(before),
                ..Break::for_tests(rule_id, before(seen_days_ago))
            };
            Outlook { rules: [(rule_id, outlook_of(rule_id))].into(), left: BTreeSet::new() }.of_unseen(&row)
        };
        assert_eq!(sight("ST02", 40, 40, None), Sight::Gone, "it is as it should be, or it would be there");
        let left = Sight::Left { is_due: true };
        assert_eq!(sight("ST05", 20, 35, Some(36)), left);
        assert_eq!(sight("ST05", 40, 40, Some(41)), left);
        assert_eq!(sight("AO01", 40, 40, None), left, "a redemption happened on a day");
    }

    #[test]
    fn what_hangs_on_days_before_the_look_back_is_judged_on_the_day_of_its_event_only() {
        let outlook = outlook_of("AO01");
        let before = |days: u64| Some(DATE - Days::new(days));
        assert!(outlook.judges(before(0), before(30)) && outlook.judges(before(0), None));
        assert!(!outlook.judges(before(1), before(30)) && outlook.judges(None, None));
    }
}
