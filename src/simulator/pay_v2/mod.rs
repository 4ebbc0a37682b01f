//! The v2 API: XML in and out, MD5 signatures both ways; the HTTP status is always 200 (reference
//! v2 §A, §B).

mod bill;
mod coupons;
mod envelope;
mod issues;
mod xml;

use super::answer::Answer;
use super::exchange::{Endpoint, Exchange};
use super::signature::md5_signature;
use envelope::{BILL_PATH, asked, refuse};

pub(super) use envelope::{business_error, refuse_bill};

/// The endpoints of v2 this server answers.
pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint::v2("/mmpaymkttransfers/query_coupon_stock", coupons::query_stock),
    Endpoint::v2("/mmpaymkttransfers/querycouponsinfo", coupons::query_coupon),
    Endpoint::v2("/mmpaymkttransfers/send_coupon", issues::send),
    Endpoint::v2(BILL_PATH, bill::download),
];

/// Checks document, account and signature (reference v2 §A.3: a failure here has no result_code).
pub(super) fn admit(exchange: &Exchange<'_>) -> Result<(), Answer> {
    let fields = asked(exchange)?;
    let account = &exchange.office.account;
    let of = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    if of("nonce_str").is_empty() || of("nonce_str").len() > 32 {
        return Err(refuse(exchange, "nonce_str参数错误"));
    }
    let parameters = fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    if of("mch_id") != account.mchid {
        Err(refuse(exchange, "商户号mch_id不存在"))
    } else if of("appid") != account.appid {
        Err(refuse(exchange, "appid和mch_id不匹配"))
    } else if of("sign") != md5_signature(parameters, &account.v2_key) {
        Err(refuse(exchange, "签名错误"))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
