//! Rows of groups that a rule only considers when they are larger than a number: `COUNT(*) > n` outside of a GROUP BY.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::BuildHasherDefault;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;

use super::evaluate::Evaluator;
use super::keyed::Numbered;
use super::keys::{AsIs, KeyColumns, is_key_type};
use super::planned::{Planned, Sources, have_one_type};
use super::shape::{Fact, GroupCount};
use super::source::Source;
use super::table_scan::KeyNames;
use super::term::{Mention, Term};

/// The number of rows that a group must exceed.
pub(super) enum MoreThan {
    /// The same number for any group.
    Least(i64),
    /// A number per group; a group without a number is joined to nothing.
    OfGroup(HashMap<u128, i64, BuildHasherDefault<AsIs>>),
}

impl MoreThan {
    /// Whether a group with this many rows exceeds it.
    pub(super) fn is_exceeded(&self, group: impl Fn() -> u128, rows: i64) -> bool {
        match self {
            MoreThan::Least(least) => rows > *least,
            MoreThan::OfGroup(numbers) => numbers.get(&group()).is_some_and(|number| rows > *number),
        }
    }
}

/// The columns by which a mention is grouped, and the number of rows that a group must exceed.
pub(super) fn threshold_of(planned: &Planned, mention: Mention, sources: &Sources) -> Option<(KeyNames, MoreThan)> {
    let facts = planned.shape.facts.iter().filter(|fact| fact.binds.contains(&mention));
    let more_than = |fact: &Fact| {
        fact.condition.as_more_than().map(|(group_count, value)| (group_count, value.clone(), fact.block))
    };
    facts.filter_map(more_than).find_map(|(number, value, block)| {
        let group_count = &planned.shape.group_counts[number];
        let columns = columns_of(group_count, mention, &sources[&planned.shape.tables[mention]])?;
        let is_single =
            |other: &Mention| *other == mention || joins_once(planned, group_count, mention, *other, sources);
        let counts_rows = group_count.strict.contains(&mention) && group_count.mentions.iter().all(is_single);
        let bound = Bound { value: &value, block };
        let of_group = || of_group(planned, mention, &columns, bound, sources);
        let more_than = counts_rows.then(|| of_group().or_else(|| least(planned, &value, sources)))??;
        Some((columns, more_than))
    })
}

fn columns_of(group_count: &GroupCount, mention: Mention, source: &Source) -> Option<KeyNames> {
    let column = |term: &Term| match term {
        Term::Column(of, name) if *of == mention && source.kind(name).is_some_and(is_key_type) => Some(name.clone()),
        _ => None,
    };
    group_count.groups.iter().map(column).collect()
}

/// Whether a row of `mention` matches at most one row of `other`: then it is counted at most once.
fn joins_once(
    planned: &Planned,
    group_count: &GroupCount,
    mention: Mention,
    other: Mention,
    sources: &Sources,
) -> bool {
    let shape = &planned.shape;
    let links =
        shape.facts.iter().filter(|fact| fact.block == group_count.block).filter_map(|fact| fact.condition.as_link());
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

/// Tables with at most this many rows are searched for their smallest number.
const LEAST_OF_ROWS: u64 = 1 << 16;

/// The smallest possible value: a constant, or that of a column in a small table.
fn least(planned: &Planned, value: &Term, sources: &Sources) -> Option<MoreThan> {
    match value {
        Term::Integer(number) => Some(MoreThan::Least(*number)),
        Term::Column(mention, column) => {
            let mut least = i64::MAX;
            SmallTable::find(planned, *mention, sources)?
                .numbers(column, &[], |_, number| least = least.min(number))
                .ok()?;
            Some(MoreThan::Least(least))
        }
        _ => None,
    }
}

/// The value with which a block of the query compares the number of rows.
#[derive(Clone, Copy)]
struct Bound<'a> {
    value: &'a Term,
    block: usize,
}

