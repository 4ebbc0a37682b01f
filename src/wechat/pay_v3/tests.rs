//! Tests of the v3 client against a scripted server that signs with the test platform key.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::NaiveDate;
use serde_json::{Value, json};

use super::keyring::tests::{API_V3_KEY, PLATFORM_ID, Trust, settings};
use super::sign::tests::{certificate_signature, platform_signature};
use super::*;
use crate::http::scripted::{FakeWorld, Reply, Script, Seen};
use crate::job::{PublicKey, TarType};
use crate::wechat::error::{FailureKind, Problem, SignatureError};

const NONCE: &str = "d824f2e086d3c1df967785d13fcd22ef";
/// The Java merchant certificate plays the platform certificate; its key signs too.
const CERTIFICATE: &str = include_str!("../../../tests/fixtures/keys/java_merchant_certificate.pem");
const CERTIFICATE_SERIAL: &str = "5F1C72E2A8931B72A2E13AF8DEE92471EB397115";
const RENEWED_SERIAL: &str = "6A1C72E2A8931B72A2E13AF8DEE92471EB397116";
const STOCK: &str = r#"{"stock_id":"1212"}"#;

/// 2026-11-21T04:00:00Z, when `FakeWorld` begins.
const NOW: i64 = 1_795_233_600;

#[derive(Clone, Copy, PartialEq)]
enum Key {
    Public,
    Certificate,
    /// Of the certificate that comes after the first one.
    Renewed,
}

/// A good answer, signed.
fn signed(status: u16, body: &str, key: Key) -> Reply {
    signed_at(NOW, status, body, key)
}

fn signed_at(timestamp: i64, status: u16, body: &str, key: Key) -> Reply {
    let message = format!("{timestamp}\n{NONCE}\n{body}\n");
    let (serial, signature) = match key {
        Key::Public => (PLATFORM_ID, platform_signature(&message)),
        Key::Certificate => (CERTIFICATE_SERIAL, certificate_signature(&message)),
        Key::Renewed => (RENEWED_SERIAL, platform_signature(&message)),
    };
    Reply::status(status, body)
        .with("Wechatpay-Timestamp", &timestamp.to_string())
        .with("Wechatpay-Nonce", NONCE)
        .with("Wechatpay-Signature", &signature)
        .with("Wechatpay-Serial", serial)
        .with("Request-ID", "08F5B8C2")
}

/// The same with a signature that begins like that of a probe.
fn probe(body: &str) -> Reply {
    probe_under(PLATFORM_ID, body)
}

fn probe_under(serial: &str, body: &str) -> Reply {
    Reply::status(200, body)
        .with("Wechatpay-Timestamp", &NOW.to_string())
        .with("Wechatpay-Nonce", NONCE)
        .with("Wechatpay-Signature", &format!("WECHATPAY/SIGNTEST/{}", platform_signature("x")))
        .with("Wechatpay-Serial", serial)
}

fn certificates_body() -> String {
    json!({"data": [encrypted(CERTIFICATE_SERIAL, CERTIFICATE)]}).to_string()
}

/// What the platform answers while its certificates change over.
fn both_certificates_body() -> String {
    let renewed = renewed_certificate();
    json!({"data": [encrypted(CERTIFICATE_SERIAL, CERTIFICATE), encrypted(RENEWED_SERIAL, &renewed)]}).to_string()
}

/// A certificate over the key that also plays WeChat Pay's public key.
fn renewed_certificate() -> String {
    let pem = include_str!("../../../tests/fixtures/keys/java_platform_private_key.pem");
    let pair = rcgen::KeyPair::from_pkcs8_pem_and_sign_algo(pem, &rcgen::PKCS_RSA_SHA256).unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.serial_number = Some(rcgen::SerialNumber::from(hex::decode(RENEWED_SERIAL).unwrap()));
    params.self_signed(&pair).unwrap().pem()
}

fn encrypted(serial: &str, certificate: &str) -> Value {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, API_V3_KEY.as_bytes()).unwrap());
    let mut bytes = certificate.as_bytes().to_vec();
    let nonce = Nonce::try_assume_unique_for_key(b"61f9c719728a").unwrap();
    key.seal_in_place_append_tag(nonce, Aad::from(b"certificate"), &mut bytes).unwrap();
    json!({
        "serial_no": serial,
        "encrypt_certificate": {
            "algorithm": "AEAD_AES_256_GCM", "nonce": "61f9c719728a",
            "associated_data": "certificate", "ciphertext": STANDARD.encode(bytes),
        },
    })
}

