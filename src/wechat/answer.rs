//! An answer that was accepted (or finally refused), with the evidence that the journal keeps.

use std::fmt;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::http::{Received, Settled};

/// An answer of a remote API.
#[derive(Clone, PartialEq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body exactly as received, over which the signature is made.
    pub body: Bytes,
    /// The evidence of its origin.
    pub evidence: Evidence,
    /// When it was judged, by the injected clock.
    pub fetched_at: DateTime<Utc>,
    /// Attempts of the call.
    pub attempts: u32,
}

impl Answer {
    /// A received answer. The number of attempts is known once its call has settled.
    pub(crate) fn new(received: Received, evidence: Evidence, fetched_at: DateTime<Utc>) -> Answer {
        Answer { status: received.status, body: received.body, evidence, fetched_at, attempts: 0 }
    }
}

impl From<Settled<Answer>> for Answer {
    fn from(settled: Settled<Answer>) -> Answer {
        Answer { attempts: settled.trace.attempts, ..settled.accepted }
    }
}

impl fmt::Debug for Answer {
    /// Without the body: it may contain personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({}, {} bytes, {:?})", self.status, self.body.len(), self.evidence.request_id)
    }
}

/// `Wechatpay-*` headers and `Request-ID` (reference v3 §1.3); an answer that is not signed has only the latter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// `Wechatpay-Timestamp`, Unix seconds.
    pub timestamp: Option<String>,
    /// `Wechatpay-Nonce`; of a v2 answer its `nonce_str`.
    pub nonce: Option<String>,
    /// `Wechatpay-Signature`, Base64; of a v2 answer its `sign`.
    pub signature: Option<String>,
    /// `Wechatpay-Serial`.
    pub serial: Option<String>,
    /// `Request-ID`.
    pub request_id: Option<String>,
}

impl Evidence {
    /// The evidence of an unsigned answer.
    pub(crate) fn unsigned(received: &Received) -> Evidence {
        Evidence { request_id: received.header("request-id").map(str::to_owned), ..Evidence::default() }
    }
}
