//! The business dates of a run: one, several, or those of an orchestrator's data interval.

use std::cmp::Ordering;
use std::ops::Range;

use chrono::{DateTime, Datelike, Days, NaiveDate, Utc};
use clap::{Args, ValueEnum};

use crate::clock::{self, World, business_date_of};
use crate::error::{ExitCode, Failure};

/// The years that can be meant.
const YEARS: Range<i32> = 2000..2200;

/// A day as it is typed.
pub(super) fn parse_day(text: &str) -> Result<NaiveDate, String> {
    let wrong = || "expected an existing date, as in 2026-11-18".to_owned();
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    // `%Y` takes `26` for the year 26.
    day.filter(|day| YEARS.contains(&day.year())).ok_or_else(wrong)
}

/// The data interval of an orchestrator.
struct Interval {
    /// Inclusive.
    start: DateTime<Utc>,
    /// Exclusive.
    end: DateTime<Utc>,
}

/// What stands for `--interval-start` and `--interval-end` when no date is given.
const INTERVAL_VARIABLES: [&str; 2] = ["RECON_INTERVAL_START", "RECON_INTERVAL_END"];

#[derive(Debug, Default, Args)]
pub(super) struct Dates {
    /// Business date in Asia/Shanghai; yesterday when none is given
    #[arg(long, value_name = "DATE", value_parser = parse_day, conflicts_with_all = ["from", "to", "interval_start", "interval_end"])]
    pub(super) date: Option<NaiveDate>,
    /// First of several dates
    #[arg(long, value_name = "DATE", value_parser = parse_day, requires = "to", conflicts_with_all = ["interval_start", "interval_end"])]
    pub(super) from: Option<NaiveDate>,
    /// Last of several dates
    #[arg(long, value_name = "DATE", value_parser = parse_day, requires = "from")]
    pub(super) to: Option<NaiveDate>,
    /// Begin of an orchestrator's data interval (RFC 3339): the business dates that end in it are run.
    /// RECON_INTERVAL_START and RECON_INTERVAL_END do the same when no date is given
    #[arg(long, value_name = "INSTANT", value_parser = parse_instant, requires = "interval_end")]
    pub(super) interval_start: Option<DateTime<Utc>>,
    /// End of the data interval
    #[arg(long, value_name = "INSTANT", value_parser = parse_instant, requires = "interval_start")]
    pub(super) interval_end: Option<DateTime<Utc>>,
    /// Which of several dates is run first. Breaks live from night to night: oldest first gives them
    /// their true age at once
    #[arg(long, value_enum, default_value = "oldest")]
    pub(super) order: Order,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Order {
    #[default]
    Oldest,
    Newest,
}

/// The one business date of a command that reads what is published.
#[derive(Debug, Default, Args)]
pub(super) struct PublishedDate {
    /// Business date in Asia/Shanghai; yesterday when none is given
    #[arg(long, value_name = "DATE", value_parser = parse_day)]
    date: Option<NaiveDate>,
}

impl PublishedDate {
    pub(super) fn or_yesterday(&self, world: &World) -> NaiveDate {
        self.date.unwrap_or_else(|| business_date_of(world.clock.now()) - Days::new(1))
    }
}

impl Dates {
    /// The dates in the order in which they are run; never none.
    ///
    /// # Errors
    /// An empty range or interval, a day that is not over.
    pub(super) fn resolve(
        &self,
        world: &World,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Vec<NaiveDate>, Failure> {
        let today = business_date_of(world.clock.now());
        let (from, to) = match (self.date, self.from.zip(self.to), self.interval(env)?) {
            (Some(date), ..) => (date, date),
            (None, Some(range), _) => range,
            (None, None, Some(interval)) => interval.days()?,
            (None, None, None) => (today - Days::new(1), today - Days::new(1)),
        };
        if from > to {
            return Err(Failure::new(ExitCode::Usage, format!("--from {from} is after --to {to}")));
        }
        if to >= today {
            let what = format!("{to} is not over yet in Asia/Shanghai");
            return Err(Failure::new(ExitCode::Usage, what).hinting("a night can only be run for a day that has ended"));
        }
        let mut dates: Vec<_> = from.iter_days().take_while(|date| *date <= to).collect();
        if self.order == Order::Newest {
            dates.reverse();
        }
        Ok(dates)
    }

    /// The data interval, given or in the environment.
    fn interval(&self, env: &dyn Fn(&str) -> Option<String>) -> Result<Option<Interval>, Failure> {
        if let Some((start, end)) = self.interval_start.zip(self.interval_end) {
            return Ok(Some(Interval { start, end }));
        }
        if self.date.is_some() || self.from.is_some() {
            return Ok(None);
        }
        let [start, end] = INTERVAL_VARIABLES.map(|name| env(name).filter(|text| !text.trim().is_empty()));
        match (start, end) {
            (None, None) => Ok(None),
            (Some(start), Some(end)) => {
                let (start, end) = (instant(INTERVAL_VARIABLES[0], &start)?, instant(INTERVAL_VARIABLES[1], &end)?);
                Ok(Some(Interval { start, end }))
            }
            _ => {
                let what = format!("{} go together: one of them is not set", INTERVAL_VARIABLES.join(" and "));
                Err(Failure::new(ExitCode::Usage, what).hinting("set both, or give `--date`"))
            }
        }
    }
}

fn instant(name: &str, text: &str) -> Result<DateTime<Utc>, Failure> {
    parse_instant(text.trim())
        .map_err(|expected| Failure::new(ExitCode::Usage, format!("{name} is `{text}`: {expected}")))
}

/// An instant on the command line or in the environment.
pub(super) fn parse_instant(text: &str) -> Result<DateTime<Utc>, &'static str> {
    let wrong = "expected an instant with its offset, as in 2026-11-19T12:00:00+08:00";
    let instant = text.parse::<DateTime<Utc>>().map_err(|_| wrong)?;
    // In the last year of the type there is no time of day in Asia/Shanghai any more.
    if YEARS.contains(&instant.year()) { Ok(instant) } else { Err(wrong) }
}

impl Interval {
    /// The first and the last business date that ends in it: after its start, at its end or before.
    fn days(&self) -> Result<(NaiveDate, NaiveDate), Failure> {
        let (first, after) = (business_date_of(self.start), business_date_of(self.end));
        if self.start < self.end && first < after {
            return Ok((first, after - Days::new(1)));
        }
        Err(Failure::new(ExitCode::Usage, self.why_none()).hinting(
            "a manual trigger and `@daily` in Airflow 3 have empty intervals: schedule with CronDataIntervalTimetable, \
             or give `--date`",
        ))
    }

