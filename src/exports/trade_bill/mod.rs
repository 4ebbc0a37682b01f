//! The WeChat trade bill of a day (reference v3 §4.3–4.6, v2 §B.5): every layout, streaming, trailer proved.
//! Holds no row: each is handed on as it is read. Neither fetches a bill nor checks its digest.

mod column;
mod local;
mod lines;
mod row;
mod trailer;

use std::io::{self, Read};
use std::path::PathBuf;

use chrono::NaiveDate;

use crate::money::Fen;
use column::Layout;
use lines::{CellPlaces, Line, Lines};
use trailer::Totals;

pub use local::{LocalBill, read_file, read_local};
pub use row::Entry;
pub use trailer::Trailer;

/// What a bill states whose details equal its trailer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TradeBill {
    /// Rows that are payments, or cancel one (REVOKED).
    pub payments: u64,
    /// Rows that are refunds.
    pub refunds: u64,
    /// Order amounts of the payment lines, as the trailer sums them.
    pub payments_fen: Fen,
    /// Applied refund amounts of the refund lines, as the trailer sums them.
    pub refunds_fen: Fen,
    /// What the bill states about itself; `None` for a header alone.
    pub trailer: Option<Trailer>,
}

/// Why a bill could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BillError {
    /// No such file.
    #[error("the bill `{}` is not there", path.display())]
    Missing {
        /// The path looked for; may hold `*`.
        path: PathBuf,
    },
    /// The bytes could not be had, or not be unpacked.
    #[error("the bill `{file}` cannot be read to its end")]
    Read {
        /// Name of the bill.
        file: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The scratch folder, where rows are sorted that do not fit in memory, has no room or failed.
    #[error("the rows of the bill `{file}` cannot be sorted on the disk")]
    Scratch {
        /// Name of the bill.
        file: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// WeChat answered with an error instead of a bill.
    #[error("`{file}` is no bill but an error document: {said}")]
    ErrorDocument {
        /// Name of the bill.
        file: String,
        /// Its code, such as `20002` or `NO_STATEMENT_EXIST`.
        code: Option<String>,
        /// Code and message.
        said: String,
    },
    /// Nothing in it.
    #[error("the bill `{file}` is empty: not even a header stands in it")]
    Empty {
        /// Name of the bill.
        file: String,
    },
    /// The header is not that of a trade bill.
    #[error("the header of the bill `{file}` lacks {missing}; it reads {found}")]
    Header {
        /// Name of the bill.
        file: String,
        /// Columns looked for.
        missing: String,
        /// The line found.
        found: String,
    },
    /// A line is not what it should be.
    #[error("the bill `{file}` line {line}{}: `{value}`: {why}", in_column(column))]
    Row {
        /// Name of the bill.
        file: String,
        /// Physical line, 1-based.
        line: u64,
        /// Header of the column; empty when the line as a whole is meant.
        column: String,
        /// What stood there.
        value: String,
        /// What is wrong.
        why: String,
    },
    /// The trailer is not there: the file is cut off.
    #[error("the bill `{file}` ends at line {line} without its trailer `总交易单数…`: the file is cut off")]
    Truncated {
        /// Name of the bill.
        file: String,
        /// Last line read.
        line: u64,
    },
    /// The trailer states other totals than the details have.
    #[error("the trailer of the bill `{file}` differs from its details: {}", differences.join(", "))]
    TrailerDiffers {
        /// Name of the bill.
        file: String,
        /// One sentence per total that differs.
        differences: Vec<String>,
    },
    /// The bill of another day.
    #[error("the bill `{file}` is not of {date}: its rows are of {found}")]
    OtherDay {
        /// Name of the bill.
        file: String,
        /// The business date asked for.
        date: NaiveDate,
        /// The day of its first row.
        found: NaiveDate,
    },
}

/// Reads a bill from `reader`, packed with gzip or not; `file_name` is for messages. Its rows go to `take` in
/// file order and count only once the bill as a whole is found to hold.
///
/// The columns are found by their header texts, old and new. The trailer must equal the details in rows
/// and in every total it states, fees in thousandths of a fen.
pub fn read(
    reader: impl Read,
    file_name: &str,
    date: NaiveDate,
    take: &mut dyn FnMut(Entry<'_>) -> io::Result<()>,
) -> Result<TradeBill, BillError> {
    let mut lines = Lines::new(reader, file_name)?;
    let mut line = Line::default();
    if !lines.next_filled(&mut line)? {
        return Err(BillError::Empty { file: file_name.to_owned() });
    }
    lines.refuse_error_document(&line.text)?;
    let mut details = Details::new(file_name, date, take);
    let mut has_trailer = trailer::is_header(&line.text);
    if !has_trailer {
        let layout = Layout::of(file_name, &line)?;
        has_trailer = details.read(&mut lines, &mut line, &layout)?;
    }
    let trailer = match has_trailer {
        true => Some(trailer::read(&mut lines, &line)?),
        false if details.totals.rows == 0 => None,
        false => return Err(BillError::Truncated { file: file_name.to_owned(), line: lines.line() }),
    };
    details.finish(trailer)
}

/// The detail rows as they are read.
struct Details<'f> {
    file: &'f str,
    date: NaiveDate,
    take: &'f mut dyn FnMut(Entry<'_>) -> io::Result<()>,
    bill: TradeBill,
    totals: Totals,
    first_day: Option<NaiveDate>,
    of_date: bool,
}

