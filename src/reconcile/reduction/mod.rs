//! Reduces the tables that rules read: derives from the SQL of a rule which rows of the large tables cannot affect its
//! result, and runs the unchanged rule on the remaining rows.
//!
//! Why this is exact. A *mention* is one occurrence of a base table in a rule's query, with views expanded. Four kinds
//! of conditions are **necessary** for a row of a mention to matter; `shape` determines when:
//!
//! 1. a condition of the query on this row alone (WHERE, inner ON, the right side's part of a left ON);
//! 2. its key occurs in another mention that is already reduced (the other side of an equality);
//! 3. its key does not occur in a table that the query anti-joins;
//! 4. its group has as many rows as the query requires.
//!
//! Rows that fail a condition are left out, mention by mention; each step preserves the result, so all of them do.
//! Keeping too many rows is harmless, since the rule itself is unchanged. The only possible mistake is a condition that
//! is too strong, and a test compares the breaks of reduced and whole tables. A rule that is not understood, a table
//! without a useful condition or a file that cannot be read as expected is left whole.

mod absence;
mod by_keys;
mod evaluate;
mod expression;
mod keyed;
mod keys;
mod large_groups;
mod limits;
mod ordered;
mod plan;
mod planned;
pub(super) mod rename;
mod scattered;
mod scope;
mod shape;
mod source;
mod syntax;
mod table_scan;
mod term;
mod trials;
#[cfg(test)]
mod tests;

pub(super) use limits::Limits;
pub(super) use planned::Sources;
pub(super) use shape::{Factor, Meaning, Shape};
pub(super) use source::Source;
pub(super) use term::{Mention, Term};

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use crate::threads::{THREADS, map_parallel};
use planned::{Planned, State};

/// The number of a row in its table: a column of the files of reduced tables.
pub(super) const ROW_COLUMN: &str = "__row";
const ROWS_PER_GROUP: usize = 1 << 16;
/// Rows of a table of which those that are still read go to one file: a large table is fetched by all threads.
const ROWS_PER_FILE: u64 = 1 << 21;

/// The rules that have smaller tables tonight.
#[derive(Debug, Default)]
pub(super) struct Reduction {
    rules: BTreeMap<String, Reduced>,
    files: BTreeMap<String, Vec<PathBuf>>,
}

/// What a rule reads.
#[derive(Debug)]
pub(super) struct Reduced {
    pub(super) factors: Vec<Factor>,
    /// The base table of each mention.
    pub(super) tables: Vec<String>,
    /// The rows of the mentions that were reduced.
    pub(super) rows: BTreeMap<Mention, Vec<u64>>,
}

impl Reduced {
    /// Whether a table, or one in a view, was reduced.
    pub(super) fn reads_less(&self, factor: &Factor) -> bool {
        Shape::mentions_in(factor).iter().any(|mention| self.rows.contains_key(mention))
    }
}

impl Reduction {
    /// What a rule reads, if that is less than everything.
    pub(super) fn of(&self, rule_id: &str) -> Option<&Reduced> {
        self.rules.get(rule_id)
    }

    /// The files with the rows of a table that some rule still reads.
    pub(super) fn files(&self, table: &str) -> &[PathBuf] {
        self.files.get(table).map_or(&[], Vec::as_slice)
    }
}

