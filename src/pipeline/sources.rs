//! The collected results of the source stages of a night. Knows of a stage only whether it asks an API.

use std::collections::{BTreeMap, BTreeSet};

use crate::dataset::manifest::{Coverage, Intake, StageEntry};
use crate::dataset::staged::StagedFile;
use crate::exports::BadRow;
use crate::extract::Issue;
use crate::fingerprints::Fingerprints;
use crate::reconcile::Asked;
use crate::stage::Stage;

/// The collected results of the source stages.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// Staged partitions.
    pub(super) files: Vec<StagedFile>,
    /// Manifest entries, in the order in which the stages ended.
    pub(super) entries: Vec<StageEntry>,
    /// Why datasets are missing or partial.
    pub(super) shortfall: BTreeMap<String, String>,
    /// Every issue of a selected stage.
    pub(super) issues: Vec<Issue>,
    /// Issues of the stages that were not to run and whose rows are matched and judged all the same.
    pub(super) lacking: Vec<Issue>,
    /// Control totals of what was read and staged.
    pub(super) intake: Vec<Intake>,
    /// The wallet coverage.
    pub(super) coverage: Option<Coverage>,
    /// Quarantined order rows.
    pub(super) quarantined: Vec<BadRow>,
    /// Digests of the inputs of the rows.
    pub(super) inputs: BTreeMap<String, String>,
    /// Stage → digest over what its rows were made from.
    pub(super) digests: BTreeMap<String, String>,
    /// Published openids of the wallets that were requested and read to their end tonight.
    pub(super) asked: Fingerprints,
    /// (published openid, code) of coupons that the single query does not know.
    pub(super) unknown: Fingerprints,
}

impl Sources {
    /// The staged files of stages that learnt something, be it that there is nothing. A stage without a question did not: it had
    /// nothing to ask about, because others failed or the job names nothing.
    pub(super) fn brought(&self) -> impl Iterator<Item = &StagedFile> {
        let asked_nothing = |entry: &StageEntry| {
            let asks = Stage::find(&entry.stage).is_some_and(Stage::only_asks);
            asks && entry.requests == 0 && entry.from_journal == 0
        };
        let idle: BTreeSet<_> =
            self.entries.iter().filter(|it| asked_nothing(it)).flat_map(|it| it.rows.keys()).collect();
        self.files.iter().filter(move |file| file.rows > 0 || !idle.contains(&file.dataset))
    }

    /// Takes out which wallets and coupons were requested; they are needed only once.
    pub(super) fn take_asked(&mut self) -> Asked {
        Asked { wallets: std::mem::take(&mut self.asked), unknown_coupons: std::mem::take(&mut self.unknown) }
    }
}
