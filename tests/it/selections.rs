//! A night of some stages only, and its effect on the others: the journal, the published data, the messages.

use std::collections::BTreeSet;

use crate::support::{Ending, Shop, Wechat, day};

const NIGHTS: [&str; 3] = ["2026-11-18", "2026-11-19", "2026-11-20"];

fn published(seed: u64) -> (Shop, Wechat) {
    let shop = Shop::of_seed(seed);
    let wechat = shop.serve(None);
    shop.run_nights(&wechat);
    (shop, wechat)
}

/// The export of a day without its last line.
fn shorten(shop: &Shop, date: &str) {
    shop.edit(&format!("orders/{date}.csv"), |text| {
        let mut lines: Vec<_> = text.lines().collect();
        lines.pop();
        lines.join("\r\n")
    });
}

#[test]
fn a_refetch_of_one_stage_asks_that_one_and_the_day_can_still_be_replayed_and_proved() {
    let (shop, wechat) = published(26);
    let (calm, proved) = (shop.published(), shop.verify(day(20)).stdout);
    wechat.running().reset_counts();
    let ending = shop.run(&wechat, &["--date", NIGHTS[2], "--refetch", "--stage", "datacube"]);
    assert_eq!(ending.code, 0, "{}", ending.stderr);
    let asked = wechat.counts();
    assert!(asked.total > 0 && asked.of("GET /v3/marketing/busifavor/users/{openid}/coupons") == 0, "{asked:?}");
    assert!(shop.published() == calm, "the published bytes differ");
    let verified = shop.verify(day(20));
    assert_eq!((verified.code, verified.stdout), (0, proved));

    wechat.running().reset_counts();
    assert_eq!(shop.run(&wechat, &["--date", NIGHTS[2]]).code, 0);
    assert_eq!(wechat.counts().total, 0, "what is journalled is not asked again");
    let replayed = shop.program(&["run", "job.toml", "--replay", "--date", NIGHTS[2]]);
    assert_eq!(replayed.code, 0, "{}", replayed.stderr);
    assert!(shop.published() == calm, "the replay differs");
}

#[test]
fn a_bill_that_is_downloaded_again_and_zipped_otherwise_gives_the_same_bytes() {
    let (shop, wechat) = published(26);
    let (calm, zipped) = (shop.published(), kept_bills(&shop));
    let ending = shop.run(&wechat, &["--date", NIGHTS[1], "--refetch", "--stage", "bills"]);
    assert_eq!(ending.code, 0, "{}", ending.stderr);
    assert_eq!(kept_bills(&shop).len(), zipped.len() + 1, "the simulator zips every download anew");
    assert!(shop.published() == calm, "the published bytes differ");
    let again = shop.run(&wechat, &["--date", NIGHTS[1]]);
    assert_eq!((again.code, again.stderr.as_str()), (0, ""), "no later day is stale");
    assert!(shop.published() == calm, "the published bytes differ after a whole night");
}

/// The names of the kept files of bills: digests of their bytes.
fn kept_bills(shop: &Shop) -> BTreeSet<String> {
    let files = shop.files(&format!("journal/dt={}", NIGHTS[1]));
    files.into_keys().filter_map(|path| Some(path.split_once("/bills/files/")?.1.to_owned())).collect()
}

#[test]
fn a_rerun_names_as_stale_only_the_days_that_were_made_from_something_else() {
    let (shop, wechat) = published(26);
    let stale = |arguments: &[&str]| shop.run(&wechat, arguments).manifest()["stale_dates"].clone();
    let (nothing, later) = (serde_json::json!([]), serde_json::json!(NIGHTS[1..]));
    let again = shop.run(&wechat, &["--date", NIGHTS[0]]);
    assert_eq!((again.code, again.stderr.as_str()), (0, ""), "the same bytes make no day stale");
    assert_eq!(stale(&["--date", NIGHTS[0], "--stage", "datacube"]), nothing);

    shorten(&shop, NIGHTS[0]);
    let restated = shop.run(&wechat, &["--date", NIGHTS[0]]);
    assert!(restated.stderr.contains("run them again: 2026-11-19, 2026-11-20"), "{}", restated.stderr);
    assert_eq!(stale(&["--date", NIGHTS[0]]), later, "they are so until they are run again");
    assert_eq!(stale(&["--date", NIGHTS[1]]), serde_json::json!([NIGHTS[2]]));
    assert_eq!(stale(&["--date", NIGHTS[2]]), nothing);
    assert_eq!(stale(&["--date", NIGHTS[0]]), nothing);
    for date in &shop.dates {
        assert_eq!(shop.verify(*date).code, 0, "{}", shop.verify(*date).stdout);
    }
}

