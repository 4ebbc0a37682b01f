//! The four statistics calls (reference MP §D.24–D.27). A good answer has a `list` and no errcode;
//! an answer without `list` is an error, never an empty day. Answers do not repeat the parameters,
//! so `cond_source` has to be stored with the rows.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::wechat::endpoint;
use crate::wechat::lenient::{self, Extra};
use crate::wechat::request::Request;

/// Days (inclusive) that one call of the first three may span (reference MP §D.24).
pub const LONGEST_SPAN_DAYS: u32 = 62;
/// Days that one call of getcardmembercarddetail may span: a live call with 31 was refused.
pub const LONGEST_DETAIL_SPAN_DAYS: u32 = 30;

/// The rows of an answer. `list` is required.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rows<T> {
    /// Rows; days without activity may be missing.
    pub list: Vec<T>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Which cards: there is no value for all, so both are requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CondSource {
    /// 0: made on the platform's web pages.
    Web,
    /// 1: made through the API.
    Api,
}

impl CondSource {
    /// Both values.
    pub const ALL: [CondSource; 2] = [CondSource::Web, CondSource::Api];

    /// The number on the wire.
    pub fn code(self) -> i64 {
        match self {
            CondSource::Web => 0,
            CondSource::Api => 1,
        }
    }
}

/// All cards of the account on a day (getcardbizuininfo).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CardAccountDay {
    /// yyyy-MM-dd.
    #[serde(deserialize_with = "lenient::key")]
    pub ref_date: String,
    /// Views.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub view_cnt: Option<i64>,
    /// Viewers.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub view_user: Option<i64>,
    /// Claimed.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub receive_cnt: Option<i64>,
    /// Users who claimed.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub receive_user: Option<i64>,
    /// Redeemed.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub verify_cnt: Option<i64>,
    /// Users who redeemed.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub verify_user: Option<i64>,
    /// Given away.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub given_cnt: Option<i64>,
    /// Users who gave away.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub given_user: Option<i64>,
    /// Expired.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub expire_cnt: Option<i64>,
    /// Users whose cards expired.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub expire_user: Option<i64>,
    /// Undocumented.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub view_friends_cnt: Option<i64>,
    /// Undocumented.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub view_friends_user: Option<i64>,
    /// Undocumented.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub receive_friends_cnt: Option<i64>,
    /// Undocumented.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub receive_friends_user: Option<i64>,
    /// Undocumented.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub verify_friends_cnt: Option<i64>,
    /// Undocumented.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub verify_friends_user: Option<i64>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One free card on a day (getcardcardinfo).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CardDay {
    /// yyyy-MM-dd.
    #[serde(deserialize_with = "lenient::key")]
    pub ref_date: String,
    /// Card.
    #[serde(deserialize_with = "lenient::key")]
    pub card_id: String,
    /// Raw number; the documented meaning contradicts live answers.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub card_type: Option<i64>,
    /// 0 free, 1 paid.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub is_pay: Option<i64>,
    /// Views.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub view_cnt: Option<i64>,
    /// Viewers.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub view_user: Option<i64>,
    /// Claimed.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub receive_cnt: Option<i64>,
    /// Users who claimed.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub receive_user: Option<i64>,
    /// Redeemed.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub verify_cnt: Option<i64>,
    /// Users who redeemed.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub verify_user: Option<i64>,
    /// Given away.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub given_cnt: Option<i64>,
    /// Users who gave away.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub given_user: Option<i64>,
    /// Expired.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub expire_cnt: Option<i64>,
    /// Users whose cards expired.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub expire_user: Option<i64>,
    /// Undocumented.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub verify_noself_cnt: Option<i64>,
    /// Undocumented.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub verify_noself_user: Option<i64>,
    /// Undocumented.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub isfriendscard: Option<i64>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// All member cards on a day (getcardmembercardinfo).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MemberCardDay {
    /// yyyy-MM-dd.
    #[serde(deserialize_with = "lenient::key")]
    pub ref_date: String,
    /// Views.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub view_cnt: Option<i64>,
    /// Viewers.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub view_user: Option<i64>,
    /// Claimed.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub receive_cnt: Option<i64>,
    /// Users who claimed.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub receive_user: Option<i64>,
    /// Used.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub verify_cnt: Option<i64>,
    /// Users who used it.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub verify_user: Option<i64>,
    /// Activations.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub active_cnt: Option<i64>,
    /// Users who activated.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub active_user: Option<i64>,
    /// New members.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub new_user: Option<i64>,
    /// Members in all.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub total_user: Option<i64>,
    /// Users who ever claimed.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub total_receive_user: Option<i64>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One member card on a day (getcardmembercarddetail).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MemberCardDetailDay {
    /// yyyy-MM-dd.
    #[serde(deserialize_with = "lenient::key")]
    pub ref_date: String,
    /// Type of the sub-merchant.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub merchanttype: Option<i64>,
    /// Card; the wire has no underscore here.
    #[serde(deserialize_with = "lenient::key")]
    pub cardid: String,
    /// Sub-merchant; a number or a text.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub submerchantid: Option<String>,
    /// Views.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub view_cnt: Option<i64>,
    /// Viewers.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub view_user: Option<i64>,
    /// Claimed.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub receive_cnt: Option<i64>,
    /// Users who claimed.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub receive_user: Option<i64>,
    /// Used.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub verify_cnt: Option<i64>,
    /// Users who used it.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub verify_user: Option<i64>,
    /// Activations.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub active_cnt: Option<i64>,
    /// Users who activated.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub active_user: Option<i64>,
    /// New members.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub new_user: Option<i64>,
    /// Members in all.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub total_user: Option<i64>,
    /// Users who ever claimed.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub total_receive_user: Option<i64>,
    /// Receivable; unit undocumented, kept as sent.
    #[serde(
        rename = "payOriginalFee",
        default,
        deserialize_with = "lenient::text",
        skip_serializing_if = "Option::is_none"
    )]
    pub pay_original_fee: Option<String>,
    /// Received; unit undocumented, kept as sent.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub fee: Option<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

