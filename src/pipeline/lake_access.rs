//! Opens the lake for a run or a reader: a folder with its kernel lock, or a bucket with its lease, its
//! work folder and what was downloaded. Readers of a bucket get a folder of their own.

use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};

use super::failure::{disk, store_failed, temporary};
use super::ownership::{owner_of, refuse_foreign, refuse_foreign_bucket, settle};
use super::setup::{complete_publication, prepare};
use crate::clock::World;
use crate::dataset::bucket::{Bucket, Scope};
use crate::dataset::lock::{LakeLock, LockError};
use crate::dataset::{Lake, owner};
use crate::error::{ExitCode, Failure};
use crate::job::{BucketSettings, Job};
use crate::journal::Journal;
use crate::store::{Holder, Lease, Mirror, Store, Tail};

/// The lake of a night, locked against other runs until this is dropped.
#[derive(Debug)]
pub(super) struct LockedLake {
    /// The lake.
    pub(super) lake: Lake,
    mirror: Option<Arc<Mirror>>,
    tail: Option<Tail>,
    /// Dropped last: whoever acquires this lock knows that the lease was released or that its holder is
    /// dead.
    _lock: LakeLock,
}

impl LockedLake {
    /// Locks the lake of `job` and prepares it for a night of `date`. One of another job is left as it is.
    pub(super) fn open(job: &Job, date: NaiveDate, world: &World, run_id: &str) -> Result<LockedLake, Failure> {
        let run = LockingRun { run_id, started_at: world.clock.now(), world };
        let mut held = match &job.bucket {
            None => LockedLake::in_folder(job, date, &run)?,
            Some(settings) => LockedLake::in_bucket(settings, job, date, &run)?,
        };
        settle(job, &held.lake, |former| held.rename(former, job, &run))?;
        let tail = |mirror: &Arc<Mirror>| mirror.tail(vec![format!("journal/dt={date}"), "state".to_owned()]);
        held.tail = held.mirror.as_ref().map(tail);
        Ok(held)
    }

    fn in_folder(job: &Job, date: NaiveDate, run: &LockingRun<'_>) -> Result<LockedLake, Failure> {
        let lake = Lake::at(&job.lake);
        refuse_foreign(job, &lake)?;
        prepare(&lake, job, date)?;
        Ok(LockedLake { _lock: take_lock(&lake, &job.name, run)?, lake, mirror: None, tail: None })
    }

    fn in_bucket(
        settings: &BucketSettings,
        job: &Job,
        date: NaiveDate,
        run: &LockingRun<'_>,
    ) -> Result<LockedLake, Failure> {
        let mirror = Arc::new(open_mirror(settings, &job.lake)?);
        refuse_foreign_bucket(job, &lake_as_shown(job), mirror.store())?;
        let folder = Lake::at(&job.lake);
        prepare(&folder, job, date)?;
        let lock = take_lock(&folder, &job.name, run)?;
        let lease = take_lease(mirror.store(), &job.name, &lock, run)?;
        let scope = Scope::Night { date, from: job.rules.lookback_start(date) };
        let bucket = Bucket::bring_in(Arc::clone(&mirror), &scope);
        let lake = Lake::in_bucket(bucket.map_err(|error| store_failed(&error, "cannot open the lake"))?);
        if let Err(foreign) = refuse_foreign(job, &lake) {
            // A bucket without a mark shows whose it is only now.
            lease.withdraw();
            return Err(foreign);
        }
        mirror.guard(Some(lease));
        Ok(LockedLake { lake, mirror: Some(mirror), tail: None, _lock: lock })
    }

    /// Takes the lake over from the former name of the job, under the lock of that name too: what its last run began to publish
    /// is completed first.
    fn rename(&self, former: &str, job: &Job, run: &LockingRun<'_>) -> Result<(), Failure> {
        let lock = take_lock(&self.lake, former, run)?;
        let store = self.mirror.as_ref().map(|mirror| mirror.store());
        let lease = store.map(|store| take_lease(store, former, &lock, run)).transpose()?;
        let owner = owner::of(&self.lake, &job.name).map_err(|error| disk(&error, "cannot see whose the lake is"))?;
        if owner.is_none_or(|owner| owner.job != former) {
            // Meanwhile another job has taken it over.
            return Ok(());
        }
        complete_publication(&self.lake, former)?;
        owner::rename(&self.lake, former, &owner_of(job)).map_err(|error| disk(&error, "cannot take the lake over"))?;
        drop((lease, lock));
        tracing::info!("the lake of `{former}` is that of `{}` now; `job.formerly` is no longer needed", job.name);
        Ok(())
    }

