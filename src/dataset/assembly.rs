//! Sorted rows, packed, become the columns of their contract and then a partition file, in batches of one size:
//! the same rows give the same bytes however they were sorted. Users are published as the job says.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Builder, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{Date32Type, SchemaRef};

use super::partition::{PartitionError, ROWS_PER_BATCH, Writer};
use crate::contract::{self, Classification, ColumnKind, Contract};
use crate::persona::Persona;
use crate::sorter::{PackedRow, Unpacker};

/// A partition file that is made of packed rows.
#[derive(Debug)]
pub struct Assembly {
    schema: SchemaRef,
    columns: Vec<Column>,
    persona: Persona,
    writer: Writer,
    waiting: usize,
    rows: u64,
}

impl Assembly {
    /// Begins the rows of `contract` in `writer`.
    pub fn new(contract: &'static Contract, persona: &Persona, writer: Writer) -> Assembly {
        Assembly {
            schema: contract.arrow(),
            columns: columns_of(contract),
            persona: persona.clone(),
            writer,
            waiting: 0,
            rows: 0,
        }
    }

    /// Adds a row that comes after all before it; what lies packed behind its cells is left alone.
    ///
    /// # Errors
    /// Its key stands there already; the file cannot be written.
    pub fn add(&mut self, row: PackedRow<'_>) -> Result<(), PartitionError> {
        let mut cells = row.unpack();
        self.columns.iter_mut().for_each(|column| column.append(&mut cells, &self.persona));
        self.waiting += 1;
        self.rows += 1;
        if self.waiting == ROWS_PER_BATCH { self.flush() } else { Ok(()) }
    }

    /// Ends the rows; gives the file, which is yet to be ended, and their number.
    pub fn finish(mut self) -> Result<(Writer, u64), PartitionError> {
        if self.waiting > 0 {
            self.flush()?;
        }
        Ok((self.writer, self.rows))
    }

    fn flush(&mut self) -> Result<(), PartitionError> {
        self.waiting = 0;
        let columns = self.columns.iter_mut().map(|column| column.builder.finish()).collect();
        let batch = RecordBatch::try_new(self.schema.clone(), columns).expect("columns are built by the contract");
        self.writer.write(&batch)
    }
}

/// How the cells of a column are unpacked and gathered.
#[derive(Debug)]
struct Column {
    is_key: bool,
    nullable: bool,
    is_personal: bool,
    builder: Builder,
}

#[derive(Debug)]
enum Builder {
    Text(StringBuilder),
    Integer(Int64Builder),
    Date(Date32Builder),
    Instant(TimestampMicrosecondBuilder),
}

/// The columns of packed rows: the key first, as the contract has it, and none that is true or false.
fn columns_of(contract: &'static Contract) -> Vec<Column> {
    let (key, rest) = contract.columns.split_at(contract.key.len());
    assert!(key.iter().map(|column| &column.name).eq(&contract.key), "the key of `{}` stands first", contract.name);
    let key = key.iter().map(|column| Column::of(column, true));
    key.chain(rest.iter().map(|column| Column::of(column, false))).collect()
}

impl Column {
    fn of(column: &contract::Column, is_key: bool) -> Column {
        let builder = match column.kind {
            ColumnKind::Text => Builder::Text(StringBuilder::new()),
            ColumnKind::Integer => Builder::Integer(Int64Builder::new()),
            ColumnKind::Date => Builder::Date(Date32Builder::new()),
            ColumnKind::Instant => Builder::Instant(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
            ColumnKind::Boolean => unreachable!("no dataset of the merchant's files has one"),
        };
        let is_personal = column.classification == Classification::Personal;
        Column { is_key, nullable: column.nullable, is_personal, builder }
    }

    fn append(&mut self, cells: &mut Unpacker<'_>, persona: &Persona) {
        let nullable = self.nullable;
        match &mut self.builder {
            Builder::Text(builder) if self.is_key => builder.append_value(cells.key_text()),
            Builder::Text(builder) if self.is_personal => {
                builder.append_option(cells.maybe_text().map(|raw| persona.publish(raw)));
            }
            Builder::Text(builder) if nullable => builder.append_option(cells.maybe_text()),
            Builder::Text(builder) => builder.append_value(cells.text()),
            Builder::Integer(builder) => builder.append_value(cells.integer()),
            Builder::Date(builder) => builder.append_value(Date32Type::from_naive_date(cells.date())),
            Builder::Instant(builder) if nullable => builder.append_option(cells.maybe_micros()),
            Builder::Instant(builder) => builder.append_value(cells.micros()),
        }
    }
}

impl Builder {
    fn finish(&mut self) -> ArrayRef {
        match self {
            Builder::Text(builder) => Arc::new(builder.finish()),
            Builder::Integer(builder) => Arc::new(builder.finish()),
            Builder::Date(builder) => Arc::new(builder.finish()),
            Builder::Instant(builder) => Arc::new(builder.finish()),
        }
    }
}
