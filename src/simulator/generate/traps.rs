//! Near misses: what looks like a break but is none. A rule that reports one is wrong.

use chrono::NaiveDate;

use crate::money::Fen;
use crate::simulator::world::Event;

use super::books::BillEntry;
use super::calendar::{at, earlier, minutes, next, seconds};
use super::catalog::{ASSOCIATED, DISCOUNT, FIXED_SUBSIDY, FRANCHISE, OTHER_MERCHANT, SHARED_SUBSIDY};
use super::lives::subsidise;
use super::shop::Shop;

/// All of them, set on every night.
static TRAPS: &[fn(&mut Shop, NaiveDate)] = &[
    rounded_the_other_way,
    used_at_the_last_second,
    used_at_the_tolerance,
    minimum_just_met,
    expired_when_refunded,
    paid_by_another_channel,
    paid_to_another_merchant,
    list_lacks_the_coupon,
    list_lacks_the_association,
    received_and_used_the_next_day,
    two_lines_refunded_in_turn,
    claimed_again_after_a_refund,
    never_paid,
    free_of_charge,
    failed_refund,
    refund_of_a_voucher_order,
    revoked_payment,
    listed_twice,
    used_before_the_first_export,
    used_in_the_franchise,
];

/// Sets every trap on every night.
pub(super) fn set_all(shop: &mut Shop) {
    for date in shop.calendar.dates() {
        for set in TRAPS {
            set(shop, date);
        }
    }
}

/// A till that rounds its own way: one fen beside the terms of a DISCOUNT coupon.
fn rounded_the_other_way(shop: &mut Shop, date: NaiveDate) {
    for (stock, off) in [(&DISCOUNT, 1), (&DISCOUNT, -1), (&SHARED_SUBSIDY, -1)] {
        let (mut coupon, mut purchase) = shop.visit(stock, date);
        let line = &mut purchase.lines[0];
        line.discount_fen += Fen(off);
        line.paid_fen = line.goods_fen - line.discount_fen;
        purchase.charged_fen = line.paid_fen;
        shop.redeem(&mut coupon, &purchase);
        shop.books.sell(&purchase);
        subsidise(shop, &coupon, stock, &purchase);
        shop.books.receive(coupon);
    }
}

/// Redeemed at `expire_time`, and another at `available_start_time`: bounds are inside.
fn used_at_the_last_second(shop: &mut Shop, date: NaiveDate) {
    for is_start in [false, true] {
        let (mut coupon, purchase) = shop.visit(&DISCOUNT, date);
        shop.redeem(&mut coupon, &purchase);
        let used_at = coupon.redemption.as_ref().map_or(purchase.paid_at, |redemption| redemption.time);
        if is_start {
            coupon.available_start_time = used_at;
        } else {
            coupon.expire_time = used_at;
        }
        shop.books.sell(&purchase);
        shop.books.receive(coupon);
    }
}

/// Ten minutes after the payment to the second.
fn used_at_the_tolerance(shop: &mut Shop, date: NaiveDate) {
    let (mut coupon, purchase) = shop.visit(&DISCOUNT, date);
    coupon.redemption = Some(Event { number: purchase.out_trade_no.clone(), time: purchase.paid_at + minutes(10) });
    shop.books.sell(&purchase);
    shop.books.receive(coupon);
}

fn minimum_just_met(shop: &mut Shop, date: NaiveDate) {
    let openid = shop.user();
    let moment = shop.opening_hours(date);
    let mut coupon = shop.coupon_for(&openid, &FIXED_SUBSIDY, moment);
    let goods = Fen(FIXED_SUBSIDY.minimum_fen);
    let purchase = shop.claim_of(&coupon, &FIXED_SUBSIDY, moment, goods);
    shop.redeem(&mut coupon, &purchase);
    shop.books.sell(&purchase);
    subsidise(shop, &coupon, &FIXED_SUBSIDY, &purchase);
    shop.books.receive(coupon);
}

/// A coupon that expired between use and refund cannot be returned (reference v3 §2.14).
fn expired_when_refunded(shop: &mut Shop, date: NaiveDate) {
    let (mut coupon, mut purchase) = shop.visit(&DISCOUNT, date);
    coupon.expire_time = purchase.paid_at + minutes(45);
    shop.associate(&mut coupon, &purchase);
    shop.redeem(&mut coupon, &purchase);
    purchase.mark_refunded();
    shop.books.sell(&purchase);
    let refund = shop.refund(purchase.charged_fen, purchase.paid_at + minutes(120));
    shop.books.refund(&purchase, &refund);
    shop.books.receive(coupon);
}

