//! The figures of a night: the content of `summary.json`, from which the page is drawn too. Sums and
//! counts of open breaks; the field names are a contract.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::Serialize;

use super::flow::FlowLine;
use super::input::PackInput;
use super::summary::AgeBucket;
use super::trend::TrendDay;
use crate::dataset::manifest::{Coverage, FootingEntry};
use crate::dataset::status::RunStatus;
use crate::reconcile::{BreakFigures, BreakKind, BreakTally};
use crate::record::Severity;

/// Format version of `summary.json`.
const SUMMARY_VERSION: u32 = 1;

/// `summary.json`.
#[derive(Debug, Serialize)]
pub struct Summary<'a> {
    /// Format version of this file.
    pub summary_version: u32,
    /// `job.name`.
    pub job: &'a str,
    /// Business date.
    pub business_date: NaiveDate,
    /// `complete` or `partial`.
    pub status: RunStatus,
    /// Open breaks: new, open, reopened.
    pub open: BreakTally,
    /// Those that are new or reopened tonight.
    pub new: BreakTally,
    /// Resolved tonight.
    pub resolved: BreakTally,
    /// Every listed break by status.
    pub by_status: BTreeMap<&'a str, BreakTally>,
    /// Open breaks by severity.
    pub by_severity: BTreeMap<&'a str, BreakTally>,
    /// Open breaks by side.
    pub by_side: BTreeMap<&'a str, BreakTally>,
    /// Open breaks by age, from young to old, every bucket.
    pub by_age: Vec<AgeFigures<'a>>,
    /// Open breaks by rule, most money at risk first.
    pub by_rule: Vec<RuleFigures<'a>>,
    /// This day and up to 29 before it, oldest first; days without a night are omitted.
    pub trend: Vec<TrendDay>,
    /// The coupons of the ledger by state, order and subsidy.
    pub flow: Vec<FlowLine>,
    /// The wallet coverage; null when no wallets were to be requested.
    pub coverage: Option<&'a Coverage>,
    /// Control totals of the match.
    pub footing: &'a [FootingEntry],
    /// Rules that were not run.
    pub unjudged: Vec<UnjudgedFigures<'a>>,
    /// Rows of the tables of the pack.
    pub tables: BTreeMap<&'static str, i64>,
}

/// The open breaks of one age.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AgeFigures<'a> {
    /// `0`, `1–3`, `4–7`, `8–30`, `30+`.
    pub age_days: &'static str,
    /// All of them.
    #[serde(flatten)]
    pub open: BreakTally,
    /// By severity.
    pub by_severity: BTreeMap<&'a str, BreakTally>,
}

/// The open breaks of one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleFigures<'a> {
    /// The rule.
    pub rule_id: &'a str,
    /// English.
    pub title: &'a str,
    /// Chinese.
    pub title_zh: &'a str,
    /// How bad its breaks are.
    pub severity: Severity,
    /// Who should act.
    pub side: &'a str,
    /// All of them.
    #[serde(flatten)]
    pub open: BreakTally,
    /// Those that are new or reopened tonight.
    pub new_rows: i64,
    /// Age of the oldest.
    pub oldest_days: i64,
}

/// A rule that was not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnjudgedFigures<'a> {
    /// The rule.
    pub rule_id: &'a str,
    /// The missing dataset.
    pub dataset: &'a str,
}

impl<'a> Summary<'a> {
    pub(super) fn new(input: &'a PackInput<'_>, flow: Vec<FlowLine>, tables: BTreeMap<&'static str, i64>) -> Self {
        let breaks = input.breaks;
        let tonight = TrendDay::of(input.date, breaks);
        let unjudged = input.unjudged.iter();
        let unjudged = unjudged.map(|it| UnjudgedFigures { rule_id: &it.rule_id, dataset: &it.dataset });
        Summary {
            summary_version: SUMMARY_VERSION,
            job: input.job,
            business_date: input.date,
            status: if input.is_partial { RunStatus::Partial } else { RunStatus::Complete },
            open: breaks.open(),
            new: breaks.tally(|kind| kind.status.is_news()),
            resolved: breaks.tally(|kind| kind.is_resolved_tonight),
            by_status: group(breaks.kinds(), |kind| kind.status.as_str()),
            by_severity: group(breaks.open_kinds(), |kind| kind.severity.as_str()),
            by_side: group(breaks.open_kinds(), |kind| &kind.side),
            by_age: AgeBucket::ALL.map(|age| of_age(breaks, age)).to_vec(),
            by_rule: by_rule(input),
            trend: input.trend.iter().copied().chain([tonight]).collect(),
            flow,
            coverage: input.coverage,
            footing: input.footing,
            unjudged: unjudged.collect(),
            tables,
        }
    }
}

fn group<'b>(
    kinds: impl Iterator<Item = (&'b BreakKind, BreakTally)>,
    key: impl Fn(&'b BreakKind) -> &'b str,
) -> BTreeMap<&'b str, BreakTally> {
    let mut groups: BTreeMap<&str, BreakTally> = BTreeMap::new();
    for (kind, tally) in kinds {
        let group = groups.entry(key(kind)).or_default();
        *group = group.plus(tally);
    }
    groups
}

fn of_age(breaks: &BreakFigures, age: AgeBucket) -> AgeFigures<'_> {
    let of_age = || breaks.open_kinds().filter(|(kind, _)| AgeBucket::of(kind.age_days) == age);
    let open = of_age().map(|(_, tally)| tally).sum();
    AgeFigures { age_days: age.label(), open, by_severity: group(of_age(), |kind| kind.severity.as_str()) }
}

fn by_rule<'a>(input: &'a PackInput<'_>) -> Vec<RuleFigures<'a>> {
    let mut rules: BTreeMap<&str, Vec<(&BreakKind, BreakTally)>> = BTreeMap::new();
    for (kind, tally) in input.breaks.open_kinds() {
        rules.entry(&kind.rule_id).or_default().push((kind, tally));
    }
    let mut rules: Vec<_> = rules.into_iter().map(|(rule_id, kinds)| of_rule(input, rule_id, &kinds)).collect();
    rules.sort_by_key(|it| (std::cmp::Reverse((it.open.at_risk_fen, it.open.rows)), it.rule_id));
    rules
}

/// `kinds` are those of the rule, at least one.
fn of_rule<'a>(input: &'a PackInput<'_>, rule_id: &'a str, kinds: &[(&'a BreakKind, BreakTally)]) -> RuleFigures<'a> {
    let rule = input.rules.find(rule_id);
    // They differ only if the rule was changed while breaks of it were open.
    let (weightiest, _) = kinds.iter().max_by_key(|(_, tally)| tally.at_risk_fen).expect("a rule with open breaks");
    RuleFigures {
        rule_id,
        title: rule.map_or("", |rule| &rule.title),
        title_zh: rule.map_or("", |rule| &rule.title_zh),
        severity: weightiest.severity,
        side: &weightiest.side,
        open: kinds.iter().map(|(_, tally)| *tally).sum(),
        new_rows: kinds.iter().filter(|(kind, _)| kind.status.is_news()).map(|(_, tally)| tally.rows).sum(),
        oldest_days: kinds.iter().map(|(kind, _)| kind.age_days).max().unwrap_or(0),
    }
}
