//! Parses single cells of an export: ids, amounts, times. Every error says why and what to do. Amounts are parsed
//! digit by digit, never as floats.

use std::borrow::Cow;

use chrono::{DateTime, Datelike, NaiveDateTime, Utc};

use crate::clock::{beijing_instant, plain_time};
use crate::job::AmountUnit;
use crate::money::Fen;

/// The default `time_format`, for which there is a fast path.
const PLAIN_FORMAT: &str = "%Y-%m-%d %H:%M:%S";

/// What spreadsheets show, and save as CSV, for a cell they cannot compute.
const SPREADSHEET_ERRORS: [&str; 9] =
    ["#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NUM!", "#NULL!", "#SPILL!", "#CALC!"];

/// The first cell of a line of totals.
const TOTALS: [&str; 6] = ["合计", "总计", "小计", "汇总", "total", "totals"];

/// An id as text, without the guards that keep spreadsheets from converting it to a number.
pub(super) fn id(cell: &str) -> Result<Cow<'_, str>, String> {
    let text = unguarded(cell);
    if is_plain(text) { Ok(Cow::Borrowed(text)) } else { doubtful_id(text) }
}

/// Whether there is nothing to doubt about an id: all its characters are letters, digits, `-` and `_` of ASCII.
fn is_plain(text: &str) -> bool {
    // Without an early end, so that the compiler looks at many bytes at a time.
    text.bytes().fold(true, |is_plain, byte| is_plain & (byte.is_ascii_alphanumeric() | matches!(byte, b'-' | b'_')))
}

fn doubtful_id(text: &str) -> Result<Cow<'_, str>, String> {
    if is_scientific(text) {
        return Err("a spreadsheet turned this id into a number and lost digits: export again with the column as text, or straight from the till without a spreadsheet"
            .to_owned());
    }
    if text.starts_with('#') && SPREADSHEET_ERRORS.contains(&text) {
        return Err("a spreadsheet error, not an id: correct its formula and export again".to_owned());
    }
    if let Some(sign) = text.chars().find(|sign| is_invisible(*sign)) {
        return Err(format!("U+{:04X} is in it, which nobody sees: it would be another id", u32::from(sign)));
    }
    if is_float_text(text) {
        return Err("a program turned this id into a decimal number: export the column as text".to_owned());
    }
    Ok(Cow::Borrowed(text))
}

/// Invisible characters left by copying or concatenating files: control characters, zero-width spaces, byte order and
/// direction marks.
pub(super) fn is_invisible(sign: char) -> bool {
    sign.is_control()
        || matches!(sign, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The number of an order. A line of totals has a word instead.
pub(super) fn order_number(cell: &str) -> Result<Cow<'_, str>, String> {
    let text = required_id(cell)?;
    let word = text.trim_end_matches([':', '：']).trim_end();
    match TOTALS.iter().any(|total| total.eq_ignore_ascii_case(word)) {
        true => Err("a line of totals, not an order: export without it".to_owned()),
        false => Ok(text),
    }
}

/// The same, required.
pub(super) fn required_id(cell: &str) -> Result<Cow<'_, str>, String> {
    match id(cell)? {
        text if text.is_empty() => Err("must not be empty".to_owned()),
        text => Ok(text),
    }
}

/// The same, `None` when the cell is empty.
pub(super) fn optional_id(cell: &str) -> Result<Option<Cow<'_, str>>, String> {
    Ok(Some(id(cell)?).filter(|text| !text.is_empty()))
}

/// A name from a list, such as a channel: it is compared, so its guards are removed.
pub(super) fn optional_name(cell: &str) -> Option<Cow<'_, str>> {
    Some(Cow::Borrowed(unguarded(cell))).filter(|text| !text.is_empty())
}

/// Text, `None` when blank.
pub(super) fn optional_text(cell: &str) -> Option<Cow<'_, str>> {
    Some(Cow::Borrowed(cell.trim())).filter(|text| !text.is_empty())
}

