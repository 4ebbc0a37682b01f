//! Runs the rules over a night and produces its breaks. Rules that could not be judged are part of the result: no break
//! is resolved because of missing data.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Days, NaiveDate};

use super::candidate::{self, Candidate};
use super::cluster::{self, Replies};
use super::decisions::Decisions;
use super::engine::Engine;
use super::error::{ReconcileError, scratched};
use super::files::{DayFiles, Scratch, Shortfall};
use super::lifecycle::{self, Finding, Sight};
use super::parameters;
use super::reduction::{Limits, Reduction};
use super::rules::{Rule, Rules};
use super::terms::Terms;
use crate::dataset::partition;
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
pub(super) trait RuleRunner {
    /// The rows of a rule's query, in no particular order.
    fn candidates(&mut self, rule: &Rule) -> Result<Vec<Candidate>, ReconcileError>;

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
    fn candidates(&mut self, rule: &Rule) -> Result<Vec<Candidate>, ReconcileError> {
        self.engine.rows_of(rule, &self.reduction, candidate::COLUMNS)
    }

    fn line_of_condition(&mut self, rule: &Rule) -> Option<usize> {
        self.engine.line_of_condition(rule)
    }
}

/// Another engine, whose replies are read.
struct RemoteRunner<'a>(&'a mut dyn Replies);

impl RuleRunner for RemoteRunner<'_> {
    fn candidates(&mut self, rule: &Rule) -> Result<Vec<Candidate>, ReconcileError> {
        cluster::rows(self.0, (&rule.id, &rule.sql), candidate::COLUMNS)
    }
}

/// The inputs for judging a night.
#[derive(Clone, Copy)]
pub(super) struct NightRules<'a> {
    pub(super) terms: &'a Terms,
    pub(super) rules: &'a Rules,
    /// Includes the ledger of the day.
    pub(super) files: &'a DayFiles,
    pub(super) scratch: &'a Scratch,
    pub(super) shortfall: &'a Shortfall,
    pub(super) decisions: &'a Decisions,
}

impl NightRules<'_> {
    /// Judges the night on this machine; `sink` receives the breaks in the order of their ids.
    pub(super) fn judge<E: From<ReconcileError>>(
        self,
        sink: impl FnMut(Break) -> Result<(), E>,
    ) -> Result<Judgement, E> {
        let tonight = RulesTonight::of(self.rules, self.files, self.shortfall);
        let mut engine = Engine::open(self.terms, self.rules, self.files, self.scratch)?;
        let reduction = engine.reduce(tonight.judged.values().copied(), Limits::default());
        self.decide(tonight, &mut LocalRunner { engine, reduction }, sink)
    }

    /// Judges the night from the replies of another engine.
    pub(super) fn judge_remotely<E: From<ReconcileError>>(
        self,
        replies: &mut dyn Replies,
        sink: impl FnMut(Break) -> Result<(), E>,
    ) -> Result<Judgement, E> {
        self.decide(RulesTonight::of(self.rules, self.files, self.shortfall), &mut RemoteRunner(replies), sink)
    }

    /// Runs every rule that can be judged and continues its breaks of yesterday.
    fn decide<E: From<ReconcileError>>(
        self,
        RulesTonight { judged, unjudged }: RulesTonight<'_>,
        runner: &mut dyn RuleRunner,
        sink: impl FnMut(Break) -> Result<(), E>,
    ) -> Result<Judgement, E> {
        let date = self.files.date;
        // Ids with a decision in force, without those of the breaks that turn up.
        let mut undecided = self.decisions.in_force(date);
        let (mut findings, outlook) = self.run_all(judged, runner, &mut undecided)?;
        let yesterday = yesterday(self.rules, self.files)?.inspect(|row| {
            if let Ok(row) = row {
                undecided.remove(&row.break_id);
            }
        });
        let found = std::mem::take(&mut findings.found);
        let tonight = lifecycle::Tonight {
            date,
            decisions: self.decisions,
            sight_of_unseen: &|row| outlook.of_unseen(row),
            grace_of_state: &|row| outlook.grace_of_state(row),
        };
        tonight.advance(yesterday, findings.sorted()?, sink)?;
        // If a source is incomplete, an unknown break in a decision may be one that was not looked for instead of a
        // typing error.
        if !unjudged.iter().any(|rule| rule.is_shortfall) {
            self.decisions.check(date, |id| !undecided.contains(id)).map_err(ReconcileError::from)?;
        }
        Ok(Judgement { unjudged, found })
    }

    /// Runs the rules; removes the ids of what they find from `looked_for`.
    fn run_all<'r>(
        &self,
        judged: BTreeMap<&'r str, &'r Rule>,
        runner: &mut dyn RuleRunner,
        looked_for: &mut BTreeSet<String>,
    ) -> Result<(Findings, Outlook<'r>), ReconcileError> {
        let mut findings = Findings::new(self.scratch);
        let mut outlook = Outlook { rules: BTreeMap::new(), left: BTreeSet::new() };
        for (id, rule) in judged {
            let of_rule = RuleOutlook::of(self.terms, self.files, rule);
            let run = run(runner, rule, &of_rule)?;
            findings.take(self.files.date, rule, run.findings, looked_for)?;
            outlook.left.extend(run.left);
            outlook.rules.insert(id, of_rule);
        }
        Ok((findings, outlook))
    }
}

