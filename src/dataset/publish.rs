//! Staged files become visible: one rename per file (and one put, in a bucket), `_SUCCESS` after it, other
//! days untouched.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::Lake;
use super::partition::{PartitionError, Provenance, Writer, write_rows};
use crate::contract::contract;
use crate::durable;
use crate::record::Record;

/// The files of one run before anybody sees them.
#[derive(Debug)]
pub struct Staging {
    lake: Lake,
    folder: PathBuf,
    date: NaiveDate,
}

/// A staged file and what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedFile {
    /// Dataset, or `reports`.
    pub dataset: String,
    /// File name below the partition.
    pub name: String,
    /// Rows, for datasets.
    pub rows: u64,
    /// Size.
    pub bytes: u64,
    /// SHA-256, hex.
    pub sha256: String,
}

impl Staging {
    /// A clean staging folder for `job`, whose lock the caller holds: what a run that died left there
    /// is removed.
    pub fn open(lake: &Lake, job: &str, date: NaiveDate) -> io::Result<Staging> {
        let folder = lake.staging(job);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => durable::create_private_folder(&folder)?,
        }
        Ok(Staging { lake: lake.clone(), folder, date })
    }

    /// The staging folder as a run that died left it.
    pub(super) fn reopen(lake: &Lake, job: &str, date: NaiveDate) -> Staging {
        Staging { lake: lake.clone(), folder: lake.staging(job), date }
    }

    /// Whether each of `files` is published already or still staged, byte for byte.
    pub(super) fn is_whole(&self, files: &[StagedFile]) -> io::Result<bool> {
        for file in files {
            let (from, to) = self.places(file);
            if !same_bytes(&to, file)? && !same_bytes(&from, file)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Where the staged partition of `dataset` stands.
    pub fn partition(&self, dataset: &str) -> PathBuf {
        self.folder.join(format!("{dataset}.parquet"))
    }

    /// Stages a partition. `rows` must be sorted by the contract's key.
    pub fn write<R: Record>(&self, rows: &[R], provenance: &Provenance) -> Result<StagedFile, PartitionError> {
        let path = self.partition(R::DATASET);
        write_rows(&path, rows, provenance)?;
        let describe = describe(R::DATASET, "part-0.parquet", &path, rows.len() as u64);
        describe.map_err(|source| PartitionError::Open { path, source })
    }

    /// Begins a partition that is staged batch by batch; `end` ends it.
    pub fn begin(&self, dataset: &str, provenance: &Provenance) -> Result<Writer, PartitionError> {
        Writer::create(&self.partition(dataset), contract(dataset), provenance)
    }

    /// Ends a partition that was begun, of so many rows.
    pub fn end(&self, dataset: &str, writer: Writer, rows: u64) -> Result<StagedFile, PartitionError> {
        writer.finish()?;
        let path = self.partition(dataset);
        let describe = describe(dataset, "part-0.parquet", &path, rows);
        describe.map_err(|source| PartitionError::Open { path, source })
    }

    /// Opens a report file for writing; `keep_report` stages what was written.
    pub fn open_report(&self, name: &str) -> io::Result<BufWriter<File>> {
        let folder = self.folder.join("reports");
        durable::create_folder(&folder)?;
        Ok(BufWriter::with_capacity(1 << 16, durable::create(&folder.join(name))?))
    }

    /// Stages a report file that is written to its end.
    pub fn keep_report(&self, name: &str, report: BufWriter<File>) -> io::Result<StagedFile> {
        report.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        describe("reports", name, &self.folder.join("reports").join(name), 0)
    }

    /// A folder of this run for what waits beside its files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes staged files visible. Files that are published already, byte for byte, are left alone.
    pub fn publish(&self, files: &[StagedFile]) -> io::Result<()> {
        for file in files {
            let (from, to) = self.places(file);
            durable::create_folder(to.parent().expect("published files have folders"))?;
            if !same_bytes(&to, file)? {
                durable::move_file(&from, &to)?;
            }
            self.lake.put(&to)?;
            if file.dataset != "reports" {
                let marker = mark_success(&to)?;
                self.lake.put(&marker)?;
            }
        }
        Ok(())
    }

    /// Removes what is left of the staging folder.
    pub fn discard(&self) -> io::Result<()> {
        fs::remove_dir_all(&self.folder)
    }

    fn places(&self, file: &StagedFile) -> (PathBuf, PathBuf) {
        if file.dataset == "reports" {
            (self.folder.join("reports").join(&file.name), self.lake.reports(self.date).join(&file.name))
        } else {
            (self.partition(&file.dataset), self.lake.partition(&file.dataset, self.date))
        }
    }
}

/// SHA-256 of a file, hex.
pub fn sha256_of_file(path: &Path) -> io::Result<String> {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => return Ok(hex::encode(context.finish())),
            read => context.update(&buffer[..read]),
        }
    }
}

/// SHA-256 of bytes, hex.
pub fn sha256_of(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

fn describe(dataset: &str, name: &str, path: &Path, rows: u64) -> io::Result<StagedFile> {
    Ok(StagedFile {
        dataset: dataset.to_owned(),
        name: name.to_owned(),
        rows,
        bytes: fs::metadata(path)?.len(),
        sha256: sha256_of_file(path)?,
    })
}

fn same_bytes(published: &Path, staged: &StagedFile) -> io::Result<bool> {
    match fs::metadata(published) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        metadata => Ok(metadata?.len() == staged.bytes && sha256_of_file(published)? == staged.sha256),
    }
}

/// A zero-byte `_SUCCESS` beside the partition: some readers choke on one with content.
fn mark_success(partition: &Path) -> io::Result<PathBuf> {
    let folder = partition.parent().expect("a partition has a folder");
    let marker = folder.join("_SUCCESS");
    if !marker.exists() {
        durable::mark(&marker)?;
    }
    Ok(marker)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::CouponCode;

    fn date() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, 18).unwrap()
    }

    #[test]
    fn a_published_day_holds_one_part_and_an_empty_success_marker() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path());
        lake.prepare().unwrap();
        let staging = Staging::open(&lake, "r1", date()).unwrap();
        let file = staging.write::<CouponCode>(&[], &Provenance::default()).unwrap();
        assert!(!lake.partition("coupon_codes", date()).exists(), "nothing is visible before publish");
        staging.publish(std::slice::from_ref(&file)).unwrap();
        staging.discard().unwrap();
        let published = lake.partition("coupon_codes", date());
        assert_eq!(sha256_of_file(&published).unwrap(), file.sha256);
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
            let file = staging.write::<CouponCode>(&[], &Provenance::default()).unwrap();
            staging.publish(&[file]).unwrap();
            fs::metadata(lake.partition("coupon_codes", date())).unwrap().ino()
        };
        assert_eq!(publish("r1"), publish("r2"));
    }
}
