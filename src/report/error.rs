//! Why a pack could not be written.

use std::io;

use arrow::error::ArrowError;
use rust_xlsxwriter::XlsxError;

use super::files::WORKBOOK;
use crate::dataset::partition::PartitionError;

/// Why the pack could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The rows cannot be read.
    #[error("cannot read the rows of the reports")]
    Read(#[from] PartitionError),
    /// The ledger has other columns than the reports need.
    #[error("the coupon ledger does not have the columns of the reports")]
    Ledger(#[from] ArrowError),
    /// The scratch folder is full or cannot be read back.
    #[error("cannot sort the rows of the reports")]
    Sort(#[source] io::Error),
    /// A file cannot be written.
    #[error("cannot write `{name}`")]
    Write {
        /// The file.
        name: String,
        /// The error of the system.
        source: io::Error,
    },
    /// The workbook cannot be written.
    #[error("cannot write `{WORKBOOK}`")]
    Workbook(#[source] XlsxError),
}

impl ReportError {
    /// A file of the pack cannot be written.
    pub(super) fn unwritten(name: &str) -> impl FnOnce(io::Error) -> ReportError {
        move |source| ReportError::Write { name: name.to_owned(), source }
    }
}

impl From<XlsxError> for ReportError {
    fn from(error: XlsxError) -> ReportError {
        match error {
            XlsxError::IoError(source) | XlsxError::TempFileError(_, source) => {
                ReportError::Write { name: WORKBOOK.to_owned(), source }
            }
            error => ReportError::Workbook(error),
        }
    }
}
