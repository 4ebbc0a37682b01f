//! `quarantine.csv`: the rows of exports that were put aside, with the place and the reason. Shows a row
//! itself only where the caller left it in: it may name users.

use super::table::{Cell, Table};
use super::{PackInput, ReportFile};
use crate::exports::BadRow;

/// Headers in both languages, in column order.
const HEADER: [(&str, &str); 6] =
    [("文件", "file"), ("行号", "line"), ("列", "column"), ("值", "value"), ("原因", "why"), ("原始行", "row")];

/// The file; a quarantine that is empty has its header, so that a rerun leaves no old one standing.
pub(super) fn render(input: &PackInput<'_>, rows: &[BadRow]) -> ReportFile {
    let table = Table {
        header: HEADER.iter().map(|(zh, en)| input.pick(zh, en).to_owned()).collect(),
        rows: rows.iter().map(cells).collect(),
        trailer: None,
    };
    ReportFile { name: "quarantine.csv".into(), bytes: table.to_csv(input.settings.excel_ids) }
}

fn cells(row: &BadRow) -> Vec<Cell> {
    vec![
        Cell::Text(row.file.clone()),
        Cell::Count(i64::try_from(row.line).ok()),
        Cell::Text(row.column.clone()),
        Cell::Text(row.value.clone()),
        Cell::Text(row.why.clone()),
        Cell::Text(row.raw.clone()),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use chrono::NaiveDate;

    use super::*;
    use crate::job::{ExcelIds, Language, ReportSettings};

    #[test]
    fn a_row_put_aside_is_told_with_its_place_and_runs_nothing_in_a_spreadsheet() {
        let row = BadRow {
            file: "orders/2026-11-18.csv".into(),
            line: 7,
            column: "实付金额".into(),
            value: "=1+1".into(),
            why: "no amount".into(),
            raw: "@SUM(A1),\"x\"".into(),
        };
        let input = PackInput {
            settings: ReportSettings { language: Language::En, excel_ids: ExcelIds::None, trailer: true },
            date: NaiveDate::from_ymd_opt(2026, 11, 18).unwrap(),
            breaks: &[],
            quarantined: None,
            titles: &BTreeMap::new(),
        };
        let file = render(&input, &[row]);
        let text = String::from_utf8(file.bytes).unwrap();
        assert_eq!(
            text,
            "\u{feff}file,line,column,value,why,row\r\n\
             orders/2026-11-18.csv,7,实付金额,'=1+1,no amount,\"'@SUM(A1),\"\"x\"\"\"\r\n"
        );
    }
}
