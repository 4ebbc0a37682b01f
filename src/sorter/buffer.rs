//! Rows in memory, one after the other as they came, and the order in which they are to be read.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::Range;

use super::row::{CellPacker, KeyPacker, Packed, PackedRow};

/// The lengths of key and cells before every row.
pub(super) const HEAD_BYTES: usize = 8;
const WRITE_BUFFER: usize = 256 << 10;

/// Rows in memory.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    places: Vec<Place>,
    /// Bytes all keys begin with.
    shared: usize,
}

/// Rows in the order in which they came, packed by whoever has them to save others the work.
#[derive(Debug, Default)]
pub struct PackedRows {
    bytes: Vec<u8>,
}

/// Where a row lies, and the part of its key that decides nearly every comparison without looking there.
#[derive(Debug, Clone, Copy)]
struct Place {
    beginning: u128,
    start: usize,
}

impl Buffer {
    /// Adds a row behind the others.
    pub(super) fn push(&mut self, row: &impl Packed) {
        let start = self.bytes.len();
        let cells = pack(row, &mut self.bytes);
        self.shared = match self.places.first() {
            None => cells - start - HEAD_BYTES,
            Some(first) => self.shared_with(first.start, start + HEAD_BYTES..cells),
        };
        self.places.push(Place { beginning: 0, start });
    }

    /// How many bytes all keys begin with once `key` is among them.
    fn shared_with(&self, first: usize, key: Range<usize>) -> usize {
        let first = &row_at(&self.bytes, first).key[..self.shared];
        if self.bytes[key.clone()].starts_with(first) {
            return self.shared;
        }
        first.iter().zip(&self.bytes[key]).take_while(|(one, other)| one == other).count()
    }

    /// What it holds, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len() + self.places.len() * size_of::<Place>()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Forgets the rows and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.places.clear();
    }

    /// Sorts by key, rows of one key as they came.
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

    /// The row at a place of the order.
    pub(super) fn row(&self, index: usize) -> Option<PackedRow<'_>> {
        self.places.get(index).map(|place| row_at(&self.bytes, place.start))
    }

    /// Writes the rows in order behind what `file` has; gives their bytes.
    pub(super) fn write(&self, file: &File) -> io::Result<u64> {
        let mut writer = BufWriter::with_capacity(WRITE_BUFFER, file);
        let mut written = 0;
        for place in &self.places {
            let row = row_at(&self.bytes, place.start);
            let length = HEAD_BYTES + row.key.len() + row.cells.len();
            writer.write_all(&self.bytes[place.start..place.start + length])?;
            written += length as u64;
        }
        writer.flush()?;
        Ok(written)
    }
}

impl PackedRows {
    /// Adds a row behind the others.
    pub fn push(&mut self, row: &impl Packed) {
        pack(row, &mut self.bytes);
    }

    /// The rows.
    pub fn iter(&self) -> impl Iterator<Item = PackedRow<'_>> {
        let mut start = 0;
        std::iter::from_fn(move || {
            let row = (start < self.bytes.len()).then(|| row_at(&self.bytes, start))?;
            start += HEAD_BYTES + row.key.len() + row.cells.len();
            Some(row)
        })
    }
}

/// Packs a row behind what `bytes` has; gives where its cells begin.
pub(super) fn pack(row: &impl Packed, bytes: &mut Vec<u8>) -> usize {
    let start = bytes.len();
    bytes.extend_from_slice(&[0; HEAD_BYTES]);
    row.pack_key(&mut KeyPacker(bytes));
    let cells = bytes.len();
    row.pack_cells(&mut CellPacker(bytes));
    let head = head(cells - start - HEAD_BYTES, bytes.len() - cells);
    bytes[start..start + HEAD_BYTES].copy_from_slice(&head);
    cells
}

/// The row whose head stands at `start`.
pub(super) fn row_at(bytes: &[u8], start: usize) -> PackedRow<'_> {
    let (key, cells) = lengths(bytes[start..start + HEAD_BYTES].try_into().expect("eight bytes"));
    let (key, cells) = bytes[start + HEAD_BYTES..start + HEAD_BYTES + key + cells].split_at(key);
    PackedRow { key, cells }
}

/// The lengths of key and cells that a head tells.
pub(super) fn lengths(head: [u8; HEAD_BYTES]) -> (usize, usize) {
    let [a, b, c, d, e, f, g, h] = head;
    (u32::from_le_bytes([a, b, c, d]) as usize, u32::from_le_bytes([e, f, g, h]) as usize)
}

fn head(key: usize, cells: usize) -> [u8; HEAD_BYTES] {
    let length = |bytes: usize| u32::try_from(bytes).expect("a row is shorter than 4 GiB").to_le_bytes();
    let mut head = [0; HEAD_BYTES];
    head[..4].copy_from_slice(&length(key));
    head[4..].copy_from_slice(&length(cells));
    head
}

/// The first 16 bytes as a number that sorts as they do.
fn beginning(key: &[u8]) -> u128 {
    let mut bytes = [0; 16];
    let length = key.len().min(16);
    bytes[..length].copy_from_slice(&key[..length]);
    u128::from_be_bytes(bytes)
}
