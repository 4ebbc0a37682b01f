//! SHA-1 over the unzipped bytes of a bill while it is streamed. Keeps none of them.

use std::io::{self, Write};

use flate2::write::GzDecoder;
use sha1::{Digest, Sha1};

/// Takes a bill, gzipped or plain, and digests its content.
pub(super) struct UnzippedDigest {
    /// The first bytes, until gzip or plain is recognised.
    head: Vec<u8>,
    stage: Stage,
}

enum Stage {
    Unknown,
    Plain(Digester),
    Gzip(Box<Members>),
}

/// The members of a gzip file (RFC 1952 §2.2), one after the other. Zeros behind the last one are padding, as gzip(1) has it.
struct Members {
    current: GzDecoder<Digester>,
    is_padding: bool,
}

/// Digest and size of the unzipped bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unzipped {
    pub(super) sha1_hex: String,
    pub(super) bytes: u64,
    pub(super) was_gzip: bool,
}

#[derive(Default)]
struct Digester {
    sha1: Sha1,
    bytes: u64,
}

impl Write for Digester {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sha1.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Members {
    fn new() -> Members {
        Members { current: GzDecoder::new(Digester::default()), is_padding: false }
    }

    fn update(&mut self, mut piece: &[u8]) -> io::Result<()> {
        while let Some(next) = piece.first() {
            if self.is_padding {
                return refuse_more_than_zeros(piece);
            }
            match self.current.write(piece)? {
                // The member has ended.
                0 if *next == 0 => self.is_padding = true,
                0 => self.begin_another()?,
                taken => piece = &piece[taken..],
            }
        }
        Ok(())
    }

    fn begin_another(&mut self) -> io::Result<()> {
        let ended = std::mem::replace(&mut self.current, GzDecoder::new(Digester::default()));
        self.current = GzDecoder::new(ended.finish()?);
        Ok(())
    }
}

fn refuse_more_than_zeros(piece: &[u8]) -> io::Result<()> {
    match piece.iter().all(|byte| *byte == 0) {
        true => Ok(()),
        false => Err(io::Error::new(io::ErrorKind::InvalidData, "there is more data behind the zeros after its end")),
    }
}

impl UnzippedDigest {
    pub(super) fn new() -> UnzippedDigest {
        UnzippedDigest { head: Vec::new(), stage: Stage::Unknown }
    }

    /// Takes the next piece. A bill that starts like gzip is gzip, whatever was requested.
    ///
    /// # Errors
    /// A broken gzip stream.
    pub(super) fn update(&mut self, piece: &[u8]) -> io::Result<()> {
        match &mut self.stage {
            Stage::Plain(digester) => digester.write_all(piece),
            Stage::Gzip(members) => members.update(piece),
            Stage::Unknown => {
                self.head.extend_from_slice(piece);
                if self.head.len() < 2 {
                    return Ok(());
                }
                self.stage = match self.head.starts_with(&[0x1f, 0x8b]) {
                    true => Stage::Gzip(Box::new(Members::new())),
                    false => Stage::Plain(Digester::default()),
                };
                let head = std::mem::take(&mut self.head);
                self.update(&head)
            }
        }
    }

    /// The number of unzipped bytes so far.
    pub(super) fn unzipped_bytes(&self) -> u64 {
        match &self.stage {
            Stage::Plain(digester) => digester.bytes,
            Stage::Gzip(members) => members.current.get_ref().bytes,
            Stage::Unknown => self.head.len() as u64,
        }
    }

    /// The digest of everything taken.
    ///
    /// # Errors
    /// A truncated gzip stream.
    pub(super) fn finish(self) -> io::Result<Unzipped> {
        let was_gzip = matches!(self.stage, Stage::Gzip(_));
        let digester = match self.stage {
            Stage::Gzip(members) => members.current.finish()?,
            Stage::Plain(digester) => digester,
            Stage::Unknown => {
                let mut digester = Digester::default();
                digester.write_all(&self.head)?;
                digester
            }
        };
        Ok(Unzipped { sha1_hex: hex::encode(digester.sha1.finalize()), bytes: digester.bytes, was_gzip })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn digest(bytes: &[u8], piece: usize) -> io::Result<Unzipped> {
        let mut digest = UnzippedDigest::new();
        for piece in bytes.chunks(piece) {
            digest.update(piece)?;
        }
        digest.finish()
    }

    #[test]
    fn plain_bytes_have_their_own_digest() {
        let unzipped = digest(b"abc", 3).unwrap();
        assert_eq!(unzipped.sha1_hex, "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(digest(b"", 1).unwrap().bytes, 0);
        assert_eq!(digest(b"a", 1).unwrap().bytes, 1);
    }

    #[test]
    fn torn_gzip_is_an_error() {
        let zipped = gzip(&b"`2026-11-18 08:00:00,".repeat(500));
        assert!(digest(&zipped[..zipped.len() - 9], 64).is_err());
    }

    #[test]
    fn zeros_behind_the_end_are_padding_and_anything_else_is_not() {
        let plain = digest(b"abc", 3).unwrap().sha1_hex;
        let whole = gzip(b"abc");
        for piece in [1, 7, 1000] {
            assert_eq!(digest(&[&whole[..], &[0; 600]].concat(), piece).unwrap().sha1_hex, plain, "{piece}");
            assert_eq!(digest(&[gzip(b"a"), gzip(b"bc"), vec![0]].concat(), piece).unwrap().sha1_hex, plain);
            for odd in [&b"x"[..], b"\0\0x", &[&[0; 3][..], &whole].concat(), &whole[..5]] {
                assert!(digest(&[&whole[..], odd].concat(), piece).is_err(), "{odd:?} in pieces of {piece}");
            }
        }
    }

    proptest! {
        #[test]
        fn zipped_and_plain_agree_however_they_are_cut(
            bytes in prop::collection::vec(any::<u8>(), 0..4000), piece in 1usize..700,
        ) {
            prop_assume!(!bytes.starts_with(&[0x1f, 0x8b]));
            let (plain, zipped) = (digest(&bytes, piece).unwrap(), digest(&gzip(&bytes), piece).unwrap());
            prop_assert_eq!((&plain.sha1_hex, plain.bytes), (&zipped.sha1_hex, zipped.bytes));
            prop_assert!(zipped.was_gzip && !plain.was_gzip);
        }
    }
}
