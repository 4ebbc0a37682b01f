//! One v3 call as an `Exchange` of the HTTP layer: builds signed attempts, judges and verifies
//! answers.

use std::sync::atomic::{AtomicU32, Ordering};

use chrono::{DateTime, Utc};

use super::judge::{Judgement, judge};
use super::signed::Signed;
use crate::http::{Exchange, Outgoing, Received, Verdict};
use crate::wechat::answer::{Answer, Evidence};
use crate::wechat::error::{ApiError, FailureKind, MAX_AGE_SECONDS, Problem, Refusal, SignatureError};

/// An invalid signature, one under an unknown serial too, is usually a probe or the work of an intermediary, and the
/// repeated request is answered properly (reference v3 §1.5, §7). More than this many are neither.
const SIGNATURE_RETRIES: u32 = 4;

/// Clocks that differ by less are not reported as the cause of a SIGN_ERROR.
const TOLERATED_SKEW_SECONDS: i64 = 240;

/// How a good answer is verified to come from WeChat Pay.
pub(super) trait Proof: Sync {
    /// What is wrong with the signature of an answer to this request.
    fn verify(&self, asked: &Signed<'_>, answer: &Answer) -> impl Future<Output = Result<(), Problem>> + Send;
}

/// A call whose good answers are verified.
pub(super) struct Verified<'a, P> {
    signed: Signed<'a>,
    proof: &'a P,
    invalid_signatures: AtomicU32,
}

impl<'a, P: Proof> Verified<'a, P> {
    pub(super) fn new(signed: Signed<'a>, proof: &'a P) -> Verified<'a, P> {
        Verified { signed, proof, invalid_signatures: AtomicU32::new(0) }
    }

    /// Makes the call and returns the verified answer.
    pub(super) async fn ask(&self) -> Result<Answer, ApiError> {
        match self.signed.http.call(self.signed.method(), self.signed.path(), self).await {
            Ok(settled) => Ok(settled.into()),
            Err(error) => {
                let error = ApiError::from(error);
                let hint = self.signed.account.hint(&error);
                Err(error.with_hint(hint))
            }
        }
    }

    fn invalid(&self, problem: Problem) -> Verdict<Answer, Refusal> {
        let seen = self.invalid_signatures.fetch_add(1, Ordering::Relaxed);
        if matches!(problem, Problem::Signature(SignatureError::Replayed)) {
            self.signed.http.give_up_connections();
        }
        let may_be_probe = matches!(problem, Problem::Signature(_));
        let refusal = Refusal::bare(problem);
        if may_be_probe && seen < SIGNATURE_RETRIES && self.signed.is_repeatable() {
            Verdict::retry(refusal)
        } else {
            Verdict::Refuse(refusal)
        }
    }
}

impl<P: Proof> Exchange for Verified<'_, P> {
    type Accepted = Answer;
    type Refusal = Refusal;

    fn is_repeatable(&self) -> bool {
        self.signed.is_repeatable()
    }

    async fn build(&self) -> Result<Outgoing, Refusal> {
        Ok(self.signed.sign())
    }

    async fn judge(&self, received: Received) -> Verdict<Answer, Refusal> {
        let judgement = judge(received.status, &received.body);
        let now = self.signed.http.world().clock.now();
        let skew_seconds = (received.status >= 400).then(|| clock_skew(&received, now)).flatten();
        let answer = answer_of(received, now);
        // Only good answers are signed (reference v3 §1.3): an error status is judged before the
        // signature, an error inside a good answer after it.
        let is_signed = (200..300).contains(&answer.status) && answer.status != 202;
        if is_signed && let Err(problem) = self.proof.verify(&self.signed, &answer).await {
            return self.invalid(problem);
        }
        match judgement {
            Judgement::Good => Verdict::Accept(answer),
            // A throttled call was not executed; after any other failure it may have been.
            Judgement::Later(problem) if self.is_repeatable() || answer.status == 429 => {
                Verdict::retry(Refusal::with(problem, answer))
            }
            Judgement::Later(problem) => Verdict::Refuse(Refusal::with(problem, answer)),
            Judgement::Final(problem) => Verdict::Refuse(Refusal::with(blame_clock(problem, skew_seconds), answer)),
        }
    }
}

/// Separates what is kept of an answer.
fn answer_of(received: Received, fetched_at: DateTime<Utc>) -> Answer {
    let header = |name: &str| received.header(name).map(str::to_owned);
    let evidence = Evidence {
        timestamp: header("wechatpay-timestamp"),
        nonce: header("wechatpay-nonce"),
        signature: header("wechatpay-signature"),
        serial: header("wechatpay-serial"),
        request_id: header("request-id"),
    };
    Answer::new(received, evidence, fetched_at)
}

/// Refuses answers made five minutes ago or more, or as far in the future. The difference is
/// absolute, so that a negative one cannot pass (reference v3 §1.3).
pub(super) fn check_age(evidence: &Evidence, now: DateTime<Utc>) -> Result<(), SignatureError> {
    let timestamp = evidence.timestamp.as_deref().ok_or(SignatureError::Missing("Wechatpay-Timestamp"))?;
    let seconds = match timestamp.parse::<i64>() {
        Ok(made) => now.timestamp().abs_diff(made),
        Err(_) => u64::MAX,
    };
    if seconds < MAX_AGE_SECONDS { Ok(()) } else { Err(SignatureError::Stale { seconds }) }
}

/// Our clock minus the server's, according to its `Date` header.
fn clock_skew(received: &Received, now: DateTime<Utc>) -> Option<i64> {
    let server = DateTime::parse_from_rfc2822(received.header("date")?).ok()?;
    Some(now.timestamp().saturating_sub(server.timestamp()))
}

/// A 401 with clocks far apart is due to the clock, whatever its message says.
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
