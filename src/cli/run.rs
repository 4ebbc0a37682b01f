//! `coupon-recon run`: one night or several, one line of JSON each, the exit code of the worst.

use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;

use chrono::{Days, NaiveDate};
use serde_json::json;
use url::Url;

use super::arguments::{Dates, Run};
use super::interrupt::Interrupt;
use super::screen::say;
use crate::clock::{World, business_date_of};
use crate::error::{ExitCode, Failure};
use crate::extract::Watcher;
use crate::job::{self, Job};
use crate::journal::Mode;
use crate::pipeline::{self, Bars, NightOutcome, Plan, Quiet};
use crate::report::Gate;
use crate::report::is_open;

/// How often a source that is not ready is tried again under `--wait`.
const WAIT_STEP: Duration = Duration::from_secs(60);

pub(super) async fn run(command: Run, world: &World) -> Result<ExitCode, Failure> {
    let mut job = load_job(&command.job)?;
    if let Some(base_url) = &command.base_url {
        redirect(&mut job, base_url)?;
    }
    let gate = command.fail_on.as_deref().map(parse_gate).transpose()?;
    let interrupt = Interrupt::watch();
    let mut worst = ExitCode::NothingToDo;
    for date in dates(&command.dates, world)? {
        if job.first_date.is_some_and(|first| date < first) || !has_sources(&job) {
            eprintln!("nothing to do for {date}: no source of the job is for that day");
            continue;
        }
        let plan = Plan { date, stages: command.stages(), mode: mode(&command) };
        let outcome = run_waiting(&job, &plan, world, command.wait, &interrupt).await?;
        say(result_line(&outcome));
        tell(&command, &job, &outcome);
        worst = worse(worst, gated(&outcome, gate.as_ref()));
    }
    Ok(worst)
}

/// Loads a job file; every problem of it is one failure.
pub(super) fn load_job(path: &Path) -> Result<Job, Failure> {
    let job = job::load(path, &|name| std::env::var(name).ok())
        .map_err(|problems| Failure::new(ExitCode::Usage, problems.to_string().trim_start_matches("error: ")))?;
    for warning in &job.warnings {
        tracing::warn!("{warning}");
    }
    Ok(job)
}

/// Points every API of the job at one host, which must be this machine: keys and openids go there.
pub(super) fn redirect(job: &mut Job, base_url: &Url) -> Result<(), Failure> {
    let is_loopback = match base_url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if !is_loopback {
        return Err(Failure::new(ExitCode::Usage, "--base-url must be this machine (127.0.0.1, ::1 or localhost)"));
    }
    let apis = [
        job.pay_v3.as_mut().map(|api| &mut api.limits),
        job.pay_v2.as_mut().map(|api| &mut api.limits),
        job.mp.as_mut().map(|api| &mut api.limits),
    ];
    for limits in apis.into_iter().flatten() {
        limits.base_url = base_url.clone();
        limits.backup_url = None;
    }
    Ok(())
}

/// Reads a gate expression.
pub(super) fn parse_gate(text: &str) -> Result<Gate, Failure> {
    Gate::parse(text).map_err(|error| Failure::new(ExitCode::Usage, format!("--fail-on: {error}")))
}

async fn run_waiting(
    job: &Job,
    plan: &Plan,
    world: &World,
    wait: Option<Duration>,
    interrupt: &Interrupt,
) -> Result<NightOutcome, Failure> {
    let mut left = wait.unwrap_or_default();
    loop {
        let watcher: Box<dyn Watcher> =
            if std::io::stderr().is_terminal() { Box::new(Bars::default()) } else { Box::new(Quiet) };
        let result = pipeline::run_night(job, plan, world, &*watcher, interrupt).await;
        drop(watcher);
        let try_later = match &result {
            Ok(outcome) => outcome.code == ExitCode::TryLater,
            Err(failure) => failure.code == ExitCode::TryLater,
        };
        if !try_later || left.is_zero() {
            return result;
        }
        let step = WAIT_STEP.min(left);
        left -= step;
        world.sleep.sleep(step).await;
    }
}

fn mode(command: &Run) -> Mode {
    match (command.replay, command.refetch) {
        (true, _) => Mode::Replay,
        (_, true) => Mode::Refetch,
        _ => Mode::Resume,
    }
}

fn dates(dates: &Dates, world: &World) -> Result<Vec<NaiveDate>, Failure> {
    let (from, to) = match (dates.date, dates.from, dates.to) {
        (Some(date), ..) => (date, date),
        (None, Some(from), Some(to)) => (from, to),
        _ => {
            let yesterday = business_date_of(world.clock.now()) - Days::new(1);
            (yesterday, yesterday)
        }
    };
    if from > to {
        return Err(Failure::new(ExitCode::Usage, format!("--from {from} is after --to {to}")));
    }
    if to >= business_date_of(world.clock.now()) {
        let what = format!("{to} is not over yet in Asia/Shanghai");
        return Err(Failure::new(ExitCode::Usage, what).hinting("a night is run for a day that has ended"));
    }
    Ok(from.iter_days().take_while(|date| *date <= to).collect())
}

fn has_sources(job: &Job) -> bool {
    let apis = job.pay_v3.is_some() || job.pay_v2.is_some() || job.mp.is_some();
    apis || !job.orders.is_empty() || job.bills.is_some() || job.subsidy_ledger.is_some()
}

/// One line of compact JSON: what an orchestrator takes over.
fn result_line(outcome: &NightOutcome) -> String {
    let manifest = &outcome.manifest;
    let open: Vec<_> = outcome.breaks.iter().filter(|it| is_open(it)).collect();
    let rows: u64 = manifest.files.iter().map(|file| file.rows).sum();
    let line = json!({
        "date": manifest.business_date,
        "status": manifest.status,
        "exit_code": manifest.exit_code,
        "manifest": outcome.manifest_path,
        "rows": rows,
        "requests": manifest.stages.iter().map(|stage| stage.requests).sum::<u64>(),
        "open_breaks": open.len(),
        "open_fen": open.iter().map(|it| it.at_risk_fen.0).sum::<i64>(),
    });
    line.to_string()
}

/// Quiet on success, unless asked; loud on anything else.
fn tell(command: &Run, job: &Job, outcome: &NightOutcome) {
    if command.summary || outcome.code != ExitCode::Complete || std::io::stderr().is_terminal() {
        eprint!("{}", pipeline::print_summary(outcome, &pipeline::lake_as_shown(job)));
    }
}

fn gated(outcome: &NightOutcome, gate: Option<&Gate>) -> ExitCode {
    let Some(exceeded) = gate.and_then(|gate| gate.exceeded(&outcome.breaks)) else { return outcome.code };
    eprintln!("gate: {exceeded}");
    if outcome.code == ExitCode::Complete { ExitCode::Gate } else { outcome.code }
}

/// Of several nights the code that needs most attention.
fn worse(a: ExitCode, b: ExitCode) -> ExitCode {
    use ExitCode::*;
    const ORDER: [ExitCode; 10] =
        [Violation, Rejected, Malformed, Unavailable, Usage, Partial, TryLater, Gate, Complete, NothingToDo];
    ORDER.into_iter().find(|code| *code == a || *code == b).unwrap_or(b)
}