/// Answers certificates by `certificates`, everything else by `other`, whose argument counts from 1.
async fn platform(
    mut certificates: impl FnMut() -> Reply + Send + 'static,
    mut other: impl FnMut(usize, &Seen) -> Reply + Send + 'static,
) -> Script {
    let mut calls = 0;
    Script::answer(move |seen| {
        if seen.target == "/v3/certificates" {
            return certificates();
        }
        calls += 1;
        other(calls, seen)
    })
    .await
}

fn client(script: &Script, fake: &FakeWorld, trust: Trust) -> PayV3 {
    PayV3::new(&settings(script.limits(), trust), fake.world()).unwrap()
}

async fn ask(script: &Script) -> Result<Answer, ApiError> {
    client(script, &FakeWorld::new(), Trust::PublicKey).send(&busifavor::stock("1212")).await
}

fn asked(script: &Script, path: &str) -> usize {
    script.requests().iter().filter(|seen| seen.target.starts_with(path)).count()
}

#[tokio::test]
async fn a_good_answer_comes_with_its_evidence_and_can_be_checked_again() {
    let script = Script::always(signed(200, STOCK, Key::Public)).await;
    let fake = FakeWorld::new();
    let client = client(&script, &fake, Trust::PublicKey);
    let answer = client.send(&busifavor::stock("1212")).await.unwrap();
    assert_eq!((answer.status, answer.attempts, answer.fetched_at), (200, 1, fake.now()));
    assert_eq!(answer.evidence.request_id.as_deref(), Some("08F5B8C2"));
    assert_eq!(client.keyring().verify_evidence(&answer.evidence, &answer.body), Ok(()));
}

#[tokio::test]
async fn a_request_carries_authorization_serial_and_the_exact_target() {
    let script = Script::always(signed(200, STOCK, Key::Public)).await;
    ask(&script).await.unwrap();
    let seen = &script.requests()[0];
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("GET", "/v3/marketing/busifavor/stocks/1212"));
    assert_eq!(seen.header("wechatpay-serial").as_deref(), Some(PLATFORM_ID));
    let authorization = seen.header("authorization").unwrap();
    assert!(
        authorization.starts_with("WECHATPAY2-SHA256-RSA2048 mchid=\"1900009191\",nonce_str=\""),
        "{authorization}"
    );
    assert!(authorization.contains(&format!("timestamp=\"{NOW}\"")));
    assert_eq!(seen.header("content-type"), None);
}

#[tokio::test]
async fn a_probe_is_invalid_and_the_repeated_request_gets_the_good_answer() {
    let script = Script::serve(vec![probe(STOCK), signed(200, STOCK, Key::Public)]).await;
    let answer = ask(&script).await.unwrap();
    assert_eq!(answer.attempts, 2);
    let [first, second] = &script.requests()[..] else { panic!("two requests") };
    assert_ne!(first.header("authorization"), second.header("authorization"));
}

#[tokio::test]
async fn signatures_that_stay_wrong_end_the_call_with_a_hint_and_without_the_answer() {
    let script = Script::always(probe(STOCK)).await;
    let error = ask(&script).await.unwrap_err();
    assert_eq!((error.kind(), script.requests().len()), (FailureKind::SignatureInvalid, 5));
    assert!(error.answer().is_none() && error.hint().unwrap().contains("pay_v3.public_key_file"));
}

#[tokio::test]
async fn a_success_without_signature_is_refused() {
    let script = Script::always(Reply::status(200, STOCK)).await;
    let error = ask(&script).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::SignatureInvalid);
    assert!(error.problem().to_string().contains("signature"), "{}", error.problem());
}

