//! Lasting faults: of stock and voucher counts (ST01–ST04, V201–V203) from the first night on, of
//! datacube figures (DC01, DC04) from their day on.

use chrono::NaiveDate;
use serde_json::{Value, json};

use crate::simulator::generate::calendar::at;
use crate::simulator::generate::cards::{ACCOUNT_CALL, DETAIL_CALL};
use crate::simulator::generate::catalog::{DISCOUNT, FRANCHISE, MAX_COUPONS_PER_USER, POOL};
use crate::simulator::generate::shop::Shop;
use crate::simulator::generate::truth::{Key, Planted};
use crate::simulator::generate::vouchers;

#[cfg(test)]
pub(super) const RULES: &[&str] = &["ST01", "ST02", "ST03", "ST04", "V201", "V202", "V203", "DC01", "DC04"];

/// Faults that must be in the wallets before they are counted.
pub(in super::super) fn plant_in_wallets(shop: &mut Shop) {
    user_over_the_limit(shop);
}

/// Faults in answers that were counted correctly.
pub(in super::super) fn plant_in_answers(shop: &mut Shop) {
    sent_less_than_observed(shop);
    sent_more_than_the_budget(shop);
    pool_counts_one_more(shop);
    more_vouchers_than_the_total(shop);
    voucher_budget_differs(shop);
    voucher_active_after_its_end(shop);
    for date in shop.calendar.dates() {
        account_figure_differs(shop, date, 0, "view_cnt");
        account_figure_differs(shop, date, 1, "verify_cnt");
        member_detail_differs(shop, date);
    }
}

/// One coupon more than the stock allows a user, all before the first night.
fn user_over_the_limit(shop: &mut Shop) {
    let openid = shop.user();
    for _ in 0..=MAX_COUPONS_PER_USER {
        let receive_time = shop.before_first_night();
        let coupon = shop.coupon(&openid, &FRANCHISE, receive_time);
        shop.books.receive(coupon);
    }
    let key = Key { openid, ..Key::stock(FRANCHISE.stock_id) };
    plant_from_first_night(shop, "ST04", key);
}

/// The stock says it sent half of what lay in wallets before the first night.
fn sent_less_than_observed(shop: &mut Shop) {
    let first = at(shop.calendar.first(), 0, 0);
    let received = |coupon: &&crate::simulator::world::Coupon| {
        coupon.stock_id == FRANCHISE.stock_id && coupon.receive_time < first
    };
    let observed = shop.books.world.coupons.iter().filter(received).count();
    set(shop, FRANCHISE.stock_id, "/send_count_information/total_send_num", json!(observed / 2));
    plant_from_first_night(shop, "ST01", Key::stock(FRANCHISE.stock_id));
}

fn sent_more_than_the_budget(shop: &mut Shop) {
    let sent = number(shop, DISCOUNT.stock_id, "/send_count_information/total_send_num");
    set(shop, DISCOUNT.stock_id, "/stock_send_rule/max_coupons", json!(sent - 1));
    plant_from_first_night(shop, "ST02", Key::stock(DISCOUNT.stock_id));
}

fn pool_counts_one_more(shop: &mut Shop) {
    let available = number(shop, POOL.stock_id, "/coupon_code_count/available_count");
    set(shop, POOL.stock_id, "/coupon_code_count/available_count", json!(available - 1));
    plant_from_first_night(shop, "ST03", Key::stock(POOL.stock_id));
}

fn more_vouchers_than_the_total(shop: &mut Shop) {
    let excess = shop.between(1, 9);
    vouchers::add(&mut shop.books.world, vouchers::OVERSENT, "is_send_num", vouchers::TOTAL + excess);
    plant_from_first_night(shop, "V201", Key::stock(vouchers::OVERSENT));
}

fn voucher_budget_differs(shop: &mut Shop) {
    let excess = shop.between(1, 900);
    vouchers::add(&mut shop.books.world, vouchers::MISBUDGETED, "coupon_budget", excess);
    plant_from_first_night(shop, "V202", Key::stock(vouchers::MISBUDGETED));
}

fn voucher_active_after_its_end(shop: &mut Shop) {
    vouchers::end_before(&mut shop.books.world, vouchers::OVERDUE, shop.calendar.first());
    plant_from_first_night(shop, "V203", Key::stock(vouchers::OVERDUE));
}

/// The account's counter is not the sum over its cards.
fn account_figure_differs(shop: &mut Shop, date: NaiveDate, cond_source: i64, counter: &str) {
    let off = shop.between(1, 40);
    change(shop, &Counter { call: ACCOUNT_CALL, date, cond_source: Some(cond_source), name: counter }, off);
    let subject = format!("card_account_daily;cond_source={cond_source};{counter}");
    shop.plant(Planted::new("DC01", Key::figure(date, subject), date));
}

/// The first member card's counter is not what the totals say.
fn member_detail_differs(shop: &mut Shop, date: NaiveDate) {
    let off = shop.between(1, 15);
    change(shop, &Counter { call: DETAIL_CALL, date, cond_source: None, name: "receive_cnt" }, off);
    let subject = "member_card_detail_daily;receive_cnt".to_owned();
    shop.plant(Planted::new("DC04", Key::figure(date, subject), date));
}

/// A counter in the first row of a call and day.
struct Counter<'a> {
    call: &'a str,
    date: NaiveDate,
    cond_source: Option<i64>,
    name: &'a str,
}

/// Adds `off` to a counter.
fn change(shop: &mut Shop, counter: &Counter<'_>, off: i64) {
    let ref_date = counter.date.to_string();
    let mut rows = shop.books.world.datacube.get_mut(counter.call).into_iter().flatten();
    let row = rows.find(|row| row.ref_date == ref_date && row.cond_source == counter.cond_source);
    if let Some(figure) = row.and_then(|row| row.row.get_mut(counter.name)) {
        *figure = json!(figure.as_i64().unwrap_or_default() + off);
    }
}

fn plant_from_first_night(shop: &mut Shop, rule_id: &'static str, key: Key) {
    let first = shop.calendar.first();
    shop.plant(Planted::new(rule_id, key, first));
}

/// A number in the answer of a stock.
fn number(shop: &Shop, stock_id: &str, pointer: &str) -> i64 {
    let answer = Value::Object(shop.books.world.stocks[stock_id].clone());
    answer.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
}

/// Replaces a member of the answer of a stock; `pointer` is `/<object>/<member>`.
fn set(shop: &mut Shop, stock_id: &str, pointer: &str, value: Value) {
    let (object, member) = pointer.trim_start_matches('/').split_once('/').unwrap_or((pointer, ""));
    if let Some(answer) = shop.books.world.stocks.get_mut(stock_id) {
        answer[object][member] = value;
    }
}
