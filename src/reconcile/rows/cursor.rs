//! A cursor over the rows of a partition, or a merge of several, as rows borrowed from their batch. Holds one batch
//! per partition (a few more if a thread reads ahead), so memory does not grow with the rows.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::bisection::partition_point;
use crate::dataset::batches::Batches as PartitionBatches;
use crate::dataset::columns::Columns;
use crate::dataset::partition::PartitionError;
use crate::dataset::parts;
use crate::threads::prefetch::Prefetch;

/// Rows decoded at a time: a batch of a wide table fits into the second-level cache.
const ROWS_PER_BATCH: usize = 8_192;
/// Batches decoded ahead.
const BATCHES_AHEAD: usize = 2;

/// A row together with its batch: stays readable when the cursor advances.
#[derive(Debug)]
pub(in crate::reconcile) struct Held<C> {
    batch: Rc<C>,
    row: usize,
}

impl<C: Columns> Held<C> {
    /// The row.
    pub(in crate::reconcile) fn row(&self) -> C::Row<'_> {
        self.batch.row(self.row)
    }
}

/// The batches of a partition, decoded on demand or ahead on a thread.
enum Batches {
    Here(Decoding),
    Ahead(Prefetch<Result<RecordBatch, PartitionError>>),
}

/// Decodes the batches of a partition; an error names the part that it comes from.
struct Decoding {
    dataset: &'static str,
    batches: PartitionBatches,
}

impl Iterator for Decoding {
    type Item = Result<RecordBatch, PartitionError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.batches.next()?;
        Some(batch.map_err(|source| misfit(self.batches.part(), self.dataset, source)))
    }
}

fn misfit(path: &Path, dataset: &'static str, source: ArrowError) -> PartitionError {
    PartitionError::Rows { path: path.to_owned(), dataset, source: Box::new(source) }
}

/// The rows of one partition, or of none.
pub(in crate::reconcile) struct Cursor<C> {
    dataset: &'static str,
    batches: Option<Batches>,
    /// The first file of the partition, for messages.
    path: PathBuf,
    batch: Option<Rc<C>>,
    row: usize,
    rows: usize,
}

impl<C: Columns> Cursor<C> {
    /// Opens a partition, given its first file, at its first row.
    pub(in crate::reconcile) fn open(dataset: &'static str, path: Option<&Path>) -> Result<Cursor<C>, PartitionError> {
        Cursor::over(dataset, path, Batches::Here)
    }

    /// As `open`, with a thread that decodes ahead.
    pub(in crate::reconcile) fn open_ahead(
        dataset: &'static str,
        path: Option<&Path>,
    ) -> Result<Cursor<C>, PartitionError> {
        Cursor::over(dataset, path, |decoding| Batches::Ahead(Prefetch::start(decoding, BATCHES_AHEAD)))
    }

    fn over(
        dataset: &'static str,
        path: Option<&Path>,
        batches: impl Fn(Decoding) -> Batches,
    ) -> Result<Cursor<C>, PartitionError> {
        let opened = path.map(|path| PartitionBatches::open(path, Some(C::NAMES), ROWS_PER_BATCH)).transpose()?;
        let batches = opened.map(|opened| batches(Decoding { dataset, batches: opened }));
        let path = path.map(Path::to_owned).unwrap_or_default();
        let mut cursor = Cursor { dataset, batches, path, batch: None, row: 0, rows: 0 };
        cursor.load()?;
        Ok(cursor)
    }

