//! Rows sorted by coupon, or by one text that stands where a code would, in scratch files. What does not fit in a
//! bounded buffer goes to an unnamed file of the scratch folder, which vanishes with the process: one per sort, so
//! that neither memory nor the number of open files follows the rows. Runs beyond the first gibibyte are compressed, and
//! what of a run was read is given back to the disk.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use super::blocks::{LOOSE_BYTES, Opener, Press};
use super::cells::{Packer, Unpacker};
use super::coupon_key::{CouponKey, prefix};
use super::text_hash::TextMap;

/// Bytes of rows a sort holds before it writes a run.
const RUN_BYTES: usize = 32 << 20;
const WRITE_BUFFER: usize = 128 << 10;
/// What a merge holds of its runs together, as far as a run then has enough to be read in few pieces.
const READ_BYTES: usize = 16 << 20;
const LEAST_READ_BUFFER: usize = 8 << 10;
const MOST_READ_BUFFER: usize = 128 << 10;
/// Bytes of rows in a compressed block.
const BLOCK_BYTES: usize = 32 << 10;
/// What is read of a run before it is given back to the disk.
const GIVEN_BACK_BYTES: u64 = 1 << 20;

/// Sorts packed rows by (stock_id, coupon_code), the first two cells of each. A full buffer is sorted and
/// written by a thread while the next one fills.
pub(super) struct Sorter {
    scratch: PathBuf,
    buffer: Buffer,
    stocks: TextMap<String, u32>,
    /// Of all runs, one after the other.
    file: Option<Arc<File>>,
    run_ends: Vec<u64>,
    writing: Option<JoinHandle<io::Result<(u64, Buffer)>>>,
    /// Where in the file a run has to begin to be compressed.
    loose_bytes: u64,
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
        Sorter::compressing_from(scratch, LOOSE_BYTES)
    }

    /// A sorter whose runs are compressed once its file has so many bytes.
    fn compressing_from(scratch: &Path, loose_bytes: u64) -> Sorter {
        Sorter {
            scratch: scratch.to_owned(),
            buffer: Buffer::default(),
            stocks: TextMap::default(),
            file: None,
            run_ends: Vec::new(),
            writing: None,
            loose_bytes,
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
        let file = self.file()?;
        let is_loose = self.is_loose(self.run_ends.last().copied().unwrap_or_default());
        self.writing = Some(std::thread::spawn(move || full.write_sorted(&file, is_loose)));
        Ok(())
    }

    /// Whether the run that begins there is not compressed.
    fn is_loose(&self, start: u64) -> bool {
        start < self.loose_bytes
    }

    fn file(&mut self) -> io::Result<Arc<File>> {
        if let Some(file) = &self.file {
            return Ok(file.clone());
        }
        let file = Arc::new(tempfile::tempfile_in(&self.scratch)?);
        Ok(self.file.insert(file).clone())
    }

    /// Waits for the run that is being written; gives its buffer, empty.
    fn await_run(&mut self) -> io::Result<Buffer> {
        let Some(writing) = self.writing.take() else { return Ok(Buffer::default()) };
        let (bytes, buffer) = writing.join().unwrap_or_else(|panic| resume_unwind(panic))?;
        self.run_ends.push(self.run_ends.last().unwrap_or(&0) + bytes);
        Ok(buffer)
    }

    /// The rows in order.
    pub(super) fn finish(mut self) -> io::Result<Sorted> {
        self.rank_stocks();
        self.buffer.sort();
        self.await_run()?;
        let starts = [0].iter().chain(&self.run_ends);
        let places = starts.zip(&self.run_ends).map(|(start, end)| *start..*end);
        let window = (READ_BYTES / self.run_ends.len().max(1)).clamp(LEAST_READ_BUFFER, MOST_READ_BUFFER);
        let sections = self.file.iter().flat_map(|file| places.clone().map(|place| Section::of(file.clone(), place)));
        let open = |section: Section| match self.is_loose(section.place.start) {
            true => Run::Loose(BufReader::with_capacity(window, section)),
            false => Run::Compressed(Blocks { section, rows: Vec::new(), at: 0 }),
        };
        let mut runs: Vec<_> = sections.map(open).collect();
        let Buffer { bytes, rows } = self.buffer;
        runs.push(Run::Buffer { bytes, rows: rows.into_iter() });
        let (mut heads, mut opener) = (BinaryHeap::new(), Opener::default());
        for (number, run) in runs.iter_mut().enumerate() {
            let mut row = Packed::default();
            if run.next(&mut row.0, &mut opener)? {
                heads.push(Reverse((row, number)));
            }
        }
        Ok(Sorted { runs, heads, opener })
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
            (cells.text_bytes(), cells.rest())
        };
        self.rows.sort_unstable_by(|one, other| {
            (one.stock, one.code).cmp(&(other.stock, other.code)).then_with(|| rest(one).cmp(&rest(other)))
        });
    }

    /// Writes the rows behind what is in `file`; gives how many bytes they take there, and the buffer, empty.
    fn write_sorted(mut self, file: &File, is_loose: bool) -> io::Result<(u64, Buffer)> {
        self.sort();
        let mut file = BufWriter::with_capacity(WRITE_BUFFER, file);
        let written = if is_loose { self.write_rows(&mut file)? } else { self.write_blocks(&mut file)? };
        file.flush()?;
        self.bytes.clear();
        self.rows.clear();
        Ok((written, self))
    }

    /// Writes every row after its length; gives their bytes.
    fn write_rows(&self, file: &mut impl Write) -> io::Result<u64> {
        let mut written = 0;
        for row in &self.rows {
            let bytes = row.of(&self.bytes);
            file.write_all(&length_of(bytes))?;
            file.write_all(bytes)?;
            written += 4 + bytes.len() as u64;
        }
        Ok(written)
    }

    /// The same in compressed blocks.
    fn write_blocks(&self, file: &mut impl Write) -> io::Result<u64> {
        let (mut press, mut block, mut written) = (Press::new()?, Vec::with_capacity(2 * BLOCK_BYTES), 0);
        for (number, row) in self.rows.iter().enumerate() {
            let bytes = row.of(&self.bytes);
            block.extend_from_slice(&length_of(bytes));
            block.extend_from_slice(bytes);
            if block.len() >= BLOCK_BYTES || number + 1 == self.rows.len() {
                let pressed = press.press(&block)?;
                file.write_all(pressed)?;
                written += pressed.len() as u64;
                block.clear();
            }
        }
        Ok(written)
    }
}

