//! The bill files of the world, and the one-time tokens for downloading them. Does not know the caller.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Mutex;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use flate2::{Compression, GzBuilder};

use super::memory::held;
use super::signature::serial_text;
use crate::clock::end_of;

/// How long a download URL works (reference v3 §4.1).
const TICKET_MINUTES: i64 = 5;

/// The bills and the granted downloads.
#[derive(Debug)]
pub(super) struct BillFiles {
    folder: PathBuf,
    names: BTreeMap<String, String>,
    tickets: Mutex<HashMap<String, Ticket>>,
}

/// A granted download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) name: String,
    pub(super) is_gzip: bool,
    /// Counts the grants.
    pub(super) number: u32,
    issued_at: DateTime<Utc>,
}

impl BillFiles {
    /// Bills by day (`2026-11-18`, `2026-11-18.REFUND` or `2026-11-18.FUND_BASIC` for another kind), as files in a
    /// folder.
    pub(super) fn new(folder: PathBuf, names: BTreeMap<String, String>) -> BillFiles {
        BillFiles { folder, names, tickets: Mutex::default() }
    }

    /// The file of a day, when the day is over at `now` and had transactions.
    pub(super) fn find(&self, day: NaiveDate, kind: &str, now: DateTime<Utc>) -> Option<&str> {
        let key = if kind == "ALL" { day.to_string() } else { format!("{day}.{kind}") };
        self.names.get(&key).filter(|_| end_of(day) <= now).map(String::as_str)
    }

    /// The bytes of a file.
    pub(super) fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        std::fs::read(self.folder.join(name))
    }

    /// Grants a download and returns its token.
    pub(super) fn grant(&self, name: &str, is_gzip: bool, now: DateTime<Utc>) -> String {
        let mut tickets = held(&self.tickets);
        let number = u32::try_from(tickets.len()).expect("fewer downloads than that");
        let token = serial_text("bill", number.into(), 48);
        tickets.insert(token.clone(), Ticket { name: name.to_owned(), is_gzip, number, issued_at: now });
        token
    }

    /// Redeems a download token: once, and within five minutes. A used ticket is kept, marked as aged.
    pub(super) fn redeem(&self, token: &str, now: DateTime<Utc>) -> Option<Ticket> {
        let mut tickets = held(&self.tickets);
        let ticket = tickets.get_mut(token)?;
        let life = TimeDelta::minutes(TICKET_MINUTES);
        let valid = (now - ticket.issued_at <= life).then(|| ticket.clone());
        ticket.issued_at = DateTime::<Utc>::MIN_UTC;
        valid
    }
}

/// Compresses. The time in the header is `mtime`, so that a file zipped twice need not be the same bytes.
pub(super) fn gzip(bytes: &[u8], mtime: u32) -> Vec<u8> {
    let mut encoder = GzBuilder::new().mtime(mtime).write(Vec::new(), Compression::default());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory takes every byte")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
    }

    fn files() -> BillFiles {
        let names =
            [("2026-11-18".to_owned(), "a.csv".to_owned()), ("2026-11-18.REFUND".to_owned(), "r.csv".to_owned())];
        BillFiles::new(PathBuf::from("/nowhere"), names.into())
    }

    #[test]
    fn a_bill_appears_when_its_day_is_over() {
        let day = NaiveDate::from_ymd_opt(2026, 11, 18).unwrap();
        let over = end_of(day);
        assert_eq!(files().find(day, "ALL", over), Some("a.csv"));
        assert_eq!(files().find(day, "ALL", over - TimeDelta::seconds(1)), None);
        assert_eq!(files().find(day, "REFUND", over), Some("r.csv"));
        assert_eq!(files().find(day, "SUCCESS", over), None);
        assert_eq!(files().find(day.succ_opt().unwrap(), "ALL", over + TimeDelta::days(9)), None);
    }

    #[test]
    fn a_ticket_opens_once() {
        let files = files();
        let token = files.grant("a.csv", true, at(0));
        let ticket = files.redeem(&token, at(300)).unwrap();
        assert_eq!((ticket.name.as_str(), ticket.is_gzip), ("a.csv", true));
        assert_eq!(files.redeem(&token, at(300)), None);
    }

    #[test]
    fn a_ticket_lives_five_minutes() {
        let files = files();
        let token = files.grant("a.csv", false, at(0));
        assert_eq!(files.redeem(&token, at(301)), None);
        assert_eq!(files.redeem("unknown", at(0)), None);
    }

    #[test]
    fn every_grant_has_a_token_of_its_own() {
        let files = files();
        assert_ne!(files.grant("a.csv", false, at(0)), files.grant("a.csv", false, at(0)));
    }

    #[test]
    fn compression_repeats_byte_for_byte_and_comes_back() {
        use std::io::Read;
        let packed = gzip("账单".as_bytes(), 7);
        assert_eq!(packed, gzip("账单".as_bytes(), 7));
        assert_ne!(packed, gzip("账单".as_bytes(), 8));
        let mut text = String::new();
        flate2::read::GzDecoder::new(packed.as_slice()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "账单");
    }
}
