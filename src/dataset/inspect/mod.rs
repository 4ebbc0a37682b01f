//! Verifies published files: schema, order and uniqueness of keys, foreign files, and everything the manifests
//! state about a day (hashes, rows, control totals, journal). Changes nothing.

mod finding;
mod record;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;

use super::Lake;
use super::partition::check_partition;
use super::parts;
use super::replacement::MARKER;
use super::runs::Runs;
use super::staged::StagedFile;
use crate::causes::in_one_line;
use crate::contract::{self, Contract};
use crate::durable::{advice_for_open_files, refusal, with_path};

use record::Day;

pub use finding::{Finding, Inspection};

/// Inspects what is published for `date`.
///
/// # Errors
/// Folders that cannot be listed, files that cannot be read.
pub fn inspect(lake: &Lake, date: NaiveDate) -> io::Result<Inspection> {
    let runs = Runs::read(lake, date).map_err(with_path(&lake.runs(date)))?;
    let day = Day { lake, date, runs: &runs };
    let mut it = Inspection::default();
    inspect_layout(lake, &mut it)?;
    let mut rows = BTreeMap::new();
    for contract in contract::all() {
        let listed = runs.partition(&contract.name).map(|(_, parts)| parts);
        if let Some(read) = inspect_dataset(day, contract, listed.as_deref(), &mut it)? {
            rows.insert(contract.name.as_str(), read);
            if listed.is_none() {
                it.find(lake.partition(&contract.name, date), "no run has recorded publishing this");
            }
        }
    }
    inspect_reports(day, &mut it)?;
    day.inspect_record(&rows, &mut it)?;
    Ok(it)
}

/// Readers open every file below a dataset: only folders of days may be there.
fn inspect_layout(lake: &Lake, it: &mut Inspection) -> io::Result<()> {
    for (path, name) in entries(&lake.root().join("datasets"))? {
        if !contract::all().any(|contract| contract.name == name) || !is_folder(&path)? {
            it.find(path, "is not a dataset of this program: it does not belong here");
            continue;
        }
        for (path, name) in entries(&path)? {
            let is_day = name.strip_prefix("dt=").is_some_and(|date| date.parse::<NaiveDate>().is_ok());
            if !is_day || !is_folder(&path)? {
                it.find(path, "does not belong in a dataset");
            }
        }
    }
    Ok(())
}

/// The rows of each part, if all are readable. `listed` are those of the manifest, if one lists the dataset.
fn inspect_dataset(
    Day { lake, date, .. }: Day<'_>,
    contract: &'static Contract,
    listed: Option<&[&StagedFile]>,
    it: &mut Inspection,
) -> io::Result<Option<Vec<u64>>> {
    let path = lake.partition(&contract.name, date);
    let folder = path.parent().expect("a partition has a folder");
    // What cannot be looked at is not absent.
    if !folder.try_exists().map_err(with_path(folder))? || !folder.is_dir() {
        return Ok(None);
    }
    inspect_day(folder, listed, it)?;
    match check_partition(&path, contract, Some(date)) {
        Ok(rows) => {
            (it.files, it.rows) = (it.files + rows.len(), it.rows + rows.iter().sum::<u64>());
            Ok(Some(rows))
        }
        Err(error) => match refusal(&error).filter(|no| advice_for_open_files(no).is_some()) {
            // A file that could not be opened for a reason of the system is not damaged.
            Some(no) => Err(with_path(&path)(no)),
            None => {
                it.find(path, in_one_line(&error));
                Ok(None)
            }
        },
    }
}

/// The folder of a day holds its parts and a marker, nothing else.
fn inspect_day(folder: &Path, listed: Option<&[&StagedFile]>, it: &mut Inspection) -> io::Result<()> {
    let is_part = |name: &str| match listed {
        Some(listed) => listed.iter().any(|file| file.name == name),
        None => parts::number(name).is_some(),
    };
    for (path, name) in entries(folder)? {
        let metadata = fs::symlink_metadata(&path).map_err(with_path(&path))?;
        let is_marker = name == MARKER && metadata.len() == 0;
        if metadata.is_symlink() {
            it.find(path, "is a symbolic link: it may lead out of the lake");
        } else if !is_part(&name) && !is_marker {
            it.find(path, "does not belong in a dataset");
        }
    }
    if !folder.join(MARKER).is_file() {
        it.find(folder, "has no _SUCCESS");
    }
    Ok(())
}

fn inspect_reports(Day { lake, date, runs }: Day<'_>, it: &mut Inspection) -> io::Result<()> {
    for (path, name) in entries(&lake.reports(date))? {
        match runs.report(&name) {
            Some(_) => it.files += 1,
            None => it.find(path, "does not belong among the reports: no run has recorded publishing this"),
        }
    }
    Ok(())
}

/// The entries of a folder by name; empty if it does not exist.
fn entries(folder: &Path) -> io::Result<Vec<(PathBuf, String)>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(with_path(folder))?,
    };
    let named = |entry: fs::DirEntry| (entry.path(), entry.file_name().to_string_lossy().into_owned());
    let mut found = entries.map(|entry| entry.map(named)).collect::<io::Result<Vec<_>>>()?;
    found.sort();
    Ok(found)
}

