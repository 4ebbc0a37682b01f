//! MP cards and their datacube figures (reference MP §D.24–§D.27): account totals are the sums over
//! cards, and member totals those over member details. Faults are planted afterwards.

use chrono::NaiveDate;
use serde_json::{Map, Value, json};

use crate::simulator::world::{DatacubeRow, World};

use super::calendar::{Calendar, at, earlier};
use super::recipe::MerchantKind;
use super::shop::Shop;

/// Totals of the account per day.
pub(super) const ACCOUNT_CALL: &str = "getcardbizuininfo";
/// One member card per day.
pub(super) const DETAIL_CALL: &str = "getcardmembercarddetail";
const CARD_CALL: &str = "getcardcardinfo";
const MEMBER_CALL: &str = "getcardmembercardinfo";

/// Days before the first night that its pull still covers (`repull_days` = 3).
const PULLED_BEFORE_DAYS: u64 = 2;

/// A free coupon: card id, who created it, title.
static FREE_CARDS: [(&str, i64, &str); 4] = [
    ("pRYun8vhOx_HptVD0PUpbrNixlu0", 0, "下午茶双人餐"),
    ("pRYun8vmkWy9im2fOd60AJRJfw68", 0, "早餐组合"),
    ("pRYun8vlpbLoaHpnguo6_COiV8Wy", 1, "新店开业礼"),
    ("pRYun8vuDbMbr241m00CAhtypawp", 1, "周末畅饮"),
];

/// The member cards, created by API.
pub(super) static MEMBER_CARDS: [&str; 2] = ["pRYun8wieuDBzzn7Jed6SBO0ZgaU", "pRYun8tul7AXfGBqK4XLH3PmNuxQ"];

const COUNTERS: [&str; 5] = ["view", "receive", "verify", "given", "expire"];
const MEMBER_COUNTERS: [&str; 4] = ["view", "receive", "verify", "active"];

/// Adds cards and figures.
pub(super) fn issue(shop: &mut Shop) {
    enter_cards(&mut shop.books.world, shop.calendar, shop.kind);
    let from = earlier(shop.calendar.first(), PULLED_BEFORE_DAYS);
    let dates = from.iter_days().take_while(|date| *date <= shop.calendar.last()).collect::<Vec<_>>();
    for (age, date) in (1..).zip(dates) {
        for cond_source in [0, 1] {
            count_free_cards(shop, date, cond_source);
        }
        count_member_cards(shop, date, age);
    }
}

fn count_free_cards(shop: &mut Shop, date: NaiveDate, cond_source: i64) {
    let mut account = Figures::default();
    for (card_id, source, _) in FREE_CARDS {
        if source != cond_source {
            continue;
        }
        let figures = Figures::draw(shop, &COUNTERS);
        account.add(&figures);
        let mut row = figures.row(date);
        row.insert("card_id".to_owned(), json!(card_id));
        for (name, value) in [("card_type", 1), ("is_pay", 0), ("verify_noself_cnt", 0), ("isfriendscard", 0)] {
            row.insert(name.to_owned(), json!(value));
        }
        enter(shop, CARD_CALL, Some(cond_source), date, row);
    }
    let mut row = account.row(date);
    for counter in ["view_friends", "receive_friends", "verify_friends"] {
        row.insert(format!("{counter}_cnt"), json!(0));
        row.insert(format!("{counter}_user"), json!(0));
    }
    enter(shop, ACCOUNT_CALL, Some(cond_source), date, row);
}

fn count_member_cards(shop: &mut Shop, date: NaiveDate, age: i64) {
    let mut total = Figures::default();
    for (card_id, members) in MEMBER_CARDS.into_iter().zip([249, 86]) {
        let figures = Figures::draw(shop, &MEMBER_COUNTERS);
        total.add(&figures);
        let mut row = figures.row(date);
        row.insert("cardid".to_owned(), json!(card_id));
        for (name, value) in [("merchanttype", 2), ("submerchantid", 0), ("total_user", members + 3 * age)] {
            row.insert(name.to_owned(), json!(value));
        }
        for (name, value) in [("new_user", 3), ("payOriginalFee", 0), ("fee", 0)] {
            row.insert(name.to_owned(), json!(value));
        }
        enter(shop, DETAIL_CALL, None, date, row);
    }
    let mut row = total.row(date);
    row.insert("total_user".to_owned(), json!(335 + 6 * age));
    row.insert("total_receive_user".to_owned(), json!(400 + 7 * age));
    enter(shop, MEMBER_CALL, Some(1), date, row);
}

