//! Tests of the v3 API over the wire: refusals, signatures, wallets, codes, receipts, bills.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::TimeDelta;
use serde_json::{Value, json};
use sha1::{Digest, Sha1};

use crate::clock::Clock;
use crate::simulator::OffsetMeaning;
use crate::simulator::probe::{BILL, OPENID, POOL, Probe, Reply, STOCK, account, at, coupon, is_genuine};
use crate::simulator::world::{Coupon, StockRevision, World};

const ECHO: &str = "/v3/security/echo";

fn wallet(query: &str) -> String {
    format!(
        "/v3/marketing/busifavor/users/{OPENID}/coupons?appid={}&creator_merchant={}{query}",
        account().appid,
        account().mchid
    )
}

fn single(openid: &str, code: &str) -> String {
    format!("/v3/marketing/busifavor/users/{openid}/coupons/{code}/appids/{}", account().appid)
}

fn codes_of(reply: &Reply) -> Vec<String> {
    let body = reply.json();
    let rows = body["data"].as_array().cloned().unwrap_or_default();
    rows.iter().map(|row| row["coupon_code"].as_str().unwrap().to_owned()).collect()
}

/// A wallet of C01 … C45.
fn fill_wallet(world: &mut World) {
    world.coupons = (1..=45).map(|n| coupon(&format!("C{n:02}"))).collect();
}

// --- who may ask ---

#[tokio::test]
async fn a_request_without_user_agent_or_accept_is_refused_before_its_signature() {
    let probe = Probe::start("").await;
    for headers in [[("Accept", "*/*")], [("User-Agent", "probe")], [("User-Agent", "")]] {
        let reply = probe.send("GET", "/v3/certificates", &headers, "").await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "INVALID_REQUEST"), "{headers:?}");
        assert_eq!(reply.json()["message"], "Http头缺少Accept或User-Agent");
    }
    assert_eq!(probe.counts().rejected, 3);
}

async fn with_authorization(probe: &Probe, authorization: &str) -> Reply {
    let headers = [("Accept", "*/*"), ("User-Agent", "probe"), ("Authorization", authorization)];
    probe.send("GET", "/v3/certificates", &headers, "").await
}

#[tokio::test]
async fn a_missing_or_broken_authorization_is_a_format_error_without_signature_headers() {
    let probe = Probe::start("").await;
    for authorization in ["", "WECHATPAY2-SHA256-RSA2048 mchid=1"] {
        let reply = with_authorization(&probe, authorization).await;
        assert_eq!((reply.status, reply.code().as_str()), (401, "SIGN_ERROR"));
        assert!(reply.json()["message"].as_str().unwrap().starts_with("Http头Authorization值格式错误"));
        assert_eq!(reply.header("wechatpay-signature"), "");
        assert_ne!(reply.header("request-id"), "");
    }
}

#[tokio::test]
async fn a_request_older_than_five_minutes_is_refused() {
    let probe = Probe::start("").await;
    let authorization = probe.authorization("GET", "/v3/certificates", "", "N1");
    probe.clock.set(at("18T20:05"));
    assert_eq!(with_authorization(&probe, &authorization).await.status, 200);
    probe.clock.set(at("18T20:05") + TimeDelta::seconds(1));
    let reply = with_authorization(&probe, &authorization).await;
    assert_eq!((reply.status, reply.code().as_str()), (401, "SIGN_ERROR"));
    assert!(reply.json()["message"].as_str().unwrap().contains("不得超过5分钟"));
}

#[tokio::test]
async fn a_wrong_serial_and_a_wrong_merchant_are_told_apart() {
    let probe = Probe::start("").await;
    let good = probe.authorization("GET", "/v3/certificates", "", "N1");
    // The leading zero of the serial counts.
    let reply = with_authorization(&probe, &good.replace("\"0F1C", "\"F1C")).await;
    assert!(reply.json()["message"].as_str().unwrap().starts_with("商户证书序列号有误"));
    let reply = with_authorization(&probe, &good.replace("1900000001", "1900000009")).await;
    assert_eq!((reply.status, reply.code().as_str()), (401, "SIGN_ERROR"));
    assert!(reply.json()["message"].as_str().unwrap().starts_with("商户号有误"));
}