#[test]
fn a_stage_that_is_run_again_does_not_hide_that_the_rest_of_the_day_is_stale() {
    let (shop, wechat) = published(26);
    shorten(&shop, NIGHTS[0]);
    assert_eq!(shop.run(&wechat, &["--date", NIGHTS[0]]).code, 0);
    assert_eq!(shop.run(&wechat, &["--date", NIGHTS[1], "--stage", "datacube"]).code, 0);
    let verified = shop.verify(day(19));
    assert_eq!(verified.code, 5, "{}", verified.stdout);
    assert!(verified.stdout.contains("was restated after 2026-11-19 was made from it"), "{}", verified.stdout);
}

#[test]
fn verify_says_that_ledger_and_breaks_were_made_before_a_source_of_their_day_was_published_anew() {
    let (shop, wechat) = published(26);
    let export = "orders/2026-11-20.csv";
    let right = std::fs::read_to_string(shop.path(export)).unwrap();
    let verified = || {
        let verified = shop.verify(day(20));
        (verified.code, verified.stdout.lines().filter(|line| line.contains("were made")).count(), verified.stdout)
    };
    let rerun = |stages: &str| shop.run(&wechat, &["--date", NIGHTS[2], "--replay", "--stage", stages]).code;
    shorten(&shop, NIGHTS[2]);
    assert_eq!((rerun("orders"), rerun("cards")), (0, 0));
    let (code, told, stdout) = verified();
    assert_eq!((code, told), (5, 1), "{stdout}");
    let words = "orders/dt=2026-11-20/part-0.parquet: was published after the ledger and breaks of its day were made";
    assert!(stdout.contains(words), "{stdout}");
    // Their inputs are restored.
    std::fs::write(shop.path(export), right).unwrap();
    assert_eq!((rerun("orders"), verified().0), (0, 0), "{}", verified().2);
    shorten(&shop, NIGHTS[2]);
    assert_eq!((rerun("orders"), verified().0), (0, 5));
    assert_eq!(shop.run(&wechat, &["--date", NIGHTS[2]]).code, 0);
    assert_eq!(verified().0, 0, "{}", verified().2);
}

#[test]
fn an_export_that_changed_is_published_with_the_ledger_and_breaks_that_are_made_from_it() {
    let (shop, wechat) = published(26);
    let export = "datasets/orders/dt=2026-11-20/part-0.parquet";
    let published = |name: &str| shop.published().remove(name).unwrap_or_default();
    let rerun = || shop.run(&wechat, &["--date", NIGHTS[2], "--replay", "--stage", "reconcile,report"]);
    let files = |ending: &Ending| {
        let manifest = ending.manifest();
        let files = manifest["files"].as_array().unwrap().iter().map(|it| it["dataset"].as_str().unwrap().to_owned());
        files.filter(|name| name != "reports").collect::<BTreeSet<_>>()
    };
    let before = published(export);
    shorten(&shop, NIGHTS[2]);
    let judged = rerun();
    assert_eq!(judged.code, 0, "{}", judged.stderr);
    assert_eq!(files(&judged), ["breaks", "coupon_ledger", "orders"].map(str::to_owned).into());
    assert!(published(export) != before, "the rows of ledger and breaks are those of the export");
    assert_eq!(shop.verify(day(20)).code, 0, "{}", shop.verify(day(20)).stdout);
    let by_rules_alone = shop.published();
    assert_eq!(shop.run(&wechat, &["--date", NIGHTS[2], "--replay"]).code, 0);
    assert!(by_rules_alone == shop.published(), "the whole night publishes the same bytes");

    shop.edit("job.toml", |text| text.replace("stuck_hours = 24", "stuck_hours = 25"));
    let judged = rerun();
    assert_eq!(judged.code, 0, "{}", judged.stderr);
    assert_eq!(
        files(&judged),
        ["breaks", "coupon_ledger"].map(str::to_owned).into(),
        "other rules are no other sources"
    );
}