fn length_of(row: &[u8]) -> [u8; 4] {
    u32::try_from(row.len()).expect("a row is shorter than 4 GiB").to_le_bytes()
}

/// Rows that lie sorted somewhere.
enum Run {
    Loose(BufReader<Section>),
    Compressed(Blocks),
    Buffer { bytes: Vec<u8>, rows: std::vec::IntoIter<Place> },
}

/// A part of a file, read once, from its start to its end.
struct Section {
    file: Arc<File>,
    /// What is yet to be read.
    place: Range<u64>,
    /// What was read and not given back yet begins here.
    kept: u64,
}

impl Section {
    fn of(file: Arc<File>, place: Range<u64>) -> Section {
        Section { file, kept: place.start, place }
    }

    /// Gives what was read back to the disk. A file system without holes keeps it until the file is closed.
    #[cfg(target_os = "linux")]
    fn give_back(&mut self) {
        use rustix::fs::{FallocateFlags, fallocate};
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let _ = fallocate(&*self.file, hole, self.kept, self.place.start - self.kept);
        self.kept = self.place.start;
    }

    #[cfg(not(target_os = "linux"))]
    fn give_back(&mut self) {
        self.kept = self.place.start;
    }
}

impl Read for Section {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.place.end - self.place.start).unwrap_or(usize::MAX);
        let wanted = bytes.len().min(left);
        let read = self.file.read_at(&mut bytes[..wanted], self.place.start)?;
        self.place.start += read as u64;
        if self.place.start - self.kept >= GIVEN_BACK_BYTES {
            self.give_back();
        }
        Ok(read)
    }
}

/// A compressed run: its rows come block by block.
struct Blocks {
    section: Section,
    rows: Vec<u8>,
    /// Where in the block the next row stands.
    at: usize,
}

impl Blocks {
    fn next(&mut self, row: &mut Vec<u8>, opener: &mut Opener) -> io::Result<bool> {
        if self.at == self.rows.len() {
            self.at = 0;
            if !opener.open(&mut self.section, &mut self.rows)? {
                return Ok(false);
            }
        }
        let (length, rest) = self.rows[self.at..].split_first_chunk().expect("a block ends with a row");
        let length = u32::from_le_bytes(*length) as usize;
        row.extend_from_slice(&rest[..length]);
        self.at += 4 + length;
        Ok(true)
    }
}

