//! Rows in scratch files: scattered over parts by a hash, or sorted by coupon. What does not fit in a
//! bounded buffer goes to unnamed files of the scratch folder, which vanish with the process.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use super::coupon_key::{CouponKey, prefix};
use super::text_hash::TextMap;

/// Bytes of rows a sort holds before it writes a run.
const RUN_BYTES: usize = 32 << 20;
const WRITE_BUFFER: usize = 32 << 10;
const READ_BUFFER: usize = 128 << 10;
/// Instead of a length: nothing is there.
const NULL: u8 = u8::MAX;
/// Instead of a length: it follows in four bytes.
const LONG: u8 = NULL - 1;

/// Writes the cells of a row.
pub(super) struct Packer<'a>(&'a mut Vec<u8>);

/// Reads the cells of rows in the order they were written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unpacker<'a>(&'a [u8]);

impl<'a> Packer<'a> {
    /// Packs behind what `bytes` has.
    pub(super) fn new(bytes: &'a mut Vec<u8>) -> Packer<'a> {
        Packer(bytes)
    }

    pub(super) fn text(&mut self, text: &str) {
        match u8::try_from(text.len()) {
            Ok(length) if length < LONG => self.0.push(length),
            _ => {
                self.0.push(LONG);
                let length = u32::try_from(text.len()).expect("a cell is shorter than 4 GiB");
                self.0.extend_from_slice(&length.to_le_bytes());
            }
        }
        self.0.extend_from_slice(text.as_bytes());
    }

    pub(super) fn maybe_text(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.text(text),
            None => self.0.push(NULL),
        }
    }

    /// In as many bytes as it needs, after their number: what is written to the disk is mostly small or nothing.
    pub(super) fn integer(&mut self, number: i64) {
        let folded = (number << 1) ^ (number >> 63);
        let length = (u64::BITS - folded.leading_zeros()).div_ceil(8) as usize;
        let mut bytes = [0; 9];
        bytes[0] = length as u8;
        bytes[1..].copy_from_slice(&folded.to_le_bytes());
        self.0.extend_from_slice(&bytes);
        self.0.truncate(self.0.len() - (8 - length));
    }

    pub(super) fn maybe_integer(&mut self, number: Option<i64>) {
        match number {
            Some(number) => self.integer(number),
            None => self.0.push(NULL),
        }
    }

    pub(super) fn flag(&mut self, flag: bool) {
        self.0.push(u8::from(flag));
    }
}

impl<'a> Unpacker<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Unpacker<'a> {
        Unpacker(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    /// The length of a text; `None` for one that is not there.
    fn length(&mut self) -> Option<usize> {
        match self.byte() {
            NULL => None,
            LONG => Some(u32::from_le_bytes(self.take(4).try_into().expect("four bytes")) as usize),
            length => Some(usize::from(length)),
        }
    }

    /// A text that is only compared.
    fn text_bytes(&mut self) -> &'a [u8] {
        let length = self.length().expect("a text that must be there was packed");
        self.take(length)
    }

    pub(super) fn text(&mut self) -> &'a str {
        self.maybe_text().expect("a text that must be there was packed")
    }

    pub(super) fn maybe_text(&mut self) -> Option<&'a str> {
        let length = self.length()?;
        Some(std::str::from_utf8(self.take(length)).expect("what was packed as text is text"))
    }

    pub(super) fn integer(&mut self) -> i64 {
        self.maybe_integer().expect("a number that must be there was packed")
    }

    pub(super) fn maybe_integer(&mut self) -> Option<i64> {
        let length = match self.byte() {
            NULL => return None,
            length => usize::from(length),
        };
        let mut bytes = [0; 8];
        bytes[..length].copy_from_slice(self.take(length));
        let folded = u64::from_le_bytes(bytes);
        Some((folded >> 1) as i64 ^ -((folded & 1) as i64))
    }

    pub(super) fn flag(&mut self) -> bool {
        self.byte() != 0
    }
}

/// Rows scattered over parts, each small enough to be held in memory.
pub(super) struct Scatter {
    parts: Vec<BufWriter<File>>,
    row: Vec<u8>,
}

impl Scatter {
    /// As many parts as keep each near `rows_per_part` of the `rows` expected.
    pub(super) fn parts_for(rows: u64, rows_per_part: u64) -> usize {
        usize::try_from(rows.div_ceil(rows_per_part).clamp(1, 512)).expect("512 fits")
    }

    pub(super) fn new(scratch: &Path, parts: usize) -> io::Result<Scatter> {
        let file = |_| Ok(BufWriter::with_capacity(WRITE_BUFFER, tempfile::tempfile_in(scratch)?));
        Ok(Scatter { parts: (0..parts).map(file).collect::<io::Result<_>>()?, row: Vec::new() })
    }

