//! `coupon-recon run`: runs one or several nights; one line of JSON each, and the exit code of the
//! worst.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use chrono::NaiveDate;
use serde_json::json;
use url::Url;

use super::arguments::{Engine, Run};
use super::forecast;
use super::interrupt::Interrupt;
use super::outcome::{Gating, result_line, tell, worse};
use super::rules::{unknown_rule, unreadable_rules};
use super::script;
use super::terminal::{self, Level, say, watcher};
use super::wait::{Attempt, until_ready};
use crate::clock::World;
use crate::error::{ExitCode, Failure};
use crate::job::{self, EngineKind, Job, JobProblems};
use crate::journal::Mode;
use crate::pipeline::{self, NightOutcome, NightPlan, PlannedNight};
use crate::reconcile::rules::Rules;
use crate::report::Gate;
use crate::stage::Stage;
use crate::watch::Caller;

pub(super) async fn run(command: Run, world: &World) -> Result<ExitCode, Failure> {
    let job = job_of(&command)?;
    let gate = command.fail_on.as_deref().map(|text| parse_gate(text, &job)).transpose()?;
    if let Some(stages) = command.stages() {
        refuse_unjudged(&stages, gate.is_some())?;
    }
    let plans = plans(&command, &job, world)?;
    pipeline::refuse_forgotten(&job, &plans, world)?;
    let nights: Vec<_> = plans.iter().map(|plan| PlannedNight { job: &job, plan, world }).collect();
    if command.dry_run {
        pipeline::refuse_engine(&job)?;
        return forecast::tell(&nights).await;
    }
    if is_scripted(&command) {
        refuse_unscripted(&job, &plans)?;
    }
    let interrupt = Interrupt::watch()?;
    match (&command.emit_script, nights.first()) {
        (None, _) => run_all(&command, &nights, gate.as_ref(), &interrupt).await,
        (Some(file), Some(night)) => script::write(*night, command.wait, &interrupt, file).await,
        (Some(_), None) => Ok(ExitCode::NothingToDo),
    }
}

/// The job, changed as the command line says.
fn job_of(command: &Run) -> Result<Job, Failure> {
    let mut job = load_job(&command.job)?;
    if let Some(base_url) = &command.base_url {
        redirect(&mut job, base_url)?;
    }
    if let Some(engine) = command.engine {
        choose(&mut job, engine, is_scripted(command))?;
    }
    Ok(job)
}

/// The plans of the dates on which there is anything to do.
fn plans(command: &Run, job: &Job, world: &World) -> Result<Vec<NightPlan>, Failure> {
    let dates = command.dates.resolve(world, &|name| std::env::var(name).ok())?;
    Ok(dates.into_iter().map(|date| plan(command, date)).filter(|plan| is_for(job, plan)).collect())
}

