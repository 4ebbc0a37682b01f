//! The engine of a night: this machine, a cluster, or the results of a script that was run elsewhere.

#[cfg(feature = "spark")]
use super::cluster::Cluster;
use super::cluster::{Place, ScriptResults};
use super::error::ReconcileError;
#[cfg(feature = "spark")]
use crate::job::EngineKind;
use crate::job::Job;

/// Where match and rules run.
#[derive(Debug)]
pub enum Site {
    /// This machine.
    Here,
    /// A Spark cluster.
    #[cfg(feature = "spark")]
    Cluster(Box<Cluster>),
    /// A script that was run elsewhere.
    Script(ScriptResults),
}

impl Site {
    /// The engine chosen by the job; the caller has checked `EngineSettings::refusal`.
    ///
    /// # Errors
    /// The cluster does not answer.
    #[cfg(feature = "spark")]
    pub fn open(job: &Job, place: Place) -> Result<Site, ReconcileError> {
        match &job.engine.spark {
            Some(spark) if job.engine.kind == EngineKind::Spark => {
                Ok(Site::Cluster(Box::new(Cluster::open(spark, place)?)))
            }
            _ => Ok(Site::Here),
        }
    }

    /// The engine chosen by the job: this build has only one.
    ///
    /// # Errors
    /// None.
    #[cfg(not(feature = "spark"))]
    pub fn open(_: &Job, _: Place) -> Result<Site, ReconcileError> {
        Ok(Site::Here)
    }
}
