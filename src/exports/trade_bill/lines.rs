//! The lines of a bill as they stream in: gzip by its magic, byte order mark, LF or CRLF, UTF-8.
//! Never holds more than the line at hand and the one after it.

use std::io::{BufRead, BufReader, Cursor, Read};

use flate2::read::MultiGzDecoder;

use super::{BillError, trailer};

/// No line of a bill comes near: product names are short.
const LONGEST_LINE: u64 = 1 << 20;

/// One line without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Physical number, 1-based.
    pub(super) number: u64,
    /// Its text.
    pub(super) text: String,
}

/// Lines of a bill; `R` is where its bytes come from.
pub(super) struct Lines<'f, R> {
    file: &'f str,
    reader: BufReader<Unpacked<R>>,
    number: u64,
    peeked: Option<Line>,
}

type Whole<R> = std::io::Chain<Cursor<Vec<u8>>, R>;

/// Bytes as they came, or unpacked.
enum Unpacked<R> {
    Plain(Whole<R>),
    Gzip(Box<MultiGzDecoder<Whole<R>>>),
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Unpacked::Plain(reader) => reader.read(buffer),
            Unpacked::Gzip(reader) => reader.read(buffer),
        }
    }
}

impl<'f, R: Read> Lines<'f, R> {
    /// The lines of `reader`.
    pub(super) fn new(mut reader: R, file: &'f str) -> Result<Lines<'f, R>, BillError> {
        let mut magic = Vec::new();
        let damaged = |source| BillError::Read { file: file.to_owned(), source };
        (&mut reader).take(2).read_to_end(&mut magic).map_err(damaged)?;
        let packed = magic == [0x1f, 0x8b];
        let whole = Cursor::new(magic).chain(reader);
        let unpacked =
            if packed { Unpacked::Gzip(Box::new(MultiGzDecoder::new(whole))) } else { Unpacked::Plain(whole) };
        Ok(Lines { file, reader: BufReader::new(unpacked), number: 0, peeked: None })
    }

    /// Number of the last line read.
    pub(super) fn line(&self) -> u64 {
        self.number
    }

    /// The name of the bill.
    pub(super) fn file(&self) -> &'f str {
        self.file
    }

    /// The next line that is not blank.
    pub(super) fn next_filled(&mut self) -> Result<Option<Line>, BillError> {
        while let Some(line) = self.next()? {
            if !line.text.trim().is_empty() {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }

    /// `line`, and the lines after it that belong to it because a product name had a line break in it:
    /// cells are missing and the next line begins neither a row nor the trailer.
    pub(super) fn with_continuation(&mut self, mut line: Line, width: usize) -> Result<Line, BillError> {
        while cells(&line.text).count() < width {
            match self.next()? {
                Some(next) if !next.text.starts_with('`') && !trailer::is_header(&next.text) => {
                    line.text.push('\n');
                    line.text.push_str(&next.text);
                }
                next => {
                    self.peeked = next;
                    break;
                }
            }
        }
        Ok(line)
    }

    /// Refuses a body that is XML (v2) or JSON (v3) instead of a bill.
    pub(super) fn refuse_error_document(&mut self, first: &str) -> Result<(), BillError> {
        if !first.starts_with(['<', '{']) {
            return Ok(());
        }
        let mut document = first.to_owned();
        while let (true, Some(line)) = (document.len() < 4096, self.next()?) {
            document.push_str(&line.text);
        }
        let (code, message) = if first.starts_with('{') { json_error(&document) } else { xml_error(&document) };
        let parts: Vec<_> = code.iter().chain(&message).map(|part| format!("`{part}`")).collect();
        let said = if parts.is_empty() { "it says neither code nor message".to_owned() } else { parts.join(" ") };
        Err(BillError::ErrorDocument { file: self.file.to_owned(), code, said })
    }

    fn next(&mut self) -> Result<Option<Line>, BillError> {
        if let Some(line) = self.peeked.take() {
            return Ok(Some(line));
        }
        let mut bytes = Vec::new();
        let read = (&mut self.reader).take(LONGEST_LINE).read_until(b'\n', &mut bytes);
        let read = read.map_err(|source| BillError::Read { file: self.file.to_owned(), source })?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        if read as u64 == LONGEST_LINE {
            return Err(self.malformed(String::new(), "the line is longer than a bill has any"));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let shown = String::from_utf8_lossy(error.as_bytes()).chars().take(60).collect();
            self.malformed(shown, "not UTF-8, which every bill is: was the file saved again by another program?")
        })?;
        let text = text.trim_end_matches(['\n', '\r']);
        let text = if self.number == 1 { text.trim_start_matches('\u{feff}') } else { text };
        Ok(Some(Line { number: self.number, text: text.to_owned() }))
    }

    fn malformed(&self, value: String, why: &str) -> BillError {
        let (file, column) = (self.file.to_owned(), String::new());
        BillError::Row { file, line: self.number, column, value, why: why.to_owned() }
    }
}

/// The cells of a detail or trailer line. Commas stand in product names, so only a comma before a
/// back-tick parts cells (reference v3 §4.3).
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
