//! The breaks of a night on their way into their partition: written one by one, counted as they pass, not held.

use std::collections::BTreeSet;

use super::finished_night::ListedBreaks;
use super::unit_counts::UnitCounts;
use super::work::Work;
use crate::dataset::partition::{PartitionError, Provenance, RowWriter};
use crate::dataset::staged::StagedFile;
use crate::reconcile::{BreakFigures, Decisions};
use crate::record::{Break, Record};

/// The breaks so far.
pub(super) struct BreakList<'a> {
    work: &'a Work<'a>,
    writer: RowWriter<Break>,
    decisions: &'a Decisions,
    figures: BreakFigures,
    units: UnitCounts,
    /// Ids of those with a decision, in force or not.
    decided: BTreeSet<String>,
}

impl<'a> BreakList<'a> {
    /// An empty list.
    pub(super) fn begin(
        work: &'a Work<'a>,
        provenance: &Provenance,
        decisions: &'a Decisions,
    ) -> Result<BreakList<'a>, PartitionError> {
        let writer = RowWriter::new(work.staging.begin(Break::DATASET, provenance)?);
        let (figures, units, decided) = (BreakFigures::default(), UnitCounts::default(), BTreeSet::new());
        Ok(BreakList { work, writer, decisions, figures, units, decided })
    }

    /// Appends a break; they come in the order of their ids.
    pub(super) fn push(&mut self, it: Break) -> Result<(), PartitionError> {
        self.figures.note(&it);
        self.units.note(&it);
        if self.decisions.find(&it.break_id).is_some() {
            self.decided.insert(it.break_id.clone());
        }
        self.writer.push(it)
    }

    /// Stages the partition; returns its files and what was counted.
    pub(super) fn finish(self) -> Result<(Vec<StagedFile>, ListedBreaks), PartitionError> {
        let files = self.work.staging.end(Break::DATASET, self.writer.finish()?)?;
        let early_decisions = self.decisions.count_early(self.work.plan.date, |id| self.decided.contains(id));
        Ok((files, ListedBreaks { figures: self.figures, units: self.units, early_decisions }))
    }
}
