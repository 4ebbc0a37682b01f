//! Rows of groups that a rule only looks at when they have more than so many rows: `COUNT(*) > n` outside of a
//! GROUP BY.

use std::collections::{BTreeSet, HashMap};
use std::hash::BuildHasherDefault;
use std::ops::ControlFlow;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;

use super::evaluate::Evaluator;
use super::keyed::Gathering;
use super::keys::{AsIs, is_key_type};
use super::plan::{Planned, Sources, have_one_type};
use super::shape::Crowd;
use super::sift::KeyNames;
use super::source::Source;
use super::term::{Mention, Term};

/// The columns a mention is grouped by, and how many rows a group must at least exceed.
pub(super) fn crowd_of(planned: &Planned, mention: Mention, sources: &Sources) -> Option<(KeyNames, i64)> {
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
    let mut least = i64::MAX;
    let mut columns = BTreeSet::from([column.to_owned()]);
    terms.iter().for_each(|term| term.columns_of(mention, &mut columns));
    source.scan(&columns, |_, batch| {
        let mut evaluator = Evaluator::new(batch);
        let kept = terms.iter().map(|term| evaluator.rows_where(term)).collect::<Result<Vec<_>, _>>()?;
        let numbers = batch.column_by_name(column).and_then(|column| column.as_primitive_opt::<Int64Type>());
        let numbers = numbers.ok_or_else(|| ArrowError::ComputeError(format!("no least `{column}`")))?;
        let is_kept = |row: &usize| kept.iter().all(|kept| kept.value(*row));
        let values = numbers.iter().enumerate().filter(|(row, _)| is_kept(row)).filter_map(|(_, value)| value);
        least = values.chain([least]).min().unwrap_or(least);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(least)
}

/// The gathered rows of groups with more than so many rows. A group with a null in its key is kept.
pub(super) fn crowded(mut gathered: Gathering, more_than: i64) -> Result<Vec<u64>, ArrowError> {
    let mut rows = gathered.keyless.take().unwrap_or_default();
    for part in 0..gathered.keyed.parts() {
        let keyed = gathered.keyed.read(part)?;
        let mut sizes: HashMap<u128, i64, BuildHasherDefault<AsIs>> = HashMap::default();
        keyed.iter().for_each(|(group, _)| *sizes.entry(*group).or_default() += 1);
        rows.extend(keyed.into_iter().filter(|(group, _)| sizes[group] > more_than).map(|(_, row)| row));
    }
    Ok(rows)
}
