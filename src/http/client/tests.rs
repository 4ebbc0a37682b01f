//! Tests of calls to servers that follow a script, with a clock that only the test moves.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use reqwest::Method;

use super::*;
use crate::http::retrying_briefly;
use crate::http::scripted::{FakeWorld, Reply, Script};

/// Accepts 200, retries on 429 and 5xx, refuses the rest; counts the requests it built.
struct Plain(Mutex<Vec<String>>, FakeWorld);

impl Plain {
    fn new(fake: &FakeWorld) -> Plain {
        Plain(Mutex::default(), fake.clone())
    }
}

impl Exchange for Plain {
    type Accepted = Bytes;
    type Refusal = u16;

    async fn build(&self) -> Result<Outgoing, u16> {
        let nonce = self.1.world().nonce();
        self.0.lock().unwrap().push(nonce.clone());
        let headers = vec![("x-nonce", nonce)];
        Ok(Outgoing { method: Method::GET, target: "/a?secret=1".into(), headers, body: Bytes::new() })
    }

    async fn judge(&self, received: Received) -> Verdict<Bytes, u16> {
        match received.status {
            200 => Verdict::Accept(received.body),
            429 | 500.. => Verdict::retry(received.status),
            status => Verdict::Refuse(status),
        }
    }
}

async fn ask(script: &Script, fake: &FakeWorld) -> (Result<Settled<Bytes>, CallError<u16>>, Vec<String>) {
    let client = HttpClient::new(&script.limits(), fake.world()).unwrap();
    let plain = Plain::new(fake);
    let outcome = client.call("GET", "/a", &plain).await;
    (outcome, plain.0.into_inner().unwrap())
}

#[tokio::test]
async fn throttling_gateway_pages_and_resets_are_retried_with_a_fresh_build_each() {
    let script = Script::serve(vec![
        Reply::status(429, "{}"),
        Reply::status(502, "<html>bad gateway</html>"),
        Reply::reset(),
        Reply::status(200, "fine"),
    ])
    .await;
    let (outcome, nonces) = ask(&script, &FakeWorld::new()).await;
    let settled = outcome.unwrap();
    assert_eq!((settled.accepted.as_ref(), settled.trace.attempts), (&b"fine"[..], 4));
    let unique: std::collections::BTreeSet<_> = nonces.iter().collect();
    assert_eq!(unique.len(), 4);
    let sent: Vec<_> = script.requests().iter().map(|request| request.header("x-nonce").unwrap()).collect();
    assert_eq!(sent, nonces);
}

#[tokio::test]
async fn what_will_not_get_better_is_asked_once() {
    let script = Script::serve(vec![Reply::status(403, "{}").with("request-id", "08F2")]).await;
    let error = ask(&script, &FakeWorld::new()).await.0.unwrap_err();
    assert!(matches!(error.cause, Cause::Refused(403)));
    assert_eq!(error.trace.to_string(), "GET /a answered 403 after 1 attempt (0 ms, request id 08F2)");
}

#[tokio::test]
async fn the_deadline_ends_the_attempts_and_the_last_cause_stands() {
    let script = Script::always(Reply::status(503, "")).await;
    let fake = FakeWorld::new();
    let error = ask(&script, &fake).await.0.unwrap_err();
    assert!(matches!(error.cause, Cause::Refused(503)));
    assert!(fake.slept() < script.limits().retry_deadline && error.trace.attempts > 3, "{}", error.trace);
}

/// Like `Plain`, but takes this long before its first attempt.
struct Slow(Plain, Duration);

impl Exchange for Slow {
    type Accepted = Bytes;
    type Refusal = u16;

    async fn build(&self) -> Result<Outgoing, u16> {
        if self.0.0.lock().unwrap().is_empty() {
            self.0.1.advance(self.1);
        }
        self.0.build().await
    }

    async fn judge(&self, received: Received) -> Verdict<Bytes, u16> {
        self.0.judge(received).await
    }
}

