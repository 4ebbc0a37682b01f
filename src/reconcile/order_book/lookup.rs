//! Orders found by number, from a scratch file: only a filter and one entry per block are in memory.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::Order;
use crate::reconcile::spill::{Packer, Unpacker};
use crate::reconcile::text_hash::{TextMap, hash};

/// Bytes after which a block ends: one read.
const BLOCK_BYTES: usize = 4 << 10;
const FILTER_BITS_PER_KEY: u64 = 16;

/// Says that a text was never added, or that it may have been. All bits of a text lie in one block, which
/// is one line of the processor's cache.
#[derive(Debug)]
pub(super) struct Filter {
    blocks: Vec<[u64; 8]>,
}

impl Filter {
    pub(super) fn for_keys(keys: u64) -> Filter {
        let blocks = usize::try_from((keys * FILTER_BITS_PER_KEY).div_ceil(512).max(1)).expect("a filter fits");
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

/// The bits of a hash in its block: word, and the bit in it. Six times nine bits of a number that the
/// choice of the block tells nothing about.
fn bits(hash: u64) -> [(usize, u64); 6] {
    let mixed = hash.wrapping_mul(0xD1B5_4A32_D192_ED03);
    [10, 19, 28, 37, 46, 55].map(|shift| {
        let bit = usize::try_from((mixed >> shift) & 511).expect("nine bits");
        (bit / 64, 1 << (bit % 64))
    })
}

/// A block: the part and the smallest hash of the orders in it, and where it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Block {
    part: u32,
    first: u64,
    start: u64,
}

/// Writes the orders of one part after the other.
pub(super) struct LookupWriter {
    file: BufWriter<File>,
    written: u64,
    blocks: Vec<Block>,
    filter: Filter,
    /// The orders of the current part: hash and place in `bytes`.
    rows: Vec<(u64, usize, usize)>,
    bytes: Vec<u8>,
    late: TextMap<String, Vec<u8>>,
}

impl LookupWriter {
    pub(super) fn new(scratch: &Path, orders: u64) -> io::Result<LookupWriter> {
        Ok(LookupWriter {
            file: BufWriter::with_capacity(1 << 20, tempfile::tempfile_in(scratch)?),
            written: 0,
            blocks: Vec::new(),
            filter: Filter::for_keys(orders),
            rows: Vec::new(),
            bytes: Vec::new(),
            late: TextMap::default(),
        })
    }

    /// Adds an order of the current part.
    pub(super) fn push(&mut self, hash: u64, order: &Order<'_>) {
        let start = self.bytes.len();
        order.pack(&mut Packer::new(&mut self.bytes));
        self.rows.push((hash, start, self.bytes.len()));
        self.filter.add(hash);
    }

    /// Adds an order whose part is written already.
    pub(super) fn push_late(&mut self, order: &Order<'_>) {
        let mut bytes = Vec::new();
        order.pack(&mut Packer::new(&mut bytes));
        self.late.insert(order.out_trade_no.to_owned(), bytes);
    }

    /// Writes the current part.
    pub(super) fn end_part(&mut self, part: usize) -> io::Result<()> {
        self.rows.sort_unstable();
        let part = u32::try_from(part).expect("fewer than 2³² parts");
        let mut block_bytes = BLOCK_BYTES;
        let mut last = None;
        for (hash, start, end) in self.rows.drain(..) {
            // Orders of one hash stay in one block.
            if block_bytes >= BLOCK_BYTES && last != Some(hash) {
                self.blocks.push(Block { part, first: hash, start: self.written });
                block_bytes = 0;
            }
            self.file.write_all(&self.bytes[start..end])?;
            self.written += (end - start) as u64;
            block_bytes += end - start;
            last = Some(hash);
        }
        self.bytes.clear();
        Ok(())
    }

