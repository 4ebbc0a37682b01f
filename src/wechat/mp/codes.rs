//! Codes of cards in wallets: query, redeem, invalidate, change (reference MP §D.7–D.10, §D.13,
//! §D.21).

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::cards::Done;
use crate::wechat::endpoint;
use crate::wechat::lenient::{self, Extra};
use crate::wechat::request::Request;

/// A code and its state (card/code/get).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct UserCard {
    /// The card of the code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<CodeCard>,
    /// Whose.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub openid: Option<String>,
    /// Whether it can be redeemed.
    #[serde(default, deserialize_with = "lenient::boolean", skip_serializing_if = "Option::is_none")]
    pub can_consume: Option<bool>,
    /// NORMAL, CONSUMED, EXPIRE, GIFTING, GIFT_SUCC, GIFT_TIMEOUT, DELETE, UNAVAILABLE.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub user_card_status: Option<String>,
    /// Where it was delivered.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub outer_str: Option<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The card of a code.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CodeCard {
    /// Card.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub card_id: Option<String>,
    /// Code; undocumented, seen live.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Unix seconds.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub begin_time: Option<i64>,
    /// Unix seconds.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub end_time: Option<i64>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A code that was redeemed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ConsumedCard {
    /// Its card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<CodeCard>,
    /// Whose.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub openid: Option<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A code in clear.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DecryptedCode {
    /// Code.
    #[serde(deserialize_with = "lenient::key")]
    pub code: String,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The cards of a user.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct UserCardList {
    /// Cards in any state; there are no pages.
    #[serde(default, deserialize_with = "lenient::list")]
    pub card_list: Vec<CodeCard>,
    /// Whether shared cards are among them.
    #[serde(default, deserialize_with = "lenient::boolean", skip_serializing_if = "Option::is_none")]
    pub has_share_card: Option<bool>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The state of a code. Requested without `check_consume`: with it, error 40127 hides the state of
/// a code that cannot be redeemed.
pub fn user_card(code: &str, card_id: Option<&str>) -> Request<UserCard> {
    let body = CodeCall { code, card_id, check_consume: Some(false), reason: None, new_code: None };
    Request::post(&endpoint::CARD_CODE, &body)
}

/// Redeems a code; cannot be undone. `card_id` is needed for the merchant's own codes.
pub fn consume_code(code: &str, card_id: Option<&str>) -> Request<ConsumedCard> {
    Request::post(&endpoint::CARD_CODE_CONSUME, &CodeCall::new(code, card_id))
}

/// Decrypts the code with which a card page was opened.
pub fn decrypt_code(encrypt_code: &str) -> Request<DecryptedCode> {
    let body = json!({"encrypt_code": encrypt_code});
    Request::post(&endpoint::CARD_CODE_DECRYPT, &body)
}

/// The cards in a user's wallet.
pub fn user_cards(openid: &str, card_id: Option<&str>) -> Request<UserCardList> {
    #[derive(Serialize)]
    struct Call<'a> {
        openid: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        card_id: Option<&'a str>,
    }
    Request::post(&endpoint::CARD_USER_LIST, &Call { openid, card_id })
}

/// Invalidates a code; cannot be undone.
pub fn make_code_unavailable(code: &str, card_id: Option<&str>, reason: Option<&str>) -> Request<Done> {
    let body = CodeCall { reason, ..CodeCall::new(code, card_id) };
    Request::post(&endpoint::CARD_CODE_UNAVAILABLE, &body)
}

/// Changes a code that the merchant issued.
pub fn update_code(code: &str, new_code: &str, card_id: Option<&str>) -> Request<Done> {
    let body = CodeCall { new_code: Some(new_code), ..CodeCall::new(code, card_id) };
    Request::post(&endpoint::CARD_CODE_UPDATE, &body)
}

#[derive(Serialize)]
struct CodeCall<'a> {
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    card_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    check_consume: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_code: Option<&'a str>,
}

impl<'a> CodeCall<'a> {
    fn new(code: &'a str, card_id: Option<&'a str>) -> CodeCall<'a> {
        CodeCall { code, card_id, check_consume: None, reason: None, new_code: None }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_live_code_is_read_and_survives_a_round_trip() {
        let body = include_str!("../../../tests/fixtures/answers/mp_card_code.json");
        let code = user_card("819679186876", None).parse(body.as_bytes()).unwrap();
        assert_eq!((code.user_card_status.as_deref(), code.can_consume), (Some("NORMAL"), Some(true)));
        assert_eq!(serde_json::to_value(&code).unwrap(), serde_json::from_str::<Value>(body).unwrap());
    }

    #[test]
    fn states_are_asked_for_without_the_consume_check() {
        assert_eq!(user_card("8", Some("p")).body.as_ref(), br#"{"code":"8","card_id":"p","check_consume":false}"#);
        let consumed = br#"{"errcode":0,"errmsg":"ok","card":{"card_id":"pbLatjk4T4Hx-QFQGL4zGQy27_Qg","begin_time":1457452800,"end_time":1463155199},"openid":"o","can_consume":false,"user_card_status":"CONSUMED"}"#;
        assert_eq!(user_card("8", None).parse(consumed).unwrap().can_consume, Some(false));
    }

    #[test]
    fn the_live_wallet_is_read() {
        let body = br#"{"errcode":0,"errmsg":"ok","card_list":[{"card_id":"pFYHLvuDbMbr241m00CAhtypawpw","code":"351433422041"}],"has_share_card":false}"#;
        let wallet = user_cards("o", None).parse(body).unwrap();
        assert_eq!(wallet.card_list[0].code.as_deref(), Some("351433422041"));
    }

    #[test]
    fn writes_send_only_what_is_given() {
        assert_eq!(consume_code("8", None).body.as_ref(), br#"{"code":"8"}"#);
        let done = consume_code("8", None).parse(br#"{"errcode":0,"errmsg":"ok","card":{"card_id":"p"},"openid":"o"}"#);
        assert_eq!(done.unwrap().card.unwrap().card_id.as_deref(), Some("p"));
        assert_eq!(
            make_code_unavailable("8", None, Some("退款")).body.as_ref(),
            r#"{"code":"8","reason":"退款"}"#.as_bytes()
        );
        assert_eq!(update_code("8", "9", Some("p")).body.as_ref(), br#"{"code":"8","card_id":"p","new_code":"9"}"#);
        assert_eq!(
            decrypt_code("XXX=").parse(br#"{"errcode":0,"errmsg":"ok","code":"751234212312"}"#).unwrap().code,
            "751234212312"
        );
    }
}
