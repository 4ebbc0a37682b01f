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

/// Problems shown of one export; the rest are counted.
const SHOWN_PROBLEMS: usize = 20;

/// Rows that have a key.
pub trait Kind {
    /// A row that borrows its texts.
    type Row<'r>: Packed;

    /// The row that lies packed.
    fn unpack<'r>(cells: &mut Unpacker<'r>) -> Self::Row<'r>;

    /// The key of the dataset, without the business date.
    fn key<'a>(row: &'a Self::Row<'_>) -> [&'a str; 3];

    /// Our name of the first column in which two rows of one key differ.
    fn difference(one: &Self::Row<'_>, other: &Self::Row<'_>) -> Option<&'static str>;

    /// File and line of a row; asked only of rows that differ.
    fn place<'a>(row: &'a Self::Row<'_>) -> (&'a str, u64);

    /// What the row adds to the control total.
    fn amount(_row: &Self::Row<'_>) -> Fen {
        Fen::ZERO
    }
}

/// The first of our columns of which it is said that two rows differ in it.
pub(super) fn first_difference<const N: usize>(columns: [(&'static str, bool); N]) -> Option<&'static str> {
    columns.into_iter().find(|(_, differs)| *differs).map(|(column, _)| column)
}

/// A row and, where it may have to be put aside, the text it stood in: behind the cells of the dataset, whose
/// readers do not ask for it.
struct Placed<'r, R> {
    row: R,
    raw: Cow<'r, str>,
}

impl<R: Packed> Packed for Placed<'_, R> {
    fn pack_key(&self, key: &mut KeyPacker<'_>) {
        self.row.pack_key(key);
    }

    fn pack_cells(&self, cells: &mut CellPacker<'_>) {
        self.row.pack_cells(cells);
        cells.text(&self.raw);
    }
}

/// Rows of several sheets on their way to an export.
pub(super) struct Gathered<K> {
    sorter: Sorter,
    files: Vec<ExportFile>,
    faults: Faults,
    amounts: Amounts,
    read: u64,
    kind: PhantomData<K>,
}

impl<K: Kind> Gathered<K> {
    /// Nothing yet.
    pub(super) fn new(room: &Room, on_bad_row: OnBadRow) -> Gathered<K> {
        let (sorter, faults) = (Sorter::new(room), Faults::new(on_bad_row));
        Gathered { sorter, files: Vec::new(), faults, amounts: Amounts::default(), read: 0, kind: PhantomData }
    }

    /// Reads every row of a sheet.
    pub(super) fn add(
        &mut self,
        mut sheet: Sheet,
        read: impl for<'r> Fn(&'r Sheet, &'r Row) -> Result<K::Row<'r>, Fault>,
    ) -> Result<(), ExportError> {
        let mut row = Row::default();
        while let Some(is_good) = sheet.next(&mut row)? {
            self.read += 1;
            match is_good.map(|()| read(&sheet, &row)) {
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

    fn take(&mut self, typed: K::Row<'_>, row: &Row) -> Result<(), ExportError> {
        self.amounts.read += K::amount(&typed);
        let raw = if self.faults.is_fatal() { Cow::Borrowed("") } else { row.raw() };
        Ok(self.sorter.push(&Placed { row: typed, raw })?)
    }

    /// The export. Where a bad row fails it, those that are known by now do so here.
    pub(super) fn finish(self) -> Result<Export<K>, ExportError> {
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

/// What the export files of a day gave: distinct rows in key order, looked at one by one. Openids are raw.
///
/// What is looked at counts only once `finish` has found nothing wrong with the rows as a whole.
#[derive(Debug)]
pub struct Export<K> {
    /// The files read, by name.
    pub files: Vec<ExportFile>,
    /// Rows that were read, whatever became of them.
    pub read: u64,
    rows: Sorted,
    group: Group,
    faults: Faults,
    settled: Settled,
    kind: PhantomData<K>,
}

/// What became of the rows of an export that were not handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Rows put aside (`on_bad_row = "quarantine"`), by file and line.
    pub quarantined: Vec<BadRow>,
    /// Rows that repeated another one exactly.
    pub collapsed: u64,
    /// The control totals.
    pub amounts: Amounts,
}

impl<K: Kind> Export<K> {
    /// The next row; it stays the next one until `advance`.
    pub fn peek(&self) -> Option<PackedRow<'_>> {
        self.group.first()
    }

    /// Goes on to the next row whose key stands once, or more than once in the same words.
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
    pub fn collect<T>(mut self, mut own: impl FnMut(K::Row<'_>) -> T) -> Result<Vec<T>, ExportError> {
        let mut rows = Vec::new();
        while let Some(row) = self.peek() {
            rows.push(own(K::unpack(&mut row.unpack())));
            self.advance()?;
        }
        self.finish()?;
        Ok(rows)
    }

    /// What became of the other rows; passes over those nobody has looked at.
    ///
    /// # Errors
    /// A bad row in an export that may have none.
    pub fn finish(mut self) -> Result<Settled, ExportError> {
        self.pass_over()?;
        self.settled.quarantined = self.faults.put_aside()?;
        Ok(self.settled)
    }

    /// What speaks against the export, contradictions too.
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

    /// Whether the rows of one key are one row; otherwise all of them are put aside.
    fn collapse(&mut self) -> bool {
        let rows: Vec<_> = self.group.rows().map(|row| Told::<K>::of(row)).collect();
        if rows.iter().any(|row| K::difference(&row.row, &rows[0].row).is_some()) {
            for row in &rows {
                self.settled.amounts.quarantined += K::amount(&row.row);
                row.contradiction(&rows).into_iter().for_each(|bad| self.faults.add(bad));
            }
            return false;
        }
        self.settled.collapsed += rows.len() as u64 - 1;
        self.settled.amounts.collapsed += rows[1..].iter().map(|row| K::amount(&row.row)).sum();
        true
    }
}

/// A row of a group and the text it stood in.
struct Told<'r, K: Kind> {
    row: K::Row<'r>,
    raw: &'r str,
}

impl<'r, K: Kind> Told<'r, K> {
    fn of(row: PackedRow<'r>) -> Told<'r, K> {
        let mut cells = row.unpack();
        Told { row: K::unpack(&mut cells), raw: cells.text() }
    }

    /// What is wrong with the row: the first of its key that tells otherwise.
    fn contradiction(&self, group: &[Told<'r, K>]) -> Option<BadRow> {
        let differing = |(index, other): (usize, &Told<'r, K>)| Some((index, K::difference(&self.row, &other.row)?));
        let (other, column) = group.iter().enumerate().find_map(differing)?;
        let (file, line) = K::place(&group[other].row);
        let key: Vec<_> =
            K::key(&self.row).iter().filter(|part| !part.is_empty()).map(|part| format!("`{part}`")).collect();
        let why = format!(
            "`{file}` line {line} has another `{column}` for the same {}: one of them is wrong",
            key.join(", ")
        );
        let (file, line) = K::place(&self.row);
        let (column, value) = (String::new(), String::new());
        Some(BadRow { file: file.to_owned(), line, column, value, why, raw: self.raw.to_owned() })
    }
}

/// The rows of one key, packed. Memory follows the largest group, which is one row nearly always.
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

    /// Whether a row is of the group; the first one makes it.
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

/// Bad rows: all of them where they are put aside, the first of them where one is enough to fail.
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
        // A file that is wrong in every line must not fill the memory with what nobody will be shown.
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