    /// Adds a row to the part of `hash`.
    pub(super) fn push(&mut self, hash: u64, pack: impl FnOnce(&mut Packer<'_>)) -> io::Result<()> {
        self.row.clear();
        pack(&mut Packer::new(&mut self.row));
        let part = usize::try_from(hash % self.parts.len() as u64).expect("a part's number");
        self.parts[part].write_all(&self.row)
    }

    /// Adds rows that are packed already.
    pub(super) fn push_bytes(&mut self, hash: u64, rows: &[u8]) -> io::Result<()> {
        let part = usize::try_from(hash % self.parts.len() as u64).expect("a part's number");
        self.parts[part].write_all(rows)
    }

    /// The parts, ready to be read.
    pub(super) fn finish(self) -> io::Result<Vec<Part>> {
        self.parts
            .into_iter()
            .map(|part| Ok(Part(part.into_inner().map_err(io::IntoInnerError::into_error)?)))
            .collect()
    }
}

/// One part of a scatter.
pub(super) struct Part(File);

impl Part {
    /// Its rows, packed one after the other.
    pub(super) fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(usize::try_from(self.0.metadata()?.len()).unwrap_or_default());
        self.0.rewind()?;
        self.0.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// Sorts packed rows by (stock_id, coupon_code), the first two cells of each. A full buffer is sorted and
/// written by a thread while the next one fills.
pub(super) struct Sorter {
    scratch: PathBuf,
    buffer: Buffer,
    stocks: TextMap<String, u32>,
    runs: Vec<File>,
    writing: Option<JoinHandle<io::Result<(File, Buffer)>>>,
}

/// Rows that are not sorted yet.
#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    rows: Vec<Place>,
}

/// Where a row lies in the buffer, and enough of its key to compare most rows without looking there.
#[derive(Clone, Copy)]
struct Place {
    code: u128,
    stock: u32,
    start: u32,
    end: u32,
}

impl Place {
    fn of<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        &bytes[self.start as usize..self.end as usize]
    }
}

/// A packed row, its coupon first.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Packed(Vec<u8>);

impl Packed {
    /// The cells, the coupon's two included.
    pub(super) fn cells(&self) -> Unpacker<'_> {
        Unpacker::new(&self.0)
    }

    /// The cells after the coupon's.
    pub(super) fn facts(&self) -> Unpacker<'_> {
        let mut cells = self.cells();
        cells.text_bytes();
        cells.text_bytes();
        cells
    }

    /// Stock and code.
    pub(super) fn coupon(&self) -> CouponKey<'_> {
        let mut cells = self.cells();
        CouponKey::of(cells.text_bytes(), cells.text_bytes())
    }
}

impl PartialOrd for Packed {
    fn partial_cmp(&self, other: &Packed) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Packed {
    /// By coupon, then by the rest so that the order never depends on the order of arrival.
    fn cmp(&self, other: &Packed) -> Ordering {
        self.coupon().cmp(&other.coupon()).then_with(|| self.0.cmp(&other.0))
    }
}

impl Sorter {
    pub(super) fn new(scratch: &Path) -> Sorter {
        Sorter {
            scratch: scratch.to_owned(),
            buffer: Buffer::default(),
            stocks: TextMap::default(),
            runs: Vec::new(),
            writing: None,
        }
    }

