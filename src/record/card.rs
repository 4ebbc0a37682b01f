//! Cards of the official account platform and their statistics. Column meanings: `schemas/`.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::Record;

/// Datacube totals of the account per day (getcardbizuininfo) (`card_account_daily`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CardAccountDay {
    /// Day of the figures.
    pub ref_date: NaiveDate,
    /// 0 created on the platform page, 1 created by API.
    pub cond_source: i64,
    /// Count of views.
    pub view_cnt: Option<i64>,
    /// Distinct users, views.
    pub view_user: Option<i64>,
    /// Count of claims.
    pub receive_cnt: Option<i64>,
    /// Distinct users, claims.
    pub receive_user: Option<i64>,
    /// Count of redemptions.
    pub verify_cnt: Option<i64>,
    /// Distinct users, redemptions.
    pub verify_user: Option<i64>,
    /// Count of gifts.
    pub given_cnt: Option<i64>,
    /// Distinct users, gifts.
    pub given_user: Option<i64>,
    /// Count of expiries.
    pub expire_cnt: Option<i64>,
    /// Distinct users, expiries.
    pub expire_user: Option<i64>,
    /// Count of views of friends.
    pub view_friends_cnt: Option<i64>,
    /// Distinct users, views of friends.
    pub view_friends_user: Option<i64>,
    /// Count of claims of friends.
    pub receive_friends_cnt: Option<i64>,
    /// Distinct users, claims of friends.
    pub receive_friends_user: Option<i64>,
    /// Count of redemptions of friends.
    pub verify_friends_cnt: Option<i64>,
    /// Distinct users, redemptions of friends.
    pub verify_friends_user: Option<i64>,
    /// Unknown fields of the answer, JSON.
    pub extra: Option<String>,
    /// Business date in Asia/Shanghai.
    pub business_date: NaiveDate,
}

impl Record for CardAccountDay {
    const DATASET: &str = "card_account_daily";
}

/// Datacube figures per free coupon and day (getcardcardinfo) (`card_daily`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CardDay {
    /// Day of the figures.
    pub ref_date: NaiveDate,
    /// 0 created on the platform page, 1 created by API.
    pub cond_source: i64,
    /// MP card id.
    pub card_id: String,
    /// Card type as answered.
    pub card_type: Option<i64>,
    /// 0 free, 1 paid.
    pub is_pay: Option<i64>,
    /// Count of views.
    pub view_cnt: Option<i64>,
    /// Distinct users, views.
    pub view_user: Option<i64>,
    /// Count of claims.
    pub receive_cnt: Option<i64>,
    /// Distinct users, claims.
    pub receive_user: Option<i64>,
    /// Count of redemptions.
    pub verify_cnt: Option<i64>,
    /// Distinct users, redemptions.
    pub verify_user: Option<i64>,
    /// Count of gifts.
    pub given_cnt: Option<i64>,
    /// Distinct users, gifts.
    pub given_user: Option<i64>,
    /// Count of expiries.
    pub expire_cnt: Option<i64>,
    /// Distinct users, expiries.
    pub expire_user: Option<i64>,
    /// Count of redemptions by others.
    pub verify_noself_cnt: Option<i64>,
    /// Distinct users, redemptions by others.
    pub verify_noself_user: Option<i64>,
    /// 1 for a friends card.
    pub isfriendscard: Option<i64>,
    /// Unknown fields of the answer, JSON.
    pub extra: Option<String>,
    /// Business date in Asia/Shanghai.
    pub business_date: NaiveDate,
}

impl Record for CardDay {
    const DATASET: &str = "card_daily";
}

/// Datacube totals of member cards per day (getcardmembercardinfo) (`member_card_daily`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemberCardDay {
    /// Day of the figures.
    pub ref_date: NaiveDate,
    /// 0 created on the platform page, 1 created by API.
    pub cond_source: i64,
    /// Count of views.
    pub view_cnt: Option<i64>,
    /// Distinct users, views.
    pub view_user: Option<i64>,
    /// Count of claims.
    pub receive_cnt: Option<i64>,
    /// Distinct users, claims.
    pub receive_user: Option<i64>,
    /// Count of redemptions.
    pub verify_cnt: Option<i64>,
    /// Distinct users, redemptions.
    pub verify_user: Option<i64>,
    /// Count of activations.
    pub active_cnt: Option<i64>,
    /// Distinct users, activations.
    pub active_user: Option<i64>,
    /// Distinct users, new members.
    pub new_user: Option<i64>,
    /// Distinct users, valid members.
    pub total_user: Option<i64>,
    /// Distinct users, members ever.
    pub total_receive_user: Option<i64>,
    /// Unknown fields of the answer, JSON.
    pub extra: Option<String>,
    /// Business date in Asia/Shanghai.
    pub business_date: NaiveDate,
}

impl Record for MemberCardDay {
    const DATASET: &str = "member_card_daily";
}

/// Datacube figures of one member card per day (getcardmembercarddetail) (`member_card_detail_daily`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemberCardDetailDay {
    /// Day of the figures.
    pub ref_date: NaiveDate,
    /// MP card id.
    pub cardid: String,
    /// Sub-merchant type.
    pub merchanttype: i64,
    /// Sub-merchant id.
    pub submerchantid: String,
    /// Count of views.
    pub view_cnt: Option<i64>,
    /// Distinct users, views.
    pub view_user: Option<i64>,
    /// Count of claims.
    pub receive_cnt: Option<i64>,
    /// Distinct users, claims.
    pub receive_user: Option<i64>,
    /// Count of redemptions.
    pub verify_cnt: Option<i64>,
    /// Distinct users, redemptions.
    pub verify_user: Option<i64>,
    /// Count of activations.
    pub active_cnt: Option<i64>,
    /// Distinct users, activations.
    pub active_user: Option<i64>,
    /// Distinct users, new members.
    pub new_user: Option<i64>,
    /// Distinct users, valid members.
    pub total_user: Option<i64>,
    /// Distinct users, members ever.
    pub total_receive_user: Option<i64>,
    /// payOriginalFee as answered (unit unknown).
    pub pay_original_fee: Option<String>,
    /// fee as answered (unit unknown).
    pub fee: Option<String>,
    /// Unknown fields of the answer, JSON.
    pub extra: Option<String>,
    /// Business date in Asia/Shanghai.
    pub business_date: NaiveDate,
}

impl Record for MemberCardDetailDay {
    const DATASET: &str = "member_card_detail_daily";
}

/// MP cards: the dimension of the datacube datasets (card/get) (`cards`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// MP card id.
    pub card_id: String,
    /// Card type as answered.
    pub card_type: Option<String>,
    /// Title of the card.
    pub title: Option<String>,
    /// Brand on the card.
    pub brand_name: Option<String>,
    /// Status.
    pub status: Option<String>,
    /// Code type.
    pub code_type: Option<String>,
    /// Stock left.
    pub quantity: Option<i64>,
    /// Stock ever put in.
    pub total_quantity: Option<i64>,
    /// Kind of validity.
    pub date_type: Option<String>,
    /// Begins.
    pub begin_time: Option<DateTime<Utc>>,
    /// Ends.
    pub end_time: Option<DateTime<Utc>>,
    /// Created at.
    pub create_time: Option<DateTime<Utc>>,
    /// Updated at.
    pub update_time: Option<DateTime<Utc>>,
    /// Unknown fields of the answer, JSON.
    pub extra: Option<String>,
    /// Business date in Asia/Shanghai.
    pub business_date: NaiveDate,
}

impl Record for Card {
    const DATASET: &str = "cards";
}
