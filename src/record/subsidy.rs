//! Subsidy receipts and their returns. Column meanings: `schemas/`.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::Record;
use crate::money::Fen;

/// Subsidy payment receipts (`subsidy_payments`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubsidyPayment {
    /// Merchant's subsidy payment number.
    pub out_subsidy_no: String,
    /// WeChat's subsidy payment receipt id.
    pub subsidy_receipt_id: Option<String>,
    /// Coupon stock (批次) id.
    pub stock_id: String,
    /// Coupon code.
    pub coupon_code: String,
    /// WeChat Pay order id.
    pub transaction_id: Option<String>,
    /// Merchant that pays the subsidy.
    pub payer_merchant: Option<String>,
    /// Merchant that receives the subsidy.
    pub payee_merchant: Option<String>,
    /// Amount, fen.
    pub amount_fen: Fen,
    /// Description of the subsidy.
    pub description: Option<String>,
    /// Status.
    pub status: Option<String>,
    /// Why it failed.
    pub fail_reason: Option<String>,
    /// When it succeeded.
    pub success_time: Option<DateTime<Utc>>,
    /// Created at.
    pub create_time: Option<DateTime<Utc>>,
    /// Business date whose run last asked.
    pub verified_date: NaiveDate,
    /// Unknown fields of the answer, JSON.
    pub extra: Option<String>,
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

/// Subsidy return receipts (`subsidy_returns`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubsidyReturn {
    /// Merchant's subsidy return number.
    pub out_subsidy_return_no: String,
    /// WeChat's subsidy return receipt id, empty when none.
    pub subsidy_return_receipt_id: Option<String>,
    /// WeChat's subsidy payment receipt id.
    pub subsidy_receipt_id: Option<String>,
    /// Coupon stock (批次) id.
    pub stock_id: String,
    /// Coupon code.
    pub coupon_code: String,
    /// WeChat Pay order id.
    pub transaction_id: Option<String>,
    /// 微信退款单号.
    pub refund_id: Option<String>,
    /// Merchant that pays the subsidy.
    pub payer_merchant: Option<String>,
    /// Merchant that receives the subsidy.
    pub payee_merchant: Option<String>,
    /// Amount, fen.
    pub amount_fen: Fen,
    /// Description of the subsidy.
    pub description: Option<String>,
    /// Status.
    pub status: Option<String>,
    /// Why it failed.
    pub fail_reason: Option<String>,
    /// Return done at.
    pub return_done_time: Option<DateTime<Utc>>,
    /// Return created at.
    pub return_create_time: Option<DateTime<Utc>>,
    /// Business date whose run last asked.
    pub verified_date: NaiveDate,
    /// Unknown fields of the answer, JSON.
    pub extra: Option<String>,
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
