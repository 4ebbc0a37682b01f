//! The binary format of a row: a key that compares like its strings, then the cells in the order they
//! were packed. They must be unpacked in that order; the bytes do not say what a cell is.

use std::borrow::Cow;

use chrono::{DateTime, NaiveDate, Utc};
use memchr::memchr;

use super::head::HEAD_BYTES;

/// Ends a string of a key: smaller than any byte of one.
const END: u8 = 0;
/// Precedes a byte of a key that would look like `END` or `ESCAPE`.
const ESCAPE: u8 = 1;
/// In place of the length of a number: absent.
const ABSENT: u8 = u8::MAX;

/// A type that can be sorted.
pub trait Packed {
    /// Packs the strings that rows are sorted by.
    fn pack_key(&self, key: &mut KeyPacker<'_>);

    /// Packs everything else.
    fn pack_cells(&self, cells: &mut CellPacker<'_>);
}

/// Writes the strings of a key.
#[derive(Debug)]
pub struct KeyPacker<'b>(pub(super) &'b mut Vec<u8>);

impl KeyPacker<'_> {
    /// The next string of the key.
    pub fn text(&mut self, text: &str) {
        if text.bytes().any(|byte| byte <= ESCAPE) {
            self.escaped(text);
        } else {
            self.0.extend_from_slice(text.as_bytes());
        }
        self.0.push(END);
    }

    fn escaped(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                END | ESCAPE => self.0.extend_from_slice(&[ESCAPE, byte + 1]),
                byte => self.0.push(byte),
            }
        }
    }
}

/// Writes the cells after the key.
#[derive(Debug)]
pub struct CellPacker<'b>(&'b mut Vec<u8>);

impl<'b> CellPacker<'b> {
    /// Appends to `bytes`.
    pub fn behind(bytes: &'b mut Vec<u8>) -> CellPacker<'b> {
        CellPacker(bytes)
    }

    /// A string.
    pub fn text(&mut self, text: &str) {
        self.length(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    /// An optional string.
    pub fn maybe_text(&mut self, text: Option<impl AsRef<str>>) {
        match text.as_ref().map(AsRef::as_ref) {
            None => self.length(0),
            Some(text) => {
                self.length(text.len() + 1);
                self.0.extend_from_slice(text.as_bytes());
            }
        }
    }

    /// An integer in as many bytes as it needs, after their number: most are small or zero.
    #[inline]
    pub fn integer(&mut self, number: i64) {
        let folded = ((number << 1) ^ (number >> 63)).cast_unsigned();
        let length = (u64::BITS - folded.leading_zeros()).div_ceil(8) as usize;
        let mut bytes = [0; 9];
        bytes[0] = length as u8;
        bytes[1..].copy_from_slice(&folded.to_le_bytes());
        self.0.extend_from_slice(&bytes);
        self.0.truncate(self.0.len() - (8 - length));
    }

    /// The number of cells or rows that follow.
    pub fn count(&mut self, count: usize) {
        self.integer(i64::try_from(count).expect("fewer than 2⁶³"));
    }

    /// Bytes of known length.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// An optional integer.
    pub fn maybe_integer(&mut self, number: Option<i64>) {
        match number {
            Some(number) => self.integer(number),
            None => self.0.push(ABSENT),
        }
    }

    /// A boolean.
    pub fn flag(&mut self, flag: bool) {
        self.0.push(u8::from(flag));
    }

    /// An optional boolean.
    pub fn maybe_flag(&mut self, flag: Option<bool>) {
        self.0.push(flag.map_or(0, |flag| 1 + u8::from(flag)));
    }

    /// An instant, to the microsecond.
    pub fn instant(&mut self, instant: DateTime<Utc>) {
        self.integer(instant.timestamp_micros());
    }

    /// An optional instant.
    pub fn maybe_instant(&mut self, instant: Option<DateTime<Utc>>) {
        self.maybe_integer(instant.map(|instant| instant.timestamp_micros()));
    }

    /// A date.
    pub fn date(&mut self, date: NaiveDate) {
        self.epoch_days(date.to_epoch_days());
    }

    /// A date as days since 1970.
    pub fn epoch_days(&mut self, days: i32) {
        self.integer(i64::from(days));
    }

    /// Microseconds of an instant.
    pub fn micros(&mut self, micros: i64) {
        self.integer(micros);
    }

    /// Optional microseconds of an instant.
    pub fn maybe_micros(&mut self, micros: Option<i64>) {
        self.maybe_integer(micros);
    }

    /// An optional date.
    pub fn maybe_date(&mut self, date: Option<NaiveDate>) {
        self.maybe_integer(date.map(|date| i64::from(date.to_epoch_days())));
    }

    /// Seven bits per byte, the lowest first.
    fn length(&mut self, mut number: usize) {
        while number >= 0x80 {
            self.0.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.0.push(number.to_le_bytes()[0]);
    }
}

/// A packed row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackedRow<'r> {
    pub(super) key: &'r [u8],
    pub(super) cells: &'r [u8],
}

impl<'r> PackedRow<'r> {
    /// The key; compares like its strings.
    pub fn key(&self) -> &'r [u8] {
        self.key
    }

    /// The part of the key for its first `texts` strings; compares like them.
    pub fn beginning(&self, texts: usize) -> &'r [u8] {
        let ends = memchr::memchr_iter(END, self.key);
        &self.key[..ends.take(texts).last().map_or(0, |end| end + 1)]
    }

    /// Reads strings and cells, in the order they were packed.
    pub fn unpack(&self) -> Unpacker<'r> {
        Unpacker { key: self.key, cells: self.cells }
    }