#[tokio::test]
async fn the_signature_covers_the_exact_target() {
    let probe = Probe::start("").await;
    let authorization = probe.authorization("GET", "/v3/certificates?a=%7C", "", "N1");
    let headers = [("Accept", "*/*"), ("User-Agent", "probe"), ("Authorization", authorization.as_str())];
    assert_eq!(probe.send("GET", "/v3/certificates?a=%7C", &headers, "").await.status, 200);
    let reply = probe.send("GET", "/v3/certificates?a=%7c", &headers, "").await;
    assert_eq!(reply.status, 401);
    assert_eq!(reply.json()["detail"]["detail"]["issue"], "sign not match");
    assert_eq!(reply.json()["detail"]["sign_information"]["method"], "GET");
}

#[tokio::test]
async fn the_signature_covers_the_body() {
    let probe = Probe::start("").await;
    let body = r#"{"echo_message":"hello"}"#;
    let authorization = probe.authorization("POST", ECHO, body, "N1");
    let headers = [("Accept", "*/*"), ("User-Agent", "probe"), ("Authorization", authorization.as_str())];
    assert_eq!(probe.send("POST", ECHO, &headers, body).await.json(), json!({"echo_message": "hello"}));
    assert_eq!(probe.send("POST", ECHO, &headers, &body.replace("hello", "hallo")).await.status, 401);
}

#[tokio::test]
async fn a_nonce_used_twice_is_answered_but_counted() {
    let probe = Probe::start("").await;
    let authorization = probe.authorization("GET", "/v3/certificates", "", "N1");
    for reused in [0, 1] {
        assert_eq!(with_authorization(&probe, &authorization).await.status, 200);
        assert_eq!(probe.counts().reused_nonces, reused);
    }
}

// --- how answers are signed ---

