//! The Parquet settings of a partition: row groups, compression, dictionaries, statistics. They depend only on the
//! contract and the provenance.

use arrow::datatypes::{DataType, Field};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::contract::Contract;

/// Rows of a row group: the encoded data of one is in memory until it ends, some 100 bytes per ledger row.
pub(super) const ROWS_PER_GROUP: usize = 1 << 19;
/// Higher levels hardly reduce the size: most values are numbers and hashes written as text.
const ZSTD_LEVEL: i32 = 1;
/// Bytes of distinct values above which a dictionary is abandoned. A dictionary of ids costs time and saves nothing.
const DICTIONARY_BYTES: usize = 64 << 10;

/// The provenance stored in the metadata of a file.
#[derive(Debug, Clone, Default)]
pub struct Provenance {
    /// SHA-256 of the rule files in force.
    pub rules_sha256: String,
    /// SHA-256 of everything the rows were made from.
    pub inputs_sha256: String,
    /// Whether rows are missing because something was not answered.
    pub is_partial: bool,
}

/// Name and value of the mark in the metadata of a partial file.
const PARTIAL: (&str, &str) = ("coupon_recon.status", "partial");

/// Whether a file was marked as partial when it was written.
pub(super) fn is_marked_partial(metadata: Option<&Vec<KeyValue>>) -> bool {
    let is_mark = |entry: &KeyValue| (entry.key.as_str(), entry.value.as_deref()) == (PARTIAL.0, Some(PARTIAL.1));
    metadata.is_some_and(|metadata| metadata.iter().any(is_mark))
}

/// The version of the contract that a file was written with, from its metadata.
pub(super) fn contract_version(metadata: Option<&Vec<KeyValue>>) -> Option<&str> {
    let entry = metadata?.iter().find(|entry| entry.key == "coupon_recon.contract_version")?;
    entry.value.as_deref()
}

/// The writer settings for a contract.
pub(super) fn writer_properties(contract: &Contract, provenance: &Provenance) -> WriterProperties {
    let entry = |key: &str, value: &str| KeyValue::new(format!("coupon_recon.{key}"), value.to_owned());
    let mut metadata = vec![
        entry("contract", &contract.name),
        entry("contract_version", &contract.version),
        entry("code_version", env!("CARGO_PKG_VERSION")),
        entry("rules_sha256", &provenance.rules_sha256),
        entry("inputs_sha256", &provenance.inputs_sha256),
    ];
    if provenance.is_partial {
        metadata.push(KeyValue::new(PARTIAL.0.to_owned(), PARTIAL.1.to_owned()));
    }
    let builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL).expect("a zstd level")))
        .set_max_row_group_row_count(Some(ROWS_PER_GROUP))
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_created_by(concat!("coupon-recon ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(metadata));
    let schema = contract.arrow();
    let unsorted = schema.fields().iter().filter(|field| !contract.key.contains(field.name()));
    unsorted
        .fold(builder, |builder, field| {
            builder.set_column_statistics_enabled(ColumnPath::from(field.name().as_str()), statistics_of(field))
        })
        .build()
}

/// Statistics of columns that are not part of a sort order. The smallest and largest strings say nothing, and page
/// statistics of numbers say no more than those of the row group.
fn statistics_of(field: &Field) -> EnabledStatistics {
    match field.data_type() {
        DataType::Utf8 => EnabledStatistics::None,
        _ => EnabledStatistics::Chunk,
    }
}
