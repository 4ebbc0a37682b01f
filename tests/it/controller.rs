//! What a controller uses of the published books: the gate with every kind of limit, the history of
//! breaks, custom rules; and what a night reports that does not foot.

use coupon_recon::record::{Break, Severity};

use crate::support::{Shop, day, stage_of};

/// A shop whose nights have been run.
fn after_its_nights() -> Shop {
    let shop = Shop::of_seed(1);
    shop.run_nights(&shop.serve(None));
    shop
}

#[test]
fn every_kind_of_limit_opens_and_closes_the_gate() {
    let shop = after_its_nights();
    let open: Vec<_> = shop.breaks(day(20)).into_iter().filter(Break::is_open).collect();
    let fen: i64 = open.iter().map(|it| it.at_risk_fen.0).sum();
    let of_rule: Vec<_> = open.iter().filter(|it| it.rule_id == "PM01").collect();
    let fen_of_rule: i64 = of_rule.iter().map(|it| it.at_risk_fen.0).sum();
    let age_of_rule = of_rule.iter().map(|it| it.age_days).max().unwrap();
    let high = open.iter().filter(|it| it.severity == Severity::High).count() as i64;
    let age = open.iter().map(|it| it.age_days).max().unwrap();
    assert!(fen > 0 && fen_of_rule > 0 && high > 0 && age > 0, "{fen} {fen_of_rule} {high} {age}");
    let limits = [
        ("open_fen", fen),
        ("open_count", open.len() as i64),
        ("severity:high.count", high),
        ("rule:PM01.fen", fen_of_rule),
        ("age_days", age),
        ("rule:PM01.age_days", age_of_rule),
    ];
    let gate =
        |expression: &str| shop.program(&["breaks", "job.toml", "--date", "2026-11-20", "--fail-on", expression]);
    for (measure, value) in limits {
        assert_eq!(gate(&format!("{measure}>{value}")).code, 0, "{measure}>{value} is just met");
        let closed = gate(&format!("open_fen>{fen},{measure}>{}", value - 1));
        assert_eq!(closed.code, 3, "{measure}>{}: {}", value - 1, closed.stderr);
        assert!(closed.stderr.contains(&format!("gate: {value} exceeds the limit `{measure}>{}`", value - 1)));
    }
    let nonsense = gate("open_yuan>5");
    assert_eq!(nonsense.code, 2);
    assert!(nonsense.stderr.contains("`open_yuan>5` is not a limit; write `open_fen>N`"), "{}", nonsense.stderr);
}

#[test]
fn a_night_beyond_its_gate_says_so_in_its_line_and_its_manifest_says_how_the_night_went() {
    let shop = after_its_nights();
    let wechat = shop.serve(None);
    let without = shop.run(&wechat, &["--date", "2026-11-20"]);
    assert_eq!(without.json().get("gate"), None, "{}", without.stdout);
    for (gate, code) in [("open_count>0", 3), ("open_count>100000", 0)] {
        let night = shop.run(&wechat, &["--date", "2026-11-20", "--fail-on", gate]);
        let told = night.json()["gate"].as_str().map(|told| told.contains("exceeds the limit `open_count>0`"));
        assert_eq!(told, (code == 3).then_some(true), "{}", night.stdout);
        assert_eq!((night.code, &night.json()["exit_code"]), (code, &code.into()), "{gate}: {}", night.stderr);
        assert_eq!(night.json()["status"], "complete");
        assert_eq!(night.manifest()["exit_code"], 0, "{gate}");
    }
    let nights = ["--from", "2026-11-19", "--to", "2026-11-20", "--fail-on", "rule:AO08.age_days>1"];
    let both = shop.run(&wechat, &nights);
    let codes = both.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let codes: Vec<_> = codes.map(|line| line["exit_code"].as_i64()).collect();
    assert_eq!((both.code, codes), (3, vec![Some(0), Some(3)]), "{}", both.stderr);
}

#[test]
fn the_lives_of_breaks_show_resolved_reopened_and_decided_ones() {
    let shop = after_its_nights();
    let shown = shop.program(&["breaks", "job.toml", "--date", "2026-11-20", "--since", "2026-11-18"]);
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    let ways: Vec<Vec<&str>> = shown.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(ways[0][..3], ["2026-11-18", "2026-11-19", "2026-11-20"]);
    for way in [
        ["new", "open", "open"],
        ["new", "open", "resolved"],
        ["new", "resolved", "reopened"],
        ["accepted", "accepted", "accepted"],
        ["accepted", "accepted", "open"],
        ["written_off", "written_off", "written_off"],
    ] {
        assert!(ways.iter().any(|shown| shown[..3] == way), "{way:?} is missing in\n{}", shown.stdout);
    }
}

/// A rule of the shop's own with this query.
fn put_rule(shop: &Shop, sql: &str) {
    let head = "-- id: RY01\n-- title: Every stock\n-- 标题: 每个批次\n-- severity: low\n-- side: merchant\n-- key: k\n\
                -- inputs: stocks\n-- action: look\n-- row: a stock\n";
    std::fs::create_dir_all(shop.path("own")).unwrap();
    std::fs::write(shop.path("own/RY01_every_stock.sql"), format!("{head}{sql}")).unwrap();
    shop.edit("job.toml", |text| text.replace("folders = []", "folders = [\"own\"]"));
}

