//! The result that a row of the lists of coupons shows: whether it agrees, and whether that could be said at all.

use super::coupon::Coupon;
use super::input::PackInput;
use crate::job::Language;
use crate::money::Fen;
use crate::reconcile::rules::{Key, Rules};
use crate::record::{SubsidyPayment, coupon_state, receipt_status};

/// Statuses of a receipt whose money does not move any more.
const SETTLED: [&str; 4] =
    [receipt_status::SUCCESS, receipt_status::FAIL, receipt_status::PARTIAL_RETURN, receipt_status::FULL_RETURN];

/// What the rows of a night have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tonight {
    /// The language of the words.
    pub(super) language: Language,
    /// Whether no rule about coupons, orders, payments or subsidies lacked a source that the job has.
    pub(super) is_judged: bool,
}

impl Tonight {
    pub(super) fn of(input: &PackInput<'_>) -> Tonight {
        let mut short = input.unjudged.iter().filter(|it| it.is_shortfall);
        let is_judged = !short.any(|it| concerns_coupons(input.rules, &it.rule_id));
        Tonight { language: input.settings.language, is_judged }
    }

    /// The result of a coupon in the associated orders.
    pub(super) fn of_order(self, it: &Coupon<'_>, is_broken: bool) -> &'static str {
        self.settled(it, is_broken, true)
    }

    /// The result of a coupon and one of its receipts. Money that is still to come is neither right nor wrong.
    pub(super) fn of_subsidy(self, it: &Coupon<'_>, receipt: Option<&SubsidyPayment>, is_broken: bool) -> &'static str {
        let status = receipt.and_then(|it| it.status.as_deref());
        let is_on_its_way = matches!(status, Some(receipt_status::ACCEPTED | receipt_status::RETURNING));
        let is_unpaid = receipt.is_none() && it.subsidy_status.is_none();
        // For a refunded order none will come, for one that is not known nobody can say.
        let is_awaited = is_unpaid && it.subsidy_expected_fen > Some(Fen::ZERO) && it.order_live == Some(true);
        // A percentage without its discount says not what is owed, a status nobody knows not what was paid.
        let is_comparable = match receipt {
            Some(_) => status.is_some_and(|it| SETTLED.contains(&it)),
            None => !is_unpaid || it.subsidy_expected_fen.is_some(),
        };
        match is_broken {
            false if is_on_its_way || is_awaited => "pending",
            _ => self.settled(it, is_broken, is_comparable),
        }
    }

    /// No break is no proof where a rule was not judged, or where a side is missing that a rule could compare.
    fn settled(self, it: &Coupon<'_>, is_broken: bool, is_comparable: bool) -> &'static str {
        let has_order = it.match_pass.is_some() || it.state_on_date != Some(coupon_state::USED);
        match self.is_judged && is_comparable && has_order && it.state_on_date.is_some() {
            _ if is_broken => "differs",
            true => "agrees",
            false => "unproven",
        }
    }
}

/// Whether a break of the rule could stand beside a coupon; of a rule that is not known, it could.
fn concerns_coupons(rules: &Rules, rule_id: &str) -> bool {
    const OF_COUPONS: [Key; 4] = [Key::Coupon, Key::Order, Key::Transaction, Key::Subsidy];
    rules.find(rule_id).is_none_or(|rule| rule.keys.iter().any(|key| OF_COUPONS.contains(key)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{Case, coupon, receipt};
    use super::*;

    const TONIGHT: Tonight = Tonight { language: Language::En, is_judged: true };

    fn used() -> Coupon<'static> {
        Coupon {
            state_on_date: Some(coupon_state::USED),
            match_pass: Some("claim"),
            order_live: Some(true),
            ..Coupon::default()
        }
    }

    fn owed(fen: Option<i64>) -> Coupon<'static> {
        Coupon { subsidy_expected_fen: fen.map(Fen), ..used() }
    }

    fn with_receipt(status: &str) -> &'static str {
        let receipt = receipt("P1", "C1", 100, status, "2026-11-20T02:00:00Z");
        TONIGHT.of_subsidy(&Coupon { subsidy_status: Some("x"), ..owed(Some(100)) }, Some(&receipt), false)
    }

    #[test]
    fn a_coupon_with_an_open_break_differs_whatever_else_is_missing() {
        let tonight = Tonight { is_judged: false, ..TONIGHT };
        assert_eq!(tonight.of_order(&Coupon::default(), true), "differs");
        assert_eq!(tonight.of_subsidy(&Coupon::default(), None, true), "differs");
    }

    #[test]
    fn a_used_coupon_agrees_with_its_order_only() {
        assert_eq!(TONIGHT.of_order(&used(), false), "agrees");
        assert_eq!(TONIGHT.of_order(&Coupon { match_pass: None, ..used() }, false), "unproven");
    }

    #[test]
    fn a_coupon_that_no_wallet_shows_is_unproven_with_its_order_and_with_its_receipt() {
        let ghost = Coupon { state_on_date: None, subsidy_status: Some("SUCCESS"), ..used() };
        let paid = receipt("P1", "C1", 100, "SUCCESS", "2026-11-20T02:00:00Z");
        assert_eq!(TONIGHT.of_order(&ghost, false), "unproven");
        assert_eq!(TONIGHT.of_subsidy(&ghost, Some(&paid), false), "unproven");
    }

    #[test]
    fn nothing_agrees_on_a_night_that_could_not_judge_its_rules() {
        let tonight = Tonight { is_judged: false, ..TONIGHT };
        let paid = receipt("P1", "C1", 100, "SUCCESS", "2026-11-20T02:00:00Z");
        assert_eq!(tonight.of_order(&used(), false), "unproven");
        assert_eq!(tonight.of_subsidy(&owed(Some(100)), Some(&paid), false), "unproven");
        assert_eq!(tonight.of_subsidy(&owed(Some(100)), None, false), "pending");
    }

    #[test]
    fn money_that_moves_is_pending_and_money_that_arrived_agrees() {
        assert_eq!(["ACCEPTED", "RETURNING"].map(with_receipt), ["pending"; 2]);
        assert_eq!(["SUCCESS", "PARTIAL_RETURN", "FULL_RETURN"].map(with_receipt), ["agrees"; 3]);
    }

    #[test]
    fn a_receipt_in_a_status_that_nobody_knows_proves_nothing() {
        assert_eq!(["FROZEN", ""].map(with_receipt), ["unproven"; 2]);
    }

    #[test]
    fn without_a_receipt_a_subsidy_is_pending_only_if_one_is_owed_for_a_live_order() {
        let result = |it: Coupon<'_>| TONIGHT.of_subsidy(&it, None, false);
        assert_eq!(result(owed(Some(100))), "pending");
        assert_eq!(result(owed(Some(0))), "agrees");
        assert_eq!(result(owed(None)), "unproven");
        assert_eq!(result(Coupon { order_live: Some(false), ..owed(Some(100)) }), "agrees");
        assert_eq!(result(Coupon { order_live: None, match_pass: None, ..owed(Some(100)) }), "unproven");
    }

    #[test]
    fn a_receipt_for_a_coupon_that_no_wallet_shows_is_not_said_to_agree_in_the_subsidies() {
        let ghost = coupon("G1", json!({ "subsidy_status": "SUCCESS", "subsidy_receipt_count": 1 }));
        let receipts = vec![receipt("P1", "G1", 100, "SUCCESS", "2026-11-20T02:00:00Z")];
        let csv = Case { ledger: vec![ghost], receipts, ..Case::english() }.text("subsidies.csv");
        assert!(csv.contains(",G1,,,,unproven,"), "{csv}");
    }

    #[test]
    fn no_coupon_is_said_to_agree_while_a_source_of_the_job_is_missing() {
        let lists = |is_short| {
            let case = Case { is_short, ..Case::english() };
            [case.text("associated_orders.csv"), case.text("subsidies.csv")]
        };
        assert!(lists(false).iter().all(|csv| csv.contains(",agrees,") && !csv.contains(",unproven,")));
        assert!(lists(true).iter().all(|csv| csv.contains(",unproven,") && !csv.contains(",agrees,")));
    }

    #[test]
    fn only_rules_that_could_stand_beside_a_coupon_leave_it_unproven() {
        let rules = Rules::built_in();
        let concerning = ["AO01", "PM02", "PM03", "SU12", "XX01"];
        assert!(concerning.iter().all(|rule_id| concerns_coupons(&rules, rule_id)));
        assert!(["ST01", "ST04", "V201", "DC01"].iter().all(|rule_id| !concerns_coupons(&rules, rule_id)));
    }
}
