//! The numbered rows of a base table, batch by batch: a partition, the days of a history in order, a table of the
//! scratch folder, or a small table in memory. Columns that a file lacks are null.

use std::collections::BTreeSet;
use std::fs::File;
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::file::metadata::PageIndexPolicy;

use crate::contract::Contract;
use crate::dataset::parts::of as parts_of;
use crate::reconcile::rows::scratch_table::ScratchTable;

const ROWS_PER_BATCH: usize = 16_384;
/// Batches of a scratch table per stretch.
const BATCHES_PER_STRETCH: usize = 64;
/// The column with the day of a row in a history.
const DAY_COLUMN: &str = "dt";

/// A base table.
#[derive(Debug)]
pub(in crate::reconcile) struct Source {
    pub(in crate::reconcile) schema: SchemaRef,
    pub(super) rows: u64,
    /// A unique key whose columns are never null.
    unique: Option<Vec<String>>,
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    File(PartFile),
    Table(ScratchTable),
    Memory(RecordBatch),
}

/// Consecutive rows of a base table: a row group, some batches of a scratch table, a batch in memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch {
    part: usize,
    /// Its index among the stretches of its part.
    place: usize,
    /// The number of its first row.
    first: u64,
}

#[derive(Debug)]
struct PartFile {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
    day: Option<i32>,
    rows: u64,
}

impl Source {
    /// The partition of a day, given by its first file, if there is one.
    pub(in crate::reconcile) fn of_day(contract: &Contract, first: Option<&Path>) -> Result<Source, ArrowError> {
        let unique = Some(contract.key.clone());
        Source::of_files(fields_of(contract), unique, first.map(|first| (None, first)))
    }

    /// Partitions with their days, given by their first files, oldest first.
    pub(in crate::reconcile) fn of_history<'p>(
        contract: &Contract,
        days: impl IntoIterator<Item = (i32, &'p Path)>,
    ) -> Result<Source, ArrowError> {
        let mut fields = fields_of(contract);
        fields.push(Field::new(DAY_COLUMN, DataType::Date32, true));
        Source::of_files(fields, None, days.into_iter().map(|(day, first)| (Some(day), first)))
    }

    fn of_files<'p>(
        fields: Vec<Field>,
        unique: Option<Vec<String>>,
        files: impl IntoIterator<Item = (Option<i32>, &'p Path)>,
    ) -> Result<Source, ArrowError> {
        let mut parts = Vec::new();
        for (day, first) in files {
            for path in parts_of(first)? {
                parts.push(PartFile::open(&path, day)?);
            }
        }
        let rows = parts.iter().map(|part| part.rows).sum();
        let parts = parts.into_iter().map(Part::File).collect();
        Ok(Source { schema: Arc::new(Schema::new(fields)), rows, unique, parts })
    }

    /// A table of the scratch folder, with its unique column, if there is one.
    pub(in crate::reconcile) fn of_table(path: &Path, unique: Option<&str>) -> Result<Source, ArrowError> {
        let table = ScratchTable::open(path)?;
        let unique = unique.map(|column| vec![column.to_owned()]);
        let (schema, rows) = (table.schema().clone(), table.rows());
        Ok(Source { schema, rows, unique, parts: vec![Part::Table(table)] })
    }

    /// Batches of one schema in memory; strings and integers are converted to the types of a contract.
    pub(in crate::reconcile) fn of_batches(schema: SchemaRef, batches: &[RecordBatch]) -> Result<Source, ArrowError> {
        let schema = usual(&RecordBatch::new_empty(schema))?.schema();
        let batches = batches.iter().map(usual).collect::<Result<Vec<_>, _>>()?;
        let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
        Ok(Source { schema, rows, unique: None, parts: batches.into_iter().map(Part::Memory).collect() })
    }

