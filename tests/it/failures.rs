//! What goes wrong: the right exit code, the cause, the fix, and a later correct run that completes.

use std::io::Read;

use coupon_recon::dataset::partition::read_rows;
use coupon_recon::record::{Break, UserCoupon};

use crate::support::{ClosedPort, Ending, Shop, day, stage_of};

const NIGHT: [&str; 2] = ["--date", "2026-11-18"];

/// The night must fail with `code` and say all of `words`.
fn assert_fails(ending: &Ending, code: i32, words: &[&str]) {
    assert_eq!(ending.code, code, "{}", ending.stderr);
    for word in words {
        assert!(ending.stderr.contains(word), "`{word}` is missing in:\n{}", ending.stderr);
    }
}

/// The same night completes once the cause is removed.
fn assert_completes(shop: &Shop, wechat: &crate::support::Wechat) {
    let ending = shop.run(wechat, &NIGHT);
    assert_eq!(ending.code, 0, "{}", ending.stderr);
}

#[test]
fn a_wrong_private_key_is_77_and_names_the_key_file() {
    let (shop, other) = (Shop::of_seed(1), Shop::of_seed(2));
    let wechat = shop.serve(None);
    let right = std::fs::read_to_string(shop.path("secrets/apiclient_key.pem")).unwrap();
    std::fs::copy(other.path("secrets/apiclient_key.pem"), shop.path("secrets/apiclient_key.pem")).unwrap();
    let ending = shop.run(&wechat, &NIGHT);
    assert_fails(&ending, 77, &["SIGN_ERROR", "pay_v3.private_key_file", "nothing was published"]);
    assert!(shop.published().is_empty());
    shop.edit("secrets/apiclient_key.pem", |_| right);
    assert_completes(&shop, &wechat);
}

#[test]
fn a_wrong_serial_is_77_and_names_the_serial() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    let right = std::fs::read_to_string(shop.path("job.toml")).unwrap();
    shop.edit("job.toml", |text| replace_value(&text, "serial_no", "\"1DDE55AD98ED71D6EDD4A4A16996DE7B47773A8C\""));
    assert_fails(&shop.run(&wechat, &NIGHT), 77, &["pay_v3.serial_no"]);
    shop.edit("job.toml", |_| right);
    assert_completes(&shop, &wechat);
}

#[test]
fn a_wrong_apiv3_key_is_told_by_the_callbacks_it_does_not_open() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    let url = wechat.running().base_url();
    let check = || shop.program(&["check", "job.toml", "--base-url", &url]);
    let callbacks = "`pay_v3`: APIv3 key, on spooled callbacks";
    assert!(check().stdout.contains(&format!("ok   {callbacks}")), "{}", check().stdout);
    let right = std::fs::read_to_string(shop.path("secrets/api_v3.key")).unwrap();
    shop.edit("secrets/api_v3.key", |_| "0123456789abcdef0123456789abcdef".to_owned());
    let ending = shop.run(&wechat, &NIGHT);
    let words = ["callbacks of 2026-11-18 are signed by WeChat Pay but cannot be opened", "`pay_v3.api_v3_key_file`"];
    assert_fails(&ending, 0, &words);
    let wrong = check();
    assert_eq!(wrong.code, 77, "{}", wrong.stdout);
    let told = [format!("FAIL {callbacks}: the newest one"), "hint: `pay_v3.api_v3_key_file` must name".to_owned()];
    told.iter().for_each(|word| assert!(wrong.stdout.contains(word), "{}", wrong.stdout));
    shop.edit("secrets/api_v3.key", |_| right);
    let again = shop.run(&wechat, &NIGHT);
    assert_eq!((again.code, again.stderr.contains("signed by WeChat Pay")), (0, false), "{}", again.stderr);
}

