//! What the simulated WeChat knows: the coupons, receipts, bills and cards of a merchant, with the
//! times of all events. The server answers as of a moment, so one world serves every night. Written
//! by `generate`, read by the server; the client never sees it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `world/world.json`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct World {
    /// Who may call, and the keys that sign the answers.
    pub account: Account,
    /// Answers of GET stocks/{stock_id}, by stock id.
    pub stocks: BTreeMap<String, Map<String, Value>>,
    /// Every coupon ever received.
    pub coupons: Vec<Coupon>,
    /// Codes of coupons that still show `use_time` and `use_request_no` after their return; others
    /// do not. The reference leaves open which is right (v3 §2.14).
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub kept_redemptions: BTreeSet<String>,
    /// Code pools of MERCHANT_UPLOAD stocks, by stock id.
    pub codes: BTreeMap<String, Vec<Code>>,
    /// Subsidy payment receipts.
    pub pay_receipts: Vec<Receipt>,
    /// Subsidy return receipts.
    pub return_receipts: Vec<Receipt>,
    /// Trade bill of a day (`2026-11-18`): file name inside the world folder. A day without one
    /// answers NO_STATEMENT_EXIST. Other kinds have keys of their own: `2026-11-18.REFUND`,
    /// `2026-11-18.SUCCESS`, fund flows `2026-11-18.FUND_BASIC`.
    pub bills: BTreeMap<String, String>,
    /// Rows of the datacube calls, by call name (`getcardbizuininfo`), with `cond_source` and
    /// `card_id` of the request they answer.
    pub datacube: BTreeMap<String, Vec<DatacubeRow>>,
    /// `card` objects of card/get, by card id.
    pub cards: BTreeMap<String, Map<String, Value>>,
    /// Fields of query_coupon_stock answers, by coupon_stock_id.
    pub v2_stocks: BTreeMap<String, BTreeMap<String, String>>,
    /// Fields of querycouponsinfo answers, by coupon_id; an `openid` among them must match the
    /// request and is not answered.
    pub v2_coupons: BTreeMap<String, BTreeMap<String, String>>,
    /// Stocks whose v2 answers carry no `sign` (reference v2 §A.4).
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub v2_unsigned_stocks: BTreeSet<String>,
    /// Changes of `stocks`, by stock id, oldest first.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub stock_revisions: BTreeMap<String, Vec<StockRevision>>,
    /// Card codes in wallets: card/code/get and card/user/getcardlist.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub card_codes: Vec<CardCode>,
    /// Callback URL of the merchant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify_url: Option<String>,
}

/// New values of a stock under some of its keys, from a time on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StockRevision {
    /// The time from which the values are answered.
    pub from: DateTime<Utc>,
    /// Top-level keys and their new values.
    pub fields: Map<String, Value>,
}

/// A card code in a wallet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CardCode {
    /// Wallet it is in.
    pub openid: String,
    /// Card.
    pub card_id: String,
    /// Code.
    pub code: String,
    /// Received.
    pub receive_time: DateTime<Utc>,
    /// Usable from, epoch seconds.
    pub begin_time: i64,
    /// Usable until, epoch seconds.
    pub end_time: i64,
    /// `user_card_status` from a time on, oldest first; NORMAL before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statuses: Vec<(DateTime<Utc>, String)>,
}

/// Credentials of the merchant and of WeChat.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Account {
    /// Merchant number (v3 and v2).
    pub mchid: String,
    /// Serial of the merchant API certificate.
    pub merchant_serial_no: String,
    /// Public half of the merchant key, SPKI PEM.
    pub merchant_public_key_pem: String,
    /// APIv3 key, 32 bytes.
    pub api_v3_key: String,
    /// Platform private key, PKCS#8 PEM: signs every answer.
    pub platform_private_key_pem: String,
    /// `PUB_KEY_ID_…` of the platform key in public-key mode.
    pub public_key_id: String,
    /// Platform certificate made with the same key, PEM; empty: only public-key mode.
    pub platform_certificate_pem: String,
    /// Its serial, upper-case hex.
    pub platform_certificate_serial: String,
    /// Appid of wallets, v2 and MP.
    pub appid: String,
    /// v2 API key.
    pub v2_key: String,
    /// MP app secret.
    pub mp_secret: String,
}

/// A coupon and its events.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Coupon {
    /// Wallet it is in.
    pub openid: String,
    /// Stock.
    pub stock_id: String,
    /// Code.
    pub coupon_code: String,
    /// Received.
    pub receive_time: DateTime<Utc>,
    /// Usable from.
    pub available_start_time: DateTime<Utc>,
    /// Usable until.
    pub expire_time: DateTime<Utc>,
    /// Issue number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_request_no: Option<String>,
    /// Order association, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub association: Option<Event>,
    /// Redemption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redemption: Option<Event>,
    /// Return after the redemption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coupon_return: Option<Event>,
    /// Redemption after the return.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_redemption: Option<Event>,
    /// Deactivation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deactivation: Option<Event>,
    /// Deleted by the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_time: Option<DateTime<Utc>>,
    /// The list call does not show it (a lagging list); the single query does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub missing_from_list: bool,
    /// The list call shows it without its association (a lagging list); the single query has it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub list_lags_association: bool,
}

/// Something that happened under a merchant number.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Event {
    /// use_request_no, return_request_no, deactivate_request_no, or out_trade_no of an association.
    pub number: String,
    /// When.
    pub time: DateTime<Utc>,
}

/// A code of a pool.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Code {
    /// The code.
    pub code: String,
    /// Uploaded.
    pub upload_time: DateTime<Utc>,
    /// Given to a user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispatched_time: Option<DateTime<Utc>>,
    /// The user it was given to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub openid: Option<String>,
}

/// A subsidy receipt: its JSON as answered, and its times.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Receipt {
    /// Before this the server does not know it.
    pub create_time: DateTime<Utc>,
    /// Statuses from a time on, oldest first; the answer shows the last that has begun.
    pub statuses: Vec<(DateTime<Utc>, String)>,
    /// The answer without `status`.
    pub body: Map<String, Value>,
}

/// A row of a datacube call.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DatacubeRow {
    /// The cond_source that returns it; `None` for getcardmembercarddetail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cond_source: Option<i64>,
    /// Day of the figures, also in `row`.
    pub ref_date: String,
    /// The row as answered.
    pub row: Map<String, Value>,
}
