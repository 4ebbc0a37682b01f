//! Number and amount in yuan of the open breaks per rule, side and age.

use std::collections::BTreeMap;

use super::input::PackInput;
use super::table::{Cell, Column, Kind, Table, column, summed};
use super::words::{self, word};
use crate::reconcile::BreakTally;

/// `summary.csv`.
pub(super) const TABLE: Table =
    Table { name: "summary", zh: "汇总", en: "Summary", dataset: "breaks", columns: &COLUMNS };

const COLUMNS: [Column; 6] = [
    column("rule_id", "规则", "Rule", Kind::Word),
    column("title", "规则名称", "Title", Kind::Text).says("规则的名称。", "Title of the rule."),
    column("side", "责任方", "Side", Kind::Word),
    column("age_days", "账龄(天)", "Age (days)", Kind::Word)
        .says("首次发现至业务日的天数，分档。", "Days since the break was first seen, in age brackets."),
    summed("rows", "笔数", "Rows", Kind::Count).says("未结差异的笔数。", "Number of open breaks."),
    summed("at_risk_yuan", "风险金额(元)", "At risk (yuan)", Kind::Yuan)
        .says("这些差异的风险金额合计。", "Sum of the amounts at risk in them."),
];

/// How long a break has been open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AgeBucket {
    /// Seen for the first time.
    Today,
    /// 1–3 days.
    Days1To3,
    /// 4–7 days.
    Days4To7,
    /// 8–30 days.
    Days8To30,
    /// More than 30 days.
    Over30,
}

impl AgeBucket {
    /// From youngest to oldest.
    pub const ALL: [AgeBucket; 5] =
        [AgeBucket::Today, AgeBucket::Days1To3, AgeBucket::Days4To7, AgeBucket::Days8To30, AgeBucket::Over30];

    /// The bucket of an age in days.
    pub fn of(age_days: i64) -> AgeBucket {
        match age_days {
            ..=0 => AgeBucket::Today,
            1..=3 => AgeBucket::Days1To3,
            4..=7 => AgeBucket::Days4To7,
            8..=30 => AgeBucket::Days8To30,
            _ => AgeBucket::Over30,
        }
    }

    /// The label in the reports.
    pub fn label(self) -> &'static str {
        match self {
            AgeBucket::Today => "0",
            AgeBucket::Days1To3 => "1–3",
            AgeBucket::Days4To7 => "4–7",
            AgeBucket::Days8To30 => "8–30",
            AgeBucket::Over30 => "30+",
        }
    }
}

/// The rows of the table, by rule, side and age.
pub(super) fn rows<'a>(input: &'a PackInput<'_>) -> Vec<[Cell<'a>; COLUMNS.len()]> {
    let mut groups: BTreeMap<(&str, &str, AgeBucket), BreakTally> = BTreeMap::new();
    for (kind, tally) in input.breaks.open_kinds() {
        let group = groups.entry((&kind.rule_id, &kind.side, AgeBucket::of(kind.age_days))).or_default();
        *group = group.plus(tally);
    }
    let row = |((rule, side, age), open): ((&'a str, &'a str, AgeBucket), BreakTally)| {
        [
            Cell::text(rule),
            Cell::text(input.title(rule)),
            Cell::text(word(words::SIDE, input.settings.language, side)),
            Cell::text(age.label()),
            Cell::Count(Some(open.rows)),
            Cell::Yuan(Some(open.at_risk_fen)),
        ]
    };
    groups.into_iter().map(row).collect()
}
