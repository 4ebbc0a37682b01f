//! Runs one business date from the job to published files.

use std::path::PathBuf;

use super::engine;
use super::failure::{disk, unpublished};
use super::finished_night::FinishedNight;
use super::lake_access::LockedLake;
use super::manifest;
use super::night_plan::PlannedNight;
use super::observers::RunEvents;
use super::outcome::NightOutcome;
use super::reconciliation::reconcile;
use super::run::Run;
use super::script;
use super::work::{JournalKeeper, Work, prepared};
use crate::dataset::publication;
use crate::error::Failure;
use crate::extract::{Issue, IssueKind, Watcher};
use crate::stage::Stage;

/// Runs one business date.
///
/// # Errors
/// What stops a run outside its stages: the lock, the disk, unusable keys.
pub async fn run_night(
    night: PlannedNight<'_>,
    watcher: &dyn Watcher,
    keeper: &impl JournalKeeper,
) -> Result<NightOutcome, Failure> {
    let PlannedNight { job, plan, world } = night;
    let run = Run::begin(world);
    let held = LockedLake::open(job, plan.date, world, &run.id)?;
    let events = RunEvents::begin(night, &held.lake, &run).await;
    keeper.keep_words(Some(events.last_words()));
    let result = prepared(night, watcher, keeper, &held, async |work| publish(&work, &run).await).await;
    keeper.keep_words(None);
    events.end(&result).await;
    result
}

/// The whole night, under the lock.
async fn publish(work: &Work<'_>, run: &Run) -> Result<NightOutcome, Failure> {
    let done = finish(work).await;
    work.keep().await?;
    let done = done?;
    let manifest = manifest::of(work, &done, run)?;
    let manifest_path =
        publication::publish(work.lake, work.staging, &manifest).map_err(|error| unpublished(&error))?;
    work.staging.discard().map_err(|error| disk(&error, "cannot clear the staging folder"))?;
    if done.verdict.publish {
        clear_handover(work)?;
    }
    let FinishedNight { verdict, sources, judged, .. } = done;
    let (breaks, units) = judged.map(|it| (it.breaks.figures, it.breaks.units)).unwrap_or_default();
    let manifest_path = PathBuf::from(work.lake.shown(&manifest_path));
    let (code, rules, issues) = (verdict.code, work.rules.clone(), sources.issues);
    Ok(NightOutcome { code, manifest_path, manifest, breaks, units, rules, issues })
}

/// Removes what was handed over to a script for this day, and its results: the day is published.
fn clear_handover(work: &Work<'_>) -> Result<(), Failure> {
    let handover = work.lake.handover(&work.night.job.name, work.plan.date);
    // The bucket may hold objects of another machine that are not visible in the work folder.
    let may_lie_there = work.plan.takes_script || handover.exists() || work.lake.bucket().is_some();
    if may_lie_there { script::clear(work) } else { Ok(()) }
}

/// Everything before publishing.
async fn finish(work: &Work<'_>) -> Result<FinishedNight, Failure> {
    if !work.plan.takes_script {
        engine::greet(work.night.job)?;
    }
    let mut done = work.gather().await?;
    if done.verdict.publish && work.plan.is_selected(Stage::Reconcile) {
        reconcile(work, &mut done).or_else(|failure| done.withdraw(failure))?;
    }
    if let Some(issue) = would_worsen(work, &done) {
        done.sources.issues.push(issue);
        done.verdict = done.verdict.withheld();
    }
    match done.verdict.publish {
        true => done.files.retain(|file| work.publishes(file, &done.sources)),
        false => done.files.clear(),
    }
    Ok(done)
}

/// An incomplete dataset does not replace a complete one: the published version stays as a whole.
fn would_worsen(work: &Work<'_>, done: &FinishedNight) -> Option<Issue> {
    if !done.verdict.publish {
        return None;
    }
    let mut short = done.sources.shortfall.keys().filter(|dataset| work.plan.concerns(dataset));
    let worse = short.find(|dataset| work.runs.was_complete(dataset))?;
    let what =
        format!("`{worse}` was complete when {} was published; the published version stays as it is", work.plan.date);
    Some(Issue { kind: IssueKind::Incomplete, what, hint: Some("run again when every source answers".to_owned()) })
}
