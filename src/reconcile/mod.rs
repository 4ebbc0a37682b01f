//! Match, coupon ledger, rules and the life of a break: a pure function of the partitions of a night,
//! the job and the decisions. Reads Parquet, writes nothing, asks no clock and no network.

mod builders;
mod candidate;
mod columns;
mod coupon_key;
mod cursor;
mod decisions;
mod engine;
mod error;
mod facts;
mod files;
mod fixture;
mod footing;
mod judge;
mod ledger;
mod ledger_row;
mod lifecycle;
mod matching;
mod merge;
mod observed;
mod order_book;
mod order_side;
mod parameters;
mod reduction;
pub mod rules;
mod scratch_table;
mod sides;
mod spill;
mod subsidy;
mod tables;
mod terms;
mod text_hash;
mod threads;
mod wallet;

pub use decisions::{Decision, DecisionError, Decisions};
pub use error::ReconcileError;
pub use files::{DayFiles, Scratch, Shortfall};
pub use footing::{Footing, Tally};
pub use judge::{Judgement, Unjudged};
pub use ledger::Asked;
pub use lifecycle::Status;

use arrow::array::RecordBatch;
use chrono::NaiveDate;

use crate::job::Job;
use rules::Rules;
use terms::Terms;

/// Builds the coupon ledger of `files.date` (design §6) into `sink`, batch by batch in the order of its
/// key; gives the control totals of every side that went into it. What the rules will ask of orders and
/// bills is left in `scratch`.
pub fn build_ledger<E: From<ReconcileError>>(
    job: &Job,
    files: &DayFiles,
    asked: &Asked,
    scratch: &Scratch,
    sink: impl FnMut(RecordBatch) -> Result<(), E>,
) -> Result<Vec<Footing>, E> {
    ledger::build(&Terms::of(job), files, asked, scratch, sink)
}

/// What the match decodes, dataset by dataset: to decode these columns and do nothing with them is the
/// least it can cost.
pub fn columns_read() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    sides::READ.into_iter().chain(order_book::READ).chain(facts::READ)
}

/// Judges the night of `files.date` (design §7). `files.day` has the day's `coupon_ledger`; `shortfall`
/// names the datasets a configured stage could not fill.
pub fn judge(
    job: &Job,
    files: &DayFiles,
    scratch: &Scratch,
    shortfall: &Shortfall,
    decisions: &Decisions,
) -> Result<Judgement, ReconcileError> {
    judge::judge(&Terms::of(job), &rules_of(job)?, files, scratch, shortfall, decisions)
}

/// Tries the job's own rules over an empty day: an error names the file and the line.
pub fn rehearse_rules(job: &Job, date: NaiveDate) -> Result<(), ReconcileError> {
    judge::rehearse(&Terms::of(job), &rules_of(job)?, date)
}

/// The rules of a job: the built-in ones and its own, without those it switched off.
pub fn rules_of(job: &Job) -> Result<Rules, ReconcileError> {
    Ok(Rules::load(&job.rules.folders)?.without(&job.rules.off)?)
}
