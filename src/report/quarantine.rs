//! The quarantined rows of exports, with their location and the reason. Shows the row itself only if the
//! caller left it in: it may identify users.

use super::table::{Cell, Column, Kind, Table, column};
use crate::exports::BadRow;

/// `quarantine.csv`.
pub(super) const TABLE: Table =
    Table { name: "quarantine", zh: "隔离行", en: "Quarantine", dataset: "orders", columns: &COLUMNS };

const COLUMNS: [Column; 6] = [
    column("file", "文件", "File", Kind::Text).says("导出文件名。", "Name of the export file."),
    column("line", "行号", "Line", Kind::Count).says("在文件中的行号，从 1 起。", "Line of the file, from 1."),
    column("column", "列", "Column", Kind::Text).says("有误的列。", "Column that is wrong."),
    column("value", "值", "Value", Kind::Text).says("有误的值。", "Value that is wrong."),
    column("why", "原因", "Why", Kind::Text).says("隔离的原因。", "Why the row was quarantined."),
    column("row", "原始行", "Row", Kind::Text).says(
        "文件中的原始行；仅当 pii = raw 时给出。",
        "The row as it is in the file; only if the job says pii = raw.",
    ),
];

pub(super) fn row(it: &BadRow) -> [Cell<'_>; COLUMNS.len()] {
    [
        Cell::text(&it.file),
        Cell::Count(i64::try_from(it.line).ok()),
        Cell::text(&it.column),
        Cell::text(&it.value),
        Cell::text(&it.why),
        Cell::text(&it.raw),
    ]
}
