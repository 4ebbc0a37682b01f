//! The summary of a night for people, in a few lines of text.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::outcome::NightOutcome;
use super::setup_mistakes;
use crate::dataset::Lake;
use crate::dataset::manifest::{Coverage, FootingEntry, Intake, Manifest, Restated, StageEntry};
use crate::extract::Issue;
use crate::quantity::counted;
use crate::reconcile::{BreakFigures, BreakTally};
use crate::report;

/// The summary of one night, ending in a newline.
pub fn print(outcome: &NightOutcome, lake: &Lake) -> String {
    let manifest = &outcome.manifest;
    let mut text = format!("{} · {} · {}\n", manifest.job, manifest.business_date, manifest.status);
    text.push_str("  stage           status     rows  asked  journal\n");
    for stage in &manifest.stages {
        let _ = writeln!(text, "{}", stage_line(stage));
    }
    intake(&mut text, &manifest.intake);
    footing(&mut text, &manifest.footing);
    text.extend(manifest.coverage.as_ref().map(coverage));
    if manifest.is_judged() {
        breaks(&mut text, &outcome.breaks);
    }
    for mistake in setup_mistakes::suspect(outcome) {
        let _ = writeln!(text, "  warning: {mistake}");
    }
    neighbours(&mut text, manifest);
    unjudged(&mut text, &manifest.unjudged_rules);
    problems(&mut text, &outcome.issues);
    if let Some(stale) = stale(manifest) {
        let _ = writeln!(text, "  {stale}");
    }
    places(&mut text, outcome, lake);
    text
}

/// What an operator should know about a night that is otherwise complete.
pub fn warnings(outcome: &NightOutcome) -> impl Iterator<Item = String> {
    let manifest = &outcome.manifest;
    gap(manifest).into_iter().chain(stale(manifest)).chain(setup_mistakes::suspect(outcome))
}

/// What a rerun changed in the breaks of its day; `None` if it changed none of them.
pub fn restatement(outcome: &NightOutcome) -> Option<String> {
    let delta = delta(&outcome.manifest).filter(|delta| delta.new + delta.gone + delta.changed > 0)?;
    Some(format!("{}, {}", outcome.manifest.business_date, compared(delta)))
}

fn delta(manifest: &Manifest) -> Option<&Restated> {
    manifest.restated.as_ref().filter(|_| manifest.is_judged())
}

fn compared(delta: &Restated) -> String {
    let Restated { new, gone, changed, .. } = delta;
    format!("compared with the breaks published before: {new} new, {gone} gone, {changed} changed")
}

fn gap(manifest: &Manifest) -> Option<String> {
    let (first, last) = manifest.missing_dates?;
    let days = if first == last { first.to_string() } else { format!("{first} to {last}") };
    Some(format!("{days} was never run; what happened then is not in the books"))
}

fn stale(manifest: &Manifest) -> Option<String> {
    let dates: Vec<_> = manifest.stale_dates.iter().map(ToString::to_string).collect();
    (!dates.is_empty()).then(|| format!("made from an older version of this day, run them again: {}", dates.join(", ")))
}

fn stage_line(stage: &StageEntry) -> String {
    let rows: u64 = stage.rows.values().sum();
    let notes: String = stage.notes.iter().map(|(name, count)| format!("  {name} {count}")).collect();
    let line = format!(
        "  {:<15} {:<9} {:>5} {:>6} {:>8}{notes}",
        stage.stage, stage.status, rows, stage.requests, stage.from_journal
    );
    line.trim_end().to_owned()
}

/// From source to partition: read + carried = repeated + quarantined + published, in rows and in yuan.
fn intake(text: &mut String, intake: &[Intake]) {
    if intake.is_empty() {
        return;
    }
    let _ = write!(text, "  intake           pages");
    for column in ["read", "carried", "repeated", "quarantined", "published"] {
        let _ = write!(text, " {column:>17}");
    }
    text.push('\n');
    for it in intake {
        let _ = write!(text, "    {:<16} {:>4}", it.dataset, it.pages);
        for (rows, fen) in [
            (it.read, it.read_fen),
            (it.carried, it.carried_fen),
            (it.repeated, it.repeated_fen),
            (it.quarantined, it.quarantined_fen),
            (it.published, it.published_fen),
        ] {
            let _ = write!(text, " {rows:>6} {:>10}", fen.to_string());
        }
        text.push('\n');
    }
}

