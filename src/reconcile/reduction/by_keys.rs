//! Mentions that nothing else has reduced, reduced by the keys of their rows: those that stand in no row of another table,
//! those of groups with enough rows. One walk through each table gathers what all rules ask of it.

use std::collections::BTreeMap;
use std::path::Path;

use arrow::error::ArrowError;

use super::absence::{self, Search};
use super::crowd::{self, MoreThan};
use super::keyed::{Gathering, KeyedRows, gather};
use super::plan::{Limits, Planned, Sources, State};
use super::sift::{KeyNames, Trial};
use super::source::Source;
use super::term::Mention;
use crate::threads::{THREADS, side_by_side};

/// What is asked of the keys of rows.
enum Demand {
    /// They stand in no row of a search, by its place.
    Absent(usize),
    /// Their groups have more rows than this.
    Crowded(MoreThan),
}

/// A mention under trial, and the rows of which it is to be decided.
struct Question {
    trial: Trial,
    demand: Demand,
    rows: Gathering,
}

/// Reduces what can be reduced by keys. After an error the rest stays as it was.
pub(super) fn reduce(
    rules: &mut [Planned],
    sources: &Sources,
    limits: Limits,
    scratch: &Path,
) -> Result<(), ArrowError> {
    let searches = absence::search(rules, sources, scratch)?;
    let mut questions: BTreeMap<&str, Vec<Question>> = BTreeMap::new();
    for (rule, planned) in rules.iter().enumerate() {
        for mention in (0..planned.states.len()).filter(|mention| planned.states[*mention] == State::Waiting) {
            let Some((table, source)) = sources.get_key_value(&planned.shape.tables[mention]) else { continue };
            let Some((demand, names)) = demand(planned, (rule, mention), sources, &searches) else { continue };
            let parts = match demand {
                Demand::Absent(search) => searches[search].parts(),
                Demand::Crowded(_) => KeyedRows::parts_for(source.rows),
            };
            let trial = planned.trial(rule, mention, Some(limits));
            let rows = Gathering::of(&trial, names, KeyedRows::new(scratch, parts)?);
            questions.entry(table).or_default().push(Question { trial, demand, rows });
        }
    }
    for (table, questions) in questions {
        for mut trial in walk(&sources[table], questions, &searches) {
            let rows = std::mem::take(&mut trial.rows);
            rules[trial.rule].settle(trial, State::Reduced(rows));
        }
    }
    Ok(())
}

/// What can be asked of a mention, and of which columns.
fn demand(
    planned: &Planned,
    (rule, mention): (usize, Mention),
    sources: &Sources,
    searches: &[Search],
) -> Option<(Demand, KeyNames)> {
    let search = searches.iter().position(|search| search.is_for(rule, mention));
    if let Some((search, absence)) = search.zip(planned.absences[mention].first()) {
        return Some((Demand::Absent(search), absence.columns.clone()));
    }
    let (columns, more_than) = crowd::crowd_of(planned, mention, sources)?;
    Some((Demand::Crowded(more_than), columns))
}

/// Gathers in one walk and answers at once: the scratch files of one table are gone before the next is walked through.
/// Nothing where the table could not be.
fn walk(source: &Source, mut questions: Vec<Question>, searches: &[Search]) -> Vec<Trial> {
    match gather(source, questions.iter_mut().map(|question| &mut question.rows)) {
        Ok(()) => {
            let answers = side_by_side(THREADS, questions, |question| question.answer(source, searches));
            answers.into_iter().flatten().collect()
        }
        Err(_) => Vec::new(),
    }
}

impl Question {
    /// Decides which rows are left. Nothing where that fails, or where too many are: the mention stays as it was.
    fn answer(self, source: &Source, searches: &[Search]) -> Option<Trial> {
        let Question { mut trial, demand, rows } = self;
        let rows = match demand {
            Demand::Absent(search) => searches[search].absent(rows),
            Demand::Crowded(more_than) => crowd::crowded(rows, &more_than),
        };
        let is_concluded = rows.and_then(|rows| trial.conclude(source, rows)).is_ok();
        (is_concluded && !trial.is_given_up).then_some(trial)
    }
}