#[derive(Serialize)]
struct Window<'a> {
    begin_date: String,
    end_date: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cond_source: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    card_id: Option<&'a str>,
}

impl Window<'_> {
    /// Both ends inclusive.
    fn new(from: NaiveDate, to: NaiveDate) -> Window<'static> {
        Window { begin_date: from.to_string(), end_date: to.to_string(), cond_source: None, card_id: None }
    }
}

/// Account totals per day; at most 62 days, until yesterday.
pub fn card_account_days(from: NaiveDate, to: NaiveDate, source: CondSource) -> Request<Rows<CardAccountDay>> {
    let window = Window { cond_source: Some(source.code()), ..Window::new(from, to) };
    Request::post(&endpoint::CARD_ACCOUNT_DAYS, &window)
}

/// Free cards per day; all cards without `card_id`. At most 62 days.
pub fn card_days(from: NaiveDate, to: NaiveDate, source: CondSource, card_id: Option<&str>) -> Request<Rows<CardDay>> {
    let window = Window { cond_source: Some(source.code()), card_id, ..Window::new(from, to) };
    Request::post(&endpoint::CARD_DAYS, &window)
}

/// Member-card totals per day; at most 62 days.
pub fn member_card_days(from: NaiveDate, to: NaiveDate, source: CondSource) -> Request<Rows<MemberCardDay>> {
    let window = Window { cond_source: Some(source.code()), ..Window::new(from, to) };
    Request::post(&endpoint::MEMBER_CARD_DAYS, &window)
}