    /// Why no business date ends in it.
    fn why_none(&self) -> String {
        let [start, end] = [self.start, self.end].map(|at| at.with_timezone(&clock::beijing()));
        let [shown_start, shown_end] = [start, end].map(|at| at.format("%Y-%m-%dT%H:%M:%S%:z"));
        match start.cmp(&end) {
            Ordering::Equal => format!("the data interval is empty: it begins and ends at {shown_start}"),
            Ordering::Greater => format!("the data interval ends before it begins: {shown_start} … {shown_end}"),
            Ordering::Less => format!("no business date ends between {shown_start} and {shown_end}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, day).unwrap()
    }

    fn interval(start: &str, end: &str) -> Dates {
        Dates { interval_start: start.parse().ok(), interval_end: end.parse().ok(), ..Dates::default() }
    }

    fn resolve(dates: &Dates, env: &[(&str, &str)]) -> Result<Vec<NaiveDate>, String> {
        let noon = World::at("2026-11-21T12:00:00+08:00".parse().unwrap());
        let env = |name: &str| env.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned());
        dates.resolve(&noon, &env).map_err(|failure| failure.to_string())
    }

    #[test]
    fn an_interval_runs_the_business_dates_that_end_in_it() {
        let cases = [
            ("2026-11-19T00:00:00+08:00", "2026-11-20T00:00:00+08:00", vec![day(19)]),
            ("2026-11-19T12:00:00+08:00", "2026-11-20T12:00:00+08:00", vec![day(19)]),
            ("2026-11-19T00:00:00Z", "2026-11-20T00:00:00Z", vec![day(19)]),
            ("2026-11-18T23:59:59+08:00", "2026-11-20T00:00:00+08:00", vec![day(18), day(19)]),
            ("2026-11-17 12:30:00+08:00", "2026-11-20 12:30:00+08:00", vec![day(17), day(18), day(19)]),
        ];
        for (start, end, expected) in cases {
            assert_eq!(resolve(&interval(start, end), &[]), Ok(expected), "{start}");
        }
    }

    #[test]
    fn an_interval_in_which_no_day_ends_is_refused_with_advice() {
        let cases = [
            ("2026-11-19T00:00:00Z", "2026-11-19T00:00:00Z", "is empty"),
            ("2026-11-19T01:00:00+08:00", "2026-11-19T23:00:00+08:00", "no business date ends"),
            ("2026-11-20T00:00:00Z", "2026-11-19T00:00:00Z", "before it begins"),
        ];
        for (start, end, word) in cases {
            let refused = resolve(&interval(start, end), &[]).unwrap_err();
            assert!(refused.contains(word) && refused.contains("CronDataIntervalTimetable"), "{refused}");
        }
    }

    #[test]
    fn the_environment_stands_in_for_a_date_that_is_not_given() {
        let env = [
            ("RECON_INTERVAL_START", "2026-11-18T12:00:00+08:00"),
            ("RECON_INTERVAL_END", "2026-11-19T12:00:00+08:00"),
        ];
        assert_eq!(resolve(&Dates::default(), &env), Ok(vec![day(18)]));
        let given = Dates { date: Some(day(17)), ..Dates::default() };
        assert_eq!(resolve(&given, &env), Ok(vec![day(17)]));
        assert_eq!(resolve(&Dates::default(), &[]), Ok(vec![day(20)]), "yesterday");
        assert!(resolve(&Dates::default(), &env[..1]).unwrap_err().contains("go together"));
        let wrong = [("RECON_INTERVAL_START", "yesterday"), env[1]];
        assert!(resolve(&Dates::default(), &wrong).unwrap_err().contains("`yesterday`"));
    }

    #[test]
    fn several_dates_are_run_in_the_order_asked_for() {
        let mut dates = Dates { from: Some(day(18)), to: Some(day(20)), ..Dates::default() };
        assert_eq!(resolve(&dates, &[]), Ok(vec![day(18), day(19), day(20)]));
        dates.order = Order::Newest;
        assert_eq!(resolve(&dates, &[]), Ok(vec![day(20), day(19), day(18)]));
        dates.to = Some(day(21));
        assert!(resolve(&dates, &[]).unwrap_err().contains("2026-11-21 is not over yet"));
        (dates.from, dates.to) = (Some(day(20)), Some(day(18)));
        assert!(resolve(&dates, &[]).unwrap_err().contains("is after"));
    }
}
