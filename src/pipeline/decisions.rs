//! The decisions that a night goes by, and which breaks of other nights they may be about. Decides nothing.

use std::collections::BTreeSet;
use std::io;

use chrono::NaiveDate;

use super::failure::{disk, undecided, violated};
use super::restated;
use crate::dataset::Lake;
use crate::error::Failure;
use crate::job::Job;
use crate::reconcile::Decisions;

/// The decisions for the night of `date`. Where nights were never run, they may be about any break.
pub(super) fn of_night(
    job: &Job,
    lake: &Lake,
    date: NaiveDate,
    has_missing_nights: bool,
) -> Result<Decisions, Failure> {
    let decisions = read(job)?;
    if decisions.is_empty() {
        return Ok(decisions);
    }
    let later = restated::breaks_after(lake, date).map_err(|error| violated(&error))?;
    let wanted = decisions.in_force(date);
    let earlier = if has_missing_nights { wanted } else { known(lake, date, wanted)? };
    Ok(decisions.knowing(later).remembering(earlier))
}

/// What the file of the job says.
pub(super) fn read(job: &Job) -> Result<Decisions, Failure> {
    let Some(path) = &job.decisions else { return Ok(Decisions::default()) };
    let bytes = match std::fs::read(path) {
        // Nobody has decided anything yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Decisions::default()),
        bytes => bytes.map_err(|error| undecided(&error))?,
    };
    Decisions::parse(&path.display().to_string(), &bytes).map_err(|error| undecided(&error))
}

/// Of `wanted`, the breaks that days up to `date` list or once did.
fn known(lake: &Lake, date: NaiveDate, wanted: BTreeSet<String>) -> Result<BTreeSet<String>, Failure> {
    let mut known = restated::breaks_up_to(lake, date, wanted.clone()).map_err(|error| violated(&error))?;
    let unlisted = wanted.difference(&known).cloned().collect();
    let taken_out = restated::taken_out_up_to(lake, date, unlisted);
    known.extend(taken_out.map_err(|error| disk(&error, "cannot read the manifests of earlier runs"))?);
    Ok(known)
}