    /// The dataset.
    pub(in crate::reconcile) fn dataset(&self) -> &'static str {
        self.dataset
    }

    /// The current row; `None` past the end.
    #[inline]
    pub(in crate::reconcile) fn peek(&self) -> Option<C::Row<'_>> {
        Some(self.batch.as_ref()?.row(self.row))
    }

    /// The current row with its batch.
    pub(in crate::reconcile) fn hold(&self) -> Option<Held<C>> {
        Some(Held { batch: Rc::clone(self.batch.as_ref()?), row: self.row })
    }

    /// The columns of the current batch, and the index of the current row.
    #[inline]
    pub(in crate::reconcile) fn place(&self) -> Option<(&C, usize)> {
        Some((self.batch.as_ref()?, self.row))
    }

    /// Whether the next row is in another batch, or there is none.
    pub(super) fn is_last_of_batch(&self) -> bool {
        self.row + 1 >= self.rows
    }

    /// Advances to the next row.
    pub(in crate::reconcile) fn advance(&mut self) -> Result<(), PartitionError> {
        self.row += 1;
        if self.row < self.rows { Ok(()) } else { self.load() }
    }

    /// Advances to the first row for which `is_before` is false; it must be true for all rows before and false for
    /// all after.
    pub(in crate::reconcile) fn pass(&mut self, is_before: impl Fn(&C, usize) -> bool) -> Result<(), PartitionError> {
        while let Some(batch) = &self.batch {
            if !is_before(batch, self.rows - 1) {
                self.row = partition_point(self.row..self.rows - 1, |row| is_before(batch, row));
                break;
            }
            self.load()?;
        }
        Ok(())
    }

    fn load(&mut self) -> Result<(), PartitionError> {
        (self.batch, self.row, self.rows) = (None, 0, 0);
        let Some(batches) = &mut self.batches else { return Ok(()) };
        for batch in batches {
            let batch = batch?;
            if batch.num_rows() > 0 {
                let columns = C::of(&batch).map_err(|source| misfit(&self.path, self.dataset, source))?;
                (self.batch, self.row, self.rows) = (Some(Rc::new(columns)), 0, batch.num_rows());
                break;
            }
        }
        Ok(())
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, PartitionError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Batches::Here(decoding) => decoding.next(),
            Batches::Ahead(ahead) => ahead.next(),
        }
    }
}

/// The number of rows of partitions, from the footers of their files.
pub(in crate::reconcile) fn count_rows<'p>(paths: impl IntoIterator<Item = &'p Path>) -> Result<u64, PartitionError> {
    let mut rows = 0;
    for path in paths {
        let opened = parts::open(path).map_err(|source| PartitionError::Open { path: path.to_owned(), source })?;
        for (path, file) in opened {
            let builder = ParquetRecordBatchReaderBuilder::try_new(file)
                .map_err(|source| PartitionError::Parquet { path, source })?;
            rows += u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or_default();
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray};
    use parquet::arrow::ArrowWriter;
    use proptest::prelude::*;

    use super::*;
    use crate::dataset::columns::row_type;

    row_type! {
        /// A row that is only a number.
        NumberRow of NumberColumns {
            number: text,
        }
    }

    /// A partition with the even numbers below twice `ROWS`, each three times, over several batches.
    fn numbers(path: &Path) {
        let texts: StringArray = (0..3 * ROWS).map(|row| Some(text(row / 3 * 2))).collect();
        let batch = RecordBatch::try_from_iter([("number", Arc::new(texts) as ArrayRef)]).unwrap();
        let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }

    const ROWS: usize = 9_000;

    fn text(number: usize) -> String {
        format!("{number:08}")
    }

    #[test]
    fn a_partition_that_cannot_be_read_on_is_named_by_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part-0.parquet");
        numbers(&path);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[4..4096].fill(0);
        std::fs::write(&path, bytes).unwrap();
        for open in [Cursor::<NumberColumns>::open, Cursor::<NumberColumns>::open_ahead] {
            let error = open("numbers", Some(&path)).map(drop).unwrap_err();
            assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        }
        row_type! {
            /// A row that the file does not have.
            OtherRow of OtherColumns {
                other: text,
            }
        }
        numbers(&path);
        let error = Cursor::<OtherColumns>::open("numbers", Some(&path)).map(drop).unwrap_err();
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn who_passes_rows_stands_where_one_step_after_the_other_leads(
            mut wanted in proptest::collection::vec(0..2 * ROWS + 10, 1..30)
        ) {
            wanted.sort_unstable();
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("part-0.parquet");
            numbers(&path);
            let [mut passing, mut stepping] = [(); 2].map(|()| Cursor::<NumberColumns>::open("numbers", Some(&path)).unwrap());
            for number in wanted.into_iter().map(text) {
                passing.pass(|rows, row| rows.number.value(row) < number.as_str()).unwrap();
                while stepping.peek().is_some_and(|row| row.number < number.as_str()) {
                    stepping.advance().unwrap();
                }
                prop_assert_eq!(passing.peek(), stepping.peek());
                prop_assert_eq!(passing.row, stepping.row);
            }
        }
    }
}
