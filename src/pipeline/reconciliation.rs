//! Runs match, rules and reports of a night and stages their output. Computes none of it itself.

use super::break_list::BreakList;
use super::decisions;
use super::engine;
use super::entries::{footing_entry, stage_entry};
use super::failure::{disk, unjudgeable, unmatched, unstaged, violated};
use super::finished_night::{FinishedNight, Judged};
use super::pack::{self, NightToReport};
use super::restatement;
use super::script;
use super::work::Work;
use crate::dataset::manifest::StageEntry;
use crate::dataset::staged::{REPORTS, StagedFile};
use crate::error::{ExitCode, Failure};
use crate::quantity::counted;
use crate::reconcile::{Asked, DayFiles, Decisions, Footing, ReconcileError, Reconciliation, Scratch, Site, Waiting};
use crate::record::{Break, LedgerRow, Record};
use crate::stage::Stage;

/// The engine a night is matched and judged with, and its inputs.
struct Bench<'a> {
    work: &'a Work<'a>,
    site: Site,
    files: DayFiles,
    scratch: Scratch,
}

/// Stages ledger, breaks and reports; a failure on the way withdraws the night.
pub(super) fn reconcile(work: &Work<'_>, done: &mut FinishedNight) -> Result<(), Failure> {
    let files = work.day_files(&done.files)?;
    let asked = done.sources.take_asked();
    let mut bench = Bench::open(work, done, files, &asked)?;
    bench.stage_ledger(done, &asked)?;
    refuse_unfooted(&done.footing)?;
    let decisions = decisions::of_night(work.night.job, work.lake, work.plan.date, done.missing_dates.is_some())?;
    let judged = bench.judge(done, &decisions)?;
    engine::clear(work.night.job, work.lake, &bench.site)?;
    if done.missing_dates.is_none() {
        warn_of_waiting(&judged.judgement.waiting);
    }
    if work.plan.is_selected(Stage::Report) {
        let reports = report(work, done, &bench.files, &judged)?;
        done.sources.entries.push(stage_entry(Stage::Report, &reports, &[REPORTS]));
        done.files.extend(reports);
    }
    done.sources.entries.push(reconcile_entry(&done.files, &judged.judgement.waiting));
    done.judged = Some(judged);
    Ok(())
}

impl<'a> Bench<'a> {
    fn open(work: &'a Work<'_>, done: &FinishedNight, files: DayFiles, asked: &Asked) -> Result<Bench<'a>, Failure> {
        let scratch = Scratch::new_in(work.staging.folder());
        let scratch = scratch.map_err(|error| disk(&error, "cannot make a scratch folder"))?;
        let site = match work.plan.takes_script {
            true => script::take(work, done, &files, asked)?,
            false => engine::open(work.night.job, work.lake)?,
        };
        Ok(Bench { work, site, files, scratch })
    }

    /// Stages the ledger while it is built, and keeps its sums.
    fn stage_ledger(&mut self, done: &mut FinishedNight, asked: &Asked) -> Result<(), Failure> {
        let (dataset, staging) = (LedgerRow::DATASET, self.work.staging);
        let writer = staging.begin(dataset, &done.provenance).map_err(|error| unstaged(&error))?;
        let mut writer = writer.on_one_thread();
        let Bench { work, site, files, scratch } = self;
        let sink = |batch| writer.write(&batch).map_err(ReconcileError::from);
        let footing = Reconciliation { basis: work.basis(files), scratch }.build_ledger(site, asked, sink);
        done.footing = footing.map_err(|error| unmatched(&error))?;
        done.files.extend(staging.end(dataset, writer).map_err(|error| unstaged(&error))?);
        files.day.insert(dataset.to_owned(), staging.partition(dataset));
        Ok(())
    }

    /// Runs the rules over the ledger, stages the breaks and compares them with those published before.
    fn judge(&mut self, done: &mut FinishedNight, decisions: &Decisions) -> Result<Judged, Failure> {
        let Bench { work, site, files, scratch } = self;
        let list = BreakList::begin(work, &done.provenance, decisions);
        let mut list = list.map_err(|error| unstaged(&error))?;
        let night = Reconciliation { basis: work.basis(files), scratch };
        let sink = |it| list.push(it).map_err(ReconcileError::from);
        let judgement = night.judge(site, &done.sources.shortfall, decisions, sink).map_err(unjudgeable)?;
        let (staged, breaks) = list.finish().map_err(|error| unstaged(&error))?;
        done.files.extend(staged);
        let tonight = work.staging.partition(Break::DATASET);
        let is_decided = |id: &str| decisions.find(id).is_some();
        let restated = restatement::against_published(work.lake, work.plan.date, &tonight, is_decided);
        files.day.insert(Break::DATASET.to_owned(), tonight);
        Ok(Judged { judgement, breaks, restated: restated.map_err(|error| violated(&error))? })
    }
}

fn refuse_unfooted(footing: &[Footing]) -> Result<(), Failure> {
    match footing.iter().find(|side| !side.holds()) {
        Some(side) => Err(Failure::new(ExitCode::Violation, format!("the night does not foot: {side}"))),
        None => Ok(()),
    }
}

/// The entry of match and rules; it counts what waits for days that are not known.
fn reconcile_entry(files: &[StagedFile], waiting: &Waiting) -> StageEntry {
    let mut entry = stage_entry(Stage::Reconcile, files, Stage::Reconcile.datasets());
    if waiting.rows > 0 {
        entry.notes.insert("waiting_rows".to_owned(), waiting.rows as u64);
    }
    entry
}

/// Names the days for which rows wait: nobody would miss a break that never opens. Days that were never run just before D
/// have a warning of their own.
fn warn_of_waiting(waiting: &Waiting) {
    if waiting.rows > 0 {
        let days = waiting.days.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let rows = counted(waiting.rows, "row of a rule waits", "rows of rules wait");
        tracing::warn!("{rows} for inputs of {days} that never came; bring them and run these days again");
    }
}

/// Stages the finance files.
fn report(
    work: &Work<'_>,
    done: &FinishedNight,
    files: &DayFiles,
    judged: &Judged,
) -> Result<Vec<StagedFile>, Failure> {
    let footing: Vec<_> = done.footing.iter().map(footing_entry).collect();
    let night = NightToReport {
        job: work.night.job,
        rules: work.rules,
        is_partial: done.verdict.code != ExitCode::Complete,
        files,
        judgement: &judged.judgement,
        breaks: &judged.breaks.figures,
        sources: &done.sources,
        footing: &footing,
    };
    pack::write(&night, work.staging)
}
