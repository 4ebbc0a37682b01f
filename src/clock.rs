//! Business days in Asia/Shanghai (UTC+8), and the `World` that is injected into a run: clock, sleep,
//! randomness. Nothing else in the crate asks the operating system for any of the three.

#![expect(
    clippy::disallowed_methods,
    reason = "the one place that looks at the clock, and that tests tell how long to wait"
)]

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use futures_util::future::BoxFuture;

/// Offset of Asia/Shanghai from UTC; it has had no daylight saving time since 1991.
const SHANGHAI_SECONDS: i32 = 8 * 3600;

/// China Standard Time.
pub fn beijing() -> FixedOffset {
    FixedOffset::east_opt(SHANGHAI_SECONDS).expect("eight hours is a valid offset")
}

/// The business date an instant belongs to.
pub fn business_date_of(instant: DateTime<Utc>) -> NaiveDate {
    instant.with_timezone(&beijing()).date_naive()
}

/// The same as numbers: from microseconds to days since 1970, as Arrow stores them.
pub(crate) fn business_day(micros: i64) -> i32 {
    const MICROS: i64 = 1_000_000;
    let day = (micros + i64::from(SHANGHAI_SECONDS) * MICROS).div_euclid(86_400 * MICROS);
    i32::try_from(day).expect("business dates lie within 32-bit days")
}

/// The instant of a wall-clock time in Asia/Shanghai.
pub fn beijing_instant(local: NaiveDateTime) -> DateTime<Utc> {
    beijing().from_local_datetime(&local).single().expect("a fixed offset has no gaps").with_timezone(&Utc)
}

/// Fast path for a time written exactly as `2026-11-18 08:35:41`. `None` for any other format, which is left
/// to chrono.
pub fn plain_time(text: &str) -> Option<NaiveDateTime> {
    let bytes: &[u8; 19] = text.as_bytes().try_into().ok()?;
    let separators = [(4, b'-'), (7, b'-'), (10, b' '), (13, b':'), (16, b':')];
    if separators.iter().any(|(at, separator)| bytes[*at] != *separator) {
        return None;
    }
    let number = |digits: &[u8]| {
        let digit = |number: u32, byte: &u8| byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0'));
        digits.iter().try_fold(0, digit)
    };
    let date =
        NaiveDate::from_ymd_opt(number(&bytes[..4])?.cast_signed(), number(&bytes[5..7])?, number(&bytes[8..10])?)?;
    date.and_hms_opt(number(&bytes[11..13])?, number(&bytes[14..16])?, number(&bytes[17..])?)
}

/// The first instant of a business date.
pub fn start_of(date: NaiveDate) -> DateTime<Utc> {
    beijing_instant(date.and_time(NaiveTime::MIN))
}

/// The first instant after a business date: "now" inside a run of that date.
pub fn end_of(date: NaiveDate) -> DateTime<Utc> {
    start_of(date + chrono::Days::new(1))
}

/// The real time. Never decides about data: it serves readiness of sources, token life, request timestamps,
/// rate limits, leases and what the manifest and the log record.
pub trait Clock: Send + Sync {
    /// The current instant.
    fn now(&self) -> DateTime<Utc>;
}

/// Waiting, injected.
pub trait Sleep: Send + Sync {
    /// Completes after `duration`.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// Random bytes for nonces and jitter.
pub trait Random: Send + Sync {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// The outside world of a run; tests inject their own.
#[derive(Clone)]
pub struct World {
    /// The current time.
    pub clock: Arc<dyn Clock>,
    /// How to wait.
    pub sleep: Arc<dyn Sleep>,
    /// Randomness.
    pub random: Arc<dyn Random>,
}

impl World {
    /// The operating system's clock, timer and random generator.
    pub fn real() -> World {
        World { clock: Arc::new(SystemClock), sleep: Arc::new(TokioSleep), random: Arc::new(SystemRandom) }
    }

    /// The real world, except for a clock that was set to `now`.
    pub fn at(now: DateTime<Utc>) -> World {
        World { clock: Arc::new(SetClock::showing(now)), ..World::real() }
    }

    /// A nonce of 32 characters `[0-9A-Za-z]`, as WeChat expects.
    pub fn nonce(&self) -> String {
        const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut bytes = [0u8; 32];
        self.random.fill(&mut bytes);
        bytes.iter().map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()])).collect()
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// A clock that was set to an instant and runs on from there, for demos and rehearsals.
#[derive(Debug)]
pub struct SetClock {
    offset: chrono::TimeDelta,
}

impl SetClock {
    /// A clock that shows `now` at this moment.
    pub fn showing(now: DateTime<Utc>) -> SetClock {
        SetClock { offset: now - Utc::now() }
    }
}

impl Clock for SetClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now() + self.offset
    }
}

struct TokioSleep;

impl Sleep for TokioSleep {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(shortened(duration)))
    }
}

/// A build with debug assertions can be told to wait only a thousandth of what it should (`COUPON_RECON_SHORT_WAITS`), for
/// tests of an API that stays down. What was to be waited still counts as waited, so a call fails after as many attempts as
/// ever, and the deadline of answers that do come is not shortened: they may take long on a busy machine.
#[cfg(debug_assertions)]
fn shortened(duration: Duration) -> Duration {
    static IS_SHORT: std::sync::LazyLock<bool> =
        std::sync::LazyLock::new(|| std::env::var_os("COUPON_RECON_SHORT_WAITS").is_some());
    if *IS_SHORT { duration / 1000 } else { duration }
}

#[cfg(not(debug_assertions))]
fn shortened(duration: Duration) -> Duration {
    duration
}

struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) {
        aws_lc_rs::rand::fill(bytes).expect("the system's random source answers");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_business_day_ends_at_sixteen_hundred_utc() {
        let date = NaiveDate::from_ymd_opt(2026, 11, 18).unwrap();
        assert_eq!(end_of(date).to_rfc3339(), "2026-11-18T16:00:00+00:00");
        assert_eq!(business_date_of(end_of(date)), date.succ_opt().unwrap());
        assert_eq!(business_date_of(end_of(date) - chrono::TimeDelta::microseconds(1)), date);
    }

    proptest! {
        #[test]
        fn a_business_day_in_numbers_is_the_business_date(micros in -4_000_000_000_000_000_i64..8_000_000_000_000_000) {
            let instant = DateTime::from_timestamp_micros(micros).unwrap();
            prop_assert_eq!(business_day(micros), business_date_of(instant).to_epoch_days());
        }

        /// A leap second (`:60`) is parsed by chrono, which accepts it.
        #[test]
        fn plain_times_are_those_chrono_reads(text in "(2026|0000|9999)-[0-1][0-9]-[0-3][0-9] [0-2][0-9]:[0-6][0-9]:[0-6][0-9]|.{19}") {
            if let Some(time) = plain_time(&text) {
                prop_assert_eq!(NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S"), Ok(time));
            }
        }
    }

    #[test]
    fn a_plain_time_is_read_and_other_spellings_are_not() {
        assert_eq!(plain_time("2026-11-18 08:35:41").unwrap().to_string(), "2026-11-18 08:35:41");
        for other in ["2026-11-18T08:35:41", "2026-11-18 8:35:41", "2026-02-30 08:35:41", "2026-11-18 08:35:4１", ""] {
            assert_eq!(plain_time(other), None, "{other}");
        }
    }

    #[test]
    fn nonces_are_32_alphanumerics_and_differ() {
        let world = World::real();
        let (one, two) = (world.nonce(), world.nonce());
        assert_ne!(one, two);
        assert!(one.len() == 32 && one.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }
}
