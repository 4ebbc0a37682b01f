//! A publication in progress: where each file will go is written down before the first one moves. A run that dies between
//! two renames leaves a day of mixed versions; the next run, of any date, completes it first.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;

use super::Lake;
use super::manifest::Manifest;
use super::publish::Staging;
use crate::durable;

const SUFFIX: &str = ".publishing.json";

/// What became of a publication that a killed run had started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovery {
    /// There was none.
    Nothing,
    /// It is complete now.
    Completed(NaiveDate),
    /// Its staged files are gone or damaged: the day must be run again.
    Lost(NaiveDate),
}

/// Publishes the files of `manifest`, then the manifest; returns its path.
///
/// # Errors
/// The disk; the next run completes what was started.
pub fn publish(lake: &Lake, staging: &Staging, manifest: &Manifest) -> io::Result<PathBuf> {
    if !manifest.files.is_empty() {
        let path = intent_path(lake, &manifest.job);
        durable::write_file(&path, &path.with_extension("staged"), &manifest.to_bytes()?)?;
        lake.put(&path)?;
    }
    finish(lake, staging, manifest)
}

/// Completes the publication that a killed run of `job` started, if there is one. The caller holds the lock.
///
/// # Errors
/// The disk.
pub fn recover(lake: &Lake, job: &str) -> io::Result<Recovery> {
    let Some(manifest) = read_intent(&intent_path(lake, job))? else { return Ok(Recovery::Nothing) };
    let date = manifest.business_date;
    let staging = Staging::reopen(lake, job, date);
    if !staging.is_whole(&manifest.files)? {
        lake.remove(&intent_path(lake, job))?;
        return Ok(Recovery::Lost(date));
    }
    finish(lake, &staging, &manifest)?;
    Ok(Recovery::Completed(date))
}

/// The runs whose publication of `date` is in progress or was interrupted.
///
/// # Errors
/// The state folder cannot be read.
pub fn interrupted(lake: &Lake, date: NaiveDate) -> io::Result<Vec<(PathBuf, Manifest)>> {
    let entries = match fs::read_dir(lake.state("")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if !path.to_string_lossy().ends_with(SUFFIX) {
            continue;
        }
        let manifest = read_intent(&path)?.filter(|manifest| manifest.business_date == date);
        found.extend(manifest.map(|manifest| (path, manifest)));
    }
    Ok(found)
}

fn finish(lake: &Lake, staging: &Staging, manifest: &Manifest) -> io::Result<PathBuf> {
    staging.publish(&manifest.files)?;
    let path = manifest.write(&lake.run(manifest.business_date, &manifest.run_id))?;
    lake.put_run(&path)?;
    lake.remove(&intent_path(lake, &manifest.job))?;
    Ok(path)
}

fn intent_path(lake: &Lake, job: &str) -> PathBuf {
    lake.state(&format!("{job}{SUFFIX}"))
}

fn read_intent(path: &Path) -> io::Result<Option<Manifest>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        bytes => {
            let unreadable = |error| {
                let what = format!("`{}` is not readable ({error}): remove it and run its day again", path.display());
                io::Error::new(io::ErrorKind::InvalidData, what)
            };
            serde_json::from_slice(&bytes?).map(Some).map_err(unreadable)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::partition::Provenance;
    use crate::dataset::staged::StagedFile;
    use crate::record::{CouponCode, Stock};
    use crate::sha256::sha256_of_file;

    fn date() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, 18).unwrap()
    }

    /// A lake in which the run of job `j` died after it had recorded what it would publish.
    fn died(folder: &Path) -> (Lake, Vec<StagedFile>) {
        let lake = Lake::at(folder);
        lake.prepare().unwrap();
        let staging = Staging::open(&lake, "j", date()).unwrap();
        let codes = staging.write::<CouponCode>(&[], &Provenance::default()).unwrap();
        let stocks = staging.write::<Stock>(&[], &Provenance::default()).unwrap();
        let files = [codes, stocks].concat();
        let manifest = Manifest::for_tests("j", date(), files.clone());
        let path = intent_path(&lake, "j");
        durable::write_file(&path, &path.with_extension("staged"), &manifest.to_bytes().unwrap()).unwrap();
        (lake, files)
    }

    #[test]
    fn a_publication_that_was_cut_off_between_two_files_is_completed() {
        let folder = tempfile::tempdir().unwrap();
        let (lake, files) = died(folder.path());
        Staging::reopen(&lake, "j", date()).publish(&files[..1]).unwrap();
        assert_eq!(interrupted(&lake, date()).unwrap().len(), 1);
        assert_eq!(recover(&lake, "j").unwrap(), Recovery::Completed(date()));
        for file in &files {
            assert_eq!(sha256_of_file(&lake.partition(&file.dataset, date())).unwrap(), file.sha256);
        }
        assert!(lake.run(date(), "r1").join("manifest.json").is_file());
        assert_eq!(recover(&lake, "j").unwrap(), Recovery::Nothing);
        assert!(interrupted(&lake, date()).unwrap().is_empty());
    }

    #[test]
    fn a_publication_whose_staged_files_are_gone_moves_none_of_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let (lake, files) = died(folder.path());
        fs::write(lake.staging("j").join("stocks/part-0.parquet"), b"torn").unwrap();
        assert_eq!(recover(&lake, "j").unwrap(), Recovery::Lost(date()));
        assert!(!lake.partition(&files[0].dataset, date()).exists());
        assert_eq!(recover(&lake, "j").unwrap(), Recovery::Nothing);
    }

    #[test]
    fn an_intent_that_is_not_readable_is_named_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let (lake, _) = died(folder.path());
        fs::write(intent_path(&lake, "j"), b"{").unwrap();
        let error = recover(&lake, "j").unwrap_err().to_string();
        assert!(error.contains("j.publishing.json") && error.contains("run its day again"), "{error}");
    }
}
