//! Reads XLSX exports: the first visible worksheet, with its first non-empty row as the header. Formulas are
//! never evaluated; their stored values count. The non-empty cells are held in memory, since the format is
//! limited to 1,048,576 rows.

use std::fmt::Display;
use std::io::Cursor;
use std::iter::Peekable;
use std::vec::IntoIter;

use calamine::{Data, Reader, SheetType, SheetVisible, Xlsx, XlsxError};
use chrono::{DateTime, NaiveDateTime};

use super::error::ExportError;
use super::found::{self, Found};
use super::rendered;
use super::row::{Lost, TypedCell, TypedRow, typed_row};
use super::sheet::{Sheet, header_text};

type Workbook = Xlsx<Cursor<Vec<u8>>>;

/// Reads the first visible worksheet.
pub(super) fn open(found: &Found) -> Result<Sheet, ExportError> {
    let (bytes, file) = found::load(found)?;
    let refused = |why: String| ExportError::Format { file: file.name.clone(), why };
    let unreadable = |error: &dyn Display| {
        refused(format!("is not a readable .xlsx workbook ({error}): set `format = \"csv\"` if it is text"))
    };
    refuse_other_formats(&bytes).map_err(|why| refused(why.to_owned()))?;
    let mut workbook = Xlsx::new(Cursor::new(bytes)).map_err(|error| unreadable(&error))?;
    let names = worksheets(&workbook);
    let [name, others @ ..] = names.as_slice() else { return Err(unreadable(&"no worksheet")) };
    let cells = filled(&mut workbook, name).map_err(|error| unreadable(&error))?;
    let Some(table) = Table::of(cells) else { return Err(refused(empty(name, others))) };
    for other in others {
        let cells = filled(&mut workbook, other).map_err(|error| unreadable(&error))?;
        if Table::of(cells).is_some_and(|other| other.header == table.header && other.has_rows()) {
            let why = format!(
                "has rows under the same headers on another worksheet, `{other}`, and only `{name}` would be read: put \
                 all rows on one worksheet or in files of their own, or hide the one that does not count"
            );
            return Err(refused(why));
        }
    }
    let (header, first_line) = (table.header.clone(), u64::from(table.row) + 1);
    Ok(Sheet::of_cells(file, header, Box::new(table.map(Ok)), first_line).of_worksheets(names))
}

fn empty(name: &str, others: &[String]) -> String {
    match others {
        [] => "is empty: it does not even have a header".to_owned(),
        [next, ..] => format!(
            "has nothing on its first worksheet, `{name}`, which is the one that is read: hide it or move it behind `{next}`"
        ),
    }
}

fn refuse_other_formats(bytes: &[u8]) -> Result<(), &'static str> {
    match bytes {
        [] => Err("is empty: it does not even have a header"),
        [0xd0, 0xcf, 0x11, 0xe0, ..] => {
            Err("is an old spreadsheet (.xls), or protected by a password: save it as .xlsx without one")
        }
        _ => Ok(()),
    }
}

/// The visible worksheets, in order; all of them if none is visible. Charts are excluded.
fn worksheets(workbook: &Workbook) -> Vec<String> {
    let sheets = || workbook.sheets_metadata().iter().filter(|sheet| sheet.typ == SheetType::WorkSheet);
    let mut seen: Vec<_> = sheets().filter(|sheet| sheet.visible == SheetVisible::Visible).collect();
    if seen.is_empty() {
        seen = sheets().collect();
    }
    seen.into_iter().map(|sheet| sheet.name.clone()).collect()
}

/// A non-empty cell.
#[derive(Debug)]
struct Placed {
    row: u32,
    column: u32,
    cell: TypedCell,
}

/// The non-empty cells of a worksheet, row by row.
fn filled(workbook: &mut Workbook, name: &str) -> Result<Vec<Placed>, XlsxError> {
    let mut cells = Vec::new();
    let mut reader = workbook.worksheet_cells_reader(name)?;
    let widths: Vec<_> = reader.styles().iter().map(|style| zeros(style.number_format.as_ref())).collect();
    while let Some(cell) = reader.next_cell_with_formula_metadata()? {
        let typed = typed(&cell.value.into(), cell.formula.is_some());
        if typed != TypedCell::default() {
            cells.push(Placed { row: cell.pos.0, column: cell.pos.1, cell: typed });
        }
    }
    drop(reader);
    cells.sort_by_key(|cell| (cell.row, cell.column));
    if widths.iter().any(|width| *width > 0) {
        show_zeros(workbook, name, &widths, &mut cells)?;
    }
    Ok(cells)
}

