//! A night before publishing: what its stages staged, and what match and rules made of it if they came to their end.

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

/// A night whose stages are done.
pub(super) struct FinishedNight {
    pub(super) verdict: Verdict,
    pub(super) sources: Sources,
    pub(super) files: Vec<StagedFile>,
    pub(super) provenance: Provenance,
    pub(super) read_partitions: Vec<ReadPartition>,
    /// The days before this one that were never run, first and last.
    pub(super) missing_dates: Option<(NaiveDate, NaiveDate)>,
    /// Control totals of the match; also of one that does not foot, so that the manifest can show what is missing.
    pub(super) footing: Vec<Footing>,
    /// `None` when no rules were run, or something after them failed.
    pub(super) judged: Option<Judged>,
}

/// What the rules of a night made.
pub(super) struct Judged {
    pub(super) judgement: Judgement,
    pub(super) breaks: ListedBreaks,
    /// Compared with the breaks published for the day before; `None` if there are none.
    pub(super) restated: Option<Restated>,
}

/// What is known of the listed breaks of a night without reading them again.
pub(super) struct ListedBreaks {
    pub(super) figures: BreakFigures,
    pub(super) units: UnitCounts,
    /// Decisions that do not apply yet: their breaks are first seen on a later day.
    pub(super) early_decisions: usize,
}

impl FinishedNight {
    /// Withdraws the night: an inconsistent night publishes nothing, and its manifest says why.
    pub(super) fn withdraw(&mut self, failure: Failure) -> Result<(), Failure> {
        let code = failure.code;
        let issue = issue_of(failure)?;
        self.verdict = Verdict { code, publish: false };
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
