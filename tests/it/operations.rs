//! What operators do: a dry run, a data interval of a scheduler, several nights, log collection.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{Ending, Shop, Wechat, stage_of};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
}

/// Every file of the shop's folder and their bytes.
fn everything(shop: &Shop) -> BTreeMap<PathBuf, Vec<u8>> {
    fn collect(folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => {
                    files.insert(path.clone(), Vec::new());
                    collect(&path, files);
                }
                false => drop(files.insert(path.clone(), std::fs::read(&path).unwrap())),
            }
        }
    }
    let mut files = BTreeMap::new();
    collect(shop.path("").parent().unwrap(), &mut files);
    files
}

#[test]
fn a_dry_run_foretells_the_calls_and_leaves_no_trace() {
    let shop = Shop::of_seed(41);
    let wechat = shop.serve(None);
    let before = everything(&shop);
    let ending = shop.run(&wechat, &["--date", "2026-11-18", "--dry-run"]);
    assert_eq!(ending.code, 0, "{}", ending.stderr);
    assert_eq!(wechat.counts().total, 0, "nobody is asked");
    assert!(before == everything(&shop), "nothing is written");
    let told = ending.json();
    assert_eq!((told["dry_run"].as_bool(), told["date"].as_str()), (Some(true), Some("2026-11-18")));
    assert_eq!(stage_of(&told, "bills")["new"], serde_json::json!(["payments", "refunds"]));
    assert!(stage_of(&told, "user_coupons")["calls"].as_u64() > Some(0));
    assert!(told["seconds_at_rate_limit"].as_u64() > Some(0));
    assert!(ending.stderr.contains("dry run: nothing is requested or written"), "{}", ending.stderr);

    let run = shop.run(&wechat, &["--date", "2026-11-18"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let asked = wechat.counts().of("GET /v3/marketing/busifavor/users/{openid}/coupons");
    let told = stage_of(&told, "user_coupons")["calls"].as_u64().unwrap();
    // A wallet of a new merchant counts as one page; a full one has more.
    assert!((told..=told + told / 10).contains(&asked), "{told} foretold, {asked} asked");

    let again = shop.run(&wechat, &["--date", "2026-11-18", "--dry-run"]).json();
    assert_eq!(again["calls"], 0, "{again}");
    assert!(again["journalled"].as_u64() > Some(0));
    assert!(again["stages"].as_array().unwrap().iter().all(|it| it["new"].as_array().unwrap().is_empty()), "{again}");
}

#[test]
fn a_dry_run_tells_what_is_missing_and_what_will_be_stale() {
    let shop = Shop::of_seed(42);
    let wechat = shop.serve(None);
    shop.run_nights(&wechat);
    std::fs::remove_file(shop.path("orders/2026-11-19.csv")).unwrap();
    let ending = shop.run(&wechat, &["--date", "2026-11-19", "--dry-run"]);
    assert_eq!(ending.code, 0, "{}", ending.stderr);
    assert_eq!(ending.json()["stale_dates"], serde_json::json!(["2026-11-20"]));
    for words in ["problem: orders: ", "2026-11-19.csv", "run again after it: 2026-11-20"] {
        assert!(ending.stderr.contains(words), "`{words}` is missing in:\n{}", ending.stderr);
    }
}

#[test]
fn a_dry_run_tells_of_a_bill_and_of_a_spool_that_are_not_there_as_the_night_does() {
    let shop = Shop::of_seed(42);
    let wechat = shop.serve(None);
    shop.edit("job.toml", |text| {
        let text = text.replace("source = \"api\"", "source = \"files\"\npath = \"bills/{yyyymmdd}.csv\"");
        text.replace("tar_type = \"GZIP\"\n", "").replace("spool = \"notifications/\"", "spool = \"spool/\"")
    });
    let ending = shop.run(&wechat, &["--date", "2026-11-18", "--dry-run"]);
    assert_eq!(ending.code, 0, "{}", ending.stderr);
    for words in ["problem: bills: ", "20261118.csv", "problem: notifications: ", "spool` is not there"] {
        assert!(ending.stderr.contains(words), "`{words}` is missing in:\n{}", ending.stderr);
    }
    let night = shop.run(&wechat, &["--date", "2026-11-18"]);
    assert_eq!(night.code, 75, "{}", night.stderr);
}

#[test]
fn a_dry_run_reads_the_rules_as_the_night_would() {
    let shop = Shop::of_seed(42);
    let wechat = shop.serve(None);
    shop.edit("job.toml", |text| text.replace("off = []", "off = [\"AO99\"]"));
    for more in [&["--dry-run"][..], &[]] {
        let ending = shop.run(&wechat, &[&["--date", "2026-11-18"], more].concat());
        assert_eq!(ending.code, 2, "{}", ending.stderr);
        assert!(ending.stderr.contains("`rules.off` names `AO99`, which is not a rule"), "{}", ending.stderr);
    }
}

#[test]
fn a_data_interval_runs_its_days_and_an_empty_one_is_refused() {
    let shop = Shop::of_seed(43);
    let wechat = shop.serve(None);
    let interval = |start, end| shop.run(&wechat, &["--interval-start", start, "--interval-end", end]);
    let ending = interval("2026-11-18T10:30:00+08:00", "2026-11-20T10:30:00+08:00");
    assert_eq!(ending.code, 0, "{}", ending.stderr);
    let dates: Vec<_> = lines(&ending.stdout).iter().map(|line| line["date"].as_str().unwrap().to_owned()).collect();
    assert_eq!(dates, ["2026-11-18", "2026-11-19"]);
    wechat.running().reset_counts();
    let empty = interval("2026-11-20T00:00:00Z", "2026-11-20T00:00:00Z");
    assert_eq!((empty.code, empty.stdout.as_str()), (2, ""), "{}", empty.stderr);
    assert!(empty.stderr.contains("the data interval is empty"), "{}", empty.stderr);
    assert!(empty.stderr.contains("hint: ") && empty.stderr.contains("CronDataIntervalTimetable"), "{}", empty.stderr);
    assert_eq!(wechat.counts().total, 0);
}

#[test]
fn a_data_interval_in_the_environment_and_who_called_stand_in_the_manifest() {
    let shop = Shop::of_seed(43);
    let wechat = shop.serve(None);
    let mut command = shop.run_command(&wechat, &[]);
    command
        .env("RECON_INTERVAL_START", "2026-11-18 12:00:00+08:00")
        .env("RECON_INTERVAL_END", "2026-11-19 12:00:00+08:00");
    command.env("AIRFLOW_CTX_DAG_ID", "coupon_recon").env("AIRFLOW_CTX_TASK_ID", "reconcile");
    command.env("AIRFLOW_CTX_DAG_EMAIL", "somebody@example.com");
    let ending = Ending::of(command.output().unwrap());
    assert_eq!(ending.code, 0, "{}", ending.stderr);
    assert_eq!(ending.json()["date"], "2026-11-18");
    let caller = serde_json::json!({"AIRFLOW_CTX_DAG_ID": "coupon_recon", "AIRFLOW_CTX_TASK_ID": "reconcile"});
    assert_eq!(ending.manifest()["caller"], caller);
}

#[test]
fn a_backfill_runs_the_oldest_day_first_unless_told_otherwise() {
    let shop = Shop::of_seed(44);
    let wechat = shop.serve(None);
    let dates = |ending: &Ending| {
        assert_eq!(ending.code, 0, "{}", ending.stderr);
        lines(&ending.stdout).iter().map(|it| it["date"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let range = ["--from", "2026-11-18", "--to", "2026-11-20"];
    assert_eq!(dates(&shop.run(&wechat, &range)), ["2026-11-18", "2026-11-19", "2026-11-20"]);
    let newest = shop.run(&wechat, &[&range[..], &["--order", "newest"]].concat());
    assert_eq!(dates(&newest), ["2026-11-20", "2026-11-19", "2026-11-18"]);
}

#[test]
fn a_backfill_beyond_what_wechat_keeps_is_refused_before_anything_is_asked() {
    let shop = Shop::of_seed(45);
    let wechat = shop.serve(None);
    for order in ["oldest", "newest"] {
        let days = ["--from", "2026-11-18", "--to", "2026-11-20", "--order", order];
        let ending = run_at(&shop, &wechat, "2027-02-20T12:00:00+08:00", &days);
        assert_eq!((ending.code, ending.stdout.as_str()), (2, ""), "{}", ending.stderr);
        for words in ["is gone", "three months", "2026-11-20", "nothing was requested", "--from 2026-11-20"] {
            assert!(ending.stderr.contains(words), "`{words}` is missing in:\n{}", ending.stderr);
        }
    }
    assert_eq!(wechat.counts().total, 0);
    assert!(!shop.lake().exists(), "nothing was written either");
}

#[test]
fn a_day_that_was_journalled_in_time_is_rebuilt_however_old_it_is() {
    let shop = Shop::of_seed(45);
    let wechat = shop.serve(None);
    assert_eq!(shop.run(&wechat, &["--date", "2026-11-18"]).code, 0);
    let published = shop.published();
    let ending = run_at(&shop, &wechat, "2027-05-01T12:00:00+08:00", &["--date", "2026-11-18"]);
    assert_eq!(ending.code, 0, "{}", ending.stderr);
    assert!(published == shop.published());
}

/// A run when the clock shows `now`.
fn run_at(shop: &Shop, wechat: &Wechat, now: &str, arguments: &[&str]) -> Ending {
    let url = wechat.running().base_url();
    let run = ["run", "job.toml", "--base-url", &url];
    Ending::of(shop.command_at(now, &[&run[..], arguments].concat()).output().unwrap())
}

/// A run of the last night when the clock shows `now`.
fn last_night_at(shop: &Shop, wechat: &Wechat, now: &str, arguments: &[&str]) -> Ending {
    run_at(shop, wechat, now, &[&["--date", "2026-11-20"], arguments].concat())
}

#[test]
fn every_source_has_a_cut_off_of_its_own_before_which_nobody_is_asked() {
    // Shortly before the simulator's noon: signatures may be five minutes off.
    let (before, ready_at) = ("2026-11-21T11:57:00+08:00", "11:59");
    let asked_by = [
        ("orders", ""),
        ("bills", "GET /v3/bill/tradebill"),
        ("subsidy_ledger", ""),
        ("notifications", ""),
        ("wallets", "GET /v3/marketing/busifavor/users/{openid}/coupons"),
        ("stocks", "GET /v3/marketing/busifavor/stocks/{stock_id}"),
        ("subsidies", "GET /v3/marketing/busifavor/subsidy/pay-receipts"),
        ("datacube", "POST /datacube/getcardbizuininfo"),
        ("cards", "POST /card/batchget"),
        ("v2_stocks", "POST /mmpaymkttransfers/query_coupon_stock"),
    ];
    let written = std::fs::read_to_string(Shop::of_seed(46).path("job.toml")).unwrap();
    for (source, route) in asked_by {
        let shop = Shop::of_seed(46);
        let wechat = shop.serve(None);
        let section = format!("[sources.{source}]\nready_at = \"{ready_at}\"\n");
        let silent = written.replace("[sources.bills]\nready_at = \"10:00\"\ngrace_days = 0\n", "");
        shop.edit("job.toml", |_| format!("{silent}\n{section}"));
        let early = last_night_at(&shop, &wechat, before, &[]);
        assert_eq!(early.code, 75, "{source}: {}", early.stderr);
        let told = format!("`{source}` is ready at 2026-11-21 11:59 Asia/Shanghai");
        assert!(early.stderr.contains(&told), "{source}: {}", early.stderr);
        assert!(early.stderr.contains(&format!("sources.{source}.ready_at")), "{source}: {}", early.stderr);
        if !route.is_empty() {
            assert_eq!(wechat.counts().of(route), 0, "{source} was asked too early");
        }
        let late = last_night_at(&shop, &wechat, "2026-11-21T11:59:00+08:00", &[]);
        assert_eq!(late.code, 0, "{source}: {}", late.stderr);
    }
}

/// Sixty attempts, with short waits between them: they take more than the two seconds until the source is ready, and far
/// less than the hour.
const PATIENT: [&str; 2] = ["--wait", "60m"];

#[test]
fn waiting_ends_when_the_source_is_ready_and_gives_up_when_it_is_not() {
    let shop = Shop::of_seed(47);
    let wechat = shop.serve(None);
    shop.edit("job.toml", |text| text.replace("ready_at = \"10:00\"", "ready_at = \"11:59\""));
    let short = last_night_at(&shop, &wechat, "2026-11-21T11:57:00+08:00", &["--wait", "1s"]);
    assert_eq!(short.code, 75, "{}", short.stderr);
    shop.shorten_waits();
    let long = last_night_at(&shop, &wechat, "2026-11-21T11:58:58+08:00", &PATIENT);
    assert_eq!(long.code, 0, "{}", long.stderr);
    assert_eq!(lines(&long.stdout).len(), 1, "only the last attempt is told");
}

#[test]
fn a_refetch_that_waits_for_a_source_asks_the_others_once() {
    let shop = Shop::of_seed(47);
    let wechat = shop.serve(None);
    shop.edit("job.toml", |text| text.replace("ready_at = \"10:00\"", "ready_at = \"11:59\""));
    shop.shorten_waits();
    let waited = last_night_at(&shop, &wechat, "2026-11-21T11:58:58+08:00", &[&PATIENT[..], &["--refetch"]].concat());
    assert_eq!(waited.code, 0, "{}", waited.stderr);
    let asked = wechat.counts().of("POST /mmpaymkttransfers/query_coupon_stock");
    wechat.running().reset_counts();
    assert_eq!(last_night_at(&shop, &wechat, "2026-11-21T12:00:00+08:00", &["--refetch"]).code, 0);
    assert_eq!(asked, wechat.counts().of("POST /mmpaymkttransfers/query_coupon_stock"));
}

#[test]
fn every_line_of_a_json_log_is_an_object_with_hint_and_causes_as_fields() {
    let shop = Shop::of_seed(48);
    let wechat = shop.serve(None);
    let json = |arguments: &[&str]| {
        let url = wechat.running().base_url();
        let all = [&["--log-format", "json", "run", "job.toml", "--base-url", &url], arguments].concat();
        shop.program(&all)
    };
    let of_level = |ending: &Ending, level: &str| {
        let all = lines(&ending.stderr);
        all.iter().for_each(|line| {
            for field in ["timestamp", "level", "message"] {
                assert!(line[field].is_string(), "{field} is missing in {line}");
            }
        });
        all.into_iter().find(|line| line["level"] == level).unwrap_or_else(|| panic!("no {level}: {}", ending.stderr))
    };
    // A warning of the job file, a summary.
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(shop.path("secrets/pii.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let ending = json(&["--date", "2026-11-18", "--summary"]);
    assert_eq!(ending.code, 0, "{}", ending.stderr);
    assert!(of_level(&ending, "WARN")["message"].as_str().unwrap().contains("chmod 600"), "{}", ending.stderr);
    let summary = of_level(&ending, "INFO");
    assert_eq!((summary["message"].as_str(), summary["date"].as_str()), (Some("night ended"), Some("2026-11-18")));
    assert!(summary["stages"].as_array().unwrap().len() > 10);
    // A night that is partial: each cause with its hint.
    std::fs::remove_file(shop.path("orders/2026-11-19.csv")).unwrap();
    let partial = json(&["--date", "2026-11-19", "--fail-on", "open_count>0"]);
    assert_eq!(partial.code, 75, "{}", partial.stderr);
    let gate = partial.json()["gate"].as_str().unwrap_or_default().to_owned();
    assert!(gate.ends_with("exceeds the limit `open_count>0`"), "the gate is told too: {}", partial.stdout);
    let told = lines(&partial.stderr);
    let cause = told.iter().find(|line| line["hint"].is_string()).unwrap();
    assert!(cause["message"].as_str().unwrap().contains("2026-11-19.csv"), "{cause}");
    // A failure, a gate, a wrong command line.
    let empty = json(&["--interval-start", "2026-11-20T00:00:00Z", "--interval-end", "2026-11-20T00:00:00Z"]);
    let failure = of_level(&empty, "ERROR");
    assert_eq!(failure["exit_code"], 2);
    assert!(failure["hint"].as_str().unwrap().contains("--date"), "{failure}");
    let gate = json(&["--date", "2026-11-18", "--fail-on", "open_count>0"]);
    assert_eq!(gate.code, 3);
    assert!(of_level(&gate, "WARN")["message"].as_str().is_some(), "{}", gate.stderr);
    let wrong = std::fs::read_to_string(shop.path("job.toml")).unwrap();
    shop.edit("job.toml", |text| text.replace("audit_days = 30", "audit_dayz = 30\nmax_unsetled = 0"));
    let told = lines(&json(&["--date", "2026-11-18"]).stderr);
    assert_eq!(told.len(), 3, "two problems and their sum: {told:?}");
    assert_eq!((&told[0]["hint"], told[0]["line"].is_u64()), (&"did you mean `audit_days`?".into(), true));
    shop.edit("job.toml", |_| wrong);
    let usage = json(&["--date", "yesterday"]);
    assert_eq!(usage.code, 2);
    assert!(of_level(&usage, "ERROR")["message"].as_str().unwrap().contains("--date"), "{}", usage.stderr);
}

#[test]
fn a_rule_to_switch_off_that_does_not_exist_is_told_with_the_other_problems_of_the_job_file() {
    let shop = Shop::of_seed(48);
    shop.edit("job.toml", |text| {
        let text = text.replace("timeout_seconds = 30", "timeout_seconds = 0");
        text.replace("off = []", "off = [\"AO99\"]").replace("language = \"zh\"", "language = \"de\"")
    });
    for command in [&["run", "job.toml", "--date", "2026-11-18"][..], &["check", "job.toml"]] {
        let ending = shop.program(command);
        assert_eq!(ending.code, 2, "{}", ending.stderr);
        let told: Vec<_> = ending.stderr.lines().map(str::trim).collect();
        assert!(told[0].starts_with("error: 3 problems in "), "{}", ending.stderr);
        let problems = ["`job.timeout_seconds` is 0", "`rules.off` names `AO99`", "`report.language` is `de`"];
        for (line, problem) in told[1..].iter().zip(problems) {
            assert!(line.starts_with("line ") && line.contains(problem), "{}", ending.stderr);
        }
    }
}

#[test]
fn nothing_is_coloured_that_goes_into_a_file() {
    let shop = Shop::of_seed(48);
    let ending = shop.program(&["run", "absent.toml"]);
    assert_eq!(ending.code, 2);
    assert!(ending.stderr.starts_with("error: ") && !ending.stderr.contains('\u{1b}'), "{}", ending.stderr);
}

/// The program in a folder without a merchant.
fn program_in(folder: &Path, arguments: &[&str]) -> Ending {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coupon-recon"));
    Ending::of(command.args(arguments).current_dir(folder).output().unwrap())
}

#[test]
fn a_new_job_file_lacks_only_what_nobody_else_can_know() {
    let folder = tempfile::tempdir().unwrap();
    let program = |arguments: &[&str]| program_in(folder.path(), arguments);
    let begun = program(&["init", "shop"]);
    assert_eq!((begun.code, begun.stdout.as_str()), (0, "shop/job.toml\n"), "{}", begun.stderr);
    assert!(begun.stderr.contains("coupon-recon check shop/job.toml"), "{}", begun.stderr);
    let checked = program(&["check", "shop/job.toml"]);
    assert_eq!(checked.code, 2, "{}", checked.stderr);
    let problems: Vec<_> = checked.stderr.lines().filter(|line| line.contains("line ")).collect();
    assert_eq!(problems.len(), 5, "{}", checked.stderr);
    for word in ["apiclient_key.pem", "WXPAY_API_V3_KEY", "wxp_pub.pem", "WXPAY_V2_KEY", "WX_MP_SECRET"] {
        assert!(problems.iter().any(|line| line.contains(word)), "{word}: {}", checked.stderr);
    }
    let again = program(&["init", "shop"]);
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("already exists"), "{}", again.stderr);
}

#[test]
fn completions_and_man_pages_know_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let program = |arguments: &[&str]| program_in(folder.path(), arguments);
    for shell in ["bash", "zsh", "fish"] {
        let script = program(&["completions", shell]);
        assert_eq!(script.code, 0, "{}", script.stderr);
        for word in ["dry-run", "interval-start", "completions", "init"] {
            assert!(script.stdout.contains(word), "{shell} lacks {word}");
        }
    }
    let pages = program(&["man", "man1"]);
    assert_eq!(pages.code, 0, "{}", pages.stderr);
    let page = std::fs::read_to_string(folder.path().join("man1/coupon-recon-run.1")).unwrap();
    assert!(page.contains(".TH") && page.contains("backfill"), "{page}");
}

#[test]
fn the_units_of_systemd_are_sound_where_systemd_is_there_to_say_so() {
    let jobs = Path::new(env!("CARGO_MANIFEST_DIR")).join("jobs/systemd");
    let folder = tempfile::tempdir().unwrap();
    for name in ["coupon-recon.service", "coupon-recon.timer"] {
        let unit = std::fs::read_to_string(jobs.join(name)).unwrap();
        let unit = unit.replace("/usr/local/bin/coupon-recon", env!("CARGO_BIN_EXE_coupon-recon"));
        std::fs::write(folder.path().join(name), unit).unwrap();
    }
    let mut command = Command::new("systemd-analyze");
    command.args(["verify", "--man=no", "./coupon-recon.service", "./coupon-recon.timer"]).current_dir(folder.path());
    // A machine without systemd cannot check it.
    let Ok(output) = command.output() else { return };
    let ending = Ending::of(output);
    assert_eq!((ending.code, ending.stderr.as_str()), (0, ""));
}

#[test]
fn an_engine_that_cannot_do_the_night_is_refused_before_anybody_is_asked() {
    let shop = Shop::of_seed(42);
    let wechat = shop.serve(None);
    let run = |arguments: &[&str]| shop.run(&wechat, &[&["--date", "2026-11-18"], arguments].concat());
    let has_spark = cfg!(feature = "spark");
    let remote = "remote = \"sc://127.0.0.1:15002\"\n";
    shop.edit("job.toml", |text| text.replace(remote, ""));
    let ending = run(&["--engine", "spark"]);
    let why = if has_spark { "`engine.remote` is missing" } else { "this build has no Spark engine" };
    assert!(ending.code == 2 && ending.stderr.contains(why), "{} {}", ending.code, ending.stderr);
    shop.edit("job.toml", |text| text.replace("kind = \"polars\"", "kind = \"polars\"\nremote = \"sc://127.0.0.1:9\""));
    let ending = run(&["--engine", "spark"]);
    let why = if has_spark { "nobody answers at sc://127.0.0.1:9" } else { "this build has no Spark engine" };
    assert!(ending.code == if has_spark { 69 } else { 2 } && ending.stderr.contains(why), "{}", ending.stderr);
    assert_eq!(wechat.counts().total, 0, "nobody is asked");
    let ending = run(&["--engine", "polars"]);
    assert_eq!(ending.code, 0, "{}", ending.stderr);
}

#[test]
fn a_job_for_a_cluster_does_without_one_whatever_needs_none() {
    let shop = Shop::of_seed(42);
    let wechat = shop.serve(None);
    let remote = "remote = \"sc://127.0.0.1:15002\"\n";
    shop.edit("job.toml", |text| {
        text.replace(remote, "").replace("kind = \"polars\"", "kind = \"spark\"\nremote = \"sc://127.0.0.1:9\"")
    });
    let has_spark = cfg!(feature = "spark");
    let on_18th = |arguments: &[&str]| shop.run(&wechat, &[&["--date", "2026-11-18"], arguments].concat());
    let (code, why) = match has_spark {
        true => (69, "nobody answers at sc://127.0.0.1:9"),
        false => (2, "`engine.kind` is `spark`: this build has no Spark engine"),
    };
    for arguments in [&[][..], &["--replay"]] {
        let ending = on_18th(arguments);
        assert!(ending.code == code && ending.stderr.contains(why), "{} {}", ending.code, ending.stderr);
        assert!(has_spark || ending.stderr.contains("--engine polars"), "what to do: {}", ending.stderr);
    }
    assert_eq!(wechat.counts().total, 0, "nobody is asked");
    let url = wechat.running().base_url().to_owned();
    let ending = shop.program(&["check", "job.toml", "--base-url", &url]);
    assert!(ending.code == code && ending.stdout.contains("FAIL cluster `sc://127.0.0.1:9`: "), "{}", ending.stdout);
    assert!(ending.stdout.contains(why) && ending.stdout.contains("hint: "), "{}", ending.stdout);
    assert!(ending.stdout.contains("ok   job file") && ending.stdout.contains(" rules\n"), "{}", ending.stdout);
    let rehearsed = on_18th(&["--dry-run"]);
    let (code, why) = if has_spark { (0, "") } else { (code, why) };
    assert!(rehearsed.code == code && rehearsed.stderr.contains(why), "{} {}", rehearsed.code, rehearsed.stderr);
    let ending = on_18th(&["--emit-script", "night.py"]);
    assert!(ending.code == 0 && shop.path("night.py").is_file(), "{}", ending.stderr);
    let ending = on_18th(&["--take-script"]);
    assert!(ending.code == 75 && ending.stderr.contains("has not run to its end"), "{}", ending.stderr);
    let ending = on_18th(&["--engine", "polars"]);
    assert_eq!(ending.code, 0, "{}", ending.stderr);
    assert_eq!(shop.verify(crate::support::day(18)).code, 0);
    assert_eq!(shop.program(&["breaks", "job.toml", "--date", "2026-11-18"]).code, 0);
}

#[test]
fn a_gate_for_a_rule_that_does_not_exist_is_a_usage_error_before_anything_runs() {
    let shop = Shop::of_seed(41);
    let gate = |expression| shop.program(&["run", "job.toml", "--date", "2026-11-18", "--fail-on", expression]);
    for (expression, meant) in [("rule:ao08.count>0", "AO08"), ("open_count>5,rule:SU1.fen>0", "SU1")] {
        let ending = gate(expression);
        assert_eq!(ending.code, 2, "{}", ending.stderr);
        assert!(ending.stderr.contains("there is no rule") && ending.stderr.contains(meant), "{}", ending.stderr);
    }
    assert!(!shop.lake().exists());
}

#[test]
fn who_listens_to_the_results_does_not_decide_how_the_program_ends() {
    let shop = Shop::of_seed(41);
    let wechat = shop.serve(None);
    assert_eq!(shop.run(&wechat, &["--date", "2026-11-18"]).code, 0);
    let told_nobody = |arguments: &[&str], stdout: Stdio| {
        let ended = shop.command(arguments).stdout(stdout).output().unwrap();
        (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
    };
    let gate = ["breaks", "job.toml", "--date", "2026-11-18", "--fail-on", "open_count>0"];
    let full = || Stdio::from(std::fs::File::options().write(true).open("/dev/full").unwrap());
    let gone = || Stdio::from(std::io::pipe().unwrap().1);
    for stdout in [full(), gone()] {
        let (code, stderr) = told_nobody(&gate, stdout);
        assert_eq!(code, Some(3), "{stderr}");
    }
    let (_, stderr) = told_nobody(&gate, full());
    assert!(stderr.contains("cannot write the results to stdout"), "what is lost is told of: {stderr}");
    let list = ["breaks", "job.toml", "--date", "2026-11-18"];
    assert_eq!(told_nobody(&list, gone()), (Some(0), String::new()), "a reader that has gone away wants no more");
    let (code, stderr) = told_nobody(&list, full());
    assert_eq!(code, Some(75), "a full disk is for later");
    assert!(stderr.contains("cannot write the results to stdout"), "{stderr}");
    for result in [&["--help"][..], &["--version"], &["run", "--help"]] {
        let (code, stderr) = told_nobody(result, full());
        assert!(code == Some(75) && stderr.contains("cannot write the results to stdout"), "{result:?}: {stderr}");
        assert_eq!(told_nobody(result, gone()).0, Some(0), "{result:?}");
    }
}

#[test]
fn a_merchant_is_not_generated_over_a_job_of_somebody() {
    let shop = Shop::of_seed(41);
    let key = shop.path("mine/secrets/pii.key");
    assert_eq!(shop.program(&["init", "mine"]).code, 0);
    let before = std::fs::read(&key).unwrap();
    let ending = shop.program(&["generate", "mine"]);
    assert_eq!(ending.code, 2, "{}", ending.stderr);
    assert!(ending.stderr.contains("was not generated"), "{}", ending.stderr);
    assert_eq!(std::fs::read(&key).unwrap(), before);
    for _ in 0..2 {
        assert_eq!(shop.program(&["generate", "made"]).code, 0, "what was generated may be generated again");
    }
}

#[test]
fn breaks_since_a_later_day_than_they_are_asked_for_are_a_usage_error() {
    let shop = Shop::of_seed(25);
    let ending = shop.program(&["breaks", "job.toml", "--date", "2026-11-18", "--since", "2026-11-20"]);
    assert_eq!(ending.code, 2, "{}", ending.stderr);
    assert!(ending.stderr.contains("--since 2026-11-20 is after --date 2026-11-18"), "{}", ending.stderr);
}

#[test]
fn check_names_every_folder_and_file_that_is_not_there_with_key_and_line() {
    let shop = Shop::of_seed(25);
    let wechat = shop.serve(None);
    let url = wechat.running().base_url();
    let check = || shop.program(&["check", "job.toml", "--base-url", &url]);
    let whole = check();
    assert_eq!(whole.code, 0, "{}", whole.stdout);
    assert!(whole.stdout.contains("ok   folders and files that the job file names"), "{}", whole.stdout);
    let text = std::fs::read_to_string(shop.path("job.toml")).unwrap();
    shop.edit("job.toml", |text| {
        text.replace("source = \"api\"\ntar_type = \"GZIP\"", "source = \"files\"\npath = \"no-bills/{date}.csv\"")
    });
    for folder in ["orders", "subsidy-orders", "notifications"] {
        std::fs::rename(shop.path(folder), shop.path(&format!("{folder}-away"))).unwrap();
    }
    std::fs::remove_file(shop.path("roster.csv")).unwrap();
    let ending = check();
    assert_eq!(ending.code, 2, "{}", ending.stdout);
    let line_of = |start: &str| text.lines().position(|line| line.starts_with(start)).unwrap() + 1;
    let missing = [
        ("orders.path", "path = \"orders/", "folder", "orders"),
        ("subsidy_ledger.path", "path = \"subsidy-orders/", "folder", "subsidy-orders"),
        ("notifications.spool", "spool", "folder", "notifications"),
        ("wallets.roster_file", "roster_file", "file", "roster.csv"),
    ];
    for (key, start, kind, name) in missing {
        let told = format!("FAIL line {}: `{key}`: there is no {kind} `", line_of(start));
        let line = ending.stdout.lines().find(|line| line.starts_with(&told));
        assert!(line.is_some_and(|line| line.ends_with(&format!("/{name}`"))), "{told} in:\n{}", ending.stdout);
    }
    assert!(ending.stdout.contains("`bills.path`: there is no folder `"), "{}", ending.stdout);
}

#[test]
fn check_reads_the_decisions_before_a_night_stops_at_them() {
    let shop = Shop::of_seed(25);
    let wechat = shop.serve(None);
    let url = wechat.running().base_url();
    shop.edit("decisions.csv", |text| format!("{text}0123456789abcdef,accepted,why,who,19.11.2026\n"));
    let ending = shop.program(&["check", "job.toml", "--base-url", &url]);
    assert_eq!(ending.code, 65, "{}", ending.stdout);
    let told = ending.stdout.lines().find(|line| line.starts_with("FAIL decisions: "));
    assert!(told.is_some_and(|line| line.contains("`expires_on` is `19.11.2026`")), "{}", ending.stdout);
    std::fs::remove_file(shop.path("decisions.csv")).unwrap();
    let ending = shop.program(&["check", "job.toml", "--base-url", &url]);
    assert_eq!(ending.code, 0, "{}", ending.stdout);
    assert!(ending.stdout.contains("no decisions yet: `"), "{}", ending.stdout);
}

#[test]
fn a_day_that_was_never_run_is_told_alike_by_all_who_read_what_is_published() {
    let shop = Shop::of_seed(25);
    let wechat = shop.serve(None);
    assert_eq!(shop.run(&wechat, &["--date", "2026-11-18"]).code, 0);
    for command in ["verify", "breaks", "plan"] {
        let ending = shop.program(&[command, "job.toml", "--date", "2026-11-19"]);
        assert_eq!(ending.code, 75, "{command}: {}{}", ending.stdout, ending.stderr);
        let hint = "hint: run that date first; the latest published is 2026-11-18";
        assert!(
            ending.stderr.contains("published for 2026-11-19") && ending.stderr.contains(hint),
            "{}",
            ending.stderr
        );
    }
}

#[test]
fn who_reads_what_is_published_without_a_date_reads_yesterday() {
    let shop = Shop::of_seed(25);
    let wechat = shop.serve(None);
    assert_eq!(shop.run(&wechat, &["--date", "2026-11-18"]).code, 0);
    let at = |now, command| Ending::of(shop.command_at(now, &[command, "job.toml"]).output().unwrap());
    for command in ["verify", "breaks", "plan"] {
        // The UTC date of both is that of the day before midnight in Shanghai.
        let undated = at("2026-11-19T23:59:59+08:00", command);
        let dated = shop.program(&[command, "job.toml", "--date", "2026-11-18"]);
        assert_eq!((undated.code, undated.stdout), (0, dated.stdout), "{command}: {}", undated.stderr);
        let later = at("2026-11-20T00:00:00+08:00", command);
        assert!(later.stderr.contains("published for 2026-11-19"), "{command}: {}", later.stderr);
    }
}

#[test]
fn a_rule_that_is_switched_off_and_does_not_exist_is_named_with_its_line_and_the_nearest() {
    let shop = Shop::of_seed(25);
    shop.edit("job.toml", |text| text.replace("off = []", "off = [\"PM02\",\n  \"A001\"]"));
    let text = std::fs::read_to_string(shop.path("job.toml")).unwrap();
    let line = text.lines().position(|line| line.contains("A001")).unwrap() + 1;
    let ending = shop.program(&["run", "job.toml", "--date", "2026-11-18"]);
    assert_eq!(ending.code, 2, "{}", ending.stderr);
    let told = format!("line {line}: `rules.off` names `A001`, which is not a rule: did you mean `AO01`?");
    assert!(ending.stderr.contains(&told), "{}", ending.stderr);
}

#[test]
fn a_run_leaves_what_it_said_and_how_it_ended_beside_its_manifest() {
    let shop = Shop::of_seed(25);
    let wechat = shop.serve(None);
    let log_of = |manifest: &str| std::fs::read_to_string(Path::new(manifest).with_file_name("log")).unwrap();
    let quiet = shop.run(&wechat, &["--date", "2026-11-18"]);
    assert_eq!((quiet.code, quiet.stderr.contains("dead letter")), (0, false), "{}", quiet.stderr);
    let log = log_of(quiet.json()["manifest"].as_str().unwrap());
    assert!(log.contains("INFO a spooled callback is a dead letter"), "{log}");
    assert!(log.contains(" · 2026-11-18 · complete\n"), "{log}");
    // The next run has its own log, whatever stderr shows.
    let mut next = shop.command(&["--log-format", "json", "run", "job.toml", "--date", "2026-11-19"]);
    next.args(["--base-url", &wechat.running().base_url()]).env("COUPON_RECON_LOG", "off");
    let next = Ending::of(next.output().unwrap());
    let log = log_of(next.json()["manifest"].as_str().unwrap());
    assert!(log.contains(" · 2026-11-19 · complete\n") && !log.contains("2026-11-18 ·"), "{log}");
    shop.openids().iter().for_each(|openid| assert!(!log.contains(openid)));
}

#[test]
fn a_state_that_nobody_knows_is_counted_and_named_in_the_log_of_a_quiet_night() {
    let shop = Shop::of_seed(25);
    let wechat = shop.serve(None);
    let url = wechat.running().base_url();
    let night = shop.program(&["run", "job.toml", "--date", "2026-11-18", "--base-url", &url]);
    assert_eq!((night.code, night.stderr.as_str()), (0, ""));
    let manifest = night.manifest();
    assert_eq!(stage_of(&manifest, "stocks")["notes"]["unknown_values"], 1);
    assert_eq!(stage_of(&manifest, "user_coupons")["notes"]["unknown_values"], serde_json::Value::Null);
    let log = Path::new(night.json()["manifest"].as_str().unwrap()).with_file_name("log");
    let log = std::fs::read_to_string(log).unwrap();
    let told =
        "1 stock has values that this version does not know, kept as they came: `stock_state` `RUNNING_UNDER_REVIEW`";
    assert!(log.contains(told), "{log}");
}
