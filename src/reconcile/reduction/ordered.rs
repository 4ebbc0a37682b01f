//! Counts groups of a table whose rows are in the order of the grouping columns, in one pass and without keeping rows.
//! A table that is not in that order is detected by its first row out of order.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use arrow::array::{Array, ArrayRef, DynComparator, RecordBatch, make_comparator};
use arrow::compute::SortOptions;
use arrow::error::ArrowError;

use super::evaluate::Evaluator;
use super::keys::{KeyColumns, Keys};
use super::large_groups::MoreThan;
use super::source::{Source, Stretch};
use super::table_scan::{BatchKeys, Condition, KeyNames, matching};
use super::term::Mention;
use crate::threads::{THREADS, map_parallel};

/// What is grouped: the rows of a mention that satisfy a condition, by these columns.
pub(super) struct Grouped<'a> {
    pub(super) source: &'a Source,
    pub(super) mention: Mention,
    pub(super) condition: &'a Condition,
    pub(super) names: &'a KeyNames,
}

impl Grouped<'_> {
    /// The groups with more rows than `more_than`; `None` if the rows are not in order, or if one has no key.
    ///
    /// # Errors
    /// The table cannot be scanned.
    pub(super) fn in_large_groups(&self, more_than: &MoreThan) -> Result<Option<Keys>, ArrowError> {
        let is_in_order = AtomicBool::new(true);
        let count = |stretch| {
            if is_in_order.load(Relaxed) {
                self.count(stretch, more_than, &is_in_order)
            } else {
                Ok(Runs::of(more_than))
            }
        };
        let stretches = map_parallel(THREADS, self.source.stretches(), count);
        let mut all = Runs::of(more_than);
        for stretch in stretches {
            all.follow(stretch?)?;
        }
        Ok((is_in_order.into_inner() && all.is_in_order).then(|| all.in_large_groups()))
    }

    fn count<'m>(
        &self,
        stretch: Stretch,
        more_than: &'m MoreThan,
        is_in_order: &AtomicBool,
    ) -> Result<Runs<'m>, ArrowError> {
        let mut columns: BTreeSet<_> = self.names.iter().cloned().collect();
        self.condition.columns(self.mention, &mut columns);
        let mut runs = Runs::of(more_than);
        self.source.scan_stretch(stretch, &columns, |_, batch| {
            let rows = matching(self.condition, &mut Evaluator::new(batch), &mut BatchKeys::new(batch))?;
            runs.take(&Cells::of(batch, self.names)?, &rows)?;
            is_in_order.fetch_and(runs.is_in_order, Relaxed);
            Ok(if is_in_order.load(Relaxed) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        Ok(runs)
    }
}

/// Consecutive rows of one group.
struct Run {
    /// Their key: one row of the grouping columns.
    cells: Vec<ArrayRef>,
    group: u128,
    rows: i64,
}

/// Consecutive runs. The first and the last one may continue outside.
struct Runs<'m> {
    more_than: &'m MoreThan,
    first: Option<Run>,
    last: Option<Run>,
    in_large_groups: Keys,
    is_in_order: bool,
}

impl<'m> Runs<'m> {
    fn of(more_than: &'m MoreThan) -> Runs<'m> {
        Runs { more_than, first: None, last: None, in_large_groups: Keys::default(), is_in_order: true }
    }

    /// Adds the rows of a batch.
    fn take(&mut self, cells: &Cells, rows: &[usize]) -> Result<(), ArrowError> {
        let follows = |one: &usize, other: &usize| cells.compare(*one, *other).is_le();
        self.is_in_order &= !cells.have_null(rows) && rows.is_sorted_by(follows);
        if !self.is_in_order {
            return Ok(());
        }
        let runs: Vec<_> = rows.chunk_by(|one, other| cells.compare(*one, *other).is_eq()).collect();
        let Some((first, behind)) = runs.split_first() else { return Ok(()) };
        self.append(cells.run(first))?;
        let Some((last, between)) = behind.split_last() else { return Ok(()) };
        between.iter().for_each(|run| self.settle(rows_of(run), || cells.keys.key(run[0])));
        self.append(cells.run(last))
    }

    /// Appends the runs that follow.
    fn follow(&mut self, behind: Runs<'_>) -> Result<(), ArrowError> {
        self.is_in_order &= behind.is_in_order;
        self.in_large_groups.extend(behind.in_large_groups);
        [behind.first, behind.last].into_iter().flatten().try_for_each(|run| self.append(run))
    }

    fn append(&mut self, run: Run) -> Result<(), ArrowError> {
        let Some(last) = &mut self.last else {
            self.last = Some(run);
            return Ok(());
        };
        match last.compare(&run)? {
            Ordering::Greater => self.is_in_order = false,
            Ordering::Equal => last.rows += run.rows,
            Ordering::Less => {
                let before = std::mem::replace(last, run);
                match self.first {
                    None => self.first = Some(before),
                    Some(_) => self.settle(before.rows, || before.group),
                }
            }
        }
        Ok(())
    }

    /// A complete group.
    fn settle(&mut self, rows: i64, group: impl Fn() -> u128) {
        if self.more_than.is_exceeded(&group, rows) {
            self.in_large_groups.insert(group());
        }
    }

    /// The large groups, once everything has been seen.
    fn in_large_groups(mut self) -> Keys {
        for run in [self.first.take(), self.last.take()].into_iter().flatten() {
            self.settle(run.rows, || run.group);
        }
        self.in_large_groups
    }
}

impl Run {
    fn compare(&self, other: &Run) -> Result<Ordering, ArrowError> {
        let pairs = self.cells.iter().zip(&other.cells);
        let cells = pairs.map(|(one, other)| Ok(make_comparator(one, other, SortOptions::default())?(0, 0)));
        cells.collect::<Result<Vec<_>, _>>().map(|cells| cells.into_iter().fold(Ordering::Equal, Ordering::then))
    }
}

/// The grouping columns of a batch.
struct Cells {
    columns: Vec<ArrayRef>,
    comparators: Vec<DynComparator>,
    keys: KeyColumns,
}

impl Cells {
    fn of(batch: &RecordBatch, names: &KeyNames) -> Result<Cells, ArrowError> {
        let keys = KeyColumns::of(batch, names)?;
        let columns: Vec<_> = names.iter().filter_map(|name| batch.column_by_name(name).cloned()).collect();
        let comparators = columns.iter().map(|column| make_comparator(column, column, SortOptions::default()));
        let comparators = comparators.collect::<Result<_, _>>()?;
        Ok(Cells { columns, comparators, keys })
    }

