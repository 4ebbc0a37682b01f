//! Faults between coupons and the orders that claim them: AO01–AO13, AO16. Planted on stocks
//! without a programme, so that no subsidy rule is affected.

use chrono::NaiveDate;

use crate::money::Fen;
use crate::simulator::generate::books::{Line, Purchase};
use crate::simulator::generate::calendar::{at, minutes, next, seconds};
use crate::simulator::generate::catalog::{ASSOCIATED, CATALOG, DISCOUNT, FRANCHISE, OTHER_MERCHANT, Stock};
use crate::simulator::generate::shop::Shop;
use crate::simulator::generate::truth::{Key, Planted};
use crate::simulator::world::{Coupon, Event};

use super::plant::Plant;

pub(super) static PLANTS: &[Plant] = &[
    Plant { name: "used_without_order", rules: &["AO01"], plant: used_without_order },
    Plant { name: "order_exported_late", rules: &["AO01"], plant: order_exported_late },
    Plant { name: "associated_to_nothing", rules: &["AO02"], plant: associated_to_nothing },
    Plant { name: "associated_order_exported_late", rules: &["AO02"], plant: associated_order_exported_late },
    Plant { name: "claimed_not_redeemed", rules: &["AO03"], plant: claimed_not_redeemed },
    Plant { name: "redeemed_after_midnight", rules: &["AO03"], plant: redeemed_after_midnight },
    Plant { name: "claim_refunded_next_day", rules: &["AO03"], plant: claim_refunded_next_day },
    Plant { name: "mistyped_code", rules: &["AO04"], plant: mistyped_code },
    Plant { name: "associated_to_another_order", rules: &["AO05"], plant: associated_to_another_order },
    Plant { name: "claimed_twice", rules: &["AO06"], plant: claimed_twice },
    Plant { name: "second_claim_refunded", rules: &["AO06"], plant: second_claim_refunded },
    Plant { name: "never_associated", rules: &["AO07"], plant: never_associated },
    Plant { name: "discount_too_large", rules: &["AO08"], plant: discount_too_large },
    Plant { name: "discount_one_fen_off", rules: &["AO08"], plant: discount_one_fen_off },
    Plant { name: "discount_corrected_later", rules: &["AO08"], plant: discount_corrected_later },
    Plant { name: "below_the_minimum", rules: &["AO09"], plant: below_the_minimum },
    Plant { name: "used_after_expiry", rules: &["AO10"], plant: used_after_expiry },
    Plant { name: "used_by_somebody_else", rules: &["AO11"], plant: used_by_somebody_else },
    Plant { name: "used_at_another_merchant", rules: &["AO12"], plant: used_at_another_merchant },
    Plant { name: "redeemed_hours_later", rules: &["AO13"], plant: redeemed_hours_later },
    Plant { name: "two_coupons_on_one_order", rules: &["AO16"], plant: two_coupons_on_one_order },
];

/// Redeemed at a till that kept no order.
fn used_without_order(shop: &mut Shop, date: NaiveDate) {
    let openid = shop.user();
    let moment = shop.opening_hours(date);
    let mut coupon = shop.coupon_for(&openid, &DISCOUNT, moment);
    coupon.redemption = Some(Event { number: shop.number("HX"), time: moment });
    shop.plant(Planted::new("AO01", Key::coupon(&coupon), date));
    shop.books.receive(coupon);
}

/// The order of an Alipay customer comes one export too late.
fn order_exported_late(shop: &mut Shop, date: NaiveDate) {
    let (mut coupon, mut purchase) = shop.visit(&DISCOUNT, date);
    purchase.pay_by_alipay();
    shop.redeem(&mut coupon, &purchase);
    purchase.lines[0].remark = "补录";
    shop.books.export(&purchase, next(date));
    shop.plant(Planted::new("AO01", Key::coupon(&coupon), date).resolved(next(date)));
    shop.books.receive(coupon);
}

/// The association names an order nobody has.
fn associated_to_nothing(shop: &mut Shop, date: NaiveDate) {
    let (mut coupon, purchase) = shop.visit(&ASSOCIATED, date);
    shop.associate(&mut coupon, &purchase);
    shop.redeem(&mut coupon, &purchase);
    shop.plant(Planted::new("AO02", Key::coupon(&coupon), date));
    shop.books.receive(coupon);
}

fn associated_order_exported_late(shop: &mut Shop, date: NaiveDate) {
    let (mut coupon, mut purchase) = shop.visit(&ASSOCIATED, date);
    purchase.pay_by_alipay();
    shop.associate(&mut coupon, &purchase);
    shop.redeem(&mut coupon, &purchase);
    shop.books.export(&purchase, next(date));
    shop.plant(Planted::new("AO02", Key::coupon(&coupon), date).resolved(next(date)));
    shop.books.receive(coupon);
}

/// The customer got the discount, the till forgot to redeem.
fn claimed_not_redeemed(shop: &mut Shop, date: NaiveDate) {
    let stock = any_plain_stock(shop);
    let (coupon, purchase) = shop.visit(stock, date);
    shop.books.sell(&purchase);
    shop.plant(Planted::new("AO03", Key::claim(&coupon, &purchase), date));
    shop.books.receive(coupon);
}

