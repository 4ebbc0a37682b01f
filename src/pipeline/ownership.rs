//! A lake belongs to one job: whoever has another name may read what is published, and is refused before it writes, asks or
//! proposes anything.

use std::io;

use super::failure::{disk, store_failed, unread};
use crate::dataset::{Lake, owner};
use crate::error::{ExitCode, Failure};
use crate::job::Job;
use crate::store::Store;

/// Refuses a lake that belongs to another job.
pub(super) fn refuse_foreign(job: &Job, lake: &Lake) -> Result<(), Failure> {
    let owner = owner::of(lake, &job.name).map_err(|error| unknown_owner(&error))?;
    refuse(job, lake, owner.as_deref())
}

/// The same by the mark in a bucket of which nothing was downloaded; `lake` is only shown.
pub(super) fn refuse_foreign_bucket(job: &Job, lake: &Lake, store: &Store) -> Result<(), Failure> {
    let owner = owner::of_bucket(store).map_err(|error| store_failed(&error, "cannot see whose the lake is"))?;
    refuse(job, lake, owner.as_deref())
}

/// Marks the lake as that of the job, which holds its lock. `rename` is called first with the former name of the job where the
/// lake is marked with that.
pub(super) fn settle(job: &Job, lake: &Lake, rename: impl FnOnce(&str) -> Result<(), Failure>) -> Result<(), Failure> {
    let claim = || owner::claim(lake, &job.name).map_err(|error| unknown_owner(&error));
    let mut found = claim()?;
    if found != job.name && job.formerly.as_ref() == Some(&found) {
        rename(&found)?;
        found = claim()?;
    }
    refuse(job, lake, Some(&found))
}

fn refuse(job: &Job, lake: &Lake, owner: Option<&str>) -> Result<(), Failure> {
    let is_ours = |owner: &str| owner == job.name || job.formerly.as_deref() == Some(owner);
    let Some(owner) = owner.filter(|owner| !is_ours(owner)) else { return Ok(()) };
    let what = format!(
        "the lake `{}` belongs to job `{owner}`, and `job.name` is `{}`: it would take journal and books of the other for its own",
        lake.shown(lake.root()).trim_end_matches('/'),
        job.name
    );
    let hint = format!(
        "give this job a lake of its own (`job.lake`); if it is the same job under a new name, write `formerly = \"{owner}\"` in `[job]`"
    );
    // What observers remember is kept in the lake, which is not ours.
    Err(Failure::new(ExitCode::Usage, what).hinting(hint).untold())
}

fn unknown_owner(error: &io::Error) -> Failure {
    let what = "cannot see whose the lake is";
    // A damaged mark stays so, however often one tries.
    if error.kind() == io::ErrorKind::InvalidData { unread(error, what) } else { disk(error, what) }
}
