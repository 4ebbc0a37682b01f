//! Rows sorted by coupon, or by one text that stands where a code would, in scratch files. What does not fit in a
//! bounded buffer goes to an unnamed file of the scratch folder, which vanishes with the process: one per sort, so
//! that neither memory nor the number of open files follows the rows. Runs beyond the first gibibyte are compressed, and
//! what of a run was read is given back to the disk.

mod merge;
mod run;
mod sorted;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use self::run::{Batch, Run, Section};
pub(super) use self::sorted::{Grouped, Sorted};
use super::blocks::{LOOSE_BYTES, Press};
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
#[derive(Debug, Default)]
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
        let [stock_id, coupon_code] = self.coupon_bytes();
        CouponKey::of(stock_id, coupon_code)
    }

    fn coupon_bytes(&self) -> [&[u8]; 2] {
        let mut cells = self.cells();
        [cells.text_bytes(), cells.text_bytes()]
    }

    /// What rows of one stock are sorted by.
    fn behind_stock(&self) -> (&[u8], &[u8]) {
        behind_stock(&self.0)
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

    /// Ranks of the stocks by their numbers: they sort as the stocks do.
    fn ranks(&self) -> Vec<u32> {
        let mut by_id: Vec<_> = self.stocks.iter().collect();
        by_id.sort_unstable();
        let mut ranks = vec![0; by_id.len()];
        for (rank, (_, number)) in (0..).zip(by_id) {
            ranks[*number as usize] = rank;
        }
        ranks
    }

    fn write_run(&mut self) -> io::Result<()> {
        self.buffer.rank_stocks(&self.ranks());
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
        let ranks = self.ranks();
        self.stocks.values_mut().for_each(|number| *number = ranks[*number as usize]);
        self.buffer.rank_stocks(&ranks);
        self.buffer.sort();
        self.await_run()?;
        let starts = [0].iter().chain(&self.run_ends);
        let places = starts.zip(&self.run_ends).map(|(start, end)| *start..*end);
        let window = (READ_BYTES / self.run_ends.len().max(1)).clamp(LEAST_READ_BUFFER, MOST_READ_BUFFER);
        let sections = self.file.iter().flat_map(|file| places.clone().map(|place| Section::of(file.clone(), place)));
        let open = |section: Section| match self.is_loose(section.start()) {
            true => Run::loose(section, window),
            false => Run::compressed(section),
        };
        let mut runs: Vec<_> = sections.map(open).collect();
        runs.push(Run::buffer(self.buffer));
        Sorted::merge(runs, self.stocks)
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

    /// Gives the rows the ranks of their stocks in place of the numbers.
    fn rank_stocks(&mut self, ranks: &[u32]) {
        self.rows.iter_mut().for_each(|row| row.stock = ranks[row.stock as usize]);
    }

    fn sort(&mut self) {
        let bytes = &self.bytes;
        self.rows.sort_unstable_by(|one, other| {
            let rest = || behind_stock(one.of(bytes)).cmp(&behind_stock(other.of(bytes)));
            (one.stock, one.code).cmp(&(other.stock, other.code)).then_with(rest)
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
        let (mut press, mut block, mut written) = (Press::new()?, Batch::with_capacity(2 * BLOCK_BYTES), 0);
        for (number, row) in self.rows.iter().enumerate() {
            block.push(row.of(&self.bytes));
            if block.bytes().len() >= BLOCK_BYTES || number + 1 == self.rows.len() {
                let pressed = press.press(block.bytes())?;
                file.write_all(pressed)?;
                written += pressed.len() as u64;
                block.clear();
            }
        }
        Ok(written)
    }
}

/// The code of a packed row, and the cells after it: by them rows of one stock are sorted, so that their order never depends
/// on the order of arrival.
fn behind_stock(row: &[u8]) -> (&[u8], &[u8]) {
    let mut cells = Unpacker::new(row);
    cells.text_bytes();
    (cells.text_bytes(), cells.rest())
}

fn length_of(row: &[u8]) -> [u8; 4] {
    u32::try_from(row.len()).expect("a row is shorter than 4 GiB").to_le_bytes()
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
