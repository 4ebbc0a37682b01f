//! Which coupons are asked once more by the single query: those that orders claim but no wallet
//! shows, and those whose listed association a rule is about to hold against them, because lists
//! may lag (design §3, §12).

use std::collections::{BTreeMap, BTreeSet};

use crate::clock;
use crate::extract::roster::Roster;
use crate::extract::{LookbackLine, Night};
use crate::record::UserCoupon;

/// A coupon to ask about by itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Doubt {
    /// Published openid.
    pub(super) openid: String,
    /// Code.
    pub(super) coupon_code: String,
    /// Raw openid, to ask with.
    pub(super) raw_openid: String,
}

/// The orders of the look-back, as far as doubt needs them.
struct Orders<'a> {
    /// Numbers of paid orders.
    paid: BTreeSet<&'a str>,
    /// Paid orders that name a coupon, by (stock, code).
    claims: BTreeMap<(&'a str, &'a str), Vec<&'a LookbackLine>>,
}

/// The coupons in doubt, sorted, each once.
pub(super) fn find<'a>(
    night: &Night<'_>,
    coupons: impl Iterator<Item = &'a UserCoupon>,
    lines: &[LookbackLine],
    roster: &Roster,
) -> Vec<Doubt> {
    let orders = Orders::of(lines);
    let mut known = BTreeSet::new();
    let mut doubts = BTreeSet::new();
    let mut doubt = |openid: &str, coupon_code: &str| {
        if let Some(raw_openid) = roster.raw_by_published.get(openid) {
            let (openid, coupon_code) = (openid.to_owned(), coupon_code.to_owned());
            doubts.insert(Doubt { openid, coupon_code, raw_openid: raw_openid.clone() });
        }
    };
    for coupon in coupons {
        known.insert((coupon.stock_id.as_str(), coupon.coupon_code.as_str()));
        if association_in_doubt(night, coupon, &orders) {
            doubt(&coupon.openid, &coupon.coupon_code);
        }
    }
    for (key, lines) in orders.claims.iter().filter(|(key, _)| !known.contains(*key)) {
        let openid = lines.last().and_then(|line| line.openid.as_deref());
        openid.into_iter().for_each(|openid| doubt(openid, key.1));
    }
    doubts.into_iter().collect()
}

impl Orders<'_> {
    /// Per (order, stock, code) the line of the latest day counts.
    fn of(lines: &[LookbackLine]) -> Orders<'_> {
        let latest: BTreeMap<_, _> = lines
            .iter()
            .map(|line| ((line.out_trade_no.as_str(), line.stock_id.as_str(), line.coupon_code.as_str()), line))
            .collect();
        let mut orders = Orders { paid: BTreeSet::new(), claims: BTreeMap::new() };
        for line in latest.into_values().filter(|line| line.paid_at.is_some()) {
            orders.paid.insert(&line.out_trade_no);
            if !line.coupon_code.is_empty() {
                orders.claims.entry((&line.stock_id, &line.coupon_code)).or_default().push(line);
            }
        }
        orders
    }
}

/// Whether AO02, AO05 or AO07 would speak on the listed row.
fn association_in_doubt(night: &Night<'_>, coupon: &UserCoupon, orders: &Orders<'_>) -> bool {
    let used_in_lookback = coupon.use_time.is_some_and(|used| {
        let used = clock::business_date_of(used);
        (night.job.rules.lookback_start(night.date)..=night.date).contains(&used)
    });
    if coupon.coupon_state.as_deref() != Some("USED") || !used_in_lookback {
        return false;
    }
    let claims = orders.claims.get(&(coupon.stock_id.as_str(), coupon.coupon_code.as_str()));
    match (&coupon.associate_out_trade_no, claims) {
        (Some(order), None) => !orders.paid.contains(order.as_str()),
        (Some(order), Some(lines)) => lines.iter().all(|line| line.out_trade_no != *order),
        (None, Some(_)) => night.job.rules.must_associate.contains(&coupon.stock_id),
        (None, None) => false,
    }
}
