//! The meaning of an `errcode` (reference MP §C.3, §C.4). The accompanying text varies between
//! calls and is never interpreted.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::byte_order_mark;
use crate::http::may_pass;
use crate::wechat::error::{FailureKind, Problem};
use crate::wechat::lenient;

/// "Too many calls in this minute" (reference MP §C.3).
pub(super) const THROTTLED_FOR: Duration = Duration::from_secs(60);

/// What an answer that is no success calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The token is not valid (any more): fetch another, once.
    Token,
    /// The token has expired: fetch another.
    Expired,
    /// System busy: retry soon, a few times.
    Busy,
    /// Too many calls in this minute: retry after a minute.
    Throttled,
    /// A gateway in front of the platform failed: retry.
    Gateway,
    /// Retrying today does not help.
    Final(FailureKind),
}

/// An answer that is no success: what it calls for, and what it says.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) meaning: Meaning,
    pub(super) problem: Problem,
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(default, deserialize_with = "lenient::integer")]
    errcode: Option<i64>,
    /// For people, of any type: a message that cannot be shown must not hide the errcode.
    #[serde(default)]
    errmsg: Value,
}

/// The failure that a journalled answer means, if any; a pure function.
pub fn failure_of(status: u16, body: &[u8]) -> Option<FailureKind> {
    judge(status, body).err().map(|failed| failed.problem.kind())
}

/// Judges an answer.
pub(super) fn judge(status: u16, body: &[u8]) -> Result<(), Failed> {
    if status != 200 {
        return Err(gateway(status));
    }
    let Ok(envelope) = serde_json::from_slice::<Envelope>(byte_order_mark::skipped(body)) else {
        let problem = Problem::Unexpected { detail: "the body is not a JSON object".into() };
        return Err(Failed { meaning: Meaning::Gateway, problem });
    };
    let errcode = envelope.errcode.unwrap_or(0);
    let Some(meaning) = meaning_of(errcode) else { return Ok(()) };
    let kind = match meaning {
        Meaning::Token | Meaning::Expired => FailureKind::Credentials,
        Meaning::Busy | Meaning::Throttled | Meaning::Gateway => FailureKind::Unavailable,
        Meaning::Final(kind) => kind,
    };
    let message = envelope.errmsg.as_str().unwrap_or_default().to_owned();
    Err(Failed { meaning, problem: Problem::Refused { kind, code: errcode.to_string(), message } })
}

/// The meaning of an errcode; `None` if it says success.
fn meaning_of(errcode: i64) -> Option<Meaning> {
    use FailureKind::{Credentials, NotFound, NotReady, QuotaUsedUp, Refused};
    let meaning = match errcode {
        0 => return None,
        -1 => Meaning::Busy,
        40001 | 40014 => Meaning::Token,
        42001 => Meaning::Expired,
        45011 => Meaning::Throttled,
        45009 | 48006 => Meaning::Final(QuotaUsedUp),
        61503 => Meaning::Final(NotReady),
        40002
        | 40013
        | 40125
        | 40164
        | 40243
        | 41001
        | 41002
        | 41004
        | 48001
        | 48004
        | 50002
        | 61004
        | 61007
        | 89500..=89510 => Meaning::Final(Credentials),
        // 40078: the card is there no more (reference MP §C.4, §D.11).
        40003 | 40056 | 40073 | 40078 => Meaning::Final(NotFound),
        _ => Meaning::Final(Refused),
    };
    Some(meaning)
}

/// The key of the job file to check, as if the app secret were given by an environment variable.
pub(super) fn hint(problem: &Problem) -> Option<&'static str> {
    let Problem::Refused { code, .. } = problem else {
        let is_unheard = matches!(problem, Problem::Transport(_) | Problem::NoToken { .. });
        return is_unheard.then_some("is `mp.base_url` reachable from this machine?");
    };
    match code.as_str() {
        "40013" | "41002" => Some("`mp.appid` must be the appid of the official account"),
        "40125" | "41004" | "40243" => Some("`mp.secret_env` must name the app secret of `mp.appid`"),
        "40164" | "89503" => Some("add this machine's address to the IP whitelist of official account `mp.appid`"),
        "40001" | "42001" | "40014" => Some("another program may be fetching tokens of `mp.appid` with /cgi-bin/token"),
        "48001" | "48004" | "50002" => Some("official account `mp.appid` has no permission for this call"),
        "45009" => Some("the daily quota of official account `mp.appid` is used up: run again tomorrow"),
        "45011" => Some("the platform throttles this account: lower `mp.rate_per_second`"),
        "61501" => Some("`mp.repull_days` must not reach beyond what the platform answers"),
        _ => None,
    }
}

fn gateway(status: u16) -> Failed {
    let later = may_pass(status);
    let kind = if later { FailureKind::Unavailable } else { FailureKind::Refused };
    let meaning = if later { Meaning::Gateway } else { Meaning::Final(kind) };
    Failed { meaning, problem: Problem::of_status(kind, status) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(status: u16, body: &str) -> Meaning {
        judge(status, body.as_bytes()).unwrap_err().meaning
    }

    #[test]
    fn success_may_say_zero_or_nothing() {
        for body in [r#"{"errcode":0,"errmsg":"ok"}"#, r#"{"list":[]}"#, r#"{"access_token":"x","expires_in":1}"#] {
            assert!(judge(200, body.as_bytes()).is_ok(), "{body}");
            assert_eq!(failure_of(200, body.as_bytes()), None);
        }
    }

    #[test]
    fn every_class_of_the_reference_is_told() {
        use FailureKind::*;
        let cases = [
            (-1, Meaning::Busy),
            (40001, Meaning::Token),
            (42001, Meaning::Expired),
            (40014, Meaning::Token),
            (45011, Meaning::Throttled),
            (45009, Meaning::Final(QuotaUsedUp)),
            (61503, Meaning::Final(NotReady)),
            (40164, Meaning::Final(Credentials)),
            (40073, Meaning::Final(NotFound)),
            (40078, Meaning::Final(NotFound)),
            (40056, Meaning::Final(NotFound)),
            (61500, Meaning::Final(Refused)),
            (40127, Meaning::Final(Refused)),
            (123456, Meaning::Final(Refused)),
        ];
        for (errcode, expected) in cases {
            let body = format!(r#"{{"errcode":{errcode},"errmsg":"x hint: [R_hs8a06151100]"}}"#);
            assert_eq!(meaning(200, &body), expected, "{errcode}");
        }
    }

    #[test]
    fn what_is_no_json_object_is_a_gateway_speaking() {
        for body in ["<html>", "", "[]1"] {
            assert_eq!(meaning(200, body), Meaning::Gateway, "{body}");
        }
        assert_eq!(meaning(503, ""), Meaning::Gateway);
        assert_eq!(failure_of(404, b""), Some(FailureKind::Refused));
    }
}
