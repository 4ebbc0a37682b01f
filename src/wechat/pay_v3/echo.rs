//! `POST /v3/security/echo`: a round trip that verifies key, serial, clock and signature without
//! changing anything (reference v3 §1.13). Used by `check`.

use serde::{Deserialize, Serialize};

use crate::wechat::endpoint;
use crate::wechat::lenient::Extra;
use crate::wechat::request::Request;

/// The message to send.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Call<'a> {
    echo_message: &'a str,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Echo {
    /// The message, unchanged.
    pub echo_message: String,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Asks WeChat to return `message`.
pub fn echo(message: &str) -> Request<Echo> {
    Request::post(&endpoint::ECHO, &Call { echo_message: message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_sent_as_it_is_and_read_back() {
        let request = echo("你好 coupon");
        assert_eq!(request.body.as_ref(), r#"{"echo_message":"你好 coupon"}"#.as_bytes());
        assert_eq!(request.parse(&request.body).unwrap().echo_message, "你好 coupon");
    }
}
