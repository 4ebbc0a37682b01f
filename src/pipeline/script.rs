//! A night whose match and rules somebody runs with `spark-submit`: hands its inputs over beside a script, and takes
//! the results of the script as it would take those of a cluster. Publishes nothing itself.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::engine;
use super::failure::{disk, unmatched};
use super::finished_night::FinishedNight;
use super::lake_access::LockedLake;
use super::night_plan::PlannedNight;
use super::run::Run;
use super::work::{JournalKeeper, Work, prepared};
use crate::dataset::parts;
use crate::dataset::staged::{digest_of, partitions};
use crate::durable;
use crate::error::{ExitCode, Failure};
use crate::extract::{Issue, Watcher};
use crate::fingerprints::Fingerprints;
use crate::job::Job;
use crate::reconcile::{self, Asked, DayFiles, Handover, Script, ScriptResults, Site};
use crate::sha256::sha256_of_file;

/// A script that was written, and its inputs.
#[derive(Debug)]
pub struct Scripted {
    /// The exit code of a night that would be published now.
    pub code: ExitCode,
    /// The folder of the handed-over files, as the script addresses it.
    pub folder: String,
    /// Rows handed over.
    pub rows: u64,
    /// Calls that the night made.
    pub requests: u64,
    /// Why the night would be incomplete.
    pub issues: Vec<Issue>,
}

/// Runs one business date up to its match, hands over what it staged, and writes the script to `file`.
///
/// # Errors
/// What stops a run, and a night that could not be published.
pub async fn write_script(
    night: PlannedNight<'_>,
    watcher: &dyn Watcher,
    keeper: &impl JournalKeeper,
    file: &Path,
) -> Result<Scripted, Failure> {
    let PlannedNight { job, plan, world } = night;
    refuse_pattern(job)?;
    let run = Run::begin(world);
    let held = LockedLake::open(job, plan.date, world, &run.id)?;
    prepared(night, watcher, keeper, &held, async |work| {
        let done = work.gather().await;
        work.keep().await?;
        hand_over(&work, done?, file)
    })
    .await
}

/// Regular expressions differ between SQL engines.
fn refuse_pattern(job: &Job) -> Result<(), Failure> {
    if job.rules.use_request_pattern.is_none() {
        return Ok(());
    }
    let what = "with `rules.use_request_pattern` the ledger is built by the program: no script can build it";
    Err(Failure::new(ExitCode::Usage, what).hinting("run the night on a Spark Connect server, or on this machine"))
}

/// Moves the staged files to where the script finds them, then writes the script.
fn hand_over(work: &Work<'_>, mut done: FinishedNight, file: &Path) -> Result<Scripted, Failure> {
    if !done.verdict.publish {
        return Err(unpublishable(&done));
    }
    let broken = |error: io::Error| disk(&error, "cannot hand over what the script reads");
    let files = work.day_files(&done.files)?;
    let asked = done.sources.take_asked();
    let (script, handover) = written(work, &done, &files, &asked)?;
    clear(work)?;
    move_in(work, &files, &handover).map_err(broken)?;
    write_text(file, &script).map_err(|error| disk(&error, &format!("cannot write `{}`", file.display())))?;
    Ok(Scripted {
        code: done.verdict.code,
        folder: work.lake.shown(&handover.folder),
        rows: done.files.iter().map(|file| file.rows).sum(),
        requests: done.sources.entries.iter().map(|entry| entry.requests).sum(),
        issues: done.sources.issues,
    })
}

fn unpublishable(done: &FinishedNight) -> Failure {
    let issue = done.sources.issues.first();
    let what = issue.map_or_else(|| "nothing could be published".to_owned(), |issue| issue.what.clone());
    let failure = Failure::new(done.verdict.code, format!("no script was written: {what}"));
    failure.with_hint(issue.and_then(|issue| issue.hint.clone()))
}

