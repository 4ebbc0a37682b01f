//! A part of a published day is damaged, swapped or forged: `verify` finds and names it, and no later
//! night is built on it.

use std::path::{Path, PathBuf};

use coupon_recon::clock::World;
use coupon_recon::dataset::partition::{Provenance, read_rows, write_rows};
use coupon_recon::journal::{Entry, Journal, Mode};
use coupon_recon::money::Fen;
use coupon_recon::record::Payment;

use crate::support::{Shop, Wechat, day};

const PAYMENTS: &str = "datasets/payments/dt=2026-11-18/part-0.parquet";
const JOURNAL: &str = "journal/dt=2026-11-18";

/// A shop with two published nights.
fn published() -> (Shop, Wechat) {
    let shop = Shop::of_seed(26);
    let wechat = shop.serve(None);
    for date in ["2026-11-18", "2026-11-19"] {
        let ending = shop.run(&wechat, &["--date", date]);
        assert_eq!(ending.code, 0, "{}", ending.stderr);
    }
    (shop, wechat)
}

/// `verify` of the first night must say all of `words`, with exit code 5.
fn assert_named(shop: &Shop, harm: &str, words: &[&str]) {
    let verified = shop.verify(day(18));
    assert_eq!(verified.code, 5, "{harm}: {}{}", verified.stdout, verified.stderr);
    let is_named = verified.stdout.lines().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(is_named, "{harm}: no line has {words:?} in\n{}", verified.stdout);
}

/// Damages one file, verifies, restores it.
fn with_harm(shop: &Shop, file: &Path, harm: impl FnOnce(&Path), look: impl FnOnce()) {
    let bytes = std::fs::read(file).unwrap();
    harm(file);
    look();
    std::fs::write(file, bytes).unwrap();
    let verified = shop.verify(day(18));
    assert_eq!(verified.code, 0, "{}", verified.stdout);
}

fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(path, bytes).unwrap();
}

/// The first file below `folder` for which `is_it` holds.
fn find(folder: &Path, is_it: impl Fn(&str) -> bool) -> PathBuf {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.is_file() && is_it(&path.to_string_lossy())).collect();
    files.sort();
    files.swap_remove(0)
}

#[test]
fn each_planted_corruption_of_a_dataset_or_report_is_found_and_named() {
    let (shop, _wechat) = published();
    assert_eq!(shop.verify(day(18)).code, 0, "{}", shop.verify(day(18)).stdout);
    let payments = shop.lake().join(PAYMENTS);
    with_harm(&shop, &payments, flip, || assert_named(&shop, "flipped byte", &[PAYMENTS, "hash differs"]));
    let swap = |path: &Path| {
        std::fs::copy(shop.lake().join(PAYMENTS.replace("-18/", "-19/")), path).unwrap();
    };
    with_harm(&shop, &payments, swap, || {
        assert_named(&shop, "swapped file", &[PAYMENTS, "hash differs"]);
        assert_named(&shop, "swapped file", &[PAYMENTS, "a row of another day"]);
    });
    let delete = |path: &Path| std::fs::remove_file(path).unwrap();
    with_harm(&shop, &payments, delete, || assert_named(&shop, "deleted partition", &[PAYMENTS, "is missing"]));
    with_harm(&shop, &payments, edit_amount, || assert_named(&shop, "edited amount", &[PAYMENTS, "hash differs"]));
    let report = find(&shop.lake().join("reports/dt=2026-11-18"), |name| name.ends_with(".csv"));
    let edit = |path: &Path| std::fs::write(path, "nothing is open").unwrap();
    with_harm(&shop, &report, edit, || assert_named(&shop, "edited report", &[".csv", "hash differs"]));
    let foreign = payments.with_file_name("part-1.parquet");
    std::fs::copy(&payments, &foreign).unwrap();
    assert_named(&shop, "foreign file", &["part-1.parquet", "does not belong in a dataset"]);
    std::fs::remove_file(foreign).unwrap();
}

/// Changes an amount in a file that stays valid.
fn edit_amount(path: &Path) {
    let mut rows: Vec<Payment> = read_rows(path).unwrap();
    rows[0].order_fen += Fen(1);
    write_rows(path, &rows, &Provenance::default()).unwrap();
}

