//! How a night is reported: one line of JSON as its result, and on stderr a summary or what went wrong.

use std::io::IsTerminal;

use serde_json::{Value, json};

use super::terminal::{self, Level};
use crate::error::ExitCode;
use crate::extract::Issue;
use crate::job::Job;
use crate::pipeline::{self, NightOutcome};
use crate::reconcile::BreakTally;
use crate::report::Gate;

/// What the gate of a run (`--fail-on`) says about a night.
pub(super) enum Gating {
    /// There is none.
    Absent,
    /// Its limits are kept.
    Kept,
    /// The limit that is exceeded, and by what.
    Exceeded(String),
}

impl Gating {
    pub(super) fn of(gate: Option<&Gate>, outcome: &NightOutcome) -> Gating {
        match gate.map(|gate| gate.exceeded(&outcome.breaks)) {
            None => Gating::Absent,
            Some(None) => Gating::Kept,
            Some(Some(limit)) => Gating::Exceeded(limit),
        }
    }

    /// The exit code of the night: what the manifest says, unless it is complete and beyond its gate. Of an incomplete
    /// one nobody knows what is open (design §12).
    pub(super) fn code(&self, outcome: &NightOutcome) -> ExitCode {
        match self {
            Gating::Exceeded(_) if outcome.code == ExitCode::Complete => ExitCode::Gate,
            _ => outcome.code,
        }
    }
}

/// One line of compact JSON for an orchestrator. With a gate it has `gate`: null, or the limit that is exceeded, even if
/// `exit_code` says something worse.
pub(super) fn result_line(outcome: &NightOutcome, gating: &Gating) -> Value {
    let mut line = line_of(outcome, gating.code(outcome));
    match gating {
        Gating::Absent => {}
        Gating::Kept => line["gate"] = Value::Null,
        Gating::Exceeded(limit) => line["gate"] = json!(limit),
    }
    line
}

fn line_of(outcome: &NightOutcome, code: ExitCode) -> Value {
    let manifest = &outcome.manifest;
    let open = open(outcome);
    let rows: u64 = manifest.files.iter().map(|file| file.rows).sum();
    json!({
        "date": manifest.business_date,
        "status": manifest.status,
        "exit_code": code as i32,
        "manifest": outcome.manifest_path,
        "rows": rows,
        "requests": manifest.stages.iter().map(|stage| stage.requests).sum::<u64>(),
        "open_breaks": open.map(|open| open.rows),
        "open_fen": open.map(|open| open.at_risk_fen.0),
    })
}

/// The open breaks; `None` if no rules were run, which differs from no breaks.
fn open(outcome: &NightOutcome) -> Option<BreakTally> {
    outcome.manifest.is_judged().then(|| outcome.breaks.open())
}

/// Quiet on success, unless `asked` for; verbose otherwise. What a rerun changed is always told.
pub(super) fn tell(asked: bool, job: &Job, outcome: &NightOutcome, gating: &Gating) {
    let is_quiet = outcome.code == ExitCode::Complete && !std::io::stderr().is_terminal();
    if is_quiet && !asked {
        pipeline::restatement(outcome).into_iter().for_each(|delta| terminal::tell(Level::Info, delta));
        let warnings = pipeline::warnings(outcome);
        return warnings.for_each(|warning| terminal::tell(Level::Warn, format_args!("warning: {warning}")));
    }
    match terminal::is_json() {
        true => tell_collectors(job, outcome, gating),
        false => terminal::tell(Level::Info, pipeline::print_summary(outcome, &pipeline::lake_as_shown(job))),
    }
}

/// A line per cause, and one of the whole night.
fn tell_collectors(job: &Job, outcome: &NightOutcome, gating: &Gating) {
    for (index, issue) in outcome.issues.iter().enumerate() {
        // An API that is down, or a file that is not there, stops several stages with the same cause.
        if outcome.issues[..index].iter().any(|told| told.what == issue.what) {
            continue;
        }
        terminal::tell_fields(Level::Warn, &issue.what, fields_of(issue, outcome));
    }
    let mut fields = result_line(outcome, gating);
    fields["job"] = json!(job.name);
    fields["stages"] = json!(outcome.manifest.stages);
    fields["unjudged_rules"] = json!(outcome.manifest.unjudged_rules);
    fields["restated"] = json!(outcome.manifest.restated);
    fields["stale_dates"] = json!(outcome.manifest.stale_dates);
    fields["warnings"] = json!(pipeline::warnings(outcome).collect::<Vec<_>>());
    let level = if outcome.code == ExitCode::Complete { Level::Info } else { Level::Warn };
    terminal::tell_fields(level, "night ended", fields);
}

fn fields_of(issue: &Issue, outcome: &NightOutcome) -> Value {
    let mut fields = json!({"date": outcome.manifest.business_date});
    if let Some(hint) = &issue.hint {
        fields["hint"] = json!(hint);
    }
    fields
}

/// The exit code of several nights: the one that needs most attention.
pub(super) fn worse(a: ExitCode, b: ExitCode) -> ExitCode {
    use ExitCode::*;
    const ORDER: [ExitCode; 10] =
        [Violation, Rejected, Malformed, Unavailable, Usage, Partial, TryLater, Gate, Complete, NothingToDo];
    ORDER.into_iter().find(|code| *code == a || *code == b).unwrap_or(b)
}
