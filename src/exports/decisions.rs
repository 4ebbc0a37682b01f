//! What people decided about breaks (design §7): `decisions.csv`, a list one only appends to.
//! Decides nothing itself; a break id that no break has is no error.

use std::path::Path;

use chrono::NaiveDate;

use super::cell;
use super::distinct::Keyed;
use super::fixed::{self, FixedRow};
use super::found::Found;
use super::sheet::Fault;
use super::{ExportError, ExportFile};

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// `accepted`: the difference is right as it is.
    Accepted,
    /// `written_off`: the money is given up.
    WrittenOff,
}

impl Verdict {
    /// The status a break has by it.
    pub fn status(self) -> &'static str {
        match self {
            Verdict::Accepted => "accepted",
            Verdict::WrittenOff => "written_off",
        }
    }
}

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// 16 hex digits.
    pub break_id: String,
    /// What was decided.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// By whom.
    pub approver: String,
    /// Last day it holds; `None` for ever.
    pub expires_on: Option<NaiveDate>,
    /// Line in the file, 1-based.
    pub line: u64,
}

/// The decisions of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decisions {
    /// By break, then in the order of the file.
    pub decisions: Vec<Decision>,
    /// The file.
    pub file: ExportFile,
}

impl Decisions {
    /// What holds for a break on a date: the last line about it that has not expired.
    pub fn on(&self, break_id: &str, date: NaiveDate) -> Option<&Decision> {
        let lines = self.decisions.iter().filter(|decision| decision.break_id == break_id);
        lines.rev().find(|decision| decision.expires_on.is_none_or(|last| date <= last))
    }
}

/// The decisions file; one that is not there is `ExportError::Missing` and means that nothing was decided.
pub fn read(path: &Path) -> Result<Decisions, ExportError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let columns = [("break_id", true), ("decision", true), ("reason", true), ("approver", true), ("expires_on", true)];
    let export = fixed::read(&[Found { path: path.to_owned(), name }], &columns, decision)?;
    let decisions = export.rows.into_iter().map(|line| line.decision).collect();
    let file = export.files.into_iter().next().expect("one file was asked for and read");
    Ok(Decisions { decisions, file })
}

/// A decision and its line as a key of fixed width: every line is one of its own, in the order of the file.
struct Line {
    decision: Decision,
    order: String,
}

fn decision(row: &FixedRow) -> Result<Line, Fault> {
    let decision = Decision {
        break_id: row.cell(0, break_id)?,
        verdict: row.cell(1, verdict)?,
        reason: row.cell(2, required_text)?,
        approver: row.cell(3, required_text)?,
        expires_on: row.cell(4, expiry)?,
        line: row.line,
    };
    Ok(Line { decision, order: format!("{:020}", row.line) })
}

fn break_id(text: &str) -> Result<String, String> {
    let id = cell::required_id(text)?;
    let is_hex = id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if id.len() == 16 && is_hex {
        return Ok(id);
    }
    Err("must be the 16 lower-case hex digits of a break as `breaks` lists them".to_owned())
}

fn verdict(text: &str) -> Result<Verdict, String> {
    match text.trim() {
        "accepted" => Ok(Verdict::Accepted),
        "written_off" => Ok(Verdict::WrittenOff),
        _ => Err("must be `accepted` or `written_off`".to_owned()),
    }
}

fn required_text(text: &str) -> Result<String, String> {
    cell::optional_text(text).ok_or_else(|| "must not be empty: a decision has a reason and an approver".to_owned())
}

fn expiry(text: &str) -> Result<Option<NaiveDate>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d");
    date.map(Some).map_err(|_| "must be a day such as `2026-12-31`, or empty for ever".to_owned())
}

impl Keyed for Line {
    fn key(&self) -> [&str; 3] {
        [&self.decision.break_id, &self.order, ""]
    }

    fn difference(&self, _other: &Line) -> Option<&'static str> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(lines: &str) -> Result<Decisions, ExportError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("decisions.csv");
        std::fs::write(&path, format!("break_id,decision,reason,approver,expires_on\n{lines}")).unwrap();
        read(&path)
    }

    fn day(day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, day).unwrap()
    }

    #[test]
    fn the_last_line_that_has_not_expired_holds_and_its_last_day_is_inside() {
        let id = "0123456789abcdef";
        let decisions = read_text(&format!(
            "{id},accepted,\"店长,确认\",li,\n{id},written_off,small,wang,2026-11-19\nffffffffffffffff,accepted,x,y,\n"
        ))
        .unwrap();
        let on = |date| decisions.on(id, date).map(|decision| (decision.verdict, decision.line));
        assert_eq!(on(day(19)), Some((Verdict::WrittenOff, 3)));
        assert_eq!(on(day(20)), Some((Verdict::Accepted, 2)));
        assert_eq!(decisions.on("0000000000000000", day(19)), None);
        assert_eq!(Verdict::WrittenOff.status(), "written_off");
    }

    #[test]
    fn every_field_is_checked_and_named() {
        for (line, column) in [
            ("0123,accepted,r,a,", "break_id"),
            ("0123456789ABCDEF,accepted,r,a,", "break_id"),
            ("0123456789abcdef,ok,r,a,", "decision"),
            ("0123456789abcdef,accepted,,a,", "reason"),
            ("0123456789abcdef,accepted,r, ,", "approver"),
            ("0123456789abcdef,accepted,r,a,31.12.2026", "expires_on"),
        ] {
            let error = read_text(line).unwrap_err().to_string();
            assert!(error.contains(&format!("`decisions.csv` line 2, column `{column}`")), "{error}");
        }
    }

    #[test]
    fn no_file_is_missing_not_malformed() {
        assert!(matches!(read(Path::new("/nonexistent/decisions.csv")), Err(ExportError::Missing { .. })));
    }
}
