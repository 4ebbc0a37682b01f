//! The client of one API: rate limit, bounded concurrency, retries, failover. Signs nothing and interprets no answer: an
//! `Exchange` does both.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::Client;
use tokio::sync::Semaphore;
use url::Url;

use super::attempt::{self, Incoming, Outgoing, Received, TransportError, USER_AGENT};
use super::connections::{Connections, Pool};
use super::failover::Hosts;
use super::rate_limit::RateLimit;
use super::retries::{count_retry, is_brief};
use super::retry::{CallError, Cause, Exchange, RetryPolicy, Settled, Trace, Verdict};
use crate::clock::World;
use crate::job::{ApiLimits, is_loopback};
use crate::secret::Secret;

/// Larger answers are refused: no page of these APIs comes near this size, and 32 of them must fit into memory.
const MAX_BODY_BYTES: usize = 16 << 20;

/// Why no client could be created.
#[derive(Debug, thiserror::Error)]
pub enum HttpSetupError {
    /// The certificate or key for mutual TLS cannot be read.
    #[error("the client certificate is not a PEM certificate with its private key")]
    Identity(#[source] reqwest::Error),
    /// TLS could not be set up, e.g. without root certificates.
    #[error("TLS cannot be set up")]
    Tls(#[source] reqwest::Error),
}

/// A client of one API. Cheap to clone; clones share rate limit, concurrency limit and hosts.
#[derive(Clone)]
pub struct HttpClient {
    connections: Arc<Connections>,
    hosts: Arc<Hosts>,
    rate_limit: Arc<RateLimit>,
    under_way: Arc<Semaphore>,
    timeout: Duration,
    policy: RetryPolicy,
    max_body_bytes: usize,
    world: World,
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl HttpClient {
    /// A client with the limits of a job.
    pub fn new(limits: &ApiLimits, world: World) -> Result<HttpClient, HttpSetupError> {
        HttpClient::build(limits, world, None)
    }

    /// The same with a client certificate (mutual TLS): certificate and key in one PEM.
    pub fn with_identity(limits: &ApiLimits, world: World, pem: &Secret) -> Result<HttpClient, HttpSetupError> {
        let identity = reqwest::Identity::from_pem(pem.expose().as_bytes()).map_err(HttpSetupError::Identity)?;
        HttpClient::build(limits, world, Some(identity))
    }

    fn build(
        limits: &ApiLimits,
        world: World,
        identity: Option<reqwest::Identity>,
    ) -> Result<HttpClient, HttpSetupError> {
        let (timeout, is_local) = (limits.timeout, is_loopback(&limits.base_url));
        let connections = Connections::new(Box::new(move || client(timeout, is_local, identity.clone())));
        Ok(HttpClient {
            connections: Arc::new(connections.map_err(HttpSetupError::Tls)?),
            hosts: Arc::new(Hosts::new(limits.base_url.clone(), limits.backup_url.clone())),
            rate_limit: Arc::new(RateLimit::new(limits.rate_per_second, world.clone())),
            under_way: Arc::new(Semaphore::new(limits.concurrency.max(1))),
            timeout: limits.timeout,
            policy: RetryPolicy::within(limits.retry_deadline),
            max_body_bytes: MAX_BODY_BYTES,
            world,
        })
    }

    /// A second client for calls that are made during a call of this one (token, certificates): same connections, hosts
    /// and rate limit, but its own concurrency limit.
    #[must_use]
    pub fn beside(&self) -> HttpClient {
        HttpClient { under_way: Arc::new(Semaphore::new(1)), ..self.clone() }
    }

    /// The same with another retry policy and size limit.
    #[must_use]
    pub fn with_bounds(mut self, policy: RetryPolicy, max_body_bytes: usize) -> HttpClient {
        (self.policy, self.max_body_bytes) = (policy, max_body_bytes);
        self
    }

    /// The hosts of the API.
    pub fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// Gives up all connections, because one of them is out of step: it brought the answer to another request, so what it
    /// brings next may be the answer to another one too. A good answer that is under way is asked for again.
    pub fn give_up_connections(&self) {
        self.connections.give_up();
    }

    /// The clock, sleep and randomness of the client.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Waits as before another attempt, for operations of several calls: `rounds` of it have failed since `started_at`.
    /// Returns false, without waiting, when the policy ends it.
    pub async fn pause(&self, rounds: u32, started_at: DateTime<Utc>) -> bool {
        let elapsed = (self.world.clock.now() - started_at).to_std().unwrap_or(Duration::ZERO);
        let Some(wait) = self.wait(rounds, elapsed, Duration::ZERO) else { return false };
        count_retry();
        self.world.sleep.sleep(wait).await;
        true
    }

    /// Makes a call: attempts until one is accepted, one is refused, or the policy ends it. `path` is shown in
    /// messages: a template without personal data, not the target.
    ///
    /// A call keeps its slot among the concurrent ones while it waits to retry: when an API is failing, all callers
    /// slow down.
    pub async fn call<X: Exchange>(
        &self,
        method: &str,
        path: &str,
        exchange: &X,
    ) -> Result<Settled<X::Accepted>, CallError<X::Refusal>> {
        let _place = self.under_way.acquire().await;
        let mut run = Run::new(self, method, path);
        loop {
            let (cause, after) = match self.attempt(&mut run, exchange).await {
                Attempt::Accepted(accepted) => return Ok(Settled { accepted, trace: run.end() }),
                Attempt::Final(cause) => return Err(CallError { trace: run.end(), cause }),
                Attempt::Again { cause, after } => (cause, after),
            };
            let Some(wait) = self.wait(run.trace.attempts, run.elapsed(), after) else {
                return Err(CallError { trace: run.end(), cause });
            };
            run.log_retry(wait);
            count_retry();
            self.world.sleep.sleep(wait).await;
            run.slept += wait;
        }
    }

    /// How long to wait before another attempt; `None` when the policy wants no other.
    fn wait(&self, attempts: u32, elapsed: Duration, after: Duration) -> Option<Duration> {
        self.policy().wait(attempts, elapsed, after, &self.world)
    }

    /// The policy of the job; of a call that is not waited for, within the time that one attempt may take.
    fn policy(&self) -> RetryPolicy {
        let deadline = if is_brief() { self.policy.deadline.min(self.timeout) } else { self.policy.deadline };
        RetryPolicy { deadline, ..self.policy }
    }

    /// Opens an answer as a stream: a single attempt, rate-limited like any other.
    pub async fn open(
        &self,
        path: &str,
        outgoing: &Outgoing,
    ) -> Result<(Incoming, Trace), CallError<std::convert::Infallible>> {
        let place = self.under_way.clone().acquire_owned().await.ok();
        let mut run = Run::new(self, outgoing.method.as_str(), path);
        let _turn = self.rate_limit.wait_for_turn().await;
        run.begin_attempt();
        match attempt::send(&self.connections.current().client, run.host(), outgoing, self.timeout).await {
            Ok(incoming) => {
                run.trace.status = Some(incoming.status());
                run.note_gateway();
                Ok((incoming.holding(place), run.end()))
            }
            Err(error) => {
                run.note_transport(&error);
                Err(CallError { trace: run.end(), cause: Cause::Transport(error) })
            }
        }
    }

    async fn attempt<X: Exchange>(&self, run: &mut Run<'_>, exchange: &X) -> Attempt<X::Accepted, X::Refusal> {
        // Built before waiting for the rate limit: building may request a token, which is rate-limited itself.
        let outgoing = match exchange.build().await {
            Ok(outgoing) => outgoing,
            Err(refusal) => return Attempt::Final(Cause::Refused(refusal)),
        };
        let turn = self.rate_limit.wait_for_turn().await;
        run.begin_attempt();
        let pool = self.connections.current();
        let received = self.exchange_bytes(run, &pool, &outgoing).await;
        drop(turn);
        let received = match received {
            Ok(received) => received,
            Err(error) if run.may_go_on(&error) && (exchange.is_repeatable() || error.never_arrived()) => {
                return Attempt::Again { cause: Cause::Transport(error), after: Duration::ZERO };
            }
            Err(error) => return Attempt::Final(Cause::Transport(error)),
        };
        // More patience than the whole call has is nonsense: then it waits as if no time were asked for.
        let asked_patience = retry_after(&received, self.world.clock.now()).filter(|it| *it < self.policy.deadline);
        match exchange.judge(received).await {
            // Its connection may be the one that is out of step.
            Verdict::Accept(_) if exchange.is_repeatable() && self.connections.are_given_up(&pool) => {
                Attempt::Again { cause: Cause::Transport(run.out_of_step()), after: Duration::ZERO }
            }
            Verdict::Accept(accepted) => Attempt::Accepted(accepted),
            Verdict::Refuse(refusal) => Attempt::Final(Cause::Refused(refusal)),
            Verdict::Retry { cause, after } => {
                Attempt::Again { cause: Cause::Refused(cause), after: after.max(asked_patience.unwrap_or_default()) }
            }
        }
    }

    async fn exchange_bytes(
        &self,
        run: &mut Run<'_>,
        pool: &Pool,
        outgoing: &Outgoing,
    ) -> Result<Received, TransportError> {
        (run.trace.status, run.trace.request_id) = (None, None);
        let left = self.policy().deadline.saturating_sub(run.elapsed()).max(Duration::from_millis(1));
        let timeout = self.timeout.min(left);
        let received = attempt::exchange(&pool.client, run.host(), outgoing, timeout, self.max_body_bytes).await;
        match &received {
            Ok(received) => run.note_answer(received),
            Err(error) => run.note_transport(error),
        }
        received
    }
}

/// A client that never follows a redirect.
fn client(timeout: Duration, is_local: bool, identity: Option<reqwest::Identity>) -> reqwest::Result<Client> {
    let mut builder =
        Client::builder().user_agent(USER_AGENT).redirect(reqwest::redirect::Policy::none()).connect_timeout(timeout);
    // A proxy from the environment could not reach this machine.
    if is_local {
        builder = builder.no_proxy();
    }
    if let Some(identity) = identity {
        builder = builder.identity(identity);
    }
    builder.build()
}

enum Attempt<T, E> {
    Accepted(T),
    Again { cause: Cause<E>, after: Duration },
    Final(Cause<E>),
}

/// A call in progress.
struct Run<'a> {
    client: &'a HttpClient,
    started_at: DateTime<Utc>,
    slept: Duration,
    asked: Option<&'a Url>,
    /// The first host whose certificate was refused.
    distrusted: Option<&'a Url>,
    trace: Trace,
}

impl<'a> Run<'a> {
    fn new(client: &'a HttpClient, method: &str, path: &str) -> Run<'a> {
        let (started_at, trace) = (client.world.clock.now(), Trace::of_none(method, path));
        Run { client, started_at, slept: Duration::ZERO, asked: None, distrusted: None, trace }
    }

    /// The host of this attempt, for `note_transport`.
    fn host(&mut self) -> &'a Url {
        let host = self.client.hosts.current(self.client.world.clock.now());
        self.asked = Some(host);
        host
    }

    /// Starts an attempt, after waiting for the rate limit. The time of the call starts with the first: waiting for the
    /// token and the rate limit says nothing about the server.
    fn begin_attempt(&mut self) {
        if self.trace.attempts == 0 {
            self.started_at = self.client.world.clock.now();
        }
        self.trace.attempts += 1;
    }

    /// Time since the first attempt. At least the time slept, so that a clock that stands still or goes back cannot
    /// make a call endless.
    fn elapsed(&self) -> Duration {
        let by_clock = (self.client.world.clock.now() - self.started_at).to_std().unwrap_or(Duration::ZERO);
        by_clock.max(self.slept)
    }

    fn note_answer(&mut self, received: &Received) {
        self.trace.status = Some(received.status);
        self.trace.request_id = received.header("request-id").map(str::to_owned);
        self.note_gateway();
    }

    /// A gateway that found nobody behind it is no answer of the API: the other host is next (reference v3 §1.9).
    fn note_gateway(&self) {
        if let (Some(502..=504), Some(host)) = (self.trace.status, self.asked) {
            self.client.hosts.failed(host, self.client.world.clock.now());
        }
    }

    fn note_transport(&mut self, error: &TransportError) {
        if let (true, Some(host)) = (error.is_of_the_host(), self.asked) {
            self.client.hosts.failed(host, self.client.world.clock.now());
        }
    }

    /// Whether another attempt may succeed. A certificate that was refused will be again: that leaves the other host, if
    /// its certificate was not refused too.
    fn may_go_on(&mut self, error: &TransportError) -> bool {
        if !error.is_distrust() {
            return error.is_transient();
        }
        let is_other_open = self.distrusted.is_none_or(|host| Some(host) == self.asked);
        self.distrusted = self.distrusted.or(self.asked);
        is_other_open && self.client.hosts.has_backup()
    }

    /// Why an answer is not taken although it is good.
    fn out_of_step(&self) -> TransportError {
        let host = self.asked.map(attempt::host_of).unwrap_or_default();
        TransportError::Broken { host, detail: "it brought the answer to another request".to_owned() }
    }

    fn log_retry(&self, wait: Duration) {
        tracing::debug!(
            method = %self.trace.method,
            path = %self.trace.path,
            attempts = self.trace.attempts,
            status = self.trace.status,
            wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            "trying again"
        );
    }

    fn end(self) -> Trace {
        let elapsed_ms = u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX);
        let trace = Trace { elapsed_ms, ..self.trace };
        tracing::debug!(
            method = %trace.method,
            path = %trace.path,
            attempts = trace.attempts,
            status = trace.status,
            elapsed_ms = trace.elapsed_ms,
            request_id = trace.request_id,
            "call ended"
        );
        trace
    }
}

/// `Retry-After` in seconds or as a date, relative to the server's clock if it sends `Date`. WeChat documents no such
/// header, but a gateway in front of it may send one.
fn retry_after(received: &Received, now: DateTime<Utc>) -> Option<Duration> {
    let instant = |text: &str| DateTime::parse_from_rfc2822(text.trim()).ok().map(|date| date.to_utc());
    let text = received.header("retry-after")?;
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let told_at = received.header("date").and_then(instant).unwrap_or(now);
    (instant(text)? - told_at).to_std().ok()
}

#[cfg(test)]
mod tests;
