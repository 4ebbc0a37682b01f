//! Zero-copy rows of Arrow batches: a row type borrows its strings from its batch. Instants are microseconds since 1970
//! (UTC), dates days since 1970, amounts fen. Reads no file.

use arrow::array::{
    Array, AsArray, BooleanArray, Date32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Date32Type, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;

/// Microseconds since 1970-01-01T00:00:00Z.
pub(crate) type Micros = i64;
/// Days since 1970-01-01.
pub(crate) type DayNumber = i32;

/// A column of a batch, as one of the types of a contract.
pub(crate) trait Column: Sized {
    /// The column of a batch; all null if the file lacks it.
    fn of(batch: &RecordBatch, name: &str) -> Result<Self, ArrowError>;

    /// As `of`; a missing column or a null value is an error.
    fn required(batch: &RecordBatch, name: &str) -> Result<Self, ArrowError> {
        match batch.column_by_name(name).map(|column| column.null_count()) {
            None => Err(ArrowError::SchemaError(format!("the file has no column `{name}`"))),
            Some(0) => Self::of(batch, name),
            Some(nulls) => Err(ArrowError::SchemaError(format!("column `{name}` is null in {nulls} rows"))),
        }
    }
}

macro_rules! column {
    ($array:ty, $kind:literal, $empty:expr, $cast:expr) => {
        impl Column for $array {
            fn of(batch: &RecordBatch, name: &str) -> Result<$array, ArrowError> {
                let Some(column) = batch.column_by_name(name) else {
                    let nothing: fn(usize) -> $array = $empty;
                    return Ok(nothing(batch.num_rows()));
                };
                let cast: fn(&dyn Array) -> Option<&$array> = $cast;
                let array = cast(column.as_ref()).cloned();
                array.ok_or_else(|| ArrowError::SchemaError(format!("column `{name}` is not of type {}", $kind)))
            }
        }
    };
}

column!(StringArray, "text", StringArray::new_null, |column| column.as_string_opt::<i32>());
column!(Int64Array, "64-bit integer", Int64Array::new_null, |column| column.as_primitive_opt::<Int64Type>());
column!(Date32Array, "date", Date32Array::new_null, |column| column.as_primitive_opt::<Date32Type>());
column!(BooleanArray, "boolean", BooleanArray::new_null, |column| column.as_boolean_opt());
column!(TimestampMicrosecondArray, "instant", TimestampMicrosecondArray::new_null, |column| {
    column.as_primitive_opt::<TimestampMicrosecondType>()
});

/// A string that may be null.
pub(crate) fn maybe_text(array: &StringArray, row: usize) -> Option<&str> {
    array.is_valid(row).then(|| array.value(row))
}

/// The typed columns of a batch.
pub(crate) trait Columns: Sized {
    /// A row that borrows from the columns.
    type Row<'a>
    where
        Self: 'a;
    /// The columns to read; others are not decoded.
    const NAMES: &'static [&'static str];

    /// The columns of a batch.
    fn of(batch: &RecordBatch) -> Result<Self, ArrowError>;
    /// A row.
    fn row(&self, row: usize) -> Self::Row<'_>;
}

