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

/// What one dataset promises.
#[derive(Debug, Clone)]
pub struct Contract {
    /// Name of the dataset.
    pub name: String,
    /// Version of the promise.
    pub version: String,
    /// What it holds.
    pub purpose: Words,
    /// What one row is.
    pub grain: Words,
    /// How it is meant to be used.
    pub usage: String,
    /// What it does not tell.
    pub limitations: String,
    /// Columns in file order.
    pub columns: Vec<Column>,
    /// Columns of the key, in sort order.
    pub key: Vec<String>,
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
    /// What it means.
    pub meaning: Words,
    /// What a number counts: `fen`, `days`, `coupons` …
    pub unit: Option<String>,
    /// What null means; stands on every column that may be null.
    pub null_meaning: Option<Words>,
    /// The values it is known to have, if they are few.
    pub values: Vec<KnownValue>,
    /// Whether there are no others. WeChat's own lists are open: a new value is kept as it is.
    pub has_known_values_only: bool,
}

/// Who may see a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Classification {
    /// Whoever works with the lake.
    Internal,
    /// It is worth money to whoever has it, or it is text from outside that may name people.
    Confidential,
    /// It identifies a person; published as a keyed HMAC unless the job says otherwise.
    Personal,
}

/// A value of a column and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownValue {
    /// As it stands in the file.
    pub value: String,
    /// What it says.
    pub meaning: Words,
}

/// The five types a column may have: the ones every reader agrees on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// UTF-8 text.
    Text,
    /// 64-bit integer; fen where the name ends so.
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