#[test]
fn a_wrong_secret_of_the_official_account_leaves_out_its_figures_and_nothing_else() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    let secret = shop.path("job.toml");
    let job = std::fs::read_to_string(&secret).unwrap();
    let file = job.lines().find_map(|line| line.strip_prefix("secret_file = ")).unwrap().trim_matches('"');
    shop.edit(file, |_| "0123456789abcdef0123456789abcdef".to_owned());
    let ending = shop.run(&wechat, &NIGHT);
    assert_fails(&ending, 4, &["datacube", "`mp.secret_file`"]);
    let published = shop.published();
    let has =
        |dataset: &str| published.keys().any(|name| name.contains(&format!("datasets/{dataset}/dt=2026-11-18/part")));
    assert!(has("coupon_ledger") && has("breaks") && has("user_coupons") && !has("card_daily"));
}

#[test]
fn what_is_wrong_with_a_key_names_its_file_and_the_key_of_the_job_file() {
    let shop = Shop::of_seed(1);
    for (file, key, kind) in [
        ("apiclient_key.pem", "pay_v3.private_key_file", "PRIVATE"),
        ("wxp_pub.pem", "pay_v3.public_key_file", "PUBLIC"),
    ] {
        let right = std::fs::read_to_string(shop.path(&format!("secrets/{file}"))).unwrap();
        let torn = format!("-----BEGIN {kind} KEY-----\nTUlJRQ==\n-----END {kind} KEY-----\n");
        shop.edit(&format!("secrets/{file}"), |_| torn);
        let ending = shop.program(&["run", "job.toml", NIGHT[0], NIGHT[1]]);
        assert_fails(&ending, 77, &[&format!("(`{key}`: `"), &format!("secrets/{file}`)"), "hint: `pay_v3."]);
        assert!(!ending.stderr.contains("TUlJRQ"), "{}", ending.stderr);
        shop.edit(&format!("secrets/{file}"), |_| right);
    }
}

#[test]
fn a_clock_that_is_off_by_ten_minutes_is_77_and_says_by_how_much() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    let url = wechat.running().base_url();
    let night = ["run", "job.toml", "--base-url", &url, NIGHT[0], NIGHT[1]];
    let ending = Ending::of(shop.command_at("2026-11-21T12:10:00+08:00", &night).output().unwrap());
    assert_fails(&ending, 77, &["clock"]);
    assert_completes(&shop, &wechat);
}

#[test]
fn a_closed_port_is_69_and_publishes_nothing() {
    let shop = Shop::of_seed(1);
    shop.shorten_waits();
    let closed = ClosedPort::reserve();
    let ending = shop.program(&["run", "job.toml", "--base-url", &closed.url(), NIGHT[0], NIGHT[1]]);
    assert_fails(&ending, 69, &["base_url", "nothing was published"]);
    assert!(shop.published().is_empty());
    assert_completes(&shop, &shop.serve(None));
}

#[test]
fn a_missing_export_is_75_names_the_file_and_the_rest_is_published() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    let right = std::fs::read_to_string(shop.path("orders/2026-11-18.csv")).unwrap();
    std::fs::remove_file(shop.path("orders/2026-11-18.csv")).unwrap();
    assert_fails(&shop.run(&wechat, &NIGHT), 75, &["orders/2026-11-18.csv", "not judged: AO01"]);
    assert!(shop.published().contains_key("datasets/payments/dt=2026-11-18/part-0.parquet"));
    assert!(!shop.published().contains_key("datasets/orders/dt=2026-11-18/part-0.parquet"));
    std::fs::write(shop.path("orders/2026-11-18.csv"), right).unwrap();
    assert_completes(&shop, &wechat);
    assert_eq!(shop.found(shop.dates[0]), shop.truth(shop.dates[0]));
}

