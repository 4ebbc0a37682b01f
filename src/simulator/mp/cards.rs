//! Cards and codes: batchget, get, code/get, user/getcardlist (reference MP §D.7, §D.10, §D.11, §D.14).

use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Fields, read_body};
use super::errcode::{done, refuse};
use crate::simulator::answer::Answer;
use crate::simulator::exchange::Exchange;
use crate::simulator::memory::held;
use crate::simulator::paging::{Asked, OffsetMeaning, cut};
use crate::simulator::state::card_status_as_of;
use crate::simulator::world::CardCode;

/// The largest page of card ids.
const LARGEST_PAGE: usize = 50;

#[derive(Deserialize)]
struct ListRequest {
    offset: usize,
    count: usize,
    #[serde(default)]
    status_list: Vec<String>,
}

/// A page of card ids.
pub(super) fn list(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let request: ListRequest = read_body(exchange)?;
    if request.count == 0 || request.count > LARGEST_PAGE {
        return Err(refuse(exchange, 40097, "invalid args: count"));
    }
    let memory = held(&exchange.office.memory);
    let is_asked = |card: &Fields| {
        request.status_list.is_empty()
            || status(card).is_some_and(|status| request.status_list.iter().any(|s| s == status))
    };
    let ids = memory.world.cards.iter().filter(|(_, card)| is_asked(card));
    let ids: Vec<&str> = ids.map(|(id, _)| id.as_str()).collect();
    let asked = Asked { offset: request.offset, limit: request.count };
    let page = cut(&ids, asked, OffsetMeaning::Rows, exchange.fault_kind());
    Ok(done(&json!({"card_id_list": page.rows, "total_num": page.total, "card_list": []})))
}

fn status(card: &Fields) -> Option<&str> {
    let kind = card.get("card_type")?.as_str()?.to_ascii_lowercase();
    card.get(&kind)?.get("base_info")?.get("status")?.as_str()
}

#[derive(Deserialize)]
struct GetRequest {
    #[serde(default)]
    card_id: String,
}

/// A card.
pub(super) fn get(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let request: GetRequest = read_body(exchange)?;
    let memory = held(&exchange.office.memory);
    let card = memory.world.cards.get(&request.card_id);
    let card = card.ok_or_else(|| refuse(exchange, 40073, "invalid card id"))?;
    Ok(done(&json!({"card": card})))
}

#[derive(Deserialize)]
struct CodeRequest {
    code: String,
    #[serde(default)]
    card_id: String,
    #[serde(default)]
    check_consume: bool,
}

/// A code; with `check_consume` only one that can be consumed is shown.
pub(super) fn get_code(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let request: CodeRequest = read_body(exchange)?;
    let memory = held(&exchange.office.memory);
    let is_asked =
        |code: &&CardCode| code.code == request.code && (request.card_id.is_empty() || code.card_id == request.card_id);
    let code = memory.world.card_codes.iter().find(is_asked);
    let known = code.and_then(|code| Some((code, card_status_as_of(code, exchange.world_now)?)));
    let (code, status) = known.ok_or_else(|| refuse(exchange, 40056, "invalid serial code"))?;
    let can_consume = status == "NORMAL";
    if request.check_consume && !can_consume {
        return Err(refuse(exchange, 40127, "invalid user-card status!"));
    }
    let status = exchange.unknown_state("FROZEN").unwrap_or_else(|| status.to_owned());
    let card =
        json!({"card_id": code.card_id, "begin_time": code.begin_time, "end_time": code.end_time, "code": code.code});
    let body = json!({"card": card, "openid": code.openid, "can_consume": can_consume, "user_card_status": status});
    Ok(done(&body))
}

#[derive(Deserialize)]
struct UserRequest {
    openid: String,
    #[serde(default)]
    card_id: String,
}

/// The cards of a wallet, in every state, without pages.
pub(super) fn list_of_user(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let request: UserRequest = read_body(exchange)?;
    let memory = held(&exchange.office.memory);
    let codes = memory.world.card_codes.iter().filter(|code| code.openid == request.openid);
    let codes: Vec<&CardCode> = codes.filter(|code| code.receive_time <= exchange.world_now).collect();
    if codes.is_empty() {
        return Err(refuse(exchange, 40003, "invalid openid"));
    }
    let asked = codes.iter().filter(|code| request.card_id.is_empty() || code.card_id == request.card_id);
    let list: Vec<Value> = asked.map(|code| json!({"code": code.code, "card_id": code.card_id})).collect();
    Ok(done(&json!({"card_list": list, "has_share_card": false})))
}
