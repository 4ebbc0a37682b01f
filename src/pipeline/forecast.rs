//! A dry run: which calls a night would make, how long they take at the rate limit, and which partitions
//! it would write. Sends no request and leaves no trace. Also refuses days whose bills WeChat no longer
//! keeps, before any request.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::NaiveDate;
use serde::Serialize;

use super::failure::{disk, rules_wrong, temporary};
use super::lake_access::ReadableLake;
use super::night_plan::{NightPlan, PlannedNight};
use super::ownership::refuse_foreign;
use super::progress::Quiet;
use super::provenance::refuse_other_key;
use super::setup::{Equipment, connect, pseudonyms};
use super::stage_recorder::is_configured;
use crate::api::Api;
use crate::clock::World;
use crate::dataset::Lake;
use crate::dataset::bucket::Scope;
use crate::error::{ExitCode, Failure};
use crate::extract::{self, Issue, StageForecast};
use crate::job::{ApiLimits, BillSource, Job};
use crate::journal::{Journal, Mode};
use crate::reconcile;
use crate::sorter::Room;
use crate::stage::Stage;

/// What one night would do.
#[derive(Debug, Serialize)]
pub struct NightForecast {
    /// Business date.
    pub date: NaiveDate,
    /// Calls, approximately.
    pub calls: u64,
    /// Requests that the journal has already answered.
    pub journalled: u64,
    /// Seconds the calls take at the rate limits; the APIs are called concurrently.
    pub seconds_at_rate_limit: u64,
    /// By stage.
    pub stages: Vec<StageOutlook>,
    /// Later days that were computed from what this night would replace.
    pub stale_dates: Vec<NaiveDate>,
}