#[test]
fn a_missing_subsidy_ledger_makes_nobody_believe_that_a_returned_subsidy_was_kept() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    let ledger = shop.path("subsidy-orders/2026-11-18.csv");
    let right = std::fs::read_to_string(&ledger).unwrap();
    // Return receipts are asked for by id, and only the ledger knows their ids.
    assert!(right.lines().skip(1).any(|line| !line.split(',').nth(2).unwrap().is_empty()), "{right}");
    std::fs::remove_file(&ledger).unwrap();
    let ending = shop.run(&wechat, &NIGHT);
    assert_fails(&ending, 75, &["subsidy-orders/2026-11-18.csv"]);
    assert_eq!(status_of(&ending, "subsidies"), "partial", "nobody knew which returns to ask for");
    let (found, truth) = (shop.found(shop.dates[0]), shop.truth(shop.dates[0]));
    assert_eq!(found.difference(&truth).collect::<Vec<_>>(), [] as [&String; 0]);
    // Nor does the night after know them.
    let [_, after, ..] = shop.dates[..] else { panic!("{:?}", shop.dates) };
    let ending = shop.run(&wechat, &["--date", &after.to_string()]);
    assert_eq!((ending.code, status_of(&ending, "subsidies").as_str()), (0, "complete"), "{}", ending.stderr);
    let (found, truth_after) = (shop.found(after), shop.truth(after));
    // Of a receipt that is still SUCCESS nothing was returned: a subsidy that was kept is found, a night late.
    let late: Vec<_> = found.difference(&truth_after).collect();
    assert!(late.len() == 1 && late[0].ends_with(" new SU07"), "{late:?}");
    assert!(truth_after.contains(&late[0].replace(" new ", " open ")), "{late:?}");
    std::fs::write(&ledger, right).unwrap();
    assert_completes(&shop, &wechat);
    assert_eq!(shop.found(shop.dates[0]), truth);
    assert_eq!(shop.run(&wechat, &["--date", &after.to_string()]).code, 0);
    assert_eq!(shop.found(after), shop.truth(after));
}

#[test]
fn a_bad_amount_on_one_line_names_file_line_column_and_value() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    let right = std::fs::read_to_string(shop.path("orders/2026-11-18.csv")).unwrap();
    shop.edit("orders/2026-11-18.csv", |text| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let mut cells: Vec<String> = lines[2].split(',').map(str::to_owned).collect();
        cells[5] = "12.3.4".to_owned();
        lines[2] = cells.join(",");
        lines.join("\r\n")
    });
    let ending = shop.run(&wechat, &NIGHT);
    assert_fails(&ending, 4, &["2026-11-18.csv", "line 3", "商品金额", "12.3.4"]);
    std::fs::write(shop.path("orders/2026-11-18.csv"), right).unwrap();
    assert_completes(&shop, &wechat);
}

#[test]
fn a_bad_export_is_65_when_orders_are_the_only_thing_to_run() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    shop.edit("orders/2026-11-18.csv", |text| text.replace("商品金额", "商品金颜"));
    let ending = shop.run(&wechat, &["--date", "2026-11-18", "--stage", "orders"]);
    assert_fails(&ending, 65, &["商品金额", "商品金颜"]);
}

#[test]
fn a_spool_that_is_not_there_may_come_as_every_other_file_and_its_key_is_named() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    let (spool, aside) = (shop.path("notifications"), shop.path("aside"));
    std::fs::rename(&spool, &aside).unwrap();
    let alone = shop.run(&wechat, &["--date", "2026-11-18", "--stage", "notifications"]);
    assert_fails(&alone, 75, &["notifications` is not there", "hint: `notifications.spool` names the folder"]);
    let night = shop.run(&wechat, &NIGHT);
    assert_eq!((night.code, night.json()["status"].clone()), (75, "partial".into()), "{}", night.stderr);
    std::fs::rename(&aside, &spool).unwrap();
    assert_completes(&shop, &wechat);
}

#[test]
fn every_problem_of_a_job_file_is_told_at_once_with_its_line() {
    let shop = Shop::of_seed(1);
    shop.edit("job.toml", |text| {
        let text = text.replace("rate_per_second = 500", "rate_per_secnod = 500");
        replace_value(&text, "ready_at", "\"25:00\"")
    });
    let ending = shop.program(&["run", "job.toml", "--date", "2026-11-18"]);
    assert_fails(&ending, 2, &["rate_per_secnod", "rate_per_second", "25:00", "line "]);
}

