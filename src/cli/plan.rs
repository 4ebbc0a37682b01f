//! `coupon-recon plan`: writes a plan of calls that would resolve the open breaks of a published day, as a file to be
//! approved. Sends nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use super::arguments::Plan as Typed;
use super::rules::{unknown_rule, unreadable_rules};
use super::run::load_job;
use super::shell;
use super::terminal::{self, Level, say};
use crate::clock::World;
use crate::durable;
use crate::error::{ExitCode, Failure};
use crate::job::Job;
use crate::money::Fen;
use crate::pipeline;
use crate::quantity::{agreeing, counted};
use crate::reconcile::rules_of;
use crate::remedy::{ByHand, Plan};
use crate::sha256::sha256_of;

pub(super) fn run(command: &Typed, world: &World) -> Result<ExitCode, Failure> {
    let job = load_job(&command.job)?;
    let rules = named(&job, &command.rules)?;
    let plan = pipeline::propose(&job, &command.job, command.date.or_yesterday(world), &rules)?;
    let bytes = plan.to_bytes();
    match &command.out {
        Some(path) => durable::write_out(path, &bytes).map_err(|error| unwritten(path, &error))?,
        None => say(String::from_utf8_lossy(&bytes).trim_end()),
    }
    terminal::tell(Level::Info, told(&plan, command.out.as_deref(), &sha256_of(&bytes)));
    Ok(ExitCode::Complete)
}

/// The named rules, after checking that they exist.
fn named(job: &Job, ids: &[String]) -> Result<BTreeSet<String>, Failure> {
    let rules = rules_of(job).map_err(|error| unreadable_rules(&error))?;
    match ids.iter().find(|id| rules.find(id).is_none()) {
        Some(id) => Err(unknown_rule(&rules, id)),
        None => Ok(ids.iter().cloned().collect()),
    }
}

fn unwritten(path: &Path, error: &io::Error) -> Failure {
    Failure::caused_by(ExitCode::Usage, format!("cannot write the plan to `{}`", path.display()), error)
        .hinting("`--out` must name a file in an existing folder that this user may write to")
}

/// The summary for people.
fn told(plan: &Plan, out: Option<&Path>, sha256: &str) -> String {
    let mut calls: BTreeMap<&str, (usize, Fen)> = BTreeMap::new();
    for call in &plan.calls {
        let (count, at_risk) = calls.entry(&call.rule_id).or_default();
        (*count, *at_risk) = (*count + 1, *at_risk + call.at_risk_fen);
    }
    let proposed = counted(plan.calls.len(), "call", "calls");
    let mut lines = vec![format!("{} · {} · {proposed} proposed", plan.job, plan.date)];
    lines.extend(calls.iter().map(|(rule, (count, at_risk))| {
        let calls = agreeing(count, "call ", "calls");
        format!("  {rule}  {count:>5} {calls}  {at_risk:>12} yuan")
    }));
    if let [first, others @ ..] = plan.impossible.as_slice() {
        let have_none = counted(others.len() + 1, "break has no call", "breaks have no call");
        lines.push(format!("  {have_none}; {}: {}", first.break_id, first.reason));
    }
    let by_hand =
        |it: &ByHand| format!("  {}  {:>5} by hand  {:>10} yuan  {}", it.rule_id, it.breaks, it.at_risk_fen, it.action);
    lines.extend(plan.by_hand.iter().map(by_hand));
    if !plan.calls.is_empty() {
        let file = out.map_or("PLAN".to_owned(), shell::word);
        lines.push(format!("to make the calls: coupon-recon apply {file} --approve {sha256}"));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The summary of a plan with so many calls, and so many breaks without one.
    fn summary(calls: usize, impossible: usize) -> String {
        let call = json!({"rule_id": "SU01", "break_id": "b", "at_risk_fen": 100, "why": "w", "does": "d",
            "path": "/v3/x", "request_no": "r", "body": {}});
        let without = json!({"break_id": "0a", "rule_id": "AO14", "at_risk_fen": 1, "reason": "it expired"});
        let list = |item: Value, count| vec![item; count];
        let plan = json!({"version": 1, "job": "j", "job_file": "job.toml", "mchid": "1", "date": "2026-11-20",
            "breaks_sha256": "", "calls": list(call, calls), "impossible": list(without, impossible), "by_hand": []});
        told(&serde_json::from_value(plan).unwrap(), None, "")
    }

    #[test]
    fn one_call_and_one_break_are_told_as_one() {
        let one = summary(1, 1);
        for words in ["1 call proposed", "SU01      1 call   1.00 yuan", "1 break has no call; 0a: it expired"] {
            assert!(one.contains(words), "{one}");
        }
        let two = summary(2, 2);
        for words in ["2 calls proposed", "SU01      2 calls  2.00 yuan", "2 breaks have no call; 0a: it expired"] {
            assert!(two.contains(words), "{two}");
        }
        assert!(summary(0, 0).contains("0 calls proposed") && !summary(0, 0).contains("no call"));
    }
}
