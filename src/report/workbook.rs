//! `reconciliation.xlsx`: the tables as sheets. Text is always written as text, so that external text
//! never becomes a formula or a link. Rows are buffered in unnamed files of a scratch folder, not in
//! memory.

use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, NaiveDate, Utc};
use rust_xlsxwriter::{
    Color, ConditionalFormatCell, ConditionalFormatCellRule, DocProperties, ExcelDateTime, Format, FormatAlign,
    FormatBorder, Note, Workbook, Worksheet, XlsxError,
};

use super::refusal::{Patient, heard};
use super::table::{Cell, Column, Kind, Table};
use super::totals::Totals;
use super::words;
use crate::clock::{beijing, end_of};
use crate::job::Language;
use crate::money::Fen;

/// Rows of a sheet in Excel.
const EXCEL_LINES: u32 = 1 << 20;
/// Maximum length of a cell: less than Excel's limit, since it counts some characters twice.
const EXCEL_CHARS: usize = 16_000;

const NOTE_WIDTH_PIXELS: u32 = 320;
const NOTE_HEIGHT_PIXELS: u32 = 100;

/// Of 1 to 9. The default 6 takes four times as long and saves a seventh of the size.
const ZIP_LEVEL: u8 = 2;

/// A workbook that is being written.
pub(super) struct Book {
    stationery: Stationery,
    sheets: Vec<Sheet>,
}

/// What the tables of a workbook have in common; gives them worksheets.
struct Stationery {
    /// Locked to add a worksheet, never to fill one.
    workbook: Mutex<Workbook>,
    language: Language,
    formats: Formats,
    /// Rows per sheet; the last one is reserved for totals, or for where the rows continue.
    lines_per_sheet: u32,
}

/// A table that takes rows, perhaps beside another one on another thread. Its cells have the styles of their columns, which are
/// numbered when the table begins, so the bytes of the workbook do not depend on which thread is first.
pub(super) struct OpenTable<'b> {
    stationery: &'b Stationery,
    sheet: &'b mut Sheet,
}

/// A table that is being written to one or more worksheets.
struct Sheet {
    table: &'static Table,
    pages: Vec<Worksheet>,
    header_line: u32,
    next_line: u32,
    totals: Totals,
}

struct Formats {
    header: Format,
    title: Format,
    note: Format,
    total: Format,
    total_yuan: Format,
    text: Format,
    yuan: Format,
    count: Format,
    date: Format,
    time: Format,
}

impl Book {
    /// An empty workbook of a business date, with the end of that date as its creation time. Rows are
    /// buffered in `scratch`.
    pub(super) fn new(language: Language, date: NaiveDate, scratch: &Path) -> Result<Book, XlsxError> {
        let mut workbook = Workbook::new();
        workbook.set_tempdir(scratch)?.set_zip_compression_level(ZIP_LEVEL);
        let created = ExcelDateTime::from_timestamp(end_of(date).timestamp())?;
        workbook.set_properties(&DocProperties::new().set_creation_datetime(&created));
        let workbook = Mutex::new(workbook);
        let stationery = Stationery { workbook, language, formats: Formats::new(), lines_per_sheet: EXCEL_LINES };
        Ok(Book { stationery, sheets: Vec::new() })
    }

