//! Whether the bill that a published day was made from still lies beside its journal: the evidence that no signature
//! covers. Changes nothing.

use chrono::NaiveDate;

use super::failure::{disk, unreadable_journal};
use crate::clock::World;
use crate::dataset::Lake;
use crate::dataset::runs::Runs;
use crate::error::Failure;
use crate::extract;
use crate::journal::JournalError;

/// A sentence about the bill of a published day that is not there any more. `inspect` tells of one that was changed.
///
/// # Errors
/// Unreadable manifests.
pub fn missing_bill(lake: &Lake, date: NaiveDate) -> Result<Option<String>, Failure> {
    let runs = Runs::read(lake, date).map_err(|error| disk(&error, "cannot read the manifests"))?;
    let journal = match runs.journal(lake, date, World::real()) {
        // Days that were made from files alone have none.
        Err(JournalError::NothingToReplay(_)) => return Ok(None),
        journal => journal.map_err(|error| unreadable_journal(&error))?,
    };
    let told = match extract::missing_bill(&journal, date) {
        Ok(path) => path.map(|path| {
            let path = lake.shown(&path);
            format!("{path}: is missing, although the journal says that it was kept; run {date} again to download it")
        }),
        Err(issue) => Some(issue.what),
    };
    Ok(told)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::error::ExitCode;

    #[test]
    fn a_day_without_a_journal_misses_no_bill_and_one_with_an_unreadable_journal_is_not_taken_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let (lake, date) = (Lake::at(folder.path()), NaiveDate::from_ymd_opt(2026, 11, 18).unwrap());
        assert_eq!(missing_bill(&lake, date).unwrap(), None);
        let journal = lake.journal(date);
        fs::create_dir_all(journal.parent().unwrap()).unwrap();
        fs::write(&journal, "no folder").unwrap();
        let failure = missing_bill(&lake, date).unwrap_err();
        assert_eq!((failure.code, failure.what.as_str()), (ExitCode::Violation, "cannot read the journal"));
    }
}
