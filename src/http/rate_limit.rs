//! The rate limit of one API: the server never sees more than N arrivals in any window of one second, and there is no
//! burst at the start. Uses only the injected clock and sleep.
//!
//! Spacing the starts is not enough, since a delayed request may arrive together with later ones. So there are N slots,
//! and a slot is only reused one second after its request has ended, by which time it has arrived. Two arrivals of one
//! slot are therefore more than a second apart at the server too, however long a request, or this program, was delayed.
//! If answers take longer than a second and more requests may be concurrent than there are slots, this lowers the rate:
//! the limit has priority.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{Mutex, Notify};

use crate::clock::World;

/// How much of a late start may be made up for. Timers fire about a millisecond late; without this the actual rate
/// would stay well below the allowed one.
const CATCH_UP: TimeDelta = TimeDelta::milliseconds(5);
/// One nanosecond more than a second, so that closed intervals satisfy the limit too.
const WINDOW: TimeDelta = TimeDelta::nanoseconds(1_000_000_001);

/// Spaces the starts of requests.
#[derive(Debug)]
pub struct RateLimit {
    world: World,
    spacing: TimeDelta,
    ledger: Mutex<Ledger>,
    slots: Arc<Slots>,
}

/// What was granted so far.
#[derive(Debug, Default)]
struct Ledger {
    /// When the last grant was due; it may have been given a little later.
    last_due: Option<DateTime<Utc>>,
    /// When it was given. Time advances at least to here, whatever the clock does.
    last_granted: Option<DateTime<Utc>>,
}

/// The N slots of a window.
#[derive(Debug)]
struct Slots {
    /// Slots without a request in progress: when each becomes free, and its number; the earliest first.
    by_free_at: std::sync::Mutex<BTreeSet<(DateTime<Utc>, usize)>>,
    /// A request ended, so it is known when its slot becomes free.
    ended: Notify,
}

/// A request may start; dropped when it has ended.
#[derive(Debug)]
#[must_use = "the request ends when this is dropped"]
pub struct Turn {
    world: World,
    slots: Arc<Slots>,
    slot: usize,
    started_at: DateTime<Utc>,
}

impl RateLimit {
    /// At most `per_second` arrivals (at least 1) in any window of one second.
    pub fn new(per_second: u32, world: World) -> RateLimit {
        let per_second = per_second.max(1);
        let never_taken = (0..per_second as usize).map(|number| (DateTime::<Utc>::MIN_UTC, number));
        let by_free_at = std::sync::Mutex::new(never_taken.collect());
        let slots = Arc::new(Slots { by_free_at, ended: Notify::new() });
        let spacing = TimeDelta::nanoseconds(1_000_000_000 / i64::from(per_second) + 1);
        RateLimit { world, spacing, ledger: Mutex::default(), slots }
    }

    /// Waits until the next start is allowed. First come, first served.
    pub async fn wait_for_turn(&self) -> Turn {
        let mut ledger = self.ledger.lock().await;
        let clock_now = self.world.clock.now();
        let now = ledger.last_granted.map_or(clock_now, |last| last.max(clock_now));
        let due = ledger.last_due.map_or(now, |last| (last + self.spacing).max(now - CATCH_UP));
        let spaced = self.wait(now, due).await;
        let (slot, granted) = self.wait_for_slot(spaced).await;
        // A slot that became free late is not made up for.
        (ledger.last_due, ledger.last_granted) = (Some(if granted > spaced { granted } else { due }), Some(granted));
        Turn { world: self.world.clone(), slots: Arc::clone(&self.slots), slot, started_at: granted }
    }

    /// Takes the slot that is free first, and returns when that is.
    async fn wait_for_slot(&self, mut now: DateTime<Utc>) -> (usize, DateTime<Utc>) {
        loop {
            let ended = self.slots.ended.notified();
            match self.slots.take_first(now) {
                Ok(slot) => return (slot, now),
                // Slots that are released meanwhile become free later.
                Err(Some(free_at)) => now = self.wait(now, free_at).await,
                Err(None) => {
                    ended.await;
                    now = now.max(self.world.clock.now());
                }
            }
        }
    }

    /// Waits from `now` until `due`; returns the time then.
    async fn wait(&self, now: DateTime<Utc>, due: DateTime<Utc>) -> DateTime<Utc> {
        if due <= now {
            return now;
        }
        self.world.sleep.sleep((due - now).to_std().unwrap_or(Duration::ZERO)).await;
        self.world.clock.now().max(due)
    }
}

impl Slots {
    /// Takes a slot that is free at `now`, or returns when the first will be; unknown while all have a request in
    /// progress.
    fn take_first(&self, now: DateTime<Utc>) -> Result<usize, Option<DateTime<Utc>>> {
        let mut slots = self.lock();
        let first = slots.first().copied().ok_or(None)?;
        if first.0 > now {
            return Err(Some(first.0));
        }
        slots.remove(&first);
        Ok(first.1)
    }

