//! Stocks, coupons, codes and coupon events of the merchant-coupon API. Column meanings: `schemas/`. A coupon owns
//! its strings, or borrows them from its packed form.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::Record;
use super::packed::packed_row;
use crate::money::Fen;

/// Verified and decrypted COUPON.SEND callbacks of the day (`coupon_events`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CouponEvent {
    /// Coupon stock (批次) id.
    pub stock_id: String,
    /// Coupon code.
    pub coupon_code: String,
    /// Id of the callback.
    pub event_id: String,
    /// When the coupon was sent.
    pub send_time: DateTime<Utc>,
    /// User, as HMAC-SHA256 hex unless pii is raw.
    pub openid: Option<String>,
    /// User across apps, as HMAC-SHA256 hex unless pii is raw.
    pub unionid: Option<String>,
    /// Channel that sent it.
    pub send_channel: Option<String>,
    /// Merchant that sent it.
    pub send_merchant: Option<String>,
    /// WeChat Pay order id.
    pub transaction_id: Option<String>,
    /// Activity of the channel.
    pub act_code: Option<String>,
    /// Unknown fields of the answer, JSON.
    pub extra: Option<String>,
    /// Business date in Asia/Shanghai.
    pub business_date: NaiveDate,
}

impl Record for CouponEvent {
    const DATASET: &str = "coupon_events";
}

/// Coupon stocks as GET stocks/{stock_id} answers (`stocks`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stock {
    /// Coupon stock (批次) id.
    pub stock_id: String,
    /// Name of the stock.
    pub stock_name: Option<String>,
    /// Merchant the stock belongs to.
    pub belong_merchant: Option<String>,
    /// Remark of the stock.
    pub comment: Option<String>,
    /// Goods the coupon is for.
    pub goods_name: Option<String>,
    /// NORMAL, DISCOUNT or EXCHANGE.
    pub stock_type: Option<String>,
    /// State of the stock.
    pub stock_state: Option<String>,
    /// Who makes the codes.
    pub coupon_code_mode: Option<String>,
    /// Stock usable from.
    pub available_begin_time: Option<DateTime<Utc>>,
    /// Stock usable until.
    pub available_end_time: Option<DateTime<Utc>>,
    /// Days usable after receipt.
    pub available_day_after_receive: Option<i64>,
    /// Days to wait after receipt.
    pub wait_days_after_receive: Option<i64>,
    /// Fixed discount of a NORMAL coupon, fen.
    pub discount_amount_fen: Option<Fen>,
    /// Percent to pay with a DISCOUNT coupon (88 = pay 88 %).
    pub discount_percent: Option<i64>,
    /// Price with an EXCHANGE coupon, fen.
    pub exchange_price_fen: Option<Fen>,
    /// Minimum spend, fen.
    pub transaction_minimum_fen: Option<Fen>,
    /// How the coupon is used.
    pub use_method: Option<String>,
    /// Coupons in all.
    pub max_coupons: Option<i64>,
    /// Coupons per user.
    pub max_coupons_per_user: Option<i64>,
    /// Coupons per day.
    pub max_coupons_by_day: Option<i64>,
    /// Budget, fen.
    pub max_amount_fen: Option<Fen>,
    /// Daily budget, fen.
    pub max_amount_by_day_fen: Option<Fen>,
    /// Codes uploaded.
    pub total_count: Option<i64>,
    /// Codes left.
    pub available_count: Option<i64>,
    /// Coupons sent in all.
    pub total_send_num: Option<i64>,
    /// Amount sent in all, fen.
    pub total_send_amount_fen: Option<Fen>,
    /// Coupons sent on the day of the query.
    pub today_send_num: Option<i64>,
    /// Amount sent on the day of the query, fen.
    pub today_send_amount_fen: Option<Fen>,
    /// Whether subsidies are on.
    pub subsidy: Option<bool>,
    /// Appid whose openid callbacks carry.
    pub notify_appid: Option<String>,
    /// Unknown fields of the answer, JSON.
    pub extra: Option<String>,
    /// Business date in Asia/Shanghai.
    pub business_date: NaiveDate,
}

impl Record for Stock {
    const DATASET: &str = "stocks";
}

