//! Stocks (批次, batches of coupons): query, create, change (reference v3 §2.1–2.4).

use serde::{Deserialize, Serialize};

use super::rule::{CouponUseRule, CustomEntrance, DisplayPattern, RULE};
use crate::money::Fen;
use crate::wechat::endpoint;
use crate::wechat::lenient::{self, Extra};
use crate::wechat::oddity::{Mendable, Shape, fits};
use crate::wechat::pay_v3::target::Target;
use crate::wechat::request::{Request, to_json};

/// A stock as `GET stocks/{stock_id}` answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Stock {
    /// Id.
    #[serde(deserialize_with = "lenient::key")]
    pub stock_id: String,
    /// Name.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub stock_name: Option<String>,
    /// Merchant it belongs to.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub belong_merchant: Option<String>,
    /// Remark.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Goods.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub goods_name: Option<String>,
    /// NORMAL, DISCOUNT, EXCHANGE.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub stock_type: Option<String>,
    /// How its coupons may be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coupon_use_rule: Option<CouponUseRule>,
    /// How many may be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stock_send_rule: Option<StockSendRule>,
    /// Where its coupons lead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_entrance: Option<CustomEntrance>,
    /// What its coupons look like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_pattern_info: Option<DisplayPattern>,
    /// UNAUDIT, RUNNING, STOPED (the wire's spelling), PAUSED.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub stock_state: Option<String>,
    /// WECHATPAY_MODE, MERCHANT_API, MERCHANT_UPLOAD.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub coupon_code_mode: Option<String>,
    /// Uploaded codes; only MERCHANT_UPLOAD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coupon_code_count: Option<CodeCount>,
    /// The appid whose openids callbacks carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify_config: Option<NotifyConfig>,
    /// Coupons sent (not used) so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_count_information: Option<SendCount>,
    /// Whether subsidies are on.
    #[serde(default, deserialize_with = "lenient::boolean", skip_serializing_if = "Option::is_none")]
    pub subsidy: Option<bool>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Ids, states, discounts and what the rules ST01 to ST05 count decide.
impl Mendable for Stock {
    const SHAPE: Shape = Shape {
        decorative: &[
            "stock_name",
            "comment",
            "goods_name",
            "custom_entrance",
            "display_pattern_info",
            "notify_config",
            "subsidy",
        ],
        times: &["available_begin_time", "available_end_time"],
        inner: &[("coupon_use_rule", &RULE), ("stock_send_rule", &SEND_RULE), ("send_count_information", &SEND_COUNT)],
        fits: fits::<Stock>,
    };

    fn extra(&mut self) -> &mut Extra {
        &mut self.extra
    }
}

const SEND_RULE: Shape = Shape {
    decorative: &[
        "max_coupons_by_day",
        "max_amount",
        "max_amount_by_day",
        "natural_person_limit",
        "prevent_api_abuse",
        "transferable",
        "shareable",
    ],
    times: &[],
    inner: &[],
    fits: fits::<StockSendRule>,
};

const SEND_COUNT: Shape = Shape {
    decorative: &["total_send_amount", "today_send_num", "today_send_amount"],
    times: &[],
    inner: &[],
    fits: fits::<SendCount>,
};

