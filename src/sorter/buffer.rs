//! Packed rows in memory in their order of arrival, with an index in sort order.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::Range;

use super::blocks::Press;
use super::head::{HEAD_BYTES, head, lengths};
use super::row::{CellPacker, KeyPacker, Packed, PackedRow};

const WRITE_BUFFER: usize = 256 << 10;
/// A compressed block ends with the row that reaches this size.
const BLOCK_BYTES: usize = 32 << 10;

/// Rows in memory.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    places: Vec<Place>,
    /// Length of the common prefix of all keys.
    shared: usize,
}

/// The position of a row, and the part of its key that decides nearly every comparison without reading the row.
#[derive(Debug, Clone, Copy)]
struct Place {
    beginning: u128,
    start: usize,
}

impl Buffer {
    /// Appends a row.
    pub(super) fn push(&mut self, row: &impl Packed) {
        let start = self.bytes.len();
        let cells = pack(row, &mut self.bytes);
        self.shared = match self.places.first() {
            None => cells - start - HEAD_BYTES,
            Some(first) => self.shared_with(first.start, start + HEAD_BYTES..cells),
        };
        self.places.push(Place { beginning: 0, start });
    }

    /// The length of the common prefix of all keys including `key`.
    fn shared_with(&self, first: usize, key: Range<usize>) -> usize {
        let first = &row_at(&self.bytes, first).key[..self.shared];
        let key = &self.bytes[key];
        if key.starts_with(first) { self.shared } else { shared(first, key) }
    }

    /// The memory in use, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len() + self.places.len() * size_of::<Place>()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Length of the common prefix of all keys.
    pub(super) fn shared(&self) -> usize {
        self.shared
    }

    /// Removes the rows and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.places.clear();
    }

    /// Sorts by key; rows with the same key keep their order.
    pub(super) fn sort(&mut self) {
        let Buffer { bytes, places, shared } = self;
        let key = |place: &Place| row_at(bytes, place.start).key;
        for place in places.iter_mut() {
            place.beginning = beginning(&key(place)[*shared..]);
        }
        places.sort_unstable_by(|one, other| {
            let whole = || key(one).cmp(key(other)).then(one.start.cmp(&other.start));
            one.beginning.cmp(&other.beginning).then_with(whole)
        });
    }

    /// The row at an index of the sort order.
    pub(super) fn row(&self, index: usize) -> Option<PackedRow<'_>> {
        self.places.get(index).map(|place| row_at(&self.bytes, place.start))
    }

    /// Appends the sorted rows to `file`, plain or in compressed blocks; returns the bytes written.
    pub(super) fn write(&self, file: &File, is_loose: bool) -> io::Result<u64> {
        let mut file = BufWriter::with_capacity(WRITE_BUFFER, file);
        let written = if is_loose { self.write_rows(&mut file)? } else { self.write_blocks(&mut file)? };
        file.flush()?;
        Ok(written)
    }

    fn write_rows(&self, file: &mut impl Write) -> io::Result<u64> {
        let mut written = 0;
        for place in &self.places {
            let row = self.row_bytes(place);
            file.write_all(row)?;
            written += row.len() as u64;
        }
        Ok(written)
    }

    fn write_blocks(&self, file: &mut impl Write) -> io::Result<u64> {
        let (mut press, mut block, mut written) = (Press::new()?, Vec::with_capacity(2 * BLOCK_BYTES), 0);
        for (number, place) in self.places.iter().enumerate() {
            block.extend_from_slice(self.row_bytes(place));
            if block.len() >= BLOCK_BYTES || number + 1 == self.places.len() {
                let pressed = press.press(&block)?;
                file.write_all(pressed)?;
                written += pressed.len() as u64;
                block.clear();
            }
        }
        Ok(written)
    }

    fn row_bytes(&self, place: &Place) -> &[u8] {
        &self.bytes[place.start..place.start + row_at(&self.bytes, place.start).length()]
    }
}

/// Appends a packed row to `bytes`; returns where its cells start.
pub(super) fn pack(row: &impl Packed, bytes: &mut Vec<u8>) -> usize {
    let start = bytes.len();
    bytes.extend_from_slice(&[0; HEAD_BYTES]);
    row.pack_key(&mut KeyPacker(bytes));
    let cells = bytes.len();
    row.pack_cells(&mut CellPacker::behind(bytes));
    let head = head(cells - start - HEAD_BYTES, bytes.len() - cells);
    bytes[start..start + HEAD_BYTES].copy_from_slice(&head);
    cells
}

/// The row whose head is at `start`.
#[inline]
pub(super) fn row_at(bytes: &[u8], start: usize) -> PackedRow<'_> {
    let (key, cells) = lengths(bytes[start..start + HEAD_BYTES].try_into().expect("eight bytes"));
    let (key, cells) = bytes[start + HEAD_BYTES..start + HEAD_BYTES + key + cells].split_at(key);
    PackedRow { key, cells }
}

/// The length of the common prefix of two keys.
pub(super) fn shared(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

/// The first 16 bytes of a key or string as a number with the same order; shorter ones are padded with zeros.
#[inline]
pub fn beginning(key: &[u8]) -> u128 {
    u128::from_be_bytes(key.first_chunk().copied().unwrap_or_else(|| {
        let mut bytes = [0; 16];
        bytes[..key.len()].copy_from_slice(key);
        bytes
    }))
}
