//! A night compared with its neighbours: what a rerun changed, which days before it were never run,
//! which breaks other days list. Reads published breaks and manifests; writes nothing.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use chrono::{Days, NaiveDate};
use serde::Deserialize;

use crate::dataset::Lake;
use crate::dataset::manifest::Restated;
use crate::dataset::partition::{PartitionError, open_rows, or_error, read_columns};
use crate::dataset::runs::Runs;
use crate::durable;
use crate::record::{Break, BreakStatus, Record};

/// How the breaks of the staged partition `tonight` differ from those published for `date` before; `None` if the date is
/// published for the first time, or its file is damaged: running its day again is what replaces it. `is_decided` tells
/// whether a decision refers to a break.
pub(super) fn against_published(
    lake: &Lake,
    date: NaiveDate,
    tonight: &Path,
    is_decided: impl Fn(&str) -> bool,
) -> Result<Option<Restated>, PartitionError> {
    let path = lake.partition(Break::DATASET, date);
    if !path.is_file() {
        return Ok(None);
    }
    let mut is_damaged = false;
    let before = or_error(open_rows(&path)).map_while(|row| match row {
        Err(error) if is_damage(&error) => {
            is_damaged = true;
            None
        }
        row => Some(row),
    });
    let delta = delta(before, open_rows(tonight)?, is_decided)?;
    if is_damaged {
        tracing::warn!("the breaks published for {date} are damaged: they are replaced, and not compared with");
    }
    Ok((!is_damaged).then_some(delta))
}

/// Whether the file is to blame, not the disk.
fn is_damage(error: &PartitionError) -> bool {
    durable::refusal(error).is_none()
}

/// Compares two lists in the order of their ids, with one break of each in memory.
fn delta(
    before: impl Iterator<Item = Result<Break, PartitionError>>,
    after: impl Iterator<Item = Result<Break, PartitionError>>,
    is_decided: impl Fn(&str) -> bool,
) -> Result<Restated, PartitionError> {
    let mut restated = Restated::default();
    let mut after = after.peekable();
    for old in before {
        let old = old?;
        while let Some(new) = after.next_if(|new| comes_before(new, &old.break_id)) {
            new?;
            restated.new += 1;
        }
        match after.next_if(|new| new.as_ref().is_ok_and(|new| new.break_id == old.break_id)).transpose()? {
            Some(new) => restated.changed += usize::from(new != old),
            None => {
                restated.gone += 1;
                restated.decided_gone.extend(is_decided(&old.break_id).then_some(old.break_id));
            }
        }
    }
    for new in after {
        new?;
        restated.new += 1;
    }
    Ok(restated)
}

/// Whether a row comes before an id; an error comes first.
fn comes_before(row: &Result<Break, PartitionError>, break_id: &str) -> bool {
    row.as_ref().map_or(true, |row| row.break_id.as_str() < break_id)
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

/// A break in the list of a day.
#[derive(Deserialize)]
struct Listed {
    break_id: String,
}

impl Listed {
    /// Those of a partition.
    fn of(path: &Path) -> Result<Vec<Listed>, PartitionError> {
        read_columns(path, Break::DATASET, &["break_id"])
    }
}

/// Every break that a day after `date` lists.
pub(super) fn breaks_after(lake: &Lake, date: NaiveDate) -> Result<BTreeSet<String>, PartitionError> {
    let later = lake.partitions_after(Break::DATASET, date).map_err(|error| unlisted(lake, error))?;
    let mut ids = BTreeSet::new();
    for partition in later {
        ids.extend(Listed::of(&partition.path)?.into_iter().map(|it| it.break_id));
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
    let earlier = lake.partitions(Break::DATASET, NaiveDate::MIN, date + Days::new(1));
    let earlier = earlier.map_err(|error| unlisted(lake, error))?;
    let mut found = BTreeSet::new();
    for partition in earlier.iter().rev() {
        if wanted.is_empty() {
            break;
        }
        let listed = match Listed::of(&partition.path) {
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

/// How many breaks of the last published day before `date` have a status that a person decided.
pub(super) fn decided_before(lake: &Lake, date: NaiveDate) -> Result<usize, PartitionError> {
    #[derive(Deserialize)]
    struct Decided {
        status: BreakStatus,
    }
    let last = lake.latest_before(Break::DATASET, date).map_err(|error| unlisted(lake, error))?;
    let Some(last) = last else { return Ok(0) };
    let listed: Vec<Decided> = read_columns(&last.path, Break::DATASET, &["status"])?;
    Ok(listed.iter().filter(|it| matches!(it.status, BreakStatus::Accepted | BreakStatus::WrittenOff)).count())
}

/// The days whose breaks are published cannot be listed.
fn unlisted(lake: &Lake, source: io::Error) -> PartitionError {
    PartitionError::Open { path: lake.dataset(Break::DATASET), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::partition::{Provenance, write_rows};
    use crate::money::Fen;

    fn of_ids(ids: &[&str], at_risk_fen: i64) -> Vec<Break> {
        let rest = Break::for_tests("AO01", day(18));
        let of_id = |id: &&str| Break { break_id: (*id).to_owned(), at_risk_fen: Fen(at_risk_fen), ..rest.clone() };
        ids.iter().map(of_id).collect()
    }

    #[test]
    fn a_rerun_is_compared_with_what_it_replaces_break_by_break() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path());
        let (published, tonight) = (lake.partition("breaks", day(18)), folder.path().join("tonight.parquet"));
        std::fs::create_dir_all(published.parent().unwrap()).unwrap();
        let before = [of_ids(&["b", "c"], 1), of_ids(&["e", "g", "h"], 1)].concat();
        let after = [of_ids(&["a", "b"], 1), of_ids(&["e"], 2), of_ids(&["f", "h", "i"], 1)].concat();
        let compare = |before: &[Break], after: &[Break]| {
            write_rows(&published, before, &Provenance::default()).unwrap();
            write_rows(&tonight, after, &Provenance::default()).unwrap();
            against_published(&lake, day(18), &tonight, |id| id == "g" || id == "h").unwrap().unwrap()
        };
        let decided_gone = vec!["g".to_owned()];
        assert_eq!(compare(&before, &after), Restated { new: 3, gone: 2, changed: 1, decided_gone });
        assert_eq!(compare(&before, &before), Restated::default());
        assert_eq!(compare(&[], &after), Restated { new: 6, ..Restated::default() });
        assert_eq!(compare(&after, &[]).gone, 6);
    }

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
        let tonight = folder.path().join("tonight.parquet");
        write_rows::<Break>(&tonight, &[], &Provenance::default()).unwrap();
        assert!(against_published(&lake, day(18), &tonight, |_| false).unwrap().is_none());
        let wanted = BTreeSet::from(["0123456789abcdef".to_owned()]);
        assert_eq!(breaks_up_to(&lake, day(18), wanted.clone()).unwrap(), wanted);
        assert!(breaks_up_to(&lake, day(19), wanted).is_err());
    }
}
