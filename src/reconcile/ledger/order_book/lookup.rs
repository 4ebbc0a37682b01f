//! Finds rows by a text, above all orders by number, in scratch files sorted by it. A filter and one entry per block are in
//! memory. The directory of a block follows its rows, so that only one row of a block is read.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::marker::PhantomData;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::entry::Order;
use super::filter::{BITS_OF_MANY, Filter, FilterWriter};
use crate::bisection::partition_point;
use crate::reconcile::rows::text_hash::hash;
use crate::sorter::{CellPacker, Unpacker};

/// How rows are stored: their type, and the string by which they are found.
pub(in crate::reconcile::ledger) trait Filing {
    /// A row.
    type Row<'a>;

    /// Bits of the filter per row.
    const FILTER_BITS: u64;
    /// Bytes of rows after which a block ends. Smaller blocks have smaller directories, of which a search reads one, and more
    /// entries, which are in memory.
    const BLOCK_BYTES: u64;

    /// The string by which it is found.
    fn key<'r>(row: &'r Self::Row<'_>) -> &'r str;

    fn pack(row: &Self::Row<'_>, cells: &mut CellPacker<'_>);

    fn unpack<'a>(cells: &mut Unpacker<'a>) -> Self::Row<'a>;
}

/// Orders by number.
#[derive(Debug)]
pub(in crate::reconcile::ledger) struct OrdersByNumber;

impl Filing for OrdersByNumber {
    type Row<'a> = Order<'a>;

    const FILTER_BITS: u64 = BITS_OF_MANY;
    const BLOCK_BYTES: u64 = 32 << 10;

    fn key<'r>(order: &'r Order<'_>) -> &'r str {
        order.out_trade_no
    }

    fn pack(order: &Order<'_>, cells: &mut CellPacker<'_>) {
        order.pack(cells);
    }

    fn unpack<'a>(cells: &mut Unpacker<'a>) -> Order<'a> {
        Order::unpack(cells)
    }
}

/// Where blocks lie, and with which text they begin: all texts in one, as there are many.
#[derive(Default)]
struct Blocks {
    texts: String,
    places: Vec<Place>,
}

/// A block in the file, and where the text of its first row ends in `texts`.
#[derive(Clone, Copy)]
struct Place {
    start: u64,
    /// Where its rows end and its directory begins.
    rows_end: u64,
    end: u64,
    text_end: usize,
}

impl Blocks {
    /// A block whose end is not known yet.
    fn begin(&mut self, first: &str, start: u64) {
        self.texts.push_str(first);
        self.places.push(Place { start, rows_end: start, end: start, text_end: self.texts.len() });
    }

    /// The block that a text must lie in; `None` when the text is smaller than all.
    fn find(&self, text: &str) -> Option<Place> {
        let next = partition_point(0..self.places.len(), |block| self.first(block) <= text);
        Some(self.places[next.checked_sub(1)?])
    }

    fn first(&self, block: usize) -> &str {
        let start = block.checked_sub(1).map_or(0, |before| self.places[before].text_end);
        &self.texts[start..self.places[block].text_end]
    }
}

/// Bytes of a row's entry in a directory: four of its hash, and where it ends behind the start of its block.
const ENTRY_BYTES: usize = 8;

fn entry_of(hash: u64, end: u64) -> u64 {
    (hash << 32) | u64::from(u32::try_from(end).expect("a block and a row of less than 4 GiB"))
}

/// Where those rows of a block lie that may have the hash, in a directory.
fn rows_of(hash: u64, directory: &[u8]) -> impl Iterator<Item = Range<u64>> {
    let (entries, _) = directory.as_chunks::<ENTRY_BYTES>();
    let mut start = 0;
    entries.iter().filter_map(move |entry| {
        let entry = u64::from_le_bytes(*entry);
        let row = std::mem::replace(&mut start, entry & 0xFFFF_FFFF)..entry & 0xFFFF_FFFF;
        (entry >> 32 == hash & 0xFFFF_FFFF).then_some(row)
    })
}

/// Writes rows whose texts ascend.
pub(super) struct LookupWriter<F> {
    filing: PhantomData<F>,
    file: BufWriter<File>,
    written: u64,
    blocks: Blocks,
    /// The directory of the block under way.
    directory: Vec<u8>,
    filter: FilterWriter,
    row: Vec<u8>,
}

