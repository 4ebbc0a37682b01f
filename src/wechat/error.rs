//! The errors of a call: a kind that decides the exit code, one line per cause, and a hint that
//! names the key of the job file. Never contains a secret, a token or a query.

use std::fmt;

use crate::http::{CallError, Cause, HttpSetupError, Trace, TransportError};
use crate::secret::Origin;
use crate::wechat::answer::Answer;
use crate::wechat::wording::shown;

/// What a failed call means for the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// WeChat does not know the stock, coupon, user, receipt or card.
    NotFound,
    /// WeChat refuses, and repeating the call would not help.
    Refused,
    /// Key, certificate, serial, clock, token or permission of the account.
    Credentials,
    /// An answer with an invalid signature.
    SignatureInvalid,
    /// No usable answer after all attempts.
    Unavailable,
    /// The data is not ready yet: later today.
    NotReady,
    /// The day's quota is used up: tomorrow.
    QuotaUsedUp,
    /// There is no bill for the day: no payments, or too early (reference v3 §4.1).
    NoStatement,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// There was no answer.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The API refused.
    #[error("WeChat says `{}`{}", shown(code), said(message))]
    Refused {
        /// What it means.
        kind: FailureKind,
        /// Its code; empty when the body had none.
        code: String,
        /// Its message; may repeat what was sent, and is cleaned where it is shown.
        message: String,
    },
    /// The call needs an access token, and requesting one failed.
    #[error("no access token: {}", shown(detail))]
    NoToken {
        /// Why requesting it failed.
        detail: String,
    },
    /// The signature of the answer is invalid.
    #[error("the answer's signature is not valid")]
    Signature(#[from] SignatureError),
    /// The body does not follow the protocol.
    #[error("the answer is not what the API documents: {}", shown(detail))]
    Unexpected {
        /// How it differs.
        detail: String,
    },
    /// A downloaded file could not be written locally.
    #[error("cannot write the download")]
    Sink(#[source] std::io::Error),
    /// A downloaded file does not match the announced digest.
    #[error("the downloaded bill does not match: {}", shown(detail))]
    Digest {
        /// Expected and computed.
        detail: String,
    },
    /// Our clock and the server's differ too much for signatures to be accepted.
    #[error("WeChat says `SIGN_ERROR`; this machine's clock is {} s {} the server's", skew_seconds.abs(), direction(*skew_seconds))]
    ClockSkew {
        /// Ours minus theirs.
        skew_seconds: i64,
    },
}

impl Problem {
    /// A refusal of which only the status tells. Where a redirect leads is not said: its query may hold a secret.
    pub(crate) fn of_status(kind: FailureKind, status: u16) -> Problem {
        let message = if (300..400).contains(&status) { "a redirect, which is not followed" } else { "" };
        Problem::Refused { kind, code: format!("HTTP {status}"), message: message.to_owned() }
    }

    /// Whether the answer was a redirect: somebody between this machine and the API sent it.
    fn is_redirect(&self) -> bool {
        matches!(self, Problem::Refused { code, .. } if code.starts_with("HTTP 3"))
    }

    /// What to check of an API, by its section of the job file, where somebody else seems to answer in its place.
    pub(crate) fn hint_of_a_stranger(&self, section: &str) -> Option<String> {
        match self {
            Problem::Transport(error) if error.is_distrust() => Some(format!(
                "`{section}.base_url` must be WeChat's own host; a proxy that intercepts TLS, a wrong clock on this \
                 machine or missing root certificates (`SSL_CERT_FILE`) look the same"
            )),
            problem if problem.is_redirect() => Some(format!(
                "`{section}.base_url` must be the API itself, not a proxy or portal that answers in its place"
            )),
            _ => None,
        }
    }

    /// The kind of the error.
    pub fn kind(&self) -> FailureKind {
        match self {
            // As an answer whose signature does not hold: it cannot be told who answers.
            Problem::Transport(error) if error.is_distrust() => FailureKind::Credentials,
            Problem::Transport(error) if error.is_transient() => FailureKind::Unavailable,
            Problem::Transport(_) | Problem::Sink(_) => FailureKind::Refused,
            Problem::Refused { kind, .. } => *kind,
            Problem::Signature(_) => FailureKind::SignatureInvalid,
            Problem::NoToken { .. } | Problem::Unexpected { .. } | Problem::Digest { .. } => FailureKind::Unavailable,
            Problem::ClockSkew { .. } => FailureKind::Credentials,
        }
    }
}

/// Why a signature is invalid (reference v3 §1.3, §1.5).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// `Wechatpay-Signature` or one of its companion headers is missing.
    #[error("header `{0}` is missing")]
    Missing(&'static str),
    /// Older or newer than five minutes.
    #[error("its timestamp is {seconds} s off this machine's clock; at most {} s are allowed", MAX_AGE_SECONDS - 1)]
    Stale {
        /// Absolute difference.
        seconds: u64,
    },
    /// The same signed answer was already given to another request.
    #[error("it belongs to the answer to another request")]
    Replayed,
    /// There is no key with this serial.
    #[error("no key with serial `{}` is known", shown(serial))]
    UnknownSerial {
        /// As the header said.
        serial: String,
    },
    /// Not Base64, or made with another key or over other bytes. Signature probes end here.
    #[error("it does not match the answer under serial `{}`", shown(serial))]
    Mismatch {
        /// As the header said.
        serial: String,
    },
}

/// Answers that differ this much from our clock are refused (reference v3 §1.3).
pub(crate) const MAX_AGE_SECONDS: u64 = 300;

/// A failed call: its message describes the call, its source is the cause.
#[derive(Debug)]
pub struct ApiError(Box<Failure>);

#[derive(Debug)]
struct Failure {
    trace: Trace,
    problem: Problem,
    hint: Option<String>,
    answer: Option<Answer>,
}

impl ApiError {
    /// A failure of the call described by `trace`.
    pub fn new(trace: Trace, problem: Problem) -> ApiError {
        ApiError(Box::new(Failure { trace, problem, hint: None, answer: None }))
    }

    /// Adds a hint that names the key of the job file.
    #[must_use]
    pub fn with_hint(mut self, hint: Option<String>) -> ApiError {
        self.0.hint = hint;
        self
    }

    /// Adds the refused answer.
    fn with_answer(mut self, answer: Option<Answer>) -> ApiError {
        self.0.answer = answer;
        self
    }

    /// The kind of the error.
    pub fn kind(&self) -> FailureKind {
        self.0.problem.kind()
    }

    /// What to change, naming the key of the job file.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The cause.
    pub fn problem(&self) -> &Problem {
        &self.0.problem
    }

    /// Attempts and duration of the call.
    pub fn trace(&self) -> &Trace {
        &self.0.trace
    }

    /// The refused answer, as evidence: "not found" is a fact too. `None` for answers with an
    /// invalid signature.
    pub fn answer(&self) -> Option<&Answer> {
        self.0.answer.as_ref()
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.trace.fmt(f)
    }
}

impl std::error::Error for ApiError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0.problem)
    }
}

