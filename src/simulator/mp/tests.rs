//! Tests of the MP API over the wire.

use serde_json::{Value, json};

use crate::simulator::probe::{OPENID, Probe, account, at};

const BIZ: &str = "/datacube/getcardbizuininfo";
const DETAIL: &str = "/datacube/getcardmembercarddetail";

fn days(begin: &str, end: &str) -> Value {
    json!({"begin_date": begin, "end_date": end, "cond_source": 1, "card_id": "m1"})
}

async fn morning_after(scenario: &str) -> Probe {
    Probe::start_with(scenario, |_, options| options.world_now = Some(at("19T11:00"))).await
}

// --- tokens ---

#[tokio::test]
async fn stable_tokens_repeat_and_plain_ones_do_not() {
    let probe = Probe::start("").await;
    assert_eq!(probe.token().await, probe.token().await);
    let target =
        format!("/cgi-bin/token?grant_type=client_credential&appid={}&secret={}", account().appid, account().mp_secret);
    let first = probe.send("GET", &target, &[], "").await.json();
    let second = probe.send("GET", &target, &[], "").await.json();
    assert_eq!(first["expires_in"], 7200);
    assert_eq!(first.get("errcode"), None);
    assert_ne!(first["access_token"], second["access_token"]);
}

#[tokio::test]
async fn wrong_credentials_have_their_codes() {
    let probe = Probe::start("").await;
    let good = json!({"grant_type": "client_credential", "appid": account().appid, "secret": account().mp_secret});
    let cases = [
        ("grant_type", "x", 40002),
        ("appid", "wx0", 40013),
        ("appid", "", 41002),
        ("secret", "x", 40125),
        ("secret", "", 41004),
    ];
    for (key, value, errcode) in cases {
        let mut body = good.clone();
        body[key] = value.into();
        let reply = probe.send("POST", "/cgi-bin/stable_token", &[], &body.to_string()).await;
        assert_eq!((reply.status, &reply.json()["errcode"]), (200, &json!(errcode)), "{key}={value}");
    }
    assert_eq!(probe.send("POST", "/cgi-bin/stable_token", &[], "").await.json()["errcode"], 44002);
    assert_eq!(probe.send("POST", "/cgi-bin/stable_token", &[], "{").await.json()["errcode"], 47001);
}

#[tokio::test]
async fn tokens_are_checked_on_every_call() {
    let probe = morning_after("").await;
    let ask = async |query: &str| {
        let body = days("2026-11-18", "2026-11-18").to_string();
        probe.send("POST", &format!("{BIZ}{query}"), &[], &body).await.json()["errcode"].clone()
    };
    let token = probe.token().await;
    assert_eq!(ask("").await, 41001);
    assert_eq!(ask("?access_token=x").await, 40001);
    assert_eq!(ask(&format!("?access_token={token}")).await, Value::Null);
    probe.clock.set(at("18T22:00"));
    assert_eq!(ask(&format!("?access_token={token}")).await, 42001);
    assert_eq!(probe.counts().rejected, 3);
}

#[tokio::test]
async fn a_forced_refresh_makes_the_old_token_invalid() {
    let probe = morning_after("").await;
    let old = probe.token().await;
    let mut body = json!({"grant_type": "client_credential", "appid": account().appid, "secret": account().mp_secret});
    body["force_refresh"] = true.into();
    let new = probe.send("POST", "/cgi-bin/stable_token", &[], &body.to_string()).await.json();
    assert_ne!(new["access_token"], old);
    let target = format!("{BIZ}?access_token={old}");
    assert_eq!(
        probe.send("POST", &target, &[], &days("2026-11-18", "2026-11-18").to_string()).await.json()["errcode"],
        40001
    );
    assert_eq!(probe.send("POST", "/cgi-bin/stable_token", &[], &body.to_string()).await.json()["errcode"], 45011);
}

