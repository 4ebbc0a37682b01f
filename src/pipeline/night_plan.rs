//! The parameters of a run of one date.

use std::collections::BTreeSet;

use chrono::NaiveDate;

use super::stage_recorder::is_configured;
use crate::clock::World;
use crate::dataset::manifest::StageEntry;
use crate::dataset::staged::StagedFile;
use crate::job::Job;
use crate::journal::Mode;
use crate::stage::Stage;
use crate::watch::Caller;

/// How many bytes of the rows of one export or bill a night holds before it sorts them on disk. Does not affect what is
/// published.
pub const INTAKE_MEMORY_BYTES: usize = 128 << 20;

/// The parameters of a run of one date.
#[derive(Debug, Clone)]
pub struct NightPlan {
    /// Business date.
    pub date: NaiveDate,
    /// Stages that may send requests and whose datasets are published; `None` means all. With `reconcile`, datasets of others
    /// whose source has changed are published too.
    pub stages: Option<BTreeSet<Stage>>,
    /// How the journal is used.
    pub mode: Mode,
    /// Whether match and rules are taken from the results of a script written for this night (`write_script`).
    pub takes_script: bool,
    /// Who started the run.
    pub caller: Caller,
    /// How many bytes of the rows of one export or bill may be held: `INTAKE_MEMORY_BYTES`, less in tests.
    pub intake_memory_bytes: usize,
}

impl NightPlan {
    /// Whether a stage may send requests and publish.
    pub fn is_selected(&self, stage: Stage) -> bool {
        self.stages.as_ref().is_none_or(|stages| stages.contains(&stage))
    }

    /// Whether the run can produce anything: the job configures the source of a selected stage. The roster alone
    /// produces nothing.
    pub fn has_work(&self, job: &Job) -> bool {
        let brings = |stage: Stage| is_configured(job, stage) && !stage.datasets().is_empty();
        let has_source = Stage::ALL.into_iter().any(brings);
        has_source
            && (self.is_selected(Stage::Reconcile)
                || Stage::ALL.into_iter().any(|it| self.is_selected(it) && brings(it)))
    }

    /// Whether a staged file belongs to a selected stage.
    pub(super) fn wants(&self, file: &StagedFile, entries: &[StageEntry]) -> bool {
        if file.is_report() {
            return self.is_selected(Stage::Report);
        }
        let owner = entries.iter().find(|entry| entry.rows.contains_key(&file.dataset));
        owner.and_then(|entry| Stage::find(&entry.stage)).is_some_and(|stage| self.is_selected(stage))
    }

    /// Whether a dataset depends on a selected stage.
    pub(super) fn concerns(&self, dataset: &str) -> bool {
        let is_at_stake = |stage: &Stage| stage.datasets_at_stake().contains(&dataset);
        self.is_selected(Stage::Reconcile)
            || Stage::ALL.into_iter().filter(is_at_stake).any(|stage| self.is_selected(stage))
    }
}

/// A night of a job that is to be run.
#[derive(Debug, Clone, Copy)]
pub struct PlannedNight<'a> {
    /// The job.
    pub job: &'a Job,
    /// Which date, and how.
    pub plan: &'a NightPlan,
    /// Clock, sleep, randomness.
    pub world: &'a World,
}
