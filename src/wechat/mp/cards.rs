//! Cards: list, read, create, change, delete (reference MP §D.1, §D.11–D.16).

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::wechat::endpoint;
use crate::wechat::lenient::{self, Extra, Open};
use crate::wechat::request::Request;

/// An answer that only says "ok".
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// 0 or absent.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub errcode: Option<i64>,
    /// `ok`.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub errmsg: Option<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A page of card ids (card/batchget).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CardIds {
    /// Ids; the list may change while it is paged through.
    #[serde(default, deserialize_with = "lenient::list")]
    pub card_id_list: Vec<String>,
    /// Cards in all.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub total_num: Option<i64>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One card (card/get).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CardAnswer {
    /// The card.
    pub card: Card,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A new card.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CardCreated {
    /// Id.
    #[serde(deserialize_with = "lenient::key")]
    pub card_id: String,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A changed card.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CardUpdated {
    /// Whether it goes back into review.
    #[serde(default, deserialize_with = "lenient::boolean", skip_serializing_if = "Option::is_none")]
    pub send_check: Option<bool>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The fields of every card. Keys the merchant never set are absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BaseInfo {
    /// Card id.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Logo.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub logo_url: Option<String>,
    /// CODE_TYPE_…
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub code_type: Option<String>,
    /// Name of the merchant.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub brand_name: Option<String>,
    /// Name of the card.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Hex, also outside the documented list.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// Hint for the till.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
    /// Instructions.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Validity.
    #[serde(default, deserialize_with = "lenient::object", skip_serializing_if = "Option::is_none")]
    pub date_info: Option<DateInfo>,
    /// Stock.
    #[serde(default, deserialize_with = "lenient::object", skip_serializing_if = "Option::is_none")]
    pub sku: Option<Sku>,
    /// CARD_STATUS_…
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Per user.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub get_limit: Option<i64>,
    /// Codes are the merchant's.
    #[serde(default, deserialize_with = "lenient::boolean", skip_serializing_if = "Option::is_none")]
    pub use_custom_code: Option<bool>,
    /// May be shared.
    #[serde(default, deserialize_with = "lenient::boolean", skip_serializing_if = "Option::is_none")]
    pub can_share: Option<bool>,
    /// May be given away.
    #[serde(default, deserialize_with = "lenient::boolean", skip_serializing_if = "Option::is_none")]
    pub can_give_friend: Option<bool>,
    /// Unix seconds.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub create_time: Option<i64>,
    /// Unix seconds.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub update_time: Option<i64>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Validity of a card.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DateInfo {
    /// DATE_TYPE_FIX_TIME_RANGE, DATE_TYPE_FIX_TERM, DATE_TYPE_PERMANENT; 1 and 2 in old cards.
    #[serde(rename = "type", default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
    /// Unix seconds.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub begin_timestamp: Option<i64>,
    /// Unix seconds.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub end_timestamp: Option<i64>,
    /// Days valid after receipt.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub fixed_term: Option<i64>,
    /// Days until it is valid after receipt.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub fixed_begin_term: Option<i64>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Stock of a card.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sku {
    /// Left.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub quantity: Option<i64>,
    /// Ever put in.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub total_quantity: Option<i64>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Open for BaseInfo {
    fn extra(&mut self) -> &mut Extra {
        &mut self.extra
    }
}

impl Open for DateInfo {
    fn extra(&mut self) -> &mut Extra {
        &mut self.extra
    }
}

impl Open for Sku {
    fn extra(&mut self) -> &mut Extra {
        &mut self.extra
    }
}

/// A card: its type, and everything else under the lower-case name of the type.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// GROUPON, CASH, DISCOUNT, GIFT, GENERAL_COUPON, MEMBER_CARD, …
    pub card_type: String,
    /// `{"<card_type in lower case>": {"base_info": …, "advanced_info": …, …}}`
    #[serde(flatten)]
    pub parts: Extra,
}

impl Card {
    /// Everything under the name of the type.
    pub fn details(&self) -> Option<&Value> {
        self.parts.get(&self.card_type.to_ascii_lowercase())
    }

    /// The fields of every card; `None` when they are missing or not an object.
    pub fn base_info(&self) -> Option<BaseInfo> {
        self.details()?.get("base_info")?.as_object().map(|fields| lenient::fields_of(fields.clone()))
    }
}

/// A page of the account's cards; `count` at most 50, any status.
pub fn cards(offset: u64, count: u64) -> Request<CardIds> {
    let body = json!({"offset": offset, "count": count});
    Request::post(&endpoint::CARDS, &body)
}

/// One card. NotFound (40073) for an unknown id.
pub fn card(card_id: &str) -> Request<CardAnswer> {
    Request::post(&endpoint::CARD, &json!({"card_id": card_id}))
}

/// Creates a card; `details` go under the name of the type.
pub fn create_card(card_type: &str, details: &Value) -> Request<CardCreated> {
    let body = json!({"card": {"card_type": card_type, card_type.to_ascii_lowercase(): details}});
    Request::post(&endpoint::CARD_CREATE, &body)
}

/// Changes a card; `details` are the changes, under the name of the type.
pub fn update_card(card_id: &str, card_type: &str, details: &Value) -> Request<CardUpdated> {
    let body = json!({"card_id": card_id, card_type.to_ascii_lowercase(): details});
    Request::post(&endpoint::CARD_UPDATE, &body)
}

/// Deletes a card; cards in wallets stay valid.
pub fn delete_card(card_id: &str) -> Request<Done> {
    Request::post(&endpoint::CARD_DELETE, &json!({"card_id": card_id}))
}

/// Adds to the stock of a card (positive) or takes from it (negative).
pub fn modify_stock(card_id: &str, change: i64) -> Request<Done> {
    let field = if change < 0 { "reduce_stock_value" } else { "increase_stock_value" };
    let body = json!({"card_id": card_id, field: change.unsigned_abs()});
    Request::post(&endpoint::CARD_MODIFY_STOCK, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUPON: &str = include_str!("../../../tests/fixtures/answers/mp_card.json");
    const DISCOUNT: &str = include_str!("../../../tests/fixtures/answers/mp_card@discount.json");

    #[test]
    fn the_live_groupon_card_is_read_under_its_own_name() {
        let answer = card("p").parse(GROUPON.as_bytes()).unwrap();
        let base = answer.card.base_info().unwrap();
        assert_eq!(base.title.as_deref(), Some("Y132元双人火锅套餐"));
        let sku = base.sku.unwrap();
        assert_eq!((sku.quantity, sku.total_quantity), (Some(997), Some(1000)));
        // Keys the merchant never set are absent, not false.
        assert_eq!((base.get_limit, base.can_share), (None, None));
        assert_eq!(base.date_info.unwrap().end_timestamp, Some(1_523_090_855));
    }

    #[test]
    fn both_cards_survive_a_round_trip() {
        for body in [GROUPON, DISCOUNT] {
            let answer = card("p").parse(body.as_bytes()).unwrap();
            assert_eq!(serde_json::to_value(&answer).unwrap(), serde_json::from_str::<Value>(body).unwrap());
        }
        let base = card("p").parse(DISCOUNT.as_bytes()).unwrap().card.base_info().unwrap();
        let date = base.date_info.unwrap();
        assert_eq!(
            (date.type_.as_deref(), date.fixed_term, date.fixed_begin_term),
            (Some("DATE_TYPE_FIX_TERM"), Some(30), Some(0))
        );
        assert_eq!((base.can_share, base.color.as_deref()), (Some(true), Some("#10AD61")));
    }

    #[test]
    fn the_live_page_of_cards_is_read() {
        let page = cards(0, 10).parse(include_bytes!("../../../tests/fixtures/answers/mp_cards.json")).unwrap();
        assert_eq!((page.card_id_list.len(), page.total_num), (7, Some(7)));
        let documented =
            br#"{"errcode":0,"errmsg":"ok","card_id_list":["ph_gmt7cUVrlRk8swPwx7aDyF-pg"],"total_num":1}"#;
        assert_eq!(cards(0, 10).parse(documented).unwrap().card_id_list.len(), 1);
    }

    #[test]
    fn a_card_of_an_unknown_type_is_kept_whole() {
        let body = br#"{"errcode":0,"card":{"card_type":"HOLOGRAM","hologram":{"base_info":{"title":"x"}}}}"#;
        let answer = card("p").parse(body).unwrap();
        assert_eq!(answer.card.base_info().unwrap().title.as_deref(), Some("x"));
    }

    #[test]
    fn an_odd_value_costs_its_own_field_and_is_kept_as_it_came() {
        let body = br#"{"card":{"card_type":"GIFT","gift":{"base_info":{"title":"x","sku":[],"get_limit":{"a":1},
            "date_info":{"type":"DATE_TYPE_FIX_TERM","fixed_term":"abc","fixed_begin_term":0}}}}}"#;
        let answer = card("p").parse(body).unwrap();
        let base = answer.card.base_info().unwrap();
        assert_eq!((base.title.as_deref(), base.get_limit, base.sku.as_ref()), (Some("x"), None, None));
        assert_eq!(Value::Object(base.extra), json!({"sku": [], "get_limit": {"a": 1}}));
        let date = base.date_info.unwrap();
        assert_eq!((date.type_.as_deref(), date.fixed_term), (Some("DATE_TYPE_FIX_TERM"), None));
        assert_eq!((date.fixed_begin_term, Value::Object(date.extra)), (Some(0), json!({"fixed_term": "abc"})));
    }

    #[test]
    fn writes_put_the_details_under_the_lower_case_type() {
        let request = create_card("GENERAL_COUPON", &json!({"default_detail": "优惠"}));
        assert_eq!(
            request.body.as_ref(),
            r#"{"card":{"card_type":"GENERAL_COUPON","general_coupon":{"default_detail":"优惠"}}}"#.as_bytes()
        );
        assert_eq!(request.parse(br#"{"errcode":0,"errmsg":"ok","card_id":"p1"}"#).unwrap().card_id, "p1");
        let update = update_card("p1", "GIFT", &json!({"base_info": {"notice": "n"}}));
        assert_eq!(update.body.as_ref(), br#"{"card_id":"p1","gift":{"base_info":{"notice":"n"}}}"#);
        assert_eq!(update.parse(br#"{"errcode":0,"errmsg":"ok","send_check":true}"#).unwrap().send_check, Some(true));
        assert_eq!(modify_stock("p1", -3).body.as_ref(), br#"{"card_id":"p1","reduce_stock_value":3}"#);
        assert_eq!(modify_stock("p1", 3).body.as_ref(), br#"{"card_id":"p1","increase_stock_value":3}"#);
        assert!(delete_card("p1").parse(br#"{"errcode":0,"errmsg":"ok"}"#).is_ok());
    }
}
