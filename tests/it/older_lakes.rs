//! A lake that an older program began: the nights of this one go on from what it published.

use std::fs;
use std::path::Path;

use coupon_recon::dataset::partition::{Provenance, read_rows, write_rows};
use coupon_recon::record::{Break, MemberCardDetailDay};
use coupon_recon::sha256::{sha256_of, sha256_of_file};
use serde_json::Value;

use crate::support::{Ending, Shop, day};

const DETAILS: &str = "member_card_detail_daily";

/// Takes from the details of the member cards of a night the mark that they lack rows. An older program had none: only the
/// stage in its manifest was partial.
fn unmark_details(shop: &Shop, night: &Ending) {
    let details = shop.lake().join(format!("datasets/{DETAILS}/dt=2026-11-18/part-0.parquet"));
    let rows: Vec<MemberCardDetailDay> = read_rows(&details).unwrap();
    write_rows(&details, &rows, &Provenance::default()).unwrap();
    let mut manifest = night.manifest();
    let files = manifest["files"].as_array_mut().unwrap();
    let entry = files.iter_mut().find(|file| file["dataset"] == DETAILS).unwrap();
    entry["sha256"] = sha256_of_file(&details).unwrap().into();
    entry["bytes"] = fs::metadata(&details).unwrap().len().into();
    write_manifest(Path::new(night.json()["manifest"].as_str().unwrap()), &manifest);
}

fn write_manifest(path: &Path, manifest: &Value) {
    let text = format!("{manifest:#}\n");
    fs::write(path, &text).unwrap();
    let checksum = format!("{}  manifest.json\n", sha256_of(text.as_bytes()));
    fs::write(path.with_file_name("manifest.json.sha256"), checksum).unwrap();
}

#[test]
fn a_day_that_an_older_program_left_partial_is_no_last_pull_for_the_nights_after() {
    let shop = Shop::of_seed(1);
    shop.edit("job.toml", |text| text.replace("repull_days = 3", "repull_days = 1"));
    let wechat = shop.serve(None);
    wechat.play(
        "[[fault]]\npath = \"/datacube/getcardmembercarddetail\"\nkind = \"errcode\"\nvalue = 40073\ntimes = 1\n",
    );
    let partial = shop.run(&wechat, &["--date", "2026-11-18"]);
    assert_eq!(partial.code, 4, "{}", partial.stderr);
    unmark_details(&shop, &partial);
    assert_eq!(shop.verify(day(18)).code, 0, "{}", shop.verify(day(18)).stdout);
    let next = shop.run(&wechat, &["--date", "2026-11-19"]);
    assert_eq!(next.code, 0, "{}", next.stderr);
    let of_the_day = |it: &Break| it.rule_id == "DC04" && it.ref_date == Some(day(18));
    let told: Vec<_> = shop.breaks(day(19)).into_iter().filter(of_the_day).map(|it| it.why).collect();
    assert!(told.is_empty(), "{told:?}");
}

#[test]
fn what_another_version_matched_otherwise_is_no_damage_of_its_day() {
    let shop = Shop::of_seed(1);
    let night = shop.run(&shop.serve(None), &["--date", "2026-11-18"]);
    assert_eq!(night.code, 0, "{}", night.stderr);
    let rewrite = |version: &str| {
        let mut manifest = night.manifest();
        manifest["code_version"] = version.into();
        let orders = manifest["footing"].as_array_mut().unwrap().iter_mut().find(|side| side["side"] == "orders");
        let orders = orders.unwrap();
        for (tally, more) in [("matched", 1), ("unmatched", -1)] {
            orders[tally]["rows"] = (orders[tally]["rows"].as_i64().unwrap() + more).into();
        }
        write_manifest(Path::new(night.json()["manifest"].as_str().unwrap()), &manifest);
        let verified = shop.verify(day(18));
        (verified.code, verified.stdout.contains("`orders` does not foot") && verified.stdout.contains(" matched, "))
    };
    assert_eq!(rewrite("0.0.1"), (0, false));
    assert_eq!(rewrite(env!("CARGO_PKG_VERSION")), (5, true));
}