    /// Adds a row: its coupon, then the cells of `pack`.
    pub(super) fn push(
        &mut self,
        (stock_id, coupon_code): (&str, &str),
        pack: impl FnOnce(&mut Packer<'_>),
    ) -> io::Result<()> {
        if self.buffer.bytes.len() >= RUN_BYTES {
            self.write_run()?;
        }
        let (code, stock) = (prefix(coupon_code.as_bytes()), self.stock_number(stock_id));
        self.buffer.push(code, stock, |packer| {
            packer.text(stock_id);
            packer.text(coupon_code);
            pack(packer);
        });
        Ok(())
    }

    fn stock_number(&mut self, stock_id: &str) -> u32 {
        if let Some(number) = self.stocks.get(stock_id) {
            return *number;
        }
        let number = u32::try_from(self.stocks.len()).expect("fewer than 2³² stocks");
        self.stocks.insert(stock_id.to_owned(), number);
        number
    }

    /// Gives the rows numbers of stocks that sort as the stocks do.
    fn rank_stocks(&mut self) {
        let mut by_id: Vec<_> = self.stocks.iter().collect();
        by_id.sort_unstable();
        let mut ranks = vec![0; by_id.len()];
        for (rank, (_, number)) in (0..).zip(by_id) {
            ranks[*number as usize] = rank;
        }
        self.buffer.rows.iter_mut().for_each(|row| row.stock = ranks[row.stock as usize]);
    }

    fn write_run(&mut self) -> io::Result<()> {
        self.rank_stocks();
        let empty = self.await_run()?;
        let full = std::mem::replace(&mut self.buffer, empty);
        let file = tempfile::tempfile_in(&self.scratch)?;
        self.writing = Some(std::thread::spawn(move || full.write_sorted(file)));
        Ok(())
    }

    /// Waits for the run that is being written; gives its buffer, empty.
    fn await_run(&mut self) -> io::Result<Buffer> {
        let Some(writing) = self.writing.take() else { return Ok(Buffer::default()) };
        let (run, buffer) = writing.join().unwrap_or_else(|panic| resume_unwind(panic))?;
        self.runs.push(run);
        Ok(buffer)
    }

    /// The rows in order.
    pub(super) fn finish(self) -> io::Result<Sorted> {
        Sorted::of([self])
    }

    fn into_runs(mut self) -> io::Result<Vec<Run>> {
        self.rank_stocks();
        self.buffer.sort();
        self.await_run()?;
        let mut runs: Vec<_> = self.runs.into_iter().map(Run::open).collect::<io::Result<_>>()?;
        let Buffer { bytes, rows } = self.buffer;
        runs.push(Run::Buffer { bytes, rows: rows.into_iter() });
        Ok(runs)
    }
}

impl Buffer {
    fn push(&mut self, code: u128, stock: u32, pack: impl FnOnce(&mut Packer<'_>)) {
        if self.bytes.is_empty() {
            self.bytes.reserve(RUN_BYTES);
        }
        let start = self.end();
        pack(&mut Packer::new(&mut self.bytes));
        self.rows.push(Place { code, stock, start, end: self.end() });
    }

    fn end(&self) -> u32 {
        u32::try_from(self.bytes.len()).expect("a run and one row are shorter than 4 GiB")
    }

    fn sort(&mut self) {
        let bytes = &self.bytes;
        let rest = |row: &Place| {
            let mut cells = Unpacker::new(row.of(bytes));
            cells.text_bytes();
            (cells.text_bytes(), cells.0)
        };
        self.rows.sort_unstable_by(|one, other| {
            (one.stock, one.code).cmp(&(other.stock, other.code)).then_with(|| rest(one).cmp(&rest(other)))
        });
    }

    fn write_sorted(mut self, file: File) -> io::Result<(File, Buffer)> {
        self.sort();
        let mut file = BufWriter::with_capacity(READ_BUFFER, file);
        for row in &self.rows {
            let bytes = row.of(&self.bytes);
            let length = u32::try_from(bytes.len()).expect("a row is shorter than 4 GiB");
            file.write_all(&length.to_le_bytes())?;
            file.write_all(bytes)?;
        }
        self.bytes.clear();
        self.rows.clear();
        Ok((file.into_inner().map_err(io::IntoInnerError::into_error)?, self))
    }
}

/// Rows that lie sorted somewhere.
enum Run {
    File(BufReader<File>),
    Buffer { bytes: Vec<u8>, rows: std::vec::IntoIter<Place> },
}

impl Run {
    fn open(mut file: File) -> io::Result<Run> {
        file.rewind()?;
        Ok(Run::File(BufReader::with_capacity(READ_BUFFER, file)))
    }

    /// Reads the next row into `row`; `false` at the end.
    fn next(&mut self, row: &mut Vec<u8>) -> io::Result<bool> {
        row.clear();
        match self {
            Run::Buffer { bytes, rows } => {
                let Some(place) = rows.next() else { return Ok(false) };
                row.extend_from_slice(place.of(bytes));
            }
            Run::File(file) => {
                let mut length = [0; 4];
                match file.read_exact(&mut length) {
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
                    read => read?,
                }
                row.resize(u32::from_le_bytes(length) as usize, 0);
                file.read_exact(row)?;
            }
        }
        Ok(true)
    }
}

/// Sorted rows, taken one by one.
#[derive(Default)]
pub(super) struct Sorted {
    runs: Vec<Run>,
    heads: BinaryHeap<Reverse<(Packed, usize)>>,
}

impl Sorted {
    /// The rows of all sorters in one order.
    pub(super) fn of(sorters: impl IntoIterator<Item = Sorter>) -> io::Result<Sorted> {
        let mut sorted = Sorted::default();
        for sorter in sorters {
            sorted.runs.extend(sorter.into_runs()?);
        }
        for (number, run) in sorted.runs.iter_mut().enumerate() {
            let mut row = Packed::default();
            if run.next(&mut row.0)? {
                sorted.heads.push(Reverse((row, number)));
            }
        }
        Ok(sorted)
    }

