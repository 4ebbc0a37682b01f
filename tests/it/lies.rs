//! Every scenario of `tests/scenarios/`: a server that fails or lies in one way, and how the night must
//! end: the documented exit code, the right rows or none, no panic, no hang, bounded memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Mutex;
use std::time::Duration;

use coupon_recon::simulator::Scenario;

use crate::support::{Ending, Shop, Wechat};

const NIGHT: [&str; 2] = ["--date", "2026-11-18"];
const DATE: &str = "dt=2026-11-18";
/// Far more than a night of this merchant needs, far less than a malicious server would send.
const MOST_MEMORY_KB: u64 = 900_000;

/// Nights run at the same time.
const LANES: usize = 4;

/// How a night under a scenario must end: `[expect]` of the file.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    /// Exit code.
    exit: i32,
    /// Whether every published byte must be that of a night without faults.
    #[serde(default)]
    calm: bool,
    /// Datasets that must be published.
    #[serde(default)]
    publishes: Vec<String>,
    /// Datasets that must not.
    #[serde(default)]
    lacks: Vec<String>,
    /// What stderr must say.
    #[serde(default)]
    says: Vec<String>,
    /// Another job file of the merchant.
    #[serde(default)]
    job: Option<String>,
    /// `timeout_seconds` and `retry_deadline_seconds` of every API, for answers that never end.
    #[serde(default)]
    timeout_seconds: Option<u64>,
}

#[test]
fn under_every_scenario_the_night_ends_as_documented_with_the_right_rows_or_none() {
    let shop = Shop::of_seed(27);
    let ending = shop.run(&shop.serve(None), &NIGHT);
    assert_eq!(ending.code, 0, "{}", ending.stderr);
    let calm = shop.published();
    let scenarios = scenarios();
    assert!(scenarios.len() >= 30);
    // A separate server for each: some faults are permanent.
    let fails = |shop: &Shop, path: &PathBuf| {
        let begun = std::time::Instant::now();
        let assert = std::panic::AssertUnwindSafe(|| assert_scenario(shop, &shop.serve(None), path, &calm));
        let fails = std::panic::catch_unwind(assert).is_err();
        eprintln!("{} {} in {:?}", if fails { "failed" } else { "passed" }, path.display(), begun.elapsed());
        fails
    };
    let waiting = Mutex::new(scenarios.into_iter().filter(|path| is_chosen(path)));
    let failed = Mutex::new(Vec::new());
    let work = || {
        let shop = Shop::of_seed(27);
        shop.shorten_waits();
        while let Some(path) = next(&waiting) {
            if fails(&shop, &path) {
                failed.lock().unwrap().push(path);
            }
        }
    };
    std::thread::scope(|scope| (0..LANES).for_each(|_| drop(scope.spawn(work))));
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{failed:?}");
}

fn next(waiting: &Mutex<impl Iterator<Item = PathBuf>>) -> Option<PathBuf> {
    waiting.lock().unwrap().next()
}

/// All scenarios, or those that `SCENARIOS` names.
fn is_chosen(path: &Path) -> bool {
    let chosen = std::env::var("SCENARIOS").unwrap_or_default();
    let name = path.file_stem().unwrap().to_string_lossy();
    chosen.is_empty() || chosen.split(',').any(|it| it == name)
}

fn assert_scenario(shop: &Shop, wechat: &Wechat, path: &Path, calm: &BTreeMap<String, Vec<u8>>) {
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    let scenario = Scenario::read(path).unwrap_or_else(|error| panic!("{name}: {error}"));
    let expect: Expect = scenario.expect.clone().unwrap_or_default().try_into().unwrap();
    shop.forget_lake();
    wechat.running().play(scenario);
    let before: u64 = wechat.counts().faults.values().sum();
    let ending = run(shop, wechat, &expect, &name);
    let told = format!("{name}: exit {}\n{}", ending.code, ending.stderr);
    assert!(wechat.counts().faults.values().sum::<u64>() > before, "{name}: the lie was never told");
    assert_eq!(ending.code, expect.exit, "{told}");
    assert!(!ending.stderr.contains("panicked"), "{told}");
    for word in &expect.says {
        assert!(ending.stderr.contains(word.as_str()), "`{word}` is missing in {told}");
    }
    let published = shop.published();
    let has = |dataset: &String| published.contains_key(&format!("datasets/{dataset}/{DATE}/part-0.parquet"));
    assert!(expect.publishes.iter().all(has), "{told}\n{:?}", published.keys());
    assert!(!expect.lacks.iter().any(has), "{told}\n{:?}", published.keys());
    assert!(!expect.calm || published == *calm, "{name}: the published bytes differ from those of a calm night");
    if expect.publishes.is_empty() && !expect.calm {
        assert!(published.is_empty(), "{told}\n{:?}", published.keys());
    } else {
        let verified = shop.program(&["verify", "job.toml", "--date", "2026-11-18"]);
        assert_eq!(verified.code, 0, "{name}: {}", verified.stdout);
    }
    wechat.play("");
}

