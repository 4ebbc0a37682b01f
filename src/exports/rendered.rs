//! Typed cells of spreadsheets and Parquet as the text a CSV would hold, so that one reader judges them all.
//! The only place that meets a float: it turns one into decimal text, nothing computes with it.

use chrono::{DateTime, NaiveDateTime, Utc};

use crate::clock::beijing;

/// A number as a person reads it in the cell: 15 significant digits, as spreadsheets keep them.
///
/// From 10^15 on a double no longer holds every integer; such a number is written `1.28888E+15`, which
/// is refused wherever an id is expected. Data frames write what is missing among numbers as not a number.
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

/// A wall-clock time of Asia/Shanghai in the format of the source.
pub(super) fn wall_clock(value: NaiveDateTime, time_format: &str) -> String {
    match value.and_local_timezone(beijing()).single() {
        Some(instant) => instant.format(time_format).to_string(),
        None => value.to_string(),
    }
}

/// An instant in the format of the source.
pub(super) fn instant(value: DateTime<Utc>, time_format: &str) -> String {
    value.with_timezone(&beijing()).format(time_format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

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
