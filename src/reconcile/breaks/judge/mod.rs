//! Runs the rules over a night and produces its breaks. Rules that could not be judged are part of the result: no break
//! is resolved because of missing data.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::candidate::{self, Candidate};
use super::lifecycle::{self, Finding};
use super::outlook::{Outlook, RuleOutlook};
use crate::dataset::partition;
use crate::reconcile::basis::Basis;
use crate::reconcile::basis::decisions::Decisions;
use crate::reconcile::basis::files::{DayFiles, Scratch, Shortfall};
use crate::reconcile::basis::parameters;
use crate::reconcile::basis::terms::Terms;
use crate::reconcile::cluster::{self, Replies};
use crate::reconcile::engine::Engine;
use crate::reconcile::engine::tables::RowBatches;
use crate::reconcile::error::{ReconcileError, scratched};
use crate::reconcile::reduction::{Limits, Reduction};
use crate::reconcile::rules::{Rule, Rules};
use crate::record::{Break, Record};
use crate::sorter::{Room, Sorter};

/// Memory for sorting the findings of all rules.
const FINDING_BYTES: usize = 16 << 20;

/// The result of running the rules, besides the breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Rules that could not be judged, by id.
    pub unjudged: Vec<Unjudged>,
    /// Number of rows per judged rule tonight, within the look-back, due or not.
    pub found: BTreeMap<String, usize>,
    /// What waits for days that are not known.
    pub waiting: Waiting,
}

/// Rows of rules that depend on days that are not known: they open no break and resolve none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waiting {
    /// How many.
    pub rows: usize,
    /// The first such day of each.
    pub days: BTreeSet<NaiveDate>,
}

impl Waiting {
    fn add(&mut self, day: NaiveDate) {
        self.rows += 1;
        self.days.insert(day);
    }
}

/// A rule that could not be judged tonight; its breaks of yesterday are carried over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unjudged {
    /// The rule.
    pub rule_id: String,
    /// The missing dataset.
    pub dataset: String,
    /// Why it is missing.
    pub why: String,
    /// Whether a configured stage is incomplete, as opposed to a source that the job does not have.
    pub is_shortfall: bool,
}

/// Runs the query of a rule on an engine.
trait RuleRunner {
    /// The rows of a rule's query, in no particular order, a batch at a time.
    fn candidates(&mut self, rule: &Rule) -> Result<RowBatches<'static, Candidate>, ReconcileError>;

    /// The line of the condition for which a rule's query fails, if it can be found.
    fn line_of_condition(&mut self, _rule: &Rule) -> Option<usize> {
        None
    }
}

/// The local engine, over the rows that can affect each rule.
struct LocalRunner<'a> {
    engine: Engine<'a>,
    reduction: Reduction,
}

impl RuleRunner for LocalRunner<'_> {
    fn candidates(&mut self, rule: &Rule) -> Result<RowBatches<'static, Candidate>, ReconcileError> {
        self.engine.rows_of(rule, &self.reduction, candidate::COLUMNS)
    }

    fn line_of_condition(&mut self, rule: &Rule) -> Option<usize> {
        self.engine.line_of_condition(rule)
    }
}

/// Another engine, whose replies are read.
struct RemoteRunner<'a>(&'a mut dyn Replies);

impl RuleRunner for RemoteRunner<'_> {
    fn candidates(&mut self, rule: &Rule) -> Result<RowBatches<'static, Candidate>, ReconcileError> {
        cluster::row_batches(self.0, (&rule.id, &rule.sql), candidate::COLUMNS)
    }
}

/// The inputs for judging a night.
#[derive(Clone, Copy)]
pub(in crate::reconcile) struct NightRules<'a> {
    /// Its files include the ledger of the day.
    pub(in crate::reconcile) basis: Basis<'a>,
    pub(in crate::reconcile) scratch: &'a Scratch,
    pub(in crate::reconcile) shortfall: &'a Shortfall,
    pub(in crate::reconcile) decisions: &'a Decisions,
}