    /// A row from its two parts.
    pub fn of_parts(key: &'r [u8], cells: &'r [u8]) -> PackedRow<'r> {
        PackedRow { key, cells }
    }

    /// The bytes of the cells.
    pub fn cells(&self) -> &'r [u8] {
        self.cells
    }

    /// The size in bytes, header included.
    pub(super) fn length(&self) -> usize {
        HEAD_BYTES + self.key.len() + self.cells.len()
    }
}

/// A row of another sorter is packed unchanged.
impl Packed for PackedRow<'_> {
    fn pack_key(&self, key: &mut KeyPacker<'_>) {
        key.0.extend_from_slice(self.key);
    }

    fn pack_cells(&self, cells: &mut CellPacker<'_>) {
        cells.0.extend_from_slice(self.cells);
    }
}

/// A row that is kept while others are read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeldRow {
    key: Vec<u8>,
    cells: Vec<u8>,
}

impl HeldRow {
    /// Replaces the row by a copy of `row`.
    pub fn hold(&mut self, row: PackedRow<'_>) {
        self.key.clear();
        self.key.extend_from_slice(row.key);
        self.cells.clear();
        self.cells.extend_from_slice(row.cells);
    }

    /// Replaces the row by packing `row`.
    pub fn pack(&mut self, row: &impl Packed) {
        self.key.clear();
        row.pack_key(&mut KeyPacker(&mut self.key));
        self.cells.clear();
        row.pack_cells(&mut CellPacker(&mut self.cells));
    }

    /// The row.
    pub fn row(&self) -> PackedRow<'_> {
        PackedRow { key: &self.key, cells: &self.cells }
    }
}

/// Reads a row. Reading something else than was packed is a bug of this program and panics.
#[derive(Debug, Clone)]
pub struct Unpacker<'r> {
    key: &'r [u8],
    cells: &'r [u8],
}

impl<'r> Unpacker<'r> {
    /// Reads a sequence of cells without a key.
    pub fn of_cells(cells: &'r [u8]) -> Unpacker<'r> {
        Unpacker { key: &[], cells }
    }

    /// The cells that were not read yet.
    pub fn rest(&self) -> &'r [u8] {
        self.cells
    }

