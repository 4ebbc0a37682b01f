//! The rate limit of one API: the server never counts more than N arrivals in any one-second window,
//! no burst at the start. Asks nothing but the injected world.
//!
//! Spacing the starts is not enough: a request that is held up on its way arrives together with the
//! ones after it. So there are N places, and a place is given away again a second after its request is
//! taken to have arrived: two arrivals of one place are more than a second apart at the server, too.
//!
//! When that was, only the server knows. To wait for the answer each time would make the pace N/(1 +
//! latency). So a request is taken to have been held up by all that its answer took longer than the
//! quickest answer of late, and by `SHIFT` more. That holds the limit as long as one request in a hundred
//! gets through unhindered, and costs, a second, `SHIFT` and what answers differ by on average; their
//! latency itself costs nothing.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{Mutex, Notify};

use crate::clock::World;

/// How far a late start may be made up for. Timers wake late, on a busy machine by tens of milliseconds;
/// without this the true rate would stay well below the allowed one. The places hold the limit, too.
const CATCH_UP: TimeDelta = TimeDelta::milliseconds(50);
/// By how much the ways of two requests may differ unnoticed.
const SHIFT: TimeDelta = TimeDelta::milliseconds(10);
/// A request that is held up has arrived when its answer is there, or after this: a slow server must not
/// slow the pace down to its own.
const ARRIVED_AFTER: TimeDelta = TimeDelta::seconds(1);
/// So many answers tell how long the quickest takes.
const REMEMBERED: usize = 127;
/// Before there are so many, nothing is known.
const TOO_FEW: usize = 10;
/// One nanosecond more than a second, so that closed windows hold too.
const WINDOW: TimeDelta = TimeDelta::nanoseconds(1_000_000_001);

/// Spaces the starts of requests.
pub struct Pace {
    world: World,
    spacing: TimeDelta,
    ledger: Mutex<Ledger>,
    places: Arc<Places>,
}

/// What was granted so far.
#[derive(Default)]
struct Ledger {
    /// When the last grant was due; it may have happened a little later.
    last_due: Option<DateTime<Utc>>,
    /// When it happened. Time goes on at least as far, whatever the clock does.
    last_granted: Option<DateTime<Utc>>,
}

/// The places, and who waits for one.
struct Places {
    window: std::sync::Mutex<Window>,
    /// A request ended: its place may be free earlier than was thought.
    ended: Notify,
}

/// The N places of a window. Knows no clock.
struct Window {
    places: Vec<Option<Place>>,
    latencies: VecDeque<TimeDelta>,
    /// What the quickest answer took; nothing as long as that is not known.
    quick: TimeDelta,
}

#[derive(Clone, Copy)]
struct Place {
    started_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
    /// As it was at the start: a stall must not make itself usual.
    quick: TimeDelta,
}

/// A request may start; dropped when its answer is there.
#[must_use = "the request ends when this is dropped"]
pub struct Turn {
    world: World,
    places: Arc<Places>,
    number: usize,
    started_at: DateTime<Utc>,
}

impl Pace {
    /// At most `per_second` arrivals (at least 1) in any window of one second.
    pub fn new(per_second: u32, world: World) -> Pace {
        let per_second = per_second.max(1);
        let window = std::sync::Mutex::new(Window::of(per_second));
        let places = Arc::new(Places { window, ended: Notify::new() });
        Pace { world, spacing: spacing(per_second), ledger: Mutex::default(), places }
    }

    /// Waits until the next start is allowed. First come, first served.
    pub async fn wait_for_turn(&self) -> Turn {
        let mut ledger = self.ledger.lock().await;
        let clock_now = self.world.clock.now();
        let now = ledger.last_granted.map_or(clock_now, |last| last.max(clock_now));
        let due = ledger.last_due.map_or(now, |last| (last + self.spacing).max(now - CATCH_UP));
        let spaced = self.wait(now, due).await;
        let (number, granted) = self.wait_for_place(spaced).await;
        (ledger.last_due, ledger.last_granted) = (Some(due), Some(granted));
        Turn { world: self.world.clone(), places: Arc::clone(&self.places), number, started_at: granted }
    }

    /// Takes the place that is free first, and tells when.
    async fn wait_for_place(&self, mut now: DateTime<Utc>) -> (usize, DateTime<Utc>) {
        loop {
            let ended = self.places.ended.notified();
            let free_at = match self.places.window().take(now) {
                Ok(number) => return (number, now),
                Err(free_at) => free_at,
            };
            tokio::select! {
                later = self.wait(now, free_at) => now = later,
                () = ended => now = now.max(self.world.clock.now()),
            }
        }
    }

