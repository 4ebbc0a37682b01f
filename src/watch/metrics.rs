//! A night as Prometheus metrics, in a file for node_exporter's textfile collector. Keeps values of
//! earlier runs that this run cannot know: even after a failed night there is a time of the last
//! success.

use std::collections::BTreeMap;
use std::fmt::Write;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::dataset::manifest::{Coverage, Manifest};
use crate::dataset::staged::{StagedFile, partitions};
use crate::dataset::status::StageStatus;
use crate::money::Fen;
use crate::reconcile::BreakFigures;
use crate::reconcile::rules::Rule;
use crate::record::Severity;

/// The metrics of a job; kept in the lake's state between runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gauges {
    last_run_at: Option<DateTime<Utc>>,
    last_run_seconds: i64,
    last_exit_code: i32,
    last_success_at: Option<DateTime<Utc>>,
    last_success_date: Option<NaiveDate>,
    /// Per stage: requests, answers from the journal, retries.
    asked: BTreeMap<String, Asked>,
    /// Rows by dataset.
    rows: BTreeMap<String, u64>,
    /// The latest judged day, to which breaks and coverage belong.
    #[serde(default)]
    judged_date: Option<NaiveDate>,
    /// Open breaks by rule.
    open: BTreeMap<String, Open>,
    coverage: Option<Coverage>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Asked {
    requests: u64,
    from_journal: u64,
    retries: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Open {
    severity: Severity,
    count: u64,
    fen: Fen,
}

impl Gauges {
    /// After a run with a manifest. `rules` are all rules in force: one without a break is shown as 0,
    /// not omitted.
    pub fn note_night<'r>(
        &mut self,
        manifest: &Manifest,
        breaks: &BreakFigures,
        rules: impl Iterator<Item = &'r Rule>,
    ) {
        self.note_end(manifest.finished_at, manifest.started_at, manifest.exit_code);
        let asks = manifest.stages.iter().filter(|stage| stage.status != StageStatus::Skipped);
        let asked = asks.map(|it| {
            let asked = Asked { requests: it.requests, from_journal: it.from_journal, retries: it.retries };
            (it.stage.clone(), asked)
        });
        self.asked.extend(asked);
        let datasets = partitions(&manifest.files).filter(|parts| !parts[0].is_report());
        let rows = |parts: &[StagedFile]| parts.iter().map(|file| file.rows).sum();
        self.rows.extend(datasets.map(|parts| (parts[0].dataset.clone(), rows(parts))));
        // The rerun of an older day does not describe the present.
        if manifest.is_judged() && self.judged_date <= Some(manifest.business_date) {
            self.judged_date = Some(manifest.business_date);
            self.open = open_by_rule(breaks, rules);
            if manifest.coverage.is_some() {
                self.coverage.clone_from(&manifest.coverage);
            }
        }
        if manifest.exit_code == 0 && manifest.is_judged() {
            self.last_success_at = Some(manifest.finished_at);
            self.last_success_date = Some(manifest.business_date).max(self.last_success_date);
        }
    }

    /// After a run without a manifest.
    pub fn note_end(&mut self, at: DateTime<Utc>, started_at: DateTime<Utc>, exit_code: i32) {
        self.last_run_at = Some(at);
        self.last_run_seconds = (at - started_at).num_seconds();
        self.last_exit_code = exit_code;
    }

    /// The metrics in the text exposition format.
    pub fn render(&self, job: &str) -> String {
        let mut page = Page { text: String::new(), job: label("job", job) };
        page.times(self);
        page.family(
            "last_run_requests",
            "Questions an API answered in the last run, each with all its pages, by stage.",
            self.stages(|it| it.requests),
        );
        page.family(
            "last_run_journal_answers",
            "Answers the last run took from the journal, by stage.",
            self.stages(|it| it.from_journal),
        );
        page.family(
            "last_run_retries",
            "Attempts beyond the first in the last run, by stage.",
            self.stages(|it| it.retries),
        );
        let rows = self.rows.iter().map(|(name, rows)| (label("dataset", name), rows.to_string()));
        page.family("dataset_rows", "Rows of the partition published last, by dataset.", rows);
        page.family("open_breaks", "Open breaks, by rule and severity.", self.breaks(|it| it.count.to_string()));
        page.family(
            "open_fen",
            "Money at risk in open breaks in fen (1/100 yuan), by rule and severity.",
            self.breaks(|it| it.fen.0.to_string()),
        );
        if let Some(coverage) = self.coverage.as_ref().filter(|coverage| coverage.wallets > 0) {
            let share = coverage.wallets_verified as f64 / coverage.wallets as f64;
            page.one("wallet_coverage_ratio", "Share of known wallets verified within audit_days.", share.to_string());
        }
        page.text
    }

    fn stages(&self, count: impl Fn(&Asked) -> u64) -> impl Iterator<Item = (String, String)> {
        self.asked.iter().map(move |(stage, asked)| (label("stage", stage), count(asked).to_string()))
    }

    fn breaks(&self, value: impl Fn(&Open) -> String) -> impl Iterator<Item = (String, String)> {
        self.open.iter().map(move |(rule, open)| {
            (format!("{},{}", label("rule", rule), label("severity", open.severity.as_str())), value(open))
        })
    }
}

