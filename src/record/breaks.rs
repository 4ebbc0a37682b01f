//! Breaks (discrepancies) and their history. Column meanings: `schemas/`.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::Record;
use super::break_status::BreakStatus;
use super::packed::packed_row;
use super::severity::Severity;
use crate::money::Fen;

/// A discrepancy and its history over the nights (`breaks`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Break {
    /// Stable id of the break.
    pub break_id: String,
    /// Rule.
    pub rule_id: String,
    /// How bad it is, according to the rule.
    pub severity: Severity,
    /// The side that has to act, according to the rule.
    pub side: String,
    /// Its status on the business date.
    pub status: BreakStatus,
    /// First business date on which it was found.
    pub first_seen_date: NaiveDate,
    /// Latest business date on which it was found.
    pub last_seen_date: NaiveDate,
    /// Business date on which it was resolved.
    pub resolved_date: Option<NaiveDate>,
    /// Days since `first_seen_date`.
    pub age_days: i64,
    /// Coupon stock (批次) id.
    pub stock_id: Option<String>,
    /// Coupon code.
    pub coupon_code: Option<String>,
    /// The user's openid: HMAC-SHA256 in hex, or raw with `job.pii = "raw"`.
    pub openid: Option<String>,
    /// Merchant order number.
    pub out_trade_no: Option<String>,
    /// WeChat Pay order id.
    pub transaction_id: Option<String>,
    /// The merchant's number of a subsidy payment.
    pub out_subsidy_no: Option<String>,
    /// WeChat's id of a subsidy receipt.
    pub subsidy_receipt_id: Option<String>,
    /// MP card id.
    pub card_id: Option<String>,
    /// Date of the statistics.
    pub ref_date: Option<NaiveDate>,
    /// Whatever else identifies the break within its rule.
    pub subject: Option<String>,
    /// Expected amount, fen.
    pub expected_fen: Option<Fen>,
    /// Actual amount, fen.
    pub actual_fen: Option<Fen>,
    /// `actual_fen` − `expected_fen`.
    pub difference_fen: Option<Fen>,
    /// Expected count.
    pub expected_count: Option<i64>,
    /// Actual count.
    pub actual_count: Option<i64>,
    /// Amount at risk, fen.
    pub at_risk_fen: Fen,
    /// The compared values in one sentence.
    pub why: String,
    /// What to do.
    pub action: String,
    /// Business date of the event that the break is about.
    pub event_date: Option<NaiveDate>,
    /// Business date of the oldest input that the break depends on, if that is before the event.
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
            severity: Severity::High,
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
