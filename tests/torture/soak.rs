//! Night after night against a server of which every twentieth answer is a fault, until so many requests
//! were sent: nothing lost, nothing doubled, no more memory, never over the rate.

use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

use coupon_recon::simulator::generate::Recipe;

use crate::rows::differences;
use crate::support::{Ending, Shop, Wechat, day};
use crate::{Line, setting};

/// `pay_v3.rate_per_second` of the job unless `SOAK_RATE` says another: the server must never count more in any second.
const RATE: u64 = 300;
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
/// A wallet has a page or two, a subsidy now and then.
const REQUESTS_PER_USER: u64 = 2;
/// How much more may be resident when the last request of a night is sent than when a quarter of them was, per
/// cent. What there is to hold grows fourfold in between; what is held does not grow with it.
const GROWTH_PERCENT: u64 = 25;
const NIGHT: [&str; 2] = ["--date", "2026-11-18"];

/// Runs nights until `SOAK_REQUESTS` were sent.
pub fn run() -> Line {
    let wanted = setting("SOAK_REQUESTS", 20_000);
    let rate = setting("SOAK_RATE", RATE);
    let users = u32::try_from((wanted / REQUESTS_PER_USER / 3).clamp(300, 100_000)).unwrap();
    let shop = shop_of(users, rate);
    // The world stands still: what happens in it meanwhile is no fault of the night.
    let wechat = shop.serve(Some(shop.now()));
    let calm = shop.run(&wechat, &NIGHT);
    assert_eq!(calm.code, 0, "{}", calm.stderr);
    let right = shop.published();
    wechat.running().reset_counts();
    let faults =
        FAULTS.map(|(path, kind, every)| format!("[[fault]]\npath = \"{path}\"\nkind = \"{kind}\"\nevery = {every}\n"));
    wechat.play(&faults.concat());
    let mut line = Line { what: "soak, 5 % mixed faults".into(), ..Line::default() };
    let (mut memories, mut is_right) = (Vec::new(), true);
    while is_right && wechat.counts().total < wanted {
        let (ending, memory) = run_watched(&shop, &wechat);
        let found = shop.published();
        (line.lost, line.doubled) = differences(&right, &found);
        is_right = ending.code == 0 && found == right && memory.is_flat();
        eprintln!("  {}: {} requests, {}", line.what, wechat.counts().total, memory.tell());
        memories.push(memory);
        if !is_right {
            let differ = |name: &&String| right.get(*name) != found.get(*name);
            eprintln!("{}{:?} differ", ending.stderr, right.keys().filter(differ).collect::<Vec<_>>());
        }
    }
    let counts = wechat.counts();
    let busiest = counts.busiest_window.get("pay_v3").copied().unwrap_or(0);
    line.tried = counts.faults.values().sum();
    line.survived = if is_right && busiest <= rate { line.tried } else { 0 };
    line.note = format!(
        "{} requests in {} nights of {users} users; busiest second {busiest} of {rate} allowed; resident memory, \
         first and last night: {}; {}",
        counts.total,
        memories.len(),
        memories.first().map(Memory::tell).unwrap_or_default(),
        memories.last().map(Memory::tell).unwrap_or_default(),
    );
    line
}

/// A merchant every user of which is asked.
fn shop_of(users: u32, rate: u64) -> Shop {
    let shop = Shop::of(&Recipe::new(33, users, 1, day(18)));
    shop.edit("job.toml", |text| {
        let text = text.replace("rate_per_second = 500", &format!("rate_per_second = {rate}"));
        text.replace("refresh = \"active\"", "refresh = \"all\"")
    });
    let everybody: String = shop.openids().iter().map(|openid| format!("{openid}\n")).collect();
    shop.edit("roster.csv", |_| format!("openid\n{everybody}"));
    shop
}

/// A night in a new generation of the journal, and what memory it took.
fn run_watched(shop: &Shop, wechat: &Wechat) -> (Ending, Memory) {
    let url = wechat.running().base_url();
    let mut command = shop.command(&[&["run", "job.toml", "--refetch", "--base-url", &url], &NIGHT[..]].concat());
    let mut child = command.spawn().unwrap();
    let memory = Memory::watch(&mut child, || wechat.counts().total);
    (Ending::of(child.wait_with_output().unwrap()), memory)
}

/// What a process kept in memory while it asked, kB.
#[derive(Default)]
struct Memory {
    /// Resident, beside how much had been asked by then.
    samples: Vec<(u64, u64)>,
    peak: u64,
}

impl Memory {
    fn watch(child: &mut Child, asked: impl Fn() -> u64) -> Memory {
        let status = PathBuf::from(format!("/proc/{}/status", child.id()));
        let mut memory = Memory::default();
        while let Ok(text) = std::fs::read_to_string(&status) {
            let number = |field: &str| -> Option<u64> {
                let line = text.lines().find(|line| line.starts_with(field))?;
                line.split_whitespace().nth(1)?.parse().ok()
            };
            let (Some(resident), Some(peak)) = (number("VmRSS:"), number("VmHWM:")) else { break };
            memory.samples.push((asked(), resident));
            memory.peak = memory.peak.max(peak);
            std::thread::sleep(Duration::from_millis(100));
        }
        memory
    }

    /// Resident memory when so many quarters of the night's requests were sent.
    fn after_quarters(&self, quarters: u64) -> u64 {
        let asked = |sample: Option<&(u64, u64)>| sample.map_or(0, |(asked, _)| *asked);
        let (first, last) = (asked(self.samples.first()), asked(self.samples.last()));
        // Before the first request a process is only starting.
        let wanted = (first + (last - first) * quarters / 4).max(first + 1);
        self.samples.iter().find(|(asked, _)| *asked >= wanted).map_or(0, |(_, resident)| *resident)
    }

    fn is_flat(&self) -> bool {
        let [quarter, end] = [1, 4].map(|quarters| self.after_quarters(quarters));
        quarter > 0 && end * 100 <= quarter * (100 + GROWTH_PERCENT)
    }

    fn tell(&self) -> String {
        let [begin, quarter, half, three_quarters, end] = [0, 1, 2, 3, 4].map(|it| self.after_quarters(it) / 1024);
        format!(
            "{begin} MB at the first request, {quarter} after a quarter, {half} after half, {three_quarters} after \
             three quarters, {end} at the last, {} at most",
            self.peak / 1024
        )
    }
}
