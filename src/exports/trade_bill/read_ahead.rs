//! Reads a source on a thread of its own, a few blocks ahead of the caller, who then does not wait for the disk, the digest
//! or the unpacking of a large file. Passes the bytes on unchanged and in order.

use std::io::{self, Read};
use std::sync::mpsc::SyncSender;

use crate::threads::prefetch::Prefetch;

const BLOCK_BYTES: usize = 512 << 10;
/// Queued blocks: enough that neither side waits for single steps of the other.
const BLOCKS_AHEAD: usize = 4;

/// A source that a thread reads ahead.
#[derive(Debug)]
pub(super) struct ReadAhead<R> {
    blocks: Prefetch<io::Result<Vec<u8>>, R>,
    block: Vec<u8>,
    at: usize,
}

impl<R: Read + Send + 'static> ReadAhead<R> {
    /// Starts reading `source`.
    pub(super) fn start(source: R) -> ReadAhead<R> {
        let blocks = Prefetch::producing(BLOCKS_AHEAD, |taker| read_all(source, &taker));
        ReadAhead { blocks, block: Vec::new(), at: 0 }
    }

    /// The source, after the last block that was read ahead.
    pub(super) fn into_source(self) -> R {
        self.blocks.finish()
    }
}

/// Sends the blocks of a source up to its end or an error, or until nobody takes them; returns the source.
fn read_all<R: Read>(mut source: R, taker: &SyncSender<io::Result<Vec<u8>>>) -> R {
    loop {
        let block = block_of(&mut source);
        let is_last = !matches!(&block, Ok(block) if !block.is_empty());
        if taker.send(block).is_err() || is_last {
            return source;
        }
    }
}

fn block_of(source: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut block = Vec::with_capacity(BLOCK_BYTES);
    source.take(BLOCK_BYTES as u64).read_to_end(&mut block)?;
    Ok(block)
}

impl<R> Read for ReadAhead<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.block.len() {
            (self.block, self.at) = (self.blocks.next().transpose()?.unwrap_or_default(), 0);
        }
        let taken = buffer.len().min(self.block.len() - self.at);
        buffer[..taken].copy_from_slice(&self.block[self.at..self.at + taken]);
        self.at += taken;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_ahead_is_what_stands_there_and_the_source_comes_back_at_its_end() {
        let bytes: Vec<u8> = (0..3 * BLOCK_BYTES + 7).map(|index| (index % 251) as u8).collect();
        let mut ahead = ReadAhead::start(io::Cursor::new(bytes.clone()));
        let mut read = Vec::new();
        ahead.read_to_end(&mut read).unwrap();
        assert_eq!(read, bytes);
        assert_eq!(ahead.read(&mut [0]).unwrap(), 0, "the end stays the end");
        assert_eq!(ahead.into_source().position(), bytes.len() as u64);
    }

    #[test]
    fn an_error_comes_after_the_bytes_before_it_and_an_abandoned_source_stops() {
        struct Torn(usize);
        impl Read for Torn {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0 += 1;
                if self.0 > 2 {
                    Err(io::Error::other("torn"))
                } else {
                    buffer[0] = 1;
                    Ok(1)
                }
            }
        }
        let mut ahead = ReadAhead::start(Torn(0));
        assert_eq!(ahead.read_to_end(&mut Vec::new()).unwrap_err().to_string(), "torn");
        drop(ReadAhead::start(io::repeat(0)));
        ReadAhead::start(io::repeat(0)).into_source();
    }
}
