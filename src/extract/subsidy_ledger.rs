//! Stage `subsidy_ledger`: the merchant's own list of the subsidies it ordered.

use super::orders::{digests, from_export};
use super::{Harvest, Issue, Night};
use crate::dataset::manifest::Intake;
use crate::exports::subsidy_ledger::read;
use crate::record::{Record, SubsidyOrder};

/// Reads the ledger file of the day; without `[subsidy_ledger]` there are no rows.
pub fn extract(night: &Night<'_>) -> Result<Harvest<Vec<SubsidyOrder>>, Issue> {
    let Some(pattern) = &night.job.subsidy_ledger else { return Ok(Harvest::complete(Vec::new())) };
    night.require_ready("subsidy_ledger")?;
    let export = read(pattern, night.date).map_err(|error| from_export("subsidy_ledger", &error))?;
    let intake = Intake {
        pages: export.files.len() as u64,
        read: export.read as u64,
        repeated: export.collapsed as u64,
        read_fen: export.amounts.read,
        repeated_fen: export.amounts.collapsed,
        ..Intake::of(SubsidyOrder::DATASET)
    };
    let mut harvest = Harvest::complete(export.rows);
    harvest.intake.push(intake);
    harvest.inputs = digests("subsidy_ledger", &export.files);
    harvest.rows.sort_by(|a, b| key(a).cmp(&key(b)));
    Ok(harvest.noting("collapsed", export.collapsed))
}

fn key(order: &SubsidyOrder) -> (&str, &str) {
    (&order.out_subsidy_no, &order.subsidy_return_receipt_id)
}