    /// Makes the journal of the night durable in the bucket, if the lake is in one.
    pub(super) fn keeping(&self, journal: Journal) -> Journal {
        journal.mirrored(self.mirror.clone())
    }
}

impl Drop for LockedLake {
    fn drop(&mut self) {
        self.tail = None;
        if let Some(mirror) = &self.mirror {
            mirror.guard(None);
        }
    }
}

/// A lake opened for reading; what was downloaded for it is deleted when it is dropped.
#[derive(Debug)]
pub struct ReadableLake {
    /// The lake.
    pub lake: Lake,
    _scratch: Option<tempfile::TempDir>,
}

impl ReadableLake {
    /// Opens the lake of `job` for reading. From a bucket, `scope` is downloaded anew, so that findings
    /// are about the bucket and not about a local copy.
    ///
    /// # Errors
    /// The bucket is unreachable.
    pub fn open(job: &Job, scope: &Scope) -> Result<ReadableLake, Failure> {
        let Some(settings) = &job.bucket else {
            return Ok(ReadableLake { lake: Lake::at(&job.lake), _scratch: None });
        };
        let scratch =
            tempfile::tempdir().map_err(|error| temporary(&error, "cannot make a folder to download into"))?;
        let mirror = Arc::new(open_mirror(settings, scratch.path())?);
        let bucket = Bucket::bring_in(mirror, scope);
        let bucket = bucket.map_err(|error| store_failed(&error, "cannot read the lake"))?;
        Ok(ReadableLake { lake: Lake::in_bucket(bucket), _scratch: Some(scratch) })
    }
}

/// The lake of a job, only for showing its paths; no store is contacted.
pub fn lake_as_shown(job: &Job) -> Lake {
    Lake::at(&job.lake).known_as(job.bucket.as_ref().map(BucketSettings::url))
}

fn open_mirror(settings: &BucketSettings, folder: &Path) -> Result<Mirror, Failure> {
    let opened = Store::connect(settings).and_then(|store| Mirror::open(Arc::new(store), folder));
    opened.map_err(|error| store_failed(&error, "cannot open the lake"))
}

/// The run that takes a lock.
struct LockingRun<'r> {
    run_id: &'r str,
    started_at: DateTime<Utc>,
    world: &'r World,
}

/// Takes the kernel lock of lake and job, and records its holder for whoever finds it locked.
fn take_lock(lake: &Lake, job: &str, run: &LockingRun<'_>) -> Result<LakeLock, Failure> {
    let path = lake.state(&format!("{job}.lock"));
    LakeLock::take(&path, &told(run)).map_err(|error| match &error {
        LockError::Held(_) => Failure::new(ExitCode::TryLater, error.to_string())
            .hinting("wait for it to end; `run --wait 10m` does so by itself")
            .untold(),
        LockError::Io(io) => disk(io, "cannot lock the lake"),
    })
}

/// Takes the lease of bucket and job.
fn take_lease(store: &Arc<Store>, job: &str, lock: &LakeLock, run: &LockingRun<'_>) -> Result<Lease, Failure> {
    let holder = Holder {
        told: format!("{} on {}", told(run), machine()),
        run_id: run.run_id.to_owned(),
        kernel_lock: lock.identity(),
    };
    Lease::take(store, &format!("state/{job}.lock"), holder, run.world)
        .map_err(|error| store_failed(&error, "cannot open the lake"))
}

fn told(LockingRun { run_id, started_at, .. }: &LockingRun<'_>) -> String {
    format!("process {} since {} (run {run_id})", std::process::id(), started_at.format("%Y-%m-%d %H:%M:%SZ"))
}

fn machine() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "a machine without a name".to_owned() } else { name.trim().to_owned() }
}