/// The minimum number of digits in a number format: `000000` is how people keep leading zeros of a code.
fn zeros(format: Option<&calamine::NumberFormat>) -> usize {
    let code = format.map_or("", |format| format.format_code.as_str());
    let is_zeros = code.len() > 1 && code.bytes().all(|byte| byte == b'0');
    if is_zeros { code.len() } else { 0 }
}

/// Restores the leading zeros that cells show: without them an id would be a different one.
fn show_zeros(workbook: &mut Workbook, name: &str, widths: &[usize], cells: &mut [Placed]) -> Result<(), XlsxError> {
    let mut reader = workbook.worksheet_cells_reader(name)?;
    while let Some((row, column, style)) = reader.next_style_id()? {
        let width = widths.get(style).copied().unwrap_or_default();
        let place = cells.binary_search_by_key(&(row, column), |cell| (cell.row, cell.column));
        if let (Ok(place), true) = (place, width > 0) {
            let text = &mut cells[place].cell.text;
            if text.bytes().all(|byte| byte.is_ascii_digit()) {
                *text = format!("{text:0>width$}");
            }
        }
    }
    Ok(())
}

/// The rows below a header, including blank ones in between.
struct Table {
    header: Vec<String>,
    /// Column of the first header.
    column: u32,
    /// The next row.
    row: u32,
    cells: Peekable<IntoIter<Placed>>,
}

impl Table {
    /// The table whose header is the first non-empty row; cells outside its columns are ignored.
    fn of(cells: Vec<Placed>) -> Option<Table> {
        let mut cells = cells.into_iter().peekable();
        let &Placed { row, column, .. } = cells.peek()?;
        let mut header = Vec::new();
        while let Some(cell) = cells.next_if(|cell| cell.row == row) {
            header.resize((cell.column - column) as usize, String::new());
            header.push(header_text(&cell.cell.text).to_owned());
        }
        Some(Table { header, column, row: row + 1, cells })
    }

    fn has_rows(mut self) -> bool {
        self.cells.peek().is_some()
    }
}

impl Iterator for Table {
    type Item = TypedRow;

    fn next(&mut self) -> Option<TypedRow> {
        self.cells.peek()?;
        let mut row = vec![TypedCell::default(); self.header.len()];
        while let Some(cell) = self.cells.next_if(|cell| cell.row == self.row) {
            let place = cell.column.checked_sub(self.column).and_then(|place| row.get_mut(place as usize));
            if let Some(place) = place {
                *place = cell.cell;
            }
        }
        self.row += 1;
        Some(typed_row(row.iter()))
    }
}

/// A formula with an empty string as its result has that stored; one without any value was never computed.
fn typed(value: &Data, is_formula: bool) -> TypedCell {
    let lost = match value {
        Data::Empty => is_formula.then_some(Lost::Formula),
        Data::Error(_) => Some(Lost::Error),
        Data::DateTime(_) | Data::DateTimeIso(_) => Some(Lost::Time),
        _ => None,
    };
    TypedCell { text: text(value), lost }
}

fn text(cell: &Data) -> String {
    match cell {
        Data::Empty => String::new(),
        Data::Float(value) => rendered::number(*value),
        Data::DateTime(value) => match value.as_datetime() {
            Some(time) => rendered::wall_clock(time),
            None => rendered::number(value.as_f64()),
        },
        Data::DateTimeIso(text) => iso(text).unwrap_or_else(|| text.clone()),
        other => other.to_string(),
    }
}

/// A time as written in strict workbooks.
fn iso(text: &str) -> Option<String> {
    let wall_clock = || text.parse::<NaiveDateTime>().ok().map(rendered::wall_clock);
    DateTime::parse_from_rfc3339(text).ok().map(|instant| rendered::instant(instant.to_utc())).or_else(wall_clock)
}