/// What one stage would do.
#[derive(Debug, Serialize)]
pub struct StageOutlook {
    /// The stage.
    pub stage: Stage,
    /// Calls, approximately.
    pub calls: u64,
    /// Requests that the journal has already answered.
    pub journalled: u64,
    /// Seconds its calls take at the rate limit.
    pub seconds_at_rate_limit: u64,
    /// Partitions that do not exist yet.
    pub new: Vec<&'static str>,
    /// Partitions that exist and would be replaced; the same inputs give the same bytes.
    pub replaced: Vec<&'static str>,
    /// Why it would be incomplete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Forecasts one night.
///
/// # Errors
/// Invalid rules or keys, an unreadable lake or journal.
pub async fn forecast_night(night: PlannedNight<'_>) -> Result<NightForecast, Failure> {
    let PlannedNight { job, plan, .. } = night;
    reconcile::rules_of(job)
        .and_then(|rules| reconcile::rehearse_rules(job, &rules, plan.date))
        .map_err(rules_wrong)?;
    let scope = Scope::Night { date: plan.date, from: job.rules.lookback_start(plan.date) };
    let reading = ReadableLake::open(job, &scope)?;
    refuse_foreign(job, &reading.lake)?;
    let equipment = equip(night, &reading.lake)?;
    let told = extract::forecast(&equipment.night(night, &reading.lake, &Quiet)).await.map_err(unreadable)?;
    let told: BTreeMap<_, _> = told.into_iter().map(|it| (it.stage, it)).collect();
    let stages: Vec<_> =
        stages(job, plan).map(|stage| outlook(job, &reading.lake, plan, stage, told.get(&stage))).collect();
    let stale = reading.lake.partitions_after("coupon_ledger", plan.date);
    let stale = stale.map_err(|error| disk(&error, "cannot list partitions"))?;
    Ok(NightForecast {
        date: plan.date,
        calls: stages.iter().map(|it| it.calls).sum(),
        journalled: stages.iter().map(|it| it.journalled).sum(),
        seconds_at_rate_limit: seconds(job, &stages, &told),
        stages,
        stale_dates: stale.into_iter().map(|partition| partition.date).collect(),
    })
}

/// What the night would work with; nothing is written to a lake that is only read.
fn equip(night: PlannedNight<'_>, lake: &Lake) -> Result<Equipment, Failure> {
    let PlannedNight { job, plan, world } = night;
    let journal = Arc::new(peek(lake, plan.date, world)?);
    let (apis, pseudonyms) = (connect(job, world)?, pseudonyms(job));
    refuse_other_key(job, lake, plan.date, &pseudonyms)?;
    let room = Room { folder: std::env::temp_dir(), memory_bytes: plan.intake_memory_bytes };
    tempfile::tempfile_in(&room.folder).map_err(|error| temporary(&error, "cannot make a scratch file"))?;
    Ok(Equipment { journal, apis, pseudonyms, room })
}

/// The stages that would do something.
fn stages(job: &Job, plan: &NightPlan) -> impl Iterator<Item = Stage> {
    let is_done = |stage: Stage| is_configured(job, stage) || matches!(stage, Stage::Reconcile | Stage::Report);
    Stage::ALL.into_iter().filter(move |stage| plan.is_selected(*stage) && is_done(*stage))
}

fn unreadable(issue: Issue) -> Failure {
    Failure::new(ExitCode::Partial, issue.what).with_hint(issue.hint)
}

fn peek(lake: &Lake, date: NaiveDate, world: &World) -> Result<Journal, Failure> {
    Journal::open(&lake.journal(date), Mode::Peek, world.clone())
        .map_err(|error| Failure::caused_by(ExitCode::Usage, format!("cannot read the journal of {date}"), &error))
}

fn outlook(job: &Job, lake: &Lake, plan: &NightPlan, stage: Stage, told: Option<&StageForecast>) -> StageOutlook {
    let datasets = stage.datasets();
    let is_there = |dataset: &&str| lake.partition(dataset, plan.date).is_file();
    let asks = plan.mode != Mode::Replay;
    let calls = told.map_or(0, |it| if plan.mode == Mode::Refetch { it.calls + it.journalled } else { it.calls });
    let calls = if asks { calls } else { 0 };
    let issue = told.and_then(|it| it.issue.as_ref());
    StageOutlook {
        stage,
        calls,
        journalled: told.map_or(0, |it| it.journalled),
        seconds_at_rate_limit: told.and_then(|it| job.limits_of(it.api?)).map_or(0, |it| seconds_of(calls, it)),
        new: datasets.iter().copied().filter(|it| !is_there(it)).collect(),
        replaced: datasets.iter().copied().filter(is_there).collect(),
        problem: issue.map(|issue| issue.what.clone()),
        hint: issue.and_then(|issue| issue.hint.clone()),
    }
}

/// Seconds for a night: the stages of one API share its rate, and the APIs are called concurrently.
fn seconds(job: &Job, stages: &[StageOutlook], told: &BTreeMap<Stage, StageForecast>) -> u64 {
    let of_api = |api: Api| {
        let asked = |it: &StageOutlook| told.get(&it.stage)?.api;
        let mine = stages.iter().filter(|it| asked(it) == Some(api));
        job.limits_of(api).map_or(0, |limits| seconds_of(mine.map(|it| it.calls).sum(), limits))
    };
    Api::ALL.map(of_api).into_iter().max().unwrap_or(0)
}

fn seconds_of(calls: u64, limits: &ApiLimits) -> u64 {
    calls.div_ceil(u64::from(limits.rate_per_second.max(1)))
}

/// Refuses a range of dates whose bills WeChat no longer keeps and which are not in the journal: they
/// could never be complete, so nothing is requested.
///
/// # Errors
/// Names the first such date and the oldest date that can be run.
pub fn refuse_forgotten(job: &Job, plans: &[NightPlan], world: &World) -> Result<(), Failure> {
    if !matches!(job.bills, Some(BillSource::Api { .. })) {
        return Ok(());
    }
    let oldest = extract::oldest_kept(world.clock.now());
    for plan in plans.iter().filter(|plan| plan.date < oldest && plan.mode != Mode::Replay) {
        let reading = ReadableLake::open(job, &Scope::Journal { date: plan.date })?;
        let journal = peek(&reading.lake, plan.date, world)?;
        let is_journalled = plan.mode == Mode::Resume
            && journal.stage(Stage::Bills.as_str()).is_ok_and(|bills| bills.contains(&plan.date.to_string()));
        if plan.is_selected(Stage::Bills) && !is_journalled {
            return Err(forgotten(plan.date, oldest));
        }
    }
    Ok(())
}

fn forgotten(date: NaiveDate, oldest: NaiveDate) -> Failure {
    let what = format!(
        "the bill of {date} is gone: WeChat keeps bills for three months, now from {oldest} on; nothing was requested"
    );
    Failure::new(ExitCode::Usage, what).hinting(format!(
        "begin with `--from {oldest}`, or use `bills.source = \"files\"` with bills you kept, or leave the stage out with `--stage`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_take_whole_seconds_at_the_rate_limit() {
        let limits = ApiLimits {
            base_url: "https://api.mch.weixin.qq.com".parse().unwrap(),
            backup_url: None,
            timeout: std::time::Duration::from_secs(1),
            retry_deadline: std::time::Duration::from_secs(1),
            rate_per_second: 100,
            concurrency: 1,
        };
        assert_eq!([0, 1, 100, 101, 10_000_000].map(|calls| seconds_of(calls, &limits)), [0, 1, 1, 2, 100_000]);
    }
}