#[tokio::test]
async fn answers_are_signed_with_the_key_the_request_names() {
    let probe = Probe::start("").await;
    let reply = probe.v3("POST", ECHO, r#"{"echo_message":"你好"}"#).await;
    assert!(is_genuine(&reply));
    assert_eq!(reply.header("wechatpay-serial"), account().public_key_id);
    assert_eq!(reply.header("wechatpay-signature-type"), "WECHATPAY2-SHA256-RSA2048");
    assert_eq!(reply.header("wechatpay-timestamp"), probe.clock.now().timestamp().to_string());
    let authorization = probe.authorization("GET", "/v3/certificates", "", "N1");
    let reply = with_authorization(&probe, &authorization).await;
    assert!(is_genuine(&reply));
    assert_eq!(reply.header("wechatpay-serial"), account().platform_certificate_serial);
}

#[tokio::test]
async fn a_merchant_without_certificates_gets_public_key_signatures_only() {
    let probe = Probe::start_with("", |world, _| world.account.platform_certificate_pem.clear()).await;
    let authorization = probe.authorization("GET", "/v3/certificates", "", "N1");
    let reply = with_authorization(&probe, &authorization).await;
    assert_eq!((reply.status, reply.code().as_str()), (404, "RESOURCE_NOT_EXISTS"));
    let authorization = probe.authorization("POST", ECHO, "{\"echo_message\":\"x\"}", "N2");
    let headers = [("Accept", "*/*"), ("User-Agent", "probe"), ("Authorization", authorization.as_str())];
    let reply = probe.send("POST", ECHO, &headers, "{\"echo_message\":\"x\"}").await;
    assert_eq!(reply.header("wechatpay-serial"), account().public_key_id);
}

#[tokio::test]
async fn certificates_open_with_the_api_v3_key() {
    let probe = Probe::start("").await;
    let certificate = probe.get("/v3/certificates").await.json()["data"][0].clone();
    assert_eq!(certificate["serial_no"], account().platform_certificate_serial);
    assert!(certificate["effective_time"].as_str().unwrap().ends_with("+08:00"));
    let sealed = &certificate["encrypt_certificate"];
    let text = |key: &str| sealed[key].as_str().unwrap().to_owned();
    assert_eq!(text("algorithm"), "AEAD_AES_256_GCM");
    let (nonce, associated_data) = (text("nonce"), text("associated_data"));
    let ciphertext = BASE64.decode(text("ciphertext")).unwrap();
    let cipher = Aes256Gcm::new_from_slice(account().api_v3_key.as_bytes()).unwrap();
    let payload = Payload { msg: ciphertext.as_slice(), aad: associated_data.as_bytes() };
    let pem = cipher.decrypt(Nonce::from_slice(nonce.as_bytes()), payload).unwrap();
    assert_eq!(String::from_utf8(pem).unwrap(), account().platform_certificate_pem);
}

#[tokio::test]
async fn signature_faults_spoil_the_signature_and_nothing_else() {
    let faults = |kind| format!("[[fault]]\npath='/v3/certificates'\nkind='{kind}'");
    let ask = async |kind| Probe::start(&faults(kind)).await.get("/v3/certificates").await;
    let wrong = ask("wrong_signature").await;
    assert!(!is_genuine(&wrong) && wrong.status == 200 && BASE64.decode(wrong.header("wechatpay-signature")).is_ok());
    let probed = ask("probe_signature").await;
    assert!(probed.header("wechatpay-signature").starts_with("WECHATPAY/SIGNTEST/"));
    assert!(BASE64.decode(probed.header("wechatpay-signature")).is_err(), "no decoder accepts it");
    let missing = ask("missing_signature").await;
    assert_eq!(
        (missing.status, missing.header("wechatpay-signature"), missing.header("wechatpay-serial")),
        (200, "", "")
    );
    let skewed = ask("skewed_timestamp").await;
    assert!(is_genuine(&skewed), "truly signed, but old");
    let age = at("18T20:00").timestamp() - skewed.header("wechatpay-timestamp").parse::<i64>().unwrap();
    assert_eq!(age, 600);
}

// --- stocks ---

#[tokio::test]
async fn a_stock_is_answered_as_of_the_moment() {
    let probe = Probe::start_with("", |world, _| {
        let fields = json!({"stock_state": "STOPED"}).as_object().unwrap().clone();
        world.stock_revisions.insert(STOCK.into(), vec![StockRevision { from: at("19T00:00"), fields }]);
    })
    .await;
    let target = format!("/v3/marketing/busifavor/stocks/{STOCK}");
    assert_eq!(probe.get(&target).await.json()["stock_state"], "RUNNING");
    probe.running.set_now(Some(at("19T00:00")));
    assert_eq!(probe.get(&target).await.json()["stock_state"], "STOPED");
    let reply = probe.get("/v3/marketing/busifavor/stocks/1").await;
    assert_eq!((reply.status, reply.code().as_str()), (404, "RESOURCE_NOT_EXISTS"));
}

// --- wallets ---

#[tokio::test]
async fn a_wallet_shows_its_coupons_as_of_the_moment() {
    let probe = Probe::start_with("", |_, options| options.world_now = Some(at("18T09:30"))).await;
    let reply = probe.get(&wallet("")).await;
    assert!(is_genuine(&reply));
    assert_eq!(codes_of(&reply), ["C1", "C2"]);
    let body = reply.json();
    assert_eq!((&body["total_count"], &body["limit"], &body["offset"]), (&json!(2), &json!(20), &json!(0)));
    let linked = &body["data"][1];
    assert_eq!((&linked["coupon_state"], &linked["associate_out_trade_no"]), (&json!("SENDED"), &json!("T2")));
    assert_eq!(linked.get("use_time"), None);

    probe.running.set_now(Some(at("18T10:00")));
    let used = probe.get(&wallet("")).await.json()["data"][1].clone();
    assert_eq!((&used["coupon_state"], &used["use_request_no"]), (&json!("USED"), &json!("U2")));
    assert_eq!(used["use_time"], "2026-11-18T10:00:00+08:00");

    probe.running.set_now(Some(at("19T10:00")));
    let returned = probe.get(&wallet("")).await.json()["data"][1].clone();
    assert_eq!((&returned["coupon_state"], &returned["return_request_no"]), (&json!("SENDED"), &json!("R2")));
    assert_eq!((returned.get("use_time"), returned.get("use_request_no")), (None, None));
}

#[tokio::test]
async fn some_coupons_show_their_use_even_after_the_return() {
    let probe = Probe::start_with("", |world, options| {
        world.kept_redemptions.insert("C2".into());
        options.world_now = Some(at("18T09:59"));
    })
    .await;
    let coupon = async || probe.get(&single(OPENID, "C2")).await.json();
    assert_eq!(coupon().await.get("use_request_no"), None, "not before it happened");
    probe.running.set_now(Some(at("19T10:00")));
    let returned = coupon().await;
    assert_eq!((&returned["coupon_state"], &returned["use_request_no"]), (&json!("SENDED"), &json!("U2")));
    assert_eq!(returned["return_request_no"], "R2");
}

#[tokio::test]
async fn a_coupon_carries_what_its_stock_says() {
    let probe = Probe::start("").await;
    let row = probe.get(&wallet("&limit=1")).await.json()["data"][0].clone();
    assert_eq!(row["stock_name"], "新人券");
    assert_eq!(row["belong_merchant"], "1900000002");
    assert_eq!((&row["transferable"], &row["shareable"]), (&json!(true), &json!(false)));
    assert_eq!(row["coupon_use_rule"]["fixed_normal_coupon"]["discount_amount"], 500);
    assert_eq!(row["send_request_no"], "SENDC1");
    assert_eq!(row["expire_time"], "2026-11-30T23:59:00+08:00");
}

#[tokio::test]
async fn without_a_world_moment_the_protocol_clock_decides() {
    let probe = Probe::start("").await;
    assert_eq!(codes_of(&probe.get(&wallet("")).await), ["C1", "C2", "K1"]);
    probe.clock.set(at("18T11:59"));
    assert_eq!(codes_of(&probe.get(&wallet("")).await), ["C1", "C2"]);
}

#[tokio::test]
async fn filters_narrow_the_wallet() {
    let probe = Probe::start("").await;
    let ask = async |query: &str| codes_of(&probe.get(&wallet(query)).await);
    assert_eq!(ask("&coupon_state=USED").await, ["C2"]);
    assert_eq!(ask("&coupon_state=SENDED").await, ["C1", "K1"]);
    assert_eq!(ask(&format!("&stock_id={POOL}")).await, ["K1"]);
    assert_eq!(ask("&belong_merchant=1900000002").await, ["C1", "C2", "K1"]);
    assert!(ask("&belong_merchant=1900000003").await.is_empty());
    assert!(ask("&sender_merchant=1900000003").await.is_empty());
}

#[tokio::test]
async fn an_empty_wallet_has_no_data_key() {
    let probe = Probe::start("").await;
    let target = wallet("").replace(OPENID, "oNobody");
    assert_eq!(probe.get(&target).await.json(), json!({"total_count": 0, "limit": 20, "offset": 0}));
}

#[tokio::test]
async fn wrong_wallet_requests_get_the_documented_errors() {
    let probe = Probe::start("").await;
    let no_role = wallet("").replace("&creator_merchant=1900000001", "");
    let cases = [
        (wallet("&coupon_state=SENT"), 400, "PARAM_ERROR"),
        (wallet("&limit=0"), 400, "PARAM_ERROR"),
        (wallet("&offset=-1"), 400, "PARAM_ERROR"),
        (wallet("").replace("appid=wx5", "appid=wx6"), 400, "APPID_MCHID_NOT_MATCH"),
        (wallet("").replace("appid=", "app="), 400, "PARAM_ERROR"),
        (wallet("").replace(OPENID, &OPENID.to_ascii_lowercase()), 404, "USER_NOT_EXISTS"),
        (no_role, 400, "PARAM_ERROR"),
    ];
    for (target, status, code) in cases {
        let reply = probe.get(&target).await;
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{target}");
        assert_eq!(reply.header("wechatpay-signature"), "");
    }
    let detail = probe.get(&wallet("&limit=x")).await.json()["detail"].clone();
    assert_eq!(detail, json!({"field": "limit", "value": "x", "issue": "参数不符合规则", "location": "query"}));
}

#[tokio::test]
async fn pages_hold_twenty_rows_at_most_and_echo_it() {
    let probe = Probe::start_with("", |world, _| fill_wallet(world)).await;
    let reply = probe.get(&wallet("&offset=40&limit=100")).await;
    assert_eq!(codes_of(&reply), ["C41", "C42", "C43", "C44", "C45"]);
    assert_eq!((&reply.json()["limit"], &reply.json()["total_count"]), (&json!(20), &json!(45)));
    assert_eq!(codes_of(&probe.get(&wallet("&offset=3&limit=2")).await), ["C04", "C05"]);
}

#[tokio::test]
async fn offset_can_count_pages() {
    for (meaning, expected) in [(OffsetMeaning::Pages0, "C03"), (OffsetMeaning::Pages1, "C01")] {
        let probe = Probe::start_with("", |world, options| {
            fill_wallet(world);
            options.offset_meaning = meaning;
        })
        .await;
        assert_eq!(codes_of(&probe.get(&wallet("&offset=1&limit=2")).await)[0], expected);
    }
}

#[tokio::test]
async fn page_faults_reach_the_wire() {
    let ask = async |kind: &str| {
        let scenario = format!("[[fault]]\npath='/v3/marketing/busifavor/users/'\nkind='{kind}'");
        let probe = Probe::start_with(&scenario, |world, _| fill_wallet(world)).await;
        let reply = probe.get(&wallet("&offset=20")).await;
        assert!(is_genuine(&reply), "{kind}");
        (codes_of(&reply).first().cloned().unwrap_or_default(), reply.json())
    };
    assert_eq!(ask("shifted_page").await.0, "C22");
    assert_eq!(ask("duplicate_page").await.0, "C01");
    assert_eq!(ask("wrong_total").await.1["total_count"], 46);
    assert_eq!(ask("endless").await.1["total_count"], 41);
    let missing = ask("missing_data").await.1;
    assert_eq!((missing.get("data"), &missing["total_count"]), (None, &json!(45)));
}

#[tokio::test]
async fn a_lagging_list_hides_what_the_single_query_knows() {
    let probe = Probe::start_with("", |world, _| {
        world.coupons[0].missing_from_list = true;
        world.coupons[1].list_lags_association = true;
    })
    .await;
    let reply = probe.get(&wallet("")).await;
    assert_eq!(codes_of(&reply), ["C2", "K1"]);
    assert_eq!(reply.json()["data"][0].get("associate_out_trade_no"), None);
    assert_eq!(probe.get(&single(OPENID, "C1")).await.json()["coupon_code"], "C1");
    assert_eq!(probe.get(&single(OPENID, "C2")).await.json()["associate_out_trade_no"], "T2");
}

#[tokio::test]
async fn a_single_coupon_belongs_to_its_user() {
    let probe = Probe::start("").await;
    let reply = probe.get(&single("oSomebody", "C1")).await;
    assert_eq!((reply.status, reply.code().as_str()), (404, "RESOURCE_NOT_EXISTS"));
    assert_eq!(probe.get(&single(OPENID, "C9")).await.status, 404);
}

#[tokio::test]
async fn deactivated_and_deleted_coupons_say_so() {
    let probe = Probe::start_with("", |world, _| {
        world.coupons[0] = Coupon { deactivation: crate::simulator::probe::event("D1", "18T10:00"), ..coupon("C1") };
        world.coupons[1].delete_time = Some(at("18T11:00"));
    })
    .await;
    let data = probe.get(&wallet("")).await.json()["data"].clone();
    assert_eq!((&data[0]["coupon_state"], &data[0]["deactivate_request_no"]), (&json!("DEACTIVATED"), &json!("D1")));
    assert_eq!(data[1]["coupon_state"], "DELETED");
}

#[tokio::test]
async fn an_unknown_state_is_signed_like_any_other() {
    let probe = Probe::start("[[fault]]\npath='/v3/'\nkind='unknown_state'\nvalue='REDEEM_FAILED'\ntimes=1").await;
    let reply = probe.get(&wallet("")).await;
    assert!(is_genuine(&reply));
    assert!(reply.json()["data"].as_array().unwrap().iter().all(|row| row["coupon_state"] == "REDEEM_FAILED"));
    assert_eq!(probe.get(&wallet("")).await.json()["data"][0]["coupon_state"], "SENDED");
}

// --- code pools ---

#[tokio::test]
async fn a_pool_is_listed_with_status_and_openid_on_request() {
    let probe = Probe::start("").await;
    let target = format!("/v3/marketing/busifavor/stocks/{POOL}/couponcodes");
    let body = probe.get(&format!("{target}?offset=0&limit=2")).await.json();
    assert_eq!((&body["total_count"], &body["limit"], &body["stock_id"]), (&json!(5), &json!(2), &json!(POOL)));
    assert_eq!(body["data"][0]["code_status"], "DISPATCHED");
    assert_eq!(body["data"][0].get("openid"), None);
    let body = probe.get(&format!("{target}?status=DISPATCHED&appid={}", account().appid)).await.json();
    assert_eq!((&body["total_count"], &body["data"][0]["openid"]), (&json!(1), &json!(OPENID)));
    probe.running.set_now(Some(at("18T11:59")));
    let body = probe.get(&format!("{target}?status=DISPATCHED")).await.json();
    assert_eq!((&body["total_count"], body.get("data")), (&json!(0), None));
}

#[tokio::test]
async fn a_dispatched_code_brings_its_coupon() {
    let probe = Probe::start("").await;
    let target = format!("/v3/marketing/busifavor/stocks/{POOL}/couponcodes");
    let body = probe.get(&format!("{target}/K1")).await.json();
    assert_eq!(body["code_information"]["code_status"], "DISPATCHED");
    assert_eq!(body["coupon_information"]["coupon_code"], "K1");
    assert_eq!(probe.get(&format!("{target}/K2")).await.json().get("coupon_information"), None);
    assert_eq!(probe.get(&format!("{target}/K9")).await.code(), "RESOURCE_NOT_EXISTS");
}

#[tokio::test]
async fn a_stock_without_a_pool_refuses_to_list_one() {
    let probe = Probe::start("").await;
    let reply = probe.get(&format!("/v3/marketing/busifavor/stocks/{STOCK}/couponcodes")).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "INVALID_REQUEST"));
    assert_eq!(probe.get("/v3/marketing/busifavor/stocks/1/couponcodes").await.status, 404);
}

