//! Rows of groups that a rule only looks at when they have more than so many rows: `COUNT(*) > n` outside of a
//! GROUP BY. A first walk counts groups in a sketch of a few bytes a row, which never counts too few; a second one
//! counts exactly what the sketch left.

use std::collections::{BTreeSet, HashMap};
use std::hash::BuildHasherDefault;
use std::ops::ControlFlow;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;

use super::evaluate::Evaluator;
use super::keys::{AsIs, KeyColumns, NO_KEY, is_key_type};
use super::plan::{Limits, Planned, Sources, State, have_one_type};
use super::shape::Crowd;
use super::sift::{BatchKeys, KeyNames, Trial, matching};
use super::source::Source;
use super::term::{Mention, Term};

/// Counters that stop at 255: a group is counted in two, and has no more rows than the lower says.
struct Sketch {
    counters: Vec<u8>,
}

impl Sketch {
    /// Groups of few rows need more counters to be told from others.
    fn new(rows: u64, more_than: i64) -> Sketch {
        let per_row = if more_than < 4 { 4 } else { 2 };
        Sketch { counters: vec![0; usize::try_from(rows * per_row).unwrap_or_default().max(64)] }
    }

    fn places(&self, key: u128) -> [usize; 2] {
        let size = self.counters.len() as u128;
        let place = |half: u128| usize::try_from((half * size) >> 64).expect("a place in the sketch");
        [place(key & u128::from(u64::MAX)), place(key >> 64)]
    }

    fn add(&mut self, key: u128) {
        for place in self.places(key) {
            self.counters[place] = self.counters[place].saturating_add(1);
        }
    }

    fn may_be_more_than(&self, key: u128, rows: i64) -> bool {
        let least = self.places(key).map(|place| self.counters[place]).into_iter().min().unwrap_or(u8::MAX);
        least == u8::MAX || i64::from(least) > rows
    }
}

/// Reduces mentions that nothing else has reduced to the groups with enough rows.
pub(super) fn find_crowds(rules: &mut [Planned], sources: &Sources, limits: Limits) {
    for (rule, planned) in rules.iter_mut().enumerate() {
        for mention in 0..planned.states.len() {
            let Some(source) = sources.get(&planned.shape.tables[mention]) else { continue };
            if planned.states[mention] != State::Waiting {
                continue;
            }
            let Some((columns, more_than)) = crowd_of(planned, mention, sources) else { continue };
            let mut trial = planned.trial(rule, mention, Some(limits));
            if pick(source, &mut trial, &columns, more_than).is_ok() && !trial.is_given_up {
                let rows = std::mem::take(&mut trial.rows);
                planned.settle(trial, State::Reduced(rows));
            }
        }
    }
}

/// The columns a mention is grouped by, and how many rows a group must at least exceed.
fn crowd_of(planned: &Planned, mention: Mention, sources: &Sources) -> Option<(KeyNames, i64)> {
    let facts = planned.shape.facts.iter().filter(|fact| fact.binds.contains(&mention));
    facts.filter_map(|fact| fact.condition.as_more_than()).find_map(|(number, value)| {
        let crowd = &planned.shape.crowds[number];
        let columns = columns_of(crowd, mention, &sources[&planned.shape.tables[mention]])?;
        let is_single = |other: &Mention| *other == mention || joins_once(planned, crowd, mention, *other, sources);
        let counts_rows = crowd.strict.contains(&mention) && crowd.mentions.iter().all(is_single);
        counts_rows.then(|| Some((columns, least(planned, value, sources)?))).flatten()
    })
}

fn columns_of(crowd: &Crowd, mention: Mention, source: &Source) -> Option<KeyNames> {
    let column = |term: &Term| match term {
        Term::Column(of, name) if *of == mention && source.kind(name).is_some_and(is_key_type) => Some(name.clone()),
        _ => None,
    };
    crowd.groups.iter().map(column).collect()
}

/// Whether a row of `mention` meets at most one of `other`: then it is counted at most once.
fn joins_once(planned: &Planned, crowd: &Crowd, mention: Mention, other: Mention, sources: &Sources) -> bool {
    let shape = &planned.shape;
    let links = shape.facts.iter().filter(|fact| fact.block == crowd.block).filter_map(|fact| fact.condition.as_link());
    let keys: Vec<_> = links
        .filter_map(|[one, two]| match (one.0, two.0) {
            (a, b) if a == mention && b == other => Some((one, two)),
            (a, b) if a == other && b == mention => Some((two, one)),
            _ => None,
        })
        .filter(|(own, key)| have_one_type(shape, sources, *own, *key))
        .map(|(_, (_, key))| key)
        .collect();
    sources.get(&shape.tables[other]).is_some_and(|source| source.is_unique(&keys))
}

/// A table of no more rows is looked through for its least number.
const LEAST_OF_ROWS: u64 = 1 << 16;

