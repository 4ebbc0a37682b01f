//! The small tables that a rule may join: the one-row `params`, the calendar of the look-back, the
//! known days of each dataset, and the lists of the job. Reads no file.

use std::collections::BTreeSet;

use chrono::{DateTime, Days, NaiveDate, Utc};
use polars::prelude::*;
use regex::Regex;

use super::files::DayFiles;
use super::terms::Terms;
use crate::clock;
use crate::contract;
use crate::job::{PathPattern, SubsidyAmount};
use crate::record::{Break, LedgerRow, OrderLine, Record, Refund};

/// The name in `gaps` of the days on which neither exports nor bills are known.
const EITHER_TELLS: &str = "orders and refunds";

/// Name and content of every small table except `wechat_channels`, which needs the names of the order
/// files.
pub(in crate::reconcile) fn tables(terms: &Terms, files: &DayFiles) -> PolarsResult<Vec<(&'static str, LazyFrame)>> {
    Ok(vec![
        ("params", params(terms, files)?),
        ("lookback_days", lookback_days(terms, files.date)?),
        ("known_days", known_days(terms, files)?),
        ("gaps", gaps(terms, files)?),
        ("subsidy_programs", subsidy_programs(terms)?),
        ("must_associate", df!["stock_id" => terms.rules.must_associate.clone()]?.lazy()),
        ("merchant_pairs", merchant_pairs(terms)?),
        ("own_merchants", df!["merchant" => terms.own_merchants.clone()]?.lazy()),
    ])
}

/// The first day of the look-back from which orders are known: earlier events cannot be compared with
/// them. A job without orders has nothing to wait for.
pub(in crate::reconcile) fn first_known_order_day(terms: &Terms, files: &DayFiles) -> NaiveDate {
    let start = terms.rules.lookback_start(files.date);
    files.window("orders", start).first().map_or(start, |(first, _)| *first)
}

/// One row: the dates of the night and the numbers of `[rules]`.
fn params(terms: &Terms, files: &DayFiles) -> PolarsResult<LazyFrame> {
    let date = files.date;
    let frame = df![
        "business_date" => [days(date)],
        "lookback_start" => [days(terms.rules.lookback_start(date))],
        "known_from" => [days(first_known_order_day(terms, files))],
        "datacube_settled_date" => [days(date - Days::new(u64::from(terms.repull_days)))],
        "day_start_at" => [micros(clock::start_of(date))],
        "day_end_at" => [micros(clock::end_of(date))],
        "stuck_before_at" => [micros(terms.stuck_before(date))],
        "discount_tolerance_fen" => [terms.rules.discount_tolerance_fen.0],
        "use_time_tolerance_seconds" => [i64::from(terms.rules.use_time_tolerance_minutes) * 60],
        "repull_days" => [i64::from(terms.repull_days)],
        "max_coupons_per_order" => [i64::from(terms.rules.max_coupons_per_order)],
    ]?;
    let dates = ["business_date", "lookback_start", "known_from", "datacube_settled_date"];
    let instants = ["day_start_at", "day_end_at", "stuck_before_at"];
    let casts = dates.map(|name| col(name).cast(DataType::Date)).into_iter();
    let casts = casts.chain(instants.map(|name| col(name).cast(instant_type())));
    Ok(frame.lazy().with_columns(casts.collect::<Vec<_>>()))
}

/// One row per day of the look-back.
fn lookback_days(terms: &Terms, date: NaiveDate) -> PolarsResult<LazyFrame> {
    let start = terms.rules.lookback_start(date);
    let all: Vec<_> = start.iter_days().take_while(|day| *day <= date).map(days).collect();
    Ok(df!["day" => all]?.lazy().with_columns([col("day").cast(DataType::Date)]))
}

/// One row per dataset and day of the look-back that was published or is staged: an empty day is
/// known, a missing one is not, and neither is one marked as partial.
fn known_days(terms: &Terms, files: &DayFiles) -> PolarsResult<LazyFrame> {
    let start = terms.rules.lookback_start(files.date);
    let known = contract::all()
        .flat_map(|contract| files.known(&contract.name, start).map(|date| (contract.name.clone(), days(date))));
    let (datasets, dates): (Vec<_>, Vec<_>) = known.unzip();
    Ok(df!["dataset" => datasets, "dt" => dates]?.lazy().with_columns([col("dt").cast(DataType::Date)]))
}

