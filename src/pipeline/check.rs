//! What `coupon-recon check` verifies before a night: one cheap call per API, the rules, callbacks,
//! decisions, the engine and the lake. In a bucket it puts one small object and removes it again; it writes
//! nothing else.

use std::path::Path;
use std::time::Duration;

use chrono::NaiveDate;

use super::decisions;
use super::engine;
use super::failure::store_code;
use super::lake_access::lake_as_shown;
use super::provenance::refuse_other_key;
use super::setup::{connect, pseudonyms};
use crate::clock::{World, business_date_of};
use crate::dataset::Lake;
use crate::error::{ExitCode, Failure};
use crate::exports::notifications::opens_newest;
use crate::extract::Issue;
use crate::extract::IssueKind;
use crate::job::{BucketSettings, EngineKind, Job};
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

/// A check gives up sooner than a night would.
const PATIENCE: Duration = Duration::from_secs(10);
/// A spool may hold years of callbacks.
const CALLBACKS_TRIED: usize = 100;

/// Checks everything a night needs from the job; one finding each.
pub async fn check_job(job: &Job, world: &World) -> Vec<Finding> {
    let job = &in_a_hurry(job.clone());
    let mut findings = vec![check_rules(job, business_date_of(world.clock.now())), check_lake(job, world)];
    findings.extend(check_named(job));
    findings.extend(check_decisions(job));
    findings.extend(check_openid_key(job, business_date_of(world.clock.now())));
    findings.extend(check_engine(job));
    match connect(job, world) {
        Err(failure) => {
            findings.push(Finding { what: "keys".to_owned(), problem: Some((failure.code, with_hint(&failure))) })
        }
        Ok(apis) => {
            findings.push(Finding { what: "keys can be read".to_owned(), problem: None });
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
        }
    }
    findings
}

fn in_a_hurry(mut job: Job) -> Job {
    for limits in job.limits_mut() {
        limits.timeout = limits.timeout.min(PATIENCE);
        limits.retry_deadline = limits.retry_deadline.min(PATIENCE);
    }
    job
}

fn check_rules(job: &Job, today: NaiveDate) -> Finding {
    match reconcile::rehearse_rules(job, today).and_then(|()| reconcile::rules_of(job)) {
        Ok(rules) => Finding { what: format!("{} rules", rules.iter().count()), problem: None },
        Err(error) => Finding { what: "rules".to_owned(), problem: Some((ExitCode::Usage, error.to_string())) },
    }
}

/// Every folder and file of the merchant that the job names but that does not exist.
fn check_named(job: &Job) -> Vec<Finding> {
    let missing = job.named.iter().filter_map(|named| {
        let line = named.line.map_or_else(String::new, |line| format!("line {line}: "));
        let hint = "relative paths start at the folder of the job file";
        let problem = format!("{}\n     hint: {hint}", named.problem()?);
        Some(Finding { what: format!("{line}`{}`", named.key), problem: Some((ExitCode::Usage, problem)) })
    });
    let missing: Vec<_> = missing.collect();
    if !missing.is_empty() || job.named.is_empty() {
        return missing;
    }
    vec![Finding { what: "folders and files that the job file names".to_owned(), problem: None }]
}

/// Whether what is published in a folder has openids under the key of the job. A bucket is not read for it.
fn check_openid_key(job: &Job, today: NaiveDate) -> Option<Finding> {
    let lake = job.bucket.is_none().then(|| Lake::at(&job.lake))?;
    let failure = refuse_other_key(job, &lake, today, &pseudonyms(job)).err()?;
    Some(Finding { what: "`job.pii`".to_owned(), problem: Some((failure.code, with_hint(&failure))) })
}

/// A night reads them after it has asked everybody.
fn check_decisions(job: &Job) -> Option<Finding> {
    let failure = decisions::read(job.decisions.as_deref()?).err()?;
    Some(Finding { what: "decisions".to_owned(), problem: Some((failure.code, with_hint(&failure))) })
}

/// Answers do not show whether the APIv3 key is right where their signatures are verified with the public
/// key; callbacks do.
fn check_callbacks(job: &Job, keyring: &Keyring) -> Option<Finding> {
    let opens = opens_newest(job.notification_spool.as_ref()?, CALLBACKS_TRIED, keyring).ok()??;
    let hint = "`pay_v3.api_v3_key_env` must name the APIv3 key of the merchant, not its v2 key";
    let problem = || {
        let problem = "the newest one that WeChat Pay signed cannot be opened";
        (ExitCode::Rejected, format!("{problem}\n     hint: {}", keyring.api_v3_key_origin().spell(hint)))
    };
    Some(Finding { what: "`pay_v3`: APIv3 key, on spooled callbacks".to_owned(), problem: (!opens).then(problem) })
}

/// Only if the engine is on another machine.
fn check_engine(job: &Job) -> Option<Finding> {
    let remote = &job.engine.spark.as_ref().filter(|_| job.engine.kind == EngineKind::Spark)?.remote;
    let problem = engine::greet(job).err().map(|failure| (failure.code, with_hint(&failure)));
    Some(Finding { what: format!("cluster `{}`", remote.shown()), problem })
}

fn with_hint(failure: &Failure) -> String {
    let hint = failure.hint.iter().map(|hint| format!("\n     hint: {hint}"));
    hint.fold(failure.chain.join(": "), |text, hint| text + &hint)
}

fn check_lake(job: &Job, world: &World) -> Finding {
    let lake = lake_as_shown(job);
    let what = format!("lake `{}`", lake.shown(lake.root()).trim_end_matches('/'));
    let nearest = job.lake.ancestors().find(|folder| folder.exists());
    let may_write = |folder: &Path| rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok();
    let is_writable = nearest.is_some_and(|folder| folder.is_dir() && may_write(folder));
    let is_writable = is_writable && Lake::at(&job.lake).closed_folder().is_none();
    let Some(bucket) = &job.bucket else {
        let problem = (!is_writable).then(|| (ExitCode::Usage, "is not writable; `job.lake` names it".to_owned()));
        return Finding { what, problem };
    };
    let what = format!("{what}: bucket, keys and conditional puts");
    if !is_writable {
        let problem = format!("the work folder `{}` is not writable; `job.work_dir` names it", job.lake.display());
        return Finding { what, problem: Some((ExitCode::Usage, problem)) };
    }
    let hasty = BucketSettings { retry_deadline: PATIENCE.min(bucket.retry_deadline), ..bucket.clone() };
    let key = format!("state/check-{}", world.nonce());
    let answer = Store::connect(&hasty).and_then(|store| probe(&store, &key));
    let problem = answer.err().map(|error| (store_code(&error), format!("{error}\n     hint: {}", error.hint())));
    Finding { what, problem }
}

fn told(what: &str, answer: Result<(), ApiError>) -> Finding {
    let problem = answer.err().map(|error| {
        let issue = Issue::from(&error);
        let code = match issue.kind {
            IssueKind::Credentials => ExitCode::Rejected,
            IssueKind::Unavailable => ExitCode::Unavailable,
            IssueKind::NotReady => ExitCode::TryLater,
            _ => ExitCode::Partial,
        };
        let hint = issue.hint.map_or_else(String::new, |hint| format!("\n     hint: {hint}"));
        (code, format!("{}{hint}", issue.what))
    });
    Finding { what: what.to_owned(), problem }
}
