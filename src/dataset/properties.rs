//! How a partition is encoded: row groups, compression, what its columns say of their values. The same for the same
//! contract and provenance.

use arrow::datatypes::{DataType, Field};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::contract::Contract;

/// Rows of a row group: what is encoded of one is in memory until it ends, some 100 bytes of a ledger row.
pub(super) const ROWS_PER_GROUP: usize = 1 << 19;
/// Above 1 the files hardly get smaller: most of them are numbers and hashes written as text.
const ZSTD_LEVEL: i32 = 1;
/// Bytes of distinct values after which a column is taken to repeat itself no more. A dictionary of ids
/// costs time and saves nothing.
const DICTIONARY_BYTES: usize = 64 << 10;

/// Facts about how a file came to be, kept in its metadata.
#[derive(Debug, Clone, Default)]
pub struct Provenance {
    /// SHA-256 of the rule files in force.
    pub rules_sha256: String,
    /// SHA-256 of everything the rows were made of.
    pub inputs_sha256: String,
}

/// The version of the contract a file was written by, of its metadata.
pub(super) fn contract_version(metadata: Option<&Vec<KeyValue>>) -> Option<&str> {
    let entry = metadata?.iter().find(|entry| entry.key == "coupon_recon.contract_version")?;
    entry.value.as_deref()
}

/// Of the files of a contract.
pub(super) fn writer_properties(contract: &Contract, provenance: &Provenance) -> WriterProperties {
    let entry = |key: &str, value: &str| KeyValue::new(format!("coupon_recon.{key}"), value.to_owned());
    let metadata = vec![
        entry("contract", &contract.name),
        entry("contract_version", &contract.version),
        entry("code_version", env!("CARGO_PKG_VERSION")),
        entry("rules_sha256", &provenance.rules_sha256),
        entry("inputs_sha256", &provenance.inputs_sha256),
    ];
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

/// What is kept of the values of a column that nothing is sorted by. The smallest and the largest of its texts tell nothing,
/// those of its numbers on one page no more than those of the row group.
fn statistics_of(field: &Field) -> EnabledStatistics {
    match field.data_type() {
        DataType::Utf8 => EnabledStatistics::None,
        _ => EnabledStatistics::Chunk,
    }
}
