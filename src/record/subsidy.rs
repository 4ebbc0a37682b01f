//! Subsidy receipts and their returns. Column meanings: `schemas/`.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::Record;
use super::packed::packed_row;
use crate::money::Fen;

/// Subsidy payment receipts (`subsidy_payments`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubsidyPayment<S = String> {
    /// Merchant's subsidy payment number.
    pub out_subsidy_no: S,
    /// WeChat's subsidy payment receipt id.
    pub subsidy_receipt_id: Option<S>,
    /// Coupon stock (批次) id.
    pub stock_id: S,
    /// Coupon code.
    pub coupon_code: S,
    /// WeChat Pay order id.
    pub transaction_id: Option<S>,
    /// Merchant that pays the subsidy.
    pub payer_merchant: Option<S>,
    /// Merchant that receives the subsidy.
    pub payee_merchant: Option<S>,
    /// Amount, fen.
    pub amount_fen: Fen,
    /// Description of the subsidy.
    pub description: Option<S>,
    /// Status.
    pub status: Option<S>,
    /// Why it failed.
    pub fail_reason: Option<S>,
    /// When it succeeded.
    pub success_time: Option<DateTime<Utc>>,
    /// Created at.
    pub create_time: Option<DateTime<Utc>>,
    /// Business date whose run last asked.
    pub verified_date: NaiveDate,
    /// Unknown fields of the answer, JSON.
    pub extra: Option<S>,
    /// Business date in Asia/Shanghai.
    pub business_date: NaiveDate,
}

impl Record for SubsidyPayment {
    const DATASET: &str = "subsidy_payments";
    const AMOUNT: Option<&str> = Some("amount_fen");

    fn amount(&self) -> Fen {
        self.amount_fen
    }
}

packed_row! {
    SubsidyPayment<S>: key { out_subsidy_no } cells {
        subsidy_receipt_id, stock_id, coupon_code, transaction_id, payer_merchant, payee_merchant, amount_fen,
        description, status, fail_reason, success_time, create_time, verified_date, extra, business_date,
    }
}

/// Subsidy return receipts (`subsidy_returns`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubsidyReturn<S = String> {
    /// Merchant's subsidy return number.
    pub out_subsidy_return_no: S,
    /// WeChat's subsidy return receipt id, empty when none.
    pub subsidy_return_receipt_id: Option<S>,
    /// WeChat's subsidy payment receipt id.
    pub subsidy_receipt_id: Option<S>,
    /// Coupon stock (批次) id.
    pub stock_id: S,
    /// Coupon code.
    pub coupon_code: S,
    /// WeChat Pay order id.
    pub transaction_id: Option<S>,
    /// 微信退款单号.
    pub refund_id: Option<S>,
    /// Merchant that pays the subsidy.
    pub payer_merchant: Option<S>,
    /// Merchant that receives the subsidy.
    pub payee_merchant: Option<S>,
    /// Amount, fen.
    pub amount_fen: Fen,
    /// Description of the subsidy.
    pub description: Option<S>,
    /// Status.
    pub status: Option<S>,
    /// Why it failed.
    pub fail_reason: Option<S>,
    /// Return done at.
    pub return_done_time: Option<DateTime<Utc>>,
    /// Return created at.
    pub return_create_time: Option<DateTime<Utc>>,
    /// Business date whose run last asked.
    pub verified_date: NaiveDate,
    /// Unknown fields of the answer, JSON.
    pub extra: Option<S>,
    /// Business date in Asia/Shanghai.
    pub business_date: NaiveDate,
}

impl Record for SubsidyReturn {
    const DATASET: &str = "subsidy_returns";
    const AMOUNT: Option<&str> = Some("amount_fen");

    fn amount(&self) -> Fen {
        self.amount_fen
    }
}

packed_row! {
    SubsidyReturn<S>: key { out_subsidy_return_no } cells {
        subsidy_return_receipt_id, subsidy_receipt_id, stock_id, coupon_code, transaction_id, refund_id, payer_merchant,
        payee_merchant, amount_fen, description, status, fail_reason, return_done_time, return_create_time,
        verified_date, extra, business_date,
    }
}
