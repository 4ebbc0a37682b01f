//! Replaces one partition by another. A single file is replaced by one rename. Where either side has several files, the new
//! folder is prepared beside the old one and the two are exchanged, so that a reader who lists the day finds either the old
//! version or the new one. Where folders cannot be exchanged atomically (a bucket, some file systems), the day is withdrawn
//! first: without its `_SUCCESS` it may be a mixture of both versions.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::staged::StagedFile;
use super::{Lake, parts};
use crate::durable;

/// An empty file beside the parts: some readers fail on a non-empty one.
pub(super) const MARKER: &str = "_SUCCESS";

/// A staged partition and its destination.
pub(super) struct Replacement<'a> {
    pub(super) lake: &'a Lake,
    /// The first staged file; its folder contains only parts.
    pub(super) staged: PathBuf,
    /// The first published file.
    pub(super) published: PathBuf,
    /// The parts that will be published.
    pub(super) files: &'a [StagedFile],
}

impl Replacement<'_> {
    /// Makes the staged partition visible. A partition that is already published with the same bytes is left alone.
    pub(super) fn make(&self) -> io::Result<()> {
        let before = parts::present(folder_of(&self.published))?;
        if !self.stands(&before)? && !self.exchange(&before)? {
            self.move_each(&before)?;
        }
        // The first part decides whether a day exists, so it comes last.
        (0..self.files.len()).rev().try_for_each(|number| self.lake.put(&parts::path(&self.published, number)))?;
        let marker = self.marker();
        if !marker.exists() {
            durable::mark(&marker)?;
        }
        self.lake.put(&marker)
    }

    fn stands(&self, before: &BTreeSet<usize>) -> io::Result<bool> {
        if !before.iter().copied().eq(0..self.files.len()) {
            return Ok(false);
        }
        for (number, file) in self.files.iter().enumerate() {
            if !file.stands_at(&parts::path(&self.published, number))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Exchanges the folders, where renaming a single file is not enough. False where that is not possible.
    fn exchange(&self, before: &BTreeSet<usize>) -> io::Result<bool> {
        let (from, to) = (folder_of(&self.staged), folder_of(&self.published));
        let is_whole = parts::present(from)?.into_iter().eq(0..self.files.len());
        if self.is_of_one_file(before) || self.lake.bucket().is_some() || !is_whole || holds_others(to)? {
            return Ok(false);
        }
        durable::mark(&from.join(MARKER))?;
        if let Ok(metadata) = fs::metadata(to) {
            fs::set_permissions(from, metadata.permissions())?;
        }
        durable::create_folder(to.parent().expect("a day is in its dataset"))?;
        durable::place_folder(from, to)
    }

    /// Part by part: a reader that ignores the missing `_SUCCESS` may see a mixture of two versions.
    fn move_each(&self, before: &BTreeSet<usize>) -> io::Result<()> {
        durable::create_folder(folder_of(&self.published))?;
        if !self.is_of_one_file(before) {
            self.withdraw(before)?;
        }
        for number in (0..self.files.len()).rev() {
            let staged = parts::path(&self.staged, number);
            // Parts that are not staged any more were moved by a killed run.
            if staged.exists() {
                durable::move_file(&staged, &parts::path(&self.published, number))?;
            }
        }
        Ok(())
    }

    /// Removes the marker and the parts that will not exist any more.
    fn withdraw(&self, before: &BTreeSet<usize>) -> io::Result<()> {
        self.lake.remove(&self.marker())?;
        let surplus = before.range(self.files.len()..).rev();
        surplus.copied().try_for_each(|number| self.lake.remove(&parts::path(&self.published, number)))
    }

    /// Whether renaming one file is enough.
    fn is_of_one_file(&self, before: &BTreeSet<usize>) -> bool {
        self.files.len() == 1 && before.iter().all(|number| *number == 0)
    }

    fn marker(&self) -> PathBuf {
        self.published.with_file_name(MARKER)
    }
}

/// Foreign files would be lost with their folder.
fn holds_others(folder: &Path) -> io::Result<bool> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        entries => entries?,
    };
    for entry in entries {
        let name = entry?.file_name();
        if name != MARKER && name.to_str().and_then(parts::number).is_none() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn folder_of(first: &Path) -> &Path {
    first.parent().expect("a partition has a folder")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use chrono::NaiveDate;

    use super::*;
    use crate::dataset::manifest::Manifest;
    use crate::dataset::partition::{PartLimit, Provenance, read_rows};
    use crate::dataset::publication::{self, Recovery};
    use crate::dataset::publish::Staging;
    use crate::record::{CouponCode, Record};

    fn date() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, 18).unwrap()
    }

    /// The coupon codes of a version, one per part.
    fn codes(version: &str, count: usize) -> Vec<CouponCode> {
        let code = |number: usize| CouponCode {
            stock_id: "S1".to_owned(),
            coupon_code: format!("{number:03}"),
            code_status: Some(version.to_owned()),
            upload_time: None,
            dispatched_time: None,
            openid: None,
            unionid: None,
            extra: None,
            business_date: date(),
        };
        (0..count).map(code).collect()
    }

    fn lake(folder: &Path) -> Lake {
        let lake = Lake::at(folder);
        lake.prepare().unwrap();
        lake
    }

    fn staging(lake: &Lake) -> Staging {
        Staging::open(lake, "j", date()).unwrap().in_parts(PartLimit::of_rows(1))
    }

    fn publish(lake: &Lake, rows: &[CouponCode]) {
        let staging = staging(lake);
        let files = staging.write(rows, &Provenance::default()).unwrap();
        assert_eq!(files.len(), rows.len().max(1), "a part to a row");
        publication::publish(lake, &staging, &Manifest::for_tests("j", date(), files)).unwrap();
        staging.discard().unwrap();
    }

    /// What a reader of the day finds; the day has its marker and nothing else.
    fn published(lake: &Lake, parts: usize) -> Vec<CouponCode> {
        let first = lake.partition(CouponCode::DATASET, date());
        let names = fs::read_dir(folder_of(&first)).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap());
        let wanted: BTreeSet<_> = (0..parts).map(parts::name).chain([MARKER.to_owned()]).collect();
        assert_eq!(names.collect::<BTreeSet<_>>(), wanted);
        read_rows(&first).unwrap()
    }

    #[test]
    fn a_day_of_any_parts_takes_the_place_of_a_day_of_any_parts() {
        let folder = tempfile::tempdir().unwrap();
        let lake = lake(folder.path());
        for (round, parts) in [1, 3, 1, 3, 2, 2, 11, 1, 1].into_iter().enumerate() {
            let rows = codes(&format!("v{round}"), parts);
            publish(&lake, &rows);
            assert_eq!(published(&lake, parts), rows, "round {round}");
        }
    }

    #[test]
    fn parts_that_are_published_already_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let lake = lake(folder.path());
        let first = lake.partition(CouponCode::DATASET, date());
        let inodes = || (0..3).map(|number| fs::metadata(parts::path(&first, number)).unwrap().ino());
        publish(&lake, &codes("v", 3));
        let before: Vec<_> = inodes().chain([fs::metadata(folder_of(&first)).unwrap().ino()]).collect();
        publish(&lake, &codes("v", 3));
        assert_eq!(before, inodes().chain([fs::metadata(folder_of(&first)).unwrap().ino()]).collect::<Vec<_>>());
    }

    #[test]
    fn a_day_keeps_the_rights_its_folder_was_given() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let lake = lake(folder.path());
        publish(&lake, &codes("v1", 3));
        let day = lake.partition(CouponCode::DATASET, date()).parent().unwrap().to_owned();
        fs::set_permissions(&day, fs::Permissions::from_mode(0o750)).unwrap();
        publish(&lake, &codes("v2", 2));
        assert_eq!(fs::metadata(&day).unwrap().permissions().mode() & 0o777, 0o750);
    }

    /// A replacement that was staged and recorded, and whose run died; the day had `before` parts.
    fn died(lake: &Lake, before: usize, after: usize) -> (Staging, Vec<StagedFile>) {
        publish(lake, &codes("old", before));
        let staging = staging(lake);
        let files = staging.write(&codes("new", after), &Provenance::default()).unwrap();
        let intent = Manifest::for_tests("j", date(), files.clone()).to_bytes().unwrap();
        fs::write(lake.state("j.publishing.json"), intent).unwrap();
        (staging, files)
    }

    /// The steps of a replacement on a file system that cannot exchange two folders atomically.
    fn steps<'a>(it: &'a Replacement<'a>) -> Vec<Box<dyn Fn() + 'a>> {
        let before = parts::present(folder_of(&it.published)).unwrap();
        let mut steps: Vec<Box<dyn Fn() + 'a>> = vec![Box::new(|| it.lake.remove(&it.marker()).unwrap())];
        for number in before.range(it.files.len()..).rev().copied() {
            steps.push(Box::new(move || it.lake.remove(&parts::path(&it.published, number)).unwrap()));
        }
        for number in (0..it.files.len()).rev() {
            let [from, to] = [&it.staged, &it.published].map(|first| parts::path(first, number));
            steps.push(Box::new(move || durable::move_file(&from, &to).unwrap()));
        }
        steps.push(Box::new(|| durable::mark(&it.marker()).unwrap()));
        steps
    }

    #[test]
    fn a_replacement_that_was_cut_off_after_any_step_is_completed() {
        for (before, after) in [(1, 3), (3, 1), (3, 2), (2, 3), (3, 3)] {
            for steps_done in 0..=before.max(after) + 2 {
                let folder = tempfile::tempdir().unwrap();
                let lake = lake(folder.path());
                let (staging, files) = died(&lake, before, after);
                let first = staging.partition(CouponCode::DATASET);
                let published_at = lake.partition(CouponCode::DATASET, date());
                let it = Replacement { lake: &lake, staged: first, published: published_at, files: &files };
                steps(&it).iter().take(steps_done).for_each(|step| step());
                assert_eq!(publication::recover(&lake, "j").unwrap(), Recovery::Completed(date()));
                assert_eq!(published(&lake, after), codes("new", after), "{before} to {after}, {steps_done} steps");
            }
        }
    }

    #[test]
    fn an_exchange_that_was_cut_off_before_or_behind_it_is_completed() {
        for is_behind in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let lake = lake(folder.path());
            let (staging, files) = died(&lake, 3, 2);
            let staged = staging.partition(CouponCode::DATASET);
            durable::mark(&staged.with_file_name(MARKER)).unwrap();
            if is_behind {
                let day = lake.partition(CouponCode::DATASET, date());
                assert!(durable::place_folder(folder_of(&staged), folder_of(&day)).unwrap());
            }
            assert_eq!(publication::recover(&lake, "j").unwrap(), Recovery::Completed(date()));
            assert_eq!(published(&lake, files.len()), codes("new", 2), "{is_behind}");
        }
    }

    #[test]
    fn where_folders_are_not_exchanged_the_parts_are_and_files_of_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let lake = lake(folder.path());
        publish(&lake, &codes("v1", 3));
        let day = lake.partition(CouponCode::DATASET, date()).parent().unwrap().to_owned();
        fs::write(day.join("notes.txt"), "precious").unwrap();
        let inode = fs::metadata(&day).unwrap().ino();
        publish(&lake, &codes("v2", 2));
        assert_eq!(fs::metadata(&day).unwrap().ino(), inode, "the folder itself stays");
        assert_eq!(fs::read_to_string(day.join("notes.txt")).unwrap(), "precious");
        fs::remove_file(day.join("notes.txt")).unwrap();
        assert_eq!(published(&lake, 2), codes("v2", 2));
    }
}