/// One member card per day; at most 30 days.
pub fn member_card_detail_days(from: NaiveDate, to: NaiveDate, card_id: &str) -> Request<Rows<MemberCardDetailDay>> {
    let window = Window { card_id: Some(card_id), ..Window::new(from, to) };
    Request::post(&endpoint::MEMBER_CARD_DETAIL_DAYS, &window)
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use serde_json::Value;

    use super::*;

    fn day(d: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2017, 12, d).unwrap()
    }

    fn round_trip<T: DeserializeOwned + Serialize>(request: &Request<Rows<T>>, body: &str) -> Rows<T> {
        let rows = request.parse(body.as_bytes()).unwrap();
        assert_eq!(serde_json::to_value(&rows).unwrap(), serde_json::from_str::<Value>(body).unwrap());
        rows
    }

    #[test]
    fn the_live_account_rows_parse_with_their_undocumented_fields() {
        let request = card_account_days(day(1), day(31), CondSource::Api);
        let rows = round_trip(&request, include_str!("../../../tests/fixtures/answers/mp_card_account_days.json"));
        assert_eq!((rows.list.len(), rows.list[1].receive_cnt, rows.list[0].view_friends_cnt), (3, Some(2), Some(0)));
        assert!(rows.list.iter().all(|row| row.extra.is_empty()));
        let documented = r#"{"list":[{"ref_date":"2015-06-23","view_cnt":1,"view_user":1,"receive_cnt":1,"receive_user":1,"verify_cnt":0,"verify_user":0,"given_cnt":0,"given_user":0,"expire_cnt":0,"expire_user":0}]}"#;
        assert_eq!(round_trip(&request, documented).list[0].view_friends_cnt, None);
    }

    #[test]
    fn the_live_card_rows_parse_and_foot_to_the_account() {
        let request = card_days(day(1), day(31), CondSource::Api, None);
        let rows = round_trip(&request, include_str!("../../../tests/fixtures/answers/mp_card_days.json"));
        let views = |date: &str| {
            rows.list.iter().filter(|row| row.ref_date == date).filter_map(|row| row.view_cnt).sum::<i64>()
        };
        assert_eq!((views("2017-12-26"), views("2017-12-28"), views("2017-12-29")), (4, 6, 1));
        assert!(rows.list.iter().all(|row| row.extra.is_empty()));
    }

    #[test]
    fn member_rows_parse_with_camel_case_and_numbers_or_texts() {
        let detail = member_card_detail_days(day(1), day(30), "p4WkzwieuDBzzn7Jed6SBO0-ZgaU");
        let rows =
            detail.parse(include_bytes!("../../../tests/fixtures/answers/mp_member_card_detail_days.json")).unwrap();
        assert_eq!(rows.list[0].pay_original_fee.as_deref(), Some("0"));
        assert!(rows.list[0].extra.is_empty());
        let text = br#"{"list":[{"ref_date":"2016-07-06","cardid":"p4","submerchantid":"99999999999","fee":12.5}]}"#;
        let row = &detail.parse(text).unwrap().list[0];
        assert_eq!((row.submerchantid.as_deref(), row.fee.as_deref()), (Some("99999999999"), Some("12.5")));
        let totals = member_card_days(day(1), day(2), CondSource::Web);
        let rows = round_trip(&totals, include_str!("../../../tests/fixtures/answers/mp_member_card_days.json"));
        assert_eq!(rows.list[0].total_receive_user, Some(95));
        assert!(totals.parse(br#"{"list":[]}"#).unwrap().list.is_empty());
    }

    #[test]
    fn an_answer_without_list_is_no_empty_day() {
        let request = card_account_days(day(1), day(1), CondSource::Web);
        for body in ["{}", r#"{"errcode":0,"errmsg":"ok"}"#, r#"{"list":null}"#] {
            assert!(request.parse(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn requests_carry_numbers_and_dates_as_documented() {
        assert_eq!(
            card_days(day(1), day(31), CondSource::Api, None).body.as_ref(),
            br#"{"begin_date":"2017-12-01","end_date":"2017-12-31","cond_source":1}"#
        );
        assert_eq!(
            member_card_detail_days(day(1), day(30), "p").body.as_ref(),
            br#"{"begin_date":"2017-12-01","end_date":"2017-12-30","card_id":"p"}"#
        );
    }
}