#[test]
fn rules_alone_publish_what_they_judge_of_a_day_of_which_nothing_is_published() {
    let shop = Shop::of_seed(26);
    let wechat = shop.serve(None);
    let judged = shop.run(&wechat, &["--date", NIGHTS[0], "--stage", "reconcile,report"]);
    assert_eq!((judged.code, wechat.counts().total), (4, 0), "{}", judged.stderr);
    assert!(shop.published().contains_key("datasets/orders/dt=2026-11-18/part-0.parquet"));
    assert_eq!(shop.verify(day(18)).code, 0, "{}", shop.verify(day(18)).stdout);
}

#[test]
fn a_dataset_that_an_earlier_day_was_given_later_makes_a_day_stale_for_run_and_verify_alike() {
    let shop = Shop::of_seed(26);
    let wechat = shop.serve(None);
    let most =
        "orders,bills,subsidy_ledger,notifications,roster,stocks,user_coupons,coupon_codes,subsidies,reconcile,report";
    // The rules about cards lack their input, and the night reports it.
    assert_eq!(shop.run(&wechat, &["--date", NIGHTS[0], "--stage", most]).code, 4);
    assert_eq!(shop.run(&wechat, &["--date", NIGHTS[1]]).code, 0);
    assert_eq!(shop.verify(day(19)).code, 0, "{}", shop.verify(day(19)).stdout);
    let late = shop.run(&wechat, &["--date", NIGHTS[0], "--stage", "datacube"]);
    assert!(late.stderr.contains("run them again: 2026-11-19"), "{}", late.stderr);
    let verified = shop.verify(day(19));
    assert_eq!(verified.code, 5);
    let words = "2026-11-19 is stale: `card_account_daily` of 2026-11-18 was published after it was made";
    assert!(verified.stdout.contains(words), "{}", verified.stdout);
}

#[test]
fn a_run_that_judged_nothing_does_not_say_that_nothing_is_open() {
    let (shop, wechat) = published(26);
    let some = shop.run(&wechat, &["--date", NIGHTS[0], "--stage", "datacube", "--summary"]);
    let told = some.json();
    assert!(told["open_breaks"].is_null() && told["open_fen"].is_null(), "{told}");
    assert!(!some.stderr.contains("open breaks"), "{}", some.stderr);
    let whole = shop.run(&wechat, &["--date", NIGHTS[0]]).json();
    assert!(whole["open_breaks"].as_u64() > Some(0), "{whole}");

    std::fs::remove_file(shop.lake().join("datasets/orders/dt=2026-11-18/part-0.parquet")).unwrap();
    let refused = shop.run(&wechat, &["--date", NIGHTS[1]]);
    assert_eq!((refused.code, refused.json()["open_breaks"].is_null()), (5, true), "{}", refused.stderr);
    assert!(!refused.stderr.contains("open breaks"), "{}", refused.stderr);
}

#[test]
fn a_day_that_is_judged_again_without_one_of_its_sources_is_no_complete_night_and_stays_as_it_is() {
    let (shop, wechat) = published(26);
    let calm = shop.published();
    let judged = |words: &str, code: i32| {
        let ending = shop.run(&wechat, &["--date", NIGHTS[2], "--replay", "--stage", "reconcile,report"]);
        assert_eq!(ending.code, code, "{}", ending.stderr);
        assert_eq!(
            (ending.json()["status"].clone(), ending.json()["exit_code"].clone()),
            ("failed".into(), code.into())
        );
        assert!(ending.stderr.contains(words) && ending.stderr.contains("stays as it is"), "{}", ending.stderr);
        assert!(shop.published() == calm, "the published bytes differ");
    };
    let export = format!("orders/{}.csv", NIGHTS[2]);
    let right = std::fs::read_to_string(shop.path(&export)).unwrap();
    shop.edit(&export, |text| format!("{text}no order\r\n"));
    judged("1 malformed row", 4);
    std::fs::write(shop.path(&export), right).unwrap();
    let ledger = shop.path(&format!("subsidy-orders/{}.csv", NIGHTS[2]));
    let right = std::fs::read(&ledger).unwrap();
    std::fs::remove_file(&ledger).unwrap();
    judged("is not there", 75);
    std::fs::write(&ledger, right).unwrap();
    std::fs::remove_dir_all(shop.lake().join("journal/dt=2026-11-20/gen-001/user_coupons")).unwrap();
    judged("answers are not in the journal", 4);
}