/// In no bill, and rightly so.
fn paid_by_another_channel(shop: &mut Shop, date: NaiveDate) {
    let (mut coupon, mut purchase) = shop.visit(&DISCOUNT, date);
    purchase.pay_by_alipay();
    shop.redeem(&mut coupon, &purchase);
    shop.books.sell(&purchase);
    shop.books.receive(coupon);
}

/// Paid by WeChat to a merchant whose bill this job does not have.
fn paid_to_another_merchant(shop: &mut Shop, date: NaiveDate) {
    let mut purchase = shop.walk_in(date);
    purchase.merchant = OTHER_MERCHANT;
    shop.books.export(&purchase, date);
}

/// Claimed, missing in the wallet's pages, known to the single query.
fn list_lacks_the_coupon(shop: &mut Shop, date: NaiveDate) {
    let (mut coupon, purchase) = shop.visit(&DISCOUNT, date);
    coupon.missing_from_list = true;
    shop.redeem(&mut coupon, &purchase);
    shop.books.sell(&purchase);
    shop.books.receive(coupon);
}

/// Must be associated and is, but only the single query says so.
fn list_lacks_the_association(shop: &mut Shop, date: NaiveDate) {
    let (mut coupon, purchase) = shop.visit(&ASSOCIATED, date);
    coupon.list_lags_association = true;
    shop.associate(&mut coupon, &purchase);
    shop.redeem(&mut coupon, &purchase);
    shop.books.sell(&purchase);
    shop.books.receive(coupon);
}

/// A server that shows the present shows it on this night already.
fn received_and_used_the_next_day(shop: &mut Shop, date: NaiveDate) {
    let openid = shop.user();
    let moment = at(next(date), 9, 30) + seconds(shop.between(0, 3000));
    let mut coupon = shop.coupon(&openid, &ASSOCIATED, moment - minutes(30));
    let purchase = shop.claim(&coupon, &ASSOCIATED, moment);
    shop.associate(&mut coupon, &purchase);
    shop.redeem(&mut coupon, &purchase);
    shop.books.sell(&purchase);
    shop.books.receive(coupon);
}

/// Two lines, refunded on two days; each export shows the sum so far.
fn two_lines_refunded_in_turn(shop: &mut Shop, date: NaiveDate) {
    let (mut coupon, mut purchase) = shop.visit(&DISCOUNT, date);
    shop.add_line(&mut purchase);
    shop.redeem(&mut coupon, &purchase);
    purchase.lines[0].refund_fen = Fen(150);
    shop.books.sell(&purchase);
    let first = shop.refund(Fen(150), purchase.paid_at + minutes(60));
    shop.books.refund(&purchase, &first);
    purchase.lines[1].refund_fen = Fen(100);
    shop.books.export(&purchase, next(date));
    let second = shop.refund(Fen(100), at(next(date), 9, 0));
    shop.books.refund(&purchase, &second);
    shop.books.receive(coupon);
}

/// The first order is refunded and the coupon returned; the second uses it the same day.
fn claimed_again_after_a_refund(shop: &mut Shop, date: NaiveDate) {
    let openid = shop.user();
    let moment = at(date, 9, 0) + seconds(shop.between(0, 3600));
    let mut coupon = shop.coupon_for(&openid, &DISCOUNT, moment);
    let mut first = shop.claim(&coupon, &DISCOUNT, moment);
    shop.redeem(&mut coupon, &first);
    first.mark_refunded();
    shop.books.sell(&first);
    let refund = shop.refund(first.charged_fen, moment + minutes(30));
    shop.books.refund(&first, &refund);
    coupon.coupon_return = Some(Event { number: shop.number("RT"), time: moment + minutes(31) });
    let again = moment + minutes(200);
    let second = shop.claim(&coupon, &DISCOUNT, again);
    coupon.second_redemption = Some(Event { number: second.out_trade_no.clone(), time: again + seconds(20) });
    shop.books.sell(&second);
    shop.books.receive(coupon);
}

