//! Writes to codes in wallets, and decryption of a code: consume, unavailable, update, decrypt
//! (reference MP §D.8, §D.9, §D.13, §D.21).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::body::{Fields, read_body, text};
use super::errcode::{done, refuse};
use crate::simulator::answer::Answer;
use crate::simulator::exchange::Exchange;
use crate::simulator::memory::{Memory, held};
use crate::simulator::state::card_status_as_of;
use crate::simulator::world::CardCode;

/// Redeems a code, once.
pub(super) fn consume(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let body: Fields = read_body(exchange)?;
    let mut memory = held(&exchange.office.memory);
    let code = known(exchange, &mut memory, &body)?;
    match card_status_as_of(code, exchange.world_now) {
        Some("NORMAL") => {}
        Some("CONSUMED") => return Err(refuse(exchange, 40099, "invalid code, this code has consumed.")),
        _ => return Err(refuse(exchange, 40127, "invalid user-card status!")),
    }
    code.statuses.push((exchange.world_now, "CONSUMED".to_owned()));
    Ok(done(&json!({"card": {"card_id": code.card_id}, "openid": code.openid})))
}

/// Voids a code, whatever its state.
pub(super) fn make_unavailable(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let body: Fields = read_body(exchange)?;
    let mut memory = held(&exchange.office.memory);
    let code = known(exchange, &mut memory, &body)?;
    code.statuses.push((exchange.world_now, "UNAVAILABLE".to_owned()));
    Ok(done(&json!({})))
}

/// Gives a code a new text. Whether the card has codes of the merchant's own is not looked at.
pub(super) fn update(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let body: Fields = read_body(exchange)?;
    let new_code = text(&body, "new_code").to_owned();
    let mut memory = held(&exchange.office.memory);
    if new_code.is_empty() || memory.world.card_codes.iter().any(|code| code.code == new_code) {
        return Err(refuse(exchange, 40097, "invalid args: new_code"));
    }
    known(exchange, &mut memory, &body)?.code = new_code;
    Ok(done(&json!({})))
}

/// A code in clear. The cipher of this server is Base64: WeChat does not publish its own.
pub(super) fn decrypt(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let body: Fields = read_body(exchange)?;
    let plain = STANDARD.decode(text(&body, "encrypt_code")).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let memory = held(&exchange.office.memory);
    let known = plain.filter(|plain| memory.world.card_codes.iter().any(|code| code.code == *plain));
    let code = known.ok_or_else(|| refuse(exchange, 40075, "invalid encrypt code"))?;
    Ok(done(&json!({"code": code})))
}

/// The code a body names, when it has been received.
pub(super) fn known<'m>(
    exchange: &Exchange<'_>,
    memory: &'m mut Memory,
    body: &Fields,
) -> Result<&'m mut CardCode, Answer> {
    let (code, card_id) = (text(body, "code"), text(body, "card_id"));
    let now = exchange.world_now;
    let is_named =
        |it: &&mut CardCode| it.code == code && (card_id.is_empty() || it.card_id == card_id) && it.receive_time <= now;
    memory.world.card_codes.iter_mut().find(is_named).ok_or_else(|| refuse(exchange, 40056, "invalid serial code"))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::simulator::probe::{OPENID, Probe, at};

    const CODE: &str = "819679186876";

    /// The morning before the probe's code was consumed.
    async fn morning() -> Probe {
        Probe::start_with("", |_, options| options.world_now = Some(at("18T08:00"))).await
    }

    async fn status(probe: &Probe, code: &str) -> Value {
        probe.mp("/card/code/get", json!({"code": code, "check_consume": false})).await.json()["user_card_status"]
            .clone()
    }

    #[tokio::test]
    async fn a_code_is_consumed_once() {
        let probe = morning().await;
        let first = probe.mp("/card/code/consume", json!({"code": CODE})).await.json();
        assert_eq!(
            (&first["errcode"], &first["card"]["card_id"], &first["openid"]),
            (&0.into(), &"p1".into(), &OPENID.into())
        );
        assert_eq!(probe.mp("/card/code/consume", json!({"code": CODE})).await.json()["errcode"], 40099);
    }

    #[tokio::test]
    async fn a_voided_code_says_so_and_is_not_consumed() {
        let probe = morning().await;
        assert_eq!(
            probe.mp("/card/code/unavailable", json!({"code": CODE, "card_id": "p1"})).await.json()["errcode"],
            0
        );
        assert_eq!(status(&probe, CODE).await, "UNAVAILABLE");
        assert_eq!(probe.mp("/card/code/consume", json!({"code": CODE})).await.json()["errcode"], 40127);
    }

    #[tokio::test]
    async fn a_code_gets_a_new_text() {
        let probe = morning().await;
        assert_eq!(probe.mp("/card/code/update", json!({"code": CODE, "new_code": "N1"})).await.json()["errcode"], 0);
        assert_eq!((status(&probe, "N1").await, status(&probe, CODE).await), ("NORMAL".into(), Value::Null));
    }

    #[tokio::test]
    async fn unknown_codes_have_their_errors() {
        let probe = morning().await;
        for path in ["/card/code/consume", "/card/code/unavailable"] {
            assert_eq!(probe.mp(path, json!({"code": "0"})).await.json()["errcode"], 40056, "{path}");
            assert_eq!(probe.mp(path, json!({"code": CODE, "card_id": "p2"})).await.json()["errcode"], 40056, "{path}");
        }
        assert_eq!(
            probe.mp("/card/code/update", json!({"code": CODE, "new_code": CODE})).await.json()["errcode"],
            40097
        );
        let encrypted = STANDARD.encode(CODE);
        assert_eq!(probe.mp("/card/code/decrypt", json!({"encrypt_code": encrypted})).await.json()["code"], CODE);
        assert_eq!(probe.mp("/card/code/decrypt", json!({"encrypt_code": "%"})).await.json()["errcode"], 40075);
    }
}