/// Coupons in the wallets of the users: asked tonight or carried (`user_coupons`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UserCoupon<S = String> {
    /// Coupon stock (批次) id.
    pub stock_id: S,
    /// Coupon code.
    pub coupon_code: S,
    /// User, as HMAC-SHA256 hex unless pii is raw.
    pub openid: S,
    /// Merchant the stock belongs to.
    pub belong_merchant: Option<S>,
    /// Name of the stock.
    pub stock_name: Option<S>,
    /// Remark of the stock.
    pub comment: Option<S>,
    /// Goods the coupon is for.
    pub goods_name: Option<S>,
    /// NORMAL, DISCOUNT or EXCHANGE.
    pub stock_type: Option<S>,
    /// Can be given away.
    pub transferable: Option<bool>,
    /// Can be shared.
    pub shareable: Option<bool>,
    /// State the wallet showed.
    pub coupon_state: Option<S>,
    /// Fixed discount of a NORMAL coupon, fen.
    pub discount_amount_fen: Option<Fen>,
    /// Percent to pay with a DISCOUNT coupon (88 = pay 88 %).
    pub discount_percent: Option<i64>,
    /// Price with an EXCHANGE coupon, fen.
    pub exchange_price_fen: Option<Fen>,
    /// Minimum spend, fen.
    pub transaction_minimum_fen: Option<Fen>,
    /// How the coupon is used.
    pub use_method: Option<S>,
    /// Usable from.
    pub available_start_time: Option<DateTime<Utc>>,
    /// Usable until.
    pub expire_time: Option<DateTime<Utc>>,
    /// Received at.
    pub receive_time: Option<DateTime<Utc>>,
    /// Request number of the sender.
    pub send_request_no: Option<S>,
    /// Request number of the redemption.
    pub use_request_no: Option<S>,
    /// Redeemed at.
    pub use_time: Option<DateTime<Utc>>,
    /// Order the merchant associated.
    pub associate_out_trade_no: Option<S>,
    /// Request number of the return.
    pub return_request_no: Option<S>,
    /// Returned at.
    pub return_time: Option<DateTime<Utc>>,
    /// Request number of the deactivation.
    pub deactivate_request_no: Option<S>,
    /// Deactivated at.
    pub deactivate_time: Option<DateTime<Utc>>,
    /// Why deactivated.
    pub deactivate_reason: Option<S>,
    /// Business date whose run last asked.
    pub verified_date: NaiveDate,
    /// Unknown fields of the answer, JSON.
    pub extra: Option<S>,
    /// Business date in Asia/Shanghai.
    pub business_date: NaiveDate,
}

impl Record for UserCoupon {
    const DATASET: &str = "user_coupons";
    const AMOUNT: Option<&str> = Some("discount_amount_fen");

    fn amount(&self) -> Fen {
        self.discount_amount_fen.unwrap_or_default()
    }
}

packed_row! {
    UserCoupon<S>: key { stock_id, coupon_code, openid } cells {
        belong_merchant, stock_name, comment, goods_name, stock_type, transferable, shareable, coupon_state,
        discount_amount_fen, discount_percent, exchange_price_fen, transaction_minimum_fen, use_method,
        available_start_time, expire_time, receive_time, send_request_no, use_request_no, use_time,
        associate_out_trade_no, return_request_no, return_time, deactivate_request_no, deactivate_time,
        deactivate_reason, verified_date, extra, business_date,
    }
}

/// Codes of MERCHANT_UPLOAD stocks (`coupon_codes`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CouponCode {
    /// Coupon stock (批次) id.
    pub stock_id: String,
    /// Coupon code.
    pub coupon_code: String,
    /// AVAILABLE or DISPATCHED.
    pub code_status: Option<String>,
    /// Uploaded at.
    pub upload_time: Option<DateTime<Utc>>,
    /// Dispatched at.
    pub dispatched_time: Option<DateTime<Utc>>,
    /// User, as HMAC-SHA256 hex unless pii is raw.
    pub openid: Option<String>,
    /// User across apps, as HMAC-SHA256 hex unless pii is raw.
    pub unionid: Option<String>,
    /// Unknown fields of the answer, JSON.
    pub extra: Option<String>,
    /// Business date in Asia/Shanghai.
    pub business_date: NaiveDate,
}

impl Record for CouponCode {
    const DATASET: &str = "coupon_codes";
}

// Openids are raw until they are published.
packed_row! {
    CouponCode: key { stock_id, coupon_code } cells {
        code_status, upload_time, dispatched_time, openid, unionid, extra, business_date,
    }
}
