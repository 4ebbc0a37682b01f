//! Opens the lake for a run or a reader: a folder with its kernel lock, or a bucket with its lease, its
//! work folder and what was downloaded. Readers of a bucket get a folder of their own.

use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};

use super::failure::{disk, store_failed, temporary};
use super::setup::prepare;
use crate::clock::World;
use crate::dataset::Lake;
use crate::dataset::bucket::{Bucket, Scope};
use crate::dataset::lock::{LakeLock, LockError};
use crate::error::{ExitCode, Failure};
use crate::job::{BucketSettings, Job};
use crate::journal::Journal;
use crate::store::{Holder, Lease, Mirror, Store, StoreError, Tail};

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
    /// Locks the lake of `job` and prepares it for a night of `date`.
    pub(super) fn open(job: &Job, date: NaiveDate, world: &World, run_id: &str) -> Result<LockedLake, Failure> {
        let started_at = world.clock.now();
        let Some(settings) = &job.bucket else {
            let lake = Lake::at(&job.lake);
            prepare(&lake, job, date)?;
            let lock = take_lock(job, &lake, &told(run_id, started_at))?;
            return Ok(LockedLake { lake, mirror: None, tail: None, _lock: lock });
        };
        let unready = |error: StoreError| store_failed(&error, "cannot open the lake");
        let mirror = Arc::new(open_mirror(settings, &job.lake)?);
        let folder = Lake::at(&job.lake);
        prepare(&folder, job, date)?;
        let lock = take_lock(job, &folder, &told(run_id, started_at))?;
        let holder = Holder {
            told: format!("{} on {}", told(run_id, started_at), machine()),
            run_id: run_id.to_owned(),
            kernel_lock: lock.identity(),
        };
        let lease = Lease::take(mirror.store(), &format!("state/{}.lock", job.name), holder, world).map_err(unready)?;
        mirror.guard(Some(lease));
        let mut held = LockedLake { lake: folder, mirror: Some(Arc::clone(&mirror)), tail: None, _lock: lock };
        let scope = Scope::Night { date, from: job.rules.lookback_start(date) };
        held.lake = Lake::in_bucket(Bucket::bring_in(Arc::clone(&mirror), &scope).map_err(unready)?);
        held.tail = Some(mirror.tail(vec![format!("journal/dt={date}"), "state".to_owned()]));
        Ok(held)
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

/// Takes the kernel lock of lake and job, and records its holder for whoever finds it locked.
fn take_lock(job: &Job, lake: &Lake, holder: &str) -> Result<LakeLock, Failure> {
    let path = lake.state(&format!("{}.lock", job.name));
    LakeLock::take(&path, holder).map_err(|error| match &error {
        LockError::Held(_) => Failure::new(ExitCode::TryLater, error.to_string())
            .hinting("wait for it to end; `run --wait 10m` does so by itself")
            .told_elsewhere(),
        LockError::Io(io) => disk(io, "cannot lock the lake"),
    })
}

fn told(run_id: &str, started_at: DateTime<Utc>) -> String {
    format!("process {} since {} (run {run_id})", std::process::id(), started_at.format("%Y-%m-%d %H:%M:%SZ"))
}

fn machine() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "a machine without a name".to_owned() } else { name.trim().to_owned() }
}
