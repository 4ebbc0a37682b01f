//! What is journalled: entries of pages, each page an answer exactly as it came.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Everything asked under one key: one request, or all pages of one wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What was asked, unique within the stage: `openid`, `stock_id`, `out_subsidy_no`, …
    pub key: String,
    /// Its answers in page order.
    pub pages: Vec<Page>,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// When it arrived.
    pub fetched_at: DateTime<Utc>,
    /// `GET` or `POST`.
    pub method: String,
    /// Path and query as sent; never one that holds a token.
    pub target: String,
    /// HTTP status.
    pub status: i64,
    /// Exact body bytes.
    #[serde(with = "bytes_as_binary")]
    pub body: Vec<u8>,
    /// `Wechatpay-Timestamp`.
    pub timestamp: Option<String>,
    /// `Wechatpay-Nonce`.
    pub nonce: Option<String>,
    /// `Wechatpay-Signature`.
    pub signature: Option<String>,
    /// `Wechatpay-Serial`.
    pub serial: Option<String>,
    /// `Request-ID`.
    pub request_id: Option<String>,
}

#[cfg(test)]
impl Page {
    /// A page with `body` and nothing else of interest.
    pub(crate) fn for_tests(body: &str) -> Page {
        Page {
            fetched_at: DateTime::UNIX_EPOCH,
            method: "GET".into(),
            target: "/v3/x?y=1".into(),
            status: 200,
            body: body.as_bytes().to_vec(),
            timestamp: Some("1".into()),
            nonce: None,
            signature: None,
            serial: None,
            request_id: None,
        }
    }
}

/// Without this serde would write a body as a list of numbers.
mod bytes_as_binary {
    use serde::de::{Error, SeqAccess, Visitor};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl<'de> Visitor<'de> for Bytes {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }

            fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(bytes)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u8>, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = seq.next_element()? {
                    bytes.push(byte);
                }
                Ok(bytes)
            }
        }
        deserializer.deserialize_byte_buf(Bytes)
    }
}
