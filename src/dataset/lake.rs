//! The layout of a lake (design §4): names paths, lists partitions, and keeps a bucket in step with its
//! work folder. Creates no file, only folders.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::NaiveDate;

use super::bucket::Bucket;
use super::parts;
use crate::contract;
use crate::durable::{self, with_path};

/// A lake on a local file system, or the work folder of one in a bucket.
#[derive(Debug, Clone)]
pub struct Lake {
    root: PathBuf,
    bucket: Option<Arc<Bucket>>,
    url: Option<String>,
}

/// The folders of a lake in which a night writes.
const TREES: [&str; 6] = ["datasets", "reports", "runs", "journal", "state", "staging"];

/// A published partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Business date.
    pub date: NaiveDate,
    /// Its first and usually only Parquet file; `parts` finds the others.
    pub path: PathBuf,
}

impl Lake {
    /// A lake at `root`; the folder need not exist.
    pub fn at(root: impl Into<PathBuf>) -> Lake {
        Lake { root: root.into(), bucket: None, url: None }
    }

    /// The work folder of a lake in a bucket, with the downloaded files.
    pub fn in_bucket(bucket: Bucket) -> Lake {
        let mirror = bucket.mirror();
        let (root, url) = (mirror.folder().to_owned(), mirror.store().url().to_owned());
        Lake { root, bucket: Some(Arc::new(bucket)), url: Some(url) }
    }

    /// The same lake, shown under this URL.
    #[must_use]
    pub fn known_as(self, url: Option<String>) -> Lake {
        Lake { url, ..self }
    }

    /// How a path of the lake is shown to people.
    pub fn shown(&self, path: &Path) -> String {
        match (&self.url, path.strip_prefix(&self.root)) {
            (Some(url), Ok(below)) => format!("{url}/{}", below.display()),
            _ => path.display().to_string(),
        }
    }

    /// The bucket behind the work folder, if the lake is in one.
    pub fn bucket(&self) -> Option<&Bucket> {
        self.bucket.as_deref()
    }

    /// Uploads a file of the lake to its bucket; does nothing for a lake in a folder.
    pub fn put(&self, path: &Path) -> io::Result<()> {
        self.bucket().map_or(Ok(()), |bucket| Ok(bucket.mirror().put(path)?))
    }

