//! `coupon-recon breaks`: the open breaks of a published day as a table, with a gate for a DAG; or how
//! the status of its breaks changed from night to night.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use chrono::{Days, NaiveDate};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::arguments::Breaks;
use super::run::{load_job, parse_gate};
use super::terminal::{self, Level, say};
use crate::clock::World;
use crate::dataset::Lake;
use crate::dataset::bucket::Scope;
use crate::dataset::partition::{PartitionError, open_rows, read_columns};
use crate::error::{ExitCode, Failure};
use crate::pipeline::{ReadableLake, not_published, temporary, unread};
use crate::reconcile::BreakFigures;
use crate::record::{Break, BreakStatus, Record};
use crate::report::OpenBreaks;

pub(super) fn run(command: &Breaks, world: &World) -> Result<ExitCode, Failure> {
    let date = command.date.or_yesterday(world);
    let job = load_job(&command.job)?;
    let gate = command.fail_on.as_deref().map(|text| parse_gate(text, &job)).transpose()?;
    let from = first_of(command.since, date)?;
    let reading = ReadableLake::open(&job, &Scope::Days { dataset: Break::DATASET, from, to: date })?;
    let lake = &reading.lake;
    let path = lake.partition(Break::DATASET, date);
    if !path.is_file() {
        return Err(not_published(&job, lake, date));
    }
    if let Some(since) = command.since {
        return lives(lake, since, date);
    }
    let figures = show_open(&path)?;
    match gate.and_then(|gate| gate.exceeded(&figures)) {
        Some(exceeded) => {
            terminal::tell(Level::Warn, format_args!("gate: {exceeded}"));
            Ok(ExitCode::Gate)
        }
        None => Ok(ExitCode::Complete),
    }
}

/// Shows the open breaks of a partition, those with most money at risk first; returns the figures of all its breaks.
fn show_open(path: &Path) -> Result<BreakFigures, Failure> {
    let unsorted = |error: io::Error| temporary(&error, "cannot sort the published breaks");
    let (mut figures, mut open) = (BreakFigures::default(), OpenBreaks::sorting_in(&std::env::temp_dir()));
    for it in open_rows::<Break>(path).map_err(|error| unreadable(&error))? {
        let it = it.map_err(|error| unreadable(&error))?;
        figures.note(&it);
        if it.is_open() {
            open.add(&it).map_err(unsorted)?;
        }
    }
    say(format_args!("{:<16}  {:<5}  {:<8}  {:>4}  {:>12}  why", "break_id", "rule", "status", "age", "yuan"));
    for it in open.by_risk().map_err(unsorted)? {
        let it = it.map_err(unsorted)?;
        let yuan = it.at_risk_fen.to_string();
        say(format_args!(
            "{:<16}  {:<5}  {:<8}  {:>4}  {yuan:>12}  {}",
            it.break_id, it.rule_id, it.status, it.age_days, it.why
        ));
    }
    Ok(figures)
}

/// The first night that is shown.
fn first_of(since: Option<NaiveDate>, date: NaiveDate) -> Result<NaiveDate, Failure> {
    match since {
        Some(since) if since > date => {
            let what = format!("--since {since} is after --date {date}");
            Err(Failure::new(ExitCode::Usage, what).hinting("breaks are shown from `--since` up to `--date`"))
        }
        since => Ok(since.unwrap_or(date)),
    }
}

fn unreadable(error: &PartitionError) -> Failure {
    unread(error, "cannot read the published breaks")
}

/// What a history shows of a break of its last night.
#[derive(Deserialize)]
struct Listed {
    break_id: String,
    rule_id: String,
    why: String,
}

/// The status of a break on a night.
#[derive(Deserialize)]
struct Standing {
    break_id: String,
    status: BreakStatus,
}

/// The status histories of the breaks of `to` since `from`, most frequent first, each with an example. Of the other nights
/// one is in memory at a time.
fn lives(lake: &Lake, from: NaiveDate, to: NaiveDate) -> Result<ExitCode, Failure> {
    let nights = lake
        .partitions(Break::DATASET, from, to + Days::new(1))
        .map_err(|error| Failure::caused_by(ExitCode::Partial, "cannot list the published breaks", &error))?;
    let listed: Vec<Listed> = columns(&lake.partition(Break::DATASET, to), &["break_id", "rule_id", "why"])?;
    let unlisted = listed.iter().map(|it| (it.break_id.as_str(), vec![""; nights.len()]));
    let mut lives: BTreeMap<&str, Vec<&str>> = unlisted.collect();
    for (place, night) in nights.iter().enumerate() {
        for it in columns::<Standing>(&night.path, &["break_id", "status"])? {
            if let Some(life) = lives.get_mut(it.break_id.as_str()) {
                life[place] = it.status.as_str();
            }
        }
    }
    let dates: String = nights.iter().map(|night| format!("{:<12}", night.date.to_string())).collect();
    say(format_args!("{dates}{:>6}  for example", "breaks"));
    for (life, breaks) in ways_of_life(&listed, &lives) {
        let life: String = life.iter().map(|status| format!("{status:<12}")).collect();
        let example = breaks[0];
        say(format_args!("{life}{:>6}  {} {}: {}", breaks.len(), example.break_id, example.rule_id, example.why));
    }
    Ok(ExitCode::Complete)
}

fn columns<T: DeserializeOwned>(path: &Path, names: &[&str]) -> Result<Vec<T>, Failure> {
    read_columns(path, Break::DATASET, names).map_err(|error| unreadable(&error))
}

/// The breaks of each life: their status on each night, empty where they were not listed.
fn ways_of_life<'l>(
    listed: &'l [Listed],
    lives: &'l BTreeMap<&str, Vec<&'l str>>,
) -> Vec<(&'l [&'l str], Vec<&'l Listed>)> {
    let mut ways: BTreeMap<&[&str], Vec<&Listed>> = BTreeMap::new();
    for it in listed {
        ways.entry(&lives[it.break_id.as_str()]).or_default().push(it);
    }
    let mut ways: Vec<_> = ways.into_iter().collect();
    ways.sort_by(|one, other| other.1.len().cmp(&one.1.len()).then_with(|| one.0.cmp(other.0)));
    ways
}
