//! Rows found by a text, orders by number first of all, from scratch files that are sorted by it: only a filter and one
//! entry per block are in memory.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::marker::PhantomData;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::entry::Order;
use super::filter::{BITS_OF_MANY, Filter, FilterWriter};
use crate::bisection::partition_point;
use crate::reconcile::text_hash::hash;
use crate::sorter::{CellPacker, Unpacker};

/// How rows are filed: what they are, and by which of their texts they are found.
pub(in crate::reconcile) trait Filing {
    /// A row.
    type Row<'a>;

    /// Bits of the filter for every row.
    const FILTER_BITS: u64;
    /// Bytes after which a block ends: one read. Smaller blocks are found by more entries, which are in memory.
    const BLOCK_BYTES: u64;

    /// The text it is found by.
    fn key<'r>(row: &'r Self::Row<'_>) -> &'r str;

    fn pack(row: &Self::Row<'_>, cells: &mut CellPacker<'_>);

    fn unpack<'a>(cells: &mut Unpacker<'a>) -> Self::Row<'a>;
}

/// Orders by number.
#[derive(Debug)]
pub(in crate::reconcile) struct OrdersByNumber;

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

/// Where blocks begin, and with which text: all texts in one, as there are many.
#[derive(Default)]
struct Blocks {
    texts: String,
    places: Vec<Place>,
}

/// Where a block begins in the file, and where the text of its first row ends.
#[derive(Clone, Copy)]
struct Place {
    start: u64,
    text_end: usize,
}

impl Blocks {
    fn push(&mut self, first: &str, start: u64) {
        self.texts.push_str(first);
        self.places.push(Place { start, text_end: self.texts.len() });
    }

    /// Where the last one begins.
    fn last_start(&self) -> Option<u64> {
        self.places.last().map(|place| place.start)
    }

    /// Where the block begins that a text must lie in, and where it ends, if it is not the last; `None` when the text is
    /// smaller than all.
    fn find(&self, text: &str) -> Option<(u64, Option<u64>)> {
        let next = partition_point(0..self.places.len(), |block| self.first(block) <= text);
        let start = self.places[next.checked_sub(1)?].start;
        Some((start, self.places.get(next).map(|next| next.start)))
    }

    fn first(&self, block: usize) -> &str {
        let start = block.checked_sub(1).map_or(0, |before| self.places[before].text_end);
        &self.texts[start..self.places[block].text_end]
    }
}

/// Writes rows whose texts ascend.
pub(super) struct LookupWriter<F> {
    filing: PhantomData<F>,
    file: BufWriter<File>,
    written: u64,
    blocks: Blocks,
    filter: FilterWriter,
    row: Vec<u8>,
}

impl<F: Filing> LookupWriter<F> {
    /// For so many rows at most.
    pub(super) fn new(scratch: &Path, rows: u64) -> io::Result<LookupWriter<F>> {
        Ok(LookupWriter {
            filing: PhantomData,
            file: BufWriter::with_capacity(256 << 10, tempfile::tempfile_in(scratch)?),
            written: 0,
            blocks: Blocks::default(),
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

    /// Adds a row that is packed already.
    pub(super) fn push_packed(&mut self, key: &str, row: &[u8]) -> io::Result<()> {
        if self.blocks.last_start().is_none_or(|start| self.written - start >= F::BLOCK_BYTES) {
            self.blocks.push(key, self.written);
        }
        self.filter.add(hash(key));
        self.written += row.len() as u64;
        self.file.write_all(row)
    }

    fn finish(self) -> io::Result<Run> {
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(Run { file, length: self.written, blocks: self.blocks, filter: self.filter.finish() })
    }
}

/// Rows of one file.
struct Run {
    file: File,
    length: u64,
    blocks: Blocks,
    filter: Filter,
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
    pub(in crate::reconcile) fn find<'a>(
        &'a self,
        key: &str,
        block: &'a mut Vec<u8>,
    ) -> io::Result<Option<F::Row<'a>>> {
        let hash = hash(key);
        for run in self.runs.iter().filter(|run| run.filter.may_hold(hash)) {
            run.read_block(key, block)?;
            if let Some(start) = start_of::<F>(key, block) {
                return Ok(Some(F::unpack(&mut Unpacker::of_cells(&block[start..]))));
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
    let mut cells = Unpacker::of_cells(block);
    while !cells.rest().is_empty() {
        let start = block.len() - cells.rest().len();
        if F::key(&F::unpack(&mut cells)) == key {
            return Some(start);
        }
    }
    None
}

impl Run {
    /// Reads the block a text must lie in; leaves it empty when there is none.
    fn read_block(&self, key: &str, bytes: &mut Vec<u8>) -> io::Result<()> {
        bytes.clear();
        let Some((start, next)) = self.blocks.find(key) else { return Ok(()) };
        bytes.resize(usize::try_from(next.unwrap_or(self.length) - start).expect("a block fits"), 0);
        self.file.read_exact_at(bytes, start)
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
}
