//! The observers of a night: lineage events, metrics, a chat robot; none of them can fail it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use coupon_recon::record::BreakStatus;
use serde_json::Value;

use crate::support::{ClosedPort, Ending, Shop, Wechat};

/// A receiver of posts on this machine.
struct Receiver {
    url: String,
    posts: Arc<Mutex<Vec<Post>>>,
}

#[derive(Debug, Clone)]
struct Post {
    target: String,
    authorization: Option<String>,
    body: Value,
}

impl Receiver {
    /// Answers every post with `status` and `answer`.
    fn answering(status: u16, answer: &'static str) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let posts = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&posts);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let post = receive(&stream);
                kept.lock().unwrap().extend(post);
                let reply = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
                    answer.len()
                );
                let _ = (&stream).write_all(reply.as_bytes());
            }
        });
        Receiver { url, posts }
    }

    /// What came since the last time.
    fn take(&self) -> Vec<Post> {
        std::mem::take(&mut *self.posts.lock().unwrap())
    }
}

fn receive(stream: &TcpStream) -> Option<Post> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let target = line.split(' ').nth(1)?.to_owned();
    let (mut length, mut authorization) = (0, None);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "authorization" => authorization = Some(value.to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Post { target, authorization, body: serde_json::from_slice(&body).ok()? })
}

fn add(shop: &Shop, section: &str) {
    shop.edit("job.toml", |text| format!("{text}\n{section}"));
}