#[test]
fn a_rule_of_ones_own_speaks_and_one_that_is_wrong_is_2_with_file_and_line_before_anybody_is_asked() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    put_rule(&shop, "SELECT stock_id AS stock_id,\n       colour AS why\nFROM stocks\n");
    let wrong = shop.run(&wechat, &["--date", "2026-11-18"]);
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
    assert!(wrong.stderr.contains("rule file `RY01_every_stock.sql` line 11"), "{}", wrong.stderr);
    assert_eq!(wechat.counts().total, 0);
    put_rule(&shop, "SELECT stock_id AS stock_id, 'there it is' AS why\nFROM stocks\n");
    let right = shop.run(&wechat, &["--date", "2026-11-18"]);
    assert_eq!(right.code, 0, "{}", right.stderr);
    assert!(shop.breaks(day(18)).iter().any(|it| it.rule_id == "RY01" && it.why == "there it is"));
    shop.edit("job.toml", |text| text.replace("off = []", "off = [\"RY01\", \"AO01\"]"));
    assert_eq!(shop.run(&wechat, &["--date", "2026-11-18"]).code, 0);
    assert!(shop.breaks(day(18)).iter().all(|it| it.rule_id != "RY01" && it.rule_id != "AO01"));
}

#[test]
fn a_night_that_does_not_hold_together_is_5_publishes_nothing_and_its_manifest_says_why() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    assert_eq!(shop.run(&wechat, &["--date", "2026-11-18"]).code, 0);
    let ledger = shop.lake().join("datasets/coupon_ledger/dt=2026-11-18/part-0.parquet");
    let right = std::fs::read(&ledger).unwrap();
    std::fs::write(&ledger, &right[..right.len() / 2]).unwrap();
    let before = shop.published();
    let ending = shop.run(&wechat, &["--date", "2026-11-19"]);
    assert_eq!(ending.code, 5, "{}", ending.stderr);
    assert!(before == shop.published(), "nothing was published");
    for words in ["is not the file that was published for 2026-11-18", "coupon_ledger", "nothing was published"] {
        assert!(ending.stderr.contains(words), "`{words}` is missing in\n{}", ending.stderr);
    }
    let manifest = ending.manifest();
    assert_eq!((&manifest["status"], &manifest["exit_code"]), (&"failed".into(), &5.into()));
    assert_eq!(manifest["files"].as_array().map(Vec::len), Some(0));
    let failed = stage_of(&manifest, "reconcile");
    assert_eq!(failed["status"], "failed");
    assert!(failed["why"].as_str().unwrap().contains("coupon_ledger"), "{failed}");
    std::fs::write(&ledger, right).unwrap();
    assert_eq!(shop.run(&wechat, &["--date", "2026-11-19"]).code, 0);
    assert_eq!(shop.found(day(19)), shop.truth(day(19)));
}

#[test]
fn a_card_that_is_listed_and_that_card_get_does_not_know_is_told_and_counted() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    wechat.play("[[fault]]\npath = \"/card/get\"\nkind = \"errcode\"\nvalue = 40073\ntimes = 1\n");
    let night = shop.run(&wechat, &["--date", "2026-11-18"]);
    assert_eq!(night.code, 0, "{}", night.stderr);
    assert!(night.stderr.contains("does not know 1 of the cards that card/batchget lists"), "{}", night.stderr);
    let manifest = night.manifest();
    assert_eq!(stage_of(&manifest, "cards")["notes"]["unknown_cards"], 1);
    let replayed = shop.run(&wechat, &["--date", "2026-11-18", "--replay"]);
    assert!(replayed.stderr.contains("does not know 1 of the cards"), "{}", replayed.stderr);
}

#[test]
fn a_v2_answer_whose_signature_does_not_hold_is_marked_and_counted_or_refused_as_the_job_says() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    wechat.play("[[fault]]\npath = \"/mmpaymkttransfers/\"\nkind = \"wrong_signature\"\n");
    let night = ["--date", "2026-11-18"];
    let taken = shop.run(&wechat, &night);
    assert_eq!(taken.code, 0, "{}", taken.stderr);
    let manifest = taken.manifest();
    let notes = &stage_of(&manifest, "v2_stocks")["notes"];
    let rows = shop.texts_of("datasets/v2_stocks/dt=2026-11-18/part-0.parquet").matches("mismatch\n").count()
        + shop.texts_of("datasets/v2_coupons/dt=2026-11-18/part-0.parquet").matches("mismatch\n").count();
    assert!(rows > 0);
    assert_eq!(notes["signatures_mismatched"].as_u64(), Some(rows as u64), "{notes}");

    shop.edit("job.toml", |text| {
        text.replace(
            "coupons_file = \"v2-coupons.csv\"",
            "coupons_file = \"v2-coupons.csv\"\non_signature_mismatch = \"fail\"",
        )
    });
    let journalled = shop.run(&wechat, &night);
    assert_eq!(journalled.code, 4, "{}", journalled.stderr);
    assert!(journalled.stderr.contains("not judged: V201"), "{}", journalled.stderr);
    let refused = shop.run(&wechat, &[&night[..], &["--refetch"]].concat());
    assert_eq!(refused.code, 77, "{}", refused.stderr);
    assert!(refused.stderr.contains("pay_v2.on_signature_mismatch"), "{}", refused.stderr);
    wechat.play("");
    let honest = shop.run(&wechat, &[&night[..], &["--refetch"]].concat());
    assert_eq!(honest.code, 0, "{}", honest.stderr);
    assert_eq!(shop.found(day(18)), shop.truth(day(18)));
}