    /// Whether it is in memory.
    pub(super) fn is_in_memory(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Memory(_)))
    }

    /// Whether these columns identify a row.
    pub(super) fn is_unique(&self, columns: &[&str]) -> bool {
        let unique = self.unique.as_ref();
        unique.is_some_and(|unique| unique.iter().all(|column| columns.contains(&column.as_str())))
    }

    /// The type of a column.
    pub(super) fn kind(&self, column: &str) -> Option<&DataType> {
        self.schema.field_with_name(column).ok().map(Field::data_type)
    }

    /// All rows, as stretches.
    pub(super) fn stretches(&self) -> Vec<Stretch> {
        let (mut stretches, mut first) = (Vec::new(), 0);
        for (part, rows) in self.parts.iter().map(Part::stretches).enumerate() {
            for (place, rows) in rows.into_iter().enumerate() {
                stretches.push(Stretch { part, place, first });
                first += rows;
            }
        }
        stretches
    }

    /// Scans these columns of all rows; `see` gets the number of the first row of each batch.
    pub(super) fn scan(
        &self,
        columns: &BTreeSet<String>,
        mut see: impl FnMut(u64, &RecordBatch) -> Result<(), ArrowError>,
    ) -> Result<(), ArrowError> {
        let mut see = |first, batch: &_| see(first, batch).map(ControlFlow::Continue);
        self.stretches().iter().try_for_each(|stretch| self.scan_stretch(*stretch, columns, &mut see))
    }

    /// Scans these columns of a stretch until `see` stops it; `see` gets the number of the first row of each batch.
    pub(super) fn scan_stretch(
        &self,
        Stretch { part, place, mut first }: Stretch,
        columns: &BTreeSet<String>,
        mut see: impl FnMut(u64, &RecordBatch) -> Result<ControlFlow<()>, ArrowError>,
    ) -> Result<(), ArrowError> {
        let part = &self.parts[part];
        for batch in part.read_stretch(place, columns)? {
            let batch = self.shaped(part, &batch?, Some(columns))?;
            if see(first, &batch)?.is_break() {
                break;
            }
            first += batch.num_rows() as u64;
        }
        Ok(())
    }

    /// Reads the rows with these ascending numbers. Columns that are not wanted are null.
    pub(super) fn fetch(
        &self,
        columns: &BTreeSet<String>,
        numbers: &[u64],
        mut see: impl FnMut(&RecordBatch) -> Result<(), ArrowError>,
    ) -> Result<(), ArrowError> {
        let (mut first, mut rest) = (0, numbers);
        for part in &self.parts {
            let rows = part.rows();
            let (mine, others) = rest.split_at(rest.partition_point(|number| *number < first + rows));
            match part {
                _ if mine.is_empty() => {}
                Part::File(file) => {
                    for batch in file.reader(columns)?.with_row_selection(selection(mine, first, rows)).build()? {
                        see(&self.shaped(part, &batch?, None)?)?;
                    }
                }
                Part::Table(table) => {
                    let mine: Vec<_> = mine.iter().map(|number| number - first).collect();
                    table.fetch(columns, &mine, |batch| see(&self.shaped(part, &batch, None)?))?;
                }
                Part::Memory(_) => {}
            }
            (first, rest) = (first + rows, others);
        }
        Ok(())
    }

    /// A batch in the types of this table: all columns, or the named ones.
    fn shaped(
        &self,
        part: &Part,
        batch: &RecordBatch,
        columns: Option<&BTreeSet<String>>,
    ) -> Result<RecordBatch, ArrowError> {
        let is_wanted = |field: &&Arc<Field>| columns.is_none_or(|columns| columns.contains(field.name()));
        let fields: Vec<_> = self.schema.fields().iter().filter(is_wanted).cloned().collect();
        let arrays = fields.iter().map(|field| column(part, batch, field)).collect::<Result<Vec<_>, _>>()?;
        // Without columns, only the number of rows is left.
        let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &rows)
    }
}

