//! `coupon-recon plan` and `apply`: what is proposed, what approval means, and that no call is made twice whatever happens
//! on the way.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use coupon_recon::clock::World;
use coupon_recon::dataset::partition::read_rows;
use coupon_recon::journal::Journal;
use coupon_recon::record::{BreakStatus, SubsidyReturn};
use coupon_recon::sha256::sha256_of;
use coupon_recon::simulator::generate::Recipe;
use serde_json::{Value, json};

use crate::support::{ClosedPort, Ending, Shop, Wechat, day};

const DATE: &str = "2026-11-20";
const USE: &str = "POST /v3/marketing/busifavor/coupons/use";
const RETURN: &str = "POST /v3/marketing/busifavor/coupons/return";
const PAY: &str = "POST /v3/marketing/busifavor/subsidy/pay-receipts";
const RETURN_SUBSIDY: &str = "POST /v3/marketing/busifavor/subsidy/return-receipts";

/// Edits of a call in a plan file.
type Change = fn(&mut Value);

/// The sample merchant after its three nights.
fn reconciled() -> (Shop, Wechat) {
    let shop = Shop::sample();
    shop.shorten_waits();
    let wechat = shop.serve(None);
    shop.run_nights(&wechat);
    (shop, wechat)
}

/// A merchant of four days after three nights, at the noon on which the fourth day is not over. Nobody lists all his users.
fn before_the_fourth_night() -> (Shop, Wechat) {
    let shop = Shop::of(&Recipe::new(20_261_118, 120, 4, day(18)));
    shop.edit("job.toml", |text| text.replace("roster_file = \"roster.csv\"\n", ""));
    let wechat = shop.serve(None);
    for date in &shop.dates[..3] {
        let ending = shop.run(&wechat, &["--date", &date.to_string()]);
        assert_eq!(ending.code, 0, "{date}: {}", ending.stderr);
    }
    (shop, wechat)
}

/// Plans the last night into `plan.json`, with further arguments.
fn plan(shop: &Shop, arguments: &[&str]) -> Value {
    let ending = shop.program(&[&["plan", "job.toml", "--date", DATE, "--out", "plan.json"], arguments].concat());
    assert_eq!((ending.code, ending.stdout.as_str()), (0, ""), "{}", ending.stderr);
    serde_json::from_slice(&std::fs::read(shop.path("plan.json")).unwrap()).unwrap()
}

fn approval(shop: &Shop) -> String {
    sha256_of(&std::fs::read(shop.path("plan.json")).unwrap())
}

fn rewrite(shop: &Shop, plan: &Value) {
    std::fs::write(shop.path("plan.json"), format!("{plan:#}\n")).unwrap();
}

/// `apply` of the plan as it is now, at this address.
fn applying(shop: &Shop, url: &str) -> Command {
    shop.command(&["apply", "plan.json", "--approve", &approval(shop), "--base-url", url])
}

fn apply(shop: &Shop, wechat: &Wechat) -> Ending {
    Ending::of(applying(shop, &wechat.running().base_url()).output().unwrap())
}

/// As `apply`, killed at a commit point; whether it was.
fn apply_dying(shop: &Shop, wechat: &Wechat, at: &str) -> bool {
    let mut command = applying(shop, &wechat.running().base_url());
    command.env("COUPON_RECON_DIE_AT", at).output().unwrap().status.signal() == Some(9)
}

/// Writes that reached WeChat.
fn written(wechat: &Wechat) -> u64 {
    [USE, RETURN, PAY, RETURN_SUBSIDY].map(|endpoint| wechat.counts().of(endpoint)).iter().sum()
}

fn calls(plan: &Value) -> u64 {
    plan["calls"].as_array().unwrap().len() as u64
}

fn rules_of(calls: &Value) -> BTreeSet<&str> {
    calls.as_array().unwrap().iter().map(|call| call["rule_id"].as_str().unwrap()).collect()
}

