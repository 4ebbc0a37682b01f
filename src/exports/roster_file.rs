//! Reads the merchant's roster: further users whose wallets to request (design §5). CSV with a header `openid`.
//! Openids are raw and never put into a message.

use std::borrow::Cow;

use chrono::NaiveDate;

use super::cell;
use super::distinct::{Export, ExportRow};
use super::error::ExportError;
use super::fixed;
use super::found;
use crate::job::PathPattern;
use crate::sorter::{CellPacker, KeyPacker, Packed, Room, Unpacker};

/// The openids of the roster of a date, distinct and sorted in `room`. Other columns are ignored.
pub fn read(path: &PathPattern, date: NaiveDate, room: &Room) -> Result<Export<Openid<'static>>, ExportError> {
    let files = found::find(path, date)?;
    fixed::read(&files, &["openid"], room, |row| row.private_cell(0, cell::required_id).map(Openid))
}

/// A user.
#[derive(Debug)]
pub struct Openid<'r>(pub Cow<'r, str>);

impl Packed for Openid<'_> {
    fn pack_key(&self, key: &mut KeyPacker<'_>) {
        key.text(&self.0);
    }

    fn pack_cells(&self, _: &mut CellPacker<'_>) {}
}

impl ExportRow for Openid<'static> {
    type Row<'r> = Openid<'r>;

    fn unpack<'r>(cells: &mut Unpacker<'r>) -> Openid<'r> {
        Openid(cells.key_text())
    }

    fn key<'a>(row: &'a Openid<'_>) -> [&'a str; 3] {
        [&row.0, "", ""]
    }

    fn difference(_: &Openid<'_>, _: &Openid<'_>) -> Option<&'static str> {
        None
    }

    fn place<'a>(_: &'a Openid<'_>) -> (&'a str, u64) {
        ("", 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openids_are_distinct_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("r.csv"), "name,openid\nx,oB\n,oA\ny,oB\n\n").unwrap();
        let date = NaiveDate::from_ymd_opt(2026, 11, 18).unwrap();
        let room = Room { folder: folder.path().to_owned(), memory_bytes: 1 };
        let read = || read(&PathPattern::new(folder.path(), "r.csv"), date, &room).unwrap();
        assert_eq!(read().collect(|user| user.0.into_owned()).unwrap(), ["oA", "oB"]);
        assert_eq!(read().finish().unwrap().collapsed, 1);
    }

    #[test]
    fn no_key_is_advised_that_a_roster_does_not_have() {
        let folder = tempfile::tempdir().unwrap();
        let date = NaiveDate::from_ymd_opt(2026, 11, 18).unwrap();
        let room = Room { folder: folder.path().to_owned(), memory_bytes: 1 };
        let (gb18030, _, _) = encoding_rs::GB18030.encode("openid,备注\n");
        for bytes in [&gb18030, &b"\xff\xfeo\0"[..], b"PK\x03\x04", b"PAR1", b"name;openid\nx;oA\n"] {
            std::fs::write(folder.path().join("r.csv"), bytes).unwrap();
            let error = read(&PathPattern::new(folder.path(), "r.csv"), date, &room).unwrap_err().to_string();
            assert!(error.contains("save the file as CSV UTF-8"), "{error}");
            assert!(!["encoding =", "format =", "delimiter ="].iter().any(|key| error.contains(key)), "{error}");
        }
    }
}
