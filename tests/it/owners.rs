//! Two jobs of different names, or of different merchants, on one lake: the paths of a lake name neither, so the second would
//! take journal and books of the first for its own.

use std::collections::BTreeMap;

use crate::support::{Ending, Shop, Wechat};

const NIGHT: [&str; 2] = ["--date", "2026-11-18"];
const NEXT: [&str; 2] = ["--date", "2026-11-19"];

/// Every byte of the lake, with what a run leaves in it besides what is published.
fn lake(shop: &Shop) -> BTreeMap<String, Vec<u8>> {
    shop.files("")
}

/// Gives the job another name, and says what it was called before.
fn call(shop: &Shop, name: &str, formerly: Option<&str>) {
    shop.edit("job.toml", |text| {
        let lines = text.lines().filter(|line| !line.starts_with("formerly = ")).map(|line| match line {
            line if line.starts_with("name = ") => {
                let former = formerly.map_or_else(String::new, |former| format!("\nformerly = \"{former}\""));
                format!("name = \"{name}\"{former}")
            }
            line => line.to_owned(),
        });
        lines.collect::<Vec<_>>().join("\n") + "\n"
    });
}

fn assert_refused(ending: &Ending, owner: &str) {
    assert_eq!(ending.code, 2, "{}", ending.stderr);
    let said = format!("{}{}", ending.stdout, ending.stderr);
    for told in [format!("belongs to job `{owner}`"), "job.lake".to_owned(), format!("formerly = \"{owner}\"")] {
        assert!(said.contains(&told), "{told}: {said}");
    }
}

fn first_night(seed: u64) -> (Shop, Wechat) {
    let shop = Shop::of_seed(seed);
    let wechat = shop.serve(None);
    let ending = shop.run(&wechat, &NIGHT);
    assert_eq!(ending.code, 0, "{}", ending.stderr);
    (shop, wechat)
}

#[test]
fn a_job_of_another_name_is_refused_before_it_touches_the_lake_and_may_read_it() {
    let (shop, wechat) = first_night(1);
    let plan = shop.program(&["plan", "job.toml", NIGHT[0], NIGHT[1], "--out", "plan.json"]);
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    let (before, asked) = (lake(&shop), wechat.counts().total);
    call(&shop, "tea", None);
    shop.edit("job.toml", |text| text + "\n[metrics]\ntextfile = \"night.prom\"\n");
    assert_refused(&shop.run(&wechat, &NEXT), "ruiyun-coffee");
    assert_refused(&shop.run(&wechat, &[NEXT[0], NEXT[1], "--dry-run"]), "ruiyun-coffee");
    assert_refused(&shop.program(&["plan", "job.toml", NIGHT[0], NIGHT[1], "--out", "other.json"]), "ruiyun-coffee");
    assert_eq!(wechat.counts().total, asked, "nobody is asked");
    let url = wechat.running().base_url();
    assert_refused(&shop.program(&["check", "job.toml", "--base-url", &url]), "ruiyun-coffee");
    for reader in ["breaks", "verify"] {
        let ending = shop.program(&[reader, "job.toml", NIGHT[0], NIGHT[1]]);
        assert_eq!(ending.code, 0, "{reader}: {}", ending.stderr);
    }
    assert!(lake(&shop) == before, "nothing is written");
}

#[test]
fn a_job_of_the_same_name_and_another_merchant_is_refused_until_the_mark_names_it() {
    let (shop, wechat) = first_night(7);
    let (before, asked) = (lake(&shop), wechat.counts().total);
    let job = std::fs::read_to_string(shop.path("job.toml")).unwrap();
    let mchid = job.lines().find_map(|line| line.strip_prefix("mchid = ")).unwrap().to_owned();
    shop.edit("job.toml", |text| text.replace(&format!("mchid = {mchid}"), "mchid = \"1900000109\""));
    let whose = format!("belongs to merchant `{}`, and `pay_v3.mchid` is `1900000109`", mchid.trim_matches('"'));
    let told = |ending: &Ending| {
        let said = format!("{}{}", ending.stdout, ending.stderr);
        assert!(said.contains(&whose) && said.contains("`state/owner.json`"), "{said}");
    };
    let ending = shop.run(&wechat, &NEXT);
    assert_eq!(ending.code, 2, "{}", ending.stderr);
    told(&ending);
    assert_eq!(wechat.counts().total, asked, "nobody is asked");
    told(&shop.program(&["check", "job.toml", "--base-url", &wechat.running().base_url()]));
    assert!(lake(&shop) == before, "nothing is written");
    let mark = shop.lake().join("state/owner.json");
    let renumbered = std::fs::read_to_string(&mark).unwrap().replace(mchid.trim_matches('"'), "1900000109");
    std::fs::write(&mark, renumbered).unwrap();
    let ending = shop.run(&wechat, &[NIGHT[0], NIGHT[1], "--replay"]);
    assert!(!ending.stderr.contains("belongs to merchant"), "{}", ending.stderr);
}

