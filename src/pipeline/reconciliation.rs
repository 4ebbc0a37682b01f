//! Runs match, rules and reports of a night and stages their output. Computes none of it itself.

use super::break_list::BreakList;
use super::decisions;
use super::engine;
use super::entries::{footing_entry, stage_entry};
use super::failure::{disk, unjudgeable, unmatched, unstaged, violated};
use super::finished_night::FinishedNight;
use super::pack::{self, NightToReport};
use super::restatement;
use super::script;
use super::work::Work;
use crate::dataset::staged::REPORTS;
use crate::error::{ExitCode, Failure};
use crate::quantity::counted;
use crate::reconcile::{
    Asked, DayFiles, Decisions, Footing, Judgement, ReconcileError, Reconciliation, Scratch, Site, Waiting,
};
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
    let judgement = bench.judge(done, &decisions)?;
    engine::clear(work.night.job, work.lake, &bench.site)?;
    bench.compare(done, &decisions)?;
    done.sources.entries.push(stage_entry(Stage::Reconcile, &done.files, Stage::Reconcile.datasets()));
    tell_waiting(done, &judgement.waiting);
    if work.plan.is_selected(Stage::Report) {
        report(work, done, &bench.files, &judgement)?;
    }
    done.judgement = Some(judgement);
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

    /// Runs the rules over the ledger and stages the breaks.
    fn judge(&mut self, done: &mut FinishedNight, decisions: &Decisions) -> Result<Judgement, Failure> {
        let Bench { work, site, files, scratch } = self;
        let list = BreakList::begin(work, &done.provenance, decisions);
        let mut list = list.map_err(|error| unstaged(&error))?;
        let night = Reconciliation { basis: work.basis(files), scratch };
        let sink = |it| list.push(it).map_err(ReconcileError::from);
        let judgement = night.judge(site, &done.sources.shortfall, decisions, sink).map_err(unjudgeable)?;
        list.finish(done).map_err(|error| unstaged(&error))?;
        files.day.insert(Break::DATASET.to_owned(), work.staging.partition(Break::DATASET));
        Ok(judgement)
    }

    /// Compares the breaks of this night with those published before.
    fn compare(&self, done: &mut FinishedNight, decisions: &Decisions) -> Result<(), Failure> {
        let (work, tonight) = (self.work, self.work.staging.partition(Break::DATASET));
        let is_decided = |id: &str| decisions.find(id).is_some();
        let restated = restatement::against_published(work.lake, work.plan.date, &tonight, is_decided);
        done.restated = restated.map_err(|error| violated(&error))?;
        Ok(())
    }
}

fn refuse_unfooted(footing: &[Footing]) -> Result<(), Failure> {
    match footing.iter().find(|side| !side.holds()) {
        Some(side) => Err(Failure::new(ExitCode::Violation, format!("the night does not foot: {side}"))),
        None => Ok(()),
    }
}

/// Counts what waits for days that are not known, and names them: nobody would miss a break that never opens. Days that
/// were never run just before D have a warning of their own.
fn tell_waiting(done: &mut FinishedNight, waiting: &Waiting) {
    let Some(entry) = done.sources.entries.last_mut().filter(|_| waiting.rows > 0) else { return };
    entry.notes.insert("waiting_rows".to_owned(), waiting.rows as u64);
    if done.missing_dates.is_none() {
        let days = waiting.days.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let rows = counted(waiting.rows, "row of a rule waits", "rows of rules wait");
        tracing::warn!("{rows} for inputs of {days} that never came; bring them and run these days again");
    }
}

fn report(work: &Work<'_>, done: &mut FinishedNight, files: &DayFiles, judgement: &Judgement) -> Result<(), Failure> {
    let footing: Vec<_> = done.footing.iter().map(footing_entry).collect();
    let night = NightToReport {
        job: work.night.job,
        rules: work.rules,
        is_partial: done.verdict.code != ExitCode::Complete,
        files,
        judgement,
        breaks: &done.breaks,
        sources: &done.sources,
        footing: &footing,
    };
    done.files.extend(pack::write(&night, work.staging)?);
    done.sources.entries.push(stage_entry(Stage::Report, &done.files, &[REPORTS]));
    Ok(())
}
