//! The manifests of a date: which run last published which file, and whether it was complete. Writes
//! nothing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;

use super::Lake;
use super::manifest::{CHECKSUM_FILE, MANIFEST_FILE, Manifest, checksum_line};
use super::staged::StagedFile;
use super::status::StageStatus;
use crate::clock::World;
use crate::journal::{Journal, JournalError};

/// The runs of one date.
#[derive(Debug, Default)]
pub struct Runs {
    /// Manifests of runs that published something, newest first.
    pub publishing: Vec<Manifest>,
    /// Manifests that differ from their checksum, and how.
    pub damaged: Vec<(PathBuf, String)>,
    last_sequence: u64,
}

impl Runs {
    /// Reads every manifest of `date`. A damaged one is recorded and, if it can be parsed, still
    /// counts.
    ///
    /// # Errors
    /// Folders or files that cannot be read; a manifest of a later format.
    pub fn read(lake: &Lake, date: NaiveDate) -> io::Result<Runs> {
        let mut runs = Runs::default();
        for folder in run_folders(&lake.runs(date))? {
            runs.add(&folder)?;
        }
        runs.publishing
            .sort_by(|a, b| (b.sequence, b.finished_at, &b.run_id).cmp(&(a.sequence, a.finished_at, &a.run_id)));
        Ok(runs)
    }

    /// The number of the next manifest of the date, since clocks may go back.
    pub fn next_sequence(&self) -> u64 {
        self.last_sequence + 1
    }

    /// The last published parts of a dataset, in order, and the run that published them.
    pub fn partition(&self, dataset: &str) -> Option<(&Manifest, Vec<&StagedFile>)> {
        let has_parts = |manifest: &&Manifest| manifest.files.iter().any(|file| file.dataset == dataset);
        let manifest = self.publishing.iter().find(has_parts)?;
        Some((manifest, manifest.files.iter().filter(|file| file.dataset == dataset).collect()))
    }

    /// One of these parts.
    pub fn part(&self, dataset: &str, name: &str) -> Option<&StagedFile> {
        self.partition(dataset)?.1.into_iter().find(|part| part.name == name)
    }

    /// The last published version of a report.
    pub fn report(&self, name: &str) -> Option<&StagedFile> {
        let mut files = self.publishing.iter().flat_map(|manifest| &manifest.files);
        files.find(|file| file.is_report() && file.name == name)
    }

    /// Whether `dataset` was last published by a complete stage.
    pub fn was_complete(&self, dataset: &str) -> bool {
        let Some((manifest, _)) = self.partition(dataset) else { return false };
        let owner = manifest.stages.iter().find(|stage| stage.rows.contains_key(dataset));
        owner.is_some_and(|stage| stage.status == StageStatus::Complete)
    }

    /// The generation of the journal that the published day was made from.
    pub fn generation(&self) -> Option<u32> {
        self.publishing.first().map(|manifest| manifest.generation).filter(|number| *number > 0)
    }

    /// The journal that the published day was made from, for reading: without what unpublished runs
    /// have added since. The latest one if nothing is published.
    ///
    /// # Errors
    /// It does not exist.
    pub fn journal(&self, lake: &Lake, date: NaiveDate, world: World) -> Result<Journal, JournalError> {
        let journal = Journal::replay(&lake.journal(date), self.generation(), world)?;
        Ok(match self.publishing.first().and_then(Manifest::journal_extent) {
            Some(extent) => journal.as_of(extent),
            None => journal,
        })
    }

    fn add(&mut self, folder: &Path) -> io::Result<()> {
        let path = folder.join(MANIFEST_FILE);
        let bytes = match fs::read(&path) {
            // A run in progress, or a killed one.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            bytes => bytes?,
        };
        let checksum = fs::read_to_string(folder.join(CHECKSUM_FILE)).unwrap_or_default();
        let is_as_written = checksum == checksum_line(&bytes);
        let manifest = match Manifest::parse(&path, &bytes).map_err(io::Error::other)? {
            Ok(manifest) => manifest,
            Err(error) => {
                self.damaged.push((path, format!("is no longer a manifest: {error}")));
                return Ok(());
            }
        };
        if !is_as_written {
            let what = format!("was changed after it was written: it does not match `{CHECKSUM_FILE}` beside it");
            self.damaged.push((path, what));
        }
        self.last_sequence = self.last_sequence.max(manifest.sequence);
        if !manifest.files.is_empty() {
            self.publishing.push(manifest);
        }
        Ok(())
    }
}

fn run_folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut folders = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    folders.retain(|path| path.is_dir());
    folders.sort();
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::contract;
    use crate::dataset::partition::{check_partition, read_rows};
    use crate::record::Break;
    use crate::sorter::Room;

    /// Part of a day of the sample as a program wrote it before manifests told the digests of sources and the mark of openids, and
    /// breaks the oldest day they hang on.
    #[test]
    fn a_manifest_of_a_later_format_is_refused_even_where_nothing_else_in_it_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path());
        let date = NaiveDate::from_ymd_opt(2026, 11, 18).unwrap();
        let run = lake.runs(date).join("r1");
        Manifest::for_tests("a", date, Vec::new()).write(&run).unwrap();
        assert_eq!(Runs::read(&lake, date).unwrap().last_sequence, 1);
        std::fs::write(run.join(MANIFEST_FILE), r#"{"manifest_version": 2, "code_version": "9.1.0"}"#).unwrap();
        let told = Runs::read(&lake, date).unwrap_err().to_string();
        assert!(told.contains("written by coupon-recon 9.1.0 in format 2") && told.contains("up to 1"), "{told}");
    }

    #[test]
    fn what_an_older_program_published_and_journalled_is_read_as_it_was_written() {
        let lake = Lake::at(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/older_lake"));
        let date = NaiveDate::from_ymd_opt(2026, 11, 18).unwrap();
        let runs = Runs::read(&lake, date).unwrap();
        assert_eq!((runs.publishing.len(), &runs.damaged), (1, &Vec::new()));
        let manifest = &runs.publishing[0];
        assert_eq!((manifest.openid_mark.as_str(), manifest.source_digests, manifest.is_judged()), ("", 0, true));
        for dataset in ["breaks", "coupon_codes"] {
            let rows = check_partition(&lake.partition(dataset, date), contract(dataset), Some(date)).unwrap();
            assert_eq!(rows, [runs.part(dataset, "part-0.parquet").unwrap().rows], "{dataset}");
        }
        let breaks: Vec<Break> = read_rows(&lake.partition("breaks", date)).unwrap();
        assert!(breaks.len() == 67 && breaks.iter().all(|it| it.oldest_input_date.is_none()));
        let journal = runs.journal(&lake, date, World::real()).unwrap();
        let room = Room { folder: std::env::temp_dir(), memory_bytes: 1 << 20 };
        let digest = journal.stage("coupon_codes").unwrap().digest(&room).unwrap();
        assert_eq!(digest, manifest.journal_sha256["coupon_codes"], "the digest of a journal is for ever");
    }
}
