//! Records what the stages of a night report and stages the rows they bring. What a stage lacks is remembered for the rules
//! and the exit code. Requests nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::entries::rows_of;
use super::provenance::{self, digest_parts};
use super::sources::Sources;
use super::stage_output::StageOutput;
use crate::dataset::manifest::{Intake, StageEntry};
use crate::dataset::partition::Provenance;
use crate::dataset::publish::Staging;
use crate::dataset::status::StageStatus;
use crate::extract::{Harvest, Issue, IssueKind, Night};
use crate::job::Job;
use crate::stage::Stage;

/// The result of a stage.
pub(super) type Answer<T> = Result<Harvest<T>, Issue>;

/// Records the results of stages and stages their rows.
pub(super) struct StageRecorder<'a> {
    pub(super) night: &'a Night<'a>,
    pub(super) staging: &'a Staging,
    rules_sha256: &'a str,
    /// What the stages have brought so far.
    pub(super) sources: Sources,
}

impl<'a> StageRecorder<'a> {
    pub(super) fn new(night: &'a Night<'a>, staging: &'a Staging, rules_sha256: &'a str) -> StageRecorder<'a> {
        StageRecorder { night, staging, rules_sha256, sources: Sources::default() }
    }

    /// Records the result of a stage; returns what it leaves for other stages, or a default.
    pub(super) fn take<T, U: Default>(
        &mut self,
        stage: Stage,
        answer: Answer<T>,
        write: impl FnOnce(&mut StageOutput<'_>, T) -> Result<U, Issue>,
    ) -> U {
        if !is_configured(self.night.job, stage) {
            self.sources.entries.push(StageEntry::new(stage, StageStatus::Skipped));
            return U::default();
        }
        let taken = answer.and_then(|harvest| self.take_harvest(stage, harvest, write));
        taken.unwrap_or_else(|issue| {
            self.fall_short(stage, &[issue], &BTreeSet::new());
            U::default()
        })
    }

    fn take_harvest<T, U>(
        &mut self,
        stage: Stage,
        harvest: Harvest<T>,
        write: impl FnOnce(&mut StageOutput<'_>, T) -> Result<U, Issue>,
    ) -> Result<U, Issue> {
        let Harvest { rows, mut issues, notes, intake, inputs } = harvest;
        let mut parts: BTreeMap<_, _> = inputs.into_iter().collect();
        let provenance = Provenance { is_partial: !issues.is_empty(), ..self.provenance(stage, &parts) };
        let mut output = StageOutput::new(self.staging, self.night.pseudonyms, provenance, intake, notes);
        let left = write(&mut output, rows)?;
        let digest = provenance::of_source(self.night.job, stage, &parts);
        self.sources.digests.insert(stage.to_string(), digest);
        self.sources.inputs.append(&mut parts);
        issues.append(&mut output.issues);
        let is_kept = issues.iter().all(|issue| issue.kind != IssueKind::Storage);
        // If the disk failed, rows are missing from what was staged: totals that do not agree then are no second fault.
        issues.extend(self.book(std::mem::take(&mut output.intake), &output).filter(|_| is_kept));
        let has_rows = output.files.iter().any(|file| file.rows > 0);
        if !issues.is_empty() {
            let whole = if has_rows { std::mem::take(&mut output.whole) } else { BTreeSet::new() };
            self.fall_short(stage, &issues, &whole);
        }
        // No rows and an issue: that is not an empty day.
        if issues.is_empty() || has_rows {
            let status = if issues.is_empty() { StageStatus::Complete } else { StageStatus::Partial };
            self.enter(stage, output, status);
        }
        Ok(left)
    }

    /// Records the entry and the files of a stage, in place of its earlier shortfall.
    fn enter(&mut self, stage: Stage, output: StageOutput<'_>, status: StageStatus) {
        let short = self.sources.entries.pop_if(|entry| entry.is(stage));
        let mut entry = short.unwrap_or_else(|| StageEntry::new(stage, status));
        entry.status = status;
        entry.rows = rows_of(&output.files);
        entry.notes = output.notes;
        self.count_requests(stage, &mut entry);
        self.sources.entries.push(entry);
        self.sources.files.extend(output.files);
    }

    /// Records the issue and continues with a default.
    pub(super) fn without<T: Default>(&mut self, had: Result<T, Issue>) -> T {
        had.unwrap_or_else(|issue| {
            self.sources.issues.push(issue);
            T::default()
        })
    }

    /// Marks a stage as partial that chose its requests without all of what `sources` tell: what it does have was answered, so
    /// rules may still be judged by it.
    pub(super) fn lack_choice(&mut self, stage: Stage, sources: &[Stage]) {
        let is_short = |entry: &&StageEntry| {
            sources.iter().any(|source| entry.is(*source))
                && matches!(entry.status, StageStatus::Partial | StageStatus::Failed)
        };
        let short: Vec<_> = self.sources.entries.iter().filter(is_short).map(|entry| entry.stage.clone()).collect();
        let entry = self.sources.entries.iter_mut().find(|entry| entry.is(stage));
        let complete = entry.filter(|entry| entry.status == StageStatus::Complete && !short.is_empty());
        if let Some(entry) = complete {
            entry.status = StageStatus::Partial;
            entry.why = Some(format!("what to request is not all known without `{}`", short.join("`, `")));
        }
    }

    /// Compares the control totals of what a stage read with what was staged.
    fn book(&mut self, intake: Vec<Intake>, output: &StageOutput<'_>) -> Option<Issue> {
        for mut side in intake {
            let staged = output.files.iter().filter(|file| file.dataset == side.dataset);
            side.published = staged.map(|file| file.rows).sum();
            side.published_fen = output.totals.get(side.dataset.as_str()).copied().unwrap_or_default();
            if !side.holds() {
                return Some(Issue::violation(format!("what was read does not foot with what is published: {side}")));
            }
            self.sources.intake.push(side);
        }
        None
    }

    fn fall_short(&mut self, stage: Stage, issues: &[Issue], whole: &BTreeSet<&str>) {
        let why = issues.iter().map(|issue| issue.what.as_str()).collect::<Vec<_>>().join("; ");
        for dataset in stage.datasets_at_stake().iter().filter(|dataset| !whole.contains(*dataset)) {
            self.sources.shortfall.insert((*dataset).to_owned(), why.clone());
        }
        let mut entry = StageEntry::new(stage, StageStatus::Failed);
        self.count_requests(stage, &mut entry);
        entry.why = Some(why);
        self.sources.entries.push(entry);
        let is_selected = |stage| self.night.selected.is_none_or(|selected| selected.contains(&stage));
        if is_selected(stage) {
            self.sources.issues.extend_from_slice(issues);
        } else if is_selected(Stage::Reconcile) {
            self.sources.lacking.extend_from_slice(issues);
        }
    }

    fn provenance(&self, stage: Stage, parts: &BTreeMap<String, String>) -> Provenance {
        let mut parts = parts.clone();
        parts.insert("job".to_owned(), self.night.job.fingerprint.to_string());
        parts.insert("stage".to_owned(), stage.to_string());
        let rules_sha256 = self.rules_sha256.to_owned();
        Provenance { rules_sha256, inputs_sha256: digest_parts(&parts), is_partial: false }
    }

    fn count_requests(&self, stage: Stage, entry: &mut StageEntry) {
        if let Ok(journal) = self.night.journal.stage(stage.as_str()) {
            let flow = journal.flow();
            entry.requests = flow.fetched;
            entry.from_journal = flow.found;
            entry.retries = self.night.apis.retries.of(stage);
        }
    }
}

/// Whether the job configures the source of a stage.
pub(super) fn is_configured(job: &Job, stage: Stage) -> bool {
    match stage {
        Stage::Orders => !job.orders.is_empty(),
        Stage::Bills => job.bills.is_some(),
        Stage::SubsidyLedger => job.subsidy_ledger.is_some(),
        Stage::Notifications => job.notification_spool.is_some(),
        Stage::Roster | Stage::UserCoupons => job.wallets.is_some() && job.pay_v3.is_some(),
        Stage::Stocks | Stage::CouponCodes | Stage::Subsidies => job.pay_v3.is_some(),
        Stage::Datacube | Stage::Cards => job.mp.is_some(),
        Stage::V2Stocks => job.pay_v2.is_some(),
        Stage::Reconcile | Stage::Report => false,
    }
}
