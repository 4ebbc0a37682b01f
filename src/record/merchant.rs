//! Rows the merchant itself exports: order lines and subsidy orders. Column meanings: `schemas/`.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::Record;
use crate::money::Fen;

/// Order lines of the merchant export files of the day (`orders`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderLine {
    /// Merchant order number.
    pub out_trade_no: String,
    /// Coupon stock (批次) id.
    pub stock_id: String,
    /// Coupon code.
    pub coupon_code: String,
    /// WeChat Pay order id.
    pub transaction_id: Option<String>,
    /// Merchant number of the order.
    pub merchant: Option<String>,
    /// User, as HMAC-SHA256 hex unless pii is raw.
    pub openid: Option<String>,
    /// Payment channel as the export names it.
    pub channel: Option<String>,
    /// Product text of the export.
    pub product: Option<String>,
    /// Remark of the export.
    pub remark: Option<String>,
    /// When the order was paid.
    pub paid_at: Option<DateTime<Utc>>,
    /// Goods amount before discount, fen.
    pub goods_fen: Fen,
    /// Coupon discount of the line, fen.
    pub discount_fen: Fen,
    /// Amount paid on the line, fen.
    pub paid_fen: Fen,
    /// Refunded amount, fen.
    pub refund_fen: Fen,
    /// Export file the row came from.
    pub source_file: String,
    /// Line in that file, 1-based.
    pub source_line: i64,
    /// Business date in Asia/Shanghai.
    pub business_date: NaiveDate,
}

impl Record for OrderLine {
    const DATASET: &str = "orders";
    const AMOUNT: Option<&str> = Some("discount_fen");

    fn amount(&self) -> Fen {
        self.discount_fen
    }
}

/// Subsidies the merchant itself ordered (`subsidy_orders`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubsidyOrder {
    /// Merchant's subsidy payment number.
    pub out_subsidy_no: String,
    /// WeChat's subsidy return receipt id, empty when none.
    pub subsidy_return_receipt_id: String,
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
    /// Export file the row came from.
    pub source_file: String,
    /// Line in that file, 1-based.
    pub source_line: i64,
    /// Business date in Asia/Shanghai.
    pub business_date: NaiveDate,
}

impl Record for SubsidyOrder {
    const DATASET: &str = "subsidy_orders";
    const AMOUNT: Option<&str> = Some("amount_fen");

    fn amount(&self) -> Fen {
        self.amount_fen
    }
}
