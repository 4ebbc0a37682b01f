//! Arrow column builders, filled value by value. They do what Arrow's own builders do, but a push inlines to a few
//! instructions, and a batch starts with the capacity that the previous one needed.

use std::mem;

use arrow::array::{ArrayRef, ArrowPrimitiveType, BooleanArray, PrimitiveArray, StringArray};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};

/// A sequence of bits.
#[derive(Debug, Default)]
struct Bits {
    bytes: Vec<u8>,
    /// The bits that do not fill a byte yet.
    last: u8,
    length: usize,
    zeros: usize,
}

/// A column of numbers, instants or dates.
#[derive(Debug)]
pub(in crate::reconcile) struct Numbers<T: ArrowPrimitiveType> {
    values: Vec<T::Native>,
    valid: Bits,
}

/// A column of strings.
#[derive(Debug)]
pub(in crate::reconcile) struct Texts {
    text: String,
    offsets: Vec<i32>,
    valid: Bits,
}

/// A column of flags.
#[derive(Debug, Default)]
pub(in crate::reconcile) struct Flags {
    values: Bits,
    valid: Bits,
}

/// A column of a table; `None` once it is left out.
#[derive(Debug)]
pub(in crate::reconcile) struct Column<B>(pub(in crate::reconcile) Option<B>);

impl<B: Default> Default for Column<B> {
    fn default() -> Column<B> {
        Column(Some(B::default()))
    }
}

impl Bits {
    #[inline]
    fn push(&mut self, bit: bool) {
        self.last |= u8::from(bit) << (self.length % 8);
        self.length += 1;
        self.zeros += usize::from(!bit);
        if self.length.is_multiple_of(8) {
            self.bytes.push(mem::take(&mut self.last));
        }
    }

    fn take(&mut self) -> BooleanBuffer {
        self.bytes.push(mem::take(&mut self.last));
        let room = Vec::with_capacity(self.bytes.len());
        let bits = BooleanBuffer::new(Buffer::from_vec(mem::replace(&mut self.bytes, room)), 0, self.length);
        (self.length, self.zeros) = (0, 0);
        bits
    }

    /// The null mask of a column; `None` if there are no nulls.
    fn take_nulls(&mut self) -> Option<NullBuffer> {
        let has_nulls = self.zeros > 0;
        Some(NullBuffer::new(self.take())).filter(|_| has_nulls)
    }
}

impl<T: ArrowPrimitiveType> Default for Numbers<T> {
    fn default() -> Numbers<T> {
        Numbers { values: Vec::new(), valid: Bits::default() }
    }
}

impl<T: ArrowPrimitiveType> Numbers<T> {
    #[inline]
    pub(in crate::reconcile) fn append_value(&mut self, value: T::Native) {
        self.append_option(Some(value));
    }

    #[inline]
    pub(in crate::reconcile) fn append_option(&mut self, value: Option<T::Native>) {
        self.values.push(value.unwrap_or_default());
        self.valid.push(value.is_some());
    }

    /// The values so far.
    pub(in crate::reconcile) fn finish(&mut self) -> PrimitiveArray<T> {
        let room = Vec::with_capacity(self.values.len());
        let values = ScalarBuffer::from(mem::replace(&mut self.values, room));
        PrimitiveArray::new(values, self.valid.take_nulls())
    }
}

impl Default for Texts {
    fn default() -> Texts {
        Texts { text: String::new(), offsets: vec![0], valid: Bits::default() }
    }
}

impl Texts {
    #[inline]
    pub(in crate::reconcile) fn append_value(&mut self, value: &str) {
        self.append_option(Some(value));
    }

    #[inline]
    pub(in crate::reconcile) fn append_option(&mut self, value: Option<&str>) {
        self.text.push_str(value.unwrap_or_default());
        self.offsets.push(i32::try_from(self.text.len()).expect("a batch holds less than 2 GiB of one column"));
        self.valid.push(value.is_some());
    }

    /// The strings so far.
    pub(in crate::reconcile) fn finish(&mut self) -> StringArray {
        // A little more than the last batch took, since the next one is about as long.
        let room = String::with_capacity(self.text.len() + self.text.len() / 16);
        let text = mem::replace(&mut self.text, room).into_bytes();
        let mut offsets = Vec::with_capacity(self.offsets.len());
        offsets.push(0);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(mem::replace(&mut self.offsets, offsets)));
        StringArray::new(offsets, Buffer::from_vec(text), self.valid.take_nulls())
    }
}

impl Flags {
    #[inline]
    pub(in crate::reconcile) fn append_value(&mut self, value: bool) {
        self.append_option(Some(value));
    }

    #[inline]
    pub(in crate::reconcile) fn append_option(&mut self, value: Option<bool>) {
        self.values.push(value.unwrap_or_default());
        self.valid.push(value.is_some());
    }

    /// The flags so far.
    pub(in crate::reconcile) fn finish(&mut self) -> BooleanArray {
        BooleanArray::new(self.values.take(), self.valid.take_nulls())
    }
}