/// One row per dataset and day `dt` of the look-back from which on not every day up to D is known, with the first
/// that is not: what an unknown day would tell may be missing. A refund is told twice, by the export and by the bill: only
/// a day of `EITHER_TELLS` has it from nobody.
fn gaps(terms: &Terms, files: &DayFiles) -> PolarsResult<LazyFrame> {
    let (mut datasets, mut dates, mut unknown_dates) = (Vec::new(), Vec::new(), Vec::new());
    for (dataset, unknown) in with_untold(unknown_days(terms, files)) {
        for day in terms.rules.lookback_start(files.date).iter_days().take_while(|day| *day <= files.date) {
            let Some(next) = unknown.range(day..).next() else { break };
            datasets.push(dataset);
            dates.push(days(day));
            unknown_dates.push(days(*next));
        }
    }
    let frame = df!["dataset" => datasets, "dt" => dates, "unknown_dt" => unknown_dates]?.lazy();
    Ok(frame.with_columns(["dt", "unknown_dt"].map(|name| col(name).cast(DataType::Date))))
}

/// The unknown days, and under `EITHER_TELLS` those on which neither of the two is known.
fn with_untold(mut unknown: Vec<(&'static str, BTreeSet<NaiveDate>)>) -> Vec<(&'static str, BTreeSet<NaiveDate>)> {
    let of = |dataset: &str| unknown.iter().find(|(name, _)| *name == dataset).map(|(_, days)| days);
    let untold = of(OrderLine::DATASET).map(|orders| match of(Refund::DATASET) {
        Some(refunds) => orders & refunds,
        None => orders.clone(),
    });
    unknown.extend(untold.map(|days| (EITHER_TELLS, days)));
    unknown
}

/// Whether an earlier day of the look-back lacks a dataset that the job has.
pub(in crate::reconcile) fn has_gaps(terms: &Terms, files: &DayFiles) -> bool {
    unknown_days(terms, files).iter().any(|(_, unknown)| unknown.first().is_some_and(|day| *day < files.date))
}

/// The days up to D on which a dataset is not known. Days before the job's first night of the look-back do not count
/// (design §7), nor does a dataset without any day: the job does not have it. Only of what sources bring.
fn unknown_days(terms: &Terms, files: &DayFiles) -> Vec<(&'static str, BTreeSet<NaiveDate>)> {
    let start = terms.rules.lookback_start(files.date);
    let is_made_here = |name: &str| [LedgerRow::DATASET, Break::DATASET].contains(&name);
    let sources = contract::all().filter(|contract| !is_made_here(&contract.name));
    let known =
        sources.map(|contract| (contract.name.as_str(), files.known(&contract.name, start).collect::<BTreeSet<_>>()));
    let known: Vec<_> = known.filter(|(_, known)| !known.is_empty()).collect();
    let first_night = known.iter().filter_map(|(_, known)| known.first()).min().copied().unwrap_or(files.date);
    let unknown = |known: &BTreeSet<NaiveDate>| {
        let nights = first_night.iter_days().take_while(|day| *day <= files.date);
        nights.filter(|day| !known.contains(day)).collect()
    };
    known.iter().map(|(dataset, known)| (*dataset, unknown(known))).collect()
}

fn subsidy_programs(terms: &Terms) -> PolarsResult<LazyFrame> {
    let programs = &terms.programs;
    let (fixed, percent): (Vec<_>, Vec<_>) = programs.iter().map(|program| amount_columns(program.amount)).unzip();
    let frame = df![
        "stock_id" => texts(programs, |program| &program.stock_id),
        "payer_merchant" => texts(programs, |program| &program.payer_merchant),
        "payee_merchant" => texts(programs, |program| &program.payee_merchant),
        "amount_fen" => fixed,
        "percent_of_discount" => percent,
        "due_days" => programs.iter().map(|program| i64::from(program.due_days)).collect::<Vec<_>>(),
    ]?;
    Ok(frame.lazy())
}

fn amount_columns(amount: SubsidyAmount) -> (Option<i64>, Option<i64>) {
    match amount {
        SubsidyAmount::Fixed(fen) => (Some(fen.0), None),
        SubsidyAmount::PercentOfDiscount(percent) => (None, Some(percent)),
    }
}

fn merchant_pairs(terms: &Terms) -> PolarsResult<LazyFrame> {
    let pairs = &terms.rules.merchant_pairs;
    let frame = df![
        "belong_merchant" => texts(pairs, |pair| &pair.belong),
        "order_merchant" => texts(pairs, |pair| &pair.order),
    ]?;
    Ok(frame.lazy())
}

/// `(source_file, channel)` for every order file whose source names its WeChat channels; any other
/// file has only WeChat payments.
pub(in crate::reconcile) fn wechat_channels(terms: &Terms, order_files: &BTreeSet<String>) -> PolarsResult<LazyFrame> {
    let rows = order_files.iter().flat_map(|file| {
        let source = terms.order_sources.iter().find(|source| names(&source.path, file));
        let channels = source.map_or(&[][..], |source| &source.wechat_channels);
        channels.iter().map(move |channel| (file.clone(), channel.clone()))
    });
    let (files, channels): (Vec<_>, Vec<_>) = rows.unzip();
    Ok(df!["source_file" => files, "channel" => channels]?.lazy())
}

/// Whether the last components of the pattern, as many as the file's name has, match the file.
fn names(pattern: &PathPattern, file: &str) -> bool {
    let shown = file.split('/').count();
    let parts: Vec<_> = pattern.written().split('/').collect();
    let tail = parts[parts.len().saturating_sub(shown)..].join("/");
    let escaped = regex::escape(&tail);
    let wild = escaped.replace(r"\{date\}", r"\d{4}-\d{2}-\d{2}").replace(r"\{yyyymmdd\}", r"\d{8}");
    Regex::new(&format!("^{}$", wild.replace(r"\*", "[^/]*"))).is_ok_and(|regex| regex.is_match(file))
}

fn texts<T>(rows: &[T], text: impl Fn(&T) -> &String) -> Vec<String> {
    rows.iter().map(|row| text(row).clone()).collect()
}

/// Days since the epoch, as Arrow and Polars count dates.
pub(in crate::reconcile) fn days(date: NaiveDate) -> i32 {
    let days = date.signed_duration_since(NaiveDate::default()).num_days();
    i32::try_from(days).expect("business dates lie within 32-bit days")
}

fn micros(instant: DateTime<Utc>) -> i64 {
    instant.timestamp_micros()
}

/// The type of every instant in SQL.
pub(in crate::reconcile) fn instant_type() -> DataType {
    DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, day).unwrap()
    }

    #[test]
    fn a_gap_is_seen_from_all_days_up_to_it_and_none_lies_before_the_first_night() {
        let mut files = DayFiles::new(day(20));
        let mut know = |dataset: &str, days: &[u32]| {
            let known = days.iter().map(|number| (day(*number), dataset.into())).collect();
            files.history.insert(dataset.to_owned(), known);
        };
        know("orders", &[16, 17, 19]);
        know("refunds", &[15, 16, 17, 19]);
        know("stocks", &[15, 16, 17, 18, 19]);
        files.day =
            ["orders", "refunds", "stocks", "payments"].map(|dataset| (dataset.to_owned(), dataset.into())).into();
        let mut terms = Terms::default();
        terms.rules.lookback_days = 7;
        let gaps = gaps(&terms, &files).unwrap().collect().unwrap();
        let datasets = gaps.column("dataset").unwrap().str().unwrap().clone();
        let [from, to] = ["dt", "unknown_dt"].map(|name| gaps.column(name).unwrap().date().unwrap().phys.clone());
        let rows = datasets.iter().zip(from.iter().zip(to.iter())).map(|(dataset, (from, to))| {
            let number = |date: Option<i32>| date.unwrap() - days(day(1)) + 1;
            (dataset.unwrap(), number(from), number(to))
        });
        let of_orders = [(14, 15), (15, 15), (16, 18), (17, 18), (18, 18)].map(|(from, to)| ("orders", from, to));
        let of_payments = [(14, 15), (15, 15), (16, 16), (17, 17), (18, 18), (19, 19)];
        let of_payments = of_payments.map(|(from, to)| ("payments", from, to));
        let of_refunds = [14, 15, 16, 17, 18].map(|from| ("refunds", from, 18));
        let of_neither = [14, 15, 16, 17, 18].map(|from| (EITHER_TELLS, from, 18));
        let mut rows: Vec<_> = rows.collect();
        rows.sort_unstable();
        assert_eq!(rows, [&of_orders[..], &of_neither[..], &of_payments[..], &of_refunds[..]].concat());
    }

    #[test]
    fn an_order_file_finds_its_source_by_as_much_of_the_path_as_it_shows() {
        let pattern = PathPattern::new("", "../data/till/orders-{date}*.csv");
        assert!(names(&pattern, "orders-2026-11-18.csv"));
        assert!(names(&pattern, "orders-2026-11-18-b.csv"));
        assert!(names(&pattern, "till/orders-2026-11-18.csv"));
        assert!(!names(&pattern, "web/orders-2026-11-18.csv"));
        assert!(!names(&pattern, "orders-2026-11-18.xlsx"));
        assert!(names(&PathPattern::new("", "o/{yyyymmdd}.csv"), "20261118.csv"));
    }
}
