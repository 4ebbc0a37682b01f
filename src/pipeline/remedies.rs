//! Remedies for the breaks of a published day: proposes a plan of API calls from the lake, and performs an approved
//! plan under the lock of the lake. Decides about no call itself.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::NaiveDate;

use super::decisions;
use super::failure::{call_unkept, disk, not_published, unjournalled, unread, unusable_keys};
use super::lake_access::{LockedLake, ReadableLake};
use super::ownership::refuse_foreign;
use super::run::Run;
use super::setup::complete_publication;
use super::work::JournalKeeper;
use crate::clock::{World, business_date_of};
use crate::dataset::Lake;
use crate::dataset::bucket::Scope;
use crate::dataset::partition::{PartitionError, open_rows, or_error};
use crate::dataset::parts;
use crate::durable;
use crate::error::{ExitCode, Failure};
use crate::extract::keep_certificates;
use crate::job::{Job, PayV3Settings};
use crate::journal::{Journal, Mode};
use crate::reconcile::Decisions;
use crate::record::{Break, Record};
use crate::remedy::{Call, Ended, Facts, Grounds, Latest, OpenBreaks, Performance, Performed, Plan, Source};
use crate::wechat::pay_v3::PayV3;

/// The journal stage that holds the answers to the calls of approved plans.
pub(super) const REMEDIES: &str = "remedies";

/// The result of applying a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// The exit code of the process.
    pub code: ExitCode,
    /// Calls that WeChat performed now.
    pub done: u64,
    /// Calls that an earlier `apply` had completed.
    pub before: u64,
    /// Calls that are no longer needed: the break is not open any more, was decided, or now has a different call or
    /// none.
    pub settled: u64,
    /// Calls that were refused, not answered, answered unexpectedly, or not risked.
    pub failed: u64,
    /// Calls that were not reached.
    pub untried: u64,
}

/// A plan of the calls that would resolve the open breaks of `date` (only of `rules`, if any are named), given the
/// decisions as they are now.
///
/// # Errors
/// The day is not published; published files or decisions cannot be read.
pub fn propose(job: &Job, job_file: &Path, date: NaiveDate, rules: &BTreeSet<String>) -> Result<Plan, Failure> {
    propose_by_facts(job, job_file, date, rules).map(|proposal| proposal.plan)
}

/// The calls and what they follow from.
struct Proposal {
    plan: Plan,
    breaks: OpenBreaks,
    facts: Facts,
    decisions: Decisions,
}

fn propose_by_facts(
    job: &Job,
    job_file: &Path,
    date: NaiveDate,
    rules: &BTreeSet<String>,
) -> Result<Proposal, Failure> {
    let from = job.rules.lookback_start(date);
    let reading = ReadableLake::open(job, &Scope::Audit { date, from })?;
    refuse_foreign(job, &reading.lake)?;
    let path = reading.lake.partition(Break::DATASET, date);
    if !path.is_file() {
        return Err(not_published(job, &reading.lake, date));
    }
    let decisions = decisions::since_night(job, &reading.lake, date)?;
    let breaks = or_error(open_rows(&path));
    let breaks = OpenBreaks::of(breaks, &decisions, date).map_err(unreadable)?;
    let facts = Facts::read(&reading.lake, from, date, breaks.with_remedy()).map_err(unreadable)?;
    let breaks_sha256 = digest_of_breaks(&path)?;
    let job_file = std::path::absolute(job_file).unwrap_or_else(|_| job_file.to_owned());
    let source = Source { job_file: &job_file.to_string_lossy(), date, breaks_sha256: &breaks_sha256 };
    let grounds = Grounds { job, facts: &facts, decisions: &decisions };
    let plan = Plan::propose(grounds, source, &breaks, rules);
    Ok(Proposal { plan, breaks, facts, decisions })
}

