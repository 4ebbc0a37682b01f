//! Subsidy receipts: payments by coupon and by id, returns by id (reference v3 §2.19, §2.20, §2.22).

use serde_json::json;

use super::query::required;
use super::refusal::unknown;
use super::stocks;
use crate::simulator::answer::Answer;
use crate::simulator::exchange::Exchange;
use crate::simulator::memory::{held, text_of};
use crate::simulator::state::receipt_as_of;
use crate::simulator::world::Receipt;

/// Payments of one coupon; stock and code are mandatory.
pub(super) fn list_payments(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let (stock_id, coupon_code) = (required(exchange, "stock_id")?, required(exchange, "coupon_code")?);
    let number = exchange.call.query("out_subsidy_no");
    let memory = held(&exchange.office.memory);
    stocks::known(&memory, exchange, &stock_id)?;
    let mut receipts = memory.pay_receipts(&stock_id, &coupon_code, exchange.world_now);
    receipts.retain(|receipt| number.as_ref().is_none_or(|number| text_of(receipt, "out_subsidy_no") == *number));
    Ok(Answer::json(200, &json!({"pay_receipt_list": receipts})))
}

/// One payment.
pub(super) fn get_payment(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let memory = held(&exchange.office.memory);
    answer_one(exchange, memory.pay_receipt(exchange.segment("subsidy_receipt_id")))
}

/// One return.
pub(super) fn get_return(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let memory = held(&exchange.office.memory);
    answer_one(exchange, memory.return_receipt(exchange.segment("subsidy_return_receipt_id")))
}

fn answer_one(exchange: &Exchange<'_>, receipt: Option<&Receipt>) -> Result<Answer, Answer> {
    let answer = receipt.and_then(|receipt| receipt_as_of(receipt, exchange.world_now));
    Ok(Answer::json(200, &answer.ok_or_else(|| unknown("补差单"))?))
}
