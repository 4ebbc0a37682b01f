//! The merchant's files and WeChat's answers, sorted in hardly any memory: the night is the same.

use std::sync::Arc;

use coupon_recon::clock::World;
use coupon_recon::dataset::partition::read_rows;
use coupon_recon::dataset::status::RunStatus;
use coupon_recon::job;
use coupon_recon::journal::{Journal, Mode};
use coupon_recon::pipeline::{self, JournalKeeper, LastWords, NightPlan, PlannedNight, Quiet};
use coupon_recon::record::{OrderLine, Payment, Record, SubsidyPayment, UserCoupon};
use coupon_recon::watch::Caller;

use crate::support::{NOW, Shop};

/// Memory for a few rows.
const LITTLE_MEMORY_BYTES: usize = 1_000;

struct Nobody;

impl JournalKeeper for Nobody {
    fn keep(&self, _: &Arc<Journal>) {}
    fn keep_words(&self, _: Option<LastWords>) {}
}

/// Runs every night of a shop again from its journal, in this process.
fn replay(shop: &Shop, intake_memory_bytes: usize) {
    let job = job::load(&shop.path("job.toml"), &|_| None).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = World::at(NOW.parse().unwrap());
    for date in &shop.dates {
        let caller = Caller::of(std::iter::empty());
        let plan = NightPlan {
            date: *date,
            stages: None,
            mode: Mode::Replay,
            takes_script: false,
            caller,
            intake_memory_bytes,
        };
        let night = PlannedNight { job: &job, plan: &plan, world: &world };
        let outcome = runtime.block_on(pipeline::run_night(night, &Quiet, &Nobody)).unwrap();
        assert_eq!(outcome.manifest.status, RunStatus::Complete, "{:?}", outcome.issues);
    }
}

fn rows_of<R: Record>(shop: &Shop) -> usize {
    let path = |date| shop.lake().join(format!("datasets/{}/dt={date}/part-0.parquet", R::DATASET));
    shop.dates.iter().map(|date| read_rows::<R>(&path(date)).unwrap().len()).min().unwrap()
}

#[test]
fn a_night_with_hardly_any_memory_publishes_the_same_bytes() {
    let shop = Shop::of_seed(7);
    // A second export of the first day repeats every third line of the first one, in another order.
    shop.edit("job.toml", |text| text.replace("\"orders/{date}.csv\"", "\"orders/{date}*.csv\""));
    let first = std::fs::read_to_string(shop.path("orders/2026-11-18.csv")).unwrap();
    let header = first.lines().next().unwrap();
    let again: Vec<_> = first.lines().skip(1).step_by(3).collect();
    let lines = std::iter::once(&header).chain(again.iter().rev());
    std::fs::write(shop.path("orders/2026-11-18b.csv"), lines.map(|line| format!("{line}\n")).collect::<String>())
        .unwrap();
    let wechat = shop.serve(None);
    shop.run_nights(&wechat);
    let published = shop.published();
    assert!(again.len() > 10 && published["reports/dt=2026-11-18/summary.json"].len() > 100);
    let rows = [
        rows_of::<OrderLine>(&shop),
        rows_of::<Payment>(&shop),
        rows_of::<UserCoupon>(&shop),
        rows_of::<SubsidyPayment>(&shop),
    ];
    for rows in rows {
        assert!(rows * 100 > 5 * LITTLE_MEMORY_BYTES, "{rows} rows would hardly fill a run");
    }
    for tree in ["datasets", "reports"] {
        std::fs::remove_dir_all(shop.lake().join(tree)).unwrap();
    }
    replay(&shop, LITTLE_MEMORY_BYTES);
    let again = shop.published();
    assert_eq!(again.keys().collect::<Vec<_>>(), published.keys().collect::<Vec<_>>());
    for (name, bytes) in &published {
        assert!(again[name] == *bytes, "{name} differs");
    }
}
