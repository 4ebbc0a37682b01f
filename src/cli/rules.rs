//! `coupon-recon rules`: lists the rules in force, shows one, or runs the cases of a folder.

use std::path::Path;

use super::arguments::{Rules as Command, RulesCommand};
use super::terminal::say;
use crate::error::{ExitCode, Failure};
use crate::reconcile::rules::{Rule, Rules};
use crate::reconcile::{ReconcileError, test_folder};

pub(super) fn run(command: &RulesCommand) -> Result<ExitCode, Failure> {
    match &command.of {
        None | Some(Command::List) => Ok(list()),
        Some(Command::Show { id }) => show(id),
        Some(Command::Test { folder }) => test(folder),
    }
}

fn list() -> ExitCode {
    for rule in Rules::built_in().iter() {
        say(format_args!("{:<6} {:<6} {}  {}", rule.id, rule.severity.as_str(), rule.title, rule.title_zh));
    }
    ExitCode::Complete
}

fn show(id: &str) -> Result<ExitCode, Failure> {
    let rules = Rules::built_in();
    print_rule(rules.find(id).ok_or_else(|| unknown_rule(&rules, id))?);
    Ok(ExitCode::Complete)
}

/// The rules of a job whose files are wrong.
pub(super) fn unreadable_rules(error: &ReconcileError) -> Failure {
    Failure::caused_by(ExitCode::Usage, "the rules of the job cannot be read", error)
}

/// An unknown rule, with the most similar name.
pub(super) fn unknown_rule(rules: &Rules, id: &str) -> Failure {
    let nearest = rules.nearest(id).map_or_else(String::new, |rule| format!("did you mean `{}`? ", rule.id));
    Failure::new(ExitCode::Usage, format!("there is no rule `{id}`"))
        .hinting(format!("{nearest}`coupon-recon rules list` shows those that come with the program"))
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