/// Performs an approved plan; `tell` is called with the outcome of each call.
///
/// # Errors
/// A plan of another job or merchant, or of breaks that were republished since; the lock, the disk, unusable keys.
pub async fn apply(
    job: &Job,
    plan: &Plan,
    world: &World,
    keeper: &impl JournalKeeper,
    tell: impl FnMut(&Call, &Performed),
) -> Result<Applied, Failure> {
    let settings = caller(job, plan)?;
    let held = LockedLake::open(job, plan.date, world, &Run::begin(world).id)?;
    complete_publication(&held.lake, &job.name)?;
    refuse_stale(job, &held.lake, plan)?;
    refuse_unproposed(job, plan)?;
    let latest = LatestDay::read(job, &held.lake, plan)?;
    let client = PayV3::new(settings, world.clone()).map_err(|error| unusable_keys(&error))?;
    let journal = open_journal(&held, plan.date, world)?;
    keeper.keep(&journal);
    let stage = journal.stage(REMEDIES).map_err(|error| unjournalled(&error))?;
    let asked_day = asked_last(&held.lake, latest.day, world)?;
    let marks = open_marks(&held.lake, job, asked_day)?;
    let performance = Performance {
        client: &client,
        journal: &journal,
        answers: &stage,
        lake: &held.lake,
        job: &job.name,
        marks: &marks,
        asked_day,
        latest: latest.as_told(),
    };
    carry_out(&performance, plan, tell).await
}

/// Makes the calls and counts what became of them; what was done is kept even where it ended with an error.
async fn carry_out(
    performance: &Performance<'_>,
    plan: &Plan,
    mut tell: impl FnMut(&Call, &Performed),
) -> Result<Applied, Failure> {
    let mut applied = Applied::none_of(plan);
    let ended = performance.perform(plan, |call, performed| {
        applied.count(performed);
        tell(call, performed);
    });
    let ended = ended.await;
    let journal = performance.journal;
    let kept = keep_certificates(Some(performance.client), journal).and_then(|()| journal.flush());
    applied.code = applied.code_after(ended.map_err(|error| call_unkept(&error))?);
    kept.map_err(|error| call_unkept(&error))?;
    Ok(applied)
}

/// What the day that was published last says: only by that may a call be made.
struct LatestDay {
    day: NaiveDate,
    proposal: Proposal,
}

impl LatestDay {
    fn read(job: &Job, lake: &Lake, plan: &Plan) -> Result<LatestDay, Failure> {
        let day = last_day(lake, plan.date)?;
        let proposal = propose_by_facts(job, Path::new(&plan.job_file), day, &BTreeSet::new())?;
        Ok(LatestDay { day, proposal })
    }

    fn as_told(&self) -> Latest<'_> {
        let Proposal { plan, breaks, facts, decisions } = &self.proposal;
        let open = breaks.with_remedy().iter().map(|it| it.break_id.as_str()).collect();
        Latest { day: self.day, facts, proposed: plan.proposed(), open, decisions }
    }
}

fn open_journal(held: &LockedLake, date: NaiveDate, world: &World) -> Result<Arc<Journal>, Failure> {
    let journal = Journal::open(&held.lake.journal(date), Mode::Resume, world.clone());
    Ok(Arc::new(held.keeping(journal.map_err(|error| unjournalled(&error))?)))
}

/// The folder of the marks, with one in it for those that are set while `asked_day` is the last day that was asked for.
fn open_marks(lake: &Lake, job: &Job, asked_day: NaiveDate) -> Result<PathBuf, Failure> {
    let marks = lake.remedies(&job.name);
    let folder = marks.join(asked_day.to_string());
    durable::create_private_folder(&folder).map_err(|error| disk(&error, "cannot record what is sent"))?;
    Ok(marks)
}

impl Applied {
    fn none_of(plan: &Plan) -> Applied {
        Applied {
            code: ExitCode::Complete,
            done: 0,
            before: 0,
            settled: 0,
            failed: 0,
            untried: plan.calls.len() as u64,
        }
    }

    fn count(&mut self, performed: &Performed) {
        self.untried -= 1;
        let counted = match performed {
            Performed::Done(_) => &mut self.done,
            Performed::Before(_) => &mut self.before,
            Performed::Settled | Performed::Decided(_) | Performed::Overtaken => &mut self.settled,
            _ => &mut self.failed,
        };
        *counted += 1;
    }

    /// As for a night: completed calls stay completed, so a plan that is only partly done is partial.
    fn code_after(&self, ended: Option<Ended>) -> ExitCode {
        let done = self.done + self.before;
        match ended {
            None if done + self.settled + self.failed == 0 => ExitCode::NothingToDo,
            Some(_) if done > 0 => ExitCode::Partial,
            Some(Ended::Rejected) => ExitCode::Rejected,
            Some(Ended::Unavailable) => ExitCode::Unavailable,
            None if self.failed > 0 => ExitCode::Partial,
            None => ExitCode::Complete,
        }
    }
}

