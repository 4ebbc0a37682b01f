//! A night compared with its neighbours: what a rerun changed, which days before it were never run,
//! which breaks other days list. Reads published breaks and manifests; writes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use chrono::{Days, NaiveDate};
use serde::Deserialize;

use crate::dataset::Lake;
use crate::dataset::manifest::Restated;
use crate::dataset::partition::{PartitionError, read_columns, read_rows};
use crate::dataset::runs::Runs;
use crate::durable;
use crate::record::{Break, BreakStatus, Record};

/// How `breaks` differ from those published for `date` before; `None` if the date is published for the
/// first time, or its file is damaged: running its day again is what replaces it. `is_decided` tells whether a decision
/// refers to a break.
pub(super) fn against_published(
    lake: &Lake,
    date: NaiveDate,
    breaks: &[Break],
    is_decided: impl Fn(&str) -> bool,
) -> Result<Option<Restated>, PartitionError> {
    let path = lake.partition(Break::DATASET, date);
    if !path.is_file() {
        return Ok(None);
    }
    match read_rows::<Break>(&path) {
        Err(error) if is_damage(&error) => {
            tracing::warn!("the breaks published for {date} are damaged: they are replaced, and not compared with");
            Ok(None)
        }
        before => Ok(Some(delta(&before?, breaks, is_decided))),
    }
}

/// Whether the file is to blame, not the disk.
fn is_damage(error: &PartitionError) -> bool {
    durable::refusal(error).is_none()
}

fn delta(before: &[Break], after: &[Break], is_decided: impl Fn(&str) -> bool) -> Restated {
    let (before, after) = (by_id(before), by_id(after));
    let gone = || before.keys().filter(|id| !after.contains_key(*id));
    Restated {
        new: after.keys().filter(|id| !before.contains_key(*id)).count(),
        gone: gone().count(),
        changed: after.iter().filter(|(id, row)| before.get(*id).is_some_and(|old| old != *row)).count(),
        decided_gone: gone().filter(|id| is_decided(id)).map(|id| (*id).to_owned()).collect(),
    }
}

fn by_id(rows: &[Break]) -> BTreeMap<&str, &Break> {
    rows.iter().map(|it| (it.break_id.as_str(), it)).collect()
}

/// The days before `date` that were not run, since the last night or the first date of the job.
pub(super) fn missing_before(
    lake: &Lake,
    date: NaiveDate,
    first_date: Option<NaiveDate>,
) -> io::Result<Option<(NaiveDate, NaiveDate)>> {
    let last = lake.latest_before(Break::DATASET, date)?.map(|partition| partition.date + Days::new(1));
    let from = last.max(first_date).filter(|from| *from < date);
    Ok(from.map(|from| (from, date - Days::new(1))))
}

/// Every break that a day after `date` lists.
pub(super) fn breaks_after(lake: &Lake, date: NaiveDate) -> Result<BTreeSet<String>, PartitionError> {
    let later = lake.partitions_after(Break::DATASET, date).map_err(|error| unlisted(lake, error))?;
    let mut ids = BTreeSet::new();
    for partition in later {
        ids.extend(read_rows::<Break>(&partition.path)?.into_iter().map(|it| it.break_id));
    }
    Ok(ids)
}

/// Those of `wanted` that the rerun of a day removed: the day no longer lists them, but the manifests of its runs do.
pub(super) fn taken_out(lake: &Lake, mut wanted: BTreeSet<String>) -> io::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for partition in lake.partitions_after(Break::DATASET, NaiveDate::MIN)?.iter().rev() {
        if wanted.is_empty() {
            break;
        }
        let runs = Runs::read(lake, partition.date)?.publishing;
        let gone = runs.iter().filter_map(|run| run.restated.as_ref()).flat_map(|restated| &restated.decided_gone);
        found.extend(gone.filter_map(|id| wanted.take(id)));
    }
    Ok(found)
}

/// Those of `wanted` that a day up to and including `date` lists (the version of `date` that a rerun
/// replaces included: one that is damaged may have listed any). Starts with the newest day and stops once all are found.
pub(super) fn breaks_up_to(
    lake: &Lake,
    date: NaiveDate,
    mut wanted: BTreeSet<String>,
) -> Result<BTreeSet<String>, PartitionError> {
    #[derive(Deserialize)]
    struct Listed {
        break_id: String,
    }
    let earlier = lake.partitions(Break::DATASET, NaiveDate::MIN, date + Days::new(1));
    let earlier = earlier.map_err(|error| unlisted(lake, error))?;
    let mut found = BTreeSet::new();
    for partition in earlier.iter().rev() {
        if wanted.is_empty() {
            break;
        }
        let listed: Vec<Listed> = match read_columns(&partition.path, Break::DATASET, &["break_id"]) {
            Err(error) if partition.date == date && is_damage(&error) => {
                found.append(&mut wanted);
                break;
            }
            listed => listed?,
        };
        found.extend(listed.iter().filter_map(|it| wanted.take(&it.break_id)));
    }
    Ok(found)
}

/// How many breaks of the last night before `date` have a status that a person decided.
pub(super) fn decided_before(lake: &Lake, date: NaiveDate) -> Result<usize, PartitionError> {
    #[derive(Deserialize)]
    struct Listed {
        status: BreakStatus,
    }
    let last = lake.latest_before(Break::DATASET, date).map_err(|error| unlisted(lake, error))?;
    let Some(last) = last else { return Ok(0) };
    let listed: Vec<Listed> = read_columns(&last.path, Break::DATASET, &["status"])?;
    Ok(listed.iter().filter(|it| matches!(it.status, BreakStatus::Accepted | BreakStatus::WrittenOff)).count())
}

/// The days whose breaks are published cannot be listed.
fn unlisted(lake: &Lake, source: io::Error) -> PartitionError {
    PartitionError::Open { path: lake.dataset(Break::DATASET), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, day).unwrap()
    }

    #[test]
    fn days_between_the_last_night_and_this_one_are_missing_but_none_before_the_first_of_the_job() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path());
        assert_eq!(missing_before(&lake, day(18), None).unwrap(), None);
        assert_eq!(missing_before(&lake, day(18), Some(day(18))).unwrap(), None);
        assert_eq!(missing_before(&lake, day(20), Some(day(18))).unwrap(), Some((day(18), day(19))));
        let path = lake.partition("breaks", day(18));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, b"").unwrap();
        assert_eq!(missing_before(&lake, day(19), None).unwrap(), None);
        assert_eq!(missing_before(&lake, day(21), None).unwrap(), Some((day(19), day(20))));
        assert_eq!(missing_before(&lake, day(21), Some(day(20))).unwrap(), Some((day(20), day(20))));
        assert_eq!(missing_before(&lake, day(21), Some(day(21))).unwrap(), None);
    }

    #[test]
    fn a_damaged_list_of_breaks_does_not_stop_the_run_of_its_own_day_but_that_of_a_later_one() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path());
        let path = lake.partition("breaks", day(18));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, b"PAR1 cut off").unwrap();
        assert!(against_published(&lake, day(18), &[], |_| false).unwrap().is_none());
        let wanted = BTreeSet::from(["0123456789abcdef".to_owned()]);
        assert_eq!(breaks_up_to(&lake, day(18), wanted.clone()).unwrap(), wanted);
        assert!(breaks_up_to(&lake, day(19), wanted).is_err());
    }
}
