//! Renders typed cells of spreadsheets and Parquet as the text a CSV would hold, so that one parser handles them all.
//! Floats of an export end here: each is turned into decimal text, and nothing computes with it.

use chrono::{DateTime, NaiveDateTime, Utc};

use crate::clock::beijing;

/// A number as a spreadsheet shows it: 15 significant digits, as spreadsheets keep them.
///
/// From 10^15 on a double no longer represents every integer; such a number is written `1.28888E+15`, which is refused
/// as an id. Data frames write a missing value among numbers as NaN.
pub(super) fn number(value: f64) -> String {
    if value.is_nan() {
        return String::new();
    }
    let rounded = format!("{value:.14e}").parse().unwrap_or(value);
    if rounded.abs() < 1e15 {
        return format!("{rounded}");
    }
    format!("{rounded:E}").replacen('E', "E+", 1)
}

/// The same for a 32-bit float, which has only about seven reliable digits: where hundredths are lost it is written
/// such that it is accepted neither as an amount nor as an id.
pub(super) fn short_number(value: f32) -> String {
    const EXACT_TO_A_HUNDREDTH: f32 = 131_072.0;
    if value.is_nan() {
        return String::new();
    }
    if value.abs() < EXACT_TO_A_HUNDREDTH {
        return format!("{value}");
    }
    format!("{value:E}").replacen('E', "E+", 1)
}

/// The format of times of typed cells, whatever the format of texts: nothing is lost.
pub(super) const TIME_FORMAT: &str = "%Y-%m-%d %H:%M:%S%.f";

/// A wall-clock time of Asia/Shanghai.
pub(super) fn wall_clock(value: NaiveDateTime) -> String {
    value.format(TIME_FORMAT).to_string()
}

/// An instant as the wall-clock time of Asia/Shanghai.
pub(super) fn instant(value: DateTime<Utc>) -> String {
    wall_clock(value.with_timezone(&beijing()).naive_local())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_four_bytes_are_what_was_written_or_none() {
        for (value, text) in [(19.99, "19.99"), (0.07, "0.07"), (99_999.99, "99999.99"), (131_071.98, "131071.98")] {
            assert_eq!(short_number(value), text);
        }
        for lost in [300_000.01, 1_900_000_001.0] {
            assert!(short_number(lost).contains("E+"), "{lost}");
        }
        assert_eq!(short_number(f32::NAN), "");
    }

    #[test]
    fn every_hundredth_that_four_bytes_are_believed_is_the_one_that_was_meant() {
        for fen in (0..13_107_200_u32).step_by(7) {
            let yuan = format!("{}.{:02}", fen / 100, fen % 100);
            let shown = short_number(yuan.parse().unwrap());
            assert_eq!(crate::money::Fen::from_yuan(&shown), Ok(crate::money::Fen(fen.into())), "{yuan}");
        }
    }

    #[test]
    fn numbers_are_what_the_cell_shows() {
        for (value, text) in [
            (12.3, "12.3"),
            (0.1 + 0.2, "0.3"),
            (-5.0, "-5"),
            (1900000001.0, "1900000001"),
            (999999999999999.0, "999999999999999"),
            (1288880000000001.0, "1.28888E+15"),
            (f64::NAN, ""),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
