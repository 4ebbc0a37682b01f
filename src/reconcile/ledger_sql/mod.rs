//! The coupon ledger as portable SQL, for other engines: the same ledger as the local match in `ledger`,
//! which tests compare. Text only; runs nothing.
//!
//! Each view is one SELECT without CREATE, over inputs and earlier views. The inputs are:
//! - every dataset as the file of D under its own name (empty without one), and `<dataset>_history` with `dt` for the
//!   look-back; all in the types of their contract, instants in a session in UTC;
//! - `coupon_ledger_yesterday`, the latest ledger before D, and `latest_stocks`, the file of D, else the latest before
//!   it;
//! - the small tables `params` and `subsidy_programs`, and what the night requested: `asked_wallets` (openid),
//!   `unknown_coupons` (openid, coupon_code).
//!
//! Results are unordered, and sums may be wider than 64 bits: the caller casts them to the contract and
//! sorts by its key. Two things differ from the local match: `use_request_pattern` is not supported, since
//! regular expressions differ between engines (`use_request_no` is the order number here), and of more than
//! `MOST_RECEIPTS` receipts of a coupon, `subsidy_status` lists only that many.

/// Receipts per coupon (`receipt_count` of `receipt_sums`) whose statuses are listed.
pub(super) const MOST_RECEIPTS: i64 = 256;

/// A view that leads to the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct View {
    /// Its name in later views.
    pub(super) name: &'static str,
    /// One SELECT.
    pub(super) sql: &'static str,
    /// Whether several views, or the rules, read it, so that an engine should compute it once.
    pub(super) is_shared: bool,
}

macro_rules! view {
    ($name:literal, $path:literal, $is_shared:literal) => {
        View { name: $name, sql: include_str!($path), is_shared: $is_shared }
    };
}

/// Views of the rules that the ledger reads, the ledger's own, `coupon_ledger` itself and finally `footing`,
/// the control totals. The other views of the rules come later.
const VIEWS: &[View] = &[
    view!("order_lines", "../../../jobs/rules/views/01_order_lines.sql", true),
    view!("bill_payments", "../../../jobs/rules/views/02_bill_payments.sql", true),
    view!("bill_refunds", "../../../jobs/rules/views/03_bill_refunds.sql", true),
    view!("order_totals", "../../../jobs/rules/views/04_order_totals.sql", true),
    view!("receipts", "../../../jobs/rules/views/05_receipts.sql", false),
    view!("returns", "../../../jobs/rules/views/06_returns.sql", false),
    view!("second_wallets", "01_second_wallets.sql", true),
    view!("known_wallets", "02_known_wallets.sql", false),
    view!("dispatches", "03_dispatches.sql", true),
    view!("claims", "04_claims.sql", false),
    view!("receipt_sums", "05_receipt_sums.sql", true),
    view!("receipt_statuses", "06_receipt_statuses.sql", false),
    view!("return_sums", "07_return_sums.sql", true),
    view!("known_coupons", "08_known_coupons.sql", false),
    view!("coupon_sides", "09_coupon_sides.sql", true),
    view!("order_hits", "10_order_hits.sql", true),
    view!("named_claims", "11_named_claims.sql", true),
    view!("plain_lines", "12_plain_lines.sql", false),
    view!("refund_news", "13_refund_news.sql", true),
    view!("order_sides", "14_order_sides.sql", false),
    view!("held_orders", "15_held_orders.sql", false),
    view!("use_delays", "16_use_delays.sql", false),
    view!("coupon_ledger", "17_coupon_ledger.sql", true),
    view!("footing", "18_footing.sql", false),
];

/// Every view, each after those it reads.
pub(super) fn views() -> &'static [View] {
    VIEWS
}

#[cfg(test)]
mod tests;