impl NightRules<'_> {
    /// Judges the night on this machine; `sink` receives the breaks in the order of their ids.
    pub(in crate::reconcile) fn judge<E: From<ReconcileError>>(
        self,
        sink: impl FnMut(Break) -> Result<(), E>,
    ) -> Result<Judgement, E> {
        let tonight = RulesTonight::of(self.basis, self.shortfall);
        let mut engine = Engine::open(self.basis, self.scratch)?;
        let reduction = engine.reduce(tonight.judged.iter().copied(), Limits::default());
        self.decide(tonight, &mut LocalRunner { engine, reduction }, sink)
    }

    /// Judges the night from the replies of another engine.
    pub(in crate::reconcile) fn judge_remotely<E: From<ReconcileError>>(
        self,
        replies: &mut dyn Replies,
        sink: impl FnMut(Break) -> Result<(), E>,
    ) -> Result<Judgement, E> {
        self.decide(RulesTonight::of(self.basis, self.shortfall), &mut RemoteRunner(replies), sink)
    }

    /// Runs every rule that can be judged and continues its breaks of yesterday.
    fn decide<E: From<ReconcileError>>(
        self,
        RulesTonight { judged, unjudged }: RulesTonight<'_>,
        runner: &mut dyn RuleRunner,
        sink: impl FnMut(Break) -> Result<(), E>,
    ) -> Result<Judgement, E> {
        let date = self.basis.files.date;
        // Ids with a decision in force, without those of the breaks that turn up.
        let mut undecided = self.decisions.in_force(date);
        let (mut findings, outlook) = self.run_all(judged, runner, &mut undecided)?;
        let yesterday = yesterday(self.basis)?.inspect(|row| {
            if let Ok(row) = row {
                undecided.remove(&row.break_id);
            }
        });
        let (found, waiting) = (std::mem::take(&mut findings.found), std::mem::take(&mut findings.waiting));
        let tonight = lifecycle::Tonight {
            date,
            decisions: self.decisions,
            sight_of_unseen: &|row| outlook.of_unseen(row),
            grace_of_state: &|row| outlook.grace_of_state(row),
        };
        tonight.advance(yesterday, findings.sorted()?, sink)?;
        self.check_decisions(&undecided, unjudged.iter().any(|rule| rule.is_shortfall))?;
        Ok(Judgement { unjudged, found, waiting })
    }

    /// Refuses decisions about breaks that do not exist. If a source is or was incomplete, such a break may be one that was
    /// not looked for instead of a typing error.
    fn check_decisions(&self, undecided: &BTreeSet<String>, is_short: bool) -> Result<(), ReconcileError> {
        let Basis { terms, files, .. } = self.basis;
        match self.decisions.check(files.date, |id| !undecided.contains(id)) {
            Err(error) if is_short || parameters::has_gaps(terms, files) => {
                tracing::warn!("{error}; a source is or was incomplete, so they may only not have been looked for");
                Ok(())
            }
            checked => checked.map_err(ReconcileError::from),
        }
    }

    /// Runs the rules; removes the ids of what they find from `looked_for`.
    fn run_all<'r>(
        &self,
        judged: Vec<&'r Rule>,
        runner: &mut dyn RuleRunner,
        looked_for: &mut BTreeSet<String>,
    ) -> Result<(Findings, Outlook<'r>), ReconcileError> {
        let (mut findings, mut outlook) = (Findings::new(self.scratch), Outlook::default());
        for rule in judged {
            let of_rule = RuleOutlook::of(self.basis, rule);
            let left = findings.take_all(self.basis.files.date, Run::of(runner, rule, &of_rule)?, looked_for)?;
            outlook.add(rule, of_rule, left);
        }
        Ok((findings, outlook))
    }
}

/// The findings of all rules, sorted by break id on the disk.
struct Findings {
    sorter: Sorter,
    /// Number of rows per rule.
    found: BTreeMap<String, usize>,
    waiting: Waiting,
}

impl Findings {
    fn new(scratch: &Scratch) -> Findings {
        let room = Room { folder: scratch.folder().to_owned(), memory_bytes: FINDING_BYTES };
        Findings { sorter: Sorter::new(&room), found: BTreeMap::new(), waiting: Waiting::default() }
    }