impl Run {
    /// Reads the next row into `row`; `false` at the end.
    fn next(&mut self, row: &mut Vec<u8>, opener: &mut Opener) -> io::Result<bool> {
        row.clear();
        match self {
            Run::Buffer { bytes, rows } => {
                let Some(place) = rows.next() else { return Ok(false) };
                row.extend_from_slice(place.of(bytes));
            }
            Run::Compressed(blocks) => return blocks.next(row, opener),
            Run::Loose(file) => {
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
    opener: Opener,
}

impl Sorted {
    /// The coupon of the next row.
    pub(super) fn peek_coupon(&self) -> Option<CouponKey<'_>> {
        self.heads.peek().map(|head| head.0.0.coupon())
    }

    /// Takes the next row; `spare` lends its memory to the one that follows.
    pub(super) fn next(&mut self, mut spare: Packed) -> io::Result<Option<Packed>> {
        let Some(mut head) = self.heads.peek_mut() else { return Ok(None) };
        let Reverse((row, run)) = &mut *head;
        let is_more = self.runs[*run].next(&mut spare.0, &mut self.opener)?;
        std::mem::swap(row, &mut spare);
        if !is_more {
            PeekMut::pop(head);
        }
        Ok(Some(spare))
    }
}

/// Sorted rows, those of one coupon at a time.
#[derive(Default)]
pub(super) struct Grouped {
    sorted: Sorted,
    rows: Vec<Packed>,
    spare: Vec<Packed>,
}

impl Grouped {
    pub(super) fn new(sorted: Sorted) -> Grouped {
        Grouped { sorted, ..Grouped::default() }
    }

    /// The rows taken last.
    pub(super) fn rows(&self) -> &[Packed] {
        &self.rows
    }

    /// The coupon of the rows that come next.
    pub(super) fn peek(&self) -> Option<CouponKey<'_>> {
        self.sorted.peek_coupon()
    }

    /// Takes the rows of a coupon, if it is theirs that come next, or none.
    pub(super) fn take(&mut self, key: CouponKey<'_>) -> io::Result<()> {
        self.clear();
        while self.peek() == Some(key) {
            self.take_one()?;
        }
        Ok(())
    }

    /// Takes the rows of the next coupon; `false` when there is none left.
    pub(super) fn take_next(&mut self) -> io::Result<bool> {
        self.clear();
        while self.rows.first().is_none_or(|first| self.peek() == Some(first.coupon())) && self.take_one()? {}
        Ok(!self.rows.is_empty())
    }

    /// Takes the next row alone, if its coupon is smaller than this; any is, where there is none.
    pub(super) fn take_smaller(&mut self, key: Option<CouponKey<'_>>) -> io::Result<Option<&Packed>> {
        self.clear();
        if self.peek().is_some_and(|next| key.is_none_or(|key| next < key)) {
            self.take_one()?;
        }
        Ok(self.rows.first())
    }

    fn clear(&mut self) {
        self.spare.append(&mut self.rows);
    }

    fn take_one(&mut self) -> io::Result<bool> {
        let next = self.sorted.next(self.spare.pop().unwrap_or_default())?;
        let is_one = next.is_some();
        self.rows.extend(next);
        Ok(is_one)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_come_back_sorted_by_coupon_whatever_their_order_and_the_number_of_runs(
            keys in proptest::collection::vec(("[a-c]{0,3}", "[0-2]{14,19}"), 0..60),
            run_every in 1_usize..20,
            loose_bytes in prop_oneof![Just(0), 1_u64..400, Just(LOOSE_BYTES)],
        ) {
            let scratch = tempfile::tempdir().unwrap();
            let mut sorter = Sorter::compressing_from(scratch.path(), loose_bytes);
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

    #[test]
    fn groups_come_one_by_one_and_what_is_smaller_can_be_passed() {
        let scratch = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::new(scratch.path());
        for (number, code) in (0..).zip(["B", "D", "A", "B", "D", "D"]) {
            sorter.push(("", code), |cells| cells.integer(number)).unwrap();
        }
        let mut groups = Grouped::new(sorter.finish().unwrap());
        let codes = |groups: &Grouped| -> Vec<String> {
            groups.rows().iter().map(|row| String::from_utf8_lossy(row.coupon().texts()[1]).into_owned()).collect()
        };
        let key = |code: &'static str| CouponKey::of(b"", code.as_bytes());
        assert!(groups.take_smaller(Some(key("A"))).unwrap().is_none());
        assert!(groups.take_smaller(Some(key("B"))).unwrap().is_some());
        groups.take(key("B")).unwrap();
        assert_eq!(codes(&groups), ["B", "B"]);
        groups.take(key("C")).unwrap();
        assert!(groups.rows().is_empty());
        assert!(groups.take_next().unwrap());
        assert_eq!(codes(&groups), ["D", "D", "D"]);
        assert!(!groups.take_next().unwrap() && groups.take_smaller(None).unwrap().is_none());
    }
}