/// Reduces the tables of rules, given by id and shape, as far as that is worth it; what is left of each
/// table goes to a file of `scratch`, in the columns whose names are among the `words` of the rules.
pub(super) fn reduce(
    shapes: Vec<(String, Shape)>,
    sources: &Sources,
    words: &BTreeSet<String>,
    limits: Limits,
    scratch: &Path,
) -> Result<Reduction, ArrowError> {
    let mut words = words.clone();
    if shapes.iter().any(|(_, shape)| shape.reads_all) {
        let schemas = sources.values().flat_map(|source| source.schema.fields().iter());
        words.extend(schemas.map(|field| field.name().clone()));
    }
    let (ids, mut planned): (Vec<_>, Vec<_>) =
        shapes.into_iter().map(|(id, shape)| (id, Planned::new(shape, sources))).unzip();
    plan::reduce(&mut planned, sources, limits, scratch);
    let files = write_files(&wanted_rows(&planned), sources, &words, scratch)?;
    let mut reduction = Reduction { files, ..Reduction::default() };
    for (id, planned) in ids.into_iter().zip(planned) {
        let Planned { shape, states, .. } = planned;
        let rows = states.into_iter().enumerate().filter_map(|(mention, state)| match state {
            State::Reduced(rows) => Some((mention, rows)),
            _ => None,
        });
        let reduced = Reduced { factors: shape.factors, tables: shape.tables, rows: rows.collect() };
        reduction.rules.insert(id, reduced);
    }
    reduction.rules.retain(|_, reduced| !reduced.rows.is_empty());
    Ok(reduction)
}

/// The rows of each table that some rule still reads.
fn wanted_rows(rules: &[Planned]) -> BTreeMap<String, Vec<u64>> {
    let mut wanted: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for planned in rules {
        for (table, state) in planned.shape.tables.iter().zip(&planned.states) {
            if let State::Reduced(rows) = state {
                wanted.entry(table.clone()).or_default().extend(rows);
            }
        }
    }
    wanted.into_iter().map(|(table, rows)| (table, rows.into_iter().collect())).collect()
}

/// Writes the rows of each table, those of one range of numbers into one file, and one of no rows where none are wanted.
fn write_files(
    wanted: &BTreeMap<String, Vec<u64>>,
    sources: &Sources,
    words: &BTreeSet<String>,
    scratch: &Path,
) -> Result<BTreeMap<String, Vec<PathBuf>>, ArrowError> {
    let mut pieces = Vec::new();
    for (table, numbers) in wanted {
        let ranges = numbers.chunk_by(|one, other| one / ROWS_PER_FILE == other / ROWS_PER_FILE);
        let ranges = ranges.chain(numbers.is_empty().then_some(numbers.as_slice()));
        pieces.extend(ranges.enumerate().map(|(place, numbers)| (table, place, numbers)));
    }
    let written = map_parallel(THREADS, pieces, |(table, place, numbers)| {
        let path = scratch.join(format!("reduced-{table}-{place}.parquet"));
        write_rows(&path, &sources[table], words, numbers).map(|()| (table, path))
    });
    let mut files = BTreeMap::<_, Vec<_>>::new();
    for written in written {
        let (table, path) = written?;
        files.entry(table.clone()).or_default().push(path);
    }
    Ok(files)
}

fn write_rows(path: &Path, source: &Source, words: &BTreeSet<String>, numbers: &[u64]) -> Result<(), ArrowError> {
    let schema = with_row_numbers(&source.schema);
    let properties = WriterProperties::builder()
        .set_compression(Compression::UNCOMPRESSED)
        .set_max_row_group_row_count(Some(ROWS_PER_GROUP))
        .build();
    let mut writer = ArrowWriter::try_new(File::create(path)?, schema.clone(), Some(properties))?;
    let mut next = numbers.iter();
    source.fetch(words, numbers, |batch| {
        let rows = next.by_ref().take(batch.num_rows()).map(|number| i64::try_from(*number).expect("a row number"));
        let rows: ArrayRef = Arc::new(rows.collect::<Int64Array>());
        let columns = batch.columns().iter().cloned().chain([rows]).collect();
        Ok(writer.write(&RecordBatch::try_new(schema.clone(), columns)?)?)
    })?;
    writer.close()?;
    Ok(())
}

fn with_row_numbers(schema: &Schema) -> SchemaRef {
    let own = Field::new(ROW_COLUMN, DataType::Int64, true);
    Arc::new(Schema::new(schema.fields().iter().map(|field| field.as_ref().clone()).chain([own]).collect::<Vec<_>>()))
}
