//! Decisions of people about breaks: parses and checks `decisions.csv`; every problem has its line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chrono::{Datelike, NaiveDate};
use serde::Deserialize;

use crate::byte_order_mark;
use crate::record::BreakStatus;

/// The header of the file, in any order.
const COLUMNS: [&str; 5] = ["break_id", "decision", "reason", "approver", "expires_on"];

/// The decisions of a job, by break_id.
#[derive(Debug, Clone, Default)]
pub struct Decisions {
    file: String,
    by_break: BTreeMap<String, Decision>,
    first_seen_later: BTreeSet<String>,
    listed_earlier: BTreeSet<String>,
}

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// `accepted` or `written_off`.
    pub status: BreakStatus,
    /// Why.
    pub reason: String,
    /// The approver.
    pub approver: String,
    /// Last day on which it is in force, inclusive; `None` for ever.
    pub expires_on: Option<NaiveDate>,
    /// Line in the file, 1-based.
    pub line: u64,
}

/// What is wrong with the decisions file.
#[derive(Debug, thiserror::Error)]
pub enum DecisionError {
    /// Not CSV, or columns are missing.
    #[error("`{file}` is not a decisions file (break_id, decision, reason, approver, expires_on)")]
    Csv {
        /// The file.
        file: String,
        /// What the CSV reader said, with the line.
        source: csv::Error,
    },
    /// Other columns than expected.
    #[error("`{file}` line 1: there is no column `{column}`: a decisions file has {}", COLUMNS.join(", "))]
    Column {
        /// The file.
        file: String,
        /// The first missing column.
        column: &'static str,
    },
    /// Bytes that are not UTF-8.
    #[error("`{file}` line {line}: bytes that are not UTF-8: save the file as CSV UTF-8")]
    Encoding {
        /// The file.
        file: String,
        /// 1-based.
        line: u64,
    },
    /// An invalid value.
    #[error("`{file}` line {line}: column `{column}` is `{value}`, expected {expected}")]
    Value {
        /// The file.
        file: String,
        /// 1-based.
        line: u64,
        /// Header of the column.
        column: &'static str,
        /// The value.
        value: String,
        /// The valid values.
        expected: &'static str,
    },
    /// Two lines for the same break.
    #[error("`{file}` line {line}: break `{break_id}` was already decided on line {earlier}")]
    Twice {
        /// The file.
        file: String,
        /// 1-based.
        line: u64,
        /// The break.
        break_id: String,
        /// Line of the other decision.
        earlier: u64,
    },
    /// Decisions in force about unknown breaks.
    #[error("`{file}` decides about unknown breaks: {}", .breaks.join(", "))]
    UnknownBreaks {
        /// The file.
        file: String,
        /// `line 3: 0123456789abcdef`.
        breaks: Vec<String>,
    },
}

#[derive(Deserialize)]
struct Row {
    break_id: String,
    decision: String,
    reason: String,
    approver: String,
    expires_on: String,
}

