//! Tests of the server: loading, routing, counting, limits, faults of the connection, stopping.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::*;
use crate::clock::Sleep;
use crate::simulator::probe::{Probe, STOCK, account, at, is_genuine};

fn stock() -> String {
    format!("/v3/marketing/busifavor/stocks/{STOCK}")
}

fn fault(text: &str) -> String {
    format!("[[fault]]\npath='/v3/marketing/busifavor/stocks/'\n{text}")
}

#[test]
fn a_missing_or_broken_world_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let message = Simulator::load(folder.path()).unwrap_err().to_string();
    assert!(message.ends_with("world.json` cannot be read"), "{message}");
    std::fs::create_dir(folder.path().join("world")).unwrap();
    std::fs::write(folder.path().join("world/world.json"), "{").unwrap();
    let message = Simulator::load(folder.path()).unwrap_err().to_string();
    assert!(message.ends_with("world.json` is not a world"), "{message}");
}

#[test]
fn a_world_with_unusable_keys_does_not_start() {
    let mut world = crate::simulator::probe::world();
    world.account.platform_private_key_pem.clear();
    assert!(matches!(Simulator::new(world, PathBuf::new()), Err(SimulatorError::Keys(KeyError::Platform(_)))));
}

#[tokio::test]
async fn an_unknown_path_is_an_empty_404_and_a_wrong_method_an_empty_405() {
    let probe = Probe::start("").await;
    let reply = probe.get("/v3/marketing/busifavor/nothing").await;
    assert_eq!((reply.status, reply.body.len(), reply.header("wechatpay-signature")), (404, 0, ""));
    let reply = probe.v3("POST", "/v3/certificates", "{}").await;
    assert_eq!((reply.status, reply.body.len()), (405, 0));
    assert_eq!((probe.counts().unknown_paths, probe.counts().total), (2, 2));
}

#[tokio::test]
async fn requests_are_counted_per_endpoint_and_second() {
    let probe = Probe::start("").await;
    probe.get(&stock()).await;
    probe.get(&stock()).await;
    probe.clock.set(at("18T20:01"));
    probe.get("/v3/certificates").await;
    let counts = probe.counts();
    assert_eq!(counts.of("GET /v3/marketing/busifavor/stocks/{stock_id}"), 2);
    assert_eq!((counts.total, counts.busiest_second, counts.rejected, counts.reused_nonces), (3, 2, 0, 0));
    probe.running.reset_counts();
    assert_eq!(probe.counts(), Counts::default());
}

#[tokio::test]
async fn past_a_limit_requests_are_refused_until_the_next_second() {
    let template = "/v3/marketing/busifavor/stocks/{stock_id}".to_owned();
    let probe = Probe::start_with("", |_, options| options.limits = [(template, 2)].into()).await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(probe.get(&stock()).await.status);
    }
    assert_eq!(statuses, [200, 200, 429]);
    assert_eq!(probe.counts().limited, 1);
    probe.clock.set(at("18T20:01"));
    assert_eq!(probe.get(&stock()).await.status, 200);
}

#[test]
fn every_published_limit_is_of_a_known_path() {
    let paths = endpoint::paths();
    for template in Options::published_limits().keys() {
        assert!(paths.iter().any(|path| path.ends_with(template.as_str())), "{template}");
    }
}

#[tokio::test]
async fn error_faults_answer_in_place_of_the_endpoint() {
    let cases = [
        ("kind='429'", 429, "FREQUENCY_LIMITED"),
        ("kind='500'", 500, "SYSTEM_ERROR"),
        ("kind='system_error_400'", 400, "SYSTEM_ERROR"),
        ("kind='errcode'\nvalue='NO_AUTH'", 400, "NO_AUTH"),
    ];
    for (text, status, code) in cases {
        let reply = Probe::start(&fault(text)).await.get(&stock()).await;
        assert_eq!((reply.status, reply.code().as_str(), reply.header("wechatpay-signature")), (status, code, ""));
    }
}

#[tokio::test]
async fn a_gateway_answers_html() {
    let reply = Probe::start(&fault("kind='502_html'")).await.get(&stock()).await;
    assert_eq!((reply.status, reply.header("content-type")), (502, "text/html"));
    assert!(reply.text().starts_with("<html>"));
}

#[tokio::test]
async fn a_redirect_leads_elsewhere() {
    let reply = Probe::start(&fault("kind='redirect'")).await.get(&stock()).await;
    assert_eq!((reply.status, reply.header("location")), (302, "https://elsewhere.invalid/"));
    let reply = Probe::start(&fault("kind='redirect'\nvalue='http://127.0.0.1:9/'")).await.get(&stock()).await;
    assert_eq!(reply.header("location"), "http://127.0.0.1:9/");
}