impl<F: Filing> LookupWriter<F> {
    /// For at most this many rows.
    pub(super) fn new(scratch: &Path, rows: u64) -> io::Result<LookupWriter<F>> {
        Ok(LookupWriter {
            filing: PhantomData,
            file: BufWriter::with_capacity(256 << 10, tempfile::tempfile_in(scratch)?),
            written: 0,
            blocks: Blocks::default(),
            directory: Vec::new(),
            filter: FilterWriter::for_keys(rows, F::FILTER_BITS),
            row: Vec::new(),
        })
    }

    /// Adds a row.
    pub(super) fn push(&mut self, row: &F::Row<'_>) -> io::Result<()> {
        let mut packed = std::mem::take(&mut self.row);
        packed.clear();
        F::pack(row, &mut CellPacker::behind(&mut packed));
        self.push_packed(F::key(row), &packed)?;
        self.row = packed;
        Ok(())
    }

    /// Adds a packed row.
    pub(super) fn push_packed(&mut self, key: &str, row: &[u8]) -> io::Result<()> {
        let hash = hash(key);
        self.filter.add(hash);
        let start = self.block_for(key)?;
        self.written += row.len() as u64;
        self.directory.extend_from_slice(&entry_of(hash, self.written - start).to_le_bytes());
        self.file.write_all(row)
    }

    /// Where the block begins that the next row belongs to.
    fn block_for(&mut self, key: &str) -> io::Result<u64> {
        if let Some(last) = self.blocks.places.last() {
            if self.written - last.start < F::BLOCK_BYTES {
                return Ok(last.start);
            }
            self.end_block()?;
        }
        self.blocks.begin(key, self.written);
        Ok(self.written)
    }

    fn end_block(&mut self) -> io::Result<()> {
        let Some(block) = self.blocks.places.last_mut() else { return Ok(()) };
        block.rows_end = self.written;
        self.written += self.directory.len() as u64;
        block.end = self.written;
        self.file.write_all(&self.directory)?;
        self.directory.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<Run> {
        self.end_block()?;
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(Run { file, blocks: self.blocks, filter: self.filter.finish() })
    }
}

/// The rows of one file.
struct Run {
    file: File,
    blocks: Blocks,
    filter: Filter,
}

/// Rows by their string.
pub(in crate::reconcile::ledger) struct Lookup<F = OrdersByNumber> {
    filing: PhantomData<F>,
    runs: Vec<Run>,
}

impl<F: Filing> Lookup<F> {
    /// The rows of all these writers.
    pub(super) fn of(writers: impl IntoIterator<Item = LookupWriter<F>>) -> io::Result<Lookup<F>> {
        Ok(Lookup {
            filing: PhantomData,
            runs: writers.into_iter().map(LookupWriter::finish).collect::<io::Result<_>>()?,
        })
    }

    /// The row of a text. `bytes` holds what had to be read.
    pub(in crate::reconcile::ledger) fn find<'a>(
        &'a self,
        key: &str,
        bytes: &'a mut Vec<u8>,
    ) -> io::Result<Option<F::Row<'a>>> {
        let hash = hash(key);
        for run in self.runs.iter().filter(|run| run.filter.may_hold(hash)) {
            if let Some(row) = run.read_row::<F>(key, hash, bytes)? {
                return Ok(Some(F::unpack(&mut Unpacker::of_cells(&bytes[row..]))));
            }
        }
        Ok(None)
    }
}

impl Lookup {
    /// A lookup of these orders.
    #[cfg(test)]
    pub(in crate::reconcile::ledger) fn of_orders(orders: &[Order<'_>]) -> Lookup {
        let scratch = tempfile::tempdir().unwrap();
        let mut writer = LookupWriter::new(scratch.path(), orders.len() as u64).unwrap();
        let mut orders = orders.to_vec();
        orders.sort_by_key(|order| order.out_trade_no);
        orders.iter().for_each(|order| writer.push(order).unwrap());
        Lookup::of([writer]).unwrap()
    }
}

impl Run {
    /// Reads the row of a text behind the directory of its block; where it begins in `bytes`.
    fn read_row<F: Filing>(&self, key: &str, hash: u64, bytes: &mut Vec<u8>) -> io::Result<Option<usize>> {
        let Some(block) = self.blocks.find(key) else { return Ok(None) };
        bytes.clear();
        self.read_behind(bytes, block.rows_end..block.end)?;
        let directory_bytes = bytes.len();
        let rows: Vec<_> = rows_of(hash, bytes).collect();
        for row in rows {
            bytes.truncate(directory_bytes);
            self.read_behind(bytes, block.start + row.start..block.start + row.end)?;
            if F::key(&F::unpack(&mut Unpacker::of_cells(&bytes[directory_bytes..]))) == key {
                return Ok(Some(directory_bytes));
            }
        }
        Ok(None)
    }

