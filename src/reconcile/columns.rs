//! Rows of Arrow batches without a copy: a row type borrows its texts from the batch it stands in.
//! Instants are microseconds since 1970 (UTC), dates days since 1970, amounts fen. Reads no file.

use arrow::array::TimestampMicrosecondArray;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Date32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Date32Type, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;

/// Microseconds since 1970-01-01T00:00:00Z.
pub(super) type Micros = i64;
/// Days since 1970-01-01.
pub(super) type DayNumber = i32;

/// The business date of an instant: Asia/Shanghai is eight hours ahead, all year.
pub(super) fn business_day(instant: Micros) -> DayNumber {
    const DAY: Micros = 86_400_000_000;
    const SHANGHAI: Micros = 8 * 3_600_000_000;
    DayNumber::try_from((instant + SHANGHAI).div_euclid(DAY)).expect("business dates lie within 32-bit days")
}

/// A column of a batch, as one of the types a contract knows.
pub(super) trait Column: Sized {
    /// The column of a batch; a column the file does not have yet is all null.
    fn of(batch: &RecordBatch, name: &str) -> Result<Self, ArrowError>;

    /// As `of`; a column that is missing or has a null is an error.
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
                array.ok_or_else(|| ArrowError::SchemaError(format!("column `{name}` is no {}", $kind)))
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

/// Text that may be null.
pub(super) fn maybe_text(array: &StringArray, row: usize) -> Option<&str> {
    array.is_valid(row).then(|| array.value(row))
}

/// Declares a row type and the columns of a batch it is read from. A column whose kind begins with
/// `maybe` may be null, or missing in a file of an older contract.
macro_rules! row_type {
    ($(#[$doc:meta])* $row:ident of $columns:ident { $($name:ident: $kind:ident,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Default)]
        pub(in crate::reconcile) struct $row<'a> {
            $(pub(in crate::reconcile) $name: crate::reconcile::columns::row_type!(@type 'a $kind),)*
        }

        /// The typed columns of one batch.
        #[derive(Debug, Clone)]
        pub(in crate::reconcile) struct $columns {
            $(pub(in crate::reconcile) $name: crate::reconcile::columns::row_type!(@array $kind),)*
        }

        impl crate::reconcile::cursor::Columns for $columns {
            type Row<'a> = $row<'a>;
            const NAMES: &'static [&'static str] = &[$(stringify!($name)),*];

            fn of(batch: &arrow::array::RecordBatch) -> Result<Self, arrow::error::ArrowError> {
                Ok($columns { $($name: crate::reconcile::columns::row_type!(@read $kind batch, stringify!($name))?,)* })
            }

            #[inline]
            fn row(&self, row: usize) -> $row<'_> {
                $row { $($name: crate::reconcile::columns::row_type!(@value $kind self.$name, row),)* }
            }
        }
    };
    (@read maybe_text $batch:expr, $name:expr) => { crate::reconcile::columns::Column::of($batch, $name) };
    (@read maybe_integer $batch:expr, $name:expr) => { crate::reconcile::columns::Column::of($batch, $name) };
    (@read maybe_fen $batch:expr, $name:expr) => { crate::reconcile::columns::Column::of($batch, $name) };
    (@read maybe_instant $batch:expr, $name:expr) => { crate::reconcile::columns::Column::of($batch, $name) };
    (@read maybe_date $batch:expr, $name:expr) => { crate::reconcile::columns::Column::of($batch, $name) };
    (@read maybe_flag $batch:expr, $name:expr) => { crate::reconcile::columns::Column::of($batch, $name) };
    (@read $required:ident $batch:expr, $name:expr) => { crate::reconcile::columns::Column::required($batch, $name) };
    (@type $l:lifetime text) => { &$l str };
    (@type $l:lifetime maybe_text) => { Option<&$l str> };
    (@type $l:lifetime integer) => { i64 };
    (@type $l:lifetime maybe_integer) => { Option<i64> };
    (@type $l:lifetime fen) => { crate::money::Fen };
    (@type $l:lifetime maybe_fen) => { Option<crate::money::Fen> };
    (@type $l:lifetime instant) => { crate::reconcile::columns::Micros };
    (@type $l:lifetime maybe_instant) => { Option<crate::reconcile::columns::Micros> };
    (@type $l:lifetime date) => { crate::reconcile::columns::DayNumber };
    (@type $l:lifetime maybe_date) => { Option<crate::reconcile::columns::DayNumber> };
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
    (@value maybe_text $array:expr, $row:expr) => { crate::reconcile::columns::maybe_text(&$array, $row) };
    (@value maybe_fen $array:expr, $row:expr) => {
        arrow::array::Array::is_valid(&$array, $row).then(|| crate::money::Fen($array.value($row)))
    };
    (@value fen $array:expr, $row:expr) => { crate::money::Fen($array.value($row)) };
    (@value maybe_integer $array:expr, $row:expr) => { crate::reconcile::columns::row_type!(@maybe $array, $row) };
    (@value maybe_instant $array:expr, $row:expr) => { crate::reconcile::columns::row_type!(@maybe $array, $row) };
    (@value maybe_date $array:expr, $row:expr) => { crate::reconcile::columns::row_type!(@maybe $array, $row) };
    (@value maybe_flag $array:expr, $row:expr) => { crate::reconcile::columns::row_type!(@maybe $array, $row) };
    (@value $required:ident $array:expr, $row:expr) => { $array.value($row) };
    (@maybe $array:expr, $row:expr) => {
        arrow::array::Array::is_valid(&$array, $row).then(|| $array.value($row))
    };
}

/// The columns of a batch while it fills with rows.
pub(super) trait Table: Default {
    /// A row.
    type Row<'a>;