/// How a file writes amounts.
#[derive(Debug, Clone, Copy)]
pub(super) struct AmountFormat {
    pub(super) unit: AmountUnit,
    pub(super) thousands_separators: bool,
}

/// A non-negative amount.
pub(super) fn amount(cell: &str, format: AmountFormat) -> Result<Fen, String> {
    amount_or(cell, format, |error| explained(error, format.unit))
}

/// The same in a file whose unit is fixed: whole fen.
pub(super) fn whole_fen(cell: &str) -> Result<Fen, String> {
    let explain = || "amounts of this file are whole fen, digits only".to_owned();
    // No job file says which thousands separator is used here, and `5.00` is five yuan, not five fen.
    let format = AmountFormat { unit: AmountUnit::Fen, thousands_separators: false };
    if unguarded(cell).contains([',', '.']) { Err(explain()) } else { amount_or(cell, format, |_| explain()) }
}

fn amount_or(cell: &str, format: AmountFormat, explain: impl Fn(&str) -> String) -> Result<Fen, String> {
    let text = unguarded(cell);
    let plain = match (text.contains(','), format.thousands_separators) {
        (false, _) => Cow::Borrowed(text),
        (true, true) => Cow::Owned(without_thousands(text).ok_or("its commas do not separate thousands")?),
        (true, false) => {
            return Err("it contains a comma: set `thousands_separators = true` if it separates thousands".to_owned());
        }
    };
    let fen = match format.unit {
        AmountUnit::Yuan => Fen::from_yuan(&plain),
        AmountUnit::Fen => Fen::from_fen(&plain),
    };
    match fen.map_err(|error| explain(&error.to_string()))? {
        Fen(fen) if fen < 0 => {
            Err("negative: amounts of an order, including refunds, are written without a sign".to_owned())
        }
        fen if !fen.is_plausible() => Err("more than ten billion yuan: is the unit right?".to_owned()),
        fen => Ok(fen),
    }
}

/// The same, zero when the cell is empty.
pub(super) fn amount_or_zero(cell: &str, format: AmountFormat) -> Result<Fen, String> {
    if unguarded(cell).is_empty() { Ok(Fen::ZERO) } else { amount(cell, format) }
}

/// An instant; `None` when the cell is empty. Asia/Shanghai unless the text carries an offset.
pub(super) fn instant(cell: &str, format: &str) -> Result<Option<DateTime<Utc>>, String> {
    let text = unguarded(cell);
    if text.is_empty() {
        return Ok(None);
    }
    if format.contains("%Z") && is_elsewhere(text) {
        return Err(
            "a time in another zone, which `%Z` cannot read: export it with its offset and write `%z` in `time_format`"
                .to_owned(),
        );
    }
    let plain = if format == PLAIN_FORMAT { plain_time(text).map(beijing_instant) } else { None };
    match plain.or_else(|| formatted(text, format)) {
        // `%Y` parses `26` as the year 26.
        Some(instant) if (2000..2200).contains(&instant.year()) => Ok(Some(instant)),
        Some(instant) => Err(format!("the year {} cannot be right: does `time_format` fit?", instant.year())),
        None => Err(format!("not a time in the format `{format}`: set `time_format` of this source")),
    }
}

fn formatted(text: &str, format: &str) -> Option<DateTime<Utc>> {
    let as_written = DateTime::parse_from_str(text, format).ok().map(|instant| instant.with_timezone(&Utc));
    as_written.or_else(|| formatted_apart(text, format))
}

/// A time whose text has no offset although its format has, or has one (`Z`, `+08`, `+0800`, `+08:00`) that the format lacks
/// or spells in another way.
fn formatted_apart(text: &str, format: &str) -> Option<DateTime<Utc>> {
    let local_format = OFFSETS.iter().find_map(|offset| format.strip_suffix(offset)).unwrap_or(format).trim_end();
    // chrono skips an offset that it cannot read in the middle of a text.
    if OFFSETS.iter().any(|offset| local_format.contains(offset)) {
        return None;
    }
    match NaiveDateTime::parse_from_str(text, local_format) {
        // `%H:%M:%S UTC%z`: without the offset, the name of the zone is left.
        Ok(_) if local_format != format && is_elsewhere(text) => None,
        Ok(local) => Some(beijing_instant(local)),
        Err(_) => Some(DateTime::parse_from_str(text, &format!("{local_format}%#z")).ok()?.with_timezone(&Utc)),
    }
}

