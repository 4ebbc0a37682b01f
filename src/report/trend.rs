//! The breaks of one day of the trend: counted, not kept.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::money::Fen;
use crate::record::{Break, BreakStatus};

/// Number and amount of breaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct BreakTally {
    /// Breaks.
    pub rows: i64,
    /// Σ at risk.
    pub at_risk_fen: Fen,
}

/// The breaks of one day of the trend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TrendDay {
    /// The day.
    pub date: NaiveDate,
    /// Open at its end.
    pub open: BreakTally,
    /// Those that are new or reopened on it.
    pub new_rows: i64,
    /// Resolved on it.
    pub resolved_rows: i64,
}

/// The columns from which a day of the trend is counted.
#[derive(Debug, Clone, Deserialize)]
pub struct TrendBreak {
    /// Status.
    pub status: BreakStatus,
    /// Money at risk.
    pub at_risk_fen: Fen,
    /// The night in which it was resolved.
    pub resolved_date: Option<NaiveDate>,
}

impl BreakTally {
    pub(super) fn add(&mut self, at_risk: Fen) {
        *self = BreakTally { rows: self.rows + 1, at_risk_fen: self.at_risk_fen + at_risk };
    }
}

impl TrendDay {
    /// The columns of `breaks` that are needed.
    pub const COLUMNS: [&'static str; 3] = ["status", "resolved_date", "at_risk_fen"];

    /// Counts the breaks published for `date`.
    pub fn count(date: NaiveDate, breaks: impl Iterator<Item = TrendBreak>) -> TrendDay {
        let mut day = TrendDay { date, open: BreakTally::default(), new_rows: 0, resolved_rows: 0 };
        for it in breaks {
            day.add(it.status, it.at_risk_fen, it.resolved_date);
        }
        day
    }

    pub(super) fn of(date: NaiveDate, breaks: &[Break]) -> TrendDay {
        let mut day = TrendDay::count(date, std::iter::empty());
        breaks.iter().for_each(|it| day.add(it.status, it.at_risk_fen, it.resolved_date));
        day
    }

    fn add(&mut self, status: BreakStatus, at_risk: Fen, resolved: Option<NaiveDate>) {
        if status.is_open() {
            self.open.add(at_risk);
        }
        self.new_rows += i64::from(status.is_news());
        self.resolved_rows += i64::from(status == BreakStatus::Resolved && resolved == Some(self.date));
    }
}
