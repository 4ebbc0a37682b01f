//! One row per key: exact repetitions collapse, and rows of one key that contradict each other are all bad. Sorts in bounded
//! memory, so it does not matter how far apart rows of one key are. Never picks a winner.

use std::borrow::Cow;
use std::marker::PhantomData;

use super::amounts::Amounts;
use super::bad_row::BadRow;
use super::error::ExportError;
use super::hashing::ExportFile;
use super::row::{Fault, Row};
use super::sheet::Sheet;
use crate::job::OnBadRow;
use crate::money::Fen;
use crate::sorter::{CellPacker, KeyPacker, Packed, PackedRow, Room, Sorted, Sorter, Unpacker};

/// Problems listed per export; the rest is counted.
const SHOWN_PROBLEMS: usize = 20;

/// A row of an export, with a key.
pub trait ExportRow {
    /// A row that borrows its strings.
    type Row<'r>: Packed;

    /// Unpacks a row.
    fn unpack<'r>(cells: &mut Unpacker<'r>) -> Self::Row<'r>;

    /// The key in the dataset, without the business date.
    fn key<'a>(row: &'a Self::Row<'_>) -> [&'a str; 3];

    /// Our name of the first column in which two rows of the same key differ.
    fn difference(one: &Self::Row<'_>, other: &Self::Row<'_>) -> Option<&'static str>;

    /// File and line of a row; only called for rows that differ.
    fn place<'a>(row: &'a Self::Row<'_>) -> (&'a str, u64);

    /// The amount of the row for the control total.
    fn amount(_row: &Self::Row<'_>) -> Fen {
        Fen::ZERO
    }
}

/// The first column marked as different.
pub(super) fn first_difference<const N: usize>(columns: [(&'static str, bool); N]) -> Option<&'static str> {
    columns.into_iter().find(|(_, differs)| *differs).map(|(column, _)| column)
}

/// A row and, if it may be quarantined, its original text: after the cells of the dataset, whose readers ignore it.
struct Placed<'r, T> {
    row: T,
    raw: Cow<'r, str>,
}

impl<T: Packed> Packed for Placed<'_, T> {
    fn pack_key(&self, key: &mut KeyPacker<'_>) {
        self.row.pack_key(key);
    }

    fn pack_cells(&self, cells: &mut CellPacker<'_>) {
        self.row.pack_cells(cells);
        cells.text(&self.raw);
    }
}

/// Collects the rows of several sheets for an export.
pub(super) struct Gathered<R> {
    sorter: Sorter,
    files: Vec<ExportFile>,
    faults: Faults,
    amounts: Amounts,
    read: u64,
    kind: PhantomData<R>,
}

impl<R: ExportRow> Gathered<R> {
    /// Empty.
    pub(super) fn new(room: &Room, on_bad_row: OnBadRow) -> Gathered<R> {
        let (sorter, faults) = (Sorter::new(room), Faults::new(on_bad_row));
        Gathered { sorter, files: Vec::new(), faults, amounts: Amounts::default(), read: 0, kind: PhantomData }
    }

    /// Reads all rows of a sheet.
    pub(super) fn add(
        &mut self,
        mut sheet: Sheet,
        read: impl for<'r> Fn(&'r Sheet, &'r Row) -> Result<R::Row<'r>, Fault>,
    ) -> Result<(), ExportError> {
        let mut row = Row::default();
        while let Some(checked) = sheet.next(&mut row)? {
            self.read += 1;
            match checked.map(|()| read(&sheet, &row)) {
                Ok(Ok(typed)) => self.take(typed, &row)?,
                Ok(Err(fault)) => {
                    self.amounts.put_aside(fault.amount);
                    self.faults.add(*sheet.bad_row(&row, fault));
                }
                Err(bad) => {
                    self.amounts.put_aside(None);
                    self.faults.add(*bad);
                }
            }
        }
        self.files.push(sheet.finish()?);
        Ok(())
    }

    fn take(&mut self, typed: R::Row<'_>, row: &Row) -> Result<(), ExportError> {
        self.amounts.read += R::amount(&typed);
        let raw = if self.faults.is_fatal() { Cow::Borrowed("") } else { row.raw() };
        Ok(self.sorter.push(&Placed { row: typed, raw })?)
    }

    /// The export. If bad rows are fatal, those found so far are reported here.
    pub(super) fn finish(self) -> Result<Export<R>, ExportError> {
        let has_failed = self.faults.is_fatal() && self.faults.total > 0;
        let mut export = Export {
            rows: self.sorter.finish()?,
            group: Group::default(),
            settled: Settled { quarantined: Vec::new(), collapsed: 0, amounts: self.amounts },
            faults: self.faults,
            files: self.files,
            read: self.read,
            kind: PhantomData,
        };
        if has_failed {
            export.fail()?;
        }
        export.advance()?;
        Ok(export)
    }
}

/// The rows of a day's export files: distinct, in key order, one at a time. Openids are raw. The rows only count once
/// `finish` has found nothing wrong with them as a whole.
#[derive(Debug)]
pub struct Export<R> {
    /// The files, by name.
    pub files: Vec<ExportFile>,
    /// Rows read, valid or not.
    pub read: u64,
    rows: Sorted,
    group: Group,
    faults: Faults,
    settled: Settled,
    kind: PhantomData<R>,
}

/// The totals of an export, and the rows that were not passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Quarantined rows (`on_bad_row = "quarantine"`), by file and line.
    pub quarantined: Vec<BadRow>,
    /// Rows that repeated another one exactly.
    pub collapsed: u64,
    /// The control totals.
    pub amounts: Amounts,
}

