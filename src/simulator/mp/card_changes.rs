//! Writes to cards: create, update, delete, stock, cells, white list, QR codes, landing pages
//! (reference MP §D.1–§D.6, §D.12, §D.15, §D.16). Cards are not reviewed: a new card stays
//! unverified.

use serde_json::{Value, json};

use super::body::{Fields, integer, object, read_body, text, truth};
use super::errcode::{done, refuse};
use crate::simulator::answer::Answer;
use crate::simulator::exchange::Exchange;
use crate::simulator::memory::{Memory, held};
use crate::simulator::signature::serial_text;

/// Kinds of cards (reference MP §D); the payload stands under the lower-case name.
const CARD_TYPES: [&str; 11] = [
    "GROUPON",
    "CASH",
    "DISCOUNT",
    "GIFT",
    "GENERAL_COUPON",
    "MEMBER_CARD",
    "GENERAL_CARD",
    "MEETING_TICKET",
    "SCENIC_TICKET",
    "MOVIE_TICKET",
    "BOARDING_PASS",
];
/// Changing one of these sends a card back to review (reference MP §D.15).
const REVIEWED: [&str; 4] = ["logo_url", "notice", "description", "color"];
/// The largest white list, openids and user names together.
const LARGEST_WHITELIST: usize = 10;
/// The most cards of one QR code.
const MOST_QR_CARDS: usize = 5;

/// A new card, unverified.
pub(super) fn create(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let body: Fields = read_body(exchange)?;
    let mut card = object(&body, "card").cloned().unwrap_or_default();
    if !CARD_TYPES.contains(&text(&card, "card_type")) {
        return Err(refuse(exchange, 40097, "invalid args: card_type"));
    }
    let card_id = format!("p{}", serial_text("card", exchange.serial, 27));
    let now = exchange.world_now.timestamp();
    let base = base_info(&mut card).ok_or_else(|| refuse(exchange, 40097, "invalid args: base_info"))?;
    base.insert("id".into(), card_id.as_str().into());
    base.insert("status".into(), "CARD_STATUS_NOT_VERIFY".into());
    base.insert("create_time".into(), now.into());
    base.insert("update_time".into(), now.into());
    if let Some(sku) = base.get_mut("sku").and_then(Value::as_object_mut) {
        let quantity = sku.get("quantity").cloned().unwrap_or_else(|| 0.into());
        sku.insert("total_quantity".into(), quantity);
    }
    held(&exchange.office.memory).world.cards.insert(card_id.clone(), card);
    Ok(done(&json!({"card_id": card_id})))
}

/// New values under `base_info`; some send the card back to review.
pub(super) fn update(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let body: Fields = read_body(exchange)?;
    let mut memory = held(&exchange.office.memory);
    let card = known(exchange, &mut memory, text(&body, "card_id"))?;
    let kind = text(card, "card_type").to_ascii_lowercase();
    let changes = object(&body, &kind).and_then(|payload| object(payload, "base_info")).cloned().unwrap_or_default();
    let send_check = changes.keys().any(|key| REVIEWED.contains(&key.as_str()));
    let base = base_info(card).ok_or_else(|| refuse(exchange, 40097, "invalid args: base_info"))?;
    base.extend(changes);
    base.insert("update_time".into(), exchange.world_now.timestamp().into());
    if send_check {
        base.insert("status".into(), "CARD_STATUS_NOT_VERIFY".into());
    }
    Ok(done(&json!({"send_check": send_check})))
}

/// A deleted card stays readable; codes in wallets stay valid.
pub(super) fn delete(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let body: Fields = read_body(exchange)?;
    let mut memory = held(&exchange.office.memory);
    let card = known(exchange, &mut memory, text(&body, "card_id"))?;
    if let Some(base) = base_info(card) {
        base.insert("status".into(), "CARD_STATUS_DELETE".into());
    }
    Ok(done(&json!({})))
}

/// More or fewer cards to give out; what is left cannot go below none.
pub(super) fn modify_stock(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let body: Fields = read_body(exchange)?;
    let change = integer(&body, "increase_stock_value") - integer(&body, "reduce_stock_value");
    let mut memory = held(&exchange.office.memory);
    let card = known(exchange, &mut memory, text(&body, "card_id"))?;
    let invalid = || refuse(exchange, 40097, "invalid args: stock value");
    let base = base_info(card).ok_or_else(invalid)?;
    let sku = base.entry("sku").or_insert_with(|| json!({"quantity": 0, "total_quantity": 0}));
    let sku = sku.as_object_mut().ok_or_else(invalid)?;
    let (quantity, total) = (integer(sku, "quantity") + change, integer(sku, "total_quantity") + change);
    if quantity < 0 {
        return Err(invalid());
    }
    sku.insert("quantity".into(), quantity.into());
    sku.insert("total_quantity".into(), total.into());
    Ok(done(&json!({})))
}

