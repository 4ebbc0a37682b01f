//! Patterns for paths of files that exist once per day.

use std::path::{Component, Path, PathBuf};

use chrono::NaiveDate;

/// A path with `{date}` or `{yyyymmdd}` in it, relative to the folder of the job file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern {
    folder: PathBuf,
    written: String,
}

impl PathPattern {
    /// The pattern `written` in a job file in `folder`.
    pub fn new(folder: impl Into<PathBuf>, written: impl Into<String>) -> PathPattern {
        PathPattern { folder: folder.into(), written: written.into() }
    }

    /// As written in the job file.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// The absolute path for a business date, without `.` and `..`.
    pub fn of(&self, date: NaiveDate) -> PathBuf {
        tidy(&self.folder.join(expand(&self.written, date)))
    }

    /// What must exist whatever the date, and whether it is a folder: the file, or the folder above
    /// everything the pattern may match.
    pub(super) fn fixed(&self) -> (PathBuf, bool) {
        let Some(open) = self.written.find(['{', '*']) else { return (tidy(&self.folder.join(&self.written)), false) };
        let folder = self.written[..open].rsplit_once('/').map_or("", |(folder, _)| folder);
        let is_absolute = self.written.starts_with('/');
        let folder = if is_absolute && folder.is_empty() { "/" } else { folder };
        (tidy(&self.folder.join(folder)), true)
    }

    /// The name of the file of that date in datasets and messages: as written, so that it is the same on
    /// every machine; only the last component of an absolute path.
    pub fn name_of(&self, date: NaiveDate) -> String {
        let expanded = expand(&self.written, date);
        let path = Path::new(&expanded);
        match path.file_name() {
            Some(last) if path.is_absolute() => last.to_string_lossy().into_owned(),
            _ => expanded,
        }
    }
}

/// Removes `.` and `..` from an absolute path textually. The folder of the job file is canonical, so only
/// links below it could make this differ from the file system.
pub(super) fn tidy(path: &Path) -> PathBuf {
    let mut tidied = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                tidied.pop();
            }
            Component::CurDir => {}
            part => tidied.push(part),
        }
    }
    tidied
}

fn expand(written: &str, date: NaiveDate) -> String {
    let dashed = date.format("%Y-%m-%d").to_string();
    let packed = date.format("%Y%m%d").to_string();
    written.replace("{date}", &dashed).replace("{yyyymmdd}", &packed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, 18).unwrap()
    }

    #[test]
    fn a_pattern_is_absolute_for_opening_and_as_written_for_naming() {
        let pattern = PathPattern::new("/srv/jobs", "../orders/{date}_{yyyymmdd}.csv");
        assert_eq!(pattern.of(date()), PathBuf::from("/srv/orders/2026-11-18_20261118.csv"));
        assert_eq!(pattern.name_of(date()), "../orders/2026-11-18_20261118.csv");
        assert_eq!(PathPattern::new("/srv/jobs", "/data/{date}.csv").name_of(date()), "2026-11-18.csv");
    }

    #[test]
    fn a_parent_step_takes_the_folder_before_it_away() {
        assert_eq!(tidy(Path::new("/a/jobs/../out/./lake")), PathBuf::from("/a/out/lake"));
        assert_eq!(tidy(Path::new("/../x")), PathBuf::from("/x"));
    }

    #[test]
    fn what_must_be_there_is_the_file_or_the_folder_before_the_first_placeholder() {
        let fixed = |written: &str| PathPattern::new("/srv/jobs", written).fixed();
        assert_eq!(fixed("orders/{date}/{date}.csv"), ("/srv/jobs/orders".into(), true));
        assert_eq!(fixed("../in/orders-*.csv"), ("/srv/in".into(), true));
        assert_eq!(fixed("{date}.csv"), ("/srv/jobs".into(), true));
        assert_eq!(fixed("/{date}.csv"), ("/".into(), true));
        assert_eq!(fixed("roster.csv"), ("/srv/jobs/roster.csv".into(), false));
    }
}
