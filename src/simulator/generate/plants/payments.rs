//! Faults between orders and the bill: PM01–PM03, and an order that both sides lack.

use chrono::NaiveDate;

use crate::clock::end_of;
use crate::money::Fen;
use crate::simulator::generate::books::Purchase;
use crate::simulator::generate::calendar::{later, next, seconds};
use crate::simulator::generate::catalog::DISCOUNT;
use crate::simulator::generate::shop::Shop;
use crate::simulator::generate::truth::{Key, Planted};

use super::plant::Plant;

pub(super) static PLANTS: &[Plant] = &[
    Plant { name: "charged_differently", rules: &["PM01"], plant: charged_differently },
    Plant { name: "second_line_not_charged", rules: &["PM01"], plant: second_line_not_charged },
    Plant { name: "paid_amount_corrected_later", rules: &["PM01"], plant: paid_amount_corrected_later },
    Plant {
        name: "paid_amount_corrected_after_two_days",
        rules: &["PM01"],
        plant: paid_amount_corrected_after_two_days,
    },
    Plant { name: "correction_undone", rules: &["PM01"], plant: correction_undone },
    Plant { name: "missing_in_bill", rules: &["PM02"], plant: missing_in_bill },
    Plant { name: "billed_after_midnight", rules: &["PM02"], plant: billed_after_midnight },
    Plant { name: "payment_without_order", rules: &["PM03"], plant: payment_without_order },
    Plant { name: "order_of_payment_late", rules: &["PM03"], plant: order_of_payment_late },
    Plant { name: "lost_order_of_a_coupon", rules: &["AO01", "PM03"], plant: lost_order_of_a_coupon },
];

/// The till and WeChat do not agree on the amount.
fn charged_differently(shop: &mut Shop, date: NaiveDate) {
    let mut purchase = shop.walk_in(date);
    let off = shop.between(1, 300);
    purchase.charged_fen = purchase.charged_fen - Fen(if shop.happens(50) { off } else { -off });
    shop.books.sell(&purchase);
    shop.plant(Planted::new("PM01", Key::order(&purchase), date));
}

/// The order has two lines, WeChat was asked for one.
fn second_line_not_charged(shop: &mut Shop, date: NaiveDate) {
    let (mut coupon, mut purchase) = shop.visit(&DISCOUNT, date);
    let charged = purchase.charged_fen;
    shop.add_line(&mut purchase);
    purchase.charged_fen = charged;
    shop.redeem(&mut coupon, &purchase);
    shop.books.sell(&purchase);
    shop.plant(Planted::new("PM01", Key::order(&purchase), date));
    shop.books.receive(coupon);
}

fn paid_amount_corrected_later(shop: &mut Shop, date: NaiveDate) {
    let purchase = typed_wrong(shop, date);
    correct(shop, &purchase, next(date));
    shop.plant(Planted::new("PM01", Key::order(&purchase), date).resolved(next(date)));
}

fn paid_amount_corrected_after_two_days(shop: &mut Shop, date: NaiveDate) {
    let purchase = typed_wrong(shop, date);
    correct(shop, &purchase, later(date, 2));
    shop.plant(Planted::new("PM01", Key::order(&purchase), date).resolved(later(date, 2)));
}

/// Corrected on the next day; the day after, the old export is delivered once more.
fn correction_undone(shop: &mut Shop, date: NaiveDate) {
    let purchase = typed_wrong(shop, date);
    correct(shop, &purchase, next(date));
    shop.books.export(&purchase, later(date, 2));
    let planted = Planted::new("PM01", Key::order(&purchase), date).resolved(next(date));
    shop.plant(planted.reopened(later(date, 2)));
}

/// An order whose paid amount somebody typed wrong; WeChat has the right one.
fn typed_wrong(shop: &mut Shop, date: NaiveDate) -> Purchase {
    let mut purchase = shop.walk_in(date);
    purchase.lines[0].paid_fen = purchase.charged_fen + Fen(shop.between(1, 5000));
    shop.books.sell(&purchase);
    purchase
}

/// The export of `file_date` has the order once more, with what WeChat was paid.
fn correct(shop: &mut Shop, purchase: &Purchase, file_date: NaiveDate) {
    let mut right = purchase.clone();
    right.lines[0].paid_fen = right.charged_fen;
    right.lines[0].remark = "更正";
    shop.books.export(&right, file_date);
}

/// The shop handed out goods for a payment WeChat never saw.
fn missing_in_bill(shop: &mut Shop, date: NaiveDate) {
    let purchase = shop.walk_in(date);
    shop.books.export(&purchase, date);
    shop.plant(Planted::new("PM02", Key::order(&purchase), date));
}

/// The till's clock is before midnight, WeChat's after it: the row stands in the next bill.
fn billed_after_midnight(shop: &mut Shop, date: NaiveDate) {
    let openid = shop.user();
    let paid_at = end_of(date) - seconds(shop.between(2, 20));
    let purchase = shop.plain_order(&openid, paid_at);
    shop.books.export(&purchase, date);
    let billed_at = end_of(date) + seconds(shop.between(0, 15));
    shop.books.charge(&purchase, billed_at);
    shop.plant(Planted::new("PM02", Key::order(&purchase), date).resolved(next(date)));
}

fn payment_without_order(shop: &mut Shop, date: NaiveDate) {
    let purchase = shop.walk_in(date);
    shop.books.charge(&purchase, purchase.paid_at);
    shop.plant(Planted::new("PM03", Key::payment(&purchase), date));
}

fn order_of_payment_late(shop: &mut Shop, date: NaiveDate) {
    let purchase = shop.walk_in(date);
    shop.books.charge(&purchase, purchase.paid_at);
    shop.books.export(&purchase, next(date));
    shop.plant(Planted::new("PM03", Key::payment(&purchase), date).resolved(next(date)));
}

/// The export lost an order with a coupon: a used coupon without order, a payment without order.
fn lost_order_of_a_coupon(shop: &mut Shop, date: NaiveDate) {
    let (mut coupon, purchase) = shop.visit(&DISCOUNT, date);
    shop.redeem(&mut coupon, &purchase);
    shop.books.charge(&purchase, purchase.paid_at);
    shop.plant(Planted::new("AO01", Key::coupon(&coupon), date));
    shop.plant(Planted::new("PM03", Key::payment(&purchase), date));
    shop.books.receive(coupon);
}
