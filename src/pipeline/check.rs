//! What `coupon-recon check` verifies before a night: one cheap call per API, the rules, callbacks,
//! decisions, the engine and the lake. In a bucket it puts one small object and removes it again; it writes
//! nothing else.

use std::path::Path;
use std::time::Duration;

use chrono::NaiveDate;

use super::decisions;
use super::engine;
use super::failure::store_code;
use super::lake_access::{ReadableLake, lake_as_shown};
use super::ownership::refuse_foreign;
use super::provenance::refuse_other_key;
use super::setup::{connect, pseudonyms};
use crate::clock::{World, business_date_of};
use crate::dataset::Lake;
use crate::dataset::bucket::Scope;
use crate::error::{ExitCode, Failure};
use crate::exports::notifications::opens_newest;
use crate::extract::{Apis, Issue, IssueKind};
use crate::job::{BucketSettings, EngineKind, Job};
use crate::quantity::counted;
use crate::reconcile;
use crate::store::{Store, probe};
use crate::wechat::ApiError;
use crate::wechat::mp::cards;
use crate::wechat::pay_v2::coupon_stock;
use crate::wechat::pay_v3::busifavor::stock;
use crate::wechat::pay_v3::{Keyring, certificates};

/// The result of one check.
#[derive(Debug)]
pub struct Finding {
    /// What was checked.
    pub what: String,
    /// What is wrong with it, and the exit code a night would end with.
    pub problem: Option<(ExitCode, String)>,
}

impl Finding {
    fn fine(what: impl Into<String>) -> Finding {
        Finding { what: what.into(), problem: None }
    }

    fn wrong(what: impl Into<String>, code: ExitCode, problem: String) -> Finding {
        Finding { what: what.into(), problem: Some((code, problem)) }
    }

    /// What a night would fail with.
    fn failed(what: impl Into<String>, failure: &Failure) -> Finding {
        Finding::wrong(what, failure.code, with_hint(failure.in_one_line(), failure.hint.as_deref()))
    }
}

/// A check gives up sooner than a night would.
const PATIENCE: Duration = Duration::from_secs(10);
/// A spool may hold years of callbacks.
const CALLBACKS_TRIED: usize = 100;

/// Checks everything a night needs from the job; one finding each.
pub async fn check_job(job: &Job, world: &World) -> Vec<Finding> {
    let job = &in_a_hurry(job.clone());
    let (lake, today) = (check_lake(job, world), business_date_of(world.clock.now()));
    let is_readable = job.bucket.is_none() || lake.problem.is_none();
    let mut findings = vec![check_rules(job, today), lake];
    findings.extend(check_merchant_paths(job));
    findings.extend(check_decisions(job));
    findings.extend(is_readable.then(|| check_books(job, today)).into_iter().flatten());
    findings.extend(check_engine(job));
    match connect(job, world) {
        Err(failure) => findings.push(Finding::failed("keys", &failure)),
        Ok(apis) => {
            findings.push(Finding::fine("keys can be read"));
            findings.extend(check_apis(job, &apis).await);
        }
    }
    findings
}

/// Sends one cheap request to each API of the job.
async fn check_apis(job: &Job, apis: &Apis) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(pay_v3) = &apis.pay_v3 {
        let answer = match job.stock_ids.first() {
            Some(id) => pay_v3.send(&stock(id)).await.map(drop),
            None => pay_v3.send(&certificates()).await.map(drop),
        };
        findings.push(told("`pay_v3`: signature, serial, clock and host", answer));
        findings.extend(check_callbacks(job, pay_v3.keyring()));
    }
    if let (Some(pay_v2), Some(id)) = (&apis.pay_v2, job.pay_v2.as_ref().and_then(|it| it.stock_ids.first())) {
        findings.push(told("`pay_v2`: key and host", pay_v2.send(&coupon_stock(id)).await.map(drop)));
    }
    if let Some(mp) = &apis.mp {
        findings.push(told("`mp`: appid, secret and host", mp.send(&cards::cards(0, 1)).await.map(drop)));
    }
    findings
}

fn in_a_hurry(mut job: Job) -> Job {
    for limits in job.limits_mut() {
        limits.timeout = limits.timeout.min(PATIENCE);
        limits.retry_deadline = limits.retry_deadline.min(PATIENCE);
    }
    if let Some(bucket) = &mut job.bucket {
        bucket.retry_deadline = bucket.retry_deadline.min(PATIENCE);
    }
    job
}

fn check_rules(job: &Job, today: NaiveDate) -> Finding {
    let rehearsed =
        reconcile::rules_of(job).and_then(|rules| reconcile::rehearse_rules(job, &rules, today).map(|()| rules));
    match rehearsed {
        Ok(rules) => Finding::fine(counted(rules.iter().count(), "rule", "rules")),
        Err(error) => Finding::wrong("rules", ExitCode::Usage, error.to_string()),
    }
}