    /// Adds the findings of a rule and removes their ids from `looked_for`. Returns the ids of breaks that the query still
    /// finds, but whose event or inputs are outside the window, or that depend on a day that is not known: they are not
    /// opened, and those of yesterday are carried over, even if yesterday's row, by a later event, is within the window.
    fn take_all(
        &mut self,
        date: NaiveDate,
        run: Run<'_>,
        looked_for: &mut BTreeSet<String>,
    ) -> Result<BTreeSet<String>, ReconcileError> {
        let (mut found, mut left) = (0, BTreeSet::new());
        let rule = run.rule;
        for row in run {
            match row? {
                Row::Found(finding) => {
                    let break_id = finding.candidate.break_id(rule);
                    looked_for.remove(&break_id);
                    self.sorter.push(&lifecycle::break_of(date, break_id, finding)).map_err(scratched)?;
                    found += 1;
                }
                Row::Left(candidate) => {
                    left.insert(candidate.break_id(rule));
                    candidate.unknown_date.into_iter().for_each(|day| self.waiting.add(day));
                }
            }
        }
        self.found.insert(rule.id.clone(), found);
        Ok(left)
    }

    /// The findings in the order of their ids.
    fn sorted(self) -> Result<impl Iterator<Item = Result<Break, ReconcileError>>, ReconcileError> {
        let rows = self.sorter.finish().map_err(scratched)?.map(|row| Break::unpack(&mut row.unpack()));
        Ok(weightiest(rows.map(|row| row.map_err(scratched))))
    }
}

/// If a query returns a key twice, the row with more at risk counts.
fn weightiest(
    rows: impl Iterator<Item = Result<Break, ReconcileError>>,
) -> impl Iterator<Item = Result<Break, ReconcileError>> {
    let mut rows = rows.peekable();
    std::iter::from_fn(move || {
        let mut weightiest = rows.next()?;
        while let Ok(one) = &weightiest
            && let Some(other) = rows.next_if(|next| next.as_ref().is_ok_and(|other| other.break_id == one.break_id))
        {
            if other.as_ref().is_ok_and(|other| weight(other) > weight(one)) {
                weightiest = other;
            }
        }
        Some(weightiest)
    })
}

/// By which one of several rows with the same key is chosen: whatever else differs decides where the money does not, so
/// that the choice does not depend on the order in which a query returns them.
fn weight(it: &Break) -> impl Ord + '_ {
    let keys = (&it.stock_id, &it.coupon_code, &it.openid, &it.out_trade_no, &it.transaction_id, &it.out_subsidy_no);
    let more_keys = (&it.subsidy_receipt_id, &it.card_id, it.ref_date, &it.subject);
    let values = (it.expected_fen, it.actual_fen, it.expected_count, it.actual_count, &it.why);
    (it.at_risk_fen, keys, more_keys, values, it.event_date, it.oldest_input_date)
}

/// The rules that can be judged tonight, in order; the files have the ledger, or a name for it.
pub(in crate::reconcile) fn judged<'a>(basis: Basis<'a>, shortfall: &Shortfall) -> Vec<&'a Rule> {
    RulesTonight::of(basis, shortfall).judged
}

/// Runs the job's own rules over a day without any events, so that errors in their SQL show before a night needs them.
pub(in crate::reconcile) fn rehearse(terms: &Terms, rules: &Rules, date: NaiveDate) -> Result<(), ReconcileError> {
    if rules.own().next().is_none() {
        return Ok(());
    }
    let basis = Basis { terms, rules, files: &DayFiles::new(date) };
    let scratch = Scratch::new_in(&std::env::temp_dir()).map_err(scratched)?;
    let engine = Engine::open(basis, &scratch)?;
    let mut runner = LocalRunner { engine, reduction: Reduction::default() };
    rules.own().try_for_each(|rule| {
        Run::of(&mut runner, rule, &RuleOutlook::of(basis, rule))?.try_for_each(|row| row.map(drop))?;
        refuse_keyless(&mut runner.engine, rule)
    })
}