/// What tonight says about breaks of yesterday.
struct Outlook<'a> {
    /// Of the judged rules.
    rules: BTreeMap<&'a str, RuleOutlook>,
    /// As in `Run`, over all rules.
    left: BTreeSet<String>,
}

/// Which rows and breaks of a rule are judged tonight, and which of them are due.
struct RuleOutlook {
    window: Window,
    grace: Days,
    is_of_stocks: bool,
}

impl RuleOutlook {
    fn of(terms: &Terms, files: &DayFiles, rule: &Rule) -> RuleOutlook {
        RuleOutlook {
            window: Window::of(terms, files, rule),
            grace: terms.grace_days_of(rule.datasets()),
            is_of_stocks: rule.is_of_stocks(),
        }
    }

    /// Whether every source has had its grace tonight (design §7).
    fn is_due(&self, event: Option<NaiveDate>) -> bool {
        event.is_none_or(|event| event + self.grace <= self.window.date)
    }

    /// The day a break is judged by; none where it tells how a stock was on the night it was seen last, for a state is there
    /// or not on any night, however long nobody could look.
    fn event_of(&self, row: &Break) -> Option<NaiveDate> {
        row.event_date.filter(|event| !self.is_of_stocks || *event != row.last_seen_date)
    }
}

impl Outlook<'_> {
    /// The meaning of a break not being found.
    fn of_unseen(&self, row: &Break) -> Sight {
        let Some(rule) = self.rules.get(row.rule_id.as_str()) else { return Sight::NotJudged };
        if rule.window.holds(rule.event_of(row), row.oldest_input_date) && !self.left.contains(&row.break_id) {
            return Sight::Gone;
        }
        Sight::Left { is_due: rule.is_due(row.event_date) }
    }

    /// The grace of breaks that describe the state of a stock.
    fn grace_of_state(&self, row: &Break) -> Option<Days> {
        self.rules.get(row.rule_id.as_str()).filter(|rule| rule.is_of_stocks).map(|rule| rule.grace)
    }
}

/// The findings of all rules, sorted by break id.
struct Findings {
    sorter: Sorter,
    /// Number of rows per rule.
    found: BTreeMap<String, usize>,
}

impl Findings {
    fn new(scratch: &Scratch) -> Findings {
        let room = Room { folder: scratch.folder().to_owned(), memory_bytes: FINDING_BYTES };
        Findings { sorter: Sorter::new(&room), found: BTreeMap::new() }
    }