/// An abandoned checkout names a coupon that is still in the wallet: no claim without a payment.
fn never_paid(shop: &mut Shop, date: NaiveDate) {
    let (coupon, mut purchase) = shop.visit(&DISCOUNT, date);
    purchase.unpaid = true;
    purchase.transaction_id.clear();
    purchase.charged_fen = Fen::ZERO;
    purchase.lines[0].paid_fen = Fen::ZERO;
    purchase.lines[0].remark = "待支付";
    shop.books.export(&purchase, date);
    shop.books.receive(coupon);
}

/// The coupon is worth more than the basket: nothing to pay, so nothing in the bill.
fn free_of_charge(shop: &mut Shop, date: NaiveDate) {
    let openid = shop.user();
    let moment = shop.opening_hours(date);
    let mut coupon = shop.coupon_for(&openid, &ASSOCIATED, moment);
    let goods = Fen(shop.between(300, 790));
    let mut purchase = shop.claim_of(&coupon, &ASSOCIATED, moment, goods);
    purchase.transaction_id.clear();
    shop.associate(&mut coupon, &purchase);
    shop.redeem(&mut coupon, &purchase);
    shop.books.sell(&purchase);
    shop.books.receive(coupon);
}

/// A refund the bank refused: in the bill with FAIL, not in the export.
fn failed_refund(shop: &mut Shop, date: NaiveDate) {
    let purchase = shop.walk_in(date);
    shop.books.sell(&purchase);
    let mut refund = shop.refund(Fen(200), purchase.paid_at + minutes(50));
    refund.status = "FAIL";
    shop.books.refund(&purchase, &refund);
}

/// A part of the payment was a voucher of the merchant: 退款金额 is less than 申请退款金额.
fn refund_of_a_voucher_order(shop: &mut Shop, date: NaiveDate) {
    let mut purchase = shop.walk_in(date);
    purchase.lines[0].refund_fen = Fen(400);
    shop.books.export(&purchase, date);
    let entry = BillEntry::Payment { order_fen: purchase.charged_fen, favor_fen: Fen(100), unsettled_fen: Fen(100) };
    shop.books.bill_entry(&purchase, purchase.paid_at, entry);
    let refund = shop.refund(Fen(400), purchase.paid_at + minutes(80));
    let entry = BillEntry::Refund {
        refund_id: refund.refund_id,
        out_refund_no: refund.out_refund_no,
        applied_fen: refund.amount_fen,
        unsettled_fen: Fen(50),
        status: "PROCESSING",
    };
    shop.books.bill_entry(&purchase, refund.accepted_at, entry);
}

/// Paid and revoked at the till: two bill rows, no order.
fn revoked_payment(shop: &mut Shop, date: NaiveDate) {
    let purchase = shop.walk_in(date);
    shop.books.charge(&purchase, purchase.paid_at);
    shop.books.bill_entry(&purchase, purchase.paid_at + seconds(40), BillEntry::Revoked);
}

/// The export repeats a line word for word.
fn listed_twice(shop: &mut Shop, date: NaiveDate) {
    let purchase = shop.walk_in(date);
    shop.books.sell(&purchase);
    shop.books.export(&purchase, date);
}

/// Its order stands in a file that was exported before this job began.
fn used_before_the_first_export(shop: &mut Shop, date: NaiveDate) {
    if date != shop.calendar.first() {
        return;
    }
    for _ in 0..3 {
        let openid = shop.user();
        let moment = shop.opening_hours(earlier(date, 2));
        let mut coupon = shop.coupon_for(&openid, &ASSOCIATED, moment);
        let purchase = shop.claim(&coupon, &ASSOCIATED, moment);
        shop.associate(&mut coupon, &purchase);
        shop.redeem(&mut coupon, &purchase);
        shop.books.receive(coupon);
    }
}

/// The stock belongs to the franchisee, the order to the merchant: a pair the job allows.
fn used_in_the_franchise(shop: &mut Shop, date: NaiveDate) {
    let (mut coupon, purchase) = shop.visit(&FRANCHISE, date);
    shop.redeem(&mut coupon, &purchase);
    shop.books.sell(&purchase);
    shop.books.receive(coupon);
}

#[cfg(test)]
mod tests {
    use super::super::recipe::Recipe;
    use super::*;

    #[test]
    fn traps_plant_no_break() {
        let mut shop = Shop::open(&Recipe::sample());
        set_all(&mut shop);
        assert!(shop.truth.within(shop.calendar).is_empty());
        assert!(shop.books.world.coupons.len() > TRAPS.len());
    }
}
