//! Makes staged files visible: one rename per file (and one put, in a bucket), then `_SUCCESS`; other days stay untouched.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use chrono::NaiveDate;

use super::Lake;
use super::partition::{PartLimit, PartitionError, Provenance, Writer};
use super::parts;
use super::replacement::Replacement;
use super::staged::{REPORTS, StagedFile, partitions};
use crate::contract::contract;
use crate::durable::{self, with_path};
use crate::record::Record;

/// The staged files of one run.
#[derive(Debug)]
pub struct Staging {
    lake: Lake,
    folder: PathBuf,
    date: NaiveDate,
    limit: PartLimit,
}

impl Staging {
    /// A clean staging folder for `job`, whose lock the caller holds: leftovers of a killed run are removed.
    pub fn open(lake: &Lake, job: &str, date: NaiveDate) -> io::Result<Staging> {
        let folder = lake.staging(job);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(with_path(&folder)(error)),
            _ => durable::create_private_folder(&folder).map_err(with_path(&folder))?,
        }
        Ok(Staging { lake: lake.clone(), folder, date, limit: PartLimit::NONE })
    }

    /// The same, with partitions split into parts above a size.
    #[must_use]
    pub fn in_parts(self, limit: PartLimit) -> Staging {
        Staging { limit, ..self }
    }

    /// The staging folder as a killed run left it.
    pub(super) fn reopen(lake: &Lake, job: &str, date: NaiveDate) -> Staging {
        Staging { lake: lake.clone(), folder: lake.staging(job), date, limit: PartLimit::NONE }
    }

    /// Whether each of `files` is either published or still staged, byte for byte.
    pub(super) fn is_whole(&self, files: &[StagedFile]) -> io::Result<bool> {
        for file in files {
            let (from, to) = self.places(file);
            if !file.stands_at(&to)? && !file.stands_at(&from)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The first file of the staged partition of `dataset`, in its own folder.
    pub fn partition(&self, dataset: &str) -> PathBuf {
        self.folder.join(dataset).join(parts::FIRST)
    }

    /// Stages a partition. `rows` must be sorted by the contract's key.
    pub fn write<R: Record>(&self, rows: &[R], provenance: &Provenance) -> Result<Vec<StagedFile>, PartitionError> {
        let mut writer = self.begin(R::DATASET, provenance)?;
        writer.write_rows(rows)?;
        self.end(R::DATASET, writer)
    }

    /// Starts a partition that is staged batch by batch; `end` finishes it.
    pub fn begin(&self, dataset: &str, provenance: &Provenance) -> Result<Writer, PartitionError> {
        let first = self.partition(dataset);
        let folder = durable::create_folder(&self.folder.join(dataset));
        folder.map_err(|source| PartitionError::Open { path: first.clone(), source })?;
        Writer::create(&first, contract(dataset), provenance, self.limit)
    }

    /// Finishes a partition and returns its parts.
    pub fn end(&self, dataset: &str, writer: Writer) -> Result<Vec<StagedFile>, PartitionError> {
        let first = self.partition(dataset);
        let staged = |(number, rows): (usize, u64)| {
            let path = parts::path(&first, number);
            let described = StagedFile::describe(dataset, &parts::name(number), &path, rows);
            described.map_err(|source| PartitionError::Open { path, source })
        };
        writer.finish()?.into_iter().enumerate().map(staged).collect()
    }

    /// Opens a report file for writing; `keep_report` stages it.
    pub fn open_report(&self, name: &str) -> io::Result<BufWriter<File>> {
        let folder = self.folder.join(REPORTS);
        durable::create_folder(&folder)?;
        Ok(BufWriter::with_capacity(1 << 16, durable::create(&folder.join(name))?))
    }

    /// Stages a report file that is completely written.
    pub fn keep_report(&self, name: &str, report: BufWriter<File>) -> io::Result<StagedFile> {
        report.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        StagedFile::describe(REPORTS, name, &self.folder.join(REPORTS).join(name), 0)
    }

    /// A folder of this run for temporary data.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes staged files visible. A file that is already published with the same bytes is left alone.
    pub fn publish(&self, files: &[StagedFile]) -> io::Result<()> {
        for files in partitions(files) {
            let published = match files[0].dataset.as_str() {
                REPORTS => files.iter().try_for_each(|file| self.publish_report(file)),
                dataset => self.replacement(dataset, files).make(),
            };
            let (_, place) = self.places(&files[0]);
            published.map_err(with_path(place.parent().expect("published files have folders")))?;
        }
        Ok(())
    }

    fn publish_report(&self, file: &StagedFile) -> io::Result<()> {
        let (from, to) = self.places(file);
        durable::create_folder(to.parent().expect("published files have folders"))?;
        if !file.stands_at(&to)? {
            durable::move_file(&from, &to)?;
        }
        self.lake.put(&to)
    }

    fn replacement<'a>(&'a self, dataset: &str, files: &'a [StagedFile]) -> Replacement<'a> {
        let (staged, published) = (self.partition(dataset), self.lake.partition(dataset, self.date));
        Replacement { lake: &self.lake, staged, published, files }
    }

    /// Removes the rest of the staging folder.
    pub fn discard(&self) -> io::Result<()> {
        fs::remove_dir_all(&self.folder)
    }

    fn places(&self, file: &StagedFile) -> (PathBuf, PathBuf) {
        if file.is_report() {
            return (self.folder.join(REPORTS).join(&file.name), self.lake.reports(self.date).join(&file.name));
        }
        let published = self.lake.partition(&file.dataset, self.date);
        [self.partition(&file.dataset), published].map(|first| first.with_file_name(&file.name)).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::CouponCode;
    use crate::sha256::sha256_of_file;

    fn date() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, 18).unwrap()
    }

    #[test]
    fn what_stands_in_the_way_of_a_publication_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path());
        lake.prepare().unwrap();
        let staging = Staging::open(&lake, "r1", date()).unwrap();
        let files = staging.write::<CouponCode>(&[], &Provenance::default()).unwrap();
        let place = lake.dataset("coupon_codes").join("dt=2026-11-18");
        fs::create_dir_all(lake.dataset("coupon_codes")).unwrap();
        fs::write(&place, b"a file").unwrap();
        let error = staging.publish(&files).unwrap_err();
        assert!(error.to_string().starts_with(&format!("`{}`: ", place.display())), "{error}");
    }

    #[test]
    fn a_published_day_holds_one_part_and_an_empty_success_marker() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path());
        lake.prepare().unwrap();
        let staging = Staging::open(&lake, "r1", date()).unwrap();
        let files = staging.write::<CouponCode>(&[], &Provenance::default()).unwrap();
        assert!(!lake.partition("coupon_codes", date()).exists(), "nothing is visible before publish");
        staging.publish(&files).unwrap();
        staging.discard().unwrap();
        let published = lake.partition("coupon_codes", date());
        assert_eq!(sha256_of_file(&published).unwrap(), files[0].sha256);
        let names: Vec<_> =
            fs::read_dir(published.parent().unwrap()).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2);
        assert_eq!(fs::metadata(published.with_file_name("_SUCCESS")).unwrap().len(), 0);
    }

    #[test]
    fn what_a_run_that_died_left_staged_is_removed_by_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path());
        lake.prepare().unwrap();
        let died = Staging::open(&lake, "nightly", date()).unwrap();
        died.write::<CouponCode>(&[], &Provenance::default()).unwrap();
        let next = Staging::open(&lake, "nightly", date()).unwrap();
        assert!(!next.partition("coupon_codes").exists());
    }

    #[test]
    fn publishing_the_same_bytes_again_leaves_the_file_itself_alone() {
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path());
        lake.prepare().unwrap();
        let publish = |run_id| {
            let staging = Staging::open(&lake, run_id, date()).unwrap();
            let files = staging.write::<CouponCode>(&[], &Provenance::default()).unwrap();
            staging.publish(&files).unwrap();
            fs::metadata(lake.partition("coupon_codes", date())).unwrap().ino()
        };
        assert_eq!(publish("r1"), publish("r2"));
    }
}