fn column(part: &Part, batch: &RecordBatch, field: &Field) -> Result<ArrayRef, ArrowError> {
    if let (Part::File(PartFile { day: Some(day), .. }), DAY_COLUMN) = (part, field.name().as_str()) {
        return Ok(Arc::new(Date32Array::from_value(*day, batch.num_rows())));
    }
    match batch.column_by_name(field.name()) {
        Some(array) if array.data_type() == field.data_type() => Ok(array.clone()),
        Some(_) => Err(ArrowError::SchemaError(format!("column `{}` has another type", field.name()))),
        None => Ok(new_null_array(field.data_type(), batch.num_rows())),
    }
}

impl Part {
    fn rows(&self) -> u64 {
        match self {
            Part::File(file) => file.rows,
            Part::Table(table) => table.rows(),
            Part::Memory(batch) => batch.num_rows() as u64,
        }
    }

    /// The number of rows of each of its stretches.
    fn stretches(&self) -> Vec<u64> {
        match self {
            Part::File(file) => file.groups().collect(),
            Part::Table(table) => table.stretches(BATCHES_PER_STRETCH).collect(),
            Part::Memory(batch) => vec![batch.num_rows() as u64],
        }
    }

    fn read_stretch(&self, place: usize, columns: &BTreeSet<String>) -> Result<Batches, ArrowError> {
        Ok(match self {
            Part::File(file) => Box::new(file.reader(columns)?.with_row_groups(vec![place]).build()?),
            Part::Table(table) => Box::new(table.read_stretch(columns, place, BATCHES_PER_STRETCH)?),
            Part::Memory(batch) => Box::new(std::iter::once(Ok(batch.clone()))),
        })
    }
}

type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>>>;

impl PartFile {
    fn open(path: &Path, day: Option<i32>) -> Result<PartFile, ArrowError> {
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let metadata = ArrowReaderMetadata::load(&File::open(path)?, options)?;
        let rows = u64::try_from(metadata.metadata().file_metadata().num_rows()).unwrap_or_default();
        Ok(PartFile { path: path.to_owned(), metadata, day, rows })
    }

    /// The number of rows of each of its row groups.
    fn groups(&self) -> impl Iterator<Item = u64> {
        let groups = self.metadata.metadata().row_groups().iter();
        groups.map(|group| u64::try_from(group.num_rows()).unwrap_or_default())
    }

    fn reader(&self, columns: &BTreeSet<String>) -> Result<ParquetRecordBatchReaderBuilder<File>, ArrowError> {
        let file = File::open(&self.path)?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone());
        let columns = ProjectionMask::columns(builder.parquet_schema(), columns.iter().map(String::as_str));
        Ok(builder.with_projection(columns).with_batch_size(ROWS_PER_BATCH))
    }
}

fn selection(numbers: &[u64], first: u64, rows: u64) -> RowSelection {
    let place = |number: u64| usize::try_from(number - first).expect("a file's row number fits");
    let ranges = numbers.iter().map(|number| Range { start: place(*number), end: place(*number) + 1 });
    RowSelection::from_consecutive_ranges(ranges, usize::try_from(rows).expect("a file's rows fit"))
}

fn fields_of(contract: &Contract) -> Vec<Field> {
    contract.arrow().fields().iter().map(|field| nullable(field)).collect()
}

fn nullable(field: &Field) -> Field {
    Field::new(field.name(), field.data_type().clone(), true)
}

/// A batch with strings and integers in the types of a contract.
fn usual(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, array)| {
        let kind = match array.data_type() {
            DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
            DataType::Int8 | DataType::Int16 | DataType::Int32 => DataType::Int64,
            other => other.clone(),
        };
        Ok((Field::new(field.name(), kind.clone(), true), cast(array, &kind)?))
    });
    let (fields, arrays): (Vec<_>, Vec<_>) = columns.collect::<Result<Vec<_>, ArrowError>>()?.into_iter().unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
}