#[tokio::test]
async fn a_changed_byte_breaks_the_signature() {
    let script = Script::answer(|_| {
        let good = signed(200, STOCK, Key::Public);
        good.body_replaced(r#"{"stock_id":"1213"}"#)
    })
    .await;
    assert_eq!(ask(&script).await.unwrap_err().kind(), FailureKind::SignatureInvalid);
}

#[tokio::test]
async fn answers_five_minutes_off_either_way_are_refused_and_just_under_are_not() {
    for (offset, good) in [(299, true), (-299, true), (300, false), (-300, false), (i64::MIN / 2, false)] {
        let script = Script::always(signed_at(NOW.saturating_add(offset), 200, STOCK, Key::Public)).await;
        // Its clock stands still: while it waits for another answer, one of the future would become valid.
        let client = client(&script, &FakeWorld::frozen(), Trust::PublicKey);
        let outcome = client.send(&busifavor::stock("1212")).await;
        assert_eq!(outcome.is_ok(), good, "{offset}");
        if let Err(error) = outcome {
            assert!(matches!(error.problem(), Problem::Signature(SignatureError::Stale { .. })), "{error:?}");
        }
    }
}

#[tokio::test]
async fn a_204_is_verified_over_its_empty_body() {
    let script = Script::always(signed(204, "", Key::Public)).await;
    let request = busifavor::modify_stock("1212", &busifavor::StockChange::default());
    let client = client(&script, &FakeWorld::new(), Trust::PublicKey);
    let answer = client.send(&request).await.unwrap();
    assert!(request.parse(&answer.body).is_ok());
    assert_eq!(script.requests()[0].header("content-type").as_deref(), Some("application/json"));
}

#[tokio::test]
async fn what_is_not_known_is_a_fact_with_its_answer() {
    let script =
        Script::always(Reply::status(404, r#"{"code":"RESOURCE_NOT_EXISTS","message":"查询的资源不存在"}"#)).await;
    let error = ask(&script).await.unwrap_err();
    assert_eq!((error.kind(), script.requests().len()), (FailureKind::NotFound, 1));
    let answer = error.answer().unwrap();
    assert_eq!((answer.status, answer.attempts), (404, 1));
    assert_eq!(failure_of(answer.status, &answer.body), Some(FailureKind::NotFound));
}

#[tokio::test]
async fn a_redirect_is_refused_as_one_and_where_it_leads_is_not_shown() {
    let reply = Reply::status(302, "<html>moved</html>").with("location", "http://127.0.0.1:1/login?token=s3cret");
    let script = Script::always(reply).await;
    let error = ask(&script).await.unwrap_err();
    assert_eq!((error.kind(), script.requests().len()), (FailureKind::Refused, 1));
    assert_eq!(error.problem().to_string(), "WeChat says `HTTP 302`: a redirect, which is not followed");
    assert!(error.hint().unwrap().contains("`pay_v3.base_url` must be the API itself"));
    assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
}

#[tokio::test]
async fn throttling_gateways_and_system_errors_are_tried_again() {
    let script = Script::serve(vec![
        Reply::status(429, r#"{"code":"FREQUENCY_LIMITED","message":"x"}"#),
        Reply::status(400, r#"{"code":"SYSTEM_ERROR","message":"x"}"#),
        Reply::status(502, "<html>"),
        Reply::status(202, "{}"),
        Reply::reset(),
        signed(200, r#"{"code":"SYSTEM_ERROR","message":"inside a 200"}"#, Key::Public),
        signed(200, STOCK, Key::Public),
    ])
    .await;
    assert_eq!(ask(&script).await.unwrap().attempts, 7);
}

#[tokio::test]
async fn a_rejected_signature_names_serial_and_key_of_the_job_file() {
    let script = Script::always(Reply::status(401, r#"{"code":"SIGN_ERROR","message":"签名错误"}"#)).await;
    let error = ask(&script).await.unwrap_err();
    assert_eq!((error.kind(), script.requests().len()), (FailureKind::Credentials, 1));
    assert!(error.hint().unwrap().contains("`pay_v3.serial_no`"), "{:?}", error.hint());
}

#[tokio::test]
async fn a_skewed_clock_is_named_with_its_seconds() {
    let reply = Reply::status(
        401,
        r#"{"code":"SIGN_ERROR","message":"Http头Authorization中的timestamp与发起请求的时间不得超过5分钟"}"#,
    )
    .with("date", "Sat, 21 Nov 2026 04:10:00 GMT");
    let error = ask(&Script::always(reply).await).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Credentials);
    assert_eq!(
        error.problem().to_string(),
        "WeChat says `SIGN_ERROR`; this machine's clock is 600 s behind the server's"
    );
    assert!(error.hint().unwrap().contains("clock"));
}

#[tokio::test]
async fn without_a_public_key_certificates_are_fetched_first_and_once() {
    let script =
        platform(|| signed(200, &certificates_body(), Key::Certificate), |_, _| signed(200, STOCK, Key::Certificate))
            .await;
    let client = Arc::new(client(&script, &FakeWorld::new(), Trust::Certificates));
    let calls = (0..6).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.send(&busifavor::stock("1212")).await.unwrap() })
    });
    assert!(futures_util::future::join_all(calls).await.into_iter().all(|call| call.is_ok()));
    assert_eq!(asked(&script, "/v3/certificates"), 1);
    let last = script.requests().pop().unwrap();
    assert_eq!(last.header("wechatpay-serial").as_deref(), Some(CERTIFICATE_SERIAL));
    // The journalled answer alone verifies the evidence of the run.
    let answers = client.take_certificate_answers();
    let offline = Keyring::from_settings(&settings(script.limits(), Trust::Certificates)).unwrap();
    assert_eq!(offline.learn_certificates(&answers[0].body).unwrap(), [CERTIFICATE_SERIAL]);
    assert_eq!(offline.verify_evidence(&answers[0].evidence, &answers[0].body), Ok(()));
}

#[tokio::test]
async fn certificates_are_fetched_again_after_hours_and_old_ones_serve_when_that_fails() {
    let fetched = Arc::new(Mutex::new(0));
    let count = fetched.clone();
    let fake = FakeWorld::new();
    let clock = fake.clone();
    let script = platform(
        move || {
            *count.lock().unwrap() += 1;
            match *count.lock().unwrap() {
                1 => signed(200, &certificates_body(), Key::Certificate),
                _ => Reply::status(403, r#"{"code":"NO_AUTH","message":"x"}"#),
            }
        },
        move |_, _| signed_at(clock.now().timestamp(), 200, STOCK, Key::Certificate),
    )
    .await;
    let client = client(&script, &fake, Trust::Certificates);
    client.send(&busifavor::stock("1212")).await.unwrap();
    fake.advance(Duration::from_secs(6 * 3600));
    client.send(&busifavor::stock("1212")).await.unwrap();
    assert_eq!(*fetched.lock().unwrap(), 2);
    client.send(&busifavor::stock("1212")).await.unwrap();
    assert_eq!(*fetched.lock().unwrap(), 2);
}

#[tokio::test]
async fn an_unknown_serial_fetches_certificates_and_both_kinds_of_key_serve_together() {
    let script = platform(
        || signed(200, &certificates_body(), Key::Certificate),
        |call, _| signed(200, STOCK, if call.is_multiple_of(2) { Key::Public } else { Key::Certificate }),
    )
    .await;
    let client = client(&script, &FakeWorld::new(), Trust::PublicKey);
    for _ in 0..4 {
        assert_eq!(client.send(&busifavor::stock("1212")).await.unwrap().attempts, 1);
    }
    assert_eq!(asked(&script, "/v3/certificates"), 1);
}

#[tokio::test]
async fn old_and_new_certificate_are_valid_together_while_they_change_over() {
    let fake = FakeWorld::new();
    let (clock, list) = (fake.clone(), Arc::new(Mutex::new(certificates_body())));
    let (now, listed) = (fake.clone(), list.clone());
    let script = platform(
        move || signed_at(now.now().timestamp(), 200, &listed.lock().unwrap(), Key::Certificate),
        move |call, _| {
            let key = if call > 1 && call.is_multiple_of(2) { Key::Renewed } else { Key::Certificate };
            signed_at(clock.now().timestamp(), 200, STOCK, key)
        },
    )
    .await;
    let client = client(&script, &fake, Trust::Certificates);
    client.send(&busifavor::stock("1212")).await.unwrap();
    assert!(!client.keyring().knows(RENEWED_SERIAL));
    *list.lock().unwrap() = both_certificates_body();
    fake.advance(Duration::from_secs(61));
    for _ in 0..4 {
        assert_eq!(client.send(&busifavor::stock("1212")).await.unwrap().attempts, 1);
    }
    assert!(client.keyring().knows(CERTIFICATE_SERIAL) && client.keyring().knows(RENEWED_SERIAL));
    assert_eq!(asked(&script, "/v3/certificates"), 2, "once at first, once for the unknown serial");
}

#[tokio::test]
async fn a_merchant_of_the_public_key_needs_no_platform_certificate() {
    let none = || Reply::status(404, r#"{"code":"RESOURCE_NOT_EXISTS","message":"无可用的平台证书"}"#);
    let script = platform(none, |_, _| signed(200, STOCK, Key::Public)).await;
    let client = client(&script, &FakeWorld::new(), Trust::PublicKey);
    assert!(client.send(&busifavor::stock("1212")).await.is_ok());
    assert_eq!(client.send(&certificates()).await.unwrap_err().kind(), FailureKind::NotFound);
    assert!(client.send(&busifavor::stock("1212")).await.is_ok());
}

#[tokio::test]
async fn an_unknown_serial_is_looked_up_once_a_minute_at_most() {
    let fake = FakeWorld::new();
    let clock = fake.clone();
    let script = platform(
        || Reply::status(404, r#"{"code":"RESOURCE_NOT_EXISTS","message":"无可用的平台证书"}"#),
        move |_, _| signed_at(clock.now().timestamp(), 200, STOCK, Key::Certificate),
    )
    .await;
    let client = client(&script, &fake, Trust::PublicKey);
    for _ in 0..5 {
        let error = client.send(&busifavor::stock("1212")).await.unwrap_err();
        assert!(matches!(error.problem(), Problem::Signature(SignatureError::UnknownSerial { .. })), "{error:?}");
    }
    assert_eq!(asked(&script, "/v3/certificates"), 1);
    fake.advance(Duration::from_secs(61));
    assert!(client.send(&busifavor::stock("1212")).await.is_err());
    assert_eq!(asked(&script, "/v3/certificates"), 2);
}

#[tokio::test]
async fn an_unknown_public_key_id_is_never_looked_up() {
    let script = Script::always(signed(200, STOCK, Key::Public)).await;
    let mut settings = settings(script.limits(), Trust::PublicKey);
    let pem = settings.public_key.take().unwrap().pem;
    settings.public_key = Some(PublicKey { id: "PUB_KEY_ID_2".into(), pem, origin: Default::default() });
    let client = PayV3::new(&settings, FakeWorld::new().world()).unwrap();
    let error = client.send(&busifavor::stock("1212")).await.unwrap_err();
    assert!(error.hint().unwrap().contains("`pay_v3.public_key_id`"));
    assert_eq!(asked(&script, "/v3/certificates"), 0);
    assert_eq!(script.requests().len(), 5, "an invalid signature is asked for again, whatever is wrong with it");
}

#[tokio::test]
async fn an_answer_under_an_unknown_serial_is_asked_for_again() {
    for serial in ["PUB_KEY_ID_2", "7B1C72E2A8931B72A2E13AF8DEE92471EB397117"] {
        let stranger = probe_under(serial, STOCK);
        let none = || Reply::status(404, r#"{"code":"RESOURCE_NOT_EXISTS","message":"x"}"#);
        let answer = move |call, _: &Seen| if call < 3 { stranger.clone() } else { signed(200, STOCK, Key::Public) };
        let script = platform(none, answer).await;
        assert_eq!(ask(&script).await.unwrap().attempts, 3, "{serial}");
    }
}

#[tokio::test]
async fn a_merchant_without_platform_certificates_is_told_what_to_set_and_asked_once() {
    for body in [r#"{"code":"RESOURCE_NOT_EXISTS","message":"x"}"#, r#"{"code":"NOT_FOUND","message":"x"}"#] {
        let script = Script::always(Reply::status(404, body)).await;
        let client = client(&script, &FakeWorld::new(), Trust::Certificates);
        for _ in 0..3 {
            let error = client.send(&busifavor::stock("1212")).await.unwrap_err();
            assert_eq!(error.kind(), FailureKind::Credentials);
            assert!(error.hint().unwrap().contains("`pay_v3.public_key_id`"), "{:?}", error.hint());
            assert!(error.answer().is_none(), "the stock itself was not asked for");
        }
        assert_eq!(script.requests().len(), 1);
    }
}

#[tokio::test]
async fn certificates_signed_by_a_stranger_are_not_learnt() {
    let script =
        platform(|| signed(200, &certificates_body(), Key::Public), |_, _| signed(200, STOCK, Key::Certificate)).await;
    let client = client(&script, &FakeWorld::new(), Trust::Certificates);
    let error = client.send(&busifavor::stock("1212")).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::SignatureInvalid);
    assert!(!client.keyring().knows(CERTIFICATE_SERIAL));
}

#[tokio::test]
async fn a_wrong_api_v3_key_names_its_key_of_the_job_file() {
    let script = Script::always(signed(200, &certificates_body(), Key::Certificate)).await;
    let mut settings = settings(script.limits(), Trust::Certificates);
    settings.api_v3_key = crate::secret::Secret::new("0123456789abcdef0123456789abcdef");
    let client = PayV3::new(&settings, FakeWorld::new().world()).unwrap();
    let error = client.send(&busifavor::stock("1212")).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Credentials);
    assert!(error.hint().unwrap().contains("`pay_v3.api_v3_key_env`"), "{:?}", error.hint());
}

#[tokio::test]
async fn an_answer_that_was_given_to_another_question_is_not_believed_however_well_it_is_signed() {
    let script = Script::always(signed(200, r#"{"data":[],"total_count":0}"#, Key::Public)).await;
    let client = client(&script, &FakeWorld::new(), Trust::PublicKey);
    let wallet = |openid| busifavor::user_coupons(openid, &busifavor::CouponFilter::default(), 0, 20);
    client.send(&wallet("oOne")).await.unwrap();
    client.send(&wallet("oOne")).await.unwrap();
    let error = client.send(&wallet("oTwo")).await.unwrap_err();
    assert_eq!((error.kind(), error.trace().attempts), (FailureKind::SignatureInvalid, 5));
    assert!(error.problem().to_string().contains("signature") && error.hint().unwrap().contains("caches answers"));
    assert!(error.answer().is_none(), "it is no evidence of anything");
}

#[tokio::test]
async fn after_the_answer_to_another_question_the_next_attempt_takes_a_new_connection() {
    let connections = Arc::new(Mutex::new(Vec::new()));
    let log = connections.clone();
    let script = Script::answer_by_connection(move |connection, _| {
        log.lock().unwrap().push(connection);
        let body = json!({"data": [], "total_count": 0, "limit": 20 + connection}).to_string();
        signed(200, &body, Key::Public)
    })
    .await;
    let client = client(&script, &FakeWorld::new(), Trust::PublicKey);
    let wallet = |openid| busifavor::user_coupons(openid, &busifavor::CouponFilter::default(), 0, 20);
    client.send(&wallet("oOne")).await.unwrap();
    let answer = client.send(&wallet("oTwo")).await.unwrap();
    assert_eq!(answer.body, r#"{"data":[],"total_count":0,"limit":21}"#);
    assert_eq!(*connections.lock().unwrap(), [0, 0, 1]);
}

#[tokio::test]
async fn the_echo_comes_back() {
    let script = Script::answer(|seen| signed(200, std::str::from_utf8(&seen.body).unwrap(), Key::Public)).await;
    let request = echo::echo("你好");
    let answer = client(&script, &FakeWorld::new(), Trust::PublicKey).send(&request).await.unwrap();
    assert_eq!(request.parse(&answer.body).unwrap().echo_message, "你好");
}

const BILL: &[u8] = "\u{FEFF}交易时间,公众账号ID\r\n`2026-11-18 08:00:00,`wx1\r\n".as_bytes();

fn sha1_hex(bytes: &[u8]) -> String {
    use sha1::Digest;
    hex::encode(sha1::Sha1::digest(bytes))
}

fn date() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, 18).unwrap()
}

/// Announces BILL and sends `files` in turn; the last repeats.
async fn bill_server(files: Vec<Reply>) -> Script {
    let mut next = 0;
    Script::answer(move |seen| {
        if seen.target.starts_with("/v3/bill/") {
            let host = seen.header("host").unwrap();
            let location = json!({
                "hash_type": "SHA1", "hash_value": sha1_hex(BILL),
                "download_url": format!(" http://{host}/v3/billdownload/file?token=T%2F1&tartype=gzip"),
            });
            return signed(200, &location.to_string(), Key::Public);
        }
        next += 1;
        files[(next - 1).min(files.len() - 1)].clone()
    })
    .await
}

#[tokio::test]
async fn a_bill_is_downloaded_unsigned_with_a_signed_request_and_checked_by_digest() {
    let script = bill_server(vec![Reply::bytes(200, BILL)]).await;
    let mut sink = Vec::new();
    let downloaded = client(&script, &FakeWorld::new(), Trust::PublicKey)
        .fetch_trade_bill(date(), TarType::Plain, &mut sink)
        .await
        .unwrap();
    assert_eq!(sink, BILL);
    assert_eq!((downloaded.sha1_hex, downloaded.is_gzip), (sha1_hex(BILL), false));
    let seen = &script.requests()[1];
    assert_eq!(seen.target, "/v3/billdownload/file?token=T%2F1&tartype=gzip");
    assert!(seen.header("authorization").is_some());
}

#[tokio::test]
async fn a_gzipped_bill_is_kept_as_received_and_digested_unzipped() {
    let zipped = super::unzip::tests::gzip(BILL);
    let script = bill_server(vec![Reply::bytes(200, &zipped)]).await;
    let mut sink = Vec::new();
    let downloaded = client(&script, &FakeWorld::new(), Trust::PublicKey)
        .fetch_trade_bill(date(), TarType::Gzip, &mut sink)
        .await
        .unwrap();
    assert_eq!((sink, downloaded.unzipped_bytes, downloaded.is_gzip), (zipped, BILL.len() as u64, true));
}

#[tokio::test]
async fn after_a_failed_download_a_new_url_is_applied_for_and_the_sink_starts_over() {
    let zipped = super::unzip::tests::gzip(BILL);
    let script =
        bill_server(vec![Reply::bytes(200, &zipped[..zipped.len() - 5]), Reply::reset(), Reply::bytes(200, &zipped)])
            .await;
    let mut sink = Vec::new();
    let client = client(&script, &FakeWorld::new(), Trust::PublicKey);
    assert!(client.fetch_trade_bill(date(), TarType::Gzip, &mut sink).await.is_ok());
    assert_eq!((sink, asked(&script, "/v3/bill/")), (zipped, 3));
}

#[tokio::test]
async fn a_download_in_a_storm_is_tried_with_waits_like_any_call_and_ends_with_the_deadline() {
    let storm = [Reply::status(500, "{}"), Reply::status(502, "<html>"), Reply::status(429, "{}"), Reply::reset()];
    let files = [storm.to_vec(), storm.to_vec(), vec![Reply::bytes(200, BILL)]].concat();
    let (script, fake) = (bill_server(files).await, FakeWorld::new());
    let mut sink = Vec::new();
    assert!(client(&script, &fake, Trust::PublicKey).fetch_trade_bill(date(), TarType::Plain, &mut sink).await.is_ok());
    assert_eq!((sink, asked(&script, "/v3/billdownload/")), (BILL.to_vec(), 9));
    assert!(fake.slept() > Duration::ZERO);
    let (script, fake) = (bill_server(vec![Reply::status(503, "{}")]).await, FakeWorld::new());
    let error = client(&script, &fake, Trust::PublicKey)
        .fetch_trade_bill(date(), TarType::Plain, &mut Vec::new())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), FailureKind::Unavailable);
    assert!(fake.slept() < script.limits().retry_deadline && asked(&script, "/v3/billdownload/") > 3);
}

#[tokio::test]
async fn a_used_up_address_is_applied_for_again_and_a_refusal_that_stays_ends_it() {
    let script = bill_server(vec![Reply::status(403, "{}"), Reply::bytes(200, BILL)]).await;
    let fake = FakeWorld::new();
    assert!(
        client(&script, &fake, Trust::PublicKey)
            .fetch_trade_bill(date(), TarType::Plain, &mut Vec::new())
            .await
            .is_ok()
    );
    let script = bill_server(vec![Reply::status(404, "")]).await;
    assert!(
        client(&script, &fake, Trust::PublicKey)
            .fetch_trade_bill(date(), TarType::Plain, &mut Vec::new())
            .await
            .is_err()
    );
    assert_eq!(asked(&script, "/v3/bill/"), 3);
}

#[tokio::test]
async fn a_bill_with_another_digest_is_refused_after_three_rounds() {
    let script = bill_server(vec![Reply::bytes(200, b"forged")]).await;
    let error = client(&script, &FakeWorld::new(), Trust::PublicKey)
        .fetch_trade_bill(date(), TarType::Plain, &mut Vec::new())
        .await
        .unwrap_err();
    assert_eq!((error.kind(), asked(&script, "/v3/bill/")), (FailureKind::Unavailable, 3));
    let text = format!("{error} {} {error:?}", error.problem());
    assert!(text.contains(&sha1_hex(BILL)) && !text.contains("token"), "{text}");
}

#[tokio::test]
async fn a_download_from_a_foreign_host_is_refused_unasked() {
    let script = Script::always(signed(
        200,
        r#"{"hash_type":"SHA1","hash_value":"00","download_url":"https://evil.example/v3/billdownload/file?token=x"}"#,
        Key::Public,
    ))
    .await;
    let error = client(&script, &FakeWorld::new(), Trust::PublicKey)
        .fetch_trade_bill(date(), TarType::Plain, &mut Vec::new())
        .await
        .unwrap_err();
    assert_eq!((error.kind(), script.requests().len()), (FailureKind::Refused, 1));
    assert!(error.problem().to_string().contains("evil.example"), "{}", error.problem());
}

#[tokio::test]
async fn a_download_url_at_another_official_host_is_downloaded_from_our_own() {
    let script = Script::answer(|seen| {
        let url = "https://api2.mch.weixin.qq.com/v3/billdownload/file?token=T";
        let location = json!({"hash_type": "SHA1", "hash_value": sha1_hex(BILL), "download_url": url});
        match seen.target.starts_with("/v3/bill/") {
            true => signed(200, &location.to_string(), Key::Public),
            false => Reply::bytes(200, BILL),
        }
    })
    .await;
    let mut sink = Vec::new();
    let client = client(&script, &FakeWorld::new(), Trust::PublicKey);
    client.fetch_trade_bill(date(), TarType::Plain, &mut sink).await.unwrap();
    assert_eq!((sink.as_slice(), script.requests()[1].target.as_str()), (BILL, "/v3/billdownload/file?token=T"));
}

#[tokio::test]
async fn an_application_that_was_answered_without_an_address_is_told_as_answered() {
    let script = Script::always(signed(200, r#"{"hash_type":"SHA1"}"#, Key::Public)).await;
    let client = client(&script, &FakeWorld::new(), Trust::PublicKey);
    let error = client.fetch_trade_bill(date(), TarType::Plain, &mut Vec::new()).await.unwrap_err();
    assert!(error.to_string().starts_with("GET /v3/bill/tradebill answered 200 after 1 attempt"), "{error}");
    assert!(error.problem().to_string().contains("hash_value"), "{}", error.problem());
    assert_eq!(asked(&script, "/v3/bill/"), 3, "its answer may have been garbled on the way");
}

#[tokio::test]
async fn no_bill_and_not_yet_are_told_apart() {
    for (code, kind) in
        [("NO_STATEMENT_EXIST", FailureKind::NoStatement), ("STATEMENT_CREATING", FailureKind::NotReady)]
    {
        let script = Script::always(Reply::status(400, &json!({"code": code, "message": "x"}).to_string())).await;
        let error = client(&script, &FakeWorld::new(), Trust::PublicKey)
            .fetch_trade_bill(date(), TarType::Plain, &mut Vec::new())
            .await
            .unwrap_err();
        assert_eq!((error.kind(), script.requests().len()), (kind, 1));
    }
}

#[tokio::test]
async fn an_id_that_no_path_can_hold_is_named_as_the_cause_not_the_network() {
    let script = Script::always(signed(200, STOCK, Key::Public)).await;
    let error = client(&script, &FakeWorld::new(), Trust::PublicKey).send(&busifavor::stock("..")).await.unwrap_err();
    assert!(error.hint().unwrap().contains("not one that WeChat issues"), "{:?}", error.hint());
    assert!(script.requests().is_empty());
}

#[tokio::test]
async fn errors_show_neither_key_nor_query() {
    let script = Script::always(Reply::status(403, r#"{"code":"NO_AUTH","message":"x"}"#)).await;
    let client = client(&script, &FakeWorld::new(), Trust::PublicKey);
    let filter = busifavor::CouponFilter { appid: "wxSECRETAPP".into(), ..busifavor::CouponFilter::default() };
    let error = client.send(&busifavor::user_coupons("oOPEN", &filter, 0, 20)).await.unwrap_err();
    let text = format!("{error} {error:?} {client:?}");
    assert!(text.starts_with("GET /v3/marketing/busifavor/users/{openid}/coupons answered 403"), "{text}");
    assert!(
        !text.contains("wxSECRETAPP")
            && !text.contains("oOPEN")
            && !text.contains(API_V3_KEY)
            && !text.contains("PRIVATE"),
        "{text}"
    );
    assert!(error.hint().unwrap().contains("`wallets.creator_merchant`"));
    assert_eq!(serde_json::from_slice::<Value>(&error.answer().unwrap().body).unwrap()["code"], "NO_AUTH");
}
