//! Breaks: what does not agree, and since when. Column meanings: `schemas/`.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::Record;
use crate::money::Fen;

/// Discrepancies and their life over the nights (`breaks`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Break {
    /// Stable id of the break.
    pub break_id: String,
    /// Rule.
    pub rule_id: String,
    /// high, medium or low.
    pub severity: String,
    /// Who should act.
    pub side: String,
    /// Status.
    pub status: String,
    /// First night it was seen.
    pub first_seen_date: NaiveDate,
    /// Last night it was seen.
    pub last_seen_date: NaiveDate,
    /// Night it resolved.
    pub resolved_date: Option<NaiveDate>,
    /// Days since first seen.
    pub age_days: i64,
    /// Coupon stock (批次) id.
    pub stock_id: Option<String>,
    /// Coupon code.
    pub coupon_code: Option<String>,
    /// User, as HMAC-SHA256 hex unless pii is raw.
    pub openid: Option<String>,
    /// Merchant order number.
    pub out_trade_no: Option<String>,
    /// WeChat Pay order id.
    pub transaction_id: Option<String>,
    /// Merchant's subsidy payment number.
    pub out_subsidy_no: Option<String>,
    /// WeChat's subsidy payment receipt id.
    pub subsidy_receipt_id: Option<String>,
    /// MP card id.
    pub card_id: Option<String>,
    /// Day of the figures.
    pub ref_date: Option<NaiveDate>,
    /// Further part of the key.
    pub subject: Option<String>,
    /// Amount expected, fen.
    pub expected_fen: Option<Fen>,
    /// Amount found, fen.
    pub actual_fen: Option<Fen>,
    /// Actual − expected, fen.
    pub difference_fen: Option<Fen>,
    /// Count expected.
    pub expected_count: Option<i64>,
    /// Count found.
    pub actual_count: Option<i64>,
    /// Money at risk, fen.
    pub at_risk_fen: Fen,
    /// The compared values in one sentence.
    pub why: String,
    /// What to do.
    pub action: String,
    /// Business date of the event the break speaks of.
    pub event_date: Option<NaiveDate>,
    /// Business date in Asia/Shanghai.
    pub business_date: NaiveDate,
}

impl Record for Break {
    const DATASET: &str = "breaks";
}
