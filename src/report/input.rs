//! The inputs of the pack besides the ledger and the receipts, and the texts of rules in the language of the
//! report. Reads nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use chrono::NaiveDate;

use super::trend::TrendDay;
use crate::dataset::manifest::{Coverage, FootingEntry};
use crate::exports::BadRow;
use crate::job::{Language, ReportSettings};
use crate::reconcile::BreakFigures;
use crate::reconcile::rules::Wording;
use crate::record::Break;

/// What a rule says to people, from the header of its file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleTexts {
    /// Chinese title.
    pub title_zh: String,
    /// English title.
    pub title: String,
    /// What to do, in Chinese; empty if the file has none.
    pub action_zh: String,
    /// Its sentences in both languages.
    pub wordings: Vec<Wording>,
}

/// The inputs of the pack besides the ledger and the receipts.
#[derive(Debug)]
pub struct PackInput<'a> {
    /// Language, id guard, trailer.
    pub settings: ReportSettings,
    /// `job.name`.
    pub job: &'a str,
    /// Business date.
    pub date: NaiveDate,
    /// Whether a stage is incomplete.
    pub is_partial: bool,
    /// The breaks of the day, counted.
    pub breaks: &'a BreakFigures,
    /// Quarantined rows; `None` if the job has no quarantine.
    pub quarantined: Option<&'a [BadRow]>,
    /// What the rules say, by id.
    pub texts: &'a BTreeMap<String, RuleTexts>,
    /// Rules that were not run because a source is missing or incomplete: id and dataset.
    pub unjudged: &'a [(String, String)],
    /// The wallet coverage.
    pub coverage: Option<&'a Coverage>,
    /// Control totals of the match.
    pub footing: &'a [FootingEntry],
    /// Earlier days, oldest first.
    pub trend: &'a [TrendDay],
    /// A folder for the rows of the workbook and for sorting breaks and receipts.
    pub scratch: &'a Path,
}

impl PackInput<'_> {
    pub(super) fn title(&self, rule_id: &str) -> &str {
        self.texts.get(rule_id).map_or("", |texts| self.pick(&texts.title_zh, &texts.title))
    }

    /// What to do about a break, in the language of the report if the rule has it.
    pub(super) fn action<'t>(&'t self, it: &'t Break) -> &'t str {
        match self.settings.language {
            Language::Zh => self.action_zh(it),
            Language::En => &it.action,
        }
    }

    pub(super) fn action_zh<'t>(&'t self, it: &'t Break) -> &'t str {
        let zh = self.texts.get(&it.rule_id).map_or("", |texts| &texts.action_zh);
        if zh.is_empty() { &it.action } else { zh }
    }

    /// What differs, in the language of the report if the rule has it.
    pub(super) fn why<'t>(&self, it: &'t Break) -> Cow<'t, str> {
        match self.settings.language {
            Language::Zh => self.why_zh(it),
            Language::En => Cow::Borrowed(&it.why),
        }
    }

    pub(super) fn why_zh<'t>(&self, it: &'t Break) -> Cow<'t, str> {
        let wordings = self.texts.get(&it.rule_id).into_iter().flat_map(|texts| &texts.wordings);
        let zh = wordings.into_iter().find_map(|wording| wording.in_chinese(&it.why));
        zh.map_or(Cow::Borrowed(it.why.as_str()), Cow::Owned)
    }

    pub(super) fn pick<'t>(&self, zh: &'t str, en: &'t str) -> &'t str {
        self.settings.language.pick(zh, en)
    }
}
