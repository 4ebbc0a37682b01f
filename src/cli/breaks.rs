//! `coupon-recon breaks`: the open breaks of a published day as a table, and the gate for a DAG.

use super::arguments::Breaks;
use super::run::{load_job, parse_gate};
use super::screen::{self, Level, say};
use crate::dataset::Lake;
use crate::dataset::partition::read_rows;
use crate::error::{ExitCode, Failure};
use crate::record::Break;
use crate::report::is_open;

pub(super) fn run(command: &Breaks) -> Result<ExitCode, Failure> {
    let job = load_job(&command.job)?;
    let gate = command.fail_on.as_deref().map(parse_gate).transpose()?;
    let path = Lake::at(&job.lake).partition("breaks", command.date);
    if !path.is_file() {
        let what = format!("no breaks are published for {}", command.date);
        return Err(Failure::new(ExitCode::TryLater, what).hinting("run that date first"));
    }
    let mut breaks = read_rows::<Break>(&path)
        .map_err(|error| Failure::caused_by(ExitCode::Violation, "cannot read the published breaks", &error))?;
    breaks.sort_by(|a, b| b.at_risk_fen.cmp(&a.at_risk_fen).then_with(|| a.break_id.cmp(&b.break_id)));
    say(format_args!("{:<16}  {:<5}  {:<8}  {:>4}  {:>12}  why", "break_id", "rule", "status", "age", "yuan"));
    for it in breaks.iter().filter(|it| is_open(it)) {
        let yuan = it.at_risk_fen.to_string();
        say(format_args!(
            "{:<16}  {:<5}  {:<8}  {:>4}  {yuan:>12}  {}",
            it.break_id, it.rule_id, it.status, it.age_days, it.why
        ));
    }
    match gate.and_then(|gate| gate.exceeded(&breaks)) {
        Some(exceeded) => {
            screen::tell(Level::Warn, format_args!("gate: {exceeded}"));
            Ok(ExitCode::Gate)
        }
        None => Ok(ExitCode::Complete),
    }
}