#[test]
fn rules_that_lack_a_source_of_an_earlier_run_make_a_night_of_the_rules_alone_partial() {
    let shop = Shop::of_seed(26);
    let wechat = shop.serve(None);
    let sources = "orders,bills,subsidy_ledger,notifications,roster,user_coupons,stocks,coupon_codes,subsidies,datacube,cards,v2_stocks";
    assert_eq!(shop.run(&wechat, &["--date", NIGHTS[0], "--stage", sources]).code, 0);
    let export = format!("subsidy-orders/{}.csv", NIGHTS[0]);
    let right = std::fs::read_to_string(shop.path(&export)).unwrap();
    shop.edit(&export, |_| "no ledger\r\n".to_owned());
    // The datasets of the other run are not its business; ledger, breaks and reports are.
    std::fs::remove_dir_all(shop.lake().join("datasets")).unwrap();
    std::fs::remove_dir_all(shop.lake().join("runs")).unwrap();
    let rules = ["--date", NIGHTS[0], "--stage", "reconcile,report"];
    let short = shop.run(&wechat, &rules);
    assert_eq!((short.code, short.json()["status"].clone()), (4, "partial".into()), "{}", short.stderr);
    assert!(short.stderr.contains("not judged: ") && short.stderr.contains("SU11"), "{}", short.stderr);
    let summary = std::fs::read_to_string(shop.lake().join("reports/dt=2026-11-18/summary.json")).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&summary).unwrap()["status"], "partial");
    std::fs::write(shop.path(&export), right).unwrap();
    let whole = shop.run(&wechat, &rules);
    assert_eq!((whole.code, whole.json()["status"].clone()), (0, "complete".into()), "{}", whole.stderr);
}

#[test]
fn a_gate_or_a_report_without_the_stage_that_judges_is_refused_before_anybody_is_asked() {
    let shop = Shop::of_seed(26);
    let wechat = shop.serve(None);
    let refused = |arguments: &[&str], words: &str| {
        let ending = shop.run(&wechat, &[&["--date", NIGHTS[0]], arguments].concat());
        assert_eq!(ending.code, 2, "{}", ending.stderr);
        assert!(ending.stderr.contains(words), "{}", ending.stderr);
    };
    refused(&["--stage", "datacube", "--fail-on", "open_count>0"], "--fail-on: these stages judge nothing");
    refused(&["--stage", "report"], "--stage reconcile,report");
    refused(&["--stage", "report,cards", "--dry-run"], "--stage reconcile,report");
    assert_eq!((wechat.counts().total, shop.lake().exists()), (0, false));
    let judged = shop.run(&wechat, &["--date", NIGHTS[0], "--fail-on", "open_count>0"]);
    assert_eq!(judged.code, 3, "{}", judged.stderr);
}

#[test]
fn stages_that_the_job_has_no_source_for_are_nothing_to_do() {
    let shop = Shop::of_seed(26);
    let wechat = shop.serve(None);
    shop.edit("job.toml", |text| {
        let [from, to] = ["[mp]", "[stocks]"].map(|section| text.find(section).unwrap());
        format!("{}{}", &text[..from], &text[to..])
    });
    for stages in ["datacube,cards", "roster"] {
        let ending = shop.run(&wechat, &["--date", NIGHTS[0], "--stage", stages]);
        assert_eq!((ending.code, ending.stdout.as_str()), (99, ""), "{stages}: {}", ending.stderr);
        let words = "nothing to do for 2026-11-18: the job has no source for these stages";
        assert!(ending.stderr.contains(words), "{stages}: {}", ending.stderr);
    }
    let early = shop.run(&wechat, &["--date", "2026-11-17"]);
    assert!(early.code == 99 && early.stderr.contains("the job begins with 2026-11-18"), "{}", early.stderr);
    assert_eq!((wechat.counts().total, shop.lake().exists()), (0, false));
    assert_eq!(shop.run(&wechat, &["--date", NIGHTS[0], "--stage", "stocks,datacube"]).code, 0);
}
