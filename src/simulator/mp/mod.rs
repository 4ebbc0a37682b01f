//! The MP API: tokens, datacube, cards. The HTTP status is always 200, and `errcode` has the result
//! (reference MP §C, §D).

mod body;
mod card_changes;
mod cards;
mod code_changes;
mod datacube;
mod errcode;
mod members;
mod tokens;

use super::access_tokens::Standing;
use super::answer::Answer;
use super::exchange::{Endpoint, Exchange};
use super::memory::held;

pub(super) use errcode::refuse;

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
    Endpoint::mp("POST", "/card/create", card_changes::create),
    Endpoint::mp("POST", "/card/update", card_changes::update),
    Endpoint::mp("POST", "/card/delete", card_changes::delete),
    Endpoint::mp("POST", "/card/modifystock", card_changes::modify_stock),
    Endpoint::mp("POST", "/card/paycell/set", card_changes::set_pay_cell),
    Endpoint::mp("POST", "/card/selfconsumecell/set", card_changes::set_self_consume_cell),
    Endpoint::mp("POST", "/card/testwhitelist/set", card_changes::set_test_whitelist),
    Endpoint::mp("POST", "/card/qrcode/create", card_changes::create_qrcode),
    Endpoint::mp("POST", "/card/landingpage/create", card_changes::create_landing_page),
    Endpoint::mp("POST", "/card/code/consume", code_changes::consume),
    Endpoint::mp("POST", "/card/code/unavailable", code_changes::make_unavailable),
    Endpoint::mp("POST", "/card/code/update", code_changes::update),
    Endpoint::mp("POST", "/card/code/decrypt", code_changes::decrypt),
    Endpoint::mp("POST", "/card/membercard/activate", members::activate),
    Endpoint::mp("POST", "/card/membercard/activateuserform/set", members::set_form),
    Endpoint::mp("POST", "/card/membercard/userinfo/get", members::user_info),
    Endpoint::mp("POST", "/card/membercard/updateuser", members::update),
    Endpoint::mp("POST", "/card/paygiftcard/add", members::add_gift_rule),
    Endpoint::mp("POST", "/card/paygiftcard/delete", members::delete_gift_rule),
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

#[cfg(test)]
mod tests;