#[tokio::test]
async fn what_comes_before_the_first_attempt_takes_nothing_of_the_deadline() {
    let script = Script::serve(vec![Reply::status(503, ""), Reply::status(200, "fine")]).await;
    let (fake, limits) = (FakeWorld::new(), script.limits());
    let client = HttpClient::new(&limits, fake.world()).unwrap();
    let settled = client.call("GET", "/a", &Slow(Plain::new(&fake), limits.retry_deadline * 2)).await.unwrap();
    assert_eq!(settled.trace.attempts, 2);
    assert!(u128::from(settled.trace.elapsed_ms) < limits.retry_deadline.as_millis(), "{}", settled.trace);
}

#[tokio::test]
async fn a_clock_that_stands_still_cannot_make_a_call_endless() {
    let script = Script::always(Reply::status(500, "")).await;
    let error = ask(&script, &FakeWorld::frozen()).await.0.unwrap_err();
    assert!(error.trace.attempts <= 40);
}

#[tokio::test]
async fn retry_after_may_be_a_date_of_the_servers_clock() {
    let throttled = Reply::status(503, "").with("retry-after", "Wed, 21 Oct 2015 07:28:09 GMT");
    let told = throttled.clone().with("date", "Wed, 21 Oct 2015 07:28:00 GMT");
    let script = Script::serve(vec![told, throttled, Reply::status(200, "")]).await;
    let fake = FakeWorld::new();
    assert!(ask(&script, &fake).await.0.is_ok());
    // A time in the past by our clock does not delay; nine seconds by the server's clock do.
    assert!((Duration::from_secs(9)..Duration::from_secs(12)).contains(&fake.slept()), "{:?}", fake.slept());
}

#[tokio::test]
async fn a_body_that_a_gateway_zipped_is_read_as_it_was_and_a_torn_one_is_asked_for_again() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, b"fine").unwrap();
    let zipped = encoder.finish().unwrap();
    let reply = |body: &[u8]| Reply::bytes(200, body).with("content-encoding", "gzip");
    let script = Script::serve(vec![reply(&zipped[..zipped.len() - 4]), reply(&zipped)]).await;
    let settled = ask(&script, &FakeWorld::new()).await.0.unwrap();
    assert_eq!((settled.accepted.as_ref(), settled.trace.attempts), (&b"fine"[..], 2));
}

#[tokio::test]
async fn a_call_that_is_not_waited_for_ends_when_one_attempt_may_have_ended() {
    let script = Script::always(Reply::status(500, "")).await;
    let fake = FakeWorld::new();
    let limits = ApiLimits { timeout: Duration::from_secs(2), ..script.limits() };
    let client = HttpClient::new(&limits, fake.world()).unwrap();
    let exchange = Plain::new(&fake);
    let call = async || client.call("GET", "/x", &exchange).await.unwrap_err().trace;
    let (patient, begun) = (call().await, fake.now());
    let brief = retrying_briefly(call()).await;
    assert!((fake.now() - begun).to_std().unwrap() < limits.timeout);
    assert!(brief.attempts > 1 && brief.attempts < patient.attempts, "{brief} {patient}");
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let script = Script::serve(vec![Reply::status(429, "").with("retry-after", "7"), Reply::status(200, "")]).await;
    let fake = FakeWorld::new();
    assert!(ask(&script, &fake).await.0.is_ok());
    assert!(fake.slept() >= Duration::from_secs(7));
}

#[tokio::test]
async fn retry_after_of_an_absurd_size_does_not_end_the_call() {
    for absurd in ["18446744073709551615", "86400", "Wed, 21 Oct 2515 07:28:00 GMT"] {
        let throttled = Reply::status(429, "").with("retry-after", absurd);
        let script = Script::serve(vec![throttled, Reply::status(200, "")]).await;
        let fake = FakeWorld::new();
        assert_eq!(ask(&script, &fake).await.0.unwrap().trace.attempts, 2, "{absurd}");
        assert!(fake.slept() < Duration::from_secs(1), "{absurd}");
    }
}

