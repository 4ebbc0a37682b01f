//! The time formats of WeChat's APIs, all dialects (reference v3 §1.8, v2 §B.2). Lenient: callers that keep the
//! original text lose nothing.

use chrono::{DateTime, Datelike, Days, FixedOffset, NaiveDateTime, Utc};

use crate::clock::beijing_instant;

/// Parses a time of the v3 or the v2 API; `None` if it is none.
///
/// v3: the four legal shapes (`Z` or an offset, with or without milliseconds), the documentation's
/// typo shapes `…35.08:00` and `…35.+08:00` (read as +08:00), times without seconds; of ISO 8601 also offsets without a
/// colon or minutes, and midnight as the end of a day (24:00:00). v2: 10 digits
/// are Unix seconds, 14 digits are yyyyMMddHHmmss. Times without a zone are Asia/Shanghai.
///
/// A year that does not have four digits is not a time: the calendar ends a little after it, and days are counted
/// from there.
pub fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    let time = match !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => digits(text),
        false => clock_time(text).or_else(|| end_of_day(text)),
    };
    time.filter(|time| (1..=9999).contains(&time.year()))
}

fn digits(text: &str) -> Option<DateTime<Utc>> {
    match text.len() {
        9 | 10 => DateTime::from_timestamp(text.parse().ok()?, 0),
        14 => NaiveDateTime::parse_from_str(text, "%Y%m%d%H%M%S").ok().map(beijing_instant),
        _ => None,
    }
}

fn clock_time(text: &str) -> Option<DateTime<Utc>> {
    zoned(text).or_else(|| typo(text)).or_else(|| local(text)).or_else(|| short_offset(text))
}

/// `2026-11-18T24:00:00+08:00` is the midnight that ends the day.
fn end_of_day(text: &str) -> Option<DateTime<Utc>> {
    let (day, rest) = text.split_at_checked("2026-11-18T".len())?;
    let rest = rest.strip_prefix("24:00:00").or_else(|| rest.strip_prefix("24:00"))?;
    clock_time(&format!("{day}00:00:00{rest}"))?.checked_add_days(Days::new(1))
}

/// `+0800` and `+08`.
fn short_offset(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%#z").ok().map(|time| time.to_utc())
}

fn zoned(text: &str) -> Option<DateTime<Utc>> {
    const WITHOUT_SECONDS: &str = "%Y-%m-%dT%H:%M%:z";
    let parsed: DateTime<FixedOffset> = DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(&text.replace('Z', "+00:00"), WITHOUT_SECONDS))
        .ok()?;
    Some(parsed.to_utc())
}

/// `2020-05-20T13:29:35.08:00` and `2015-05-20T13:29:35.+08:00`.
fn typo(text: &str) -> Option<DateTime<Utc>> {
    let (seconds, offset) = text.split_once('.')?;
    let offset = offset.strip_prefix('+').unwrap_or(offset);
    let looks_like_offset = offset.len() == 5 && offset.as_bytes()[2] == b':';
    looks_like_offset.then(|| zoned(&format!("{seconds}+{offset}"))).flatten()
}

fn local(text: &str) -> Option<DateTime<Utc>> {
    const SHAPES: [&str; 2] = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"];
    SHAPES.iter().find_map(|shape| NaiveDateTime::parse_from_str(text, shape).ok()).map(beijing_instant)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_shape_of_the_reference_is_read() {
        let shapes = [
            ("2020-05-20T05:29:35.120Z", "2020-05-20T05:29:35.120Z"),
            ("2020-05-20T05:29:35Z", "2020-05-20T05:29:35Z"),
            ("2021-01-20T10:29:35.120+08:00", "2021-01-20T02:29:35.120Z"),
            ("2020-05-20T13:29:35+08:00", "2020-05-20T05:29:35Z"),
            ("2020-05-20T13:29:35.08:00", "2020-05-20T05:29:35Z"),
            ("2015-05-20T13:29:35.+08:00", "2015-05-20T05:29:35Z"),
            ("2025-07-24T00:00+08:00", "2025-07-23T16:00:00Z"),
            ("1575820800", "2019-12-08T16:00:00Z"),
            ("20191209000000", "2019-12-08T16:00:00Z"),
            ("20191224235959", "2019-12-24T15:59:59Z"),
            (" 2019-12-09 17:20:48", "2019-12-09T09:20:48Z"),
            ("2026-11-18T24:00:00+08:00", "2026-11-18T16:00:00Z"),
            ("2026-12-31T24:00:00.000+0800", "2026-12-31T16:00:00Z"),
            ("2026-11-18T24:00+08:00", "2026-11-18T16:00:00Z"),
            ("2026-11-18 24:00:00", "2026-11-18T16:00:00Z"),
            ("2026-11-18T10:00:00+0800", "2026-11-18T02:00:00Z"),
            ("2026-11-18T10:00:00.5+08", "2026-11-18T02:00:00.5Z"),
        ];
        for (text, expected) in shapes {
            let expected = DateTime::parse_from_rfc3339(expected).unwrap().to_utc();
            assert_eq!(parse_time(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn epoch_and_calendar_dialects_agree() {
        for (epoch, calendar) in [("1577203199", "20191224235959"), ("1575883248", "20191209172048")] {
            assert_eq!(parse_time(epoch), parse_time(calendar));
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        let far = ["+262142-12-31T23:59+00:00", "-262143-01-01T00:00:00Z", "+10000-01-01T00:00:00+00:00"];
        for text in far {
            assert_eq!(parse_time(text), None, "{text}");
        }
        for text in [
            "",
            "0",
            "2020-13-01T00:00:00+08:00",
            "yesterday",
            "券",
            "20201301000000",
            "35.08:00",
            "2026-11-18T24:00:01+08:00",
            "2026-11-18T24:30:00+08:00",
            "9999-12-31T24:00:00Z",
        ] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "\\PC*") {
            let _ = parse_time(&text);
        }

        #[test]
        fn written_times_are_read_back(seconds in 1_000_000_000i64..4_000_000_000) {
            let time = DateTime::from_timestamp(seconds, 0).unwrap();
            prop_assert_eq!(parse_time(&time.to_rfc3339()), Some(time));
            prop_assert_eq!(parse_time(&seconds.to_string()), Some(time));
        }
    }
}
