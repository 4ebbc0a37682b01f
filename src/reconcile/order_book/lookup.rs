//! Rows found by a text, orders by number first of all, from scratch files that are sorted by it: only a filter and one
//! entry per block are in memory.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::marker::PhantomData;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::Order;
use crate::reconcile::blocks::{LOOSE_BYTES, Opener, Press};
use crate::reconcile::cells::{Packer, Unpacker};
use crate::reconcile::text_hash::hash;

/// How rows are filed: what they are, and by which of their texts they are found.
pub(in crate::reconcile) trait Filing {
    /// A row.
    type Row<'a>;

    /// Bits of the filter for every row.
    const FILTER_BITS: u64;

    /// The text it is found by.
    fn key<'r>(row: &'r Self::Row<'_>) -> &'r str;

    fn pack(row: &Self::Row<'_>, cells: &mut Packer<'_>);

    fn unpack<'a>(cells: &mut Unpacker<'a>) -> Self::Row<'a>;
}

/// Orders by number.
#[derive(Debug)]
pub(in crate::reconcile) struct OrdersByNumber;

impl Filing for OrdersByNumber {
    type Row<'a> = Order<'a>;

    const FILTER_BITS: u64 = BITS_OF_MANY;

    fn key<'r>(order: &'r Order<'_>) -> &'r str {
        order.out_trade_no
    }

    fn pack(order: &Order<'_>, cells: &mut Packer<'_>) {
        order.pack(cells);
    }

    fn unpack<'a>(cells: &mut Unpacker<'a>) -> Order<'a> {
        Order::unpack(cells)
    }
}

/// Bytes after which a block ends: one read.
const BLOCK_BYTES: usize = 16 << 10;
/// Bits of a filter for every order or payment: one text in seven that was not added may seem to be, and costs a read or
/// a detour. More bits would be a part of memory that follows the orders.
pub(super) const BITS_OF_MANY: u64 = 4;
/// For every refund, of which there are few, while every order asks: one text in six hundred.
pub(super) const BITS_OF_FEW: u64 = 24;

/// Says that a text was never added, or that it may have been. All bits of a text lie in one block, which
/// is one line of the processor's cache.
#[derive(Debug)]
pub(super) struct Filter {
    blocks: Vec<[u64; 8]>,
}

impl Filter {
    pub(super) fn for_keys(keys: u64, bits_per_key: u64) -> Filter {
        let blocks = usize::try_from((keys * bits_per_key).div_ceil(512).max(1)).expect("a filter fits");
        Filter { blocks: vec![[0; 8]; blocks] }
    }

    pub(super) fn add(&mut self, hash: u64) {
        let block = self.block(hash);
        for (word, bit) in bits(hash) {
            self.blocks[block][word] |= bit;
        }
    }

    pub(super) fn may_hold(&self, hash: u64) -> bool {
        let block = &self.blocks[self.block(hash)];
        bits(hash).into_iter().all(|(word, bit)| block[word] & bit != 0)
    }

    fn block(&self, hash: u64) -> usize {
        let place = (u128::from(hash) * self.blocks.len() as u128) >> 64;
        usize::try_from(place).expect("a place in the filter")
    }
}

/// The bits of a hash in its block: word, and the bit in it. Three times nine bits of a number that the
/// choice of the block tells nothing about.
fn bits(hash: u64) -> [(usize, u64); 3] {
    let mixed = hash.wrapping_mul(0xD1B5_4A32_D192_ED03);
    [37, 46, 55].map(|shift| {
        let bit = usize::try_from((mixed >> shift) & 511).expect("nine bits");
        (bit / 64, 1 << (bit % 64))
    })
}

/// Where a block begins in the file, and the text of its first row.
struct Place {
    first: Box<str>,
    start: u64,
}

/// The rows of a block that was read, and what it takes to read the next one.
#[derive(Default)]
pub(in crate::reconcile) struct Block {
    rows: Vec<u8>,
    compressed: Vec<u8>,
    opener: Opener,
}

/// Writes rows whose texts ascend.
pub(super) struct LookupWriter<F> {
    filing: PhantomData<F>,
    file: BufWriter<File>,
    written: u64,
    /// The rows of the block that is being filled.
    rows: Vec<u8>,
    places: Vec<Place>,
    filter: Filter,
    row: Vec<u8>,
    /// Where in the file a block has to begin to be compressed.
    loose_bytes: u64,
    press: Option<Press>,
}

impl<F: Filing> LookupWriter<F> {
    /// For so many rows at most.
    pub(super) fn new(scratch: &Path, rows: u64) -> io::Result<LookupWriter<F>> {
        LookupWriter::compressing_from(scratch, rows, LOOSE_BYTES)
    }

    /// The same, compressed once the file has so many bytes.
    fn compressing_from(scratch: &Path, rows: u64, loose_bytes: u64) -> io::Result<LookupWriter<F>> {
        Ok(LookupWriter {
            filing: PhantomData,
            file: BufWriter::with_capacity(256 << 10, tempfile::tempfile_in(scratch)?),
            written: 0,
            rows: Vec::new(),
            places: Vec::new(),
            filter: Filter::for_keys(rows, F::FILTER_BITS),
            row: Vec::new(),
            loose_bytes,
            press: None,
        })
    }

    /// Adds a row.
    pub(super) fn push(&mut self, row: &F::Row<'_>) -> io::Result<()> {
        let mut packed = std::mem::take(&mut self.row);
        packed.clear();
        F::pack(row, &mut Packer::new(&mut packed));
        self.push_packed(F::key(row), &packed)?;
        self.row = packed;
        Ok(())
    }

