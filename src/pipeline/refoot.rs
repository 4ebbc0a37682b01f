//! Recomputes the control totals of a published day from the published rows and compares them with its manifest. Writes
//! nothing.

use std::io;

use chrono::NaiveDate;

use super::entries::footing_entry;
use super::failure::{self, disk, temporary};
use super::staleness::missed;
use super::work::published_before;
use crate::causes::in_one_line;
use crate::contract;
use crate::dataset::Lake;
use crate::dataset::manifest::Manifest;
use crate::dataset::runs::Runs;
use crate::error::{ExitCode, Failure};
use crate::job::Job;
use crate::reconcile::{self, Asked, Basis, DayFiles, ReconcileError, Reconciliation, Scratch, Site, Terms};
use crate::record::{LedgerRow, Record};

/// What does not foot on the published day `date`, one sentence each.
///
/// # Errors
/// Unreadable manifests.
pub fn refoot(job: &Job, lake: &Lake, date: NaiveDate) -> Result<Vec<String>, Failure> {
    let runs = Runs::read(lake, date).map_err(|error| disk(&error, "cannot read the manifests"))?;
    let Some((manifest, _)) = runs.partition(LedgerRow::DATASET) else { return Ok(Vec::new()) };
    let unlisted = |error: io::Error| disk(&error, "cannot list published partitions");
    if let Some(what) = published_later(job, lake, manifest).map_err(unlisted)? {
        return Ok(vec![format!("{date} is stale: {what} was published after it was made; run {date} again")]);
    }
    let files = published_files(lake, manifest).map_err(unlisted)?;
    // Which wallets the night requested does not affect the totals.
    let scratch =
        Scratch::new_in(&std::env::temp_dir()).map_err(|error| temporary(&error, "cannot make a scratch folder"))?;
    let nothing = |_| Ok::<(), ReconcileError>(());
    let footing = reconcile::rules_of(job).and_then(|rules| {
        let basis = Basis { terms: &Terms::of(job), rules: &rules, files: &files };
        Reconciliation { basis, scratch: &scratch }.build_ledger(&mut Site::Here, &Asked::default(), nothing)
    });
    let footing = match footing {
        Ok(footing) => footing,
        Err(error) => return unmatched(&error),
    };
    let told = |side: &str| manifest.footing.iter().find(|entry| entry.side == side);
    let differs = |now: &reconcile::Footing| told(now.side).is_some_and(|then| *then != footing_entry(now));
    let sentence = |now: &reconcile::Footing| {
        let told = told(now.side).map(|then| then.total).unwrap_or_default();
        let (rows, fen) = (now.total.rows, now.total.fen);
        format!(
            "`{}` does not foot: the manifest says {} rows and {} yuan, the published rows are {rows} and {fen}",
            now.side, told.rows, told.fen
        )
    };
    Ok(footing.iter().filter(|side| differs(side)).map(sentence).collect())
}

/// What the day should have read but could not, because it was published only later.
fn published_later(job: &Job, lake: &Lake, manifest: &Manifest) -> io::Result<Option<String>> {
    if let Some(day) = filled_in(lake, manifest)? {
        return Ok(Some(day.to_string()));
    }
    let missed = missed(&job.rules, lake, manifest)?;
    Ok(missed.map(|(dataset, day)| format!("`{dataset}` of {day}")))
}

/// Describes a match that cannot be repeated, unless the cause is a lack of space or file handles.
fn unmatched(error: &ReconcileError) -> Result<Vec<String>, Failure> {
    let failure = failure::unread(error, "cannot match the published rows again");
    match failure.code {
        ExitCode::TryLater => Err(failure),
        _ => Ok(vec![format!("the published rows cannot be matched again: {}", in_one_line(error))]),
    }
}

/// An earlier day that was published only after this one, so that this one could not read it.
fn filled_in(lake: &Lake, manifest: &Manifest) -> io::Result<Option<NaiveDate>> {
    let ledgers = manifest.read_partitions.iter().filter(|read| read.dataset == LedgerRow::DATASET);
    let read = ledgers.map(|read| read.date).max().unwrap_or(NaiveDate::MIN);
    let before = lake.partitions(LedgerRow::DATASET, NaiveDate::MIN, manifest.business_date)?;
    Ok(before.into_iter().map(|partition| partition.date).filter(|date| *date > read).min())
}

/// The partitions that the ledger of `manifest` was made from, as far as they are published.
fn published_files(lake: &Lake, manifest: &Manifest) -> io::Result<DayFiles> {
    let date = manifest.business_date;
    let mut files = published_before(lake, date)?;
    for dataset in manifest.stages.iter().flat_map(|stage| stage.rows.keys()) {
        let path = lake.partition(dataset, date);
        if contract::find(dataset).is_some() && path.is_file() {
            files.day.insert(dataset.clone(), path);
        }
    }
    Ok(files)
}