/// Declares a row type and the columns of a batch it is read from. A column whose kind starts with `maybe` may be null,
/// or missing in a file of an older contract.
macro_rules! row_type {
    ($(#[$doc:meta])* $row:ident of $columns:ident { $($name:ident: $kind:ident,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Default)]
        pub(crate) struct $row<'a> {
            $(pub(crate) $name: crate::dataset::columns::row_type!(@type 'a $kind),)*
        }

        /// The typed columns of one batch.
        #[derive(Debug, Clone)]
        pub(crate) struct $columns {
            $(pub(crate) $name: crate::dataset::columns::row_type!(@array $kind),)*
        }

        impl crate::dataset::columns::Columns for $columns {
            type Row<'a> = $row<'a>;
            const NAMES: &'static [&'static str] = &[$(stringify!($name)),*];

            fn of(batch: &arrow::array::RecordBatch) -> Result<Self, arrow::error::ArrowError> {
                Ok($columns { $($name: crate::dataset::columns::row_type!(@read $kind batch, stringify!($name))?,)* })
            }

            #[inline]
            fn row(&self, row: usize) -> $row<'_> {
                $row { $($name: crate::dataset::columns::row_type!(@value $kind self.$name, row),)* }
            }
        }
    };
    (@read maybe_text $batch:expr, $name:expr) => { crate::dataset::columns::Column::of($batch, $name) };
    (@read maybe_integer $batch:expr, $name:expr) => { crate::dataset::columns::Column::of($batch, $name) };
    (@read maybe_fen $batch:expr, $name:expr) => { crate::dataset::columns::Column::of($batch, $name) };
    (@read maybe_instant $batch:expr, $name:expr) => { crate::dataset::columns::Column::of($batch, $name) };
    (@read maybe_date $batch:expr, $name:expr) => { crate::dataset::columns::Column::of($batch, $name) };
    (@read maybe_flag $batch:expr, $name:expr) => { crate::dataset::columns::Column::of($batch, $name) };
    (@read $required:ident $batch:expr, $name:expr) => { crate::dataset::columns::Column::required($batch, $name) };
    (@type $l:lifetime text) => { &$l str };
    (@type $l:lifetime maybe_text) => { Option<&$l str> };
    (@type $l:lifetime integer) => { i64 };
    (@type $l:lifetime maybe_integer) => { Option<i64> };
    (@type $l:lifetime fen) => { crate::money::Fen };
    (@type $l:lifetime maybe_fen) => { Option<crate::money::Fen> };
    (@type $l:lifetime instant) => { crate::dataset::columns::Micros };
    (@type $l:lifetime maybe_instant) => { Option<crate::dataset::columns::Micros> };
    (@type $l:lifetime date) => { crate::dataset::columns::DayNumber };
    (@type $l:lifetime maybe_date) => { Option<crate::dataset::columns::DayNumber> };
    (@type $l:lifetime flag) => { bool };
    (@type $l:lifetime maybe_flag) => { Option<bool> };
    (@array text) => { arrow::array::StringArray };
    (@array maybe_text) => { arrow::array::StringArray };
    (@array integer) => { arrow::array::Int64Array };
    (@array maybe_integer) => { arrow::array::Int64Array };
    (@array fen) => { arrow::array::Int64Array };
    (@array maybe_fen) => { arrow::array::Int64Array };
    (@array instant) => { arrow::array::TimestampMicrosecondArray };
    (@array maybe_instant) => { arrow::array::TimestampMicrosecondArray };
    (@array date) => { arrow::array::Date32Array };
    (@array maybe_date) => { arrow::array::Date32Array };
    (@array flag) => { arrow::array::BooleanArray };
    (@array maybe_flag) => { arrow::array::BooleanArray };
    (@value maybe_text $array:expr, $row:expr) => { crate::dataset::columns::maybe_text(&$array, $row) };
    (@value maybe_fen $array:expr, $row:expr) => {
        arrow::array::Array::is_valid(&$array, $row).then(|| crate::money::Fen($array.value($row)))
    };
    (@value fen $array:expr, $row:expr) => { crate::money::Fen($array.value($row)) };
    (@value maybe_integer $array:expr, $row:expr) => { crate::dataset::columns::row_type!(@maybe $array, $row) };
    (@value maybe_instant $array:expr, $row:expr) => { crate::dataset::columns::row_type!(@maybe $array, $row) };
    (@value maybe_date $array:expr, $row:expr) => { crate::dataset::columns::row_type!(@maybe $array, $row) };
    (@value maybe_flag $array:expr, $row:expr) => { crate::dataset::columns::row_type!(@maybe $array, $row) };
    (@value $required:ident $array:expr, $row:expr) => { $array.value($row) };
    (@maybe $array:expr, $row:expr) => {
        arrow::array::Array::is_valid(&$array, $row).then(|| $array.value($row))
    };
}

pub(crate) use row_type;
