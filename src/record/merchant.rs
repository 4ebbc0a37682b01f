//! Rows of the merchant's own exports: order lines and subsidy orders. Column meanings: `schemas/`. A row
//! owns its strings, or borrows them from the line it was parsed from or from its packed form.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::Record;
use super::packed::packed_row;
use crate::money::Fen;

/// Order lines of the merchant export files of the day (`orders`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderLine<S = String> {
    /// Merchant order number.
    pub out_trade_no: S,
    /// Coupon stock (批次) id.
    pub stock_id: S,
    /// Coupon code.
    pub coupon_code: S,
    /// WeChat Pay order id.
    pub transaction_id: Option<S>,
    /// Merchant number of the order.
    pub merchant: Option<S>,
    /// User, as HMAC-SHA256 hex unless pii is raw.
    pub openid: Option<S>,
    /// Payment channel as the export names it.
    pub channel: Option<S>,
    /// Product text of the export.
    pub product: Option<S>,
    /// Remark of the export.
    pub remark: Option<S>,
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
    pub source_file: S,
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
pub struct SubsidyOrder<S = String> {
    /// Merchant's subsidy payment number.
    pub out_subsidy_no: S,
    /// WeChat's subsidy return receipt id, empty when none.
    pub subsidy_return_receipt_id: S,
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
    /// Export file the row came from.
    pub source_file: S,
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

packed_row! {
    OrderLine<S>: key { out_trade_no, stock_id, coupon_code } cells {
        transaction_id, merchant, openid, channel, product, remark, paid_at, goods_fen, discount_fen, paid_fen,
        refund_fen, source_file, source_line, business_date,
    }
}

packed_row! {
    SubsidyOrder<S>: key { out_subsidy_no, subsidy_return_receipt_id } cells {
        subsidy_receipt_id, stock_id, coupon_code, transaction_id, payer_merchant, payee_merchant, amount_fen,
        source_file, source_line, business_date,
    }
}
