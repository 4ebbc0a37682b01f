//! Breaks (discrepancies) and their history. Column meanings: `schemas/`.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::Record;
use super::break_status::BreakStatus;
use super::packed::packed_row;
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
    /// Where it stands.
    pub status: BreakStatus,
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
    /// Business date of the oldest input the break hangs on, where that is older than the event.
    pub oldest_input_date: Option<NaiveDate>,
    /// Business date in Asia/Shanghai.
    pub business_date: NaiveDate,
}

impl Record for Break {
    const DATASET: &str = "breaks";
}

impl Break {
    /// Whether it counts as open (design §7).
    pub fn is_open(&self) -> bool {
        self.status.is_open()
    }
}

#[cfg(test)]
impl Break {
    /// An open break of `date` without coupon, order and amount.
    pub(crate) fn for_tests(rule_id: &str, date: NaiveDate) -> Break {
        Break {
            break_id: rule_id.to_owned(),
            rule_id: rule_id.to_owned(),
            severity: "high".to_owned(),
            side: "merchant".to_owned(),
            status: BreakStatus::Open,
            first_seen_date: date,
            last_seen_date: date,
            resolved_date: None,
            age_days: 0,
            stock_id: None,
            coupon_code: None,
            openid: None,
            out_trade_no: None,
            transaction_id: None,
            out_subsidy_no: None,
            subsidy_receipt_id: None,
            card_id: None,
            ref_date: None,
            subject: None,
            expected_fen: None,
            actual_fen: None,
            difference_fen: None,
            expected_count: None,
            actual_count: None,
            at_risk_fen: Fen::ZERO,
            why: String::new(),
            action: String::new(),
            event_date: None,
            oldest_input_date: None,
            business_date: date,
        }
    }
}

packed_row! {
    Break: key { break_id } cells {
        rule_id, severity, side, status, first_seen_date, last_seen_date, resolved_date, age_days, stock_id,
        coupon_code, openid, out_trade_no, transaction_id, out_subsidy_no, subsidy_receipt_id, card_id, ref_date,
        subject, expected_fen, actual_fen, difference_fen, expected_count, actual_count, at_risk_fen, why, action,
        event_date, oldest_input_date, business_date,
    }
}
