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
pub(super) fn missed(
    rules: &RuleSettings,
    lake: &Lake,
    manifest: &Manifest,
) -> io::Result<Option<(String, NaiveDate)>> {
    let days_read = |dataset: &str| -> Vec<NaiveDate> {
        let read = manifest.read_partitions.iter().filter(|it| it.dataset == dataset);
        read.map(|it| it.date).collect()
    };
    let first = days_read(LedgerRow::DATASET).into_iter().min().unwrap_or(NaiveDate::MIN);
    for (dataset, Partition { date, .. }) in earlier_days(rules, lake, manifest.business_date)? {
        let is_known = days_read(&dataset).contains(&date);
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
    use crate::record::OrderLine;
    use crate::sha256::sha256_of;

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
        assert!(!knows(&[(11, "c")], 12) && knows(&[(11, "c")], 13), "the first day of the look-back is in it");
    }

    /// Publishes an empty ledger, and orders too, by a run that ended in this hour of the 21st.
    fn publish(lake: &Lake, date: NaiveDate, (run_id, hour): (&str, u32)) -> Manifest {
        let files = [LedgerRow::DATASET, OrderLine::DATASET].map(|dataset| {
            let path = lake.partition(dataset, date);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, b"").unwrap();
            let (dataset, name) = (dataset.to_owned(), "part-0.parquet".to_owned());
            StagedFile { dataset, name, rows: 0, bytes: 0, sha256: sha256_of(b"") }
        });
        let finished_at = day(21).and_hms_opt(hour, 0, 0).unwrap().and_utc();
        let mut manifest = Manifest { finished_at, ..Manifest::for_tests("j", date, files.into()) };
        (manifest.sequence, manifest.run_id) = (u64::from(hour), run_id.to_owned());
        manifest.write(&lake.run(date, run_id)).unwrap();
        manifest
    }

    #[test]
    fn a_later_day_that_does_not_say_what_it_was_made_from_is_stale() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path());
        publish(&lake, day(18), ("r1", 1));
        publish(&lake, day(19), ("r1", 2));
        std::fs::remove_dir_all(lake.run(day(19), "r1")).unwrap();
        let runs = Runs::read(&lake, day(18)).unwrap();
        assert_eq!(stale_after(&RuleSettings::default(), &lake, &runs, day(18), &[]).unwrap(), [day(19)]);
    }

    #[test]
    fn a_day_before_all_that_were_read_is_unread_only_if_it_was_first_published_since() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path());
        let rules = RuleSettings { lookback_days: 3, ..RuleSettings::default() };
        publish(&lake, day(18), ("r1", 1));
        publish(&lake, day(19), ("r1", 2));
        let mut night = publish(&lake, day(20), ("r1", 3));
        let read = |dataset: &str| ReadPartition { dataset: dataset.to_owned(), date: day(19), sha256: String::new() };
        night.read_partitions = vec![read(LedgerRow::DATASET), read(OrderLine::DATASET)];
        assert_eq!(missed(&rules, &lake, &night).unwrap(), None, "its look-back was shorter");
        publish(&lake, day(18), ("r2", 4));
        assert_eq!(missed(&rules, &lake, &night).unwrap(), None, "the same, though that day was restated since");
        std::fs::remove_dir_all(lake.run(day(18), "r1")).unwrap();
        assert_eq!(missed(&rules, &lake, &night).unwrap().map(|(_, date)| date), Some(day(18)));
        night.read_partitions.pop();
        std::fs::remove_dir_all(lake.run(day(18), "r2")).unwrap();
        let orders_of_the_first_day = Some((OrderLine::DATASET.to_owned(), day(19)));
        assert_eq!(missed(&rules, &lake, &night).unwrap(), orders_of_the_first_day);
    }
}
