//! Checks that no amount or count is below zero where the contract excludes it. Changes no row.

use arrow::array::{Array, AsArray, Int64Array, RecordBatch};

use super::error::PartitionError;
use super::key_order::key_text;
use crate::contract::Contract;

/// Fails at the first column that has a negative value. A column that `batch` lacks, because its file is of an older
/// contract, holds none.
pub(super) fn check(contract: &'static Contract, batch: &RecordBatch) -> Result<(), PartitionError> {
    contract.never_negative.iter().try_for_each(|column| {
        let Some(values) = batch.column_by_name(column) else { return Ok(()) };
        let values: &Int64Array = values.as_primitive();
        first_negative(values).map_or(Ok(()), |row| {
            let (dataset, key) = (contract.name.as_str(), key_text(contract, batch, row));
            Err(PartitionError::Negative { dataset, column, value: values.value(row), key })
        })
    })
}

/// What stands below a null says nothing.
fn first_negative(values: &Int64Array) -> Option<usize> {
    let mut negative = (0..values.len()).filter(|row| values.values()[*row] < 0);
    negative.find(|row| values.is_valid(*row))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray};

    use super::*;
    use crate::contract::contract;

    fn checked(settled_fen: Vec<Option<i64>>) -> Result<(), PartitionError> {
        let rows = settled_fen.len();
        let texts = |text: &str| Arc::new(StringArray::from(vec![text; rows])) as ArrayRef;
        let columns = [
            ("transaction_id", texts("T1")),
            ("trade_state", texts("SUCCESS")),
            ("settled_fen", Arc::new(Int64Array::from(settled_fen)) as ArrayRef),
        ];
        check(
            contract("payments"),
            &RecordBatch::try_from_iter_with_nullable(columns.map(|(name, it)| (name, it, true))).unwrap(),
        )
    }

    #[test]
    fn the_first_negative_amount_is_told_with_its_column_and_key() {
        let told = checked(vec![Some(0), None, Some(-5), Some(-7)]).unwrap_err().to_string();
        assert_eq!(
            told,
            "`payments` would contain -5 as `settled_fen` of the key T1, SUCCESS, which is never negative"
        );
    }

    #[test]
    fn zero_and_null_pass() {
        checked(vec![Some(0), None, Some(i64::MAX)]).unwrap();
        checked(vec![]).unwrap();
    }

    #[test]
    fn the_value_below_a_null_is_not_read() {
        let values = Int64Array::new(vec![-1, 1].into(), Some(vec![false, true].into()));
        assert_eq!(first_negative(&values), None);
    }
}
