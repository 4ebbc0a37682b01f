//! `coupon-recon api`: one call, signed and verified, against the simulator.

use coupon_recon::wechat::ENDPOINTS;
use serde_json::Value;

use crate::support::{ClosedPort, Ending, Shop, Wechat};

/// `coupon-recon api ARGUMENTS` with the shop's job against `wechat`.
fn api(shop: &Shop, wechat: &Wechat, arguments: &[&str]) -> Ending {
    let url = wechat.running().base_url();
    shop.program(&[&["api"], arguments, &["--job", "job.toml", "--base-url", &url]].concat())
}

fn answer(ending: &Ending) -> Value {
    assert_eq!(ending.code, 0, "{}", ending.stderr);
    serde_json::from_str(&ending.stdout).unwrap()
}

/// Something of the shop's world.
fn world(shop: &Shop) -> Value {
    serde_json::from_slice(&std::fs::read(shop.path("world/world.json")).unwrap()).unwrap()
}

fn first_key(world: &Value, of: &str) -> String {
    world[of].as_object().unwrap().keys().next().unwrap().clone()
}

#[test]
fn a_stock_of_v3_is_shown_as_json() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    let stock_id = first_key(&world(&shop), "stocks");
    let shown = answer(&api(&shop, &wechat, &["GET", &format!("/v3/marketing/busifavor/stocks/{stock_id}")]));
    assert_eq!(shown["stock_id"], stock_id);
    assert_eq!(wechat.counts().rejected, 0);
}

#[test]
fn fields_of_a_get_are_its_query_and_are_signed() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    let arguments = ["GET", "/v3/bill/tradebill", "-f", "bill_date=2026-11-18", "-f", "bill_type=ALL"];
    let shown = answer(&api(&shop, &wechat, &arguments));
    assert_eq!(shown["download_url"], "(redacted)");
    assert_eq!(shown["hash_type"], "SHA1");
}

#[test]
fn v2_and_mp_go_through_their_own_clients() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    let world = world(&shop);
    let stock_id = first_key(&world, "v2_stocks");
    let field = format!("coupon_stock_id={stock_id}");
    let shown = answer(&api(&shop, &wechat, &["POST", "/mmpaymkttransfers/query_coupon_stock", "-f", &field]));
    assert_eq!((&shown["coupon_stock_id"], &shown["result_code"]), (&stock_id.into(), &"SUCCESS".into()));
    let card_id = first_key(&world, "cards");
    let shown = answer(&api(&shop, &wechat, &["POST", "/card/get", "-f", &format!("card_id={card_id}")]));
    assert_eq!(shown["errcode"], 0);
}

#[test]
fn a_token_is_asked_for_with_the_credentials_of_the_job_and_not_shown() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    for (method, path) in [("GET", "/cgi-bin/token"), ("POST", "/cgi-bin/stable_token")] {
        let shown = answer(&api(&shop, &wechat, &[method, path]));
        assert_eq!((&shown["access_token"], &shown["expires_in"]), (&"(redacted)".into(), &7200.into()));
    }
}

#[test]
fn a_write_is_refused_without_the_flag_and_done_with_it() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    let (path, field) = ("/v3/marketing/busifavor/callbacks", "notify_url=https://coffee.example/new");
    let refused = api(&shop, &wechat, &["POST", path, "-f", field]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("--write"), "{}", refused.stderr);
    assert_eq!(wechat.counts().total, 0, "a refused write asks nobody");
    answer(&api(&shop, &wechat, &["POST", path, "-f", field, "--write"]));
    assert_eq!(wechat.counts().of(&format!("POST {path}")), 1);
    assert_eq!(answer(&api(&shop, &wechat, &["GET", path]))["notify_url"], "https://coffee.example/new");
}

#[test]
fn what_wechat_does_not_know_is_4_with_its_code() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    let ending = api(&shop, &wechat, &["GET", "/v3/marketing/busifavor/stocks/1"]);
    assert_eq!((ending.code, ending.stdout.as_str()), (4, ""), "{}", ending.stderr);
    for word in ["error: GET /v3/marketing/busifavor/stocks/{stock_id} answered 404", "caused by: WeChat says `"] {
        assert!(ending.stderr.contains(word), "`{word}` is missing in:\n{}", ending.stderr);
    }
}

#[test]
fn a_wrong_key_is_77_and_names_what_to_look_at() {
    let (shop, other) = (Shop::of_seed(1), Shop::of_seed(2));
    let wechat = shop.serve(None);
    std::fs::copy(other.path("secrets/apiclient_key.pem"), shop.path("secrets/apiclient_key.pem")).unwrap();
    let ending = api(&shop, &wechat, &["GET", "/v3/certificates"]);
    assert_eq!(ending.code, 77, "{}", ending.stderr);
    assert!(ending.stderr.contains("hint: `pay_v3.serial_no`"), "{}", ending.stderr);
}

