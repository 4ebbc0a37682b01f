//! Reduces the remaining mentions by the keys of their rows: absence from another table, or groups with enough rows.
//! Few keys become an additional condition; otherwise the keys of both sides are partitioned and compared. One scan of
//! each table serves all rules.

use std::collections::BTreeMap;
use std::path::Path;

use arrow::error::ArrowError;

use super::absence::{self, Search};
use super::keyed::{Gathering, Numbered, gather};
use super::large_groups::{self, MoreThan};
use super::limits::Limits;
use super::ordered::Grouped;
use super::planned::{Planned, Sources, State};
use super::scattered::{Scattered, parts_for};
use super::source::Source;
use super::table_scan::{KeyNames, Membership, Trial};
use super::term::Mention;
use super::trials::try_all;

/// What is required of the keys of rows.
enum Demand {
    /// They are absent from a search, given by index.
    Absent(usize),
    /// Their groups have more rows than this.
    InLargeGroup(MoreThan),
}

impl Demand {
    /// Into how many parts the keys of `source` are divided.
    fn parts(&self, source: &Source, searches: &[Search]) -> usize {
        match self {
            Demand::Absent(search) => searches[*search].parts(),
            Demand::InLargeGroup(_) => parts_for(source.rows),
        }
    }
}

/// A mention, and its rows that are to be decided.
struct Question {
    trial: Trial,
    demand: Demand,
    rows: Gathering<Numbered>,
}

/// Reduces what can be reduced by keys. After an error, the rest stays as it was.
pub(super) fn reduce(
    rules: &mut [Planned],
    sources: &Sources,
    limits: Limits,
    scratch: &Path,
) -> Result<(), ArrowError> {
    let searches = absence::search(rules, sources, limits, scratch);
    let (mut trials, mut questions) = (BTreeMap::<&str, Vec<_>>::new(), BTreeMap::<&str, Vec<_>>::new());
    for (rule, planned) in rules.iter_mut().enumerate() {
        for mention in planned.waiting() {
            let Some((table, source)) = sources.get_key_value(&planned.shape.tables[mention]) else { continue };
            let Some((demand, names)) = demand(planned, rule, mention, sources, &searches) else { continue };
            let mut trial = planned.trial(rule, mention, Some(limits));
            if is_said_by_few(&mut trial, &demand, &names, source, &searches) {
                let open = planned.settle_empty(trial);
                open.into_iter().for_each(|trial| trials.entry(table).or_default().push(trial));
            } else {
                let keys = Scattered::new(scratch, demand.parts(source, &searches))?;
                questions.entry(table).or_default().push(Question::new(trial, demand, names, keys));
            }
        }
    }
    try_all(rules, sources, trials);
    for (table, questions) in questions {
        for mut trial in walk(&sources[table], questions, &searches) {
            let rows = std::mem::take(&mut trial.rows);
            rules[trial.rule].settle(trial, State::Reduced(rows));
        }
    }
    Ok(())
}

/// What can be required of a mention, and the key columns.
fn demand(
    planned: &Planned,
    rule: usize,
    mention: Mention,
    sources: &Sources,
    searches: &[Search],
) -> Option<(Demand, KeyNames)> {
    let search = searches.iter().position(|search| search.is_for(rule, mention));
    if let Some((search, absence)) = search.zip(planned.absences[mention].first()) {
        return Some((Demand::Absent(search), absence.columns.clone()));
    }
    let (columns, more_than) = large_groups::threshold_of(planned, mention, sources)?;
    Some((Demand::InLargeGroup(more_than), columns))
}

/// Whether few keys decide a demand: a trial then gets them as a condition. A table that cannot be scanned decides
/// nothing.
fn is_said_by_few(trial: &mut Trial, demand: &Demand, names: &KeyNames, source: &Source, searches: &[Search]) -> bool {
    let set = |keys| Membership { columns: names.clone(), keys };
    match demand {
        Demand::Absent(search) => {
            let strangers = searches[*search].few().map(|keys| set(keys.clone()));
            trial.condition.strangers.extend(strangers);
            !trial.condition.strangers.is_empty()
        }
        Demand::InLargeGroup(more_than) => {
            let grouped = Grouped { source, mention: trial.mention, condition: &trial.condition, names };
            let members = grouped.in_large_groups(more_than).ok().flatten().map(|keys| set(keys.into()));
            let is_ordered = members.is_some();
            trial.condition.members.extend(members);
            is_ordered
        }
    }
}

/// Collects in one scan and decides immediately: the scratch files of one table are deleted before the next is scanned.
/// `None` if the table could not be scanned.
fn walk(source: &Source, mut questions: Vec<Question>, searches: &[Search]) -> Vec<Trial> {
    match gather(source, questions.iter_mut().map(|question| &mut question.rows)) {
        Ok(()) => questions.into_iter().filter_map(|question| question.answer(source, searches)).collect(),
        Err(_) => Vec::new(),
    }
}

impl Question {
    fn new(trial: Trial, demand: Demand, names: KeyNames, keys: Scattered<(u128, u64)>) -> Question {
        let rows = Numbered::of(&trial, names, keys);
        Question { trial, demand, rows }
    }

    /// Decides which rows remain. `None` if that fails or too many remain: the mention stays as it was.
    fn answer(self, source: &Source, searches: &[Search]) -> Option<Trial> {
        let Question { mut trial, demand, rows: Gathering { kept, .. } } = self;
        let rows = match demand {
            Demand::Absent(search) => searches[search].absent(kept),
            Demand::InLargeGroup(more_than) => large_groups::in_large_groups(kept, &more_than),
        };
        let is_concluded = rows.and_then(|rows| trial.conclude(source, rows)).is_ok();
        (is_concluded && !trial.is_given_up).then_some(trial)
    }
}
