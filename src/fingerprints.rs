//! Sets of strings that only answer membership. Each string, however long, is represented by 16 bytes of
//! its SHA-256 and costs about 18 bytes of memory. Never returns a string.
//!
//! The chance that any two strings of a set of n collide is about n²/2¹²⁹: below 10⁻²⁶ for a million.

use std::io::{self, Write};

use aws_lc_rs::digest::{Context, SHA256};

/// Buckets of a set: each holds so few fingerprints that inserting one in order by moving the rest is
/// cheap.
const SHELVES: usize = 1 << 12;

/// A set of strings, or of tuples of strings.
#[derive(Debug, Clone, Default)]
pub struct Fingerprints {
    /// Sorted; empty until the first string is added.
    shelves: Vec<Vec<u128>>,
    count: usize,
}

impl Fingerprints {
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
        true
    }

    /// Whether the tuple was added.
    pub fn contains(&self, texts: &[&str]) -> bool {
        !self.is_empty() && {
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
    let mut context = Context::new(&SHA256);
    for text in texts {
        context.update(&(text.len() as u64).to_be_bytes());
        context.update(text.as_bytes());
    }
    u128::from_be_bytes(context.finish().as_ref()[..16].try_into().expect("SHA-256 has 32 bytes"))
}

fn shelf_of(fingerprint: u128) -> usize {
    usize::try_from(fingerprint >> (128 - SHELVES.trailing_zeros())).expect("a shelf has a small number")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_what_a_set_of_the_texts_would_hold(
            steps in prop::collection::vec((any::<bool>(), prop::collection::vec("[ab]{0,2}", 0..3)), 0..200),
        ) {
            let (mut set, mut texts) = (Fingerprints::default(), BTreeSet::new());
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

    #[test]
    fn a_line_is_the_first_half_of_sha_256_of_each_text_behind_its_length() {
        let mut lines = Vec::new();
        Fingerprints::from_iter([["券"], ["o"]]).write_lines(&mut lines).unwrap();
        let expected = [&b"\0\0\0\0\0\0\0\x01o"[..], "\0\0\0\0\0\0\0\x03券".as_bytes()];
        let mut expected = expected.map(|bytes| hex::encode(&aws_lc_rs::digest::digest(&SHA256, bytes).as_ref()[..16]));
        expected.sort();
        assert_eq!(String::from_utf8(lines).unwrap(), format!("{}\n{}\n", expected[0], expected[1]));
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
