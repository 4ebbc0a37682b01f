//! Whole nights: the planted truth, nothing asked twice, the same bytes.

use std::collections::{BTreeMap, BTreeSet};

use coupon_recon::dataset::partition::read_rows;
use coupon_recon::record::CouponEvent;
use coupon_recon::simulator::generate::Recipe;

use crate::support::{Shop, Wechat, day, stage_of};

#[test]
fn the_sample_merchant_has_exactly_the_planted_breaks_on_each_of_three_nights() {
    let shop = Shop::sample();
    let wechat = shop.serve(None);
    shop.run_nights(&wechat);
    for date in &shop.dates {
        assert_truth(&shop, *date);
    }
}

/// Every rule but those that three nights cannot show: ST05 needs a stock that stops between two
/// nights, DC02 a pull that restates an earlier one, DC03 a hole with a week on either side.
const PLANTED_RULES: usize = 42;

#[test]
fn twenty_seeds_give_precision_and_recall_of_exactly_one_for_each_rule_each_night() {
    let seeds: Vec<u64> = (1..=20).collect();
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for share in seeds.chunks(seeds.len().div_ceil(workers)) {
            scope.spawn(|| share.iter().for_each(|seed| assert_seed(*seed)));
        }
    });
}

fn assert_seed(seed: u64) {
    let shop = Shop::of_seed(seed);
    let wechat = shop.serve(None);
    shop.run_nights(&wechat);
    let mut planted = BTreeSet::new();
    for date in &shop.dates {
        let (truth, found) = (by_rule(&shop.truth(*date)), by_rule(&shop.found(*date)));
        for rule in truth.keys().chain(found.keys()) {
            let nothing = BTreeSet::new();
            let (truth, found) = (truth.get(rule).unwrap_or(&nothing), found.get(rule).unwrap_or(&nothing));
            let hits = truth.intersection(found).count();
            let score = (hits, truth.len(), found.len());
            assert_eq!(score, (hits, hits, hits), "seed {seed}, {date}, {rule}: {truth:#?} {found:#?}");
        }
        planted.extend(truth.into_keys());
    }
    assert_eq!(planted.len(), PLANTED_RULES, "seed {seed}: {planted:?}");
}

/// `break_id status rule` lines by their rule.
fn by_rule(lines: &BTreeSet<String>) -> BTreeMap<String, BTreeSet<String>> {
    let mut rules: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in lines {
        let rule = line.rsplit(' ').next().unwrap().to_owned();
        rules.entry(rule).or_default().insert(line.clone());
    }
    rules
}

/// Runs every night at noon after it, when the server shows the world of that noon.
fn assert_truth_night_by_night(shop: &Shop, wechat: &Wechat) {
    for date in &shop.dates {
        let noon = format!("{}T12:00:00+08:00", *date + chrono::Days::new(1));
        wechat.running().set_now(Some(noon.parse().unwrap()));
        let ending = shop.run(wechat, &["--date", &date.to_string()]);
        assert_eq!(ending.code, 0, "{}", ending.stderr);
        assert_truth(shop, *date);
    }
}

#[test]
fn the_answer_is_the_same_whether_wechat_shows_the_night_or_the_present() {
    let shop = Shop::of(&Recipe::new(11, 60, 3, day(18)));
    let wechat = shop.serve(None);
    assert_truth_night_by_night(&shop, &wechat);
}

#[test]
fn lists_that_leave_returns_out_give_the_planted_breaks_too() {
    let shop = Shop::of(&Recipe::new(11, 60, 3, day(18)));
    let wechat = shop.serve(None);
    wechat.play("[[fault]]\npath = \"/v3/marketing/busifavor/users/\"\nkind = \"lean_list\"\n");
    assert_truth_night_by_night(&shop, &wechat);
}

