//! Finds the export files of a business date. Opens and hashes them; does not parse.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;

use super::error::ExportError;
use super::hashing::ExportFile;
use crate::job::PathPattern;
use crate::sha256::sha256_of;

/// An existing file: its path and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// The path on this machine.
    pub(super) path: PathBuf,
    /// The name, the same on every machine.
    pub(super) name: String,
}

/// The files of `date`, by name; `Missing` if there is none.
pub(super) fn find(pattern: &PathPattern, date: NaiveDate) -> Result<Vec<Found>, ExportError> {
    let (path, name) = (pattern.of(date), pattern.name_of(date));
    let found = if name.contains('*') { matching(&path, &name)? } else { single(path.clone(), name)? };
    if found.is_empty() {
        return Err(ExportError::Missing { path });
    }
    Ok(found)
}

/// The bytes of a file, its name and its digest.
pub(super) fn load(found: &Found) -> Result<(Vec<u8>, ExportFile), ExportError> {
    let bytes = fs::read(&found.path).map_err(|source| refused(&found.path, source))?;
    let file = ExportFile { name: found.name.clone(), sha256: sha256_of(&bytes), bytes: bytes.len() as u64 };
    Ok((bytes, file))
}

/// `Missing` for a missing file, `Read` for any other error.
pub(super) fn refused(path: &Path, source: std::io::Error) -> ExportError {
    match source.kind() {
        ErrorKind::NotFound => ExportError::Missing { path: path.to_owned() },
        _ => ExportError::Read { path: path.to_owned(), source },
    }
}

/// Something other than a file is an error: waiting would not help.
fn single(path: PathBuf, name: String) -> Result<Vec<Found>, ExportError> {
    match fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() => Err(refused(&path, ErrorKind::IsADirectory.into())),
        Ok(_) => Ok(vec![Found { path, name }]),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(refused(&path, error)),
    }
}

fn matching(path: &Path, name: &str) -> Result<Vec<Found>, ExportError> {
    let (Some(folder), Some(glob)) = (path.parent(), path.file_name()) else { return Ok(Vec::new()) };
    let glob = glob.to_string_lossy();
    let prefix = name.strip_suffix(glob.as_ref()).unwrap_or_default();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(refused(folder, error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| refused(folder, error))?;
        let last = entry.file_name().to_string_lossy().into_owned();
        if matches(&glob, &last) && is_file(&entry.path())? {
            found.push(Found { path: entry.path(), name: format!("{prefix}{last}") });
        }
    }
    // The order of a folder listing is not defined.
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

/// A dangling link is an export that has not arrived: ignoring it would silently lose its rows.
fn is_file(path: &Path) -> Result<bool, ExportError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.is_file()),
        // Removed since the folder was listed.
        Err(error) if error.kind() == ErrorKind::NotFound && !path.is_symlink() => Ok(false),
        Err(error) => Err(refused(path, error)),
    }
}

/// Whether `name` matches `glob`, where `*` matches any run of characters.
fn matches(glob: &str, name: &str) -> bool {
    let Some((head, rest)) = glob.split_once('*') else { return glob == name };
    let Some(name) = name.strip_prefix(head) else { return false };
    let boundaries = name.char_indices().map(|(index, _)| index).chain([name.len()]);
    boundaries.into_iter().any(|index| matches(rest, &name[index..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, 18).unwrap()
    }

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        for (glob, name, fits) in [
            ("a*.csv", "a.csv", true),
            ("a*.csv", "a-上海-2.csv", true),
            ("a*.csv", "a.csv.tmp", false),
            ("*b*", "abc", true),
            ("*", "", true),
            ("a", "ab", false),
        ] {
            assert_eq!(matches(glob, name), fits, "{glob} {name}");
        }
    }

    #[test]
    fn files_of_a_day_come_by_name_and_carry_the_path_of_the_job_file() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("o")).unwrap();
        for name in ["2026-11-18-b.csv", "2026-11-18-a.csv", "2026-11-19-a.csv", "2026-11-18-a.csv.part"] {
            fs::write(folder.path().join("o").join(name), "x").unwrap();
        }
        let found = find(&PathPattern::new(folder.path(), "o/{date}*.csv"), date()).unwrap();
        let names: Vec<_> = found.iter().map(|found| found.name.as_str()).collect();
        assert_eq!(names, ["o/2026-11-18-a.csv", "o/2026-11-18-b.csv"]);
        let (bytes, file) = load(&found[0]).unwrap();
        assert_eq!((bytes.as_slice(), file.bytes), (&b"x"[..], 1));
        assert!(file.sha256.starts_with("2d711642b726b044"));
    }

    #[test]
    fn a_link_to_nothing_among_the_files_of_a_day_is_a_file_that_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("2026-11-18-a.csv"), "x").unwrap();
        fs::create_dir(folder.path().join("2026-11-18-old.csv")).unwrap();
        let pattern = PathPattern::new(folder.path(), "{date}*.csv");
        assert_eq!(find(&pattern, date()).unwrap().len(), 1);
        let link = folder.path().join("2026-11-18-b.csv");
        std::os::unix::fs::symlink("of-another-share.csv", &link).unwrap();
        let error = find(&pattern, date()).unwrap_err();
        assert!(matches!(&error, ExportError::Missing { path } if *path == link), "{error}");
        fs::write(folder.path().join("of-another-share.csv"), "y").unwrap();
        assert_eq!(find(&pattern, date()).unwrap().len(), 2);
    }

    #[test]
    fn what_is_there_and_cannot_be_read_is_not_missing() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("2026-11-18.csv")).unwrap();
        std::os::unix::fs::symlink("20261118.csv", folder.path().join("20261118.csv")).unwrap();
        for written in ["{date}.csv", "{yyyymmdd}.csv"] {
            let error = find(&PathPattern::new(folder.path(), written), date()).unwrap_err();
            assert!(matches!(error, ExportError::Read { .. }), "{written}: {error}");
        }
    }

    #[test]
    fn what_is_not_there_is_missing_by_its_path() {
        let folder = tempfile::tempdir().unwrap();
        for written in ["{date}.csv", "{date}*.csv", "absent/{date}*.csv"] {
            let pattern = PathPattern::new(folder.path(), written);
            let error = find(&pattern, date()).unwrap_err();
            assert!(matches!(&error, ExportError::Missing { path } if *path == pattern.of(date())), "{error}");
        }
    }
}