fn run(shop: &Shop, wechat: &Wechat, expect: &Expect, name: &str) -> Ending {
    let mut job = expect.job.as_deref().unwrap_or("job.toml");
    if let Some(timeout) = expect.timeout_seconds {
        let text = std::fs::read_to_string(shop.path(job)).unwrap();
        let limits = "timeout_seconds = 30\nretry_deadline_seconds = 30\n";
        assert!(text.contains(limits), "{text}");
        let short = format!("timeout_seconds = {timeout}\nretry_deadline_seconds = {timeout}\n");
        std::fs::write(shop.path("job-impatient.toml"), text.replace(limits, &short)).unwrap();
        job = "job-impatient.toml";
    }
    let url = wechat.running().base_url();
    let mut command = shop.command(&["run", job, "--base-url", &url, NIGHT[0], NIGHT[1]]);
    let child = command.spawn().unwrap();
    let peak = watch_memory(&child);
    let ending = Ending::of(child.wait_with_output().unwrap());
    let peak_kb = peak.join().unwrap();
    assert!(peak_kb < MOST_MEMORY_KB, "{name}: {peak_kb} kB resident");
    ending
}

/// The peak of resident memory, kB, as long as the process lives.
fn watch_memory(child: &Child) -> std::thread::JoinHandle<u64> {
    let path = PathBuf::from(format!("/proc/{}/status", child.id()));
    std::thread::spawn(move || {
        let mut peak_kb = 0;
        while let Some(kb) = peak_of(&path) {
            peak_kb = peak_kb.max(kb);
            std::thread::sleep(Duration::from_millis(10));
        }
        peak_kb
    })
}

