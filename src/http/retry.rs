//! When to try again: the verdicts an answer can get, the waits between attempts, the limits. Decides by verdict, attempts
//! and time alone; never looks into an answer.

use std::future::Future;
use std::time::Duration;

use super::attempt::{Outgoing, Received, TransportError};
use crate::clock::World;
use crate::quantity::counted;

/// Whether a status indicates a temporary condition, of the server or of an intermediary: timeout, throttling, failure. One that
/// HTTP does not have counts as a failure of the server (RFC 9110 §15), and so does one that announces an answer and is none.
pub fn may_pass(status: u16) -> bool {
    matches!(status, 408 | 429) || !(200..500).contains(&status)
}

/// The verdict on an answer.
#[derive(Debug)]
pub enum Verdict<T, E> {
    /// Accepted.
    Accept(T),
    /// May succeed next time: a new attempt, within the deadline.
    Retry {
        /// The error if no later attempt succeeds.
        cause: E,
        /// Minimum wait.
        after: Duration,
    },
    /// Will not succeed: refused.
    Refuse(E),
}

impl<T, E> Verdict<T, E> {
    /// A retry that waits as the policy says.
    pub fn retry(cause: E) -> Verdict<T, E> {
        Verdict::Retry { cause, after: Duration::ZERO }
    }
}

/// One call: builds every attempt anew (timestamp, nonce, signature, token) and judges answers.
pub trait Exchange: Sync {
    /// The type of an accepted answer.
    type Accepted: Send;
    /// The type of a refusal.
    type Refusal: Send;

    /// Whether the call may be repeated after an attempt with unknown outcome. Writes whose number does not prevent a
    /// second execution may not.
    fn is_repeatable(&self) -> bool {
        true
    }

    /// Builds the next attempt.
    fn build(&self) -> impl Future<Output = Result<Outgoing, Self::Refusal>> + Send;

    /// Judges an answer.
    fn judge(&self, received: Received) -> impl Future<Output = Verdict<Self::Accepted, Self::Refusal>> + Send;
}

/// Method, path, attempts and duration of a call, for messages and the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// HTTP method.
    pub method: String,
    /// Path as documented, without query and values.
    pub path: String,
    /// Attempts made.
    pub attempts: u32,
    /// From the first attempt to the end, including waits.
    pub elapsed_ms: u64,
    /// `Request-ID` of the last answer.
    pub request_id: Option<String>,
    /// Status of the last answer; `None` without an answer.
    pub status: Option<u16>,
}

impl Trace {
    /// The trace of a call that has not been made.
    pub fn of_none(method: &str, path: &str) -> Trace {
        let (method, path) = (method.to_owned(), path.to_owned());
        Trace { method, path, attempts: 0, elapsed_ms: 0, request_id: None, status: None }
    }
}

impl std::fmt::Display for Trace {
    /// `GET /v3/… answered 401 after 1 attempt (212 ms, request id 08F2…)`; without a token or a signature, the call
    /// was never made.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} ", self.method, self.path)?;
        if self.attempts == 0 {
            return f.write_str("was not sent");
        }
        match self.status {
            Some(status) => write!(f, "answered {status}")?,
            None => f.write_str("got no answer")?,
        }
        write!(f, " after {} ({} ms", counted(self.attempts, "attempt", "attempts"), self.elapsed_ms)?;
        if let Some(request_id) = &self.request_id {
            write!(f, ", request id {request_id}")?;
        }
        f.write_str(")")
    }
}

/// A successful call.
#[derive(Debug)]
pub struct Settled<T> {
    /// The accepted answer.
    pub accepted: T,
    /// What it cost.
    pub trace: Trace,
}

/// A failed call.
#[derive(Debug)]
pub struct CallError<E> {
    /// What it cost.
    pub trace: Trace,
    /// Why it ended.
    pub cause: Cause<E>,
}

/// Why a call failed.
#[derive(Debug)]
pub enum Cause<E> {
    /// There was no answer.
    Transport(TransportError),
    /// The answer was refused, or no attempt could be built.
    Refused(E),
}

/// How often and how long to retry.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Upper bound of the first wait; doubles with every attempt.
    pub first_wait: Duration,
    /// Upper bound of every wait.
    pub longest_wait: Duration,
    /// Limit for all attempts and waits; no attempt starts after it.
    pub deadline: Duration,
    /// Maximum number of attempts.
    pub max_attempts: u32,
}

impl RetryPolicy {
    /// The policy of a job, which sets only the deadline.
    pub fn within(deadline: Duration) -> RetryPolicy {
        RetryPolicy {
            first_wait: Duration::from_millis(200),
            longest_wait: Duration::from_secs(10),
            deadline,
            max_attempts: 40,
        }
    }

    /// The wait after `attempts` attempts: at least `after`, else a random time up to the doubled bound (full jitter,
    /// so that clients that failed together do not retry together). `None` when the wait would reach the deadline or no
    /// attempts are left.
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
    fn a_status_that_http_does_not_have_passes_like_a_failure_of_the_server() {
        let lasting = [200, 202, 302, 400, 401, 403, 404, 409, 451, 499];
        let passing = [101, 199, 408, 429, 500, 503, 599, 600, 999];
        assert_eq!(lasting.map(may_pass), [false; 10]);
        assert_eq!(passing.map(may_pass), [true; 9]);
    }

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
        assert_eq!(trace.to_string(), "GET /v3/certificates was not sent");
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
