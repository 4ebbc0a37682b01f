//! Provenance: one digest over everything a file was made from. Covers contents only, never arrival times, nonces or
//! run ids (design §12), so that the same inputs give the same file. Also refuses earlier partitions that were altered
//! or lost.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use chrono::NaiveDate;

use super::failure::disk;
use super::pack;
use crate::contract::{self, Classification};
use crate::dataset::lake::Partition;
use crate::dataset::manifest::ReadPartition;
use crate::dataset::partition::Provenance;
use crate::dataset::runs::Runs;
use crate::dataset::staged::digest_of;
use crate::dataset::{Lake, parts};
use crate::error::{ExitCode, Failure};
use crate::job::{Job, RuleSettings};
use crate::pseudonyms::Pseudonyms;
use crate::record::{Break, Record};
use crate::sha256::{sha256_of, sha256_of_file};
use crate::stage::Stage;

/// The digest over named parts, in order of their names.
pub(super) fn digest_parts(parts: &BTreeMap<String, String>) -> String {
    let text: String = parts.iter().map(|(name, digest)| format!("{name}\t{digest}\n")).collect();
    sha256_of(text.as_bytes())
}

/// The digest over the `inputs` of a source stage and the section of the job file that says how its files are read: that
/// of the stage's own name, if it has one. What other sections decide stands in the answers that were journalled.
pub(super) fn of_source(job: &Job, stage: Stage, inputs: &BTreeMap<String, String>) -> String {
    let mut parts = inputs.clone();
    parts.insert("settings".to_owned(), job.fingerprint[stage.as_str()].to_string());
    digest_parts(&parts)
}

/// The provenance of what the night itself computes: the `inputs` of its stages and the partitions `read` of earlier
/// days.
pub(super) fn of_night(
    job: &Job,
    inputs: &BTreeMap<String, String>,
    read: &[ReadPartition],
    rules_sha256: String,
) -> Result<Provenance, Failure> {
    let mut parts = inputs.clone();
    parts.insert("job".to_owned(), job.fingerprint.to_string());
    parts.insert("rules".to_owned(), rules_sha256.clone());
    let decisions = digest_if_there(job.decisions.as_deref());
    parts.insert("decisions".to_owned(), decisions.map_err(|error| disk(&error, "cannot read the decisions"))?);
    parts.extend(read.iter().map(|it| (format!("{}/dt={}", it.dataset, it.date), it.sha256.clone())));
    Ok(Provenance { rules_sha256, inputs_sha256: digest_parts(&parts), is_partial: false })
}

/// The earlier partitions that a night of `date` reads.
pub(super) fn earlier_partitions(job: &Job, lake: &Lake, date: NaiveDate) -> std::io::Result<Vec<ReadPartition>> {
    let read = earlier_days(&job.rules, lake, date)?.into_iter().map(|(dataset, partition)| {
        let sha256 = parts::sha256(&partition.path)?;
        Ok(ReadPartition { dataset, date: partition.date, sha256 })
    });
    read.collect()
}

/// Dataset and partition of each: the look-back of every dataset, or the latest partition before it if that is the
/// memory.
pub(super) fn earlier_days(
    rules: &RuleSettings,
    lake: &Lake,
    date: NaiveDate,
) -> std::io::Result<Vec<(String, Partition)>> {
    let mut days = Vec::new();
    for contract in contract::all() {
        let mut partitions = lake.partitions(&contract.name, reads_from(rules, &contract.name, date), date)?;
        if partitions.is_empty() {
            partitions.extend(lake.latest_before(&contract.name, date)?);
        }
        days.extend(partitions.into_iter().map(|partition| (contract.name.clone(), partition)));
    }
    Ok(days)
}

/// The first day of `dataset` that a night of `date` reads: the start of the look-back, or of the trend for the breaks.
pub(super) fn reads_from(rules: &RuleSettings, dataset: &str, date: NaiveDate) -> NaiveDate {
    let from = rules.lookback_start(date);
    if dataset == Break::DATASET { from.min(pack::trend_start(date)) } else { from }
}