#[test]
fn a_second_run_at_the_same_time_is_75_and_names_the_holder() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    let stall = wechat.stall("/v3/marketing/busifavor/stocks/", 0);
    let mut first = shop.run_command(&wechat, &NIGHT).spawn().unwrap();
    stall.wait_for(&mut first);
    let second = shop.run(&wechat, &NIGHT);
    assert_fails(&second, 75, &[&format!("process {}", first.id())]);
    stall.end();
    let mut stderr = String::new();
    first.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert!(first.wait().unwrap().success(), "{stderr}");
}

#[test]
fn probe_signatures_and_storms_cost_retries_and_change_nothing() {
    let (shop, quiet) = (Shop::of_seed(9), Shop::of_seed(9));
    quiet.run_nights(&quiet.serve(None));
    let wechat = shop.serve(None);
    wechat.play(
        "[[fault]]\npath = \"/v3/\"\nkind = \"probe_signature\"\nevery = 17\n\
         [[fault]]\npath = \"/v3/\"\nkind = \"429\"\nevery = 13\n\
         [[fault]]\npath = \"/v3/\"\nkind = \"502_html\"\nevery = 19\n\
         [[fault]]\npath = \"/v3/\"\nkind = \"reset\"\nevery = 23\n",
    );
    shop.run_nights(&wechat);
    let (stormy, calm) = (shop.published(), quiet.published());
    assert_eq!(stormy.keys().collect::<Vec<_>>(), calm.keys().collect::<Vec<_>>());
    for (name, bytes) in calm {
        assert!(stormy[&name] == bytes, "{name} differs");
    }
}

#[test]
fn no_secret_is_ever_shown_even_at_trace() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    wechat.play("[[fault]]\npath = \"/v3/\"\nkind = \"429\"\nevery = 5\n");
    let mut command = shop.run_command(&wechat, &[&NIGHT[..], &["--summary"]].concat());
    let ending = Ending::of(command.env("COUPON_RECON_LOG", "trace").output().unwrap());
    assert_eq!(ending.code, 0, "{}", ending.stderr);
    assert!(ending.stderr.contains("TRACE") || ending.stderr.contains("DEBUG"), "the log must be on");
    for (name, secret) in shop.secrets() {
        assert!(!ending.stderr.contains(&secret), "{name} stands in the log");
    }
    assert!(!ending.stderr.contains("access_token="), "a token stands in the log");
}