// --- subsidies ---

#[tokio::test]
async fn receipts_are_found_by_coupon_and_by_id_with_the_status_of_the_moment() {
    let probe = Probe::start("").await;
    let list = format!("/v3/marketing/busifavor/subsidy/pay-receipts?stock_id={STOCK}&coupon_code=C2");
    let statuses = async |target: &str| -> Vec<Value> {
        let body = probe.get(target).await.json();
        body["pay_receipt_list"].as_array().unwrap().iter().map(|receipt| receipt["status"].clone()).collect()
    };
    assert_eq!(statuses(&list).await, ["SUCCESS"]);
    assert!(statuses(&format!("{list}&out_subsidy_no=S9")).await.is_empty());
    assert!(statuses(&list.replace("C2", "C1")).await.is_empty());
    probe.running.set_now(Some(at("18T11:30")));
    assert_eq!(statuses(&list).await, ["ACCEPTED"]);
    let by_id = probe.get("/v3/marketing/busifavor/subsidy/pay-receipts/P1").await.json();
    assert_eq!((&by_id["out_subsidy_no"], &by_id["status"]), (&json!("S1"), &json!("ACCEPTED")));
    let returned = probe.get("/v3/marketing/busifavor/subsidy/return-receipts/B1").await.json();
    assert_eq!(returned["out_subsidy_return_no"], "SR1");
    probe.running.set_now(Some(at("18T10:59")));
    assert!(statuses(&list).await.is_empty());
    assert_eq!(probe.get("/v3/marketing/busifavor/subsidy/pay-receipts/P1").await.code(), "RESOURCE_NOT_EXISTS");
}

