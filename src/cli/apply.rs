//! `coupon-recon apply`: makes the calls of an approved plan, one after the other. Makes no call that is not in the
//! plan.

use std::path::PathBuf;

use serde_json::json;

use super::arguments::Apply;
use super::interrupt::Interrupt;
use super::run::{load_job, redirect};
use super::terminal::{self, Level, say};
use crate::clock::World;
use crate::error::{ExitCode, Failure};
use crate::pipeline::{self, Applied};
use crate::remedy::{Call, Performed, Plan, PlanError};
use crate::wechat::ApiError;

pub(super) async fn run(command: &Apply, world: &World) -> Result<ExitCode, Failure> {
    let bytes = std::fs::read(&command.plan).map_err(|error| {
        Failure::caused_by(ExitCode::Usage, format!("cannot read `{}`", command.plan.display()), &error)
    })?;
    let plan = Plan::approved(&bytes, &command.approve).map_err(|error| refused(&error))?;
    let mut job = load_job(&command.job.clone().unwrap_or_else(|| PathBuf::from(&plan.job_file)))?;
    if let Some(base_url) = &command.base_url {
        redirect(&mut job, base_url)?;
    }
    let interrupt = Interrupt::watch()?;
    let applied = pipeline::apply(&job, &plan, world, &interrupt, tell).await?;
    say(summary(&plan, &command.approve, applied));
    Ok(applied.code)
}

fn refused(error: &PlanError) -> Failure {
    let failure = Failure::caused_by(ExitCode::Usage, "nothing was sent", error);
    match error {
        PlanError::NotApproved { .. } => failure.hinting("read the plan as it is now and approve it with this digest"),
        _ => failure.hinting(
            "`coupon-recon plan` writes plans; calls may be removed in a text editor, but not added; a spreadsheet program spoils the file",
        ),
    }
}

/// One line of JSON for the caller.
fn summary(plan: &Plan, sha256: &str, applied: Applied) -> String {
    let Applied { code, done, before, settled, failed, untried } = applied;
    json!({
        "date": plan.date, "plan_sha256": sha256.trim().to_ascii_lowercase(), "exit_code": code as i32,
        "calls": plan.calls.len(), "done": done, "before": before, "settled": settled, "failed": failed, "untried": untried,
    })
    .to_string()
}

/// One line per call, with the reason if it was not made.
fn tell(call: &Call, performed: &Performed) {
    let (level, word, said) = match performed {
        Performed::Done(said) => (Level::Info, "done", said.clone()),
        Performed::Before(said) => (Level::Info, "before", said.clone()),
        Performed::Settled => (Level::Info, "settled", "its break is no longer open".to_owned()),
        Performed::Decided(decision) => (Level::Info, "decided", format!("not made: {decision}")),
        Performed::Overtaken => (Level::Info, "settled", OVERTAKEN.to_owned()),
        Performed::Refused(error) => (Level::Warn, "refused", why(error)),
        Performed::Unanswered(error) => (Level::Error, "unanswered", why(error)),
        Performed::Odd(detail) => (Level::Error, "odd", detail.clone()),
        Performed::Unknown => (Level::Warn, "unknown", UNKNOWN.to_owned()),
    };
    let Call { rule_id, break_id, does, request_no, .. } = call;
    let fields =
        json!({"break_id": break_id, "rule_id": rule_id, "request_no": request_no, "outcome": word, "said": said});
    terminal::tell_with(level, does, fields, &format!("{word:<10}  {rule_id}  {break_id}  {does}: {said}"));
}

const OVERTAKEN: &str = "the latest published day no longer proposes it: make a plan of that day";
const UNKNOWN: &str = "it was sent before, and its coupon has not been requested since; the next night that requests it shows the outcome: plan again then";

fn why(error: &ApiError) -> String {
    let mut why = error.problem().to_string();
    if let Some(hint) = error.hint() {
        why.push_str(&format!(" (hint: {hint})"));
    }
    why
}
