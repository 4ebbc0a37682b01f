//! A call to one endpoint: what to send and how to parse the answer. Sends nothing itself.

use std::fmt;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::endpoint::Endpoint;
use super::oddity::{Mendable, mended};
use super::wording::{misfit, shown};
use crate::byte_order_mark;

/// A call whose answer parses to a `T`.
pub struct Request<T> {
    /// The endpoint.
    pub endpoint: &'static Endpoint,
    /// Encoded path and query exactly as sent and, in v3, signed. MP appends its token when sending.
    pub target: String,
    /// v3 and MP: the JSON body as sent. v2: the fields of the call as XML, before account fields,
    /// nonce and signature are added. Empty for calls without a body.
    pub body: Bytes,
    read: fn(&[u8]) -> Result<T, ParseError>,
}

impl<T> Request<T> {
    /// A call whose answer `read` parses.
    pub fn new(
        endpoint: &'static Endpoint,
        target: String,
        body: Bytes,
        read: fn(&[u8]) -> Result<T, ParseError>,
    ) -> Request<T> {
        Request { endpoint, target, body, read }
    }

    /// The same call, its answer kept as it is.
    pub fn into_unread(self) -> Request<()> {
        Request::unread(self.endpoint, self.target, self.body)
    }

    /// Parses the body of a good answer.
    pub fn parse(&self, body: &[u8]) -> Result<T, ParseError> {
        (self.read)(body)
    }
}

impl<T: DeserializeOwned> Request<T> {
    /// A call without a body whose answer is JSON.
    pub fn without_body(endpoint: &'static Endpoint, target: String) -> Request<T> {
        Request::new(endpoint, target, Bytes::new(), |body| read_json(body))
    }

    /// A call with a JSON body to a path without parameters, whose answer is JSON.
    pub fn post(endpoint: &'static Endpoint, body: &impl Serialize) -> Request<T> {
        Request::json(endpoint, endpoint.path.to_owned(), body)
    }

    /// A call with a JSON body whose answer is JSON.
    pub fn json(endpoint: &'static Endpoint, target: String, body: &impl Serialize) -> Request<T> {
        Request::new(endpoint, target, to_json(body), |body| read_json(body))
    }
}

impl Request<()> {
    /// A call whose answer is not parsed: it says nothing, or is kept or shown as it is.
    pub fn unread(endpoint: &'static Endpoint, target: String, body: Bytes) -> Request<()> {
        Request::new(endpoint, target, body, |_| Ok(()))
    }
}

impl<T: Mendable> Request<T> {
    /// A call without a body whose answer is read although fields of it that decide nothing are odd.
    pub fn mending(endpoint: &'static Endpoint, target: String) -> Request<T> {
        Request::new(endpoint, target, Bytes::new(), read_mending)
    }
}

impl<T> Clone for Request<T> {
    fn clone(&self) -> Request<T> {
        Request { endpoint: self.endpoint, target: self.target.clone(), body: self.body.clone(), read: self.read }
    }
}

impl<T> fmt::Debug for Request<T> {
    /// Without query and body: they may contain a token or personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.endpoint.method, self.endpoint.path)
    }
}

/// A body that does not fit its endpoint.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// JSON that does not fit, or not JSON.
    #[error("unexpected JSON at `{at}`: {detail}")]
    Json {
        /// Path of the value, `data[3].use_time`.
        at: String,
        /// What is wrong with it.
        detail: String,
    },
    /// XML that is not one flat document.
    #[error("unexpected XML: {detail}")]
    Xml {
        /// What is wrong with it.
        detail: String,
    },
    /// A field of an XML answer.
    #[error("field `{field}` of the XML is {detail}")]
    Field {
        /// Its name.
        field: &'static str,
        /// What is wrong with it.
        detail: String,
    },
}

/// Parses a JSON body, and says where it does not fit. Tracking the position is as expensive as
/// parsing, so only a body that does not fit is parsed again for it.
pub(crate) fn read_json<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, ParseError> {
    let body = byte_order_mark::skipped(body);
    // A body that is valid UTF-8 as a whole need not be validated string by string.
    let read = std::str::from_utf8(body).ok().and_then(|text| serde_json::from_str(text).ok());
    read.map_or_else(|| read_json_naming_places(body), Ok)
}

/// Parses a JSON body; only one that does not fit is parsed again, for what of it does.
fn read_mending<T: Mendable>(body: &[u8]) -> Result<T, ParseError> {
    read_json(body).or_else(|strict| mended(body).ok_or(strict))
}

fn read_json_naming_places<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, ParseError> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| ParseError::Json { at: shown(&error.path().to_string()), detail: misfit(error.inner()) })?;
    json.end().map_err(|error| ParseError::Json { at: ".".into(), detail: misfit(&error) })?;
    Ok(value)
}

/// Serialises a JSON body: no spaces, Chinese unescaped (reference v3 §6 no. 3).
pub(crate) fn to_json(body: &impl Serialize) -> Bytes {
    Bytes::from(serde_json::to_vec(body).expect("wire types have string keys and no failing serializer"))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only the errors are looked at")]
    struct Page {
        data: Vec<Row>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only the errors are looked at")]
    struct Row {
        code: String,
    }

    #[test]
    fn a_byte_order_mark_is_skipped_once_and_only_before_the_document() {
        assert!(read_json::<Page>(b"\xEF\xBB\xBF{\"data\":[]}").is_ok());
        for odd in [
            &b"\xEF\xBB\xBF\xEF\xBB\xBF{\"data\":[]}"[..],
            b"{\"data\":[]}\xEF\xBB\xBF",
            b"\xEF\xBB\xBF",
            b"\xEF\xBB{}",
        ] {
            assert!(read_json::<Page>(odd).is_err(), "{odd:?}");
        }
    }

    #[test]
    fn an_unexpected_body_names_the_place() {
        let error = read_json::<Page>(br#"{"data":[{"code":"a"},{"code":5}]}"#).unwrap_err();
        assert!(error.to_string().starts_with("unexpected JSON at `data[1].code`: invalid type"), "{error}");
        assert!(read_json::<Page>(b"<html>").is_err());
        assert!(read_json::<Page>(br#"{"data":[]} trailing"#).is_err());
    }

    #[test]
    fn an_unexpected_body_shows_neither_its_values_nor_the_openids_among_its_names() {
        let error = read_json::<Page>(br#"{"data":"odXnH1CJjeQoWTld48db-pnxs-Wg"}"#).unwrap_err();
        assert!(error.to_string().starts_with("unexpected JSON at `data`: invalid type: string, expected"), "{error}");
        let by_user = br#"{"odXnH1CJjeQoWTld48db-pnxs-Wg":"x"}"#;
        let error = read_json::<std::collections::BTreeMap<String, i64>>(by_user).unwrap_err();
        assert!(error.to_string().starts_with("unexpected JSON at `[openid]`: invalid type: string"), "{error}");
    }
}
