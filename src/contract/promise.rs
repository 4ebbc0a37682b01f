//! The contract of one dataset: its columns, their meaning, keys and classification, and the Arrow
//! schema derived from them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

/// A text in both languages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// English.
    pub en: String,
    /// Chinese.
    pub zh: String,
}

/// The contract of one dataset.
#[derive(Debug, Clone)]
pub struct Contract {
    /// Name of the dataset.
    pub name: String,
    /// Version of the contract.
    pub version: String,
    /// Its content.
    pub purpose: Words,
    /// The meaning of a row.
    pub grain: Words,
    /// Its intended use.
    pub usage: String,
    /// Its limitations.
    pub limitations: String,
    /// Columns in file order.
    pub columns: Vec<Column>,
    /// Columns of the key, in sort order.
    pub key: Vec<String>,
    /// Integer columns whose values are zero or more.
    pub never_negative: Vec<String>,
}

/// One column of a contract.
#[derive(Debug, Clone)]
pub struct Column {
    /// Lower-case name.
    pub name: String,
    /// Type in the file.
    pub kind: ColumnKind,
    /// Whether null is allowed.
    pub nullable: bool,
    /// Who may see it.
    pub classification: Classification,
    /// Chinese name.
    pub title_zh: String,
    /// Its meaning.
    pub meaning: Words,
    /// The unit of a number: `fen`, `days`, `coupons` …
    pub unit: Option<String>,
    /// The meaning of null; present for every nullable column.
    pub null_meaning: Option<Words>,
    /// The known values, if they are few.
    pub values: Vec<KnownValue>,
    /// Whether there are no others. WeChat's own lists are open: a new value is kept unchanged.
    pub has_known_values_only: bool,
}

/// Who may see a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Classification {
    /// Everyone with access to the lake.
    Internal,
    /// Valuable to whoever has it, or external text that may name people.
    Confidential,
    /// It identifies a person; published as a keyed HMAC unless the job says otherwise.
    Personal,
}

/// A value of a column and its meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownValue {
    /// The value in the file.
    pub value: String,
    /// Its meaning.
    pub meaning: Words,
}

/// The five types of columns: those that every reader supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// UTF-8 text.
    Text,
    /// 64-bit integer; fen if the name ends with `_fen`.
    Integer,
    /// True or false.
    Boolean,
    /// Calendar day.
    Date,
    /// Microseconds, UTC.
    Instant,
}

impl Contract {
    /// The Arrow schema of the file: names, types, nullability and order of the contract.
    pub fn arrow(&self) -> SchemaRef {
        let field = |column: &Column| Field::new(&column.name, column.kind.arrow(), column.nullable);
        Arc::new(Schema::new(self.columns.iter().map(field).collect::<Vec<_>>()))
    }
}

impl ColumnKind {
    /// The Arrow type of a column of this kind.
    pub fn arrow(self) -> DataType {
        match self {
            ColumnKind::Text => DataType::Utf8,
            ColumnKind::Integer => DataType::Int64,
            ColumnKind::Boolean => DataType::Boolean,
            ColumnKind::Date => DataType::Date32,
            ColumnKind::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        }
    }
}
