//! A contract file as written: the subset of the Open Data Contract Standard that the program
//! reads. A missing or invalid value panics when the contracts are first used: the files are
//! compiled in, and a test reads them all.

use std::collections::BTreeMap;

use include_dir::{Dir, include_dir};
use serde::Deserialize;

use super::promise::{Classification, Column, ColumnKind, Contract, KnownValue, Words};

static SCHEMAS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/schemas");

/// Every contract of `schemas/`, by name.
pub(super) fn load_all() -> BTreeMap<String, Contract> {
    let documents = SCHEMAS.files().filter(|file| file.path().to_string_lossy().ends_with(".odcs.yaml"));
    let contracts = documents.map(|file| {
        let text = file.contents_utf8().expect("contracts are UTF-8");
        let contract = read(text).unwrap_or_else(|why| panic!("{}: {why}", file.path().display()));
        (contract.name.clone(), contract)
    });
    contracts.collect()
}

/// Parses one contract; the error says what is wrong with it.
fn read(text: &str) -> Result<Contract, String> {
    let document = serde_saphyr::from_str::<Document>(text).map_err(|error| error.to_string())?;
    let [table] = <[Table; 1]>::try_from(document.schema).map_err(|_| "a contract has one table".to_owned())?;
    Ok(Contract {
        key: key_of(&table.properties),
        never_negative: never_negative(&table)?,
        purpose: document.description.custom_properties.words(document.description.purpose, "purpose_zh")?,
        grain: table.custom_properties.words(table.data_granularity_description, "granularity_zh")?,
        usage: document.description.usage,
        limitations: document.description.limitations,
        columns: table.properties.into_iter().map(column).collect::<Result<_, _>>()?,
        name: document.name,
        version: document.version,
    })
}

fn key_of(properties: &[Property]) -> Vec<String> {
    let placed = |property: &Property| Some((property.primary_key_position?, property.name.clone()));
    properties.iter().filter_map(placed).collect::<BTreeMap<_, _>>().into_values().collect()
}

/// The columns that rules of the form `SELECT COUNT(*) FROM dataset WHERE column < 0` hold at zero or above.
fn never_negative(table: &Table) -> Result<Vec<String>, String> {
    let rules = table.quality.iter().filter_map(|rule| Some((rule, rule.name.strip_suffix("_not_negative")?)));
    let column = |(rule, column): (&Quality, &str)| match rule.query.rsplit_once(" WHERE ") {
        Some((_, condition)) if condition == format!("{column} < 0") => Ok(column.to_owned()),
        _ => Err(format!("`{}` asks something else than its name says", rule.name)),
    };
    rules.map(column).collect()
}

fn column(property: Property) -> Result<Column, String> {
    let more = &property.custom_properties;
    let read = || -> Result<Column, String> {
        Ok(Column {
            kind: kind_of(&property.logical_type)?,
            nullable: !property.required,
            classification: classification_of(&property.classification)?,
            meaning: more.words(property.description.clone(), "description_zh")?,
            unit: more.text("unit").map(str::to_owned),
            null_meaning: more.text("null_means").map(|en| more.words(en.to_owned(), "null_means_zh")).transpose()?,
            values: more.values(),
            has_known_values_only: more.text("values_are") == Some("closed"),
            title_zh: property.business_name.clone(),
            name: property.name.clone(),
        })
    };
    read().map_err(|why| format!("`{}`: {why}", property.name))
}

fn kind_of(logical_type: &str) -> Result<ColumnKind, String> {
    match logical_type {
        "string" => Ok(ColumnKind::Text),
        "integer" => Ok(ColumnKind::Integer),
        "boolean" => Ok(ColumnKind::Boolean),
        "date" => Ok(ColumnKind::Date),
        "timestamp" => Ok(ColumnKind::Instant),
        other => Err(format!("logicalType {other} is not one a dataset may have")),
    }
}

fn classification_of(text: &str) -> Result<Classification, String> {
    match text {
        "internal" => Ok(Classification::Internal),
        "confidential" => Ok(Classification::Confidential),
        "personal" => Ok(Classification::Personal),
        other => Err(format!("classification {other} is none of internal, confidential, personal")),
    }
}

#[derive(Deserialize)]
struct Document {
    name: String,
    version: String,
    description: Description,
    schema: Vec<Table>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Description {
    purpose: String,
    usage: String,
    limitations: String,
    custom_properties: CustomProperties,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Table {
    data_granularity_description: String,
    quality: Vec<Quality>,
    custom_properties: CustomProperties,
    properties: Vec<Property>,
}

/// A rule whose query counts the rows that break it.
#[derive(Deserialize)]
struct Quality {
    name: String,
    query: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Property {
    name: String,
    business_name: String,
    logical_type: String,
    description: String,
    required: bool,
    #[serde(default)]
    primary_key_position: Option<u32>,
    classification: String,
    custom_properties: CustomProperties,
}

/// Custom properties, for which the standard has no field.
#[derive(Deserialize)]
struct CustomProperties(Vec<CustomProperty>);

#[derive(Deserialize)]
struct CustomProperty {
    property: String,
    value: CustomValue,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum CustomValue {
    Text(String),
    Values(Vec<Value>),
}

#[derive(Deserialize)]
struct Value {
    value: String,
    en: String,
    zh: String,
}

impl CustomProperties {
    fn find(&self, name: &str) -> Option<&CustomValue> {
        self.0.iter().find(|it| it.property == name).map(|it| &it.value)
    }

    fn text(&self, name: &str) -> Option<&str> {
        match self.find(name)? {
            CustomValue::Text(text) => Some(text),
            CustomValue::Values(_) => None,
        }
    }

    /// An English text and the Chinese one in property `name`.
    fn words(&self, en: String, name: &str) -> Result<Words, String> {
        let zh = self.text(name).ok_or_else(|| format!("customProperties lack {name}"))?;
        Ok(Words { en, zh: zh.to_owned() })
    }

    fn values(&self) -> Vec<KnownValue> {
        let Some(CustomValue::Values(values)) = self.find("values") else { return Vec::new() };
        let known = |it: &Value| KnownValue {
            value: it.value.clone(),
            meaning: Words { en: it.en.clone(), zh: it.zh.clone() },
        };
        values.iter().map(known).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaks() -> &'static str {
        SCHEMAS.get_file("breaks.odcs.yaml").unwrap().contents_utf8().unwrap()
    }

    #[test]
    fn a_contract_that_lacks_a_word_or_has_a_wrong_one_is_refused_with_its_column() {
        let refusal = |from: &str, to: &str| {
            assert!(breaks().contains(from), "{from}");
            read(&breaks().replacen(from, to, 1)).unwrap_err()
        };
        assert_eq!(
            refusal("logicalType: date", "logicalType: number"),
            "`first_seen_date`: logicalType number is not one a dataset may have"
        );
        assert_eq!(
            refusal("classification: personal", "classification: secret"),
            "`openid`: classification secret is none of internal, confidential, personal"
        );
        assert_eq!(
            refusal("property: null_means_zh", "property: other"),
            "`resolved_date`: customProperties lack null_means_zh"
        );
        assert!(refusal("businessName: 差异编号", "").contains("businessName"));
        assert_eq!(
            refusal("WHERE age_days < 0", "WHERE age_days < 1"),
            "`age_days_not_negative` asks something else than its name says"
        );
        assert!(refusal("required: true", "required: yes please").contains("required"));
    }
}
