//! The calls that would resolve a break, rule by rule. Where a person has to find out something first, or WeChat would
//! refuse the call by its documentation, no call is proposed and the reason is given.

use chrono::{DateTime, SecondsFormat, Utc};

use super::facts::{Coupon, Facts};
use super::operation::Operation;
use super::payment::{agreed, status_of, unpaid};
use crate::clock::{beijing, end_of};
use crate::job::Job;
use crate::money::Fen;
use crate::record::receipt_status::{self, is_live, is_paid};
use crate::record::{Break, SubsidyPayment, coupon_state};
use crate::sha256::sha256_of;
use crate::wechat::endpoint::Endpoint;
use crate::wechat::endpoint::{COUPON_RETURN, SUBSIDY_PAY, SUBSIDY_RETURN};
use crate::wechat::pay_v3::busifavor::coupons::{CouponReturn, Redemption};
use crate::wechat::pay_v3::busifavor::subsidy::{Payment, PaymentReturn};

/// The calls for a break, or why there is none.
type Proposal = Result<Vec<Operation>, String>;

/// The remedy of a rule.
type Remedy = fn(&Job, &Facts, &Break) -> Proposal;

/// The rules whose breaks a call can resolve.
const REMEDIES: [(&str, Remedy); 6] = [
    ("AO03", redeem),
    ("AO14", return_coupon),
    ("SU01", pay_programme),
    ("SU07", return_subsidy),
    ("SU10", pay_again),
    ("SU11", send_again),
];

/// The calls that would resolve a break; `None` if its rule has no remedy.
pub(super) fn propose(job: &Job, facts: &Facts, it: &Break) -> Option<Proposal> {
    let (_, remedy) = REMEDIES.iter().find(|(rule_id, _)| *rule_id == it.rule_id)?;
    Some(remedy(job, facts, it))
}

/// Whether a rule has a remedy.
pub(super) fn has_remedy(rule_id: &str) -> bool {
    REMEDIES.iter().any(|(id, _)| *id == rule_id)
}

/// AO03: the coupon was never redeemed. It is redeemed at the time the order was paid, under the order's number.
fn redeem(job: &Job, facts: &Facts, it: &Break) -> Proposal {
    let coupon = facts.coupon(it)?;
    let wallets = job.wallets.as_ref().ok_or("the job has no `[wallets]`, whose appid the call needs")?;
    if job.rules.use_request_pattern.is_some() {
        return Err(
            "redemption numbers follow `rules.use_request_pattern`: redeem it under a number of your own".to_owned()
        );
    }
    if coupon.state.as_deref() != Some(coupon_state::SENDED) {
        let state = coupon.state.as_deref().unwrap_or("unknown");
        return Err(format!("only a SENDED coupon can be redeemed, this one is {state}"));
    }
    let paid_at = coupon.order_paid_at.ok_or("the time at which the order was paid is not known")?;
    if coupon.expire_at.is_some_and(|expire_at| paid_at > expire_at) {
        return Err("the order was paid after the coupon expired".to_owned());
    }
    // A return after the day counts for the next day, but must be respected now: a call would redeem the coupon again.
    if let Some(returned_at) = coupon.returned_at.filter(|returned_at| *returned_at >= paid_at) {
        return Err(format!(
            "the coupon was used and returned at {}, after the order was paid",
            wire_time(returned_at)
        ));
    }
    let use_request_no = given(&coupon.out_trade_no, "order number")?;
    // An order may claim several coupons, and a number redeems one (reference v3 §1.10).
    if let Some(other) = facts.redeemed_under(&use_request_no, it) {
        return Err(format!("coupon {other} was redeemed under the number {use_request_no}: use a number of your own"));
    }
    Ok(vec![Operation::Redeem(Redemption {
        stock_id: given(&it.stock_id, "stock")?,
        coupon_code: given(&it.coupon_code, "code")?,
        appid: wallets.appid.clone(),
        use_time: wire_time(paid_at),
        use_request_no,
    })])
}

/// AO14: the number depends on the use that is taken back, since a coupon may be used and returned again. A return gives it
/// back for the rest of its validity, and one that has expired is not to be returned (reference v3 §2.14).
fn return_coupon(_: &Job, facts: &Facts, it: &Break) -> Proposal {
    let coupon = facts.coupon(it)?;
    if coupon.state.as_deref() != Some(coupon_state::USED) {
        let state = coupon.state.as_deref().unwrap_or("unknown");
        return Err(format!("only a USED coupon can be returned, this one is {state}"));
    }
    if let Some(expire_at) = coupon.expire_at.filter(|expire_at| *expire_at < end_of(it.business_date)) {
        let when = wire_time(expire_at);
        return Err(format!("the coupon expired at {when}, after the refund: a return would give the user nothing"));
    }
    let used_at = coupon.used_at.map(wire_time).unwrap_or_default();
    Ok(vec![Operation::ReturnCoupon(CouponReturn {
        stock_id: given(&it.stock_id, "stock")?,
        coupon_code: given(&it.coupon_code, "code")?,
        return_request_no: number(&COUPON_RETURN, it, &used_at),
    })])
}

