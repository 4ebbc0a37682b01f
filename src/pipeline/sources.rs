//! What the source stages of a night brought. Knows no stage.

use std::collections::BTreeMap;

use crate::dataset::manifest::{Coverage, Intake, StageEntry};
use crate::dataset::staged::StagedFile;
use crate::exports::BadRow;
use crate::extract::Issue;
use crate::fingerprints::Fingerprints;
use crate::reconcile::Asked;

/// What the source stages of a night brought.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// Staged partitions.
    pub(super) files: Vec<StagedFile>,
    /// Manifest entries, in the order in which stages ended.
    pub(super) entries: Vec<StageEntry>,
    /// Why datasets are missing or partial.
    pub(super) shortfall: BTreeMap<String, String>,
    /// Every issue of a stage that was to run.
    pub(super) issues: Vec<Issue>,
    /// Issues of the stages that were not to run and whose rows are matched and judged all the same.
    pub(super) lacking: Vec<Issue>,
    /// Control totals of what was read and staged.
    pub(super) intake: Vec<Intake>,
    /// How much of the wallets was verified lately.
    pub(super) coverage: Option<Coverage>,
    /// Order rows put aside.
    pub(super) quarantined: Vec<BadRow>,
    /// Digests of what the rows were made of.
    pub(super) inputs: BTreeMap<String, String>,
    /// Published openids of wallets asked and settled tonight.
    pub(super) asked: Fingerprints,
    /// (published openid, code) unknown to the single query.
    pub(super) unknown: Fingerprints,
}

impl Sources {
    /// Whom the night asked; it needs that once.
    pub(super) fn take_asked(&mut self) -> Asked {
        Asked { wallets: std::mem::take(&mut self.asked), unknown_coupons: std::mem::take(&mut self.unknown) }
    }
}
