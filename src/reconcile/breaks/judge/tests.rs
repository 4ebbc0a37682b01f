//! Tests of nights that are judged by the built-in rules and by a rule of one's own, over the cases of `tests/rules`.

use std::path::Path;

use super::*;
use crate::money::Fen;
use crate::reconcile::cases::fixture::Fixture;
use crate::record::BreakStatus;

/// A rule case with its ledger built.
fn night(case: &str) -> Fixture {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules").join(case);
    let mut night = Fixture::read(&dir).unwrap();
    night.put_ledger(&Rules::built_in()).unwrap();
    night
}

fn judged(night: &Fixture, shortfall: &Shortfall) -> (Vec<Break>, Judgement) {
    night.judge(&Rules::built_in(), shortfall, &Decisions::default()).unwrap()
}

/// Publishes tonight's breaks as yesterday's.
fn remember(night: &mut Fixture, breaks: &[Break], folder: &Path) {
    let yesterday = night.files.date.pred_opt().unwrap();
    let path = folder.join("breaks.parquet");
    partition::write_rows(&path, breaks, &partition::Provenance::default()).unwrap();
    night.files.history.insert("breaks".to_owned(), vec![(yesterday, path)]);
}

#[test]
fn the_same_night_gives_the_same_judgement_sorted_by_id() {
    let night = night("PM03/finds_a_payment_no_order_names");
    let one = judged(&night, &Shortfall::new());
    assert_eq!(one, judged(&night, &Shortfall::new()));
    let (breaks, judgement) = one;
    assert!(breaks.is_sorted_by_key(|row| &row.break_id) && breaks.len() == 2);
    assert!(judgement.unjudged.is_empty(), "{:?}", judgement.unjudged);
    assert_eq!((judgement.found["PM03"], judgement.found["AO01"]), (1, 0));
}

#[test]
fn rules_that_lack_a_dataset_are_listed_and_their_breaks_carried() {
    let mut night = night("PM03/finds_a_payment_no_order_names");
    let folder = tempfile::tempdir().unwrap();
    let (breaks, _) = judged(&night, &Shortfall::new());
    remember(&mut night, &breaks, folder.path());
    night.files.day.remove("payments");
    let shortfall = Shortfall::from([("payments".to_owned(), "the bill never fits its digest".to_owned())]);
    let (breaks, judgement) = judged(&night, &shortfall);
    let lacking = judgement.unjudged.iter().find(|rule| rule.rule_id == "PM03").unwrap();
    assert_eq!((lacking.dataset.as_str(), lacking.is_shortfall), ("payments", true));
    assert_eq!(lacking.why, "the bill never fits its digest");
    assert!(!judgement.unjudged.iter().any(|rule| rule.rule_id == "AO01"));
    assert!(breaks.iter().all(|row| row.status == BreakStatus::Open), "{breaks:?}");
}

#[test]
fn a_job_without_orders_is_judged_by_the_rules_that_need_none() {
    let mut night = night("ST02/finds_more_sent_than_allowed");
    night.files.day.remove("orders");
    night.files.history.remove("orders");
    let (breaks, judgement) = judged(&night, &Shortfall::new());
    let lacking = judgement.unjudged.iter().find(|rule| rule.rule_id == "PM02").unwrap();
    assert_eq!((lacking.why.as_str(), lacking.is_shortfall), ("the job has no source for `orders`", false));
    assert_eq!(breaks.len(), 1);
}

#[test]
fn a_break_resolves_when_the_data_arrive_and_is_carried_once_its_event_left_the_window() {
    let mut night = night("AO01/finds_a_redemption_nobody_claims");
    let folder = tempfile::tempdir().unwrap();
    let (found, _) = judged(&night, &Shortfall::new());
    let of_rule = |breaks: &[Break]| breaks.iter().find(|row| row.rule_id == "AO01").unwrap().clone();
    let mut old = of_rule(&found);
    old.break_id = "00".to_owned();
    old.event_date = Some(night.files.date - chrono::Days::new(40));
    remember(&mut night, &[old, of_rule(&found)], folder.path());
    let empty = folder.path().join("empty.parquet");
    partition::write_rows::<crate::record::LedgerRow>(&empty, &[], &Default::default()).unwrap();
    night.files.day.insert("coupon_ledger".to_owned(), empty);
    let (breaks, _) = judged(&night, &Shortfall::new());
    let statuses: Vec<_> = breaks.iter().filter(|row| row.rule_id == "AO01").map(|row| row.status).collect();
    assert_eq!(statuses, [BreakStatus::Open, BreakStatus::Resolved]);
}

