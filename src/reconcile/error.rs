//! Errors of reconciliation. A rule that only lacks its data is not an error: it is listed as
//! unjudged.

use std::path::PathBuf;

use arrow::error::ArrowError;
use polars::prelude::PolarsError;

use super::basis::decisions::DecisionError;
use super::rules::place::line_of;
use super::rules::{Rule, RuleError};
use crate::dataset::partition::PartitionError;
use crate::durable;
use crate::money::Fen;
use crate::quantity::counted;
#[cfg(feature = "spark")]
use crate::spark::SparkError;

/// Why a night could not be matched or judged.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// A partition could not be read.
    #[error(transparent)]
    Partition(#[from] PartitionError),
    /// A rule file is wrong.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// The decisions file is wrong.
    #[error(transparent)]
    Decision(#[from] DecisionError),
    /// A table could not be registered or a query failed.
    #[error("failed to query `{what}`")]
    Query {
        /// Rule id, view or dataset.
        what: String,
        /// The error of the engine.
        source: PolarsError,
    },
    /// The SQL of a rule is invalid, or its result is not a list of breaks.
    #[error("rule file `{file}`{}: {why}", at_line(*line))]
    Sql {
        /// Name of the file.
        file: String,
        /// Line of the file, 1-based, if known.
        line: Option<usize>,
        /// The error of the engine.
        why: String,
    },
    /// A query returned rows of an unexpected shape.
    #[error("the result of `{what}` does not have the expected columns")]
    Shape {
        /// Rule id, view or dataset.
        what: String,
        /// Which column, and why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A partition violates the sort order of its contract, on which the merge relies.
    #[error("`{dataset}` is not sorted by its key: `{key}` comes after a larger one")]
    Unsorted {
        /// Name of the dataset.
        dataset: &'static str,
        /// The key of the row that is out of order; of a coupon, stock_id/coupon_code.
        key: String,
    },
    /// A scratch file could not be written or read.
    #[error("cannot use the scratch folder")]
    Scratch {
        /// The error of the system.
        source: std::io::Error,
    },
    /// A file whose path the cluster cannot address.
    #[error("`{path}` cannot be given to a cluster: its path must be absolute and without `*?[]{{}}`", path = .path.display())]
    OutOfReach {
        /// The file.
        path: PathBuf,
    },
    /// The cluster failed.
    #[cfg(feature = "spark")]
    #[error(transparent)]
    Cluster(#[from] SparkError),
    /// The cluster writes where we cannot see it.
    #[error(
        "of {written} rows that the cluster wrote below `{folder}`, {seen} are there: the lake must be a bucket, or a \
         folder that every machine of the cluster has mounted at that path",
        folder = .folder.display()
    )]
    WritesElsewhere {
        /// The folder.
        folder: PathBuf,
        /// Rows written.
        written: i64,
        /// Rows seen.
        seen: i64,
    },
    /// The marker that a script writes at its end is missing.
    #[error("the script of this night has not run to its end: `{answers}` does not have its last file", answers = .answers.display())]
    ScriptNotRun {
        /// Where its answers are.
        answers: PathBuf,
    },
    /// The results belong to another script than this night would write.
    #[error("the answers in `{answers}` are those of another script than this night would write", answers = .answers.display())]
    OtherScript {
        /// Where they are.
        answers: PathBuf,
    },
    /// Rows that the cluster counted are missing.
    #[error("`{what}`: the cluster has {there} rows, {came} arrived")]
    Lost {
        /// Dataset.
        what: String,
        /// As counted there.
        there: i64,
        /// As counted here.
        came: i64,
    },
    /// A limit of the SQL of the ledger was exceeded.
    #[error("{} more than {most} subsidy receipts: match this night with `--engine polars`", counted(*coupons, "coupon has", "coupons have"))]
    TooManyReceipts {
        /// The number of coupons.
        coupons: i64,
        /// The number of receipts per coupon that the SQL lists.
        most: i64,
    },
    /// A query returned a column that is not allowed.
    #[error("`{column}` is not a column the result of `{what}` may have")]
    UnknownColumn {
        /// Rule id, view or dataset.
        what: String,
        /// Its name.
        column: String,
    },
    /// A rule case could not be read.
    #[error("rule case `{path}`: {why}", path = .path.display())]
    Case {
        /// Folder or file of the case.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl ReconcileError {
    /// Adds the query to an engine error.
    pub(super) fn query(what: &str) -> impl FnOnce(PolarsError) -> ReconcileError + '_ {
        move |source| ReconcileError::Query { what: what.to_owned(), source }
    }

    /// Adds the rule file and the position to a query error.
    pub(crate) fn in_rule(self, rule: &Rule) -> ReconcileError {
        // A full disk is not an error of the rule.
        if durable::refusal(&self).is_some() {
            return self;
        }
        let why = match self {
            ReconcileError::Query { source, .. } => without_plan(&source.to_string()),
            ReconcileError::Shape { source, .. } => source.to_string(),
            ReconcileError::UnknownColumn { column, .. } => format!("`{column}` is not a column the result may have"),
            #[cfg(feature = "spark")]
            ReconcileError::Cluster(SparkError::Failed { why, is_of_the_query: true, .. }) => why,
            other => return other,
        };
        ReconcileError::Sql { file: rule.file.clone(), line: line_of(&rule.sql, &why), why }
    }

    /// Adds the line that `find` finds, if it is not known.
    pub(super) fn or_at_line(self, find: impl FnOnce() -> Option<usize>) -> ReconcileError {
        match self {
            ReconcileError::Sql { file, line: None, why } => ReconcileError::Sql { file, line: find(), why },
            other => other,
        }
    }

    /// An amount out of range, with the rule file and the column.
    pub(super) fn implausible(rule: &Rule, column: &str, amount: Fen) -> ReconcileError {
        let why = format!("`{column}` is {} fen in one row, which no amount can be", amount.0);
        ReconcileError::Sql { file: rule.file.clone(), line: line_of(&rule.sql, &why), why }
    }

    /// A column of the rule's key that its query does not give.
    pub(super) fn keyless(rule: &Rule, column: &str) -> ReconcileError {
        let why = format!("`-- key:` needs the column `{column}`, which the query does not return");
        ReconcileError::Sql { file: rule.file.clone(), line: None, why }
    }

    /// Adds the query to an error of unexpected shape.
    pub(super) fn shape<E>(what: &str) -> impl FnOnce(E) -> ReconcileError + '_
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        move |source| ReconcileError::Shape { what: what.to_owned(), source: Box::new(source) }
    }
}

/// An error of the night's scratch folder.
pub(super) fn scratched(source: std::io::Error) -> ReconcileError {
    ReconcileError::Scratch { source }
}

/// A scratch table that could not be written.
pub(super) fn torn(source: ArrowError) -> ReconcileError {
    scratched(std::io::Error::other(source))
}

/// What Polars says, without the plan of the query that it may show behind it.
fn without_plan(text: &str) -> String {
    text.split("\n\nResolved plan").next().unwrap_or(text).to_owned()
}

fn at_line(line: Option<usize>) -> String {
    line.map_or_else(String::new, |line| format!(" line {line}"))
}