#[tokio::test]
async fn the_backup_answers_while_the_primary_is_down_and_a_while_after() {
    let backup = Script::always(Reply::status(200, "from backup")).await;
    let mut limits = backup.limits();
    limits.backup_url = Some(limits.base_url.clone());
    limits.base_url = Script::closed_port();
    let fake = FakeWorld::new();
    let client = HttpClient::new(&limits, fake.world()).unwrap();
    let settled = client.call("GET", "/a", &Plain::new(&fake)).await.unwrap();
    assert_eq!((settled.accepted.as_ref(), settled.trace.attempts), (&b"from backup"[..], 2));
    // The next call goes straight to the backup; a minute later the primary is tried again.
    let second = client.call("GET", "/a", &Plain::new(&fake)).await.unwrap();
    assert_eq!(second.trace.attempts, 1);
    fake.advance(Duration::from_secs(61));
    assert_eq!(client.call("GET", "/a", &Plain::new(&fake)).await.unwrap().trace.attempts, 2);
}

#[tokio::test]
async fn the_backup_answers_for_a_gateway_that_reaches_nobody_but_for_no_refusal() {
    for (status, from_backup) in [(502, 1), (503, 1), (504, 1), (500, 0), (429, 0)] {
        let primary =
            Script::serve(vec![Reply::status(status, "<html></html>"), Reply::status(200, "from primary")]).await;
        let backup = Script::always(Reply::status(200, "from backup")).await;
        let limits = ApiLimits { backup_url: Some(backup.limits().base_url), ..primary.limits() };
        let fake = FakeWorld::new();
        let client = HttpClient::new(&limits, fake.world()).unwrap();
        let settled = client.call("GET", "/a", &Plain::new(&fake)).await.unwrap();
        assert_eq!((settled.trace.attempts, backup.requests().len()), (2, from_backup), "{status}");
    }
}

/// Whether a call goes on after each of these failed attempts.
fn goes_on(backup_url: Option<&str>, errors: &[&TransportError]) -> Vec<bool> {
    let url = |text: &str| Url::parse(text).unwrap();
    let limits = ApiLimits {
        base_url: url("https://one.example"),
        backup_url: backup_url.map(url),
        timeout: Duration::from_secs(20),
        retry_deadline: Duration::from_secs(60),
        rate_per_second: 1000,
        concurrency: 4,
    };
    let client = HttpClient::new(&limits, FakeWorld::new().world()).unwrap();
    let mut run = Run::new(&client, "GET", "/a");
    let fail = |error: &&TransportError| {
        run.host();
        run.note_transport(error);
        run.may_go_on(error)
    };
    errors.iter().map(fail).collect()
}

#[test]
fn a_refused_certificate_leaves_the_other_host_until_that_one_is_refused_too() {
    let distrust = &TransportError::Untrusted { host: String::new(), detail: String::new() };
    let broken = &TransportError::Broken { host: String::new(), detail: String::new() };
    let backup = Some("https://two.example");
    assert_eq!(goes_on(None, &[distrust]), [false]);
    assert_eq!(goes_on(backup, &[distrust, distrust]), [true, false]);
    assert_eq!(goes_on(backup, &[distrust, broken, distrust]), [true, true, true], "the backup may come round");
    assert_eq!(goes_on(backup, &[broken, distrust, broken, distrust]), [true; 4], "the primary may come round");
}

#[tokio::test]
async fn a_download_that_a_gateway_refused_is_opened_at_the_backup_next() {
    let primary = Script::always(Reply::status(502, "<html></html>")).await;
    let backup = Script::always(Reply::status(200, "a bill")).await;
    let limits = ApiLimits { backup_url: Some(backup.limits().base_url), ..primary.limits() };
    let fake = FakeWorld::new();
    let client = HttpClient::new(&limits, fake.world()).unwrap();
    let outgoing = Plain::new(&fake).build().await.unwrap();
    let mut statuses = Vec::new();
    for _ in 0..2 {
        statuses.push(client.open("/a", &outgoing).await.unwrap().0.status());
    }
    assert_eq!(statuses, [502, 200]);
}

#[tokio::test]
async fn a_closed_port_is_a_transport_error_that_names_the_host_and_no_query() {
    let script = Script::always(Reply::status(200, "")).await;
    let mut limits = script.limits();
    limits.base_url = Script::closed_port();
    let fake = FakeWorld::new();
    let client = HttpClient::new(&limits, fake.world()).unwrap();
    let error = client.call("GET", "/a", &Plain::new(&fake)).await.unwrap_err();
    let Cause::Transport(transport) = error.cause else { panic!("a closed port answered") };
    let text = format!("{} {transport}", error.trace);
    assert!(text.contains("got no answer") && text.contains("127.0.0.1:"), "{text}");
    assert!(!text.contains("secret"), "{text}");
}

