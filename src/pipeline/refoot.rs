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
use crate::dataset::manifest::{FootingEntry, FootingTally, Manifest};
use crate::dataset::runs::Runs;
use crate::error::{ExitCode, Failure};
use crate::job::Job;
use crate::quantity::counted;
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
    let is_ours = manifest.code_version == env!("CARGO_PKG_VERSION");
    let told = |side: &str| manifest.footing.iter().find(|entry| entry.side == side);
    Ok(footing.iter().map(footing_entry).filter_map(|now| differing(told(&now.side)?, &now, is_ours)).collect())
}

/// The first control total of a side that the published rows do not give again. What is matched with what is up to the version
/// of the program: of a day that another one made, only what came in is compared.
fn differing(then: &FootingEntry, now: &FootingEntry, is_ours: bool) -> Option<String> {
    let tallies = |it: &FootingEntry| {
        [("", it.total), (" matched", it.matched), (" unmatched", it.unmatched), (" left out", it.left_out)]
    };
    let mut compared = tallies(then).into_iter().zip(tallies(now)).take(if is_ours { 4 } else { 1 });
    let ((what, told), (_, found)) = compared.find(|((_, told), (_, found))| told != found)?;
    let tally = |it: FootingTally| format!("{} of {} yuan", counted(it.rows, "row", "rows"), it.fen);
    let (side, told, found) = (&then.side, tally(told), tally(found));
    Some(format!("`{side}` does not foot: the manifest says {told}{what}, the published rows give {found}"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Fen;

    fn tally(rows: i64, fen: i64) -> FootingTally {
        FootingTally { rows, fen: Fen(fen) }
    }

    #[test]
    fn what_does_not_foot_is_told_by_the_total_that_differs_and_the_match_of_another_version_is_not_repeated() {
        let then = FootingEntry {
            side: "orders".to_owned(),
            total: tally(217, 209_050),
            matched: tally(200, 190_000),
            unmatched: tally(17, 19_050),
            left_out: tally(0, 0),
        };
        assert_eq!(differing(&then, &then, true), None);
        let rematched = FootingEntry { matched: tally(201, 190_300), unmatched: tally(16, 18_750), ..then.clone() };
        let told = differing(&then, &rematched, true).unwrap();
        let words = "`orders` does not foot: the manifest says 200 rows of 1900.00 yuan matched, the published rows give 201 rows of 1903.00 yuan";
        assert_eq!(told, words);
        assert_eq!(differing(&then, &rematched, false), None);
        let shorter = FootingEntry { total: tally(1, 50), ..then.clone() };
        for is_ours in [true, false] {
            let told = differing(&then, &shorter, is_ours).unwrap();
            assert!(
                told.ends_with("says 217 rows of 2090.50 yuan, the published rows give 1 row of 0.50 yuan"),
                "{told}"
            );
        }
    }
}
