//! The meaning of a v3 status and error body (reference v3 §1.9). Uses status and `code` only, since one code has
//! many messages. Checks no signature.

use memchr::memmem;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::byte_order_mark;
use crate::http::may_pass;
use crate::wechat::error::{FailureKind, Problem};
use crate::wechat::wording::shown;

/// The meaning of an answer, apart from its signature.
#[derive(Debug)]
pub(crate) enum Judgement {
    /// 2xx without an error inside.
    Good,
    /// May succeed later.
    Later(Problem),
    /// Will not succeed.
    Final(Problem),
}

/// `{"code":…,"message":…}`; everything else in it is for people.
#[derive(Debug, Default, Deserialize)]
struct Envelope {
    #[serde(default)]
    code: Option<String>,
    /// For people, of any type: one that cannot be shown must not hide the code.
    #[serde(default)]
    message: Value,
}

/// The failure that a journalled answer means, from status and body, if any; a pure function.
pub fn failure_of(status: u16, body: &[u8]) -> Option<FailureKind> {
    match judge(status, body) {
        Judgement::Good => None,
        Judgement::Later(problem) | Judgement::Final(problem) => Some(problem.kind()),
    }
}

pub(crate) fn judge(status: u16, body: &[u8]) -> Judgement {
    let body = byte_order_mark::skipped(body);
    if status == 200 && !may_be_envelope(body) {
        return Judgement::Good;
    }
    // HTML of a gateway and the empty body for an unknown path are not envelopes.
    let envelope: Envelope = serde_json::from_slice(body).unwrap_or_default();
    let code = envelope.code.unwrap_or_default();
    let is_envelope = !envelope.message.is_null() || is_bare(body);
    let message = shown(envelope.message.as_str().unwrap_or_default());
    if (200..300).contains(&status) {
        return judge_success(status, code, message, is_envelope);
    }
    let kind = meaning(status, &code);
    // Without a code and a message, the status is all there is to tell.
    if code.is_empty() && message.is_empty() {
        return judged(Problem::of_status(kind, status));
    }
    refused(kind, name(status, code), message)
}

fn refused(kind: FailureKind, code: String, message: String) -> Judgement {
    judged(Problem::Refused { kind, code, message })
}

/// Only temporary unavailability may pass.
fn judged(problem: Problem) -> Judgement {
    if problem.kind() == FailureKind::Unavailable { Judgement::Later(problem) } else { Judgement::Final(problem) }
}

/// An envelope with nothing but a `code`: no good answer looks like this.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bare {
    #[serde(rename = "code")]
    _code: String,
    #[serde(default, rename = "detail")]
    _detail: IgnoredAny,
}

/// A longer body is not a bare envelope.
const BARE_BYTES: usize = 256;

fn is_bare(body: &[u8]) -> bool {
    body.len() <= BARE_BYTES && serde_json::from_slice::<Bare>(body).is_ok()
}

/// Whether a body may contain a `message` at all, or little more than a code: searches for the name, plain or
/// escaped, instead of parsing every page twice.
fn may_be_envelope(body: &[u8]) -> bool {
    body.len() <= BARE_BYTES || memmem::find(body, b"\"message\"").is_some() || memmem::find(body, b"\\u").is_some()
}

/// 202 means "accepted, unfinished: repeat". Some 2xx bodies were reported to contain an error envelope (reference
/// v3 §1.3); no good answer has both `code` and `message` at the top level, or nothing but a `code`.
fn judge_success(status: u16, code: String, message: String, is_envelope: bool) -> Judgement {
    if status == 202 {
        return refused(FailureKind::Unavailable, "ACCEPTED".to_owned(), message);
    }
    if code.is_empty() || !is_envelope || matches!(code.as_str(), "SUCCESS" | "OK") {
        return Judgement::Good;
    }
    refused(meaning(400, &code), code, message)
}

/// The kind of a failure. A code counts whatever the status, which differs from API to API.
fn meaning(status: u16, code: &str) -> FailureKind {
    use FailureKind::{Credentials, NoStatement, NotFound, NotReady, Refused, Unavailable};
    match (status, code) {
        (401, _) => Credentials,
        (status, _) if may_pass(status) => Unavailable,
        (_, "SYSTEM_ERROR" | "SERVICE_UNAVAILABLE") => Unavailable,
        (_, "FREQUENCY_LIMITED" | "FREQUENCY_LIMIT" | "RATELIMIT_EXCEEDED" | "RATE_LIMITED") => Unavailable,
        (_, "NO_STATEMENT_EXIST") => NoStatement,
        (_, "STATEMENT_CREATING") => NotReady,
        (_, "RESOURCE_NOT_EXISTS" | "USER_NOT_EXISTS" | "NOT_FOUND") => NotFound,
        (_, "SIGN_ERROR") => Credentials,
        _ => Refused,
    }
}

/// The code, or the status if the body had none.
fn name(status: u16, code: String) -> String {
    if code.is_empty() { format!("HTTP {status}") } else { code }
}

#[cfg(test)]
mod tests {
    use super::*;
    use FailureKind::*;

    fn later(status: u16, body: &str) -> bool {
        matches!(judge(status, body.as_bytes()), Judgement::Later(_))
    }

