//! Finds days that were computed from another version of an earlier day than the one published now. Reads manifests;
//! writes nothing and hashes no file.

use std::collections::BTreeMap;
use std::io;

use chrono::NaiveDate;

use super::provenance::{earlier_days, reads_from};
use crate::contract;
use crate::dataset::Lake;
use crate::dataset::lake::Partition;
use crate::dataset::manifest::Manifest;
use crate::dataset::runs::Runs;
use crate::dataset::staged::{StagedFile, digest_of};
use crate::job::RuleSettings;
use crate::record::{LedgerRow, Record};

/// The partitions of a day: dataset to digest.
type Version = BTreeMap<&'static str, String>;

/// The days after `date` that were made from other partitions of `date` than will be published once `staged` is. `runs`
/// are those of `date`.
pub(super) fn stale_after(
    rules: &RuleSettings,
    lake: &Lake,
    runs: &Runs,
    date: NaiveDate,
    staged: &[StagedFile],
) -> io::Result<Vec<NaiveDate>> {
    let version = version_of(runs, staged);
    let mut stale = Vec::new();
    for partition in lake.partitions_after(LedgerRow::DATASET, date)? {
        let later = Runs::read(lake, partition.date)?;
        // A day without a manifest does not say what it was made from.
        let made = later.partition(LedgerRow::DATASET);
        if made.is_none_or(|(manifest, _)| !is_made_from(rules, manifest, date, &version)) {
            stale.push(partition.date);
        }
    }
    Ok(stale)
}

/// The version of a day: what is staged replaces what was published before.
fn version_of(runs: &Runs, staged: &[StagedFile]) -> Version {
    let sha256_of = |dataset: &str| {
        let parts: Vec<_> = staged.iter().filter(|file| file.dataset == dataset).collect();
        match parts.is_empty() {
            false => Some(digest_of(parts)),
            true => runs.partition(dataset).map(|(_, parts)| digest_of(parts)),
        }
    };
    contract::all().filter_map(|it| Some((it.name.as_str(), sha256_of(&it.name)?))).collect()
}

fn is_made_from(rules: &RuleSettings, manifest: &Manifest, date: NaiveDate, version: &Version) -> bool {
    version.iter().all(|(dataset, sha256)| {
        let mut read = manifest.read_partitions.iter().filter(|it| it.dataset == *dataset);
        match read.clone().find(|it| it.date == date) {
            Some(it) => it.sha256 == *sha256,
            // A partition before the look-back is read only if no later one serves as the memory.
            None => date < reads_from(rules, dataset, manifest.business_date) && read.any(|it| it.date > date),
        }
    })
}

/// A partition of an earlier day that `manifest` did not read because it was published later.
pub(super) fn unread(
    rules: &RuleSettings,
    lake: &Lake,
    manifest: &Manifest,
) -> io::Result<Option<(String, NaiveDate)>> {
    let read = |dataset: &str| -> Vec<NaiveDate> {
        let read = manifest.read_partitions.iter().filter(|it| it.dataset == dataset);
        read.map(|it| it.date).collect()
    };
    let first = read(LedgerRow::DATASET).into_iter().min().unwrap_or(NaiveDate::MIN);
    for (dataset, Partition { date, .. }) in earlier_days(rules, lake, manifest.business_date)? {
        let is_known = read(&dataset).contains(&date);
        // A day before all that were read may lie in a look-back that the job made longer since: that is no publication.
        if !is_known && (date >= first || is_published_after(manifest, lake, &dataset, date)?) {
            return Ok(Some((dataset, date)));
        }
    }
    Ok(None)
}

/// Whether no run had published the partition when `manifest` was made.
fn is_published_after(manifest: &Manifest, lake: &Lake, dataset: &str, date: NaiveDate) -> io::Result<bool> {
    let runs = Runs::read(lake, date)?;
    let mut published = runs.publishing.iter().filter(|it| it.files.iter().any(|file| file.dataset == dataset));
    let oldest = published.next_back();
    Ok(oldest.is_some_and(|oldest| oldest.finished_at > manifest.finished_at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::manifest::ReadPartition;

    fn day(day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, day).unwrap()
    }

    /// Whether a day that was computed from these earlier ledgers includes that of the 10th.
    fn knows(read: &[(u32, &str)], business_day: u32) -> bool {
        let read = read.iter().map(|(date, sha256)| ReadPartition {
            dataset: LedgerRow::DATASET.to_owned(),
            date: day(*date),
            sha256: (*sha256).to_owned(),
        });
        let mut manifest = Manifest::for_tests("j", day(business_day), Vec::new());
        manifest.read_partitions = read.collect();
        let rules = RuleSettings { lookback_days: 3, ..RuleSettings::default() };
        is_made_from(&rules, &manifest, day(10), &Version::from([(LedgerRow::DATASET, "a".to_owned())]))
    }

    #[test]
    fn a_later_day_is_stale_only_where_it_was_made_from_something_else() {
        assert!(knows(&[(10, "a")], 11));
        assert!(!knows(&[(10, "b")], 11), "restated");
        assert!(!knows(&[(9, "a")], 11), "filled in");
        assert!(!knows(&[], 20), "it would be the memory");
        assert!(!knows(&[(9, "a")], 20), "the same");
        assert!(knows(&[(17, "c")], 20), "before the look-back");
    }
}
