//! The ordinary histories of coupons: kept, expired, deactivated, deleted, used, refunded, used
//! after the last night. All records agree about them; nothing here is a break.

use crate::money::Fen;
use crate::simulator::world::{Code, Coupon, Event};

use super::books::{BillEntry, Purchase};
use super::calendar::{at, earlier, later, minutes, next};
use super::catalog::{ASSOCIATED, CATALOG, POOL, Stock, VALID_DAYS};
use super::shop::Shop;

/// Gives every user one or two coupons with their histories, and some an order without one.
pub(super) fn live(shop: &mut Shop) {
    for index in 0..shop.users.len() {
        let openid = shop.users[index].clone();
        for _ in 0..shop.between(1, 2) {
            live_one(shop, &openid);
        }
        if shop.happens(40) {
            buy_without_coupon(shop, &openid);
        }
    }
}

fn live_one(shop: &mut Shop, openid: &str) {
    let stock = CATALOG[shop.between(0, CATALOG.len() as i64 - 1).unsigned_abs() as usize];
    match shop.between(0, 99) {
        0..=13 => keep(shop, openid, stock),
        14..=18 => expire(shop, openid, stock),
        19..=22 => deactivate(shop, openid, stock),
        23..=26 => delete(shop, openid, stock),
        27..=34 => use_after_the_last_night(shop, openid, stock),
        35..=42 => refund_and_return(shop, openid, stock),
        43..=50 => refund_a_part(shop, openid, stock),
        51..=60 => use_without_naming(shop, openid, stock),
        _ => use_it(shop, openid, stock),
    }
}

fn keep(shop: &mut Shop, openid: &str, stock: &Stock) {
    let date = shop.any_night();
    let moment = shop.opening_hours(date);
    let coupon = shop.coupon_for(openid, stock, moment);
    shop.books.receive(coupon);
}

fn expire(shop: &mut Shop, openid: &str, stock: &Stock) {
    let date = shop.any_night();
    let received = shop.opening_hours(earlier(date, VALID_DAYS));
    let coupon = shop.coupon(openid, stock, received);
    shop.books.receive(coupon);
}

fn deactivate(shop: &mut Shop, openid: &str, stock: &Stock) {
    let date = shop.any_night();
    let time = shop.opening_hours(date);
    let mut coupon = shop.coupon_for(openid, stock, time);
    coupon.deactivation = Some(Event { number: shop.number("OFF"), time });
    shop.books.receive(coupon);
}

fn delete(shop: &mut Shop, openid: &str, stock: &Stock) {
    let date = shop.any_night();
    let time = shop.opening_hours(date);
    let mut coupon = shop.coupon_for(openid, stock, time);
    coupon.delete_time = Some(time);
    shop.books.receive(coupon);
}

/// Shown by a server at the present time, but irrelevant to every night.
fn use_after_the_last_night(shop: &mut Shop, openid: &str, stock: &Stock) {
    let days = shop.between(1, 3).unsigned_abs();
    let time = shop.opening_hours(later(shop.calendar.last(), days));
    let mut coupon = shop.coupon_for(openid, stock, time);
    let number = shop.number("HX");
    coupon.redemption = Some(Event { number, time });
    shop.books.receive(coupon);
}

/// The plain case: the order line names the coupon.
fn use_it(shop: &mut Shop, openid: &str, stock: &Stock) {
    let (mut coupon, mut purchase) = visit(shop, openid, stock);
    if shop.happens(15) {
        shop.add_line(&mut purchase);
    }
    if stock.program.is_none() && shop.happens(15) {
        purchase.pay_by_alipay();
    }
    if stock.stock_id == ASSOCIATED.stock_id || shop.happens(60) {
        shop.associate(&mut coupon, &purchase);
    }
    shop.redeem(&mut coupon, &purchase);
    if shop.happens(30) {
        renumber_redemption(shop, &mut coupon);
    }
    if shop.happens(10) {
        sell_with_voucher(shop, &purchase);
    } else {
        shop.books.sell(&purchase);
    }
    subsidise(shop, &coupon, stock, &purchase);
    shop.books.receive(coupon);
}

/// The line shows the discount but not the coupon: only the association or the redemption's request
/// number leads to the order.
fn use_without_naming(shop: &mut Shop, openid: &str, stock: &Stock) {
    let (mut coupon, mut purchase) = visit(shop, openid, stock);
    purchase.lines[0].stock_id.clear();
    purchase.lines[0].coupon_code.clear();
    shop.redeem(&mut coupon, &purchase);
    if stock.stock_id == ASSOCIATED.stock_id || shop.happens(50) {
        shop.associate(&mut coupon, &purchase);
        renumber_redemption(shop, &mut coupon);
    }
    shop.books.sell(&purchase);
    subsidise(shop, &coupon, stock, &purchase);
    shop.books.receive(coupon);
}