/// SU01: the amount the programme owes, for the payment of the order.
fn pay_programme(job: &Job, facts: &Facts, it: &Break) -> Proposal {
    let coupon = unpaid(facts, it)?;
    let stock_id = given(&it.stock_id, "stock")?;
    let programme = job.subsidy_programs.iter().find(|programme| programme.stock_id == stock_id);
    let programme = programme.ok_or_else(|| format!("the job no longer has a programme for stock {stock_id}"))?;
    let transaction_id = given(&coupon.transaction_id, "transaction")?;
    let payment = Payment {
        coupon_code: given(&it.coupon_code, "code")?,
        payer_merchant: programme.payer_merchant.clone(),
        payee_merchant: programme.payee_merchant.clone(),
        amount: coupon.subsidy_expected.ok_or("what the programme gives for it is not known")?,
        description: description(coupon),
        out_subsidy_no: number(&SUBSIDY_PAY, it, &transaction_id),
        transaction_id,
        stock_id,
    };
    pay(job, coupon, payment)
}

/// SU10: the same payment under a new number derived from the failed one.
fn pay_again(job: &Job, facts: &Facts, it: &Break) -> Proposal {
    let coupon = unpaid(facts, it)?;
    let failed = given(&it.out_subsidy_no, "out_subsidy_no")?;
    let receipt = facts.receipts(it).iter().max_by_key(|receipt| (receipt.create_time, &receipt.out_subsidy_no));
    let receipt = receipt.ok_or("the receipt that failed is no longer known")?;
    if receipt.out_subsidy_no != failed {
        return Err("a later payment of the coupon failed too: its break has the call".to_owned());
    }
    let payment = Payment {
        stock_id: receipt.stock_id.clone(),
        coupon_code: receipt.coupon_code.clone(),
        transaction_id: given(&receipt.transaction_id, "transaction")?,
        payer_merchant: given(&receipt.payer_merchant, "payer")?,
        payee_merchant: given(&receipt.payee_merchant, "payee")?,
        amount: receipt.amount_fen,
        description: receipt.description.clone().unwrap_or_else(|| description(coupon)),
        out_subsidy_no: number(&SUBSIDY_PAY, it, &failed),
    };
    pay(job, coupon, payment)
}

/// SU11: the line of the merchant's ledger, under its own number.
fn send_again(job: &Job, facts: &Facts, it: &Break) -> Proposal {
    let coupon = unpaid(facts, it)?;
    let out_subsidy_no = given(&it.out_subsidy_no, "out_subsidy_no")?;
    let line = facts.order(&out_subsidy_no).ok_or("its line of the subsidy ledger left the look-back")?;
    // What is known about the coupon of the break does not apply to another one.
    if (Some(&line.stock_id), Some(&line.coupon_code)) != (it.stock_id.as_ref(), it.coupon_code.as_ref()) {
        return Err(format!(
            "{out_subsidy_no} belongs to another coupon in a later subsidy ledger: correct the ledger"
        ));
    }
    if let Some(other) = facts.paid_under(&out_subsidy_no, it) {
        return Err(format!("WeChat has a receipt {out_subsidy_no} of coupon {other}: correct the ledger"));
    }
    let payment = Payment {
        stock_id: line.stock_id.clone(),
        coupon_code: line.coupon_code.clone(),
        transaction_id: given(&line.transaction_id, "transaction")?,
        payer_merchant: given(&line.payer_merchant, "payer")?,
        payee_merchant: given(&line.payee_merchant, "payee")?,
        amount: line.amount_fen,
        description: description(coupon),
        out_subsidy_no,
    };
    pay(job, coupon, payment)
}

fn pay(job: &Job, coupon: &Coupon, payment: Payment) -> Proposal {
    agreed(job, coupon, payment).map(|payment| vec![Operation::Pay(payment)])
}

