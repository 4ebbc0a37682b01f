//! Parses a bill from its first line to its trailer: every row is passed on and counted, and the totals are
//! compared with the trailer. Holds no row.

use std::io::{self, Read};

use chrono::NaiveDate;

use super::column::Layout;
use super::error::BillError;
use super::lines::{CellPlaces, Line, Lines};
use super::row::{self, Detail, Entry};
use super::trailer::{self, Totals, Trailer};
use crate::money::Fen;

/// The result of a bill whose trailer agrees with its details.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TradeBill {
    /// Rows that are payments, or cancel one (REVOKED).
    pub payments: u64,
    /// Rows that are refunds.
    pub refunds: u64,
    /// Order amounts of the payment lines, as summed in the trailer.
    pub payments_fen: Fen,
    /// Applied refund amounts of the refund lines, as summed in the trailer.
    pub refunds_fen: Fen,
    /// The totals the bill states; `None` for a bill with nothing but a header.
    pub trailer: Option<Trailer>,
}

/// Takes the rows of a bill, each with its line.
pub type TakeEntry<'t> = dyn FnMut(Entry<'_>, u64) -> io::Result<()> + 't;

/// Parses a bill from `reader`, gzipped or plain; `file_name` is for messages. Its rows go to `take` in file
/// order and only count once the whole bill is found valid.
///
/// Columns are found by their header texts, current and legacy. The trailer must agree with the details in the
/// number of rows and every total it states, fees in thousandths of a fen.
pub fn read(
    reader: impl Read,
    file_name: &str,
    date: NaiveDate,
    take: &mut TakeEntry<'_>,
) -> Result<TradeBill, BillError> {
    let mut lines = Lines::new(reader, file_name)?;
    let mut line = Line::default();
    if !lines.next_filled(&mut line)? {
        return Err(BillError::Empty { file: file_name.to_owned() });
    }
    lines.refuse_error_document(&line.text)?;
    let mut details = Details::new(file_name, date, take);
    let mut has_trailer = line.begins_trailer();
    if !has_trailer {
        let layout = Layout::parse(file_name, &line)?;
        has_trailer = details.read(&mut lines, &mut line, &layout)?;
    }
    let trailer = match has_trailer {
        true => Some(trailer::read(&mut lines, &line)?),
        false if details.totals.rows == 0 => None,
        false => return Err(BillError::Truncated { file: file_name.to_owned(), line: lines.line() }),
    };
    details.finish(trailer)
}

/// The detail rows while they are parsed.
struct Details<'f> {
    file: &'f str,
    date: NaiveDate,
    take: &'f mut TakeEntry<'f>,
    bill: TradeBill,
    totals: Totals,
    first_day: Option<NaiveDate>,
    of_date: bool,
}

impl<'f> Details<'f> {
    fn new(file: &'f str, date: NaiveDate, take: &'f mut TakeEntry<'f>) -> Details<'f> {
        let (bill, totals) = (TradeBill::default(), Totals::default());
        Details { file, date, take, bill, totals, first_day: None, of_date: false }
    }

    /// Reads up to the header of the trailer, which is then in `line`; `false` if there is none.
    fn read<R: Read>(&mut self, lines: &mut Lines<R>, line: &mut Line, layout: &Layout) -> Result<bool, BillError> {
        let mut cells = CellPlaces::default();
        while lines.next_filled(line)? {
            if line.begins_trailer() {
                return Ok(true);
            }
            lines.split(line, layout.width(), &mut cells)?;
            if let Some(texts) = layout.texts() {
                cells.join(texts, layout.width());
            }
            self.book(row::read(self.file, line, &cells, layout, self.date)?, line.number)?;
        }
        Ok(false)
    }

    fn book(&mut self, detail: Detail<'_>, line: u64) -> Result<(), BillError> {
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
        (self.take)(detail.entry, line).map_err(|source| BillError::Scratch { file: self.file.to_owned(), source })
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
