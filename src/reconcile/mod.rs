//! Reconciliation: match, coupon ledger, rules and the life cycle of breaks. A pure function of the partitions of a
//! night, the job and the decisions. Reads Parquet and writes only scratch files of the night; uses no clock; only
//! `cluster` talks to another machine.

// From the bottom to the top: a folder may use those before it, never those after it; `tests/it/circles.rs` enforces it.
pub mod rules;
mod basis;
mod error;
mod rows;
mod ledger;
mod ledger_sql;
mod reduction;
mod engine;
mod cluster;
mod site;
mod breaks;
mod cases;

pub use basis::Basis;
pub use basis::decisions::{Decision, DecisionError, Decisions};
pub use basis::files::{DayFiles, Scratch, Shortfall};
pub use basis::terms::Terms;
pub use breaks::figures::{BreakFigures, BreakKind, BreakTally};
pub use breaks::judge::{Judgement, Unjudged, Waiting};
pub use cases::{CaseOutcome, test_folder};
pub use cluster::{Carrier, Handover, Place, Script, ScriptResults};
pub use error::ReconcileError;
pub use ledger::Asked;
pub use ledger::footing::Footing;
pub use ledger::tally::Tally;
pub use site::Site;

use std::path::PathBuf;

use arrow::array::RecordBatch;
use chrono::NaiveDate;

use crate::job::Job;
use crate::record::{Break, LedgerRow, Record};
use crate::threads::on_own_thread;
use breaks::judge::{self, NightRules};
use rules::Rules;

/// A night to be reconciled.
#[derive(Debug, Clone, Copy)]
pub struct Reconciliation<'a> {
    /// What is reconciled, and by which terms and rules.
    pub basis: Basis<'a>,
    /// Where the match leaves what the rules will need of orders and bills.
    pub scratch: &'a Scratch,
}

impl Reconciliation<'_> {
    /// Builds the coupon ledger of `basis.files.date` (design §6) into `sink`, batch by batch in key order; returns the control
    /// totals of every side.
    pub fn build_ledger<E: From<ReconcileError> + Send>(
        self,
        site: &mut Site,
        asked: &Asked,
        sink: impl FnMut(RecordBatch) -> Result<(), E> + Send,
    ) -> Result<Vec<Footing>, E> {
        let Reconciliation { basis, scratch } = self;
        let Basis { terms, rules, files } = basis;
        match site {
            #[cfg(feature = "spark")]
            Site::Cluster(cluster) if terms.rules.use_request_pattern.is_none() => {
                let mut night = cluster.night(basis, scratch);
                on_own_thread(|| {
                    night.refuse_elsewhere()?;
                    let footing = cluster::build_ledger(&mut night, files.date, asked, sink)?;
                    night.forget_ledger();
                    Ok(footing)
                })
            }
            Site::Script(results) => on_own_thread(|| cluster::build_ledger(results, files.date, asked, sink)),
            _ => {
                let reads = rules.reads(&engine::COMPUTED_VIEWS);
                ledger::Night::open(terms, files, asked)?.build(&reads, scratch, sink)
            }
        }
    }

    /// Runs the rules over the night (design §7): passes every listed break to `sink`, in the order of their ids.
    /// `basis.files.day` has the day's `coupon_ledger`; `shortfall` names the datasets that a configured stage could not fill.
    /// After an error, what `sink` received is worthless.
    pub fn judge<E: From<ReconcileError> + Send>(
        self,
        site: &mut Site,
        shortfall: &Shortfall,
        decisions: &Decisions,
        sink: impl FnMut(Break) -> Result<(), E> + Send,
    ) -> Result<Judgement, E> {
        let Reconciliation { basis, scratch } = self;
        let night_rules = NightRules { basis, scratch, shortfall, decisions };
        on_own_thread(|| match site {
            Site::Here => night_rules.judge(sink),
            #[cfg(feature = "spark")]
            Site::Cluster(cluster) => night_rules.judge_remotely(&mut cluster.night(basis, scratch), sink),
            Site::Script(results) => night_rules.judge_remotely(results, sink),
        })
    }
}

/// The columns that the match decodes, by dataset: decoding them and doing nothing else is a lower bound of its cost.
pub fn columns_read() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    ledger::columns_read()
}

/// Writes the script for `spark-submit` with all that a `Reconciliation` would ask of a cluster. The files of `basis` are
/// those before the ledger, at their local paths.
pub fn write_script(
    job: &str,
    basis: Basis<'_>,
    shortfall: &Shortfall,
    place: &Place,
    handover: &Handover,
) -> Result<Script, ReconcileError> {
    let mut with_ledger = basis.files.clone();
    with_ledger.day.insert(LedgerRow::DATASET.to_owned(), PathBuf::new());
    let judged = judge::judged(Basis { files: &with_ledger, ..basis }, shortfall);
    on_own_thread(|| cluster::write_script(job, basis, &judged, place, handover))
}

/// Runs the job's own rules among `rules` over an empty day: an error names the file and the line.
pub fn rehearse_rules(job: &Job, rules: &Rules, date: NaiveDate) -> Result<(), ReconcileError> {
    let terms = Terms::of(job);
    on_own_thread(|| judge::rehearse(&terms, rules, date))
}

/// The rules of a job: the built-in ones and its own, without disabled ones. Reads the files of `rules.folders`: a night
/// does so once, so that its digest, its breaks and its reports are of the same rules.
pub fn rules_of(job: &Job) -> Result<Rules, ReconcileError> {
    Ok(Rules::load(&job.rules.folders)?.without(&job.rules.off)?)
}
