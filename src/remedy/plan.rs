//! A plan: the proposed calls for the open breaks of a day, as a file that a person reads, shortens and approves by its
//! digest. The same lake and job give the same bytes.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::call::Call;
use super::error::PlanError;
use super::facts::Facts;
use super::open_breaks::{ByHand, OpenBreaks};
use super::operation::Operation;
use super::proposals::propose;
use crate::byte_order_mark;
use crate::job::Job;
use crate::money::Fen;
use crate::reconcile::{Decision, Decisions};
use crate::record::Break;
use crate::sha256::sha256_of;

/// Version of the file format.
pub(super) const VERSION: u32 = 1;

/// The proposals for the breaks of a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Version of the format.
    pub version: u32,
    /// Name of the job.
    pub job: String,
    /// Its job file.
    pub job_file: String,
    /// The merchant that calls.
    pub mchid: String,
    /// The business date whose breaks they are.
    pub date: NaiveDate,
    /// The digest of the partition they were read from.
    pub breaks_sha256: String,
    /// In the order in which they are made.
    pub calls: Vec<Call>,
    /// Breaks that a call could resolve if nothing stood against it.
    pub impossible: Vec<Impossible>,
    /// Breaks that no call resolves, by rule.
    pub by_hand: Vec<ByHand>,
}

/// A break without a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Impossible {
    /// The break.
    pub break_id: String,
    /// Its rule.
    pub rule_id: String,
    /// Fen at risk.
    pub at_risk_fen: Fen,
    /// Why there is no call.
    pub reason: String,
}

/// The origin of the breaks of a plan.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The job file, as the plan should name it.
    pub job_file: &'a str,
    /// Business date.
    pub date: NaiveDate,
    /// SHA-256 of the partition of breaks.
    pub breaks_sha256: &'a str,
}

/// What decides whether a call is proposed for a break.
#[derive(Debug, Clone, Copy)]
pub struct Grounds<'a> {
    /// The job.
    pub job: &'a Job,
    /// The partitions that the calls follow from.
    pub facts: &'a Facts,
    /// A break with a decision in force gets no call.
    pub decisions: &'a Decisions,
}

impl Plan {
    /// Proposes calls for the open breaks of a day, only of `rules` if any are named.
    pub fn propose(grounds: Grounds<'_>, source: Source<'_>, breaks: &OpenBreaks, rules: &BTreeSet<String>) -> Plan {
        let mut plan = Plan::without_calls(grounds.job, source);
        let mut drafting = Drafting { grounds, date: source.date, paid: BTreeSet::new(), numbers: BTreeSet::new() };
        let is_named = |rule_id: &str| rules.is_empty() || rules.contains(rule_id);
        // Considers all rules, whichever are named: two plans of one day must not pay for one coupon under two numbers.
        for it in breaks.with_remedy() {
            let proposal = drafting.operations(it);
            if is_named(&it.rule_id) {
                plan.add(it, proposal);
            }
        }
        plan.calls.sort_by(|one, other| order(one).cmp(&order(other)));
        plan.impossible.sort_by(|one, other| one.break_id.cmp(&other.break_id));
        plan.by_hand = breaks.by_hand().filter(|it| is_named(&it.rule_id)).cloned().collect();
        plan
    }

    fn without_calls(job: &Job, source: Source<'_>) -> Plan {
        let mchid = job.pay_v3.as_ref().map(|settings| settings.mchid.clone());
        Plan {
            version: VERSION,
            job: job.name.clone(),
            job_file: source.job_file.to_owned(),
            mchid: mchid.unwrap_or_default(),
            date: source.date,
            breaks_sha256: source.breaks_sha256.to_owned(),
            calls: Vec::new(),
            impossible: Vec::new(),
            by_hand: Vec::new(),
        }
    }

    /// Adds the calls for a break, or why there are none.
    fn add(&mut self, it: &Break, proposal: Option<Result<Vec<Operation>, String>>) {
        match proposal {
            Some(Ok(operations)) => self.calls.extend(operations.iter().map(|operation| Call::of(it, operation))),
            Some(Err(reason)) => self.impossible.push(Impossible::new(it, reason)),
            None => {}
        }
    }

