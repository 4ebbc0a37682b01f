//! Streams the lines of a bill: gzip by its magic bytes, byte order mark, LF or CRLF, UTF-8. Holds only the current
//! line and the next one, in reused memory.

use std::io::{BufRead, BufReader, Read};
use std::ops::Range;

use memchr::memchr_iter;

use super::error::BillError;
use super::unpacked::Unpacked;
use crate::wechat::wording::shown;

/// Longer than any line of a bill: product names are short.
const LONGEST_LINE_BYTES: u64 = 1 << 20;
const BUFFER_BYTES: usize = 64 << 10;

/// How the header of every trailer starts.
pub(super) const TRAILER: &str = "总交易单数";

/// One line without its end.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// Physical number, 1-based.
    pub(super) number: u64,
    /// Its text.
    pub(super) text: String,
}

impl Line {
    /// Whether it is the header of the trailer.
    pub(super) fn begins_trailer(&self) -> bool {
        self.text.trim_start_matches('`').starts_with(TRAILER)
    }
}

/// The lines of a bill from a reader `R`.
pub(super) struct Lines<'f, R> {
    file: &'f str,
    reader: BufReader<Unpacked<R>>,
    number: u64,
    /// A line that was read ahead, if `has_peeked`.
    peeked: Line,
    has_peeked: bool,
}

impl<'f, R: Read> Lines<'f, R> {
    /// The lines of `reader`.
    pub(super) fn new(reader: R, file: &'f str) -> Result<Lines<'f, R>, BillError> {
        let damaged = |source| BillError::Read { file: file.to_owned(), source };
        let reader = BufReader::with_capacity(BUFFER_BYTES, Unpacked::detect(reader).map_err(damaged)?);
        Ok(Lines { file, reader, number: 0, peeked: Line::default(), has_peeked: false })
    }

    /// Number of the last line read.
    pub(super) fn line(&self) -> u64 {
        self.number
    }

    /// The name of the bill.
    pub(super) fn file(&self) -> &'f str {
        self.file
    }

