//! A reader that decompresses gzip, recognised by its first bytes, and passes anything else through unchanged.

use std::io::{self, Cursor, Read};

use flate2::read::MultiGzDecoder;

type Whole<R> = io::Chain<Cursor<Vec<u8>>, R>;

/// The bytes of a file, decompressed if gzipped.
pub(super) enum Unpacked<R> {
    Plain(Whole<R>),
    Gzip(Box<MultiGzDecoder<Whole<R>>>),
}

impl<R: Read> Unpacked<R> {
    pub(super) fn detect(mut reader: R) -> io::Result<Unpacked<R>> {
        let mut magic = Vec::new();
        (&mut reader).take(2).read_to_end(&mut magic)?;
        let packed = magic == [0x1f, 0x8b];
        let whole = Cursor::new(magic).chain(reader);
        Ok(if packed { Unpacked::Gzip(Box::new(MultiGzDecoder::new(whole))) } else { Unpacked::Plain(whole) })
    }

    /// The source of the bytes.
    pub(super) fn into_source(self) -> R {
        match self {
            Unpacked::Plain(whole) => whole.into_inner().1,
            Unpacked::Gzip(packed) => packed.into_inner().into_inner().1,
        }
    }
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Unpacked::Plain(reader) => reader.read(buffer),
            Unpacked::Gzip(reader) => reader.read(buffer),
        }
    }
}