    /// Removes a file of the lake and its object, if they exist.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        if let Some(bucket) = self.bucket() {
            return Ok(bucket.mirror().remove(path)?);
        }
        durable::remove_file(path)
    }

    /// Uploads the folder of a run; the manifest, which says that it is complete, comes last.
    pub fn put_run(&self, manifest: &Path) -> io::Result<()> {
        let folder = manifest.parent().expect("a manifest is in the folder of its run");
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_file() && path != manifest {
                self.put(&path)?;
            }
        }
        self.put(manifest)
    }

    /// Uploads what later nights and a rerun of `date` need: its journal and the state.
    pub fn put_memory(&self, date: NaiveDate) -> io::Result<()> {
        let journal = format!("journal/dt={date}");
        self.bucket().map_or(Ok(()), |bucket| Ok(bucket.mirror().put_below(&[&journal, "state"])?))
    }

    /// Creates the folders that hold private data and staging.
    pub fn prepare(&self) -> io::Result<()> {
        for private in ["journal", "state", "staging"] {
            durable::create_private_folder(&self.root.join(private))?;
        }
        durable::create_folder(&self.root.join("datasets"))
    }

    /// A folder without write permission: better known before any request is sent.
    pub fn closed_folder(&self) -> Option<(PathBuf, io::Error)> {
        let trees = TREES.map(|tree| self.root.join(tree));
        let refusal = |folder: PathBuf| {
            let error = rustix::fs::access(&folder, rustix::fs::Access::WRITE_OK).err()?;
            Some((folder, error.into()))
        };
        trees.into_iter().filter(|folder| folder.exists()).find_map(refusal)
    }

    /// A symbolic link among the places that a night of `date` writes to: it could lead out of the lake.
    /// The root itself may be a link.
    ///
    /// # Errors
    /// A place that cannot be inspected.
    pub fn link(&self, date: NaiveDate, job: &str) -> io::Result<Option<PathBuf>> {
        for place in self.places(date, job)? {
            match std::fs::symlink_metadata(&place) {
                Ok(metadata) if metadata.is_symlink() => return Ok(Some(place)),
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(with_path(&place)(error)),
                _ => {}
            }
        }
        let own = [self.journal(date), self.reports(date), self.runs(date)];
        for folder in own.into_iter().chain([self.state(""), self.staging(job), self.handover(job, date)]) {
            if let Some(link) = link_below(&folder)? {
                return Ok(Some(link));
            }
        }
        Ok(None)
    }

    /// The folders that a night of `date` writes to, with those above them, and the partitions it may replace.
    fn places(&self, date: NaiveDate, job: &str) -> io::Result<Vec<PathBuf>> {
        let mut places: Vec<_> = TREES.into_iter().chain(["handover"]).map(|tree| self.root.join(tree)).collect();
        places.extend([self.reports(date), self.runs(date), self.journal(date)]);
        places.extend([self.staging(job), self.state("wallets"), self.state(&format!("{job}.lock"))]);
        places.extend(self.handover(job, date).ancestors().take(2).map(Path::to_path_buf));
        for contract in contract::all() {
            let partition = self.partition(&contract.name, date);
            places.extend(partition.ancestors().take(3).map(Path::to_path_buf));
            let folder = partition.parent().expect("a partition has a folder");
            let numbers = parts::present(folder).map_err(with_path(folder))?;
            places.extend(numbers.into_iter().map(|number| parts::path(&partition, number)));
        }
        Ok(places)
    }

    /// The folder of the lake.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `datasets/<name>`: contains only partitions and `_SUCCESS`.
    pub fn dataset(&self, dataset: &str) -> PathBuf {
        self.root.join("datasets").join(dataset)
    }

    /// `datasets/<name>/dt=D/part-0.parquet`: the first file stands for the partition (`parts`).
    pub fn partition(&self, dataset: &str, date: NaiveDate) -> PathBuf {
        self.dataset(dataset).join(format!("dt={date}")).join(parts::FIRST)
    }

    /// `reports/dt=D`.
    pub fn reports(&self, date: NaiveDate) -> PathBuf {
        self.root.join("reports").join(format!("dt={date}"))
    }

    /// `runs/D`.
    pub fn runs(&self, date: NaiveDate) -> PathBuf {
        self.root.join("runs").join(date.to_string())
    }

    /// `runs/D/<run_id>`.
    pub fn run(&self, date: NaiveDate, run_id: &str) -> PathBuf {
        self.runs(date).join(run_id)
    }

    /// `staging/<job>`: on the same file system, outside every dataset.
    pub fn staging(&self, job: &str) -> PathBuf {
        self.root.join("staging").join(job)
    }

    /// `handover/<job>/dt=D`: the inputs and results of a script of the night, until they are published.
    pub fn handover(&self, job: &str, date: NaiveDate) -> PathBuf {
        self.root.join("handover").join(job).join(format!("dt={date}"))
    }

    /// `journal/dt=D`.
    pub fn journal(&self, date: NaiveDate) -> PathBuf {
        self.root.join("journal").join(format!("dt={date}"))
    }

    /// Whether the night of `date` has journalled anything, wherever it ran.
    pub fn has_journal(&self, date: NaiveDate) -> io::Result<bool> {
        let Some(bucket) = self.bucket() else { return self.journal(date).try_exists() };
        Ok(!bucket.mirror().store().list(&format!("journal/dt={date}"))?.is_empty())
    }

    /// `state/<name>`.
    pub fn state(&self, name: &str) -> PathBuf {
        self.root.join("state").join(name)
    }

    /// `state/<job>.remedies`: what is kept of the calls of approved plans.
    pub fn remedies(&self, job: &str) -> PathBuf {
        self.state(&format!("{job}.remedies"))
    }

    /// Published partitions of `dataset` with `from <= date < before`, oldest first.
    pub fn partitions(&self, dataset: &str, from: NaiveDate, before: NaiveDate) -> io::Result<Vec<Partition>> {
        let mut partitions = self.all_partitions(dataset)?;
        partitions.retain(|partition| (from..before).contains(&partition.date));
        Ok(partitions)
    }

    /// The latest published partition of `dataset` before `date`.
    pub fn latest_before(&self, dataset: &str, date: NaiveDate) -> io::Result<Option<Partition>> {
        Ok(self.all_partitions(dataset)?.into_iter().rfind(|partition| partition.date < date))
    }

    /// The published partitions of `dataset` after `date`: stale once `date` is restated.
    pub fn partitions_after(&self, dataset: &str, date: NaiveDate) -> io::Result<Vec<Partition>> {
        let mut partitions = self.all_partitions(dataset)?;
        partitions.retain(|partition| partition.date > date);
        Ok(partitions)
    }

    fn all_partitions(&self, dataset: &str) -> io::Result<Vec<Partition>> {
        if let Some(bucket) = &self.bucket {
            let dates = bucket.published(dataset);
            return Ok(dates.map(|date| Partition { date, path: self.partition(dataset, date) }).collect());
        }
        let mut partitions = Vec::new();
        let entries = match std::fs::read_dir(self.dataset(dataset)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(partitions),
            entries => entries?,
        };
        for entry in entries {
            let folder = entry?.path();
            let path = folder.join(parts::FIRST);
            if let Some(date) = date_of(&folder).filter(|_| path.is_file()) {
                partitions.push(Partition { date, path });
            }
        }
        partitions.sort_by_key(|partition| partition.date);
        Ok(partitions)
    }
}