    /// Starts a table below the lines of `front`; returns its number.
    pub(super) fn begin(&mut self, table: &'static Table, front: &[(String, Cell<'_>)]) -> Result<usize, XlsxError> {
        heard(|| self.open(table, front))
    }

    fn open(&mut self, table: &'static Table, front: &[(String, Cell<'_>)]) -> Result<usize, XlsxError> {
        let mut page = self.stationery.page(table, 0)?;
        let formats = &self.stationery.formats;
        for (line, (label, cell)) in front.iter().enumerate() {
            let line = u32::try_from(line).expect("a front of a few lines");
            let format = if line == 0 { &formats.title } else { &formats.note };
            page.write_string_with_format(line, 0, label, format)?;
            write_cell(&mut page, line, 2, cell, Some(&formats.of_front(cell)))?;
        }
        let header_line = if front.is_empty() { 0 } else { u32::try_from(front.len()).expect("few") + 1 };
        self.stationery.head(&mut page, table, header_line)?;
        let totals = Totals::of(table);
        self.sheets.push(Sheet { table, pages: vec![page], header_line, next_line: header_line + 1, totals });
        Ok(self.sheets.len() - 1)
    }

    /// The table with this number, to add rows to.
    pub(super) fn table(&mut self, number: usize) -> OpenTable<'_> {
        OpenTable { stationery: &self.stationery, sheet: &mut self.sheets[number] }
    }

    /// Two tables, to be filled at the same time.
    pub(super) fn tables(&mut self, numbers: [usize; 2]) -> [OpenTable<'_>; 2] {
        let sheets = self.sheets.get_disjoint_mut(numbers).expect("two tables of this workbook");
        sheets.map(|sheet| OpenTable { stationery: &self.stationery, sheet })
    }

    /// The table, the number of its rows, and the number of its sheets.
    pub(super) fn extent(&self, number: usize) -> (&'static Table, i64, usize) {
        let sheet = &self.sheets[number];
        (sheet.table, sheet.totals.rows(), sheet.pages.len())
    }

    /// Finishes every table and writes the workbook, its sheets in the order of `order`.
    pub(super) fn finish(self, order: &[usize], out: impl Write + Send) -> Result<(), XlsxError> {
        let mut out = Patient::new(out);
        heard(|| self.save(order, &mut out))?;
        out.result().map_err(XlsxError::IoError)
    }

    fn save(self, order: &[usize], out: impl Write + Send) -> Result<(), XlsxError> {
        let Stationery { workbook, language, formats, .. } = self.stationery;
        let (mut sheets, mut workbook) = (self.sheets, workbook.into_inner().unwrap_or_else(PoisonError::into_inner));
        for sheet in &mut sheets {
            let line = sheet.next_line;
            if sheet.totals.has_line() {
                let totals = sheet.totals.line(language);
                write_line(sheet.page(), line, &totals, Some(&formats))?;
            }
            sheet.dress_page(language, line.saturating_sub(1))?;
        }
        let mut sheets: Vec<_> = sheets.into_iter().map(Some).collect();
        for number in order {
            let sheet = sheets[*number].take().expect("every table is placed once");
            sheet.pages.into_iter().for_each(|page| workbook.push_worksheet(page));
        }
        workbook.save_to_writer(out)
    }
}