/// How many coupons may be sent, to whom.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StockSendRule {
    /// In all.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub max_coupons: Option<i64>,
    /// Per user.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub max_coupons_per_user: Option<i64>,
    /// Per day.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub max_coupons_by_day: Option<i64>,
    /// Budget, fen.
    #[serde(default, deserialize_with = "lenient::fen", skip_serializing_if = "Option::is_none")]
    pub max_amount: Option<Fen>,
    /// Daily budget, fen.
    #[serde(default, deserialize_with = "lenient::fen", skip_serializing_if = "Option::is_none")]
    pub max_amount_by_day: Option<Fen>,
    /// One per person.
    #[serde(default, deserialize_with = "lenient::boolean", skip_serializing_if = "Option::is_none")]
    pub natural_person_limit: Option<bool>,
    /// Only to users WeChat trusts.
    #[serde(default, deserialize_with = "lenient::boolean", skip_serializing_if = "Option::is_none")]
    pub prevent_api_abuse: Option<bool>,
    /// May be given away.
    #[serde(default, deserialize_with = "lenient::boolean", skip_serializing_if = "Option::is_none")]
    pub transferable: Option<bool>,
    /// May be shared.
    #[serde(default, deserialize_with = "lenient::boolean", skip_serializing_if = "Option::is_none")]
    pub shareable: Option<bool>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A pool of uploaded codes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CodeCount {
    /// Uploaded.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub total_count: Option<i64>,
    /// Left.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub available_count: Option<i64>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The appid whose openids callbacks carry.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NotifyConfig {
    /// Appid.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub notify_appid: Option<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What was sent; `today_*` is reset every day.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SendCount {
    /// Coupons.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub total_send_num: Option<i64>,
    /// Fen.
    #[serde(default, deserialize_with = "lenient::fen", skip_serializing_if = "Option::is_none")]
    pub total_send_amount: Option<Fen>,
    /// Coupons today.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "Option::is_none")]
    pub today_send_num: Option<i64>,
    /// Fen today.
    #[serde(default, deserialize_with = "lenient::fen", skip_serializing_if = "Option::is_none")]
    pub today_send_amount: Option<Fen>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What `POST stocks` needs (reference v3 §2.1).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NewStock {
    /// At most 21 characters.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub stock_name: Option<String>,
    /// Merchant it belongs to.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub belong_merchant: Option<String>,
    /// At most 20 characters.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// At most 15 characters.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub goods_name: Option<String>,
    /// NORMAL, DISCOUNT, EXCHANGE.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub stock_type: Option<String>,
    /// How its coupons may be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coupon_use_rule: Option<CouponUseRule>,
    /// How many may be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stock_send_rule: Option<StockSendRule>,
    /// Idempotency: a repeated number creates no second stock.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub out_request_no: Option<String>,
    /// Where its coupons lead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_entrance: Option<CustomEntrance>,
    /// What its coupons look like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_pattern_info: Option<DisplayPattern>,
    /// WECHATPAY_MODE, MERCHANT_API, MERCHANT_UPLOAD.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub coupon_code_mode: Option<String>,
    /// Whose openid callbacks carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify_config: Option<NotifyConfig>,
    /// Whether subsidies will be paid.
    #[serde(default, deserialize_with = "lenient::boolean", skip_serializing_if = "Option::is_none")]
    pub subsidy: Option<bool>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The new stock.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StockCreated {
    /// Id.
    #[serde(deserialize_with = "lenient::key")]
    pub stock_id: String,
    /// RFC 3339 as sent.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub create_time: Option<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What `PATCH stocks/{stock_id}` can change (reference v3 §2.3); absent fields stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StockChange {
    /// Number of this change.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub out_request_no: Option<String>,
    /// Where its coupons lead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_entrance: Option<CustomEntrance>,
    /// Remark.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Goods.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub goods_name: Option<String>,
    /// What its coupons look like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_pattern_info: Option<DisplayPattern>,
    /// Only `use_method` and the mini program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coupon_use_rule: Option<CouponUseRule>,
    /// Only `prevent_api_abuse`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stock_send_rule: Option<StockSendRule>,
    /// Whose openid callbacks carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify_config: Option<NotifyConfig>,
    /// Only from false to true.
    #[serde(default, deserialize_with = "lenient::boolean", skip_serializing_if = "Option::is_none")]
    pub subsidy: Option<bool>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Either the total or the daily budget; `current_*` guards against concurrent changes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BudgetChange {
    /// New total.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub target_max_coupons: Option<i64>,
    /// The total it must have now.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub current_max_coupons: Option<i64>,
    /// New daily limit.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub target_max_coupons_by_day: Option<i64>,
    /// The daily limit it must have now.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub current_max_coupons_by_day: Option<i64>,
    /// Number of this change.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub modify_budget_request_no: Option<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The budget after the change.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// In all.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub max_coupons: Option<i64>,
    /// Per day.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub max_coupons_by_day: Option<i64>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One stock (reference v3 §2.2). NotFound when WeChat does not know it.
pub fn stock(stock_id: &str) -> Request<Stock> {
    Request::mending(&endpoint::STOCK, Target::new(endpoint::STOCK.path, &[stock_id]).finish())
}

/// Creates a stock (reference v3 §2.1).
pub fn create_stock(stock: &NewStock) -> Request<StockCreated> {
    Request::post(&endpoint::STOCK_CREATE, stock)
}

/// Changes a stock; answers 204 (reference v3 §2.3).
pub fn modify_stock(stock_id: &str, change: &StockChange) -> Request<()> {
    let target = Target::new(endpoint::STOCK_MODIFY.path, &[stock_id]).finish();
    Request::unread(&endpoint::STOCK_MODIFY, target, to_json(change))
}

/// Changes the budget of a stock (reference v3 §2.4).
pub fn change_budget(stock_id: &str, change: &BudgetChange) -> Request<Budget> {
    let target = Target::new(endpoint::STOCK_BUDGET.path, &[stock_id]).finish();
    Request::json(&endpoint::STOCK_BUDGET, target, change)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const STOCK: &str = include_str!("../../../../tests/fixtures/answers/pay_v3_stock.json");

    #[test]
    fn the_documented_stock_parses_without_a_field_left_over() {
        let stock = stock("1212").parse(STOCK.as_bytes()).unwrap();
        assert_eq!(stock.stock_state.as_deref(), Some("UNAUDIT"));
        assert_eq!(stock.coupon_use_rule.as_ref().unwrap().discount_amount(), Some(Fen(5)));
        assert_eq!(stock.send_count_information.as_ref().unwrap().total_send_amount, Some(Fen(34)));
        assert!(stock.extra.is_empty());
        assert_eq!(serde_json::to_value(&stock).unwrap(), serde_json::from_str::<Value>(STOCK).unwrap());
    }

    #[test]
    fn unknown_fields_and_values_survive() {
        let body = br#"{"stock_id":1212,"stock_state":"HIBERNATING","product_coupon":{"id":"7"},"subsidy":"true"}"#;
        let stock = stock("1212").parse(body).unwrap();
        assert_eq!((stock.stock_id.as_str(), stock.subsidy), ("1212", Some(true)));
        assert_eq!(stock.stock_state.as_deref(), Some("HIBERNATING"));
        assert_eq!(stock.extra["product_coupon"]["id"], "7");
    }

    #[test]
    fn a_stock_without_its_id_is_refused() {
        let error = stock("1").parse(br#"{"stock_name":"x"}"#).unwrap_err();
        assert!(error.to_string().contains("stock_id"), "{error}");
    }

    #[test]
    fn writes_send_only_what_is_given() {
        let change = BudgetChange {
            target_max_coupons: Some(200),
            current_max_coupons: Some(100),
            modify_budget_request_no: Some("B1".into()),
            ..BudgetChange::default()
        };
        let request = change_budget("12/12", &change);
        assert_eq!(request.target, "/v3/marketing/busifavor/stocks/12%2F12/budget");
        assert_eq!(
            request.body.as_ref(),
            br#"{"target_max_coupons":200,"current_max_coupons":100,"modify_budget_request_no":"B1"}"#
        );
        assert_eq!(request.parse(br#"{"max_coupons":200,"max_coupons_by_day":50}"#).unwrap().max_coupons, Some(200));
        let rename = StockChange { comment: Some("夜间".into()), ..StockChange::default() };
        assert_eq!(modify_stock("1", &rename).body.as_ref(), r#"{"comment":"夜间"}"#.as_bytes());
        assert!(modify_stock("1", &rename).parse(b"").is_ok());
        let created = create_stock(&NewStock { stock_name: Some("8月1日活动券".into()), ..NewStock::default() });
        assert_eq!(
            created.parse(br#"{"stock_id":"98065001","create_time":"2015-05-20T13:29:35+08:00"}"#).unwrap().stock_id,
            "98065001"
        );
    }
}
