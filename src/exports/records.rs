//! Streams records of delimited text, each with its physical line and its original text. Holds only the
//! current row and a read buffer.

use std::io::{self, Read};
use std::ops::Range;

use super::row::Row;
use super::text::line_ends;

/// Longer than any real row: reached when an open quote swallows the file.
const LONGEST_ROW_BYTES: usize = 16 << 20;
const BUFFER_BYTES: usize = 64 << 10;

/// Rows of delimited text. The csv crate counts blank lines and carriage returns differently, so lines are
/// counted here.
#[derive(Debug)]
pub(super) struct Records<R> {
    reader: csv::Reader<Recent<R>>,
    line: u64,
    /// Offset up to which line ends are counted.
    counted: u64,
}

impl<R: Read> Records<R> {
    pub(super) fn new(text: R, delimiter: u8) -> Records<R> {
        let reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .buffer_capacity(BUFFER_BYTES)
            .from_reader(Recent { text, kept: Vec::new(), base: 0, needed: 0 });
        Records { reader, line: 1, counted: 0 }
    }

    /// Reads the next record into `row`; `false` at the end.
    pub(super) fn next(&mut self, row: &mut Row) -> io::Result<bool> {
        let before = self.offset();
        self.reader.get_mut().needed = self.counted;
        if !self.reader.read_record(&mut row.cells).map_err(io_error)? {
            return Ok(false);
        }
        let recent = self.reader.get_ref();
        let after = self.offset();
        let blank = recent.between(before..after).iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let start = before + blank as u64;
        row.raw.clear();
        row.raw.extend_from_slice(recent.between(start..after));
        self.count_to(start);
        row.line = self.line;
        // The byte after a carriage return decides whether it ends a line by itself.
        self.count_to(after.saturating_sub(1).max(start));
        Ok(true)
    }

    /// The line up to which records were read.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// The source of the text.
    pub(super) fn into_text(self) -> R {
        self.reader.into_inner().text
    }

    /// Counts the lines that end before an offset.
    fn count_to(&mut self, offset: u64) {
        let recent = self.reader.get_ref();
        let next = recent.between(offset..recent.end()).first();
        self.line += line_ends(recent.between(self.counted..offset), next);
        self.counted = offset;
    }

    fn offset(&self) -> u64 {
        self.reader.position().byte().min(self.reader.get_ref().end())
    }
}

/// The error of the reader below; text of any width is valid CSV.
fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

/// Passes text on and keeps it from the current row onwards.
#[derive(Debug)]
struct Recent<R> {
    text: R,
    kept: Vec<u8>,
    /// Offset of the first byte kept.
    base: u64,
    /// Offset of the current row: nothing before it is needed any more.
    needed: u64,
}

impl<R> Recent<R> {
    fn end(&self) -> u64 {
        self.base + self.kept.len() as u64
    }

    fn between(&self, place: Range<u64>) -> &[u8] {
        let index = |offset: u64| usize::try_from(offset - self.base).expect("what is kept fits into memory");
        &self.kept[index(place.start)..index(place.end)]
    }
}

impl<R: Read> Read for Recent<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let stale = usize::try_from(self.needed - self.base).expect("what is kept fits into memory");
        self.kept.drain(..stale);
        self.base = self.needed;
        if self.kept.len() > LONGEST_ROW_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a row longer than 16 MiB: is a quote never closed?",
            ));
        }
        let read = self.text.read(buffer)?;
        self.kept.extend_from_slice(&buffer[..read]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_that_swallows_a_large_file_ends_in_an_error_not_in_all_of_the_memory() {
        let text = io::Cursor::new("a,b\n1,\"x\n").chain(io::repeat(b'y').take(1 << 30));
        let mut records = Records::new(text, b',');
        let mut row = Row::default();
        assert!(records.next(&mut row).unwrap());
        assert!(records.next(&mut row).unwrap_err().to_string().contains("quote"));
        assert!(records.reader.get_ref().kept.len() < LONGEST_ROW_BYTES + 2 * BUFFER_BYTES);
    }
}
