//! The gate: limits on open breaks that turn into an exit code (design §2), e.g.
//! `open_fen>100000,rule:SU01.count>0`.

use crate::reconcile::{BreakFigures, BreakKind, BreakTally};
use crate::record::Severity;

/// A comma-separated list of limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate(Vec<Limit>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Limit {
    scope: Scope,
    measure: Measure,
    at_most: i64,
    text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Scope {
    All,
    Severity(Severity),
    Rule(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measure {
    Fen,
    Count,
    AgeDays,
}

/// Why a gate cannot be parsed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a limit; write `open_fen>N`, `open_count>N`, `age_days>N`, `severity:high.count>N` or `rule:SU01.fen>N`"
)]
pub struct GateError(String);

impl Gate {
    /// Parses a comma-separated list of limits.
    ///
    /// # Errors
    /// Names the first part that is not a limit.
    pub fn parse(text: &str) -> Result<Gate, GateError> {
        text.split(',')
            .map(str::trim)
            .map(|part| parse_limit(part).ok_or_else(|| GateError(part.to_owned())))
            .collect::<Result<_, _>>()
            .map(Gate)
    }

    /// The rules for which there is a limit.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|limit| match &limit.scope {
            Scope::Rule(id) => Some(id.as_str()),
            _ => None,
        })
    }

    /// The first limit that the open breaks exceed, and by how much.
    pub fn exceeded(&self, breaks: &BreakFigures) -> Option<String> {
        self.0.iter().find_map(|limit| {
            let measured = limit.measure(breaks);
            (measured > limit.at_most).then(|| format!("{measured} exceeds the limit `{}`", limit.text))
        })
    }
}

impl Limit {
    fn measure(&self, breaks: &BreakFigures) -> i64 {
        let open = breaks.open_kinds().filter(|(kind, _)| self.scope.holds(kind));
        match self.measure {
            Measure::Count => open.map(|(_, tally)| tally).sum::<BreakTally>().rows,
            Measure::Fen => open.map(|(_, tally)| tally).sum::<BreakTally>().at_risk_fen.0,
            Measure::AgeDays => open.map(|(kind, _)| kind.age_days).max().unwrap_or(0),
        }
    }
}

impl Scope {
    fn holds(&self, it: &BreakKind) -> bool {
        match self {
            Scope::All => true,
            Scope::Severity(severity) => it.severity == *severity,
            Scope::Rule(rule) => it.rule_id == *rule,
        }
    }
}

fn parse_limit(text: &str) -> Option<Limit> {
    let (left, number) = text.split_once('>')?;
    let (scope, measure) = match left.trim() {
        "open_fen" => (Scope::All, Measure::Fen),
        "open_count" => (Scope::All, Measure::Count),
        "age_days" => (Scope::All, Measure::AgeDays),
        scoped => {
            let (scope, measure) = scoped.rsplit_once('.')?;
            (parse_scope(scope)?, parse_measure(measure)?)
        }
    };
    let at_most = number.trim().parse().ok()?;
    Some(Limit { scope, measure, at_most, text: text.to_owned() })
}

fn parse_scope(text: &str) -> Option<Scope> {
    match text.split_once(':')? {
        ("severity", name) => Severity::find(name).map(Scope::Severity),
        ("rule", rule) if !rule.is_empty() => Some(Scope::Rule(rule.to_owned())),
        _ => None,
    }
}

fn parse_measure(text: &str) -> Option<Measure> {
    match text {
        "fen" => Some(Measure::Fen),
        "count" => Some(Measure::Count),
        "age_days" => Some(Measure::AgeDays),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::open_break;

    #[test]
    fn limits_look_at_open_breaks_of_their_scope_and_are_inclusive() {
        let breaks = BreakFigures::of(&[
            open_break("AO01", 2, 500, "open"),
            open_break("SU01", 9, 700, "new"),
            open_break("SU01", 90, 9999, "resolved"),
        ]);
        let exceeded = |text| Gate::parse(text).unwrap().exceeded(&breaks).is_some();
        assert!(!exceeded("open_fen>1200") && exceeded("open_fen>1199"));
        assert!(!exceeded("open_count>2") && exceeded("open_count>1"));
        assert!(!exceeded("age_days>9") && exceeded("age_days>8"));
        assert!(!exceeded("rule:SU01.fen>700") && exceeded("rule:SU01.count>0"));
        assert!(!exceeded("severity:low.count>0") && exceeded("severity:high.count>1"));
        assert!(exceeded("open_fen>99999, rule:AO01.count>0"));
    }

    #[test]
    fn nonsense_is_refused_with_what_would_be_right() {
        for text in ["", "open_fen", "open_fen<5", "open_yuan>5", "severity:huge.count>1", "rule:.fen>1", "open_fen>x"]
        {
            assert!(Gate::parse(text).is_err(), "{text}");
        }
    }
}
