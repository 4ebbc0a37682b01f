//! A reader that decompresses gzip, recognised by its first bytes, and passes anything else through unchanged.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::bufread::GzDecoder;

type Whole<R> = io::Chain<Cursor<Vec<u8>>, R>;

/// The bytes of a file, decompressed if gzipped.
pub(super) enum Unpacked<R> {
    Plain(Whole<R>),
    Gzip(Box<Members<BufReader<Whole<R>>>>),
}

/// The members of a gzip file (RFC 1952 §2.2), one after the other. Zeros behind the last one are padding, as gzip(1) has it.
pub(super) struct Members<R>(Option<GzDecoder<R>>);

impl<R: Read> Unpacked<R> {
    pub(super) fn detect(mut reader: R) -> io::Result<Unpacked<R>> {
        let mut magic = Vec::new();
        (&mut reader).take(2).read_to_end(&mut magic)?;
        let packed = magic == [0x1f, 0x8b];
        let whole = Cursor::new(magic).chain(reader);
        Ok(if packed { Unpacked::Gzip(Box::new(Members::of(BufReader::new(whole)))) } else { Unpacked::Plain(whole) })
    }

    /// The source of the bytes.
    pub(super) fn into_source(self) -> R {
        match self {
            Unpacked::Plain(whole) => whole.into_inner().1,
            Unpacked::Gzip(members) => members.into_source().into_inner().into_inner().1,
        }
    }
}

impl<R: BufRead> Members<R> {
    fn of(source: R) -> Members<R> {
        Members(Some(GzDecoder::new(source)))
    }

    fn current(&mut self) -> &mut GzDecoder<R> {
        self.0.as_mut().expect("there is always one")
    }

    fn into_source(self) -> R {
        self.0.expect("there is always one").into_inner()
    }

    /// Goes on to the next member; false if there is none.
    fn begin_another(&mut self) -> io::Result<bool> {
        let source = self.current().get_mut();
        match source.fill_buf()?.first() {
            None => Ok(false),
            Some(0) => refuse_more_than_zeros(source).map(|()| false),
            Some(_) => {
                self.0 = self.0.take().map(|ended| GzDecoder::new(ended.into_inner()));
                Ok(true)
            }
        }
    }
}

fn refuse_more_than_zeros(source: &mut impl BufRead) -> io::Result<()> {
    loop {
        let piece = source.fill_buf()?;
        if piece.iter().any(|byte| *byte != 0) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "there is more data behind the zeros after its end",
            ));
        }
        match piece.len() {
            0 => return Ok(()),
            zeros => source.consume(zeros),
        }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.current().read(buffer)?;
            if read > 0 || buffer.is_empty() || !self.begin_another()? {
                return Ok(read);
            }
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn zipped(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    /// What is read, and how much of the source was.
    fn unpacked(parts: &[&[u8]]) -> io::Result<(Vec<u8>, u64)> {
        let (mut read, mut file) = (Vec::new(), Unpacked::detect(Cursor::new(parts.concat()))?);
        file.read_to_end(&mut read)?;
        assert_eq!(file.read(&mut [0])?, 0, "the end stays the end");
        Ok((read, file.into_source().position()))
    }

    #[test]
    fn members_are_read_one_after_the_other_and_zeros_behind_the_last_are_padding() {
        let (whole, more) = (zipped(b"abc"), zipped(&[7; 100_000]));
        assert_eq!(unpacked(&[&whole]).unwrap().0, b"abc");
        assert_eq!(unpacked(&[&whole, &more, &zipped(b"")]).unwrap().0, [b"abc", &[7; 100_000][..]].concat());
        let padded = unpacked(&[&whole, &[0; 20_000]]).unwrap();
        assert_eq!(padded, (b"abc".to_vec(), whole.len() as u64 + 20_000), "the digest of the file is of all of it");
        assert_eq!(unpacked(&[b"abc\0\0"]).unwrap().0, b"abc\0\0");
    }

    #[test]
    fn what_is_torn_or_followed_by_anything_else_is_an_error() {
        let whole = zipped(b"abc");
        for odd in [&b"x"[..], b"\0\0x", &[&[0; 9_000][..], &whole].concat(), &whole[..5]] {
            assert!(unpacked(&[&whole, odd]).is_err(), "{odd:?}");
        }
        assert!(unpacked(&[&whole[..whole.len() - 1]]).is_err());
    }
}
