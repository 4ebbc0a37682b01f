//! The rate limit of one API: never more than N starts in any one-second window, no burst at the
//! start. Asks nothing but the injected world.

use std::collections::VecDeque;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Mutex;

use crate::clock::World;

/// How far a late start may be made up for. Timers wake about a millisecond late; without this
/// the true rate would stay well below the allowed one.
const CATCH_UP: TimeDelta = TimeDelta::milliseconds(5);

/// Spaces the starts of requests.
pub struct Pace {
    per_second: usize,
    world: World,
    ledger: Mutex<Ledger>,
}

/// What was granted so far.
#[derive(Default)]
struct Ledger {
    /// Grants of the last second, at most `per_second`, oldest first.
    recent: VecDeque<DateTime<Utc>>,
    /// When the last grant was due; it may have happened a little later.
    last_due: Option<DateTime<Utc>>,
}

impl Pace {
    /// At most `per_second` starts (at least 1) in any window of one second.
    pub fn new(per_second: u32, world: World) -> Pace {
        Pace { per_second: per_second.max(1) as usize, world, ledger: Mutex::default() }
    }

    /// Waits until the next start is allowed. First come, first served.
    pub async fn wait_for_turn(&self) {
        let mut ledger = self.ledger.lock().await;
        // A clock that stands still or jumps back must not stretch the waits: time goes on at
        // least as far as the last grant.
        let now = ledger.recent.back().copied().map_or(self.world.clock.now(), |last| last.max(self.world.clock.now()));
        let due = ledger.next_due(now, self.per_second);
        if due > now {
            let wait = (due - now).to_std().unwrap_or(Duration::ZERO);
            self.world.sleep.sleep(wait).await;
        }
        let granted = self.world.clock.now().max(due).max(now);
        ledger.grant(due, granted, self.per_second);
    }
}

impl Ledger {
    fn next_due(&self, now: DateTime<Utc>, per_second: usize) -> DateTime<Utc> {
        let spacing = TimeDelta::nanoseconds(1_000_000_000 / per_second as i64 + 1);
        let scheduled = self.last_due.map_or(now, |last| (last + spacing).max(now - CATCH_UP));
        // One nanosecond more than a second, so that closed windows hold too.
        let window_opens = match self.recent.front() {
            Some(oldest) if self.recent.len() == per_second => *oldest + TimeDelta::nanoseconds(1_000_000_001),
            _ => scheduled,
        };
        scheduled.max(window_opens)
    }

    fn grant(&mut self, due: DateTime<Utc>, granted: DateTime<Utc>, per_second: usize) {
        if self.recent.len() == per_second {
            self.recent.pop_front();
        }
        self.recent.push_back(granted);
        self.last_due = Some(due);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http::scripted::FakeWorld;

    async fn grants(fake: &FakeWorld, per_second: u32, work_ms: &[u64]) -> Vec<DateTime<Utc>> {
        let pace = Pace::new(per_second, fake.world());
        let mut starts = Vec::new();
        for ms in work_ms {
            pace.wait_for_turn().await;
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

    proptest! {
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
