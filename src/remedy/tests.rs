//! Tests of which calls are proposed for which breaks, and which are not.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::path::Path;

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::json;

use super::facts::{Coupon, Facts};
use super::open_breaks::OpenBreaks;
use super::operation::Operation;
use super::plan::{Grounds, Plan, Source};
use super::proposals::propose;
use crate::job::{self, Job};
use crate::money::Fen;
use crate::reconcile::Decisions;
use crate::record::{Break, BreakStatus, SubsidyOrder, SubsidyPayment, SubsidyReturn};
use crate::wechat::pay_v3::busifavor::subsidy::Payment;

const STOCK: &str = "1288880000000001";
const TRANSACTION: &str = "4200000913202101152566792388";

fn job() -> Job {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-data/job.toml");
    job::load(&path, &|_| None).expect("the sample's job")
}

fn date() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, 20).expect("a day")
}

fn at(hour: u32) -> DateTime<Utc> {
    date().and_hms_opt(hour, 0, 0).expect("an hour").and_utc()
}

fn break_of(rule_id: &str, out_subsidy_no: Option<&str>) -> Break {
    Break {
        break_id: format!("{rule_id}{}", out_subsidy_no.unwrap_or("0")),
        side: "finance".into(),
        stock_id: Some(STOCK.into()),
        coupon_code: Some("C1".into()),
        out_trade_no: Some("RY1".into()),
        transaction_id: Some(TRANSACTION.into()),
        out_subsidy_no: out_subsidy_no.map(str::to_owned),
        at_risk_fen: Fen(100),
        why: "a test".into(),
        action: "look".into(),
        ..Break::for_tests(rule_id, date())
    }
}

fn coupon(state: &str) -> Coupon {
    Coupon {
        state: Some(state.into()),
        stock_type: Some("NORMAL".into()),
        used_at: Some(at(3)),
        returned_at: None,
        expire_at: Some(at(12) + chrono::TimeDelta::days(1)),
        out_trade_no: Some("RY1".into()),
        transaction_id: Some(TRANSACTION.into()),
        order_paid_at: Some(at(4)),
        is_order_fully_refunded: false,
        discount: Some(Fen(500)),
        subsidy_expected: Some(Fen(100)),
        verified_date: Some(date()),
    }
}

fn receipt(number: &str, status: &str, created_hour: u32) -> SubsidyPayment {
    SubsidyPayment {
        out_subsidy_no: number.into(),
        subsidy_receipt_id: Some(format!("id of {number}")),
        stock_id: STOCK.into(),
        coupon_code: "C1".into(),
        transaction_id: Some(TRANSACTION.into()),
        payer_merchant: Some("1900000001".into()),
        payee_merchant: Some("1900000002".into()),
        amount_fen: Fen(100),
        description: None,
        status: Some(status.into()),
        fail_reason: None,
        success_time: None,
        create_time: Some(at(created_hour)),
        verified_date: date(),
        extra: None,
        business_date: date(),
    }
}

fn returned(of: Option<&str>, amount: Fen) -> SubsidyReturn {
    SubsidyReturn {
        out_subsidy_return_no: "R".into(),
        subsidy_return_receipt_id: None,
        subsidy_receipt_id: of.map(|number| format!("id of {number}")),
        stock_id: STOCK.into(),
        coupon_code: "C1".into(),
        transaction_id: Some(TRANSACTION.into()),
        refund_id: None,
        payer_merchant: None,
        payee_merchant: None,
        amount_fen: amount,
        description: None,
        status: Some("RETURN_RECEIPT_SUCCESS".into()),
        fail_reason: None,
        return_done_time: None,
        return_create_time: None,
        verified_date: date(),
        extra: None,
        business_date: date(),
    }
}

fn line_of_ledger(number: &str) -> SubsidyOrder {
    SubsidyOrder {
        out_subsidy_no: number.into(),
        subsidy_return_receipt_id: String::new(),
        subsidy_receipt_id: None,
        stock_id: STOCK.into(),
        coupon_code: "C1".into(),
        transaction_id: Some(TRANSACTION.into()),
        payer_merchant: Some("1900000001".into()),
        payee_merchant: Some("1900000002".into()),
        amount_fen: Fen(80),
        source_file: "subsidy-orders/2026-11-20.csv".into(),
        source_line: 2,
        business_date: date(),
    }
}