/// A problem and, if the API answered, its answer.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) problem: Problem,
    pub(crate) answer: Option<Answer>,
}

impl Refusal {
    pub(crate) fn bare(problem: impl Into<Problem>) -> Refusal {
        Refusal { problem: problem.into(), answer: None }
    }

    pub(crate) fn with(problem: Problem, answer: Answer) -> Refusal {
        Refusal { problem, answer: Some(answer) }
    }
}

impl From<CallError<Refusal>> for ApiError {
    fn from(error: CallError<Refusal>) -> ApiError {
        let attempts = error.trace.attempts;
        match error.cause {
            Cause::Transport(transport) => ApiError::new(error.trace, transport.into()),
            Cause::Refused(Refusal { problem, answer }) => {
                ApiError::new(error.trace, problem).with_answer(answer.map(|answer| Answer { attempts, ..answer }))
            }
        }
    }
}

/// Settings with which no client can be created.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The merchant's private key.
    #[error("the merchant's private key is not an RSA key in PKCS#1 or PKCS#8 PEM{0}")]
    PrivateKey(Origin),
    /// WeChat Pay's public key.
    #[error("the WeChat Pay public key is not an RSA public key in PEM{0}")]
    PublicKey(Origin),
    /// The APIv3 key.
    #[error("the APIv3 key has {bytes} bytes instead of 32{origin}")]
    ApiV3Key {
        /// Its length.
        bytes: usize,
        /// Where it was configured.
        origin: Origin,
    },
    /// The HTTP client.
    #[error(transparent)]
    Http(#[from] HttpSetupError),
}