    /// Adds the findings of a rule and removes their ids from `looked_for`.
    fn take(
        &mut self,
        date: NaiveDate,
        rule: &Rule,
        found: BTreeMap<String, Finding<'_>>,
        looked_for: &mut BTreeSet<String>,
    ) -> Result<(), ReconcileError> {
        self.found.insert(rule.id.clone(), found.len());
        for (break_id, finding) in found {
            looked_for.remove(&break_id);
            self.sorter.push(&lifecycle::break_of(date, break_id, finding)).map_err(scratched)?;
        }
        Ok(())
    }

    fn sorted(self) -> Result<impl Iterator<Item = Result<Break, ReconcileError>>, ReconcileError> {
        let rows = self.sorter.finish().map_err(scratched)?.map(|row| Break::unpack(&mut row.unpack()));
        Ok(rows.map(|row| row.map_err(scratched)))
    }
}

/// The rules that can be judged tonight, in order; `files` has the ledger, or a name for it.
pub(super) fn judged<'a>(rules: &'a Rules, files: &DayFiles, shortfall: &Shortfall) -> Vec<&'a Rule> {
    RulesTonight::of(rules, files, shortfall).judged.into_values().collect()
}

/// Runs the job's own rules over a day without any events, so that errors in their SQL show before a night needs them.
pub(super) fn rehearse(terms: &Terms, rules: &Rules, date: NaiveDate) -> Result<(), ReconcileError> {
    if rules.own().next().is_none() {
        return Ok(());
    }
    let nothing = DayFiles::new(date);
    let scratch = Scratch::new_in(&std::env::temp_dir()).map_err(scratched)?;
    let engine = Engine::open(terms, rules, &nothing, &scratch)?;
    let mut runner = LocalRunner { engine, reduction: Reduction::default() };
    rules.own().try_for_each(|rule| {
        run(&mut runner, rule, &RuleOutlook::of(terms, &nothing, rule))?;
        refuse_keyless(&mut runner.engine, rule)
    })
}

/// A query must give every column of its rule's key: all its rows would be one break otherwise.
pub(super) fn refuse_keyless(engine: &mut Engine<'_>, rule: &Rule) -> Result<(), ReconcileError> {
    match engine.lacking_key(rule).map_err(|error| error.in_rule(rule))? {
        Some(column) => Err(ReconcileError::keyless(rule, column)),
        None => Ok(()),
    }
}

/// The rules that can be judged tonight, and why the others cannot.
struct RulesTonight<'a> {
    judged: BTreeMap<&'a str, &'a Rule>,
    unjudged: Vec<Unjudged>,
}

