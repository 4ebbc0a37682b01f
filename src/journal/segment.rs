//! A segment: some entries of one stage in one Parquet file whose name carries its length and
//! checksum, so that a torn one is known without trusting its content.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::page::{Entry, Page};
use super::{JournalError, io_error};
use crate::durable;

/// One line of a segment as it is written.
#[derive(Serialize)]
struct Row<'a> {
    key: &'a str,
    page_number: i64,
    #[serde(flatten)]
    page: &'a Page,
}

/// The columns of a line before those of the page; read apart from it, because serde's flattening
/// loses the column types on the way back.
#[derive(Deserialize)]
struct Place {
    key: String,
    page_number: i64,
}

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    Arc::new(Schema::new(vec![
        text("key", false),
        Field::new("page_number", DataType::Int64, false),
        Field::new("fetched_at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
        text("method", false),
        text("target", false),
        Field::new("status", DataType::Int64, false),
        Field::new("body", DataType::Binary, false),
        text("timestamp", true),
        text("nonce", true),
        text("signature", true),
        text("serial", true),
        text("request_id", true),
    ]))
});

/// A segment on disk that passed its checksum.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) number: u32,
}

/// Writes `entries` as segment `number` of `folder`, durable before this returns.
pub(super) fn write(folder: &Path, number: u32, entries: &[Entry]) -> Result<Segment, JournalError> {
    durable::create_private_folder(folder).map_err(|source| io_error(folder, source))?;
    let bytes = encode(entries).map_err(|why| JournalError::Segment { path: folder.to_path_buf(), why })?;
    let path = folder.join(format!("{number:05}-{}-{}.parquet", bytes.len(), checksum(&bytes)));
    let beside = folder.join(format!("{number:05}.staged"));
    durable::write_file(&path, &beside, &bytes).map_err(|source| io_error(&path, source))?;
    Ok(Segment { path, number })
}

/// The sound segments of `folder` in order; torn ones are said so, and moved to `torn/` unless nothing
/// may change.
pub(super) fn list(folder: &Path, read_only: bool) -> Result<Vec<Segment>, JournalError> {
    let mut segments = Vec::new();
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(segments),
        entries => entries.map_err(|source| io_error(folder, source))?,
    };
    for entry in entries {
        let path = entry.map_err(|source| io_error(folder, source))?.path();
        let Some((number, length, sum)) = parse_name(&path) else { continue };
        if is_sound(&path, length, &sum).map_err(|source| io_error(&path, source))? {
            segments.push(Segment { path, number });
        } else if read_only {
            tracing::warn!(segment = %path.display(), "a journal segment is torn; its pages are not there");
        } else {
            set_aside(folder, &path)?;
        }
    }
    segments.sort_by_key(|segment| segment.number);
    Ok(segments)
}

/// The keys of a segment, without its bodies.
pub(super) fn read_keys(segment: &Segment) -> Result<Vec<String>, JournalError> {
    #[derive(Deserialize)]
    struct KeyOnly {
        key: String,
    }
    let mut keys = Vec::new();
    for batch in read_batches(segment, Some("key"))? {
        keys.extend(decode::<KeyOnly>(segment, &batch)?.into_iter().map(|row| row.key));
    }
    keys.dedup();
    Ok(keys)
}

/// The entries of a segment.
pub(super) fn read_entries(segment: &Segment) -> Result<Vec<Entry>, JournalError> {
    let mut entries: Vec<Entry> = Vec::new();
    for batch in read_batches(segment, None)? {
        let places = decode::<Place>(segment, &batch)?;
        for (place, page) in places.into_iter().zip(decode::<Page>(segment, &batch)?) {
            match entries.last_mut() {
                Some(entry) if place.page_number > 0 && entry.key == place.key => entry.pages.push(page),
                _ => entries.push(Entry { key: place.key, pages: vec![page] }),
            }
        }
    }
    Ok(entries)
}

fn encode(entries: &[Entry]) -> Result<Vec<u8>, String> {
    let mut rows = Vec::new();
    for entry in entries {
        let pages = entry.pages.iter().enumerate();
        rows.extend(pages.map(|(number, page)| Row { key: &entry.key, page_number: number as i64, page }));
    }
    let batch = serde_arrow::to_record_batch(SCHEMA.fields(), &rows).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    let mut writer =
        ArrowWriter::try_new(&mut bytes, Arc::clone(&SCHEMA), Some(properties())).map_err(|error| error.to_string())?;
    writer.write(&batch).and_then(|()| writer.close()).map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// No two bodies and no two signatures are alike, and nobody looks for one by its size: a dictionary and
/// bounds of them would be work for nothing.
fn properties() -> WriterProperties {
    let level = ZstdLevel::try_new(1).expect("1 is a zstd level");
    let unlike = ["key", "target", "body", "nonce", "signature", "request_id"];
    let builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_statistics_enabled(EnabledStatistics::None);
    unlike.into_iter().fold(builder, |builder, name| builder.set_column_dictionary_enabled(name.into(), false)).build()
}

fn read_batches(segment: &Segment, column: Option<&str>) -> Result<Vec<RecordBatch>, JournalError> {
    let fault = |why: String| JournalError::Segment { path: segment.path.clone(), why };
    let file = File::open(&segment.path).map_err(|source| io_error(&segment.path, source))?;
    let mut builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| fault(error.to_string()))?;
    if let Some(column) = column {
        let mask = ProjectionMask::columns(builder.parquet_schema(), [column]);
        builder = builder.with_projection(mask);
    }
    let reader = builder.build().map_err(|error| fault(error.to_string()))?;
    reader.map(|batch| batch.map_err(|error| fault(error.to_string()))).collect()
}

fn decode<T: DeserializeOwned>(segment: &Segment, batch: &RecordBatch) -> Result<Vec<T>, JournalError> {
    serde_arrow::from_record_batch(batch)
        .map_err(|error| JournalError::Segment { path: segment.path.clone(), why: error.to_string() })
}

/// Whether a segment has the bytes its name tells; `None` for a file that is no segment.
pub(super) fn soundness(path: &Path) -> std::io::Result<Option<bool>> {
    match parse_name(path) {
        Some((_, length, sum)) => is_sound(path, length, &sum).map(Some),
        None => Ok(None),
    }
}

/// `00003-18211-9f86d081884c7d65.parquet` → number, length, checksum.
fn parse_name(path: &Path) -> Option<(u32, u64, String)> {
    let stem = path.file_name()?.to_str()?.strip_suffix(".parquet")?;
    let mut parts = stem.split('-');
    let parsed = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.to_owned());
    parts.next().is_none().then_some(parsed)
}

fn is_sound(path: &Path, length: u64, sum: &str) -> std::io::Result<bool> {
    let bytes = fs::read(path)?;
    Ok(bytes.len() as u64 == length && checksum(&bytes) == sum)
}

fn checksum(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    hex::encode(&digest.as_ref()[..8])
}

fn set_aside(folder: &Path, path: &Path) -> Result<(), JournalError> {
    let torn = folder.join("torn");
    durable::create_private_folder(&torn).map_err(|source| io_error(&torn, source))?;
    let to = torn.join(path.file_name().expect("a segment has a name"));
    durable::move_file(path, &to).map_err(|source| io_error(path, source))?;
    tracing::warn!(segment = %to.display(), "a journal segment is torn; it was set aside and its pages are asked again");
    Ok(())
}