impl Decisions {
    /// Parses a decisions file; `file` is its name in messages.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Decisions, DecisionError> {
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(byte_order_mark::skipped(bytes));
        let csv_error = |source: csv::Error| match source.kind() {
            csv::ErrorKind::Utf8 { pos, .. } => {
                let line = pos.as_ref().map_or(1, csv::Position::line);
                DecisionError::Encoding { file: file.to_owned(), line }
            }
            _ => DecisionError::Csv { file: file.to_owned(), source },
        };
        let headers = reader.headers().map_err(csv_error)?.clone();
        if let Some(column) = COLUMNS.into_iter().find(|column| headers.iter().all(|header| header != *column)) {
            return Err(DecisionError::Column { file: file.to_owned(), column });
        }
        let mut decisions = Decisions { file: file.to_owned(), ..Decisions::default() };
        for record in reader.records() {
            let record = record.map_err(csv_error)?;
            // Spreadsheets also save empty rows at the end.
            if record.iter().all(str::is_empty) {
                continue;
            }
            let line = record.position().map_or(0, csv::Position::line);
            let row: Row = record.deserialize(Some(&headers)).map_err(csv_error)?;
            decisions.insert(line, row)?;
        }
        Ok(decisions)
    }

    /// For the rerun of an old day: breaks of later days are known.
    #[must_use]
    pub fn knowing(mut self, later: BTreeSet<String>) -> Decisions {
        self.first_seen_later = later;
        self
    }

    /// A decision outlives its break: breaks that earlier days listed are known even if they are gone.
    #[must_use]
    pub fn remembering(mut self, earlier: BTreeSet<String>) -> Decisions {
        self.listed_earlier = earlier;
        self
    }

    /// The breaks with a decision in force on `date`.
    pub fn in_force(&self, date: NaiveDate) -> BTreeSet<String> {
        let in_force = self.by_break.iter().filter(|(_, decision)| decision.is_in_force(date));
        in_force.map(|(id, _)| id.clone()).collect()
    }

    /// Whether there are no decisions.
    pub fn is_empty(&self) -> bool {
        self.by_break.is_empty()
    }

    /// The number of decisions in force on `date` about breaks of later days that `is_listed` does not
    /// know.
    pub fn count_early(&self, date: NaiveDate, is_listed: impl Fn(&str) -> bool) -> usize {
        let is_early = |id: &str| self.first_seen_later.contains(id) && !is_listed(id);
        self.by_break.iter().filter(|(id, decision)| decision.is_in_force(date) && is_early(id)).count()
    }

    /// The decision about a break, in force or not.
    pub fn find(&self, break_id: &str) -> Option<&Decision> {
        self.by_break.get(break_id)
    }

    /// The decision about a break in force on `date`.
    pub fn find_in_force(&self, break_id: &str, date: NaiveDate) -> Option<&Decision> {
        self.find(break_id).filter(|decision| decision.is_in_force(date))
    }

    /// The status that a decision in force gives to a break on `date`.
    pub(in crate::reconcile) fn status_of(&self, break_id: &str, date: NaiveDate) -> Option<BreakStatus> {
        self.find_in_force(break_id, date).map(|decision| decision.status)
    }

    /// Fails when a decision in force on `date` is about a break that `is_known` does not know: otherwise a
    /// typing error would go unnoticed.
    pub fn check(&self, date: NaiveDate, is_known: impl Fn(&str) -> bool) -> Result<(), DecisionError> {
        let in_force = self.by_break.iter().filter(|(_, decision)| decision.is_in_force(date));
        let is_elsewhere = |id: &str| self.first_seen_later.contains(id) || self.listed_earlier.contains(id);
        let is_unknown = |id: &str| !is_known(id) && !is_elsewhere(id);
        let unknown = in_force.filter(|(break_id, _)| is_unknown(break_id));
        let breaks: Vec<_> = unknown.map(|(id, decision)| format!("line {}: `{id}`", decision.line)).collect();
        if breaks.is_empty() {
            return Ok(());
        }
        Err(DecisionError::UnknownBreaks { file: self.file.clone(), breaks })
    }

    fn insert(&mut self, line: u64, mut row: Row) -> Result<(), DecisionError> {
        row.break_id = unguarded(&row.break_id).to_owned();
        let decision = self.check_row(line, &row)?;
        if let Some(earlier) = self.find(&row.break_id) {
            let (file, earlier) = (self.file.clone(), earlier.line);
            return Err(DecisionError::Twice { file, line, break_id: row.break_id, earlier });
        }
        self.by_break.insert(row.break_id, decision);
        Ok(())
    }

    fn check_row(&self, line: u64, row: &Row) -> Result<Decision, DecisionError> {
        let wrong = |column, value: &str, expected| DecisionError::Value {
            file: self.file.clone(),
            line,
            column,
            value: value.to_owned(),
            expected,
        };
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if row.break_id.is_empty() || !row.break_id.bytes().all(is_hex) {
            return Err(wrong("break_id", &row.break_id, "the lower-case hex id of a break"));
        }
        let status = match row.decision.as_str() {
            "accepted" => BreakStatus::Accepted,
            "written_off" => BreakStatus::WrittenOff,
            other => return Err(wrong("decision", other, "`accepted` or `written_off`")),
        };
        for (column, value) in [("reason", &row.reason), ("approver", &row.approver)] {
            if value.is_empty() {
                return Err(wrong(column, value, "a text"));
            }
        }
        Ok(Decision {
            status,
            reason: row.reason.clone(),
            approver: row.approver.clone(),
            expires_on: last_day(&row.expires_on)
                .ok_or_else(|| wrong("expires_on", &row.expires_on, "a date `YYYY-MM-DD` or nothing"))?,
            line,
        })
    }
}