#[tokio::test]
async fn an_expired_token_fault_ends_the_token_so_that_a_refresh_helps() {
    let probe = morning_after("[[fault]]\npath='/datacube/'\nkind='expired_token'\nfirst=1").await;
    let before = probe.token().await;
    assert_eq!(probe.mp(BIZ, days("2026-11-18", "2026-11-18")).await.json()["errcode"], 42001);
    assert_ne!(probe.token().await, before);
    assert_eq!(probe.mp(BIZ, days("2026-11-18", "2026-11-18")).await.json()["list"].as_array().unwrap().len(), 1);
}

// --- datacube ---

#[tokio::test]
async fn rows_come_by_source_and_day_without_errcode() {
    let probe = morning_after("").await;
    let body = probe.mp(BIZ, days("2026-11-17", "2026-11-18")).await.json();
    assert_eq!(body.get("errcode"), None);
    let days_of = |body: &Value| -> Vec<Value> {
        body["list"].as_array().unwrap().iter().map(|row| row["ref_date"].clone()).collect()
    };
    assert_eq!(days_of(&body), ["2026-11-17", "2026-11-18"]);
    let other = json!({"begin_date": "2026-11-17", "end_date": "2026-11-18", "cond_source": "0"});
    assert_eq!(days_of(&probe.mp(BIZ, other).await.json()), ["2026-11-18"]);
    assert_eq!(probe.mp(BIZ, days("2026-11-01", "2026-11-02")).await.json(), json!({"list": []}));
    assert_eq!(
        probe.mp("/datacube/getcardmembercardinfo", days("2026-11-18", "2026-11-18")).await.json(),
        json!({"list": []})
    );
}

#[tokio::test]
async fn one_card_or_all_cards() {
    let probe = morning_after("").await;
    let count = async |card_id: &str| {
        let body = json!({"begin_date": "2026-11-18", "end_date": "2026-11-18", "cond_source": 1, "card_id": card_id});
        probe.mp("/datacube/getcardcardinfo", body).await.json()["list"].as_array().unwrap().len()
    };
    assert_eq!((count("").await, count("p1").await, count("p9").await), (2, 1, 0));
}

#[tokio::test]
async fn dates_are_checked_for_format_then_for_range() {
    let probe = morning_after("").await;
    let errcode =
        async |path: &str, begin: &str, end: &str| probe.mp(path, days(begin, end)).await.json()["errcode"].clone();
    assert_eq!(errcode(BIZ, "20261118", "2026-11-18").await, 61500);
    assert_eq!(errcode(BIZ, "2026-11-18", "2026-11-18 00:00:00").await, 61500);
    assert_eq!(errcode(BIZ, "2026-11-18", "2026-11-17").await, 61501);
    assert_eq!(errcode(BIZ, "2026-11-19", "2026-11-19").await, 61501, "today is not over");
    // 62 days are allowed, 63 are not; 30 of the detail call, 31 are not.
    assert_eq!(errcode(BIZ, "2026-09-18", "2026-11-18").await, Value::Null);
    assert_eq!(errcode(BIZ, "2026-09-17", "2026-11-18").await, 61501);
    assert_eq!(errcode(DETAIL, "2026-10-20", "2026-11-18").await, Value::Null);
    assert_eq!(errcode(DETAIL, "2026-10-19", "2026-11-18").await, 61501);
}

#[tokio::test]
async fn member_card_detail_wants_a_card_after_its_dates() {
    let probe = morning_after("").await;
    let mut body = days("2026-11-18", "2026-11-18");
    assert_eq!(probe.mp(DETAIL, body.clone()).await.json()["list"][0]["cardid"], "m1");
    body["card_id"] = "".into();
    assert_eq!(probe.mp(DETAIL, body.clone()).await.json()["errcode"], 41012);
    body["begin_date"] = "2026-01-01".into();
    assert_eq!(probe.mp(DETAIL, body).await.json()["errcode"], 61501);
}