/// The results of this night's script.
pub(super) fn take(work: &Work<'_>, done: &FinishedNight, files: &DayFiles, asked: &Asked) -> Result<Site, Failure> {
    let (script, _) = written(work, done, files, asked)?;
    let place = engine::place(work.night.job, work.lake);
    ScriptResults::open(&script, &place).map(Site::Script).map_err(|error| unmatched(&error))
}

/// Removes what was handed over and what the script wrote.
pub(super) fn clear(work: &Work<'_>) -> Result<(), Failure> {
    let folder = work.lake.handover(&work.night.job.name, work.plan.date);
    let cleared = match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => engine::clear_below(work.lake, &folder),
    };
    cleared.map_err(|error| disk(&error, "cannot clear what was handed over to a script"))
}

/// The script of a night, while its files and fingerprints are in the staging folder.
fn written(
    work: &Work<'_>,
    done: &FinishedNight,
    files: &DayFiles,
    asked: &Asked,
) -> Result<(Script, Handover), Failure> {
    let (job, date) = (work.night.job, work.plan.date);
    let folder = work.lake.handover(&job.name, date);
    let mut handover = Handover { folder, digests: BTreeMap::new() };
    let staged = partitions(&done.files).map(|parts| (&parts[0].dataset, date, digest_of(parts)));
    let read = done.read_partitions.iter().map(|it| (&it.dataset, it.date, it.sha256.clone()));
    handover
        .digests
        .extend(read.chain(staged).map(|(dataset, date, sha256)| (Handover::name_of_day(dataset, date), sha256)));
    for ((name, path), fingerprints) in
        staged_asked(work, &handover).into_iter().zip([&asked.wallets, &asked.unknown_coupons])
    {
        let digest = write_lines(&path, fingerprints).and_then(|()| sha256_of_file(&path));
        handover.digests.insert(name.to_owned(), digest.map_err(|error| disk(&error, "cannot stage whom was asked"))?);
    }
    let place = engine::place(job, work.lake);
    let script = reconcile::write_script(&job.name, work.basis(files), &done.sources.shortfall, &place, &handover);
    Ok((script.map_err(|error| unmatched(&error))?, handover))
}

/// Where the fingerprints are before they are handed over.
fn staged_asked(work: &Work<'_>, handover: &Handover) -> [(&'static str, PathBuf); 2] {
    handover.asked().map(|(name, _)| (name, work.staging.folder().join(format!("{name}.txt"))))
}

fn write_lines(path: &Path, fingerprints: &Fingerprints) -> io::Result<()> {
    let mut file = BufWriter::new(durable::create(path)?);
    fingerprints.write_lines(&mut file)?;
    file.flush()?;
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// Moves the staged files; in a bucket they are uploaded as well.
fn move_in(work: &Work<'_>, files: &DayFiles, handover: &Handover) -> io::Result<()> {
    let place = engine::place(work.night.job, work.lake);
    let inputs = handover.folder.join("inputs");
    durable::create_private_folder(
        work.lake.handover(&work.night.job.name, work.plan.date).parent().expect("it is below the lake"),
    )?;
    durable::create_folder(&inputs)?;
    let mut moves = Vec::new();
    for (dataset, path) in &files.day {
        let first = handover.input(dataset);
        let staged = parts::of(path)?.into_iter().enumerate();
        moves.extend(staged.map(|(number, part)| (part, parts::path(&first, number))));
    }
    let asked = staged_asked(work, handover).into_iter().zip(handover.asked()).map(|((_, from), (_, to))| (from, to));
    for (from, to) in moves.into_iter().chain(asked) {
        durable::create_folder(to.parent().expect("it is below the inputs"))?;
        durable::move_file(&from, &to)?;
        if let Some((_, carrier)) = &place.bucket {
            carrier.put(&to)?;
        }
    }
    Ok(())
}

fn write_text(file: &Path, script: &Script) -> io::Result<()> {
    durable::write_out(file, script.text.as_bytes())
}