#[tokio::test]
async fn an_endless_body_is_cut_and_not_asked_for_again() {
    let script = Script::always(Reply::status(200, &"x".repeat(5000))).await;
    let fake = FakeWorld::new();
    let client = HttpClient::new(&script.limits(), fake.world())
        .unwrap()
        .with_bounds(RetryPolicy::within(Duration::from_secs(5)), 1000);
    let error = client.call("GET", "/a", &Plain::new(&fake)).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Transport(TransportError::TooLarge { limit_bytes: 1000, .. })));
    assert_eq!(script.requests().len(), 1);
}

#[tokio::test]
async fn every_request_says_who_it_is_and_what_it_accepts() {
    let script = Script::always(Reply::status(200, "")).await;
    assert!(ask(&script, &FakeWorld::new()).await.0.is_ok());
    let request = &script.requests()[0];
    assert_eq!(request.header("user-agent").unwrap(), USER_AGENT);
    assert_eq!(request.header("accept").unwrap(), "application/json");
    assert_eq!(request.target, "/a?secret=1");
}

/// Like `Plain`, but not safe to repeat.
struct Once(Plain);

impl Exchange for Once {
    type Accepted = Bytes;
    type Refusal = u16;

    fn is_repeatable(&self) -> bool {
        false
    }

    async fn build(&self) -> Result<Outgoing, u16> {
        self.0.build().await
    }

    async fn judge(&self, received: Received) -> Verdict<Bytes, u16> {
        self.0.judge(received).await
    }
}

#[tokio::test]
async fn what_must_not_be_repeated_is_not_after_a_reset_but_is_after_a_closed_port() {
    let script = Script::always(Reply::reset()).await;
    let fake = FakeWorld::new();
    let client = HttpClient::new(&script.limits(), fake.world()).unwrap();
    let error = client.call("POST", "/a", &Once(Plain::new(&fake))).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Transport(TransportError::Broken { .. })), "{:?}", error.cause);
    assert_eq!(error.trace.attempts, 1);
    let mut limits = script.limits();
    limits.base_url = Script::closed_port();
    let client = HttpClient::new(&limits, fake.world()).unwrap();
    assert!(client.call("POST", "/a", &Once(Plain::new(&fake))).await.unwrap_err().trace.attempts > 1);
}

#[tokio::test]
async fn a_server_that_never_answers_times_out() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let script = Script::always(Reply::status(200, "")).await;
    let limits = ApiLimits { base_url, timeout: Duration::from_millis(30), ..script.limits() };
    let fake = FakeWorld::new();
    let policy = RetryPolicy { max_attempts: 2, ..RetryPolicy::within(Duration::from_secs(60)) };
    let client = HttpClient::new(&limits, fake.world()).unwrap().with_bounds(policy, 1000);
    let error = client.call("GET", "/a", &Plain::new(&fake)).await.unwrap_err();
    let Cause::Transport(cause) = error.cause else { panic!("silence was an answer") };
    assert!(cause.to_string().ends_with("did not answer within 30 ms"), "{cause}");
    assert_eq!(error.trace.attempts, 2);
}

#[tokio::test]
async fn no_more_calls_are_under_way_than_allowed() {
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Counting(Plain, AtomicUsize, AtomicUsize);
    impl Exchange for Counting {
        type Accepted = Bytes;
        type Refusal = u16;
        async fn build(&self) -> Result<Outgoing, u16> {
            let now = self.1.fetch_add(1, Ordering::SeqCst) + 1;
            self.2.fetch_max(now, Ordering::SeqCst);
            self.0.build().await
        }
        async fn judge(&self, received: Received) -> Verdict<Bytes, u16> {
            self.1.fetch_sub(1, Ordering::SeqCst);
            self.0.judge(received).await
        }
    }
    let script = Script::always(Reply::status(200, "")).await;
    let fake = FakeWorld::new();
    let limits = ApiLimits { concurrency: 3, ..script.limits() };
    let client = HttpClient::new(&limits, fake.world()).unwrap();
    let counting = Counting(Plain::new(&fake), AtomicUsize::new(0), AtomicUsize::new(0));
    let calls = (0..20).map(|_| client.call("GET", "/a", &counting));
    assert!(futures_util::future::join_all(calls).await.iter().all(Result::is_ok));
    assert_eq!(counting.2.into_inner(), 3);
}

