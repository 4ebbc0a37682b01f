//! Faults of subsidies between programme, merchant's ledger and WeChat's receipts: SU01–SU13.

use chrono::NaiveDate;

use crate::money::Fen;
use crate::simulator::generate::books::{Grant, Purchase, Refund};
use crate::simulator::generate::calendar::{at, later, minutes, next, seconds};
use crate::simulator::generate::catalog::{FIXED_SUBSIDY, OTHER_MERCHANT, SHARED_SUBSIDY, Stock};
use crate::simulator::generate::shop::Shop;
use crate::simulator::generate::truth::{Key, Planted};
use crate::simulator::world::{Coupon, Event};

use super::plant::Plant;

pub(super) static PLANTS: &[Plant] = &[
    Plant { name: "fixed_subsidy_never_ordered", rules: &["SU01"], plant: fixed_subsidy_never_ordered },
    Plant { name: "shared_subsidy_never_ordered", rules: &["SU01"], plant: shared_subsidy_never_ordered },
    Plant { name: "ordered_after_the_due_day", rules: &["SU01"], plant: ordered_after_the_due_day },
    Plant { name: "paid_too_little", rules: &["SU02"], plant: paid_too_little },
    Plant { name: "topped_up_the_next_day", rules: &["SU02"], plant: topped_up_the_next_day },
    Plant { name: "paid_twice", rules: &["SU03"], plant: paid_twice },
    Plant { name: "paid_again_the_next_day", rules: &["SU03"], plant: paid_again_the_next_day },
    Plant { name: "paid_for_an_unused_coupon", rules: &["SU04"], plant: paid_for_an_unused_coupon },
    Plant { name: "paid_for_an_unknown_order", rules: &["SU05"], plant: paid_for_an_unknown_order },
    Plant { name: "paid_to_the_wrong_merchant", rules: &["SU06"], plant: paid_to_the_wrong_merchant },
    Plant { name: "kept_after_a_refund", rules: &["SU07"], plant: kept_after_a_refund },
    Plant { name: "returned_the_next_day", rules: &["SU07"], plant: returned_the_next_day },
    Plant { name: "returned_too_much", rules: &["SU08"], plant: returned_too_much },
    Plant { name: "stuck_in_acceptance", rules: &["SU09"], plant: stuck_in_acceptance },
    Plant { name: "failed", rules: &["SU10"], plant: failed },
    Plant { name: "failed_and_repeated", rules: &["SU10"], plant: failed_and_repeated },
    Plant { name: "ordered_and_unknown", rules: &["SU11"], plant: ordered_and_unknown },
    Plant { name: "never_in_the_ledger", rules: &["SU12"], plant: never_in_the_ledger },
    Plant { name: "more_than_the_discount", rules: &["SU13"], plant: more_than_the_discount },
];

fn fixed_subsidy_never_ordered(shop: &mut Shop, date: NaiveDate) {
    let (coupon, _) = use_coupon(shop, &FIXED_SUBSIDY, date);
    let planted = owed(&coupon, &FIXED_SUBSIDY, date);
    shop.plant(planted);
    shop.books.receive(coupon);
}

fn shared_subsidy_never_ordered(shop: &mut Shop, date: NaiveDate) {
    let (coupon, _) = use_coupon(shop, &SHARED_SUBSIDY, date);
    let planted = owed(&coupon, &SHARED_SUBSIDY, date);
    shop.plant(planted);
    shop.books.receive(coupon);
}

/// Ordered and paid on the day after it was due.
fn ordered_after_the_due_day(shop: &mut Shop, date: NaiveDate) {
    let (coupon, purchase) = use_coupon(shop, &FIXED_SUBSIDY, date);
    let planted = owed(&coupon, &FIXED_SUBSIDY, date);
    let paid_on = next(planted.new_on);
    let mut grant = shop.grant(&coupon, &FIXED_SUBSIDY, &purchase);
    shift(&mut grant, at(paid_on, 11, 0));
    shop.books.grant(&grant);
    shop.plant(planted.resolved(paid_on));
    shop.books.receive(coupon);
}

fn paid_too_little(shop: &mut Shop, date: NaiveDate) {
    let stock = any_programme(shop);
    let (coupon, purchase) = use_coupon(shop, stock, date);
    let mut grant = shop.grant(&coupon, stock, &purchase);
    grant.amount_fen = grant.amount_fen - Fen(shop.between(1, 50));
    shop.books.grant(&grant);
    shop.plant(Planted::new("SU02", Key::coupon(&coupon), date));
    shop.books.receive(coupon);
}

/// Two receipts that make the amount together: once both are there, nothing is wrong.
fn topped_up_the_next_day(shop: &mut Shop, date: NaiveDate) {
    let stock = any_programme(shop);
    let (coupon, purchase) = use_coupon(shop, stock, date);
    let mut grant = shop.grant(&coupon, stock, &purchase);
    let missing = Fen(shop.between(1, 50));
    grant.amount_fen = grant.amount_fen - missing;
    shop.books.grant(&grant);
    let rest = shop.grant_at(&coupon, &purchase, missing, at(next(date), 9, 0));
    shop.books.grant(&rest);
    shop.plant(Planted::new("SU02", Key::coupon(&coupon), date).resolved(next(date)));
    shop.books.receive(coupon);
}

