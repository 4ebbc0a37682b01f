//! One business date from job to published files.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};

use super::engine;
use super::entries::{footing_entry, stage_entry};
use super::failure::{
    disk, issue_of, rules_wrong, undecided, unjournalled, unjudgeable, unmatched, unpublished, unstaged, violated,
};
use super::opening::{complete_publication, connect, keep_certificates, open_journal, persona, run_id};
use super::pack::{self, NightToReport};
use super::place::Held;
use super::provenance::{digest_if_there, digest_parts, earlier_partitions, refuse_altered, refuse_vanished};
use super::restated;
use super::script;
use super::stages::{self, Sources};
use super::telling::{Chronicle, LastWords};
use super::verdict::{Evidence, Verdict};
use crate::clock::World;
use crate::contract;
use crate::dataset::Lake;
use crate::dataset::manifest::{MANIFEST_VERSION, Manifest, ReadPartition, Restated, StageEntry};
use crate::dataset::partition::{PartLimit, Provenance};
use crate::dataset::publication;
use crate::dataset::publish::{StagedFile, Staging};
use crate::dataset::runs::Runs;
use crate::dataset::status::{RunStatus, StageStatus};
use crate::error::{ExitCode, Failure};
use crate::extract::{Issue, IssueKind, Night, Watcher};
use crate::job::Job;
use crate::journal::{Journal, Mode};
use crate::reconcile::{self, Asked, DayFiles, Decisions, Footing, Judgement, ReconcileError, Scratch, Site};
use crate::record::{Break, LedgerRow, Record};
use crate::sorter::Room;
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
}

/// How a night ended.
#[derive(Debug)]
pub struct NightOutcome {
    /// What the shell sees.
    pub code: ExitCode,
    /// Where the manifest stands: a path, or the URL of its object.
    pub manifest_path: PathBuf,
    /// Its content.
    pub manifest: Manifest,
    /// Breaks of the day; empty when nothing was judged.
    pub breaks: Vec<Break>,
    /// Why it is not complete.
    pub issues: Vec<Issue>,
}

/// Told of the journal as soon as there is one, to make it durable when the run is cut off.
pub trait JournalKeeper {
    /// This is the journal of the night that begins.
    fn keep(&self, journal: &Arc<Journal>);
    /// What to leave beside it then; none once the night has ended.
    fn keep_words(&self, words: Option<LastWords>);
}

/// Runs one business date.
///
/// # Errors
/// What stops a run before or beside its stages: the lock, the disk, keys that are none.
pub async fn run_night(
    job: &Job,
    plan: &Plan,
    world: &World,
    watcher: &dyn Watcher,
    keeper: &impl JournalKeeper,
) -> Result<NightOutcome, Failure> {
    let started_at = world.clock.now();
    let run_id = run_id(world, started_at);
    let held = Held::open(job, plan.date, world, &run_id)?;
    let chronicle = Chronicle::begin(job, plan, &held.lake, (&run_id, started_at), world).await;
    keeper.keep_words(Some(chronicle.last_words()));
    let result =
        prepared(job, plan, world, (watcher, keeper), &held, async |work| work.publish((&run_id, started_at)).await);
    let result = result.await;
    keeper.keep_words(None);
    chronicle.end(&result).await;
    result
}

/// Opens what a night works with and has it work.
pub(super) async fn prepared<T>(
    job: &Job,
    plan: &Plan,
    world: &World,
    (watcher, keeper): (&dyn Watcher, &impl JournalKeeper),
    held: &Held,
    then: impl AsyncFnOnce(Work<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let lake = &held.lake;
    complete_publication(lake, job)?;
    let runs = Runs::of(lake, plan.date).map_err(|error| disk(&error, "cannot read earlier manifests"))?;
    let journal = Arc::new(held.keeping(open_journal(lake, plan, &runs, world)?));
    keeper.keep(&journal);
    let apis = connect(job, world)?;
    let persona = persona(job);
    let staging =
        Staging::open(lake, &job.name, plan.date).map_err(|error| disk(&error, "cannot open the staging folder"))?;
    let staging = staging.in_parts(PartLimit::of_bytes(job.part_bytes));
    let room = Room { folder: staging.folder().to_owned(), memory_bytes: plan.intake_memory_bytes };
    let night = Night {
        job,
        date: plan.date,
        lake,
        journal: &journal,
        world,
        room: &room,
        persona: &persona,
        apis: &apis,
        watcher,
        selected: plan.stages.as_ref(),
    };
    then(Work { night: &night, lake, staging: &staging, plan, runs: &runs }).await
}

/// A night at work.
pub(super) struct Work<'a> {
    pub(super) night: &'a Night<'a>,
    pub(super) lake: &'a Lake,
    pub(super) staging: &'a Staging,
    pub(super) plan: &'a Plan,
    /// What earlier runs of the date have published.
    runs: &'a Runs,
}

