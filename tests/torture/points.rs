//! The commit points of a run, as the run itself tells them, in words that mean the same ones in
//! another run: `staged:…$#2`, see `COUPON_RECON_DIE_AT`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use crate::support::{Shop, Wechat};

/// What differs from run to run in a path: the id of the run; length and checksum of a segment, which
/// holds the time of each answer; the checksum of a bill, which is zipped anew for each download.
static OF_THE_RUN: LazyLock<Regex> = LazyLock::new(|| {
    let varying = r"\d+T\d+Z-[0-9a-f]+|\d+-[0-9a-f]{16}|[0-9a-f]{64}";
    Regex::new(&format!(r"(?P<before>/runs/[-\d]+/|/\d{{5}}-|/bills/files/)({varying})")).unwrap()
});

/// Runs a night to its end; returns its commit points in order.
pub fn of_a_run(shop: &Shop, wechat: &Wechat, arguments: &[&str]) -> Vec<String> {
    let mut command = shop.run_command(wechat, &[&["--log-format", "json"], arguments].concat());
    let output = command.env("COUPON_RECON_LOG", "coupon_recon::durable=trace").output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{log}");
    let lake = shop.lake().parent().unwrap().canonicalize().unwrap();
    let mut seen = BTreeMap::<String, u64>::new();
    let points = log.lines().filter_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        let (step, path) = (line["step"].as_str()?, line["path"].as_str()?);
        // The folder of the job is part of some paths: from `out` on they are the same in every shop.
        let path = path.rsplit_once(lake.file_name()?.to_str()?).map_or(path, |(_, path)| path);
        let place = format!("{step}:{}$", OF_THE_RUN.replace_all(path, "$before*"));
        let times = seen.entry(place.clone()).or_default();
        *times += 1;
        Some(format!("{place}#{times}"))
    });
    points.collect()
}
