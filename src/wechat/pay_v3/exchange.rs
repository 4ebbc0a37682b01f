//! One v3 call as the HTTP layer sees it: builds signed attempts, judges and verifies answers.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use reqwest::Method;

use super::PayV3;
use super::judge::{Judgement, judge};
use crate::http::{Exchange, Outgoing, Received, Verdict};
use crate::wechat::answer::{Answer, Evidence};
use crate::wechat::endpoint::{Endpoint, Verb};
use crate::wechat::error::{FailureKind, MAX_AGE_SECONDS, Problem, Refusal, SignatureError};
use crate::wechat::request::Request;

/// An invalid signature is usually a probe, and a probed request is answered properly the next
/// time (reference v3 §1.5). More than this many are no probes.
const SIGNATURE_RETRIES: u32 = 2;

/// Clocks that differ by less are not called the cause of a SIGN_ERROR.
const TOLERATED_SKEW_SECONDS: i64 = 240;

/// A call under way.
pub(super) struct Signed<'a> {
    client: &'a PayV3,
    endpoint: &'static Endpoint,
    target: &'a str,
    body: &'a Bytes,
    /// The answer brings the keys that verify it.
    self_verifying: bool,
    invalid_signatures: AtomicU32,
}

impl<'a> Signed<'a> {
    pub(super) fn new<T>(client: &'a PayV3, request: &'a Request<T>) -> Signed<'a> {
        Signed {
            client,
            endpoint: request.endpoint,
            target: &request.target,
            body: &request.body,
            self_verifying: false,
            invalid_signatures: AtomicU32::new(0),
        }
    }

    /// The same call, verified with the certificates its answer contains.
    pub(super) fn certificates(self) -> Signed<'a> {
        Signed { self_verifying: true, ..self }
    }

    pub(super) fn method(&self) -> &'static str {
        self.endpoint.method.as_str()
    }

    /// The path as the table has it: what messages show, without openids.
    pub(super) fn path(&self) -> &'static str {
        self.endpoint.path
    }

    /// Builds one signed attempt.
    pub(super) fn sign(&self) -> Outgoing {
        let world = self.client.http.world();
        let (timestamp, nonce) = (world.clock.now().timestamp(), world.nonce());
        let authorization = self.client.signer.authorization(self.method(), self.target, timestamp, &nonce, self.body);
        let mut headers = vec![("authorization", authorization)];
        if let Some(serial) = self.client.keyring.preferred_serial() {
            headers.push(("wechatpay-serial", serial));
        }
        if !self.body.is_empty() {
            headers.push(("content-type", "application/json".to_owned()));
        }
        let method = match self.endpoint.method {
            Verb::Get => Method::GET,
            Verb::Post => Method::POST,
            Verb::Patch => Method::PATCH,
            Verb::Delete => Method::DELETE,
        };
        Outgoing { method, target: self.target.to_owned(), headers, body: self.body.clone() }
    }

    async fn verify(&self, answer: &Answer) -> Result<(), Problem> {
        if self.self_verifying {
            return self.client.accept_certificates(answer);
        }
        Ok(self.verify_with_keyring(answer).await?)
    }

    async fn verify_with_keyring(&self, answer: &Answer) -> Result<(), SignatureError> {
        check_age(&answer.evidence, answer.fetched_at)?;
        let outcome = match self.client.keyring.verify_evidence(&answer.evidence, &answer.body) {
            Err(SignatureError::UnknownSerial { serial }) if self.client.learn_serial(&serial).await => {
                self.client.keyring.verify_evidence(&answer.evidence, &answer.body)
            }
            outcome => outcome,
        };
        outcome?;
        let question = (self.method(), self.target, self.body);
        match self.client.replays.is_replayed(&answer.evidence, &question, answer.fetched_at) {
            true => Err(SignatureError::Replayed),
            false => Ok(()),
        }
    }

    fn invalid(&self, problem: Problem) -> Verdict<Answer, Refusal> {
        let seen = self.invalid_signatures.fetch_add(1, Ordering::Relaxed);
        let may_be_probe = matches!(
            &problem,
            Problem::Signature(error) if !matches!(error, SignatureError::UnknownSerial { .. })
        );
        let refusal = Refusal::bare(problem);
        if may_be_probe && seen < SIGNATURE_RETRIES { Verdict::retry(refusal) } else { Verdict::Refuse(refusal) }
    }
}

impl Exchange for Signed<'_> {
    type Accepted = Answer;
    type Refusal = Refusal;

    async fn build(&self) -> Result<Outgoing, Refusal> {
        Ok(self.sign())
    }

    async fn judge(&self, received: Received) -> Verdict<Answer, Refusal> {
        let judgement = judge(received.status, &received.body);
        let now = self.client.http.world().clock.now();
        let skew_seconds = (received.status >= 400).then(|| clock_skew(&received, now)).flatten();
        let answer = answer_of(received, now);
        // Only good answers are signed (reference v3 §1.3): an error is looked at before its
        // signature, an error inside a good answer after it.
        let is_signed = (200..300).contains(&answer.status) && answer.status != 202;
        if is_signed && let Err(problem) = self.verify(&answer).await {
            return self.invalid(problem);
        }
        match judgement {
            Judgement::Good => Verdict::Accept(answer),
            Judgement::Later(problem) => {
                Verdict::Retry { cause: Refusal::with(problem, answer), after: Duration::ZERO }
            }
            Judgement::Final(problem) => Verdict::Refuse(Refusal::with(blame_clock(problem, skew_seconds), answer)),
        }
    }
}

/// Takes an answer apart into what is kept of it.
pub(super) fn answer_of(received: Received, fetched_at: DateTime<Utc>) -> Answer {
    let header = |name: &str| received.header(name).map(str::to_owned);
    let evidence = Evidence {
        timestamp: header("wechatpay-timestamp"),
        nonce: header("wechatpay-nonce"),
        signature: header("wechatpay-signature"),
        serial: header("wechatpay-serial"),
        request_id: header("request-id"),
    };
    Answer { status: received.status, body: received.body, evidence, fetched_at, attempts: 0 }
}

/// Refuses answers made five minutes ago or more, or as far ahead. The difference is unsigned: a
/// negative one must not slip through (reference v3 §1.3).
pub(super) fn check_age(evidence: &Evidence, now: DateTime<Utc>) -> Result<(), SignatureError> {
    let timestamp = evidence.timestamp.as_deref().ok_or(SignatureError::Missing("Wechatpay-Timestamp"))?;
    let seconds = match timestamp.parse::<i64>() {
        Ok(made) => now.timestamp().abs_diff(made),
        Err(_) => u64::MAX,
    };
    if seconds < MAX_AGE_SECONDS { Ok(()) } else { Err(SignatureError::Stale { seconds }) }
}

/// Our clock minus the server's, by its `Date` header.
fn clock_skew(received: &Received, now: DateTime<Utc>) -> Option<i64> {
    let server = DateTime::parse_from_rfc2822(received.header("date")?).ok()?;
    Some(now.timestamp().saturating_sub(server.timestamp()))
}

/// A 401 with clocks far apart is about the clock, whatever its message says.
fn blame_clock(problem: Problem, skew_seconds: Option<i64>) -> Problem {
    match (&problem, skew_seconds) {
        (Problem::Refused { kind: FailureKind::Credentials, .. }, Some(skew_seconds))
            if skew_seconds.abs() > TOLERATED_SKEW_SECONDS =>
        {
            Problem::ClockSkew { skew_seconds }
        }
        _ => problem,
    }
}