#[test]
fn each_planted_corruption_of_journal_or_manifest_is_found_and_named() {
    let (shop, _wechat) = published();
    let stage = shop.lake().join(JOURNAL).join("gen-001/stocks");
    let segment = find(&stage, |name| name.ends_with(".parquet"));
    with_harm(&shop, &segment, flip, || {
        assert_named(&shop, "torn segment", &["gen-001/stocks", "length and checksum"])
    });
    let bill = find(&shop.lake().join(JOURNAL).join("gen-001/bills/files"), |name| name.contains(".csv"));
    with_harm(&shop, &bill, flip, || assert_named(&shop, "flipped bill", &["bills/files", "its bytes changed"]));
    let remove = |path: &Path| std::fs::remove_file(path).unwrap();
    with_harm(&shop, &bill, remove, || assert_named(&shop, "removed bill", &["bills/files", ".csv", "is missing"]));
    let runs = shop.lake().join("runs/2026-11-18");
    let run = std::fs::read_dir(&runs).unwrap().next().unwrap().unwrap().path();
    let edit = |path: &Path| {
        let text = std::fs::read_to_string(path).unwrap();
        std::fs::write(path, text.replace("\"exit_code\": 0", "\"exit_code\": 4")).unwrap();
    };
    let manifest = run.join("manifest.json");
    with_harm(&shop, &manifest, edit, || assert_named(&shop, "edited manifest", &["manifest.json", "was changed"]));
    // Last, because this forgery replaces the bytes: a body is changed and the checksum in the file name adapted.
    forge(&stage, &segment);
    assert_named(&shop, "edited body", &["stocks", "not those the day was made from"]);
    assert_named(&shop, "edited body", &["stocks", "signature"]);
}

/// Rewrites a segment with another body in its first entry, as the program itself would write it.
fn forge(stage: &Path, segment: &Path) {
    let scratch = tempfile::tempdir().unwrap();
    let read = Journal::replay(stage.parent().unwrap().parent().unwrap(), Some(1), World::real()).unwrap();
    let forged = Journal::open(scratch.path(), Mode::Resume, World::real()).unwrap();
    for (number, Entry { key, mut pages }) in read.stage("stocks").unwrap().entries().unwrap().into_iter().enumerate() {
        if number == 0 {
            pages[0].body = String::from_utf8(pages[0].body.to_vec()).unwrap().replace('1', "2").into();
        }
        forged.stage("stocks").unwrap().append(Entry { key, pages }).unwrap();
    }
    forged.flush().unwrap();
    let new = find(&scratch.path().join("gen-001/stocks"), |name| name.ends_with(".parquet"));
    std::fs::remove_file(segment).unwrap();
    std::fs::copy(&new, stage.join(new.file_name().unwrap())).unwrap();
}

#[test]
fn a_night_is_not_built_upon_an_earlier_day_that_was_altered() {
    let (shop, wechat) = published();
    let path = shop.lake().join(PAYMENTS);
    let right = std::fs::read(&path).unwrap();
    edit_amount(&path);
    let ending = shop.run(&wechat, &["--date", "2026-11-20"]);
    assert_eq!(ending.code, 5, "{}", ending.stderr);
    assert!(ending.stderr.contains(PAYMENTS) && ending.stderr.contains("--date 2026-11-18"), "{}", ending.stderr);
    std::fs::write(&path, right).unwrap();
    assert_eq!(shop.run(&wechat, &["--date", "2026-11-20"]).code, 0);
}

#[test]
fn a_night_is_not_built_upon_an_earlier_day_of_which_a_file_is_gone() {
    let (shop, wechat) = published();
    let calm = shop.published();
    let wallets = shop.lake().join("datasets/user_coupons/dt=2026-11-18");
    let away = shop.lake().join("away");
    std::fs::rename(&wallets, &away).unwrap();
    let ending = shop.run(&wechat, &["--date", "2026-11-19"]);
    assert_eq!(ending.code, 5, "{}", ending.stderr);
    assert!(ending.stderr.contains("user_coupons/dt=2026-11-18/part-0.parquet` is missing"), "{}", ending.stderr);
    assert!(ending.stderr.contains("run `--date 2026-11-18` again first"), "{}", ending.stderr);
    std::fs::rename(&away, &wallets).unwrap();
    assert_eq!(shop.run(&wechat, &["--date", "2026-11-19"]).code, 0);
    assert!(shop.published() == calm, "the published bytes differ");
}

/// Every user would exist twice: the one whose coupons were known, and the one that is requested tonight.
#[test]
fn a_night_is_not_built_upon_openids_under_another_key() {
    let shop = Shop::of_seed(43);
    let wechat = shop.serve(None);
    assert_eq!(shop.run(&wechat, &["--date", "2026-11-18"]).code, 0);
    let key = std::fs::read(shop.path("secrets/pii.key")).unwrap();
    std::fs::write(shop.path("secrets/pii.key"), "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff")
        .unwrap();
    let asked = wechat.counts().total;
    for arguments in [&["--date", "2026-11-19"][..], &["--date", "2026-11-19", "--dry-run"]] {
        let ending = shop.run(&wechat, arguments);
        assert_eq!(ending.code, 2, "{}", ending.stderr);
        for words in ["dt=2026-11-18", "`job.pii`", "nothing was requested", "restore the former key"] {
            assert!(ending.stderr.contains(words), "{words}: {}", ending.stderr);
        }
    }
    assert_eq!(wechat.counts().total, asked, "nobody is asked");
    assert_eq!(
        shop.run(&wechat, &["--from", "2026-11-18", "--to", "2026-11-19"]).code,
        0,
        "the first day on is a way out"
    );
    std::fs::write(shop.path("secrets/pii.key"), key).unwrap();
    assert_eq!(shop.run(&wechat, &["--date", "2026-11-19"]).code, 2, "and the former key is another one now");
}