/// Count and distinct users per counter.
#[derive(Default)]
struct Figures(Vec<(&'static str, i64, i64)>);

impl Figures {
    fn draw(shop: &mut Shop, counters: &[&'static str]) -> Figures {
        let mut draw = |counter: &&'static str| {
            let count = shop.between(0, 60);
            let users = if count == 0 { 0 } else { shop.between(1, count) };
            (*counter, count, users)
        };
        Figures(counters.iter().map(&mut draw).collect())
    }

    /// Counts add up; users do not, as the same person may see both cards (reference MP §D.27).
    fn add(&mut self, other: &Figures) {
        if self.0.is_empty() {
            self.0.clone_from(&other.0);
            return;
        }
        for (total, more) in self.0.iter_mut().zip(&other.0) {
            total.1 += more.1;
            total.2 = total.2.max(more.2);
        }
    }

    fn row(&self, date: NaiveDate) -> Map<String, Value> {
        let mut row = Map::new();
        row.insert("ref_date".to_owned(), json!(date.to_string()));
        for (counter, count, users) in &self.0 {
            row.insert(format!("{counter}_cnt"), json!(count));
            row.insert(format!("{counter}_user"), json!(users));
        }
        row
    }
}

fn enter(shop: &mut Shop, call: &str, cond_source: Option<i64>, date: NaiveDate, row: Map<String, Value>) {
    let rows = shop.books.world.datacube.entry(call.to_owned()).or_default();
    rows.push(DatacubeRow { cond_source, ref_date: date.to_string(), row });
}

fn enter_cards(world: &mut World, calendar: Calendar, kind: MerchantKind) {
    for (card_id, _, title) in FREE_CARDS {
        let mut groupon = json!({"base_info": base_info(card_id, title, calendar, kind)});
        groupon["deal_detail"] = json!(title);
        enter_card(world, card_id, json!({"card_type": "GROUPON", "groupon": groupon}));
    }
    for card_id in MEMBER_CARDS {
        let mut base_info = base_info(card_id, "会员卡", calendar, kind);
        base_info["date_info"] = json!({"type": "DATE_TYPE_PERMANENT"});
        let member_card = json!({"base_info": base_info, "supply_bonus": true, "prerogative": "积分换饮品"});
        enter_card(world, card_id, json!({"card_type": "MEMBER_CARD", "member_card": member_card}));
    }
}

fn enter_card(world: &mut World, card_id: &str, card: Value) {
    if let Value::Object(card) = card {
        world.cards.insert(card_id.to_owned(), card);
    }
}

fn base_info(card_id: &str, title: &str, calendar: Calendar, kind: MerchantKind) -> Value {
    let created = at(earlier(calendar.first(), 60), 16, 47).timestamp();
    json!({
        "id": card_id,
        "logo_url": "http://mmbiz.qpic.cn/mmbiz_jpg/XXXX/0",
        "code_type": "CODE_TYPE_TEXT",
        "brand_name": kind.brand(),
        "title": title,
        "date_info": {"type": "DATE_TYPE_FIX_TERM", "fixed_term": 30, "fixed_begin_term": 0},
        "color": "#63b359",
        "notice": "出示此券",
        "description": "全国门店可用",
        "location_id_list": [],
        "status": "CARD_STATUS_VERIFY_OK",
        "sku": {"quantity": 49_870, "total_quantity": 50_000},
        "create_time": created,
        "update_time": created + 10,
    })
}

#[cfg(test)]
mod tests {
    use super::super::recipe::Recipe;
    use super::*;

    fn sum(world: &World, call: &str, ref_date: &str, cond_source: Option<i64>, counter: &str) -> i64 {
        let rows = world.datacube[call].iter();
        rows.filter(|row| row.ref_date == ref_date && (cond_source.is_none() || row.cond_source == cond_source))
            .map(|row| row.row[counter].as_i64().unwrap())
            .sum()
    }

    #[test]
    fn account_and_member_counters_are_the_sums_over_their_cards() {
        let mut shop = Shop::open(&Recipe::sample());
        issue(&mut shop);
        let world = &shop.books.world;
        for ref_date in ["2026-11-16", "2026-11-17", "2026-11-18", "2026-11-19", "2026-11-20"] {
            for counter in COUNTERS.map(|counter| format!("{counter}_cnt")) {
                for source in [Some(0), Some(1)] {
                    let account = sum(world, ACCOUNT_CALL, ref_date, source, &counter);
                    assert_eq!(account, sum(world, CARD_CALL, ref_date, source, &counter), "{ref_date} {counter}");
                }
            }
            for counter in MEMBER_COUNTERS.map(|counter| format!("{counter}_cnt")) {
                let total = sum(world, MEMBER_CALL, ref_date, None, &counter);
                assert_eq!(total, sum(world, DETAIL_CALL, ref_date, None, &counter), "{ref_date} {counter}");
            }
        }
        assert!(world.datacube[ACCOUNT_CALL].iter().all(|row| row.ref_date.as_str() >= "2026-11-16"));
    }
}
