//! Checks that the keys of a partition strictly increase, across batches too. Changes no row.

use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef, AsArray, Date32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Date32Type};

use super::error::PartitionError;
use crate::contract::Contract;

/// Compares consecutive keys of a contract.
pub(super) struct KeyOrder {
    contract: &'static Contract,
    /// The key columns of the previous batch; the next key must be larger than that of its last
    /// row.
    last: Option<Vec<KeyColumn>>,
}

impl KeyOrder {
    pub(super) fn of(contract: &'static Contract) -> KeyOrder {
        KeyOrder { contract, last: None }
    }

    pub(super) fn check(&mut self, batch: &RecordBatch) -> Result<(), PartitionError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let columns = key_columns(self.contract, batch);
        if let Some(last) = &self.last {
            self.compare(&Key { columns: last, row: last[0].len() - 1 }, &Key { columns: &columns, row: 0 })?;
        }
        for row in 1..batch.num_rows() {
            self.compare(&Key { columns: &columns, row: row - 1 }, &Key { columns: &columns, row })?;
        }
        self.last = Some(columns);
        Ok(())
    }

    fn compare(&self, earlier: &Key<'_>, key: &Key<'_>) -> Result<(), PartitionError> {
        let dataset = self.contract.name.as_str();
        match earlier.cmp(key) {
            Ordering::Less => Ok(()),
            Ordering::Greater => Err(PartitionError::Unsorted { dataset, key: key.text() }),
            Ordering::Equal => Err(PartitionError::DuplicateKey { dataset, key: key.text() }),
        }
    }
}

/// The key of a row, readable for people.
pub(super) fn key_text(contract: &Contract, batch: &RecordBatch, row: usize) -> String {
    Key { columns: &key_columns(contract, batch), row }.text()
}

fn key_columns(contract: &Contract, batch: &RecordBatch) -> Vec<KeyColumn> {
    let column = |name: &String| batch.column_by_name(name).expect("key columns are in the schema");
    contract.key.iter().map(|name| KeyColumn::of(column(name))).collect()
}

/// The key of a row.
struct Key<'a> {
    columns: &'a [KeyColumn],
    row: usize,
}

impl Key<'_> {
    fn cmp(&self, other: &Key<'_>) -> Ordering {
        let mut columns = self.columns.iter().zip(other.columns);
        let order = columns.find_map(|(column, next)| match column.compare(self.row, next, other.row) {
            Ordering::Equal => None,
            order => Some(order),
        });
        order.unwrap_or(Ordering::Equal)
    }

    /// Its values, readable for people.
    fn text(&self) -> String {
        self.columns.iter().map(|column| column.text(self.row)).collect::<Vec<_>>().join(", ")
    }
}

/// A key column by its type, determined once per batch.
enum KeyColumn {
    Text(StringArray),
    Integer(Int64Array),
    Date(Date32Array),
}

impl KeyColumn {
    fn of(column: &ArrayRef) -> KeyColumn {
        match column.data_type() {
            DataType::Int64 => KeyColumn::Integer(column.as_primitive().clone()),
            DataType::Date32 => KeyColumn::Date(column.as_primitive().clone()),
            _ => KeyColumn::Text(column.as_string().clone()),
        }
    }

    fn len(&self) -> usize {
        match self {
            KeyColumn::Text(column) => column.len(),
            KeyColumn::Integer(column) => column.len(),
            KeyColumn::Date(column) => column.len(),
        }
    }

    fn compare(&self, row: usize, next: &KeyColumn, next_row: usize) -> Ordering {
        match (self, next) {
            (KeyColumn::Text(one), KeyColumn::Text(other)) => one.value(row).cmp(other.value(next_row)),
            (KeyColumn::Integer(one), KeyColumn::Integer(other)) => one.value(row).cmp(&other.value(next_row)),
            (KeyColumn::Date(one), KeyColumn::Date(other)) => one.value(row).cmp(&other.value(next_row)),
            _ => unreachable!("a column of a contract has one type"),
        }
    }

    /// A key value, readable for people.
    fn text(&self, row: usize) -> String {
        match self {
            KeyColumn::Text(column) => column.value(row).to_owned(),
            KeyColumn::Integer(column) => column.value(row).to_string(),
            KeyColumn::Date(column) => {
                Date32Type::to_naive_date_opt(column.value(row)).map_or_else(String::new, |date| date.to_string())
            }
        }
    }
}