#[tokio::test]
async fn a_reset_tears_the_body_and_the_next_answer_is_whole() {
    let probe = Probe::start(&fault("kind='reset'\nfirst=1")).await;
    let torn = probe.get(&stock()).await;
    assert!(torn.status == 200 && !torn.is_whole && !torn.body.is_empty());
    let whole = probe.get(&stock()).await;
    assert!(whole.is_whole && is_genuine(&whole));
}

#[tokio::test]
async fn faults_are_counted_and_follow_their_counters() {
    let probe = Probe::start(&fault("kind='500'\nevery=2\ntimes=1")).await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(probe.get(&stock()).await.status);
    }
    assert_eq!(statuses, [200, 500, 200, 200]);
    assert_eq!(probe.counts().faults, [("500".to_owned(), 1)].into());
    probe.running.play(fault("kind='429'").parse().unwrap());
    assert_eq!(probe.get(&stock()).await.status, 429);
}

#[tokio::test]
async fn a_request_with_a_bad_signature_meets_no_fault() {
    let probe = Probe::start(&fault("kind='500'\nfirst=1")).await;
    let headers = [("Accept", "*/*"), ("User-Agent", "probe")];
    assert_eq!(probe.send("GET", &stock(), &headers, "").await.status, 401);
    assert_eq!(probe.get(&stock()).await.status, 500);
}

/// Notes how long it was asked to sleep, and sleeps for ever when told to.
#[derive(Default)]
struct NotingSleep {
    asked_ms: AtomicU64,
    is_endless: bool,
}

impl Sleep for NotingSleep {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.asked_ms.store(duration.as_millis().try_into().unwrap(), Ordering::SeqCst);
        if self.is_endless { Box::pin(std::future::pending()) } else { Box::pin(std::future::ready(())) }
    }
}

#[tokio::test]
async fn a_slow_answer_waits_on_the_given_clock() {
    let sleep = Arc::new(NotingSleep::default());
    let given = sleep.clone();
    let probe = Probe::start_with(&fault("kind='slow'\ndelay_ms=90000"), |_, options| options.sleep = given).await;
    assert_eq!(probe.get(&stock()).await.status, 200);
    assert_eq!(sleep.asked_ms.load(Ordering::SeqCst), 90_000);
}

/// A server whose answer is delayed for ever, and the request that waits for it.
async fn delayed() -> (Probe, tokio::task::JoinHandle<String>) {
    let sleep = Arc::new(NotingSleep { is_endless: true, ..NotingSleep::default() });
    let given = sleep.clone();
    let probe = Probe::start_with(&fault("kind='slow'\ndelay_ms=90000"), |_, options| options.sleep = given).await;
    let authorization = probe.authorization("GET", &stock(), "", "N1");
    let addr = probe.running.addr;
    let asking = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
        let head =
            format!("GET {} HTTP/1.1\r\nHost: x\r\nAccept: */*\r\nUser-Agent: probe\r\nConnection: close\r\n", stock());
        stream.write_all(format!("{head}Authorization: {authorization}\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    });
    while sleep.asked_ms.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    (probe, asking)
}

#[tokio::test]
async fn stopping_does_not_wait_for_a_delayed_answer() {
    let (probe, asking) = delayed().await;
    assert_eq!(probe.running.counts().total, 1);
    probe.running.stop().await;
    assert!(asking.await.unwrap().starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn another_scenario_sends_a_delayed_answer_at_once() {
    let (probe, asking) = delayed().await;
    probe.running.play("".parse().unwrap());
    assert!(asking.await.unwrap().starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn after_stopping_nobody_answers() {
    let probe = Probe::start("").await;
    assert_eq!(probe.running.base_url(), format!("http://{}", probe.running.addr));
    let addr = probe.running.addr;
    probe.running.stop().await;
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn a_request_too_large_is_refused() {
    let probe = Probe::start("").await;
    let body = "x".repeat(LARGEST_REQUEST_BYTES + 1);
    let reply = probe.v3("POST", "/v3/security/echo", &body).await;
    assert_eq!(reply.status, 413);
}

#[tokio::test]
async fn the_same_requests_get_the_same_bytes() {
    let ask = async || {
        let probe = Probe::start("").await;
        let reply = probe.get(&stock()).await;
        (reply.body.clone(), reply.header("wechatpay-signature").to_owned(), reply.header("request-id").to_owned())
    };
    assert_eq!(ask().await, ask().await);
}

#[test]
fn nothing_secret_is_printed() {
    let simulator = Simulator::new(crate::simulator::probe::world(), PathBuf::new()).unwrap();
    let printed = format!("{:?}", simulator.keys);
    assert!(!printed.contains(&account().api_v3_key));
}
