//! Rule cases as files: `tests/rules/<ID>/<case>/` has the CSVs of a night (`fixture`) and the expected
//! breaks. Every rule needs a case with a finding (`finds_…`) and one without (`quiet_…`).
//!
//! `expected.csv` lists the columns to compare. If it has a column `rule_id` every rule is run,
//! otherwise only that of the folder. Without `coupon_ledger.csv` the ledger is built from the other
//! files.

pub(super) mod fixture;
#[cfg(test)]
pub(super) mod parts_tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::basis::decisions::Decisions;
use super::basis::files::Shortfall;
use super::breaks::judge::refuse_keyless;
use super::engine::Engine;
use super::error::ReconcileError;
use super::rules::{self, Rule, Rules, findings};
use crate::record::{Break, LedgerRow, Record};
use fixture::{Csv, Fixture, difference, folders, name_of};

/// The result of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseOutcome {
    /// `AO01/finds_a_coupon_without_order`.
    pub name: String,
    /// The differences from `expected.csv`; `None` if there are none.
    pub problem: Option<String>,
}

/// Runs the cases of every rule in `dir`, in order of names. The rules in `dir` replace built-in ones
/// with the same id; a folder without rule files tests the built-in ones. The cases are in `dir` itself
/// or, as in this project, in `tests/rules` beside one of its parent folders. A rule without a finding
/// and a quiet case is a problem too.
pub fn test_folder(dir: &Path) -> Result<Vec<CaseOutcome>, ReconcileError> {
    let rules = Rules::with_folder(dir)?;
    let cases = case_root(dir)?;
    let mut ids: BTreeSet<String> = rules::rules_in(dir)?.into_iter().map(|rule| rule.id).collect();
    ids.extend(rule_folders(&cases)?.into_iter().filter(|_| cases == dir));
    if ids.is_empty() {
        let why = "neither `<ID>_<name>.sql` files nor folders `<ID>/` with cases are in it".to_owned();
        return Err(ReconcileError::Case { path: dir.to_owned(), why });
    }
    let outcomes = ids.iter().map(|id| test_rule(&rules, id, &cases.join(id)));
    Ok(outcomes.collect::<Result<Vec<_>, _>>()?.concat())
}

fn test_rule(rules: &Rules, id: &str, folder: &Path) -> Result<Vec<CaseOutcome>, ReconcileError> {
    let cases = if folder.is_dir() { folders(folder)? } else { Vec::new() };
    let is_missing = |prefix: &&str| !cases.iter().any(|case| name_of(case).starts_with(prefix));
    let missing = ["finds_", "quiet_"].into_iter().filter(is_missing).map(|prefix| CaseOutcome {
        name: id.to_owned(),
        problem: Some(format!("there is no `{prefix}…` case in `{}`", folder.display())),
    });
    let mut outcomes: Vec<_> = missing.collect();
    if rules.find(id).is_none() {
        let problem = Some("there are cases, but there is no rule of that id".to_owned());
        outcomes.push(CaseOutcome { name: id.to_owned(), problem });
        return Ok(outcomes);
    }
    outcomes.extend(rules.find(id).and_then(unportable));
    for case in cases {
        let problem = match run_case(rules, id, &case) {
            Err(error @ (ReconcileError::Sql { .. } | ReconcileError::Case { .. })) => Some(error.to_string()),
            outcome => outcome?,
        };
        outcomes.push(CaseOutcome { name: format!("{id}/{}", name_of(&case)), problem });
    }
    Ok(outcomes)
}

/// A rule that is not portable SQL is a problem before any case is run.
fn unportable(rule: &Rule) -> Option<CaseOutcome> {
    let findings: Vec<_> = findings(&rule.sql).iter().map(ToString::to_string).collect();
    let problem = format!("`{}` {}", rule.file, findings.join("\n    "));
    (!findings.is_empty()).then(|| CaseOutcome { name: rule.id.clone(), problem: Some(problem) })
}

