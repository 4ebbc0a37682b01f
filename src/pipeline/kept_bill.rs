//! Whether the bill that a published day was made from still lies beside its journal: the evidence that no signature
//! covers. Changes nothing.

use chrono::NaiveDate;

use super::failure::disk;
use crate::clock::World;
use crate::dataset::Lake;
use crate::dataset::runs::Runs;
use crate::error::Failure;
use crate::extract;

/// A sentence about the bill of a published day that is not there any more. `inspect` tells of one that was changed.
///
/// # Errors
/// Unreadable manifests.
pub fn missing_bill(lake: &Lake, date: NaiveDate) -> Result<Option<String>, Failure> {
    let runs = Runs::read(lake, date).map_err(|error| disk(&error, "cannot read the manifests"))?;
    // Days that were made from files alone have no journal.
    let Ok(journal) = runs.journal(lake, date, World::real()) else { return Ok(None) };
    let told = match extract::missing_bill(&journal, date) {
        Ok(path) => path.map(|path| {
            let path = lake.shown(&path);
            format!("{path}: is missing, although the journal says that it was kept; run {date} again to download it")
        }),
        Err(issue) => Some(issue.what),
    };
    Ok(told)
}