    /// An index of its calls.
    pub fn proposed(&self) -> Proposed<'_> {
        let keyed = self.calls.iter().map(|call| (Proposed::key(call), &call.body));
        Proposed { bodies: keyed.collect() }
    }

    /// The first call (with its position, from 1) that `other` does not propose although its break was not decided
    /// since.
    pub fn first_unlike<'p>(&'p self, other: &Plan, decisions: &Decisions) -> Option<(usize, &'p Call)> {
        let proposed = other.proposed();
        let is_unlike =
            |call: &Call| !proposed.has(call) && decisions.find_in_force(&call.break_id, other.date).is_none();
        (1..).zip(&self.calls).find(|(_, call)| is_unlike(call))
    }

    /// The bytes of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("texts, numbers and dates are JSON");
        bytes.push(b'\n');
        bytes
    }

    /// Parses the plan in `bytes`, if its digest is the approved one.
    ///
    /// # Errors
    /// Another digest, bytes that are not a plan, a call that a plan may not contain or that occurs twice.
    pub fn approved(bytes: &[u8], sha256: &str) -> Result<Plan, PlanError> {
        let actual = sha256_of(bytes);
        if !actual.eq_ignore_ascii_case(sha256.trim()) {
            return Err(PlanError::NotApproved { actual });
        }
        // Editors may add a byte order mark; it was approved with the rest.
        let text = std::str::from_utf8(byte_order_mark::skipped(bytes)).map_err(|_| PlanError::Encoding)?;
        let plan: Plan = serde_json::from_str(text)?;
        if plan.version != VERSION {
            return Err(PlanError::Version { given: plan.version, known: VERSION });
        }
        plan.check_calls()?;
        Ok(plan)
    }

    fn check_calls(&self) -> Result<(), PlanError> {
        let mut numbers = BTreeSet::new();
        for (place, call) in (1..).zip(&self.calls) {
            let twice = || format!("the number `{}` is used twice", call.request_no);
            let is_new = numbers.insert((&call.path, &call.request_no));
            let checked = call.operation().and_then(|_| if is_new { Ok(()) } else { Err(twice()) });
            checked.map_err(|detail| PlanError::Call { place, break_id: call.break_id.clone(), detail })?;
        }
        Ok(())
    }
}

/// A plan in progress: what the calls proposed so far pay for, and their numbers.
struct Drafting<'b> {
    grounds: Grounds<'b>,
    date: NaiveDate,
    paid: BTreeSet<(&'b str, &'b str)>,
    numbers: BTreeSet<(&'static str, String)>,
}

impl<'b> Drafting<'b> {
    /// What calls would resolve a break, or why none may; `None` if there is nothing to resolve.
    fn operations(&mut self, it: &'b Break) -> Option<Result<Vec<Operation>, String>> {
        propose(self.grounds.job, self.grounds.facts, it).map(|operations| {
            self.decision(it).map_or(Ok(()), |decision| Err(decision.to_string()))?;
            let operations = pay_once(&mut self.paid, it, payable(operations?)?)?;
            number_once(&mut self.numbers, operations)
        })
    }

    fn decision(&self, it: &Break) -> Option<&'b Decision> {
        self.grounds.decisions.find_in_force(&it.break_id, self.date)
    }
}

/// An index of the calls of a plan.
#[derive(Debug)]
pub struct Proposed<'p> {
    /// By break, path and number.
    bodies: BTreeMap<(&'p str, &'p str, &'p str), &'p Value>,
}

impl Proposed<'_> {
    fn key(call: &Call) -> (&str, &str, &str) {
        (&call.break_id, &call.path, &call.request_no)
    }

    /// Whether exactly this call is proposed.
    pub(super) fn has(&self, call: &Call) -> bool {
        self.bodies.get(&Proposed::key(call)).is_some_and(|body| **body == call.body)
    }
}

impl Impossible {
    fn new(it: &Break, reason: String) -> Impossible {
        let (break_id, rule_id) = (it.break_id.clone(), it.rule_id.clone());
        Impossible { break_id, rule_id, at_risk_fen: it.at_risk_fen, reason }
    }
}

/// Keeps calls whose amounts WeChat accepts; a plan with another could not be approved.
fn payable(operations: Vec<Operation>) -> Result<Vec<Operation>, String> {
    operations.iter().try_for_each(Operation::check_amount).map(|()| operations)
}

/// Keeps the calls of a break if no other break of the same coupon already pays.
fn pay_once<'b>(
    paid: &mut BTreeSet<(&'b str, &'b str)>,
    it: &'b Break,
    operations: Vec<Operation>,
) -> Result<Vec<Operation>, String> {
    let pays = operations.iter().any(|operation| matches!(operation, Operation::Pay(_)));
    let coupon = (it.stock_id.as_deref().unwrap_or_default(), it.coupon_code.as_deref().unwrap_or_default());
    if pays && !paid.insert(coupon) {
        return Err("another call of the day pays for the coupon".to_owned());
    }
    Ok(operations)
}

/// Keeps calls whose number no other call has: an order may claim several coupons, each of which is to be redeemed.
fn number_once(
    numbers: &mut BTreeSet<(&'static str, String)>,
    operations: Vec<Operation>,
) -> Result<Vec<Operation>, String> {
    let of = |operation: &Operation| (operation.endpoint().path, operation.request_no().to_owned());
    match operations.iter().find(|operation| numbers.contains(&of(operation))) {
        Some(operation) => {
            Err(format!("another call of the day has the number {}: use a number of your own", operation.request_no()))
        }
        None => {
            numbers.extend(operations.iter().map(of));
            Ok(operations)
        }
    }
}

/// By rule, the largest risk first.
fn order(call: &Call) -> (&str, std::cmp::Reverse<Fen>, &str, &str) {
    (&call.rule_id, std::cmp::Reverse(call.at_risk_fen), &call.break_id, &call.request_no)
}