#[cfg(test)]
pub(super) mod tests {
    use calamine::{ExcelDateTime, ExcelDateTimeType};

    use super::*;
    use crate::exports::row::Row;

    #[test]
    fn typed_cells_become_the_text_of_a_csv() {
        assert_eq!(text(&Data::Float(12.3)), "12.3");
        assert_eq!(text(&Data::Float(1288880000000001.0)), "1.28888E+15");
        assert_eq!(text(&Data::String("券码".into())), "券码");
        assert_eq!(text(&Data::Empty), "");
        let noon = ExcelDateTime::new(46344.5, ExcelDateTimeType::DateTime, false);
        assert_eq!(text(&Data::DateTime(noon)), "2026-11-18 12:00:00");
        let iso = |text: &str| super::text(&Data::DateTimeIso(text.into()));
        assert_eq!(iso("2026-11-18T12:00:00"), "2026-11-18 12:00:00");
        assert_eq!(iso("2026-11-18T04:00:00.5Z"), "2026-11-18 12:00:00.500");
        assert_eq!(iso("2026-11-18"), "2026-11-18");
    }

    /// A minimal workbook: one sheet with the given `sheetData`, in an uncompressed archive.
    pub(in crate::exports) fn workbook(sheet_data: &str) -> Vec<u8> {
        workbook_of(&[("visible", sheet_data)], "")
    }