/// Runs the nights one after the other, until one fails; the exit code is that of the worst.
async fn run_all(
    command: &Run,
    nights: &[PlannedNight<'_>],
    gate: Option<&Gate>,
    interrupt: &Interrupt,
) -> Result<ExitCode, Failure> {
    let mut worst = ExitCode::NothingToDo;
    for night in nights {
        let began_at = night.world.clock.now();
        let result = run_waiting(*night, command.wait, interrupt).await;
        pipeline::tell_night(*night, began_at, &result).await;
        let outcome = result?;
        let gating = Gating::of(gate, &outcome);
        say(result_line(&outcome, &gating));
        tell(command.summary, night.job, &outcome, &gating);
        if let Gating::Exceeded(limit) = &gating {
            terminal::tell(Level::Warn, format_args!("gate: {limit}"));
        }
        worst = worse(worst, gating.code(&outcome));
    }
    Ok(worst)
}

/// Whether there is anything to do for a day; reports it if not.
fn is_for(job: &Job, plan: &NightPlan) -> bool {
    let why = match job.first_date {
        Some(first) if plan.date < first => format!("the job begins with {first}"),
        _ if plan.has_work(job) => return true,
        _ if plan.stages.is_some() => "the job has no source for these stages".to_owned(),
        _ => "the job has no source".to_owned(),
    };
    terminal::tell(Level::Info, format_args!("nothing to do for {}: {why}", plan.date));
    false
}

fn plan(command: &Run, date: NaiveDate) -> NightPlan {
    // Environment variables that are not text are ignored.
    let environment =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    NightPlan {
        date,
        stages: command.stages(),
        mode: mode(command),
        takes_script: command.take_script,
        caller: Caller::of(environment),
        intake_memory_bytes: pipeline::INTAKE_MEMORY_BYTES,
    }
}

/// Loads a job file; all of its problems are one failure.
pub(super) fn load_job(path: &Path) -> Result<Job, Failure> {
    let job = job::load(path, &|name| std::env::var(name).ok())
        .map_err(|problems| not_loaded(&with_unknown_rules(problems)))?;
    for warning in &job.warnings {
        tracing::warn!("{warning}");
    }
    Ok(job)
}

/// The problems of a job file, and the rules that it disables and that do not exist. Rules that cannot be read are told
/// once the job file is right.
fn with_unknown_rules(mut problems: JobProblems) -> JobProblems {
    let Ok(rules) = Rules::load(&problems.rules.folders) else { return problems };
    let off = std::mem::take(&mut problems.rules.off);
    rules.unknown(&off).for_each(|(off, what)| problems.add(off.line, what));
    problems
}

/// All problems of a job file as one failure; in JSON mode each is also printed on a line of its
/// own.
fn not_loaded(problems: &JobProblems) -> Failure {
    let told = problems.to_string();
    let told = told.trim_start_matches("error: ");
    if !terminal::is_json() {
        return Failure::new(ExitCode::Usage, told);
    }
    for problem in &problems.problems {
        let mut fields = json!({"file": problems.path, "line": problem.line, "column": problem.column});
        if let Some(hint) = &problem.hint {
            fields["hint"] = json!(hint);
        }
        terminal::tell_fields(Level::Error, &problem.text, fields);
    }
    Failure::new(ExitCode::Usage, told.lines().next().unwrap_or_default())
}

/// Redirects every API of the job to one host, which must be this machine, since keys and openids
/// are sent there.
pub(super) fn redirect(job: &mut Job, base_url: &Url) -> Result<(), Failure> {
    if !job::is_loopback(base_url) {
        return Err(Failure::new(ExitCode::Usage, "--base-url must be this machine (127.0.0.1, ::1 or localhost)"));
    }
    if let Some(problem) = job::url_problem(base_url) {
        let failure = Failure::new(ExitCode::Usage, format!("--base-url {problem}"));
        return Err(failure.hinting("give it as in http://127.0.0.1:18080"));
    }
    for limits in job.limits_mut() {
        limits.base_url = base_url.clone();
        limits.backup_url = None;
    }
    Ok(())
}

/// The breaks for a report or a gate must be those of the same run.
fn refuse_unjudged(stages: &BTreeSet<Stage>, has_gate: bool) -> Result<(), Failure> {
    if stages.contains(&Stage::Reconcile) {
        return Ok(());
    }
    if stages.contains(&Stage::Report) {
        let failure = Failure::new(ExitCode::Usage, "the stage `report` alone has no breaks to report");
        return Err(failure.hinting("`--stage reconcile,report` judges the day and writes its reports"));
    }
    if has_gate {
        let failure = Failure::new(ExitCode::Usage, "--fail-on: these stages judge nothing");
        return Err(failure.hinting("add the stage `reconcile`, or ask `coupon-recon breaks --fail-on` afterwards"));
    }
    Ok(())
}

/// Whether match and rules come from a script.
fn is_scripted(command: &Run) -> bool {
    command.emit_script.is_some() || command.take_script
}

/// A script is for Spark and for one night: the next night reads what this one publishes.
fn refuse_unscripted(job: &Job, plans: &[NightPlan]) -> Result<(), Failure> {
    if job.engine.kind != EngineKind::Spark {
        return Err(Failure::new(ExitCode::Usage, "`--emit-script` and `--take-script` need the Spark engine")
            .hinting("add `--engine spark`"));
    }
    if plans.len() > 1 {
        let hint = "each night reads what the one before published: write, run and take one script after the other";
        return Err(Failure::new(ExitCode::Usage, "a script covers one date").hinting(hint));
    }
    Ok(())
}

/// Uses another engine than the job says. A script needs no cluster that is reachable from here.
fn choose(job: &mut Job, engine: Engine, is_scripted: bool) -> Result<(), Failure> {
    job.engine.kind = match engine {
        Engine::Polars => EngineKind::Polars,
        Engine::Spark => EngineKind::Spark,
    };
    match job.engine.refusal(job.bucket.is_some()).filter(|_| !is_scripted) {
        Some((problem, hint)) => Err(Failure::new(ExitCode::Usage, format!("--engine spark: {problem}")).hinting(hint)),
        None => Ok(()),
    }
}

/// Parses a gate expression. A rule that the job cannot have would never trigger.
pub(super) fn parse_gate(text: &str, job: &Job) -> Result<Gate, Failure> {
    let gate = Gate::parse(text).map_err(|error| Failure::new(ExitCode::Usage, format!("--fail-on: {error}")))?;
    let rules = Rules::load(&job.rules.folders).map_err(|error| unreadable_rules(&error.into()))?;
    let unknown = gate.rules().find(|id| rules.find(id).is_none()).map(|id| unknown_rule(&rules, id));
    unknown.map_or(Ok(gate), Err)
}

async fn run_waiting(
    night: PlannedNight<'_>,
    wait: Option<Duration>,
    interrupt: &Interrupt,
) -> Result<NightOutcome, Failure> {
    let attempt = async |mode| {
        let plan = NightPlan { mode, ..night.plan.clone() };
        let watcher = watcher();
        let night = pipeline::run_night(PlannedNight { plan: &plan, ..night }, &*watcher, interrupt);
        Attempt::make(interrupt, night, |outcome| outcome.code).await
    };
    until_ready(night.world, wait, night.plan.mode, attempt).await
}

fn mode(command: &Run) -> Mode {
    match (command.replay, command.refetch) {
        (true, _) => Mode::Replay,
        (_, true) => Mode::Refetch,
        _ => Mode::Resume,
    }
}