/// The columns of a batch that is being filled.
pub(in crate::reconcile) trait Table: Default {
    /// A row.
    type Row<'a>;

    /// Rows since the last batch.
    fn rows(&self) -> usize;

    /// Adds a row.
    fn push(&mut self, row: &Self::Row<'_>);

    /// The rows so far as columns, in the order of declaration, without those left out.
    fn take(&mut self) -> Vec<(&'static str, ArrayRef)>;

    /// Leaves out, before the first row, the columns for which `is_read` is false, by index and name.
    fn keep(&mut self, is_read: impl Fn(usize, &str) -> bool);
}

/// Declares a row type and the `Table` to which its rows are written, column by column.
macro_rules! table_type {
    ($(#[$doc:meta])* $row:ident into $builder:ident { $($name:ident: $kind:ident,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Default)]
        pub(in crate::reconcile) struct $row<'a> {
            $(pub(in crate::reconcile) $name: crate::dataset::columns::row_type!(@type 'a $kind),)*
        }

        /// The columns of a batch that is being filled.
        #[derive(Debug, Default)]
        pub(in crate::reconcile) struct $builder {
            rows: usize,
            $($name: crate::reconcile::rows::builders::Column<crate::reconcile::rows::builders::table_type!(@builder $kind)>,)*
        }

        impl crate::reconcile::rows::builders::Table for $builder {
            type Row<'a> = $row<'a>;

            fn rows(&self) -> usize {
                self.rows
            }

            #[inline]
            fn push(&mut self, row: &$row<'_>) {
                self.rows += 1;
                $(if let Some(column) = &mut self.$name.0 {
                    crate::reconcile::rows::builders::table_type!(@push $kind column, row.$name);
                })*
            }

            fn take(&mut self) -> Vec<(&'static str, arrow::array::ArrayRef)> {
                self.rows = 0;
                let columns: Vec<Option<(&str, arrow::array::ArrayRef)>> = vec![$(self.$name.0.as_mut().map(|column| {
                    let array = crate::reconcile::rows::builders::table_type!(@finish $kind column.finish());
                    (stringify!($name), array as arrow::array::ArrayRef)
                }),)*];
                columns.into_iter().flatten().collect()
            }

            fn keep(&mut self, is_read: impl Fn(usize, &str) -> bool) {
                let names = [$(stringify!($name)),*];
                let mut left_out = (0..).zip(names).map(|(place, name)| !is_read(place, name));
                $(if left_out.next() == Some(true) {
                    self.$name.0 = None;
                })*
            }
        }
    };
    (@builder text) => { crate::reconcile::rows::builders::Texts };
    (@builder maybe_text) => { crate::reconcile::rows::builders::Texts };
    (@builder instant) => { crate::reconcile::rows::builders::Numbers<arrow::datatypes::TimestampMicrosecondType> };
    (@builder maybe_instant) => { crate::reconcile::rows::builders::Numbers<arrow::datatypes::TimestampMicrosecondType> };
    (@builder date) => { crate::reconcile::rows::builders::Numbers<arrow::datatypes::Date32Type> };
    (@builder maybe_date) => { crate::reconcile::rows::builders::Numbers<arrow::datatypes::Date32Type> };
    (@builder flag) => { crate::reconcile::rows::builders::Flags };
    (@builder maybe_flag) => { crate::reconcile::rows::builders::Flags };
    (@builder $number:ident) => { crate::reconcile::rows::builders::Numbers<arrow::datatypes::Int64Type> };
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

pub(in crate::reconcile) use table_type;

#[cfg(test)]
mod tests {
    use arrow::datatypes::Int64Type;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn batch_after_batch_is_what_arrow_makes_of_the_same_values(
            batches in proptest::collection::vec(
                proptest::collection::vec(proptest::option::of(("[a-c券]{0,4}", any::<i64>(), any::<bool>())), 0..40),
                1..4,
            )
        ) {
            let (mut texts, mut numbers, mut flags) =
                (Texts::default(), Numbers::<Int64Type>::default(), Flags::default());
            for rows in &batches {
                for row in rows {
                    texts.append_option(row.as_ref().map(|(text, ..)| text.as_str()));
                    numbers.append_option(row.as_ref().map(|(_, number, _)| *number));
                    flags.append_option(row.as_ref().map(|(.., flag)| *flag));
                }
                let cells = || rows.iter().map(Option::as_ref);
                prop_assert_eq!(texts.finish(), cells().map(|row| row.map(|(text, ..)| text)).collect::<StringArray>());
                let wanted: PrimitiveArray<Int64Type> = cells().map(|row| row.map(|(_, number, _)| *number)).collect();
                prop_assert_eq!(numbers.finish(), wanted);
                prop_assert_eq!(flags.finish(), cells().map(|row| row.map(|(.., flag)| *flag)).collect::<BooleanArray>());
            }
        }
    }
}
