//! An index of the night's open breaks by the coupon they concern: by its key, by its order, by its
//! payment. Sums the money at risk once, on the coupon it belongs to.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::coupon::Coupon;
use super::table::Cell;
use crate::money::Fen;
use crate::record::Break;

/// What the lists of coupons need of an open break: there may be as many as coupons, so it is kept small.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OpenBreak {
    pub(super) rule_id: Arc<str>,
    pub(super) break_id: Box<str>,
    pub(super) out_subsidy_no: Option<Box<str>>,
    /// Whether it names a coupon, rather than an order or a payment.
    pub(super) is_of_coupon: bool,
    pub(super) at_risk_fen: Fen,
    /// The place of another break of the same object.
    next: Option<u32>,
}

/// The open breaks by the object they name.
#[derive(Debug, Default)]
pub(super) struct BreakIndex {
    breaks: Vec<OpenBreak>,
    /// The ids of their rules, which many share.
    rules: BTreeSet<Arc<str>>,
    /// The place of one break of each coupon, by code, by stock.
    coupons: HashMap<Box<str>, HashMap<Box<str>, u32>>,
    /// The same of breaks that name an order and no coupon.
    orders: HashMap<Box<str>, u32>,
    /// The same of breaks that name a payment and neither coupon nor order.
    payments: HashMap<Box<str>, u32>,
}

/// The open breaks of one coupon, by rule and id.
#[derive(Debug, Default)]
pub(super) struct CouponBreaks<'a> {
    breaks: Vec<&'a OpenBreak>,
}

impl BreakIndex {
    /// Adds an open break.
    pub(super) fn add(&mut self, it: &Break) {
        let place = u32::try_from(self.breaks.len()).expect("fewer breaks than fit into memory");
        let first = match (&it.stock_id, &it.coupon_code, &it.out_trade_no, &it.transaction_id) {
            (Some(stock), Some(code), ..) => self.coupons.entry(owned(stock)).or_default().entry(owned(code)),
            (_, _, Some(order), _) => self.orders.entry(owned(order)),
            (_, _, _, Some(payment)) => self.payments.entry(owned(payment)),
            // It concerns no coupon.
            _ => return,
        };
        let next = match first {
            Entry::Vacant(empty) => {
                empty.insert(place);
                None
            }
            Entry::Occupied(mut first) => Some(first.insert(place)),
        };
        let rule_id = self.shared(&it.rule_id);
        self.breaks.push(OpenBreak {
            rule_id,
            break_id: owned(&it.break_id),
            out_subsidy_no: it.out_subsidy_no.as_deref().map(owned),
            is_of_coupon: it.coupon_code.is_some(),
            at_risk_fen: it.at_risk_fen,
            next,
        });
    }

    fn shared(&mut self, rule_id: &str) -> Arc<str> {
        let known = self.rules.get(rule_id).cloned();
        known.unwrap_or_else(|| {
            let rule_id: Arc<str> = rule_id.into();
            self.rules.insert(rule_id.clone());
            rule_id
        })
    }

    /// The breaks that concern a coupon, its order or its payment.
    pub(super) fn of_coupon(&self, row: &Coupon<'_>) -> CouponBreaks<'_> {
        let own = self.coupons.get(row.stock_id).and_then(|codes| codes.get(row.coupon_code));
        let order = row.out_trade_no.and_then(|order| self.orders.get(order));
        let payment = row.transaction_id.and_then(|payment| self.payments.get(payment));
        let found = [own, order, payment].into_iter().flatten().flat_map(|first| self.beginning_at(*first));
        CouponBreaks::sorted(found.collect())
    }

    /// The break at a place and those of the same object.
    fn beginning_at(&self, first: u32) -> impl Iterator<Item = &OpenBreak> {
        let at = |place: u32| &self.breaks[place as usize];
        std::iter::successors(Some(at(first)), move |it| it.next.map(at))
    }
}

fn owned(id: &str) -> Box<str> {
    id.into()
}

impl<'a> CouponBreaks<'a> {
    fn sorted(mut breaks: Vec<&'a OpenBreak>) -> CouponBreaks<'a> {
        breaks.sort_by_key(|it| (&it.rule_id, &it.break_id));
        CouponBreaks { breaks }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.breaks.is_empty()
    }

    /// Sorted by rule and id.
    pub(super) fn breaks(&self) -> &[&'a OpenBreak] {
        &self.breaks
    }

    /// Those for which `holds` is true.
    pub(super) fn only(&self, holds: impl Fn(&OpenBreak) -> bool) -> CouponBreaks<'a> {
        CouponBreaks { breaks: self.breaks.iter().copied().filter(|it| holds(it)).collect() }
    }

    pub(super) fn any(&self, holds: impl Fn(&OpenBreak) -> bool) -> bool {
        self.breaks.iter().any(|it| holds(it))
    }

    /// Money at risk of breaks of the coupon itself; that of an order's break belongs to one of its coupons
    /// (`SharedAmounts`).
    pub(super) fn at_risk_of_coupon(&self) -> Fen {
        self.breaks.iter().filter(|it| it.is_of_coupon).map(|it| it.at_risk_fen).sum()
    }

    /// Distinct rule ids, joined by spaces.
    pub(super) fn rules(&self) -> String {
        let mut rules: Vec<_> = self.breaks.iter().map(|it| &*it.rule_id).collect();
        rules.dedup();
        rules.join(" ")
    }

    /// Break ids, joined by spaces.
    pub(super) fn ids(&self) -> Cell<'static> {
        let ids: Vec<_> = self.breaks.iter().map(|it| &*it.break_id).collect();
        Cell::Id((!ids.is_empty()).then(|| ids.join(" ").into()))
    }
}