#[test]
fn a_job_that_was_renamed_goes_on_with_its_lake_and_its_former_name_is_refused() {
    let (kept, wechat) = first_night(2);
    assert_eq!(kept.run(&wechat, &NEXT).code, 0);
    let (shop, wechat) = first_night(2);
    call(&shop, "tea", Some("ruiyun-coffee"));
    for at in ["staged:state/owner.json$", "renamed:state/owner.json$"] {
        assert!(shop.run_dying(&wechat, at, &NEXT), "{at} was never reached");
    }
    let ending = shop.run(&wechat, &NEXT);
    assert_eq!(ending.code, 0, "{}", ending.stderr);
    assert_eq!(shop.found("2026-11-19".parse().unwrap()), kept.found("2026-11-19".parse().unwrap()));
    call(&shop, "tea", None);
    assert_eq!(shop.run(&wechat, &NEXT).code, 0, "the new name alone will do");
    call(&shop, "ruiyun-coffee", None);
    assert_refused(&shop.run(&wechat, &NEXT), "tea");
}

#[test]
fn a_lake_of_an_older_program_belongs_to_the_job_that_published_in_it_last() {
    let (shop, wechat) = first_night(3);
    let mark = shop.lake().join("state/owner.json");
    std::fs::remove_file(&mark).unwrap();
    let before = lake(&shop);
    call(&shop, "tea", None);
    assert_refused(&shop.run(&wechat, &NEXT), "ruiyun-coffee");
    assert!(lake(&shop) == before, "nothing is written");
    call(&shop, "ruiyun-coffee", None);
    assert_eq!(shop.run(&wechat, &NEXT).code, 0);
    assert!(mark.is_file());
    std::fs::remove_file(&mark).unwrap();
    call(&shop, "tea", Some("ruiyun-coffee"));
    assert_eq!(shop.run(&wechat, &NEXT).code, 0);
    call(&shop, "ruiyun-coffee", None);
    assert_refused(&shop.run(&wechat, &NEXT), "tea");
}

#[test]
fn a_mark_that_is_damaged_is_told_with_its_cure_and_is_no_reason_to_try_again_later() {
    let (shop, wechat) = first_night(6);
    std::fs::write(shop.lake().join("state/owner.json"), "{").unwrap();
    let ending = shop.run(&wechat, &NEXT);
    assert_eq!(ending.code, 5, "{}", ending.stderr);
    assert!(ending.stderr.contains("write {\"job\": \"…\"} with its name"), "{}", ending.stderr);
    assert!(!ending.stderr.contains("make room"), "{}", ending.stderr);
}

#[test]
fn of_two_jobs_that_start_at_once_on_an_empty_lake_one_has_it() {
    let shop = Shop::of_seed(4);
    let wechat = shop.serve(None);
    let stall = wechat.stall("/v3/marketing/busifavor/stocks/", 0);
    let mut first = shop.run_command(&wechat, &NIGHT).spawn().unwrap();
    stall.wait_for(&mut first);
    call(&shop, "tea", None);
    assert_refused(&shop.run(&wechat, &NIGHT), "ruiyun-coffee");
    stall.end();
    let ending = Ending::of(first.wait_with_output().unwrap());
    assert_eq!(ending.code, 0, "{}", ending.stderr);
}

#[test]
fn a_run_that_dies_while_it_marks_the_lake_leaves_one_that_the_next_run_can_use() {
    for at in ["staged:state/owner.json$", "renamed:state/owner.json$", "removed:owner.staged$"] {
        let shop = Shop::of_seed(5);
        let wechat = shop.serve(None);
        assert!(shop.run_dying(&wechat, at, &NIGHT), "{at} was never reached");
        let ending = shop.run(&wechat, &NIGHT);
        assert_eq!(ending.code, 0, "{at}: {}", ending.stderr);
        let left: Vec<_> = shop.files("state").into_keys().filter(|name| name.ends_with(".staged")).collect();
        assert_eq!(left, Vec::<String>::new(), "{at}");
    }
}
