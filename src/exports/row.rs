//! One row of a table, of text or of typed cells, and what may be wrong with it. Knows no column by its meaning.

use std::borrow::Cow;

use csv::StringRecord;

use crate::money::Fen;

/// A row of a typed format: its cells as text, and those that have none that could be read.
pub(super) type TypedRow = (StringRecord, Vec<(usize, Lost)>);

/// A typed cell as text.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct TypedCell {
    /// What a CSV would hold.
    pub(super) text: String,
    /// Why that is no value.
    pub(super) lost: Option<Lost>,
}

/// The row of these cells.
pub(super) fn typed_row<'c>(cells: impl Iterator<Item = &'c TypedCell> + Clone) -> TypedRow {
    let lost = cells.clone().enumerate().filter_map(|(place, cell)| Some((place, cell.lost?)));
    (cells.map(|cell| cell.text.as_str()).collect(), lost.collect())
}

/// Why a typed cell has no value, though it is not empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// A formula that nobody has computed: programs that only write a workbook store no value with it.
    Formula,
    /// The spreadsheet could not compute the cell.
    Error,
    /// Bytes of no text.
    Bytes,
    /// A time, which is no value where something else is expected.
    Time,
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
            Lost::Time => {
                "the cell holds a date or a time, which spreadsheets make of codes too: write the column as text"
            }
        }
    }
}

/// One row after the header; its memory serves the next one too.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Row {
    /// Physical line, 1-based.
    pub(super) line: u64,
    /// Its cells, as many as the header has.
    pub(super) cells: StringRecord,
    /// The text it stood in; empty where it was no text.
    pub(super) raw: String,
    /// Cells that are empty only because their value is lost.
    lost: Vec<(usize, Lost)>,
}

impl Row {
    /// The text of a cell whose value counts; empty where there is no such column.
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
        Fault { place, value: self.text(place).to_owned(), ..Fault::of_row(lost.why()) }
    }

    /// The same, of a cell that is only told on.
    pub(super) fn text(&self, place: Option<usize>) -> &str {
        place.and_then(|place| self.cells.get(place)).unwrap_or_default()
    }

    /// Becomes a row of a typed format.
    pub(super) fn fill(&mut self, line: u64, (cells, lost): TypedRow) {
        (self.line, self.cells, self.lost) = (line, cells, lost);
    }

    /// Whether nothing stands in it.
    pub(super) fn is_blank(&self) -> bool {
        self.lost.is_empty() && self.cells.iter().all(|cell| cell.trim().is_empty())
    }

    /// The row as it stood in the file.
    pub(super) fn raw(&self) -> Cow<'_, str> {
        match self.raw.is_empty() {
            true => Cow::Owned(self.cells.iter().collect::<Vec<_>>().join("\t")),
            false => Cow::Borrowed(self.raw.trim_end_matches(['\r', '\n'])),
        }
    }
}

/// What is wrong with a cell or a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// Column of the sheet; `None` for the row as a whole.
    pub(super) place: Option<usize>,
    /// What stood there; empty when it must not be shown.
    pub(super) value: String,
    /// What is wrong and what to do.
    pub(super) why: String,
    /// What the row adds to the control total all the same: its amount can be read, another cell is wrong.
    pub(super) amount: Option<Fen>,
}

impl Fault {
    /// A fault of the row as a whole.
    pub(super) fn of_row(why: impl Into<String>) -> Fault {
        Fault { place: None, value: String::new(), why: why.into(), amount: None }
    }
}