impl OpenTable<'_> {
    /// Adds a row, on a further sheet if necessary.
    pub(super) fn line(&mut self, cells: &[Cell<'_>]) -> Result<(), XlsxError> {
        heard(|| self.add(cells))
    }

    fn add(&mut self, cells: &[Cell<'_>]) -> Result<(), XlsxError> {
        if self.sheet.next_line + 1 >= self.stationery.lines_per_sheet {
            self.turn_page()?;
        }
        let sheet = &mut *self.sheet;
        sheet.totals.add(cells);
        let line = sheet.next_line;
        write_line(sheet.page(), line, cells, None)?;
        sheet.next_line += 1;
        Ok(())
    }

    fn turn_page(&mut self) -> Result<(), XlsxError> {
        let Stationery { language, formats, .. } = self.stationery;
        let sheet = &mut *self.sheet;
        let mut next = self.stationery.page(sheet.table, sheet.pages.len())?;
        self.stationery.head(&mut next, sheet.table, 0)?;
        let note = match language {
            Language::Zh => format!("续见工作表「{}」", next.name()),
            Language::En => format!("continues on the sheet \"{}\"", next.name()),
        };
        let last = sheet.next_line;
        sheet.page().write_string_with_format(last, 0, note, &formats.total)?;
        sheet.dress_page(*language, last - 1)?;
        (sheet.header_line, sheet.next_line) = (0, 1);
        sheet.pages.push(next);
        Ok(())
    }
}

impl Stationery {
    /// An empty worksheet of a table, with column widths by kind.
    fn page(&self, table: &Table, earlier: usize) -> Result<Worksheet, XlsxError> {
        let mut workbook = self.workbook.lock().unwrap_or_else(PoisonError::into_inner);
        let mut page = workbook.new_worksheet_with_constant_memory()?;
        drop(workbook);
        let name = self.language.pick(table.zh, table.en);
        page.set_name(if earlier == 0 { name.to_owned() } else { format!("{name} {}", earlier + 1) })?;
        for (column, it) in (0..).zip(table.columns) {
            page.set_column_width(column, width(it))?;
            page.set_column_format(column, self.formats.of(it.kind))?;
        }
        page.set_landscape().set_print_fit_to_pages(1, 0);
        Ok(page)
    }

    fn head(&self, page: &mut Worksheet, table: &Table, line: u32) -> Result<(), XlsxError> {
        page.set_row_height(line, 22)?;
        for (column, it) in (0..).zip(table.columns) {
            page.insert_note(line, column, &note(table, it, self.language))?;
            page.write_string_with_format(line, column, self.language.pick(it.zh, it.en), &self.formats.header)?;
        }
        page.set_freeze_panes(line + 1, 0)?;
        page.set_repeat_rows(line, line)?;
        Ok(())
    }
}

impl Sheet {
    fn page(&mut self) -> &mut Worksheet {
        self.pages.last_mut().expect("a sheet has a page")
    }

    /// Filter and colours of a worksheet that ends with `last_line`.
    fn dress_page(&mut self, language: Language, last_line: u32) -> Result<(), XlsxError> {
        let (table, header) = (self.table, self.header_line);
        let last_column = u16::try_from(table.columns.len() - 1).expect("few columns");
        let page = self.page();
        page.autofilter(header, 0, last_line.max(header), last_column)?;
        if last_line <= header {
            return Ok(());
        }
        for (column, it) in (0..).zip(table.columns) {
            for (code, ink, ground) in colours(it) {
                let rule = ConditionalFormatCellRule::EqualTo(shown(it, language, code));
                let format = Format::new().set_font_color(Color::RGB(*ink)).set_background_color(Color::RGB(*ground));
                let condition = ConditionalFormatCell::new().set_rule(rule).set_format(format);
                page.add_conditional_format(header + 1, column, last_line, column, &condition)?;
            }
        }
        Ok(())
    }
}

/// What a column means, in a box that takes the longest of them.
fn note(table: &Table, column: &Column, language: Language) -> Note {
    let (zh, en) = table.meaning(column);
    Note::new(language.pick(zh, en))
        .add_author_prefix(false)
        .set_width(NOTE_WIDTH_PIXELS)
        .set_height(NOTE_HEIGHT_PIXELS)
}

/// Words with colours, as text and background.
fn colours(column: &Column) -> &'static [(&'static str, u32, u32)] {
    match column.name {
        "severity" => {
            &[("high", 0x9C_1C_1C, 0xFB_E3_E1), ("medium", 0x7A_4B_00, 0xFD_F0_D2), ("low", 0x3E_50_60, 0xE9_EE_F2)]
        }
        "result" => &[
            ("differs", 0x9C_1C_1C, 0xFB_E3_E1),
            ("pending", 0x7A_4B_00, 0xFD_F0_D2),
            ("agrees", 0x1B_5E_45, 0xE3_F2_EA),
            ("unproven", 0x3E_50_60, 0xE9_EE_F2),
        ],
        _ => &[],
    }
}

fn shown(column: &Column, language: Language, code: &'static str) -> String {
    let words = if column.name == "severity" { words::SEVERITY } else { words::RESULT };
    words::word(words, language, code).to_owned()
}

/// Width in characters; a Chinese one counts as two.
fn width(column: &Column) -> f64 {
    let by_kind = match column.kind {
        Kind::Id => 22.0,
        Kind::Word => 12.0,
        Kind::Text => 34.0,
        Kind::Yuan => 14.0,
        Kind::Count => 10.0,
        Kind::Date => 12.0,
        Kind::Time => 20.0,
    };
    let places = |text: &str| text.chars().map(|it| if it.is_ascii() { 1.0 } else { 2.0 }).sum::<f64>();
    f64::max(by_kind, places(column.zh).max(places(column.en)) + 4.0)
}

