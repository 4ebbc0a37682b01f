//! Runs the rules over a night and gives its breaks. Which rules could not be judged is part of the
//! answer: nothing resolves on missing data.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::candidate::{self, Candidate};
use super::decisions::Decisions;
use super::engine::Engine;
use super::error::ReconcileError;
use super::files::{DayFiles, Shortfall};
use super::lifecycle::{self, Finding};
use super::parameters;
use super::rules::{Rule, Rules};
use super::terms::Terms;
use crate::dataset::partition;
use crate::record::{Break, Record};

/// What a night says.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// Every listed break, sorted by break_id.
    pub breaks: Vec<Break>,
    /// Rules that could not be judged, by id.
    pub unjudged: Vec<Unjudged>,
    /// Rows each judged rule gave tonight, in the look-back, due or not.
    pub found: BTreeMap<String, usize>,
}

/// A rule that could not be judged tonight; its breaks of yesterday are carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unjudged {
    /// The rule.
    pub rule_id: String,
    /// The dataset it lacks.
    pub dataset: String,
    /// Why it lacks it.
    pub why: String,
    /// A configured stage fell short, in contrast to a source the job does not have.
    pub is_shortfall: bool,
}

/// A coupon to ask for once more before a rule speaks on it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DoubtfulCoupon {
    /// Its stock.
    pub stock_id: String,
    /// Its code.
    pub coupon_code: String,
    /// The wallet it is in, as published.
    pub openid: Option<String>,
}

/// Rules that speak on associations, which the list of a wallet may show late.
const LAGGING_RULES: [&str; 3] = ["AO02", "AO05", "AO07"];

/// Coupons a rule on associations would speak on, each once, in order.
pub(super) fn doubtful_coupons(
    terms: &Terms,
    rules: &Rules,
    files: &DayFiles,
) -> Result<Vec<DoubtfulCoupon>, ReconcileError> {
    let mut engine = Engine::open(terms, rules, files)?;
    let mut coupons = BTreeSet::new();
    for rule in LAGGING_RULES.iter().filter_map(|id| rules.find(id)) {
        let findings = run(&mut engine, terms, files, rule)?.into_values();
        coupons.extend(findings.filter_map(|finding| {
            let Candidate { stock_id, coupon_code, openid, .. } = finding.candidate;
            Some(DoubtfulCoupon { stock_id: stock_id?, coupon_code: coupon_code?, openid })
        }));
    }
    Ok(coupons.into_iter().collect())
}

/// Judges the night of `files.date`; `files` has the ledger of that day.
pub(super) fn judge(
    terms: &Terms,
    rules: &Rules,
    files: &DayFiles,
    shortfall: &Shortfall,
    decisions: &Decisions,
) -> Result<Judgement, ReconcileError> {
    let (judged, unjudged) = split(rules, files, shortfall);
    let mut engine = Engine::open(terms, rules, files)?;
    let (mut findings, mut found) = (BTreeMap::new(), BTreeMap::new());
    for rule in judged.values() {
        let rows = run(&mut engine, terms, files, rule)?;
        found.insert(rule.id.clone(), rows.len());
        findings.extend(rows);
    }
    let yesterday = yesterday(rules, files)?;
    let is_known: BTreeSet<_> = yesterday.iter().map(|row| &row.break_id).chain(findings.keys()).cloned().collect();
    decisions.check(files.date, |id| is_known.contains(id))?;
    let is_judged = |row: &Break| {
        let rule = judged.get(row.rule_id.as_str());
        rule.is_some_and(|rule| is_in_window(row.event_date, window_start(terms, files, rule)))
    };
    let breaks = lifecycle::advance(files.date, yesterday, findings, is_judged, decisions);
    Ok(Judgement { breaks, unjudged, found })
}

/// The rules that can be judged tonight, and why the others cannot.
fn split<'a>(
    rules: &'a Rules,
    files: &DayFiles,
    shortfall: &Shortfall,
) -> (BTreeMap<&'a str, &'a Rule>, Vec<Unjudged>) {
    let (mut judged, mut unjudged) = (BTreeMap::new(), Vec::new());
    for rule in rules.iter() {
        match lacking(rule, files, shortfall) {
            None => drop(judged.insert(rule.id.as_str(), rule)),
            Some(lacking) => unjudged.push(lacking),
        }
    }
    (judged, unjudged)
}

/// The first input a rule lacks.
fn lacking(rule: &Rule, files: &DayFiles, shortfall: &Shortfall) -> Option<Unjudged> {
    let unjudged = |dataset: &str, why: String, is_shortfall| Unjudged {
        rule_id: rule.id.clone(),
        dataset: dataset.to_owned(),
        why,
        is_shortfall,
    };
    rule.inputs.iter().find_map(|input| {
        let dataset = input.dataset.as_str();
        match shortfall.get(dataset) {
            Some(why) => Some(unjudged(dataset, why.clone(), true)),
            None if !input.optional && files.of_day(dataset).is_none() => {
                Some(unjudged(dataset, format!("the job has no source for `{dataset}`"), false))
            }
            None => None,
        }
    })
}

/// The rule's findings by break_id. A query that gives one key twice speaks once, with the row that
/// has more at risk.
fn run<'a>(
    engine: &mut Engine<'_>,
    terms: &Terms,
    files: &DayFiles,
    rule: &'a Rule,
) -> Result<BTreeMap<String, Finding<'a>>, ReconcileError> {
    let mut rows: Vec<Candidate> = engine.rows(&rule.id, &rule.sql, candidate::COLUMNS)?;
    rows.sort_by(|one, other| (one.at_risk_fen, one).cmp(&(other.at_risk_fen, other)));
    let start = window_start(terms, files, rule);
    let grace = terms.grace_days_of(rule.datasets());
    let in_window = rows.into_iter().filter(|row| is_in_window(row.event_date, start));
    let findings = in_window.map(|candidate| {
        let is_due = candidate.event_date.is_none_or(|event| event + grace <= files.date);
        (candidate.break_id(rule), Finding { rule, candidate, is_due })
    });
    Ok(findings.collect())
}

/// The breaks of the latest night before; those of rules the job no longer has are forgotten.
fn yesterday(rules: &Rules, files: &DayFiles) -> Result<Vec<Break>, ReconcileError> {
    let path = files.latest_before(Break::DATASET);
    let mut rows = path.map(partition::read_rows::<Break>).transpose()?.unwrap_or_default();
    rows.retain(|row| rules.find(&row.rule_id).is_some());
    Ok(rows)
}

/// Datasets whose events the merchant's exports must be able to explain.
const TRANSACTIONS: [&str; 7] =
    ["orders", "payments", "refunds", "user_coupons", "subsidy_payments", "subsidy_returns", "subsidy_orders"];

/// The first event date a rule is judged from: the look-back, and for rules on transactions the first
/// known export day in it (design §7).
fn window_start(terms: &Terms, files: &DayFiles, rule: &Rule) -> NaiveDate {
    if rule.datasets().any(|dataset| TRANSACTIONS.contains(&dataset)) {
        return parameters::first_known_order_day(terms, files);
    }
    terms.rules.lookback_start(files.date)
}

fn is_in_window(event: Option<NaiveDate>, start: NaiveDate) -> bool {
    event.is_none_or(|event| event >= start)
}
