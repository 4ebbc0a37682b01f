//! The inputs of the pack besides the ledger and the receipts, and what its rules say in the language of the report. Reads
//! nothing.

use std::borrow::Cow;
use std::path::Path;

use chrono::NaiveDate;

use super::trend::TrendDay;
use crate::dataset::manifest::{Coverage, FootingEntry};
use crate::exports::BadRow;
use crate::job::{Language, ReportSettings};
use crate::reconcile::rules::Rules;
use crate::reconcile::{BreakFigures, Unjudged};
use crate::record::Break;

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
    /// The rules of the night, for what they say to people.
    pub rules: &'a Rules,
    /// Rules that were not run because a source is missing or incomplete.
    pub unjudged: &'a [Unjudged],
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
        self.rules.find(rule_id).map_or("", |rule| self.pick(&rule.title_zh, &rule.title))
    }

    /// What to do about a break, in the language of the report if the rule has it.
    pub(super) fn action<'t>(&'t self, it: &'t Break) -> &'t str {
        match self.settings.language {
            Language::Zh => self.action_zh(it),
            Language::En => &it.action,
        }
    }

    pub(super) fn action_zh<'t>(&'t self, it: &'t Break) -> &'t str {
        let zh = self.rules.find(&it.rule_id).map_or("", |rule| &rule.action_zh);
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
        let zh = self.rules.find(&it.rule_id).and_then(|rule| rule.why_in_chinese(&it.why));
        zh.map_or(Cow::Borrowed(it.why.as_str()), Cow::Owned)
    }

    pub(super) fn pick<'t>(&self, zh: &'t str, en: &'t str) -> &'t str {
        self.settings.language.pick(zh, en)
    }
}
