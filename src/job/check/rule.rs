//! Checks `[rules]` and `[report]`. Does not know which rule ids exist.

use regex::Regex;

use super::Checker;
use super::scalar::MOST_DAYS;
use crate::job::file::{ReportSection, RulesSection};
use crate::job::settings::{ExcelIds, Language, MerchantPair, ReportSettings, RuleId, RuleSettings};
use crate::job::value::{Pairs, Texts, Written};
use crate::money::Fen;

impl Checker<'_> {
    /// `[rules]`; missing keys have the defaults of the design.
    pub(super) fn rules(&mut self, section: Option<&RulesSection>) -> RuleSettings {
        let Some(section) = section else { return RuleSettings::default() };
        let default = RuleSettings::default();
        let tolerance = section.tolerance.as_ref().map(|written| &written.value);
        let minutes = tolerance.map_or(&None, |tolerance| &tolerance.use_time_minutes);
        let discount = tolerance.map_or(&None, |tolerance| &tolerance.discount_fen);
        RuleSettings {
            off: self.rule_ids(&section.off),
            must_associate: self.ids(&section.must_associate),
            merchant_pairs: self.pairs(&section.merchant_pairs),
            use_request_pattern: self.pattern(&section.use_request_pattern),
            folders: self.folders(&section.folders),
            max_coupons_per_order: self.number(&section.max_coupons_per_order, default.max_coupons_per_order, 1),
            use_time_tolerance_minutes: self.number(minutes, default.use_time_tolerance_minutes, 0),
            discount_tolerance_fen: Fen(self.number(discount, default.discount_tolerance_fen.0, 0)),
            lookback_days: self.days(&section.lookback_days, default.lookback_days, 1),
            stuck_hours: self.number_within(&section.stuck_hours, default.stuck_hours, 1..=MOST_DAYS * 24),
        }
    }

    /// Ids of rules with their lines; whether they exist is checked where the rules are known.
    fn rule_ids(&mut self, written: &Option<Written<Texts>>) -> Vec<RuleId> {
        self.ids(written);
        let texts = written.iter().flat_map(|written| &written.value.0);
        texts.map(|text| RuleId { id: text.value.clone(), line: self.problems.line_of(&text.place) }).collect()
    }

    /// Pairs of merchants. One with a blank in it would excuse nothing, without a word.
    fn pairs(&mut self, written: &Option<Written<Pairs>>) -> Vec<MerchantPair> {
        let Some(Written { value: Pairs(pairs), place }) = written else { return Vec::new() };
        let is_bare = |text: &String| !text.is_empty() && text.trim() == text;
        if !pairs.iter().all(|(belong, order)| is_bare(belong) && is_bare(order)) {
            self.problems.add(place, format!("`{}` has an empty or padded entry", place.key));
        }
        pairs.iter().cloned().map(|(belong, order)| MerchantPair { belong, order }).collect()
    }

    fn pattern(&mut self, written: &Option<Written<String>>) -> Option<Regex> {
        let written = written.as_ref().filter(|written| !written.value.is_empty())?;
        let key = &written.place.key;
        match Regex::new(&written.value) {
            // The whole match counts as a group.
            Ok(regex) if regex.captures_len() == 2 => return Some(regex),
            Ok(regex) => {
                let text = format!("`{key}` has {} groups: it must have exactly one", regex.captures_len() - 1);
                let hint = "put `( )` around the order number, `(?: )` around the rest: `^POS-(.+)-[0-9]+$`";
                self.problems.add_with_hint(&written.place, text, hint);
            }
            Err(error) => {
                let why = error.to_string().lines().last().unwrap_or_default().trim().to_owned();
                self.problems.add(&written.place, format!("`{key}` is not a regular expression: {why}"));
            }
        }
        None
    }

    /// `[report]`.
    pub(super) fn report(&mut self, section: Option<&ReportSection>) -> ReportSettings {
        let default = ReportSettings::default();
        let Some(section) = section else { return default };
        let languages = [("zh", Language::Zh), ("en", Language::En)];
        let guards = [("backtick", ExcelIds::Backtick), ("tab", ExcelIds::Tab), ("none", ExcelIds::None)];
        ReportSettings {
            language: self.choice(&section.language, default.language, &languages),
            excel_ids: self.choice(&section.excel_ids, default.excel_ids, &guards),
            trailer: section.trailer.as_ref().map_or(default.trailer, |written| written.value),
        }
    }
}