impl SetupError {
    /// The key of the job file to change.
    pub fn hint(&self) -> Option<String> {
        let (origin, hint) = match self {
            SetupError::PrivateKey(origin) => {
                (origin, "`pay_v3.private_key_file` must name the apiclient_key.pem of the merchant API certificate")
            }
            SetupError::PublicKey(origin) => {
                (origin, "`pay_v3.public_key_file` must name the pub_key.pem downloaded with `pay_v3.public_key_id`")
            }
            SetupError::ApiV3Key { origin, .. } => {
                (origin, "`pay_v3.api_v3_key_env` must name the APIv3 key, not the v2 key and not a path")
            }
            SetupError::Http(_) => return None,
        };
        Some(origin.spell(hint))
    }
}

fn said(message: &str) -> String {
    let message = shown(message);
    if message.is_empty() { message } else { format!(": {message}") }
}

fn direction(skew_seconds: i64) -> &'static str {
    if skew_seconds < 0 { "behind" } else { "ahead of" }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    fn trace() -> Trace {
        Trace {
            method: "GET".into(),
            path: "/v3/certificates".into(),
            attempts: 1,
            elapsed_ms: 212,
            request_id: Some("08F2".into()),
            status: Some(401),
        }
    }

    #[test]
    fn a_redirect_is_named_as_one_and_another_bare_status_is_its_number() {
        let told = |status| {
            let problem = Problem::of_status(FailureKind::Refused, status);
            (problem.to_string(), problem.is_redirect())
        };
        for status in [301, 302, 307, 308] {
            assert_eq!(told(status), (format!("WeChat says `HTTP {status}`: a redirect, which is not followed"), true));
        }
        assert_eq!(told(404), ("WeChat says `HTTP 404`".to_owned(), false));
    }

    #[test]
    fn the_chain_reads_from_call_to_cause() {
        let problem =
            Problem::Refused {
                kind: FailureKind::Credentials, code: "SIGN_ERROR".into(), message: "签名错误".into()
            };
        let error = ApiError::new(trace(), problem).with_hint(Some("look there".into()));
        assert_eq!(error.to_string(), "GET /v3/certificates answered 401 after 1 attempt (212 ms, request id 08F2)");
        assert_eq!(error.source().unwrap().to_string(), "WeChat says `SIGN_ERROR`: 签名错误");
        assert_eq!((error.kind(), error.hint()), (FailureKind::Credentials, Some("look there")));
    }

    #[test]
    fn clock_skew_says_by_how_much_and_which_way() {
        let text = |skew_seconds| Problem::ClockSkew { skew_seconds }.to_string();
        assert_eq!(text(-600), "WeChat says `SIGN_ERROR`; this machine's clock is 600 s behind the server's");
        assert_eq!(text(601), "WeChat says `SIGN_ERROR`; this machine's clock is 601 s ahead of the server's");
    }

    #[test]
    fn no_message_shows_an_openid_or_a_query_whatever_wechat_repeats() {
        let said = "odXnH1CJjeQoWTld48db-pnxs-Wg at /v3/x?openid=1";
        let problems = [
            Problem::Refused { kind: FailureKind::Refused, code: said.into(), message: said.into() },
            Problem::Unexpected { detail: said.into() },
            Problem::Digest { detail: said.into() },
            SignatureError::UnknownSerial { serial: said.into() }.into(),
        ];
        for problem in problems {
            let chain = format!("{problem} {}", problem.source().map(ToString::to_string).unwrap_or_default());
            assert!(
                chain.contains("[openid] at /v3/x?…") && !chain.contains("odX") && !chain.contains("=1"),
                "{chain}"
            );
        }
    }
}
