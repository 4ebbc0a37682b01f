//! The error bodies of v3, with the codes and texts of the reference (§1.9).

use serde::Serialize;
use serde_json::{Value, json};

use crate::simulator::answer::Answer;
use crate::simulator::call::Call;
use crate::simulator::exchange::Exchange;
use crate::simulator::signature::Flaw;

/// How many characters of the signed string the real server shows.
const SHOWN_CHARACTERS: usize = 64;

/// `{"code", "message"}`.
pub(in crate::simulator) fn refuse(status: u16, code: &str, message: &str) -> Answer {
    Answer::json(status, &json!({"code": code, "message": message}))
}

/// Where a request has its parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Location {
    Query,
    /// The path.
    Url,
    Body,
}

/// PARAM_ERROR with its detail. A parameter of the body is named by its JSON pointer.
pub(super) fn refuse_parameter(name: &str, value: &str, location: Location) -> Answer {
    let field = if location == Location::Body { format!("/{name}") } else { name.to_owned() };
    let issue = if value.is_empty() { "缺少必填参数" } else { "参数不符合规则" };
    let detail = json!({"field": field, "value": value, "issue": issue, "location": location});
    Answer::json(400, &json!({"code": "PARAM_ERROR", "message": format!("参数错误：{name}"), "detail": detail}))
}

/// 401 for a flaw of the Authorization header.
pub(super) fn refuse_flaw(flaw: Flaw) -> Answer {
    refuse(401, "SIGN_ERROR", &flaw.to_string())
}

/// 401 for an invalid signature: shows the string that should have been signed.
pub(super) fn refuse_signature(call: &Call, message: &str) -> Answer {
    let shown: String = message.chars().take(SHOWN_CHARACTERS).collect();
    let information = json!({
        "method": call.method,
        "url": call.target,
        "truncated_sign_message": shown,
        "sign_message_length": message.len(),
    });
    let detail = json!({
        "detail": {"issue": "sign not match"},
        "field": "signature",
        "location": "authorization",
        "sign_information": information,
    });
    let body: Value = json!({"code": "SIGN_ERROR", "message": Flaw::Signature.to_string(), "detail": detail});
    Answer::json(401, &body)
}

/// Refuses an appid that is not the merchant's.
pub(super) fn check_appid(exchange: &Exchange<'_>, appid: &str) -> Result<(), Answer> {
    if appid == exchange.office.account.appid {
        return Ok(());
    }
    Err(refuse(400, "APPID_MCHID_NOT_MATCH", "appid与mchid不匹配"))
}

/// 404 RESOURCE_NOT_EXISTS.
pub(super) fn unknown(what: &str) -> Answer {
    refuse(404, "RESOURCE_NOT_EXISTS", &format!("{what}不存在"))
}
