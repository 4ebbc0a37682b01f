//! Member cards: activate, form, read and change a member (reference MP §D.17–D.20). Answers
//! contain personal data; nothing here logs them.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::cards::Done;
use crate::wechat::endpoint;
use crate::wechat::lenient::{self, Extra};
use crate::wechat::request::Request;

/// What activates a member card.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Activation {
    /// Number shown.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub membership_number: Option<String>,
    /// Code.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Card, for the merchant's own codes.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub card_id: Option<String>,
    /// Picture.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub background_pic_url: Option<String>,
    /// Unix seconds.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub activate_begin_time: Option<i64>,
    /// Unix seconds.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub activate_end_time: Option<i64>,
    /// Points to begin with.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub init_bonus: Option<i64>,
    /// Why.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub init_bonus_record: Option<String>,
    /// Balance to begin with.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub init_balance: Option<i64>,
    /// First own field.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub init_custom_field_value1: Option<String>,
    /// Second own field.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub init_custom_field_value2: Option<String>,
    /// Third own field.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub init_custom_field_value3: Option<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A member as the platform knows it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// User.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub openid: Option<String>,
    /// Name.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub nickname: Option<String>,
    /// Number.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub membership_number: Option<String>,
    /// Points.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub bonus: Option<i64>,
    /// Balance.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub balance: Option<i64>,
    /// MALE, FEMALE, UNKNOWN.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub sex: Option<String>,
    /// What the user filled in; may be missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_info: Option<Value>,
    /// State of the card.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub user_card_status: Option<String>,
    /// Whether it is activated.
    #[serde(default, deserialize_with = "lenient::boolean", skip_serializing_if = "Option::is_none")]
    pub has_active: Option<bool>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What changes; absent stays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MemberChange {
    /// Code.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Card.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub card_id: Option<String>,
    /// Picture.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub background_pic_url: Option<String>,
    /// Points, absolute.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub bonus: Option<i64>,
    /// Points, difference.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub add_bonus: Option<i64>,
    /// Why.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub record_bonus: Option<String>,
    /// Balance, absolute.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub balance: Option<i64>,
    /// Balance, difference.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub add_balance: Option<i64>,
    /// Why.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub record_balance: Option<String>,
    /// First own field.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub custom_field_value1: Option<String>,
    /// Second own field.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub custom_field_value2: Option<String>,
    /// Third own field.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub custom_field_value3: Option<String>,
    /// Which changes the user is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify_optional: Option<Value>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The member after the change.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MemberChanged {
    /// Points.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub result_bonus: Option<i64>,
    /// Balance.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub result_balance: Option<i64>,
    /// User.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub openid: Option<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Activates a member card.
pub fn activate(activation: &Activation) -> Request<Done> {
    Request::post(&endpoint::MEMBER_CARD_ACTIVATE, activation)
}

/// Sets what users fill in to activate by themselves; `form` as reference MP §D.18 has it, with its
/// `card_id`.
pub fn set_activation_form(form: &Value) -> Request<Done> {
    Request::post(&endpoint::MEMBER_CARD_FORM, form)
}

/// One member.
pub fn member(card_id: &str, code: &str) -> Request<Member> {
    let body = json!({"card_id": card_id, "code": code});
    Request::post(&endpoint::MEMBER_CARD_USER, &body)
}

/// Changes a member's points, balance or own fields.
pub fn update_member(change: &MemberChange) -> Request<MemberChanged> {
    Request::post(&endpoint::MEMBER_CARD_UPDATE_USER, change)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_read_with_and_without_what_it_filled_in() {
        let body = r#"{"errcode":0,"errmsg":"ok","openid":"o","nickname":"Fourn","membership_number":"316510891103","bonus":995,"sex":"MALE","user_info":{"common_field_list":[{"name":"USER_FORM_INFO_FLAG_MOBILE","value":"15*****518"}],"custom_field_list":[]},"user_card_status":"NORMAL","has_active":false}"#;
        let found = member("p", "316510891103").parse(body.as_bytes()).unwrap();
        assert_eq!((found.bonus, found.has_active), (Some(995), Some(false)));
        assert!(member("p", "1").parse(br#"{"errcode":0,"openid":"o"}"#).unwrap().user_info.is_none());
    }

    #[test]
    fn changes_send_only_what_is_given() {
        let change = MemberChange { code: Some("8".into()), add_bonus: Some(-5), ..MemberChange::default() };
        let request = update_member(&change);
        assert_eq!(request.body.as_ref(), br#"{"code":"8","add_bonus":-5}"#);
        let body = br#"{"errcode":0,"errmsg":"ok","result_bonus":100,"result_balance":200,"openid":"oFS7Fjl0WsZ9AMZqrI80nbIq8xrA"}"#;
        assert_eq!(request.parse(body).unwrap().result_bonus, Some(100));
        let activation =
            Activation { membership_number: Some("1".into()), code: Some("8".into()), ..Activation::default() };
        assert_eq!(activate(&activation).body.as_ref(), br#"{"membership_number":"1","code":"8"}"#);
        assert!(set_activation_form(&json!({"card_id": "p"})).parse(br#"{"errcode":0}"#).is_ok());
    }
}