    fn read_behind(&self, bytes: &mut Vec<u8>, place: Range<u64>) -> io::Result<()> {
        let start = bytes.len();
        bytes.resize(start + usize::try_from(place.end - place.start).expect("a block fits"), 0);
        self.file.read_exact_at(&mut bytes[start..], place.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_is_found_by_its_number_and_no_other_is() {
        let scratch = tempfile::tempdir().unwrap();
        let numbers: Vec<String> = (0..12_000).map(|number| format!("WX{number:026}")).collect();
        let order = |number| Order { out_trade_no: number, transaction_id: Some("4200"), ..Order::default() };
        let mut runs = [0, 1].map(|_| LookupWriter::<OrdersByNumber>::new(scratch.path(), 6_000).unwrap());
        for (place, number) in numbers.iter().enumerate() {
            runs[usize::from(place % 5 == 0)].push(&order(number)).unwrap();
        }
        let lookup = Lookup::of(runs).unwrap();
        assert!(lookup.runs.iter().all(|run| run.blocks.places.len() > 2));
        let mut block = Vec::new();
        for number in &numbers {
            assert_eq!(lookup.find(number, &mut block).unwrap(), Some(order(number)));
        }
        for number in 12_000..18_000 {
            assert_eq!(lookup.find(&format!("WX{number:026}"), &mut block).unwrap(), None);
        }
        assert_eq!(lookup.find("A smaller one than all", &mut block).unwrap(), None);
    }

    #[test]
    fn of_a_block_the_directory_and_one_row_are_read() {
        let scratch = tempfile::tempdir().unwrap();
        let numbers: Vec<String> = (0..3_000).map(|number| format!("WX{number:026}")).collect();
        let mut writer = LookupWriter::<OrdersByNumber>::new(scratch.path(), 3_000).unwrap();
        for number in &numbers {
            writer.push(&Order { out_trade_no: number, ..Order::default() }).unwrap();
        }
        let (lookup, mut bytes) = (Lookup::of([writer]).unwrap(), Vec::new());
        let most = |number: &String| {
            assert!(lookup.find(number, &mut bytes).unwrap().is_some());
            bytes.len()
        };
        let most = numbers.iter().map(most).max().unwrap();
        assert!(most < OrdersByNumber::BLOCK_BYTES as usize / 4, "{most} bytes");
    }

    #[test]
    fn rows_whose_hashes_begin_alike_are_told_apart_by_their_texts() {
        let directory: Vec<u8> = [(7, 10), (9, 30), (7 + (1 << 32), 45)]
            .iter()
            .flat_map(|(hash, end)| entry_of(*hash, *end).to_le_bytes())
            .collect();
        assert_eq!(rows_of(7, &directory).collect::<Vec<_>>(), [0..10, 30..45]);
        assert_eq!(rows_of(9, &directory).next(), Some(10..30));
        assert_eq!(rows_of(8, &directory).count(), 0);
    }

    /// Two numbers that no directory tells apart.
    fn numbers_with_hashes_that_end_alike() -> [String; 2] {
        let mut seen = std::collections::HashMap::new();
        for number in 0.. {
            let number = format!("WX{number:026}");
            if let Some(other) = seen.insert(hash(&number) & 0xFFFF_FFFF, number.clone()) {
                return [other, number];
            }
        }
        unreachable!("there are more numbers than hashes");
    }

    #[test]
    fn an_order_is_not_taken_for_another_whose_hash_ends_alike() {
        let scratch = tempfile::tempdir().unwrap();
        let numbers = numbers_with_hashes_that_end_alike();
        let order = |number| Order { out_trade_no: number, ..Order::default() };
        let mut writer = LookupWriter::<OrdersByNumber>::new(scratch.path(), 2).unwrap();
        numbers.iter().for_each(|number| writer.push(&order(number)).unwrap());
        let (lookup, mut bytes) = (Lookup::of([writer]).unwrap(), Vec::new());
        for number in &numbers {
            assert_eq!(lookup.find(number, &mut bytes).unwrap(), Some(order(number)));
        }
    }
}
