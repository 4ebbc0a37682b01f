//! The nights of a recipe and moments within them, in Asia/Shanghai. Never uses the real time.

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};

use crate::clock::{end_of, start_of};

/// The nights a job will be run for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Calendar {
    first: NaiveDate,
    nights: u32,
}

impl Calendar {
    pub(super) fn new(first: NaiveDate, nights: u32) -> Calendar {
        Calendar { first, nights }
    }

    /// The first business date.
    pub(super) fn first(self) -> NaiveDate {
        self.first
    }

    /// The last business date.
    pub(super) fn last(self) -> NaiveDate {
        self.first + Days::new(u64::from(self.nights) - 1)
    }

    /// Every business date, oldest first.
    pub(super) fn dates(self) -> impl Iterator<Item = NaiveDate> {
        self.first.iter_days().take(self.nights as usize)
    }

    /// The business date at `index`, wrapping round.
    pub(super) fn date(self, index: u64) -> NaiveDate {
        self.first + Days::new(index % u64::from(self.nights))
    }

    /// Whether a night is run for `date`.
    pub(super) fn holds(self, date: NaiveDate) -> bool {
        (self.first..=self.last()).contains(&date)
    }
}

/// The business date after `date`.
pub(super) fn next(date: NaiveDate) -> NaiveDate {
    later(date, 1)
}

/// The business date `days` after `date`.
pub(super) fn later(date: NaiveDate, days: u64) -> NaiveDate {
    date + Days::new(days)
}

/// The business date `days` before `date`.
pub(super) fn earlier(date: NaiveDate, days: u64) -> NaiveDate {
    date - Days::new(days)
}

/// `hour`:`minute` on `date`.
pub(super) fn at(date: NaiveDate, hour: i64, minute: i64) -> DateTime<Utc> {
    start_of(date) + TimeDelta::minutes(hour * 60 + minute)
}

/// The last whole second of `date`.
pub(super) fn last_second(date: NaiveDate) -> DateTime<Utc> {
    end_of(date) - TimeDelta::seconds(1)
}

/// So many seconds.
pub(super) fn seconds(count: i64) -> TimeDelta {
    TimeDelta::seconds(count)
}

/// So many minutes.
pub(super) fn minutes(count: i64) -> TimeDelta {
    TimeDelta::minutes(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_nights_are_three_consecutive_dates() {
        let first = NaiveDate::from_ymd_opt(2026, 11, 30).unwrap();
        let calendar = Calendar::new(first, 3);
        assert_eq!(calendar.dates().collect::<Vec<_>>(), [first, next(first), later(first, 2)]);
        assert_eq!(calendar.last(), NaiveDate::from_ymd_opt(2026, 12, 2).unwrap());
        assert!(calendar.holds(calendar.last()) && !calendar.holds(next(calendar.last())));
        assert_eq!(calendar.date(4), next(first));
    }

    #[test]
    fn the_last_second_still_belongs_to_its_day() {
        let date = NaiveDate::from_ymd_opt(2026, 11, 18).unwrap();
        assert_eq!(crate::clock::business_date_of(last_second(date)), date);
        assert_eq!(at(date, 24, 0), end_of(date));
    }
}
