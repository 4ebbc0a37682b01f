//! The unit of the journal: entries of pages, each page an unchanged answer.

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::wechat::Evidence;

/// All answers under one key: one request, or all pages of one wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What was requested, unique within the stage: `openid`, `stock_id`, `out_subsidy_no`, …
    pub key: String,
    /// Its answers in page order.
    pub pages: Vec<Page>,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    pub body: Bytes,
    /// What its signature can be verified by, at any time.
    pub evidence: Evidence,
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
            body: Bytes::copy_from_slice(body.as_bytes()),
            evidence: Evidence { timestamp: Some("1".into()), ..Evidence::default() },
        }
    }
}
