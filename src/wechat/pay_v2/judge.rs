//! The meaning of a v2 answer: HTTP status, XML, `return_code`, `result_code`, `err_code`, in this
//! order (reference v2 §A.3). Checks no signature.

use super::xml::{self, Fields};
use crate::byte_order_mark;
use crate::http::may_pass;
use crate::wechat::error::{FailureKind, Problem};
use crate::wechat::wording::shown;

/// The meaning of an answer.
#[derive(Debug)]
pub(super) enum Judgement {
    /// XML, and every flag says success.
    Good(Fields),
    /// Not XML but a file, where a file was requested.
    File,
    /// May succeed later.
    Later(Problem),
    /// Will not succeed.
    Final(Problem),
}

/// What an endpoint answers on success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    Xml,
    /// A file; XML means that there is none.
    File,
}

/// Judges an answer.
pub(super) fn judge(status: u16, body: &[u8], expected: Expected) -> Judgement {
    if status != 200 {
        let kind = if may_pass(status) { FailureKind::Unavailable } else { FailureKind::Refused };
        return judged(Problem::of_status(kind, status));
    }
    if expected == Expected::File && !looks_like_xml(body) {
        return Judgement::File;
    }
    match xml::read(body) {
        Ok(fields) => judge_fields(fields),
        Err(error) => Judgement::Later(Problem::Unexpected { detail: error.to_string() }),
    }
}

fn judge_fields(fields: Fields) -> Judgement {
    let field = |name: &str| fields.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let message = field("err_code_des").or(field("return_msg")).unwrap_or_default();
    let code = told_code(field("err_code").or(field("error_code")).unwrap_or_default(), message);
    if field("return_code") != Some("SUCCESS") {
        let code = if code.is_empty() { "FAIL" } else { code };
        return refused(protocol_failure(code, message), code.to_owned(), shown(message));
    }
    // The failures in the documentation have result_code SUCCESS beside an err_code; `0` and the
    // like beside SUCCESS are no errors.
    let harmless = matches!(code, "" | "0" | "OK" | "SUCCESS");
    if field("result_code") == Some("SUCCESS") && harmless {
        return Judgement::Good(fields);
    }
    let kind = business_failure(code);
    let code = if code.is_empty() { "FAIL" } else { code };
    refused(kind, code.to_owned(), shown(message))
}

/// Whether an answer is INVALID_REQUEST: a coupon may have been sent all the same (reference v2 §B.1).
pub(super) fn hides_its_outcome(body: &[u8]) -> bool {
    xml::read(body).is_ok_and(|fields| fields.get("err_code").is_some_and(|code| code == "INVALID_REQUEST"))
}

/// INVALID_REQUEST says by a number in its text what the matter is (reference v2 §B.1).
fn told_code<'a>(code: &'a str, message: &'a str) -> &'a str {
    let mut numbers = message.split(|char: char| !char.is_ascii_digit());
    match code {
        "INVALID_REQUEST" => numbers.find(|digits| digits.len() == 9).unwrap_or(code),
        _ => code,
    }
}

/// `return_code` FAIL: only a text tells why, and for bills a number (reference v2 §B.5).
fn protocol_failure(code: &str, message: &str) -> FailureKind {
    let text = message.to_ascii_lowercase();
    if code == "20002" || text.contains("no bill exist") {
        FailureKind::NoStatement
    } else if matches!(code, "20003" | "20007" | "20100") {
        FailureKind::NotReady
    } else if message.contains("签名") || text.contains("sign") || code == "20001" {
        FailureKind::Credentials
    } else if code == "100" || text.contains("system error") || text.contains("systemerror") || message.contains("系统")
    {
        FailureKind::Unavailable
    } else {
        FailureKind::Refused
    }
}

/// The documented codes of the three coupon calls (reference v2 §B.1–B.3).
fn business_failure(code: &str) -> FailureKind {
    match code {
        "NETWORK ERROR"
        | "NETWORKERROR"
        | "SYSTEMERROR"
        | "FREQ_OVER_LIMIT"
        | "GET_COUPON_STOCK_FAIL"
        | "272888874"
        | "268461336" => FailureKind::Unavailable,
        "SIGN_ERROR"
        | "CA_ERROR"
        | "CA_VERIFY_FAILED"
        | "ERR_VERIFY_SSL_SERIAL"
        | "ERR_VERIFY_SSL_SN"
        | "CODE_2_ID_ERR"
        | "269546525"
        | "269546505"
        | "269546507"
        | "269546538" => FailureKind::Credentials,
        "COUPON_NOT_FOUND" | "COUPON_STOCK_NOT_FOUND" | "COUPON_STOCK_ID_NOT_VALID" => FailureKind::NotFound,
        _ => FailureKind::Refused,
    }
}

