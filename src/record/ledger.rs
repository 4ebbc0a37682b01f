//! The coupon ledger: one row per coupon, with all sides joined. Column meanings: `schemas/`.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::Record;
use crate::money::Fen;

/// One row per coupon known from any side (`coupon_ledger`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LedgerRow {
    /// Coupon stock (批次) id.
    pub stock_id: String,
    /// Coupon code.
    pub coupon_code: String,
    /// User, as HMAC-SHA256 hex unless pii is raw.
    pub openid: Option<String>,
    /// State the wallet showed.
    pub coupon_state: Option<String>,
    /// State rolled back to the end of the business date.
    pub state_on_date: Option<String>,
    /// NORMAL, DISCOUNT or EXCHANGE.
    pub stock_type: Option<String>,
    /// Merchant the stock belongs to.
    pub belong_merchant: Option<String>,
    /// Fixed discount of a NORMAL coupon, fen.
    pub discount_amount_fen: Option<Fen>,
    /// Percent to pay with a DISCOUNT coupon (88 = pay 88 %).
    pub discount_percent: Option<i64>,
    /// Price with an EXCHANGE coupon, fen.
    pub exchange_price_fen: Option<Fen>,
    /// Minimum spend, fen.
    pub transaction_minimum_fen: Option<Fen>,
    /// Usable from.
    pub available_start_at: Option<DateTime<Utc>>,
    /// Usable until.
    pub expire_at: Option<DateTime<Utc>>,
    /// Received at.
    pub received_at: Option<DateTime<Utc>>,
    /// Redeemed at.
    pub used_at: Option<DateTime<Utc>>,
    /// Returned at.
    pub returned_at: Option<DateTime<Utc>>,
    /// Deactivated at.
    pub deactivated_at: Option<DateTime<Utc>>,
    /// Request number of the redemption.
    pub use_request_no: Option<String>,
    /// Request number of the return.
    pub return_request_no: Option<String>,
    /// Order the merchant associated.
    pub associate_out_trade_no: Option<String>,
    /// Pass that found the order: claim, association, use_request or ambiguous.
    pub match_pass: Option<String>,
    /// Live orders that claim the coupon.
    pub claim_count: i64,
    /// Merchant order number.
    pub out_trade_no: Option<String>,
    /// WeChat Pay order id.
    pub transaction_id: Option<String>,
    /// User of the order.
    pub order_openid: Option<String>,
    /// Merchant of the order.
    pub order_merchant: Option<String>,
    /// When the order was paid.
    pub order_paid_at: Option<DateTime<Utc>>,
    /// Paid and not fully refunded.
    pub order_live: Option<bool>,
    /// Refunds reach the amount paid.
    pub order_fully_refunded: Option<bool>,
    /// Goods amount before discount, fen.
    pub goods_fen: Option<Fen>,
    /// Coupon discount of the line, fen.
    pub discount_fen: Option<Fen>,
    /// Amount paid on the line, fen.
    pub paid_fen: Option<Fen>,
    /// Discount the stock's rule gives, fen.
    pub expected_discount_fen: Option<Fen>,
    /// Refund of the order by the export, fen.
    pub order_refund_fen: Option<Fen>,
    /// Amount of the order in the bill, fen.
    pub bill_paid_fen: Option<Fen>,
    /// Refunded amount, fen.
    pub refund_fen: Option<Fen>,
    /// Last refund accepted by the bill.
    pub refunded_at: Option<DateTime<Utc>>,
    /// Refund rows of the bill.
    pub refund_count: i64,
    /// Subsidy the programme gives, fen.
    pub subsidy_expected_fen: Option<Fen>,
    /// Subsidy paid by the receipts, fen.
    pub subsidy_paid_fen: Option<Fen>,
    /// Subsidy returned, fen.
    pub subsidy_returned_fen: Option<Fen>,
    /// Live subsidy receipts.
    pub subsidy_receipt_count: i64,
    /// Statuses of the receipts, joined by +.
    pub subsidy_status: Option<String>,
    /// Order id on the subsidy receipts.
    pub subsidy_transaction_id: Option<String>,
    /// Business date on which the claiming user was last asked.
    pub asked_date: Option<NaiveDate>,
    /// Business date whose run last asked.
    pub verified_date: Option<NaiveDate>,
    /// Redeemed so many seconds after the order was paid, a begun one counted; negative when before.
    pub used_after_paid_seconds: Option<i64>,
    /// Sum of the live subsidy receipts, fen.
    pub subsidy_live_fen: Option<Fen>,
    /// Day from which a subsidy of the programme is overdue.
    pub subsidy_due_date: Option<NaiveDate>,
    /// Business date in Asia/Shanghai.
    pub business_date: NaiveDate,
}

impl Record for LedgerRow {
    const DATASET: &str = "coupon_ledger";
}
