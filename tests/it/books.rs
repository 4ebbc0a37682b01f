//! The books: everything read is published or quarantined, a rerun reports what it changed, a day that
//! was never run is reported, and a decision must name a known break.

use std::collections::BTreeSet;
use std::fs;

use chrono::NaiveDate;
use coupon_recon::record::{Break, BreakStatus};

use crate::support::{Shop, day};

fn put_in_quarantine(shop: &Shop) {
    shop.edit("job.toml", |text| text.replace("on_bad_row = \"fail\"", "on_bad_row = \"quarantine\""));
    shop.edit("orders/2026-11-18.csv", |text| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let copy = lines[1].replacen("RY2026", "RY2026X", 1);
        lines.push(format!("{copy},one cell too many"));
        lines.join("\n") + "\n"
    });
}

#[test]
fn a_row_in_quarantine_stands_in_a_file_and_in_the_footing_and_names_no_user() {
    let shop = Shop::of_seed(1);
    put_in_quarantine(&shop);
    let wechat = shop.serve(None);
    let ending = shop.run(&wechat, &["--date", "2026-11-18", "--summary"]);
    assert_eq!(ending.code, 0, "{}", ending.stderr);
    let published = shop.published();
    let file = String::from_utf8(published["reports/dt=2026-11-18/quarantine.csv"].clone()).unwrap();
    let lines: Vec<_> = file.lines().collect();
    assert_eq!(lines.len(), 2, "{file}");
    assert!(lines[1].starts_with("orders/2026-11-18.csv,"), "{file}");
    assert!(!file.contains("oRYun"), "{file}");
    let sums = String::from_utf8(published["reports/dt=2026-11-18/SHA256SUMS"].clone()).unwrap();
    assert!(sums.contains("  quarantine.csv\n"), "{sums}");
    let orders = ending.manifest()["intake"][0].clone();
    assert_eq!((orders["dataset"].as_str(), orders["quarantined"].as_u64()), (Some("orders"), Some(1)));
    let number = |name: &str| orders[name].as_u64().unwrap();
    assert_eq!(number("read"), number("published") + number("repeated") + 1);
}

#[test]
fn the_summary_shows_pages_rows_and_match_of_each_side_and_the_coverage() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    shop.run_nights(&wechat);
    let ending = shop.run(&wechat, &["--date", "2026-11-20", "--summary"]);
    let manifest = ending.manifest();
    let datasets: Vec<_> = manifest["intake"].as_array().unwrap().iter().map(|it| it["dataset"].as_str()).collect();
    for side in ["orders", "payments", "refunds", "user_coupons", "subsidy_payments", "subsidy_returns"] {
        assert!(datasets.contains(&Some(side)), "{side} is missing in {datasets:?}");
    }
    for side in manifest["intake"].as_array().unwrap() {
        let fen = |name: &str| side[name].as_i64().unwrap();
        let (came, went) =
            (fen("read_fen") + fen("carried_fen"), fen("repeated_fen") + fen("quarantined_fen") + fen("published_fen"));
        assert_eq!(came, went, "{side}");
        let has_money = side["dataset"] != "coupon_codes";
        assert_eq!(fen("published_fen") > 0, has_money, "{side}");
    }
    assert!(manifest["coverage"]["wallets_verified"].as_u64() > Some(0), "{manifest}");
    for words in [
        "  intake  ",
        "  match  ",
        "  coverage: ",
        "compared with the breaks published before: 0 new, 0 gone, 0 changed",
    ] {
        assert!(ending.stderr.contains(words), "`{words}` is missing in:\n{}", ending.stderr);
    }
}

#[test]
fn a_rerun_of_an_old_day_with_a_corrected_export_says_what_it_changed() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    shop.run_nights(&wechat);
    let order = shop.breaks(day(18)).into_iter().find(|it| it.rule_id == "PM01").unwrap().out_trade_no.unwrap();
    shop.edit("orders/2026-11-18.csv", |text| {
        text.split_inclusive('\n').filter(|line| !line.contains(&order)).collect()
    });
    let ending = shop.run(&wechat, &["--date", "2026-11-18", "--summary"]);
    let restated = ending.manifest()["restated"].clone();
    let count = |name: &str| restated[name].as_u64().unwrap();
    assert!(count("gone") >= 1 && count("new") >= 1, "PM01 goes, PM03 comes: {restated}\n{}", ending.stderr);
    assert!(ending.stderr.contains("run them again: 2026-11-19, 2026-11-20"), "{}", ending.stderr);
}

