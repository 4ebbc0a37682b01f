//! The errors of partitions.

use std::path::PathBuf;

use chrono::NaiveDate;
use parquet::errors::ParquetError;

/// Why a partition file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum PartitionError {
    /// The file could not be opened or created.
    #[error("cannot open `{path}`", path = .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The file is no Parquet file, or a torn one.
    #[error("`{path}` is not a readable Parquet file", path = .path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// The error of the Parquet library.
        source: ParquetError,
    },
    /// The rows could not be converted to or from the contract's columns.
    #[error("the rows of `{path}` do not fit the contract of `{dataset}`", path = .path.display())]
    Rows {
        /// The file.
        path: PathBuf,
        /// Name of the dataset.
        dataset: &'static str,
        /// Which column, and why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Columns, types or their order are not those of the contract.
    #[error("`{path}` does not have the columns of `{dataset}`", path = .path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// Name of the dataset.
        dataset: &'static str,
    },
    /// Two rows have the same key: something was about to be counted twice.
    #[error("`{dataset}` would contain the key {key} twice")]
    DuplicateKey {
        /// Name of the dataset.
        dataset: &'static str,
        /// The key's values.
        key: String,
    },
    /// An amount or a count is below zero, although the contract excludes it.
    #[error("`{dataset}` would contain {value} as `{column}` of the key {key}, which is never negative")]
    Negative {
        /// Name of the dataset.
        dataset: &'static str,
        /// The column.
        column: &'static str,
        /// Its value.
        value: i64,
        /// The key of the row.
        key: String,
    },
    /// A row belongs to another day.
    #[error("`{dataset}` of {date} contains a row of another day")]
    OtherDay {
        /// Name of the dataset.
        dataset: &'static str,
        /// The day of the partition.
        date: NaiveDate,
    },
    /// Rows are not in key order: a bug of this program.
    #[error("`{dataset}` is not sorted by its key: {key} comes after a larger one")]
    Unsorted {
        /// Name of the dataset.
        dataset: &'static str,
        /// The key that is out of order.
        key: String,
    },
}

impl PartitionError {
    /// Whether a write failed because of the disk rather than the rows.
    pub fn is_of_the_disk(&self) -> bool {
        matches!(self, PartitionError::Open { .. } | PartitionError::Parquet { .. })
    }
}
