//! The quarantined rows of exports, with their location and the reason. Shows the row itself only if the
//! caller left it in: it may identify users.

use super::table::{Cell, Column, Kind, Table, column};
use crate::exports::BadRow;

/// `quarantine.csv`.
pub(super) const TABLE: Table = Table { name: "quarantine", zh: "隔离行", en: "Quarantine", columns: &COLUMNS };

const COLUMNS: [Column; 6] = [
    column("file", "文件", "File", Kind::Text),
    column("line", "行号", "Line", Kind::Count),
    column("column", "列", "Column", Kind::Text),
    column("value", "值", "Value", Kind::Text),
    column("why", "原因", "Why", Kind::Text),
    column("row", "原始行", "Row", Kind::Text),
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
