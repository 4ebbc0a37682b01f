//! Faults of refunds and returned coupons: AO14, AO15, PM04.

use chrono::NaiveDate;

use crate::money::Fen;
use crate::simulator::generate::books::Purchase;
use crate::simulator::generate::calendar::{at, minutes, next};
use crate::simulator::generate::catalog::DISCOUNT;
use crate::simulator::generate::shop::Shop;
use crate::simulator::generate::truth::{Key, Planted};
use crate::simulator::world::{Coupon, Event};

use super::plant::Plant;

pub(super) static PLANTS: &[Plant] = &[
    Plant { name: "refunded_not_returned", rules: &["AO14"], plant: refunded_not_returned },
    Plant { name: "returned_a_day_late", rules: &["AO14"], plant: returned_a_day_late },
    Plant { name: "returned_not_refunded", rules: &["AO15"], plant: returned_not_refunded },
    Plant { name: "refunded_differently", rules: &["PM04"], plant: refunded_differently },
    Plant { name: "refund_accepted_next_day", rules: &["PM04"], plant: refund_accepted_next_day },
];

/// The customer has the money back and lost the coupon.
fn refunded_not_returned(shop: &mut Shop, date: NaiveDate) {
    let (coupon, purchase) = refund_in_full(shop, date);
    shop.plant(Planted::new("AO14", Key::coupon(&coupon), date));
    shop.books.sell(&purchase);
    shop.books.receive(coupon);
}

/// Returned on the next afternoon. Its redemption stays on the wire, else a server that shows the
/// present could not tell what the coupon was on this day.
fn returned_a_day_late(shop: &mut Shop, date: NaiveDate) {
    let (mut coupon, purchase) = refund_in_full(shop, date);
    coupon.coupon_return = Some(Event { number: shop.number("RT"), time: at(next(date), 15, 0) });
    shop.books.world.kept_redemptions.insert(coupon.coupon_code.clone());
    shop.plant(Planted::new("AO14", Key::coupon(&coupon), date).resolved(next(date)));
    shop.books.sell(&purchase);
    shop.books.receive(coupon);
}

/// The coupon is back in the wallet, the discount was given all the same.
fn returned_not_refunded(shop: &mut Shop, date: NaiveDate) {
    let (mut coupon, purchase) = use_coupon(shop, date);
    coupon.coupon_return = Some(Event { number: shop.number("RT"), time: purchase.paid_at + minutes(60) });
    shop.books.sell(&purchase);
    shop.plant(Planted::new("AO15", Key::coupon(&coupon), date));
    shop.books.receive(coupon);
}

/// The export says one amount, WeChat refunded another; the order stays live by both.
fn refunded_differently(shop: &mut Shop, date: NaiveDate) {
    let mut purchase = shop.walk_in(date);
    purchase.lines[0].refund_fen = Fen(500);
    shop.books.sell(&purchase);
    let amount = Fen(500 - shop.between(1, 300));
    let refund = shop.refund(amount, purchase.paid_at + minutes(60));
    shop.books.refund(&purchase, &refund);
    shop.plant(Planted::new("PM04", Key::order(&purchase), date));
}

fn refund_accepted_next_day(shop: &mut Shop, date: NaiveDate) {
    let mut purchase = shop.walk_in(date);
    purchase.lines[0].refund_fen = Fen(500);
    shop.books.sell(&purchase);
    let refund = shop.refund(Fen(500), at(next(date), 0, 1));
    shop.books.refund(&purchase, &refund);
    shop.plant(Planted::new("PM04", Key::order(&purchase), date).resolved(next(date)));
}

/// A redeemed coupon, associated too, and its order.
fn use_coupon(shop: &mut Shop, date: NaiveDate) -> (Coupon, Purchase) {
    let (mut coupon, purchase) = shop.visit(&DISCOUNT, date);
    shop.associate(&mut coupon, &purchase);
    shop.redeem(&mut coupon, &purchase);
    (coupon, purchase)
}

/// As `use_coupon`, refunded on the same day.
fn refund_in_full(shop: &mut Shop, date: NaiveDate) -> (Coupon, Purchase) {
    let (coupon, mut purchase) = use_coupon(shop, date);
    purchase.mark_refunded();
    let refund = shop.refund(purchase.charged_fen, purchase.paid_at + minutes(90));
    shop.books.refund(&purchase, &refund);
    (coupon, purchase)
}