impl<'a> RulesTonight<'a> {
    fn of(rules: &'a Rules, files: &DayFiles, shortfall: &Shortfall) -> RulesTonight<'a> {
        let (mut judged, mut unjudged) = (BTreeMap::new(), Vec::new());
        for rule in rules.iter() {
            match lacking(rule, files, shortfall) {
                None => drop(judged.insert(rule.id.as_str(), rule)),
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

/// The result of a rule's query.
struct Run<'a> {
    /// Its findings by break_id.
    findings: BTreeMap<String, Finding<'a>>,
    /// Ids of breaks that the query still finds, but whose event or inputs are outside the window: they are not opened,
    /// and those of yesterday are carried over, even if yesterday's row, by a later event, is within the window.
    left: BTreeSet<String>,
}

/// Runs a rule. If a query returns a key twice, the row with more at risk counts.
fn run<'a>(runner: &mut dyn RuleRunner, rule: &'a Rule, outlook: &RuleOutlook) -> Result<Run<'a>, ReconcileError> {
    let rows = runner.candidates(rule);
    let mut rows = rows.map_err(|error| error.in_rule(rule).or_at_line(|| runner.line_of_condition(rule)))?;
    rows.sort_by(|one, other| (one.at_risk_fen, one).cmp(&(other.at_risk_fen, other)));
    let (held, left): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|row| outlook.window.holds(row.event_date, row.oldest_input_date));
    let findings = held.into_iter().map(|candidate| {
        if let Some((column, amount)) = candidate.implausible_amount() {
            return Err(ReconcileError::implausible(rule, column, amount));
        }
        let is_due = outlook.is_due(candidate.event_date);
        Ok((candidate.break_id(rule), Finding { rule, candidate, is_due }))
    });
    Ok(Run { findings: findings.collect::<Result<_, _>>()?, left: left.iter().map(|row| row.break_id(rule)).collect() })
}

/// The breaks of the latest night before, in the order of their ids, without those of rules the job no longer has.
fn yesterday(
    rules: &Rules,
    files: &DayFiles,
) -> Result<impl Iterator<Item = Result<Break, ReconcileError>>, ReconcileError> {
    let rows = files.latest_before(Break::DATASET).map(partition::open_rows::<Break>).transpose()?;
    let rows = rows.into_iter().flatten().map(|row| row.map_err(ReconcileError::from));
    Ok(rows.filter(|row| row.as_ref().map_or(true, |row| rules.find(&row.rule_id).is_some())))
}

/// Datasets whose events must be explained by the merchant's exports.
const TRANSACTIONS: [&str; 7] =
    ["orders", "payments", "refunds", "user_coupons", "subsidy_payments", "subsidy_returns", "subsidy_orders"];

/// The days on which a rule is judged (design §7).
struct Window {
    date: NaiveDate,
    /// The first day of events: of the look-back or, for rules on transactions, the first known export day in it.
    events_from: NaiveDate,
    /// The first day of the look-back.
    inputs_from: NaiveDate,
}

impl Window {
    fn of(terms: &Terms, files: &DayFiles, rule: &Rule) -> Window {
        let inputs_from = terms.rules.lookback_start(files.date);
        let is_of_transactions = rule.datasets().any(|dataset| TRANSACTIONS.contains(&dataset));
        let events_from =
            if is_of_transactions { parameters::first_known_order_day(terms, files) } else { inputs_from };
        Window { date: files.date, events_from, inputs_from }
    }