    fn finish(self, late: &mut TextMap<String, Vec<u8>>) -> io::Result<Share> {
        late.extend(self.late);
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(Share { file, length: self.written, blocks: self.blocks, filter: self.filter })
    }
}

/// The orders of some parts.
struct Share {
    file: File,
    length: u64,
    blocks: Vec<Block>,
    filter: Filter,
}

/// The orders of the look-back by number.
pub(in crate::reconcile) struct Lookup {
    /// A part is of the share of its number, counted round and round.
    shares: Vec<Share>,
    parts: u64,
    late: TextMap<String, Vec<u8>>,
}

impl Lookup {
    /// What was written of `parts` parts, dealt out to the shares one by one.
    pub(super) fn of_shares(shares: Vec<LookupWriter>, parts: u64) -> io::Result<Lookup> {
        let mut late = TextMap::default();
        let shares = shares.into_iter().map(|share| share.finish(&mut late)).collect::<io::Result<_>>()?;
        Ok(Lookup { shares, parts, late })
    }

    /// The order of a number, paid or not. `block` holds what had to be read.
    pub(in crate::reconcile) fn find<'a>(
        &'a self,
        out_trade_no: &str,
        block: &'a mut Vec<u8>,
    ) -> io::Result<Option<Order<'a>>> {
        if let Some(bytes) = self.late.get(out_trade_no) {
            return Ok(Some(Order::unpack(&mut Unpacker::new(bytes))));
        }
        let hash = hash(out_trade_no);
        let part = hash % self.parts;
        let share = &self.shares[usize::try_from(part % self.shares.len() as u64).expect("a share's number")];
        if !share.filter.may_hold(hash) {
            return Ok(None);
        }
        share.read_block((part, hash), block)?;
        let mut cells = Unpacker::new(block);
        while !cells.is_empty() {
            let order = Order::unpack(&mut cells);
            if order.out_trade_no == out_trade_no {
                return Ok(Some(order));
            }
        }
        Ok(None)
    }

    /// A lookup of these orders.
    #[cfg(test)]
    pub(in crate::reconcile) fn of(orders: &[Order<'_>]) -> Lookup {
        let scratch = tempfile::tempdir().unwrap();
        let mut writer = LookupWriter::new(scratch.path(), orders.len() as u64).unwrap();
        orders.iter().for_each(|order| writer.push(hash(order.out_trade_no), order));
        writer.end_part(0).unwrap();
        Lookup::of_shares(vec![writer], 1).unwrap()
    }
}

impl Share {
    /// Reads the block a hash of a part must lie in; leaves it empty when there is none.
    fn read_block(&self, (part, hash): (u64, u64), bytes: &mut Vec<u8>) -> io::Result<()> {
        bytes.clear();
        let part = u32::try_from(part).expect("fewer than 2³² parts");
        let after = self.blocks.partition_point(|block| (block.part, block.first) <= (part, hash));
        let Some(block) = after.checked_sub(1).map(|place| self.blocks[place]) else { return Ok(()) };
        let end = self.blocks.get(after).map_or(self.length, |next| next.start);
        bytes.resize(usize::try_from(end - block.start).expect("a block fits"), 0);
        self.file.read_exact_at(bytes, block.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_is_found_by_its_number_and_no_other_is() {
        let scratch = tempfile::tempdir().unwrap();
        let numbers: Vec<String> = (0..3_000).map(|number| format!("WX{number:026}")).collect();
        let order = |number| Order { out_trade_no: number, transaction_id: Some("4200"), ..Order::default() };
        let mut shares: Vec<_> = (0..2).map(|_| LookupWriter::new(scratch.path(), 1_500).unwrap()).collect();
        for part in 0..3 {
            let writer = &mut shares[part % 2];
            for number in numbers.iter().skip(1).filter(|number| hash(number) % 3 == part as u64) {
                writer.push(hash(number), &order(number));
            }
            writer.end_part(part).unwrap();
        }
        shares[0].push_late(&order(&numbers[0]));
        let lookup = Lookup::of_shares(shares, 3).unwrap();
        let mut block = Vec::new();
        for number in &numbers {
            assert_eq!(lookup.find(number, &mut block).unwrap(), Some(order(number)));
        }
        for number in 3_000..6_000 {
            assert_eq!(lookup.find(&format!("WX{number:026}"), &mut block).unwrap(), None);
        }
    }
}
