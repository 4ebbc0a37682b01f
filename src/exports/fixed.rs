//! Reads CSV files whose columns are fixed by the design: UTF-8, comma, documented header names.
//! Knows no particular file.

use super::distinct::{Export, ExportRow, Gathered};
use super::error::ExportError;
use super::found::Found;
use super::row::{Fault, Row};
use super::sheet::Sheet;
use crate::job::OnBadRow;
use crate::sorter::Room;

/// The cells of one row in the fixed columns.
pub(super) struct FixedRow<'r, 's> {
    /// Name of the file.
    pub(super) file: &'r str,
    /// Physical line, 1-based.
    pub(super) line: u64,
    row: &'r Row,
    places: &'s [Option<usize>],
}

impl<'r> FixedRow<'r, '_> {
    /// The cell of column `index`, parsed by `read`.
    pub(super) fn cell<T>(&self, index: usize, read: impl Fn(&'r str) -> Result<T, String>) -> Result<T, Fault> {
        let place = self.places[index];
        let text = self.row.text(place);
        read(text).map_err(|why| Fault::of_cell(place, text, why))
    }

    /// The same for a cell that must never be shown.
    pub(super) fn private_cell<T>(
        &self,
        index: usize,
        read: impl Fn(&'r str) -> Result<T, String>,
    ) -> Result<T, Fault> {
        self.cell(index, read).map_err(Fault::without_value)
    }
}

/// Reads files that have all these columns, sorted in `room`; a malformed row is an error.
pub(super) fn read<R: ExportRow, const N: usize>(
    files: &[Found],
    columns: &[&'static str; N],
    room: &Room,
    row: impl for<'r> Fn(&FixedRow<'r, '_>) -> Result<R::Row<'r>, Fault>,
) -> Result<Export<R>, ExportError> {
    let mut gathered = Gathered::new(room, OnBadRow::Fail);
    for found in files {
        let sheet = Sheet::delimited(found, encoding_rs::UTF_8, b',').map_err(advised)?;
        let places = sheet.locate(|search| columns.map(|name| search.place(name, name))).map_err(advised)?;
        let read = gathered.add(sheet, |sheet, cells| {
            row(&FixedRow { file: &sheet.name, line: cells.line, row: cells, places: &places })
        });
        read.map_err(advised)?;
    }
    gathered.finish()
}

/// No key of the job file says how these files are written.
fn advised(error: ExportError) -> ExportError {
    const ADVICE: &str = "save the file as CSV UTF-8";
    match error {
        ExportError::Encoding { file, line, encoding, .. } => {
            ExportError::Encoding { file, line, encoding, advice: ADVICE }
        }
        ExportError::OtherKind { file, what, .. } => {
            ExportError::OtherKind { file, what, advice: format!("{ADVICE}, with commas between the columns") }
        }
        other => other,
    }
}
