//! When to try again: the verdicts an answer can get, the waits between attempts, the limits. Decides by verdict, attempts
//! and time alone; never looks into an answer.

use std::future::Future;
use std::time::Duration;

use super::attempt::{Outgoing, Received, TransportError};
use crate::clock::World;

/// Whether a status tells of a state that passes, whoever between here and the API is in it: late, throttled, ill.
pub fn may_pass(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..=599)
}

/// What to do with an answer.
#[derive(Debug)]
pub enum Verdict<T, E> {
    /// It is good: done.
    Accept(T),
    /// It may be good next time: a fresh attempt, if the deadline allows.
    Retry {
        /// What stands if no attempt does better.
        cause: E,
        /// Wait at least so long.
        after: Duration,
    },
    /// It will not get better: done.
    Refuse(E),
}

impl<T, E> Verdict<T, E> {
    /// A retry that waits as the policy says.
    pub fn retry(cause: E) -> Verdict<T, E> {
        Verdict::Retry { cause, after: Duration::ZERO }
    }
}

/// One call: builds each attempt afresh (time stamp, nonce, signature, token) and judges answers.
pub trait Exchange: Sync {
    /// What a good answer becomes.
    type Accepted: Send;
    /// What a bad answer becomes.
    type Refusal: Send;

    /// Whether asking again does no harm after an attempt whose outcome is not known. Writes that
    /// carry no number of their own are not repeatable.
    fn is_repeatable(&self) -> bool {
        true
    }

    /// Builds the next attempt.
    fn build(&self) -> impl Future<Output = Result<Outgoing, Self::Refusal>> + Send;

    /// Judges an answer.
    fn judge(&self, received: Received) -> impl Future<Output = Verdict<Self::Accepted, Self::Refusal>> + Send;
}

/// What a call has cost, for messages and for the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// Verb.
    pub method: String,
    /// Path as the API documents it, without query and values.
    pub path: String,
    /// Attempts made.
    pub attempts: u32,
    /// From the first attempt to the end, waits included.
    pub elapsed_ms: u64,
    /// `Request-ID` of the last answer.
    pub request_id: Option<String>,
    /// Status of the last answer; none when there was no answer.
    pub status: Option<u16>,
}

impl Trace {
    /// Of a call that has not been made.
    pub fn of_none(method: &str, path: &str) -> Trace {
        let (method, path) = (method.to_owned(), path.to_owned());
        Trace { method, path, attempts: 0, elapsed_ms: 0, request_id: None, status: None }
    }
}

impl std::fmt::Display for Trace {
    /// `GET /v3/… answered 401 after 1 attempt (212 ms, request id 08F2…)`; a call for which there was no token, or
    /// no signature, was never made.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} ", self.method, self.path)?;
        if self.attempts == 0 {
            return f.write_str("was not asked");
        }
        match self.status {
            Some(status) => write!(f, "answered {status}")?,
            None => f.write_str("got no answer")?,
        }
        let plural = if self.attempts == 1 { "" } else { "s" };
        write!(f, " after {} attempt{plural} ({} ms", self.attempts, self.elapsed_ms)?;
        if let Some(request_id) = &self.request_id {
            write!(f, ", request id {request_id}")?;
        }
        f.write_str(")")
    }
}

/// A call that ended well.
#[derive(Debug)]
pub struct Settled<T> {
    /// What the answer became.
    pub accepted: T,
    /// What it cost.
    pub trace: Trace,
}

/// A call that did not.
#[derive(Debug)]
pub struct CallError<E> {
    /// What it cost.
    pub trace: Trace,
    /// Why it ended.
    pub cause: Cause<E>,
}

/// Why a call ended badly.
#[derive(Debug)]
pub enum Cause<E> {
    /// No answer came.
    Transport(TransportError),
    /// An answer came and was refused, or no attempt could be built.
    Refused(E),
}

/// How often and how long to try.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Bound of the first wait; doubles with every attempt.
    pub first_wait: Duration,
    /// Bound of any wait.
    pub longest_wait: Duration,
    /// All attempts and waits together; no attempt starts after it.
    pub deadline: Duration,
    /// Attempts in all.
    pub max_attempts: u32,
}

impl RetryPolicy {
    /// The policy of a job: only the deadline is the user's to set.
    pub fn within(deadline: Duration) -> RetryPolicy {
        RetryPolicy {
            first_wait: Duration::from_millis(200),
            longest_wait: Duration::from_secs(10),
            deadline,
            max_attempts: 40,
        }
    }

    /// The wait before the attempt after `attempts`: at least `after`, else between nothing and the
    /// doubled bound (full jitter, so that clients that failed together do not return together).
    /// `None` when it would end at or after the deadline, or the attempts are used up.
    pub fn wait(&self, attempts: u32, elapsed: Duration, after: Duration, world: &World) -> Option<Duration> {
        if attempts >= self.max_attempts {
            return None;
        }
        let doublings = attempts.saturating_sub(1).min(16);
        let bound = self.first_wait.saturating_mul(1 << doublings).min(self.longest_wait);
        let wait = jitter(bound, world).max(after);
        (elapsed.saturating_add(wait) < self.deadline).then_some(wait)
    }
}

/// A random duration in `[0, bound]`.
fn jitter(bound: Duration, world: &World) -> Duration {
    let mut bytes = [0u8; 8];
    world.random.fill(&mut bytes);
    let bound_ns = bound.as_nanos().min(u128::from(u64::MAX));
    let share = (bound_ns * u128::from(u64::from_le_bytes(bytes))) >> 64;
    Duration::from_nanos(u64::try_from(share).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http::scripted::FakeWorld;

    #[test]
    fn a_trace_reads_as_one_line_without_a_query() {
        let mut trace = Trace {
            method: "GET".into(),
            path: "/v3/certificates".into(),
            attempts: 1,
            elapsed_ms: 212,
            request_id: Some("08F2".into()),
            status: Some(401),
        };
        assert_eq!(trace.to_string(), "GET /v3/certificates answered 401 after 1 attempt (212 ms, request id 08F2)");
        (trace.attempts, trace.status, trace.request_id) = (3, None, None);
        assert_eq!(trace.to_string(), "GET /v3/certificates got no answer after 3 attempts (212 ms)");
        trace.attempts = 0;
        assert_eq!(trace.to_string(), "GET /v3/certificates was not asked");
    }

    #[test]
    fn a_server_that_asks_for_patience_gets_it() {
        let policy = RetryPolicy::within(Duration::from_secs(120));
        let wait = policy.wait(1, Duration::ZERO, Duration::from_secs(60), &FakeWorld::new().world());
        assert_eq!(wait, Some(Duration::from_secs(60)));
    }

    proptest! {
        #[test]
        fn waits_stay_in_bounds_and_end_before_the_deadline(
            attempts in 1u32..60, elapsed_ms in 0u64..200_000, seed in any::<u64>(),
        ) {
            let policy = RetryPolicy::within(Duration::from_secs(120));
            let world = FakeWorld::with_chance(seed).world();
            let elapsed = Duration::from_millis(elapsed_ms);
            match policy.wait(attempts, elapsed, Duration::ZERO, &world) {
                Some(wait) => {
                    prop_assert!(wait <= policy.longest_wait);
                    prop_assert!(wait <= policy.first_wait * (1 << (attempts - 1).min(16)));
                    prop_assert!(elapsed + wait < policy.deadline && attempts < policy.max_attempts);
                }
                None => prop_assert!(attempts >= policy.max_attempts || elapsed + policy.longest_wait >= policy.deadline),
            }
        }
    }
}
