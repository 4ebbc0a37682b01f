//! Sets of strings that only answer membership. Each string, however long, is represented by 16 bytes of
//! its SHA-256 and costs about 18 bytes of memory. Never returns a string.
//!
//! The chance that any two strings of a set of n collide is about n²/2¹²⁹: below 10⁻²⁶ for a million.

use std::io::{self, Write};

use aws_lc_rs::digest::{SHA256, digest};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Buckets of a set: each holds so few fingerprints that inserting one in order by moving the rest is
/// cheap.
const SHELVES: usize = 1 << 12;

/// Bytes of the length before each text.
const LENGTH_BYTES: usize = size_of::<u64>();
/// What is hashed without memory of its own: most tuples are an openid and a code.
const SHORT_BYTES: usize = 256;

/// Tuples per 64 bits of a sieve: one in seventy that are not there passes.
const SIEVED_PER_WORD: u64 = 4;

/// A set of strings, or of tuples of strings.
#[derive(Debug, Clone, Default)]
pub struct Fingerprints {
    /// Sorted; empty until the first string is added.
    shelves: Vec<Vec<u128>>,
    count: usize,
    sieve: Option<Sieve>,
}

/// Holds back most tuples that a set does not have, and none that it has, by a hash that takes a tenth of the time of SHA-256 (a Bloom
/// filter of two bits).
#[derive(Debug, Clone)]
struct Sieve {
    bits: Vec<u64>,
}

impl Fingerprints {
    /// Empty, for about `count` tuples and many questions about others: two bytes more of each spare most of those a SHA-256.
    pub fn expecting(count: u64) -> Fingerprints {
        Fingerprints { sieve: Some(Sieve::for_tuples(count)), ..Fingerprints::default() }
    }

    /// Adds the strings as one tuple; true if it was new.
    pub fn insert(&mut self, texts: &[&str]) -> bool {
        if self.shelves.is_empty() {
            self.shelves.resize(SHELVES, Vec::new());
        }
        let fingerprint = fingerprint(texts);
        let shelf = &mut self.shelves[shelf_of(fingerprint)];
        let Err(place) = shelf.binary_search(&fingerprint) else { return false };
        if shelf.len() == shelf.capacity() {
            // The default growth by doubling would leave it half empty.
            shelf.reserve_exact(shelf.len() / 8 + 2);
        }
        shelf.insert(place, fingerprint);
        self.count += 1;
        self.sieve.iter_mut().for_each(|sieve| sieve.add(texts));
        true
    }

    /// Whether the tuple was added.
    pub fn contains(&self, texts: &[&str]) -> bool {
        !self.is_empty() && self.sieve.as_ref().is_none_or(|sieve| sieve.lets_pass(texts)) && {
            let fingerprint = fingerprint(texts);
            self.shelves[shelf_of(fingerprint)].binary_search(&fingerprint).is_ok()
        }
    }

    /// Writes each fingerprint as a line of 32 hexadecimal digits, in ascending order.
    pub fn write_lines(&self, out: &mut impl Write) -> io::Result<()> {
        self.shelves.iter().flatten().try_for_each(|fingerprint| writeln!(out, "{fingerprint:032x}"))
    }

    /// Removes the tuple.
    pub fn remove(&mut self, texts: &[&str]) {
        let fingerprint = fingerprint(texts);
        let Some(shelf) = self.shelves.get_mut(shelf_of(fingerprint)) else { return };
        if let Ok(place) = shelf.binary_search(&fingerprint) {
            shelf.remove(place);
            self.count -= 1;
        }
    }

    /// How many tuples the set holds.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl Sieve {
    fn for_tuples(count: u64) -> Sieve {
        let words = usize::try_from(count / SIEVED_PER_WORD + 1).expect("no more than what is in memory");
        Sieve { bits: vec![0; words] }
    }

    fn add(&mut self, texts: &[&str]) {
        for (word, bit) in self.places(texts) {
            self.bits[word] |= bit;
        }
    }

    fn lets_pass(&self, texts: &[&str]) -> bool {
        self.places(texts).iter().all(|(word, bit)| self.bits[*word] & bit > 0)
    }

    /// Two bits, each as the index of its word and its value.
    fn places(&self, texts: &[&str]) -> [(usize, u64); 2] {
        let hash = texts.iter().fold(0, |seed, text| xxh3_64_with_seed(text.as_bytes(), seed));
        [hash >> 32, hash & u64::from(u32::MAX)].map(|half| {
            let place = (u128::from(half) * (self.bits.len() as u128 * u128::from(u64::BITS))) >> 32;
            let place = usize::try_from(place).expect("less than the number of bits");
            (place / 64, 1 << (place % 64))
        })
    }
}

impl<'t, const TEXTS: usize> FromIterator<[&'t str; TEXTS]> for Fingerprints {
    fn from_iter<I: IntoIterator<Item = [&'t str; TEXTS]>>(groups: I) -> Fingerprints {
        let mut set = Fingerprints::default();
        for texts in groups {
            set.insert(&texts);
        }
        set
    }
}

