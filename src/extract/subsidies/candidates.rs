//! Whose receipts are asked for tonight (design §12): coupons of programmes that were used or
//! returned, and every coupon of the merchant's ledger, as long as something about them lies in the
//! look-back or their receipts are not settled.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};

use super::{Subsidies, SubsidyInput};
use crate::clock;
use crate::extract::Night;
use crate::record::{SubsidyOrder, SubsidyPayment, UserCoupon};

/// Tonight's questions.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// (stock, code) to list receipts of.
    pub(super) coupons: BTreeSet<(String, String)>,
    /// Receipt ids the ledger names.
    receipts: BTreeSet<String>,
    /// Return receipt ids the ledger names.
    pub(super) returns: BTreeSet<String>,
}

impl Plan {
    /// Receipt ids that the lists did not bring.
    pub(super) fn receipts_missing_from(&self, payments: &BTreeMap<String, SubsidyPayment>) -> BTreeSet<String> {
        let listed: BTreeSet<_> = payments.values().filter_map(|it| it.subsidy_receipt_id.as_deref()).collect();
        self.receipts.iter().filter(|id| !listed.contains(id.as_str())).cloned().collect()
    }
}

/// Chooses tonight's questions.
pub(super) fn choose(
    night: &Night<'_>,
    input: &SubsidyInput<'_>,
    ledger: &[SubsidyOrder],
    carried: &Subsidies,
) -> Plan {
    let window = Window { from: night.job.rules.lookback_start(night.date), to: night.date };
    let recent = recent_coupons(&window, input, ledger);
    let settled = settled_coupons(&carried.payments);
    let worth_asking = |coupon: &(String, String)| recent.contains(coupon) || !settled.contains(coupon);
    let programmes: BTreeSet<&str> = night.job.subsidy_programs.iter().map(|it| it.stock_id.as_str()).collect();
    let of_programmes = input.coupons.iter().filter(|coupon| programmes.contains(coupon.stock_id.as_str()));
    let spent = of_programmes.filter(|coupon| is_used_or_returned(coupon)).map(coupon_key);
    let ordered = ledger.iter().map(|line| (line.stock_id.clone(), line.coupon_code.clone()));
    let coupons: BTreeSet<_> = spent.chain(ordered).filter(worth_asking).collect();
    let lines = || ledger.iter().filter(|line| coupons.contains(&(line.stock_id.clone(), line.coupon_code.clone())));
    Plan {
        receipts: lines().filter_map(|line| line.subsidy_receipt_id.clone()).collect(),
        returns: returns_to_ask(&window, lines(), carried),
        coupons,
    }
}

struct Window {
    from: NaiveDate,
    to: NaiveDate,
}

impl Window {
    fn holds(&self, instant: Option<DateTime<Utc>>) -> bool {
        instant.is_some_and(|instant| (self.from..=self.to).contains(&clock::business_date_of(instant)))
    }
}

fn coupon_key(coupon: &UserCoupon) -> (String, String) {
    (coupon.stock_id.clone(), coupon.coupon_code.clone())
}

fn is_used_or_returned(coupon: &UserCoupon) -> bool {
    coupon.coupon_state.as_deref() == Some("USED") || coupon.use_time.is_some() || coupon.return_time.is_some()
}

/// Coupons whose use, return, order or ledger line lies in the look-back.
fn recent_coupons(window: &Window, input: &SubsidyInput<'_>, ledger: &[SubsidyOrder]) -> BTreeSet<(String, String)> {
    let used = input.coupons.iter().filter(|it| window.holds(it.use_time) || window.holds(it.return_time));
    let ordered = input.orders.iter().filter(|line| !line.coupon_code.is_empty());
    let listed = ledger.iter().filter(|line| (window.from..=window.to).contains(&line.business_date));
    let used = used.map(coupon_key);
    let ordered = ordered.map(|line| (line.stock_id.clone(), line.coupon_code.clone()));
    let listed = listed.map(|line| (line.stock_id.clone(), line.coupon_code.clone()));
    used.chain(ordered).chain(listed).collect()
}

/// Coupons that have receipts, none of which can still change.
fn settled_coupons(carried: &[SubsidyPayment]) -> BTreeSet<(String, String)> {
    let key = |it: &SubsidyPayment| (it.stock_id.clone(), it.coupon_code.clone());
    let mut settled: BTreeSet<_> = carried.iter().map(key).collect();
    for receipt in carried.iter().filter(|it| !is_settled(it.status.as_deref())) {
        settled.remove(&key(receipt));
    }
    settled
}

fn is_settled(status: Option<&str>) -> bool {
    matches!(status, Some("SUCCESS" | "PARTIAL_RETURN" | "FULL_RETURN"))
}

fn returns_to_ask<'a>(
    window: &Window,
    lines: impl Iterator<Item = &'a SubsidyOrder>,
    carried: &Subsidies,
) -> BTreeSet<String> {
    let settled = |id: &str| {
        let known = carried.returns.iter().find(|it| it.subsidy_return_receipt_id.as_deref() == Some(id));
        known.is_some_and(|it| it.status.as_deref() == Some("SUCCESS"))
    };
    let asked = lines.filter(|line| !line.subsidy_return_receipt_id.is_empty());
    let recent = |line: &SubsidyOrder| (window.from..=window.to).contains(&line.business_date);
    asked
        .filter(|line| recent(line) || !settled(&line.subsidy_return_receipt_id))
        .map(|line| line.subsidy_return_receipt_id.clone())
        .collect()
}