    /// The next string of the key.
    pub fn key_text(&mut self) -> Cow<'r, str> {
        match self.key_text_bytes() {
            Cow::Borrowed(text) => Cow::Borrowed(utf8(text)),
            Cow::Owned(text) => Cow::Owned(utf8(&text).to_owned()),
        }
    }

    /// The bytes of the next string of the key, for a caller who collects many and checks them at once.
    pub fn key_text_bytes(&mut self) -> Cow<'r, [u8]> {
        let end = memchr(END, self.key).expect("a text of the key ends");
        let text = &self.key[..end];
        self.key = &self.key[end + 1..];
        if memchr(ESCAPE, text).is_some() { Cow::Owned(unescaped(text)) } else { Cow::Borrowed(text) }
    }

    /// A string.
    pub fn text(&mut self) -> &'r str {
        utf8(self.text_bytes())
    }

    /// The bytes of a string.
    pub fn text_bytes(&mut self) -> &'r [u8] {
        let length = self.length();
        self.take(length)
    }

    /// An optional string.
    pub fn maybe_text(&mut self) -> Option<&'r str> {
        self.maybe_text_bytes().map(utf8)
    }

    /// The bytes of an optional string.
    pub fn maybe_text_bytes(&mut self) -> Option<&'r [u8]> {
        let length = self.length().checked_sub(1)?;
        Some(self.take(length))
    }

    /// An integer.
    #[inline]
    pub fn integer(&mut self) -> i64 {
        self.maybe_integer().expect("a number that must be there was packed")
    }

    /// The number of cells or rows that follow.
    pub fn count(&mut self) -> usize {
        usize::try_from(self.integer()).expect("a packed count")
    }

    /// A number of bytes.
    pub fn bytes(&mut self, length: usize) -> &'r [u8] {
        self.take(length)
    }

    /// An optional integer.
    #[inline]
    pub fn maybe_integer(&mut self) -> Option<i64> {
        let length = self.byte();
        if length == ABSENT {
            return None;
        }
        let mut bytes = [0; 8];
        let length = usize::from(length);
        bytes[..length].copy_from_slice(self.take(length));
        let folded = u64::from_le_bytes(bytes);
        Some((folded >> 1).cast_signed() ^ -(folded & 1).cast_signed())
    }

    /// A boolean.
    pub fn flag(&mut self) -> bool {
        self.byte() != 0
    }

    /// An optional boolean.
    pub fn maybe_flag(&mut self) -> Option<bool> {
        self.byte().checked_sub(1).map(|flag| flag == 1)
    }

    /// An instant.
    pub fn instant(&mut self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.integer()).expect("what was packed")
    }

    /// An optional instant.
    pub fn maybe_instant(&mut self) -> Option<DateTime<Utc>> {
        self.maybe_integer().map(|micros| DateTime::from_timestamp_micros(micros).expect("what was packed"))
    }

    /// A date as days since 1970.
    pub fn epoch_days(&mut self) -> i32 {
        i32::try_from(self.integer()).expect("what was packed")
    }

    /// A date.
    pub fn date(&mut self) -> NaiveDate {
        NaiveDate::from_epoch_days(self.epoch_days()).expect("what was packed")
    }

    /// An optional date.
    pub fn maybe_date(&mut self) -> Option<NaiveDate> {
        let days = self.maybe_integer()?;
        Some(NaiveDate::from_epoch_days(i32::try_from(days).expect("what was packed")).expect("what was packed"))
    }

    #[inline]
    fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    #[inline]
    fn take(&mut self, length: usize) -> &'r [u8] {
        let (taken, rest) = self.cells.split_at(length);
        self.cells = rest;
        taken
    }

    #[inline]
    fn length(&mut self) -> usize {
        match self.byte() {
            short @ 0..0x80 => usize::from(short),
            first => self.long_length(first),
        }
    }

    fn long_length(&mut self, first: u8) -> usize {
        let (mut number, mut shift) = (usize::from(first & 0x7f), 7);
        loop {
            let byte = self.byte();
            number |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return number;
            }
        }
    }
}

fn utf8(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("what was packed as text is text")
}

fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            &ESCAPE => rest.next().expect("an escape stands before a byte") - 1,
            byte => *byte,
        });
    }
    bytes
}
