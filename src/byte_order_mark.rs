//! The byte order mark that some servers and editors write before any text. It is no part of the document, but of the bytes
//! that were signed, approved or journalled: only readers skip it. RFC 8259 §8.1 lets a parser of JSON do so.

const MARK: &[u8] = b"\xEF\xBB\xBF";

/// The document behind a mark, if there is one.
pub(crate) fn skipped(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(MARK).unwrap_or(bytes)
}