    /// Reads the next line that is not blank; `false` at the end.
    pub(super) fn next_filled(&mut self, line: &mut Line) -> Result<bool, BillError> {
        while self.next(line)? {
            if !line.text.trim().is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Splits `line` into `cells`, after joining it with the following lines if a product name contains a line
    /// break: cells are missing, and the next line starts neither a row nor the trailer.
    pub(super) fn split(&mut self, line: &mut Line, width: usize, cells: &mut CellPlaces) -> Result<(), BillError> {
        cells.find(&line.text);
        while cells.len() < width {
            let mut next = std::mem::take(&mut self.peeked);
            self.has_peeked = self.next(&mut next)?;
            self.peeked = next;
            if !self.has_peeked || self.peeked.text.starts_with('`') || self.peeked.begins_trailer() {
                break;
            }
            line.text.push('\n');
            line.text.push_str(&self.peeked.text);
            self.has_peeked = false;
            cells.find(&line.text);
        }
        Ok(())
    }

    /// Refuses a body that is XML (v2) or JSON (v3) instead of a bill.
    pub(super) fn refuse_error_document(&mut self, first: &str) -> Result<(), BillError> {
        if !first.starts_with(['<', '{']) {
            return Ok(());
        }
        let mut document = first.to_owned();
        let mut line = Line::default();
        while document.len() < 4096 && self.next(&mut line)? {
            document.push_str(&line.text);
        }
        let (code, message) = if first.starts_with('{') { json_error(&document) } else { xml_error(&document) };
        let parts: Vec<_> = code.iter().chain(&message).map(|part| format!("`{part}`")).collect();
        let said =
            if parts.is_empty() { "it has neither code nor message".to_owned() } else { shown(&parts.join(" ")) };
        Err(BillError::ErrorDocument { file: self.file.to_owned(), code, said })
    }

    fn next(&mut self, line: &mut Line) -> Result<bool, BillError> {
        if std::mem::take(&mut self.has_peeked) {
            std::mem::swap(line, &mut self.peeked);
            return Ok(true);
        }
        let mut bytes = std::mem::take(&mut line.text).into_bytes();
        bytes.clear();
        let read = (&mut self.reader).take(LONGEST_LINE_BYTES).read_until(b'\n', &mut bytes);
        let read = read.map_err(|source| BillError::Read { file: self.file.to_owned(), source })?;
        if read == 0 {
            return Ok(false);
        }
        self.number += 1;
        if read as u64 == LONGEST_LINE_BYTES {
            return Err(self.malformed(String::new(), "the line is longer than any line of a bill"));
        }
        (line.number, line.text) = (self.number, self.decoded(bytes)?);
        Ok(true)
    }

    /// The text of the last line, without its end and without a byte order mark.
    fn decoded(&self, bytes: Vec<u8>) -> Result<String, BillError> {
        let mut text = String::from_utf8(bytes).map_err(|error| {
            let shown = String::from_utf8_lossy(error.as_bytes()).chars().take(60).collect();
            self.malformed(shown, "not UTF-8, which every bill is: was the file saved again by another program?")
        })?;
        text.truncate(text.trim_end_matches(['\n', '\r']).len());
        match self.number {
            1 => Ok(text.trim_start_matches('\u{feff}').to_owned()),
            _ => Ok(text),
        }
    }

    fn malformed(&self, value: String, why: &str) -> BillError {
        let (file, column) = (self.file.to_owned(), String::new());
        BillError::Row { file, line: self.number, column, value, why: why.to_owned() }
    }
}

/// The positions of the cells of a detail line. Product names may contain commas, so only a comma before a
/// back-tick separates cells (reference v3 §4.3).
#[derive(Debug, Default)]
pub(super) struct CellPlaces(Vec<Range<usize>>);

impl CellPlaces {
    fn find(&mut self, text: &str) {
        self.0.clear();
        let bytes = text.as_bytes();
        let mut start = usize::from(bytes.first() == Some(&b'`'));
        for at in memchr_iter(b'`', bytes) {
            if at > start && bytes[at - 1] == b',' {
                self.0.push(start..at - 1);
                start = at + 1;
            }
        }
        self.0.push(start..text.len());
    }

    /// Assigns surplus cells of a line to the merchant's own `texts`, which may contain a comma before a back-tick:
    /// they stay joined in the first of them, because their boundaries are unknown.
    pub(super) fn join(&mut self, texts: Range<usize>, width: usize) {
        let surplus = self.0.len().saturating_sub(width);
        if surplus == 0 {
            return;
        }
        let end = self.0[texts.end - 1 + surplus].end;
        self.0[texts.start].end = end;
        self.0.drain(texts.start + 1..=texts.start + surplus);
        self.0[texts.start + 1..texts.end].fill(end..end);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// A cell of the line, without surrounding spaces.
    pub(super) fn cell<'l>(&self, text: &'l str, index: usize) -> &'l str {
        text[self.0[index].clone()].trim()
    }
}

/// The cells of a trailer line.
pub(super) fn cells(text: &str) -> impl Iterator<Item = &str> {
    text.strip_prefix('`').unwrap_or(text).split(",`").map(str::trim)
}

fn json_error(document: &str) -> (Option<String>, Option<String>) {
    let parsed: serde_json::Value = serde_json::from_str(document).unwrap_or_default();
    let field = |name: &str| parsed[name].as_str().map(str::to_owned);
    (field("code"), field("message"))
}

fn xml_error(document: &str) -> (Option<String>, Option<String>) {
    let field = |name: &str| {
        let (_, rest) = document.split_once(&format!("<{name}>"))?;
        let (text, _) = rest.split_once(&format!("</{name}>"))?;
        let text = text.trim().trim_start_matches("<![CDATA[").trim_end_matches("]]>");
        Some(text.to_owned())
    };
    (field("error_code"), field("return_msg"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn cells_are_parted_by_a_comma_before_a_back_tick_and_by_nothing_else(text in "[`,a \u{3000}]{0,24}") {
            let mut places = CellPlaces::default();
            places.find(&text);
            let found: Vec<_> = (0..places.len()).map(|index| places.cell(&text, index)).collect();
            prop_assert_eq!(found, cells(&text).collect::<Vec<_>>());
        }
    }
}