#[tokio::test]
async fn receipts_cannot_be_listed_without_stock_and_code() {
    let probe = Probe::start("").await;
    let reply = probe.get("/v3/marketing/busifavor/subsidy/pay-receipts?out_subsidy_no=S1").await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "PARAM_ERROR"));
}

// --- bills ---

const APPLY: &str = "/v3/bill/tradebill?bill_date=2026-11-18&bill_type=ALL";

async fn download_target(probe: &Probe, suffix: &str) -> (String, String) {
    probe.running.set_now(Some(at("19T10:00")));
    let reply = probe.get(&format!("{APPLY}{suffix}")).await;
    assert!(is_genuine(&reply));
    let body = reply.json();
    assert_eq!(body["hash_type"], "SHA1");
    let url = body["download_url"].as_str().unwrap();
    let target = url.strip_prefix(&probe.running.base_url()).expect("the server's own host").to_owned();
    (target, body["hash_value"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_bill_is_applied_for_and_downloaded_unsigned() {
    let probe = Probe::start("").await;
    let (target, sha1) = download_target(&probe, "").await;
    let reply = probe.get(&target).await;
    assert_eq!((reply.status, reply.text().as_str()), (200, BILL));
    assert_eq!(hex::encode(Sha1::digest(&reply.body)), sha1);
    assert_eq!((reply.header("wechatpay-signature"), reply.header("request-id")), ("", ""));
}

#[tokio::test]
async fn the_digest_of_a_gzipped_bill_is_of_the_unzipped_file() {
    use std::io::Read;
    let probe = Probe::start("").await;
    let (target, sha1) = download_target(&probe, "&tar_type=GZIP").await;
    assert!(target.ends_with("&tartype=gzip"));
    let reply = probe.get(&target).await;
    assert_eq!(reply.header("content-type"), "application/x-gzip");
    let mut file = Vec::new();
    flate2::read::GzDecoder::new(reply.body.as_slice()).read_to_end(&mut file).unwrap();
    assert_eq!(file, BILL.as_bytes());
    assert_eq!(hex::encode(Sha1::digest(&file)), sha1);
}

#[tokio::test]
async fn a_download_url_works_once_and_for_five_minutes() {
    let probe = Probe::start("").await;
    let (target, _) = download_target(&probe, "").await;
    assert_eq!(probe.get(&target).await.status, 200);
    assert_eq!(probe.get(&target).await.code(), "INVALID_REQUEST");
    let (target, _) = download_target(&probe, "").await;
    probe.clock.set(at("18T20:06"));
    assert_eq!(probe.get(&target).await.status, 400);
}

#[tokio::test]
async fn a_download_is_refused_without_a_signed_request() {
    let probe = Probe::start("").await;
    let (target, _) = download_target(&probe, "").await;
    let reply = probe.send("GET", &target, &[("Accept", "*/*"), ("User-Agent", "probe")], "").await;
    assert_eq!(reply.status, 401);
    assert_eq!(probe.get(&target).await.status, 200, "the refused request did not use the token up");
}

#[tokio::test]
async fn days_without_a_bill_and_wrong_parameters_get_the_documented_errors() {
    let probe = Probe::start_with("", |_, options| options.world_now = Some(at("19T10:00"))).await;
    let cases = [
        ("/v3/bill/tradebill?bill_date=2026-11-17", "NO_STATEMENT_EXIST"),
        ("/v3/bill/tradebill?bill_date=2026-11-18&bill_type=REFUND", "NO_STATEMENT_EXIST"),
        ("/v3/bill/tradebill?bill_date=2026-08-18", "INVALID_REQUEST"),
        ("/v3/bill/tradebill?bill_date=20261118", "PARAM_ERROR"),
        ("/v3/bill/tradebill", "PARAM_ERROR"),
        ("/v3/bill/tradebill?bill_date=2026-11-18&tar_type=None", "PARAM_ERROR"),
    ];
    for (target, code) in cases {
        let reply = probe.get(target).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, code), "{target}");
    }
    probe.running.set_now(Some(at("18T23:59")));
    assert_eq!(probe.get(APPLY).await.code(), "NO_STATEMENT_EXIST", "the day is not over");
}

#[tokio::test]
async fn a_fund_flow_bill_is_another_file_per_account() {
    let probe = Probe::start_with("", |world, options| {
        world.bills.insert("2026-11-18.FUND_BASIC".into(), "bill-18.csv".into());
        options.world_now = Some(at("19T10:00"));
    })
    .await;
    let target = "/v3/bill/fundflowbill?bill_date=2026-11-18";
    assert_eq!(probe.get(target).await.json()["hash_value"], hex::encode(Sha1::digest(BILL)));
    assert_eq!(probe.get(&format!("{target}&account_type=FEES")).await.code(), "NO_STATEMENT_EXIST");
    assert_eq!(probe.get(&format!("{target}&account_type=ALL")).await.code(), "PARAM_ERROR");
}

#[tokio::test]
async fn a_bill_in_the_making_is_a_fault_of_its_own() {
    let probe = Probe::start("[[fault]]\npath='/v3/bill/tradebill'\nkind='not_ready'\nfirst=1").await;
    assert_eq!(probe.get(APPLY).await.code(), "STATEMENT_CREATING");
    probe.running.set_now(Some(at("19T10:00")));
    assert_eq!(probe.get(APPLY).await.status, 200);
}

// --- callbacks ---

#[tokio::test]
async fn the_callback_url_is_answered_to_its_owner() {
    let probe = Probe::start("").await;
    let body = probe.get("/v3/marketing/busifavor/callbacks").await.json();
    assert_eq!(body["notify_url"], "https://coffee.example/notify");
    assert_eq!(probe.get("/v3/marketing/busifavor/callbacks?mchid=1900000009").await.code(), "NO_AUTH");
}
