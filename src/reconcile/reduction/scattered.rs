//! Hash-partitioned entries in a scratch file: entries with the same key are in the same part. Parts are processed one
//! after the other, so neither memory nor the number of open files grows with the table.

use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Entries per part, whose keys are in memory at once.
const ENTRIES_PER_PART: u64 = 1 << 18;
const MOST_PARTS: u64 = 1 << 10;
/// Write buffer of a part, in whole entries.
const CHUNK_BYTES: usize = 1 << 14;

/// An entry with a key: the key alone, or with a row number.
pub(super) trait Entry: Copy {
    const BYTES: usize;

    fn key(self) -> u128;

    fn pack(self, bytes: &mut Vec<u8>);

    /// Reads it from its bytes.
    fn unpack(bytes: &[u8]) -> Self;
}

impl Entry for u128 {
    const BYTES: usize = 16;

    fn key(self) -> u128 {
        self
    }

    fn pack(self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.to_le_bytes());
    }

    fn unpack(bytes: &[u8]) -> u128 {
        u128::from_le_bytes(bytes.try_into().expect("16 bytes"))
    }
}

impl Entry for (u128, u64) {
    const BYTES: usize = 24;

    fn key(self) -> u128 {
        self.0
    }

    fn pack(self, bytes: &mut Vec<u8>) {
        self.0.pack(bytes);
        bytes.extend_from_slice(&self.1.to_le_bytes());
    }

    fn unpack(bytes: &[u8]) -> (u128, u64) {
        let (key, row) = bytes.split_at(16);
        (u128::unpack(key), u64::from_le_bytes(row.try_into().expect("8 bytes")))
    }
}

/// Entries in parts, which are stored in chunks of one unnamed file.
pub(super) struct Scattered<E> {
    file: File,
    /// The number of chunks in the file.
    chunks: u64,
    parts: Vec<Part>,
    entries: PhantomData<E>,
}

/// The entries of a part.
#[derive(Default)]
struct Part {
    /// The positions of its chunks in the file.
    written: Vec<u64>,
    /// The entries that are not written yet.
    filling: Vec<u8>,
}

/// The number of parts for a table with this many rows.
pub(super) fn parts_for(rows: u64) -> usize {
    usize::try_from(rows.div_ceil(ENTRIES_PER_PART).clamp(1, MOST_PARTS)).expect("few parts")
}

impl<E: Entry> Scattered<E> {
    const CHUNK: usize = CHUNK_BYTES / E::BYTES * E::BYTES;

    pub(super) fn new(scratch: &Path, parts: usize) -> io::Result<Scattered<E>> {
        let parts = (0..parts).map(|_| Part::default()).collect();
        Ok(Scattered { file: tempfile::tempfile_in(scratch)?, chunks: 0, parts, entries: PhantomData })
    }

    pub(super) fn push(&mut self, entry: E) -> io::Result<()> {
        // The upper half of the key chooses the part; the other half distinguishes keys within it.
        let part = ((entry.key() >> 64) * self.parts.len() as u128) >> 64;
        let part = &mut self.parts[usize::try_from(part).expect("a part's number")];
        entry.pack(&mut part.filling);
        if part.filling.len() == Self::CHUNK {
            self.file.write_all_at(&part.filling, self.chunks * Self::CHUNK as u64)?;
            part.written.push(self.chunks);
            part.filling.clear();
            self.chunks += 1;
        }
        Ok(())
    }

    /// The number of parts.
    pub(super) fn parts(&self) -> usize {
        self.parts.len()
    }

    /// Passes on the entries of a part, in any order, chunk by chunk. Parts should be read in order.
    pub(super) fn each(&self, part: usize, mut see: impl FnMut(E)) -> io::Result<()> {
        self.parts.get(part + 1).into_iter().for_each(|next| self.read_ahead(next));
        let Part { written, filling } = &self.parts[part];
        let mut chunk = vec![0; Self::CHUNK];
        for place in written {
            self.file.read_exact_at(&mut chunk, place * Self::CHUNK as u64)?;
            chunk.chunks_exact(E::BYTES).for_each(|bytes| see(E::unpack(bytes)));
        }
        filling.chunks_exact(E::BYTES).for_each(|bytes| see(E::unpack(bytes)));
        Ok(())
    }

    /// Tells the system which chunks come next: they are spread over a file that may exceed its cache.
    #[cfg(target_os = "linux")]
    fn read_ahead(&self, Part { written, .. }: &Part) {
        use rustix::fs::{Advice, fadvise};
        let length = std::num::NonZeroU64::new(Self::CHUNK as u64);
        for place in written {
            // Advice that is not taken only costs time.
            let _ = fadvise(&self.file, place * Self::CHUNK as u64, length, Advice::WillNeed);
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn read_ahead(&self, _: &Part) {}
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// The contents of each part, checked to be the same when read twice.
    fn read<E: Entry + PartialEq + std::fmt::Debug>(scattered: &Scattered<E>) -> Vec<Vec<E>> {
        let part = |part| {
            let [once, again] = [(); 2].map(|()| {
                let mut read = Vec::new();
                scattered.each(part, |entry| read.push(entry)).unwrap();
                read
            });
            assert_eq!(once, again);
            once
        };
        (0..scattered.parts()).map(part).collect()
    }

    fn hold<E: Entry + Ord + std::fmt::Debug>(entries: &[E], parts: usize) {
        let scratch = tempfile::tempdir().unwrap();
        let mut scattered = Scattered::new(scratch.path(), parts).unwrap();
        entries.iter().for_each(|entry| scattered.push(*entry).unwrap());
        let mut part_of = BTreeMap::new();
        let read = read(&scattered);
        for (part, entry) in
            read.iter().enumerate().flat_map(|(part, read)| read.iter().map(move |entry| (part, entry)))
        {
            assert_eq!(*part_of.entry(entry.key()).or_insert(part), part);
        }
        let (mut read, mut entries) = (read.concat(), entries.to_vec());
        read.sort_unstable();
        entries.sort_unstable();
        assert_eq!(read, entries);
    }

    proptest! {
        #[test]
        fn what_has_one_key_lies_in_one_part_and_none_is_lost(
            // Some parts have more entries than a chunk.
            keys in proptest::collection::vec((0_u128..9).prop_map(|key| (key + 1) << 122 | key), 0..3_000),
            parts in 1_usize..5,
        ) {
            hold(&keys, parts);
            hold(&keys.into_iter().zip(0_u64..).collect::<Vec<_>>(), parts);
        }
    }
}