/// What stands for an offset in a format.
const OFFSETS: [&str; 6] = ["%z", "%:z", "%::z", "%:::z", "%#z", "%+"];

/// Java's names of time zones other than UTC+8. `CST` is also Shanghai's own name.
const ELSEWHERE: [&str; 16] =
    ["EST", "EDT", "CDT", "MST", "MDT", "PST", "PDT", "BST", "WET", "WEST", "CET", "CEST", "MSK", "IST", "JST", "KST"];

/// Whether a time names a time zone, by offset or name, other than Shanghai's.
fn is_elsewhere(text: &str) -> bool {
    text.split_whitespace().any(|word| match word.strip_prefix("UTC").or(word.strip_prefix("GMT")) {
        Some(distance) => !matches!(distance, "+8" | "+08" | "+0800" | "+08:00"),
        None => ELSEWHERE.contains(&word),
    })
}

fn explained(error: &str, unit: AmountUnit) -> String {
    match unit {
        AmountUnit::Yuan => format!("{error}; amounts are yuan with at most two decimals"),
        AmountUnit::Fen => format!("{error}; amounts are whole fen: set `amount_unit = \"yuan\"` if they are yuan"),
    }
}

/// Removes what keeps a spreadsheet from parsing a number: a back-tick (WeChat's own bills), an apostrophe, a tab,
/// `="…"`.
fn unguarded(cell: &str) -> &str {
    // Nearly every cell begins and ends with a letter or a digit.
    if let [first, .., last] = cell.as_bytes()
        && first.is_ascii_alphanumeric()
        && last.is_ascii_alphanumeric()
    {
        return cell;
    }
    let text = cell.trim();
    let text = text.strip_prefix("=\"").and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    // Twice, if one program guarded what another had guarded before.
    text.trim_start_matches(['`', '\'']).trim()
}

/// `4.2E+27`, as spreadsheets show long numbers, and `4.2E27`, as Java writes them. `42E27` may be a code.
fn is_scientific(text: &str) -> bool {
    if !text.ends_with(|last: char| last.is_ascii_digit()) || !text.bytes().any(|byte| matches!(byte, b'E' | b'e')) {
        return false;
    }
    let Some((mantissa, exponent)) = text.split_once(['E', 'e']) else { return false };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match (mantissa.split_once('.'), exponent.strip_prefix('+')) {
        (Some((whole, fraction)), Some(exponent)) => digits(whole) && digits(fraction) && digits(exponent),
        (Some((whole, fraction)), None) => whole.len() == 1 && digits(whole) && digits(fraction) && digits(exponent),
        (None, Some(exponent)) => digits(mantissa) && digits(exponent),
        (None, None) => false,
    }
}

/// `1288880000000001.0`, as data frames write integers in columns with gaps.
fn is_float_text(text: &str) -> bool {
    let Some((whole, fraction)) = text.split_once('.') else { return false };
    whole.len() >= 6 && whole.bytes().all(|byte| byte.is_ascii_digit()) && fraction.trim_matches('0').is_empty()
}

