//! A CSV that opens right in a spreadsheet at the first try: BOM, CRLF, ids as text, money in yuan,
//! and nothing from outside that a spreadsheet would execute (reference anchors (c), finance CSV).

use chrono::NaiveDate;

use crate::job::ExcelIds;
use crate::money::Fen;

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cell {
    /// An id: kept as text however long it is.
    Id(Option<String>),
    /// Free text, perhaps from outside.
    Text(String),
    /// Money, in yuan with two decimals.
    Yuan(Option<Fen>),
    /// A count.
    Count(Option<i64>),
    /// A day.
    Date(Option<NaiveDate>),
}

/// Rows of cells below a header.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) header: Vec<String>,
    pub(super) rows: Vec<Vec<Cell>>,
    /// The last line, in the same columns.
    pub(super) trailer: Option<Vec<Cell>>,
}

impl Table {
    /// The bytes of the file.
    pub(super) fn to_csv(&self, ids: ExcelIds) -> Vec<u8> {
        let mut writer =
            csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(vec![0xEF, 0xBB, 0xBF]);
        let in_memory = "writing to memory does not fail";
        writer.write_record(&self.header).expect(in_memory);
        for row in self.rows.iter().chain(&self.trailer) {
            writer.write_record(row.iter().map(|cell| cell.text(ids))).expect(in_memory);
        }
        writer.into_inner().expect(in_memory)
    }
}

impl Cell {
    fn text(&self, ids: ExcelIds) -> String {
        match self {
            Cell::Id(id) => id.as_deref().map_or_else(String::new, |id| guard_id(id, ids)),
            Cell::Text(text) => guard_text(text),
            Cell::Yuan(amount) => amount.map_or_else(String::new, |amount| amount.to_string()),
            Cell::Count(count) => count.map_or_else(String::new, |count| count.to_string()),
            Cell::Date(date) => date.map_or_else(String::new, |date| date.to_string()),
        }
    }
}

fn guard_id(id: &str, ids: ExcelIds) -> String {
    match ids {
        _ if id.is_empty() => String::new(),
        ExcelIds::Backtick => format!("`{id}"),
        ExcelIds::Tab => format!("\t{id}"),
        ExcelIds::None => guard_text(id),
    }
}

/// A spreadsheet runs what begins like a formula; an apostrophe makes it text (CWE-1236).
fn guard_text(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(cells: Vec<Cell>, ids: ExcelIds) -> String {
        let table = Table { header: vec!["h".into(); cells.len()], rows: vec![cells], trailer: None };
        let text = String::from_utf8(table.to_csv(ids)).unwrap();
        text.split("\r\n").nth(1).unwrap().to_owned()
    }

    #[test]
    fn the_file_begins_with_a_bom_and_lines_end_with_crlf() {
        let table = Table { header: vec!["券码".into()], rows: vec![], trailer: None };
        assert_eq!(table.to_csv(ExcelIds::None), "\u{feff}券码\r\n".as_bytes());
    }

    #[test]
    fn long_ids_stay_text_as_the_job_asks() {
        let id = || vec![Cell::Id(Some("4200000913202101152566792388".into())), Cell::Id(None)];
        assert_eq!(line(id(), ExcelIds::Backtick), "`4200000913202101152566792388,");
        assert_eq!(line(id(), ExcelIds::Tab), "\t4200000913202101152566792388,");
        assert_eq!(line(id(), ExcelIds::None), "4200000913202101152566792388,");
    }

    #[test]
    fn formulas_from_outside_become_text_and_negative_money_stays_a_number() {
        let cells = vec![
            Cell::Text("=HYPERLINK(\"x\")".into()),
            Cell::Text("@a".into()),
            Cell::Id(Some("-1".into())),
            Cell::Yuan(Some(Fen(-150))),
        ];
        assert_eq!(line(cells, ExcelIds::None), "\"'=HYPERLINK(\"\"x\"\")\",'@a,'-1,-1.50");
    }
}