#[test]
fn a_coupon_that_could_not_be_asked_for_once_more_is_asked_for_on_the_next_night() {
    let shop = Shop::of(&Recipe::new(1, 300, 3, day(18)));
    shop.edit("roster.csv", |_| "openid\n".to_owned());
    let wechat = shop.serve(None);
    let lean = "[[fault]]\npath = \"/v3/marketing/busifavor/users/\"\nkind = \"lean_list\"\n";
    let single = "/v3/marketing/busifavor/users/{openid}/coupons/{coupon_code}/appids/{appid}";
    let refused = format!("[[fault]]\npath = \"{single}\"\nkind = \"errcode\"\nvalue = \"RULE_LIMIT\"\n");
    for (date, faults, code) in [(day(18), refused + lean, 4), (day(19), lean.to_owned(), 0)] {
        wechat.play(&faults);
        let noon = format!("{}T12:00:00+08:00", date + chrono::Days::new(1));
        wechat.running().set_now(Some(noon.parse().unwrap()));
        let ending = shop.run(&wechat, &["--date", &date.to_string()]);
        assert_eq!(ending.code, code, "{}", ending.stderr);
    }
    // What the first night could not judge is new on the second.
    let told_by_wallets = |lines: BTreeSet<String>| -> BTreeSet<(String, String)> {
        let parts = lines.iter().map(|line| line.split(' ').collect::<Vec<_>>());
        let open = parts.filter(|line| ["AO03", "AO15", "SU04"].contains(&line[2]) && line[1] != "resolved");
        open.map(|line| (line[2].to_owned(), line[0].to_owned())).collect()
    };
    let (truth, found) = (told_by_wallets(shop.truth(day(19))), told_by_wallets(shop.found(day(19))));
    assert!(truth.len() > 3, "{truth:?}");
    assert_eq!(found, truth);
}

#[test]
fn a_second_run_asks_nothing_and_leaves_every_published_byte() {
    let shop = Shop::of_seed(3);
    let wechat = shop.serve(None);
    shop.run_nights(&wechat);
    let published = shop.published();
    wechat.running().reset_counts();
    shop.run_nights(&wechat);
    assert_eq!(wechat.counts().total, 0, "{:?}", wechat.counts());
    assert_same(&published, &shop.published());
}

#[test]
fn a_replay_needs_no_network_and_gives_the_same_bytes() {
    let shop = Shop::of_seed(4);
    let wechat = shop.serve(None);
    shop.run_nights(&wechat);
    let published = shop.published();
    drop(wechat);
    shop.replay_from_nothing();
    assert_same(&published, &shop.published());
}

#[test]
fn platform_certificates_prove_the_same_night_as_the_public_key() {
    let shop = Shop::of_seed(5);
    let wechat = shop.serve(None);
    let url = wechat.running().base_url();
    for date in &shop.dates {
        let date = date.to_string();
        let ending = shop.program(&["run", "job-certificates.toml", "--base-url", &url, "--date", &date]);
        assert_eq!(ending.code, 0, "{}", ending.stderr);
    }
    for date in &shop.dates {
        assert_truth(&shop, *date);
    }
    assert!(wechat.counts().of("GET /v3/certificates") > 0);
}

/// Gives the spooled callbacks for which `new_serial` has one another serial.
fn sign_callbacks(shop: &Shop, new_serial: impl Fn(usize) -> Option<String>) {
    let names = std::fs::read_dir(shop.path("notifications")).unwrap().map(|it| it.unwrap().file_name());
    let mut names: Vec<_> = names.collect();
    names.sort();
    for (place, name) in names.iter().enumerate() {
        let Some(serial) = new_serial(place) else { continue };
        shop.edit(&format!("notifications/{}", name.to_str().unwrap()), |text| {
            let mut callback: serde_json::Value = serde_json::from_str(&text).unwrap();
            callback["headers"]["Wechatpay-Serial"] = serial.into();
            callback.to_string()
        });
    }
}

#[test]
fn callbacks_of_a_change_over_are_verified_by_the_key_their_header_names() {
    let shop = Shop::of_seed(5);
    let wechat = shop.serve(None);
    shop.run_nights(&wechat);
    let events = |date| -> Vec<CouponEvent> {
        read_rows(&shop.lake().join(format!("datasets/coupon_events/dt={date}/part-0.parquet"))).unwrap()
    };
    let verified: Vec<_> = shop.dates.iter().map(events).collect();
    assert_eq!(wechat.counts().of("GET /v3/certificates"), 0, "nobody named a certificate");
    shop.forget_lake();
    let world = std::fs::read_to_string(shop.path("world/world.json")).unwrap();
    let world: serde_json::Value = serde_json::from_str(&world).unwrap();
    let serial = world["account"]["platform_certificate_serial"].as_str().unwrap().to_lowercase();
    sign_callbacks(&shop, |place| (place % 2 == 0).then(|| serial.clone()));
    shop.run_nights(&wechat);
    assert_eq!(shop.dates.iter().map(events).collect::<Vec<_>>(), verified);
    for date in &shop.dates {
        assert_truth(&shop, *date);
    }
    assert_eq!(wechat.counts().of("GET /v3/certificates"), shop.dates.len() as u64, "once a night");
    drop(wechat);
    let published = shop.published();
    shop.replay_from_nothing();
    assert_same(&published, &shop.published());
}