/// A symbolic link anywhere below a folder, which need not exist.
fn link_below(folder: &Path) -> io::Result<Option<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        entries => entries.map_err(with_path(folder))?,
    };
    for entry in entries {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_symlink() {
            return Ok(Some(entry.path()));
        }
        if let Some(link) = kind.is_dir().then(|| link_below(&entry.path())).transpose()?.flatten() {
            return Ok(Some(link));
        }
    }
    Ok(None)
}

/// The date in `…/dt=2026-11-18`.
fn date_of(folder: &Path) -> Option<NaiveDate> {
    folder.file_name()?.to_str()?.strip_prefix("dt=")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, day).unwrap()
    }

    #[test]
    fn a_link_that_could_lead_out_of_the_lake_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path().join("lake"));
        lake.prepare().unwrap();
        assert_eq!(lake.link(day(18), "j").unwrap(), None);
        let orders = lake.dataset("orders");
        std::os::unix::fs::symlink("/etc", &orders).unwrap();
        assert_eq!(lake.link(day(18), "j").unwrap(), Some(orders));
    }

    #[test]
    fn a_place_that_cannot_be_looked_at_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path().join("lake"));
        lake.prepare().unwrap();
        let day = lake.dataset("orders").join("dt=2026-11-18");
        std::fs::create_dir_all(lake.dataset("orders")).unwrap();
        std::fs::write(&day, b"no folder").unwrap();
        let error = lake.link("2026-11-18".parse().unwrap(), "j").unwrap_err().to_string();
        assert!(error.starts_with(&format!("`{}", day.display())), "{error}");
    }

    #[test]
    fn partitions_are_listed_by_date_and_foreign_folders_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path());
        for date in [day(20), day(18), day(19)] {
            let path = lake.partition("orders", date);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"").unwrap();
        }
        std::fs::create_dir_all(lake.dataset("orders").join("dt=soon")).unwrap();
        let dates = |partitions: Vec<Partition>| partitions.into_iter().map(|it| it.date).collect::<Vec<_>>();
        assert_eq!(dates(lake.partitions("orders", day(18), day(20)).unwrap()), [day(18), day(19)]);
        assert_eq!(lake.latest_before("orders", day(20)).unwrap().unwrap().date, day(19));
        assert_eq!(dates(lake.partitions_after("orders", day(18)).unwrap()), [day(19), day(20)]);
        assert_eq!(lake.latest_before("payments", day(20)).unwrap(), None);
    }
}