/// The calls for a break of a rule that has some.
fn proposed(facts: &Facts, it: &Break) -> Result<Vec<Operation>, String> {
    propose(&job(), facts, it).expect("a rule with a remedy")
}

fn only_payment(facts: &Facts, it: &Break) -> Payment {
    match proposed(facts, it).expect("a call").as_slice() {
        [Operation::Pay(payment)] => payment.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_coupon_is_redeemed_for_its_order_only_while_it_can_be() {
    let it = break_of("AO03", None);
    let of = |change: fn(&mut Coupon)| {
        let mut coupon = coupon("SENDED");
        change(&mut coupon);
        proposed(&Facts::of_coupon(&it, coupon), &it)
    };
    let redeemed = of(|_| ()).unwrap();
    assert_eq!(
        redeemed[0].body(),
        json!({"stock_id": STOCK, "coupon_code": "C1", "appid": "wx5edab3bdfba3dc1c",
               "use_time": "2026-11-20T12:00:00+08:00", "use_request_no": "RY1"})
    );
    assert!(of(|it| it.state = Some("DELETED".into())).unwrap_err().contains("this one is DELETED"));
    assert!(of(|it| it.expire_at = Some(at(3))).unwrap_err().contains("after the coupon expired"));
    assert!(of(|it| it.expire_at = Some(at(4))).is_ok(), "the last moment counts");
    assert!(of(|it| it.returned_at = Some(at(4))).unwrap_err().contains("returned at 2026-11-20T12:00:00+08:00"));
    assert!(of(|it| it.returned_at = Some(at(3))).is_ok(), "that return was of an earlier use");
    assert!(of(|it| it.out_trade_no = None).unwrap_err().contains("order number is not known"));
    let facts = |coupon_code| Facts::of_coupon(&it, coupon("SENDED")).with_redeemed("RY1", coupon_code);
    assert!(proposed(&facts("C0"), &it).unwrap_err().contains("coupon C0 was redeemed under the number RY1"));
    assert!(proposed(&facts("C1"), &it).is_ok(), "it was returned since");
    let mut job = job();
    job.rules.use_request_pattern = Some(regex::Regex::new("^X-(.+)$").unwrap());
    let refused = propose(&job, &Facts::of_coupon(&it, coupon("SENDED")), &it).unwrap();
    assert!(refused.unwrap_err().contains("rules.use_request_pattern"));
}

#[test]
fn the_same_return_has_one_number_for_ever_and_the_return_of_a_later_use_another() {
    let it = break_of("AO14", None);
    let number = |used_at, it: &Break| {
        let facts = Facts::of_coupon(it, Coupon { used_at, ..coupon("USED") });
        proposed(&facts, it).unwrap()[0].request_no().to_owned()
    };
    let first = number(Some(at(3)), &it);
    assert_eq!(first, number(Some(at(3)), &it));
    assert_ne!(first, number(Some(at(5)), &it), "used again, returned again");
    assert_ne!(first, number(Some(at(3)), &Break { break_id: "other".into(), ..it.clone() }));
    assert!(first.len() == 32 && first.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{first}");
    assert!(proposed(&Facts::of_coupon(&it, coupon("SENDED")), &it).unwrap_err().contains("this one is SENDED"));
}

#[test]
fn a_coupon_that_expired_after_its_refund_is_not_returned_any_more() {
    let it = break_of("AO14", None);
    let of = |expire_at| proposed(&Facts::of_coupon(&it, Coupon { expire_at, ..coupon("USED") }), &it);
    let last_of_day = crate::clock::end_of(date()) - chrono::TimeDelta::seconds(1);
    let refused = of(Some(last_of_day)).unwrap_err();
    assert!(refused.contains("expired at 2026-11-20T23:59:59+08:00"), "{refused}");
    assert!(of(Some(crate::clock::end_of(date()))).is_ok() && of(None).is_ok());
}

#[test]
fn what_the_programme_owes_is_paid_between_its_merchants() {
    let it = break_of("SU01", None);
    let payment = only_payment(&Facts::of_coupon(&it, coupon("USED")), &it);
    let programme = job().subsidy_programs.into_iter().find(|programme| programme.stock_id == STOCK).unwrap();
    assert_eq!((payment.payer_merchant, payment.payee_merchant), (programme.payer_merchant, programme.payee_merchant));
    assert_eq!((payment.amount, payment.transaction_id.as_str()), (Fen(100), TRANSACTION));
    assert_eq!(payment.description, "商家券补差 RY1");
    let foreign = Break { stock_id: Some("9".into()), ..it };
    let refused = proposed(&Facts::of_coupon(&foreign, coupon("USED")), &foreign).unwrap_err();
    assert!(refused.contains("no longer has a programme for stock 9"), "{refused}");
}

#[test]
fn no_subsidy_is_paid_where_wechat_would_refuse_it_or_another_may_have_been_paid() {
    let it = break_of("SU01", None);
    let why = |coupon: Coupon, receipts: Vec<SubsidyPayment>| {
        proposed(&Facts::of_coupon(&it, coupon).with_receipts(&it, receipts), &it).unwrap_err()
    };
    assert!(why(coupon("SENDED"), vec![]).contains("this one is SENDED"));
    assert!(why(Coupon { stock_type: Some("EXCHANGE".into()), ..coupon("USED") }, vec![]).contains("EXCHANGE"));
    assert!(why(Coupon { is_order_fully_refunded: true, ..coupon("USED") }, vec![]).contains("fully refunded"));
    for status in ["ACCEPTED", "PAY_RECEIPT_SUCCESS", "RETURNING", "PARTIAL_RETURN", "FULL_RETURN", "SOMETHING_NEW"] {
        let why = why(coupon("USED"), vec![receipt("S0", "FAIL", 1), receipt("S1", status, 2)]);
        assert_eq!(why, "receipt S1 of the coupon did not fail", "{status}");
    }
    let unknown = propose(&job(), &Facts::default(), &it).unwrap();
    assert_eq!(unknown.unwrap_err(), "the ledger of the day does not know the coupon");
}

#[test]
fn of_several_failures_only_the_last_is_paid_again() {
    let receipts = || vec![receipt("S2", "FAIL", 5), receipt("S1", "PAY_RECEIPT_FAIL", 4), receipt("S3", "FAIL", 3)];
    let of = |number| {
        let it = break_of("SU10", Some(number));
        proposed(&Facts::of_coupon(&it, coupon("USED")).with_receipts(&it, receipts()), &it)
    };
    for earlier in ["S1", "S3"] {
        assert!(of(earlier).unwrap_err().contains("a later payment of the coupon failed too"), "{earlier}");
    }
    let again = of("S2").unwrap();
    assert_eq!(again.len(), 1);
    assert_ne!(again[0].request_no(), "S2", "a number that failed stays failed");
}

#[test]
fn a_line_of_the_merchants_ledger_is_sent_again_under_its_own_number() {
    let it = break_of("SU11", Some("L1"));
    let facts = || Facts::of_coupon(&it, coupon("USED"));
    let payment = only_payment(&facts().with_order(line_of_ledger("L1")), &it);
    assert_eq!((payment.out_subsidy_no.as_str(), payment.amount), ("L1", Fen(80)));
    assert!(proposed(&facts(), &it).unwrap_err().contains("left the look-back"));
    let other = SubsidyOrder { coupon_code: "C2".into(), ..line_of_ledger("L1") };
    let refused = proposed(&facts().with_order(other), &it).unwrap_err();
    assert!(refused.contains("L1 belongs to another coupon"), "of C2 nobody knows whether it was paid: {refused}");
    let of_another = facts().with_order(line_of_ledger("L1")).with_number_of("L1", "S1", "C2");
    assert_eq!(proposed(&of_another, &it).unwrap_err(), "WeChat has a receipt L1 of coupon C2: correct the ledger");
}

#[test]
fn no_payment_is_proposed_that_a_rule_would_find_fault_with_the_night_after() {
    let it = break_of("SU10", Some("S1"));
    let of = |change: fn(&mut SubsidyPayment, &mut Coupon)| {
        let (mut failed, mut coupon) = (receipt("S1", "FAIL", 1), coupon("USED"));
        change(&mut failed, &mut coupon);
        proposed(&Facts::of_coupon(&it, coupon).with_receipts(&it, vec![failed]), &it)
    };
    assert!(of(|_, _| ()).is_ok());
    let why = |change| of(change).unwrap_err();
    assert_eq!(
        why(|it, _| it.transaction_id = Some("4200009".into())),
        format!("it would name transaction 4200009, and the order of the coupon has {TRANSACTION}")
    );
    assert!(of(|_, coupon| coupon.transaction_id = None).is_ok(), "there is nothing to compare with");
    let foreign = "1900000001 would pay 1900000009, which no programme of stock 1288880000000001 says";
    assert_eq!(why(|it, _| it.payee_merchant = Some("1900000009".into())), foreign);
    assert!(why(|it, _| it.payer_merchant = Some("1900000009".into())).starts_with("1900000009 would pay"));
    let more = "1.01 yuan would be paid, which is more than the 1.00 that the programme owes";
    assert_eq!(why(|it, _| it.amount_fen = Fen(101)), more);
    assert!(of(|it, _| it.amount_fen = Fen(99)).is_ok(), "the rest can be paid later");
    let more = "1.00 yuan would be paid, which is more than the 0.80 that the coupon took off";
    assert_eq!(why(|_, coupon| coupon.discount = Some(Fen(80))), more);
    assert!(of(|_, coupon| (coupon.discount, coupon.subsidy_expected) = (None, None)).is_ok());
}

#[test]
fn what_a_programme_owes_beyond_the_discount_is_not_paid() {
    let it = break_of("SU01", None);
    let facts = Facts::of_coupon(&it, Coupon { discount: Some(Fen(99)), ..coupon("USED") });
    let refused = proposed(&facts, &it).unwrap_err();
    assert_eq!(refused, "1.00 yuan would be paid, which is more than the 0.99 that the coupon took off");
}

#[test]
fn of_every_receipt_the_part_that_is_left_is_returned_for_the_refund() {
    let it = break_of("SU07", None);
    let facts = |returns: Vec<SubsidyReturn>| {
        let receipts = vec![receipt("S1", "PARTIAL_RETURN", 1), receipt("S2", "SUCCESS", 2), receipt("S3", "FAIL", 3)];
        Facts::of_coupon(&it, Coupon { is_order_fully_refunded: true, ..coupon("USED") })
            .with_receipts(&it, receipts)
            .with_returns(&it, returns)
    };
    let with_refund = |returns| facts(returns).with_refund(TRANSACTION, "50300");
    let amounts = |operations: Vec<Operation>| operations.iter().filter_map(Operation::amount).collect::<Vec<_>>();
    let operations = proposed(&with_refund(vec![returned(Some("S1"), Fen(30))]), &it).unwrap();
    assert_eq!(operations[0].body()["refund_id"], "50300");
    assert_ne!(operations[0].request_no(), operations[1].request_no());
    assert_eq!(amounts(operations), [Fen(70), Fen(100)]);
    let under_way = Facts::of_coupon(&it, coupon("USED"))
        .with_receipts(&it, vec![receipt("S1", "RETURNING", 1)])
        .with_returns(&it, vec![returned(Some("S1"), Fen(30))])
        .with_refund(TRANSACTION, "50300");
    assert_eq!(amounts(proposed(&under_way, &it).unwrap()), [Fen(70)]);
    let all = vec![returned(Some("S1"), Fen(100)), returned(Some("S2"), Fen(100))];
    assert_eq!(proposed(&with_refund(all), &it).unwrap_err(), "no receipt has anything left to return");
    assert!(proposed(&with_refund(vec![returned(None, Fen(30))]), &it).unwrap_err().contains("which of several"));
    assert!(
        proposed(&facts(vec![returned(Some("S1"), Fen(30))]), &it)
            .unwrap_err()
            .contains("no bill of the look-back has a refund")
    );
}

#[test]
fn what_was_returned_of_a_receipt_without_an_id_is_not_returned_again() {
    let it = break_of("SU07", None);
    let of = |returns: Vec<SubsidyReturn>| {
        let nameless = SubsidyPayment { subsidy_receipt_id: None, ..receipt("S1", "SUCCESS", 1) };
        let facts = Facts::of_coupon(&it, Coupon { is_order_fully_refunded: true, ..coupon("USED") })
            .with_receipts(&it, vec![nameless])
            .with_returns(&it, returns)
            .with_refund(TRANSACTION, "50300");
        proposed(&facts, &it)
    };
    assert!(of(vec![returned(Some("S1"), Fen(100))]).unwrap_err().contains("receipt S1: it has no id"));
    assert_eq!(of(vec![]).unwrap()[0].amount(), Some(Fen(100)));
    assert_eq!(of(vec![returned(None, Fen(30))]).unwrap()[0].amount(), Some(Fen(70)));
}

#[test]
fn a_return_that_failed_is_sent_again_under_another_number() {
    let it = break_of("SU07", None);
    let number = |returns: Vec<SubsidyReturn>| {
        let facts = Facts::of_coupon(&it, Coupon { is_order_fully_refunded: true, ..coupon("USED") })
            .with_receipts(&it, vec![receipt("S1", "SUCCESS", 1)])
            .with_returns(&it, returns)
            .with_refund(TRANSACTION, "50300");
        proposed(&facts, &it).unwrap()[0].request_no().to_owned()
    };
    let failed = || SubsidyReturn { status: Some("RETURN_RECEIPT_FAIL".into()), ..returned(Some("S1"), Fen(100)) };
    let numbers = [vec![], vec![failed()], vec![failed(), failed()]].map(number);
    assert_eq!(BTreeSet::from(numbers.clone()).len(), 3);
    let nameless = SubsidyReturn { subsidy_receipt_id: None, ..failed() };
    assert_eq!(number(vec![nameless]), numbers[1], "it may have been a return of this receipt");
}

#[test]
fn a_return_of_another_receipt_that_failed_changes_no_number() {
    let it = break_of("SU07", None);
    let numbers = |returns: Vec<SubsidyReturn>| {
        let facts = Facts::of_coupon(&it, Coupon { is_order_fully_refunded: true, ..coupon("USED") })
            .with_receipts(&it, vec![receipt("S1", "SUCCESS", 1), receipt("S2", "SUCCESS", 2)])
            .with_returns(&it, returns)
            .with_refund(TRANSACTION, "50300");
        let operations = proposed(&facts, &it).unwrap();
        [0, 1].map(|place| operations[place].request_no().to_owned())
    };
    let failed = SubsidyReturn { status: Some("FAIL".into()), ..returned(Some("S1"), Fen(100)) };
    let ([of_first, of_second], [again, same]) = (numbers(vec![]), numbers(vec![failed]));
    assert_ne!(of_first, again);
    assert_eq!(of_second, same, "it may have been sent under that number, and would be returned twice");
}

fn open(breaks: &[Break], decisions: &Decisions, date: NaiveDate) -> OpenBreaks {
    OpenBreaks::of(breaks.iter().cloned().map(Ok::<_, Infallible>), decisions, date).expect("there is no error")
}

/// The plan for breaks without decisions, of these rules if any are named.
fn plan_for(breaks: &[Break], facts: &Facts, rules: &[&str]) -> Plan {
    let source = Source { job_file: "job.toml", date: date(), breaks_sha256: "ab" };
    let decisions = Decisions::default();
    let grounds = Grounds { job: &job(), facts, decisions: &decisions };
    Plan::propose(
        grounds,
        source,
        &open(breaks, &decisions, date()),
        &rules.iter().map(|rule| (*rule).to_owned()).collect(),
    )
}

#[test]
fn an_amount_that_wechat_does_not_take_is_no_call_of_a_plan() {
    let it = break_of("SU11", Some("L1"));
    let line = SubsidyOrder { amount_fen: Fen(500_001), ..line_of_ledger("L1") };
    let unbounded = Coupon { discount: None, subsidy_expected: None, ..coupon("USED") };
    let facts = Facts::of_coupon(&it, unbounded).with_order(line);
    let plan = plan_for(&[it], &facts, &[]);
    assert_eq!(plan.calls, []);
    assert_eq!(plan.impossible[0].reason, "an amount of 5000.01 yuan: WeChat takes 0.01 to 5000.00");
}

#[test]
fn a_plan_pays_once_for_a_coupon_lists_what_is_left_to_people_and_leaves_closed_breaks_alone() {
    let (one, two) = (break_of("SU11", Some("L1")), break_of("SU11", Some("L2")));
    let by_hand = break_of("AO01", None);
    let closed = Break { status: BreakStatus::Accepted, ..break_of("SU01", None) };
    let facts =
        Facts::of_coupon(&one, coupon("USED")).with_order(line_of_ledger("L1")).with_order(line_of_ledger("L2"));
    let breaks = [one, two, by_hand, closed];
    let plan = plan_for(&breaks, &facts, &[]);
    assert_eq!(plan.calls.iter().map(|call| call.request_no.as_str()).collect::<Vec<_>>(), ["L1"]);
    assert_eq!(plan.impossible.len(), 1);
    assert_eq!(plan.impossible[0].reason, "another call of the day pays for the coupon");
    assert_eq!((plan.by_hand.len(), plan.by_hand[0].breaks, plan.by_hand[0].at_risk_fen), (1, 1, Fen(100)));
    let bytes = plan.to_bytes();
    let approved = Plan::approved(&bytes, &crate::sha256::sha256_of(&bytes)).unwrap();
    assert_eq!(approved, plan, "what is written is what is read");
}

#[test]
fn two_coupons_of_one_order_are_not_redeemed_under_one_number() {
    let one = break_of("AO03", None);
    let two = Break { break_id: "other".into(), ..one.clone() };
    let facts = Facts::of_coupon(&one, coupon("SENDED"));
    let plan = plan_for(&[one, two], &facts, &[]);
    assert_eq!((plan.calls.len(), plan.impossible.len()), (1, 1));
    assert_eq!(plan.impossible[0].reason, "another call of the day has the number RY1: use a number of your own");
}

#[test]
fn plans_of_single_rules_do_not_pay_for_one_coupon_under_two_numbers() {
    let (failed, listed) = (break_of("SU10", Some("S1")), break_of("SU11", Some("L1")));
    let facts = Facts::of_coupon(&failed, coupon("USED"))
        .with_receipts(&failed, vec![receipt("S1", "FAIL", 1)])
        .with_order(line_of_ledger("L1"));
    let breaks = [failed, listed];
    let calls = |rules: &[&str]| plan_for(&breaks, &facts, rules).calls.len();
    assert_eq!(calls(&[]), 1);
    assert_eq!(calls(&["SU10"]) + calls(&["SU11"]), 1, "the coupon is paid for once, however the day is planned");
}

#[test]
fn an_amount_that_wechat_does_not_take_is_told_and_does_not_spoil_the_plan() {
    let it = break_of("SU01", None);
    for amount in [Fen(500_001), Fen(0), Fen(-1)] {
        let owed = Coupon { discount: None, subsidy_expected: Some(amount), ..coupon("USED") };
        let facts = Facts::of_coupon(&it, owed);
        let plan = plan_for(std::slice::from_ref(&it), &facts, &[]);
        assert_eq!((plan.calls.len(), plan.impossible.len()), (0, 1), "{amount}");
        assert!(plan.impossible[0].reason.contains("WeChat takes 0.01 to 5000.00"), "{}", plan.impossible[0].reason);
    }
}

#[test]
fn a_receipt_that_was_returned_in_full_takes_nothing_from_another_and_a_part_of_unknown_size_is_not_guessed() {
    let it = break_of("SU07", None);
    let of = |receipts: Vec<SubsidyPayment>, returns: Vec<SubsidyReturn>| {
        let facts = Facts::of_coupon(&it, Coupon { is_order_fully_refunded: true, ..coupon("USED") })
            .with_receipts(&it, receipts)
            .with_returns(&it, returns)
            .with_refund(TRANSACTION, "50300");
        proposed(&facts, &it)
    };
    let two = || vec![receipt("S1", "FULL_RETURN", 1), receipt("S2", "SUCCESS", 2)];
    assert!(of(two(), vec![returned(None, Fen(100))]).unwrap_err().contains("which of several"));
    assert_eq!(of(two(), vec![returned(Some("S1"), Fen(100))]).unwrap()[0].amount(), Some(Fen(100)));
    let part = of(vec![receipt("S1", "PARTIAL_RETURN", 1)], vec![]);
    assert_eq!(part.unwrap_err(), "it is not known how much of receipt S1 was returned");
}

#[test]
fn an_answer_about_something_else_or_of_a_failure_is_none() {
    let it = break_of("SU01", None);
    let payment = only_payment(&Facts::of_coupon(&it, coupon("USED")), &it);
    let mut answer = serde_json::to_value(&payment).unwrap();
    answer["status"] = json!("PAY_RECEIPT_SUCCESS");
    let operation = Operation::Pay(payment);
    let said = |field: &str, value: serde_json::Value| {
        let mut answer = answer.clone();
        answer[field] = value;
        operation.said(answer.to_string().as_bytes())
    };
    assert_eq!(said("status", json!("ACCEPTED")).unwrap(), "ACCEPTED");
    let others = ["stock_id", "coupon_code", "transaction_id", "payer_merchant", "payee_merchant", "out_subsidy_no"];
    for field in others {
        assert!(said(field, json!("9")).unwrap_err().contains("has the"), "{field}");
    }
    assert!(said("amount", json!(101)).unwrap_err().contains("has the amount"));
    assert!(said("status", json!("PAY_RECEIPT_FAIL")).unwrap_err().contains("no money was paid"));
}

#[test]
fn a_redemption_or_return_of_something_else_is_none_of_what_was_asked() {
    let it = break_of("AO03", None);
    let redemption = proposed(&Facts::of_coupon(&it, coupon("SENDED")), &it).unwrap();
    let used = |stock_id: &str| {
        let answer = json!({"stock_id": stock_id, "openid": "o", "wechatpay_use_time": "2026-11-20T12:00:00+08:00"});
        redemption[0].said(answer.to_string().as_bytes())
    };
    assert_eq!(used(STOCK).unwrap(), "2026-11-20T12:00:00+08:00");
    assert!(used("9").unwrap_err().contains("has the stock `9`"));
    assert!(used("").is_ok(), "it need not say");
}

#[test]
fn the_id_of_a_return_is_kept_only_if_it_is_the_one_that_was_asked_for() {
    let it = break_of("SU07", None);
    let facts = Facts::of_coupon(&it, coupon("USED"))
        .with_receipts(&it, vec![receipt("S1", "SUCCESS", 1)])
        .with_refund(TRANSACTION, "50300");
    let operation = proposed(&facts, &it).unwrap().remove(0);
    let id = |number: &str, id: serde_json::Value| {
        let mut answer = operation.body();
        answer["out_subsidy_return_no"] = json!(number);
        answer["subsidy_return_receipt_id"] = id;
        operation.return_receipt_id(answer.to_string().as_bytes())
    };
    let number = operation.request_no();
    assert_eq!(id(number, json!("2120")).as_deref(), Some("2120"));
    assert_eq!(id("another", json!("2120")), None);
    for none in [json!(null), json!(""), json!("21\n20")] {
        assert_eq!(id(number, none.clone()), None, "{none}");
    }
}

#[test]
fn a_break_that_was_decided_since_has_no_call_and_leaves_its_coupon_to_another() {
    let (one, two, by_hand) = (break_of("SU11", Some("L1")), break_of("SU11", Some("L2")), break_of("AO01", None));
    let facts =
        Facts::of_coupon(&one, coupon("USED")).with_order(line_of_ledger("L1")).with_order(line_of_ledger("L2"));
    let lines = ["0a,accepted,paid by hand,li.wei,2026-11-20", "0b,written_off,closed store,li.wei,"];
    let text = format!("break_id,decision,reason,approver,expires_on\n{}\n", lines.join("\n"));
    let decisions = Decisions::parse("decisions.csv", text.as_bytes()).unwrap();
    let breaks = [("0a", &one), ("0b", &by_hand), ("0c", &two)].map(|(id, it)| with_id(id, it));
    let planned = |date| {
        let source = Source { job_file: "job.toml", date, breaks_sha256: "ab" };
        let grounds = Grounds { job: &job(), facts: &facts, decisions: &decisions };
        Plan::propose(grounds, source, &open(&breaks, &decisions, date), &BTreeSet::new())
    };
    let decided = planned(date());
    assert_eq!(decided.calls.iter().map(|call| call.request_no.as_str()).collect::<Vec<_>>(), ["L2"]);
    assert_eq!(decided.impossible[0].reason, "accepted by li.wei: paid by hand");
    assert_eq!(decided.by_hand, []);
    let expired = planned(date() + chrono::Days::new(1));
    assert_eq!(expired.calls.iter().map(|call| call.request_no.as_str()).collect::<Vec<_>>(), ["L1"]);
    assert_eq!(expired.first_unlike(&decided, &decisions), None, "apply holds it back by itself");
    assert_eq!(decided.first_unlike(&expired, &decisions).map(|(place, _)| place), Some(1));
}

fn with_id(break_id: &str, it: &Break) -> Break {
    Break { break_id: break_id.to_owned(), ..it.clone() }
}

#[test]
fn a_plan_of_single_rules_lists_only_their_breaks_for_people_too() {
    let breaks = ["AO01", "PM02", "PM03"].map(|rule_id| break_of(rule_id, None));
    let by_hand = |rules: &[&str]| {
        let plan = plan_for(&breaks, &Facts::default(), rules);
        plan.by_hand.into_iter().map(|it| it.rule_id).collect::<Vec<_>>()
    };
    assert_eq!(by_hand(&[]), ["AO01", "PM02", "PM03"]);
    assert_eq!(by_hand(&["PM02"]), ["PM02"]);
    assert!(by_hand(&["SU01"]).is_empty());
}
