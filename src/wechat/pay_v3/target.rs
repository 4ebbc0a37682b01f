//! Path and query as sent and signed: every segment and value is percent-encoded exactly once,
//! letter case is kept (openids are case-sensitive, reference v3 §6 no. 2). Never decodes.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but the unreserved characters of RFC 3986 is encoded, so that no library has anything
/// left to change.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A path template with its values, and a query.
#[derive(Debug)]
pub(crate) struct Target {
    text: String,
    has_query: bool,
}

impl Target {
    /// Fills the `{…}` of a path, in order.
    pub(crate) fn new(path: &str, values: &[&str]) -> Target {
        debug_assert_eq!(path.matches('{').count(), values.len(), "{path}");
        let mut values = values.iter();
        let segments = path.split('/').map(|segment| match segment.starts_with('{') {
            true => encode(values.next().copied().unwrap_or_default()),
            false => segment.to_owned(),
        });
        Target { text: segments.collect::<Vec<_>>().join("/"), has_query: false }
    }

    /// Adds a query parameter.
    pub(crate) fn query(mut self, name: &str, value: &str) -> Target {
        self.text.push(if self.has_query { '&' } else { '?' });
        self.text.push_str(name);
        self.text.push('=');
        self.text.push_str(&encode(value));
        self.has_query = true;
        self
    }

    /// Adds a query parameter if there is a value.
    pub(crate) fn maybe(self, name: &str, value: Option<&str>) -> Target {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// The target to send and to sign.
    pub(crate) fn finish(self) -> String {
        self.text
    }
}

/// A value percent-encoded for a path or query.
pub(crate) fn encode(value: &str) -> String {
    utf8_percent_encode(value, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_encoded_once_and_keep_their_case() {
        let target = Target::new("/v3/x/users/{openid}/coupons/{coupon_code}", &["oAbC_-x", "A|b c%20/券"])
            .query("appid", "wx1")
            .maybe("stock_id", None)
            .maybe("out_no", Some("a+b&c=d"));
        assert_eq!(
            target.finish(),
            "/v3/x/users/oAbC_-x/coupons/A%7Cb%20c%2520%2F%E5%88%B8?appid=wx1&out_no=a%2Bb%26c%3Dd"
        );
    }

    proptest! {
        #[test]
        fn encoding_is_undone_by_decoding_and_survives_the_url_library(value in "\\PC{1,40}") {
            let encoded = encode(&value);
            let decoded = percent_encoding::percent_decode_str(&encoded).decode_utf8().unwrap();
            prop_assert_eq!(decoded.as_ref(), value.as_str());
            if value != "." && value != ".." {
                let target = format!("/v3/{encoded}?q={encoded}");
                let url = url::Url::parse(&format!("http://h{target}")).unwrap();
                prop_assert_eq!(&url[url::Position::BeforePath..], target.as_str());
            }
        }
    }
}
