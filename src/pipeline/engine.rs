//! Checks the engine of a night before it is needed: whether this build supports it, can reach the lake, and gets an answer.

use std::io;
use std::path::Path;

use super::failure::{disk, unmatched};
use crate::dataset::Lake;
use crate::error::{ExitCode, Failure};
use crate::job::Job;
use crate::reconcile::{Carrier, Place, Site};
use crate::store::{Put, Store};

/// Refuses a night that its engine cannot do, and asks a cluster for its version: after hours of requests to WeChat it
/// would be too late to find out.
pub(super) fn greet(job: &Job) -> Result<(), Failure> {
    refuse_engine(job)?;
    cluster::greet(job)
}

/// Refuses a night that its engine cannot do. Connects to nothing.
pub fn refuse_engine(job: &Job) -> Result<(), Failure> {
    match job.engine.refusal(job.bucket.is_some()) {
        Some((problem, hint)) => {
            Err(Failure::new(ExitCode::Usage, format!("`engine.kind` is `spark`: {problem}")).hinting(hint))
        }
        None => Ok(()),
    }
}

/// Opens the engine for match and rules.
pub(super) fn open(job: &Job, lake: &Lake) -> Result<Site, Failure> {
    Site::open(job, place(job, lake)).map_err(|error| unmatched(&error))
}

/// Where the lake is for a cluster.
pub(super) fn place(job: &Job, lake: &Lake) -> Place {
    let bucket = job.bucket.as_ref().map(|bucket| {
        // Hadoop uses `s3://` for another file system.
        let url = bucket.url().replacen("s3://", "s3a://", 1);
        (url, Box::new(Ferry { lake: lake.clone() }) as Box<dyn Carrier>)
    });
    Place { root: lake.root().to_owned(), bucket }
}

/// Removes what was uploaded to the bucket for the cluster, and what the cluster wrote there.
pub(super) fn clear(job: &Job, lake: &Lake, site: &Site) -> Result<(), Failure> {
    if matches!(site, Site::Here) {
        return Ok(());
    }
    clear_below(lake, &lake.staging(&job.name)).map_err(|error| disk(&error, "cannot clear the staging of the bucket"))
}

/// Removes the objects below a folder that the cluster used.
pub(super) fn clear_below(lake: &Lake, folder: &Path) -> io::Result<()> {
    lake.bucket().map_or(Ok(()), |_| Ferry { lake: lake.clone() }.clear(folder))
}

/// Uploads staged files to the bucket and downloads what a cluster wrote there.
struct Ferry {
    lake: Lake,
}

impl Ferry {
    fn store(&self) -> &Store {
        self.lake.bucket().expect("only a lake in a bucket has a ferry").mirror().store()
    }

    fn key(&self, path: &Path) -> String {
        path.strip_prefix(self.lake.root()).unwrap_or(path).to_string_lossy().into_owned()
    }

    fn clear(&self, folder: &Path) -> io::Result<()> {
        for object in self.store().list(&self.key(folder))? {
            self.store().remove(&object.key)?;
        }
        Ok(())
    }
}

impl Carrier for Ferry {
    fn put(&self, path: &Path) -> io::Result<()> {
        let key = self.key(path);
        // A run that was killed may have left one.
        self.store().remove(&key)?;
        Ok(self.store().put_file(&key, path, Put::New).map(drop)?)
    }

    fn has_parts(&self, folder: &Path) -> io::Result<bool> {
        Ok(self.store().list(&self.key(folder))?.iter().any(|object| object.key.ends_with(".parquet")))
    }

    fn fetch(&self, folder: &Path) -> io::Result<()> {
        let objects = self.store().list(&self.key(folder))?;
        let wanted = objects.into_iter().map(|object| (object.key.clone(), self.lake.root().join(object.key)));
        Ok(self.store().download(wanted.collect()).map(drop)?)
    }
}

#[cfg(feature = "spark")]
mod cluster {
    use super::super::failure::unclustered;
    use crate::error::Failure;
    use crate::job::{EngineKind, Job};
    use crate::spark;

    pub(super) fn greet(job: &Job) -> Result<(), Failure> {
        let Some(spark) = job.engine.spark.as_ref().filter(|_| job.engine.kind == EngineKind::Spark) else {
            return Ok(());
        };
        let version = spark::greet(spark).map_err(|error| unclustered(&error))?;
        tracing::info!("the night is matched and judged on {} (Spark {version})", spark.remote.shown());
        Ok(())
    }
}

#[cfg(not(feature = "spark"))]
mod cluster {
    use crate::error::Failure;
    use crate::job::Job;

    pub(super) fn greet(_: &Job) -> Result<(), Failure> {
        Ok(())
    }
}