/// How many subsidies of a coupon WeChat knows.
fn receipts_of(shop: &Shop, wechat: &Wechat, call: &Value) -> usize {
    let text = |name: &str| call["body"][name].as_str().unwrap().to_owned();
    let (stock, code) = (format!("stock_id={}", text("stock_id")), format!("coupon_code={}", text("coupon_code")));
    let path = "/v3/marketing/busifavor/subsidy/pay-receipts";
    let url = wechat.running().base_url();
    let asked = ["api", "GET", path, "-f", &stock, "-f", &code, "--job", "job.toml", "--base-url", &url];
    let answer: Value = serde_json::from_str(&shop.program(&asked).stdout).unwrap();
    answer["pay_receipt_list"].as_array().unwrap().len()
}

#[test]
fn an_approved_plan_is_carried_out_once_and_its_answers_are_evidence() {
    let (shop, wechat) = reconciled();
    let plan = plan(&shop, &[]);
    assert_eq!(rules_of(&plan["calls"]), BTreeSet::from(["AO03", "AO14", "SU01", "SU07", "SU10", "SU11"]));
    assert_eq!(written(&wechat), 0, "a plan sends nothing");
    let published = shop.published();
    let first = apply(&shop, &wechat);
    assert_eq!(first.code, 0, "{}", first.stderr);
    assert_eq!((&first.json()["done"], &first.json()["failed"]), (&json!(calls(&plan)), &json!(0)));
    assert_eq!(written(&wechat), calls(&plan));
    let again = apply(&shop, &wechat);
    assert_eq!((again.code, &again.json()["before"]), (0, &json!(calls(&plan))), "{}", again.stderr);
    assert_eq!(written(&wechat), calls(&plan), "nothing is sent a second time");
    let verified = shop.verify(shop.dates[2]);
    assert_eq!(verified.code, 0, "{}{}", verified.stdout, verified.stderr);
    shop.replay_from_nothing();
    assert_eq!(shop.published(), published, "what was done is no input of a night that is over");
}

#[test]
fn the_same_lake_gives_the_same_plan_on_stdout_as_in_a_file() {
    let (shop, _wechat) = reconciled();
    plan(&shop, &[]);
    let shown = shop.program(&["plan", "job.toml", "--date", DATE]);
    assert_eq!(shown.stdout.as_bytes(), std::fs::read(shop.path("plan.json")).unwrap());
    assert!(shown.stderr.contains(&approval(&shop)), "{}", shown.stderr);
    let [few, none] = [&["--rule", "SU01,SU07"], &["--rule", "AO01,AO02"]].map(|rules| plan(&shop, rules));
    assert_eq!(rules_of(&few["calls"]), BTreeSet::from(["SU01", "SU07"]));
    assert_eq!(calls(&none), 0);
    let unknown = shop.program(&["plan", "job.toml", "--date", DATE, "--rule", "SU99"]);
    assert!(unknown.code == 2 && unknown.stderr.contains("no rule `SU99`"), "{}", unknown.stderr);
    let early = shop.program(&["plan", "job.toml", "--date", "2026-11-21"]);
    assert!(early.code == 75 && early.stderr.contains("no breaks are published for 2026-11-21"), "{}", early.stderr);
    for command in ["plan", "breaks", "verify"] {
        let before = shop.program(&[command, "job.toml", "--date", "2026-11-17"]);
        assert!(before.code == 2 && before.stderr.contains("the job begins with 2026-11-18"), "{}", before.stderr);
    }
}

#[test]
fn calls_may_be_taken_out_of_a_plan_and_what_is_left_must_be_approved_anew() {
    let (shop, wechat) = reconciled();
    let mut plan = plan(&shop, &[]);
    let approved = approval(&shop);
    plan["calls"].as_array_mut().unwrap().truncate(1);
    rewrite(&shop, &plan);
    let url = wechat.running().base_url();
    let refused = shop.program(&["apply", "plan.json", "--approve", &approved, "--base-url", &url]);
    assert_eq!((refused.code, written(&wechat)), (2, 0), "{}", refused.stderr);
    assert!(refused.stderr.contains(&approval(&shop)), "{}", refused.stderr);
    let done = apply(&shop, &wechat);
    assert_eq!((done.code, written(&wechat)), (0, 1), "{}", done.stderr);
}