/// Refunded in full, coupon returned, subsidy returned, all on the day of the purchase.
fn refund_and_return(shop: &mut Shop, openid: &str, stock: &Stock) {
    let (mut coupon, mut purchase) = visit(shop, openid, stock);
    shop.redeem(&mut coupon, &purchase);
    if stock.stock_id == ASSOCIATED.stock_id {
        shop.associate(&mut coupon, &purchase);
    }
    purchase.mark_refunded();
    shop.books.sell(&purchase);
    let refunded_at = purchase.paid_at + minutes(shop.between(60, 180));
    let refund = shop.refund(purchase.charged_fen, refunded_at);
    shop.books.refund(&purchase, &refund);
    coupon.coupon_return = Some(Event { number: shop.number("RT"), time: refunded_at + minutes(1) });
    if stock.program.is_some() {
        let mut grant = shop.grant(&coupon, stock, &purchase);
        let returned = shop.grant_return(&refund, grant.amount_fen, refunded_at + minutes(2));
        grant.statuses.push((returned.created_at, "FULL_RETURN"));
        shop.books.grant(&grant);
        shop.books.grant_return(&grant, &returned);
    }
    shop.books.receive(coupon);
}

/// One item is refunded, on the same day or the next; the order stays live.
fn refund_a_part(shop: &mut Shop, openid: &str, stock: &Stock) {
    let (mut coupon, mut purchase) = visit(shop, openid, stock);
    shop.associate(&mut coupon, &purchase);
    shop.redeem(&mut coupon, &purchase);
    let part = Fen(shop.between(1, (purchase.charged_fen.0 / 2).max(1)));
    let date = purchase.date();
    if purchase.charged_fen > part && shop.happens(50) {
        purchase.lines[0].refund_fen = part;
        shop.books.sell(&purchase);
        let refund = shop.refund(part, purchase.paid_at + minutes(90));
        shop.books.refund(&purchase, &refund);
    } else if purchase.charged_fen > part {
        shop.books.sell(&purchase);
        purchase.lines[0].refund_fen = part;
        shop.books.export(&purchase, next(date));
        let refund = shop.refund(part, at(next(date), 11, 0));
        shop.books.refund(&purchase, &refund);
    } else {
        shop.books.sell(&purchase);
    }
    subsidise(shop, &coupon, stock, &purchase);
    shop.books.receive(coupon);
}

fn buy_without_coupon(shop: &mut Shop, openid: &str) {
    let date = shop.any_night();
    let moment = shop.opening_hours(date);
    let mut purchase = shop.plain_order(openid, moment);
    if shop.happens(20) {
        purchase.pay_by_alipay();
    }
    shop.books.sell(&purchase);
}

/// A coupon and the order that claims it, on some night.
fn visit(shop: &mut Shop, openid: &str, stock: &Stock) -> (Coupon, Purchase) {
    let date = shop.any_night();
    shop.visit_of(openid, stock, date)
}

/// Some tills redeem under a number of their own.
fn renumber_redemption(shop: &mut Shop, coupon: &mut Coupon) {
    let number = shop.number("HX");
    if let Some(redemption) = &mut coupon.redemption {
        redemption.number = number;
    }
}

/// A WeChat voucher paid a part: of the platform's money, or of the merchant's, which is not
/// settled. 订单金额 stays the amount that the merchant charged (reference v3 §4.4).
fn sell_with_voucher(shop: &mut Shop, purchase: &Purchase) {
    shop.books.export(purchase, purchase.date());
    let voucher = Fen(shop.between(1, 100).min(purchase.charged_fen.0 / 2));
    let unsettled = if shop.happens(50) { voucher } else { Fen::ZERO };
    let entry = BillEntry::Payment { order_fen: purchase.charged_fen, favor_fen: voucher, unsettled_fen: unsettled };
    if !purchase.transaction_id.is_empty() && purchase.charged_fen > Fen::ZERO {
        shop.books.bill_entry(purchase, purchase.paid_at, entry);
    }
}

/// Orders and pays what the programme owes, if the stock has one.
pub(super) fn subsidise(shop: &mut Shop, coupon: &Coupon, stock: &Stock, purchase: &Purchase) {
    if stock.program.is_some() {
        let grant = shop.grant(coupon, stock, purchase);
        shop.books.grant(&grant);
    }
}

/// Uploaded codes that are not dispatched yet.
pub(super) fn fill_pool(shop: &mut Shop) {
    let upload_time = at(earlier(shop.calendar.first(), 90), 10, 0);
    let spare = shop.users.len() as u64 / 10 + 5;
    for _ in 0..spare {
        let code = POOL.code_mode.code(shop.next_serial(), shop.calendar.first());
        let code = Code { code, upload_time, dispatched_time: None, openid: None };
        shop.books.world.codes.entry(POOL.stock_id.to_owned()).or_default().push(code);
    }
}

#[cfg(test)]
mod tests {
    use super::super::calendar::last_second;
    use super::super::recipe::Recipe;
    use super::*;

    #[test]
    fn pool_coupons_are_all_received_before_the_first_night() {
        let mut shop = Shop::open(&Recipe::sample());
        live(&mut shop);
        let first = at(shop.calendar.first(), 0, 0);
        let codes = &shop.books.world.codes[POOL.stock_id];
        assert!(codes.len() > 10);
        assert!(codes.iter().all(|code| code.dispatched_time.unwrap() < first));
    }

    #[test]
    fn an_expired_life_ends_on_a_night_at_its_last_second() {
        let mut shop = Shop::open(&Recipe::sample());
        let openid = shop.user();
        expire(&mut shop, &openid, &ASSOCIATED);
        let expire_time = shop.books.world.coupons[0].expire_time;
        let date = crate::clock::business_date_of(expire_time);
        assert!(shop.calendar.holds(date));
        assert_eq!(expire_time, last_second(date));
    }
}