fn events(ending: &Ending) -> Vec<Value> {
    let manifest = std::path::PathBuf::from(ending.json()["manifest"].as_str().unwrap());
    let text = std::fs::read_to_string(manifest.with_file_name("events.ndjson")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn run(shop: &Shop, wechat: &Wechat, date: &str) -> Ending {
    let ending = shop.run(wechat, &["--date", date]);
    assert_eq!(ending.code, 0, "{}", ending.stderr);
    ending
}

#[test]
fn a_night_leaves_its_start_and_its_end_as_lineage_events_beside_the_manifest() {
    let shop = Shop::of_seed(51);
    let wechat = shop.serve(None);
    run(&shop, &wechat, "2026-11-18");
    let told = events(&run(&shop, &wechat, "2026-11-19"));
    let kinds: Vec<_> = told.iter().map(|event| event["eventType"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["START", "COMPLETE"]);
    assert_eq!(told[0]["run"]["runId"], told[1]["run"]["runId"]);
    let [start, end] = [&told[0], &told[1]].map(|event| &event["run"]["facets"]["nominalTime"]);
    assert_eq!(start, end);
    assert_eq!(
        (&start["nominalStartTime"], &start["nominalEndTime"]),
        (&"2026-11-18T16:00:00.000Z".into(), &"2026-11-19T16:00:00.000Z".into(),)
    );
    let outputs = told[1]["outputs"].as_array().unwrap();
    let breaks = outputs.iter().find(|it| it["name"].as_str().unwrap().ends_with("datasets/breaks")).unwrap();
    let rows = shop.breaks(crate::support::day(19)).len();
    assert_eq!(breaks["outputFacets"]["outputStatistics"]["rowCount"], rows);
    assert_eq!(breaks["facets"]["schema"]["fields"][0]["name"], "break_id");
    let inputs = told[1]["inputs"].as_array().unwrap();
    let assertions: Vec<_> = inputs
        .iter()
        .filter_map(|it| it["inputFacets"]["dataQualityAssertions"]["assertions"].as_array())
        .flatten()
        .collect();
    assert!(assertions.len() > 40, "{}", assertions.len());
    let of_rule = |rule: &str| assertions.iter().find(|it| it["name"].as_str().unwrap().starts_with(rule)).unwrap();
    assert_eq!((&of_rule("AO01")["success"], &of_rule("ST05")["success"]), (&false.into(), &true.into()));
    for user in shop.openids() {
        assert!(!told[1].to_string().contains(&user), "{user}");
    }
}

#[test]
fn a_night_that_publishes_nothing_ends_with_fail_and_says_why() {
    let shop = Shop::of_seed(52);
    shop.shorten_waits();
    let closed = ClosedPort::reserve();
    let ending = shop.program(&["run", "job.toml", "--date", "2026-11-18", "--base-url", &closed.url()]);
    assert_eq!(ending.code, 69, "{}", ending.stderr);
    let told = events(&ending);
    assert_eq!(told[1]["eventType"], "FAIL");
    assert_eq!(told[1]["outputs"], serde_json::json!([]));
    let message = &told[1]["run"]["facets"]["errorMessage"]["message"];
    assert!(message.as_str().unwrap().contains("cannot connect"), "{message}");
}

#[test]
fn events_are_posted_where_the_job_says_and_a_deaf_receiver_fails_no_night() {
    let shop = Shop::of_seed(53);
    let wechat = shop.serve(None);
    std::fs::write(shop.path("secrets/lineage.key"), "marquez-key").unwrap();
    let receiver = Receiver::answering(201, "");
    let key = "api_key_file = \"secrets/lineage.key\"";
    add(&shop, &format!("[openlineage]\nnamespace = \"shops\"\nurl = \"{}\"\n{key}\n", receiver.url));
    let ending = run(&shop, &wechat, "2026-11-18");
    let posts = receiver.take();
    let bodies: Vec<_> = posts.iter().map(|post| post.body.clone()).collect();
    assert_eq!(bodies, events(&ending));
    assert_eq!(bodies[0]["job"]["namespace"], "shops");
    assert!(posts.iter().all(|post| post.target == "/api/v1/lineage"), "{posts:?}");
    assert_eq!(posts[0].authorization.as_deref(), Some("Bearer marquez-key"));
    let closed = ClosedPort::reserve();
    shop.edit("job.toml", |text| text.replace(&receiver.url, &format!("{}/lineage", closed.url())));
    let ending = shop.run(&wechat, &["--date", "2026-11-19"]);
    assert_eq!(ending.code, 0, "{}", ending.stderr);
    assert!(ending.stderr.contains("openlineage.url") && !ending.stderr.contains("marquez-key"), "{}", ending.stderr);
}

#[test]
fn metrics_are_replaced_after_every_run_and_keep_the_last_success() {
    let shop = Shop::of_seed(54);
    let wechat = shop.serve(None);
    add(&shop, "[metrics]\ntextfile = \"coffee.prom\"\n");
    run(&shop, &wechat, "2026-11-18");
    let read = || std::fs::read_to_string(shop.path("coffee.prom")).unwrap();
    let value = |text: &str, series: &str| {
        let line = text.lines().find(|line| line.starts_with(series)).unwrap_or_else(|| panic!("{series}: {text}"));
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    let first = read();
    let open = shop.breaks(crate::support::day(18));
    let of_rule = open.iter().filter(|it| it.rule_id == "AO01" && matches!(it.status.as_str(), "new" | "open"));
    let fen: i64 = of_rule.map(|it| it.at_risk_fen.0).sum();
    let labels = "{job=\"ruiyun-coffee\",rule=\"AO01\"";
    assert_eq!(value(&first, &format!("coupon_recon_open_fen{labels}")), fen as f64);
    assert_eq!(value(&first, "coupon_recon_last_run_exit_code"), 0.0);
    assert_eq!(value(&first, "coupon_recon_wallet_coverage_ratio"), 1.0);
    assert!(value(&first, "coupon_recon_last_run_requests{job=\"ruiyun-coffee\",stage=\"user_coupons\"}") > 0.0);
    let beside: Vec<_> = std::fs::read_dir(shop.path("")).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert!(!beside.iter().any(|name| name.to_string_lossy().contains(".staged")), "{beside:?}");

    wechat.play("[[fault]]\npath = \"/\"\nkind = \"429\"\n");
    shop.shorten_waits();
    let failed = shop.run(&wechat, &["--date", "2026-11-19"]);
    assert_ne!(failed.code, 0, "{}", failed.stderr);
    let second = read();
    assert_eq!(value(&second, "coupon_recon_last_run_exit_code"), f64::from(failed.code));
    assert!(value(&second, "coupon_recon_last_run_retries{job=\"ruiyun-coffee\",stage=\"user_coupons\"}") > 0.0);
    for kept in
        ["coupon_recon_last_success_timestamp_seconds", "coupon_recon_open_fen{job=\"ruiyun-coffee\",rule=\"AO01\""]
    {
        assert_eq!(value(&first, kept), value(&second, kept), "{kept}");
    }
}

#[test]
fn the_robot_hears_of_changes_only_and_its_address_is_never_shown() {
    let shop = Shop::of_seed(55);
    let wechat = shop.serve(None);
    let receiver = Receiver::answering(200, "{\"errcode\":0,\"errmsg\":\"ok\"}");
    let address = format!("{}/cgi-bin/webhook/send?key=693axxx6-7aoc-4bc4-97a0", receiver.url);
    std::fs::write(shop.path("secrets/webhook.url"), &address).unwrap();
    add(&shop, "[webhook]\nurl_file = \"secrets/webhook.url\"\n");
    run(&shop, &wechat, "2026-11-18");
    let first = receiver.take();
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].target, "/cgi-bin/webhook/send?key=693axxx6-7aoc-4bc4-97a0");
    assert_eq!(first[0].body["msgtype"], "markdown");
    let content = first[0].body["markdown"]["content"].as_str().unwrap().to_owned();
    assert!(content.len() <= 4096 && content.starts_with("**ruiyun-coffee** 2026-11-18"), "{content}");
    let open = shop.breaks(crate::support::day(18)).iter().filter(|it| it.status == BreakStatus::New).count();
    assert!(content.contains(&format!("未解决差异 {open} 笔")), "{content}");

    run(&shop, &wechat, "2026-11-18");
    assert_eq!(receiver.take().len(), 0, "the same night again is no news");
    run(&shop, &wechat, "2026-11-19");
    assert_eq!(receiver.take().len(), 1, "other breaks are");
    run(&shop, &wechat, "2026-11-18");
    assert_eq!(receiver.take().len(), 0, "an older night is not");

    // A robot that refuses a message does not fail the night, and gets the message next time.
    let refusing = Receiver::answering(200, "{\"errcode\":93000,\"errmsg\":\"invalid webhook url\"}");
    std::fs::write(shop.path("secrets/webhook.url"), address.replace(&receiver.url, &refusing.url)).unwrap();
    let mut command = shop.run_command(&wechat, &["--date", "2026-11-20"]);
    let ending = Ending::of(command.env("COUPON_RECON_LOG", "trace").output().unwrap());
    assert_eq!(ending.code, 0, "{}", ending.stderr);
    assert!(ending.stderr.contains("93000") && !ending.stderr.contains("693axxx6"), "{}", ending.stderr);
    assert_eq!(refusing.take().len(), 1, "it is not asked again and again");
    std::fs::write(shop.path("secrets/webhook.url"), &address).unwrap();
    run(&shop, &wechat, "2026-11-20");
    assert_eq!(receiver.take().len(), 1);
}

#[test]
fn a_night_that_fails_is_told_once_and_so_is_the_next_that_does_not() {
    let shop = Shop::of_seed(56);
    shop.shorten_waits();
    let wechat = shop.serve(None);
    let receiver = Receiver::answering(200, "{\"errcode\":0}");
    std::fs::write(shop.path("secrets/webhook.url"), format!("{}/hook", receiver.url)).unwrap();
    add(&shop, "[webhook]\nurl_file = \"secrets/webhook.url\"\n");
    let nowhere = ClosedPort::reserve();
    for (attempt, told) in [(1, 1), (2, 0)] {
        let ending = shop.program(&["run", "job.toml", "--date", "2026-11-18", "--base-url", &nowhere.url()]);
        assert_eq!(ending.code, 69, "{}", ending.stderr);
        let posts = receiver.take();
        assert_eq!(posts.len(), told, "attempt {attempt}");
        let content = posts.first().map_or("", |post| post.body["markdown"]["content"].as_str().unwrap());
        assert!(told == 0 || content.contains("失败 (69)") && content.contains("cannot connect"), "{content}");
    }
    run(&shop, &wechat, "2026-11-18");
    assert!(receiver.take()[0].body["markdown"]["content"].as_str().unwrap().contains("完成"));
}