#[test]
fn a_plan_holds_no_call_but_the_four_and_each_with_its_own_fields() {
    let (shop, wechat) = reconciled();
    let plan = plan(&shop, &[]);
    let changes: [(&str, Change); 6] = [
        ("is not a call of a plan", |call| call["path"] = json!("/v3/marketing/busifavor/coupons/deactivate")),
        ("unknown field `openid`", |call| call["body"]["openid"] = json!("oX")),
        ("missing field `stock_id`", |call| drop(call["body"].as_object_mut().unwrap().remove("stock_id"))),
        ("`request_no` is `other`", |call| call["request_no"] = json!("other")),
        ("unknown field `note`", |call| call["note"] = json!("later")),
        ("invalid type", |call| call["body"]["stock_id"] = json!(12)),
    ];
    for (complaint, change) in changes {
        let mut changed = plan.clone();
        change(&mut changed["calls"][0]);
        rewrite(&shop, &changed);
        let refused = apply(&shop, &wechat);
        assert_eq!(refused.code, 2, "{complaint}: {}", refused.stderr);
        assert!(refused.stderr.contains(complaint), "`{complaint}` is missing in:\n{}", refused.stderr);
    }
    let mut doubled = plan.clone();
    doubled["calls"].as_array_mut().unwrap().push(plan["calls"][0].clone());
    rewrite(&shop, &doubled);
    assert!(apply(&shop, &wechat).stderr.contains("is used twice"));
    let mut dear = plan.clone();
    let payment = dear["calls"].as_array_mut().unwrap().iter_mut().find(|call| call["body"]["amount"].is_i64());
    payment.unwrap()["body"]["amount"] = json!(500_001);
    rewrite(&shop, &dear);
    assert!(apply(&shop, &wechat).stderr.contains("an amount of 5000.01 yuan"));
    assert_eq!(written(&wechat), 0);
}

#[test]
fn a_plan_is_for_the_breaks_it_was_made_from_and_for_its_own_job() {
    let (shop, wechat) = reconciled();
    let planned = plan(&shop, &[]);
    let mut foreign = planned.clone();
    foreign["mchid"] = json!("1900000999");
    rewrite(&shop, &foreign);
    let refused = apply(&shop, &wechat);
    assert!(refused.code == 2 && refused.stderr.contains("merchant 1900000999"), "{}", refused.stderr);
    rewrite(&shop, &planned);
    let accepted = planned["calls"][0]["break_id"].as_str().unwrap();
    shop.edit("decisions.csv", |text| format!("{text}{accepted},accepted,known to the store,li.wei,\n"));
    assert_eq!(shop.run(&wechat, &["--date", DATE]).code, 0);
    let stale = apply(&shop, &wechat);
    assert!(stale.code == 2 && stale.stderr.contains("republished"), "{}", stale.stderr);
    assert_eq!(written(&wechat), 0);
    assert_eq!(calls(&plan(&shop, &[])), calls(&planned) - 1, "an accepted break needs no call");
}

