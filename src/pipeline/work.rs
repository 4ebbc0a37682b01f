//! The working part of a night: opens what it needs, runs all source stages and stages their rows. Neither matches nor
//! publishes.

use std::io;
use std::sync::Arc;

use chrono::NaiveDate;

use super::failure::{disk, rules_wrong, unjournalled, unread};
use super::finished_night::FinishedNight;
use super::lake_access::LockedLake;
use super::night_plan::{NightPlan, PlannedNight};
use super::observers::LastWords;
use super::provenance::{self, earlier_partitions, refuse_altered, refuse_other_key, refuse_vanished};
use super::restatement;
use super::setup::{Equipment, complete_publication, connect, open_journal, open_staging, pseudonyms};
use super::sources::Sources;
use super::stages;
use super::verdict::{Circumstances, Verdict};
use crate::contract;
use crate::dataset::Lake;
use crate::dataset::manifest::SOURCE_DIGESTS;
use crate::dataset::partial_days::PartialDays;
use crate::dataset::partition::PartitionError;
use crate::dataset::publish::Staging;
use crate::dataset::runs::Runs;
use crate::dataset::staged::StagedFile;
use crate::error::Failure;
use crate::extract::{Night, Watcher, keep_certificates};
use crate::journal::Journal;
use crate::reconcile::rules::Rules;
use crate::reconcile::{self, Basis, DayFiles, Terms};
use crate::sorter::Room;
use crate::stage::Stage;

/// Receives the journal as soon as it is open, to make it durable when the run is interrupted.
pub trait JournalKeeper {
    /// The journal of the night that starts.
    fn keep(&self, journal: &Arc<Journal>);
    /// What to write beside it on an interrupt; `None` once the night has ended.
    fn keep_words(&self, words: Option<LastWords>);
}

/// A night in progress.
pub(super) struct Work<'a> {
    pub(super) night: &'a Night<'a>,
    pub(super) lake: &'a Lake,
    pub(super) staging: &'a Staging,
    pub(super) plan: &'a NightPlan,
    /// What earlier runs of the date published.
    pub(super) runs: &'a Runs,
    /// The rules of the job as they are tonight.
    pub(super) rules: &'a Rules,
    terms: &'a Terms,
}

