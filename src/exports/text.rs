//! Decodes the bytes of an export to text: encodings, byte order marks, files that are not text. Never guesses
//! an encoding: a wrong one is an error with its line. Holds one block at a time.

use std::io::{self, Read};

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};
use memchr::memchr_iter;

use super::error::ExportError;

/// Bytes decoded at a time.
const BLOCK_BYTES: u64 = 256 << 10;

/// An export as a reader of UTF-8 text without byte order mark.
pub(super) struct Decoded<R> {
    file: String,
    source: R,
    encoding: &'static Encoding,
    decoder: Decoder,
    bytes: Vec<u8>,
    text: String,
    at: usize,
    /// Line ends before `text`.
    lines: u64,
    is_ended: bool,
}

impl<R: Read> Decoded<R> {
    /// Decodes `source`; the first block is decoded at once, so that a file of another kind is refused here.
    pub(super) fn new(file: &str, source: R, encoding: &'static Encoding) -> io::Result<Decoded<R>> {
        let mut decoded = Decoded {
            file: file.to_owned(),
            source,
            encoding,
            decoder: encoding.new_decoder_with_bom_removal(),
            bytes: Vec::new(),
            text: String::new(),
            at: 0,
            lines: 0,
            is_ended: false,
        };
        decoded.load()?;
        refuse_other_formats(file, &decoded.bytes, encoding).map_err(io::Error::other)?;
        decoded.decode()?;
        Ok(decoded)
    }

    /// The source of the bytes.
    pub(super) fn into_source(self) -> R {
        self.source
    }

    fn load(&mut self) -> io::Result<()> {
        self.bytes.clear();
        let read = (&mut self.source).take(BLOCK_BYTES).read_to_end(&mut self.bytes)?;
        self.is_ended = (read as u64) < BLOCK_BYTES;
        Ok(())
    }

    fn decode(&mut self) -> io::Result<()> {
        self.lines += line_ends(self.text.as_bytes(), None);
        let had_return = self.text.ends_with('\r');
        self.at = 0;
        self.text.clear();
        let room = self.decoder.max_utf8_buffer_length_without_replacement(self.bytes.len());
        self.text.reserve(room.unwrap_or(self.bytes.len()));
        let (result, _) = self.decoder.decode_to_string_without_replacement(&self.bytes, &mut self.text, self.is_ended);
        // The two characters of one line end, in two blocks.
        self.lines -= u64::from(had_return && self.text.starts_with('\n'));
        match result {
            DecoderResult::InputEmpty => Ok(()),
            _ => {
                let line = self.lines + line_ends(self.text.as_bytes(), None) + 1;
                Err(io::Error::other(malformed(&self.file, line, self.encoding)))
            }
        }
    }
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.text.len() && !self.is_ended {
            self.load()?;
            self.decode()?;
        }
        let taken = buffer.len().min(self.text.len() - self.at);
        buffer[..taken].copy_from_slice(&self.text.as_bytes()[self.at..self.at + taken]);
        self.at += taken;
        Ok(taken)
    }
}

/// Counts the line ends in `text`, which is followed by the byte `next`; a carriage return alone ends a line too.
pub(super) fn line_ends(text: &[u8], next: Option<&u8>) -> u64 {
    let is_alone = |at: &usize| text.get(at + 1).or(next) != Some(&b'\n');
    (memchr_iter(b'\n', text).count() + memchr_iter(b'\r', text).filter(is_alone).count()) as u64
}

fn malformed(file: &str, line: u64, encoding: &'static Encoding) -> ExportError {
    let advice = if encoding == UTF_8 {
        "set `encoding = \"gb18030\"` of this source if a Chinese spreadsheet wrote it"
    } else {
        "set `encoding = \"utf-8\"` of this source, or export the file again"
    };
    ExportError::Encoding { file: file.to_owned(), line, encoding: encoding.name(), advice }
}

