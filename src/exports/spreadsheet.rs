//! XLSX exports: the first worksheet, its first filled row the header.
//! Never evaluates a formula: the value stored with it counts. The sheet is held in memory: the format ends
//! at 1,048,576 rows.

use std::fmt::Display;
use std::io::Cursor;

use calamine::{Cell, CellType, Data, Range, Reader, Xlsx, XlsxError};

use super::error::ExportError;
use super::found::{self, Found};
use super::hashing::ExportFile;
use super::rendered;
use super::row::{Lost, TypedCell, TypedRow, typed_row};
use super::sheet::Sheet;

/// Reads the first worksheet; date cells become text of `time_format`.
pub(super) fn open(found: &Found, time_format: &str) -> Result<Sheet, ExportError> {
    let (bytes, file) = found::load(found)?;
    let unreadable = |error: &dyn Display| ExportError::Format {
        file: file.name.clone(),
        why: format!("is no readable .xlsx workbook ({error}): set `format = \"csv\"` if it is text"),
    };
    let mut workbook = Xlsx::new(Cursor::new(bytes)).map_err(|error| unreadable(&error))?;
    let Some(name) = workbook.sheet_names().into_iter().next() else { return Err(unreadable(&"no worksheet")) };
    let range = filled(&mut workbook, &name, time_format).map_err(|error| unreadable(&error))?;
    let first_row = range.start().map_or(0, |(row, _)| u64::from(row));
    sheet_of(file, range.rows().map(|row| typed_row(row.iter())).collect(), first_row)
}

impl CellType for TypedCell {}

/// The cells of a worksheet that are not empty.
fn filled(workbook: &mut Xlsx<Cursor<Vec<u8>>>, name: &str, time_format: &str) -> Result<Range<TypedCell>, XlsxError> {
    let mut cells = Vec::new();
    let mut reader = workbook.worksheet_cells_reader(name)?;
    while let Some(cell) = reader.next_cell_with_formula_metadata()? {
        let typed = typed(&cell.value.into(), cell.formula.is_some(), time_format);
        if typed != TypedCell::default() {
            cells.push(Cell::new(cell.pos, typed));
        }
    }
    Ok(Range::from_sparse(cells))
}

/// A formula whose result is the empty text has that text stored; one without any value was never computed.
fn typed(value: &Data, is_formula: bool, time_format: &str) -> TypedCell {
    let lost = match value {
        Data::Empty => is_formula.then_some(Lost::Formula),
        Data::Error(_) => Some(Lost::Error),
        _ => None,
    };
    TypedCell { text: text(value, time_format), lost }
}

fn sheet_of(file: ExportFile, rows: Vec<TypedRow>, first_row: u64) -> Result<Sheet, ExportError> {
    let mut rows = rows.into_iter();
    let Some((header, _)) = rows.next() else {
        let why = "is empty: not even a header stands in it".to_owned();
        return Err(ExportError::Format { file: file.name, why });
    };
    let header = header.iter().map(|cell| cell.trim().to_owned()).collect();
    // The row numbers of calamine begin with 0, the header's is `first_row`.
    Ok(Sheet::of_cells(file, header, Box::new(rows.map(Ok)), first_row + 2))
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
pub(super) mod tests {
    use calamine::{ExcelDateTime, ExcelDateTimeType};

    use super::*;
    use crate::exports::row::Row;

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

    /// The smallest workbook: one sheet whose `sheetData` is given, in an archive without compression.
    pub(in crate::exports) fn workbook(sheet_data: &str) -> Vec<u8> {
        let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
        let relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
        let package = "http://schemas.openxmlformats.org/package/2006";
        archive(&[
            ("[Content_Types].xml", format!(r#"<Types xmlns="{package}/content-types"/>"#)),
            (
                "_rels/.rels",
                format!(
                    r#"<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type="{relations}/officeDocument" Target="xl/workbook.xml"/></Relationships>"#
                ),
            ),
            (
                "xl/workbook.xml",
                format!(
                    r#"<workbook xmlns="{main}" xmlns:r="{relations}"><sheets><sheet name="a" sheetId="1" r:id="r1"/></sheets></workbook>"#
                ),
            ),
            (
                "xl/_rels/workbook.xml.rels",
                format!(
                    r#"<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type="{relations}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>"#
                ),
            ),
            (
                "xl/worksheets/sheet1.xml",
                format!(r#"<worksheet xmlns="{main}"><sheetData>{sheet_data}</sheetData></worksheet>"#),
            ),
        ])
    }

    fn archive(files: &[(&str, String)]) -> Vec<u8> {
        let (mut bytes, mut directory) = (Vec::new(), Vec::new());
        for (name, text) in files {
            let mut crc = flate2::Crc::new();
            crc.update(text.as_bytes());
            let (offset, size) = (bytes.len() as u32, text.len() as u32);
            let mut about = vec![20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
            for number in [crc.sum(), size, size] {
                about.extend(number.to_le_bytes());
            }
            about.extend([name.len() as u8, 0, 0, 0]);
            bytes.extend(b"PK\x03\x04");
            bytes.extend(&about);
            bytes.extend(name.bytes().chain(text.bytes()));
            directory.extend(b"PK\x01\x02\x14\x00");
            directory.extend(&about);
            directory.extend([0; 10]);
            directory.extend(offset.to_le_bytes());
            directory.extend(name.bytes());
        }
        let (start, size, count) = (bytes.len() as u32, directory.len() as u32, files.len() as u8);
        bytes.extend(directory);
        bytes.extend([b'P', b'K', 5, 6, 0, 0, 0, 0, count, 0, count, 0]);
        bytes.extend(size.to_le_bytes().into_iter().chain(start.to_le_bytes()).chain([0, 0]));
        bytes
    }

    #[test]
    fn the_first_filled_row_is_the_header_and_rows_keep_their_numbers() {
        let text = |place: &str, text: &str| format!(r#"<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>"#);
        let data = format!(
            r#"<row r="3">{}{}</row><row r="4">{}<c r="B4"><v>12.3</v></c></row><row r="6">{}<c r="B6"><v>4.2E+27</v></c></row>"#,
            text("A3", "单号"),
            text("B3", "实付"),
            text("A4", "M1"),
            text("A6", "M2"),
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("o.xlsx");
        std::fs::write(&path, workbook(&data)).unwrap();
        let mut sheet = open(&Found { path, name: "o.xlsx".into() }, "").unwrap();
        assert_eq!(sheet.header, ["单号", "实付"]);
        let (mut row, mut shown) = (Row::default(), Vec::new());
        while let Some(read) = sheet.next(&mut row).unwrap() {
            read.unwrap();
            shown.push((row.line, row.raw().into_owned()));
        }
        assert_eq!(shown, [(4, "M1\t12.3".to_owned()), (6, "M2\t4.2E+27".to_owned())]);
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
