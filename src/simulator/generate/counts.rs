//! The stocks' answers with their counts, computed from wallets and pool at the end of all days,
//! with fields and enum values that no client knows.

use std::collections::BTreeMap;

use serde_json::json;

use super::catalog::{ASSOCIATED, CATALOG, FRANCHISE, POOL, Stock};
use super::shop::Shop;

/// Writes the answer of every stock.
pub(super) fn count(shop: &mut Shop) {
    let mut issued: BTreeMap<&str, i64> = BTreeMap::new();
    for coupon in &shop.books.world.coupons {
        *issued.entry(coupon.stock_id.as_str()).or_default() += 1;
    }
    let issued = CATALOG.map(|stock| issued.get(stock.stock_id).copied().unwrap_or_default());
    for (stock, issued) in CATALOG.into_iter().zip(issued) {
        let answer = stock.answer(shop.kind, shop.calendar, issued);
        shop.books.world.stocks.insert(stock.stock_id.to_owned(), answer);
    }
    count_codes(shop, &POOL);
    surprise(shop);
}

fn count_codes(shop: &mut Shop, stock: &Stock) {
    let codes = shop.books.world.codes.entry(stock.stock_id.to_owned()).or_default();
    let available = codes.iter().filter(|code| code.dispatched_time.is_none()).count();
    let counts = json!({"total_count": codes.len(), "available_count": available});
    if let Some(answer) = shop.books.world.stocks.get_mut(stock.stock_id) {
        answer.insert("coupon_code_count".to_owned(), counts);
    }
}

/// New fields and enum values may come at any time (reference v3 §0, §1.8); none is a fault.
fn surprise(shop: &mut Shop) {
    let stocks = &mut shop.books.world.stocks;
    if let Some(answer) = stocks.get_mut(FRANCHISE.stock_id) {
        answer.insert("stock_state".to_owned(), json!("RUNNING_UNDER_REVIEW"));
        answer["coupon_use_rule"]["use_method"] = json!("PALM_PAYMENT");
    }
    if let Some(answer) = stocks.get_mut(ASSOCIATED.stock_id) {
        answer.insert("brand_id".to_owned(), json!(120_344));
        answer.insert("store_scope".to_owned(), json!({"mode": "ALL", "store_ids": []}));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{lives, recipe::Recipe};
    use super::*;

    #[test]
    fn the_pool_counts_what_was_dispatched() {
        let mut shop = Shop::open(&Recipe::sample());
        lives::live(&mut shop);
        lives::fill_pool(&mut shop);
        count(&mut shop);
        let in_wallets = shop.books.world.coupons.iter().filter(|coupon| coupon.stock_id == POOL.stock_id).count();
        let counts = &shop.books.world.stocks[POOL.stock_id]["coupon_code_count"];
        let dispatched = counts["total_count"].as_u64().unwrap() - counts["available_count"].as_u64().unwrap();
        assert_eq!(dispatched, in_wallets as u64);
        assert!(dispatched > 0 && counts["available_count"].as_u64().unwrap() > 0);
    }
}
