//! Night after night against a server of which every twentieth answer is a fault, until so many requests
//! were sent: nothing lost, nothing doubled, no more memory, never over the rate.

use std::path::PathBuf;
use std::time::Duration;

use coupon_recon::simulator::generate::Recipe;

use crate::rows::differences;
use crate::support::{Ending, Shop, day};
use crate::{Line, setting};

/// `pay_v3.rate_per_second` of the job: the server must never count more in any second.
const RATE: u64 = 200;
/// Faults and each how many requests they come: together one in twenty. The numbers have no common
/// divisor, so that they do not fall on the same request.
const FAULTS: [(&str, &str, u32); 10] = [
    ("/v3/", "429", 89),
    ("/v3/", "500", 97),
    ("/v3/", "502_html", 101),
    ("/v3/", "reset", 103),
    ("/v3/", "probe_signature", 107),
    ("/datacube/", "500", 41),
    ("/datacube/", "reset", 43),
    ("/datacube/", "expired_token", 47),
    ("/card/", "502_html", 37),
    ("/card/", "reset", 31),
];

/// Runs nights until `SOAK_REQUESTS` were sent.
pub fn run() -> Line {
    let wanted = setting("SOAK_REQUESTS", 20_000);
    let users = u32::try_from((wanted / 10).clamp(300, 20_000)).unwrap();
    let shop = Shop::of(&Recipe::new(33, users, 1, day(18)));
    shop.edit("job.toml", |text| {
        let text = text.replace("rate_per_second = 500", &format!("rate_per_second = {RATE}"));
        text.replace("refresh = \"active\"", "refresh = \"all\"")
    });
    let everybody: String = shop.openids().iter().map(|openid| format!("{openid}\n")).collect();
    shop.edit("roster.csv", |_| format!("openid\n{everybody}"));
    let wechat = shop.serve(None);
    let calm = shop.run(&wechat, &["--date", "2026-11-18"]);
    assert_eq!(calm.code, 0, "{}", calm.stderr);
    let right = shop.published();
    wechat.running().reset_counts();
    let faults =
        FAULTS.map(|(path, kind, every)| format!("[[fault]]\npath = \"{path}\"\nkind = \"{kind}\"\nevery = {every}\n"));
    wechat.play(&faults.concat());
    let mut line = Line { what: "soak, 5 % mixed faults".into(), ..Line::default() };
    let mut peaks_kb = Vec::new();
    let mut is_right = true;
    while wechat.counts().total < wanted {
        let url = wechat.running().base_url();
        let mut command = shop.command(&["run", "job.toml", "--base-url", &url, "--date", "2026-11-18", "--refetch"]);
        let child = command.spawn().unwrap();
        let status = PathBuf::from(format!("/proc/{}/status", child.id()));
        let watch = std::thread::spawn(move || peak_kb(&status));
        let ending = Ending::of(child.wait_with_output().unwrap());
        peaks_kb.push(watch.join().unwrap());
        let (lost, doubled) = differences(&right, &shop.published());
        line.lost += lost;
        line.doubled += doubled;
        is_right &= ending.code == 0 && shop.published() == right;
        if ending.code != 0 {
            eprintln!("{}", ending.stderr);
            break;
        }
    }
    let counts = wechat.counts();
    let busiest = counts.busiest_window.get("pay_v3").copied().unwrap_or(0);
    line.tried = counts.faults.values().sum();
    line.survived = if is_right && busiest <= RATE { line.tried } else { 0 };
    let megabytes = |kb: Option<&u64>| kb.copied().unwrap_or(0) / 1024;
    line.note = format!(
        "{} requests in {} nights of {users} users; peak memory {} MB in the first, {} MB in the last, {} MB at most; \
         busiest second {busiest} of {RATE} allowed",
        counts.total,
        peaks_kb.len(),
        megabytes(peaks_kb.first()),
        megabytes(peaks_kb.last()),
        megabytes(peaks_kb.iter().max()),
    );
    line
}

/// The peak of resident memory as long as the process lives.
fn peak_kb(status: &std::path::Path) -> u64 {
    let mut peak = 0;
    while let Some(kb) = std::fs::read_to_string(status).ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("VmHWM:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    }) {
        peak = peak.max(kb);
        std::thread::sleep(Duration::from_millis(50));
    }
    peak
}