    /// The same with several sheets, each hidden or not, and these cell formats.
    fn workbook_of(sheets: &[(&str, &str)], formats: &str) -> Vec<u8> {
        let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
        let relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
        let package = "http://schemas.openxmlformats.org/package/2006";
        let (mut listed, mut related) = (String::new(), String::new());
        let mut files = Vec::new();
        for (number, (state, data)) in sheets.iter().enumerate() {
            listed +=
                &format!(r#"<sheet name="s{number}" sheetId="{}" state="{state}" r:id="s{number}"/>"#, number + 1);
            related += &format!(
                r#"<Relationship Id="s{number}" Type="{relations}/worksheet" Target="worksheets/{number}.xml"/>"#
            );
            let name = ["xl/worksheets/0.xml", "xl/worksheets/1.xml"][number];
            files.push((name, format!(r#"<worksheet xmlns="{main}"><sheetData>{data}</sheetData></worksheet>"#)));
        }
        related += &format!(r#"<Relationship Id="t" Type="{relations}/styles" Target="styles.xml"/>"#);
        let relationships =
            |list: &str| format!(r#"<Relationships xmlns="{package}/relationships">{list}</Relationships>"#);
        let office = format!(r#"<Relationship Id="r" Type="{relations}/officeDocument" Target="xl/workbook.xml"/>"#);
        files.extend([
            ("[Content_Types].xml", format!(r#"<Types xmlns="{package}/content-types"/>"#)),
            ("_rels/.rels", relationships(&office)),
            (
                "xl/workbook.xml",
                format!(r#"<workbook xmlns="{main}" xmlns:r="{relations}"><sheets>{listed}</sheets></workbook>"#),
            ),
            ("xl/_rels/workbook.xml.rels", relationships(&related)),
            ("xl/styles.xml", format!(r#"<styleSheet xmlns="{main}">{formats}</styleSheet>"#)),
        ]);
        archive(&files)
    }

    fn written(folder: &tempfile::TempDir, bytes: Vec<u8>) -> Found {
        let path = folder.path().join("o.xlsx");
        std::fs::write(&path, bytes).unwrap();
        Found { path, name: "o.xlsx".into() }
    }

    /// The rows of a workbook by line with tab-separated cells, or the problem with it.
    fn read(bytes: Vec<u8>) -> Result<Vec<(u64, String)>, String> {
        let folder = tempfile::tempdir().unwrap();
        let mut sheet = open(&written(&folder, bytes)).map_err(|error| error.to_string())?;
        let (mut row, mut rows) = (Row::default(), Vec::new());
        while let Some(read) = sheet.next(&mut row).unwrap() {
            read.unwrap();
            rows.push((row.line, row.raw().into_owned()));
        }
        Ok(rows)
    }

    const TABLE: &str =
        r#"<row r="1"><c r="A1" t="str"><v>no</v></c></row><row r="2"><c r="A2" t="str"><v>M1</v></c></row>"#;

    #[test]
    fn a_lone_cell_far_away_takes_no_memory_for_all_cells_before_it() {
        let far = format!(r#"{TABLE}<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>"#);
        assert_eq!(read(workbook(&far)).unwrap(), [(2, "M1".to_owned())]);
    }

    #[test]
    fn what_is_hidden_is_passed_over() {
        let hidden = TABLE.replace("M1", "M0");
        assert_eq!(read(workbook_of(&[("hidden", &hidden), ("visible", TABLE)], "")).unwrap(), [(2, "M1".to_owned())]);
        assert_eq!(read(workbook_of(&[("hidden", TABLE)], "")).unwrap(), [(2, "M1".to_owned())]);
    }

    #[test]
    fn rows_of_another_worksheet_with_the_same_headers_are_not_left_out_silently() {
        let sheets = |other| workbook_of(&[("visible", TABLE), ("visible", other)], "");
        let error = read(sheets(TABLE)).unwrap_err();
        assert!(error.contains("another worksheet, `s1`"), "{error}");
        let header = r#"<row r="1"><c r="A1" t="str"><v>no</v></c></row>"#;
        for other in ["", header, r#"<row r="1"><c r="A1"><v>7</v></c></row><row r="2"><c r="A2"><v>8</v></c></row>"#] {
            assert_eq!(read(sheets(other)).unwrap(), [(2, "M1".to_owned())]);
        }
    }

    #[test]
    fn orders_on_the_second_worksheet_are_told_with_the_names_of_both() {
        let folder = tempfile::tempdir().unwrap();
        let summary = r#"<row r="1"><c r="A1" t="str"><v>month</v></c></row>"#;
        let bytes = workbook_of(&[("visible", summary), ("visible", TABLE)], "");
        let told = |bytes| {
            let sheet = open(&written(&folder, bytes)).unwrap();
            sheet.locate(|search| search.place("out_trade_no", "no")).map_err(|error| error.to_string())
        };
        let error = told(bytes).unwrap_err();
        let words = "its headers are `month`; they are on the worksheet `s0`, the first one, and there is also `s1`";
        assert!(error.ends_with(words), "{error}");
        let error = told(workbook(summary)).unwrap_err();
        assert!(error.ends_with("its headers are `month`"), "{error}");
        let error = read(workbook_of(&[("visible", ""), ("visible", TABLE)], "")).unwrap_err();
        assert!(error.contains("has nothing on its first worksheet, `s0`") && error.contains("`s1`"), "{error}");
    }

    #[test]
    fn a_number_has_the_zeros_that_its_cell_shows() {
        let formats = r#"<numFmts count="1"><numFmt numFmtId="164" formatCode="00000"/></numFmts>
            <cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="164" applyNumberFormat="1"/></cellXfs>"#;
        let cell = |row: u32, style: u32, value: &str| {
            format!(r#"<row r="{row}"><c r="A{row}" s="{style}"><v>{value}</v></c></row>"#)
        };
        let data =
            TABLE.to_owned() + &cell(3, 1, "12") + &cell(4, 0, "12") + &cell(5, 1, "1.5") + &cell(6, 1, "123456");
        let rows = read(workbook_of(&[("visible", &data)], formats)).unwrap();
        let ids: Vec<_> = rows.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(ids, ["M1", "00012", "12", "1.5", "123456"]);
    }

    #[test]
    fn a_protected_workbook_and_an_empty_file_are_told_as_what_they_are() {
        assert!(read(b"\xd0\xcf\x11\xe0\xa1".to_vec()).unwrap_err().contains("password"));
        assert!(read(Vec::new()).unwrap_err().contains("is empty"));
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
        assert_eq!(open(&written(&folder, workbook(&data))).unwrap().header, ["单号", "实付"]);
        let rows = read(workbook(&data)).unwrap();
        assert_eq!(rows, [(4, "M1\t12.3".to_owned()), (6, "M2\t4.2E+27".to_owned())]);
    }

    #[test]
    fn a_text_file_is_no_workbook() {
        let error = read(b"a,b\n".to_vec()).unwrap_err();
        assert!(error.contains("`o.xlsx` is not a readable .xlsx workbook") && error.contains("csv"), "{error}");
    }
}
