//! The order lines of the look-back, as far as questions depend on them: five columns of the published days
//! and of tonight's, with published openids.

use std::path::Path;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{Issue, Night};
use crate::dataset::partition::read_columns;
use crate::record::{OrderLine, Record};

const COLUMNS: [&str; 5] = ["out_trade_no", "stock_id", "coupon_code", "openid", "paid_at"];

/// What an order line says of a coupon and its user.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct LookbackLine {
    /// Merchant order number.
    pub out_trade_no: String,
    /// Coupon stock (批次) id; empty when no coupon is claimed.
    pub stock_id: String,
    /// Coupon code; empty when no coupon is claimed.
    pub coupon_code: String,
    /// User, as published.
    pub openid: Option<String>,
    /// When the order was paid.
    pub paid_at: Option<DateTime<Utc>>,
}

impl Night<'_> {
    /// The order lines of earlier days of the look-back, oldest day first.
    ///
    /// # Errors
    /// A published day cannot be read.
    pub fn lookback_orders(&self) -> Result<Vec<LookbackLine>, Issue> {
        let from = self.job.rules.lookback_start(self.date);
        let partitions = self.lake.partitions(OrderLine::DATASET, from, self.date);
        let mut lines = Vec::new();
        for partition in partitions.map_err(|error| Issue::io(self.lake.root(), &error))? {
            lines.extend(lookback_lines(&partition.path)?);
        }
        Ok(lines)
    }
}

/// The lines of one partition of `orders`, published or staged.
///
/// # Errors
/// It cannot be read.
pub fn lookback_lines(orders: &Path) -> Result<Vec<LookbackLine>, Issue> {
    read_columns(orders, OrderLine::DATASET, &COLUMNS).map_err(|error| Issue::violation(error.to_string()))
}