fn without_thousands(text: &str) -> Option<String> {
    let (whole, rest) = match text.find('.') {
        Some(point) => text.split_at(point),
        None => (text, ""),
    };
    let mut groups = whole.trim_start_matches('-').split(',');
    let first = groups.next()?;
    let well_parted = (1..=3).contains(&first.len()) && groups.all(|group| group.len() == 3);
    (well_parted && !rest.contains(',')).then(|| text.replace(',', ""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn guards_of_spreadsheets_are_no_part_of_an_id() {
        let once = ["4200000462", "`4200000462", "'4200000462", "\t4200000462", " 4200000462 ", "=\"4200000462\""];
        for cell in once.into_iter().chain(["'`4200000462", "=\"`4200000462\""]) {
            assert_eq!(id(cell).unwrap(), "4200000462", "{cell:?}");
        }
        assert_eq!(optional_id("`").unwrap(), None);
        assert_eq!((optional_name("=\"微信\""), optional_name(" '")), (Some("微信".into()), None));
        assert!(required_id(" ").unwrap_err().contains("empty"));
    }

    #[test]
    fn ids_that_a_spreadsheet_rounded_are_refused_with_advice() {
        for cell in ["4.2E+27", "1.23457E+18", "4E+27", "4.2e+27", "`4.2E+27", "1.288880000000001E15", "4.2e27"] {
            assert!(id(cell).unwrap_err().contains("as text"), "{cell}");
        }
        assert!(id("1288880000000001.0").unwrap_err().contains("as text"));
        for fine in ["12E34", "E+5", "1.2E+", "A1E+3", "v1.0", "12.0", "2026-11-18.001", "12.5E3", "1.E5"] {
            assert_eq!(id(fine).unwrap(), fine);
        }
    }

    #[test]
    fn what_a_spreadsheet_shows_where_it_has_no_value_is_no_id() {
        for cell in ["#N/A", " #REF! ", "'#VALUE!"] {
            assert!(id(cell).unwrap_err().contains("spreadsheet error"), "{cell}");
        }
        assert_eq!(id("#12").unwrap(), "#12");
    }

    #[test]
    fn an_id_with_a_sign_that_nobody_sees_is_refused_by_the_name_of_the_sign() {
        for (cell, sign) in
            [("\u{feff}C1", "U+FEFF"), ("C\u{200b}1", "U+200B"), ("C1\u{202c}", "U+202C"), ("M\n1", "U+000A")]
        {
            assert!(id(cell).unwrap_err().starts_with(sign), "{cell:?}");
        }
        assert_eq!(id("\u{a0}券 1-_\\/=|\u{3000}").unwrap(), "券 1-_\\/=|", "blanks around it are no part of it");
    }

    #[test]
    fn a_line_of_totals_is_no_order() {
        for cell in ["合计", "`合计", " 总计： ", "Total:", "TOTALS"] {
            assert!(order_number(cell).unwrap_err().contains("totals"), "{cell}");
        }
        for fine in ["M1", "合计1", "total-7"] {
            assert_eq!(order_number(fine).unwrap(), fine);
        }
        assert!(order_number(" ").unwrap_err().contains("empty"));
    }

    const YUAN: AmountFormat = AmountFormat { unit: AmountUnit::Yuan, thousands_separators: false };
    const FEN: AmountFormat = AmountFormat { unit: AmountUnit::Fen, ..YUAN };
    const SEPARATED: AmountFormat = AmountFormat { thousands_separators: true, ..YUAN };

    #[test]
    fn amounts_are_fen_whatever_their_unit() {
        assert_eq!(amount("12.30", YUAN), Ok(Fen(1230)));
        assert_eq!(amount("`0.01", YUAN), Ok(Fen(1)));
        assert_eq!(amount("1230", FEN), Ok(Fen(1230)));
        assert_eq!(amount("1,234,567.80", SEPARATED), Ok(Fen(123_456_780)));
        assert_eq!(amount_or_zero("", YUAN), Ok(Fen::ZERO));
    }

    #[test]
    fn doubtful_amounts_are_refused_with_a_reason() {
        let yuan = |cell| amount(cell, YUAN).unwrap_err();
        assert!(yuan("1,234.50").contains("thousands_separators"));
        for cell in ["12,34.5", "1,2345", ",123", "1,23", "1.2,345", "1234,567"] {
            assert!(amount(cell, SEPARATED).unwrap_err().contains("thousands"), "{cell}");
        }
        assert!(yuan("-1.00").contains("negative"));
        assert!(yuan("0.005").contains("more than 2 decimals"));
        assert!(yuan("abc").contains("plain decimal"));
        assert!(yuan("").contains("empty"));
        assert!(yuan("99999999999.00").contains("unit"));
        assert!(amount("12.5", FEN).unwrap_err().contains("amount_unit"));
    }

    #[test]
    fn times_are_of_shanghai_unless_they_say_otherwise() {
        let shown = |cell, format| instant(cell, format).unwrap().unwrap().to_rfc3339();
        assert_eq!(shown("2026-11-18 08:00:00", "%Y-%m-%d %H:%M:%S"), "2026-11-18T00:00:00+00:00");
        assert_eq!(shown("2026/11/18 08:00", "%Y/%m/%d %H:%M"), "2026-11-18T00:00:00+00:00");
        assert_eq!(shown("2026-11-18T08:00:00+0000", "%Y-%m-%dT%H:%M:%S%z"), "2026-11-18T08:00:00+00:00");
        assert_eq!(instant("\t", "%Y-%m-%d %H:%M:%S"), Ok(None));
    }

    #[test]
    fn each_text_may_carry_an_offset_whatever_its_format_has() {
        let shown = |cell: &str, format| instant(cell, format).unwrap().unwrap().to_rfc3339();
        for format in ["%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S%z", "%Y-%m-%d %H:%M:%S %:z", "%Y-%m-%d %H:%M:%S%#z"] {
            for offset in ["", "+08:00", "+0800", "+08", " +0800"] {
                let cell = format!("2026-11-18 08:00:00{offset}");
                assert_eq!(shown(&cell, format), "2026-11-18T00:00:00+00:00", "{cell} as {format}");
            }
            assert_eq!(shown("2026-11-18 08:00:00Z", format), "2026-11-18T08:00:00+00:00", "{format}");
            assert_eq!(shown("2026-11-18 08:00:00-05:00", format), "2026-11-18T13:00:00+00:00", "{format}");
            for wrong in
                ["2026-11-18 08:00:00+80:00", "2026-11-18 08:00:00+08:60", "2026-11-18 08:00:00-30", "2026-11-18Z"]
            {
                assert!(instant(wrong, format).is_err(), "{wrong} as {format}");
            }
        }
        assert!(instant("2026-11-18 08:00:00 UTC", "%Y-%m-%d %H:%M:%S UTC%z").is_err());
    }

    #[test]
    fn a_zone_that_is_passed_over_must_be_that_of_shanghai() {
        let format = "%a %b %d %H:%M:%S %Z %Y";
        assert!(instant("Wed Nov 18 08:00:00 CST 2026", format).unwrap().is_some());
        assert!(instant("Wed Nov 18 08:00:00 GMT+08:00 2026", format).unwrap().is_some());
        for zone in ["UTC", "GMT", "GMT-05:00", "JST", "EST"] {
            let error = instant(&format!("Wed Nov 18 00:00:00 {zone} 2026"), format).unwrap_err();
            assert!(error.contains("`%z`"), "{error}");
        }
    }

    #[test]
    fn times_of_another_format_name_the_key_to_set() {
        assert!(instant("2026/11/18 08:00", "%Y-%m-%d %H:%M:%S").unwrap_err().contains("`time_format`"));
        assert!(instant("26-11-18 08:00:00", "%Y-%m-%d %H:%M:%S").unwrap_err().contains("year 26"));
        assert!(instant("2026-02-30 08:00:00", "%Y-%m-%d %H:%M:%S").is_err());
    }

    proptest! {
        #[test]
        fn thousands_separators_change_no_amount(fen in 0i64..1_000_000_000_000) {
            let plain = Fen(fen).to_string();
            let (whole, cents) = plain.split_once('.').unwrap();
            let digits: Vec<char> = whole.chars().collect();
            let groups: Vec<String> = digits.rchunks(3).rev().map(|group| group.iter().collect()).collect();
            let parted = format!("{}.{cents}", groups.join(","));
            prop_assert_eq!(amount(&parted, SEPARATED), Ok(Fen(fen)));
        }

        #[test]
        fn any_digits_stay_an_id(digits in "[0-9]{1,40}") {
            let guarded = format!("`{digits}");
            prop_assert_eq!(id(&guarded).unwrap(), digits);
        }
    }
}
