//! Money as integer fen (1/100 yuan). Never a float: text is parsed digit by digit, and sums are checked for
//! overflow.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An amount in fen; may be negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fen(pub i64);

/// Why a text is not an amount. The text itself is shown by the caller, who knows where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// The text is empty.
    #[error("the amount is empty")]
    Empty,
    /// Anything but digits, one decimal point and a leading sign.
    #[error("not a plain decimal number (no thousands separators, no currency sign)")]
    NotDecimal,
    /// More decimals than the unit has.
    #[error("more than {0} decimals")]
    TooManyDecimals(u32),
    /// Does not fit into 64 bits.
    #[error("the amount is out of range")]
    OutOfRange,
}

impl Fen {
    /// Zero.
    pub const ZERO: Fen = Fen(0);

    /// Ten billion yuan, of either sign: no single amount comes near it, and sums of millions of such amounts
    /// fit into 64 bits. Amounts from outside are checked against it.
    pub const LARGEST: Fen = Fen(1_000_000_000_000);

    /// Whether a single amount may be this large.
    pub fn is_plausible(self) -> bool {
        self.abs() <= Fen::LARGEST
    }

    /// Reads yuan with at most two decimals: `12`, `12.3`, `-0.05`.
    pub fn from_yuan(text: &str) -> Result<Fen, AmountError> {
        parse_decimal(text, 2).map(Fen)
    }

    /// Reads a whole number of fen.
    pub fn from_fen(text: &str) -> Result<Fen, AmountError> {
        parse_decimal(text, 0).map(Fen)
    }

    /// The sum, or `None` on overflow.
    pub fn checked_add(self, other: Fen) -> Option<Fen> {
        self.0.checked_add(other.0).map(Fen)
    }

    /// `self × percent / 100`, rounded half away from zero, or `None` on overflow.
    pub fn percent_half_up(self, percent: i64) -> Option<Fen> {
        let scaled = i128::from(self.0) * i128::from(percent);
        let half = if scaled < 0 { -50 } else { 50 };
        i64::try_from((scaled + half) / 100).ok().map(Fen)
    }

    /// The absolute value; saturates at the largest amount.
    #[must_use]
    pub fn abs(self) -> Fen {
        Fen(self.0.saturating_abs())
    }
}

impl fmt::Display for Fen {
    /// Yuan with two decimals: `12.30`, `-0.05`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let fen = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02}", fen / 100, fen % 100)
    }
}

impl std::ops::Sub for Fen {
    type Output = Fen;

    /// Panics on overflow: amounts are range-checked when they are read.
    fn sub(self, other: Fen) -> Fen {
        Fen(self.0.checked_sub(other.0).expect("fen difference within 64 bits"))
    }
}

impl std::ops::Add for Fen {
    type Output = Fen;

    /// Panics on overflow: amounts are range-checked when they are read.
    fn add(self, other: Fen) -> Fen {
        self.checked_add(other).expect("fen sum within 64 bits")
    }
}

impl std::ops::AddAssign for Fen {
    fn add_assign(&mut self, other: Fen) {
        *self = *self + other;
    }
}

impl std::iter::Sum for Fen {
    fn sum<I: Iterator<Item = Fen>>(amounts: I) -> Fen {
        amounts.fold(Fen::ZERO, |total, amount| total + amount)
    }
}

/// Parses a plain decimal with at most `places` decimals as an integer of the smallest unit.
///
/// `parse_decimal("0.01", 5)` is 1000: the fee column of a bill in thousandths of a fen.
pub fn parse_decimal(text: &str, places: u32) -> Result<i64, AmountError> {
    if let Some(value) = parse_plain(text.as_bytes(), places as usize) {
        return Ok(value);
    }
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    if digits.is_empty() {
        return Err(AmountError::Empty);
    }
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let unsigned = join_digits(whole, fraction, places)?;
    Ok(if negative { -unsigned } else { unsigned })
}

/// Fast path for `12.30` as nearly every amount is written: few digits, no sign, no more decimals than the
/// unit has. `None` leaves the text to the general parser, which also says what is wrong.
fn parse_plain(text: &[u8], places: usize) -> Option<i64> {
    const MOST_BYTES: usize = 12;
    let point = text.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = point.map_or((text, &[][..]), |point| (&text[..point], &text[point + 1..]));
    if whole.is_empty() || text.len() > MOST_BYTES || fraction.len() > places {
        return None;
    }
    let digit = |value: i64, byte: &u8| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0'));
    let value = whole.iter().chain(fraction).try_fold(0, digit)?;
    Some((fraction.len()..places).fold(value, |value, _| value * 10))
}

fn join_digits(whole: &str, fraction: &str, places: u32) -> Result<i64, AmountError> {
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) {
        return Err(AmountError::NotDecimal);
    }
    // Trailing zeros do not count as decimals: 1.500 yuan is 150 fen.
    let fraction = fraction.trim_end_matches('0');
    let missing = (places as usize).checked_sub(fraction.len()).ok_or(AmountError::TooManyDecimals(places))?;
    let mut value: i64 = 0;
    let zeros = std::iter::repeat_n(b'0', missing);
    for digit in whole.bytes().chain(fraction.bytes()).chain(zeros) {
        value = value
            .checked_mul(10)
            .and_then(|value| value.checked_add(i64::from(digit - b'0')))
            .ok_or(AmountError::OutOfRange)?;
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn yuan_text_becomes_fen() {
        for (text, fen) in [("0.01", 1), ("12", 1200), ("12.3", 1230), ("45.0", 4500), ("-0.05", -5), ("1.500", 150)] {
            assert_eq!(Fen::from_yuan(text), Ok(Fen(fen)), "{text}");
        }
    }

    #[test]
    fn doubtful_amounts_are_refused_with_a_reason() {
        use AmountError::*;
        let cases = [
            ("", Empty),
            ("-", Empty),
            ("1,200.00", NotDecimal),
            ("￥1", NotDecimal),
            ("1e3", NotDecimal),
            (".5", NotDecimal),
            ("1.2.3", NotDecimal),
            ("+1", NotDecimal),
            ("0.005", TooManyDecimals(2)),
            ("92233720368547758.08", OutOfRange),
        ];
        for (text, why) in cases {
            assert_eq!(Fen::from_yuan(text), Err(why), "{text}");
        }
    }

    #[test]
    fn a_fee_keeps_its_five_decimals() {
        assert_eq!(parse_decimal("0.01000", 5), Ok(1000));
        assert_eq!(parse_decimal("-0.02", 5), Ok(-2000));
    }

    #[test]
    fn percentages_round_half_away_from_zero() {
        assert_eq!(Fen(5).percent_half_up(50), Some(Fen(3)));
        assert_eq!(Fen(-5).percent_half_up(50), Some(Fen(-3)));
        assert_eq!(Fen(1999).percent_half_up(12), Some(Fen(240)));
        assert_eq!(Fen(i64::MAX).percent_half_up(200), None);
    }

    proptest! {
        #[test]
        fn amounts_read_the_short_way_are_amounts_read_the_long_way(text in "[0-9.\\- ]{0,14}", places in 0u32..6) {
            if let Some(value) = parse_plain(text.as_bytes(), places as usize) {
                prop_assert_eq!(parse_decimal(&format!(" {text}"), places), Ok(value));
            }
        }

        #[test]
        fn printing_and_reading_are_inverse(fen in -9_000_000_000_000_000_000i64..9_000_000_000_000_000_000) {
            prop_assert_eq!(Fen::from_yuan(&Fen(fen).to_string()), Ok(Fen(fen)));
        }
    }
}
