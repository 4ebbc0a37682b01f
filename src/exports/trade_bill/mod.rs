//! The WeChat trade bill of a day (reference v3 §4.3–4.6, v2 §B.5): parses every layout as a stream and
//! verifies the trailer. Passes each row on and holds none. Neither downloads a bill nor checks its digest.

mod bill;
mod column;
mod error;
mod lines;
mod local;
mod read_ahead;
mod row;
mod trailer;
mod unpacked;

pub use bill::{TakeEntry, TradeBill, read};
pub use error::BillError;
pub use local::{LocalBill, find_rows, read_file, read_local};
pub use row::Entry;
pub use trailer::Trailer;

#[cfg(test)]
mod tests;