/// Through the match: total = matched + unmatched + left out, in rows and in yuan.
fn footing(text: &mut String, sides: &[FootingEntry]) {
    if sides.is_empty() {
        return;
    }
    let _ =
        writeln!(text, "  match            {:>19} {:>19} {:>19} {:>19}", "total", "matched", "unmatched", "left out");
    for side in sides {
        let _ = write!(text, "    {:<14}", side.side);
        for tally in [side.total, side.matched, side.unmatched, side.left_out] {
            let _ = write!(text, " {:>6} {:>12}", tally.rows, tally.fen.to_string());
        }
        text.push('\n');
    }
}

fn coverage(it: &Coverage) -> String {
    format!(
        "  coverage: {} of {} wallets verified within {} days; {} coupons verified, {} issued\n",
        it.wallets_verified, it.wallets, it.audit_days, it.coupons_verified, it.coupons_issued
    )
}

/// The days before and after that concern this one.
fn neighbours(text: &mut String, manifest: &Manifest) {
    if let Some(delta) = delta(manifest) {
        let _ = writeln!(text, "  {}", compared(delta));
    }
    if let Some(gap) = gap(manifest) {
        let _ = writeln!(text, "  warning: {gap}");
    }
    if manifest.early_decisions > 0 {
        let decisions = counted(manifest.early_decisions, "decision is about a break", "decisions are about breaks");
        let _ = writeln!(text, "  note: {decisions} first seen on a later day");
    }
}

/// The rules that were not run, grouped by cause.
fn unjudged(text: &mut String, rules: &BTreeMap<String, String>) {
    let mut told: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (rule, why) in rules {
        told.entry(why).or_default().push(rule);
    }
    for (why, rules) in told {
        // The further lines, of bad rows, stand below as a problem.
        let mut lines = why.lines();
        let (first, rest) = (lines.next().unwrap_or_default(), if lines.next().is_some() { " …" } else { "" });
        let _ = writeln!(text, "  not judged: {} ({first}{rest})", rules.join(", "));
    }
}

/// One problem per kind and hint, with the number of others like it.
fn problems(text: &mut String, issues: &[Issue]) {
    let mut told: Vec<(&Issue, usize)> = Vec::new();
    for issue in issues {
        if issue.hint.is_none() && told.iter().any(|(it, _)| it.what == issue.what) {
            continue;
        }
        match told.iter_mut().find(|(it, _)| it.hint.is_some() && (it.kind, &it.hint) == (issue.kind, &issue.hint)) {
            Some((_, more)) => *more += 1,
            None => told.push((issue, 0)),
        }
    }
    for (issue, more) in told {
        let others = if more > 0 { format!(" (and {more} more like it)") } else { String::new() };
        let _ = writeln!(text, "  problem: {}{others}", issue.what);
        if let Some(hint) = &issue.hint {
            let _ = writeln!(text, "     hint: {hint}");
        }
    }
}

fn breaks(text: &mut String, breaks: &BreakFigures) {
    let BreakTally { rows, at_risk_fen } = breaks.open();
    let _ = writeln!(text, "  open breaks: {rows}, {at_risk_fen} yuan at risk");
    let mut rules: BTreeMap<&str, BTreeMap<&str, i64>> = BTreeMap::new();
    for (kind, tally) in breaks.kinds() {
        *rules.entry(&kind.rule_id).or_default().entry(kind.status.as_str()).or_default() += tally.rows;
    }
    for (rule, statuses) in rules {
        let statuses: Vec<_> = statuses.iter().map(|(status, count)| format!("{count} {status}")).collect();
        let _ = writeln!(text, "    {rule:<5} {}", statuses.join(", "));
    }
}

fn places(text: &mut String, outcome: &NightOutcome, lake: &Lake) {
    let manifest = &outcome.manifest;
    if manifest.files.is_empty() {
        text.push_str("  nothing was published\n");
    } else {
        let _ = writeln!(text, "  datasets  {}", lake.shown(&lake.root().join("datasets")));
    }
    let _ = writeln!(text, "  manifest  {}", outcome.manifest_path.display());
    let has_page = manifest.files.iter().any(|file| file.is_report() && file.name == report::PAGE);
    if has_page {
        let _ = writeln!(text, "  report    {}", lake.shown(&lake.reports(manifest.business_date).join(report::PAGE)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_rows_stand_with_their_problem_and_not_again_with_the_rules() {
        let rules = [
            ("AO01", "2 bad rows\n  line 3: no amount"),
            ("AO02", "2 bad rows\n  line 3: no amount"),
            ("PM01", "no bill"),
        ];
        let (mut text, rules) = (String::new(), rules.map(|(id, why)| (id.to_owned(), why.to_owned())).into());
        unjudged(&mut text, &rules);
        assert_eq!(text, "  not judged: AO01, AO02 (2 bad rows …)\n  not judged: PM01 (no bill)\n");
    }
}