/// Paid before midnight, redeemed after it.
fn redeemed_after_midnight(shop: &mut Shop, date: NaiveDate) {
    let openid = shop.user();
    let paid_at = at(date, 23, 56) + seconds(shop.between(0, 180));
    let mut coupon = shop.coupon_for(&openid, &DISCOUNT, paid_at);
    let purchase = shop.claim(&coupon, &DISCOUNT, paid_at);
    let time = at(next(date), 0, 2) + seconds(shop.between(0, 120));
    coupon.redemption = Some(Event { number: purchase.out_trade_no.clone(), time });
    shop.books.sell(&purchase);
    shop.plant(Planted::new("AO03", Key::claim(&coupon, &purchase), date).resolved(next(date)));
    shop.books.receive(coupon);
}

/// Not redeemed either, but the order is refunded the next day and claims nothing any more.
fn claim_refunded_next_day(shop: &mut Shop, date: NaiveDate) {
    let (coupon, mut purchase) = shop.visit(&DISCOUNT, date);
    shop.books.sell(&purchase);
    refund_next_day(shop, &mut purchase);
    shop.plant(Planted::new("AO03", Key::claim(&coupon, &purchase), date).resolved(next(date)));
    shop.books.receive(coupon);
}

/// The till typed a code that never was.
fn mistyped_code(shop: &mut Shop, date: NaiveDate) {
    let (mut coupon, mut purchase) = shop.visit(&DISCOUNT, date);
    coupon.coupon_code.push('X');
    purchase.lines[0].coupon_code.push('X');
    shop.books.sell(&purchase);
    shop.plant(Planted::new("AO04", Key::claim(&coupon, &purchase), date));
}

/// Associated at a first checkout that became a plain order, used on the second.
fn associated_to_another_order(shop: &mut Shop, date: NaiveDate) {
    let (mut coupon, purchase) = shop.visit(&ASSOCIATED, date);
    let first = shop.plain_order(&coupon.openid, purchase.paid_at - minutes(8));
    shop.books.sell(&first);
    shop.associate(&mut coupon, &first);
    shop.redeem(&mut coupon, &purchase);
    shop.books.sell(&purchase);
    shop.plant(Planted::new("AO05", Key::coupon(&coupon), date));
    shop.books.receive(coupon);
}

/// One screenshot of a code, two orders.
fn claimed_twice(shop: &mut Shop, date: NaiveDate) {
    let (coupon, first, second) = claim_two_times(shop, date);
    shop.books.sell(&first);
    shop.books.sell(&second);
    shop.plant(Planted::new("AO06", Key::coupon(&coupon), date));
    shop.books.receive(coupon);
}

/// As above, but the second order is refunded the next day.
fn second_claim_refunded(shop: &mut Shop, date: NaiveDate) {
    let (coupon, first, mut second) = claim_two_times(shop, date);
    shop.books.sell(&first);
    shop.books.sell(&second);
    refund_next_day(shop, &mut second);
    shop.plant(Planted::new("AO06", Key::coupon(&coupon), date).resolved(next(date)));
    shop.books.receive(coupon);
}

fn never_associated(shop: &mut Shop, date: NaiveDate) {
    let (mut coupon, purchase) = shop.visit(&ASSOCIATED, date);
    shop.redeem(&mut coupon, &purchase);
    shop.books.sell(&purchase);
    shop.plant(Planted::new("AO07", Key::coupon(&coupon), date));
    shop.books.receive(coupon);
}

/// The first amount beyond the tolerance of DISCOUNT stocks, or more.
fn discount_too_large(shop: &mut Shop, date: NaiveDate) {
    let off = Fen(shop.between(2, 200));
    misprice(shop, &DISCOUNT, date, off);
}

/// Other stocks have no tolerance.
fn discount_one_fen_off(shop: &mut Shop, date: NaiveDate) {
    misprice(shop, &FRANCHISE, date, Fen(-1));
}

/// A typing error in the export, put right by the next one; the payment was right all along.
fn discount_corrected_later(shop: &mut Shop, date: NaiveDate) {
    let (mut coupon, mut purchase) = shop.visit(&ASSOCIATED, date);
    shop.associate(&mut coupon, &purchase);
    shop.redeem(&mut coupon, &purchase);
    let right = purchase.lines[0].discount_fen;
    purchase.lines[0].discount_fen = right - Fen(shop.between(1, 700));
    shop.books.sell(&purchase);
    purchase.lines[0].discount_fen = right;
    purchase.lines[0].remark = "更正";
    shop.books.export(&purchase, next(date));
    shop.plant(Planted::new("AO08", Key::claim(&coupon, &purchase), date).resolved(next(date)));
    shop.books.receive(coupon);
}

