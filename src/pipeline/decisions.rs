//! Loads the decisions file for a night or for a published day, and determines which breaks of other days its decisions
//! may refer to. Decides nothing.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use chrono::{Days, NaiveDate};

use super::failure::{decisions_lost, disk, undecided, violated};
use super::restatement;
use crate::dataset::Lake;
use crate::error::Failure;
use crate::job::Job;
use crate::reconcile::Decisions;

/// The decisions for the night of `date`. If nights before it were never run, a decision may refer to any break.
pub(super) fn of_night(
    job: &Job,
    lake: &Lake,
    date: NaiveDate,
    has_missing_nights: bool,
) -> Result<Decisions, Failure> {
    let Some(path) = &job.decisions else { return Ok(Decisions::default()) };
    let decisions = match read(path)? {
        Some(decisions) => decisions,
        None => none_yet(path, lake, date + Days::new(1))?,
    };
    among_nights(decisions, lake, date, has_missing_nights)
}

/// The decisions as they are now about the breaks of the published day `date`: those made since are in no partition. A
/// decision about an unknown break is refused, as the next night would refuse it, because its author believes that
/// break to be decided.
pub(super) fn since_night(job: &Job, lake: &Lake, date: NaiveDate) -> Result<Decisions, Failure> {
    let Some(path) = &job.decisions else { return Ok(Decisions::default()) };
    let decisions = match read(path)? {
        Some(decisions) => decisions,
        None => none_yet(path, lake, date + Days::new(1))?,
    };
    let missing = restatement::missing_before(lake, date, job.first_date);
    let has_missing_nights = missing.map_err(|error| disk(&error, "cannot list published partitions"))?.is_some();
    let decisions = among_nights(decisions, lake, date, has_missing_nights)?;
    decisions.check(date, |_| false).map_err(|error| undecided(&error))?;
    Ok(decisions)
}

fn among_nights(
    decisions: Decisions,
    lake: &Lake,
    date: NaiveDate,
    has_missing_nights: bool,
) -> Result<Decisions, Failure> {
    if decisions.is_empty() {
        return Ok(decisions);
    }
    let later = restatement::breaks_after(lake, date).map_err(|error| violated(&error))?;
    let wanted = decisions.in_force(date);
    let wanted = wanted.difference(&later).cloned().collect();
    let earlier = if has_missing_nights { wanted } else { known(lake, date, wanted)? };
    Ok(decisions.knowing(later).remembering(earlier))
}

/// Parses the file; `None` when it does not exist or is empty.
pub(super) fn read(path: &Path) -> Result<Option<Decisions>, Failure> {
    let bytes = match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes.map_err(|error| undecided(&error))?,
    };
    if bytes.trim_ascii().is_empty() {
        return Ok(None);
    }
    Decisions::parse(&path.display().to_string(), &bytes).map(Some).map_err(|error| undecided(&error))
}

/// No decisions yet, unless the last published day before `date` applied some: then the file was lost.
fn none_yet(path: &Path, lake: &Lake, date: NaiveDate) -> Result<Decisions, Failure> {
    match restatement::decided_before(lake, date).map_err(|error| violated(&error))? {
        0 => Ok(Decisions::default()),
        count => Err(decisions_lost(path, count)),
    }
}

/// Those of `wanted` that a day up to `date` lists, or that any day once listed.
fn known(lake: &Lake, date: NaiveDate, wanted: BTreeSet<String>) -> Result<BTreeSet<String>, Failure> {
    let mut known = restatement::breaks_up_to(lake, date, wanted.clone()).map_err(|error| violated(&error))?;
    let unlisted = wanted.difference(&known).cloned().collect();
    let taken_out = restatement::taken_out(lake, unlisted);
    known.extend(taken_out.map_err(|error| disk(&error, "cannot read the manifests of earlier runs"))?);
    Ok(known)
}