/// Yuan of a line as whole numbers of fen: `38.62` becomes `3862`.
fn in_fen(line: &str) -> String {
    let is_yuan =
        |cell: &str| cell.split_once('.').is_some_and(|(yuan, fen)| [yuan, fen].iter().all(|it| is_number(it)));
    let cells = line.split(',').map(|cell| if is_yuan(cell) { cell.replace('.', "") } else { cell.to_owned() });
    cells.collect::<Vec<_>>().join(",") + "\n"
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[test]
fn an_export_in_fen_read_as_yuan_is_suspected_and_a_right_one_is_not() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    let right = shop.run(&wechat, &["--date", "2026-11-18", "--summary"]);
    assert!(!right.stderr.contains("amount_unit"), "{}", right.stderr);
    shop.edit("orders/2026-11-18.csv", |text| text.lines().map(in_fen).collect());
    let quiet = shop.run(&wechat, &["--date", "2026-11-18"]);
    assert_eq!((quiet.code, quiet.stderr.lines().count()), (0, 2), "{}", quiet.stderr);
    assert!(quiet.stderr.contains("differ from the bill say 100 times of what it says"), "{}", quiet.stderr);
    assert!(quiet.stderr.contains("check `amount_unit` of `[[orders]]`"), "{}", quiet.stderr);
}

#[test]
fn a_rerun_tells_what_it_changed_and_one_that_changed_nothing_stays_quiet() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    let first = shop.run(&wechat, &["--date", "2026-11-18"]);
    let again = shop.run(&wechat, &["--date", "2026-11-18"]);
    assert_eq!((first.code, again.code, first.stderr + &again.stderr), (0, 0, String::new()));
    let before: BTreeSet<_> = shop.breaks(day(18)).into_iter().map(|it| it.break_id).collect();
    shop.edit("job.toml", |text| text.replace("off = []", "off = [\"AO08\"]"));
    let restated = shop.run(&wechat, &["--date", "2026-11-18"]);
    let after: BTreeSet<_> = shop.breaks(day(18)).into_iter().map(|it| it.break_id).collect();
    let gone = before.difference(&after).count();
    assert!(gone > 0 && after.is_subset(&before));
    let delta = format!("2026-11-18, compared with the breaks published before: 0 new, {gone} gone, 0 changed\n");
    assert_eq!((restated.code, restated.stderr), (0, delta));
}

#[test]
fn a_day_that_was_never_run_is_noticed() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    let first = shop.run(&wechat, &["--date", "2026-11-18", "--summary"]);
    assert!(!first.stderr.contains("never run") && !first.stderr.contains("waiting_rows"), "{}", first.stderr);
    let third = shop.run(&wechat, &["--date", "2026-11-20", "--summary"]);
    assert_eq!(third.code, 0, "{}", third.stderr);
    assert!(third.stderr.contains("warning: 2026-11-19 was never run"), "{}", third.stderr);
    assert!(third.stderr.contains("waiting_rows"), "{}", third.stderr);
    let quiet = shop.run(&wechat, &["--date", "2026-11-20", "--replay"]);
    assert_eq!((quiet.code, quiet.stderr.lines().count()), (0, 1), "{}", quiet.stderr);
    assert!(quiet.stderr.contains("warning: 2026-11-19 was never run"), "{}", quiet.stderr);
}

#[test]
fn a_decision_on_an_unknown_break_is_65_and_one_on_a_later_break_is_passed_over_by_the_rerun() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    shop.run_nights(&wechat);
    let earlier = shop.breaks(day(18));
    let late = shop.breaks(day(20)).into_iter().find(|it| it.status == BreakStatus::New).unwrap();
    assert!(earlier.iter().all(|it| it.break_id != late.break_id));
    let header = "break_id,decision,reason,approver,expires_on\n";
    shop.edit("decisions.csv", |_| format!("{header}{},accepted,agreed,李,\n", late.break_id));
    let old = shop.run(&wechat, &["--date", "2026-11-18", "--summary"]);
    assert_eq!(old.code, 0, "{}", old.stderr);
    assert!(old.stderr.contains("note: 1 decision is about a break first seen on a later day"), "{}", old.stderr);
    let last = shop.run(&wechat, &["--date", "2026-11-20"]);
    assert_eq!(last.code, 0, "{}", last.stderr);
    let accepted = shop.breaks(day(20)).into_iter().find(|it| it.break_id == late.break_id).unwrap();
    assert_eq!(accepted.status, BreakStatus::Accepted);
    let published = shop.published();
    shop.edit("decisions.csv", |_| format!("{header}00112233445566aa,accepted,agreed,李,\n"));
    let wrong = shop.run(&wechat, &["--date", "2026-11-20"]);
    assert_eq!(wrong.code, 65, "{}", wrong.stderr);
    assert!(wrong.stderr.contains("00112233445566aa") && wrong.stderr.contains("line 2"), "{}", wrong.stderr);
    assert!(published == shop.published(), "nothing was published");
}