/// `key = …` of the first line that has it becomes `key = value`.
fn replace_value(text: &str, key: &str, value: &str) -> String {
    let mut done = false;
    let lines = text.lines().map(|line| {
        if !done && line.split('=').next().is_some_and(|name| name.trim() == key) {
            done = true;
            format!("{key} = {value}")
        } else {
            line.to_owned()
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A scenario in which the wallet of one user is wrong in the given way.
fn lying_wallet(shop: &Shop, kind: &str) -> String {
    let openid = shop.openids().into_iter().next().unwrap();
    format!("[[fault]]\npath = \"/v3/marketing/busifavor/users/{openid}/coupons\"\nkind = \"{kind}\"\n")
}

#[test]
fn a_wallet_that_never_settles_makes_the_night_partial_unless_the_job_allows_it() {
    for kind in ["endless", "wrong_total", "missing_data"] {
        let shop = Shop::of_seed(14);
        shop.edit("job.toml", |text| text.replace("refresh = \"active\"", "refresh = \"all\""));
        let everybody: String = shop.openids().iter().map(|openid| format!("{openid}\n")).collect();
        shop.edit("roster.csv", |_| format!("openid\n{everybody}"));
        let wechat = shop.serve(None);
        wechat.play(&lying_wallet(&shop, kind));
        let ending = shop.run(&wechat, &NIGHT);
        assert_fails(&ending, 4, &["1 wallet did not settle", "wallets.max_unsettled"]);
        shop.edit("job.toml", |text| replace_value(&text, "max_unsettled", "1"));
        let ending = shop.run(&wechat, &NIGHT);
        assert_eq!(ending.code, 0, "{kind}: {}", ending.stderr);
        let coverage = &ending.manifest()["coverage"];
        let [known, verified] = ["wallets", "wallets_verified"].map(|name| coverage[name].as_u64().unwrap());
        assert_eq!(
            (known, verified),
            (shop.openids().len() as u64, known - 1),
            "{kind}: it is known, though no coupon is"
        );
    }
}

#[test]
fn a_night_that_goes_on_is_judged_by_all_its_answers_not_by_those_of_its_last_run() {
    for kind in ["wrong_signature", "500"] {
        let shop = Shop::of_seed(14);
        shop.shorten_waits();
        shop.edit("job.toml", |text| text.replace("refresh = \"active\"", "refresh = \"all\""));
        let everybody: String = shop.openids().iter().map(|openid| format!("{openid}\n")).collect();
        shop.edit("roster.csv", |_| format!("openid\n{everybody}"));
        let wechat = shop.serve(None);
        wechat.play(&lying_wallet(&shop, kind));
        // The second run requests only that wallet.
        assert!(shop.run_dying(&wechat, "staged:publishing.json$", &NIGHT), "{kind}: nothing would be published");
        let ending = shop.run(&wechat, &NIGHT);
        assert_eq!(ending.code, 4, "{kind}: {}", ending.stderr);
        assert!(shop.published().contains_key("datasets/user_coupons/dt=2026-11-18/part-0.parquet"), "{kind}");
    }
}

#[test]
fn answers_with_wrong_or_missing_signatures_reach_no_dataset() {
    for kind in ["wrong_signature", "missing_signature", "skewed_timestamp"] {
        let shop = Shop::of_seed(15);
        shop.shorten_waits();
        let wechat = shop.serve(None);
        wechat.play(&format!("[[fault]]\npath = \"/v3/\"\nkind = \"{kind}\"\n"));
        let ending = shop.run(&wechat, &NIGHT);
        assert_fails(&ending, 77, &["signature", "nothing was published"]);
        assert!(shop.published().is_empty(), "{kind}");
    }
}

#[test]
fn a_used_up_quota_is_75_and_the_rest_is_published() {
    let shop = Shop::of_seed(16);
    let wechat = shop.serve(None);
    wechat.play("[[fault]]\npath = \"/datacube/\"\nkind = \"errcode\"\nvalue = 45009\n");
    let ending = shop.run(&wechat, &NIGHT);
    assert_fails(&ending, 75, &["45009"]);
    assert!(shop.published().contains_key("datasets/coupon_ledger/dt=2026-11-18/part-0.parquet"));
    assert!(!shop.published().contains_key("datasets/card_daily/dt=2026-11-18/part-0.parquet"));
}

#[test]
fn a_source_that_is_not_ready_is_75_and_says_when_it_will_be() {
    let shop = Shop::of_seed(17);
    let wechat = shop.serve(None);
    shop.edit("job.toml", |text| replace_value(&text, "ready_at", "\"23:59\""));
    let ending = shop.run(&wechat, &["--date", "2026-11-20"]);
    assert_fails(&ending, 75, &["2026-11-21 23:59", "sources.bills.ready_at", "--wait"]);
    assert_eq!(wechat.counts().of("GET /v3/bill/tradebill"), 0, "nobody is asked too early");
    assert!(!shop.published().contains_key("datasets/payments/dt=2026-11-20/part-0.parquet"));
    assert!(shop.published().contains_key("datasets/coupon_ledger/dt=2026-11-20/part-0.parquet"));
}

#[test]
fn a_day_that_is_not_over_is_a_usage_error() {
    let shop = Shop::of_seed(17);
    let ending = shop.program(&["run", "job.toml", "--date", "2026-11-21"]);
    assert_fails(&ending, 2, &["2026-11-21 is not over yet"]);
    assert_fails(&shop.program(&["run", "job.toml", "--from", "2026-11-20", "--to", "2026-11-18"]), 2, &["is after"]);
}

#[test]
fn users_that_wechat_no_longer_knows_keep_their_coupons_and_a_night_that_knows_nobody_says_so() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    assert_eq!(shop.run(&wechat, &NIGHT).code, 0);
    wechat.play(
        "[[fault]]\npath = \"/v3/marketing/busifavor/users/\"\nkind = \"errcode\"\nvalue = \"USER_NOT_EXISTS\"\n",
    );
    let told = ["knows none of the", "`wallets.appid`"];
    assert_fails(&shop.run(&wechat, &["--date", "2026-11-19"]), 4, &told);
    let coupons = |date: &str| {
        let path = shop.lake().join(format!("datasets/user_coupons/dt={date}/part-0.parquet"));
        let rows: Vec<UserCoupon> = read_rows(&path).unwrap();
        rows.into_iter().map(|row| (row.stock_id, row.coupon_code, row.verified_date)).collect::<Vec<_>>()
    };
    assert_eq!(coupons("2026-11-19"), coupons("2026-11-18"));
}

#[test]
fn a_v2_stock_of_the_job_file_that_wechat_does_not_know_is_told_and_the_others_are_published() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    shop.edit("job.toml", |text| text.replace("stock_ids = [\"9728595\"", "stock_ids = [\"9728559\", \"9728595\""));
    let told = ["does not know the v2 stock `9728559`", "`pay_v2.stock_ids`"];
    assert_fails(&shop.run(&wechat, &NIGHT), 4, &told);
    assert!(shop.published().contains_key("datasets/v2_stocks/dt=2026-11-18/part-0.parquet"));
}

#[test]
fn a_member_card_that_wechat_does_not_know_is_named_and_the_other_figures_are_published() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    wechat.play(
        "[[fault]]\npath = \"/datacube/getcardmembercarddetail\"\nkind = \"errcode\"\nvalue = 40073\ntimes = 1\n",
    );
    let told = ["WeChat does not know the member card `", "`mp.member_card_ids`"];
    assert_fails(&shop.run(&wechat, &NIGHT), 4, &told);
    assert!(shop.published().contains_key("datasets/card_daily/dt=2026-11-18/part-0.parquet"));
    assert_fails(&shop.run(&wechat, &NIGHT), 4, &told);
    assert_eq!(shop.run(&wechat, &[&NIGHT[..], &["--refetch"]].concat()).code, 0);
}

/// The day cannot be asked for again: what was not answered then would look as if it had been nothing.
#[test]
fn figures_that_the_last_pull_of_a_day_lacks_open_no_break_on_the_nights_after() {
    let shop = Shop::of_seed(1);
    shop.edit("job.toml", |text| text.replace("repull_days = 3", "repull_days = 1"));
    let wechat = shop.serve(None);
    wechat.play(
        "[[fault]]\npath = \"/datacube/getcardmembercarddetail\"\nkind = \"errcode\"\nvalue = 40073\ntimes = 1\n",
    );
    assert_eq!(shop.run(&wechat, &NIGHT).code, 4);
    let next = shop.run(&wechat, &["--date", "2026-11-19"]);
    assert_eq!(next.code, 0, "{}", next.stderr);
    let of_the_night = |it: &Break| it.rule_id == "DC04" && it.ref_date == Some(day(18));
    let told: Vec<_> = shop.breaks(day(19)).into_iter().filter(of_the_night).map(|it| it.why).collect();
    assert!(told.is_empty(), "{told:?}");
}

#[test]
fn a_coupon_a_v2_answer_does_not_know_takes_nothing_from_the_others_and_nothing_from_the_next_run() {
    let shop = Shop::sample();
    shop.edit("v2-coupons.csv", |text| format!("{text}99999,oRYun8Xx1xTb1N_Q73Anp4cAAAAA,9728595\n"));
    let wechat = shop.serve(None);
    for arguments in [vec!["--date", "2026-11-18"], vec!["--date", "2026-11-18", "--replay"]] {
        let ending = shop.run(&wechat, &arguments);
        assert_eq!(ending.code, 0, "{}", ending.stderr);
        let manifest = ending.manifest();
        assert_eq!(manifest["status"], "complete", "{manifest}");
    }
}

#[test]
fn v2_that_rejects_every_question_takes_nothing_from_the_others() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    wechat.play("[[fault]]\npath = \"/mmpaymkttransfers/\"\nkind = \"errcode\"\nvalue = \"SIGN_ERROR\"\n");
    assert_fails(&shop.run(&wechat, &NIGHT), 4, &["SIGN_ERROR", "V201"]);
    let published = shop.published();
    assert!(published.contains_key("datasets/breaks/dt=2026-11-18/part-0.parquet"));
    assert!(!published.contains_key("datasets/v2_stocks/dt=2026-11-18/part-0.parquet"));
    let alone = shop.run(&wechat, &["--date", "2026-11-18", "--stage", "v2_stocks"]);
    assert_fails(&alone, 77, &["SIGN_ERROR", "nothing was published"]);
}

