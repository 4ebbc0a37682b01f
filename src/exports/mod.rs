//! The merchant's files: orders, trade bills, subsidy ledger, notifications, roster. Parses and
//! validates them; never writes, uses no network, publishes no openid.

mod amounts;
mod bad_row;
mod cell;
mod columnar;
mod distinct;
mod error;
mod fixed;
mod found;
mod hashing;
mod quotes;
mod records;
mod rendered;
mod row;
mod rows_ahead;
mod sheet;
mod spreadsheet;
mod text;

pub mod notifications;
pub mod orders;
pub mod roster_file;
pub mod subsidy_ledger;
pub mod trade_bill;
pub mod v2_coupons_file;

pub use amounts::Amounts;
pub use bad_row::BadRow;
pub use distinct::{Export, ExportRow, Settled};
pub use error::{ExportError, MissingColumn};
pub use hashing::ExportFile;