#[test]
fn a_break_is_carried_once_what_it_hangs_on_left_the_look_back_though_its_event_did_not() {
    let mut night = night("AO01/finds_a_redemption_nobody_claims");
    let folder = tempfile::tempdir().unwrap();
    let (found, _) = judged(&night, &Shortfall::new());
    let of_rule = |breaks: &[Break]| breaks.iter().find(|row| row.rule_id == "AO01").unwrap().clone();
    let hanging_on = |break_id: &str, days: u64| Break {
        break_id: break_id.to_owned(),
        event_date: night.files.date.pred_opt(),
        oldest_input_date: Some(night.files.date - chrono::Days::new(days)),
        ..of_rule(&found)
    };
    let memory = [hanging_on("00", 30), hanging_on("01", 29)];
    remember(&mut night, &memory, folder.path());
    let (breaks, _) = judged(&night, &Shortfall::new());
    let statuses: Vec<_> = breaks.iter().map(|row| (row.break_id.as_str(), row.status.as_str())).collect();
    assert_eq!(statuses[..2], [("00", "open"), ("01", "resolved")]);
}

#[test]
fn a_break_is_carried_when_the_later_of_its_events_is_gone_and_the_earlier_one_left_the_look_back() {
    let mut night = night("AO01/finds_a_redemption_nobody_claims");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules");
    std::fs::create_dir(&path).unwrap();
    let head = "-- id: XX01\n-- title: t\n-- 标题: 标\n-- severity: low\n-- side: merchant\n-- key: k\n\
                -- inputs: stocks\n-- action: look\n-- row: a stock\n";
    let days_ago = |days: &str| {
        let sql = format!(
            "SELECT 'S' AS stock_id, CAST(p.business_date - INTERVAL '{days}' DAY AS DATE) AS event_date FROM params p"
        );
        std::fs::write(path.join("XX01_mine.sql"), format!("{head}{sql}\n")).unwrap();
        Rules::load(std::slice::from_ref(&path)).unwrap().only("XX01")
    };
    let judged =
        |night: &Fixture, rules: &Rules| night.judge(rules, &Shortfall::new(), &Decisions::default()).unwrap().0;
    let (inside, before) = (days_ago("1"), days_ago("30"));
    let found = judged(&night, &inside);
    assert_eq!((found.len(), judged(&night, &before).len()), (1, 0), "none is opened by what left");
    remember(&mut night, &found, folder.path());
    let carried = judged(&night, &before);
    assert_eq!((carried[0].status, carried[0].event_date), (BreakStatus::Open, found[0].event_date));
}

/// The break of a rule on nights that follow each other, the counters of its stock being as they are.
fn nights_of(case: &str, nights: u64, grace_days: &[(&str, u32)]) -> Vec<(BreakStatus, Option<NaiveDate>)> {
    let mut night = night(case);
    let folder = tempfile::tempdir().unwrap();
    night.terms.grace_days = grace_days.iter().map(|(source, days)| ((*source).to_owned(), *days)).collect();
    let one_night = |number: u64| {
        if number > 0 {
            night.files.date = night.files.date.succ_opt().unwrap();
        }
        let (breaks, _) = judged(&night, &Shortfall::new());
        remember(&mut night, &breaks, folder.path());
        let [only] = &breaks[..] else { panic!("{breaks:?}") };
        (only.status, only.event_date)
    };
    (0..nights).map(one_night).collect()
}

#[test]
fn what_is_said_of_a_stock_every_night_waits_for_the_grace_of_its_source_once() {
    use BreakStatus::{Expected, New, Open};
    let case = "ST02/finds_more_sent_than_allowed";
    let first = night(case).files.date;
    let day = |number: u64| Some(first + chrono::Days::new(number));
    let waiting = [(Expected, day(0)), (Expected, day(0)), (New, day(0)), (Open, day(3)), (Open, day(4))];
    assert_eq!(nights_of(case, 5, &[("stocks", 2)]), waiting);
    assert_eq!(nights_of(case, 3, &[]), [(New, day(0)), (Open, day(1)), (Open, day(2))]);
}