#[test]
fn a_bill_that_never_fits_its_digest_takes_nothing_from_the_orders() {
    let shop = Shop::of_seed(1);
    shop.shorten_waits();
    let wechat = shop.serve(None);
    wechat.play("[[fault]]\npath = \"/v3/billdownload/file\"\nkind = \"invalid_utf8\"\n");
    let files = ["--date", "2026-11-18", "--stage", "orders,bills"];
    assert_fails(&shop.run(&wechat, &files), 4, &["the downloaded bill does not match"]);
    let published: Vec<_> = shop.published().into_keys().filter(|name| name.starts_with("datasets/")).collect();
    assert_eq!(published, ["datasets/orders/dt=2026-11-18/_SUCCESS", "datasets/orders/dt=2026-11-18/part-0.parquet"]);
}

#[test]
fn a_night_of_which_every_source_failed_publishes_nothing_though_other_stages_had_nothing_to_ask() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    shop.edit("job.toml", |text| {
        let only = ["[job]", "[pay_v3]", "[[orders]]", "[orders.", "[bills]", "[sources"];
        let mut is_kept = true;
        let keep = |line: &&str| {
            if line.starts_with('[') {
                is_kept = only.iter().any(|section| line.starts_with(section));
            }
            is_kept
        };
        text.lines().filter(keep).map(|line| format!("{line}\n")).collect()
    });
    shop.edit("orders/2026-11-18.csv", |_| "no order\r\n".to_owned());
    wechat.play("[[fault]]\npath = \"/v3/bill/tradebill\"\nkind = \"errcode\"\nvalue = \"NO_AUTH\"\n");
    let ending = shop.run(&wechat, &NIGHT);
    assert_fails(&ending, 65, &["2026-11-18.csv", "nothing was published"]);
    assert!(shop.published().is_empty(), "{:?}", shop.published().keys());
}