    /// Waits from `now` until `due`; tells the time then.
    async fn wait(&self, now: DateTime<Utc>, due: DateTime<Utc>) -> DateTime<Utc> {
        if due <= now {
            return now;
        }
        self.world.sleep.sleep((due - now).to_std().unwrap_or(Duration::ZERO)).await;
        self.world.clock.now().max(due)
    }
}

/// One nanosecond more than the share of a request, so that closed windows hold too.
fn spacing(per_second: u32) -> TimeDelta {
    TimeDelta::nanoseconds(1_000_000_000 / i64::from(per_second) + 1)
}

impl Places {
    fn window(&self) -> std::sync::MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    fn of(per_second: u32) -> Window {
        Window { places: vec![None; per_second as usize], latencies: VecDeque::new(), quick: TimeDelta::zero() }
    }

    /// Takes the place that is free first, or tells when it will be, as far as is known now.
    fn take(&mut self, now: DateTime<Utc>) -> Result<usize, DateTime<Utc>> {
        let free_at = self.places.iter().map(|place| place.map(|place| place.free_at(now))).enumerate();
        let (number, free_at) = free_at.min_by_key(|(_, free_at)| *free_at).expect("there is at least one place");
        match free_at {
            Some(free_at) if free_at > now => Err(free_at),
            _ => {
                self.places[number] = Some(Place { started_at: now, ended_at: None, quick: self.quick });
                Ok(number)
            }
        }
    }

    /// The request that took place `number` at `started_at` is answered.
    fn end(&mut self, number: usize, started_at: DateTime<Utc>, ended_at: DateTime<Utc>) {
        // The place may have been given away again meanwhile.
        if let Some(place) = self.places[number].as_mut().filter(|place| place.started_at == started_at) {
            place.ended_at = Some(ended_at);
        }
        self.latencies.push_back(ended_at - started_at);
        if self.latencies.len() > REMEMBERED {
            self.latencies.pop_front();
        }
        if self.latencies.len() >= TOO_FEW {
            self.quick = self.latencies.iter().copied().min().unwrap_or_default();
        }
    }
}

impl Place {
    /// A second after its request is taken to have arrived.
    fn free_at(self, now: DateTime<Utc>) -> DateTime<Utc> {
        let took = self.ended_at.unwrap_or(now) - self.started_at;
        let held_up = match self.ended_at {
            Some(_) => ((took - self.quick).max(TimeDelta::zero()) + SHIFT).min(took),
            None if took <= self.quick => SHIFT,
            None => ARRIVED_AFTER,
        };
        let held_up = held_up.min(ARRIVED_AFTER);
        self.started_at + held_up + WINDOW
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let ended_at = self.world.clock.now().max(self.started_at);
        self.places.window().end(self.number, self.started_at, ended_at);
        self.places.ended.notify_one();
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
            drop(pace.wait_for_turn().await);
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
        assert_eq!(starts[3] - starts[1], TimeDelta::nanoseconds(150_000_002));
    }

    #[tokio::test]
    async fn a_clock_that_stands_still_does_not_stretch_the_waits() {
        let fake = FakeWorld::frozen();
        grants(&fake, 10, &[0; 41]).await;
        assert!(fake.slept() < Duration::from_millis(4_100), "{:?}", fake.slept());
    }

    #[tokio::test]
    async fn a_place_is_free_a_second_after_the_answer_or_two_after_the_start() {
        let fake = FakeWorld::new();
        let pace = Pace::new(1, fake.world());
        let start = fake.now();
        let turn = pace.wait_for_turn().await;
        fake.advance(Duration::from_millis(300));
        drop(turn);
        let turn = pace.wait_for_turn().await;
        assert_eq!(fake.now() - start, TimeDelta::milliseconds(1300) + TimeDelta::nanoseconds(1));
        // This one gets no answer.
        let again = fake.now();
        let next = pace.wait_for_turn().await;
        assert_eq!(fake.now() - again, TimeDelta::seconds(2) + TimeDelta::nanoseconds(1));
        drop((turn, next));
    }

    /// A request: how long it is on its way, and how long the server works on it. Milliseconds.
    #[derive(Debug, Clone, Copy)]
    struct Journey {
        way: i64,
        work: i64,
    }