/// Every folder and file of the merchant that the job names but that does not exist.
fn check_merchant_paths(job: &Job) -> Vec<Finding> {
    let missing = job.merchant_paths.iter().filter_map(|path| {
        let line = path.line.map_or_else(String::new, |line| format!("line {line}: "));
        let problem = with_hint(path.problem()?, Some("relative paths start at the folder of the job file"));
        Some(Finding::wrong(format!("{line}`{}`", path.key), ExitCode::Usage, problem))
    });
    let missing: Vec<_> = missing.collect();
    if !missing.is_empty() || job.merchant_paths.is_empty() {
        return missing;
    }
    vec![Finding::fine("folders and files that the job file names")]
}

/// Whether what is published is of this job, with openids under its key.
fn check_books(job: &Job, today: NaiveDate) -> Vec<Finding> {
    let lake = match ReadableLake::open(job, &Scope::Manifests) {
        Ok(reading) => reading,
        Err(failure) => return vec![Finding::failed("lake", &failure)],
    };
    let of_another = refuse_foreign(job, &lake.lake).err().map(|failure| Finding::failed("`job.lake`", &failure));
    let other_key = refuse_other_key(job, &lake.lake, today, &pseudonyms(job)).err();
    let other_key = other_key.map(|failure| Finding::failed("`job.pii`", &failure));
    of_another.into_iter().chain(other_key).collect()
}

/// A night reads them after it has asked everybody.
fn check_decisions(job: &Job) -> Option<Finding> {
    let path = job.decisions.as_deref()?;
    match decisions::read(path) {
        Err(failure) => Some(Finding::failed("decisions", &failure)),
        Ok(None) => Some(Finding::fine(format!("no decisions yet: `{}` is not there or empty", path.display()))),
        Ok(Some(_)) => None,
    }
}

/// Answers do not show whether the APIv3 key is right where their signatures are verified with the public
/// key; callbacks do.
fn check_callbacks(job: &Job, keyring: &Keyring) -> Option<Finding> {
    let opens = opens_newest(job.notification_spool.as_ref()?, CALLBACKS_TRIED, keyring).ok()??;
    let what = "`pay_v3`: APIv3 key, on spooled callbacks";
    if opens {
        return Some(Finding::fine(what));
    }
    let hint = "`pay_v3.api_v3_key_env` must name the APIv3 key of the merchant, not its v2 key";
    let hint = keyring.api_v3_key_origin().spell(hint);
    let problem = "the newest one that WeChat Pay signed cannot be opened".to_owned();
    Some(Finding::wrong(what, ExitCode::Rejected, with_hint(problem, Some(&hint))))
}

/// Only if the engine is on another machine.
fn check_engine(job: &Job) -> Option<Finding> {
    let remote = &job.engine.spark.as_ref().filter(|_| job.engine.kind == EngineKind::Spark)?.remote;
    let what = format!("cluster `{}`", remote.shown());
    Some(match engine::greet(job) {
        Ok(()) => Finding::fine(what),
        Err(failure) => Finding::failed(what, &failure),
    })
}

fn with_hint(problem: String, hint: Option<&str>) -> String {
    match hint {
        Some(hint) => format!("{problem}\n     hint: {hint}"),
        None => problem,
    }
}

fn check_lake(job: &Job, world: &World) -> Finding {
    let lake = lake_as_shown(job);
    let what = format!("lake `{}`", lake.shown(lake.root()).trim_end_matches('/'));
    let is_writable = is_writable(&job.lake);
    match &job.bucket {
        None if is_writable => Finding::fine(what),
        None => Finding::wrong(what, ExitCode::Usage, "is not writable; `job.lake` names it".to_owned()),
        Some(bucket) => {
            let what = format!("{what}: bucket, keys and conditional puts");
            if is_writable {
                return check_bucket(what, bucket, world);
            }
            let problem = format!("the work folder `{}` is not writable; `job.work_dir` names it", job.lake.display());
            Finding::wrong(what, ExitCode::Usage, problem)
        }
    }
}

/// Whether a night may write to the folder of a lake, or create it.
fn is_writable(lake: &Path) -> bool {
    let nearest = lake.ancestors().find(|folder| folder.exists());
    let may_write = |folder: &Path| rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok();
    nearest.is_some_and(|folder| folder.is_dir() && may_write(folder)) && Lake::at(lake).closed_folder().is_none()
}

fn check_bucket(what: String, bucket: &BucketSettings, world: &World) -> Finding {
    let key = format!("state/check-{}", world.nonce());
    match Store::connect(bucket).and_then(|store| probe(&store, &key)) {
        Ok(()) => Finding::fine(what),
        Err(error) => Finding::wrong(what, store_code(&error), with_hint(error.to_string(), Some(error.hint()))),
    }
}

fn told(what: &str, answer: Result<(), ApiError>) -> Finding {
    let Err(error) = answer else { return Finding::fine(what) };
    let issue = Issue::from(&error);
    let code = match issue.kind {
        IssueKind::Credentials | IssueKind::Unverified => ExitCode::Rejected,
        IssueKind::Unavailable => ExitCode::Unavailable,
        IssueKind::NotReady => ExitCode::TryLater,
        _ => ExitCode::Partial,
    };
    Finding::wrong(what, code, with_hint(issue.what, issue.hint.as_deref()))
}