#[test]
fn a_later_day_is_stale_once_an_earlier_one_is_restated_and_verify_says_so() {
    let (shop, wechat) = published();
    shop.edit("orders/2026-11-18.csv", |text| {
        let mut lines: Vec<_> = text.lines().collect();
        lines.pop();
        lines.join("\r\n")
    });
    assert_eq!(shop.run(&wechat, &["--date", "2026-11-18"]).code, 0);
    let verified = shop.verify(day(19));
    assert_eq!(verified.code, 5, "{}", verified.stdout);
    assert!(verified.stdout.contains("was restated after 2026-11-19 was made from it"), "{}", verified.stdout);
    assert_eq!(shop.run(&wechat, &["--date", "2026-11-19"]).code, 0);
    assert_eq!(shop.verify(day(19)).code, 0, "{}", shop.verify(day(19)).stdout);
}

#[test]
fn a_damaged_bill_or_segment_of_a_night_under_way_is_set_aside_and_asked_again() {
    let shop = Shop::of_seed(26);
    let wechat = shop.serve(None);
    let night = ["--date", "2026-11-18"];
    assert_eq!(shop.run(&wechat, &night).code, 0);
    let calm = shop.published();
    let generation = shop.lake().join(JOURNAL).join("gen-001");
    let bill = find(&generation.join("bills/files"), |name| name.contains(".csv"));
    let segment = find(&generation.join("stocks"), |name| name.ends_with(".parquet"));
    flip(&bill);
    let bytes = std::fs::read(&segment).unwrap();
    std::fs::write(&segment, &bytes[..bytes.len() / 2]).unwrap();
    wechat.running().reset_counts();
    let ending = shop.run(&wechat, &night);
    assert_eq!(ending.code, 0, "{}", ending.stderr);
    assert!(ending.stderr.contains("torn") && ending.stderr.contains("bill"), "{}", ending.stderr);
    assert_eq!(wechat.counts().of("GET /v3/bill/tradebill"), 1);
    assert_eq!(wechat.counts().of("GET /v3/marketing/busifavor/users/{openid}/coupons"), 0);
    assert!(shop.published() == calm, "the published bytes differ");
    assert!(generation.join("stocks/torn").join(segment.file_name().unwrap()).is_file());
    assert!(generation.join("bills/torn").join(bill.file_name().unwrap()).is_file());
    assert_eq!(shop.verify(day(18)).code, 0, "{}", shop.verify(day(18)).stdout);
}

#[test]
fn a_link_out_of_the_lake_is_refused() {
    let shop = Shop::of_seed(26);
    let wechat = shop.serve(None);
    let elsewhere = tempfile::tempdir().unwrap();
    let places = [
        "datasets/orders",
        "journal/dt=2026-11-18/gen-001",
        "journal/dt=2026-11-18/gen-001/stocks",
        "journal/dt=2026-11-18/gen-001/bills/files",
        "journal/dt=2026-11-18/gen-001/stocks/00000.staged",
        "staging/ruiyun-coffee/orders.parquet",
        "state/ruiyun-coffee.publishing.staged",
        "runs/2026-11-18/20261119T020304Z-00000000",
    ];
    for place in places {
        shop.forget_lake();
        let link = shop.lake().join(place);
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), &link).unwrap();
        let ending = shop.run(&wechat, &["--date", "2026-11-18"]);
        assert_eq!(ending.code, 2, "{place}: {}", ending.stderr);
        assert!(ending.stderr.contains(&format!("{place}` is a symbolic link")), "{place}: {}", ending.stderr);
        assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0, "{place}");
    }
    assert_eq!(wechat.counts().total, 0, "nobody is asked");
}