    /// The request of a slot ended.
    fn end(&self, slot: usize, ended_at: DateTime<Utc>) {
        self.lock().insert((ended_at + WINDOW, slot));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<(DateTime<Utc>, usize)>> {
        self.by_free_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.slots.end(self.slot, self.world.clock.now().max(self.started_at));
        self.slots.ended.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http::scripted::FakeWorld;

    async fn grants(fake: &FakeWorld, per_second: u32, work_ms: &[u64]) -> Vec<DateTime<Utc>> {
        let rate_limit = RateLimit::new(per_second, fake.world());
        let mut starts = Vec::new();
        for ms in work_ms {
            drop(rate_limit.wait_for_turn().await);
            starts.push(fake.now());
            fake.advance(Duration::from_millis(*ms));
        }
        starts
    }

    fn busiest_second(starts: &[DateTime<Utc>]) -> usize {
        let within = |from: &DateTime<Utc>| {
            starts.iter().filter(|start| *start >= from && **start - *from <= TimeDelta::seconds(1)).count()
        };
        starts.iter().map(within).max().unwrap_or(0)
    }

    #[tokio::test]
    async fn the_first_requests_do_not_burst() {
        let fake = FakeWorld::new();
        let starts = grants(&fake, 4, &[0; 5]).await;
        assert_eq!(starts[1] - starts[0], TimeDelta::nanoseconds(250_000_001));
        assert_eq!(starts[4] - starts[0], TimeDelta::nanoseconds(1_000_000_004));
    }

    #[tokio::test]
    async fn an_idle_while_is_not_saved_up() {
        let starts = grants(&FakeWorld::new(), 10, &[60_000, 0, 0, 0]).await;
        assert_eq!(starts[3] - starts[1], TimeDelta::nanoseconds(195_000_002));
    }

    #[tokio::test]
    async fn a_clock_that_stands_still_does_not_stretch_the_waits() {
        let fake = FakeWorld::frozen();
        grants(&fake, 10, &[0; 41]).await;
        assert!(fake.slept() < Duration::from_millis(4_100), "{:?}", fake.slept());
    }

    #[tokio::test]
    async fn a_slot_is_free_a_second_after_its_request_ended_however_long_that_took() {
        let fake = FakeWorld::new();
        let rate_limit = RateLimit::new(1, fake.world());
        let start = fake.now();
        let turn = rate_limit.wait_for_turn().await;
        fake.advance(Duration::from_millis(300));
        drop(turn);
        let turn = rate_limit.wait_for_turn().await;
        assert_eq!(fake.now() - start, TimeDelta::milliseconds(1300) + TimeDelta::nanoseconds(1));
        let answer_after_a_minute = async {
            tokio::task::yield_now().await;
            fake.advance(Duration::from_secs(60));
            drop(turn);
            fake.now()
        };
        let (next, answered) = tokio::join!(rate_limit.wait_for_turn(), answer_after_a_minute);
        assert!(answered - start > TimeDelta::seconds(60));
        assert_eq!(fake.now() - answered, TimeDelta::seconds(1) + TimeDelta::nanoseconds(1));
        drop(next);
    }

    proptest! {
        #[test]
        fn no_window_of_a_second_holds_more_arrivals_than_the_limit_however_long_they_take(
            per_second in 1u32..20,
            late_ms in prop::collection::vec(prop_oneof![0i64..1000, 0i64..9000], 1..120),
        ) {
            let fake = FakeWorld::new();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let arrivals = runtime.block_on(async {
                let rate_limit = RateLimit::new(per_second, fake.world());
                let mut under_way: Vec<(DateTime<Utc>, Turn)> = Vec::new();
                let mut arrivals = Vec::new();
                for late in &late_ms {
                    if under_way.len() >= per_second as usize {
                        let first = under_way.iter().map(|(arrival, _)| *arrival).min().unwrap();
                        fake.advance((first - fake.now()).to_std().unwrap_or_default());
                        under_way.retain(|(arrival, _)| *arrival > fake.now());
                    }
                    let turn = rate_limit.wait_for_turn().await;
                    under_way.push((fake.now() + TimeDelta::milliseconds(*late), turn));
                    // Requests are answered immediately.
                    under_way.retain(|(arrival, _)| *arrival > fake.now());
                    arrivals.push(fake.now() + TimeDelta::milliseconds(*late));
                }
                arrivals
            });
            prop_assert!(busiest_second(&arrivals) <= per_second as usize);
        }

        #[test]
        fn no_window_of_a_second_holds_more_than_the_limit(
            per_second in 1u32..40,
            work_ms in prop::collection::vec(prop_oneof![Just(0u64), 0u64..30, 0u64..3000], 1..200),
            late_us in 0u64..20_000,
        ) {
            let fake = FakeWorld::waking_late(Duration::from_micros(late_us));
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let starts = runtime.block_on(grants(&fake, per_second, &work_ms));
            prop_assert!(busiest_second(&starts) <= per_second as usize);
        }
    }
}
