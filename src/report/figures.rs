//! The figures of a night: the content of `summary.json`, from which the page is drawn too. Sums and
//! counts of open breaks; the field names are a contract.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::Serialize;

use super::flow::FlowLine;
use super::input::{PackInput, RuleTexts};
use super::summary::AgeBucket;
use super::trend::{BreakTally, TrendBreak, TrendDay};
use crate::dataset::manifest::{Coverage, FootingEntry};
use crate::dataset::status::RunStatus;
use crate::record::{Break, BreakStatus};

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
    /// high, medium or low.
    pub severity: &'a str,
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
        let open = || input.breaks.iter().filter(|it| it.is_open());
        let is_new = |it: &&Break| it.status.is_news();
        let is_resolved = |it: &&Break| it.status == BreakStatus::Resolved && it.resolved_date == Some(input.date);
        let tonight = TrendDay::count(input.date, input.breaks.iter().map(TrendBreak::of));
        let unjudged = input.unjudged.iter().map(|(rule_id, dataset)| UnjudgedFigures { rule_id, dataset });
        Summary {
            summary_version: SUMMARY_VERSION,
            job: input.job,
            business_date: input.date,
            status: if input.is_partial { RunStatus::Partial } else { RunStatus::Complete },
            open: tally(open()),
            new: tally(open().filter(is_new)),
            resolved: tally(input.breaks.iter().filter(is_resolved)),
            by_status: group(input.breaks.iter(), |it| it.status.as_str()),
            by_severity: group(open(), |it| &it.severity),
            by_side: group(open(), |it| &it.side),
            by_age: AgeBucket::ALL.map(|age| of_age(input.breaks, age)).to_vec(),
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

fn tally<'b>(breaks: impl Iterator<Item = &'b Break>) -> BreakTally {
    let mut tally = BreakTally::default();
    breaks.for_each(|it| tally.add(it.at_risk_fen));
    tally
}

fn group<'b>(
    breaks: impl Iterator<Item = &'b Break>,
    key: impl Fn(&'b Break) -> &'b str,
) -> BTreeMap<&'b str, BreakTally> {
    let mut groups: BTreeMap<&str, BreakTally> = BTreeMap::new();
    breaks.for_each(|it| groups.entry(key(it)).or_default().add(it.at_risk_fen));
    groups
}

fn of_age(breaks: &[Break], age: AgeBucket) -> AgeFigures<'_> {
    let of_age = || breaks.iter().filter(|it| it.is_open() && AgeBucket::of(it.age_days) == age);
    AgeFigures { age_days: age.label(), open: tally(of_age()), by_severity: group(of_age(), |it| &it.severity) }
}

fn by_rule<'a>(input: &'a PackInput<'_>) -> Vec<RuleFigures<'a>> {
    let mut rules: BTreeMap<&str, Vec<&Break>> = BTreeMap::new();
    for it in Break::open_by_risk(input.breaks) {
        rules.entry(&it.rule_id).or_default().push(it);
    }
    let figures = |(rule_id, breaks): (&'a str, Vec<&'a Break>)| {
        let texts = input.texts.get(rule_id);
        let title = |pick: fn(&RuleTexts) -> &String| texts.map_or("", |texts| pick(texts).as_str());
        RuleFigures {
            rule_id,
            title: title(|it| &it.title),
            title_zh: title(|it| &it.title_zh),
            severity: &breaks[0].severity,
            side: &breaks[0].side,
            open: tally(breaks.iter().copied()),
            new_rows: breaks.iter().map(|it| i64::from(it.status.is_news())).sum(),
            oldest_days: breaks.iter().map(|it| it.age_days).max().unwrap_or(0),
        }
    };
    let mut rules: Vec<_> = rules.into_iter().map(figures).collect();
    rules.sort_by_key(|it| (std::cmp::Reverse((it.open.at_risk_fen, it.open.rows)), it.rule_id));
    rules
}
