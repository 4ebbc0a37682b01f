//! A segment: some entries of one stage in one Parquet file. Its name carries its length and checksum,
//! so that a torn file is detected without trusting its content.

use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryBuilder, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use bytes::Bytes;
use chrono::DateTime;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use super::error::{JournalError, io_error};
use super::page::{Entry, Page};
use super::torn::set_aside;
use crate::durable;
use crate::sha256::sha256_of;
use crate::wechat::Evidence;

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let text = |name: &str| Field::new(name, DataType::Utf8, false);
    let maybe_text = |name: &str| Field::new(name, DataType::Utf8, true);
    Arc::new(Schema::new(vec![
        text("key"),
        Field::new("page_number", DataType::Int64, false),
        Field::new("fetched_at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
        text("method"),
        text("target"),
        Field::new("status", DataType::Int64, false),
        Field::new("body", DataType::Binary, false),
        maybe_text("timestamp"),
        maybe_text("nonce"),
        maybe_text("signature"),
        maybe_text("serial"),
        maybe_text("request_id"),
    ]))
});

/// A segment on disk whose checksum is valid.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) number: u32,
}

impl Segment {
    /// Separates errors of the disk from those of the segment.
    fn fault(&self, why: &(impl Error + 'static)) -> JournalError {
        match durable::refusal(why) {
            Some(source) => io_error(&self.path, source),
            None => JournalError::Segment { path: self.path.clone(), why: why.to_string() },
        }
    }
}

/// Writes `entries` as segment `number` of `folder`; durable when this returns.
pub(super) fn write(folder: &Path, number: u32, entries: &[Entry]) -> Result<Segment, JournalError> {
    durable::create_private_folder(folder).map_err(|source| io_error(folder, source))?;
    let fault = |why: ParquetError| JournalError::Segment { path: folder.to_path_buf(), why: why.to_string() };
    let bytes = encode(entries).map_err(fault)?;
    let path = folder.join(format!("{number:05}-{}-{}.parquet", bytes.len(), checksum(&bytes)));
    let beside = folder.join(format!("{number:05}.staged"));
    durable::write_file(&path, &beside, &bytes).map_err(|source| io_error(&path, source))?;
    Ok(Segment { path, number })
}

/// The sound segments of `folder` in order. Torn ones are logged, and moved to `torn/` unless read-only.
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
            tracing::warn!(segment = %path.display(), "a journal segment is torn; its pages are missing");
        } else {
            let to = set_aside(folder, &path)?;
            let segment = to.display();
            tracing::warn!(%segment, "a journal segment is torn; it was set aside, and its pages are requested again");
        }
    }
    segments.sort_by_key(|segment| segment.number);
    Ok(segments)
}

/// The keys of a segment; bodies are not read.
pub(super) fn read_keys(segment: &Segment) -> Result<Vec<String>, JournalError> {
    let mut keys = Vec::new();
    for batch in read_batches(segment, Some("key"))? {
        let column = texts(&batch, "key").map_err(|why| segment.fault(&why))?;
        keys.extend(column.iter().flatten().map(str::to_owned));
    }
    keys.dedup();
    Ok(keys)
}

/// The entries of a segment.
pub(super) fn read_entries(segment: &Segment) -> Result<Vec<Entry>, JournalError> {
    let mut entries: Vec<Entry> = Vec::new();
    for batch in read_batches(segment, None)? {
        let columns = Columns::of(&batch).map_err(|why| segment.fault(&why))?;
        for row in 0..batch.num_rows() {
            let key = columns.key.value(row);
            let page = columns.page(row).map_err(|why| segment.fault(&why))?;
            match entries.last_mut() {
                Some(entry) if columns.page_number.value(row) > 0 && entry.key == key => entry.pages.push(page),
                _ => entries.push(Entry { key: key.to_owned(), pages: vec![page] }),
            }
        }
    }
    Ok(entries)
}

/// The columns of a segment (`SCHEMA`).
struct Columns<'b> {
    key: &'b StringArray,
    page_number: &'b Int64Array,
    fetched_at: &'b TimestampMicrosecondArray,
    status: &'b Int64Array,
    body: &'b BinaryArray,
    /// `method` and `target`.
    asked: [&'b StringArray; 2],
    /// `timestamp`, `nonce`, `signature`, `serial` and `request_id`.
    evidence: [&'b StringArray; 5],
}

impl<'b> Columns<'b> {
    fn of(batch: &'b RecordBatch) -> Result<Columns<'b>, ArrowError> {
        let text = |name| texts(batch, name);
        Ok(Columns {
            key: text("key")?,
            page_number: column(batch, "page_number")?.as_primitive_opt().ok_or_else(|| misfit("page_number"))?,
            fetched_at: column(batch, "fetched_at")?.as_primitive_opt().ok_or_else(|| misfit("fetched_at"))?,
            status: column(batch, "status")?.as_primitive_opt().ok_or_else(|| misfit("status"))?,
            body: column(batch, "body")?.as_binary_opt().ok_or_else(|| misfit("body"))?,
            asked: [text("method")?, text("target")?],
            evidence: [text("timestamp")?, text("nonce")?, text("signature")?, text("serial")?, text("request_id")?],
        })
    }

    fn page(&self, row: usize) -> Result<Page, ArrowError> {
        let [method, target] = self.asked.map(|column| column.value(row).to_owned());
        let evidence = self.evidence.map(|column| column.is_valid(row).then(|| column.value(row).to_owned()));
        let [timestamp, nonce, signature, serial, request_id] = evidence;
        let evidence = Evidence { timestamp, nonce, signature, serial, request_id };
        let fetched_at = DateTime::from_timestamp_micros(self.fetched_at.value(row));
        let fetched_at = fetched_at.ok_or_else(|| misfit("fetched_at"))?;
        let (status, body) = (self.status.value(row), Bytes::copy_from_slice(self.body.value(row)));
        Ok(Page { fetched_at, method, target, status, body, evidence })
    }
}

fn column<'b>(batch: &'b RecordBatch, name: &str) -> Result<&'b ArrayRef, ArrowError> {
    batch.column_by_name(name).ok_or_else(|| misfit(name))
}