#[test]
fn a_callback_under_a_serial_nobody_has_is_sought_once_and_then_a_dead_letter() {
    let shop = Shop::of_seed(5);
    let wechat = shop.serve(None);
    sign_callbacks(&shop, |place| (place == 1).then(|| "00DEAD00BEEF".to_owned()));
    for _ in 0..2 {
        let ending = shop.run(&wechat, &["--date", "2026-11-18"]);
        assert_eq!(ending.code, 0, "{}", ending.stderr);
        let manifest = ending.manifest();
        assert_eq!(stage_of(&manifest, "notifications")["notes"]["dead_letters"], 2);
    }
    assert_eq!(wechat.counts().of("GET /v3/certificates"), 1);
}

#[test]
fn stdout_is_one_line_of_json_that_names_the_manifest() {
    let shop = Shop::of_seed(6);
    let wechat = shop.serve(None);
    let ending = shop.run(&wechat, &["--date", "2026-11-18"]);
    let line = ending.json();
    assert_eq!((line["status"].as_str(), line["exit_code"].as_i64()), (Some("complete"), Some(0)));
    assert_eq!(ending.manifest()["business_date"], "2026-11-18");
    assert_eq!(ending.stderr, "", "quiet on success");
}

#[test]
fn bills_the_merchant_downloaded_prove_the_same_night() {
    let shop = Shop::of_seed(12);
    let bills = shop.path("bills");
    std::fs::create_dir(&bills).unwrap();
    for entry in std::fs::read_dir(shop.path("world/bills")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, bills.join(path.file_name().unwrap())).unwrap();
    }
    shop.edit("job.toml", |text| {
        text.replace("source = \"api\"\ntar_type = \"GZIP\"", "source = \"files\"\npath = \"bills/{yyyymmdd}.csv\"")
    });
    let wechat = shop.serve(None);
    shop.run_nights(&wechat);
    for date in &shop.dates {
        assert_truth(&shop, *date);
    }
    assert_eq!(wechat.counts().of("GET /v3/bill/tradebill"), 0);
}

#[test]
fn no_openid_of_a_user_is_published_by_default() {
    let shop = Shop::of_seed(10);
    shop.run_nights(&shop.serve(None));
    let users: Vec<String> = shop.openids().into_iter().collect();
    assert!(users.len() > 50);
    for (name, bytes) in shop.published() {
        let text = match name.ends_with(".parquet") {
            true => shop.texts_of(&name),
            false => String::from_utf8_lossy(&bytes).into_owned(),
        };
        for user in &users {
            assert!(!text.contains(user.as_str()), "{name} shows the openid {user}");
        }
    }
}

#[test]
fn nothing_but_partitions_and_empty_success_markers_lives_in_a_dataset() {
    let shop = Shop::of_seed(8);
    let wechat = shop.serve(None);
    shop.run_nights(&wechat);
    for (name, bytes) in shop.published().iter().filter(|(name, _)| name.starts_with("datasets/")) {
        let file = name.rsplit('/').next().unwrap();
        assert!(file == "part-0.parquet" || (file == "_SUCCESS" && bytes.is_empty()), "{name}");
    }
    assert!(!shop.published().is_empty());
}

fn assert_truth(shop: &Shop, date: chrono::NaiveDate) {
    let (truth, found) = (shop.truth(date), shop.found(date));
    let missed: Vec<_> = truth.difference(&found).collect();
    let invented: Vec<_> = found.difference(&truth).collect();
    assert!(missed.is_empty() && invented.is_empty(), "{date}\nmissed: {missed:#?}\ninvented: {invented:#?}");
}

fn assert_same(before: &BTreeMap<String, Vec<u8>>, after: &BTreeMap<String, Vec<u8>>) {
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(before), names(after));
    for (name, bytes) in before {
        assert!(after[name] == *bytes, "{name} changed");
    }
}

#[test]
fn stages_run_one_group_after_the_other_give_the_same_night() {
    let (shop, whole) = (Shop::of_seed(13), Shop::of_seed(13));
    whole.run_nights(&whole.serve(None));
    let wechat = shop.serve(None);
    let groups = [
        "orders,bills,subsidy_ledger,notifications",
        "roster,user_coupons,stocks,coupon_codes,subsidies",
        "datacube,cards,v2_stocks",
        "reconcile,report",
    ];
    for date in &shop.dates {
        for group in groups {
            let ending = shop.run(&wechat, &["--date", &date.to_string(), "--stage", group]);
            assert_eq!(ending.code, 0, "{group}: {}", ending.stderr);
        }
    }
    assert_same(&whole.published(), &shop.published());
}
