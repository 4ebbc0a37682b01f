//! Returns of subsidies that `apply` made. WeChat lists none, so the ids of their receipts are kept in the state of the job
//! for the nights to come, in one folder for each day whose night was then the latest. Sends no request.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;

use super::{Issue, Night};
use crate::dataset::Lake;
use crate::durable;

/// Keeps the id of a return for the nights after `asked_day`, under the name of its call; once.
///
/// # Errors
/// The state cannot be written.
pub fn keep_return(lake: &Lake, job: &str, asked_day: NaiveDate, call: &str, receipt_id: &str) -> io::Result<()> {
    let folder = lake.remedies(job);
    if days(&folder)?.iter().any(|(_, day)| file_of(day, call).exists()) {
        return Ok(());
    }
    let day = folder.join(asked_day.to_string());
    let path = file_of(&day, call);
    durable::create_private_folder(&day)?;
    durable::write_file(&path, &day.join("incoming.staged"), format!("{receipt_id}\n").as_bytes())?;
    lake.put(&path)
}

/// Passes on the ids that were kept before the night: a call made after a night was published is no input of its
/// reruns.
pub(super) fn each_return(night: &Night<'_>, take: impl FnMut(&str) -> io::Result<()>) -> Result<(), Issue> {
    let folder = night.lake.remedies(&night.job.name);
    each_before(&folder, night.date, take).map_err(|error| Issue::io(&folder, &error))
}

fn each_before(folder: &Path, date: NaiveDate, mut take: impl FnMut(&str) -> io::Result<()>) -> io::Result<()> {
    for (_, day) in days(folder)?.into_iter().filter(|(day, _)| *day < date) {
        for file in fs::read_dir(day)? {
            let path = file?.path();
            if path.extension().is_some_and(|extension| extension == EXTENSION) {
                take(fs::read_to_string(path)?.trim_end())?;
            }
        }
    }
    Ok(())
}

const EXTENSION: &str = "return";

fn file_of(day: &Path, call: &str) -> PathBuf {
    day.join(format!("{call}.{EXTENSION}"))
}

/// The folders of the days; none if nothing was ever applied.
fn days(folder: &Path) -> io::Result<Vec<(NaiveDate, PathBuf)>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut days = Vec::new();
    for entry in entries {
        let entry = entry?;
        if let Ok(day) = entry.file_name().to_string_lossy().parse() {
            days.push((day, entry.path()));
        }
    }
    Ok(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_return_is_kept_once_for_the_nights_after_the_day_that_was_published_last() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path());
        let day = |day| NaiveDate::from_ymd_opt(2026, 11, day).unwrap();
        keep_return(&lake, "shop", day(18), "one", "2120").unwrap();
        keep_return(&lake, "shop", day(19), "one", "2120").unwrap();
        keep_return(&lake, "shop", day(19), "two", "2121").unwrap();
        durable::mark(&lake.remedies("shop").join("2026-11-18/three.sent")).unwrap();
        let known_to = |job: &str, date| {
            let mut ids = Vec::new();
            let take = |id: &str| {
                ids.push(id.to_owned());
                Ok(())
            };
            each_before(&lake.remedies(job), date, take).unwrap();
            ids
        };
        assert!(known_to("shop", day(18)).is_empty(), "it was published before the return was made");
        assert_eq!(known_to("shop", day(19)), ["2120"]);
        assert_eq!(known_to("shop", day(20)).len(), 2);
        assert!(known_to("other", day(20)).is_empty());
    }
}
