//! Checks a parsed job file: values, files, environment, combinations. Collects every problem; there is a job only if
//! there was no problem.

mod api;
mod engine;
mod given;
mod path;
mod rule;
mod scalar;
mod secret;
mod source;
mod store;
mod watching;

use std::path::{Path, PathBuf};

use super::file::{BillsSection, JobFile, JobSection};
use super::merchant_path::MerchantPath;
use super::problem::{JobProblems, Place, Problems};
use super::settings::{Job, Pii, RuleSettings};
use super::value::{FromToml, Section, Written};
use given::Given;

/// Default size limit of a part: 4 GiB. A whole day of all but the largest lakes is smaller.
const PART_BYTES: u64 = 4 << 30;
/// Smaller parts would contain little but their footers.
const LEAST_PART_BYTES: i64 = 4096;

/// The inputs of the checks, and the problems found.
pub(super) struct Checker<'a> {
    folder: PathBuf,
    env: &'a dyn Fn(&str) -> Option<String>,
    problems: Problems<'a>,
    warnings: Vec<String>,
    merchant_paths: Vec<MerchantPath>,
    /// `[rules]`, which is told of even if there is no job.
    checked_rules: RuleSettings,
}

impl<'a> Checker<'a> {
    /// A checker for a job file in `folder`; `problems` may already contain those found while parsing.
    pub(super) fn new(folder: PathBuf, env: &'a dyn Fn(&str) -> Option<String>, problems: Problems<'a>) -> Checker<'a> {
        let checked_rules = RuleSettings::default();
        Checker { folder, env, problems, warnings: Vec::new(), merchant_paths: Vec::new(), checked_rules }
    }

    /// The checked job, or all problems.
    pub(super) fn finish(mut self, path: &Path, file: Option<JobFile>) -> Result<Job, JobProblems> {
        let job = file.and_then(|file| self.job(path, &file));
        match (self.problems.into_sorted(), job) {
            (None, Some(job)) => Ok(Job { warnings: self.warnings, merchant_paths: self.merchant_paths, ..job }),
            (problems, _) => {
                let problems = problems.expect("a job that could not be made has a problem noted");
                Err(JobProblems { path: path.to_owned(), problems, rules: Box::new(self.checked_rules) })
            }
        }
    }

    fn job(&mut self, path: &Path, file: &JobFile) -> Option<Job> {
        self.needs(file);
        self.checked_rules = self.rules(value(&file.rules));
        let written = value(&file.job);
        let name = written.and_then(|job| self.file_name(&job.name));
        let lake = written.and_then(|job| self.lake(job, file.store.as_ref()));
        let pii = written.and_then(|job| self.pii(job));
        written.inspect(|job| self.job_patience(job));
        let (lake, bucket) = lake.unzip();
        // A lake that could not be read is told of already.
        let is_in_a_bucket = bucket.as_ref().is_none_or(Option::is_some);
        let job = Job {
            path: path.to_owned(),
            bucket: bucket.flatten(),
            formerly: written.and_then(|job| self.file_name(&job.formerly)),
            first_date: written.and_then(|job| self.date(&job.first_date)),
            part_bytes: written.map_or(PART_BYTES, |job| self.number(&job.part_bytes, PART_BYTES, LEAST_PART_BYTES)),
            pay_v3: value(&file.pay_v3).and_then(|section| self.pay_v3(section, written)),
            pay_v2: value(&file.pay_v2).and_then(|section| self.pay_v2(section, written)),
            mp: value(&file.mp).and_then(|section| self.mp(section, written)),
            stock_ids: value(&file.stocks).map(|section| self.ids(&section.ids)).unwrap_or_default(),
            wallets: value(&file.wallets).and_then(|section| self.wallets(section)),
            orders: self.orders(file.orders.as_ref()),
            bills: value(&file.bills).and_then(|section| self.bills(section)),
            sources: self.calendars(file.sources.as_ref()),
            subsidy_ledger: value(&file.subsidy_ledger).and_then(|section| self.subsidy_ledger(section)),
            subsidy_programs: self.subsidy_programs(file.subsidy_programs.as_ref()),
            notification_spool: value(&file.notifications).and_then(|section| self.merchant_folder(&section.spool)),
            engine: self.engine(value(&file.engine), is_in_a_bucket),
            rules: self.checked_rules.clone(),
            decisions: value(&file.decisions).and_then(|section| self.path(&section.path)),
            report: self.report(value(&file.report)),
            lineage: self.lineage(value(&file.openlineage)),
            metrics_textfile: value(&file.metrics).and_then(|section| self.textfile(section)),
            webhook: value(&file.webhook).and_then(|section| self.webhook(section)),
            fingerprint: file.fingerprint(),
            warnings: Vec::new(),
            merchant_paths: Vec::new(),
            // Last, because without these three there is no job; everything else has been checked by now.
            name: name?,
            lake: lake?,
            pii: pii?,
        };
        Some(job)
    }

    fn pii(&mut self, job: &JobSection) -> Option<Pii> {
        let hmac = self.choice(&job.pii, true, &[("hmac", true), ("raw", false)]);
        let place = job.pii.as_ref().map_or(job.place(), |pii| &pii.place);
        if !hmac {
            return Some(Pii::Raw);
        }
        let given = Given::by(&job.pii_key_env, &job.pii_key_file);
        if given.is_nowhere() && self.problems.is_told(job.place(), &["pii"]) {
            return None;
        }
        let key = self.required_secret("pii_key", job.place(), given)?;
        if key.expose().is_empty() {
            self.problems.add(place, format!("the key of `job.pii` is empty{}", key.origin()));
        } else if key.expose().len() < 16 {
            let advice = "make one with `openssl rand -hex 32` and keep it: another key gives other openids";
            let origin = key.origin();
            self.warnings.push(format!("the key of `job.pii` is shorter than 16 bytes{origin}; {advice}"));
        }
        Some(Pii::Hmac(key))
    }

    /// Sections that need `[pay_v3]`.
    fn needs(&mut self, file: &JobFile) {
        if file.pay_v3.is_some() || self.problems.is_told(file.place(), &["pay_v3"]) {
            return;
        }
        let from_api = |bills: &BillsSection| match &bills.source {
            Some(source) => source.value == "api",
            None => !self.problems.is_told(bills.place(), &["source"]),
        };
        let api_bills = file.bills.as_ref().filter(|bills| from_api(&bills.value));
        let needing = [
            place_of(&file.wallets),
            place_of(&file.stocks),
            place_of(&file.notifications),
            api_bills.map(|bills| &bills.place),
        ];
        for place in needing.into_iter().flatten() {
            let text = format!("`[{}]` needs a section `[pay_v3]`", place.key);
            self.problems.add_with_hint(
                place,
                text,
                "the answers come from APIv3: give merchant, certificate and keys",
            );
        }
    }
}

fn place_of<T: FromToml>(written: &Option<Written<T>>) -> Option<&Place> {
    written.as_ref().map(|written| &written.place)
}

/// The section or value that was written, without its place.
fn value<T>(written: &Option<Written<T>>) -> Option<&T> {
    written.as_ref().map(|written| &written.value)
}
