//! Reports a night to its observers: events and a log beside its manifest, metrics, a chat message. Any failure here is only
//! a warning in the log; it does not change the result of the night.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::night_plan::PlannedNight;
use super::outcome::NightOutcome;
use super::run::Run;
use super::summary;
use crate::causes::in_one_line;
use crate::clock::World;
use crate::dataset::Lake;
use crate::dataset::status::RunStatus;
use crate::durable;
use crate::error::Failure;
use crate::job::{Job, Language};
use crate::reconcile::rules::{Rule, Rules};
use crate::watch::{self, Digest, Gauges, Lineage, NightBooks, Told, logbook};

/// The events file in the folder of a run.
const EVENTS: &str = "events.ndjson";
/// The log file in the folder of a run, with how the run ended.
const LOG: &str = "log";
/// The maximum number of causes in an event.
const TOLD_CAUSES: usize = 5;

/// The OpenLineage events of one run: written to `events.ndjson` in its folder, and posted if the job configures it.
#[derive(Debug)]
pub(super) struct RunEvents<'a> {
    job: &'a Job,
    world: &'a World,
    lineage: Lineage<'a>,
    lake: Lake,
    folder: PathBuf,
    lines: Mutex<String>,
}

impl<'a> RunEvents<'a> {
    /// Emits START.
    pub(super) async fn begin(night: PlannedNight<'a>, lake: &Lake, run: &'a Run) -> RunEvents<'a> {
        let PlannedNight { job, plan, world } = night;
        let lineage = Lineage::new(job, &plan.caller, plan.date, &run.id, run.started_at);
        let folder = lake.run(plan.date, &run.id);
        let events = RunEvents { job, world, lineage, lake: lake.clone(), folder, lines: Mutex::default() };
        events.tell(&events.lineage.start()).await;
        events
    }

    /// What to write into the folder if the run is interrupted now.
    pub(super) fn last_words(&self) -> LastWords {
        LastWords {
            folder: self.folder.clone(),
            lines: self.lines.lock().expect("no holder of this lock panics").clone(),
            event: self.lineage.abort(),
            world: self.world.clone(),
        }
    }

    /// Emits COMPLETE or FAIL.
    pub(super) async fn end(self, result: &Result<NightOutcome, Failure>) {
        let why = match result {
            Ok(outcome) => causes(outcome, TOLD_CAUSES).join("; "),
            Err(failure) => failure.in_one_line(),
        };
        let books = result.as_ref().ok().map(|outcome| NightBooks {
            manifest: &outcome.manifest,
            rules: &outcome.rules,
            breaks: &outcome.breaks,
        });
        let why = (!why.is_empty()).then_some(why.as_str());
        self.tell(&self.lineage.end(self.world.clock.now(), books, why)).await;
        if let Err(error) = self.lake.put(&self.folder.join(EVENTS)) {
            tracing::warn!(error = in_one_line(&error), "the OpenLineage events could not be put beside the manifest");
        }
        let log = self.folder.join(LOG);
        if let Err(error) = write_log(&log, &self.ending(result)).and_then(|()| self.lake.put(&log)) {
            tracing::warn!(error = in_one_line(&error), "the log could not be put beside the manifest");
        }
    }

    fn ending(&self, result: &Result<NightOutcome, Failure>) -> String {
        match result {
            Ok(outcome) => summary::print(outcome, &self.lake),
            Err(failure) => format!("{failure}\n"),
        }
    }

    async fn tell(&self, event: &Value) {
        if let Err(error) = self.keep(event) {
            tracing::warn!(
                error = in_one_line(&error),
                "an OpenLineage event could not be written beside the manifest"
            );
        }
        if let Err(error) = watch::post_event(&self.job.lineage, event, self.world).await {
            tracing::warn!(
                error = in_one_line(&error),
                "an OpenLineage event could not be sent; `openlineage.url` names where"
            );
        }
    }

    fn keep(&self, event: &Value) -> io::Result<()> {
        let mut lines = self.lines.lock().expect("no holder of this lock panics");
        lines.push_str(&format!("{event}\n"));
        durable::create_folder(&self.folder)?;
        let path = self.folder.join(EVENTS);
        durable::write_file(&path, &self.folder.join("events.ndjson.staged"), lines.as_bytes())
    }
}

/// What an interrupted run leaves: its START event and an ABORT.
#[derive(Debug)]
pub struct LastWords {
    folder: PathBuf,
    lines: String,
    event: Value,
    world: World,
}

impl LastWords {
    /// Writes them; a failure is ignored, as the process is ending.
    pub fn write(&self) {
        let mut event = self.event.clone();
        event["eventTime"] = watch::event_time(self.world.clock.now()).into();
        let lines = format!("{}{event}\n", self.lines);
        let path = self.folder.join(EVENTS);
        let _ = durable::write_file(&path, &self.folder.join("events.ndjson.staged"), lines.as_bytes());
        let _ = write_log(&self.folder.join(LOG), "interrupted; the journal is kept\n");
    }
}