fn refused(kind: FailureKind, code: String, message: String) -> Judgement {
    judged(Problem::Refused { kind, code, message })
}

/// Only temporary unavailability may pass.
fn judged(problem: Problem) -> Judgement {
    if problem.kind() == FailureKind::Unavailable { Judgement::Later(problem) } else { Judgement::Final(problem) }
}

fn looks_like_xml(body: &[u8]) -> bool {
    byte_order_mark::skipped(body).iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'<')
}

#[cfg(test)]
mod tests {
    use FailureKind::*;

    use super::*;

    fn kind(body: &str) -> (FailureKind, bool) {
        match judge(200, body.as_bytes(), Expected::File) {
            Judgement::Later(Problem::Refused { kind, .. }) => (kind, true),
            Judgement::Final(Problem::Refused { kind, .. }) => (kind, false),
            other => panic!("{other:?}"),
        }
    }

    fn business(code: &str) -> (FailureKind, bool) {
        kind(&format!(
            "<xml><return_code>SUCCESS</return_code><result_code>FAIL</result_code><err_code>{code}</err_code></xml>"
        ))
    }

    #[test]
    fn result_code_success_with_an_err_code_is_an_error() {
        let body = "<xml><return_code>SUCCESS</return_code><result_code>SUCCESS</result_code><err_code>268456007</err_code><err_code_des>批次ID信息不正确</err_code_des></xml>";
        assert_eq!(kind(body), (Refused, false));
        for harmless in ["0", "OK", "SUCCESS", ""] {
            let body = body.replace("268456007", harmless);
            assert!(matches!(judge(200, body.as_bytes(), Expected::Xml), Judgement::Good(_)), "{harmless}");
        }
    }

    #[test]
    fn success_must_be_said() {
        let silent = judge(200, b"<xml><return_code>SUCCESS</return_code></xml>", Expected::Xml);
        assert!(matches!(silent, Judgement::Final(_)));
        assert!(matches!(
            judge(200, b"<xml><result_code>SUCCESS</result_code></xml>", Expected::Xml),
            Judgement::Final(_)
        ));
    }

    #[test]
    fn both_spellings_of_network_error_are_retried() {
        for code in ["NETWORK ERROR", "NETWORKERROR", "SYSTEMERROR", "272888874"] {
            assert_eq!(business(code), (Unavailable, true), "{code}");
        }
        assert_eq!(business("COUPON_STOCK_ID_NOT_VALID"), (NotFound, false));
        assert_eq!(business("SIGN_ERROR"), (Credentials, false));
        assert_eq!(business("USER_AL_GET_COUPON"), (Refused, false));
    }

    #[test]
    fn an_invalid_request_is_what_the_number_in_its_text_says() {
        let told = |text: &str| {
            kind(&format!(
                "<xml><return_code>SUCCESS</return_code><result_code>FAIL</result_code>\
                 <err_code>INVALID_REQUEST</err_code><err_code_des>{text}</err_code_des></xml>"
            ))
        };
        assert_eq!(told("内部错误[272888874]，请稍后重试"), (Unavailable, true));
        assert_eq!(told("269546525"), (Credentials, false));
        assert_eq!(told("批次 9728595：内部错误[272888874]"), (Unavailable, true));
        for text in ["270077956", "批次 9728595", "27288887400", ""] {
            assert_eq!(told(text), (Refused, false), "{text}");
        }
    }

    #[test]
    fn a_bill_is_told_from_its_error_document() {
        let failed = |rest: &str| kind(&format!("\u{FEFF}<xml><return_code>FAIL</return_code>{rest}</xml>"));
        assert_eq!(
            failed("<return_msg>No Bill Exist</return_msg><error_code>20002</error_code>"),
            (NoStatement, false)
        );
        assert_eq!(failed("<return_msg>签名错误</return_msg>"), (Credentials, false));
        assert_eq!(failed("<return_msg>System Error</return_msg><error_code>100</error_code>"), (Unavailable, true));
        assert_eq!(failed("<error_code>20007</error_code>"), (NotReady, false));
        assert_eq!(failed("<return_msg>XML格式错误</return_msg>"), (Refused, false));
        assert!(matches!(judge(200, "\u{FEFF}交易时间,".as_bytes(), Expected::File), Judgement::File));
        assert!(matches!(judge(200, &[0x1f, 0x8b, 8], Expected::File), Judgement::File));
    }

    #[test]
    fn gateways_are_judged_by_status_and_pages_are_no_answer() {
        assert!(matches!(judge(502, b"<html></html>", Expected::Xml), Judgement::Later(_)));
        assert!(matches!(judge(404, b"", Expected::Xml), Judgement::Final(_)));
        assert!(matches!(judge(200, b"<html></html>", Expected::Xml), Judgement::Later(Problem::Unexpected { .. })));
    }
}