    /// The coupon of the next row.
    pub(super) fn peek_coupon(&self) -> Option<CouponKey<'_>> {
        self.heads.peek().map(|head| head.0.0.coupon())
    }

    /// Takes the next row; `spare` lends its memory to the one that follows.
    pub(super) fn next(&mut self, mut spare: Packed) -> io::Result<Option<Packed>> {
        let Some(mut head) = self.heads.peek_mut() else { return Ok(None) };
        let Reverse((row, run)) = &mut *head;
        let is_more = self.runs[*run].next(&mut spare.0)?;
        std::mem::swap(row, &mut spare);
        if !is_more {
            PeekMut::pop(head);
        }
        Ok(Some(spare))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reconcile::text_hash::hash;

    proptest! {
        #[test]
        fn rows_come_back_sorted_by_coupon_whatever_their_order_and_the_number_of_runs(
            keys in proptest::collection::vec(("[a-c]{0,3}", "[0-2]{14,19}"), 0..60),
            run_every in 1_usize..20,
        ) {
            let scratch = tempfile::tempdir().unwrap();
            let mut sorter = Sorter::new(scratch.path());
            for (number, (stock, code)) in keys.iter().enumerate() {
                sorter.push((stock, code), |cells| cells.integer(i64::try_from(number).unwrap())).unwrap();
                if number % run_every == 0 {
                    sorter.write_run().unwrap();
                }
            }
            let mut sorted = sorter.finish().unwrap();
            let mut found = Vec::new();
            while let Some(row) = sorted.next(Packed::default()).unwrap() {
                let mut cells = row.cells();
                found.push((cells.text().to_owned(), cells.text().to_owned(), cells.integer()));
                prop_assert!(cells.is_empty());
            }
            let mut wanted: Vec<_> = (0..).zip(&keys).map(|(number, (s, c))| (s.clone(), c.clone(), number)).collect();
            wanted.sort();
            let key = |row: &(String, String, i64)| (row.0.clone(), row.1.clone());
            prop_assert_eq!(found.iter().map(key).collect::<Vec<_>>(), wanted.iter().map(key).collect::<Vec<_>>());
            found.sort();
            prop_assert_eq!(found, wanted);
        }
    }

    proptest! {
        #[test]
        fn cells_come_back_as_they_were_packed(
            cells in proptest::collection::vec(
                (proptest::option::of("[a券]{0,300}"), proptest::option::of(any::<i64>()), any::<bool>(), 0_u32..64),
                0..20,
            )
        ) {
            let cells: Vec<_> =
                cells.into_iter().map(|(text, number, flag, bits)| (text, number.map(|it| it >> bits), flag)).collect();
            let mut bytes = Vec::new();
            let mut packer = Packer::new(&mut bytes);
            for (text, number, flag) in &cells {
                packer.maybe_text(text.as_deref());
                packer.maybe_integer(*number);
                packer.flag(*flag);
                packer.text(text.as_deref().unwrap_or_default());
                packer.integer(number.unwrap_or_default());
            }
            let mut unpacker = Unpacker::new(&bytes);
            for (text, number, flag) in &cells {
                prop_assert_eq!(unpacker.maybe_text(), text.as_deref());
                prop_assert_eq!(unpacker.maybe_integer(), *number);
                prop_assert_eq!(unpacker.flag(), *flag);
                prop_assert_eq!(unpacker.text(), text.as_deref().unwrap_or_default());
                prop_assert_eq!(unpacker.integer(), number.unwrap_or_default());
            }
            prop_assert!(unpacker.is_empty());
        }
    }

    #[test]
    fn every_row_of_a_scatter_lies_in_the_part_of_its_hash() {
        let scratch = tempfile::tempdir().unwrap();
        let mut scatter = Scatter::new(scratch.path(), 4).unwrap();
        let texts: Vec<String> = (0..100).map(|number| format!("WX{number:026}")).collect();
        for text in &texts {
            scatter.push(hash(text), |cells| cells.maybe_text(Some(text))).unwrap();
        }
        let mut found = Vec::new();
        for (number, part) in scatter.finish().unwrap().iter_mut().enumerate() {
            let bytes = part.read().unwrap();
            let mut cells = Unpacker::new(&bytes);
            while !cells.is_empty() {
                let text = cells.maybe_text().unwrap();
                assert_eq!(hash(text) % 4, number as u64);
                found.push(text.to_owned());
            }
        }
        found.sort();
        assert_eq!(found, texts);
    }
}
