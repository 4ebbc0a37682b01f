//! Where a night is matched and judged: on this machine, on a cluster, or by a script that somebody ran.

#[cfg(feature = "spark")]
use super::cluster::Cluster;
use super::cluster::{Left, Place};
use super::error::ReconcileError;
#[cfg(feature = "spark")]
use crate::job::EngineKind;
use crate::job::Job;

/// Where a night is matched and judged.
#[derive(Debug)]
pub enum Site {
    /// This machine.
    Here,
    /// A Spark cluster.
    #[cfg(feature = "spark")]
    Cluster(Box<Cluster>),
    /// A script did it.
    Script(Left),
}

impl Site {
    /// The site the job chose, whose `EngineSettings::refusal` the caller has seen.
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

    /// The site the job chose: this build knows one.
    ///
    /// # Errors
    /// None.
    #[cfg(not(feature = "spark"))]
    pub fn open(_: &Job, _: Place) -> Result<Site, ReconcileError> {
        Ok(Site::Here)
    }
}
