//! Compressed blocks of rows, for those parts of a large sort that would not stay in the page cache anyway. Knows no row.

use std::fmt;
use std::io::{self, Read};

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::compress_bound;

use super::head::{HEAD_BYTES, head, lengths};

/// Ids and hashes in text form hardly get smaller at higher levels.
pub(crate) const ZSTD_LEVEL: i32 = 1;

/// Compresses blocks.
pub(super) struct Press {
    compressor: Compressor<'static>,
    block: Vec<u8>,
}

/// Decompresses blocks.
#[derive(Default)]
pub(super) struct Opener {
    decompressor: Option<Decompressor<'static>>,
    block: Vec<u8>,
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener").finish_non_exhaustive()
    }
}

impl Press {
    pub(super) fn new() -> io::Result<Press> {
        Ok(Press { compressor: Compressor::new(ZSTD_LEVEL)?, block: Vec::new() })
    }

    /// The compressed block of these bytes.
    pub(super) fn press(&mut self, bytes: &[u8]) -> io::Result<&[u8]> {
        self.block.resize(HEAD_BYTES + compress_bound(bytes.len()), 0);
        let length = self.compressor.compress_to_buffer(bytes, &mut self.block[HEAD_BYTES..])?;
        self.block[..HEAD_BYTES].copy_from_slice(&head(length, bytes.len()));
        Ok(&self.block[..HEAD_BYTES + length])
    }
}

impl Opener {
    /// Decompresses the next block of `file` into `bytes`; false at the end.
    pub(super) fn open(&mut self, file: &mut impl Read, bytes: &mut Vec<u8>) -> io::Result<bool> {
        bytes.clear();
        let mut head = [0; HEAD_BYTES];
        match file.read_exact(&mut head) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            read => read?,
        }
        let (pressed, loose) = lengths(head);
        self.block.resize(pressed, 0);
        file.read_exact(&mut self.block)?;
        bytes.resize(loose, 0);
        let decompressor = match &mut self.decompressor {
            Some(decompressor) => decompressor,
            none => none.insert(Decompressor::new()?),
        };
        decompressor.decompress_to_buffer(&self.block, bytes.as_mut_slice())?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn blocks_come_back_one_after_the_other(blocks in proptest::collection::vec("[0-9a-f]{0,400}", 0..6)) {
            let (mut press, mut opener) = (Press::new().unwrap(), Opener::default());
            let mut file = Vec::new();
            blocks.iter().for_each(|block| file.extend_from_slice(press.press(block.as_bytes()).unwrap()));
            let (mut rest, mut found) = (file.as_slice(), Vec::new());
            for block in &blocks {
                prop_assert!(opener.open(&mut rest, &mut found).unwrap());
                prop_assert_eq!(&found, block.as_bytes());
            }
            prop_assert!(!opener.open(&mut rest, &mut found).unwrap());
        }
    }

    #[test]
    fn a_block_that_was_cut_off_or_damaged_is_an_error() {
        let (mut press, mut opener, mut found) = (Press::new().unwrap(), Opener::default(), Vec::new());
        let block = press.press(&[7; 1_000]).unwrap().to_vec();
        assert!(opener.open(&mut &block[..block.len() - 1], &mut found).is_err());
        let mut damaged = block;
        damaged[HEAD_BYTES] ^= 0xFF;
        assert!(opener.open(&mut damaged.as_slice(), &mut found).is_err());
    }
}
