//! One row of a table, of text or of typed cells, and its faults. Knows no meaning of a column.

use std::borrow::Cow;

use csv::StringRecord;

use crate::money::Fen;

/// A row of a typed format: its cells as text, and the cells whose value is lost.
pub(super) type TypedRow = (StringRecord, Vec<(usize, Lost)>);

/// A typed cell as text.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct TypedCell {
    /// The text of a CSV cell.
    pub(super) text: String,
    /// Why it has no value.
    pub(super) lost: Option<Lost>,
}

/// Converts cells to a row.
pub(super) fn typed_row<'c>(cells: impl Iterator<Item = &'c TypedCell> + Clone) -> TypedRow {
    let lost = cells.clone().enumerate().filter_map(|(place, cell)| Some((place, cell.lost?)));
    (cells.map(|cell| cell.text.as_str()).collect(), lost.collect())
}

/// Why a non-empty typed cell has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// A formula that was never computed: programs that only write a workbook store no value with it.
    Formula,
    /// The spreadsheet could not compute the cell.
    Error,
    /// Bytes that are not text.
    Bytes,
    /// A time, where something else is expected.
    Time,
    /// Several values where one is expected.
    Nested,
}

impl Lost {
    /// What is wrong and what to do.
    fn why(self) -> &'static str {
        match self {
            Lost::Formula => {
                "the formula of this cell has no stored value: open the file in the spreadsheet program and save it there"
            }
            Lost::Error => "the spreadsheet shows an error here: correct its formula and save the file again",
            Lost::Bytes => "bytes that are not UTF-8: write the column as text",
            Lost::Nested => "the cell holds a list or a record: write the column as text",
            Lost::Time => {
                "the cell holds a date or a time, which spreadsheets also turn codes into: write the column as text"
            }
        }
    }
}

/// A row after the header; its memory is reused for the next one.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Row {
    /// Physical line, 1-based.
    pub(super) line: u64,
    /// Its cells, as many as the header has.
    pub(super) cells: StringRecord,
    /// The bytes of its original text; empty for typed formats.
    pub(super) raw: Vec<u8>,
    /// Cells that are empty only because their value is lost.
    lost: Vec<(usize, Lost)>,
}

impl Row {
    /// The text of a judged cell; empty if there is no such column.
    pub(super) fn value(&self, place: Option<usize>) -> Result<&str, Fault> {
        match self.lost_at(place) {
            Some(lost) => Err(self.fault(place, lost)),
            None => Ok(self.text(place)),
        }
    }

    /// The same where a time is expected.
    pub(super) fn time(&self, place: Option<usize>) -> Result<&str, Fault> {
        match self.lost_at(place) {
            Some(Lost::Time) | None => Ok(self.text(place)),
            Some(lost) => Err(self.fault(place, lost)),
        }
    }

    fn lost_at(&self, place: Option<usize>) -> Option<Lost> {
        self.lost.iter().find(|(lost, _)| Some(*lost) == place).map(|(_, lost)| *lost)
    }

    fn fault(&self, place: Option<usize>, lost: Lost) -> Fault {
        Fault::of_cell(place, self.text(place), lost.why())
    }

    /// The same for a cell that is only passed on.
    pub(super) fn text(&self, place: Option<usize>) -> &str {
        place.and_then(|place| self.cells.get(place)).unwrap_or_default()
    }

    /// Replaces the row by one of a typed format.
    pub(super) fn fill(&mut self, line: u64, (cells, lost): TypedRow) {
        (self.line, self.cells, self.lost) = (line, cells, lost);
    }

    /// Whether all cells are blank.
    pub(super) fn is_blank(&self) -> bool {
        self.lost.is_empty() && self.cells.iter().all(|cell| cell.trim().is_empty())
    }

    /// The row as written in the file.
    pub(super) fn raw(&self) -> Cow<'_, str> {
        if self.raw.is_empty() {
            return Cow::Owned(self.cells.iter().collect::<Vec<_>>().join("\t"));
        }
        let text = std::str::from_utf8(&self.raw).expect("decoded text is cut between characters");
        Cow::Borrowed(text.trim_end_matches(['\r', '\n']))
    }
}

/// A fault of a cell or a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// Index of the column; `None` for the row as a whole.
    pub(super) place: Option<usize>,
    /// The value; empty when it must not be shown.
    pub(super) value: String,
    /// What is wrong and what to do.
    pub(super) why: String,
    /// The amount of the row for the control total, if it can be parsed although another cell is wrong.
    pub(super) amount: Option<Fen>,
}

impl Fault {
    /// A fault of the row as a whole.
    pub(super) fn of_row(why: impl Into<String>) -> Fault {
        Fault { place: None, value: String::new(), why: why.into(), amount: None }
    }

    /// A fault of a cell with this text.
    pub(super) fn of_cell(place: Option<usize>, text: &str, why: impl Into<String>) -> Fault {
        Fault { place, value: text.trim().to_owned(), ..Fault::of_row(why) }
    }

    /// The same without the value, which must never be shown.
    pub(super) fn without_value(self) -> Fault {
        Fault { value: String::new(), ..self }
    }
}