    /// Rows since the last batch.
    fn rows(&self) -> usize;

    /// Adds a row.
    fn push(&mut self, row: &Self::Row<'_>);

    /// The rows so far as columns, in the order of their declaration, without those that are left out.
    fn take(&mut self) -> Vec<(&'static str, ArrayRef)>;

    /// Leaves out, from the first row on, the columns of which this is not true, by place and name.
    fn keep(&mut self, is_read: impl Fn(usize, &str) -> bool);
}

/// Declares a row type and the `Table` its rows are written with, column by column.
macro_rules! table_type {
    ($(#[$doc:meta])* $row:ident into $builder:ident { $($name:ident: $kind:ident,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Default)]
        pub(in crate::reconcile) struct $row<'a> {
            $(pub(in crate::reconcile) $name: crate::reconcile::columns::row_type!(@type 'a $kind),)*
        }

        /// The columns of a batch while it fills.
        #[derive(Debug, Default)]
        pub(in crate::reconcile) struct $builder {
            rows: usize,
            $($name: crate::reconcile::builders::Kept<crate::reconcile::columns::table_type!(@builder $kind)>,)*
        }

        impl crate::reconcile::columns::Table for $builder {
            type Row<'a> = $row<'a>;

            fn rows(&self) -> usize {
                self.rows
            }

            #[inline]
            fn push(&mut self, row: &$row<'_>) {
                self.rows += 1;
                $(if let Some(column) = self.$name.filling() {
                    crate::reconcile::columns::table_type!(@push $kind column, row.$name);
                })*
            }

            fn take(&mut self) -> Vec<(&'static str, arrow::array::ArrayRef)> {
                self.rows = 0;
                let columns: Vec<Option<(&str, arrow::array::ArrayRef)>> = vec![$(self.$name.filling().map(|column| {
                    let array = crate::reconcile::columns::table_type!(@finish $kind column.finish());
                    (stringify!($name), array as arrow::array::ArrayRef)
                }),)*];
                columns.into_iter().flatten().collect()
            }

            fn keep(&mut self, is_read: impl Fn(usize, &str) -> bool) {
                let names = [$(stringify!($name)),*];
                let mut left_out = (0..).zip(names).map(|(place, name)| !is_read(place, name));
                $(if left_out.next() == Some(true) {
                    self.$name.leave_out();
                })*
            }
        }
    };
    (@builder text) => { crate::reconcile::builders::Texts };
    (@builder maybe_text) => { crate::reconcile::builders::Texts };
    (@builder instant) => { crate::reconcile::builders::Numbers<arrow::datatypes::TimestampMicrosecondType> };
    (@builder maybe_instant) => { crate::reconcile::builders::Numbers<arrow::datatypes::TimestampMicrosecondType> };
    (@builder date) => { crate::reconcile::builders::Numbers<arrow::datatypes::Date32Type> };
    (@builder maybe_date) => { crate::reconcile::builders::Numbers<arrow::datatypes::Date32Type> };
    (@builder flag) => { crate::reconcile::builders::Flags };
    (@builder maybe_flag) => { crate::reconcile::builders::Flags };
    (@builder $number:ident) => { crate::reconcile::builders::Numbers<arrow::datatypes::Int64Type> };
    (@push fen $builder:expr, $value:expr) => { $builder.append_value($value.0) };
    (@push maybe_fen $builder:expr, $value:expr) => { $builder.append_option($value.map(|fen| fen.0)) };
    (@push text $builder:expr, $value:expr) => { $builder.append_value($value) };
    (@push integer $builder:expr, $value:expr) => { $builder.append_value($value) };
    (@push instant $builder:expr, $value:expr) => { $builder.append_value($value) };
    (@push date $builder:expr, $value:expr) => { $builder.append_value($value) };
    (@push flag $builder:expr, $value:expr) => { $builder.append_value($value) };
    (@push $maybe:ident $builder:expr, $value:expr) => { $builder.append_option($value) };
    (@finish instant $array:expr) => { std::sync::Arc::new($array.with_timezone("UTC")) };
    (@finish maybe_instant $array:expr) => { std::sync::Arc::new($array.with_timezone("UTC")) };
    (@finish $kind:ident $array:expr) => { std::sync::Arc::new($array) };
}

pub(super) use {row_type, table_type};