fn texts<'b>(batch: &'b RecordBatch, name: &str) -> Result<&'b StringArray, ArrowError> {
    column(batch, name)?.as_string_opt().ok_or_else(|| misfit(name))
}

fn misfit(name: &str) -> ArrowError {
    ArrowError::SchemaError(format!("no column `{name}` as a segment has it"))
}

fn encode(entries: &[Entry]) -> Result<Vec<u8>, ParquetError> {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, Arc::clone(&SCHEMA), Some(properties()))?;
    writer.write(&batch_of(entries)?)?;
    writer.close()?;
    Ok(bytes)
}

/// The pages of entries, one per row.
fn batch_of(entries: &[Entry]) -> Result<RecordBatch, ArrowError> {
    let keys = entries.iter().flat_map(|entry| entry.pages.iter().map(|_| &entry.key));
    let numbers = entries.iter().flat_map(|entry| 0..entry.pages.len() as i64);
    let pages: Vec<&Page> = entries.iter().flat_map(|entry| &entry.pages).collect();
    let text = |of: fn(&Page) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(pages.iter().map(|page| of(page))))
    };
    let evidence = |of: fn(&Evidence) -> &Option<String>| -> ArrayRef {
        Arc::new(pages.iter().map(|page| of(&page.evidence).as_deref()).collect::<StringArray>())
    };
    let fetched_at = pages.iter().map(|page| page.fetched_at.timestamp_micros());
    let mut bodies = BinaryBuilder::with_capacity(pages.len(), pages.iter().map(|page| page.body.len()).sum());
    pages.iter().for_each(|page| bodies.append_value(&page.body));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(keys)),
        Arc::new(numbers.collect::<Int64Array>()),
        Arc::new(TimestampMicrosecondArray::from_iter_values(fetched_at).with_timezone("UTC")),
        text(|page| &page.method),
        text(|page| &page.target),
        Arc::new(pages.iter().map(|page| page.status).collect::<Int64Array>()),
        Arc::new(bodies.finish()),
        evidence(|it| &it.timestamp),
        evidence(|it| &it.nonce),
        evidence(|it| &it.signature),
        evidence(|it| &it.serial),
        evidence(|it| &it.request_id),
    ];
    RecordBatch::try_new(Arc::clone(&SCHEMA), columns)
}

/// Bodies and signatures are all distinct, and nobody filters by their size: dictionaries and statistics
/// would be wasted work.
fn properties() -> WriterProperties {
    let level = ZstdLevel::try_new(1).expect("1 is a zstd level");
    let unlike = ["key", "target", "body", "nonce", "signature", "request_id"];
    let builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_statistics_enabled(EnabledStatistics::None);
    unlike.into_iter().fold(builder, |builder, name| builder.set_column_dictionary_enabled(name.into(), false)).build()
}

fn read_batches(segment: &Segment, column: Option<&str>) -> Result<Vec<RecordBatch>, JournalError> {
    let file = File::open(&segment.path).map_err(|source| io_error(&segment.path, source))?;
    let read = || {
        let mut builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
        if let Some(column) = column {
            let mask = ProjectionMask::columns(builder.parquet_schema(), [column]);
            builder = builder.with_projection(mask);
        }
        builder.build()?.collect::<Result<Vec<_>, _>>().map_err(ParquetError::from)
    };
    read().map_err(|why| segment.fault(&why))
}

/// Whether a segment matches the length and checksum in its name; `None` for a file that is not a
/// segment.
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
    sha256_of(bytes)[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page whose fields all differ.
    fn page(number: i64) -> Page {
        let text = |what: &str| format!("{what} {number}");
        Page {
            fetched_at: DateTime::from_timestamp_micros(1_795_104_000_123_456 + number).unwrap(),
            method: text("method"),
            target: text("target"),
            status: 200 + number,
            body: Bytes::from(vec![0, 0xff, u8::try_from(number).unwrap()]),
            evidence: Evidence {
                timestamp: Some(text("timestamp")),
                nonce: Some(text("nonce")),
                signature: Some(text("signature")),
                serial: Some(text("serial")),
                request_id: Some(text("request id")),
            },
        }
    }

    #[test]
    fn every_field_of_a_page_comes_back_in_its_place_and_what_was_not_there_does_not() {
        let bare = Page { evidence: Evidence::default(), ..page(3) };
        let entries = [
            Entry { key: "wallet/a".into(), pages: vec![page(1), page(2)] },
            Entry { key: "wallet/b".into(), pages: vec![bare, Page { body: Bytes::new(), ..page(4) }] },
            // A repeated key is another answer, not further pages of the first.
            Entry { key: "wallet/b".into(), pages: vec![page(5)] },
        ];
        let folder = tempfile::tempdir().unwrap();
        let segment = write(folder.path(), 7, &entries).unwrap();
        assert_eq!(read_entries(&segment).unwrap(), entries);
        assert_eq!(read_keys(&segment).unwrap(), ["wallet/a", "wallet/b"]);
    }
}
