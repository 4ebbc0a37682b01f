//! Evaluates the conditions of all rules, table by table: each table is scanned once, by all threads.

use std::collections::BTreeMap;

use super::planned::{Planned, Sources, State};
use super::table_scan::{Trial, Walk};
use crate::threads::{THREADS, map_parallel};

/// Evaluates trials table by table and settles those that do not match too much.
pub(super) fn try_all(rules: &mut [Planned], sources: &Sources, trials: BTreeMap<&str, Vec<Trial>>) {
    let walks = trials.into_iter().map(|(table, trials)| Walk::new(&sources[table], trials)).collect();
    for mut trial in walked(walks) {
        let state = trial.limit.map_or(State::Small, |_| State::Reduced(std::mem::take(&mut trial.rows)));
        rules[trial.rule].settle(trial, state);
    }
}

/// The trials of all scans that did not match too much; none for a table that could not be scanned. All threads share
/// the work on one large table.
fn walked(walks: Vec<Walk<'_>>) -> Vec<Trial> {
    let stretches: Vec<_> = walks.iter().map(Walk::stretches).collect();
    let pieces = walks.iter().zip(&stretches).flat_map(|(walk, mine)| mine.iter().map(move |stretch| (walk, *stretch)));
    let mut sifted = map_parallel(THREADS, pieces.collect(), |(walk, stretch)| walk.scan(stretch)).into_iter();
    // Each scan consumes all of its results, even if the first of them is an error.
    let of_each: Vec<Vec<_>> = stretches.iter().map(|mine| sifted.by_ref().take(mine.len()).collect()).collect();
    let concluded = walks.into_iter().zip(of_each).filter_map(|(walk, found)| walk.conclude(found).ok());
    concluded.flatten().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};
    use std::sync::Arc;

    use arrow::array::{ArrayRef, RecordBatch, StringArray};

    use super::super::limits::Limits;
    use super::super::source::Source;
    use super::super::table_scan::Condition;
    use super::super::term::{Comparison, Term};
    use super::*;

    /// A table of one column in chunks of one row.
    fn source(column: &str, values: &[&str]) -> Source {
        let batch = |value: &&str| {
            let array: ArrayRef = Arc::new(StringArray::from(vec![*value]));
            RecordBatch::try_from_iter([(column, array)]).unwrap()
        };
        let batches: Vec<_> = values.iter().map(batch).collect();
        Source::of_batches(batches[0].schema(), &batches).unwrap()
    }

    fn trial(rule: usize, column: &str, value: &str) -> Trial {
        let terms = [Term::Column(0, column.to_owned()), Term::Text(value.to_owned())].map(Box::new);
        let [column, value] = terms;
        let terms = vec![Term::Compare(Comparison::Equal, column, value)];
        let condition = Condition { terms, ..Condition::default() };
        let limit = Some(Limits { small_rows: 0, matched_rows: u64::MAX, matched_share: 1, held_keys: 0 });
        Trial {
            rule,
            mention: 0,
            condition,
            rows: Vec::new(),
            matched: 0,
            keys: HashMap::new(),
            limit,
            is_given_up: false,
        }
    }

    #[test]
    fn a_walk_that_fails_takes_nothing_from_the_walks_after_it() {
        let (broken, sound) = (source("stock", &["A", "A", "A"]), source("code", &["A", "B", "A", "B"]));
        let walks = vec![
            Walk::new(&broken, vec![trial(0, "missing", "A")]),
            Walk::new(&sound, vec![trial(1, "code", "B")]),
            Walk::new(&broken, vec![trial(2, "stock", "A"), trial(3, "missing", "A")]),
            Walk::new(&sound, vec![trial(4, "code", "A")]),
        ];
        let found: Vec<_> = walked(walks).into_iter().map(|trial| (trial.rule, trial.rows)).collect();
        assert_eq!(found, [(1, vec![1, 3]), (4, vec![0, 2])]);
    }

    #[test]
    fn who_asks_for_no_column_is_shown_all_rows() {
        let source = source("stock", &["A", "B", "C"]);
        let mut rows = Vec::new();
        let see = |first, batch: &RecordBatch| {
            rows.push((first, batch.num_rows(), batch.num_columns()));
            Ok(())
        };
        source.scan(&BTreeSet::new(), see).unwrap();
        assert_eq!(rows, [(0, 1, 0), (1, 1, 0), (2, 1, 0)]);
    }
}
