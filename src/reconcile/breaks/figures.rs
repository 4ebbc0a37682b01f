//! What the breaks of a night come to: how many of each kind there are, with how much money at risk. Sees each break once
//! and keeps none, so that a night of many breaks needs no more memory than one of few.

use std::collections::BTreeMap;
use std::iter::Sum;

use serde::Serialize;

use crate::money::Fen;
use crate::record::{Break, BreakStatus, Severity};
use crate::sha256::Sha256;

/// Number and amount of breaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct BreakTally {
    /// Breaks.
    pub rows: i64,
    /// Σ at risk.
    pub at_risk_fen: Fen,
}

/// What breaks that are counted together have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BreakKind {
    /// Rule.
    pub rule_id: String,
    /// How bad they are.
    pub severity: Severity,
    /// The side that has to act.
    pub side: String,
    /// Their status on the business date.
    pub status: BreakStatus,
    /// Days since they were first seen.
    pub age_days: i64,
    /// Whether they were resolved on the business date itself.
    pub is_resolved_tonight: bool,
    /// Whether their rules found them on the business date, so that they are not merely carried over.
    pub is_seen_tonight: bool,
}

/// The breaks of a night, counted by kind.
#[derive(Debug, Clone, Default)]
pub struct BreakFigures {
    kinds: BTreeMap<BreakKind, BreakTally>,
    open_ids: OpenIds,
}

/// A digest over the ids of open breaks.
#[derive(Debug, Clone, Default)]
struct OpenIds {
    sha256: Sha256,
    is_begun: bool,
}

impl BreakTally {
    /// Counts a break.
    pub fn add(&mut self, at_risk_fen: Fen) {
        *self = self.plus(BreakTally { rows: 1, at_risk_fen });
    }

    /// The sum of two.
    #[must_use]
    pub fn plus(self, other: BreakTally) -> BreakTally {
        BreakTally { rows: self.rows + other.rows, at_risk_fen: self.at_risk_fen + other.at_risk_fen }
    }
}

impl Sum for BreakTally {
    fn sum<I: Iterator<Item = BreakTally>>(tallies: I) -> BreakTally {
        tallies.fold(BreakTally::default(), BreakTally::plus)
    }
}

impl BreakKind {
    fn of(it: &Break) -> BreakKind {
        BreakKind {
            rule_id: it.rule_id.clone(),
            severity: it.severity,
            side: it.side.clone(),
            status: it.status,
            age_days: it.age_days,
            is_resolved_tonight: it.resolved_date == Some(it.business_date) && it.status == BreakStatus::Resolved,
            is_seen_tonight: it.last_seen_date == it.business_date,
        }
    }

    /// Whether they count as open (design §7).
    pub fn is_open(&self) -> bool {
        self.status.is_open()
    }
}

impl BreakFigures {
    /// The figures of breaks in the order of their ids.
    pub fn of<'b>(breaks: impl IntoIterator<Item = &'b Break>) -> BreakFigures {
        let mut figures = BreakFigures::default();
        breaks.into_iter().for_each(|it| figures.note(it));
        figures
    }

    /// Counts a break. Breaks come in the order of their ids.
    pub fn note(&mut self, it: &Break) {
        self.kinds.entry(BreakKind::of(it)).or_default().add(it.at_risk_fen);
        if it.is_open() {
            self.open_ids.add(&it.break_id);
        }
    }

    /// Every kind of break that is listed.
    pub fn kinds(&self) -> impl Iterator<Item = (&BreakKind, BreakTally)> {
        self.kinds.iter().map(|(kind, tally)| (kind, *tally))
    }

    /// The kinds of open breaks.
    pub fn open_kinds(&self) -> impl Iterator<Item = (&BreakKind, BreakTally)> {
        self.kinds().filter(|(kind, _)| kind.is_open())
    }

    /// All open breaks.
    pub fn open(&self) -> BreakTally {
        self.tally(BreakKind::is_open)
    }

    /// The open breaks of a rule.
    pub fn open_of(&self, rule_id: &str) -> BreakTally {
        self.tally(|kind| kind.is_open() && kind.rule_id == rule_id)
    }

    /// The open breaks of a rule that it found on the business date.
    pub fn seen_of(&self, rule_id: &str) -> BreakTally {
        self.tally(|kind| kind.is_open() && kind.is_seen_tonight && kind.rule_id == rule_id)
    }

    /// The breaks of the kinds for which `holds` is true.
    pub fn tally(&self, holds: impl Fn(&BreakKind) -> bool) -> BreakTally {
        self.kinds().filter(|(kind, _)| holds(kind)).map(|(_, tally)| tally).sum()
    }

    /// SHA-256 over the ids of the open breaks, a line each: it changes when other breaks are open.
    pub fn open_sha256(&self) -> String {
        self.open_ids.sha256.clone().finish()
    }
}

impl OpenIds {
    fn add(&mut self, break_id: &str) {
        if std::mem::replace(&mut self.is_begun, true) {
            self.sha256.update(b"\n");
        }
        self.sha256.update(break_id.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sha256::sha256_of;
    use chrono::NaiveDate;

    fn break_of(break_id: &str, rule_id: &str, status: BreakStatus, at_risk_fen: i64) -> Break {
        let date = NaiveDate::from_ymd_opt(2026, 11, 20).unwrap();
        let rest = Break::for_tests(rule_id, date);
        Break { break_id: break_id.to_owned(), status, at_risk_fen: Fen(at_risk_fen), ..rest }
    }

    #[test]
    fn breaks_are_counted_by_kind_and_only_those_resolved_tonight_as_such() {
        let tonight = break_of("c", "AO01", BreakStatus::Resolved, 4);
        let breaks = [
            break_of("a", "AO01", BreakStatus::New, 1),
            break_of("b", "AO01", BreakStatus::Open, 2),
            Break { resolved_date: Some(tonight.business_date), ..tonight.clone() },
            Break { resolved_date: tonight.business_date.pred_opt(), break_id: "d".to_owned(), ..tonight },
            break_of("e", "SU01", BreakStatus::Reopened, 8),
        ];
        let figures = BreakFigures::of(&breaks);
        assert_eq!(figures.open(), BreakTally { rows: 3, at_risk_fen: Fen(11) });
        assert_eq!(figures.open_of("AO01"), BreakTally { rows: 2, at_risk_fen: Fen(3) });
        assert_eq!(figures.tally(|kind| kind.is_resolved_tonight), BreakTally { rows: 1, at_risk_fen: Fen(4) });
        assert_eq!(figures.kinds().map(|(_, tally)| tally).sum::<BreakTally>().rows, 5);
    }

    #[test]
    fn the_digest_is_that_of_the_ids_of_open_breaks_in_lines() {
        let of = |open: &[&str]| {
            let mut breaks: Vec<_> = open.iter().map(|id| break_of(id, "AO01", BreakStatus::Open, 1)).collect();
            breaks.push(break_of("x", "AO01", BreakStatus::Accepted, 1));
            BreakFigures::of(&breaks).open_sha256()
        };
        assert_eq!(of(&["a", "b"]), sha256_of(b"a\nb"));
        assert_eq!(of(&[]), sha256_of(b""));
        assert_ne!(of(&["a"]), of(&["b"]));
    }
}