fn open_by_rule<'r>(breaks: &BreakFigures, rules: impl Iterator<Item = &'r Rule>) -> BTreeMap<String, Open> {
    let empty = |severity: Severity| Open { severity, count: 0, fen: Fen::ZERO };
    let mut open: BTreeMap<_, _> = rules.map(|rule| (rule.id.clone(), empty(rule.severity))).collect();
    for (kind, tally) in breaks.open_kinds() {
        let entry = open.entry(kind.rule_id.clone()).or_insert_with(|| empty(kind.severity));
        entry.count += tally.rows.unsigned_abs();
        entry.fen += tally.at_risk_fen;
    }
    open
}

/// Text that is being built: one metric family after the other, each with its help and type.
struct Page {
    text: String,
    job: String,
}

impl Page {
    fn times(&mut self, it: &Gauges) {
        let seconds = |at: Option<DateTime<Utc>>| at.map(|at| at.timestamp().to_string());
        let day = it.last_success_date.map(|date| clock::start_of(date).timestamp().to_string());
        let lines = [
            ("last_run_timestamp_seconds", "When the last run ended.", seconds(it.last_run_at)),
            ("last_run_duration_seconds", "How long the last run took.", Some(it.last_run_seconds.to_string())),
            ("last_run_exit_code", "Exit code of the last run.", Some(it.last_exit_code.to_string())),
            ("last_success_timestamp_seconds", "When a complete night last ended.", seconds(it.last_success_at)),
            ("last_success_business_date_seconds", "Start of the latest complete business date.", day),
        ];
        for (name, help, value) in lines {
            value.into_iter().for_each(|value| self.one(name, help, value));
        }
    }

    fn one(&mut self, name: &str, help: &str, value: String) {
        self.family(name, help, std::iter::once((String::new(), value)));
    }

    fn family(&mut self, name: &str, help: &str, samples: impl Iterator<Item = (String, String)>) {
        let mut samples = samples.peekable();
        if samples.peek().is_none() {
            return;
        }
        let _ = writeln!(self.text, "# HELP coupon_recon_{name} {help}\n# TYPE coupon_recon_{name} gauge");
        for (labels, value) in samples {
            let comma = if labels.is_empty() { "" } else { "," };
            let _ = writeln!(self.text, "coupon_recon_{name}{{{}{comma}{labels}}} {value}", self.job);
        }
    }
}

