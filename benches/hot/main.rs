//! The hot loops alone, each on material made here: a request signed, an answer verified, a page of 20 coupons
//! decoded, rows sorted in memory and merged from the disk, a trade bill read.
//!
//! ```text
//! cargo bench --bench hot                times, by Criterion
//! hot count NAME TIMES                   runs one loop TIMES times and nothing else, for `make bench-instructions`
//! ```

#[expect(dead_code, reason = "the ingest bench writes more kinds of file")]
#[path = "../ingest/bill.rs"]
mod bill;
#[path = "../ingest/dice.rs"]
mod dice;
mod material;

use std::hint::black_box;

use chrono::NaiveDate;
use coupon_recon::exports::trade_bill;
use coupon_recon::sorter::{Room, Sorter};
use coupon_recon::wechat::pay_v3::busifavor::UserCouponPage;
use coupon_recon::wechat::pay_v3::{Attempt, Keyring, SignatureHeaders, Signer};
use criterion::{Criterion, Throughput};

use material::Answer;

/// The allocator of the program, so that figures compare.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const OPENID: &str = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o";
const ROWS: u64 = 10_000;
const ENOUGH_MEMORY: usize = 64 << 20;
/// So little that `ROWS` spill to disk in some twenty runs.
const LITTLE_MEMORY: usize = 128 << 10;
const BILL_BYTES: u64 = 3 << 20;

/// A loop: one operation, and what it is counted in.
struct Hot {
    /// What is counted, and how many of it one operation handles.
    unit: (&'static str, u64),
    run: Box<dyn Fn()>,
}

type Make = fn() -> Hot;

/// Each makes its own material, so that counting one loop counts no work of the others.
const LOOPS: [(&str, Make); 6] = [
    ("signature", signing),
    ("verification", verifying),
    ("decoding", decoding),
    ("sort", || sorting(ENOUGH_MEMORY)),
    ("merge", || sorting(LITTLE_MEMORY)),
    ("bill", reading),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [command, name, times] if command == "count" => count(name, times.parse().expect("how often")),
        _ => measure(),
    }
}

/// Runs one loop alone: only its own work and the making of its material are counted.
fn count(name: &str, times: u64) {
    let (_, make) = LOOPS.into_iter().find(|(loop_name, _)| *loop_name == name).expect("the name of a loop");
    let hot = make();
    for _ in 0..times {
        (hot.run)();
    }
    println!("{} {}", hot.unit.1, hot.unit.0);
}

fn measure() {
    let mut criterion = Criterion::default().configure_from_args();
    for (name, make) in LOOPS {
        let (hot, mut group) = (make(), criterion.benchmark_group(name));
        group.throughput(Throughput::Elements(hot.unit.1)).sample_size(20);
        group.bench_function(hot.unit.0, |bencher| bencher.iter(|| (hot.run)()));
        group.finish();
    }
    criterion.final_summary();
}

fn signing() -> Hot {
    let signer = Signer::new(&material::settings()).expect("a published key");
    let target = format!("/v3/marketing/favor/users/{OPENID}/coupons?appid=wx5edab3bdfba3dc1c&offset=0&limit=20");
    let run = move || {
        let nonce = "593BEC0C930BF1AFEB40B4A08C8FB242";
        let attempt = Attempt { method: "GET", target: &target, timestamp: 1_795_104_000, nonce, body: b"" };
        black_box(signer.authorization(&attempt));
    };
    Hot { unit: ("request", 1), run: Box::new(run) }
}

fn verifying() -> Hot {
    let keyring = Keyring::from_settings(&material::settings()).expect("a published key");
    let answer = Answer::signed(material::page());
    let run = move || {
        let Answer { timestamp, nonce, signature, body } = &answer;
        keyring
            .verify(&SignatureHeaders { timestamp, nonce, signature, serial: material::PLATFORM_KEY }, body)
            .expect("our own signature");
    };
    Hot { unit: ("answer", 1), run: Box::new(run) }
}

fn decoding() -> Hot {
    let body = material::page();
    let run = move || {
        black_box(UserCouponPage::borrowed_from(black_box(&body)).expect("a page as documented"));
    };
    Hot { unit: ("page", 1), run: Box::new(run) }
}

fn sorting(memory_bytes: usize) -> Hot {
    let rows = material::rows(ROWS);
    let run = move || {
        let mut sorter = Sorter::new(&Room { folder: std::env::temp_dir(), memory_bytes });
        rows.iter().for_each(|row| sorter.push(row).expect("room for the runs"));
        let (mut sorted, mut found) = (sorter.finish().expect("room for the runs"), 0);
        while let Some(row) = sorted.peek() {
            found += u64::from(!black_box(row).key().is_empty());
            sorted.advance().expect("the runs as they were written");
        }
        assert_eq!(found, ROWS);
    };
    Hot { unit: ("row", ROWS), run: Box::new(run) }
}

fn reading() -> Hot {
    let bill = bill::write_bill(Vec::new(), BILL_BYTES).expect("memory takes it");
    let date = NaiveDate::from_ymd_opt(2026, 11, 18).expect("a day of the calendar");
    let read = move || {
        let mut rows = 0;
        let take = &mut |entry: trade_bill::Entry<'_>, _| {
            black_box(entry);
            rows += 1;
            Ok(())
        };
        trade_bill::read(bill.as_slice(), "bill.csv", date, take).expect("a bill as documented");
        rows
    };
    let rows = read();
    Hot { unit: ("row", rows), run: Box::new(move || assert_eq!(read(), rows)) }
}