    /// Whether a row is judged tonight: its event and all it depends on are within the look-back. Data of earlier days
    /// would seem to be missing. An event of tonight was never judged before, so it is judged now.
    fn holds(&self, event: Option<NaiveDate>, oldest_input: Option<NaiveDate>) -> bool {
        let is_known = oldest_input.is_none_or(|oldest| oldest >= self.inputs_from);
        event.is_none_or(|event| event >= self.events_from) && (is_known || event == Some(self.date))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::fixture::Fixture;
    use super::*;
    use crate::money::Fen;
    use crate::record::BreakStatus;

    /// A rule case with its ledger built.
    fn night(case: &str) -> Fixture {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules").join(case);
        let mut night = Fixture::read(&dir).unwrap();
        night.put_ledger(&Rules::built_in()).unwrap();
        night
    }

    fn judged(night: &Fixture, shortfall: &Shortfall) -> (Vec<Break>, Judgement) {
        night.judge(&Rules::built_in(), shortfall, &Decisions::default()).unwrap()
    }

    /// Publishes tonight's breaks as yesterday's.
    fn remember(night: &mut Fixture, breaks: &[Break], folder: &Path) {
        let yesterday = night.files.date.pred_opt().unwrap();
        let path = folder.join("breaks.parquet");
        partition::write_rows(&path, breaks, &partition::Provenance::default()).unwrap();
        night.files.history.insert("breaks".to_owned(), vec![(yesterday, path)]);
    }

    #[test]
    fn the_same_night_gives_the_same_judgement_sorted_by_id() {
        let night = night("PM03/finds_a_payment_no_order_names");
        let one = judged(&night, &Shortfall::new());
        assert_eq!(one, judged(&night, &Shortfall::new()));
        let (breaks, judgement) = one;
        assert!(breaks.is_sorted_by_key(|row| &row.break_id) && breaks.len() == 2);
        assert!(judgement.unjudged.is_empty(), "{:?}", judgement.unjudged);
        assert_eq!((judgement.found["PM03"], judgement.found["AO01"]), (1, 0));
    }

    #[test]
    fn rules_that_lack_a_dataset_are_listed_and_their_breaks_carried() {
        let mut night = night("PM03/finds_a_payment_no_order_names");
        let folder = tempfile::tempdir().unwrap();
        let (breaks, _) = judged(&night, &Shortfall::new());
        remember(&mut night, &breaks, folder.path());
        night.files.day.remove("payments");
        let shortfall = Shortfall::from([("payments".to_owned(), "the bill never fits its digest".to_owned())]);
        let (breaks, judgement) = judged(&night, &shortfall);
        let lacking = judgement.unjudged.iter().find(|rule| rule.rule_id == "PM03").unwrap();
        assert_eq!((lacking.dataset.as_str(), lacking.is_shortfall), ("payments", true));
        assert_eq!(lacking.why, "the bill never fits its digest");
        assert!(!judgement.unjudged.iter().any(|rule| rule.rule_id == "AO01"));
        assert!(breaks.iter().all(|row| row.status == BreakStatus::Open), "{breaks:?}");
    }

    #[test]
    fn a_job_without_orders_is_judged_by_the_rules_that_need_none() {
        let mut night = night("ST02/finds_more_sent_than_allowed");
        night.files.day.remove("orders");
        night.files.history.remove("orders");
        let (breaks, judgement) = judged(&night, &Shortfall::new());
        let lacking = judgement.unjudged.iter().find(|rule| rule.rule_id == "PM02").unwrap();
        assert_eq!((lacking.why.as_str(), lacking.is_shortfall), ("the job has no source for `orders`", false));
        assert_eq!(breaks.len(), 1);
    }

    #[test]
    fn a_break_resolves_when_the_data_arrive_and_is_carried_once_its_event_left_the_window() {
        let mut night = night("AO01/finds_a_redemption_nobody_claims");
        let folder = tempfile::tempdir().unwrap();
        let (found, _) = judged(&night, &Shortfall::new());
        let of_rule = |breaks: &[Break]| breaks.iter().find(|row| row.rule_id == "AO01").unwrap().clone();
        let mut old = of_rule(&found);
        old.break_id = "00".to_owned();
        old.event_date = Some(night.files.date - chrono::Days::new(40));
        remember(&mut night, &[old, of_rule(&found)], folder.path());
        let empty = folder.path().join("empty.parquet");
        partition::write_rows::<crate::record::LedgerRow>(&empty, &[], &Default::default()).unwrap();
        night.files.day.insert("coupon_ledger".to_owned(), empty);
        let (breaks, _) = judged(&night, &Shortfall::new());
        let statuses: Vec<_> = breaks.iter().filter(|row| row.rule_id == "AO01").map(|row| row.status).collect();
        assert_eq!(statuses, [BreakStatus::Open, BreakStatus::Resolved]);
    }

    #[test]
    fn a_break_is_carried_once_what_it_hangs_on_left_the_look_back_though_its_event_did_not() {
        let mut night = night("AO01/finds_a_redemption_nobody_claims");
        let folder = tempfile::tempdir().unwrap();
        let (found, _) = judged(&night, &Shortfall::new());
        let of_rule = |breaks: &[Break]| breaks.iter().find(|row| row.rule_id == "AO01").unwrap().clone();
        let hanging_on = |break_id: &str, days: u64| Break {
            break_id: break_id.to_owned(),
            event_date: night.files.date.pred_opt(),
            oldest_input_date: Some(night.files.date - chrono::Days::new(days)),
            ..of_rule(&found)
        };
        let memory = [hanging_on("00", 30), hanging_on("01", 29)];
        remember(&mut night, &memory, folder.path());
        let (breaks, _) = judged(&night, &Shortfall::new());
        let statuses: Vec<_> = breaks.iter().map(|row| (row.break_id.as_str(), row.status.as_str())).collect();
        assert_eq!(statuses[..2], [("00", "open"), ("01", "resolved")]);
    }

    #[test]
    fn a_break_is_carried_when_the_later_of_its_events_is_gone_and_the_earlier_one_left_the_look_back() {
        let mut night = night("AO01/finds_a_redemption_nobody_claims");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rules");
        std::fs::create_dir(&path).unwrap();
        let head = "-- id: XX01\n-- title: t\n-- 标题: 标\n-- severity: low\n-- side: merchant\n-- key: k\n\
                    -- inputs: stocks\n-- action: look\n-- row: a stock\n";
        let days_ago = |days: &str| {
            let sql = format!(
                "SELECT 'S' AS stock_id, CAST(p.business_date - INTERVAL '{days}' DAY AS DATE) AS event_date FROM params p"
            );
            std::fs::write(path.join("XX01_mine.sql"), format!("{head}{sql}\n")).unwrap();
            Rules::load(std::slice::from_ref(&path)).unwrap().only("XX01")
        };
        let judged =
            |night: &Fixture, rules: &Rules| night.judge(rules, &Shortfall::new(), &Decisions::default()).unwrap().0;
        let (inside, before) = (days_ago("1"), days_ago("30"));
        let found = judged(&night, &inside);
        assert_eq!((found.len(), judged(&night, &before).len()), (1, 0), "none is opened by what left");
        remember(&mut night, &found, folder.path());
        let carried = judged(&night, &before);
        assert_eq!((carried[0].status, carried[0].event_date), (BreakStatus::Open, found[0].event_date));
    }

    /// The break of a rule on nights that follow each other, the counters of its stock being as they are.
    fn nights_of(case: &str, nights: u64, grace_days: &[(&str, u32)]) -> Vec<(BreakStatus, Option<NaiveDate>)> {
        let mut night = night(case);
        let folder = tempfile::tempdir().unwrap();
        night.terms.grace_days = grace_days.iter().map(|(source, days)| ((*source).to_owned(), *days)).collect();
        let one_night = |number: u64| {
            if number > 0 {
                night.files.date = night.files.date.succ_opt().unwrap();
            }
            let (breaks, _) = judged(&night, &Shortfall::new());
            remember(&mut night, &breaks, folder.path());
            let [only] = &breaks[..] else { panic!("{breaks:?}") };
            (only.status, only.event_date)
        };
        (0..nights).map(one_night).collect()
    }

    #[test]
    fn what_is_said_of_a_stock_every_night_waits_for_the_grace_of_its_source_once() {
        use BreakStatus::{Expected, New, Open};
        let case = "ST02/finds_more_sent_than_allowed";
        let first = night(case).files.date;
        let day = |number: u64| Some(first + chrono::Days::new(number));
        let waiting = [(Expected, day(0)), (Expected, day(0)), (New, day(0)), (Open, day(3)), (Open, day(4))];
        assert_eq!(nights_of(case, 5, &[("stocks", 2)]), waiting);
        assert_eq!(nights_of(case, 3, &[]), [(New, day(0)), (Open, day(1)), (Open, day(2))]);
    }

    #[test]
    fn how_a_stock_was_does_not_leave_the_look_back_while_nobody_could_look() {
        let night = night("ST02/finds_more_sent_than_allowed");
        let built_in = Rules::built_in();
        let sight = |rule_id: &str, seen_days_ago: u64, event_days_ago: u64, oldest_input: Option<u64>| {
            let rule = built_in.find(rule_id).unwrap();
            let of_rule = RuleOutlook {
                window: Window::of(&night.terms, &night.files, rule),
                grace: Days::new(0),
                is_of_stocks: rule.is_of_stocks(),
            };
            let rules = BTreeMap::from([(rule_id, of_rule)]);
            let before = |days: u64| night.files.date - Days::new(days);
            let row = Break {
                event_date: Some(before(event_days_ago)),
                oldest_input_date: oldest_input.map(before),
                ..Break::for_tests(rule_id, before(seen_days_ago))
            };
            Outlook { rules, left: BTreeSet::new() }.of_unseen(&row)
        };
        assert_eq!(sight("ST02", 40, 40, None), Sight::Gone, "it is as it should be, or it would be there");
        let left = Sight::Left { is_due: true };
        assert_eq!(sight("ST05", 20, 35, Some(36)), left);
        assert_eq!(sight("ST05", 40, 40, Some(41)), left);
        assert_eq!(sight("AO01", 40, 40, None), left, "a redemption happened on a day");
    }

    #[test]
    fn a_refund_break_is_carried_while_the_export_of_the_day_of_a_later_refund_is_missing() {
        let mut night = night("PM04/quiet_when_the_export_of_the_day_of_the_refund_is_missing");
        let folder = tempfile::tempdir().unwrap();
        let missing = night.files.date.pred_opt().unwrap();
        let empty = folder.path().join("no-orders.parquet");
        partition::write_rows::<crate::record::OrderLine>(&empty, &[], &Default::default()).unwrap();
        let known = night.files.history["orders"].clone();
        night.files.history.get_mut("orders").unwrap().push((missing, empty));
        let (found, _) = judged(&night, &Shortfall::new());
        assert_eq!((found.len(), found[0].rule_id.as_str(), found[0].event_date), (1, "PM04", Some(missing)));
        remember(&mut night, &found, folder.path());
        night.files.history.insert("orders".to_owned(), known);
        let (breaks, _) = judged(&night, &Shortfall::new());
        assert_eq!((breaks.len(), breaks[0].status, breaks[0].event_date), (1, BreakStatus::Open, Some(missing)));
    }

    #[test]
    fn a_break_that_leaves_the_look_back_before_it_is_due_is_new_when_it_is() {
        use BreakStatus::{Expected, New, Open};
        let mut night = night("AO01/finds_a_redemption_nobody_claims");
        night.terms.rules.lookback_days = 1;
        night.terms.grace_days = [("orders".to_owned(), 2)].into();
        let folder = tempfile::tempdir().unwrap();
        for expected in [Expected, Expected, New, Open] {
            let (breaks, _) = judged(&night, &Shortfall::new());
            remember(&mut night, &breaks, folder.path());
            let unclaimed: Vec<_> = breaks.iter().filter(|row| row.rule_id == "AO01").map(|row| row.status).collect();
            assert_eq!(unclaimed, [expected], "{}", night.files.date);
            night.files.date = night.files.date.succ_opt().unwrap();
        }
    }

    #[test]
    fn what_hangs_on_days_before_the_look_back_is_judged_on_the_day_of_its_event_only() {
        let night = night("AO01/finds_a_redemption_nobody_claims");
        let rules = Rules::built_in();
        let window = Window::of(&night.terms, &night.files, rules.find("AO01").unwrap());
        let before = |days: u64| Some(night.files.date - chrono::Days::new(days));
        assert!(window.holds(before(0), before(30)) && window.holds(before(0), None));
        assert!(!window.holds(before(1), before(30)) && window.holds(None, None));
    }

    #[test]
    fn breaks_of_a_rule_switched_off_are_forgotten() {
        let mut night = night("AO01/finds_a_redemption_nobody_claims");
        let folder = tempfile::tempdir().unwrap();
        let (breaks, _) = judged(&night, &Shortfall::new());
        remember(&mut night, &breaks, folder.path());
        let rules = Rules::built_in().without(&[crate::job::RuleId { id: "AO01".to_owned(), line: None }]).unwrap();
        let (breaks, _) = night.judge(&rules, &Shortfall::new(), &Decisions::default()).unwrap();
        assert!(breaks.iter().all(|row| row.rule_id != "AO01"));
    }

    #[test]
    fn a_decision_about_a_break_of_tonight_counts_and_one_about_none_is_an_error() {
        let night = night("AO01/finds_a_redemption_nobody_claims");
        let found = judged(&night, &Shortfall::new()).0.remove(0).break_id;
        let judge_with = |break_id: &str| {
            let csv = format!("break_id,decision,reason,approver,expires_on\n{break_id},accepted,known,Li,\n");
            let decisions = Decisions::parse("decisions.csv", csv.as_bytes()).unwrap();
            night.judge(&Rules::built_in(), &Shortfall::new(), &decisions)
        };
        let (breaks, _) = judge_with(&found).unwrap();
        assert!(breaks.iter().any(|row| row.status == BreakStatus::Accepted));
        assert!(judge_with("0123456789abcdef").unwrap_err().to_string().contains("unknown breaks: line 2"));
    }

    #[test]
    fn a_decision_about_a_break_that_could_not_be_looked_for_is_no_error() {
        let night = night("AO01/finds_a_redemption_nobody_claims");
        let csv = "break_id,decision,reason,approver,expires_on\n0123456789abcdef,accepted,known,Li,\n";
        let decisions = Decisions::parse("decisions.csv", csv.as_bytes()).unwrap();
        let shortfall = Shortfall::from([("payments".to_owned(), "the bill is not ready".to_owned())]);
        let (_, judgement) = night.judge(&Rules::built_in(), &shortfall, &decisions).unwrap();
        assert!(judgement.unjudged.iter().any(|rule| rule.rule_id == "PM01"));
    }

    /// What a rule of one's own says, of which this is the query.
    fn judged_by_own(query: &str) -> Result<Vec<Break>, ReconcileError> {
        let night = night("ST02/finds_more_sent_than_allowed");
        let folder = tempfile::tempdir().unwrap();
        let head = "-- id: XX01\n-- title: t\n-- 标题: 标\n-- severity: low\n-- side: merchant\n-- key: s\n\
                    -- inputs: stocks\n-- action: look\n-- row: a stock\n";
        std::fs::write(folder.path().join("XX01_mine.sql"), format!("{head}{query}\n")).unwrap();
        let rules = Rules::load(&[folder.path().to_owned()]).unwrap().only("XX01");
        Ok(night.judge(&rules, &Shortfall::new(), &Decisions::default())?.0)
    }

    #[test]
    fn a_rule_of_ones_own_may_not_give_a_column_no_break_has() {
        let error = judged_by_own("SELECT stock_id AS stokc_id FROM stocks").unwrap_err();
        let expected = "rule file `XX01_mine.sql` line 10: not found: `stokc_id` is not a column the result may have";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_rule_of_ones_own_may_not_give_an_amount_that_none_can_be() {
        let judged = |fen: &str, column: &str| {
            judged_by_own(&format!("SELECT stock_id,\n{fen} AS {column},\n1 AS actual_fen FROM stocks"))
        };
        for (fen, shown, column) in [
            ("9223372036854775807", i64::MAX, "at_risk_fen"),
            ("-9223372036854775807 - 1", i64::MIN, "expected_fen"),
            ("1000000000001", Fen::LARGEST.0 + 1, "at_risk_fen"),
            ("1000000000000001", Fen::LARGEST.0 * 1000 + 1, "expected_fen"),
        ] {
            let expected = format!(
                "rule file `XX01_mine.sql` line 11: `{column}` is {shown} fen in one row, which no amount can be"
            );
            assert_eq!(judged(fen, column).unwrap_err().to_string(), expected);
        }
        assert_eq!(judged("-1000000000000", "expected_fen").unwrap()[0].difference_fen, Some(Fen(Fen::LARGEST.0 + 1)));
    }
}