impl<'f> Details<'f> {
    fn new(file: &'f str, date: NaiveDate, take: &'f mut dyn FnMut(Entry<'_>) -> io::Result<()>) -> Details<'f> {
        let (bill, totals) = (TradeBill::default(), Totals::default());
        Details { file, date, take, bill, totals, first_day: None, of_date: false }
    }

    /// Reads up to the header of the trailer, which then stands in `line`; `false` if there is none.
    fn read<R: Read>(&mut self, lines: &mut Lines<R>, line: &mut Line, layout: &Layout) -> Result<bool, BillError> {
        let mut cells = CellPlaces::default();
        while lines.next_filled(line)? {
            if trailer::is_header(&line.text) {
                return Ok(true);
            }
            lines.split(line, layout.width(), &mut cells)?;
            self.book(row::read(self.file, line, &cells, layout, self.date)?)?;
        }
        Ok(false)
    }

    fn book(&mut self, detail: row::Detail<'_>) -> Result<(), BillError> {
        self.totals.add(&detail.amounts);
        self.first_day.get_or_insert(detail.day);
        self.of_date |= detail.day == self.date;
        match &detail.entry {
            Entry::Payment(_) => {
                self.bill.payments += 1;
                self.bill.payments_fen += detail.amounts.order;
            }
            Entry::Refund(_) => {
                self.bill.refunds += 1;
                self.bill.refunds_fen += detail.amounts.applied_refund;
            }
        }
        (self.take)(detail.entry).map_err(|source| BillError::Scratch { file: self.file.to_owned(), source })
    }

    fn finish(mut self, trailer: Option<Trailer>) -> Result<TradeBill, BillError> {
        let file = || self.file.to_owned();
        if let (Some(found), false) = (self.first_day, self.of_date) {
            return Err(BillError::OtherDay { file: file(), date: self.date, found });
        }
        let differences = trailer.as_ref().map(|trailer| self.totals.differences(trailer)).unwrap_or_default();
        if !differences.is_empty() {
            return Err(BillError::TrailerDiffers { file: file(), differences });
        }
        self.bill.trailer = trailer;
        Ok(self.bill)
    }
}

fn in_column(column: &str) -> String {
    if column.is_empty() { String::new() } else { format!(", column `{column}`") }
}

#[cfg(test)]
mod tests;
