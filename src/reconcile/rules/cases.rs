//! Rule cases as files: `tests/rules/<ID>/<case>/` holds the CSVs of a night (`fixture`) and the breaks
//! the rule must give. A rule needs a case that finds (`finds_…`) and one that stays quiet (`quiet_…`).
//!
//! `expected.csv` lists the columns to compare; with a column `rule_id` every rule is judged, else
//! only the folder's. Without `coupon_ledger.csv` the ledger is built from the other files.

use std::path::Path;

use super::super::decisions::Decisions;
use super::super::error::ReconcileError;
use super::super::files::Shortfall;
use super::super::fixture::{Csv, Fixture, difference, folders, name_of};
use super::super::judge;
use super::Rules;
use crate::record::{LedgerRow, Record};

/// How a case went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseOutcome {
    /// `AO01/finds_a_coupon_without_order`.
    pub name: String,
    /// What differs from `expected.csv`; `None` when all is well.
    pub problem: Option<String>,
}

/// Runs every case under `dir`, in name order. Rules of one's own may lie in `dir` beside the folders
/// of their cases. A rule without a finding and a quiet case is a problem
/// of its own.
pub fn test_folder(dir: &Path) -> Result<Vec<CaseOutcome>, ReconcileError> {
    let rules = Rules::load(&[dir.to_owned()])?;
    let mut outcomes = Vec::new();
    for folder in folders(dir)? {
        let id = name_of(&folder);
        let cases = folders(&folder)?;
        for prefix in ["finds_", "quiet_"] {
            if !cases.iter().any(|case| name_of(case).starts_with(prefix)) {
                let problem = Some(format!("there is no `{prefix}…` case"));
                outcomes.push(CaseOutcome { name: id.clone(), problem });
            }
        }
        for case in cases {
            let name = format!("{id}/{}", name_of(&case));
            outcomes.push(CaseOutcome { name, problem: run_case(&rules, &id, &case)? });
        }
    }
    Ok(outcomes)
}

/// Runs one case; the difference from what it expects, if any.
fn run_case(rules: &Rules, id: &str, case: &Path) -> Result<Option<String>, ReconcileError> {
    let mut night = Fixture::read(case)?;
    if !night.files.day.contains_key(LedgerRow::DATASET) {
        let footing = night.put_ledger()?;
        if let Some(side) = footing.iter().find(|side| !side.holds()) {
            return Ok(Some(format!("side `{}` does not foot: {side:?}", side.side)));
        }
    }
    let expected = Csv::read(&case.join("expected.csv"))?;
    let speaks_of_all = expected.header.iter().any(|column| column == "rule_id");
    let rules = if speaks_of_all { rules.clone() } else { rules.clone().only(id) };
    let judgement =
        judge::judge(&night.terms, &rules, &night.files, &night.scratch, &Shortfall::new(), &Decisions::default())?;
    Ok(difference(&expected, &judgement.breaks))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_case_that_expects_something_else_is_told_with_both_sides() {
        let folder = tempfile::tempdir().unwrap();
        let sql = "-- id: XX01\n-- title: t\n-- 标题: 标\n-- severity: low\n-- side: merchant\n-- key: k\n\
                   -- inputs: stocks\n-- action: look\n-- row: a stock\nSELECT stock_id AS stock_id FROM stocks\n";
        std::fs::write(folder.path().join("XX01_mine.sql"), sql).unwrap();
        let case = folder.path().join("XX01/finds_a_stock");
        std::fs::create_dir_all(&case).unwrap();
        std::fs::write(case.join("stocks.csv"), "stock_id\nS1\n").unwrap();
        std::fs::write(case.join("expected.csv"), "stock_id,why\nS2,a stock\n").unwrap();
        let outcomes = test_folder(folder.path()).unwrap();
        assert_eq!(outcomes[0].problem.as_deref(), Some("there is no `quiet_…` case"));
        let problem = outcomes[1].problem.as_deref().unwrap();
        assert!(problem.contains("expected\n    S2,a stock") && problem.contains("found\n    S1,a stock"), "{problem}");
    }

    #[test]
    fn every_rule_finds_what_it_should_and_stays_quiet_otherwise() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules");
        let outcomes = test_folder(&dir).unwrap();
        let problems: String = outcomes
            .iter()
            .filter_map(|outcome| Some(format!("\n{}: {}", outcome.name, outcome.problem.as_ref()?)))
            .collect();
        assert!(problems.is_empty(), "{problems}");
        let tested: BTreeSet<_> = outcomes.iter().filter_map(|outcome| outcome.name.split('/').next()).collect();
        let rules = Rules::built_in();
        let untested: Vec<_> = rules.iter().filter(|rule| !tested.contains(rule.id.as_str())).collect();
        assert!(untested.is_empty(), "rules without cases: {untested:?}");
    }
}
