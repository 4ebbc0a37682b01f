//! Breaks of the first night with a decision: accepted for good, accepted for two nights, written off. A
//! decision about an unknown break is an error, so later nights have none.

use chrono::NaiveDate;

use crate::money::Fen;
use crate::simulator::generate::calendar::next;
use crate::simulator::generate::shop::Shop;
use crate::simulator::generate::truth::{Decision, Key, Planted};

/// Plants them.
pub(in super::super) fn plant_decided(shop: &mut Shop) {
    let first = shop.calendar.first();
    let rounding = Decision { word: "accepted", until: None, reason: "门店抹零，财务已确认" };
    let waiting = Decision { word: "accepted", until: Some(next(first)), reason: "等待门店两日内更正" };
    let lost = Decision { word: "written_off", until: None, reason: "金额过小，核销损失" };
    for (decision, off_fen) in [(rounding, -4), (waiting, 900), (lost, -1)] {
        charged_differently(shop, first, decision, Fen(off_fen));
    }
}

/// The till and WeChat do not agree on the amount, and somebody said what to make of it.
fn charged_differently(shop: &mut Shop, date: NaiveDate, decision: Decision, off: Fen) {
    let mut purchase = shop.walk_in(date);
    purchase.charged_fen += off;
    shop.books.sell(&purchase);
    shop.plant(Planted::new("PM01", Key::order(&purchase), date).decided(decision));
}
