//! The endpoints /cgi-bin/token and /cgi-bin/stable_token (reference MP §C.1, §C.2).

use serde::Deserialize;
use serde_json::json;

use super::body::read_body;
use super::errcode::refuse;
use crate::simulator::access_tokens::ForceRefused;
use crate::simulator::answer::Answer;
use crate::simulator::exchange::Exchange;
use crate::simulator::memory::held;

/// Path of the plain call.
pub(super) const PLAIN_PATH: &str = "/cgi-bin/token";
/// Path of the stable call.
pub(super) const STABLE_PATH: &str = "/cgi-bin/stable_token";

#[derive(Default, Deserialize)]
#[serde(default)]
struct Credentials {
    grant_type: String,
    appid: String,
    secret: String,
    force_refresh: bool,
}

/// A new token with each call.
pub(super) fn plain(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let of = |name| exchange.call.query(name).unwrap_or_default();
    let given =
        Credentials { grant_type: of("grant_type"), appid: of("appid"), secret: of("secret"), force_refresh: false };
    check(exchange, &given)?;
    Ok(answer(held(&exchange.office.tokens).plain(exchange.clock_now)))
}

/// The same token while it lasts, a new one on demand.
pub(super) fn stable(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let given: Credentials = read_body(exchange)?;
    check(exchange, &given)?;
    let mut tokens = held(&exchange.office.tokens);
    if !given.force_refresh {
        return Ok(answer(tokens.stable(exchange.clock_now)));
    }
    match tokens.force(exchange.clock_now) {
        Ok(issued) => Ok(answer(issued)),
        Err(ForceRefused::TooSoon) => Err(refuse(exchange, 45011, "api minute-quota reach limit")),
        Err(ForceRefused::TooMany) => Err(refuse(exchange, 45009, "reach max api daily quota limit")),
    }
}

fn check(exchange: &Exchange<'_>, given: &Credentials) -> Result<(), Answer> {
    let account = &exchange.office.account;
    let (code, message) = if given.grant_type != "client_credential" {
        (40002, "invalid grant_type")
    } else if given.appid.is_empty() {
        (41002, "appid missing")
    } else if given.secret.is_empty() {
        (41004, "appsecret missing")
    } else if given.appid != account.appid {
        (40013, "invalid appid")
    } else if given.secret != account.mp_secret {
        (40125, "invalid appsecret")
    } else {
        return Ok(());
    };
    Err(refuse(exchange, code, message))
}

fn answer((access_token, expires_in): (String, i64)) -> Answer {
    Answer::json(200, &json!({"access_token": access_token, "expires_in": expires_in}))
}