fn peak_of(status: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn scenarios() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
fn one_wallet_of_ever_new_coupons_is_followed_for_a_while_and_no_longer() {
    let shop = Shop::of_seed(28);
    let wechat = shop.serve(None);
    let orders = std::fs::read_to_string(shop.path("orders/2026-11-18.csv")).unwrap();
    let openid = shop.openids().into_iter().find(|openid| orders.contains(openid.as_str())).unwrap();
    shop.edit("job.toml", |text| text.replace("rate_per_second = 500", "rate_per_second = 5000"));
    wechat
        .play(&format!("[[fault]]\npath = \"/v3/marketing/busifavor/users/{openid}/coupons\"\nkind = \"ever_new\"\n"));
    let ending = shop.run(&wechat, &NIGHT);
    assert_eq!(ending.code, 4, "{}", ending.stderr);
    assert!(ending.stderr.contains("1 wallet did not settle"), "{}", ending.stderr);
    assert!((1000..1100).contains(&wechat.counts().faults["ever_new"]), "{:?}", wechat.counts().faults);
}

#[test]
fn an_api_that_is_down_for_a_night_is_all_that_the_next_run_asks() {
    let shop = Shop::of_seed(29);
    let wechat = shop.serve(None);
    let calm = {
        let ending = shop.run(&wechat, &NIGHT);
        assert_eq!(ending.code, 0, "{}", ending.stderr);
        shop.published()
    };
    shop.forget_lake();
    shop.shorten_waits();
    wechat.play("[[fault]]\npath = \"/datacube/\"\nkind = \"500\"\n[[fault]]\npath = \"/card/\"\nkind = \"500\"\n");
    let ending = shop.run(&wechat, &NIGHT);
    assert_eq!(ending.code, 4, "{}", ending.stderr);
    let manifest = ending.manifest();
    assert_eq!(manifest["status"], "partial");
    let unjudged: Vec<_> = manifest["unjudged_rules"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(unjudged, ["DC01", "DC02", "DC03", "DC04"]);
    let breaks = shop.breaks(shop.dates[0]);
    assert!(!breaks.is_empty() && breaks.iter().all(|it| !it.rule_id.starts_with("DC")));
    wechat.play("");
    wechat.running().reset_counts();
    let ending = shop.run(&wechat, &NIGHT);
    assert_eq!(ending.code, 0, "{}", ending.stderr);
    let asked: Vec<_> = wechat.counts().by_endpoint.into_keys().collect();
    let is_mp = |path: &String| ["/datacube/", "/card/", "/cgi-bin/"].iter().any(|it| path.contains(it));
    assert!(!asked.is_empty() && asked.iter().all(is_mp), "{asked:?}");
    assert!(shop.published() == calm, "the published bytes differ");
}

#[test]
fn a_complete_day_is_not_replaced_by_a_partial_one() {
    let shop = Shop::of_seed(30);
    let wechat = shop.serve(None);
    assert_eq!(shop.run(&wechat, &NIGHT).code, 0);
    let complete = shop.published();
    shop.shorten_waits();
    wechat.play("[[fault]]\npath = \"/v3/marketing/busifavor/users/\"\nkind = \"500\"\n");
    let ending = shop.run(&wechat, &["--date", "2026-11-18", "--refetch"]);
    assert_eq!(ending.code, 4, "{}", ending.stderr);
    assert!(ending.stderr.contains("was complete when 2026-11-18 was published"), "{}", ending.stderr);
    assert!(ending.json()["open_breaks"].is_null(), "breaks nobody can look up: {}", ending.json());
    assert!(shop.published() == complete, "the published bytes differ");
    assert_eq!(shop.verify(shop.dates[0]).code, 0, "{}", shop.verify(shop.dates[0]).stdout);
    // The generation that was published is the one that is replayed.
    std::fs::remove_dir_all(shop.lake().join("datasets")).unwrap();
    let ending = shop.program(&["run", "job.toml", "--replay", "--date", "2026-11-18"]);
    assert_eq!(ending.code, 0, "{}", ending.stderr);
}

const WALLETS_FAIL: &str = "[[fault]]\npath = \"/v3/marketing/busifavor/users/\"\nkind = \"500\"\n";
const FIRST_STOCK_FAILS: &str = "[[fault]]\npath = \"/v3/marketing/busifavor/stocks/\"\nkind = \"500\"\nfirst = 1\n";

/// How a night of wallets and stocks ends under these faults, and whether it published stocks. Wallets are asked first and
/// settle which stocks there are; no other stage of these vouches for the API meanwhile.
fn wallets_and_stocks(faults: &str) -> (Ending, bool) {
    let shop = Shop::of_seed(32);
    let wechat = shop.serve(None);
    shop.shorten_waits();
    wechat.play(faults);
    let ending = shop.run(&wechat, &["--date", "2026-11-18", "--stage", "orders,user_coupons,stocks"]);
    let has_stocks = shop.published().contains_key("datasets/stocks/dt=2026-11-18/part-0.parquet");
    (ending, has_stocks)
}

#[test]
fn stocks_are_asked_although_the_wallets_before_them_were_never_answered() {
    let (ending, has_stocks) = wallets_and_stocks(WALLETS_FAIL);
    assert_eq!((ending.code, has_stocks), (4, true), "{}", ending.stderr);
}

#[test]
fn a_passing_fault_after_wallets_that_were_never_answered_costs_no_later_stage() {
    let (ending, has_stocks) = wallets_and_stocks(&format!("{WALLETS_FAIL}{FIRST_STOCK_FAILS}"));
    assert_eq!((ending.code, has_stocks), (4, true), "{}", ending.stderr);
}

#[test]
fn an_api_that_never_answered_is_asked_one_question_by_a_later_stage() {
    let (ending, has_stocks) = wallets_and_stocks("[[fault]]\npath = \"/v3/\"\nkind = \"500\"\n");
    assert_eq!((ending.code, has_stocks), (69, false), "{}", ending.stderr);
    let asked = |path: &str| ending.stderr.matches(&format!("problem: GET /v3/marketing/busifavor/{path}")).count();
    // Of many questions without an answer, the first three are told.
    assert!(asked("users/") >= 3, "{}", ending.stderr);
    assert_eq!(asked("stocks/"), 1, "{}", ending.stderr);
}
