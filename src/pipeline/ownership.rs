//! A lake belongs to one job of one merchant: whoever has another name or number may read what is published, and is refused
//! before it writes, asks or proposes anything.

use std::io;

use super::failure::{disk, store_failed, unread};
use crate::dataset::Lake;
use crate::dataset::owner::{self, Owner};
use crate::error::{ExitCode, Failure};
use crate::job::Job;
use crate::store::Store;

/// Refuses a lake that belongs to another job or merchant.
pub(super) fn refuse_foreign(job: &Job, lake: &Lake) -> Result<(), Failure> {
    let owner = owner::of(lake, &job.name).map_err(|error| unknown_owner(&error))?;
    refuse(job, lake, owner.as_ref())
}

/// The same by the mark in a bucket of which nothing was downloaded; `lake` is only shown.
pub(super) fn refuse_foreign_bucket(job: &Job, lake: &Lake, store: &Store) -> Result<(), Failure> {
    let owner = owner::of_bucket(store).map_err(|error| store_failed(&error, "cannot see whose the lake is"))?;
    refuse(job, lake, owner.as_ref())
}

/// What the job marks its lake with.
pub(super) fn owner_of(job: &Job) -> Owner {
    Owner { job: job.name.clone(), merchant: merchant_of(job).map(str::to_owned) }
}

/// Marks the lake as that of the job, which holds its lock. `rename` is called first with the former name of the job where the
/// lake is marked with that.
pub(super) fn settle(job: &Job, lake: &Lake, rename: impl FnOnce(&str) -> Result<(), Failure>) -> Result<(), Failure> {
    let claim = || owner::claim(lake, &owner_of(job)).map_err(|error| unknown_owner(&error));
    let found = claim()?;
    refuse(job, lake, Some(&found))?;
    if found.job == job.name {
        return Ok(());
    }
    rename(&found.job)?;
    refuse(job, lake, Some(&claim()?))
}

fn refuse(job: &Job, lake: &Lake, owner: Option<&Owner>) -> Result<(), Failure> {
    let Some(owner) = owner else { return Ok(()) };
    let of_another = another_job(job, &owner.job).or_else(|| another_merchant(job, owner.merchant.as_deref()?));
    let Some((whose, hint)) = of_another else { return Ok(()) };
    let what = format!(
        "the lake `{}` belongs to {whose}: it would take journal and books of the other for its own",
        lake.shown(lake.root()).trim_end_matches('/'),
    );
    // What observers remember is kept in the lake, which is not ours.
    Err(Failure::new(ExitCode::Usage, what).hinting(hint).untold())
}

/// Whose the lake is and what to do, if it is of a job of another name.
fn another_job(job: &Job, owner: &str) -> Option<(String, String)> {
    if owner == job.name || job.formerly.as_deref() == Some(owner) {
        return None;
    }
    let whose = format!("job `{owner}`, and `job.name` is `{}`", job.name);
    let hint = format!(
        "give this job a lake of its own (`job.lake`); if it is the same job under a new name, write `formerly = \"{owner}\"` in `[job]`"
    );
    Some((whose, hint))
}

/// The same, if it is of a merchant of another number.
fn another_merchant(job: &Job, owner: &str) -> Option<(String, String)> {
    let ours = merchant_of(job).filter(|ours| *ours != owner)?;
    let whose = format!("merchant `{owner}`, and `pay_v3.mchid` is `{ours}`");
    let hint = "give each merchant a job with a name and a lake of its own (`job.name`, `job.lake`); if it is the same merchant under a new \
                number, write that into `state/owner.json` of the lake";
    Some((whose, hint.to_owned()))
}

/// The merchant of a job that asks APIv3.
fn merchant_of(job: &Job) -> Option<&str> {
    job.pay_v3.as_ref().map(|account| account.mchid.as_str())
}

fn unknown_owner(error: &io::Error) -> Failure {
    let what = "cannot see whose the lake is";
    // A damaged mark stays so, however often one tries.
    if error.kind() == io::ErrorKind::InvalidData { unread(error, what) } else { disk(error, what) }
}