    fn compare(&self, one: usize, other: usize) -> Ordering {
        let mut cells = self.comparators.iter().map(|compare| compare(one, other));
        cells.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }

    fn have_null(&self, rows: &[usize]) -> bool {
        let mut columns = self.columns.iter().filter(|column| column.null_count() > 0);
        columns.any(|column| rows.iter().any(|row| column.is_null(*row)))
    }

    fn run(&self, rows: &[usize]) -> Run {
        let cells = self.columns.iter().map(|column| column.slice(rows[0], 1)).collect();
        Run { cells, group: self.keys.key(rows[0]), rows: rows_of(rows) }
    }
}

fn rows_of(run: &[usize]) -> i64 {
    i64::try_from(run.len()).expect("rows of a batch")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};
    use proptest::prelude::*;

    use super::*;

    type Row = (Option<u8>, i64);

    /// A table of a text and a number; each slice is a batch and a chunk.
    fn source(batches: &[Vec<Row>]) -> Source {
        let batch = |rows: &Vec<Row>| {
            let texts = rows.iter().map(|(text, _)| text.map(|text| format!("S{text}"))).collect::<StringArray>();
            let numbers = rows.iter().map(|(_, number)| *number).collect::<Int64Array>();
            let columns: [(&str, ArrayRef); 2] = [("stock", Arc::new(texts)), ("user", Arc::new(numbers))];
            RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
        };
        let batches: Vec<_> = batches.iter().map(batch).collect();
        Source::of_batches(batches[0].schema(), &batches).unwrap()
    }

    fn names() -> KeyNames {
        ["stock", "user"].map(str::to_owned).to_vec()
    }

    fn in_large_groups(batches: &[Vec<Row>], least: i64) -> Option<Keys> {
        let (source, condition, names) = (source(batches), Condition::default(), names());
        let grouped = Grouped { source: &source, mention: 0, condition: &condition, names: &names };
        grouped.in_large_groups(&MoreThan::Least(least)).unwrap()
    }

    /// The result of counting all groups.
    fn counted(batches: &[Vec<Row>], least: i64) -> Keys {
        let (mut rows_of, mut keys) = (BTreeMap::<Row, i64>::new(), Keys::default());
        batches.iter().flatten().for_each(|row| *rows_of.entry(*row).or_default() += 1);
        rows_of.retain(|_, rows| *rows > least);
        source(&[rows_of.into_keys().collect()])
            .scan(&names().into_iter().collect(), |_, batch| {
                let columns = KeyColumns::of(batch, &names())?;
                keys.extend((0..batch.num_rows()).map(|row| columns.key(row)));
                Ok(())
            })
            .unwrap();
        keys
    }

    fn rows() -> impl Strategy<Value = Vec<Row>> {
        proptest::collection::vec(((0_u8..4).prop_map(Some), 0_i64..3), 1..60)
    }

    proptest! {
        #[test]
        fn groups_that_lie_in_order_are_counted_however_they_are_cut(
            mut rows in rows(),
            cut in 1_usize..9,
            least in 0_i64..8,
        ) {
            rows.sort_unstable();
            let batches: Vec<_> = rows.chunks(cut).map(<[Row]>::to_vec).collect();
            prop_assert_eq!(in_large_groups(&batches, least), Some(counted(&batches, least)));
        }

        #[test]
        fn rows_out_of_order_are_noticed_wherever_they_stand(rows in rows(), cut in 1_usize..9) {
            let batches: Vec<_> = rows.chunks(cut).map(<[Row]>::to_vec).collect();
            prop_assert_eq!(in_large_groups(&batches, 1).is_some(), rows.is_sorted());
        }
    }

    #[test]
    fn a_row_without_a_key_is_in_no_order() {
        assert_eq!(in_large_groups(&[vec![(None, 1), (Some(1), 1)], vec![(Some(1), 1)]], 1), None);
        assert_eq!(in_large_groups(&[vec![(Some(1), 1)], vec![(Some(1), 1), (None, 1)]], 1), None);
    }
}
