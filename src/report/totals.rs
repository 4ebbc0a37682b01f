//! The total line of a table: the number of rows, and the sums of the columns that have one.

use super::table::{Cell, Kind, Table};
use crate::job::Language;
use crate::money::Fen;

/// The running totals of a table.
#[derive(Debug)]
pub(super) struct Totals {
    table: &'static Table,
    rows: i64,
    sums: Vec<i64>,
}

impl Totals {
    pub(super) fn of(table: &'static Table) -> Totals {
        Totals { table, rows: 0, sums: vec![0; table.columns.len()] }
    }

    pub(super) fn add(&mut self, cells: &[Cell<'_>]) {
        self.rows += 1;
        for (sum, cell) in self.sums.iter_mut().zip(cells) {
            match cell {
                Cell::Yuan(Some(Fen(value))) | Cell::Count(Some(value)) => {
                    *sum = sum.checked_add(*value).expect("a total within 64 bits (`Fen::LARGEST`)");
                }
                _ => {}
            }
        }
    }

    pub(super) fn rows(&self) -> i64 {
        self.rows
    }

    /// Whether the table has a total line.
    pub(super) fn has_line(&self) -> bool {
        self.table.columns.iter().any(|column| column.is_summed)
    }

    /// `合计`, the number of rows beside it, and the sums below their columns.
    pub(super) fn line(&self, language: Language) -> Vec<Cell<'static>> {
        let is_count_summed = self.table.columns.iter().any(|it| it.is_summed && it.kind == Kind::Count);
        let columns = self.table.columns.iter().zip(&self.sums).enumerate();
        let cells = columns.map(|(index, (column, sum))| match (index, column.kind) {
            (0, _) if language == Language::Zh => Cell::text("合计"),
            (0, _) => Cell::text("Total"),
            (_, Kind::Yuan) if column.is_summed => Cell::Yuan(Some(Fen(*sum))),
            (_, Kind::Count) if column.is_summed => Cell::Count(Some(*sum)),
            (1, _) if !is_count_summed => Cell::Count(Some(self.rows)),
            _ => Cell::EMPTY,
        });
        cells.collect()
    }
}
