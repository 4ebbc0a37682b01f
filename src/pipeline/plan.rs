//! What a run of one date is asked to do.

use std::collections::BTreeSet;

use chrono::NaiveDate;

use super::clerk::is_configured;
use crate::dataset::manifest::StageEntry;
use crate::dataset::staged::StagedFile;
use crate::job::Job;
use crate::journal::Mode;
use crate::stage::Stage;
use crate::watch::Caller;

/// What the night holds of the rows of one export or bill before it sorts them on the disk. What is published
/// does not depend on it.
pub const INTAKE_MEMORY_BYTES: usize = 128 << 20;

/// What a run of one date is asked to do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Business date.
    pub date: NaiveDate,
    /// Stages that may ask and whose datasets are published; `None` means all.
    pub stages: Option<BTreeSet<Stage>>,
    /// How the journal is used.
    pub mode: Mode,
    /// Match and rules are what a script of this night has left (`write_script`).
    pub takes_script: bool,
    /// Who started the run.
    pub caller: Caller,
    /// What may be held of the rows of one export or bill: `INTAKE_MEMORY_BYTES`, less in tests.
    pub intake_memory_bytes: usize,
}

impl Plan {
    /// Whether a stage may ask and publish.
    pub fn is_selected(&self, stage: Stage) -> bool {
        self.stages.as_ref().is_none_or(|stages| stages.contains(&stage))
    }

    /// Whether it can bring anything: the job has the source of a stage that is asked for. The roster alone brings nothing.
    pub fn has_work(&self, job: &Job) -> bool {
        let brings = |stage: Stage| is_configured(job, stage) && !stage.datasets().is_empty();
        let has_source = Stage::ALL.into_iter().any(brings);
        has_source
            && (self.is_selected(Stage::Reconcile)
                || Stage::ALL.into_iter().any(|it| self.is_selected(it) && brings(it)))
    }

    /// Whether a staged file belongs to a stage that was asked for.
    pub(super) fn wants(&self, file: &StagedFile, entries: &[StageEntry]) -> bool {
        if file.dataset == "reports" {
            return self.is_selected(Stage::Report);
        }
        let owner = entries.iter().find(|entry| entry.rows.contains_key(&file.dataset));
        owner.and_then(|entry| Stage::find(&entry.stage)).is_some_and(|stage| self.is_selected(stage))
    }

    /// Whether what becomes of a dataset is the business of a stage that was asked for.
    pub(super) fn concerns(&self, dataset: &str) -> bool {
        let is_at_stake = |stage: &Stage| stage.datasets_at_stake().contains(&dataset);
        self.is_selected(Stage::Reconcile)
            || Stage::ALL.into_iter().filter(is_at_stake).any(|stage| self.is_selected(stage))
    }
}
