//! Turns an answer into a page of the journal. Requests none and writes none.

use chrono::{DateTime, Utc};

use crate::journal::Page;
use crate::wechat::{Answer, Request};

/// The journal page of an answer.
pub fn page<T>(request: &Request<T>, answer: &Answer) -> Page {
    Page {
        fetched_at: micros(answer.fetched_at),
        method: request.endpoint.method.as_str().to_owned(),
        target: request.target.clone(),
        status: i64::from(answer.status),
        body: answer.body.clone(),
        evidence: answer.evidence.clone(),
    }
}

/// Truncates to microseconds, the precision of the journal.
pub(super) fn micros(instant: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(instant.timestamp_micros()).expect("an instant of this age has microseconds")
}