/// The day of a cell, `Some(None)` if it is empty. Spreadsheets save dates with slashes. `%Y` takes `26` for the year
/// 26, and such a decision would have expired before anybody made it.
fn last_day(text: &str) -> Option<Option<NaiveDate>> {
    if text.is_empty() {
        return Some(None);
    }
    let day = ["%Y-%m-%d", "%Y/%m/%d"].iter().find_map(|format| NaiveDate::parse_from_str(text, format).ok());
    day.filter(|day| day.year() >= 2000).map(Some)
}

/// An id without the guard that our own lists add to keep it text in spreadsheets.
fn unguarded(id: &str) -> &str {
    let id = id.strip_prefix("=\"").and_then(|rest| rest.strip_suffix('"')).unwrap_or(id);
    id.trim_start_matches(['`', '\''])
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}: {}", self.status, self.approver, self.reason)
    }
}

impl Decision {
    fn is_in_force(&self, date: NaiveDate) -> bool {
        self.expires_on.is_none_or(|last| date <= last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "break_id,decision,reason,approver,expires_on\n";

    fn parse(lines: &str) -> Result<Decisions, DecisionError> {
        Decisions::parse("decisions.csv", format!("\u{feff}{HEADER}{lines}").as_bytes())
    }

    #[test]
    fn a_decision_counts_up_to_and_including_its_last_day() {
        let decisions = parse("0a1b,accepted,\"known, agreed\",李,2026-11-20\n").unwrap();
        let date = |day| NaiveDate::from_ymd_opt(2026, 11, day).unwrap();
        assert_eq!(decisions.status_of("0a1b", date(20)), Some(BreakStatus::Accepted));
        assert_eq!(decisions.status_of("0a1b", date(21)), None);
        assert_eq!(decisions.status_of("ffff", date(20)), None);
    }

    #[test]
    fn a_file_that_a_spreadsheet_saved_reads_like_one_of_an_editor() {
        let date = |day| NaiveDate::from_ymd_opt(2026, 11, day).unwrap();
        for id in ["`0a1b", "'0a1b", "\t0a1b", "\"=\"\"0a1b\"\"\""] {
            let decisions = parse(&format!("{id},accepted,r,a,2026/11/9\r\n,,,,\r\n , ,,,\r\n")).unwrap();
            assert_eq!(decisions.status_of("0a1b", date(9)), Some(BreakStatus::Accepted), "{id}");
            assert_eq!(decisions.status_of("0a1b", date(10)), None);
        }
        assert!(matches!(parse("`0a,accepted,r,a,\n0a,accepted,r,a,\n"), Err(DecisionError::Twice { .. })));
    }

    #[test]
    fn a_file_of_another_encoding_is_told_to_be_saved_as_utf_8() {
        let (bytes, _, _) =
            encoding_rs::GB18030.encode("break_id,decision,reason,approver,expires_on\n0a,accepted,原因,李,\n");
        let error = Decisions::parse("decisions.csv", &bytes).unwrap_err();
        assert_eq!(error.to_string(), "`decisions.csv` line 2: bytes that are not UTF-8: save the file as CSV UTF-8");
    }

    #[test]
    fn a_file_that_lacks_a_column_is_refused_even_without_a_decision() {
        let error = |text: &str| Decisions::parse("d.csv", text.as_bytes()).unwrap_err().to_string();
        let all = "a decisions file has break_id, decision, reason, approver, expires_on";
        let semicolons = error("break_id;decision;reason;approver;expires_on\n");
        assert_eq!(semicolons, format!("`d.csv` line 1: there is no column `break_id`: {all}"));
        let no_end = error("break_id,decision,reason,approver\n0a,accepted,r,a\n");
        assert_eq!(no_end, format!("`d.csv` line 1: there is no column `expires_on`: {all}"));
        assert!(Decisions::parse("d.csv", HEADER.as_bytes()).unwrap().is_empty());
    }

    #[test]
    fn a_wrong_cell_is_named_with_its_line_and_value() {
        let cases = [
            ("0a,ok,r,a,\n", "`decisions.csv` line 2: column `decision` is `ok`, expected `accepted` or `written_off`"),
            (
                "0a,accepted,r,a,\n0b,accepted,r,a,20.11.2026\n",
                "`decisions.csv` line 3: column `expires_on` is `20.11.2026`, expected a date `YYYY-MM-DD` or nothing",
            ),
            (
                "0a,accepted,r,a,26/11/20\n",
                "`decisions.csv` line 2: column `expires_on` is `26/11/20`, expected a date `YYYY-MM-DD` or nothing",
            ),
            ("0a,accepted,,a,\n", "`decisions.csv` line 2: column `reason` is ``, expected a text"),
            (
                "AO01,accepted,r,a,\n",
                "`decisions.csv` line 2: column `break_id` is `AO01`, expected the lower-case hex id of a break",
            ),
            (
                "0a,accepted,r,a,\n0a,written_off,r,a,\n",
                "`decisions.csv` line 3: break `0a` was already decided on line 2",
            ),
        ];
        for (lines, message) in cases {
            assert_eq!(parse(lines).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn a_decision_about_no_break_is_an_error_unless_it_has_expired() {
        let decisions = parse("0a,accepted,r,a,2026-11-20\n0b,accepted,r,a,\n0c,accepted,r,a,2026-11-01\n").unwrap();
        let date = NaiveDate::from_ymd_opt(2026, 11, 20).unwrap();
        let error = decisions.check(date, |id| id == "0a").unwrap_err();
        assert_eq!(error.to_string(), "`decisions.csv` decides about unknown breaks: line 3: `0b`");
        assert!(decisions.check(date, |id| id != "0c").is_ok());
    }

    #[test]
    fn a_rerun_of_an_old_day_passes_over_decisions_on_breaks_of_later_days_and_counts_them() {
        let date = NaiveDate::from_ymd_opt(2026, 11, 18).unwrap();
        let later = ["0a", "0b"].map(str::to_owned);
        let decisions = parse("0a,accepted,r,a,\n0b,accepted,r,a,\n0c,accepted,r,a,\n").unwrap().knowing(later.into());
        assert!(decisions.check(date, |id| id == "0c").is_ok());
        assert!(decisions.check(date, |id| id == "0a").is_err(), "`0c` is known nowhere");
        assert_eq!(decisions.count_early(date, |id| id == "0a"), 1);
    }

    #[test]
    fn a_decision_about_a_break_that_is_long_gone_is_no_error_and_not_early() {
        let date = NaiveDate::from_ymd_opt(2026, 11, 18).unwrap();
        let decisions = parse("0a,accepted,r,a,\n").unwrap().remembering(["0a".to_owned()].into());
        assert!(decisions.check(date, |_| false).is_ok());
        assert_eq!(decisions.count_early(date, |_| false), 0);
    }
}
