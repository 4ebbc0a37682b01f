//! A fast hash of strings, the same in every run. Used for placement only, never for equality.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

const K: u64 = 0x9E37_79B9_7F4A_7C15;

/// A map keyed by strings.
pub(in crate::reconcile) type TextMap<K, V> = HashMap<K, V, BuildHasherDefault<TextHasher>>;

/// The hasher for the standard maps.
#[derive(Debug, Default)]
pub(in crate::reconcile) struct TextHasher(u64);

/// The hash of a string.
pub(in crate::reconcile) fn hash(text: &str) -> u64 {
    let mut hasher = TextHasher::default();
    hasher.write(text.as_bytes());
    hasher.finish()
}

impl TextHasher {
    #[inline]
    fn fold(&mut self, word: u64) {
        // Both halves of the product are folded into one word; the casts split it on purpose.
        let product = u128::from(self.0 ^ word).wrapping_mul(u128::from(K));
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }
}

impl Hasher for TextHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.0 ^= (bytes.len() as u64).wrapping_mul(K);
        let (words, rest) = bytes.as_chunks();
        words.iter().for_each(|word| self.fold(u64::from_le_bytes(*word)));
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.fold(u64::from_le_bytes(last));
    }

    /// The terminator is ignored: the length is part of the hash.
    #[inline]
    fn write_u8(&mut self, _: u8) {}

    #[inline]
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }
}
