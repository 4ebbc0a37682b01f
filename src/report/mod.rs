//! The finance pack (design §8): breaks and ledger as files for people. Gets rows and produces bytes:
//! the caller reads the lake, opens the files and keeps them.

mod associated_orders;
mod coupon;
mod coupon_breaks;
mod csv_file;
mod discrepancies;
mod error;
mod figures;
mod files;
mod flow;
mod gate;
mod html;
mod input;
mod open_breaks;
mod pack;
mod quarantine;
mod refusal;
mod shared_amounts;
mod subsidies;
mod summary;
mod table;
mod totals;
mod trend;
mod verdict;
mod words;
mod workbook;

#[cfg(test)]
mod tests;

use std::io::{self, Seek, Write};

pub(crate) use coupon::CouponColumns;
pub use error::ReportError;
pub use figures::Summary;
pub use files::PAGE;
pub use flow::{CouponEnd, FlowLine, FlowTally, OrderEnd, SubsidyEnd};
pub use gate::{Gate, GateError};
pub use input::PackInput;
pub use open_breaks::OpenBreaks;
pub use pack::{Books, write};
pub use summary::AgeBucket;
pub use table::{Column, Kind, Meaning, Table};
pub use trend::{TrendBreak, TrendDay};

/// The destination of the pack's files.
pub trait Shelf {
    /// An open file.
    type File: Write + Seek + Send;

    /// Opens a file of `reports/dt=D/`.
    ///
    /// # Errors
    /// The file system refuses.
    fn open(&mut self, name: &str) -> io::Result<Self::File>;

    /// Keeps a completely written file; returns its SHA-256 in hexadecimal.
    ///
    /// # Errors
    /// The file system refuses.
    fn keep(&mut self, name: &str, file: Self::File) -> io::Result<String>;
}

/// Every table of the pack: a CSV each, and a sheet of the workbook.
pub fn tables() -> [&'static Table; 5] {
    [&summary::TABLE, &discrepancies::TABLE, &associated_orders::TABLE, &subsidies::TABLE, &quarantine::TABLE]
}
