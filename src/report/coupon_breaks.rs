//! An index of the night's open breaks by the coupon they concern: by its key, by its order, by its
//! payment. Sums the money at risk once, on the coupon it belongs to.

use std::collections::HashMap;

use super::coupon::Coupon;
use super::table::Cell;
use crate::money::Fen;
use crate::record::Break;

/// The open breaks by the object they name.
#[derive(Debug, Default)]
pub(super) struct BreakIndex<'a> {
    coupons: HashMap<(&'a str, &'a str), Vec<&'a Break>>,
    /// Breaks that name an order and no coupon.
    orders: HashMap<&'a str, Vec<&'a Break>>,
    /// Breaks that name a payment and neither coupon nor order.
    payments: HashMap<&'a str, Vec<&'a Break>>,
}

/// The open breaks of one coupon, by rule and id.
#[derive(Debug, Default)]
pub(super) struct CouponBreaks<'a> {
    breaks: Vec<&'a Break>,
}

impl<'a> BreakIndex<'a> {
    pub(super) fn of(breaks: &'a [Break]) -> BreakIndex<'a> {
        let mut index = BreakIndex::default();
        for it in breaks.iter().filter(|it| it.is_open()) {
            match (&it.stock_id, &it.coupon_code, &it.out_trade_no, &it.transaction_id) {
                (Some(stock), Some(code), ..) => {
                    index.coupons.entry((stock.as_str(), code.as_str())).or_default().push(it)
                }
                (_, _, Some(order), _) => index.orders.entry(order).or_default().push(it),
                (_, _, _, Some(payment)) => index.payments.entry(payment).or_default().push(it),
                _ => {}
            }
        }
        index
    }

    /// The breaks that concern a coupon, its order or its payment.
    pub(super) fn of_coupon(&self, row: &Coupon<'_>) -> CouponBreaks<'a> {
        let own = self.coupons.get(&(row.stock_id, row.coupon_code));
        let order = row.out_trade_no.and_then(|order| self.orders.get(order));
        let payment = row.transaction_id.and_then(|payment| self.payments.get(payment));
        let found = [own, order, payment].into_iter().flatten().flatten().copied();
        CouponBreaks::sorted(found.collect())
    }
}

impl<'a> CouponBreaks<'a> {
    fn sorted(mut breaks: Vec<&'a Break>) -> CouponBreaks<'a> {
        breaks.sort_by_key(|it| (&it.rule_id, &it.break_id));
        CouponBreaks { breaks }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.breaks.is_empty()
    }

    /// Sorted by rule and id.
    pub(super) fn breaks(&self) -> &[&'a Break] {
        &self.breaks
    }

    /// Those for which `holds` is true.
    pub(super) fn only(&self, holds: impl Fn(&Break) -> bool) -> CouponBreaks<'a> {
        CouponBreaks { breaks: self.breaks.iter().copied().filter(|it| holds(it)).collect() }
    }

    pub(super) fn any(&self, holds: impl Fn(&Break) -> bool) -> bool {
        self.breaks.iter().any(|it| holds(it))
    }

    /// Money at risk of breaks of the coupon itself; that of an order's break belongs to one of its coupons
    /// (`SharedAmounts`).
    pub(super) fn at_risk_of_coupon(&self) -> Fen {
        self.breaks.iter().filter(|it| it.coupon_code.is_some()).map(|it| it.at_risk_fen).sum()
    }

    /// Distinct rule ids, joined by spaces.
    pub(super) fn rules(&self) -> String {
        let mut rules: Vec<_> = self.breaks.iter().map(|it| it.rule_id.as_str()).collect();
        rules.dedup();
        rules.join(" ")
    }

    /// Break ids, joined by spaces.
    pub(super) fn ids(&self) -> Cell<'static> {
        let ids: Vec<_> = self.breaks.iter().map(|it| it.break_id.as_str()).collect();
        Cell::Id((!ids.is_empty()).then(|| ids.join(" ").into()))
    }
}