/// A basket one fen short.
fn below_the_minimum(shop: &mut Shop, date: NaiveDate) {
    let openid = shop.user();
    let moment = shop.opening_hours(date);
    let mut coupon = shop.coupon_for(&openid, &DISCOUNT, moment);
    let goods = Fen(DISCOUNT.minimum_fen - 1);
    let purchase = shop.claim_of(&coupon, &DISCOUNT, moment, goods);
    shop.redeem(&mut coupon, &purchase);
    shop.books.sell(&purchase);
    shop.plant(Planted::new("AO09", Key::claim(&coupon, &purchase), date));
    shop.books.receive(coupon);
}

fn used_after_expiry(shop: &mut Shop, date: NaiveDate) {
    let (mut coupon, purchase) = shop.visit(&DISCOUNT, date);
    coupon.expire_time = purchase.paid_at;
    coupon.redemption = Some(Event { number: purchase.out_trade_no.clone(), time: purchase.paid_at + seconds(1) });
    shop.books.sell(&purchase);
    shop.plant(Planted::new("AO10", Key::coupon(&coupon), date));
    shop.books.receive(coupon);
}

fn used_by_somebody_else(shop: &mut Shop, date: NaiveDate) {
    let (mut coupon, mut purchase) = shop.visit(&DISCOUNT, date);
    purchase.openid = shop.user();
    shop.redeem(&mut coupon, &purchase);
    shop.books.sell(&purchase);
    shop.plant(Planted::new("AO11", Key::claim(&coupon, &purchase), date));
    shop.books.receive(coupon);
}

/// The export says another merchant, the payment is in this one's bill all the same.
fn used_at_another_merchant(shop: &mut Shop, date: NaiveDate) {
    let (mut coupon, mut purchase) = shop.visit(&DISCOUNT, date);
    purchase.merchant = OTHER_MERCHANT;
    shop.redeem(&mut coupon, &purchase);
    shop.books.sell(&purchase);
    shop.plant(Planted::new("AO12", Key::claim(&coupon, &purchase), date));
    shop.books.receive(coupon);
}

/// The first second beyond the tolerance, or hours.
fn redeemed_hours_later(shop: &mut Shop, date: NaiveDate) {
    let (mut coupon, purchase) = shop.visit(&DISCOUNT, date);
    let time = purchase.paid_at + minutes(10) + seconds(shop.between(1, 9000));
    coupon.redemption = Some(Event { number: purchase.out_trade_no.clone(), time });
    shop.books.sell(&purchase);
    shop.plant(Planted::new("AO13", Key::claim(&coupon, &purchase), date));
    shop.books.receive(coupon);
}

fn two_coupons_on_one_order(shop: &mut Shop, date: NaiveDate) {
    let (mut coupon, mut purchase) = shop.visit(&DISCOUNT, date);
    let mut second = shop.coupon_for(&coupon.openid, &FRANCHISE, purchase.paid_at);
    let other = shop.claim(&second, &FRANCHISE, purchase.paid_at);
    purchase.charged_fen += other.charged_fen;
    purchase.lines.extend(other.lines);
    shop.redeem(&mut coupon, &purchase);
    shop.redeem(&mut second, &purchase);
    shop.books.sell(&purchase);
    shop.plant(Planted::new("AO16", Key::order(&purchase), date));
    shop.books.receive(coupon);
    shop.books.receive(second);
}

fn any_plain_stock(shop: &mut Shop) -> &'static Stock {
    let plain: Vec<&Stock> = CATALOG.into_iter().filter(|stock| stock.program.is_none()).collect();
    plain[shop.between(0, plain.len() as i64 - 1).unsigned_abs() as usize]
}

/// A coupon redeemed for the first of two orders that both name it.
fn claim_two_times(shop: &mut Shop, date: NaiveDate) -> (Coupon, Purchase, Purchase) {
    let (mut coupon, first) = shop.visit(&DISCOUNT, date);
    shop.associate(&mut coupon, &first);
    shop.redeem(&mut coupon, &first);
    let second_paid_at = first.paid_at + minutes(shop.between(5, 90));
    let second = shop.claim(&coupon, &DISCOUNT, second_paid_at);
    (coupon, first, second)
}

/// The till takes `off` more than the terms give, and charges accordingly.
fn misprice(shop: &mut Shop, stock: &Stock, date: NaiveDate, off: Fen) {
    let (mut coupon, mut purchase) = shop.visit(stock, date);
    let line: &mut Line = &mut purchase.lines[0];
    line.discount_fen += off;
    line.paid_fen = line.goods_fen - line.discount_fen;
    purchase.charged_fen = line.paid_fen;
    shop.redeem(&mut coupon, &purchase);
    shop.books.sell(&purchase);
    shop.plant(Planted::new("AO08", Key::claim(&coupon, &purchase), date));
    shop.books.receive(coupon);
}

/// Refunded in full on the next morning, in the export and in the bill.
fn refund_next_day(shop: &mut Shop, purchase: &mut Purchase) {
    let date = next(purchase.date());
    purchase.mark_refunded();
    shop.books.export(purchase, date);
    let refund = shop.refund(purchase.charged_fen, at(date, 10, 0));
    shop.books.refund(purchase, &refund);
}