/// A night that has done what it could.
pub(super) struct Done {
    pub(super) verdict: Verdict,
    pub(super) sources: Sources,
    judgement: Option<Judgement>,
    breaks: Vec<Break>,
    footing: Vec<Footing>,
    pub(super) files: Vec<StagedFile>,
    provenance: Provenance,
    pub(super) read_partitions: Vec<ReadPartition>,
    restated: Option<Restated>,
    missing_dates: Option<(NaiveDate, NaiveDate)>,
    early_decisions: usize,
}

impl Done {
    /// A night that does not hold together publishes nothing, and its manifest says why.
    fn withdraw(&mut self, failure: Failure) -> Result<(), Failure> {
        let code = failure.code;
        let issue = issue_of(failure)?;
        self.verdict = Verdict { code, publish: false };
        self.judgement = None;
        self.breaks = Vec::new();
        self.sources.entries.retain(|entry| !entry.is(Stage::Reconcile) && !entry.is(Stage::Report));
        let failed = StageEntry::new(Stage::Reconcile, StageStatus::Failed);
        self.sources.entries.push(StageEntry { why: Some(issue.what.clone()), ..failed });
        self.sources.issues.push(issue);
        Ok(())
    }
}

impl Work<'_> {
    /// The whole night.
    async fn publish(self, (run_id, started_at): (&str, DateTime<Utc>)) -> Result<NightOutcome, Failure> {
        let done = self.run().await;
        self.keep().await?;
        let done = done?;
        let manifest = self.manifest(&done, run_id, started_at)?;
        let manifest_path =
            publication::publish(self.lake, self.staging, &manifest).map_err(|error| unpublished(&error))?;
        self.staging.discard().map_err(|error| disk(&error, "cannot clear the staging folder"))?;
        if done.verdict.publish {
            self.clear_handover()?;
        }
        let Done { verdict, sources, breaks, .. } = done;
        let manifest_path = PathBuf::from(self.lake.shown(&manifest_path));
        Ok(NightOutcome { code: verdict.code, manifest_path, manifest, breaks, issues: sources.issues })
    }

    /// Makes the journal durable, whatever became of the night.
    pub(super) async fn keep(&self) -> Result<(), Failure> {
        let Night { apis, journal, .. } = self.night;
        keep_certificates(apis, journal).await.and_then(|()| journal.flush()).map_err(|error| unjournalled(&error))?;
        // What is published can be replayed: its journal and the state come first.
        let kept = self.lake.put_memory(self.plan.date);
        kept.map_err(|error| disk(&error, "cannot keep the state; nothing was published"))
    }

    /// Clears what a script of this day was given and left: the day is published.
    fn clear_handover(&self) -> Result<(), Failure> {
        let handover = self.lake.handover(&self.night.job.name, self.plan.date);
        // What another machine put into the bucket is not seen here.
        let may_lie_there = self.plan.takes_script || handover.exists() || self.lake.bucket().is_some();
        if may_lie_there { script::clear(self) } else { Ok(()) }
    }

    async fn run(&self) -> Result<Done, Failure> {
        if !self.plan.takes_script {
            engine::greet(self.night.job)?;
        }
        let mut done = self.gather().await?;
        if done.verdict.publish && self.plan.is_selected(Stage::Reconcile) {
            self.reconcile(&mut done).or_else(|failure| done.withdraw(failure))?;
        }
        if let Some(issue) = self.would_worsen(&done) {
            done.sources.issues.push(issue);
            done.verdict.publish = false;
        }
        match done.verdict.publish {
            true => done.files.retain(|file| self.is_wanted(file, &done.sources.entries)),
            false => done.files.clear(),
        }
        Ok(done)
    }

    /// The night up to its match: everything is asked and staged.
    pub(super) async fn gather(&self) -> Result<Done, Failure> {
        let job = self.night.job;
        let rules = reconcile::rules_of(job).map_err(rules_wrong)?;
        reconcile::rehearse_rules(job, self.plan.date).map_err(rules_wrong)?;
        let rules_sha256 = rules.sha256();
        let read_partitions = earlier_partitions(job, self.lake, self.plan.date)
            .map_err(|error| disk(&error, "cannot read earlier partitions"))?;
        let intact = refuse_altered(self.lake, &read_partitions)
            .and_then(|()| refuse_vanished(job, self.lake, self.plan.date, &read_partitions));
        let mut sources = stages::run(self.night, self.staging, &rules_sha256).await;
        let provenance = self.provenance(&sources, &read_partitions, rules_sha256)?;
        let mut done = Done {
            verdict: self.verdict(&sources),
            files: std::mem::take(&mut sources.files),
            sources,
            judgement: None,
            breaks: Vec::new(),
            footing: Vec::new(),
            provenance,
            read_partitions,
            restated: None,
            missing_dates: restated::missing_before(self.lake, self.plan.date, job.first_date)
                .map_err(|error| disk(&error, "cannot list published partitions"))?,
            early_decisions: 0,
        };
        intact.or_else(|failure| done.withdraw(failure))?;
        Ok(done)
    }

    /// A dataset that was complete is not replaced by one that is not: what is published stays, whole.
    fn would_worsen(&self, done: &Done) -> Option<Issue> {
        if !done.verdict.publish {
            return None;
        }
        let selected = |dataset: &str| {
            self.plan.is_selected(Stage::Reconcile)
                || Stage::ALL
                    .into_iter()
                    .any(|it| self.plan.is_selected(it) && stages::wanted_by(it).contains(&dataset))
        };
        let mut short = done.sources.shortfall.keys().filter(|dataset| selected(dataset));
        let worse = short.find(|dataset| self.runs.was_complete(dataset))?;
        let what = format!("`{worse}` was complete when {} was published; that stays as it is", self.plan.date);
        Some(Issue { kind: IssueKind::Incomplete, what, hint: Some("run again when every source answers".to_owned()) })
    }

    /// Match, rules, reports; a violation on the way takes the night back.
    fn reconcile(&self, done: &mut Done) -> Result<(), Failure> {
        let mut files = self.day_files(&done.files)?;
        let Sources { asked, unknown, .. } = &mut done.sources;
        let asked = Asked { wallets: std::mem::take(asked), unknown_coupons: std::mem::take(unknown) };
        let scratch = Scratch::new_in(self.staging.folder());
        let scratch = scratch.map_err(|error| disk(&error, "cannot make a scratch folder"))?;
        let mut site = match self.plan.takes_script {
            true => script::take(self, done, &files, &asked)?,
            false => engine::open(self.night.job, self.lake)?,
        };
        self.stage_ledger(done, &mut site, (&files, &scratch), &asked)?;
        if let Some(side) = done.footing.iter().find(|side| !side.holds()) {
            return Err(Failure::new(ExitCode::Violation, format!("the night does not foot: {side}")));
        }
        files.day.insert("coupon_ledger".to_owned(), self.staging.partition("coupon_ledger"));
        let decisions = self.decisions(done.missing_dates.is_some())?;
        let shortfall = &done.sources.shortfall;
        let breaks = &mut done.breaks;
        let judgement = reconcile::judge(self.night.job, &mut site, (&files, &scratch), shortfall, &decisions, |row| {
            breaks.push(row);
            Ok(())
        });
        let judgement = judgement.map_err(unjudgeable)?;
        engine::clear(self.night.job, self.lake, &site)?;
        let is_listed = |id: &str| done.breaks.iter().any(|it| it.break_id == id);
        done.early_decisions = decisions.count_early(self.plan.date, is_listed);
        let is_decided = |id: &str| decisions.find(id).is_some();
        let restated = restated::against_published(self.lake, self.plan.date, &done.breaks, is_decided);
        done.restated = restated.map_err(|error| violated(&error))?;
        let files_of_breaks = self.staging.write(&done.breaks, &done.provenance);
        done.files.extend(files_of_breaks.map_err(|error| unstaged(&error))?);
        done.sources.entries.push(stage_entry(Stage::Reconcile, &done.files, Stage::Reconcile.datasets()));
        if self.plan.is_selected(Stage::Report) {
            self.report(done, &files, &judgement)?;
        }
        done.judgement = Some(judgement);
        Ok(())
    }

    /// Stages the ledger as it is built, and keeps what it sums up to.
    fn stage_ledger(
        &self,
        done: &mut Done,
        site: &mut Site,
        night: (&DayFiles, &Scratch),
        asked: &Asked,
    ) -> Result<(), Failure> {
        let dataset = LedgerRow::DATASET;
        let writer = self.staging.begin(dataset, &done.provenance).map_err(|error| unstaged(&error))?;
        let mut writer = writer.on_one_thread();
        let footing = reconcile::build_ledger(self.night.job, site, night, asked, |batch| {
            writer.write(&batch).map_err(ReconcileError::from)
        });
        done.footing = footing.map_err(|error| unmatched(&error))?;
        done.files.extend(self.staging.end(dataset, writer).map_err(|error| unstaged(&error))?);
        Ok(())
    }

    /// The decisions, and which breaks of other nights they may be about: any, where nights were never run.
    fn decisions(&self, has_missing_nights: bool) -> Result<Decisions, Failure> {
        let Some(path) = &self.night.job.decisions else { return Ok(Decisions::default()) };
        let bytes = match std::fs::read(path) {
            // Nobody has decided anything yet.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Decisions::default()),
            bytes => bytes.map_err(|error| disk(&error, "cannot read the decisions"))?,
        };
        let decisions = Decisions::parse(&path.display().to_string(), &bytes).map_err(|error| undecided(&error))?;
        if decisions.is_empty() {
            return Ok(decisions);
        }
        let (lake, date) = (self.lake, self.plan.date);
        let later = restated::breaks_after(lake, date).map_err(|error| violated(&error))?;
        let wanted = decisions.in_force(date);
        if has_missing_nights {
            return Ok(decisions.knowing(later).remembering(wanted));
        }
        let mut earlier = restated::breaks_up_to(lake, date, wanted.clone()).map_err(|error| violated(&error))?;
        let unlisted = wanted.difference(&earlier).cloned().collect();
        let taken_out = restated::taken_out_up_to(lake, date, unlisted);
        earlier.extend(taken_out.map_err(|error| disk(&error, "cannot read the manifests of earlier runs"))?);
        Ok(decisions.knowing(later).remembering(earlier))
    }

    fn report(&self, done: &mut Done, files: &DayFiles, judgement: &Judgement) -> Result<(), Failure> {
        let footing: Vec<_> = done.footing.iter().map(footing_entry).collect();
        let night = NightToReport {
            job: self.night.job,
            is_partial: done.verdict.code != ExitCode::Complete,
            files,
            judgement,
            breaks: &done.breaks,
            sources: &done.sources,
            footing: &footing,
        };
        done.files.extend(pack::write(&night, self.staging)?);
        done.sources.entries.push(stage_entry(Stage::Report, &done.files, &["reports"]));
        Ok(())
    }

    fn verdict(&self, sources: &Sources) -> Verdict {
        let silent = self.night.apis.health.silent();
        let evidence = Evidence {
            issues: &sources.issues,
            silent_apis: &silent,
            anybody_answered: self.night.apis.health.anybody_answered(),
            anything_to_publish: sources.files.iter().any(|file| self.is_wanted(file, &sources.entries)),
        };
        evidence.verdict()
    }

    fn provenance(
        &self,
        sources: &Sources,
        read: &[ReadPartition],
        rules_sha256: String,
    ) -> Result<Provenance, Failure> {
        let job = self.night.job;
        let mut parts = sources.inputs.clone();
        parts.insert("job".to_owned(), job.fingerprint.clone());
        parts.insert("rules".to_owned(), rules_sha256.clone());
        let decisions = digest_if_there(job.decisions.as_deref());
        parts.insert("decisions".to_owned(), decisions.map_err(|error| disk(&error, "cannot read the decisions"))?);
        parts.extend(read.iter().map(|it| (format!("{}/dt={}", it.dataset, it.date), it.sha256.clone())));
        Ok(Provenance { rules_sha256, inputs_sha256: digest_parts(&parts) })
    }

    /// The day's staged files, and every published day before it.
    pub(super) fn day_files(&self, staged: &[StagedFile]) -> Result<DayFiles, Failure> {
        let mut files = DayFiles::new(self.plan.date);
        for file in staged.iter().filter(|file| file.dataset != "reports") {
            files.day.insert(file.dataset.clone(), self.staging.partition(&file.dataset));
        }
        for contract in contract::all() {
            let earlier = self.lake.partitions(&contract.name, NaiveDate::MIN, self.plan.date);
            let earlier = earlier.map_err(|error| disk(&error, "cannot list published partitions"))?;
            let earlier = earlier.into_iter().map(|partition| (partition.date, partition.path)).collect();
            files.history.insert(contract.name.clone(), earlier);
        }
        Ok(files)
    }

    /// Whether a staged file belongs to a stage that was asked for.
    fn is_wanted(&self, file: &StagedFile, entries: &[StageEntry]) -> bool {
        if file.dataset == "reports" {
            return self.plan.is_selected(Stage::Report);
        }
        let owner = entries.iter().find(|entry| entry.rows.contains_key(&file.dataset));
        owner.and_then(|entry| Stage::find(&entry.stage)).is_some_and(|stage| self.plan.is_selected(stage))
    }

    fn manifest(&self, done: &Done, run_id: &str, started_at: DateTime<Utc>) -> Result<Manifest, Failure> {
        let stale = self.lake.partitions_after("coupon_ledger", self.plan.date);
        let stale = stale.map_err(|error| disk(&error, "cannot list published partitions"))?;
        let mut stages = done.sources.entries.clone();
        stages.sort_by_key(|entry| Stage::find(&entry.stage));
        let unjudged = done.judgement.as_ref().map(|judgement| judgement.unjudged.clone()).unwrap_or_default();
        Ok(Manifest {
            manifest_version: MANIFEST_VERSION,
            code_version: env!("CARGO_PKG_VERSION").to_owned(),
            job: self.night.job.name.clone(),
            business_date: self.plan.date,
            run_id: run_id.to_owned(),
            sequence: self.runs.next_sequence(),
            generation: self.night.journal.generation(),
            started_at,
            finished_at: self.night.world.clock.now(),
            status: status(done),
            exit_code: done.verdict.code as i32,
            stages,
            files: done.files.clone(),
            read_partitions: done.read_partitions.clone(),
            inputs_sha256: done.provenance.inputs_sha256.clone(),
            journal_extent: self.night.journal.extent(),
            journal_sha256: self.night.journal.digests(&self.night.corner()).map_err(|error| unjournalled(&error))?,
            rules_sha256: done.provenance.rules_sha256.clone(),
            unjudged_rules: unjudged
                .into_iter()
                .map(|it| (it.rule_id, format!("{}: {}", it.dataset, it.why)))
                .collect(),
            stale_dates: stale.into_iter().map(|partition| partition.date).collect(),
            footing: done.footing.iter().map(footing_entry).collect(),
            intake: done.sources.intake.clone(),
            coverage: done.sources.coverage.clone(),
            restated: done.restated.clone(),
            missing_dates: done.missing_dates,
            early_decisions: done.early_decisions,
            caller: self.plan.caller.airflow.clone(),
        })
    }
}

fn status(done: &Done) -> RunStatus {
    match done.verdict {
        Verdict { publish: false, .. } => RunStatus::Failed,
        Verdict { code: ExitCode::Complete, .. } => RunStatus::Complete,
        _ => RunStatus::Partial,
    }
}
