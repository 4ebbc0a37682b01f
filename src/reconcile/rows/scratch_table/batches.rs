//! Reads the batches of a scratch table column by column: bytes of other columns are not read. The wanted columns are
//! placed in a buffer as long as the whole batch, which is reused for the next batch.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::vec::IntoIter;

use arrow::array::{RecordBatch, layout};
use arrow::buffer::{Buffer, MutableBuffer};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::convert::try_fb_to_schema;
use arrow::ipc::reader::{FileDecoder, read_footer_length};
use arrow::ipc::{Block, MetadataVersion, root_as_footer, root_as_message};

/// The end of a file: the length of its footer and a magic string.
const END_BYTES: usize = 10;
/// What precedes the message of a batch: a marker and its length.
const PREFIX_BYTES: usize = 8;

/// The positions of the batches in a file, and other contents of its footer.
pub(super) struct Footer {
    pub(super) schema: SchemaRef,
    pub(super) rows: Option<u64>,
    pub(super) layout: Layout,
}

/// The positions of the batches of a table.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) blocks: Arc<[Block]>,
    version: MetadataVersion,
}

impl Footer {
    /// Reads the footer; the number of rows is metadata named `rows`.
    pub(super) fn read(file: &File, rows: &str) -> Result<Footer, ArrowError> {
        let end = file.metadata()?.len();
        let length = read_footer_length(bytes_before(file, end)?)?;
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, end.saturating_sub((END_BYTES + length) as u64))?;
        let footer = root_as_footer(&bytes).map_err(|error| broken(&error))?;
        let schema = footer.schema().ok_or_else(|| broken("no schema"))?;
        let mut metadata = footer.custom_metadata().into_iter().flatten();
        let rows = metadata.find(|entry| entry.key() == Some(rows)).and_then(|entry| entry.value()?.parse().ok());
        let blocks = footer.recordBatches().into_iter().flatten().copied().collect();
        let layout = Layout { blocks, version: footer.version() };
        Ok(Footer { schema: Arc::new(try_fb_to_schema(schema)?), rows, layout })
    }
}

fn bytes_before(file: &File, end: u64) -> io::Result<[u8; END_BYTES]> {
    let mut bytes = [0; END_BYTES];
    file.read_exact_at(&mut bytes, end.saturating_sub(END_BYTES as u64))?;
    Ok(bytes)
}

/// The batches of a table in some of its columns.
pub(in crate::reconcile) struct Batches {
    file: File,
    decoder: FileDecoder,
    /// The wanted buffers of a batch, as numbered by the format.
    buffers: Vec<Range<usize>>,
    waiting: IntoIter<Block>,
    /// The buffer of the last batch; what was not read is zero or from an earlier batch.
    bytes: Option<Buffer>,
}

impl Batches {
    /// The batches of these blocks, in those of the named columns that exist.
    pub(super) fn new(
        file: File,
        schema: &SchemaRef,
        layout: &Layout,
        columns: &BTreeSet<String>,
        blocks: Vec<Block>,
    ) -> Batches {
        let (mut places, mut buffers, mut next) = (Vec::new(), Vec::new(), 0);
        for (place, field) in schema.fields().iter().enumerate() {
            let mine = next..next + buffers_of(field.data_type());
            next = mine.end;
            if columns.contains(field.name()) {
                places.push(place);
                buffers.push(mine);
            }
        }
        let decoder = FileDecoder::new(schema.clone(), layout.version).with_projection(places);
        Batches { file, decoder, buffers, waiting: blocks.into_iter(), bytes: None }
    }

    fn read(&mut self, block: &Block) -> Result<RecordBatch, ArrowError> {
        let (start, head, body) = (place(block.offset())?, place(block.metaDataLength())?, place(block.bodyLength())?);
        let mut bytes = self.room_for(head + body);
        self.file.read_exact_at(&mut bytes[..head], start as u64)?;
        for range in self.wanted(&bytes[..head])? {
            let first = head + range.start;
            let wanted =
                bytes.get_mut(first..head + range.end).ok_or_else(|| broken("a buffer outside of its batch"))?;
            self.file.read_exact_at(wanted, (start + first) as u64)?;
        }
        let bytes: Buffer = bytes.into();
        self.bytes = Some(bytes.clone());
        self.decoder.read_record_batch(block, &bytes)?.ok_or_else(|| broken("a message without a batch"))
    }

    /// The buffer of the last batch, if nothing else refers to it.
    fn room_for(&mut self, length: usize) -> MutableBuffer {
        let last = self.bytes.take().and_then(|bytes| bytes.into_mutable().ok());
        let mut bytes = last.unwrap_or_default();
        bytes.resize(length, 0);
        bytes
    }

    /// The positions of the wanted columns in the body of a batch.
    fn wanted(&self, head: &[u8]) -> Result<Vec<Range<usize>>, ArrowError> {
        let message = root_as_message(head.get(PREFIX_BYTES..).unwrap_or_default()).map_err(|error| broken(&error))?;
        let buffers = message.header_as_record_batch().and_then(|batch| batch.buffers());
        let buffers = buffers.ok_or_else(|| broken("a message without buffers"))?;
        let mut wanted: Vec<Range<usize>> = Vec::new();
        for number in self.buffers.iter().cloned().flatten().filter(|number| *number < buffers.len()) {
            let buffer = buffers.get(number);
            let start = place(buffer.offset())?;
            let end = start + place(buffer.length())?;
            match wanted.last_mut() {
                // A small gap between two wanted ranges is read too, which is cheaper than another read.
                Some(last) if (last.end..last.end + WORTH_A_READ).contains(&start) => last.end = end,
                _ => wanted.push(start..end),
            }
        }
        Ok(wanted)
    }
}

/// Fewer bytes are cheaper to read than to skip.
const WORTH_A_READ: usize = 4_096;

impl Iterator for Batches {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let block = self.waiting.next()?;
        Some(self.read(&block))
    }
}

/// The number of buffers of a flat column in a message: its null mask and its values.
fn buffers_of(kind: &DataType) -> usize {
    let layout = layout(kind);
    usize::from(layout.can_contain_null_mask) + layout.buffers.len()
}

/// A position in a file, or a length.
fn place(number: impl TryInto<usize>) -> Result<usize, ArrowError> {
    number.try_into().map_err(|_| broken("a place before its start"))
}

fn broken(why: impl Display) -> ArrowError {
    ArrowError::IpcError(format!("a scratch table that is not as it was written: {why}"))
}

#[cfg(test)]
impl Layout {
    /// Overwrites all bytes of a column; returns their number.
    pub(super) fn spoil(&self, path: &std::path::Path, schema: &SchemaRef, column: &str) -> usize {
        let file = File::options().read(true).write(true).open(path).unwrap();
        let columns = BTreeSet::from([column.to_owned()]);
        let batches = Batches::new(file, schema, self, &columns, Vec::new());
        let mut spoilt = 0;
        for block in self.blocks.iter() {
            let (start, head) = (block.offset() as u64, block.metaDataLength() as usize);
            let mut bytes = vec![0; head];
            batches.file.read_exact_at(&mut bytes, start).unwrap();
            for range in batches.wanted(&bytes).unwrap() {
                batches.file.write_all_at(&vec![0xFF; range.len()], start + (head + range.start) as u64).unwrap();
                spoilt += range.len();
            }
        }
        spoilt
    }
}