/// The folder of the cases: `dir`, else the nearest `tests/rules` beside a parent folder.
fn case_root(dir: &Path) -> Result<PathBuf, ReconcileError> {
    if !rule_folders(dir)?.is_empty() {
        return Ok(dir.to_owned());
    }
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let beside = absolute.ancestors().map(|folder| folder.join("tests/rules")).find(|folder| folder.is_dir());
    Ok(beside.unwrap_or_else(|| dir.to_owned()))
}

/// The subfolders named like a rule id: letters, then digits.
fn rule_folders(dir: &Path) -> Result<Vec<String>, ReconcileError> {
    let is_id = |name: &String| {
        let number = name.trim_start_matches(|c: char| c.is_ascii_uppercase());
        !number.is_empty() && number.len() < name.len() && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    Ok(folders(dir)?.iter().map(|folder| name_of(folder)).filter(is_id).collect())
}

/// Runs one case and returns the difference from what it expects, if any.
fn run_case(rules: &Rules, id: &str, case: &Path) -> Result<Option<String>, ReconcileError> {
    let mut night = Fixture::read(case)?;
    if !night.files.day.contains_key(LedgerRow::DATASET) {
        let footing = night.put_ledger(rules)?;
        if let Some(side) = footing.iter().find(|side| !side.holds()) {
            return Ok(Some(format!("the night does not foot: {side}")));
        }
    }
    let expected = Csv::read(&case.join("expected.csv"))?;
    let speaks_of_all = expected.header.iter().any(|column| column == "rule_id");
    let rules = if speaks_of_all { rules.clone() } else { rules.clone().only(id) };
    let mut engine = Engine::open(night.basis(&rules), &night.scratch)?;
    rules.find(id).map_or(Ok(()), |rule| refuse_keyless(&mut engine, rule))?;
    let (breaks, _) = night.judge(&rules, &Shortfall::new(), &Decisions::default())?;
    Ok(difference(&expected, &breaks).or_else(|| unworded(&rules, &breaks)))
}

/// A sentence that is not in the header of its rule, although the header has sentences.
fn unworded(rules: &Rules, breaks: &[Break]) -> Option<String> {
    let has_none = |it: &&Break| {
        let rule = rules.find(&it.rule_id).filter(|rule| !rule.wordings.is_empty());
        rule.is_some_and(|rule| rule.why_in_chinese(&it.why).is_none())
    };
    breaks.iter().find(has_none).map(|it| format!("no `-- why:` line of {} reads `{}`", it.rule_id, it.why))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with a custom rule whose query is `sql`, one case in which it finds something and one in which it does not.
    fn folder_with(sql: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let head = "-- id: XX01\n-- title: t\n-- 标题: 标\n-- severity: low\n-- side: merchant\n-- key: k\n\
                    -- inputs: stocks\n-- action: look\n-- row: a stock\n";
        std::fs::write(folder.path().join("XX01_mine.sql"), format!("{head}{sql}")).unwrap();
        for (case, stocks, expected) in
            [("finds_a_stock", "stock_id\nS1\n", "S1\n"), ("quiet_without", "stock_id\n", "")]
        {
            let case = folder.path().join("XX01").join(case);
            std::fs::create_dir_all(&case).unwrap();
            std::fs::write(case.join("stocks.csv"), stocks).unwrap();
            std::fs::write(case.join("expected.csv"), format!("stock_id\n{expected}")).unwrap();
        }
        folder
    }

    /// All problems, one per line.
    fn problems(folder: &Path) -> Vec<String> {
        let outcomes = test_folder(folder).unwrap();
        let told = outcomes.into_iter().filter_map(|it| Some(format!("{}: {}", it.name, it.problem?)));
        told.collect()
    }

    #[test]
    fn a_rule_of_ones_own_is_tested_by_the_cases_beside_it() {
        let folder = folder_with("SELECT stock_id AS stock_id FROM stocks\n");
        assert_eq!(problems(folder.path()), Vec::<String>::new());
        std::fs::remove_dir_all(folder.path().join("XX01")).unwrap();
        assert_eq!(problems(folder.path()).len(), 2, "neither a finding nor a quiet case");
        assert!(test_folder(&folder.path().join("nowhere")).is_err());
    }

    #[test]
    fn a_mistake_in_the_sql_names_file_and_line() {
        let told = problems(folder_with("SELECT stock_id AS stock_id,\n       colour AS why\nFROM stocks\n").path());
        assert!(told[0].contains("rule file `XX01_mine.sql` line 11: ") && told[0].contains("colour"), "{told:?}");
        let told = problems(folder_with("SELECT stock_id AS stock_id\nFORM stocks\n").path());
        assert!(told[0].contains("rule file `XX01_mine.sql` line 11: "), "{told:?}");
        let told = problems(folder_with("SELECT stock_id AS stock_id\nFROM stockz\n").path());
        assert!(told[0].contains("rule file `XX01_mine.sql` line 11: ") && told[0].contains("stockz"), "{told:?}");
    }

    #[test]
    fn a_condition_that_compares_what_cannot_be_compared_names_its_line() {
        let sql = "SELECT stock_id AS stock_id\nFROM stocks\nWHERE stock_name IS NULL\n  AND stock_id > 5\n";
        let told = problems(folder_with(sql).path());
        assert!(told[0].contains("rule file `XX01_mine.sql` line 13: "), "{told:?}");
        let elsewhere =
            "SELECT stock_id AS stock_id,\n       stock_id > 5 AS why\nFROM stocks\nWHERE stock_name IS NULL\n";
        let told = problems(folder_with(elsewhere).path());
        assert!(told[0].contains("rule file `XX01_mine.sql`: "), "no condition is blamed for a column: {told:?}");
    }

    #[test]
    fn a_column_of_another_type_is_refused_because_a_cast_would_change_it() {
        for (column, what) in [
            ("'12.5' AS at_risk_fen", "`at_risk_fen` is not a whole number"),
            ("max_coupons > 1 AS at_risk_fen", "`at_risk_fen` is not a whole number"),
            ("max_coupons * 0.29 AS expected_fen", "`expected_fen` is a number with a fraction: say how"),
            ("'2026-11-20' AS event_date", "`event_date` is not a date: CAST(… AS DATE)"),
            ("available_begin_time AS event_date", "`event_date` is an instant in UTC: give the business date"),
        ] {
            let sql = format!("SELECT stock_id AS stock_id,\n       {column}\nFROM stocks\n");
            let told = problems(folder_with(&sql).path());
            let case = told.iter().find(|line| line.starts_with("XX01/finds_a_stock: ")).unwrap();
            assert!(case.contains("rule file `XX01_mine.sql` line 11: ") && case.contains(what), "{told:?}");
        }
        let casts = "SELECT stock_id AS stock_id,\n       CAST(FLOOR(CAST(max_coupons AS DOUBLE) * 0.29) AS BIGINT) AS \
                     expected_count,\n       NULL AS actual_count,\n       CAST('2026-11-20' AS DATE) AS event_date\nFROM stocks\n";
        assert_eq!(problems(folder_with(casts).path()), Vec::<String>::new());
    }

    #[test]
    fn a_query_without_a_column_of_its_key_is_refused_because_its_rows_would_be_one_break() {
        let told = problems(folder_with("SELECT stock_name AS subject\nFROM stocks\n").path());
        let missing =
            "rule file `XX01_mine.sql`: `-- key:` needs the column `stock_id`, which the query does not return";
        assert_eq!(told, [format!("XX01/finds_a_stock: {missing}"), format!("XX01/quiet_without: {missing}")]);
    }

    #[test]
    fn a_panic_over_a_rule_with_a_condition_is_its_error_and_ends_nothing() {
        // The sum overflows, over which Polars panics where overflows are checked, as they are in tests.
        let sql = "SELECT MIN(stock_id) AS stock_id,\n       CAST(SUM(max_coupons * 4000000000000000000) AS STRING) AS subject\n\
                   FROM stocks\nWHERE max_coupons > 0\nGROUP BY stock_name\n";
        let folder = folder_with(sql);
        let stocks = folder.path().join("XX01/finds_a_stock/stocks.csv");
        std::fs::write(stocks, "stock_id,stock_name,max_coupons\nS1,n,2\nS2,n,2\n").unwrap();
        let told = problems(folder.path());
        let case = told.iter().find(|line| line.starts_with("XX01/finds_a_stock: ")).unwrap();
        assert!(case.contains("`XX01_mine.sql`") && case.contains("Polars cannot run it"), "{told:?}");
    }

    #[test]
    fn a_mistake_is_told_without_the_plan_of_the_query() {
        let sql = "SELECT stock_id AS stock_id,\n       1 AS why,\n       2 AS why\nFROM stocks\n";
        let told = problems(folder_with(sql).path());
        assert!(told.iter().any(|line| line.contains("duplicate")), "{told:?}");
        assert!(told.iter().all(|line| !line.contains("Resolved plan") && !line.contains("SCAN")), "{told:?}");
    }

    #[test]
    fn a_folder_of_cases_alone_tests_the_built_in_rules_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        for case in ["finds_a_used_coupon", "quiet_for_a_sended_one"] {
            let (case, is_used) = (folder.path().join("AO01").join(case), case.starts_with("finds"));
            std::fs::create_dir_all(&case).unwrap();
            let (state, found) = if is_used { ("USED", "S1,A\n") } else { ("SENDED", "") };
            let coupon = format!("stock_id,coupon_code,coupon_state,use_time\nS1,A,{state},2026-11-20 09:00:00\n");
            std::fs::write(case.join("user_coupons.csv"), coupon).unwrap();
            std::fs::write(case.join("expected.csv"), format!("stock_id,coupon_code\n{found}")).unwrap();
        }
        let outcomes = test_folder(folder.path()).unwrap();
        assert!(outcomes.iter().all(|it| it.problem.is_none()), "{outcomes:?}");
        let names: Vec<_> = outcomes.into_iter().map(|it| it.name).collect();
        assert_eq!(names, ["AO01/finds_a_used_coupon", "AO01/quiet_for_a_sended_one"]);
    }

    #[test]
    fn a_case_that_expects_something_else_is_told_with_both_sides() {
        let folder = folder_with("SELECT stock_id AS stock_id, 'a stock' AS why FROM stocks\n");
        std::fs::remove_dir_all(folder.path().join("XX01/quiet_without")).unwrap();
        std::fs::write(folder.path().join("XX01/finds_a_stock/expected.csv"), "stock_id,why\nS2,a stock\n").unwrap();
        let told = problems(folder.path());
        assert!(told[0].starts_with("XX01: there is no `quiet_…` case"), "{told:?}");
        assert!(told[1].contains("expected\n    S2,a stock") && told[1].contains("found\n    S1,a stock"), "{told:?}");
    }

    #[test]
    fn a_rule_that_is_not_portable_is_told_with_line_and_advice() {
        let folder =
            folder_with("SELECT stock_id AS stock_id,\n       max_coupons / 2 AS expected_count\nFROM stocks\n");
        let told = problems(folder.path());
        assert!(told[0].starts_with("XX01: `XX01_mine.sql` line 11: a division is not portable: multiply"), "{told:?}");
    }

    #[test]
    fn a_sentence_the_header_does_not_have_is_a_problem_of_the_case() {
        let folder = folder_with("SELECT stock_id AS stock_id, 'a stock' AS why FROM stocks\n");
        let path = folder.path().join("XX01_mine.sql");
        let sql = std::fs::read_to_string(&path).unwrap();
        let with = |pair: &str| std::fs::write(&path, sql.replace("-- row: a stock\n", pair)).unwrap();
        with("-- row: a stock\n-- why: a {what}\n-- 原因: 一个 {what}\n");
        assert_eq!(problems(folder.path()), Vec::<String>::new());
        with("-- row: a stock\n-- why: the {what}\n-- 原因: 那个 {what}\n");
        assert_eq!(problems(folder.path()), ["XX01/finds_a_stock: no `-- why:` line of XX01 reads `a stock`"]);
    }

    #[test]
    fn every_rule_of_this_project_says_why_in_both_languages() {
        let silent: Vec<_> = Rules::built_in().iter().filter(|rule| rule.wordings.is_empty()).cloned().collect();
        assert!(silent.is_empty(), "{silent:?}");
    }

    #[test]
    fn every_rule_finds_what_it_should_and_stays_quiet_otherwise() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("jobs/rules");
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
