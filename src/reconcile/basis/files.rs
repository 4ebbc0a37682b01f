//! The files of a night: the partitions of the day and the published ones before it. Only paths; readers
//! open them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use chrono::NaiveDate;

/// Why datasets of the day are missing or partial, by dataset: a configured stage failed or is
/// incomplete.
pub type Shortfall = BTreeMap<String, String>;

/// The Parquet partitions that a night of `date` works from, each given by its first file
/// (`dataset::parts`).
#[derive(Debug, Clone)]
pub struct DayFiles {
    /// The business date D.
    pub date: NaiveDate,
    /// Dataset → the (staged) file of D. Missing if there is no such source, or its stage failed.
    pub day: BTreeMap<String, PathBuf>,
    /// Dataset → published days before D, ascending. Days before the look-back are ignored, except for
    /// the latest of `coupon_ledger` and `breaks`, the memory of the night.
    pub history: BTreeMap<String, Vec<(NaiveDate, PathBuf)>>,
    /// Published days before D that are marked as partial: what they lack may have been.
    pub partial: BTreeSet<(String, NaiveDate)>,
}

/// A folder of one night for data that do not fit into memory; deleted with the night.
#[derive(Debug)]
pub struct Scratch(tempfile::TempDir);

impl Scratch {
    /// A fresh folder in `parent`, which should be on a real disk.
    pub fn new_in(parent: &Path) -> std::io::Result<Scratch> {
        tempfile::tempdir_in(parent).map(Scratch)
    }

    /// The folder.
    pub(in crate::reconcile) fn folder(&self) -> &Path {
        self.0.path()
    }
}

impl DayFiles {
    /// The files of `date`; still empty.
    pub fn new(date: NaiveDate) -> DayFiles {
        DayFiles { date, day: BTreeMap::new(), history: BTreeMap::new(), partial: BTreeSet::new() }
    }

    /// The file of D, if there is one.
    pub fn of_day(&self, dataset: &str) -> Option<&Path> {
        self.day.get(dataset).map(PathBuf::as_path)
    }

    /// The latest published day before D.
    pub fn latest_before(&self, dataset: &str) -> Option<&Path> {
        self.latest_entry(dataset).map(|(_, path)| path.as_path())
    }

    /// The date of that day.
    pub(in crate::reconcile) fn latest_day_before(&self, dataset: &str) -> Option<NaiveDate> {
        self.latest_entry(dataset).map(|(date, _)| *date)
    }

    fn latest_entry(&self, dataset: &str) -> Option<&(NaiveDate, PathBuf)> {
        let days = self.history.get(dataset)?;
        days.iter().filter(|(date, _)| *date < self.date).max_by_key(|(date, _)| *date)
    }

    /// The days from `from` up to and including D, ascending.
    pub fn window(&self, dataset: &str, from: NaiveDate) -> Vec<(NaiveDate, &Path)> {
        let earlier = self.history.get(dataset).into_iter().flatten();
        let mut days: Vec<_> = earlier
            .filter(|(date, _)| (from..self.date).contains(date))
            .map(|(date, path)| (*date, path.as_path()))
            .chain(self.of_day(dataset).map(|path| (self.date, path)))
            .collect();
        days.sort();
        days
    }

    /// The days of `window` whose rows are all there, as far as the partitions say.
    pub(in crate::reconcile) fn known(&self, dataset: &str, from: NaiveDate) -> impl Iterator<Item = NaiveDate> {
        let days = self.window(dataset, from).into_iter().map(|(date, _)| date);
        days.filter(move |date| !self.partial.iter().any(|(name, day)| name == dataset && day == date))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, day).unwrap()
    }

    fn files() -> DayFiles {
        let mut files = DayFiles::new(day(20));
        files.day.insert("orders".to_owned(), "d20".into());
        let history = [18, 19, 20, 21].map(|date| (day(date), PathBuf::from(format!("d{date}-published"))));
        files.history.insert("orders".to_owned(), history.to_vec());
        files
    }

    #[test]
    fn the_window_ends_with_the_file_of_the_day_and_never_sees_the_published_one_or_later_days() {
        let files = files();
        let names: Vec<_> =
            files.window("orders", day(19)).into_iter().map(|(_, path)| path.to_str().unwrap()).collect();
        assert_eq!(names, ["d19-published", "d20"]);
    }

    #[test]
    fn the_memory_is_the_latest_day_before() {
        assert_eq!(files().latest_before("orders"), Some(Path::new("d19-published")));
        assert_eq!(files().latest_before("breaks"), None);
    }
}