    /// Sends requests as fast as the window lets them; when each starts and when the server counts it.
    /// `stall` keeps what is started in it from arriving before it ends.
    fn send(per_second: u32, journeys: &[Journey], stall: std::ops::Range<i64>) -> Vec<[DateTime<Utc>; 2]> {
        let zero = FakeWorld::new().now();
        let stall = zero + TimeDelta::milliseconds(stall.start)..zero + TimeDelta::milliseconds(stall.end);
        let (mut window, mut now, mut due) = (Window::of(per_second), zero, zero - spacing(per_second));
        let mut under_way: Vec<(DateTime<Utc>, usize, DateTime<Utc>)> = Vec::new();
        let mut sent = Vec::new();
        for Journey { way, work } in journeys {
            due = (due + spacing(per_second)).max(now - CATCH_UP);
            now = now.max(due);
            let number = loop {
                let (ended, rest) = under_way.iter().partition::<Vec<_>, _>(|(ended_at, ..)| *ended_at <= now);
                under_way = rest;
                ended.into_iter().for_each(|(ended_at, number, started_at)| window.end(number, started_at, ended_at));
                match window.take(now) {
                    Ok(number) => break number,
                    Err(free_at) => now = under_way.iter().map(|it| it.0).fold(free_at, DateTime::min),
                }
            };
            let arrival = now + TimeDelta::milliseconds(*way);
            let arrival = if stall.contains(&now) { arrival.max(stall.end) } else { arrival };
            under_way.push((arrival + TimeDelta::milliseconds(*work), number, now));
            sent.push([now, arrival]);
        }
        sent
    }

    fn arrivals(sent: &[[DateTime<Utc>; 2]]) -> Vec<DateTime<Utc>> {
        sent.iter().map(|[_, arrival]| *arrival).collect()
    }

    proptest! {
        #[test]
        fn no_window_of_a_second_holds_more_arrivals_than_the_limit_where_ways_differ_by_less_than_the_shift(
            per_second in 1u32..40,
            least in 0i64..300,
            journeys in prop::collection::vec((0i64..=10, 0i64..1500), 1..200),
        ) {
            let journeys: Vec<_> =
                journeys.into_iter().map(|(way, work)| Journey { way: least + way, work }).collect();
            let sent = send(per_second, &journeys, 0..0);
            prop_assert!(busiest_second(&arrivals(&sent)) <= per_second as usize);
        }

        #[test]
        fn nor_where_one_in_five_is_held_up_by_anything(
            per_second in 1u32..40,
            least in 0i64..300,
            work in 0i64..500,
            ways in prop::collection::vec(prop_oneof![4 => 0i64..=10, 1 => 0i64..900], 1..300),
        ) {
            let journeys: Vec<_> = ways.into_iter().map(|way| Journey { way: least + way, work }).collect();
            let sent = send(per_second, &journeys, 0..0);
            prop_assert!(busiest_second(&arrivals(&sent)) <= per_second as usize);
        }

        #[test]
        fn nor_when_everything_is_held_up_for_a_while_and_then_arrives_at_once(
            per_second in 2u32..60,
            way in 0i64..200,
            work in 0i64..500,
            begin in 1500i64..4000,
            length in 0i64..900,
        ) {
            let journeys = vec![Journey { way, work }; per_second as usize * 8];
            let sent = send(per_second, &journeys, begin..begin + length);
            prop_assert!(busiest_second(&arrivals(&sent)) <= per_second as usize);
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

    proptest! {
        // Each is forty seconds of requests.
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn requests_take_their_number_by_the_limit_and_three_in_a_hundred_more_however_long_answers_take(
            per_second in 10u32..60,
            latency in prop_oneof![Just(0i64), 0i64..100, 0i64..3000],
            spread in prop::collection::vec((0i64..30, prop_oneof![39 => Just(0i64), 1 => 0i64..60]), 200),
        ) {
            let journeys = spread.iter().map(|(spread, outlier)| Journey { way: 0, work: latency + spread + outlier });
            let count = per_second as usize * 40;
            let journeys: Vec<_> = journeys.cycle().take(count).collect();
            let sent = send(per_second, &journeys, 0..0);
            let took = (sent[count - 1][0] - sent[0][0]).as_seconds_f64();
            // Before the first answers nothing is known of the server: the pace is half of it until then.
            let unknown = (latency as f64 / 1000.0 + 0.09).max(1.0);
            prop_assert!(took <= 40.0 * 1.03 + unknown, "{took} s");
            prop_assert!(took > 40.0 - 1.5, "{took} s");
        }
    }
}