/// Paying from the card page needs a store on the card.
pub(super) fn set_pay_cell(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let body: Fields = read_body(exchange)?;
    let mut memory = held(&exchange.office.memory);
    let card = known(exchange, &mut memory, text(&body, "card_id"))?;
    let stores = base_info(card).and_then(|base| base.get("location_id_list")?.as_array().map(Vec::len));
    if stores.unwrap_or(0) == 0 {
        return Err(refuse(exchange, 43017, "require location id"));
    }
    switch(card, "pay_cell", truth(&body, "is_open"));
    Ok(done(&json!({})))
}

/// Redeeming by oneself; live accounts get away without a store.
pub(super) fn set_self_consume_cell(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let body: Fields = read_body(exchange)?;
    let mut memory = held(&exchange.office.memory);
    let card = known(exchange, &mut memory, text(&body, "card_id"))?;
    switch(card, "self_consume_cell", truth(&body, "is_open"));
    Ok(done(&json!({})))
}

fn switch(card: &mut Fields, cell: &str, is_open: bool) {
    if let Some(base) = base_info(card) {
        base.insert(cell.to_owned(), is_open.into());
    }
}

/// Replaces the white list of testers; it has no reader, so only its size is answered.
pub(super) fn set_test_whitelist(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let body: Fields = read_body(exchange)?;
    let list = |key: &str| body.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let (openids, usernames) = (list("openid"), list("username"));
    let size = openids.len() + usernames.len();
    if size > LARGEST_WHITELIST {
        return Err(refuse(exchange, 40097, "invalid args: too many testers"));
    }
    Ok(done(&json!({"white_list_size": size, "success_openid": openids, "success_username": usernames})))
}

/// A QR code for one card or several; a deleted card has none.
pub(super) fn create_qrcode(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let body: Fields = read_body(exchange)?;
    let (cards, longest_seconds) = qr_cards(&body);
    if cards.is_empty() || cards.len() > MOST_QR_CARDS {
        return Err(refuse(exchange, 40097, "invalid args: action_info"));
    }
    all_deliverable(exchange, &cards)?;
    let expire_seconds = body.get("expire_seconds").and_then(Value::as_i64).unwrap_or(longest_seconds);
    let ticket = format!("gQ{}", serial_text("ticket", exchange.serial, 40));
    Ok(done(&json!({
        "ticket": ticket, "expire_seconds": expire_seconds,
        "url": format!("http://weixin.qq.com/q/{ticket}"),
        "show_qrcode_url": format!("https://mp.weixin.qq.com/cgi-bin/showqrcode?ticket={ticket}"),
    })))
}

/// The cards of a code, and how many seconds such a code lives unless it is told otherwise.
fn qr_cards(body: &Fields) -> (Vec<Value>, i64) {
    let action = object(body, "action_info");
    match text(body, "action_name") {
        "QR_CARD" => {
            let card = action.and_then(|it| object(it, "card"));
            (card.into_iter().cloned().map(Value::Object).collect(), 31_536_000)
        }
        "QR_MULTIPLE_CARD" => {
            let list = action.and_then(|it| object(it, "multiple_card")?.get("card_list")?.as_array());
            (list.cloned().unwrap_or_default(), 7_776_000)
        }
        _ => (Vec::new(), 0),
    }
}

/// A page of cards.
pub(super) fn create_landing_page(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let body: Fields = read_body(exchange)?;
    let cards = body.get("card_list").and_then(Value::as_array).cloned().unwrap_or_default();
    if cards.is_empty() || !text(&body, "scene").starts_with("SCENE_") {
        return Err(refuse(exchange, 40097, "invalid args: card_list or scene"));
    }
    all_deliverable(exchange, &cards)?;
    let page_id = exchange.serial;
    Ok(done(
        &json!({"url": format!("https://mp.weixin.qq.com/bizmall/cardshelf?shelf_id={page_id}"), "page_id": page_id}),
    ))
}

fn all_deliverable(exchange: &Exchange<'_>, cards: &[Value]) -> Result<(), Answer> {
    let mut memory = held(&exchange.office.memory);
    for link in cards {
        let card_id = link.get("card_id").and_then(Value::as_str).unwrap_or_default();
        let card = known(exchange, &mut memory, card_id)?;
        let is_deleted = base_info(card).is_some_and(|base| text(base, "status") == "CARD_STATUS_DELETE");
        if is_deleted {
            return Err(refuse(exchange, 40078, "invalid card status"));
        }
    }
    Ok(())
}

