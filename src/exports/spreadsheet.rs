//! XLSX exports: the first worksheet, its first filled row the header.
//! Never evaluates a formula: the value stored with it counts.

use std::io::Cursor;

use calamine::{Data, Reader, Xlsx};
use csv::StringRecord;

use super::found::{self, Found};
use super::sheet::Sheet;
use super::{ExportError, ExportFile, rendered};

/// Reads the first worksheet; date cells become text of `time_format`.
pub(super) fn open(found: &Found, time_format: &str) -> Result<Sheet, ExportError> {
    let (bytes, file) = found::load(found)?;
    let unreadable = |error: &dyn std::fmt::Display| ExportError::Format {
        file: file.name.clone(),
        why: format!("is no readable .xlsx workbook ({error}): set `format = \"csv\"` if it is text"),
    };
    let mut workbook = Xlsx::new(Cursor::new(bytes)).map_err(|error| unreadable(&error))?;
    let range = workbook
        .worksheet_range_at(0)
        .ok_or_else(|| unreadable(&"no worksheet"))?
        .map_err(|error| unreadable(&error))?;
    let first_row = range.start().map_or(0, |(row, _)| u64::from(row));
    let rows = range.rows().map(|row| row.iter().map(|cell| text(cell, time_format)).collect());
    sheet_of(file, rows.collect(), first_row)
}

fn sheet_of(file: ExportFile, rows: Vec<StringRecord>, first_row: u64) -> Result<Sheet, ExportError> {
    let mut rows = rows.into_iter();
    let Some(header) = rows.next() else {
        let why = "is empty: not even a header stands in it".to_owned();
        return Err(ExportError::Format { file: file.name, why });
    };
    let header = header.iter().map(|cell| cell.trim().to_owned()).collect();
    // The row numbers of calamine begin with 0, the header's is `first_row`.
    Ok(Sheet::of_cells(file, header, rows.collect(), first_row + 2))
}

fn text(cell: &Data, time_format: &str) -> String {
    match cell {
        Data::Empty => String::new(),
        Data::Float(value) => rendered::number(*value),
        Data::DateTime(value) => match value.as_datetime() {
            Some(time) => rendered::wall_clock(time, time_format),
            None => rendered::number(value.as_f64()),
        },
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use calamine::{ExcelDateTime, ExcelDateTimeType};

    use super::*;

    #[test]
    fn typed_cells_become_the_text_of_a_csv() {
        let format = "%Y-%m-%d %H:%M:%S";
        assert_eq!(text(&Data::Float(12.3), format), "12.3");
        assert_eq!(text(&Data::Float(1288880000000001.0), format), "1.28888E+15");
        assert_eq!(text(&Data::String("券码".into()), format), "券码");
        assert_eq!(text(&Data::Empty, format), "");
        let noon = ExcelDateTime::new(46344.5, ExcelDateTimeType::DateTime, false);
        assert_eq!(text(&Data::DateTime(noon), format), "2026-11-18 12:00:00");
    }

    #[test]
    fn a_text_file_is_no_workbook() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("o.xlsx");
        std::fs::write(&path, "a,b\n").unwrap();
        let error = open(&Found { path, name: "o.xlsx".into() }, "").unwrap_err().to_string();
        assert!(error.contains("`o.xlsx` is no readable .xlsx workbook") && error.contains("csv"), "{error}");
    }
}