#[test]
fn a_stock_that_only_wallets_show_and_wechat_does_not_tell_of_is_noted_and_the_night_is_complete() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    let ids = stocks_of(&shop);
    wechat.play(&format!(
        "[[fault]]\npath = \"/v3/marketing/busifavor/stocks/{}\"\nkind = \"errcode\"\nvalue = \"RESOURCE_NOT_EXISTS\"\n",
        ids[0]
    ));
    assert_fails(&shop.run(&wechat, &NIGHT), 4, &[&format!("does not know the stock `{}`", ids[0]), "`stocks.ids`"]);
    shop.forget_lake();
    shop.edit("job.toml", |text| text.replace(&format!("ids = [\"{}\", ", ids[0]), "ids = ["));
    let ending = shop.run(&wechat, &NIGHT);
    assert_eq!(ending.code, 0, "{}", ending.stderr);
    assert_eq!(stage_of(&ending.manifest(), "stocks")["notes"]["unknown_stocks"], 1);
}

#[test]
fn an_order_line_of_a_later_payment_than_the_day_of_its_file_is_kept_counted_and_named() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    let later = |text: String| {
        let (head, rest) = text.split_once('\n').unwrap();
        format!("{head}\n{}", rest.replacen("2026-11-18 ", "2027-11-18 ", 1))
    };
    shop.edit("orders/2026-11-18.csv", later);
    let ending = shop.run(&wechat, &NIGHT);
    assert_eq!(stage_of(&ending.manifest(), "orders")["notes"]["paid_later"], 1, "{}", ending.stderr);
    let told = "1 order line of later payments than the day of the export: `orders/2026-11-18.csv` line 3 was paid at 2027-11-18 ";
    assert!(ending.stderr.contains(told), "{}", ending.stderr);
}