#[tokio::test]
async fn a_redirect_is_an_answer_not_an_order() {
    let script = Script::always(Reply::status(302, "").with("location", "http://127.0.0.1:1/")).await;
    assert!(matches!(ask(&script, &FakeWorld::new()).await.0.unwrap_err().cause, Cause::Refused(302)));
}

/// Accepts the answer to its own request; any other means that the connection is out of step.
struct Own<'a> {
    client: &'a HttpClient,
    target: &'static str,
}

impl Exchange for Own<'_> {
    type Accepted = Bytes;
    type Refusal = Bytes;

    async fn build(&self) -> Result<Outgoing, Bytes> {
        let target = self.target.to_owned();
        Ok(Outgoing { method: Method::GET, target, headers: vec![], body: Bytes::new() })
    }

    async fn judge(&self, received: Received) -> Verdict<Bytes, Bytes> {
        if received.body == self.target {
            return Verdict::Accept(received.body);
        }
        self.client.give_up_connections();
        Verdict::retry(received.body)
    }
}

/// The second request of a connection gets the answer to the first again, the third that to the second, and so on.
#[tokio::test]
async fn a_connection_that_is_out_of_step_is_used_no_more() {
    let connections = Arc::new(Mutex::new(Vec::<Vec<String>>::new()));
    let asked = connections.clone();
    let script = Script::answer_by_connection(move |connection, seen| {
        let mut asked = asked.lock().unwrap();
        let connections = asked.len().max(connection + 1);
        asked.resize(connections, Vec::new());
        asked[connection].push(seen.target.clone());
        let requests = asked[connection].len();
        Reply::status(200, &asked[connection][requests.saturating_sub(2)])
    })
    .await;
    let client = HttpClient::new(&script.limits(), FakeWorld::new().world()).unwrap();
    for (target, attempts) in [("/1", 1), ("/2", 2), ("/3", 2)] {
        let settled = client.call("GET", target, &Own { client: &client, target }).await.unwrap();
        assert_eq!((settled.accepted.as_ref(), settled.trace.attempts), (target.as_bytes(), attempts));
    }
    assert_eq!(*connections.lock().unwrap(), [vec!["/1", "/2"], vec!["/2", "/3"], vec!["/3"]]);
}

/// Accepts everything, and finds at first that the connections are out of step.
struct Alarmed<'a> {
    client: &'a HttpClient,
    is_repeatable: bool,
    judged: AtomicU32,
}

impl Exchange for Alarmed<'_> {
    type Accepted = Bytes;
    type Refusal = Bytes;

    fn is_repeatable(&self) -> bool {
        self.is_repeatable
    }

    async fn build(&self) -> Result<Outgoing, Bytes> {
        Ok(Outgoing { method: Method::GET, target: "/a".into(), headers: vec![], body: Bytes::new() })
    }

    async fn judge(&self, received: Received) -> Verdict<Bytes, Bytes> {
        if self.judged.fetch_add(1, Ordering::Relaxed) == 0 {
            self.client.give_up_connections();
        }
        Verdict::Accept(received.body)
    }
}

#[tokio::test]
async fn a_good_answer_over_connections_that_were_given_up_meanwhile_is_asked_for_again_where_that_is_allowed() {
    let script = Script::always(Reply::status(200, "fine")).await;
    let client = HttpClient::new(&script.limits(), FakeWorld::new().world()).unwrap();
    for (is_repeatable, attempts) in [(true, 2), (false, 1)] {
        let alarmed = Alarmed { client: &client, is_repeatable, judged: AtomicU32::new(0) };
        assert_eq!(client.call("GET", "/a", &alarmed).await.unwrap().trace.attempts, attempts);
    }
}