fn fingerprint(texts: &[&str]) -> u128 {
    let length = texts.iter().map(|text| LENGTH_BYTES + text.len()).sum();
    let (mut short, mut long) = ([0; SHORT_BYTES], Vec::new());
    let bytes = short.get_mut(..length).unwrap_or_else(|| {
        long.resize(length, 0);
        &mut long
    });
    let mut rest = &mut *bytes;
    for text in texts {
        let (own, others) = rest.split_at_mut(LENGTH_BYTES + text.len());
        own[..LENGTH_BYTES].copy_from_slice(&(text.len() as u64).to_be_bytes());
        own[LENGTH_BYTES..].copy_from_slice(text.as_bytes());
        rest = others;
    }
    // In one call: a digest that is fed piece by piece costs another half of it, and every coupon is looked up several times.
    let digest = digest(&SHA256, bytes);
    u128::from_be_bytes(digest.as_ref()[..16].try_into().expect("SHA-256 has 32 bytes"))
}

fn shelf_of(fingerprint: u128) -> usize {
    usize::try_from(fingerprint >> (128 - SHELVES.trailing_zeros())).expect("a shelf has a small number")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use sha2::Digest;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_what_a_set_of_the_texts_would_hold(
            expected in prop::option::of(0_u64..100),
            steps in prop::collection::vec((any::<bool>(), prop::collection::vec("[ab]{0,2}", 0..3)), 0..200),
        ) {
            let (mut set, mut texts) = (expected.map_or_else(Fingerprints::default, Fingerprints::expecting), BTreeSet::new());
            for (is_added, group) in steps {
                let group_of: Vec<&str> = group.iter().map(String::as_str).collect();
                prop_assert_eq!(set.contains(&group_of), texts.contains(&group));
                match is_added {
                    true => prop_assert_eq!(set.insert(&group_of), texts.insert(group)),
                    false => {
                        set.remove(&group_of);
                        texts.remove(&group);
                    }
                }
                prop_assert_eq!((set.len(), set.is_empty()), (texts.len(), texts.is_empty()));
            }
        }
    }

    fn lines(set: &Fingerprints) -> String {
        let mut lines = Vec::new();
        set.write_lines(&mut lines).unwrap();
        String::from_utf8(lines).unwrap()
    }

    #[test]
    fn a_line_is_the_first_half_of_sha_256_of_each_text_behind_its_length() {
        let expected = [&b"\0\0\0\0\0\0\0\x01o"[..], "\0\0\0\0\0\0\0\x03券".as_bytes()];
        let mut expected = expected.map(|bytes| hex::encode(&sha2::Sha256::digest(bytes)[..16]));
        expected.sort();
        let set = Fingerprints::from_iter([["券"], ["o"]]);
        assert_eq!(lines(&set), format!("{}\n{}\n", expected[0], expected[1]));
    }

    #[test]
    fn a_tuple_of_any_length_is_hashed_as_its_texts_in_a_row() {
        for length in [0, 1, SHORT_BYTES - 2 * LENGTH_BYTES - 1, SHORT_BYTES - 2 * LENGTH_BYTES, SHORT_BYTES, 10_000] {
            let text = "o".repeat(length);
            let row = [&(length as u64).to_be_bytes()[..], text.as_bytes(), &1_u64.to_be_bytes(), b"c"].concat();
            let set = Fingerprints::from_iter([[text.as_str(), "c"]]);
            assert_eq!(lines(&set).trim_end(), hex::encode(&sha2::Sha256::digest(row)[..16]), "{length}");
        }
    }

    #[test]
    fn a_sieve_holds_back_nearly_all_that_is_not_there_and_nothing_that_is() {
        let mut set = Fingerprints::expecting(50_000);
        assert!((0..50_000).all(|number| set.insert(&["o", &number.to_string()])));
        let sieve = set.sieve.as_ref().unwrap();
        let passed =
            |numbers: std::ops::Range<u32>| numbers.filter(|it| sieve.lets_pass(&["o", &it.to_string()])).count();
        assert_eq!(passed(0..50_000), 50_000);
        assert!((100..1_000).contains(&passed(50_000..100_000)), "{}", passed(50_000..100_000));
        assert!(sieve.bits.len() * 8 <= 50_000 * 2 + 8);
    }

    #[test]
    fn a_large_set_takes_eighteen_bytes_a_text() {
        let mut set = Fingerprints::default();
        for number in 0..200_000 {
            assert!(set.insert(&[&format!("o{number}")]));
        }
        let bytes: usize = set.shelves.iter().map(|shelf| shelf.capacity() * size_of::<u128>()).sum();
        let bytes = bytes + set.shelves.capacity() * size_of::<Vec<u128>>();
        assert!(bytes / set.len() <= 18, "{}", bytes / set.len());
        assert!((0..200_000).all(|number| set.contains(&[&format!("o{number}")])) && !set.contains(&["o200000"]));
    }
}