/// The card of an id.
pub(super) fn known<'m>(
    exchange: &Exchange<'_>,
    memory: &'m mut Memory,
    card_id: &str,
) -> Result<&'m mut Fields, Answer> {
    memory.world.cards.get_mut(card_id).ok_or_else(|| refuse(exchange, 40073, "invalid card id"))
}

fn base_info(card: &mut Fields) -> Option<&mut Fields> {
    let kind = text(card, "card_type").to_ascii_lowercase();
    card.get_mut(&kind)?.get_mut("base_info")?.as_object_mut()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::probe::Probe;

    fn groupon() -> Value {
        json!({"card": {"card_type": "GROUPON", "groupon": {"deal_detail": "双人餐", "base_info": {
            "title": "团购", "sku": {"quantity": 100},
        }}}})
    }

    #[tokio::test]
    async fn a_created_card_is_listed_read_changed_and_deleted() {
        let probe = Probe::start("").await;
        let card_id = probe.mp("/card/create", groupon()).await.json()["card_id"].as_str().unwrap().to_owned();
        let base = async || {
            probe.mp("/card/get", json!({"card_id": card_id})).await.json()["card"]["groupon"]["base_info"].clone()
        };
        let fresh = base().await;
        assert_eq!(
            (&fresh["status"], &fresh["sku"]["total_quantity"]),
            (&"CARD_STATUS_NOT_VERIFY".into(), &100.into())
        );
        let change = json!({"card_id": card_id, "groupon": {"base_info": {"notice": "出示二维码"}}});
        assert_eq!(probe.mp("/card/update", change).await.json()["send_check"], true);
        let change = json!({"card_id": card_id, "groupon": {"base_info": {"get_limit": 3}}});
        assert_eq!(probe.mp("/card/update", change).await.json()["send_check"], false);
        probe.mp("/card/modifystock", json!({"card_id": card_id, "reduce_stock_value": 40})).await;
        let changed = base().await;
        assert_eq!((&changed["notice"], &changed["get_limit"]), (&"出示二维码".into(), &3.into()));
        assert_eq!((&changed["sku"]["quantity"], &changed["sku"]["total_quantity"]), (&60.into(), &60.into()));
        probe.mp("/card/delete", json!({"card_id": card_id})).await;
        assert_eq!(base().await["status"], "CARD_STATUS_DELETE");
        let qr = json!({"action_name": "QR_CARD", "action_info": {"card": {"card_id": card_id}}});
        assert_eq!(probe.mp("/card/qrcode/create", qr).await.json()["errcode"], 40078);
    }

    #[tokio::test]
    async fn wrong_cards_are_refused_with_their_codes() {
        let probe = Probe::start("").await;
        let cases = [
            ("/card/create", json!({"card": {"card_type": "HOLOGRAM"}}), 40097),
            ("/card/create", json!({"card": {"card_type": "CASH"}}), 40097),
            ("/card/update", json!({"card_id": "p9"}), 40073),
            ("/card/delete", json!({}), 40073),
            ("/card/modifystock", json!({"card_id": "p1", "reduce_stock_value": 1}), 40097),
            ("/card/paycell/set", json!({"card_id": "p1", "is_open": true}), 43017),
            ("/card/selfconsumecell/set", json!({"card_id": "p9"}), 40073),
            ("/card/testwhitelist/set", json!({"openid": (0..11).collect::<Vec<_>>()}), 40097),
            ("/card/qrcode/create", json!({"action_name": "QR_CARD"}), 40097),
            ("/card/landingpage/create", json!({"scene": "SCENE_H5", "card_list": [{"card_id": "p9"}]}), 40073),
        ];
        for (path, body, errcode) in cases {
            assert_eq!(probe.mp(path, body.clone()).await.json()["errcode"], errcode, "{path} {body}");
        }
    }

    #[tokio::test]
    async fn deliveries_have_the_documented_answers() {
        let probe = Probe::start("").await;
        let many = json!({"action_name": "QR_MULTIPLE_CARD", "action_info": {"multiple_card": {"card_list": [{"card_id": "p1"}, {"card_id": "p2"}]}}});
        let qr = probe.mp("/card/qrcode/create", many).await.json();
        assert_eq!((&qr["errcode"], &qr["expire_seconds"]), (&0.into(), &7_776_000.into()));
        let page = json!({"scene": "SCENE_H5", "page_title": "券", "card_list": [{"card_id": "p1"}]});
        assert!(probe.mp("/card/landingpage/create", page).await.json()["page_id"].is_u64());
        let list = probe.mp("/card/testwhitelist/set", json!({"openid": ["o1"], "username": ["tom"]})).await.json();
        assert_eq!(list["white_list_size"], 2);
        assert_eq!(
            probe.mp("/card/selfconsumecell/set", json!({"card_id": "p1", "is_open": true})).await.json()["errcode"],
            0
        );
    }
}