/// The API settings of the merchant for whom the plan was made.
fn caller<'j>(job: &'j Job, plan: &Plan) -> Result<&'j PayV3Settings, Failure> {
    let settings = job
        .pay_v3
        .as_ref()
        .ok_or_else(|| Failure::new(ExitCode::Usage, "the job file has no `[pay_v3]`, which holds the credentials"))?;
    if (&job.name, &settings.mchid) != (&plan.job, &plan.mchid) {
        let what = format!(
            "the plan is for job `{}` of merchant {}, the job file is `{}` of {}",
            plan.job, plan.mchid, job.name, settings.mchid
        );
        return Err(
            Failure::new(ExitCode::Usage, what).hinting("name the job file the plan was made from with `--job`")
        );
    }
    Ok(settings)
}

fn refuse_stale(job: &Job, lake: &Lake, plan: &Plan) -> Result<(), Failure> {
    let path = lake.partition(Break::DATASET, plan.date);
    if !path.is_file() {
        return Err(not_published(job, lake, plan.date));
    }
    let sha256 = digest_of_breaks(&path)?;
    if sha256 == plan.breaks_sha256 {
        return Ok(());
    }
    let what = format!("the breaks of {} were republished since the plan was made", plan.date);
    Err(Failure::new(ExitCode::Usage, what).hinting("make a new plan with `coupon-recon plan` and approve that"))
}

/// Calls may be removed from a plan; one that was added or changed does not follow from the lake.
fn refuse_unproposed(job: &Job, plan: &Plan) -> Result<(), Failure> {
    let Proposal { plan: proposed, decisions, .. } =
        propose_by_facts(job, Path::new(&plan.job_file), plan.date, &BTreeSet::new())?;
    let Some((place, call)) = plan.first_unlike(&proposed, &decisions) else { return Ok(()) };
    let what =
        format!("call {place} of the plan (break {}) is not the one that is proposed for its break", call.break_id);
    Err(Failure::new(ExitCode::Usage, what)
        .hinting("calls may be removed, but not added or changed; after a change of the job file, make a new plan"))
}

fn digest_of_breaks(path: &Path) -> Result<String, Failure> {
    parts::sha256(path).map_err(|error| disk(&error, "cannot read the published breaks"))
}

/// The latest published day.
fn last_day(lake: &Lake, date: NaiveDate) -> Result<NaiveDate, Failure> {
    let latest = lake.latest_before(Break::DATASET, NaiveDate::MAX);
    let latest = latest.map_err(|error| disk(&error, "cannot list the published breaks"))?;
    Ok(latest.map_or(date, |partition| partition.date))
}

/// The last day whose night has asked. One that was cut off, or published nothing, goes on from its journal: when it is
/// published, what it says of a wallet is older than the calls that are made now.
fn asked_last(lake: &Lake, published: NaiveDate, world: &World) -> Result<NaiveDate, Failure> {
    let today = business_date_of(world.clock.now());
    let mut last = published;
    for day in published.iter_days().skip(1).take_while(|day| *day <= today) {
        if lake.has_journal(day).map_err(|error| disk(&error, "cannot list the journal"))? {
            last = day;
        }
    }
    Ok(last)
}

fn unreadable(error: PartitionError) -> Failure {
    let hint = "`coupon-recon verify` names every file that is damaged";
    let failure = unread(&error, "cannot read what is published");
    if failure.hint.is_some() { failure } else { failure.hinting(hint) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_day_that_was_asked_for_is_found_behind_a_day_that_was_not_and_not_in_the_future() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path());
        let day = |day| NaiveDate::from_ymd_opt(2026, 11, day).unwrap();
        let world = World::at("2026-11-21T02:00:00Z".parse().unwrap());
        let asked = || asked_last(&lake, day(18), &world).unwrap();
        assert_eq!(asked(), day(18));
        for (journal, last) in [(20, 20), (22, 20), (21, 21)] {
            std::fs::create_dir_all(lake.journal(day(journal))).unwrap();
            assert_eq!(asked(), day(last));
        }
    }
}
