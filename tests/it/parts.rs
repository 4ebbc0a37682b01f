//! Nights whose partitions are files of many parts: the rows, breaks and reports of one file each, the same bytes
//! again, and no part that could be missed.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use coupon_recon::dataset::batches::Batches;
use coupon_recon::dataset::parts;

use crate::support::{Shop, Wechat, day};

const NIGHT: [&str; 2] = ["--date", "2026-11-18"];

/// A shop of `seed` with the smallest parts that a job may configure.
pub fn shop_of_parts(seed: u64) -> Shop {
    let shop = Shop::of_seed(seed);
    cut(&shop, 4096);
    shop
}

fn cut(shop: &Shop, bytes: u64) {
    shop.edit("job.toml", |text| {
        let lines = text.lines().filter(|line| !line.starts_with("part_bytes"));
        lines.collect::<Vec<_>>().join("\n").replacen("[job]", &format!("[job]\npart_bytes = {bytes}"), 1)
    });
}

/// The files of each published partition, by its folder.
fn partitions(shop: &Shop) -> BTreeMap<String, usize> {
    let mut partitions = BTreeMap::new();
    for name in shop.published().keys().filter(|name| name.ends_with(".parquet")) {
        *partitions.entry(name.rsplit_once('/').unwrap().0.to_owned()).or_default() += 1;
    }
    partitions
}

fn rows(shop: &Shop, partition: &str) -> RecordBatch {
    let batches = Batches::open(&shop.lake().join(partition).join(parts::FIRST), None, 1000).unwrap();
    let batches: Vec<_> = batches.map(Result::unwrap).collect();
    batches.first().map_or_else(
        || RecordBatch::new_empty(std::sync::Arc::new(arrow::datatypes::Schema::empty())),
        |first| concat_batches(&first.schema(), &batches).unwrap(),
    )
}

#[test]
fn nights_in_many_parts_publish_the_rows_and_find_the_breaks_of_nights_in_one_file_each() {
    let (one, many) = (Shop::of_seed(51), shop_of_parts(51));
    one.run_nights(&one.serve(None));
    let wechat = many.serve(None);
    many.run_nights(&wechat);
    for date in &many.dates {
        assert_eq!(many.found(*date), many.truth(*date), "{date}");
    }
    let (partitions_of_one, partitions_of_many) = (partitions(&one), partitions(&many));
    assert!(partitions_of_one.values().all(|files| *files == 1));
    assert!(partitions_of_one.keys().eq(partitions_of_many.keys()));
    let cut: BTreeSet<_> = partitions_of_many.iter().filter(|(_, files)| **files > 2).map(|(name, _)| name).collect();
    for dataset in ["orders", "payments", "user_coupons", "coupon_ledger", "breaks"] {
        let name = format!("datasets/{dataset}/dt=2026-11-19");
        assert!(cut.contains(&name), "{dataset} has {} files", partitions_of_many[&name]);
    }
    for partition in partitions_of_one.keys() {
        assert!(rows(&one, partition) == rows(&many, partition), "{partition}");
    }
    let reports = |shop: &Shop| {
        let files = shop.published().into_iter().filter(|(name, _)| name.starts_with("reports/dt=2026-11-18"));
        files.collect::<BTreeMap<_, _>>()
    };
    assert!(reports(&one) == reports(&many), "the reports do not tell how the lake is cut");
    for date in &many.dates {
        let verified = many.verify(*date);
        assert_eq!(verified.code, 0, "{date}: {}", verified.stdout);
    }
}

#[test]
fn a_replay_gives_the_parts_byte_for_byte_and_a_second_run_leaves_them() {
    let shop = shop_of_parts(52);
    let wechat = shop.serve(None);
    shop.run_nights(&wechat);
    let published = shop.published();
    shop.run_nights(&wechat);
    assert!(shop.published() == published, "a second run changed what was published");
    drop(wechat);
    shop.replay_from_nothing();
    assert!(shop.published() == published, "the replay gave other bytes");
}

#[test]
fn a_day_goes_from_one_file_to_many_and_back_and_nothing_is_left_over() {
    let shop = Shop::of_seed(53);
    let wechat = shop.serve(None);
    let publish = || {
        assert_eq!(shop.run(&wechat, &NIGHT).code, 0);
        assert_eq!(shop.verify(day(18)).code, 0, "{}", shop.verify(day(18)).stdout);
        shop.published()
    };
    let one = publish();
    cut(&shop, 4096);
    let many = publish();
    assert!(many.len() > one.len() + 20, "{} files", many.len());
    cut(&shop, 20_000);
    let few = publish();
    assert!(few.len() > one.len() && few.len() < many.len(), "{} files", few.len());
    cut(&shop, 4 << 30);
    assert!(publish() == one, "the files are those there were before");
}

