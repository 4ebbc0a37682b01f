//! From the bytes of an export to text: encodings, byte order marks, files that are no text at all.
//! Never guesses an encoding: a wrong one is an error with its line.

use encoding_rs::{DecoderResult, Encoding, UTF_8};

use super::ExportError;

/// Decodes `bytes`; a byte order mark is taken off.
pub(super) fn decode(file: &str, bytes: &[u8], encoding: &'static Encoding) -> Result<String, ExportError> {
    refuse_other_formats(file, bytes)?;
    let mut decoder = encoding.new_decoder_with_bom_removal();
    let room = decoder.max_utf8_buffer_length_without_replacement(bytes.len()).unwrap_or(bytes.len());
    let mut text = String::with_capacity(room);
    let (result, _) = decoder.decode_to_string_without_replacement(bytes, &mut text, true);
    match result {
        DecoderResult::InputEmpty => Ok(text),
        DecoderResult::Malformed(..) => Err(malformed(file, &text, encoding)),
        DecoderResult::OutputFull => {
            Err(ExportError::Format { file: file.to_owned(), why: "is too large to be decoded".to_owned() })
        }
    }
}

fn malformed(file: &str, before: &str, encoding: &'static Encoding) -> ExportError {
    let advice = if encoding == UTF_8 {
        "set `encoding = \"gb18030\"` of this source if a Chinese spreadsheet wrote it"
    } else {
        "set `encoding = \"utf-8\"` of this source, or export the file again"
    };
    let line = before.matches('\n').count() as u64 + 1;
    ExportError::Encoding { file: file.to_owned(), line, encoding: encoding.name(), advice }
}

fn refuse_other_formats(file: &str, bytes: &[u8]) -> Result<(), ExportError> {
    let why = match bytes {
        [] => "is empty: not even a header stands in it",
        [b'P', b'K', 3, 4, ..] => "is a spreadsheet, not CSV: set `format = \"xlsx\"` of this source",
        [b'P', b'A', b'R', b'1', ..] => "is Parquet, not CSV: set `format = \"parquet\"` of this source",
        [0x1f, 0x8b, ..] => "is compressed with gzip: unpack it",
        [0xd0, 0xcf, 0x11, 0xe0, ..] => "is an old spreadsheet (.xls): save it as CSV or .xlsx",
        _ => return Ok(()),
    };
    Err(ExportError::Format { file: file.to_owned(), why: why.to_owned() })
}

#[cfg(test)]
mod tests {
    use encoding_rs::GB18030;

    use super::*;

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
