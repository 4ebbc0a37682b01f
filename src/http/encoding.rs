//! Removes a `Content-Encoding` from a complete body: we never request one, but a proxy may add it anyway. The signature is
//! over the decoded body (reference v3 §1.3). Never touches a download.

use std::io::Read;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;

/// The magic bytes of gzip.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Why a body cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undecoded {
    /// Not gzip, or incomplete.
    Broken,
    /// Another encoding than gzip.
    Unknown,
    /// The decoded body exceeds the limit.
    TooLarge,
}

/// The decoded body, of at most `limit_bytes`. `encodings` is the header, if there is one: what was applied, in that order.
pub(super) fn decode(body: Bytes, encodings: &str, limit_bytes: usize) -> Result<Bytes, Undecoded> {
    encodings.rsplit(',').try_fold(body, |body, encoding| take_off(body, encoding.trim(), limit_bytes))
}

fn take_off(body: Bytes, encoding: &str, limit_bytes: usize) -> Result<Bytes, Undecoded> {
    match encoding.to_ascii_lowercase().as_str() {
        _ if body.is_empty() => Ok(body),
        "gzip" | "x-gzip" if body.starts_with(&GZIP) => gunzip(&body, limit_bytes).map(Bytes::from),
        "br" | "deflate" | "zstd" | "compress" | "x-compress" => Err(Undecoded::Unknown),
        // No encoding, `identity`, one already removed by a proxy that left the header, or a value that is no encoding,
        // such as `utf-8`.
        _ => Ok(body),
    }
}

fn gunzip(gzip: &[u8], limit_bytes: usize) -> Result<Vec<u8>, Undecoded> {
    let mut plain = Vec::new();
    let more_than_allowed = limit_bytes as u64 + 1;
    MultiGzDecoder::new(gzip).take(more_than_allowed).read_to_end(&mut plain).map_err(|_| Undecoded::Broken)?;
    if plain.len() > limit_bytes { Err(Undecoded::TooLarge) } else { Ok(plain) }
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

    fn decoded(encoding: &str, body: Vec<u8>) -> Result<Vec<u8>, Undecoded> {
        decode(body.into(), encoding, 100).map(|body| body.to_vec())
    }

    #[test]
    fn gzip_is_taken_off_and_plain_stays_plain() {
        assert_eq!(decoded("gzip", zipped(b"{}")).unwrap(), b"{}");
        assert_eq!(decoded("X-GZIP", zipped(b"{}")).unwrap(), b"{}");
        for encoding in ["", "identity", "utf-8", "gzip"] {
            assert_eq!(decoded(encoding, b"{}".to_vec()).unwrap(), b"{}", "{encoding}");
        }
        assert_eq!(decoded("gzip", Vec::new()).unwrap(), b"");
    }

    #[test]
    fn several_encodings_are_taken_off_in_turn_and_identity_is_none() {
        for encodings in ["gzip, identity", "identity,gzip", "gzip,", "x-gzip , IDENTITY"] {
            assert_eq!(decoded(encodings, zipped(b"{}")).unwrap(), b"{}", "{encodings}");
        }
        assert_eq!(decoded(" identity ", zipped(b"{}")).unwrap(), zipped(b"{}"));
        assert_eq!(decoded("gzip, gzip", zipped(&zipped(b"{}"))).unwrap(), b"{}");
        assert_eq!(decoded("gzip, br", zipped(b"{}")), Err(Undecoded::Unknown));
        assert_eq!(decoded("gzip, gzip", zipped(&zipped(&[0; 101]))), Err(Undecoded::TooLarge));
    }

    #[test]
    fn what_is_torn_unknown_or_unzips_without_end_is_refused() {
        let torn = zipped(b"{}");
        assert_eq!(decoded("gzip", torn[..torn.len() - 3].to_vec()), Err(Undecoded::Broken));
        assert_eq!(decoded("br", b"{}".to_vec()), Err(Undecoded::Unknown));
        assert_eq!(decoded("gzip", zipped(&[0; 101])), Err(Undecoded::TooLarge));
        assert_eq!(decoded("gzip", zipped(&[0; 100])).unwrap().len(), 100);
    }
}
