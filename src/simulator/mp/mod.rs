//! The MP: tokens, datacube, cards. HTTP status is always 200, `errcode` speaks (reference MP §C, §D).

mod cards;
mod datacube;
mod tokens;

use serde::de::DeserializeOwned;
use serde_json::json;

use super::access_tokens::Standing;
use super::answer::Answer;
use super::exchange::{Endpoint, Exchange};
use super::faults::Kind;
use super::memory::held;
use super::signature::serial_text;

/// The endpoints of the MP this server answers.
pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint::mp("GET", tokens::PLAIN_PATH, tokens::plain),
    Endpoint::mp("POST", tokens::STABLE_PATH, tokens::stable),
    Endpoint::mp("POST", "/datacube/getcardbizuininfo", datacube::account),
    Endpoint::mp("POST", "/datacube/getcardcardinfo", datacube::cards),
    Endpoint::mp("POST", "/datacube/getcardmembercardinfo", datacube::member_cards),
    Endpoint::mp("POST", "/datacube/getcardmembercarddetail", datacube::member_card_detail),
    Endpoint::mp("POST", "/card/batchget", cards::list),
    Endpoint::mp("POST", "/card/get", cards::get),
    Endpoint::mp("POST", "/card/code/get", cards::get_code),
    Endpoint::mp("POST", "/card/user/getcardlist", cards::list_of_user),
];

/// Checks the access token; the token calls need none.
pub(super) fn admit(exchange: &Exchange<'_>) -> Result<(), Answer> {
    if [tokens::PLAIN_PATH, tokens::STABLE_PATH].contains(&exchange.endpoint.template) {
        return Ok(());
    }
    let token = exchange.call.query("access_token").filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| refuse(exchange, 41001, "access_token missing"))?;
    match held(&exchange.office.tokens).standing(&token, exchange.clock_now) {
        Standing::Alive => Ok(()),
        Standing::Expired => Err(refuse(exchange, 42001, "access_token expired")),
        Standing::Invalid => Err(refuse(exchange, 40001, "invalid credential, access_token is invalid or not latest")),
    }
}

/// Ends the token of the request before its time and says so.
pub(super) fn expire_token(exchange: &Exchange<'_>) -> Answer {
    if let Some(token) = exchange.call.query("access_token") {
        held(&exchange.office.tokens).expire(&token, exchange.clock_now);
    }
    refuse(exchange, 42001, "access_token expired")
}

/// `errcode` and `errmsg`, with the changing suffix of the real server (reference MP §C.3).
pub(super) fn refuse(exchange: &Exchange<'_>, errcode: i64, message: &str) -> Answer {
    let rid = serial_text("rid", exchange.serial, 8).to_ascii_lowercase();
    Answer::json(200, &json!({"errcode": errcode, "errmsg": format!("{message} rid: {rid}")}))
}

/// The request as a typed body; 44002 and 47001 for none or a broken one.
fn read_body<T: DeserializeOwned>(exchange: &Exchange<'_>) -> Result<T, Answer> {
    if exchange.call.body.is_empty() {
        return Err(refuse(exchange, 44002, "empty post data"));
    }
    serde_json::from_slice(&exchange.call.body).map_err(|_| refuse(exchange, 47001, "data format error"))
}

/// The unheard-of word, when that fault is played.
fn unknown_state(exchange: &Exchange<'_>) -> Option<String> {
    let word = exchange.fault.as_ref().and_then(|fault| fault.value_text());
    exchange.plays(Kind::UnknownState).then(|| word.unwrap_or_else(|| "FROZEN".to_owned()))
}

#[cfg(test)]
mod tests;