/// The least a value can be: a number, or a column of a small table.
fn least(planned: &Planned, value: &Term, sources: &Sources) -> Option<i64> {
    match value {
        Term::Integer(number) => Some(*number),
        Term::Column(mention, column) => {
            let source = sources.get(&planned.shape.tables[*mention]).filter(|source| source.rows <= LEAST_OF_ROWS)?;
            least_in(source, &planned.terms[*mention], *mention, column).ok()
        }
        _ => None,
    }
}

fn least_in(source: &Source, terms: &[Term], mention: Mention, column: &str) -> Result<i64, ArrowError> {
    let (mut least, mut failure) = (i64::MAX, None);
    let mut columns = BTreeSet::from([column.to_owned()]);
    terms.iter().for_each(|term| term.columns_of(mention, &mut columns));
    source.scan(&columns, |_, batch| {
        let mut evaluator = Evaluator::new(batch);
        let kept = terms.iter().map(|term| evaluator.rows_where(term)).collect::<Result<Vec<_>, _>>();
        let numbers = batch.column_by_name(column).and_then(|column| column.as_primitive_opt::<Int64Type>());
        match (kept, numbers) {
            (Ok(kept), Some(numbers)) => {
                let is_kept = |row: &usize| kept.iter().all(|kept| kept.value(*row));
                let values = numbers.iter().enumerate().filter(|(row, _)| is_kept(row)).filter_map(|(_, value)| value);
                least = values.chain([least]).min().unwrap_or(least);
                ControlFlow::Continue(())
            }
            _ => {
                failure = Some(ArrowError::ComputeError(format!("no least `{column}`")));
                ControlFlow::Break(())
            }
        }
    })?;
    failure.map_or(Ok(least), Err)
}

/// A row that may be in a crowd: its number, its group, and its keys for others.
struct Seen {
    row: u64,
    group: u128,
    keys: Vec<u128>,
}

/// Keeps the matching rows whose group has more than so many of them. A group with a null in its key is kept.
fn pick(source: &Source, trial: &mut Trial, columns: &KeyNames, more_than: i64) -> Result<(), ArrowError> {
    let mut sketch = Sketch::new(source.rows, more_than);
    walk(source, trial, columns, |_, _, group, _| {
        if group != NO_KEY {
            sketch.add(group);
        }
        ControlFlow::Continue(())
    })?;
    let most = trial.limit.map_or(u64::MAX, |limits| limits.matched_rows).max(source.rows / 4);
    let mut seen = Vec::new();
    walk(source, trial, columns, |first, row, group, keys| {
        if group == NO_KEY || sketch.may_be_more_than(group, more_than) {
            seen.push(Seen { row: first + row as u64, group, keys: keys(row) });
        }
        if seen.len() as u64 > most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if seen.len() as u64 > most {
        trial.is_given_up = true;
        return Ok(());
    }
    drop(sketch);
    let mut sizes: HashMap<u128, i64, BuildHasherDefault<AsIs>> = HashMap::default();
    seen.iter().for_each(|seen| *sizes.entry(seen.group).or_default() += 1);
    seen.retain(|seen| seen.group == NO_KEY || sizes[&seen.group] > more_than);
    for seen in seen {
        trial.rows.push(seen.row);
        for (keys, key) in trial.keys.values_mut().zip(seen.keys).filter(|(_, key)| *key != NO_KEY) {
            keys.insert(key);
        }
    }
    trial.matched = trial.rows.len() as u64;
    trial.see(source.rows);
    Ok(())
}

/// Shows the group of each matching row, and how to get its keys for others, in the order of `trial.keys`.
fn walk(
    source: &Source,
    trial: &Trial,
    group: &KeyNames,
    mut see: impl FnMut(u64, usize, u128, &dyn Fn(usize) -> Vec<u128>) -> ControlFlow<()>,
) -> Result<(), ArrowError> {
    let mut columns = BTreeSet::new();
    trial.columns(&mut columns);
    columns.extend(group.iter().cloned());
    let mut failure = None;
    source.scan(&columns, |first, batch| {
        let mut keys = BatchKeys::new(batch);
        let rows = matching(&trial.condition, &mut Evaluator::new(batch), &mut keys);
        let asked = trial.keys.keys().map(|names| KeyColumns::of(batch, names)).collect::<Result<Vec<_>, _>>();
        let groups = KeyColumns::of(batch, group);
        let (rows, asked, groups) = match (rows, asked, groups) {
            (Ok(rows), Ok(asked), Ok(groups)) => (rows, asked, groups),
            (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) => {
                failure = Some(error);
                return ControlFlow::Break(());
            }
        };
        let keys_of = |row: usize| asked.iter().map(|columns| columns.key(row)).collect();
        rows.into_iter().try_for_each(|row| see(first, row, groups.key(row), &keys_of))
    })?;
    failure.map_or(Ok(()), Err)
}
