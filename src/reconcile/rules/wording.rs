//! Translates the sentence that a rule puts into `why`: pairs of header lines with slots.
//!
//! ```text
//! -- why: {sent} sent, max_coupons is {most}
//! -- 原因: 已发放 {sent} 张，上限 {most} 张
//! ```
//!
//! A sentence is composed only once, by the SQL of the rule, in English; the slots transfer its values. A
//! sentence that fits no pair stays unchanged. Never computes anything.

/// One pair of header lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wording {
    en: Vec<Piece>,
    zh: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Slot(String),
}

/// The text of a slot without a value.
const ABSENT: [(&str, &str); 6] = [
    ("none", "无"),
    ("(none)", "（无）"),
    ("(nobody)", "（无）"),
    ("(unknown day)", "（日期不明）"),
    ("(no reason)", "（未说明原因）"),
    ("ever", "不限"),
];

impl Wording {
    /// Parses a pair of lines.
    ///
    /// # Errors
    /// A slot that is not closed, is adjacent to another, or is only in the Chinese line.
    pub fn parse(en: &str, zh: &str) -> Result<Wording, String> {
        let wording = Wording { en: pieces(en)?, zh: pieces(zh)? };
        let has_slot = |piece: &&Piece| matches!(piece, Piece::Slot(_)) && !wording.en.contains(piece);
        match wording.zh.iter().find(has_slot) {
            Some(Piece::Slot(name)) => Err(format!("`{{{name}}}` of `原因` is not in the `why` line before it")),
            _ => Ok(wording),
        }
    }

    /// The sentence in Chinese, if it matches this pair.
    pub fn in_chinese(&self, why: &str) -> Option<String> {
        let values = self.read(why)?;
        let word = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Slot(name) => {
                let value = values.iter().find(|(slot, _)| slot == name).map_or("", |(_, value)| *value);
                ABSENT.iter().find(|(en, _)| *en == value).map_or(value, |(_, zh)| *zh).to_owned()
            }
        };
        Some(self.zh.iter().map(word).collect())
    }

    /// The values of the slots: each as short as the following text allows, the last one to the end.
    fn read<'a>(&self, why: &'a str) -> Option<Vec<(&str, &'a str)>> {
        let (mut values, mut rest, mut open) = (Vec::new(), why, None);
        for piece in &self.en {
            match (piece, open.take()) {
                (Piece::Slot(name), _) => open = Some(name.as_str()),
                (Piece::Text(text), None) => rest = rest.strip_prefix(text.as_str())?,
                (Piece::Text(text), Some(name)) => {
                    let (value, after) = rest.split_once(text.as_str())?;
                    values.push((name, value));
                    rest = after;
                }
            }
        }
        match open {
            Some(name) => values.push((name, rest)),
            None if !rest.is_empty() => return None,
            None => {}
        }
        Some(values)
    }
}

/// Text and `{slots}`; two slots must be separated by text.
fn pieces(line: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = line;
    while let Some((text, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or_else(|| format!("`{{` of `{line}` is not closed"))?;
        if text.is_empty() && !pieces.is_empty() {
            return Err(format!("`{{{name}}}` of `{line}` stands directly after another slot"));
        }
        pieces.extend((!text.is_empty()).then(|| Piece::Text(text.to_owned())));
        pieces.push(Piece::Slot(name.to_owned()));
        rest = after;
    }
    pieces.extend((!rest.is_empty()).then(|| Piece::Text(rest.to_owned())));
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wording(en: &str, zh: &str) -> Wording {
        Wording::parse(en, zh).unwrap()
    }

    #[test]
    fn the_values_of_a_sentence_are_carried_over() {
        let it = wording("used on {day}, nearest order: {order}", "最接近的订单 {order}；核销日 {day}");
        let said = it.in_chinese("used on 2026-11-18, nearest order: none");
        assert_eq!(said.as_deref(), Some("最接近的订单 无；核销日 2026-11-18"));
    }

    #[test]
    fn another_sentence_is_not_translated() {
        let it = wording("used on {day}, late", "核销日 {day}");
        for why in ["used on 2026-11-18", "was used on x, late", "used on x, late indeed", ""] {
            assert_eq!(it.in_chinese(why), None, "{why}");
        }
    }

    #[test]
    fn pairs_that_cannot_be_read_are_told() {
        let wrong = |en, zh| Wording::parse(en, zh).unwrap_err();
        assert_eq!(wrong("paid {a}", "已付 {b}"), "`{b}` of `原因` is not in the `why` line before it");
        assert_eq!(wrong("paid {a", "已付"), "`{` of `paid {a` is not closed");
        assert_eq!(wrong("{a}{b}", "已付"), "`{b}` of `{a}{b}` stands directly after another slot");
    }

    proptest! {
        #[test]
        fn any_value_without_the_text_between_the_slots_comes_through(a in "[^;]{0,12}", b in ".{0,12}") {
            let it = wording("from {a}; to {b}", "{b}←{a}");
            prop_assume!(!ABSENT.iter().any(|(en, _)| *en == a || *en == b));
            prop_assert_eq!(it.in_chinese(&format!("from {a}; to {b}")), Some(format!("{b}←{a}")));
        }
    }
}
