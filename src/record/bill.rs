//! Rows of the WeChat trade bill. Column meanings: `schemas/`.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::Record;
use crate::money::Fen;

/// Payment rows of the WeChat trade bill (`payments`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Payment {
    /// WeChat Pay order id.
    pub transaction_id: String,
    /// SUCCESS or REVOKED as the bill says.
    pub trade_state: String,
    /// 交易时间 of the bill: when the payment succeeded.
    pub trade_time: DateTime<Utc>,
    /// 公众账号ID.
    pub appid: Option<String>,
    /// 商户号 of the bill.
    pub mchid: Option<String>,
    /// 特约商户号.
    pub sub_mchid: Option<String>,
    /// 设备号.
    pub device_info: Option<String>,
    /// Merchant order number.
    pub out_trade_no: String,
    /// User, as HMAC-SHA256 hex unless pii is raw.
    pub openid: Option<String>,
    /// 交易类型.
    pub trade_type: Option<String>,
    /// 付款银行.
    pub bank_type: Option<String>,
    /// 货币种类.
    pub fee_type: Option<String>,
    /// 应结订单金额, fen.
    pub settled_fen: Fen,
    /// 代金券金额 (never 商家券), fen.
    pub coupon_fee_fen: Fen,
    /// 商品名称.
    pub body: Option<String>,
    /// 商户数据包.
    pub attach: Option<String>,
    /// 手续费 in thousandths of a fen (the bill has five decimals of a yuan).
    pub service_fee_millifen: i64,
    /// 费率 as text.
    pub rate: Option<String>,
    /// 订单金额, fen.
    pub order_fen: Fen,
    /// 费率备注.
    pub rate_remark: Option<String>,
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
pub struct Refund {
    /// 微信退款单号.
    pub refund_id: String,
    /// 商户退款单号.
    pub out_refund_no: Option<String>,
    /// WeChat Pay order id.
    pub transaction_id: String,
    /// Merchant order number.
    pub out_trade_no: String,
    /// When the refund was accepted (交易时间 or 退款申请时间).
    pub accepted_time: DateTime<Utc>,
    /// When it succeeded.
    pub success_time: Option<DateTime<Utc>>,
    /// 公众账号ID.
    pub appid: Option<String>,
    /// 商户号 of the bill.
    pub mchid: Option<String>,
    /// 特约商户号.
    pub sub_mchid: Option<String>,
    /// 设备号.
    pub device_info: Option<String>,
    /// User, as HMAC-SHA256 hex unless pii is raw.
    pub openid: Option<String>,
    /// 交易类型.
    pub trade_type: Option<String>,
    /// 付款银行.
    pub bank_type: Option<String>,
    /// 货币种类.
    pub fee_type: Option<String>,
    /// 退款类型.
    pub refund_type: Option<String>,
    /// 退款状态 at the time of the bill.
    pub refund_status: Option<String>,
    /// Refunded amount, fen.
    pub refund_fen: Fen,
    /// 申请退款金额, fen.
    pub applied_refund_fen: Fen,
    /// 充值券退款金额, fen.
    pub coupon_refund_fen: Fen,
    /// 商品名称.
    pub body: Option<String>,
    /// 商户数据包.
    pub attach: Option<String>,
    /// 手续费 in thousandths of a fen (the bill has five decimals of a yuan).
    pub service_fee_millifen: i64,
    /// 费率 as text.
    pub rate: Option<String>,
    /// 费率备注.
    pub rate_remark: Option<String>,
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
