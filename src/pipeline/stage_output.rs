//! Stages the rows of one source stage, from memory or from a sorted stream. Decides nothing about them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::causes::in_one_line;
use crate::clock::{beijing, business_date_of};
use crate::contract::contract;
use crate::dataset::assembly::Assembly;
use crate::dataset::assembly_line::AssemblyLine;
use crate::dataset::manifest::Intake;
use crate::dataset::partition::{PartitionError, Provenance, sum_of};
use crate::dataset::publish::Staging;
use crate::dataset::staged::StagedFile;
use crate::exports::BadRow;
use crate::extract::{BillFiles, Buyers, Datacube, Issue, OrderExports, SubsidyLedger, order_line};
use crate::money::Fen;
use crate::pseudonyms::Pseudonyms;
use crate::quantity::counted;
use crate::record::{OrderLine, Record, SubsidyOrder};
use crate::sorter::{Kept, PackedRow, Sorted, Sorter};

/// Stages the rows of one stage.
#[derive(Debug)]
pub(super) struct StageOutput<'a> {
    staging: &'a Staging,
    pseudonyms: &'a Pseudonyms,
    provenance: Provenance,
    /// The staged files.
    pub(super) files: Vec<StagedFile>,
    /// The sum of the amounts of each staged partition, read back from the file.
    pub(super) totals: BTreeMap<&'static str, Fen>,
    /// The control totals of what the stage read.
    pub(super) intake: Vec<Intake>,
    /// Counts for the manifest.
    pub(super) notes: BTreeMap<String, u64>,
    /// Why rows could not be staged.
    pub(super) issues: Vec<Issue>,
    /// The bill files whose rows are staged.
    pub(super) bills: BillFiles,
    /// Datasets that lack nothing, whatever is wrong with others of the stage.
    pub(super) whole: BTreeSet<&'static str>,
}