#[test]
fn a_refund_break_is_carried_while_the_export_of_the_day_of_a_later_refund_is_missing() {
    let mut night = night("PM04/quiet_when_the_export_of_the_day_of_the_refund_is_missing");
    let folder = tempfile::tempdir().unwrap();
    let missing = night.files.date.pred_opt().unwrap();
    let empty = folder.path().join("no-orders.parquet");
    partition::write_rows::<crate::record::OrderLine>(&empty, &[], &Default::default()).unwrap();
    let known = night.files.history["orders"].clone();
    night.files.history.get_mut("orders").unwrap().push((missing, empty));
    let (found, _) = judged(&night, &Shortfall::new());
    assert_eq!((found.len(), found[0].rule_id.as_str(), found[0].event_date), (1, "PM04", Some(missing)));
    remember(&mut night, &found, folder.path());
    night.files.history.insert("orders".to_owned(), known);
    let (breaks, _) = judged(&night, &Shortfall::new());
    assert_eq!((breaks.len(), breaks[0].status, breaks[0].event_date), (1, BreakStatus::Open, Some(missing)));
}

/// A case that finds a break, and one in which a day that may have what the break lacks is missing.
const MISSING_DAYS: [(&str, &str); 30] = [
    ("SU07/finds_a_subsidy_kept_after_the_refund", "quiet_while_a_ledger_since_the_payment_is_missing"),
    (
        "SU05/finds_it_without_a_use_while_the_week_before_lies_in_the_look_back",
        "quiet_without_a_use_while_an_export_that_may_have_the_order_is_missing",
    ),
    (
        "AO15/finds_it_when_only_the_bill_of_a_day_is_missing",
        "quiet_while_a_day_that_may_have_the_refund_is_known_to_nobody",
    ),
    (
        "AO15/finds_it_when_the_order_is_exported_after_a_night_that_never_was",
        "quiet_while_an_export_that_may_have_the_refund_is_missing_and_the_order_is_in_no_bill",
    ),
    (
        "AO06/finds_it_when_only_the_bill_of_a_day_is_missing",
        "quiet_while_a_day_that_may_refund_one_of_them_is_known_to_nobody",
    ),
    (
        "SU02/finds_it_when_only_the_bill_of_a_day_is_missing",
        "quiet_while_a_day_that_may_have_the_refund_is_known_to_nobody",
    ),
    (
        "SU02/finds_a_live_order_whose_receipts_were_all_returned",
        "quiet_while_the_export_that_may_have_the_order_is_missing",
    ),
    (
        "SU01/finds_it_while_all_ledgers_since_the_order_are_known",
        "quiet_while_a_ledger_that_may_have_the_line_is_missing",
    ),
    (
        "PM03/finds_a_payment_just_after_midnight",
        "quiet_just_after_midnight_while_the_orders_of_the_day_before_are_missing",
    ),
    (
        "PM03/finds_a_payment_just_before_midnight",
        "quiet_just_before_midnight_while_the_orders_of_the_day_after_are_missing",
    ),
    (
        "PM02/finds_an_order_just_after_midnight",
        "quiet_just_after_midnight_while_the_bill_of_the_day_before_is_missing",
    ),
    (
        "SU12/finds_a_receipt_just_after_midnight",
        "quiet_just_after_midnight_while_the_ledger_of_the_day_before_is_missing",
    ),
    (
        "AO14/finds_it_by_a_wallet_of_the_day_before_the_refund",
        "quiet_until_the_wallet_is_seen_again_while_the_export_of_the_refund_is_missing",
    ),
    ("DC01/finds_it_in_the_last_pull_of_both", "quiet_when_the_last_pull_of_the_account_lacks_the_cards"),
    ("DC04/finds_it_in_the_last_pull_of_both", "quiet_when_the_last_pull_of_the_cards_lacks_the_details"),
    ("PM04/finds_a_refund_of_which_the_bills_have_a_part", "quiet_while_a_bill_that_may_have_the_rest_is_missing"),
    ("AO01/finds_it_just_before_midnight", "quiet_just_before_midnight_while_the_orders_of_the_day_after_are_missing"),
    ("AO02/finds_it_just_before_midnight", "quiet_just_before_midnight_while_the_orders_of_the_day_after_are_missing"),
    ("AO02/finds_it_without_a_day_of_use", "quiet_without_a_day_of_use_while_orders_are_missing"),
    ("SU03/finds_two_receipts_of_a_share_nobody_knows", "quiet_while_the_orders_that_may_tell_the_share_are_missing"),
    (
        "AO14/finds_it_without_the_export_of_the_payment_when_the_bill_tells_it_whole",
        "quiet_while_the_export_of_the_payment_may_have_other_lines",
    ),
    (
        "AO14/finds_it_when_the_coupon_names_the_order_itself",
        "quiet_while_the_order_it_was_used_for_may_be_in_a_missing_export",
    ),
    (
        "SU01/finds_it_when_only_the_bill_of_a_day_is_missing",
        "quiet_while_a_day_that_may_have_the_refund_is_known_to_nobody",
    ),
    (
        "SU07/finds_it_without_the_export_of_the_payment_when_the_bill_tells_it_whole",
        "quiet_while_the_export_of_the_payment_may_have_other_lines",
    ),
    (
        "PM04/finds_it_when_a_later_export_than_the_missing_one_tells_the_order",
        "quiet_while_the_export_of_the_refund_is_missing",
    ),
    (
        "AO07/finds_it_without_the_export_of_the_use_when_it_was_used_for_this_order",
        "quiet_while_the_day_after_the_payment_may_have_the_order_it_was_used_for",
    ),
    (
        "AO08/finds_it_without_the_export_of_the_payment_when_it_was_used_for_this_order",
        "quiet_while_the_line_that_claims_it_may_be_in_a_missing_export",
    ),
    (
        "AO13/finds_it_without_the_export_of_the_use_when_the_coupon_names_the_order_itself",
        "quiet_while_the_day_after_the_payment_may_have_the_order_it_was_used_for",
    ),
    ("PM01/finds_an_order_of_which_a_line_changed", "quiet_while_the_export_that_may_have_other_lines_is_missing"),
    (
        "AO05/finds_it_without_the_export_of_the_payment_when_it_was_used_for_this_order",
        "quiet_while_the_order_it_was_used_for_may_be_in_a_missing_export",
    ),
];