#[test]
fn a_figure_of_member_cards_that_fails_leaves_those_of_the_others_to_their_rules() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    wechat.play("[[fault]]\npath = \"/datacube/getcardmembercardinfo\"\nkind = \"errcode\"\nvalue = 61501\n");
    let ending = shop.run(&wechat, &NIGHT);
    assert_fails(&ending, 4, &["61501", "DC02, DC04"]);
    let manifest = ending.manifest();
    let unjudged: Vec<_> = manifest["unjudged_rules"].as_object().unwrap().keys().collect();
    assert_eq!(unjudged, ["DC02", "DC04"], "DC02 compares the figures of member cards too");
}

/// The stocks that the job names.
fn stocks_of(shop: &Shop) -> Vec<String> {
    let job = std::fs::read_to_string(shop.path("job.toml")).unwrap();
    let section = &job[job.find("[stocks]").expect("a section")..];
    let list = section.lines().find_map(|line| line.strip_prefix("ids = [")).expect("its list");
    list.trim_end_matches(']').split(", ").map(|id| id.trim_matches('"').to_owned()).collect()
}

/// Status of a stage in the manifest of a night.
fn status_of(ending: &Ending, stage: &str) -> String {
    stage_of(&ending.manifest(), stage)["status"].as_str().unwrap().to_owned()
}

/// Status of the wallets in the manifest of a night, and whether it published them.
fn wallets_of(ending: &Ending) -> (String, bool) {
    let manifest = ending.manifest();
    let is_published = manifest["files"].as_array().unwrap().iter().any(|it| it["dataset"] == "user_coupons");
    (status_of(ending, "user_coupons"), is_published)
}

#[test]
fn a_night_that_does_not_know_whom_to_ask_never_calls_its_wallets_complete() {
    let shop = Shop::of_seed(9);
    let wechat = shop.serve(None);
    shop.edit("job.toml", |text| text.replace("\"roster.csv\"", "\"roster-{date}.csv\""));
    let first = shop.run(&wechat, &["--date", "2026-11-18"]);
    assert_eq!((first.code, wallets_of(&first)), (75, ("failed".to_owned(), false)), "{}", first.stderr);
    assert_eq!(first.stderr.matches("roster-2026-11-18.csv` is not there").count(), 2, "{}", first.stderr);
    std::fs::copy(shop.path("roster.csv"), shop.path("roster-2026-11-18.csv")).unwrap();
    let again = shop.run(&wechat, &["--date", "2026-11-18"]);
    assert_eq!((again.code, wallets_of(&again)), (0, ("complete".to_owned(), true)), "{}", again.stderr);
    let second = shop.run(&wechat, &["--date", "2026-11-19"]);
    assert_eq!((second.code, wallets_of(&second)), (75, ("partial".to_owned(), true)), "{}", second.stderr);
    assert_eq!(status_of(&second, "subsidies"), "partial", "used coupons may not be known");
}
