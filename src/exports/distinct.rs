//! One row per key: exact repetitions collapse, contradictions are bad rows on every side.
//! Never picks a winner.

use std::ops::Range;

use super::sheet::{Fault, Row, Sheet};
use super::{Amounts, BadRow, Export, ExportError};
use crate::job::OnBadRow;
use crate::money::Fen;

/// A row that has a key.
pub(super) trait Keyed {
    /// The key of the dataset, without the business date.
    fn key(&self) -> [&str; 3];

    /// Our name of the first column in which two rows of one key differ.
    fn difference(&self, other: &Self) -> Option<&'static str>;

    /// What the row adds to the control total.
    fn amount(&self) -> Fen {
        Fen::ZERO
    }
}

/// Rows of several sheets on their way to an export.
#[derive(Debug)]
pub(super) struct Gathered<R> {
    sheets: Vec<Sheet>,
    rows: Vec<Placed<R>>,
    bad: Vec<BadRow>,
    read: usize,
    amounts: Amounts,
}

#[derive(Debug)]
struct Placed<R> {
    row: R,
    sheet: usize,
    line: u64,
    span: Range<usize>,
}

impl<R: Keyed> Gathered<R> {
    /// Nothing yet.
    pub(super) fn new() -> Gathered<R> {
        Gathered { sheets: Vec::new(), rows: Vec::new(), bad: Vec::new(), read: 0, amounts: Amounts::default() }
    }

    /// Reads every row of a sheet.
    pub(super) fn add(&mut self, sheet: Sheet, read: impl Fn(&Sheet, &Row) -> Result<R, Fault>) {
        let index = self.sheets.len();
        for row in sheet.rows() {
            self.read += 1;
            let read = row.and_then(|row| match read(&sheet, &row) {
                Ok(read) => Ok(Placed { row: read, sheet: index, line: row.line, span: row.span }),
                Err(fault) => Err(sheet.bad_row(&row, fault)),
            });
            match read {
                Ok(placed) => {
                    self.amounts.read += placed.row.amount();
                    self.rows.push(placed);
                }
                Err(bad) => self.bad.push(*bad),
            }
        }
        self.sheets.push(sheet);
    }

    /// The export, or its bad rows where they are not put aside.
    pub(super) fn finish(mut self, on_bad_row: OnBadRow) -> Result<Export<R>, ExportError> {
        self.rows.sort_by(|one, other| {
            one.row.key().cmp(&other.row.key()).then((one.sheet, one.line).cmp(&(other.sheet, other.line)))
        });
        let (rows, collapsed) = self.collapse();
        let mut quarantined = self.bad;
        quarantined.sort_by(|one, other| (&one.file, one.line).cmp(&(&other.file, other.line)));
        if on_bad_row == OnBadRow::Fail && !quarantined.is_empty() {
            return Err(ExportError::bad_rows(quarantined));
        }
        let files = self.sheets.into_iter().map(|sheet| sheet.file).collect();
        Ok(Export { rows, files, quarantined, collapsed, read: self.read, amounts: self.amounts })
    }

    fn collapse(&mut self) -> (Vec<R>, usize) {
        let mut kept = Vec::new();
        let mut collapsed = 0;
        let mut rows = std::mem::take(&mut self.rows).into_iter().peekable();
        while let Some(first) = rows.next() {
            let mut group = vec![first];
            while let Some(same) = rows.next_if(|next| next.row.key() == group[0].row.key()) {
                group.push(same);
            }
            if group.iter().all(|row| row.row.difference(&group[0].row).is_none()) {
                collapsed += group.len() - 1;
                self.amounts.collapsed += group[1..].iter().map(|placed| placed.row.amount()).sum();
                kept.extend(group.into_iter().next().map(|placed| placed.row));
            } else {
                self.refuse(&group);
            }
        }
        (kept, collapsed)
    }

    fn refuse(&mut self, group: &[Placed<R>]) {
        for row in group {
            let other = group.iter().find_map(|other| row.row.difference(&other.row).map(|column| (other, column)));
            let Some((other, column)) = other else { continue };
            self.amounts.quarantined += row.row.amount();
            let why = format!(
                "`{}` line {} has another `{column}` for the same {}: one of them is wrong",
                self.sheets[other.sheet].file.name,
                other.line,
                row.row
                    .key()
                    .iter()
                    .filter(|part| !part.is_empty())
                    .map(|part| format!("`{part}`"))
                    .collect::<Vec<_>>()
                    .join(", "),
            );
            self.bad.push(BadRow {
                file: self.sheets[row.sheet].file.name.clone(),
                line: row.line,
                column: String::new(),
                value: String::new(),
                why,
                raw: self.sheets[row.sheet].raw(&row.span),
            });
        }
    }
}