/// Refuses earlier partitions that differ from what their runs published: a night made from a swapped or damaged day
/// would be wrong without showing it. A partition that no manifest lists is accepted as it is.
pub(super) fn refuse_altered(lake: &Lake, read: &[ReadPartition]) -> Result<(), Failure> {
    let mut runs_by_date = BTreeMap::new();
    for it in read {
        let runs = runs_of(&mut runs_by_date, lake, it.date)?;
        let published = runs.partition(&it.dataset).map(|(_, parts)| digest_of(parts));
        if published.is_some_and(|published| published != it.sha256) {
            return Err(altered(lake, it));
        }
    }
    Ok(())
}

/// The runs of a date, which are read once.
fn runs_of<'a>(
    runs_by_date: &'a mut BTreeMap<NaiveDate, Runs>,
    lake: &Lake,
    date: NaiveDate,
) -> Result<&'a Runs, Failure> {
    match runs_by_date.entry(date) {
        Entry::Occupied(runs) => Ok(runs.into_mut()),
        Entry::Vacant(place) => {
            let runs = Runs::read(lake, date).map_err(|error| disk(&error, "cannot read earlier manifests"))?;
            Ok(place.insert(runs))
        }
    }
}

/// Refuses a night for which a partition of the look-back is gone that a run published: what it brought, wallets that
/// nobody asks tonight among it, would be taken for never known.
pub(super) fn refuse_vanished(job: &Job, lake: &Lake, date: NaiveDate, read: &[ReadPartition]) -> Result<(), Failure> {
    let yesterday = date.pred_opt().unwrap_or(date);
    let from = job.rules.lookback_start(date).min(yesterday).max(job.first_date.unwrap_or(NaiveDate::MIN));
    let is_there: BTreeSet<_> = read.iter().map(|it| (it.dataset.as_str(), it.date)).collect();
    for day in from.iter_days().take_while(|day| *day < date) {
        let runs = Runs::read(lake, day).map_err(|error| disk(&error, "cannot read earlier manifests"))?;
        let is_gone = |name: &&str| runs.partition(name).is_some() && !is_there.contains(&(*name, day));
        if let Some(dataset) = contract::all().map(|contract| contract.name.as_str()).find(is_gone) {
            return Err(vanished(&lake.partition(dataset, day), day));
        }
    }
    Ok(())
}

/// Refuses a night whose openids would be published under another key than those it reads: every user would be two,
/// and every coupon of a wallet that is asked tonight too. A day whose manifest has no mark is taken as it is.
pub(super) fn refuse_other_key(
    job: &Job,
    lake: &Lake,
    date: NaiveDate,
    pseudonyms: &Pseudonyms,
) -> Result<(), Failure> {
    let mark = pseudonyms.mark();
    let mut runs_by_date = BTreeMap::new();
    let read = earlier_days(&job.rules, lake, date).map_err(|error| disk(&error, "cannot list earlier partitions"))?;
    for (dataset, partition) in read.iter().filter(|(dataset, _)| holds_openids(dataset)) {
        let runs = runs_of(&mut runs_by_date, lake, partition.date)?;
        let marked = runs.partition(dataset).map_or("", |(manifest, _)| &manifest.openid_mark);
        if !marked.is_empty() && marked != mark {
            return Err(under_another_key(&lake.shown(&partition.path)));
        }
    }
    Ok(())
}

fn holds_openids(dataset: &str) -> bool {
    contract::contract(dataset).columns.iter().any(|column| column.classification == Classification::Personal)
}

fn under_another_key(path: &str) -> Failure {
    let what = format!(
        "the openids of `{path}` were published under another `job.pii` or another key than now; nothing was requested"
    );
    Failure::new(ExitCode::Usage, what).hinting(
        "restore the former key (`job.pii_key_file` or `_env`); with a new one, start another lake or rebuild this one from its \
         first day on: `--from … --to … --replay`",
    )
}

fn vanished(path: &Path, day: NaiveDate) -> Failure {
    let what = format!("`{}` is missing, although a run published it; nothing was published", path.display());
    let hint = format!(
        "restore the file or run `--date {day}` again first; to forget the day instead, remove `runs/{day}` too"
    );
    Failure::new(ExitCode::Violation, what).hinting(hint)
}

fn altered(lake: &Lake, it: &ReadPartition) -> Failure {
    let path = lake.partition(&it.dataset, it.date);
    let what =
        format!("`{}` is not the file that was published for {}; nothing was published", path.display(), it.date);
    let hint =
        format!("`verify --date {0}` says what is wrong; restore the file or run `--date {0}` again first", it.date);
    Failure::new(ExitCode::Violation, what).hinting(hint)
}