#[test]
fn decisions_that_are_lost_end_the_night_and_a_first_line_alone_takes_them_back() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    shop.edit("decisions.csv", |_| String::new());
    shop.run(&wechat, &["--date", "2026-11-18"]);
    let first = shop.run(&wechat, &["--date", "2026-11-19"]);
    assert_eq!(first.code, 0, "nothing was decided: {}", first.stderr);
    let decided = shop.breaks(day(19)).into_iter().find(|it| it.status == BreakStatus::New).expect("a new break");
    let header = "break_id,decision,reason,approver,expires_on\n";
    shop.edit("decisions.csv", |_| format!("{header}{},accepted,agreed,李,\n", decided.break_id));
    assert_eq!(shop.run(&wechat, &["--date", "2026-11-19"]).code, 0);
    let published = shop.published();
    let path = shop.path("decisions.csv");
    for is_there in [true, false] {
        if is_there {
            fs::write(&path, "\n").unwrap()
        } else {
            fs::remove_file(&path).unwrap()
        }
        // A rerun of the day that was decided would take them back as well.
        for date in ["2026-11-19", "2026-11-20"] {
            let lost = shop.run(&wechat, &["--date", date]);
            assert_eq!(lost.code, 65, "{}", lost.stderr);
            assert!(lost.stderr.contains("1 break of the last published day was decided"), "{}", lost.stderr);
        }
        let planned = shop.program(&["plan", "job.toml", "--date", "2026-11-19"]);
        assert_eq!(planned.code, 65, "its calls would be those that were decided against: {}", planned.stderr);
        assert!(published == shop.published(), "nothing was published");
    }
    fs::write(&path, header).unwrap();
    assert_eq!(shop.run(&wechat, &["--date", "2026-11-20"]).code, 0);
    assert!(shop.breaks(day(20)).iter().all(|it| it.status != BreakStatus::Accepted));
}

#[test]
fn a_decision_about_a_break_that_a_corrected_export_removes_is_no_mistake() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    shop.run_nights(&wechat);
    let is_first_seen = |it: &Break| it.rule_id == "PM01" && it.first_seen_date == day(20);
    let decided = shop.breaks(day(20)).into_iter().find(is_first_seen).expect("an amount differs on the last night");
    let line = format!("{},accepted,agreed,李,\n", decided.break_id);
    shop.edit("decisions.csv", |_| format!("break_id,decision,reason,approver,expires_on\n{line}"));
    let order = decided.out_trade_no.unwrap();
    shop.edit("orders/2026-11-20.csv", |text| {
        text.split_inclusive('\n').filter(|line| !line.contains(&order)).collect()
    });
    for _ in ["the version that lists it is replaced", "no version lists it"] {
        let ending = shop.run(&wechat, &["--date", "2026-11-20", "--replay"]);
        assert_eq!(ending.code, 0, "{}", ending.stderr);
        assert!(shop.breaks(day(20)).iter().all(|it| it.break_id != decided.break_id));
    }
    let earlier = shop.run(&wechat, &["--date", "2026-11-18", "--replay"]);
    assert_eq!(earlier.code, 0, "no day lists it, and a later one took it out: {}", earlier.stderr);
}

#[test]
fn a_day_without_its_export_is_no_reason_for_breaks_of_the_nights_after_it() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    shop.run_nights(&wechat);
    let without_order = |date| -> BTreeSet<(String, Option<NaiveDate>)> {
        let of_orders = |it: &&Break| ["AO01", "AO02"].contains(&it.rule_id.as_str()) && it.last_seen_date == date;
        shop.breaks(date).iter().filter(of_orders).map(|it| (it.break_id.clone(), it.event_date)).collect()
    };
    let truth = without_order(day(20));
    shop.forget_lake();
    let (export, away) = (shop.path("orders/2026-11-19.csv"), shop.path("late.csv"));
    assert_eq!(shop.run(&wechat, &["--date", "2026-11-18"]).code, 0);
    std::fs::rename(&export, &away).unwrap();
    assert_eq!(shop.run(&wechat, &["--date", "2026-11-19"]).code, 75);
    let after = shop.run(&wechat, &["--date", "2026-11-20"]);
    assert_eq!((after.code, after.stderr.lines().count()), (0, 1), "{}", after.stderr);
    assert!(after.stderr.contains("wait for inputs of 2026-11-19 that never came"), "{}", after.stderr);
    let found = without_order(day(20));
    assert!(found.iter().any(|(_, event)| *event == Some(day(20))), "other days are judged: {found:?}");
    let unexplained: Vec<_> = found.iter().filter(|(_, event)| *event == Some(day(19))).collect();
    assert!(unexplained.is_empty(), "an order of the missing day may explain them: {unexplained:?}");
    std::fs::rename(&away, &export).unwrap();
    for date in ["2026-11-19", "2026-11-20"] {
        let again = shop.run(&wechat, &["--date", date]);
        assert!(again.code == 0 && !again.stderr.contains("that never came"), "{}", again.stderr);
    }
    assert_eq!(without_order(day(20)), truth, "once the export is there, the day is judged");
}