/// SU07: the rest of each receipt, for the last refund of its order.
fn return_subsidy(_: &Job, facts: &Facts, it: &Break) -> Proposal {
    let coupon = facts.coupon(it)?;
    let is_kept = |status: &str| is_paid(status) && is_live(status);
    let kept = facts.receipts(it).iter().filter(|receipt| status_of(receipt).is_some_and(is_kept));
    let returned = Returned::of(facts, it)?;
    let mut operations = Vec::new();
    for receipt in kept {
        if receipt.subsidy_receipt_id.is_none() && !returned.by_receipt.is_empty() {
            return Err(format!(
                "it is not known whether a return belongs to receipt {}: it has no id",
                receipt.out_subsidy_no
            ));
        }
        let back = returned.of_receipt(receipt);
        if status_of(receipt) == Some(receipt_status::PARTIAL_RETURN) && back <= Fen::ZERO {
            return Err(format!("it is not known how much of receipt {} was returned", receipt.out_subsidy_no));
        }
        let left = receipt.amount_fen - back;
        if left > Fen::ZERO {
            operations.push(Operation::ReturnPayment(return_of(facts, it, coupon, receipt, left)?));
        }
    }
    if operations.is_empty() { Err("no receipt has anything left to return".to_owned()) } else { Ok(operations) }
}

fn return_of(
    facts: &Facts,
    it: &Break,
    coupon: &Coupon,
    receipt: &SubsidyPayment,
    amount: Fen,
) -> Result<PaymentReturn, String> {
    let transaction_id = given(&receipt.transaction_id, "transaction")?;
    let refund_id =
        facts.refund_id(&transaction_id).ok_or("no bill of the look-back has a refund of the receipt's payment")?;
    let mut what = format!("{}\n{}", receipt.out_subsidy_no, amount.0);
    // Under the number of a return that failed WeChat only tells that it did. Returns of other receipts keep theirs: one
    // that was sent without an answer would be made twice.
    if let failed @ 1.. = facts.failed_returns(it, receipt) {
        what.push_str(&format!("\n{failed}"));
    }
    Ok(PaymentReturn {
        stock_id: receipt.stock_id.clone(),
        coupon_code: receipt.coupon_code.clone(),
        refund_id: refund_id.to_owned(),
        payer_merchant: given(&receipt.payer_merchant, "payer")?,
        payee_merchant: given(&receipt.payee_merchant, "payee")?,
        amount,
        description: description(coupon),
        out_subsidy_return_no: number(&SUBSIDY_RETURN, it, &what),
        transaction_id,
    })
}

/// The returned amounts of the receipts of a coupon.
struct Returned<'f> {
    by_receipt: Vec<(&'f str, Fen)>,
    /// Returned without naming a receipt; belongs to the only receipt.
    unnamed: Fen,
}

impl<'f> Returned<'f> {
    fn of(facts: &'f Facts, it: &Break) -> Result<Returned<'f>, String> {
        let mut returned = Returned { by_receipt: Vec::new(), unnamed: Fen::ZERO };
        for row in facts.returns(it) {
            match row.subsidy_receipt_id.as_deref() {
                Some(id) => returned.by_receipt.push((id, row.amount_fen)),
                None => returned.unnamed += row.amount_fen,
            }
        }
        // A fully returned receipt had a return too.
        let paid = facts.receipts(it).iter().filter(|it| status_of(it).is_some_and(is_paid));
        if returned.unnamed > Fen::ZERO && paid.count() > 1 {
            return Err("a return does not say which of several receipts it is for".to_owned());
        }
        Ok(returned)
    }

    fn of_receipt(&self, receipt: &SubsidyPayment) -> Fen {
        let mine = self.by_receipt.iter().filter(|(id, _)| receipt.subsidy_receipt_id.as_deref() == Some(*id));
        mine.map(|(_, amount)| *amount).sum::<Fen>() + self.unnamed
    }
}

fn given(text: &Option<String>, what: &str) -> Result<String, String> {
    text.clone().filter(|text| !text.is_empty()).ok_or_else(|| format!("its {what} is not known"))
}

/// The description that both merchants see.
fn description(coupon: &Coupon) -> String {
    format!("商家券补差 {}", coupon.out_trade_no.as_deref().unwrap_or_default()).trim_end().to_owned()
}

fn wire_time(instant: DateTime<Utc>) -> String {
    instant.with_timezone(&beijing()).to_rfc3339_opts(SecondsFormat::Secs, false)
}

/// The number of a call: the same for the same call of the same break in every plan, so that nothing is done twice, and
/// another one as soon as the call differs. Short enough for the oldest limits.
fn number(endpoint: &Endpoint, it: &Break, what: &str) -> String {
    let digest = sha256_of(format!("{}\n{}\n{what}", endpoint.id, it.break_id).as_bytes());
    format!("cr{}", &digest[..30])
}