/// The digest of a file, if there is one.
fn digest_if_there(path: Option<&Path>) -> std::io::Result<String> {
    match path {
        Some(path) if path.is_file() => sha256_of_file(path),
        _ => Ok(String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::manifest::Manifest;
    use crate::dataset::staged::StagedFile;
    use crate::record::UserCoupon;

    #[test]
    fn the_digest_depends_on_names_and_contents_only() {
        let parts = |list: &[(&str, &str)]| {
            digest_parts(&list.iter().map(|(name, digest)| ((*name).to_owned(), (*digest).to_owned())).collect())
        };
        assert_eq!(parts(&[("a", "1"), ("b", "2")]), parts(&[("b", "2"), ("a", "1")]));
        assert_ne!(parts(&[("a", "1")]), parts(&[("a", "2")]));
    }

    fn day(day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, day).unwrap()
    }

    /// The sample's job with a look-back of so many days.
    fn job(lookback_days: u32) -> Job {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-data/job.toml");
        let job = crate::job::load(&path, &|_| None).expect("the sample's job");
        Job { rules: RuleSettings { lookback_days, ..job.rules }, first_date: None, ..job }
    }

    #[test]
    fn the_digest_of_a_source_is_of_its_inputs_and_of_its_own_section_of_the_job_file() {
        let job = job(3);
        let with = |section: &str, value: &str| {
            let mut job = job.clone();
            job.fingerprint[section] = value.into();
            job
        };
        let of = |job: &Job, stage, sha256: &str| {
            of_source(job, stage, &BTreeMap::from([("orders/a.csv".to_owned(), sha256.to_owned())]))
        };
        let usual = of(&job, Stage::Orders, "1");
        assert_eq!(of(&with("rules", "others"), Stage::Orders, "1"), usual);
        assert_ne!(of(&with("orders", "other columns"), Stage::Orders, "1"), usual);
        assert_ne!(of(&job, Stage::Orders, "2"), usual);
        assert_eq!(of(&with("orders", "other columns"), Stage::Cards, "1"), of(&job, Stage::Cards, "1"));
    }

    /// Publishes coupons of a day, with openids in a way that has this mark.
    fn publish(lake: &Lake, date: NaiveDate, openid_mark: &str) {
        let path = lake.partition(UserCoupon::DATASET, date);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, b"").unwrap();
        let file = StagedFile {
            dataset: UserCoupon::DATASET.to_owned(),
            name: parts::FIRST.to_owned(),
            rows: 0,
            bytes: 0,
            sha256: sha256_of(b""),
        };
        let manifest = Manifest { openid_mark: openid_mark.to_owned(), ..Manifest::for_tests("j", date, vec![file]) };
        manifest.write(&lake.run(date, "r1")).unwrap();
    }

    #[test]
    fn a_day_published_before_manifests_had_a_mark_may_be_read_and_one_under_another_key_may_not() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path());
        let tonight = Pseudonyms::hmac(b"tonight's");
        let is_refused = || refuse_other_key(&job(3), &lake, day(20), &tonight).is_err();
        publish(&lake, day(18), "");
        publish(&lake, day(19), &tonight.mark());
        assert!(!is_refused());
        publish(&lake, day(19), &Pseudonyms::raw().mark());
        assert!(is_refused());
        publish(&lake, day(19), &tonight.mark());
        publish(&lake, day(17), &Pseudonyms::raw().mark());
        assert!(!is_refused(), "the night does not read it");
    }

    #[test]
    fn yesterday_may_not_vanish_however_short_the_look_back_and_a_day_before_the_job_begins_may() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path());
        publish(&lake, day(19), "");
        let is_refused = |job: &Job, read: &[ReadPartition]| refuse_vanished(job, &lake, day(20), read).is_err();
        let read = || earlier_partitions(&job(1), &lake, day(20)).unwrap();
        assert!(!is_refused(&job(1), &read()));
        std::fs::remove_file(lake.partition(UserCoupon::DATASET, day(19))).unwrap();
        assert!(is_refused(&job(1), &read()));
        let from_tonight = Job { first_date: Some(day(20)), ..job(1) };
        assert!(!is_refused(&from_tonight, &read()));
    }
}