#[test]
fn a_break_that_hangs_on_a_day_that_is_missing_is_not_opened_and_one_of_yesterday_is_carried() {
    for (finds, quiet) in MISSING_DAYS {
        let rule_id = &finds[..4];
        let rules = Rules::built_in().only(rule_id);
        let of_rule = |night: &Fixture| night.judge(&rules, &Shortfall::new(), &Decisions::default()).unwrap().0;
        let found = of_rule(&night(finds));
        assert!(!found.is_empty(), "{finds}");
        let mut night = night(&format!("{rule_id}/{quiet}"));
        assert_eq!(of_rule(&night), [], "{quiet}");
        let folder = tempfile::tempdir().unwrap();
        remember(&mut night, &found, folder.path());
        let carried = of_rule(&night);
        assert_eq!(carried.len(), found.len(), "{quiet}");
        let waits = [BreakStatus::Open, BreakStatus::Expected];
        assert!(carried.iter().all(|row| waits.contains(&row.status)), "{quiet}: {carried:?}");
    }
}

#[test]
fn a_break_that_leaves_the_look_back_before_it_is_due_is_new_when_it_is() {
    use BreakStatus::{Expected, New, Open};
    let mut night = night("AO01/finds_a_redemption_nobody_claims");
    night.terms.rules.lookback_days = 1;
    night.terms.grace_days = [("orders".to_owned(), 2)].into();
    let folder = tempfile::tempdir().unwrap();
    for expected in [Expected, Expected, New, Open] {
        let (breaks, _) = judged(&night, &Shortfall::new());
        remember(&mut night, &breaks, folder.path());
        let unclaimed: Vec<_> = breaks.iter().filter(|row| row.rule_id == "AO01").map(|row| row.status).collect();
        assert_eq!(unclaimed, [expected], "{}", night.files.date);
        night.files.date = night.files.date.succ_opt().unwrap();
    }
}

#[test]
fn breaks_of_a_rule_switched_off_are_forgotten() {
    let mut night = night("AO01/finds_a_redemption_nobody_claims");
    let folder = tempfile::tempdir().unwrap();
    let (breaks, _) = judged(&night, &Shortfall::new());
    remember(&mut night, &breaks, folder.path());
    let rules = Rules::built_in().without(&[crate::job::RuleId { id: "AO01".to_owned(), line: None }]).unwrap();
    let (breaks, _) = night.judge(&rules, &Shortfall::new(), &Decisions::default()).unwrap();
    assert!(breaks.iter().all(|row| row.rule_id != "AO01"));
}

#[test]
fn a_decision_about_a_break_of_tonight_counts_and_one_about_none_is_an_error() {
    let night = night("AO01/finds_a_redemption_nobody_claims");
    let found = judged(&night, &Shortfall::new()).0.remove(0).break_id;
    let judge_with = |break_id: &str| {
        let csv = format!("break_id,decision,reason,approver,expires_on\n{break_id},accepted,known,Li,\n");
        let decisions = Decisions::parse("decisions.csv", csv.as_bytes()).unwrap();
        night.judge(&Rules::built_in(), &Shortfall::new(), &decisions)
    };
    let (breaks, _) = judge_with(&found).unwrap();
    assert!(breaks.iter().any(|row| row.status == BreakStatus::Accepted));
    assert!(judge_with("0123456789abcdef").unwrap_err().to_string().contains("unknown breaks: line 2"));
}