    /// Adds a row that is packed already.
    pub(super) fn push_packed(&mut self, key: &str, row: &[u8]) -> io::Result<()> {
        if self.rows.is_empty() {
            self.places.push(Place { first: key.into(), start: self.written });
        }
        self.filter.add(hash(key));
        self.rows.extend_from_slice(row);
        if self.rows.len() >= BLOCK_BYTES { self.write_block() } else { Ok(()) }
    }

    fn write_block(&mut self) -> io::Result<()> {
        let bytes = match &mut self.press {
            _ if self.written < self.loose_bytes => &self.rows,
            Some(press) => press.press(&self.rows)?,
            none => none.insert(Press::new()?).press(&self.rows)?,
        };
        self.file.write_all(bytes)?;
        self.written += bytes.len() as u64;
        self.rows.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<Run> {
        if !self.rows.is_empty() {
            self.write_block()?;
        }
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        let LookupWriter { written, places, filter, loose_bytes, .. } = self;
        Ok(Run { file, length: written, places, filter, loose_bytes })
    }
}

/// Rows of one file.
struct Run {
    file: File,
    length: u64,
    places: Vec<Place>,
    filter: Filter,
    loose_bytes: u64,
}

/// Rows by their text.
pub(in crate::reconcile) struct Lookup<F = OrdersByNumber> {
    filing: PhantomData<F>,
    runs: Vec<Run>,
}

impl<F: Filing> Lookup<F> {
    /// What was written by all of these.
    pub(super) fn of(writers: impl IntoIterator<Item = LookupWriter<F>>) -> io::Result<Lookup<F>> {
        Ok(Lookup {
            filing: PhantomData,
            runs: writers.into_iter().map(LookupWriter::finish).collect::<io::Result<_>>()?,
        })
    }

    /// The row of a text. `block` holds what had to be read.
    pub(in crate::reconcile) fn find<'a>(&'a self, key: &str, block: &'a mut Block) -> io::Result<Option<F::Row<'a>>> {
        let hash = hash(key);
        for run in self.runs.iter().filter(|run| run.filter.may_hold(hash)) {
            run.read_block(key, block)?;
            if let Some(start) = start_of::<F>(key, &block.rows) {
                return Ok(Some(F::unpack(&mut Unpacker::new(&block.rows[start..]))));
            }
        }
        Ok(None)
    }
}

impl Lookup {
    /// A lookup of these orders.
    #[cfg(test)]
    pub(in crate::reconcile) fn of_orders(orders: &[Order<'_>]) -> Lookup {
        let scratch = tempfile::tempdir().unwrap();
        let mut writer = LookupWriter::new(scratch.path(), orders.len() as u64).unwrap();
        let mut orders = orders.to_vec();
        orders.sort_by_key(|order| order.out_trade_no);
        orders.iter().for_each(|order| writer.push(order).unwrap());
        Lookup::of([writer]).unwrap()
    }
}

/// Where the row of a text begins in a block.
fn start_of<F: Filing>(key: &str, block: &[u8]) -> Option<usize> {
    let mut cells = Unpacker::new(block);
    while !cells.is_empty() {
        let start = block.len() - cells.rest().len();
        if F::key(&F::unpack(&mut cells)) == key {
            return Some(start);
        }
    }
    None
}

impl Run {
    /// Reads the block a text must lie in; leaves it empty when there is none.
    fn read_block(&self, key: &str, block: &mut Block) -> io::Result<()> {
        block.rows.clear();
        let after = self.places.partition_point(|place| &*place.first <= key);
        let Some(place) = after.checked_sub(1).map(|place| &self.places[place]) else { return Ok(()) };
        let end = self.places.get(after).map_or(self.length, |next| next.start);
        if place.start < self.loose_bytes {
            return self.read(place.start..end, &mut block.rows);
        }
        self.read(place.start..end, &mut block.compressed)?;
        block.opener.open(&mut block.compressed.as_slice(), &mut block.rows).map(drop)
    }

    fn read(&self, range: Range<u64>, bytes: &mut Vec<u8>) -> io::Result<()> {
        bytes.resize(usize::try_from(range.end - range.start).expect("a block fits"), 0);
        self.file.read_exact_at(bytes, range.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_is_found_by_its_number_and_no_other_is_compressed_or_not() {
        [LOOSE_BYTES, 20_000, 0].into_iter().for_each(find_every_order);
    }

    fn find_every_order(loose_bytes: u64) {
        let scratch = tempfile::tempdir().unwrap();
        let numbers: Vec<String> = (0..6_000).map(|number| format!("WX{number:026}")).collect();
        let order = |number| Order { out_trade_no: number, transaction_id: Some("4200"), ..Order::default() };
        let writer = || LookupWriter::<OrdersByNumber>::compressing_from(scratch.path(), 3_000, loose_bytes).unwrap();
        let mut runs = [writer(), writer()];
        for (place, number) in numbers.iter().enumerate() {
            runs[usize::from(place % 5 == 0)].push(&order(number)).unwrap();
        }
        let lookup = Lookup::of(runs).unwrap();
        assert!(lookup.runs.iter().all(|run| run.places.len() > 2));
        let mut block = Block::default();
        for number in &numbers {
            assert_eq!(lookup.find(number, &mut block).unwrap(), Some(order(number)));
        }
        for number in 6_000..9_000 {
            assert_eq!(lookup.find(&format!("WX{number:026}"), &mut block).unwrap(), None);
        }
        assert_eq!(lookup.find("A smaller one than all", &mut block).unwrap(), None);
    }
}
