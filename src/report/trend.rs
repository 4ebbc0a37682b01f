//! The breaks of one day of the trend: counted, not kept.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::money::Fen;
use crate::reconcile::{BreakFigures, BreakTally};
use crate::record::BreakStatus;

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

impl TrendDay {
    /// The columns of `breaks` that are needed.
    pub const COLUMNS: [&'static str; 3] = ["status", "resolved_date", "at_risk_fen"];

    /// Counts the breaks published for `date`.
    pub fn count(date: NaiveDate, breaks: impl Iterator<Item = TrendBreak>) -> TrendDay {
        let mut day = TrendDay { date, open: BreakTally::default(), new_rows: 0, resolved_rows: 0 };
        breaks.for_each(|it| day.add(&it));
        day
    }

    /// The day whose breaks were counted already.
    pub(super) fn of(date: NaiveDate, figures: &BreakFigures) -> TrendDay {
        TrendDay {
            date,
            open: figures.open(),
            new_rows: figures.tally(|kind| kind.status.is_news()).rows,
            resolved_rows: figures.tally(|kind| kind.is_resolved_tonight).rows,
        }
    }

    fn add(&mut self, it: &TrendBreak) {
        if it.status.is_open() {
            self.open.add(it.at_risk_fen);
        }
        self.new_rows += i64::from(it.status.is_news());
        self.resolved_rows += i64::from(it.status == BreakStatus::Resolved && it.resolved_date == Some(self.date));
    }
}
