//! A finished night before publishing: what it staged, and what is to be reported.

use chrono::NaiveDate;

use super::failure::issue_of;
use super::sources::Sources;
use super::unit_counts::UnitCounts;
use super::verdict::Verdict;
use crate::dataset::manifest::{ReadPartition, Restated, StageEntry};
use crate::dataset::partition::Provenance;
use crate::dataset::staged::StagedFile;
use crate::dataset::status::{RunStatus, StageStatus};
use crate::error::{ExitCode, Failure};
use crate::reconcile::{BreakFigures, Footing, Judgement};
use crate::stage::Stage;

/// A night whose stages, match and rules are done.
pub(super) struct FinishedNight {
    pub(super) verdict: Verdict,
    pub(super) sources: Sources,
    /// `None` when no rules were run.
    pub(super) judgement: Option<Judgement>,
    pub(super) breaks: BreakFigures,
    pub(super) units: UnitCounts,
    pub(super) footing: Vec<Footing>,
    pub(super) files: Vec<StagedFile>,
    pub(super) provenance: Provenance,
    pub(super) read_partitions: Vec<ReadPartition>,
    pub(super) restated: Option<Restated>,
    pub(super) missing_dates: Option<(NaiveDate, NaiveDate)>,
    pub(super) early_decisions: usize,
}

impl FinishedNight {
    /// Withdraws the night: an inconsistent night publishes nothing, and its manifest says why.
    pub(super) fn withdraw(&mut self, failure: Failure) -> Result<(), Failure> {
        let code = failure.code;
        let issue = issue_of(failure)?;
        self.verdict = Verdict { code, publish: false };
        self.judgement = None;
        self.breaks = BreakFigures::default();
        self.units = UnitCounts::default();
        self.sources.entries.retain(|entry| !entry.is(Stage::Reconcile) && !entry.is(Stage::Report));
        let failed = StageEntry::new(Stage::Reconcile, StageStatus::Failed);
        self.sources.entries.push(StageEntry { why: Some(issue.what.clone()), ..failed });
        self.sources.issues.push(issue);
        Ok(())
    }

    /// The status for the manifest.
    pub(super) fn status(&self) -> RunStatus {
        match self.verdict {
            Verdict { publish: false, .. } => RunStatus::Failed,
            Verdict { code: ExitCode::Complete, .. } => RunStatus::Complete,
            _ => RunStatus::Partial,
        }
    }
}
