//! The answers of faults that replace the real answer, in the dialect of each API. Faults of pages,
//! signatures and the connection are applied where those are made.

use super::answer::Answer;
use super::exchange::{Exchange, Family};
use super::faults::Kind;
use super::{mp, pay_v2, pay_v3};

/// Default target of a redirect: not a WeChat host.
const ELSEWHERE: &str = "https://elsewhere.invalid/";

/// The answer that replaces the real one, if the fault is of that kind.
pub(super) fn instead(exchange: &Exchange<'_>) -> Option<Answer> {
    let fault = exchange.fault.as_ref()?;
    Some(match fault.kind {
        Kind::TooManyRequests => too_many_requests(),
        Kind::InternalError => pay_v3::refuse(500, "SYSTEM_ERROR", "系统异常，请稍后重试"),
        Kind::BadGateway => bad_gateway(),
        Kind::SystemError400 => pay_v3::refuse(400, "SYSTEM_ERROR", "系统失败"),
        Kind::Redirect => {
            let place = fault.value_text().unwrap_or_else(|| ELSEWHERE.to_owned());
            Answer::empty(302).with_header("Location", place)
        }
        Kind::ExpiredToken => mp::expire_token(exchange),
        Kind::Errcode => business_code(exchange, &fault.value_text().unwrap_or_default()),
        Kind::NotReady => not_ready(exchange),
        _ => return None,
    })
}

/// Also the answer above a published limit (reference v3 §1.9).
pub(super) fn too_many_requests() -> Answer {
    pay_v3::refuse(429, "FREQUENCY_LIMITED", "频率超限")
}

fn bad_gateway() -> Answer {
    let page = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n";
    Answer::bytes(502, "text/html", page.as_bytes().to_vec())
}

fn business_code(exchange: &Exchange<'_>, code: &str) -> Answer {
    match exchange.endpoint.family {
        Family::PayV3 => pay_v3::refuse(400, code, "业务错误"),
        Family::PayV2 => pay_v2::business_error(exchange, code, "业务错误"),
        Family::Mp => mp::refuse(exchange, code.parse().unwrap_or(-1), "system error"),
    }
}

fn not_ready(exchange: &Exchange<'_>) -> Answer {
    match exchange.endpoint.family {
        Family::PayV3 => pay_v3::refuse(400, "STATEMENT_CREATING", "账单生成中，请稍后再试"),
        Family::PayV2 => pay_v2::refuse_bill(),
        Family::Mp => mp::refuse(exchange, 61503, "data not ready, please try later"),
    }
}