/// Opens what a night works with, and calls `then` with it.
pub(super) async fn prepared<T>(
    planned: PlannedNight<'_>,
    watcher: &dyn Watcher,
    keeper: &impl JournalKeeper,
    held: &LockedLake,
    then: impl AsyncFnOnce(Work<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let (PlannedNight { job, plan, world }, lake) = (planned, &held.lake);
    complete_publication(lake, &job.name)?;
    let runs = Runs::read(lake, plan.date).map_err(|error| disk(&error, "cannot read earlier manifests"))?;
    let journal = Arc::new(held.keeping(open_journal(lake, job, plan, &runs, world)?));
    keeper.keep(&journal);
    let (apis, pseudonyms) = (connect(job, world)?, pseudonyms(job));
    let staging = open_staging(lake, job, plan.date)?;
    let room = Room { folder: staging.folder().to_owned(), memory_bytes: plan.intake_memory_bytes };
    let equipment = Equipment { journal, apis, pseudonyms, room };
    let night = equipment.night(planned, lake, watcher);
    let (rules, terms) = (reconcile::rules_of(job).map_err(rules_wrong)?, Terms::of(job));
    let work = Work { night: &night, lake, staging: &staging, plan, runs: &runs, rules: &rules, terms: &terms };
    then(work).await
}

impl Work<'_> {
    /// The night up to its match: everything is requested and staged.
    pub(super) async fn gather(&self) -> Result<FinishedNight, Failure> {
        let (job, date) = (self.night.job, self.plan.date);
        reconcile::rehearse_rules(job, self.rules, date).map_err(rules_wrong)?;
        let rules_sha256 = self.rules.sha256();
        refuse_other_key(job, self.lake, date, self.night.pseudonyms)?;
        let read = earlier_partitions(job, self.lake, date);
        let read_partitions = read.map_err(|error| disk(&error, "cannot read earlier partitions"))?;
        // Even if an earlier day was altered, everything is requested: the journal keeps it for the rerun.
        let intact = refuse_altered(self.lake, &read_partitions)
            .and_then(|()| refuse_vanished(job, self.lake, date, &read_partitions));
        let mut sources = stages::run(self.night, self.staging, &rules_sha256).await;
        let provenance = provenance::of_night(job, &sources.inputs, &read_partitions, rules_sha256)?;
        let verdict = self.verdict(&sources);
        let lacking = std::mem::take(&mut sources.lacking);
        sources.issues.extend(lacking);
        let missing_dates = restatement::missing_before(self.lake, date, job.first_date);
        let mut done = FinishedNight {
            verdict,
            files: std::mem::take(&mut sources.files),
            sources,
            provenance,
            read_partitions,
            missing_dates: missing_dates.map_err(|error| disk(&error, "cannot list published partitions"))?,
            footing: Vec::new(),
            judged: None,
        };
        intact.or_else(|failure| done.withdraw(failure))?;
        Ok(done)
    }

    fn verdict(&self, sources: &Sources) -> Verdict {
        let health = &self.night.apis.health;
        let circumstances = Circumstances {
            issues: &sources.issues,
            lacking: &sources.lacking,
            silent_apis: &health.silent(),
            anybody_answered: health.anybody_answered(),
            anything_to_publish: sources.brought().any(|file| self.plan.wants(file, &sources.entries)),
            anything_to_judge: sources.brought().next().is_some(),
        };
        circumstances.verdict()
    }

    /// Whether a staged file is published: it is of a selected stage, or ledger and breaks are made from it and nobody has
    /// published it as it is now. Without it they would tell of rows that no dataset has.
    pub(super) fn publishes(&self, file: &StagedFile, sources: &Sources) -> bool {
        let is_matched = self.plan.is_selected(Stage::Reconcile) && !file.is_report();
        self.plan.wants(file, &sources.entries) || (is_matched && self.is_news(file, sources))
    }

    /// Whether the published version of a file was made from another source, or there is none.
    fn is_news(&self, file: &StagedFile, sources: &Sources) -> bool {
        let Some((published, _)) = self.runs.partition(&file.dataset) else { return true };
        let stage = Stage::of_dataset(&file.dataset).map(Stage::as_str).unwrap_or_default();
        // What an older program means by its digest is for `verify`.
        published.source_digests == SOURCE_DIGESTS
            && published.source_sha256.get(stage).is_some_and(|digest| sources.digests.get(stage) != Some(digest))
    }

    /// Makes the journal durable, whatever the result of the night.
    pub(super) async fn keep(&self) -> Result<(), Failure> {
        let Night { apis, journal, .. } = self.night;
        keep_certificates(apis.pay_v3.as_ref(), journal)
            .and_then(|()| journal.flush())
            .map_err(|error| unjournalled(&error))?;
        // What is published must be replayable: its journal and the state come first.
        let kept = self.lake.put_memory(self.plan.date);
        kept.map_err(|error| disk(&error, "cannot keep the state; nothing was published"))
    }

    /// What is matched and judged.
    pub(super) fn basis<'f>(&'f self, files: &'f DayFiles) -> Basis<'f> {
        Basis { terms: self.terms, rules: self.rules, files }
    }

    /// The day's staged files, and every published day before it.
    pub(super) fn day_files(&self, staged: &[StagedFile]) -> Result<DayFiles, Failure> {
        let files = published_before(self.lake, self.plan.date);
        let mut files = files.map_err(|error| disk(&error, "cannot list published partitions"))?;
        for file in staged.iter().filter(|file| !file.is_report()) {
            files.day.insert(file.dataset.clone(), self.staging.partition(&file.dataset));
        }
        self.mark_partial(&mut files)?;
        Ok(files)
    }

    /// The days on which something was not answered, for the tables with rules that take an earlier day for whole.
    fn mark_partial(&self, files: &mut DayFiles) -> Result<(), Failure> {
        let start = self.night.job.rules.lookback_start(self.plan.date);
        let unreadable = |error: PartitionError| unread(&error, "cannot read a published partition");
        let mut partial_days = PartialDays::of(self.lake);
        for dataset in [Stage::Datacube, Stage::Stocks].into_iter().flat_map(Stage::datasets) {
            let earlier = files.history.get(*dataset).into_iter().flatten().filter(|(date, _)| *date >= start);
            for (date, _) in earlier {
                if partial_days.contain(dataset, *date).map_err(unreadable)? {
                    files.partial.insert(((*dataset).to_owned(), *date));
                }
            }
        }
        Ok(())
    }
}

/// The files of `date` without its own: every published day before it.
pub(super) fn published_before(lake: &Lake, date: NaiveDate) -> io::Result<DayFiles> {
    let mut files = DayFiles::new(date);
    for contract in contract::all() {
        let earlier = lake.partitions(&contract.name, NaiveDate::MIN, date)?;
        let earlier = earlier.into_iter().map(|partition| (partition.date, partition.path)).collect();
        files.history.insert(contract.name.clone(), earlier);
    }
    Ok(files)
}
