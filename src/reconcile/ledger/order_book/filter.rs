//! A Bloom filter over strings: what was added is always reported as maybe present, and rarely something that was not. Knows
//! no row.

/// Strings added to a filter at a time.
const HASHES_AT_ONCE: usize = 64;
/// Bits per entry of a filter for orders or payments: a false-positive rate of one in seven, each of which costs a read
/// or a detour. More bits would take memory that grows with the orders.
pub(super) const BITS_OF_MANY: u64 = 4;
/// For refunds, which are few but looked up by every order: one in six hundred.
pub(super) const BITS_OF_FEW: u64 = 24;

/// Tells whether a string was never added, or may have been. All bits of a string are in one block of a cache line.
#[derive(Debug)]
pub(super) struct Filter {
    blocks: Vec<[u64; 8]>,
}

/// A filter that is being filled. A large one does not fit into the processor's caches: many strings are added at a
/// time, so that their memory accesses overlap.
#[derive(Debug)]
pub(super) struct FilterWriter {
    filter: Filter,
    waiting: Vec<u64>,
}

impl Filter {
    fn for_keys(keys: u64, bits_per_key: u64) -> Filter {
        let blocks = usize::try_from((keys * bits_per_key).div_ceil(512).max(1)).expect("a filter fits");
        Filter { blocks: vec![[0; 8]; blocks] }
    }

    fn add(&mut self, hash: u64) {
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

impl FilterWriter {
    /// For a number of keys, with a number of bits for each.
    pub(super) fn for_keys(keys: u64, bits_per_key: u64) -> FilterWriter {
        let filter = Filter::for_keys(keys, bits_per_key);
        FilterWriter { filter, waiting: Vec::with_capacity(HASHES_AT_ONCE) }
    }

    /// Adds the hash of a string.
    #[inline]
    pub(super) fn add(&mut self, hash: u64) {
        self.waiting.push(hash);
        if self.waiting.len() == HASHES_AT_ONCE {
            self.settle();
        }
    }

    pub(super) fn finish(mut self) -> Filter {
        self.settle();
        self.filter
    }

    /// Touches the blocks of all queued strings before setting a bit, so that these reads do not wait for each other.
    fn settle(&mut self) {
        let Filter { blocks } = &self.filter;
        let seen = self.waiting.iter().fold(0, |seen, hash| seen ^ blocks[self.filter.block(*hash)][0]);
        std::hint::black_box(seen);
        self.waiting.drain(..).for_each(|hash| self.filter.add(hash));
    }
}

/// The bits of a hash in its block: word, and bit within it. Uses three times nine bits that are independent of the
/// choice of the block.
fn bits(hash: u64) -> [(usize, u64); 3] {
    let mixed = hash.wrapping_mul(0xD1B5_4A32_D192_ED03);
    [37, 46, 55].map(|shift| {
        let bit = usize::try_from((mixed >> shift) & 511).expect("nine bits");
        (bit / 64, 1 << (bit % 64))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reconcile::rows::text_hash::hash;

    proptest! {
        #[test]
        fn what_was_added_may_be_in_it(texts in proptest::collection::vec("[0-9]{0,30}", 0..300)) {
            let mut writer = FilterWriter::for_keys(texts.len() as u64, BITS_OF_MANY);
            texts.iter().for_each(|text| writer.add(hash(text)));
            let filter = writer.finish();
            prop_assert!(texts.iter().all(|text| filter.may_hold(hash(text))));
        }
    }

    #[test]
    fn of_what_was_not_added_few_may_be_in_it() {
        for (bits, most) in [(BITS_OF_MANY, 1_700), (BITS_OF_FEW, 40)] {
            let mut writer = FilterWriter::for_keys(10_000, bits);
            (0..10_000).for_each(|number| writer.add(hash(&format!("4200{number:024}"))));
            let filter = writer.finish();
            let seem = (10_000..20_000).filter(|number| filter.may_hold(hash(&format!("4200{number:024}")))).count();
            assert!(seem < most, "{seem} of 10,000 with {bits} bits");
        }
    }
}
