//! The flow of the ledger's coupons: counts and amounts by state, order and subsidy. Judges
//! nothing.

use std::collections::BTreeMap;

use serde::Serialize;

use super::coupon::Coupon;
use super::coupon_breaks::CouponBreaks;
use crate::money::Fen;
use crate::record::coupon_state;

/// State of a coupon at the end of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CouponEnd {
    /// Redeemed.
    Used,
    /// Received, not used.
    Unused,
    /// Expired.
    Expired,
    /// Deactivated.
    Deactivated,
    /// In no wallet: named by an order, a code or a receipt.
    Unknown,
}

/// Whether an order confirms the state of the coupon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderEnd {
    /// It has an order, and neither has an open break.
    Agrees,
    /// It has one or more orders, and an open break.
    Differs,
    /// Used without an order.
    Missing,
    /// Not used and no order, as it should be.
    None,
}

/// The state of its subsidy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SubsidyEnd {
    /// Paid and not returned in full.
    Paid,
    /// Paid and returned in full.
    Returned,
    /// Requested, not paid yet.
    InFlight,
    /// Requested and failed.
    Failed,
    /// Owed by a programme, but not requested.
    Owed,
    /// Neither owed nor paid.
    None,
}

/// The coupons with the same state, order and subsidy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FlowLine {
    /// State.
    pub coupon: CouponEnd,
    /// Order.
    pub order: OrderEnd,
    /// Subsidy.
    pub subsidy: SubsidyEnd,
    /// Coupons.
    #[serde(flatten)]
    pub tally: FlowTally,
}

/// Coupons and amounts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct FlowTally {
    /// Coupons.
    pub coupons: i64,
    /// Σ discount of their orders; a line shared by several coupons counts once.
    pub discount_fen: Fen,
    /// Σ subsidy owed by programmes.
    pub subsidy_expected_fen: Fen,
    /// Σ subsidy paid.
    pub subsidy_paid_fen: Fen,
    /// Σ subsidy returned.
    pub subsidy_returned_fen: Fen,
}

/// Counts coupons by state, order and subsidy.
#[derive(Debug, Default)]
pub(super) struct Flow(BTreeMap<(CouponEnd, OrderEnd, SubsidyEnd), FlowTally>);

impl Flow {
    /// Adds a coupon; `has_line` says whether the amounts of its order line count for it.
    pub(super) fn add(&mut self, row: &Coupon<'_>, broken: &CouponBreaks<'_>, has_line: bool) {
        let coupon = coupon_end(row.state_on_date);
        let tally = self.0.entry((coupon, order_end(row, broken), subsidy_end(row))).or_default();
        let or_zero = Option::unwrap_or_default;
        tally.coupons += 1;
        tally.discount_fen += or_zero(row.discount_fen.filter(|_| has_line));
        tally.subsidy_expected_fen += or_zero(row.subsidy_expected_fen);
        tally.subsidy_paid_fen += or_zero(row.subsidy_paid_fen);
        tally.subsidy_returned_fen += or_zero(row.subsidy_returned_fen);
    }

    pub(super) fn lines(&self) -> Vec<FlowLine> {
        let line = |((coupon, order, subsidy), tally): (&(CouponEnd, OrderEnd, SubsidyEnd), &FlowTally)| FlowLine {
            coupon: *coupon,
            order: *order,
            subsidy: *subsidy,
            tally: *tally,
        };
        self.0.iter().map(line).collect()
    }
}

impl FlowTally {
    pub(super) fn plus(self, other: FlowTally) -> FlowTally {
        FlowTally {
            coupons: self.coupons + other.coupons,
            discount_fen: self.discount_fen + other.discount_fen,
            subsidy_expected_fen: self.subsidy_expected_fen + other.subsidy_expected_fen,
            subsidy_paid_fen: self.subsidy_paid_fen + other.subsidy_paid_fen,
            subsidy_returned_fen: self.subsidy_returned_fen + other.subsidy_returned_fen,
        }
    }
}

fn coupon_end(state: Option<&str>) -> CouponEnd {
    match state {
        Some(coupon_state::USED) => CouponEnd::Used,
        Some(coupon_state::EXPIRED) => CouponEnd::Expired,
        Some(coupon_state::DEACTIVATED) => CouponEnd::Deactivated,
        Some(_) => CouponEnd::Unused,
        None => CouponEnd::Unknown,
    }
}

fn order_end(row: &Coupon<'_>, broken: &CouponBreaks<'_>) -> OrderEnd {
    let has_order = row.match_pass.is_some() || row.claim_count > 0;
    let is_used = row.state_on_date == Some(coupon_state::USED);
    match (has_order, is_used) {
        (true, _) if broken.is_empty() => OrderEnd::Agrees,
        (true, _) => OrderEnd::Differs,
        (false, true) => OrderEnd::Missing,
        (false, false) => OrderEnd::None,
    }
}

fn subsidy_end(row: &Coupon<'_>) -> SubsidyEnd {
    let (paid, returned) = (row.subsidy_paid_fen.unwrap_or_default(), row.subsidy_returned_fen.unwrap_or_default());
    match row.subsidy_status {
        Some(_) if paid > Fen::ZERO && returned >= paid => SubsidyEnd::Returned,
        Some(_) if paid > Fen::ZERO => SubsidyEnd::Paid,
        Some(_) if row.subsidy_receipt_count > 0 => SubsidyEnd::InFlight,
        Some(_) => SubsidyEnd::Failed,
        None if row.subsidy_expected_fen.is_some_and(|owed| owed > Fen::ZERO) => SubsidyEnd::Owed,
        None => SubsidyEnd::None,
    }
}
