//! Stage `subsidy_ledger`: reads the merchant's own list of the subsidies it ordered.

use super::orders::{digests, from_export};
use super::{Harvest, Issue, Night};
use crate::dataset::manifest::Intake;
use crate::exports::Export;
use crate::exports::subsidy_ledger::read;
use crate::record::{Record, SubsidyOrder};
use crate::sorter::{Keeper, Kept, PackedRow, Room};
use crate::stage::Stage;

/// The ledger file of the day before its lines are passed on; `None` inside without
/// `[subsidy_ledger]`.
#[derive(Debug)]
pub struct SubsidyLedger {
    export: Option<Export<SubsidyOrder>>,
    room: Room,
}

/// The totals of the ledger after all lines were passed on.
#[derive(Debug)]
pub struct SettledLedger {
    /// The packed lines, from which the receipts to request are chosen.
    pub lines: Kept,
    /// The control totals.
    pub intake: Intake,
}

/// Reads the ledger file of the day.
pub fn extract(night: &Night<'_>) -> Result<Harvest<SubsidyLedger>, Issue> {
    let ledger = |export| SubsidyLedger { export, room: night.corner() };
    let Some(pattern) = &night.job.subsidy_ledger else { return Ok(Harvest::complete(ledger(None))) };
    night.require_ready(Stage::SubsidyLedger)?;
    let export = read(pattern, night.date, night.room).map_err(|error| from_export("subsidy_ledger", error))?;
    let inputs = digests("subsidy_ledger", &export.files);
    Ok(Harvest { inputs, ..Harvest::complete(ledger(Some(export))) })
}

impl SubsidyLedger {
    /// Passes on every line once, in key order. The lines only count if this succeeds.
    ///
    /// # Errors
    /// Lines that contradict each other; errors of `take`.
    pub fn settle(self, mut take: impl FnMut(PackedRow<'_>) -> Result<(), Issue>) -> Result<SettledLedger, Issue> {
        let mut settled = SettledLedger { lines: Kept::default(), intake: Intake::of(SubsidyOrder::DATASET) };
        let Some(mut export) = self.export else { return Ok(settled) };
        let mut lines = Keeper::new(&self.room);
        while let Some(row) = export.peek() {
            take(row)?;
            lines.push(&row).map_err(Issue::unsorted)?;
            export.advance().map_err(|error| from_export("subsidy_ledger", error))?;
        }
        settled.intake.pages = export.files.len() as u64;
        settled.intake.read = export.read;
        let rest = export.finish().map_err(|error| from_export("subsidy_ledger", error))?;
        settled.intake.repeated = rest.collapsed;
        settled.intake.read_fen = rest.amounts.read;
        settled.intake.repeated_fen = rest.amounts.collapsed;
        settled.lines = lines.finish().map_err(Issue::unsorted)?;
        Ok(settled)
    }
}