/// `name="value"`, escaped as the format requires.
fn label(name: &str, value: &str) -> String {
    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("{name}=\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::manifest::StageEntry;
    use crate::dataset::status::RunStatus;
    use crate::reconcile::rules::Rules;
    use crate::record::Break;
    use crate::stage::Stage;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_failed_run_keeps_the_last_success_and_the_breaks_of_it() {
        let mut gauges = Gauges {
            last_success_at: Some(at("2026-11-20T02:00:00Z")),
            last_success_date: NaiveDate::from_ymd_opt(2026, 11, 19),
            open: BTreeMap::from([("AO01".into(), Open { severity: Severity::High, count: 2, fen: Fen(1250) })]),
            ..Gauges::default()
        };
        gauges.note_end(at("2026-11-21T02:00:07Z"), at("2026-11-21T02:00:00Z"), 69);
        let text = gauges.render("coffee");
        for line in [
            "coupon_recon_last_run_exit_code{job=\"coffee\"} 69",
            "coupon_recon_last_run_duration_seconds{job=\"coffee\"} 7",
            "coupon_recon_last_success_timestamp_seconds{job=\"coffee\"} 1795140000",
            "coupon_recon_open_fen{job=\"coffee\",rule=\"AO01\",severity=\"high\"} 1250",
            "coupon_recon_open_breaks{job=\"coffee\",rule=\"AO01\",severity=\"high\"} 2",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} is missing in\n{text}");
        }
    }

    fn judged(day: u32, wallets_verified: u64) -> Manifest {
        let date = NaiveDate::from_ymd_opt(2026, 11, day).unwrap();
        let coverage =
            Coverage { audit_days: 30, wallets: 4, wallets_verified, coupons_verified: 0, coupons_issued: 0 };
        let stages = vec![StageEntry::new(Stage::Reconcile, StageStatus::Complete)];
        Manifest { coverage: Some(coverage), stages, ..Manifest::for_tests("coffee", date, Vec::new()) }
    }

    fn open_of(gauges: &Gauges) -> Vec<(&str, u64)> {
        gauges.open.iter().map(|(rule, open)| (rule.as_str(), open.count)).collect()
    }

    #[test]
    fn breaks_and_coverage_are_those_of_the_latest_day_however_late_another_is_judged() {
        let rules = Rules::built_in();
        let rules = || rules.iter().filter(|rule| ["AO01", "AO02"].contains(&rule.id.as_str()));
        let (latest, mut gauges) = (judged(20, 3), Gauges::default());
        let breaks = BreakFigures::of(&[Break::for_tests("AO01", latest.business_date)]);
        let none = BreakFigures::default();
        gauges.note_night(&latest, &breaks, rules());
        assert_eq!(open_of(&gauges), [("AO01", 1), ("AO02", 0)], "a rule without a break shows as 0");
        gauges.note_night(&judged(18, 1), &none, rules());
        assert_eq!(open_of(&gauges), [("AO01", 1), ("AO02", 0)]);
        assert!(gauges.render("coffee").contains("wallet_coverage_ratio{job=\"coffee\"} 0.75"));
        let unjudged = Manifest { stages: Vec::new(), ..judged(21, 1) };
        gauges.note_night(&unjudged, &none, rules());
        assert_eq!(open_of(&gauges), [("AO01", 1), ("AO02", 0)]);
        let held_back = Manifest { status: RunStatus::Failed, exit_code: 75, ..judged(20, 1) };
        gauges.note_night(&held_back, &none, rules());
        assert_eq!(open_of(&gauges), [("AO01", 1), ("AO02", 0)], "nothing of it was published");
        gauges.note_night(&judged(20, 4), &none, rules());
        assert_eq!(open_of(&gauges), [("AO01", 0), ("AO02", 0)], "the same day, run again");
        assert!(gauges.render("coffee").contains("wallet_coverage_ratio{job=\"coffee\"} 1\n"));
    }

    #[test]
    fn every_family_has_help_and_type_once_and_labels_are_escaped() {
        let mut gauges = Gauges::default();
        gauges.note_end(at("2026-11-21T02:00:07Z"), at("2026-11-21T02:00:00Z"), 0);
        gauges.rows.extend([("a".into(), 1), ("b".into(), 2)]);
        let text = gauges.render("a\"b\\c\nd");
        assert!(text.contains("{job=\"a\\\"b\\\\c\\nd\",dataset=\"a\"} 1"), "{text}");
        assert!(text.ends_with('\n'));
        let families = text.lines().filter(|line| line.starts_with("# TYPE")).count();
        assert_eq!(text.lines().filter(|line| line.starts_with("# HELP")).count(), families);
        assert_eq!(text.matches("# TYPE coupon_recon_dataset_rows gauge").count(), 1);
    }
}