#[test]
fn a_decision_about_a_break_that_could_not_be_looked_for_is_no_error() {
    let night = night("AO01/finds_a_redemption_nobody_claims");
    let csv = "break_id,decision,reason,approver,expires_on\n0123456789abcdef,accepted,known,Li,\n";
    let decisions = Decisions::parse("decisions.csv", csv.as_bytes()).unwrap();
    let shortfall = Shortfall::from([("payments".to_owned(), "the bill is not ready".to_owned())]);
    let (_, judgement) = night.judge(&Rules::built_in(), &shortfall, &decisions).unwrap();
    assert!(judgement.unjudged.iter().any(|rule| rule.rule_id == "PM01"));
}

#[test]
fn a_decision_about_a_break_that_hangs_on_a_day_that_is_missing_is_no_error() {
    let night = night("PM02/quiet_just_after_midnight_while_the_bill_of_the_day_before_is_missing");
    let csv = "break_id,decision,reason,approver,expires_on\n0123456789abcdef,accepted,known,Li,\n";
    let decisions = Decisions::parse("decisions.csv", csv.as_bytes()).unwrap();
    let (_, judgement) = night.judge(&Rules::built_in(), &Shortfall::new(), &decisions).unwrap();
    assert_eq!(judgement.unjudged, []);
}

/// What a rule of one's own says, of which this is the query.
fn judged_by_own(query: &str) -> Result<Vec<Break>, ReconcileError> {
    let night = night("ST02/finds_more_sent_than_allowed");
    let folder = tempfile::tempdir().unwrap();
    let head = "-- id: XX01\n-- title: t\n-- 标题: 标\n-- severity: low\n-- side: merchant\n-- key: s\n\
                -- inputs: stocks\n-- action: look\n-- row: a stock\n";
    std::fs::write(folder.path().join("XX01_mine.sql"), format!("{head}{query}\n")).unwrap();
    let rules = Rules::load(&[folder.path().to_owned()]).unwrap().only("XX01");
    Ok(night.judge(&rules, &Shortfall::new(), &Decisions::default())?.0)
}

#[test]
fn a_rule_of_ones_own_may_not_give_a_column_no_break_has() {
    let error = judged_by_own("SELECT stock_id AS stokc_id FROM stocks").unwrap_err();
    let expected = "rule file `XX01_mine.sql` line 10: not found: `stokc_id` is not a column the result may have";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_rule_of_ones_own_may_not_give_an_amount_that_none_can_be() {
    let judged = |fen: &str, column: &str| {
        judged_by_own(&format!("SELECT stock_id,\n{fen} AS {column},\n1 AS actual_fen FROM stocks"))
    };
    for (fen, shown, column) in [
        ("9223372036854775807", i64::MAX, "at_risk_fen"),
        ("-9223372036854775807 - 1", i64::MIN, "expected_fen"),
        ("1000000000001", Fen::LARGEST.0 + 1, "at_risk_fen"),
        ("1000000000000001", Fen::LARGEST.0 * 1000 + 1, "expected_fen"),
    ] {
        let expected =
            format!("rule file `XX01_mine.sql` line 11: `{column}` is {shown} fen in one row, which no amount can be");
        assert_eq!(judged(fen, column).unwrap_err().to_string(), expected);
    }
    assert_eq!(judged("-1000000000000", "expected_fen").unwrap()[0].difference_fen, Some(Fen(Fen::LARGEST.0 + 1)));
}

#[test]
fn of_several_rows_with_one_key_the_one_with_most_at_risk_counts_in_whatever_order_they_come() {
    let row = |fen: &str, why: &str| format!("SELECT stock_id, {fen} AS at_risk_fen, '{why}' AS why FROM stocks");
    let rows = [row("3", "most"), row("1", "least"), row("3", "last of two alike"), row("NULL", "none")];
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2], [2, 3, 0, 1]] {
        let breaks = judged_by_own(&order.map(|place: usize| rows[place].as_str()).join("\nUNION ALL\n")).unwrap();
        let [only] = breaks.as_slice() else { panic!("{breaks:?}") };
        assert_eq!((only.at_risk_fen, only.why.as_str()), (Fen(3), "most"), "{order:?}");
    }
}
