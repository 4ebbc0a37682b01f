//! The data contracts of `schemas/*.odcs.yaml` (Open Data Contract Standard 3.1), compiled in,
//! and the Arrow schema each of them stands for. Never touches a data file.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use include_dir::{Dir, include_dir};
use serde::Deserialize;

static SCHEMAS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/schemas");

static CONTRACTS: LazyLock<BTreeMap<String, Contract>> = LazyLock::new(load_all);

/// What one dataset promises.
#[derive(Debug, Clone)]
pub struct Contract {
    /// Name of the dataset.
    pub name: String,
    /// Version of the promise.
    pub version: String,
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
    /// Whether it identifies a person.
    pub personal: bool,
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

/// The contract of `dataset`. Panics on an unknown name: names are compiled in.
pub fn contract(dataset: &str) -> &'static Contract {
    find(dataset).unwrap_or_else(|| panic!("no contract named {dataset} in schemas/"))
}

/// The contract of `dataset`, if there is one.
pub fn find(dataset: &str) -> Option<&'static Contract> {
    CONTRACTS.get(dataset)
}

/// Every contract, by name.
pub fn all() -> impl Iterator<Item = &'static Contract> {
    CONTRACTS.values()
}

impl Contract {
    /// The Arrow schema of the file: names, types, nullability and order of the contract.
    pub fn arrow(&self) -> SchemaRef {
        let field = |column: &Column| Field::new(&column.name, column.kind.arrow(), column.nullable);
        Arc::new(Schema::new(self.columns.iter().map(field).collect::<Vec<_>>()))
    }
}

impl ColumnKind {
    fn arrow(self) -> DataType {
        match self {
            ColumnKind::Text => DataType::Utf8,
            ColumnKind::Integer => DataType::Int64,
            ColumnKind::Boolean => DataType::Boolean,
            ColumnKind::Date => DataType::Date32,
            ColumnKind::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        }
    }

    fn of(logical_type: &str) -> ColumnKind {
        match logical_type {
            "string" => ColumnKind::Text,
            "integer" => ColumnKind::Integer,
            "boolean" => ColumnKind::Boolean,
            "date" => ColumnKind::Date,
            "timestamp" => ColumnKind::Instant,
            other => panic!("logicalType {other} is not one a dataset may have"),
        }
    }
}

#[derive(Deserialize)]
struct Document {
    name: String,
    version: String,
    schema: Vec<Table>,
}

#[derive(Deserialize)]
struct Table {
    properties: Vec<Property>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Property {
    name: String,
    logical_type: String,
    required: bool,
    #[serde(default)]
    primary_key_position: Option<u32>,
    #[serde(default)]
    classification: Option<String>,
}

fn load_all() -> BTreeMap<String, Contract> {
    let documents = SCHEMAS.files().filter(|file| file.path().to_string_lossy().ends_with(".odcs.yaml"));
    let contracts = documents.map(|file| {
        let text = file.contents_utf8().expect("contracts are UTF-8");
        let document = serde_saphyr::from_str::<Document>(text)
            .unwrap_or_else(|error| panic!("{}: {error}", file.path().display()));
        (document.name.clone(), from_document(document))
    });
    contracts.collect()
}

fn from_document(document: Document) -> Contract {
    let table = document.schema.into_iter().next().expect("a contract has one table");
    let mut key: Vec<_> = table
        .properties
        .iter()
        .filter_map(|property| property.primary_key_position.map(|position| (position, property.name.clone())))
        .collect();
    key.sort();
    let columns = table.properties.into_iter().map(|property| Column {
        kind: ColumnKind::of(&property.logical_type),
        name: property.name,
        nullable: !property.required,
        personal: property.classification.as_deref() == Some("personal"),
    });
    Contract {
        name: document.name,
        version: document.version,
        columns: columns.collect(),
        key: key.into_iter().map(|(_, name)| name).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_contract_has_a_key_of_required_columns_and_a_business_date() {
        assert_eq!(all().count(), 19);
        for contract in all() {
            assert!(!contract.key.is_empty(), "{}", contract.name);
            for key in &contract.key {
                let column = contract.columns.iter().find(|column| &column.name == key).unwrap();
                assert!(!column.nullable, "{}.{key}", contract.name);
            }
            assert!(contract.columns.iter().any(|column| column.name == "business_date"), "{}", contract.name);
        }
    }

    #[test]
    fn money_and_counts_are_64_bit_integers_and_names_are_lower_case() {
        for column in all().flat_map(|contract| &contract.columns) {
            assert_eq!(column.name, column.name.to_lowercase());
            if column.name.ends_with("_fen") || column.name.ends_with("_cnt") {
                assert_eq!(column.kind, ColumnKind::Integer, "{}", column.name);
            }
        }
    }
}