/// A folder that is not a symbolic link.
fn is_folder(path: &Path) -> io::Result<bool> {
    Ok(fs::symlink_metadata(path).map_err(with_path(path))?.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::manifest::{CHECKSUM_FILE, MANIFEST_FILE, Manifest};
    use crate::dataset::partition::{PartLimit, Provenance};
    use crate::dataset::publish::Staging;
    use crate::record::CouponCode;

    fn date() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, 18).unwrap()
    }

    fn published(folder: &Path) -> Lake {
        let lake = Lake::at(folder);
        lake.prepare().unwrap();
        let staging = Staging::open(&lake, "r1", date()).unwrap();
        let files = staging.write::<CouponCode>(&[], &Provenance::default()).unwrap();
        staging.publish(&files).unwrap();
        Manifest::for_tests("j", date(), files).write(&lake.run(date(), "r1")).unwrap();
        lake
    }

    #[test]
    fn an_untouched_day_has_no_findings() {
        let folder = tempfile::tempdir().unwrap();
        let inspection = inspect(&published(folder.path()), date()).unwrap();
        assert_eq!((inspection.files, inspection.findings), (1, vec![]));
    }

    /// The only finding in the published lake after `harm` damaged it.
    fn finding_after(harm: impl FnOnce(&Lake)) -> String {
        let folder = tempfile::tempdir().unwrap();
        let lake = published(folder.path());
        harm(&lake);
        let findings = inspect(&lake, date()).unwrap().findings;
        findings.into_iter().map(|it| format!("{}: {}", it.path.display(), it.what)).collect::<Vec<_>>().join("\n")
    }

    fn assert_found(harm: impl FnOnce(&Lake), words: &[&str]) {
        let found = finding_after(harm);
        assert!(words.iter().all(|word| found.contains(word)), "{words:?} is missing in: {found}");
    }

    #[test]
    fn a_flipped_byte_is_found() {
        let flip = |lake: &Lake| {
            let path = lake.partition("coupon_codes", date());
            let mut bytes = fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(path, bytes).unwrap();
        };
        assert_found(flip, &["coupon_codes/dt=2026-11-18/part-0.parquet", "hash differs"]);
    }

    #[test]
    fn a_deleted_partition_is_found() {
        let delete = |lake: &Lake| fs::remove_dir_all(lake.dataset("coupon_codes")).unwrap();
        assert_found(delete, &["coupon_codes/dt=2026-11-18/part-0.parquet", "is missing"]);
    }

    #[test]
    fn a_missing_success_marker_is_found() {
        let path = |lake: &Lake| lake.partition("coupon_codes", date()).with_file_name("_SUCCESS");
        assert_found(|lake| fs::remove_file(path(lake)).unwrap(), &["has no _SUCCESS"]);
        assert_found(|lake| fs::write(path(lake), b"x").unwrap(), &["_SUCCESS", "does not belong"]);
    }

    #[test]
    fn a_foreign_file_is_found_wherever_a_reader_would_take_it() {
        let beside = |lake: &Lake| lake.partition("coupon_codes", date()).with_file_name("part-1.parquet");
        assert_found(|lake| fs::write(beside(lake), b"").unwrap(), &["part-1.parquet", "does not belong"]);
        let above = |lake: &Lake| lake.dataset("coupon_codes").join("notes.txt");
        assert_found(|lake| fs::write(above(lake), b"").unwrap(), &["notes.txt", "does not belong"]);
        let other = |lake: &Lake| lake.root().join("datasets/copy_of_orders");
        assert_found(|lake| fs::create_dir(other(lake)).unwrap(), &["copy_of_orders", "not a dataset"]);
        let report = |lake: &Lake| fs::create_dir_all(lake.reports(date()).join("old")).unwrap();
        assert_found(report, &["old", "among the reports"]);
    }

    /// A lake whose partition has three parts.
    fn published_in_parts(folder: &Path) -> Lake {
        let lake = Lake::at(folder);
        lake.prepare().unwrap();
        let limit = PartLimit::of_rows(1);
        let staging = Staging::open(&lake, "r1", date()).unwrap().in_parts(limit);
        let code = |number: usize| serde_json::json!({"stock_id": "S", "coupon_code": number.to_string(), "business_date": "2026-11-18"});
        let rows: Vec<CouponCode> = (0..3).map(|number| serde_json::from_value(code(number)).unwrap()).collect();
        let files = staging.write(&rows, &Provenance::default()).unwrap();
        staging.publish(&files).unwrap();
        Manifest::for_tests("j", date(), files).write(&lake.run(date(), "r1")).unwrap();
        lake
    }

    #[test]
    fn a_part_that_is_missing_damaged_or_one_too_many_is_named() {
        type Harm = fn(&Path);
        fn copy(part: &Path, name: &str) {
            fs::copy(part, part.with_file_name(name)).unwrap();
        }
        let harms: [(Harm, &[&str]); 5] = [
            (|_| (), &[]),
            (|part| fs::remove_file(part.with_file_name("part-2.parquet")).unwrap(), &["part-2.parquet: is missing"]),
            (|part| fs::remove_file(part.with_file_name("part-1.parquet")).unwrap(), &["part-1.parquet: is missing"]),
            (
                |part| copy(part, "part-3.parquet"),
                &["part-3.parquet: does not belong", "S, 0 comes after a larger one"],
            ),
            (
                |part| copy(part, "part-2.parquet"),
                &["part-2.parquet: is not the file that was published", "comes after a larger one"],
            ),
        ];
        for (harm, words) in harms {
            let folder = tempfile::tempdir().unwrap();
            let lake = published_in_parts(folder.path());
            harm(&lake.partition("coupon_codes", date()));
            let found = inspect(&lake, date()).unwrap();
            let told = found.findings.iter().map(|it| format!("{}: {}\n", it.path.display(), it.what));
            let told: String = told.collect();
            assert!(words.iter().all(|word| told.contains(word)), "{words:?} is missing in: {told}");
            assert_eq!(words.is_empty(), found.findings.is_empty(), "{told}");
            if words.is_empty() {
                assert_eq!((found.files, found.rows), (3, 3));
            }
        }
    }

    #[test]
    fn a_part_that_a_later_run_did_not_publish_any_more_is_not_missed() {
        let folder = tempfile::tempdir().unwrap();
        let lake = published_in_parts(folder.path());
        let staging = Staging::open(&lake, "r2", date()).unwrap();
        let files = staging.write::<CouponCode>(&[], &Provenance::default()).unwrap();
        staging.publish(&files).unwrap();
        let later = Manifest { sequence: 2, run_id: "r2".to_owned(), ..Manifest::for_tests("j", date(), files) };
        later.write(&lake.run(date(), "r2")).unwrap();
        assert_eq!(inspect(&lake, date()).unwrap().findings, []);
    }

    #[test]
    fn a_link_in_place_of_a_partition_is_found() {
        let link = |lake: &Lake| {
            let path = lake.partition("coupon_codes", date());
            let elsewhere = lake.root().join("elsewhere.parquet");
            fs::rename(&path, &elsewhere).unwrap();
            std::os::unix::fs::symlink(elsewhere, path).unwrap();
        };
        assert_found(link, &["part-0.parquet", "symbolic link"]);
    }

    #[test]
    fn a_partition_that_no_run_published_is_found() {
        let copy = |lake: &Lake| {
            let path = lake.partition("stocks", date());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            crate::dataset::partition::write_rows::<crate::record::Stock>(&path, &[], &Provenance::default()).unwrap();
            fs::write(path.with_file_name("_SUCCESS"), b"").unwrap();
        };
        assert_found(copy, &["stocks/dt=2026-11-18/part-0.parquet", "no run has recorded"]);
    }

    #[test]
    fn a_changed_manifest_is_found() {
        let edit = |lake: &Lake, from: &str, to: &str| {
            let path = lake.run(date(), "r1").join(MANIFEST_FILE);
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains(from));
            fs::write(path, text.replace(from, to)).unwrap();
        };
        assert_found(|lake| edit(lake, "\"exit_code\": 0", "\"exit_code\": 4"), &["manifest.json", "was changed"]);
        assert_found(|lake| edit(lake, "\"rows\": 0", "\"rows\": 1"), &["manifest.json", "was changed", "says 1"]);
        assert_found(|lake| edit(lake, "{\n", "\n"), &["manifest.json", "is no longer a manifest"]);
        let misname = |lake: &Lake| {
            let path = lake.run(date(), "r1").join(CHECKSUM_FILE);
            let text = fs::read_to_string(&path).unwrap();
            fs::write(path, text.replace("manifest", "manifesT")).unwrap();
        };
        assert_found(misname, &["manifest.json", "does not match `manifest.json.sha256`"]);
        let remove = |lake: &Lake| fs::remove_dir_all(lake.root().join("runs")).unwrap();
        assert_found(remove, &["no manifest records"]);
    }

    #[test]
    fn a_day_of_which_there_is_nothing_is_not_called_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let lake = published(folder.path());
        let never = date().succ_opt().unwrap();
        let inspection = inspect(&lake, never).unwrap();
        assert!(inspection.is_of_nothing && inspection.findings.is_empty(), "{:?}", inspection.findings);
        fs::create_dir_all(lake.reports(never)).unwrap();
        fs::write(lake.reports(never).join("report.html"), b"").unwrap();
        let inspection = inspect(&lake, never).unwrap();
        assert!(!inspection.is_of_nothing && !inspection.findings.is_empty());
    }

    #[test]
    fn a_publication_that_was_cut_off_is_found() {
        let cut_off = |lake: &Lake| {
            let manifest = Manifest::for_tests("j", date(), Vec::new()).to_bytes().unwrap();
            fs::write(lake.state("j.publishing.json"), manifest).unwrap();
        };
        assert_found(cut_off, &["j.publishing.json", "the next run completes it"]);
    }
}