fn write_log(path: &Path, ending: &str) -> io::Result<()> {
    let text = logbook::take() + ending;
    durable::write_file(path, &path.with_extension("staged"), text.as_bytes())
}

/// After a night, whatever its result: writes the metrics file and, if there is news, sends a message. `began_at` is
/// when the program started on this date.
pub async fn tell_night(night: PlannedNight<'_>, began_at: DateTime<Utc>, result: &Result<NightOutcome, Failure>) {
    if result.as_ref().is_err_and(|failure| failure.is_untold) {
        return;
    }
    if let Err(error) = write_metrics(night, began_at, result) {
        tracing::warn!(
            error = in_one_line(&error),
            "the metrics could not be written; `metrics.textfile` names the file"
        );
    }
    if let Err(error) = send_digest(night, result).await {
        tracing::warn!(error = in_one_line(&*error), "the digest could not be sent; `webhook.url` names where");
    }
}

fn write_metrics(
    night: PlannedNight<'_>,
    began_at: DateTime<Utc>,
    result: &Result<NightOutcome, Failure>,
) -> io::Result<()> {
    let PlannedNight { job, world, .. } = night;
    let Some(path) = &job.metrics_textfile else { return Ok(()) };
    let mut gauges: Gauges = recall(job, "metrics").unwrap_or_default();
    match result {
        Ok(outcome) => {
            gauges.note_night(&outcome.manifest, &outcome.breaks, outcome.rules.iter());
        }
        Err(failure) => gauges.note_end(world.clock.now(), began_at, failure.code as i32),
    }
    remember(job, "metrics", &gauges)?;
    let mut beside = path.clone().into_os_string();
    beside.push(".staged");
    durable::write_file(path, Path::new(&beside), gauges.render(&job.name).as_bytes())
}

async fn send_digest(night: PlannedNight<'_>, result: &Result<NightOutcome, Failure>) -> Result<(), Box<dyn Error>> {
    let PlannedNight { job, plan, world } = night;
    let Some(webhook) = &job.webhook else { return Ok(()) };
    let outcome = result.as_ref().ok();
    let causes = match result {
        Ok(outcome) => causes(outcome, usize::MAX),
        Err(failure) => vec![failure.in_one_line()],
    };
    let judged = outcome.filter(|outcome| outcome.manifest.is_judged());
    let digest = Digest {
        job: &job.name,
        date: plan.date,
        status: outcome.map_or(RunStatus::Failed, |outcome| outcome.manifest.status),
        exit_code: result.as_ref().map_or_else(|failure| failure.code, |outcome| outcome.code) as i32,
        breaks: judged.map(|outcome| &outcome.breaks),
        causes: &causes,
        titles: &outcome.map(|outcome| titles(&outcome.rules, job.report.language)).unwrap_or_default(),
        language: job.report.language,
    };
    let Some(news) = digest.news(recall::<Told>(job, "told").as_ref()) else { return Ok(()) };
    watch::post_digest(webhook, &digest.body(), world).await?;
    Ok(remember(job, "told", &news)?)
}

fn causes(outcome: &NightOutcome, most: usize) -> Vec<String> {
    outcome.issues.iter().take(most).map(|issue| issue.what.clone()).collect()
}

fn titles(rules: &Rules, language: Language) -> BTreeMap<String, String> {
    let title = |rule: &Rule| match language {
        Language::Zh => (rule.id.clone(), rule.title_zh.clone()),
        Language::En => (rule.id.clone(), rule.title.clone()),
    };
    rules.iter().map(title).collect()
}

/// A value remembered for the job; `None` when it is not readable.
fn recall<T: DeserializeOwned>(job: &Job, what: &str) -> Option<T> {
    serde_json::from_slice(&std::fs::read(memory_file(job, what)).ok()?).ok()
}

fn remember(job: &Job, what: &str, value: &impl Serialize) -> io::Result<()> {
    let path = memory_file(job, what);
    if job.bucket.is_some() && !job.lake.is_dir() {
        // The night ended before it had a work folder; only a night creates one.
        return Ok(());
    }
    let folder = path.parent().expect("it is in a folder of the lake");
    durable::create_private_folder(folder)?;
    let bytes = serde_json::to_vec(value).map_err(io::Error::other)?;
    durable::write_file(&path, &path.with_extension("staged"), &bytes)
}

fn memory_file(job: &Job, what: &str) -> PathBuf {
    // For a lake in a bucket, `state/` mirrors the bucket; this belongs to the machine.
    let folder = if job.bucket.is_some() { job.lake.join("watch") } else { Lake::at(&job.lake).state("watch") };
    folder.join(format!("{}.{what}.json", job.name))
}