/// The possible value per group: a column of a small table that is joined to the groups on all grouping columns, in
/// the same block as the comparison.
fn of_group(
    planned: &Planned,
    mention: Mention,
    columns: &KeyNames,
    bound: Bound<'_>,
    sources: &Sources,
) -> Option<MoreThan> {
    let Term::Column(to, column) = bound.value else { return None };
    let table = SmallTable::find(planned, *to, sources)?;
    let links =
        planned.shape.facts.iter().filter(|fact| fact.block == bound.block).filter_map(|fact| fact.condition.as_link());
    let mut keys: BTreeMap<&str, &str> = BTreeMap::new();
    for [one, two] in links {
        let (own, key) = if one.0 == mention { (one, two) } else { (two, one) };
        if (own.0, key.0) == (mention, *to) && have_one_type(&planned.shape, sources, own, key) {
            keys.insert(own.1, key.1);
        }
    }
    let keys = columns.iter().map(|column| keys.get(column.as_str()).map(|key| (*key).to_owned()));
    let (keys, mut numbers) = (keys.collect::<Option<KeyNames>>()?, HashMap::default());
    let keep = |key, number: i64| {
        let least = numbers.entry(key).or_insert(number);
        *least = number.min(*least);
    };
    table.numbers(column, &keys, keep).ok()?;
    Some(MoreThan::OfGroup(numbers))
}

/// A mention whose table is small enough to be read for its numbers.
struct SmallTable<'a> {
    source: &'a Source,
    mention: Mention,
    /// What is true of the rows that can affect the result.
    terms: &'a [Term],
}

impl<'a> SmallTable<'a> {
    fn find(planned: &'a Planned, mention: Mention, sources: &'a Sources) -> Option<SmallTable<'a>> {
        let source = sources.get(&planned.shape.tables[mention])?;
        (source.rows <= LEAST_OF_ROWS).then(|| SmallTable { source, mention, terms: &planned.terms[mention] })
    }

    /// Passes on the non-null numbers of a column where the terms are true, each with the key of its row.
    fn numbers(&self, column: &str, keys: &[String], mut see: impl FnMut(u128, i64)) -> Result<(), ArrowError> {
        let mut columns: BTreeSet<_> = keys.iter().cloned().chain([column.to_owned()]).collect();
        self.terms.iter().for_each(|term| term.columns_of(self.mention, &mut columns));
        self.source.scan(&columns, |_, batch| {
            let (mut evaluator, keys) = (Evaluator::new(batch), KeyColumns::of(batch, keys)?);
            let kept = self.terms.iter().map(|term| evaluator.rows_where(term)).collect::<Result<Vec<_>, _>>()?;
            let numbers = batch.column_by_name(column).and_then(|column| column.as_primitive_opt::<Int64Type>());
            let numbers = numbers.ok_or_else(|| ArrowError::ComputeError(format!("no numbers in `{column}`")))?;
            let rows = numbers.iter().enumerate().filter(|(row, _)| kept.iter().all(|kept| kept.value(*row)));
            rows.filter_map(|(row, number)| Some((row, number?))).for_each(|(row, number)| see(keys.key(row), number));
            Ok(())
        })
    }
}

/// The collected rows of groups with more than this many rows. A group with a null in its key is kept. Groups are
/// counted before rows are visited again, as one group may be most of a table.
pub(super) fn in_large_groups(gathered: Numbered, more_than: &MoreThan) -> Result<Vec<u64>, ArrowError> {
    gathered.part_by_part(|part, scattered| {
        let mut sizes: HashMap<u128, i64, BuildHasherDefault<AsIs>> = HashMap::default();
        scattered.each(part, |(group, _)| *sizes.entry(group).or_default() += 1)?;
        sizes.retain(|group, size| more_than.is_exceeded(|| *group, *size));
        let mut rows = Vec::new();
        if !sizes.is_empty() {
            scattered.each(part, |(group, row)| rows.extend(sizes.contains_key(&group).then_some(row)))?;
        }
        Ok(rows)
    })
}