#[test]
fn a_closed_port_is_69_and_names_the_base_url() {
    let shop = Shop::of_seed(1);
    shop.shorten_waits();
    let closed = ClosedPort::reserve();
    let ending = shop.program(&["api", "GET", "/v3/certificates", "--job", "job.toml", "--base-url", &closed.url()]);
    assert_eq!(ending.code, 69, "{}", ending.stderr);
    assert!(ending.stderr.contains("hint: is `pay_v3.base_url` reachable"), "{}", ending.stderr);
}

#[test]
fn a_used_up_quota_is_75_and_a_forged_answer_77() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    wechat.play(
        "[[fault]]\npath = \"/card/batchget\"\nkind = \"errcode\"\nvalue = 45009\n\
         [[fault]]\npath = \"/v3/certificates\"\nkind = \"wrong_signature\"\n",
    );
    let ending = api(&shop, &wechat, &["POST", "/card/batchget", "-f", "offset=0", "-f", "count=10"]);
    assert_eq!(ending.code, 75, "{}", ending.stderr);
    assert!(ending.stderr.contains("45009"), "{}", ending.stderr);
    let ending = api(&shop, &wechat, &["GET", "/v3/certificates"]);
    assert_eq!((ending.code, ending.stdout.as_str()), (77, ""), "{}", ending.stderr);
    assert!(ending.stderr.contains("the answer's signature is not valid"), "{}", ending.stderr);
}

#[test]
fn a_bill_of_v2_is_shown_as_the_text_it_is() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    let arguments = ["POST", "/pay/downloadbill", "-f", "bill_date=20261118", "-f", "bill_type=ALL"];
    let ending = api(&shop, &wechat, &arguments);
    assert_eq!((ending.code, ending.stderr.as_str()), (0, ""));
    assert!(ending.stdout.trim_start_matches('\u{feff}').starts_with("交易时间,"), "{}", ending.stdout);
}

#[test]
fn chinese_blanks_and_bars_are_encoded_once_in_path_query_and_body() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    let list = ["GET", "/v3/marketing/busifavor/users/o 券|%/coupons", "-f", "appid=wx5edab3bdfba3dc1c"];
    let list = [&list[..], &["-f", "creator_merchant=1900000001", "-f", "coupon_state=SENDED"]].concat();
    assert_eq!(answer(&api(&shop, &wechat, &list))["total_count"], 0);
    let echo = ["POST", "/v3/security/echo", "-f", "echo_message=满减 券|%"];
    assert_eq!(answer(&api(&shop, &wechat, &echo))["echo_message"], "满减 券|%");
    assert_eq!(wechat.counts().rejected, 0);
}

#[test]
fn an_unknown_path_is_2_and_names_the_nearest() {
    let shop = Shop::of_seed(1);
    let ending = shop.program(&["api", "GET", "/v3/certificate", "--job", "job.toml"]);
    assert_eq!(ending.code, 2, "{}", ending.stderr);
    assert!(ending.stderr.contains("did you mean `GET /v3/certificates`?"), "{}", ending.stderr);
}

#[test]
fn only_this_machine_may_stand_in_for_wechat() {
    let shop = Shop::of_seed(1);
    let arguments = ["api", "GET", "/v3/certificates", "--job", "job.toml", "--base-url", "https://evil.example"];
    let ending = shop.program(&arguments);
    assert_eq!(ending.code, 2, "{}", ending.stderr);
    assert!(ending.stderr.contains("--base-url must be this machine"), "{}", ending.stderr);
}

#[test]
fn what_stands_in_for_wechat_is_called_by_http_and_has_no_path() {
    let shop = Shop::of_seed(1);
    for (url, problem) in
        [("ftp://127.0.0.1", "must begin with https://"), ("http://127.0.0.1:9/x", "host and port only")]
    {
        for command in [&["run", "job.toml", "--date", "2026-11-18"][..], &["check", "job.toml"]] {
            let ending = shop.program(&[command, &["--base-url", url]].concat());
            assert_eq!(ending.code, 2, "{url}: {}", ending.stderr);
            assert!(
                ending.stderr.contains("--base-url") && ending.stderr.contains(problem),
                "{url}: {}",
                ending.stderr
            );
        }
    }
    assert!(!shop.lake().exists(), "nothing is written");
}

#[test]
fn the_list_shows_every_endpoint() {
    let ending = Shop::of_seed(1).program(&["api", "--list"]);
    assert_eq!((ending.code, ending.stdout.lines().count()), (0, ENDPOINTS.len() + 1), "{}", ending.stderr);
    for endpoint in ENDPOINTS {
        let line = ending.stdout.lines().find(|line| line.starts_with(&format!("{} ", endpoint.id))).unwrap();
        assert!(line.contains(endpoint.path) && line.contains(endpoint.reference), "{line}");
    }
}