impl<R: ExportRow> Export<R> {
    /// The current row; unchanged until `advance`.
    pub fn peek(&self) -> Option<PackedRow<'_>> {
        self.group.first()
    }

    /// Advances to the next key with a single row, or with identical rows only.
    ///
    /// # Errors
    /// The scratch folder failed.
    pub fn advance(&mut self) -> Result<(), ExportError> {
        loop {
            self.group.clear();
            while let Some(next) = self.rows.peek().filter(|next| self.group.takes(next)) {
                self.group.add(next);
                self.rows.advance()?;
            }
            if self.group.len() < 2 || self.collapse() {
                return Ok(());
            }
        }
    }

    /// All rows, for a list that is small or needed as a whole.
    ///
    /// # Errors
    /// As `finish`.
    pub fn collect<T>(mut self, mut own: impl FnMut(R::Row<'_>) -> T) -> Result<Vec<T>, ExportError> {
        let mut rows = Vec::new();
        while let Some(row) = self.peek() {
            rows.push(own(R::unpack(&mut row.unpack())));
            self.advance()?;
        }
        self.finish()?;
        Ok(rows)
    }

    /// The totals and the rejected rows; skips rows that were not visited.
    ///
    /// # Errors
    /// A bad row in an export that may have none.
    pub fn finish(mut self) -> Result<Settled, ExportError> {
        self.pass_over()?;
        self.settled.quarantined = self.faults.put_aside()?;
        Ok(self.settled)
    }

    /// Why the export must be refused, contradictions included.
    fn fail(&mut self) -> Result<(), ExportError> {
        self.pass_over()?;
        std::mem::replace(&mut self.faults, Faults::new(OnBadRow::Fail)).put_aside().map(drop)
    }

    fn pass_over(&mut self) -> Result<(), ExportError> {
        self.advance()?;
        while self.peek().is_some() {
            self.advance()?;
        }
        Ok(())
    }

    /// Whether the rows of a key are identical; otherwise all of them are rejected.
    fn collapse(&mut self) -> bool {
        let rows: Vec<_> = self.group.rows().map(|row| Told::<R>::of(row)).collect();
        if rows.iter().any(|row| R::difference(&row.row, &rows[0].row).is_some()) {
            for row in &rows {
                self.settled.amounts.quarantined += R::amount(&row.row);
                row.contradiction(&rows).into_iter().for_each(|bad| self.faults.add(bad));
            }
            return false;
        }
        self.settled.collapsed += rows.len() as u64 - 1;
        self.settled.amounts.collapsed += rows[1..].iter().map(|row| R::amount(&row.row)).sum();
        true
    }
}

