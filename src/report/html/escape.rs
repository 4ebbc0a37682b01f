//! Writes text into the page: always escaped, and in both languages where it is ours.

use std::fmt::{self, Display, Write};

use super::super::words::{Words, word};
use crate::job::Language;
use crate::money::Fen;

/// Text from any source, escaped for element content and quoted attributes.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // Control characters are not text, and most are not allowed in a document.
                _ if character.is_control() => f.write_char(' ')?,
                _ => f.write_char(character)?,
            }
        }
        Ok(())
    }
}

/// A text in two languages, one of which the page shows.
#[derive(Clone, Copy)]
pub(super) struct Both<'a>(pub(super) &'a str, pub(super) &'a str);

impl Display for Both<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (zh, en) = (Escaped(self.0), Escaped(self.1));
        if self.0 == self.1 {
            return write!(f, "{zh}");
        }
        write!(f, "<span class=\"zh\">{zh}</span><span class=\"en\">{en}</span>")
    }
}

/// Attributes that the script replaces by the text in the current language, for elements without markup.
pub(super) struct BothData<'a>(pub(super) &'a str, pub(super) &'a str);

impl Display for BothData<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "data-zh=\"{}\" data-en=\"{}\"", Escaped(self.0), Escaped(self.1))
    }
}

/// The word for a code, in both languages.
pub(super) fn both_words(words: &Words, code: &str) -> String {
    Both(word(words, Language::Zh, code), word(words, Language::En, code)).to_string()
}

/// `12,345,678`.
pub(super) fn grouped(count: i64) -> String {
    let digits = count.unsigned_abs().to_string();
    let mut text = String::from(if count < 0 { "−" } else { "" });
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `¥12,346` for small spaces, rounded to whole yuan, with fen below one yuan; a dash for zero.
pub(super) fn short_yuan(amount: Fen) -> String {
    match amount {
        Fen::ZERO => "–".to_owned(),
        Fen(-99..=99) => yuan(amount),
        Fen(fen) => format!("¥{}", grouped(fen.saturating_add(50).div_euclid(100))),
    }
}

/// `¥12,345.60`.
pub(super) fn yuan(amount: Fen) -> String {
    let plain = amount.abs().to_string();
    let (whole, decimals) = plain.split_once('.').unwrap_or((&plain, "00"));
    let sign = if amount < Fen::ZERO { "−" } else { "" };
    format!("{sign}¥{}.{decimals}", grouped(whole.parse().unwrap_or(i64::MAX)))
}

/// As `yuan`; a dash for zero.
pub(super) fn yuan_or_dash(amount: Fen) -> String {
    if amount == Fen::ZERO { "–".to_owned() } else { yuan(amount) }
}

/// `98.4 %`, 100 only if complete; a dash if there is nothing.
pub(super) fn share(part: i64, whole: i64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    let thousandths = i128::from(part) * 1000 / i128::from(whole);
    format!("{}.{} %", thousandths / 10, thousandths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_can_leave_its_place() {
        let hostile = "</script><img src=x onerror=\"alert('1')\">&\u{0}";
        assert_eq!(
            Escaped(hostile).to_string(),
            "&lt;/script&gt;&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp; "
        );
    }

    #[test]
    fn numbers_are_grouped_and_shares_are_never_rounded_up_to_all() {
        assert_eq!(yuan(Fen(110_112_005)), "¥1,101,120.05");
        assert_eq!(yuan(Fen(-5)), "−¥0.05");
        let short = [0, 40, 100, 58_080, 58_049].map(|fen| short_yuan(Fen(fen)));
        assert_eq!(short, ["–", "¥0.40", "¥1", "¥581", "¥580"]);
        assert_eq!((grouped(0), grouped(-1_234)), ("0".to_owned(), "−1,234".to_owned()));
        assert_eq!((share(9_999, 10_000), share(1, 1), share(0, 0)), ("99.9 %".into(), "100.0 %".into(), "–".into()));
    }
}
