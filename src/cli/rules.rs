//! `coupon-recon rules`: the rules in force, one of them in full, the cases of a folder.

use std::path::Path;

use super::arguments::Rules as Command;
use super::screen::say;
use crate::error::{ExitCode, Failure};
use crate::reconcile::ReconcileError;
use crate::reconcile::rules::{Rule, Rules, test_folder};

pub(super) fn run(command: &Command) -> Result<ExitCode, Failure> {
    match command {
        Command::List => list(),
        Command::Show { id } => return show(id),
        Command::Test { folder } => return test(folder),
    }
    Ok(ExitCode::Complete)
}

fn list() {
    for rule in Rules::built_in().iter() {
        say(format_args!("{:<6} {:<6} {}  {}", rule.id, rule.severity.as_str(), rule.title, rule.title_zh));
    }
}

fn show(id: &str) -> Result<ExitCode, Failure> {
    let rules = Rules::built_in();
    let Some(rule) = rules.find(id) else {
        let known: Vec<_> = rules.iter().map(|rule| rule.id.as_str()).collect();
        let nearest = known.iter().max_by(|a, b| strsim::jaro(id, a).total_cmp(&strsim::jaro(id, b)));
        let failure = Failure::new(ExitCode::Usage, format!("there is no rule `{id}`"));
        return Err(
            failure.hinting(format!("did you mean `{}`? `coupon-recon rules list` shows all", nearest.unwrap_or(&"")))
        );
    };
    print_rule(rule);
    Ok(ExitCode::Complete)
}

fn print_rule(rule: &Rule) {
    say(format_args!("{} {} · {}", rule.id, rule.title, rule.title_zh));
    say(format_args!(
        "severity {} · side {} · inputs {}",
        rule.severity.as_str(),
        rule.side,
        rule.datasets().collect::<Vec<_>>().join(", ")
    ));
    say(format_args!("a row means: {}\naction: {}\n\n{}", rule.row, rule.action, rule.sql.trim()));
}

fn test(folder: &Path) -> Result<ExitCode, Failure> {
    let wrong = |error: ReconcileError| Failure::caused_by(ExitCode::Usage, "the rules cannot be tested", &error);
    let outcomes = test_folder(folder).map_err(wrong)?;
    let failed = outcomes.iter().filter(|outcome| outcome.problem.is_some()).count();
    let mut told = "";
    for outcome in &outcomes {
        let (id, case) = outcome.name.split_once('/').unwrap_or((&outcome.name, ""));
        if id != told {
            say(id);
            told = id;
        }
        match &outcome.problem {
            None => say(format_args!("  ok   {case}")),
            Some(problem) => say(format_args!("  FAIL {case}: {problem}")),
        }
    }
    say(format_args!("{} passed, {failed} failed", outcomes.len() - failed));
    Ok(if failed == 0 { ExitCode::Complete } else { ExitCode::Violation })
}