/// A query must give every column of its rule's key: all its rows would be one break otherwise.
pub(in crate::reconcile) fn refuse_keyless(engine: &mut Engine<'_>, rule: &Rule) -> Result<(), ReconcileError> {
    match engine.lacking_key(rule).map_err(|error| error.in_rule(rule))? {
        Some(column) => Err(ReconcileError::keyless(rule, column)),
        None => Ok(()),
    }
}

/// The rules that can be judged tonight, in order, and why the others cannot.
struct RulesTonight<'a> {
    judged: Vec<&'a Rule>,
    unjudged: Vec<Unjudged>,
}

impl<'a> RulesTonight<'a> {
    fn of(basis: Basis<'a>, shortfall: &Shortfall) -> RulesTonight<'a> {
        let (mut judged, mut unjudged) = (Vec::new(), Vec::new());
        for rule in basis.rules.iter() {
            match lacking(rule, basis.files, shortfall) {
                None => judged.push(rule),
                Some(lacking) => unjudged.push(lacking),
            }
        }
        RulesTonight { judged, unjudged }
    }
}

/// The first input that a rule lacks.
fn lacking(rule: &Rule, files: &DayFiles, shortfall: &Shortfall) -> Option<Unjudged> {
    rule.inputs.iter().find_map(|input| {
        let dataset = input.dataset.as_str();
        let shortfall = shortfall.get(dataset);
        let why = match shortfall {
            Some(why) => why.clone(),
            None if input.optional || files.of_day(dataset).is_some() => return None,
            None => format!("the job has no source for `{dataset}`"),
        };
        let (rule_id, dataset) = (rule.id.clone(), dataset.to_owned());
        Some(Unjudged { rule_id, dataset, why, is_shortfall: shortfall.is_some() })
    })
}

/// The rows of a rule's query, one at a time, with what the night makes of them.
struct Run<'a> {
    rule: &'a Rule,
    outlook: &'a RuleOutlook,
    batches: RowBatches<'static, Candidate>,
    batch: std::vec::IntoIter<Candidate>,
}

/// A row of a rule's query.
enum Row<'a> {
    /// A break of tonight.
    Found(Finding<'a>),
    /// One that is not judged tonight.
    Left(Candidate),
}

impl<'a> Run<'a> {
    fn of(runner: &mut dyn RuleRunner, rule: &'a Rule, outlook: &'a RuleOutlook) -> Result<Run<'a>, ReconcileError> {
        let batches = runner.candidates(rule);
        let batches = batches.map_err(|error| error.in_rule(rule).or_at_line(|| runner.line_of_condition(rule)))?;
        Ok(Run { rule, outlook, batches, batch: Vec::new().into_iter() })
    }

    fn row(&self, candidate: Candidate) -> Result<Row<'a>, ReconcileError> {
        let Run { rule, outlook, .. } = *self;
        if candidate.unknown_date.is_some() || !outlook.judges(candidate.event_date, candidate.oldest_input_date) {
            return Ok(Row::Left(candidate));
        }
        if let Some((column, amount)) = candidate.implausible_amount() {
            return Err(ReconcileError::implausible(rule, column, amount));
        }
        let is_due = outlook.is_due(candidate.event_date);
        Ok(Row::Found(Finding { rule, candidate, is_due }))
    }
}

impl<'a> Iterator for Run<'a> {
    type Item = Result<Row<'a>, ReconcileError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(candidate) = self.batch.next() {
                return Some(self.row(candidate));
            }
            match self.batches.next()? {
                Ok(batch) => self.batch = batch.into_iter(),
                Err(error) => return Some(Err(error.in_rule(self.rule))),
            }
        }
    }
}

/// The breaks of the latest night before, in the order of their ids, without those of rules the job no longer has.
fn yesterday(basis: Basis<'_>) -> Result<impl Iterator<Item = Result<Break, ReconcileError>>, ReconcileError> {
    let rows = basis.files.latest_before(Break::DATASET).map(partition::open_rows::<Break>).transpose()?;
    let rows = rows.into_iter().flatten().map(|row| row.map_err(ReconcileError::from));
    Ok(rows.filter(|row| row.as_ref().map_or(true, |row| basis.rules.find(&row.rule_id).is_some())))
}

#[cfg(test)]
mod tests;
