//! The night on a Spark cluster: the same SQL over the same files, either in a session (`session`), or as a
//! script for `spark-submit` (`script`) whose results are read back (`script_results`). Results are converted to the
//! declared types.

mod catalog;
mod gather;
mod ledger;
mod place;
mod script;
mod script_results;
#[cfg(feature = "spark")]
mod session;

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{Field, Schema};
use serde::de::DeserializeOwned;

use super::engine::tables::{ResultColumn, RowBatches};
use super::error::ReconcileError;
use crate::contract::ColumnKind;

pub(super) use ledger::build_ledger;
#[cfg(test)]
pub(super) use ledger::{FOOTING, Side};
pub use place::{Carrier, Place};
pub(super) use script::write as write_script;
pub use script::{Handover, Script};
pub use script_results::ScriptResults;
#[cfg(feature = "spark")]
pub(super) use session::Cluster;

/// Settings of the engine: SQL must mean there what it means here, and nothing may be left out silently.
const CONFIGURATION: [(&str, &str); 7] = [
    ("spark.sql.ansi.enabled", "true"),
    ("spark.sql.ansi.doubleQuotedIdentifiers", "true"),
    ("spark.sql.parser.escapedStringLiterals", "true"),
    ("spark.sql.session.timeZone", "UTC"),
    ("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS"),
    ("spark.sql.files.ignoreMissingFiles", "false"),
    ("spark.sql.files.ignoreCorruptFiles", "false"),
];
/// The whole ledger in key order.
const SORTED_LEDGER: &str = "SELECT * FROM coupon_ledger ORDER BY stock_id, coupon_code";

/// The results of another engine for the questions of a night: from a session, or left by a script.
pub(super) trait Replies {
    /// The rows of a question, which must fit into memory. `name` is for error messages.
    fn reply(&mut self, name: &str, sql: &str) -> Result<Vec<RecordBatch>, ReconcileError>;
    /// The folder with the sorted parts of the ledger.
    fn sorted_ledger(&mut self) -> Result<PathBuf, ReconcileError>;
}

/// Reads the rows of a question into `T`, whose fields are among `columns`; a missing column is null, an
/// unlisted one is an error.
pub(super) fn rows<T: DeserializeOwned>(
    replies: &mut dyn Replies,
    question: (&str, &str),
    columns: &[ResultColumn<'_>],
) -> Result<Vec<T>, ReconcileError> {
    Ok(row_batches(replies, question, columns)?.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// As `rows`, a batch at a time.
pub(super) fn row_batches<'c, T: DeserializeOwned + 'c>(
    replies: &mut dyn Replies,
    (name, sql): (&str, &str),
    columns: &'c [ResultColumn<'c>],
) -> Result<RowBatches<'c, T>, ReconcileError> {
    let (batches, name) = (replies.reply(name, sql)?, name.to_owned());
    let read = move |batch: RecordBatch| {
        let batch = typed(&name, &batch, columns)?;
        serde_arrow::from_record_batch(&batch).map_err(ReconcileError::shape(&name))
    };
    Ok(Box::new(batches.into_iter().map(read)))
}

/// Rows in the given columns and types: a missing column is null, an unlisted one is refused.
fn typed(what: &str, batch: &RecordBatch, columns: &[ResultColumn<'_>]) -> Result<RecordBatch, ReconcileError> {
    let schema = batch.schema();
    let is_known = |name: &str| columns.iter().any(|(known, _)| *known == name);
    if let Some(unknown) = schema.fields().iter().find(|field| !is_known(field.name())) {
        return Err(ReconcileError::UnknownColumn { what: what.to_owned(), column: unknown.name().clone() });
    }
    let fields = columns.iter().map(|(name, kind)| Field::new(*name, kind.arrow(), true)).collect::<Vec<_>>();
    let cells = columns.iter().map(|(name, kind)| cast_column(batch, name, *kind));
    let cells = cells.collect::<Result<Vec<_>, _>>().map_err(ReconcileError::shape(what))?;
    RecordBatch::try_new(Arc::new(Schema::new(fields)), cells).map_err(ReconcileError::shape(what))
}

fn cast_column(batch: &RecordBatch, name: &str, kind: ColumnKind) -> Result<ArrayRef, arrow::error::ArrowError> {
    let strictly = CastOptions { safe: false, ..Default::default() };
    match batch.column_by_name(name) {
        Some(column) => cast_with_options(column, &kind.arrow(), &strictly),
        None => Ok(new_null_array(&kind.arrow(), batch.num_rows())),
    }
}
