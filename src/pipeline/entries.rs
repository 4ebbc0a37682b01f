//! The manifest entries of stages and control totals.

use std::collections::BTreeMap;

use crate::dataset::manifest::{FootingEntry, FootingTally, StageEntry};
use crate::dataset::staged::StagedFile;
use crate::dataset::status::StageStatus;
use crate::reconcile::{Footing, Tally};
use crate::stage::Stage;

/// The control totals of one side of the match.
pub(super) fn footing_entry(side: &Footing) -> FootingEntry {
    let tally = |it: &Tally| FootingTally { rows: it.rows, fen: it.fen };
    FootingEntry {
        side: side.side.to_owned(),
        total: tally(&side.total),
        matched: tally(&side.matched),
        unmatched: tally(&side.unmatched),
        left_out: tally(&side.left_out),
    }
}

/// The rows of each dataset, over all its parts; a report is listed under its own name.
pub(super) fn rows_of<'a>(files: impl IntoIterator<Item = &'a StagedFile>) -> BTreeMap<String, u64> {
    let mut rows = BTreeMap::new();
    for file in files {
        let name = if file.is_report() { &file.name } else { &file.dataset };
        *rows.entry(name.clone()).or_default() += file.rows;
    }
    rows
}

/// The entry of a complete stage that is not a source stage, with the datasets it made.
pub(super) fn stage_entry(stage: Stage, files: &[StagedFile], datasets: &[&str]) -> StageEntry {
    let mine = files.iter().filter(|file| datasets.contains(&file.dataset.as_str()));
    StageEntry { rows: rows_of(mine), ..StageEntry::new(stage, StageStatus::Complete) }
}