    #[test]
    fn every_code_of_the_reference_has_its_kind() {
        let cases = [
            (400, "PARAM_ERROR", Refused),
            (400, "APPID_MCHID_NOT_MATCH", Refused),
            (400, "MCH_NOT_EXISTS", Refused),
            (400, "RESOURCE_ALREADY_EXISTS", Refused),
            (400, "NO_STATEMENT_EXIST", NoStatement),
            (400, "STATEMENT_CREATING", NotReady),
            (400, "SYSTEM_ERROR", Unavailable),
            (401, "SIGN_ERROR", Credentials),
            (403, "NO_AUTH", Refused),
            (403, "RULE_LIMIT", Refused),
            (404, "RESOURCE_NOT_EXISTS", NotFound),
            (404, "USER_NOT_EXISTS", NotFound),
            (404, "NOT_FOUND", NotFound),
            (429, "FREQUENCY_LIMITED", Unavailable),
            (429, "RATELIMIT_EXCEEDED", Unavailable),
            (500, "SYSTEM_ERROR", Unavailable),
            (503, "SERVICE_UNAVAILABLE", Unavailable),
            (403, "SYSTEM_ERROR", Unavailable),
            (400, "FREQUENCY_LIMITED", Unavailable),
            (400, "FREQUENCY_LIMIT", Unavailable),
            (403, "RATELIMIT_EXCEEDED", Unavailable),
            (200, "FREQUENCY_LIMITED", Unavailable),
            (200, "RATE_LIMITED", Unavailable),
            (200, "SERVICE_UNAVAILABLE", Unavailable),
            (401, "FREQUENCY_LIMITED", Credentials),
        ];
        for (status, code, kind) in cases {
            let body = format!(r#"{{"code":"{code}","message":"信息"}}"#);
            assert_eq!(failure_of(status, body.as_bytes()), Some(kind), "{status} {code}");
            assert_eq!(later(status, &body), kind == Unavailable, "{status} {code}");
        }
    }

    #[test]
    fn bodies_without_an_envelope_are_judged_by_status() {
        assert!(later(502, "<html>Bad Gateway</html>") && later(429, "") && later(503, "null"));
        assert!(later(408, "") && later(520, "<html>unknown</html>") && later(507, ""));
        // An empty 404 is a wrong path, not a missing coupon.
        assert_eq!(failure_of(404, b""), Some(Refused));
        assert_eq!(failure_of(405, b""), Some(Refused));
        assert_eq!(failure_of(302, b""), Some(Refused));
    }

    #[test]
    fn a_success_with_an_error_inside_is_no_success() {
        assert_eq!(failure_of(200, br#"{"code":"RESOURCE_NOT_EXISTS","message":"x"}"#), Some(NotFound));
        assert!(later(200, r#"{"code":"SYSTEM_ERROR","message":"x"}"#));
        assert_eq!(failure_of(200, br#"{"code":"SYSTEM_ERROR"}"#), Some(Unavailable));
        assert_eq!(failure_of(200, br#"{"code":"USER_NOT_EXISTS","detail":{"field":"x"}}"#), Some(NotFound));
        assert_eq!(failure_of(200, br#"{"code":"SUCCESS"}"#), None);
        assert_eq!(failure_of(200, br#"{"code":"A1","status":"AVAILABLE"}"#), None);
        assert_eq!(failure_of(200, br#"{"code":"SUCCESS","message":"ok"}"#), None);
        assert_eq!(failure_of(204, b""), None);
        assert!(later(202, ""));
    }

    #[test]
    fn an_error_inside_a_success_is_found_however_its_names_are_written() {
        let escaped = r#"{"\u0063ode":"RESOURCE_NOT_EXISTS","mess\u0061ge":"x"}"#;
        assert_eq!(failure_of(200, escaped.as_bytes()), Some(NotFound));
        assert_eq!(failure_of(200, br#"{ "message" : "x", "code" : "NO_AUTH" }"#), Some(Refused));
        assert_eq!(failure_of(200, br#"{"data":[{"message":"x","code":"NO_AUTH"}]}"#), None);
    }

    #[test]
    fn a_message_of_another_type_does_not_hide_the_code() {
        for message in ["null", "7", r#"{"zh":"x"}"#, r#"["x"]"#] {
            let body = format!(r#"{{"code":"USER_NOT_EXISTS","message":{message}}}"#);
            assert_eq!(failure_of(404, body.as_bytes()), Some(NotFound), "{message}");
            assert!(later(400, &body.replace("USER_NOT_EXISTS", "SYSTEM_ERROR")), "{message}");
        }
    }

    #[test]
    fn the_other_shape_of_sign_error_details_is_read_too() {
        let body = r#"{"code":"SIGN_ERROR","detail":{"detail":{"issue":"sign not match"},"field":"signature","location":"authorization","sign_information":{"method":"GET","url":"/v3/x?q=1","truncated_sign_message":"GET","sign_message_length":12}},"message":"错误的签名，验签失败"}"#;
        let Judgement::Final(problem) = judge(401, body.as_bytes()) else { panic!("a bad signature is final") };
        let text = problem.to_string();
        assert_eq!(text, "WeChat says `SIGN_ERROR`: 错误的签名，验签失败");
    }
}