#[test]
fn a_call_whose_break_is_not_open_in_a_later_night_is_not_made() {
    let shop = Shop::sample();
    let wechat = shop.serve(None);
    shop.run_nights(&wechat);
    let made = shop.program(&["plan", "job.toml", "--date", "2026-11-18", "--out", "plan.json"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let open: BTreeSet<_> =
        shop.breaks(shop.dates[2]).into_iter().filter(|it| it.is_open()).map(|it| it.break_id).collect();
    let plan: Value = serde_json::from_slice(&std::fs::read(shop.path("plan.json")).unwrap()).unwrap();
    let still =
        plan["calls"].as_array().unwrap().iter().filter(|call| open.contains(call["break_id"].as_str().unwrap()));
    let still = still.count() as u64;
    assert!(0 < still && still < calls(&plan), "{still} of {}", calls(&plan));
    let done = apply(&shop, &wechat);
    assert_eq!((&done.json()["done"], &done.json()["settled"]), (&json!(still), &json!(calls(&plan) - still)));
    assert_eq!((done.code, written(&wechat)), (0, still), "{}", done.stderr);
}

#[test]
fn a_plan_killed_at_every_commit_point_pays_and_returns_everything_once() {
    let (shop, wechat) = reconciled();
    let mut plan = plan(&shop, &[]);
    let mut seen = BTreeSet::new();
    let is_first = |call: &&Value| seen.insert(call["path"].as_str().unwrap().to_owned());
    let first: Vec<Value> = plan["calls"].as_array().unwrap().iter().filter(is_first).cloned().collect();
    plan["calls"] = json!(first);
    rewrite(&shop, &plan);
    let pays = |plan: &Value| {
        plan["calls"]
            .as_array()
            .unwrap()
            .iter()
            .find(|call| call["body"]["out_subsidy_no"].is_string())
            .cloned()
            .unwrap()
    };
    let (payment, mut kills) = (pays(&plan), 0);
    let before = receipts_of(&shop, &wechat, &payment);
    // The n-th run dies at its n-th step, until one completes.
    while apply_dying(&shop, &wechat, &format!("renamed:remedies#{}", kills + 1)) {
        kills += 1;
    }
    let done = apply(&shop, &wechat);
    let json = done.json();
    assert!(kills >= 3, "a call is marked before it is sent and journalled behind: {kills} kills");
    assert_eq!(json["untried"], 0, "{}", done.stderr);
    assert_eq!(receipts_of(&shop, &wechat, &payment), before + 1, "one subsidy, however often it was sent");
    for endpoint in [USE, RETURN] {
        assert!(wechat.counts().of(endpoint) <= 1, "{endpoint} is not known to be idempotent");
    }
    assert_eq!(json["failed"], json!(done.stderr.matches("unknown ").count()), "{}", done.stderr);
}

#[test]
fn what_was_sent_without_an_answer_is_sent_again_only_where_the_number_protects() {
    let (shop, wechat) = reconciled();
    let rules = "AO14,SU01";
    let plan = plan(&shop, &["--rule", rules]);
    wechat.play("[[fault]]\npath = \"/v3/marketing/busifavor/coupons/return\"\nkind = \"reset\"\n");
    let broken = apply(&shop, &wechat);
    assert_eq!(broken.code, 69, "{}", broken.stderr);
    assert!(broken.stderr.starts_with("unanswered  AO14"), "{}", broken.stderr);
    assert_eq!(broken.json()["untried"], json!(calls(&plan) - 1), "nobody goes on hammering");
    wechat.play("");
    let sent = wechat.counts().of(RETURN);
    assert_eq!(sent, 1, "a return without an answer is not tried a second time");
    let unknown = apply(&shop, &wechat);
    assert_eq!(unknown.code, 4, "{}", unknown.stderr);
    assert_eq!(unknown.json()["done"], json!(calls(&plan) - 1));
    assert!(unknown.stderr.starts_with("unknown     AO14"), "{}", unknown.stderr);
    let returns = plan["calls"].as_array().unwrap().iter().filter(|call| call["rule_id"] == "AO14").count() as u64;
    assert_eq!(wechat.counts().of(RETURN), sent + returns - 1, "the coupon may have been used again since");
}

#[test]
fn a_refusal_is_told_and_does_not_stop_the_other_calls() {
    let (shop, wechat) = reconciled();
    let plan = plan(&shop, &[]);
    wechat.play(
        "[[fault]]\npath = \"/v3/marketing/busifavor/subsidy/pay-receipts\"\nkind = \"errcode\"\nvalue = \"RULE_LIMIT\"\ntimes = 1\n",
    );
    let ending = apply(&shop, &wechat);
    assert_eq!((ending.code, &ending.json()["failed"]), (4, &json!(1)), "{}", ending.stderr);
    assert!(ending.stderr.contains("refused     ") && ending.stderr.contains("RULE_LIMIT"), "{}", ending.stderr);
    assert_eq!(ending.json()["done"], json!(calls(&plan) - 1));
    let mended = apply(&shop, &wechat);
    assert_eq!((mended.code, &mended.json()["done"]), (0, &json!(1)), "{}", mended.stderr);
}

#[test]
fn an_answer_that_cannot_be_believed_ends_the_calls_with_77_and_nothing_of_it_is_kept() {
    let (shop, wechat) = reconciled();
    let plan = plan(&shop, &["--rule", "SU01"]);
    let before = receipts_of(&shop, &wechat, &plan["calls"][0]);
    wechat.play("[[fault]]\npath = \"/v3/marketing/busifavor/subsidy/\"\nkind = \"wrong_signature\"\n");
    let forged = apply(&shop, &wechat);
    assert_eq!((forged.code, &forged.json()["done"]), (77, &json!(0)), "{}", forged.stderr);
    wechat.play("");
    let done = apply(&shop, &wechat);
    assert_eq!((done.code, &done.json()["done"]), (0, &json!(calls(&plan))), "{}", done.stderr);
    assert_eq!(receipts_of(&shop, &wechat, &plan["calls"][0]), before + 1, "the number pays once");
    assert_eq!(shop.verify(shop.dates[2]).code, 0);
}

#[test]
fn the_answers_of_apply_are_kept_when_a_night_is_asked_again() {
    let (shop, wechat) = reconciled();
    let plan = plan(&shop, &[]);
    assert_eq!(apply(&shop, &wechat).code, 0);
    assert_eq!(shop.run(&wechat, &["--date", DATE, "--refetch"]).code, 0);
    let generations = std::fs::read_dir(shop.lake().join(format!("journal/dt={DATE}"))).unwrap().count();
    assert_eq!(generations, 2, "the night was asked again");
    let kept = Journal::replay(&shop.lake().join(format!("journal/dt={DATE}")), None, World::real()).unwrap();
    assert_eq!(kept.stage("remedies").unwrap().entries().unwrap().len() as u64, calls(&plan));
    assert_eq!(shop.verify(shop.dates[2]).code, 0);
}

#[test]
fn the_certificates_that_prove_an_answer_of_apply_are_durable_before_it() {
    let (shop, wechat) = reconciled();
    std::fs::copy(shop.path("job-certificates.toml"), shop.path("job.toml")).unwrap();
    let job = std::fs::read_to_string(shop.path("job.toml")).unwrap();
    assert!(!job.contains("public_key_file"), "the keys of the platform are asked for");
    plan(&shop, &["--rule", "SU01"]);
    assert!(apply_dying(&shop, &wechat, "renamed:/remedies/"), "no answer of a call was journalled");
    let journal = Journal::replay(&shop.lake().join(format!("journal/dt={DATE}")), None, World::real()).unwrap();
    assert_eq!(journal.stage("remedies").unwrap().entries().unwrap().len(), 1);
    assert_eq!(journal.stage("certificates").unwrap().entries().unwrap().len(), 1);
}

#[test]
fn a_coupon_that_two_days_ask_back_is_returned_once() {
    let (shop, wechat) = reconciled();
    let asked = |date: &str, name: &str| {
        let made = shop.program(&["plan", "job.toml", "--date", date, "--rule", "AO14,AO03", "--out", name]);
        assert_eq!(made.code, 0, "{}", made.stderr);
        let bytes = std::fs::read(shop.path(name)).unwrap();
        let plan: Value = serde_json::from_slice(&bytes).unwrap();
        let numbers =
            plan["calls"].as_array().unwrap().iter().map(|call| call["request_no"].as_str().unwrap().to_owned());
        (numbers.collect::<BTreeSet<_>>(), sha256_of(&bytes))
    };
    let ((earlier, one), (later, two)) = (asked("2026-11-19", "one.json"), asked(DATE, "two.json"));
    assert!(earlier.intersection(&later).count() > 0, "no call stands in both plans");
    let url = wechat.running().base_url();
    for (name, sha256) in [("one.json", one), ("two.json", two)] {
        shop.program(&["apply", name, "--approve", &sha256, "--base-url", &url]);
    }
    assert!(written(&wechat) <= earlier.union(&later).count() as u64, "a call was made for both days");
}

#[test]
fn a_night_that_asked_before_a_call_and_ends_after_it_does_not_have_it_made_twice() {
    let (shop, wechat) = before_the_fourth_night();
    let planned = plan(&shop, &["--rule", "AO14"]);
    shop.sleep_a_night();
    assert!(shop.run_dying(&wechat, "staged:publishing.json$", &["--date", "2026-11-21"]));
    // The fourth day has returned one of the coupons already, which WeChat refuses.
    let first = apply(&shop, &wechat);
    let (done, sent) = (first.json()["done"].as_u64().unwrap(), wechat.counts().of(RETURN));
    assert!(done > 0 && sent == calls(&planned), "{}", first.stderr);
    let night = shop.run(&wechat, &["--date", "2026-11-21"]);
    assert_eq!(night.code, 0, "{}", night.stderr);
    let arguments = ["plan", "job.toml", "--date", "2026-11-21", "--out", "plan.json", "--rule", "AO14"];
    assert_eq!(shop.program(&arguments).code, 0);
    let anew: Value = serde_json::from_slice(&std::fs::read(shop.path("plan.json")).unwrap()).unwrap();
    let later = apply(&shop, &wechat);
    let unknown = later.stderr.matches("unknown     AO14").count() as u64;
    assert_eq!(unknown, done, "the night went by the wallets of before the calls: {}", later.stderr);
    assert_eq!(wechat.counts().of(RETURN), sent + calls(&anew) - done, "a coupon may have been used since");
}

#[test]
fn a_return_that_failed_at_once_is_known_to_the_next_night() {
    let (shop, wechat) = before_the_fourth_night();
    let planned = plan(&shop, &["--rule", "SU07"]);
    let call = &planned["calls"][0];
    rewrite(&shop, &{
        let mut only = planned.clone();
        only["calls"] = json!([call]);
        only
    });
    wechat.play("[[fault]]\npath = \"/v3/marketing/busifavor/subsidy/return-receipts\"\nkind = \"failed_receipts\"\n");
    let failed = apply(&shop, &wechat);
    assert_eq!(failed.code, 4, "{}", failed.stderr);
    assert!(failed.stderr.contains("no money was paid"), "{}", failed.stderr);
    shop.sleep_a_night();
    let night = shop.run(&wechat, &["--date", "2026-11-21"]);
    assert_eq!(night.code, 0, "{}", night.stderr);
    let returns = shop.lake().join("datasets/subsidy_returns/dt=2026-11-21/part-0.parquet");
    let returns = read_rows::<SubsidyReturn>(&returns).unwrap();
    let known = returns.iter().find(|it| call["request_no"] == it.out_subsidy_return_no.as_str());
    assert_eq!(known.map(|it| it.status.as_deref()), Some(Some("FAIL")), "it would be proposed under its number again");
}

#[test]
fn what_was_put_into_a_plan_or_changed_in_it_is_not_sent() {
    let (shop, wechat) = reconciled();
    let plan = plan(&shop, &["--rule", "SU01"]);
    let change = |of: &dyn Fn(&mut Value)| {
        let mut changed = plan.clone();
        of(&mut changed["calls"][0]);
        rewrite(&shop, &changed);
        let refused = apply(&shop, &wechat);
        assert_eq!((refused.code, written(&wechat)), (2, 0), "{}", refused.stderr);
        refused.stderr
    };
    let dearer = |call: &mut Value| call["body"]["amount"] = json!(499_999);
    assert!(change(&dearer).contains("`does` says"));
    let dearer_and_told = |call: &mut Value| {
        let does = call["does"].as_str().unwrap().to_owned();
        let yuan = does.split(" pays ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
        call["does"] = json!(does.replace(&yuan, "4999.99"));
        dearer(call);
    };
    assert!(change(&dearer_and_told).contains("is not the one that is proposed"));
    let another = |call: &mut Value| call["body"]["coupon_code"] = json!("RY-00000001");
    assert!(change(&another).contains("is not the one that is proposed"));
}

#[test]
fn what_apply_put_right_is_closed_by_the_next_night_and_a_replay_knows_it_too() {
    let (shop, wechat) = before_the_fourth_night();
    let plan = plan(&shop, &[]);
    assert_eq!(rules_of(&plan["calls"]), BTreeSet::from(["AO03", "AO14", "SU01", "SU07", "SU10", "SU11"]));
    let done = apply(&shop, &wechat);
    assert_eq!((done.code, &done.json()["done"]), (0, &json!(calls(&plan))), "{}", done.stderr);
    shop.sleep_a_night();
    let night = shop.run(&wechat, &["--date", "2026-11-21"]);
    assert_eq!(night.code, 0, "{}", night.stderr);
    let breaks = shop.breaks(shop.dates[3]);
    for call in plan["calls"].as_array().unwrap() {
        let it = breaks.iter().find(|it| call["break_id"] == it.break_id.as_str());
        assert_eq!(it.map(|it| it.status), Some(BreakStatus::Resolved), "{}", call["does"]);
    }
    let published = shop.published();
    shop.replay_from_nothing();
    assert!(shop.published() == published, "what was asked depends on something that a replay does not have");
    for date in &shop.dates {
        assert_eq!(shop.verify(*date).code, 0, "{date}");
    }
}

#[test]
fn a_decision_that_was_written_after_the_night_holds_its_call_back() {
    let (shop, wechat) = reconciled();
    let planned = plan(&shop, &["--rule", "SU01,AO14"]);
    let text = |name: &str| planned["calls"][0][name].as_str().unwrap().to_owned();
    let decide = |line: String| shop.edit("decisions.csv", |text| format!("{text}{line}\n"));
    let before = std::fs::read_to_string(shop.path("decisions.csv")).unwrap();
    decide(format!("{},accepted,the store has agreed,li.wei,", text("break_id").replace(char::is_numeric, "f")));
    let unknown = apply(&shop, &wechat);
    assert!(unknown.code == 65 && unknown.stderr.contains("unknown breaks"), "{}", unknown.stderr);
    std::fs::write(shop.path("decisions.csv"), "break_id;decision\n").unwrap();
    let unreadable = apply(&shop, &wechat);
    assert!(unreadable.code == 65 && unreadable.stderr.contains("no column"), "{}", unreadable.stderr);
    assert_eq!(written(&wechat), 0, "what is held back is not known");
    shop.edit("decisions.csv", |_| before);
    decide(format!("{},accepted,the store has agreed,li.wei,", text("break_id")));
    let held = apply(&shop, &wechat);
    let line = format!(
        "decided     {}  {}  {}: not made: accepted by li.wei: the store has agreed\n",
        text("rule_id"),
        text("break_id"),
        text("does")
    );
    assert!(held.stderr.starts_with(&line), "{}", held.stderr);
    assert_eq!((held.code, &held.json()["settled"]), (0, &json!(1)));
    assert_eq!((held.json()["done"].as_u64(), written(&wechat)), (Some(calls(&planned) - 1), calls(&planned) - 1));
    let anew = plan(&shop, &["--rule", "SU01,AO14"]);
    assert!(anew["calls"].as_array().unwrap().iter().all(|call| call["break_id"] != planned["calls"][0]["break_id"]));
    let reasons: Vec<_> = anew["impossible"].as_array().unwrap().iter().map(|it| &it["reason"]).collect();
    assert!(reasons.contains(&&json!("accepted by li.wei: the store has agreed")), "{reasons:?}");
}

#[test]
fn a_call_that_never_left_the_machine_is_made_by_the_next_apply() {
    let (shop, wechat) = reconciled();
    let plan = plan(&shop, &["--rule", "AO03,AO14"]);
    let closed = ClosedPort::reserve();
    let cut_off = Ending::of(applying(&shop, &closed.url()).output().unwrap());
    assert_eq!((cut_off.code, &cut_off.json()["untried"]), (69, &json!(calls(&plan) - 1)), "{}", cut_off.stderr);
    let done = apply(&shop, &wechat);
    assert_eq!((done.code, &done.json()["done"]), (0, &json!(calls(&plan))), "{}", done.stderr);
}

#[test]
fn an_answer_that_cannot_be_kept_is_told_and_ends_the_calls() {
    let (shop, wechat) = reconciled();
    plan(&shop, &["--rule", "AO14"]);
    let apply_in_little_room = applying(&shop, &wechat.running().base_url());
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -f 1; exec \"$0\" \"$@\""]).arg(apply_in_little_room.get_program());
    command.args(apply_in_little_room.get_args()).current_dir(shop.path(""));
    let ending = Ending::of(command.output().unwrap());
    assert_eq!((ending.code, written(&wechat)), (75, 1), "{}", ending.stderr);
    assert!(ending.stderr.starts_with("done        AO14"), "the coupon was returned: {}", ending.stderr);
    assert!(ending.stderr.contains("cannot record the outcome of the calls"), "{}", ending.stderr);
    let later = apply(&shop, &wechat);
    assert!(later.code == 4 && later.stderr.starts_with("unknown     AO14"), "{}", later.stderr);
}

#[test]
fn a_plan_that_an_editor_saved_is_approved_as_it_is_then_and_one_of_another_encoding_is_named() {
    let (shop, wechat) = reconciled();
    let planned = plan(&shop, &["--rule", "SU01"]);
    let text = std::fs::read_to_string(shop.path("plan.json")).unwrap();
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let (chinese, _, _) = encoding_rs::GB18030.encode(&text);
    for bytes in [&[b"\xff\xfe".as_slice(), &wide].concat(), &chinese.into_owned()] {
        std::fs::write(shop.path("plan.json"), bytes).unwrap();
        let refused = apply(&shop, &wechat);
        assert!(refused.code == 2 && refused.stderr.contains("save it as UTF-8 text"), "{}", refused.stderr);
    }
    std::fs::write(shop.path("plan.json"), format!("\u{feff}{}", text.replace('\n', "\r\n"))).unwrap();
    let done = apply(&shop, &wechat);
    assert_eq!((done.code, &done.json()["done"]), (0, &json!(calls(&planned))), "{}", done.stderr);
}

#[test]
fn neither_a_second_apply_nor_a_night_works_beside_an_apply() {
    let (shop, wechat) = reconciled();
    let planned = plan(&shop, &["--rule", "SU01"]);
    let stall = wechat.stall("/v3/marketing/busifavor/subsidy/", 0);
    let mut first = applying(&shop, &wechat.running().base_url()).spawn().unwrap();
    stall.wait_for(&mut first);
    for ending in [apply(&shop, &wechat), shop.run(&wechat, &["--date", DATE])] {
        assert!(ending.code == 75 && ending.stdout.is_empty(), "{}{}", ending.stdout, ending.stderr);
        assert!(ending.stderr.contains("another run holds the lake"), "{}", ending.stderr);
    }
    stall.end();
    let first = Ending::of(first.wait_with_output().unwrap());
    assert_eq!((first.code, written(&wechat)), (0, calls(&planned)), "{}", first.stderr);
}