#[tokio::test]
async fn the_first_three_calls_want_a_source() {
    let probe = morning_after("").await;
    for source in [Value::Null, json!(2), json!("x")] {
        let body = json!({"begin_date": "2026-11-18", "end_date": "2026-11-18", "cond_source": source});
        assert_eq!(probe.mp(BIZ, body).await.json()["errcode"], 40097, "{source}");
    }
}

// --- cards ---

#[tokio::test]
async fn card_ids_come_in_pages_by_status() {
    let probe = Probe::start("").await;
    let body = probe.mp("/card/batchget", json!({"offset": 1, "count": 1})).await.json();
    assert_eq!(
        (&body["card_id_list"], &body["total_num"], &body["card_list"]),
        (&json!(["p2"]), &json!(3), &json!([]))
    );
    let asked = json!({"offset": 0, "count": 50, "status_list": ["CARD_STATUS_VERIFY_OK"]});
    assert_eq!(probe.mp("/card/batchget", asked).await.json()["card_id_list"], json!(["p1", "p3"]));
    assert_eq!(probe.mp("/card/batchget", json!({"offset": 0, "count": 51})).await.json()["errcode"], 40097);
}

#[tokio::test]
async fn a_card_is_answered_or_unknown() {
    let probe = Probe::start("").await;
    let body = probe.mp("/card/get", json!({"card_id": "p1"})).await.json();
    assert_eq!((&body["errcode"], &body["card"]["groupon"]["base_info"]["id"]), (&json!(0), &json!("p1")));
    let body = probe.mp("/card/get", json!({"card_id": "p9"})).await.json();
    assert_eq!(body["errcode"], 40073);
    assert!(body["errmsg"].as_str().unwrap().starts_with("invalid card id rid: "));
}

#[tokio::test]
async fn a_consumed_code_is_shown_only_without_check_consume() {
    let probe = Probe::start("").await;
    let code = "819679186876";
    let body = probe.mp("/card/code/get", json!({"code": code, "check_consume": false})).await.json();
    assert_eq!((&body["user_card_status"], &body["can_consume"]), (&json!("CONSUMED"), &json!(false)));
    assert_eq!(body["openid"], OPENID);
    assert_eq!(probe.mp("/card/code/get", json!({"code": code, "check_consume": true})).await.json()["errcode"], 40127);
    assert_eq!(probe.mp("/card/code/get", json!({"code": "1"})).await.json()["errcode"], 40056);
    probe.running.set_now(Some(at("18T11:00")));
    let body = probe.mp("/card/code/get", json!({"code": code, "check_consume": true})).await.json();
    assert_eq!((&body["user_card_status"], &body["can_consume"]), (&json!("NORMAL"), &json!(true)));
}

#[tokio::test]
async fn a_wallet_lists_its_cards() {
    let probe = Probe::start("").await;
    let body = probe.mp("/card/user/getcardlist", json!({"openid": OPENID, "card_id": ""})).await.json();
    assert_eq!(body["card_list"], json!([{"code": "819679186876", "card_id": "p1"}]));
    assert_eq!(
        probe.mp("/card/user/getcardlist", json!({"openid": OPENID, "card_id": "p2"})).await.json()["card_list"],
        json!([])
    );
    assert_eq!(probe.mp("/card/user/getcardlist", json!({"openid": "oNobody"})).await.json()["errcode"], 40003);
}

// --- faults ---

#[tokio::test]
async fn faults_speak_the_dialect_of_the_mp() {
    let ask = async |fault: &str| {
        let probe = morning_after(&format!("[[fault]]\npath='/datacube/'\n{fault}")).await;
        probe.mp(BIZ, days("2026-11-18", "2026-11-18")).await.json()["errcode"].clone()
    };
    assert_eq!(ask("kind='errcode'\nvalue=-1").await, -1);
    assert_eq!(ask("kind='errcode'\nvalue=45009").await, 45009);
    assert_eq!(ask("kind='not_ready'").await, 61503);
}