fn refuse_other_formats(file: &str, bytes: &[u8], encoding: &Encoding) -> Result<(), ExportError> {
    let unlike = |why: &str| Err(ExportError::Format { file: file.to_owned(), why: why.to_owned() });
    let told_by_key = |what: &str, advice: &str| {
        Err(ExportError::OtherKind { file: file.to_owned(), what: what.to_owned(), advice: advice.to_owned() })
    };
    let unicode_text = "is UTF-16, which spreadsheets call Unicode text";
    match bytes {
        [0xff, 0xfe, ..] if encoding != UTF_16LE => {
            told_by_key(unicode_text, "save it as CSV UTF-8, or set `encoding = \"utf-16le\"` of its source")
        }
        [0xfe, 0xff, ..] if encoding != UTF_16BE => {
            told_by_key(unicode_text, "save it as CSV UTF-8, or set `encoding = \"utf-16be\"` of its source")
        }
        // Nearly all of it would be decoded to other characters without an error.
        [0xef, 0xbb, 0xbf, ..] if encoding != UTF_8 => {
            told_by_key("begins with the byte order mark of UTF-8", "set `encoding = \"utf-8\"` of its source")
        }
        [] => unlike("is empty: it does not even have a header"),
        [b'P', b'K', 3, 4, ..] => told_by_key("is a spreadsheet, not CSV", "set `format = \"xlsx\"` of its source"),
        [b'P', b'A', b'R', b'1', ..] => told_by_key("is Parquet, not CSV", "set `format = \"parquet\"` of its source"),
        [0x1f, 0x8b, ..] => unlike("is compressed with gzip: unpack it"),
        [0xd0, 0xcf, 0x11, 0xe0, ..] => unlike("is an old spreadsheet (.xls): save it as CSV or .xlsx"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use encoding_rs::GB18030;

    use super::*;

    fn decode(file: &str, bytes: &[u8], encoding: &'static Encoding) -> io::Result<String> {
        let mut text = String::new();
        Decoded::new(file, bytes, encoding)?.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn a_character_across_blocks_is_whole_and_an_error_far_into_the_file_has_its_line() {
        let text = "券,码\n".repeat(100_000);
        for encoding in [UTF_8, GB18030] {
            let mut bytes = encoding.encode(&text).0.into_owned();
            assert_eq!(decode("f", &bytes, encoding).unwrap(), text);
            bytes.push(0xff);
            let error = decode("f", &bytes, encoding).unwrap_err().to_string();
            assert!(error.contains("line 100001:"), "{error}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_no_text() {
        assert_eq!(decode("f", b"\xEF\xBB\xBFa,b", UTF_8).unwrap(), "a,b");
        assert_eq!(decode("f", "a,b".as_bytes(), UTF_8).unwrap(), "a,b");
    }

    #[test]
    fn gb18030_is_read_in_all_its_lengths() {
        let (bytes, _, lossy) = GB18030.encode("订单号,€,𠮷");
        assert!(!lossy);
        assert_eq!(decode("f", &bytes, GB18030).unwrap(), "订单号,€,𠮷");
    }

    #[test]
    fn malformed_bytes_name_their_line_and_the_other_encoding() {
        let (bytes, _, _) = GB18030.encode("a,b\n1,2\n订单,3\n");
        let error = decode("orders.csv", &bytes, UTF_8).unwrap_err().to_string();
        assert!(
            error.starts_with("`orders.csv` line 3: bytes that are not UTF-8") && error.contains("gb18030"),
            "{error}"
        );
        let error = decode("orders.csv", b"a\n\xff\xff", GB18030).unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("not gb18030"), "{error}");
    }

    #[test]
    fn a_byte_order_mark_of_another_encoding_names_the_one_to_set() {
        for (bytes, encoding, wanted) in [
            (&b"\xff\xfea\0"[..], UTF_8, "utf-16le"),
            (b"\xfe\xff\0a", GB18030, "utf-16be"),
            (b"\xef\xbb\xbfa,b\n", GB18030, "`encoding = \"utf-8\"`"),
        ] {
            let error = decode("f", bytes, encoding).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
        assert_eq!(decode("f", b"\xff\xfea\0", UTF_16LE).unwrap(), "a");
    }

    #[test]
    fn an_error_has_its_line_whatever_ends_the_lines() {
        let block = usize::try_from(BLOCK_BYTES).unwrap();
        for (line, before) in [("a\r", 1), ("a\r\n", 1), ("a\n", 1), ("a\r\n\r", 2)] {
            let mut text = line.repeat(2 * block / line.len() + 1);
            let lines = before * (2 * block / line.len() + 1);
            // Shifts the text by one, so that the end of a block separates the two characters of a line end.
            text.insert(0, 'x');
            let error = decode("f", &[text.as_bytes(), b"\xff"].concat(), UTF_8).unwrap_err().to_string();
            assert!(error.contains(&format!("line {}:", lines + 1)), "{line:?} {error}");
        }
    }

    #[test]
    fn files_that_are_no_text_say_what_they_are() {
        for (bytes, wanted) in [
            (&b""[..], "empty"),
            (b"PK\x03\x04...", "xlsx"),
            (b"PAR1....", "parquet"),
            (b"\x1f\x8b\x08", "gzip"),
            (b"\xd0\xcf\x11\xe0", ".xls"),
        ] {
            let error = decode("f", bytes, UTF_8).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
