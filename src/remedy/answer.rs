//! What the answer of a call says, and whether it is about that call at all. Changes nothing and keeps nothing.

use serde::de::DeserializeOwned;

use super::operation::Operation;
use crate::money::Fen;
use crate::record::receipt_status;
use crate::wechat::pay_v3::busifavor::coupons::{Redemption, Returned, Used};
use crate::wechat::pay_v3::busifavor::plain_status;
use crate::wechat::pay_v3::busifavor::subsidy::{PayReceipt, Payment, PaymentReturn, ReturnReceipt};
use crate::wechat::request::read_json;
use crate::wechat::wording::shown;

impl Operation {
    /// The id of the return that an answer tells of, if it is the one that was asked for.
    pub(super) fn return_receipt_id(&self, body: &[u8]) -> Option<String> {
        let Operation::ReturnPayment(asked) = self else { return None };
        let receipt: ReturnReceipt = read(body).ok()?;
        let is_asked = receipt.out_subsidy_return_no == asked.out_subsidy_return_no;
        let id = receipt.subsidy_return_receipt_id.filter(|_| is_asked);
        id.filter(|id| !id.is_empty() && !id.contains(char::is_control))
    }

    /// What an answer says; an error if it is about something else.
    pub(super) fn said(&self, body: &[u8]) -> Result<String, String> {
        match self {
            Operation::Redeem(asked) => said_of_use(asked, read(body)?),
            Operation::ReturnCoupon(_) => read::<Returned>(body).map(|it| it.wechatpay_return_time.unwrap_or_default()),
            Operation::Pay(asked) => said_of_payment(asked, &read(body)?),
            Operation::ReturnPayment(asked) => said_of_return(asked, &read(body)?),
        }
    }
}

fn said_of_use(asked: &Redemption, it: Used) -> Result<String, String> {
    same_if_told("stock", &asked.stock_id, it.stock_id.as_deref())?;
    Ok(it.wechatpay_use_time.unwrap_or_default())
}

fn said_of_payment(asked: &Payment, it: &PayReceipt) -> Result<String, String> {
    same("number", &asked.out_subsidy_no, &it.out_subsidy_no)?;
    same("stock", &asked.stock_id, &it.stock_id)?;
    same("coupon", &asked.coupon_code, &it.coupon_code)?;
    same_if_told("transaction", &asked.transaction_id, it.transaction_id.as_deref())?;
    same_if_told("payer", &asked.payer_merchant, it.payer_merchant.as_deref())?;
    same_if_told("payee", &asked.payee_merchant, it.payee_merchant.as_deref())?;
    same_amount(asked.amount, it.amount)?;
    not_failed(it.status.as_deref(), it.fail_reason.as_deref())
}

fn said_of_return(asked: &PaymentReturn, it: &ReturnReceipt) -> Result<String, String> {
    same("number", &asked.out_subsidy_return_no, &it.out_subsidy_return_no)?;
    same("stock", &asked.stock_id, &it.stock_id)?;
    same("coupon", &asked.coupon_code, &it.coupon_code)?;
    same_if_told("transaction", &asked.transaction_id, it.transaction_id.as_deref())?;
    same_if_told("refund", &asked.refund_id, it.refund_id.as_deref())?;
    same_if_told("payer", &asked.payer_merchant, it.payer_merchant.as_deref())?;
    same_if_told("payee", &asked.payee_merchant, it.payee_merchant.as_deref())?;
    same_amount(asked.amount, it.amount)?;
    let status = not_failed(it.status.as_deref(), it.fail_reason.as_deref())?;
    let id = it.subsidy_return_receipt_id.as_deref().map(|id| format!(" {}", shown(id)));
    Ok(format!("{status}{}", id.unwrap_or_default()))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    read_json(body).map_err(|error| error.to_string())
}

fn same(what: &str, asked: &str, answered: &str) -> Result<(), String> {
    if asked == answered {
        Ok(())
    } else {
        Err(format!("the answer has the {what} `{}`, not `{asked}`", shown(answered)))
    }
}

fn same_if_told(what: &str, asked: &str, answered: Option<&str>) -> Result<(), String> {
    answered.filter(|it| !it.is_empty()).map_or(Ok(()), |answered| same(what, asked, answered))
}

/// The status of a receipt whose money is moving: a failed one is a valid answer, but the call did not succeed.
fn not_failed(status: Option<&str>, reason: Option<&str>) -> Result<String, String> {
    match status.map(plain_status).unwrap_or_default() {
        receipt_status::FAIL => Err(format!("no money was paid: FAIL, {}", shown(reason.unwrap_or("no reason")))),
        status => Ok(status.to_owned()),
    }
}

fn same_amount(asked: Fen, answered: Option<Fen>) -> Result<(), String> {
    answered.map_or(Ok(()), |answered| same("amount", &asked.to_string(), &answered.to_string()))
}
