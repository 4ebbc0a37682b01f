//! `coupon-recon rules`: the rules in force, one of them in full, the cases of a folder.

use std::path::Path;

use super::arguments::Rules as Command;
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
        println!("{:<6} {:<6} {}  {}", rule.id, rule.severity.as_str(), rule.title, rule.title_zh);
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
    println!("{} {} · {}", rule.id, rule.title, rule.title_zh);
    println!(
        "severity {} · side {} · inputs {}",
        rule.severity.as_str(),
        rule.side,
        rule.datasets().collect::<Vec<_>>().join(", ")
    );
    println!("a row means: {}\naction: {}\n\n{}", rule.row, rule.action, rule.sql.trim());
}

fn test(folder: &Path) -> Result<ExitCode, Failure> {
    let wrong = |error: ReconcileError| Failure::caused_by(ExitCode::Usage, "the rules cannot be tested", &error);
    let outcomes = test_folder(folder).map_err(wrong)?;
    let failed = outcomes.iter().filter(|outcome| outcome.problem.is_some()).count();
    for outcome in &outcomes {
        match &outcome.problem {
            None => println!("ok   {}", outcome.name),
            Some(problem) => println!("FAIL {}: {problem}", outcome.name),
        }
    }
    println!("{} passed, {failed} failed", outcomes.len() - failed);
    Ok(if failed == 0 { ExitCode::Complete } else { ExitCode::Violation })
}