#[test]
fn what_a_night_that_was_held_back_journalled_is_no_damage_to_the_one_that_is_published() {
    let (shop, wechat) = published();
    let complete = shop.published();
    let roster = std::fs::read_to_string(shop.path("roster.csv")).unwrap();
    let hidden = shop.path("orders/hidden.csv");
    std::fs::rename(shop.path("orders/2026-11-18.csv"), &hidden).unwrap();
    shop.edit("roster.csv", |_| format!("openid\n{}", shop.openids().into_iter().collect::<Vec<_>>().join("\n")));
    wechat.running().reset_counts();
    let held_back = shop.run(&wechat, &["--date", "2026-11-18"]);
    assert!(held_back.stderr.contains("was complete when 2026-11-18 was published"), "{}", held_back.stderr);
    assert!(wechat.counts().total > 0, "more was asked");
    assert_eq!(shop.verify(day(18)).code, 0, "{}", shop.verify(day(18)).stdout);
    // A replay gives what was published; the next run uses what was requested in the meantime.
    std::fs::rename(hidden, shop.path("orders/2026-11-18.csv")).unwrap();
    std::fs::write(shop.path("roster.csv"), roster).unwrap();
    let replayed = shop.program(&["run", "job.toml", "--replay", "--date", "2026-11-18"]);
    assert_eq!(replayed.code, 0, "{}", replayed.stderr);
    assert!(shop.published() == complete, "the replay differs");
    wechat.running().reset_counts();
    assert_eq!(shop.run(&wechat, &["--date", "2026-11-18"]).code, 0);
    assert_eq!(wechat.counts().total, 0, "what is journalled is not asked again");
    assert_eq!(shop.verify(day(18)).code, 0, "{}", shop.verify(day(18)).stdout);
}

#[test]
fn a_day_is_stale_once_an_earlier_one_is_filled_in_and_verify_says_so_not_that_it_does_not_foot() {
    let shop = Shop::of_seed(41);
    let wechat = shop.serve(None);
    for date in ["2026-11-19", "2026-11-18"] {
        assert_eq!(shop.run(&wechat, &["--date", date]).code, 0);
    }
    let verified = shop.verify(day(19));
    assert_eq!(verified.code, 5);
    assert!(verified.stdout.contains("2026-11-19 is stale: 2026-11-18 was published after it"), "{}", verified.stdout);
    assert!(!verified.stdout.contains("does not foot"), "{}", verified.stdout);
    assert_eq!(shop.run(&wechat, &["--date", "2026-11-19"]).code, 0);
    assert_eq!(shop.verify(day(19)).code, 0);
}

/// Its manifest names no day before the earliest ledger there was; that the look-back had been shorter explains it as well.
#[test]
fn a_day_is_stale_once_the_first_day_of_its_look_back_is_filled_in() {
    let shop = Shop::of_seed(41);
    shop.edit("job.toml", |job| job.replace("lookback_days = 30", "lookback_days = 3"));
    // Decisions of the omitted day concern breaks that nobody knows.
    shop.edit("decisions.csv", |decisions| decisions.lines().next().unwrap_or_default().to_owned() + "\n");
    let wechat = shop.serve(None);
    for date in ["2026-11-19", "2026-11-20"] {
        let ending = shop.run(&wechat, &["--date", date]);
        assert_eq!(ending.code, 0, "{date}: {}", ending.stderr);
    }
    assert_eq!(shop.verify(day(20)).code, 0);
    assert_eq!(shop.run(&wechat, &["--date", "2026-11-18"]).code, 0);
    let verified = shop.verify(day(20));
    assert_eq!(verified.code, 5);
    assert!(
        verified.stdout.contains("2026-11-20 is stale: `breaks` of 2026-11-18 was published after it"),
        "{}",
        verified.stdout
    );
}

#[test]
fn wallets_whose_openid_is_kept_no_more_are_told_of_and_come_back_with_the_day_that_first_met_them() {
    let shop = Shop::of_seed(26);
    // Else this file names everybody again every night.
    shop.edit("roster.csv", |_| "openid\n".to_owned());
    let wechat = shop.serve(None);
    shop.run_nights(&wechat);
    let calm = shop.published();
    let kept = shop.lake().join("state/wallets/2026-11-18.txt");
    let harms: [fn(&Path); 2] = [|path| std::fs::remove_file(path).unwrap(), |path| std::fs::write(path, "").unwrap()];
    for harm in harms {
        harm(&kept);
        let ending = shop.run(&wechat, &["--date", "2026-11-20"]);
        assert_eq!(ending.code, 4, "{}", ending.stderr);
        for words in ["not kept in `", "lake/state/wallets`", "can request these coupons", "oldest first"] {
            assert!(ending.stderr.contains(words), "`{words}`: {}", ending.stderr);
        }
        assert!(shop.published() == calm, "the complete night stays as it is");
        wechat.running().reset_counts();
        shop.run_nights(&wechat);
        assert_eq!(wechat.counts().total, 0, "what is journalled is not asked again");
        assert!(shop.published() == calm, "the published bytes differ");
    }
}
