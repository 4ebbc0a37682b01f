//! HTTP for one API: a single attempt, retries, rate limit, failover. Knows nothing about WeChat:
//! signing, parsing and judging answers is up to the `Exchange`.

mod attempt;
mod client;
mod connections;
mod encoding;
mod failover;
mod rate_limit;
mod retries;
mod retry;

#[cfg(test)]
pub(crate) mod scripted;

pub use attempt::{Incoming, Outgoing, Received, TransportError, USER_AGENT};
pub use client::{HttpClient, HttpSetupError};
pub use failover::Hosts;
pub use rate_limit::RateLimit;
pub use retries::{count_retry, counting_retries, retrying_briefly};
pub use retry::{CallError, Cause, Exchange, RetryPolicy, Settled, Trace, Verdict, may_pass};