fn write_line(page: &mut Worksheet, line: u32, cells: &[Cell<'_>], totals: Option<&Formats>) -> Result<(), XlsxError> {
    for (column, cell) in (0..).zip(cells) {
        write_cell(page, line, column, cell, totals.map(|formats| formats.of_total(cell)))?;
    }
    Ok(())
}

fn write_cell(
    page: &mut Worksheet,
    line: u32,
    column: u16,
    cell: &Cell<'_>,
    format: Option<&Format>,
) -> Result<(), XlsxError> {
    let number = match cell {
        Cell::Id(None) => return Ok(()),
        Cell::Id(Some(text)) | Cell::Text(text) => {
            let text = fitting(text);
            match format {
                Some(format) => page.write_string_with_format(line, column, text, format)?,
                None if text.is_empty() => page,
                None => page.write_string(line, column, text)?,
            };
            return Ok(());
        }
        Cell::Yuan(amount) => amount.map(yuan),
        Cell::Count(count) => count.map(|count| count as f64),
        Cell::Date(date) => date.map(serial_of_day),
        Cell::Time(time) => time.map(serial_of_instant),
    };
    match (number, format) {
        (None, _) => {}
        (Some(number), Some(format)) => drop(page.write_number_with_format(line, column, number, format)?),
        (Some(number), None) => drop(page.write_number(line, column, number)?),
    }
    Ok(())
}

/// Cells have a maximum length; the CSV has the whole text.
fn fitting(text: &str) -> String {
    // A text never has more characters than bytes, so most need not be counted.
    let beyond = if text.len() > EXCEL_CHARS { text.char_indices().nth(EXCEL_CHARS) } else { None };
    match beyond {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Money as a float, for the numbers of a worksheet: its cells know no other type.
fn yuan(amount: Fen) -> f64 {
    amount.0 as f64 / 100.0
}

fn serial_of_day(date: NaiveDate) -> f64 {
    let epoch = NaiveDate::from_ymd_opt(1899, 12, 30).expect("a day");
    (date - epoch).num_days() as f64
}

fn serial_of_instant(time: DateTime<Utc>) -> f64 {
    let local = time.with_timezone(&beijing()).naive_local();
    let seconds = (local - local.date().and_time(chrono::NaiveTime::MIN)).num_seconds();
    serial_of_day(local.date()) + seconds as f64 / 86_400.0
}

impl Formats {
    fn new() -> Formats {
        let yuan = "#,##0.00;[Red]-#,##0.00";
        let total = Format::new().set_bold().set_border_top(FormatBorder::Thin);
        let header = Format::new()
            .set_bold()
            .set_font_color(Color::White)
            .set_background_color(Color::RGB(0x1F_5C_57))
            .set_align(FormatAlign::VerticalCenter);
        Formats {
            header,
            title: Format::new().set_bold().set_font_size(14),
            note: Format::new().set_font_color(Color::RGB(0x55_5F_6B)),
            total_yuan: total.clone().set_num_format(yuan),
            total,
            text: Format::new().set_num_format("@"),
            yuan: Format::new().set_num_format(yuan),
            count: Format::new().set_num_format("0"),
            date: Format::new().set_num_format("yyyy-mm-dd").set_align(FormatAlign::Left),
            time: Format::new().set_num_format("yyyy-mm-dd hh:mm:ss").set_align(FormatAlign::Left),
        }
    }

    fn of(&self, kind: Kind) -> &Format {
        match kind {
            Kind::Id | Kind::Word | Kind::Text => &self.text,
            Kind::Yuan => &self.yuan,
            Kind::Count => &self.count,
            Kind::Date => &self.date,
            Kind::Time => &self.time,
        }
    }

    fn of_total(&self, cell: &Cell<'_>) -> &Format {
        if matches!(cell, Cell::Yuan(_)) { &self.total_yuan } else { &self.total }
    }

    fn of_front(&self, cell: &Cell<'_>) -> Format {
        let kind = match cell {
            Cell::Yuan(_) => Kind::Yuan,
            Cell::Count(_) => Kind::Count,
            Cell::Date(_) => Kind::Date,
            _ => Kind::Text,
        };
        self.of(kind).clone().set_align(FormatAlign::Left)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use calamine::{Reader, Xlsx};

    use super::super::table::{column, summed};
    use super::*;

    const COLUMNS: [Column; 2] = [
        column("id", "编号", "Id", Kind::Id).says("一个编号。", "An id."),
        summed("yuan", "金额(元)", "Amount (yuan)", Kind::Yuan).says("一笔金额。", "An amount."),
    ];
    const TABLE: Table = Table { name: "t", zh: "明细", en: "Rows", dataset: "orders", columns: &COLUMNS };
    const OTHER: Table = Table { zh: "其他", ..TABLE };

    fn book(rows: i64) -> Xlsx<Cursor<Vec<u8>>> {
        let scratch = tempfile::tempdir().unwrap();
        let date = NaiveDate::from_ymd_opt(2026, 11, 20).unwrap();
        let mut book = Book::new(Language::Zh, date, scratch.path()).unwrap();
        book.stationery.lines_per_sheet = 6;
        let sheet = book.begin(&TABLE, &[]).unwrap();
        for row in 0..rows {
            book.table(sheet).line(&[Cell::text(format!("{row:020}")), Cell::Yuan(Some(Fen(row)))]).unwrap();
        }
        let mut out = Cursor::default();
        book.finish(&[sheet], &mut out).unwrap();
        Xlsx::new(out).unwrap()
    }

    #[test]
    fn rows_beyond_the_limit_go_on_to_a_further_sheet_and_the_full_one_says_so() {
        let mut book = book(9);
        assert_eq!(book.sheet_names(), ["明细", "明细 2", "明细 3"]);
        let cells = |book: &mut Xlsx<_>, name| book.worksheet_range(name).unwrap();
        let (first, last) = (cells(&mut book, "明细"), cells(&mut book, "明细 3"));
        assert_eq!(first.height(), 6);
        assert_eq!(first[(5, 0)].to_string(), "续见工作表「明细 2」");
        assert_eq!(last.rows().map(|row| row[1].to_string()).collect::<Vec<_>>(), ["金额(元)", "0.08", "0.36"]);
    }

    /// The bytes of a workbook of two tables that `fill` adds rows to.
    fn bytes_of_two(fill: impl Fn([OpenTable<'_>; 2])) -> Vec<u8> {
        let scratch = tempfile::tempdir().unwrap();
        let date = NaiveDate::from_ymd_opt(2026, 11, 20).unwrap();
        let mut book = Book::new(Language::Zh, date, scratch.path()).unwrap();
        book.stationery.lines_per_sheet = 40;
        let numbers = [&TABLE, &OTHER].map(|table| book.begin(table, &[]).unwrap());
        fill(book.tables(numbers));
        let mut out = Cursor::default();
        book.finish(&numbers, &mut out).unwrap();
        out.into_inner()
    }

    fn add_rows(mut table: OpenTable<'_>) {
        (0..300).for_each(|row| table.line(&[Cell::text(row.to_string()), Cell::Yuan(Some(Fen(row)))]).unwrap());
    }

    #[test]
    fn two_tables_filled_at_the_same_time_give_the_bytes_of_one_after_the_other() {
        let in_turn = bytes_of_two(|tables| tables.into_iter().for_each(add_rows));
        for _ in 0..5 {
            let at_once = bytes_of_two(|[one, other]| {
                std::thread::scope(|threads| {
                    threads.spawn(|| add_rows(one));
                    add_rows(other);
                });
            });
            assert!(at_once == in_turn);
        }
    }

    #[test]
    fn a_full_sheet_takes_its_totals_on_the_last_line() {
        let mut book = book(4);
        assert_eq!(book.sheet_names(), ["明细"]);
        let cells = book.worksheet_range("明细").unwrap();
        assert_eq!(
            (cells.height(), cells[(5, 0)].to_string(), cells[(5, 1)].to_string()),
            (6, "合计".into(), "0.06".into())
        );
    }

    #[test]
    fn a_text_longer_than_a_cell_is_cut_and_marked() {
        assert_eq!(fitting("短"), "短");
        assert_eq!(fitting(&"长".repeat(40_000)).chars().count(), EXCEL_CHARS + 1);
    }
}
