//! The configured rate, as the server counts arrivals: never more, and hardly less, although answers
//! take their time.

use std::time::{Duration, Instant};

use coupon_recon::simulator::generate::Recipe;

use crate::Line;
use crate::support::{Ending, Shop, Wechat, day};

/// `pay_v3.rate_per_second`; with a latency of `LATENCY_MS`, a third of it is in flight.
const RATE: u64 = 100;
const LATENCY_MS: u64 = 150;
const WALLETS: &str = "GET /v3/marketing/busifavor/users/{openid}/coupons";

/// Asks the wallets of a night.
pub fn run() -> Line {
    let shop = Shop::of(&Recipe::new(35, 1500, 1, day(18)));
    shop.edit("job.toml", |text| text.replace("rate_per_second = 500", &format!("rate_per_second = {RATE}")));
    let everybody: String = shop.openids().iter().map(|openid| format!("{openid}\n")).collect();
    shop.edit("roster.csv", |_| format!("openid\n{everybody}"));
    // The world stands still: what happens in it meanwhile is no fault of the night.
    let wechat = shop.serve(Some(shop.now()));
    wechat.play(&format!("[[fault]]\npath = \"/v3/\"\nkind = \"slow\"\ndelay_ms = {LATENCY_MS}\n"));
    let child = shop.run_command(&wechat, &["--date", "2026-11-18"]).spawn().unwrap();
    let (requests, took) = watch(&wechat);
    let ending = Ending::of(child.wait_with_output().unwrap());
    assert_eq!(ending.code, 0, "{}", ending.stderr);
    let busiest = wechat.counts().busiest_window["pay_v3"];
    let excess = (took.as_secs_f64() * RATE as f64 / requests as f64 - 1.0) * 100.0;
    Line {
        what: "rate, answers that take 150 ms".into(),
        tried: requests,
        survived: if busiest <= RATE { requests } else { 0 },
        note: format!(
            "{requests} requests in {:.2} s, {excess:+.1} % of what {RATE} a second take; busiest second {busiest}",
            took.as_secs_f64()
        ),
        ..Line::default()
    }
}

/// How many requests of v3 arrived from the first wallet to the last, and in what time.
fn watch(wechat: &Wechat) -> (u64, Duration) {
    let look = || {
        let counts = wechat.counts();
        let v3: u64 = counts.by_endpoint.iter().filter(|(name, _)| name.contains(" /v3/")).map(|it| it.1).sum();
        (counts.of(WALLETS), v3)
    };
    let (mut first, mut last) = (None, None);
    let (mut wallets, mut seen_at) = (0, Instant::now());
    while first.is_none() || seen_at.elapsed() < Duration::from_secs(1) {
        let (asked, v3) = look();
        if asked > wallets {
            (wallets, seen_at) = (asked, Instant::now());
            first = first.or(Some((seen_at, v3)));
            last = Some((seen_at, v3));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let ((begun, before), (ended, after)) = first.zip(last).expect("a wallet was asked");
    (after - before, ended - begun)
}