impl<'a> StageOutput<'a> {
    pub(super) fn new(
        staging: &'a Staging,
        pseudonyms: &'a Pseudonyms,
        provenance: Provenance,
        intake: Vec<Intake>,
        notes: BTreeMap<String, u64>,
    ) -> StageOutput<'a> {
        let (files, totals, issues) = (Vec::new(), BTreeMap::new(), Vec::new());
        let (bills, whole) = (BillFiles::default(), BTreeSet::new());
        StageOutput { staging, pseudonyms, provenance, files, totals, intake, notes, issues, bills, whole }
    }

    /// Stages rows from memory, sorted by their key.
    pub(super) fn stage<R: Record>(&mut self, rows: &[R]) {
        let staged = self.staging.write(rows, &self.provenance).and_then(|files| self.keep::<R>(files));
        self.issues.extend(staged.map_err(|error| issue_of(&error)).err());
    }

    /// The same, for a stage with a single dataset whose rows other stages use.
    pub(super) fn stage_rows<R: Record>(&mut self, rows: Vec<R>) -> Result<Vec<R>, Issue> {
        self.stage(&rows);
        Ok(rows)
    }

    /// Stages rows in sorted order.
    pub(super) fn stage_sorted<R: Record>(&mut self, rows: Sorter) -> Result<(), Issue> {
        self.stage_each::<R>(rows.finish())
    }

    /// The same for rows that others read as well: a defect in them is recorded without stopping those.
    pub(super) fn stage_kept<R: Record>(&mut self, rows: &Kept) {
        let staged = self.stage_each::<R>(rows.rows());
        self.issues.extend(staged.err());
    }

    fn stage_each<R: Record>(&mut self, rows: io::Result<Sorted>) -> Result<(), Issue> {
        let mut rows = rows.map_err(Issue::unsorted)?;
        self.assemble::<R, ()>(|take| {
            while let Some(row) = rows.peek() {
                take(row)?;
                rows.advance().map_err(Issue::unsorted)?;
            }
            Ok(())
        })
    }

    /// Stages the order exports; adds their raw openids to `buyers`, if given, and returns the quarantined
    /// rows.
    pub(super) fn stage_orders(
        &mut self,
        exports: OrderExports,
        mut buyers: Option<&mut Buyers>,
    ) -> Result<Vec<BadRow>, Issue> {
        let mut paid_later = PaidLater::default();
        let settled = self.assemble::<OrderLine, _>(|take| {
            exports.settle(|row| {
                let line = order_line(row);
                paid_later.see(&line);
                if let (Some(buyers), Some(openid)) = (&mut buyers, &line.openid) {
                    buyers.add(openid)?;
                }
                take(row)
            })
        })?;
        paid_later.tell();
        self.note("paid_later", paid_later.count);
        self.note("collapsed", settled.collapsed);
        self.note("quarantined", settled.quarantined.len() as u64);
        self.note("quarantined_without_amount", settled.unreadable);
        self.intake.push(settled.intake);
        Ok(settled.quarantined)
    }

    /// Stages the subsidy ledger and returns its lines.
    pub(super) fn stage_ledger(&mut self, ledger: SubsidyLedger) -> Result<Kept, Issue> {
        let settled = self.assemble::<SubsidyOrder, _>(|take| ledger.settle(take))?;
        self.note("collapsed", settled.intake.repeated);
        self.intake.push(settled.intake);
        Ok(settled.lines)
    }

    /// Stages the four datacube tables. Only those with rows missing are marked as partial.
    pub(super) fn stage_datacube(&mut self, it: &Datacube) -> Result<(), Issue> {
        self.stage_marked(&it.account, it);
        self.stage_marked(&it.cards, it);
        self.stage_marked(&it.members, it);
        self.stage_marked(&it.member_details, it);
        Ok(())
    }

    fn stage_marked<R: Record>(&mut self, rows: &[R], it: &Datacube) {
        self.provenance.is_partial = it.partial.contains(R::DATASET);
        let issues = self.issues.len();
        self.stage(rows);
        if !self.provenance.is_partial && self.issues.len() == issues {
            self.whole.insert(R::DATASET);
        }
    }

    /// Assembles a partition from the rows that `bring` produces; nothing is staged unless it succeeds.
    fn assemble<R: Record, U>(
        &mut self,
        bring: impl FnOnce(&mut dyn FnMut(PackedRow<'_>) -> Result<(), Issue>) -> Result<U, Issue>,
    ) -> Result<U, Issue> {
        let writer = self.staging.begin(R::DATASET, &self.provenance).map_err(|error| issue_of(&error))?;
        let mut line = AssemblyLine::start(Assembly::new(contract(R::DATASET), self.pseudonyms, writer));
        let brought = bring(&mut |row| {
            line.add(row);
            Ok(())
        });
        // What is wrong with a row comes before what ended the rows after it.
        let writer = line.finish().map_err(|error| self.issue_of_row(&error))?;
        let left = brought?;
        let staged = self.staging.end(R::DATASET, writer).and_then(|files| self.keep::<R>(files));
        staged.map_err(|error| self.issue_of_row(&error))?;
        Ok(left)
    }

    /// A duplicate row of a bill is reported by its line numbers: its key alone does not say where to look.
    fn issue_of_row(&self, error: &PartitionError) -> Issue {
        let told = match error {
            PartitionError::DuplicateKey { dataset, key } => self.bills.stands_twice(dataset, key),
            _ => None,
        };
        told.unwrap_or_else(|| issue_of(error))
    }

    fn keep<R: Record>(&mut self, files: Vec<StagedFile>) -> Result<(), PartitionError> {
        self.files.extend(files);
        if let Some(column) = R::AMOUNT {
            let total = sum_of::<R>(&self.staging.partition(R::DATASET), column)?;
            self.totals.insert(R::DATASET, total);
        }
        Ok(())
    }

    fn note(&mut self, name: &str, count: u64) {
        if count > 0 {
            self.notes.insert(name.to_owned(), count);
        }
    }
}

/// Lines that were paid after the day of their file, which lists what was paid or changed on it. They are kept: exports are cut
/// off late. One with a wrong year is missed in no bill and judged by hardly a rule, so somebody should look.
#[derive(Debug, Default)]
struct PaidLater {
    count: u64,
    /// Place and time of the first one.
    first: String,
}

impl PaidLater {
    fn see(&mut self, line: &OrderLine<Cow<'_, str>>) {
        let Some(paid_at) = line.paid_at.filter(|it| business_date_of(*it) > line.business_date) else { return };
        if self.count == 0 {
            let paid_at = paid_at.with_timezone(&beijing()).format("%Y-%m-%d %H:%M:%S");
            self.first = format!("`{}` line {} was paid at {paid_at}", line.source_file, line.source_line);
        }
        self.count += 1;
    }

    fn tell(&self) {
        if self.count > 0 {
            let lines = counted(usize::try_from(self.count).unwrap_or(usize::MAX), "order line", "order lines");
            tracing::warn!("{lines} of later payments than the day of the export: {}", self.first);
        }
    }
}

fn issue_of(error: &PartitionError) -> Issue {
    match error.is_of_the_disk() {
        true => Issue::storage(in_one_line(error)),
        false => Issue::violation(in_one_line(error)),
    }
}
