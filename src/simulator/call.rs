//! A received request: method, exact target, headers, body. Decides nothing.

use axum::body::Bytes;
use axum::http::HeaderMap;
use percent_encoding::percent_decode_str;
use url::form_urlencoded;

/// A request.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: String,
    /// Path and query exactly as on the wire: the signature covers these bytes.
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Call {
    /// The path, still encoded.
    pub(super) fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }

    /// A query parameter, decoded.
    pub(super) fn query(&self, name: &str) -> Option<String> {
        let (_, query) = self.target.split_once('?')?;
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// A header as text; nothing when absent, empty or not text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok()).filter(|value| !value.is_empty())
    }
}

/// A path segment, decoded; bytes that are no UTF-8 are replaced.
pub(super) fn decode_segment(segment: &str) -> String {
    percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(target: &str) -> Call {
        let headers =
            [("x-empty", ""), ("x-full", "1")].map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        Call { method: "GET".into(), target: target.into(), headers: headers.into_iter().collect(), body: Bytes::new() }
    }

    #[test]
    fn a_target_splits_into_path_and_decoded_parameters() {
        let call = call("/a/b%2Fc?x=1&y=%E5%88%B8&x=2&z");
        assert_eq!(call.path(), "/a/b%2Fc");
        assert_eq!(call.query("x").as_deref(), Some("1"));
        assert_eq!(call.query("y").as_deref(), Some("券"));
        assert_eq!(call.query("z").as_deref(), Some(""));
        assert_eq!(call.query("w"), None);
    }

    #[test]
    fn a_target_without_query_has_no_parameters() {
        assert_eq!(call("/a").query("x"), None);
        assert_eq!(call("/a").path(), "/a");
    }

    #[test]
    fn an_empty_header_is_as_good_as_none() {
        assert_eq!(call("/").header("x-empty"), None);
        assert_eq!(call("/").header("X-Full"), Some("1"));
    }

    #[test]
    fn segments_are_decoded_one_by_one() {
        assert_eq!(decode_segment("b%2Fc"), "b/c");
    }
}