fn paid_twice(shop: &mut Shop, date: NaiveDate) {
    let stock = any_programme(shop);
    let (coupon, purchase) = use_coupon(shop, stock, date);
    for _ in 0..2 {
        let grant = shop.grant(&coupon, stock, &purchase);
        shop.books.grant(&grant);
    }
    shop.plant(Planted::new("SU03", Key::coupon(&coupon), date));
    shop.books.receive(coupon);
}

fn paid_again_the_next_day(shop: &mut Shop, date: NaiveDate) {
    let stock = any_programme(shop);
    let (coupon, purchase) = use_coupon(shop, stock, date);
    let grant = shop.grant(&coupon, stock, &purchase);
    shop.books.grant(&grant);
    let again = shop.grant_at(&coupon, &purchase, grant.amount_fen, at(next(date), 9, 30));
    shop.books.grant(&again);
    shop.plant(Planted::new("SU03", Key::coupon(&coupon), next(date)));
    shop.books.receive(coupon);
}

/// The user bought without the coupon; it is still in the wallet.
fn paid_for_an_unused_coupon(shop: &mut Shop, date: NaiveDate) {
    let openid = shop.user();
    let moment = shop.opening_hours(date);
    let coupon = shop.coupon_for(&openid, &FIXED_SUBSIDY, moment);
    let purchase = shop.plain_order(&openid, moment);
    shop.books.sell(&purchase);
    let grant = shop.grant(&coupon, &FIXED_SUBSIDY, &purchase);
    shop.books.grant(&grant);
    shop.plant(Planted::new("SU04", Key::subsidy(&grant.out_subsidy_no), date));
    shop.books.receive(coupon);
}

fn paid_for_an_unknown_order(shop: &mut Shop, date: NaiveDate) {
    let transaction_id = shop.transaction_id(date);
    misgrant(shop, "SU05", date, |grant| grant.transaction_id = transaction_id);
}

fn paid_to_the_wrong_merchant(shop: &mut Shop, date: NaiveDate) {
    misgrant(shop, "SU06", date, |grant| grant.payee = OTHER_MERCHANT);
}

/// The customer has the money back, the coupon is back, the franchisee keeps the subsidy.
fn kept_after_a_refund(shop: &mut Shop, date: NaiveDate) {
    let refunded = refund_coupon(shop, date);
    shop.books.grant(&refunded.grant);
    shop.plant(Planted::new("SU07", Key::coupon(&refunded.coupon), date));
    shop.books.receive(refunded.coupon);
}

fn returned_the_next_day(shop: &mut Shop, date: NaiveDate) {
    let mut refunded = refund_coupon(shop, date);
    let amount = refunded.grant.amount_fen;
    let returned = shop.grant_return(&refunded.refund, amount, at(next(date), 9, 45));
    refunded.grant.statuses.push((returned.created_at, "FULL_RETURN"));
    shop.books.grant(&refunded.grant);
    shop.books.grant_return(&refunded.grant, &returned);
    shop.plant(Planted::new("SU07", Key::coupon(&refunded.coupon), date).resolved(next(date)));
    shop.books.receive(refunded.coupon);
}

fn returned_too_much(shop: &mut Shop, date: NaiveDate) {
    let mut refunded = refund_coupon(shop, date);
    let amount = refunded.grant.amount_fen + Fen(shop.between(1, 100));
    let returned_at = refunded.refund.accepted_at + minutes(5);
    let returned = shop.grant_return(&refunded.refund, amount, returned_at);
    refunded.grant.statuses.push((returned.created_at, "FULL_RETURN"));
    shop.books.grant(&refunded.grant);
    shop.books.grant_return(&refunded.grant, &returned);
    shop.plant(Planted::new("SU08", Key::subsidy(&refunded.grant.out_subsidy_no), date));
    shop.books.receive(refunded.coupon);
}

/// More than 24 hours at the end of the next day, less at the end of this one.
fn stuck_in_acceptance(shop: &mut Shop, date: NaiveDate) {
    let (coupon, purchase) = use_coupon(shop, &FIXED_SUBSIDY, date);
    let mut grant = shop.grant(&coupon, &FIXED_SUBSIDY, &purchase);
    unfinish(&mut grant);
    shop.books.grant(&grant);
    shop.plant(Planted::new("SU09", Key::subsidy(&grant.out_subsidy_no), next(date)));
    shop.books.receive(coupon);
}

fn failed(shop: &mut Shop, date: NaiveDate) {
    let (coupon, purchase) = use_coupon(shop, &FIXED_SUBSIDY, date);
    let grant = fail(shop, &coupon, &purchase);
    shop.plant(Planted::new("SU10", Key::subsidy(&grant.out_subsidy_no), date));
    shop.books.receive(coupon);
}

