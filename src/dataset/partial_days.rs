//! Which published days lack rows of a dataset. A partition is marked if it does; those of older programs, which had no mark, go
//! by the manifest of the run that published them. Reads metadata only.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use chrono::NaiveDate;

use super::Lake;
use super::manifest::{Manifest, StageEntry};
use super::partition::{PartitionError, is_partial};
use super::runs::Runs;
use super::status::StageStatus;

/// The days of a lake, whose manifests are read once.
#[derive(Debug)]
pub struct PartialDays<'a> {
    lake: &'a Lake,
    runs: BTreeMap<NaiveDate, Runs>,
}

impl<'a> PartialDays<'a> {
    /// Those of this lake.
    pub fn of(lake: &'a Lake) -> PartialDays<'a> {
        PartialDays { lake, runs: BTreeMap::new() }
    }

    /// Whether the partition of `dataset` published for `date` lacks rows.
    ///
    /// # Errors
    /// The partition, or the manifests of its day, cannot be read.
    pub fn contain(&mut self, dataset: &str, date: NaiveDate) -> Result<bool, PartitionError> {
        let lake = self.lake;
        if is_partial(&lake.partition(dataset, date))? {
            return Ok(true);
        }
        let runs = self.runs_of(date)?;
        let Some((manifest, _)) = runs.partition(dataset) else { return Ok(false) };
        let Some(stage) = manifest.stages.iter().find(|stage| stage.rows.contains_key(dataset)) else {
            return Ok(false);
        };
        Ok(stage.status == StageStatus::Partial && !has_mark(lake, runs, manifest, stage)?)
    }

    fn runs_of(&mut self, date: NaiveDate) -> Result<&Runs, PartitionError> {
        match self.runs.entry(date) {
            Entry::Occupied(runs) => Ok(runs.into_mut()),
            Entry::Vacant(place) => {
                let unread = |source| PartitionError::Open { path: self.lake.runs(date), source };
                Ok(place.insert(Runs::read(self.lake, date).map_err(unread)?))
            }
        }
    }
}

/// Whether anything that a run published of an incomplete stage is marked: then its program had the mark, and what has none
/// is whole.
fn has_mark(lake: &Lake, runs: &Runs, manifest: &Manifest, stage: &StageEntry) -> Result<bool, PartitionError> {
    for dataset in stage.rows.keys() {
        let is_of_the_run = runs.partition(dataset).is_some_and(|(last, _)| last.run_id == manifest.run_id);
        if is_of_the_run && is_partial(&lake.partition(dataset, manifest.business_date))? {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::partition::Provenance;
    use crate::dataset::publish::Staging;
    use crate::record::{CardDay, MemberCardDay, Record};
    use crate::stage::Stage;

    fn date() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, 18).unwrap()
    }

    /// Publishes two tables of the datacube as a run whose stage ended so; whether each is marked.
    fn publish(lake: &Lake, run: u64, status: StageStatus, [cards, members]: [bool; 2]) {
        let run_id = format!("r{run}");
        let staging = Staging::open(lake, &run_id, date()).unwrap();
        let of = |is_partial| Provenance { is_partial, ..Provenance::default() };
        let mut files = staging.write::<CardDay>(&[], &of(cards)).unwrap();
        files.extend(staging.write::<MemberCardDay>(&[], &of(members)).unwrap());
        staging.publish(&files).unwrap();
        let mut stage = StageEntry::new(Stage::Datacube, status);
        stage.rows = files.iter().map(|file| (file.dataset.clone(), file.rows)).collect();
        let manifest =
            Manifest { run_id, sequence: run, stages: vec![stage], ..Manifest::for_tests("j", date(), files) };
        manifest.write(&lake.run(date(), &manifest.run_id)).unwrap();
    }

    /// Whether the days of the two tables are partial.
    fn partial(lake: &Lake) -> [bool; 2] {
        let mut days = PartialDays::of(lake);
        [CardDay::DATASET, MemberCardDay::DATASET].map(|dataset| days.contain(dataset, date()).unwrap())
    }

    #[test]
    fn what_an_older_program_published_of_an_incomplete_stage_is_partial_though_nothing_is_marked() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path());
        lake.prepare().unwrap();
        publish(&lake, 1, StageStatus::Partial, [false, false]);
        assert_eq!(partial(&lake), [true, true]);
        publish(&lake, 2, StageStatus::Complete, [false, false]);
        assert_eq!(partial(&lake), [false, false], "a later run completed it");
    }

    #[test]
    fn beside_a_marked_partition_one_of_the_same_stage_without_a_mark_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path());
        lake.prepare().unwrap();
        publish(&lake, 1, StageStatus::Partial, [true, false]);
        assert_eq!(partial(&lake), [true, false]);
        std::fs::remove_dir_all(lake.runs(date())).unwrap();
        assert_eq!(partial(&lake), [true, false], "a day without a manifest has its marks");
    }
}
