//! The v2 vouchers (代金券) of the merchant: fields of query_coupon_stock and querycouponsinfo
//! (reference v2 §B.2, §B.3). Every value is text, as in the XML.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use crate::simulator::world::World;

use super::calendar::{Calendar, at, earlier, last_second, later};

/// A stock without a fault.
pub(super) const SOUND: &str = "9728595";
/// Planted: more sent than made.
pub(super) const OVERSENT: &str = "9728601";
/// Planted: budget is not value × total.
pub(super) const MISBUDGETED: &str = "9728602";
/// Planted: active although it ended.
pub(super) const OVERDUE: &str = "9728603";
/// All of them.
pub(super) const STOCK_IDS: [&str; 4] = [SOUND, OVERSENT, MISBUDGETED, OVERDUE];
/// Vouchers of a stock.
pub(super) const TOTAL: i64 = 500;

const VALUE_FEN: i64 = 200;

/// A voucher of somebody, asked by `v2-coupons.csv`.
pub(super) struct Voucher {
    pub(super) coupon_id: &'static str,
    /// Whose, by place in the roster.
    pub(super) user: usize,
    pub(super) stock_id: &'static str,
    is_used: bool,
}

/// Vouchers the job asks for one by one.
pub(super) static VOUCHERS: [Voucher; 3] = [
    Voucher { coupon_id: "4242", user: 0, stock_id: SOUND, is_used: false },
    Voucher { coupon_id: "4243", user: 1, stock_id: SOUND, is_used: true },
    Voucher { coupon_id: "4244", user: 2, stock_id: MISBUDGETED, is_used: false },
];

/// Enters stocks and vouchers, all of them sound.
pub(super) fn issue(world: &mut World, calendar: Calendar, users: &[String]) {
    for stock_id in STOCK_IDS {
        world.v2_stocks.insert(stock_id.to_owned(), stock(stock_id, calendar));
    }
    for voucher in &VOUCHERS {
        let mut fields = fields(voucher, calendar);
        // Not answered; the server compares it with the openid of the question.
        fields.insert("openid".to_owned(), users[voucher.user].clone());
        world.v2_coupons.insert(voucher.coupon_id.to_owned(), fields);
    }
}

/// Adds to a number of a stock; an absent one counts as zero.
pub(super) fn add(world: &mut World, stock_id: &str, field: &str, more: i64) {
    let fields = world.v2_stocks.entry(stock_id.to_owned()).or_default();
    let before = fields.get(field).and_then(|text| text.parse::<i64>().ok()).unwrap_or_default();
    fields.insert(field.to_owned(), (before + more).to_string());
}

/// Lets a stock end on the day before `date`.
pub(super) fn end_before(world: &mut World, stock_id: &str, date: NaiveDate) {
    let fields = world.v2_stocks.entry(stock_id.to_owned()).or_default();
    put_time(fields, "end_time", last_second(earlier(date, 1)));
}

fn stock(stock_id: &str, calendar: Calendar) -> BTreeMap<String, String> {
    let mut fields = texts(&[
        ("coupon_stock_id", stock_id),
        ("coupon_name", "2元代金券"),
        ("coupon_stock_status", "4"),
        ("max_quota", "1"),
    ]);
    put_number(&mut fields, "coupon_value", VALUE_FEN);
    // The wire's own spelling (reference v2 §B.2).
    put_number(&mut fields, "coupon_mininumn", 2000);
    put_number(&mut fields, "coupon_total", TOTAL);
    put_number(&mut fields, "coupon_budget", VALUE_FEN * TOTAL);
    put_number(&mut fields, "is_send_num", 20);
    let created = at(earlier(calendar.first(), 31), 17, 20);
    put_time(&mut fields, "begin_time", at(earlier(calendar.first(), 30), 0, 0));
    put_time(&mut fields, "end_time", last_second(later(calendar.last(), 60)));
    put_time(&mut fields, "create_time", created);
    fields
}

fn fields(voucher: &Voucher, calendar: Calendar) -> BTreeMap<String, String> {
    let mut fields = texts(&[
        ("coupon_stock_id", voucher.stock_id),
        ("coupon_id", voucher.coupon_id),
        ("coupon_name", "2元代金券"),
        ("coupon_state", if voucher.is_used { "USED" } else { "SENDED" }),
        ("coupon_desc", "微信支付-代金券"),
        ("send_source", "NORMAL"),
        ("is_partial_use", "0"),
    ]);
    let used = if voucher.is_used { VALUE_FEN } else { 0 };
    put_number(&mut fields, "coupon_value", VALUE_FEN);
    put_number(&mut fields, "coupon_minimum", 2000);
    put_number(&mut fields, "coupon_use_value", used);
    put_number(&mut fields, "coupon_remain_value", VALUE_FEN - used);
    let begin = at(earlier(calendar.first(), 30), 0, 0);
    put_number(&mut fields, "begin_time", begin.timestamp());
    put_number(&mut fields, "end_time", last_second(later(calendar.last(), 60)).timestamp());
    put_number(&mut fields, "send_time", (begin + super::calendar::minutes(700)).timestamp());
    fields
}

fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn put_number(fields: &mut BTreeMap<String, String>, name: &str, number: i64) {
    fields.insert(name.to_owned(), number.to_string());
}

/// Unix seconds, and the newer twin `<name>_t` in Beijing time.
fn put_time(fields: &mut BTreeMap<String, String>, name: &str, instant: chrono::DateTime<chrono::Utc>) {
    put_number(fields, name, instant.timestamp());
    let local = instant.with_timezone(&crate::clock::beijing());
    fields.insert(format!("{name}_t"), local.format("%Y%m%d%H%M%S").to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users() -> Vec<String> {
        ["o1", "o2", "o3"].map(str::to_owned).to_vec()
    }

    #[test]
    fn a_sound_stock_foots() {
        let mut world = World::default();
        let first = NaiveDate::from_ymd_opt(2026, 11, 18).unwrap();
        issue(&mut world, Calendar::new(first, 3), &users());
        let number = |field: &str| world.v2_stocks[SOUND][field].parse::<i64>().unwrap();
        assert_eq!(number("coupon_budget"), number("coupon_value") * number("coupon_total"));
        assert!(number("is_send_num") <= number("coupon_total"));
        assert_eq!(world.v2_stocks[SOUND]["begin_time_t"], "20261019000000");
    }

    #[test]
    fn a_voucher_is_used_in_full_or_not_at_all() {
        let mut world = World::default();
        issue(&mut world, Calendar::new(NaiveDate::from_ymd_opt(2026, 11, 18).unwrap(), 3), &users());
        for fields in world.v2_coupons.values() {
            let number = |field: &str| fields[field].parse::<i64>().unwrap();
            assert_eq!(number("coupon_use_value") + number("coupon_remain_value"), number("coupon_value"));
            assert_eq!(fields["coupon_state"] == "USED", number("coupon_use_value") > 0);
        }
    }
}
