//! Writes CSV files that spreadsheets open correctly: BOM, CRLF, ids as text, money in yuan, and no
//! external text that a spreadsheet would execute as a formula. Writes line by line and keeps none.

use std::fmt::{self, Write as _};
use std::io::{self, Write};

use chrono::Timelike;

use super::table::{Cell, Table};
use super::totals::Totals;
use crate::clock::beijing;
use crate::job::{ExcelIds, Language, ReportSettings};

/// A CSV file that is being written.
pub(super) struct CsvFile<W: Write> {
    writer: csv::Writer<W>,
    settings: ReportSettings,
    table: &'static Table,
    totals: Totals,
    /// The current cell.
    cell: String,
}

impl<W: Write> CsvFile<W> {
    /// Writes BOM and header.
    pub(super) fn begin(mut out: W, table: &'static Table, settings: ReportSettings) -> io::Result<CsvFile<W>> {
        out.write_all(b"\xEF\xBB\xBF")?;
        let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
        writer.write_record(table.columns.iter().map(|column| match settings.language {
            Language::Zh => column.zh,
            Language::En => column.name,
        }))?;
        Ok(CsvFile { writer, settings, table, totals: Totals::of(table), cell: String::new() })
    }

    pub(super) fn line(&mut self, cells: &[Cell<'_>]) -> io::Result<()> {
        debug_assert!(cells.iter().zip(self.table.columns).all(|(cell, column)| cell.fits(column.kind)), "{cells:?}");
        self.totals.add(cells);
        self.write(cells)
    }

    /// Writes the total line, if table and job have one. Returns the file and its number of rows.
    pub(super) fn finish(mut self) -> io::Result<(W, i64)> {
        if self.settings.trailer && self.totals.has_line() {
            self.write(&self.totals.line(self.settings.language))?;
        }
        let out = self.writer.into_inner().map_err(csv::IntoInnerError::into_error)?;
        Ok((out, self.totals.rows()))
    }

    fn write(&mut self, cells: &[Cell<'_>]) -> io::Result<()> {
        for cell in cells {
            self.cell.clear();
            put(&mut self.cell, cell, self.settings.excel_ids).expect("a String takes every text");
            self.writer.write_field(&self.cell)?;
        }
        Ok(self.writer.write_record(None::<&[u8]>)?)
    }
}

fn put(out: &mut String, cell: &Cell<'_>, ids: ExcelIds) -> fmt::Result {
    match cell {
        Cell::Id(Some(id)) => put_id(out, id, ids),
        Cell::Text(text) => put_text(out, text),
        Cell::Yuan(Some(amount)) => write!(out, "{amount}"),
        Cell::Count(Some(count)) => write!(out, "{count}"),
        Cell::Date(Some(date)) => write!(out, "{date}"),
        Cell::Time(Some(time)) => {
            let time = time.with_timezone(&beijing()).naive_local();
            let (hour, minute, second) = (time.hour(), time.minute(), time.second());
            write!(out, "{} {hour:02}:{minute:02}:{second:02}", time.date())
        }
        _ => Ok(()),
    }
}

fn put_id(out: &mut String, id: &str, ids: ExcelIds) -> fmt::Result {
    match ids {
        _ if id.is_empty() => Ok(()),
        ExcelIds::Backtick => write!(out, "`{id}"),
        ExcelIds::Tab => out.write_char('\t').and_then(|()| put_text(out, id)),
        ExcelIds::None => put_text(out, id),
    }
}

/// Spreadsheets execute cells that start like a formula, full-width characters included; a leading
/// apostrophe makes them text (CWE-1236).
fn put_text(out: &mut String, text: &str) -> fmt::Result {
    const FORMULA: [char; 12] = ['=', '+', '-', '@', '\t', '\r', '\n', '\0', '＝', '＋', '－', '＠'];
    if text.starts_with(FORMULA) {
        out.push('\'');
    }
    out.write_str(text)
}

#[cfg(test)]
mod tests {
    use super::super::table::{Column, Kind, column, summed};
    use super::*;
    use crate::money::Fen;

    const COLUMNS: [Column; 4] = [
        column("id", "编号", "Id", Kind::Id),
        column("note", "备注", "Note", Kind::Text),
        summed("yuan", "金额(元)", "Yuan", Kind::Yuan),
        column("at", "时间", "At", Kind::Time),
    ];
    const TABLE: Table = Table { name: "t", zh: "表", en: "Table", dataset: "orders", columns: &COLUMNS };

    fn file(rows: &[[Cell<'_>; 4]], settings: ReportSettings) -> String {
        let mut file = CsvFile::begin(Vec::new(), &TABLE, settings).unwrap();
        rows.iter().for_each(|row| file.line(row).unwrap());
        String::from_utf8(file.finish().unwrap().0).unwrap()
    }

    fn first_row(row: [Cell<'_>; 4], excel_ids: ExcelIds) -> String {
        let text = file(&[row], ReportSettings { excel_ids, ..ReportSettings::default() });
        text.split("\r\n").nth(1).unwrap().to_owned()
    }

    fn of(id: &'static str, note: &'static str) -> [Cell<'static>; 4] {
        [Cell::id(id), Cell::text(note), Cell::Yuan(Some(Fen(-150))), Cell::Time(None)]
    }

    #[test]
    fn the_file_begins_with_a_bom_lines_end_with_crlf_and_the_last_one_sums_up() {
        let time = "2026-11-18T15:59:59Z".parse().ok();
        let row = [Cell::id("4200"), Cell::text("a,\"b\""), Cell::Yuan(Some(Fen(1205))), Cell::Time(time)];
        let text = file(&[row, of("1", "")], ReportSettings::default());
        assert_eq!(
            text,
            "\u{feff}编号,备注,金额(元),时间\r\n`4200,\"a,\"\"b\"\"\",12.05,2026-11-18 23:59:59\r\n`1,,-1.50,\r\n合计,2,10.55,\r\n"
        );
        let bare = ReportSettings { language: Language::En, trailer: false, ..ReportSettings::default() };
        assert_eq!(file(&[], bare), "\u{feff}id,note,yuan,at\r\n");
    }

    #[test]
    fn long_ids_stay_text_as_the_job_asks() {
        let id = "4200000913202101152566792388";
        assert!(first_row(of(id, ""), ExcelIds::Backtick).starts_with(&format!("`{id},")));
        assert!(first_row(of(id, ""), ExcelIds::Tab).starts_with(&format!("\t{id},")));
        assert!(first_row(of(id, ""), ExcelIds::None).starts_with(&format!("{id},")));
        assert!(first_row(of("", ""), ExcelIds::Backtick).starts_with(','));
    }

    #[test]
    fn formulas_from_outside_become_text_and_negative_money_stays_a_number() {
        assert_eq!(first_row(of("-1", "@a"), ExcelIds::None), "'-1,'@a,-1.50,");
        assert_eq!(first_row(of("=1", "=HYPERLINK(\"x\")"), ExcelIds::Tab), "\t'=1,\"'=HYPERLINK(\"\"x\"\")\",-1.50,");
        assert_eq!(first_row(of("=1", "＝1+1"), ExcelIds::Backtick), "`=1,'＝1+1,-1.50,");
    }
}
