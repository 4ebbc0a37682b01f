//! The URL for COUPON.SEND callbacks (reference v3 §2.16, §2.17): one per merchant.

use serde::{Deserialize, Serialize};

use crate::wechat::endpoint;
use crate::wechat::lenient::{self, Extra};
use crate::wechat::pay_v3::target::Target;
use crate::wechat::request::Request;

/// The callback URL of a merchant.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Callbacks {
    /// Merchant.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub mchid: Option<String>,
    /// https, without a query.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub notify_url: Option<String>,
    /// When it was set; only in the answer to setting it.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub update_time: Option<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

#[derive(Serialize)]
struct NewCallbacks<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    mchid: Option<&'a str>,
    notify_url: &'a str,
}

/// The callback URL of a merchant, by default of the caller.
pub fn callbacks(mchid: Option<&str>) -> Request<Callbacks> {
    Request::without_body(
        &endpoint::CALLBACKS,
        Target::new(endpoint::CALLBACKS.path, &[]).maybe("mchid", mchid).finish(),
    )
}

/// Sets the callback URL.
pub fn set_callbacks(mchid: Option<&str>, notify_url: &str) -> Request<Callbacks> {
    let body = NewCallbacks { mchid, notify_url };
    Request::post(&endpoint::CALLBACKS_SET, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_calls_speak_of_the_same_url() {
        assert_eq!(callbacks(Some("1900000001")).target, "/v3/marketing/busifavor/callbacks?mchid=1900000001");
        assert_eq!(callbacks(None).target, "/v3/marketing/busifavor/callbacks");
        let set = set_callbacks(None, "https://pay.example.com/wx");
        assert_eq!(set.body.as_ref(), br#"{"notify_url":"https://pay.example.com/wx"}"#);
        let body = br#"{"update_time":"2015-05-20T13:29:35+08:00","notify_url":"https://pay.example.com/wx","mchid":"1900000001"}"#;
        assert_eq!(set.parse(body).unwrap().notify_url.as_deref(), Some("https://pay.example.com/wx"));
    }
}
