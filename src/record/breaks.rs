//! Breaks: what does not agree, and since when. Column meanings: `schemas/`.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::Record;
use crate::money::Fen;
use crate::sorter::{CellPacker, KeyPacker, Packed, Unpacker};

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
    /// Business date of the oldest input the break hangs on, where that is older than the event.
    pub oldest_input_date: Option<NaiveDate>,
    /// Business date in Asia/Shanghai.
    pub business_date: NaiveDate,
}

impl Record for Break {
    const DATASET: &str = "breaks";
}

impl Packed for Break {
    fn pack_key(&self, key: &mut KeyPacker<'_>) {
        key.text(&self.break_id);
    }

    fn pack_cells(&self, cells: &mut CellPacker<'_>) {
        cells.text(&self.rule_id);
        cells.text(&self.severity);
        cells.text(&self.side);
        cells.text(&self.status);
        cells.date(self.first_seen_date);
        cells.date(self.last_seen_date);
        cells.maybe_date(self.resolved_date);
        cells.integer(self.age_days);
        cells.maybe_text(self.stock_id.as_ref());
        cells.maybe_text(self.coupon_code.as_ref());
        cells.maybe_text(self.openid.as_ref());
        cells.maybe_text(self.out_trade_no.as_ref());
        cells.maybe_text(self.transaction_id.as_ref());
        cells.maybe_text(self.out_subsidy_no.as_ref());
        cells.maybe_text(self.subsidy_receipt_id.as_ref());
        cells.maybe_text(self.card_id.as_ref());
        cells.maybe_date(self.ref_date);
        cells.maybe_text(self.subject.as_ref());
        cells.maybe_integer(self.expected_fen.map(|fen| fen.0));
        cells.maybe_integer(self.actual_fen.map(|fen| fen.0));
        cells.maybe_integer(self.difference_fen.map(|fen| fen.0));
        cells.maybe_integer(self.expected_count);
        cells.maybe_integer(self.actual_count);
        cells.integer(self.at_risk_fen.0);
        cells.text(&self.why);
        cells.text(&self.action);
        cells.maybe_date(self.event_date);
        cells.maybe_date(self.oldest_input_date);
        cells.date(self.business_date);
    }
}

impl Break {
    /// The row that lies packed.
    pub fn unpack(cells: &mut Unpacker<'_>) -> Break {
        Break {
            break_id: cells.key_text().into_owned(),
            rule_id: cells.text().to_owned(),
            severity: cells.text().to_owned(),
            side: cells.text().to_owned(),
            status: cells.text().to_owned(),
            first_seen_date: cells.date(),
            last_seen_date: cells.date(),
            resolved_date: cells.maybe_date(),
            age_days: cells.integer(),
            stock_id: cells.maybe_text().map(str::to_owned),
            coupon_code: cells.maybe_text().map(str::to_owned),
            openid: cells.maybe_text().map(str::to_owned),
            out_trade_no: cells.maybe_text().map(str::to_owned),
            transaction_id: cells.maybe_text().map(str::to_owned),
            out_subsidy_no: cells.maybe_text().map(str::to_owned),
            subsidy_receipt_id: cells.maybe_text().map(str::to_owned),
            card_id: cells.maybe_text().map(str::to_owned),
            ref_date: cells.maybe_date(),
            subject: cells.maybe_text().map(str::to_owned),
            expected_fen: cells.maybe_integer().map(Fen),
            actual_fen: cells.maybe_integer().map(Fen),
            difference_fen: cells.maybe_integer().map(Fen),
            expected_count: cells.maybe_integer(),
            actual_count: cells.maybe_integer(),
            at_risk_fen: Fen(cells.integer()),
            why: cells.text().to_owned(),
            action: cells.text().to_owned(),
            event_date: cells.maybe_date(),
            oldest_input_date: cells.maybe_date(),
            business_date: cells.date(),
        }
    }
}
