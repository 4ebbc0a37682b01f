//! Re-reads what is published and says what is wrong with it: schema, order and uniqueness of keys,
//! foreign files, hashes against the last manifest. Changes nothing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;

use super::Lake;
use super::manifest::Manifest;
use super::partition::{PartitionError, check_partition};
use super::publish::sha256_of_file;
use crate::contract::{self, Contract};

/// What is wrong with a published file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong.
    pub what: String,
}

/// What was looked at and found.
#[derive(Debug, Default)]
pub struct Inspection {
    /// Partitions and reports that were read.
    pub files: usize,
    /// Rows in them.
    pub rows: u64,
    /// Everything wrong.
    pub findings: Vec<Finding>,
}

/// Inspects what is published for `date`.
///
/// # Errors
/// Folders that cannot be listed.
pub fn inspect(lake: &Lake, date: NaiveDate) -> io::Result<Inspection> {
    let mut inspection = Inspection::default();
    for contract in contract::all() {
        inspect_dataset(lake, contract, date, &mut inspection)?;
    }
    match latest_manifest(lake, date)? {
        Some(manifest) => inspect_manifest(lake, &manifest, &mut inspection)?,
        None => inspection.findings.push(Finding {
            path: lake.root().join("runs").join(date.to_string()),
            what: "no manifest says that this day was published".to_owned(),
        }),
    }
    Ok(inspection)
}

fn inspect_dataset(lake: &Lake, contract: &'static Contract, date: NaiveDate, it: &mut Inspection) -> io::Result<()> {
    let path = lake.partition(&contract.name, date);
    let folder = path.parent().expect("a partition has a folder");
    if !folder.is_dir() {
        return Ok(());
    }
    for name in foreign_files(folder)? {
        it.findings.push(Finding { path: folder.join(name), what: "does not belong into a dataset".to_owned() });
    }
    if !folder.join("_SUCCESS").is_file() {
        it.findings.push(Finding { path: folder.to_owned(), what: "has no _SUCCESS".to_owned() });
    }
    match check_partition(&path, contract) {
        Ok(rows) => (it.files, it.rows) = (it.files + 1, it.rows + rows),
        Err(error) => it.findings.push(Finding { path, what: chain(&error) }),
    }
    Ok(())
}

fn foreign_files(folder: &Path) -> io::Result<Vec<String>> {
    let mut foreign = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let empty_marker = name == "_SUCCESS" && entry.metadata()?.len() == 0;
        if name != "part-0.parquet" && !empty_marker {
            foreign.push(name);
        }
    }
    foreign.sort();
    Ok(foreign)
}

/// The manifest of the last run that published something for `date`.
fn latest_manifest(lake: &Lake, date: NaiveDate) -> io::Result<Option<Manifest>> {
    let folder = lake.root().join("runs").join(date.to_string());
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        entries => entries?,
    };
    let mut runs: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    runs.sort();
    for run in runs.iter().rev() {
        let Ok(text) = fs::read_to_string(run.join("manifest.json")) else { continue };
        let manifest: Manifest = serde_json::from_str(&text).map_err(io::Error::other)?;
        if !manifest.files.is_empty() {
            return Ok(Some(manifest));
        }
    }
    Ok(None)
}

fn inspect_manifest(lake: &Lake, manifest: &Manifest, it: &mut Inspection) -> io::Result<()> {
    for file in &manifest.files {
        let path = match file.dataset.as_str() {
            "reports" => lake.reports(manifest.business_date).join(&file.name),
            dataset => lake.partition(dataset, manifest.business_date),
        };
        let what = match sha256_of_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => "is gone; the manifest lists it".to_owned(),
            Err(error) => return Err(error),
            Ok(sha256) if sha256 != file.sha256 => "is not the file that was published: its hash differs".to_owned(),
            Ok(_) => continue,
        };
        it.findings.push(Finding { path, what });
    }
    inspect_earlier(lake, manifest, it)
}

/// A day is stale when an earlier day it was made from was restated.
fn inspect_earlier(lake: &Lake, manifest: &Manifest, it: &mut Inspection) -> io::Result<()> {
    for read in &manifest.read_partitions {
        let path = lake.partition(&read.dataset, read.date);
        let is_same = path.is_file() && sha256_of_file(&path)? == read.sha256;
        if !is_same {
            let what = format!("was restated after {} was made from it; run that day again", manifest.business_date);
            it.findings.push(Finding { path, what });
        }
    }
    Ok(())
}

fn chain(error: &PartitionError) -> String {
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::partition::Provenance;
    use crate::dataset::publish::Staging;
    use crate::record::CouponCode;

    fn date() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, 18).unwrap()
    }

    fn published(folder: &Path) -> Lake {
        let lake = Lake::at(folder);
        lake.prepare().unwrap();
        let staging = Staging::open(&lake, "r1", date()).unwrap();
        let files = vec![staging.write::<CouponCode>(&[], &Provenance::default()).unwrap()];
        staging.publish(&files).unwrap();
        let manifest = serde_json::json!({
            "manifest_version": 1, "code_version": "0", "job": "j", "business_date": date(), "run_id": "r1",
            "started_at": "2026-11-19T00:00:00Z", "finished_at": "2026-11-19T00:00:00Z", "status": "complete",
            "exit_code": 0, "stages": [], "files": files, "read_partitions": [], "inputs_sha256": "",
            "rules_sha256": "", "unjudged_rules": {}, "stale_dates": [], "footing": []
        });
        serde_json::from_value::<Manifest>(manifest).unwrap().write(&lake.run(date(), "r1")).unwrap();
        lake
    }

    fn findings(lake: &Lake) -> Vec<String> {
        inspect(lake, date()).unwrap().findings.into_iter().map(|it| it.what).collect()
    }

    #[test]
    fn an_untouched_day_has_no_findings() {
        let folder = tempfile::tempdir().unwrap();
        let inspection = inspect(&published(folder.path()), date()).unwrap();
        assert_eq!((inspection.files, inspection.findings), (1, vec![]));
    }

    #[test]
    fn every_planted_corruption_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let lake = published(folder.path());
        let path = lake.partition("coupon_codes", date());
        let right = fs::read(&path).unwrap();
        let mut flipped = right.clone();
        let last = flipped.len() / 2;
        flipped[last] ^= 1;
        fs::write(&path, flipped).unwrap();
        assert!(findings(&lake).iter().any(|what| what.contains("hash differs")));
        fs::write(&path, &right).unwrap();
        fs::write(path.with_file_name("notes.txt"), b"x").unwrap();
        assert_eq!(findings(&lake), ["does not belong into a dataset"]);
        fs::remove_file(path.with_file_name("notes.txt")).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(findings(&lake).iter().any(|what| what.contains("is gone")));
    }
}
