//! Rows of the WeChat trade bill. Column meanings: `schemas/`. A row owns its strings, or borrows them
//! from the line it was parsed from.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::Record;
use super::packed::packed_row;
use crate::money::Fen;

/// Payment rows of the WeChat trade bill (`payments`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Payment<S = String> {
    /// WeChat Pay order id.
    pub transaction_id: S,
    /// SUCCESS or REVOKED as the bill says.
    pub trade_state: S,
    /// 交易时间 of the bill: when the payment succeeded.
    pub trade_time: DateTime<Utc>,
    /// 公众账号ID.
    pub appid: Option<S>,
    /// 商户号 of the bill.
    pub mchid: Option<S>,
    /// 特约商户号.
    pub sub_mchid: Option<S>,
    /// 设备号.
    pub device_info: Option<S>,
    /// Merchant order number.
    pub out_trade_no: S,
    /// User, as HMAC-SHA256 hex unless pii is raw.
    pub openid: Option<S>,
    /// 交易类型.
    pub trade_type: Option<S>,
    /// 付款银行.
    pub bank_type: Option<S>,
    /// 货币种类.
    pub fee_type: Option<S>,
    /// 应结订单金额, fen.
    pub settled_fen: Fen,
    /// 代金券金额 (never 商家券), fen.
    pub coupon_fee_fen: Fen,
    /// 商品名称.
    pub body: Option<S>,
    /// 商户数据包.
    pub attach: Option<S>,
    /// 手续费 in thousandths of a fen (the bill has five decimals of a yuan).
    pub service_fee_millifen: i64,
    /// 费率 as text.
    pub rate: Option<S>,
    /// 订单金额, fen.
    pub order_fen: Fen,
    /// 费率备注.
    pub rate_remark: Option<S>,
    /// Business date in Asia/Shanghai.
    pub business_date: NaiveDate,
}

impl Record for Payment {
    const DATASET: &str = "payments";
    const AMOUNT: Option<&str> = Some("order_fen");

    fn amount(&self) -> Fen {
        self.order_fen
    }
}

/// Refund rows of the WeChat trade bill (`refunds`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refund<S = String> {
    /// 微信退款单号.
    pub refund_id: S,
    /// 商户退款单号.
    pub out_refund_no: Option<S>,
    /// WeChat Pay order id.
    pub transaction_id: S,
    /// Merchant order number.
    pub out_trade_no: S,
    /// When the refund was accepted (交易时间 or 退款申请时间).
    pub accepted_time: DateTime<Utc>,
    /// When it succeeded.
    pub success_time: Option<DateTime<Utc>>,
    /// 公众账号ID.
    pub appid: Option<S>,
    /// 商户号 of the bill.
    pub mchid: Option<S>,
    /// 特约商户号.
    pub sub_mchid: Option<S>,
    /// 设备号.
    pub device_info: Option<S>,
    /// User, as HMAC-SHA256 hex unless pii is raw.
    pub openid: Option<S>,
    /// 交易类型.
    pub trade_type: Option<S>,
    /// 付款银行.
    pub bank_type: Option<S>,
    /// 货币种类.
    pub fee_type: Option<S>,
    /// 退款类型.
    pub refund_type: Option<S>,
    /// 退款状态 at the time of the bill.
    pub refund_status: Option<S>,
    /// Refunded amount, fen.
    pub refund_fen: Fen,
    /// 申请退款金额, fen.
    pub applied_refund_fen: Fen,
    /// 充值券退款金额, fen.
    pub coupon_refund_fen: Fen,
    /// 商品名称.
    pub body: Option<S>,
    /// 商户数据包.
    pub attach: Option<S>,
    /// 手续费 in thousandths of a fen (the bill has five decimals of a yuan).
    pub service_fee_millifen: i64,
    /// 费率 as text.
    pub rate: Option<S>,
    /// 费率备注.
    pub rate_remark: Option<S>,
    /// Business date in Asia/Shanghai.
    pub business_date: NaiveDate,
}

impl Record for Refund {
    const DATASET: &str = "refunds";
    const AMOUNT: Option<&str> = Some("applied_refund_fen");

    fn amount(&self) -> Fen {
        self.applied_refund_fen
    }
}

packed_row! {
    Payment<S>: key { transaction_id, trade_state } cells {
        trade_time, appid, mchid, sub_mchid, device_info, out_trade_no, openid, trade_type, bank_type, fee_type,
        settled_fen, coupon_fee_fen, body, attach, service_fee_millifen, rate, order_fen, rate_remark, business_date,
    }
}

packed_row! {
    Refund<S>: key { refund_id } cells {
        out_refund_no, transaction_id, out_trade_no, accepted_time, success_time, appid, mchid, sub_mchid, device_info,
        openid, trade_type, bank_type, fee_type, refund_type, refund_status, refund_fen, applied_refund_fen,
        coupon_refund_fen, body, attach, service_fee_millifen, rate, rate_remark, business_date,
    }
}