#[test]
fn a_part_that_is_missing_or_another_one_is_named_and_no_night_is_made_from_the_rest() {
    let shop = shop_of_parts(54);
    let wechat = shop.serve(None);
    assert_eq!(shop.run(&wechat, &NIGHT).code, 0);
    let folder = shop.lake().join("datasets/orders/dt=2026-11-18");
    let last = parts::of(&folder.join(parts::FIRST)).unwrap().pop().unwrap();
    let bytes = std::fs::read(&last).unwrap();
    let name = last.file_name().unwrap().to_str().unwrap();
    let surplus = folder.join("part-99.parquet");
    let harms: [(&dyn Fn(), &str, &str); 3] = [
        (&|| std::fs::remove_file(&last).unwrap(), name, "is missing"),
        (&|| std::fs::write(&last, std::fs::read(folder.join(parts::FIRST)).unwrap()).unwrap(), name, "hash differs"),
        (&|| std::fs::write(&surplus, &bytes).unwrap(), "part-99.parquet", "does not belong"),
    ];
    for (harm, part, what) in harms {
        harm();
        let verified = shop.verify(day(18));
        assert_eq!(verified.code, 5, "{}", verified.stdout);
        let is_told = |line: &str| line.contains(&format!("orders/dt=2026-11-18/{part}")) && line.contains(what);
        assert!(verified.stdout.lines().any(is_told), "{part} {what}: {}", verified.stdout);
        let next = shop.run(&wechat, &["--date", "2026-11-19"]);
        assert_eq!(next.code, 5, "{part} {what}: {}", next.stderr);
        assert!(next.stderr.contains("is not the file that was published"), "{part} {what}: {}", next.stderr);
        let _ = std::fs::remove_file(&surplus);
        std::fs::write(&last, &bytes).unwrap();
        assert_eq!(shop.verify(day(18)).code, 0, "{}", shop.verify(day(18)).stdout);
    }
    assert_eq!(shop.run(&wechat, &["--date", "2026-11-19"]).code, 0);
}

#[test]
fn the_manifest_names_every_part_with_its_rows_and_a_script_reads_them_all() {
    let shop = shop_of_parts(55);
    let wechat = shop.serve(None);
    let ending = shop.run(&wechat, &NIGHT);
    let manifest = ending.manifest();
    let files = manifest["files"].as_array().unwrap();
    for (partition, count) in partitions(&shop) {
        let dataset = partition.split('/').nth(1).unwrap();
        let named = files.iter().filter(|file| file["dataset"] == dataset);
        let rows = named.clone().map(|file| file["rows"].as_u64().unwrap()).sum::<u64>();
        let names: Vec<_> = named.map(|file| file["name"].as_str().unwrap().to_owned()).collect();
        assert_eq!(names, (0..count).map(parts::name).collect::<Vec<_>>());
        let stages = manifest["stages"].as_array().unwrap();
        let told = stages.iter().find_map(|stage| stage["rows"][dataset].as_u64()).unwrap();
        assert_eq!(rows, told, "{dataset}");
    }
    let script = emitted(&shop, &wechat);
    let is_of_orders = |line: &&str| line.starts_with("file(\"orders__");
    let calls: Vec<Vec<&str>> =
        script.lines().filter(is_of_orders).map(|call| call.split('"').skip(3).step_by(2).collect()).collect();
    assert_eq!(calls.len(), 2, "the orders of two days");
    for paths in calls {
        assert!(paths.len() > 2, "{paths:?}");
        let first = shop.lake().join(paths[0]);
        let there: Vec<_> = parts::of(&first).unwrap();
        assert_eq!(there, paths.iter().map(|path| shop.lake().join(path)).collect::<Vec<_>>());
    }
}

/// The script of the second night.
fn emitted(shop: &Shop, wechat: &Wechat) -> String {
    let ending = shop.run(wechat, &["--date", "2026-11-19", "--engine", "spark", "--emit-script", "night.py"]);
    assert_eq!(ending.code, 0, "{}", ending.stderr);
    std::fs::read_to_string(shop.path("night.py")).unwrap()
}

#[test]
fn a_limit_too_small_for_a_part_is_refused_with_its_line() {
    let shop = Shop::of_seed(56);
    cut(&shop, 4095);
    let ending = shop.program(&["check", "job.toml"]);
    assert_eq!(ending.code, 2, "{}", ending.stderr);
    assert!(ending.stderr.contains("`job.part_bytes` is 4095: it must be at least 4096"), "{}", ending.stderr);
}
