//! The merchant's roster: further users whose wallets to ask (design §5). CSV with a header `openid`.
//! Openids are raw and are never put into a message.

use chrono::NaiveDate;

use super::cell;
use super::distinct::Keyed;
use super::fixed;
use super::found;
use super::{Export, ExportError};
use crate::job::PathPattern;

/// The openids of the roster of a date, distinct and in order. Other columns are passed over.
pub fn read(path: &PathPattern, date: NaiveDate) -> Result<Export<String>, ExportError> {
    let files = found::find(path, date)?;
    let roster = fixed::read(&files, &[("openid", true)], |row| row.private_cell(0, cell::required_id).map(Openid))?;
    let Export { rows, files, quarantined, collapsed, read, amounts } = roster;
    Ok(Export { rows: rows.into_iter().map(|openid| openid.0).collect(), files, quarantined, collapsed, read, amounts })
}

struct Openid(String);

impl Keyed for Openid {
    fn key(&self) -> [&str; 3] {
        [&self.0, "", ""]
    }

    fn difference(&self, _other: &Openid) -> Option<&'static str> {
        None
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
        let roster = read(&PathPattern::new(folder.path(), "r.csv"), date).unwrap();
        assert_eq!(roster.rows, ["oA", "oB"]);
        assert_eq!(roster.collapsed, 1);
    }
}