/// A row of a group and its original text.
struct Told<'r, R: ExportRow> {
    row: R::Row<'r>,
    raw: &'r str,
}

impl<'r, R: ExportRow> Told<'r, R> {
    fn of(row: PackedRow<'r>) -> Told<'r, R> {
        let mut cells = row.unpack();
        Told { row: R::unpack(&mut cells), raw: cells.text() }
    }

    /// What is wrong with the row: the first row of its key that differs from it.
    fn contradiction(&self, group: &[Told<'r, R>]) -> Option<BadRow> {
        let differing = |(index, other): (usize, &Told<'r, R>)| Some((index, R::difference(&self.row, &other.row)?));
        let (other, column) = group.iter().enumerate().find_map(differing)?;
        let (file, line) = R::place(&group[other].row);
        let key: Vec<_> =
            R::key(&self.row).iter().filter(|part| !part.is_empty()).map(|part| format!("`{part}`")).collect();
        let why = format!(
            "`{file}` line {line} has another `{column}` for the same {}: one of them is wrong",
            key.join(", ")
        );
        let (file, line) = R::place(&self.row);
        let (column, value) = (String::new(), String::new());
        Some(BadRow { file: file.to_owned(), line, column, value, why, raw: self.raw.to_owned() })
    }
}

/// The packed rows of one key. Memory is that of the largest group, which nearly always has one row.
#[derive(Debug, Default)]
struct Group {
    key: Vec<u8>,
    cells: Vec<u8>,
    /// Where the cells of each row end.
    ends: Vec<usize>,
}

impl Group {
    fn clear(&mut self) {
        self.key.clear();
        self.cells.clear();
        self.ends.clear();
    }

    fn len(&self) -> usize {
        self.ends.len()
    }

    /// Adds a row if it has the key of the group; the first one defines it.
    fn takes(&self, row: &PackedRow<'_>) -> bool {
        self.ends.is_empty() || row.key() == self.key
    }

    fn add(&mut self, row: PackedRow<'_>) {
        if self.ends.is_empty() {
            self.key.extend_from_slice(row.key());
        }
        self.cells.extend_from_slice(row.cells());
        self.ends.push(self.cells.len());
    }

    fn rows(&self) -> impl Iterator<Item = PackedRow<'_>> {
        let starts = std::iter::once(&0).chain(&self.ends);
        starts.zip(&self.ends).map(|(start, end)| PackedRow::of_parts(&self.key, &self.cells[*start..*end]))
    }

    fn first(&self) -> Option<PackedRow<'_>> {
        self.rows().next()
    }
}

/// Bad rows: all of them if they are quarantined, otherwise as many as are reported.
#[derive(Debug)]
struct Faults {
    on_bad_row: OnBadRow,
    rows: Vec<BadRow>,
    total: usize,
}

impl Faults {
    fn new(on_bad_row: OnBadRow) -> Faults {
        Faults { on_bad_row, rows: Vec::new(), total: 0 }
    }

    fn is_fatal(&self) -> bool {
        self.on_bad_row == OnBadRow::Fail
    }

    fn add(&mut self, bad: BadRow) {
        self.total += 1;
        self.rows.push(bad);
        // A file that is wrong in every line must not fill the memory with problems that are never shown.
        if self.is_fatal() && self.rows.len() >= 2 * SHOWN_PROBLEMS {
            self.sort();
            self.rows.truncate(SHOWN_PROBLEMS);
        }
    }

    fn sort(&mut self) {
        self.rows.sort_by(|one, other| (&one.file, one.line).cmp(&(&other.file, other.line)));
    }

    fn put_aside(mut self) -> Result<Vec<BadRow>, ExportError> {
        self.sort();
        if self.is_fatal() && self.total > 0 {
            self.rows.truncate(SHOWN_PROBLEMS);
            return Err(ExportError::BadRows { rows: self.rows, total: self.total });
        }
        Ok(self.rows)
    }
}