fn failed_and_repeated(shop: &mut Shop, date: NaiveDate) {
    let (coupon, purchase) = use_coupon(shop, &FIXED_SUBSIDY, date);
    let grant = fail(shop, &coupon, &purchase);
    let again = shop.grant_at(&coupon, &purchase, grant.amount_fen, at(next(date), 10, 0));
    shop.books.grant(&again);
    shop.plant(Planted::new("SU10", Key::subsidy(&grant.out_subsidy_no), date).resolved(next(date)));
    shop.books.receive(coupon);
}

/// In the merchant's ledger, but the request never arrived.
fn ordered_and_unknown(shop: &mut Shop, date: NaiveDate) {
    let (coupon, purchase) = use_coupon(shop, &FIXED_SUBSIDY, date);
    let mut grant = shop.grant(&coupon, &FIXED_SUBSIDY, &purchase);
    grant.subsidy_receipt_id.clear();
    shop.books.grant_order(&grant);
    shop.plant(Planted::new("SU11", Key::subsidy(&grant.out_subsidy_no), date));
    shop.books.receive(coupon);
}

fn never_in_the_ledger(shop: &mut Shop, date: NaiveDate) {
    let (coupon, purchase) = use_coupon(shop, &FIXED_SUBSIDY, date);
    let grant = shop.grant(&coupon, &FIXED_SUBSIDY, &purchase);
    shop.books.grant_receipt(&grant);
    shop.plant(Planted::new("SU12", Key::subsidy(&grant.out_subsidy_no), date));
    shop.books.receive(coupon);
}

fn more_than_the_discount(shop: &mut Shop, date: NaiveDate) {
    let excess = Fen(shop.between(401, 600));
    misgrant(shop, "SU13", date, |grant| grant.amount_fen += excess);
}

/// What one refunded purchase left behind.
struct Refunded {
    coupon: Coupon,
    refund: Refund,
    /// Paid before the refund; not entered yet.
    grant: Grant,
}

/// A used coupon and its order, sold and charged, without a subsidy.
fn use_coupon(shop: &mut Shop, stock: &Stock, date: NaiveDate) -> (Coupon, Purchase) {
    let (mut coupon, purchase) = shop.visit(stock, date);
    shop.redeem(&mut coupon, &purchase);
    shop.books.sell(&purchase);
    (coupon, purchase)
}

/// A purchase refunded in full with its coupon returned on the same day.
fn refund_coupon(shop: &mut Shop, date: NaiveDate) -> Refunded {
    let (mut coupon, mut purchase) = shop.visit(&FIXED_SUBSIDY, date);
    shop.redeem(&mut coupon, &purchase);
    purchase.mark_refunded();
    shop.books.sell(&purchase);
    let refund = shop.refund(purchase.charged_fen, purchase.paid_at + minutes(90));
    shop.books.refund(&purchase, &refund);
    coupon.coupon_return = Some(Event { number: shop.number("RT"), time: refund.accepted_at + minutes(1) });
    let grant = shop.grant(&coupon, &FIXED_SUBSIDY, &purchase);
    Refunded { coupon, refund, grant }
}

/// Missing from the use on, due after the programme's days.
fn owed(coupon: &Coupon, stock: &Stock, date: NaiveDate) -> Planted {
    let due_days = stock.program.map_or(0, |program| program.due_days);
    Planted::new("SU01", Key::coupon(coupon), date).due(later(date, due_days))
}

fn any_programme(shop: &mut Shop) -> &'static Stock {
    if shop.happens(50) { &FIXED_SUBSIDY } else { &SHARED_SUBSIDY }
}

/// A subsidy with one wrong fact, in the receipt and in the ledger alike.
fn misgrant(shop: &mut Shop, rule_id: &'static str, date: NaiveDate, change: impl FnOnce(&mut Grant)) {
    let (coupon, purchase) = use_coupon(shop, &FIXED_SUBSIDY, date);
    let mut grant = shop.grant(&coupon, &FIXED_SUBSIDY, &purchase);
    change(&mut grant);
    shop.books.grant(&grant);
    shop.plant(Planted::new(rule_id, Key::subsidy(&grant.out_subsidy_no), date));
    shop.books.receive(coupon);
}

/// Accepted and no more: WeChat gives the receipt id with the success (reference v3 §2.18).
fn unfinish(grant: &mut Grant) {
    grant.succeeded_at = None;
    grant.subsidy_receipt_id.clear();
    grant.statuses.truncate(1);
}

/// A subsidy that failed within the minute, entered.
fn fail(shop: &mut Shop, coupon: &Coupon, purchase: &Purchase) -> Grant {
    let mut grant = shop.grant(coupon, &FIXED_SUBSIDY, purchase);
    unfinish(&mut grant);
    grant.statuses.push((grant.created_at + seconds(30), "FAIL"));
    grant.fail_reason = Some("INSUFFICIENT_BALANCE");
    shop.books.grant(&grant);
    grant
}

/// The same grant, ordered at another time.
fn shift(grant: &mut Grant, created_at: chrono::DateTime<chrono::Utc>) {
    let delay = created_at - grant.created_at;
    grant.created_at = created_at;
    grant.succeeded_at = grant.succeeded_at.map(|time| time + delay);
    for (time, _) in &mut grant.statuses {
        *time += delay;
    }
}
