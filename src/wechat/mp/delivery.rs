//! How cards reach users: QR codes, landing pages, payment cells, test users, gifts for payments (reference
//! MP §D.2–D.6, §D.22, §D.23). Every call changes something.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::cards::Done;
use crate::wechat::endpoint;
use crate::wechat::lenient::{self, Extra};
use crate::wechat::request::Request;

/// A QR code for a card.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct QrCode {
    /// Ticket of the picture.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// Life.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub expire_seconds: Option<i64>,
    /// The content of the code.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The picture.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub show_qrcode_url: Option<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The test users now.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Whitelist {
    /// How many.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub white_list_size: Option<i64>,
    /// By openid.
    #[serde(default, deserialize_with = "lenient::list", skip_serializing_if = "Vec::is_empty")]
    pub success_openid: Vec<String>,
    /// By name.
    #[serde(default, deserialize_with = "lenient::list", skip_serializing_if = "Vec::is_empty")]
    pub success_username: Vec<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A page with cards.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LandingPage {
    /// Address.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Id; a number on the wire.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub page_id: Option<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A rule that gives cards for paying. errcode 0 can come with merchants that failed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PayGiftRule {
    /// Id; a number on the wire.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub rule_id: Option<String>,
    /// Merchants that failed, with their errors.
    #[serde(default, deserialize_with = "lenient::list", skip_serializing_if = "Vec::is_empty")]
    pub fail_mchid_list: Vec<Value>,
    /// Merchants it holds for.
    #[serde(default, deserialize_with = "lenient::list", skip_serializing_if = "Vec::is_empty")]
    pub succ_mchid_list: Vec<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A card on a QR code or page.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CardLink {
    /// Card.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub card_id: Option<String>,
    /// Code, for one of the merchant's own.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Where it was delivered.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub outer_str: Option<String>,
    /// Picture, on pages.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub thumb_url: Option<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What a page shows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NewLandingPage {
    /// Picture on top.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub banner: Option<String>,
    /// Title.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub page_title: Option<String>,
    /// May be shared.
    #[serde(default, deserialize_with = "lenient::boolean", skip_serializing_if = "Option::is_none")]
    pub can_share: Option<bool>,
    /// SCENE_NEAR_BY, SCENE_MENU, SCENE_QRCODE, SCENE_ARTICLE, SCENE_H5, SCENE_IVR, SCENE_CARD_CUSTOM_CELL.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub scene: Option<String>,
    /// Cards.
    #[serde(default, deserialize_with = "lenient::list", skip_serializing_if = "Vec::is_empty")]
    pub card_list: Vec<CardLink>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A QR code for one card, or for up to five.
pub fn create_qrcode(cards: &[CardLink], expire_seconds: Option<u32>) -> Request<QrCode> {
    let mut body = match cards {
        [card] => json!({"action_name": "QR_CARD", "action_info": {"card": card}}),
        _ => json!({"action_name": "QR_MULTIPLE_CARD", "action_info": {"multiple_card": {"card_list": cards}}}),
    };
    if let Some(seconds) = expire_seconds {
        body["expire_seconds"] = seconds.into();
    }
    Request::post(&endpoint::CARD_QRCODE, &body)
}

/// Lets users pay with the card in hand; needs a store on the card.
pub fn set_pay_cell(card_id: &str, is_open: bool) -> Request<Done> {
    let body = json!({"card_id": card_id, "is_open": is_open});
    Request::post(&endpoint::CARD_PAY_CELL, &body)
}

/// Lets users redeem by themselves. `need_verify_cod` is the wire's spelling.
pub fn set_self_consume_cell(
    card_id: &str,
    is_open: bool,
    need_verify_code: bool,
    need_remark_amount: bool,
) -> Request<Done> {
    let body = json!({
        "card_id": card_id, "is_open": is_open,
        "need_verify_cod": need_verify_code, "need_remark_amount": need_remark_amount,
    });
    Request::post(&endpoint::CARD_SELF_CONSUME_CELL, &body)
}

/// Replaces the test users; at most ten of both kinds together.
pub fn set_test_whitelist(openids: &[&str], usernames: &[&str]) -> Request<Whitelist> {
    let body = json!({"openid": openids, "username": usernames});
    Request::post(&endpoint::CARD_TEST_WHITELIST, &body)
}

/// A page with cards.
pub fn create_landing_page(page: &NewLandingPage) -> Request<LandingPage> {
    Request::post(&endpoint::CARD_LANDING_PAGE, page)
}

/// Gives a card for paying; `rule_info` as reference MP §D.22 has it.
pub fn add_pay_gift_card(rule_info: &Value) -> Request<PayGiftRule> {
    let body = json!({"rule_info": rule_info});
    Request::post(&endpoint::PAY_GIFT_CARD_ADD, &body)
}

/// Deletes such a rule.
pub fn delete_pay_gift_card(rule_id: i64) -> Request<Done> {
    let body = json!({"rule_id": rule_id});
    Request::post(&endpoint::PAY_GIFT_CARD_DELETE, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(card_id: &str) -> CardLink {
        CardLink { card_id: Some(card_id.into()), ..CardLink::default() }
    }

    #[test]
    fn one_card_and_many_have_their_own_form() {
        let one = create_qrcode(&[link("p1")], Some(1800));
        assert_eq!(
            one.body.as_ref(),
            br#"{"action_name":"QR_CARD","action_info":{"card":{"card_id":"p1"}},"expire_seconds":1800}"#
        );
        let many = create_qrcode(&[link("p1"), link("p2")], None);
        assert_eq!(
            many.body.as_ref(),
            br#"{"action_name":"QR_MULTIPLE_CARD","action_info":{"multiple_card":{"card_list":[{"card_id":"p1"},{"card_id":"p2"}]}}}"#
        );
        let body = br#"{"errcode":0,"errmsg":"ok","ticket":"gQG28DoAAAAA","url":"http://weixin.qq.com/q/x","expire_seconds":31536000,"show_qrcode_url":"https://mp.weixin.qq.com/x"}"#;
        assert_eq!(one.parse(body).unwrap().expire_seconds, Some(31_536_000));
    }

    #[test]
    fn the_wire_spelling_of_the_verify_code_is_kept() {
        let request = set_self_consume_cell("p", true, false, true);
        assert_eq!(
            request.body.as_ref(),
            br#"{"card_id":"p","is_open":true,"need_verify_cod":false,"need_remark_amount":true}"#
        );
        assert!(set_pay_cell("p", true).parse(br#"{"errcode":0,"errmsg":"ok"}"#).is_ok());
    }

    #[test]
    fn the_live_whitelist_is_read() {
        let request = set_test_whitelist(&["o1", "o2"], &[]);
        assert_eq!(request.body.as_ref(), br#"{"openid":["o1","o2"],"username":[]}"#);
        let body =
            br#"{"errcode":0,"errmsg":"ok","white_list_size":2,"success_openid":["o1","o2"],"success_username":[]}"#;
        assert_eq!(request.parse(body).unwrap().success_openid.len(), 2);
    }

    #[test]
    fn pages_and_rules_give_ids_as_numbers_or_texts() {
        let page =
            NewLandingPage { scene: Some("SCENE_H5".into()), card_list: vec![link("p")], ..NewLandingPage::default() };
        let request = create_landing_page(&page);
        assert_eq!(request.body.as_ref(), br#"{"scene":"SCENE_H5","card_list":[{"card_id":"p"}]}"#);
        assert_eq!(request.parse(br#"{"errcode":0,"url":"u","page_id":7}"#).unwrap().page_id.as_deref(), Some("7"));
        let rule = add_pay_gift_card(&json!({"type": "RULE_TYPE_PAY_MEMBER_CARD"}));
        let body =
            br#"{"errcode":0,"rule_id":1233,"fail_mchid_list":[{"mchid":"1","errcode":1}],"succ_mchid_list":["2"]}"#;
        assert_eq!(rule.parse(body).unwrap().fail_mchid_list.len(), 1);
        assert_eq!(delete_pay_gift_card(1233).body.as_ref(), br#"{"rule_id":1233}"#);
    }
}
