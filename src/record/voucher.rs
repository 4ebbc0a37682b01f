//! v2 coupon stocks and coupons. Column meanings: `schemas/`.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::Record;
use crate::money::Fen;

/// v2 coupon stocks (query_coupon_stock) (`v2_stocks`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct V2Stock {
    /// v2 stock id.
    pub coupon_stock_id: String,
    /// Name of the v2 coupon.
    pub coupon_name: Option<String>,
    /// Face value, fen.
    pub coupon_value_fen: Option<Fen>,
    /// Minimum spend, fen (the wire's spelling).
    pub coupon_mininumn_fen: Option<Fen>,
    /// Type (old dialect).
    pub coupon_type: Option<String>,
    /// 1 inactive, 2 in approval, 4 active, 8 invalidated, 16 sending stopped.
    pub coupon_stock_status: Option<String>,
    /// Coupons in all.
    pub coupon_total: Option<i64>,
    /// Coupons per user, 0 = no limit.
    pub max_quota: Option<i64>,
    /// Locked (old dialect).
    pub locked_num: Option<i64>,
    /// Used (old dialect).
    pub used_num: Option<i64>,
    /// Coupons sent so far.
    pub is_send_num: Option<i64>,
    /// Begins.
    pub begin_time: Option<DateTime<Utc>>,
    /// Ends.
    pub end_time: Option<DateTime<Utc>>,
    /// Created at.
    pub create_time: Option<DateTime<Utc>>,
    /// Budget, fen.
    pub coupon_budget_fen: Option<Fen>,
    /// verified, absent or mismatch.
    pub signature: String,
    /// Unknown fields of the answer, JSON.
    pub extra: Option<String>,
    /// Business date in Asia/Shanghai.
    pub business_date: NaiveDate,
}

impl Record for V2Stock {
    const DATASET: &str = "v2_stocks";
}

/// v2 coupons of users (querycouponsinfo) (`v2_coupons`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct V2Coupon {
    /// v2 stock id.
    pub coupon_stock_id: String,
    /// v2 coupon id.
    pub coupon_id: String,
    /// User, as HMAC-SHA256 hex unless pii is raw.
    pub openid: String,
    /// Name of the v2 coupon.
    pub coupon_name: Option<String>,
    /// State the wallet showed.
    pub coupon_state: Option<String>,
    /// Description.
    pub coupon_desc: Option<String>,
    /// Face value, fen.
    pub coupon_value_fen: Option<Fen>,
    /// Minimum spend, fen.
    pub coupon_minimum_fen: Option<Fen>,
    /// Amount deducted, fen.
    pub coupon_use_value_fen: Option<Fen>,
    /// Amount left, fen.
    pub coupon_remain_value_fen: Option<Fen>,
    /// Begins.
    pub begin_time: Option<DateTime<Utc>>,
    /// Ends.
    pub end_time: Option<DateTime<Utc>>,
    /// When the coupon was sent.
    pub send_time: Option<DateTime<Utc>>,
    /// Redeemed at.
    pub use_time: Option<DateTime<Utc>>,
    /// Order it was used on (old dialect).
    pub trade_no: Option<String>,
    /// How it was sent.
    pub send_source: Option<String>,
    /// Merchant where it was used.
    pub consumer_mch_id: Option<String>,
    /// 1 = may be used in parts.
    pub is_partial_use: Option<String>,
    /// verified, absent or mismatch.
    pub signature: String,
    /// Unknown fields of the answer, JSON.
    pub extra: Option<String>,
    /// Business date in Asia/Shanghai.
    pub business_date: NaiveDate,
}

impl Record for V2Coupon {
    const DATASET: &str = "v2_coupons";
}
