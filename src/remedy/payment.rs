//! Whether a subsidy may be paid: what WeChat refuses (reference v3 §2.18), and what a rule would find fault with the
//! night after. Proposes nothing itself.

use super::facts::{Coupon, Facts};
use crate::job::Job;
use crate::money::Fen;
use crate::record::{Break, SubsidyPayment, coupon_state, receipt_status, stock_type};
use crate::wechat::pay_v3::busifavor::plain_status;
use crate::wechat::pay_v3::busifavor::subsidy::Payment;

/// The coupon of a break, if a subsidy can be paid for it, and none was paid or is pending.
pub(super) fn unpaid<'f>(facts: &'f Facts, it: &Break) -> Result<&'f Coupon, String> {
    let coupon = facts.coupon(it)?;
    let state = coupon.state.as_deref().unwrap_or("unknown");
    let in_the_way = facts.receipts(it).iter().find(|receipt| status_of(receipt) != Some(receipt_status::FAIL));
    if state != coupon_state::USED {
        return Err(format!("a subsidy is paid for a USED coupon, this one is {state}"));
    }
    if coupon.stock_type.as_deref() == Some(stock_type::EXCHANGE) {
        return Err("WeChat pays no subsidy for EXCHANGE stocks".to_owned());
    }
    if coupon.is_order_fully_refunded {
        return Err("its order was fully refunded".to_owned());
    }
    if let Some(receipt) = in_the_way {
        return Err(format!("receipt {} of the coupon did not fail", receipt.out_subsidy_no));
    }
    Ok(coupon)
}

/// The payment, if the order, the programme and the discount of its coupon agree with it.
pub(super) fn agreed(job: &Job, coupon: &Coupon, payment: Payment) -> Result<Payment, String> {
    check_transaction(coupon, &payment)?;
    check_parties(job, &payment)?;
    check_amount(coupon, &payment)?;
    Ok(payment)
}

/// A receipt of another payment than that of the coupon's order would say nothing of the coupon.
fn check_transaction(coupon: &Coupon, payment: &Payment) -> Result<(), String> {
    match &coupon.transaction_id {
        Some(of_order) if *of_order != payment.transaction_id => Err(format!(
            "it would name transaction {}, and the order of the coupon has {of_order}",
            payment.transaction_id
        )),
        _ => Ok(()),
    }
}

/// SU06 would speak.
fn check_parties(job: &Job, payment: &Payment) -> Result<(), String> {
    let Payment { stock_id, payer_merchant, payee_merchant, .. } = payment;
    let mut of_stock = job.subsidy_programs.iter().filter(|programme| programme.stock_id == *stock_id).peekable();
    let has_none = of_stock.peek().is_none();
    if has_none || of_stock.any(|it| it.payer_merchant == *payer_merchant && it.payee_merchant == *payee_merchant) {
        return Ok(());
    }
    Err(format!("{payer_merchant} would pay {payee_merchant}, which no programme of stock {stock_id} says"))
}

/// WeChat refuses more than the discount (SU13), and SU02 would speak of more than the programme owes.
fn check_amount(coupon: &Coupon, payment: &Payment) -> Result<(), String> {
    let bounds = [(coupon.discount, "the coupon took off"), (coupon.subsidy_expected, "the programme owes")];
    let exceeded = bounds.into_iter().find_map(|(most, whose)| Some((most.filter(|it| payment.amount > *it)?, whose)));
    match exceeded {
        Some((most, whose)) => Err(exceeding(payment.amount, most, whose)),
        None => Ok(()),
    }
}

fn exceeding(amount: Fen, most: Fen, whose: &str) -> String {
    format!("{amount} yuan would be paid, which is more than the {most} that {whose}")
}

/// The status of a receipt without the prefix that some answers have.
pub(super) fn status_of(receipt: &SubsidyPayment) -> Option<&str> {
    receipt.status.as_deref().map(plain_status)
}
