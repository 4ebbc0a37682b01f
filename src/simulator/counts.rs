//! Counts requests: per endpoint, per second, refused, unknown. Refuses none itself.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};

use super::call::Call;

/// The requests that a server has received.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// All requests, unknown paths too.
    pub total: u64,
    /// Requests by endpoint, `GET /v3/marketing/busifavor/stocks/{stock_id}`.
    pub by_endpoint: BTreeMap<String, u64>,
    /// Requests refused for their signature, headers, keys, or token.
    pub rejected: u64,
    /// Requests refused for a published limit.
    pub limited: u64,
    /// Requests to a path or method no endpoint has.
    pub unknown_paths: u64,
    /// Faults played, by kind as the scenario spells it.
    pub faults: BTreeMap<String, u64>,
    /// v3 nonces that came more than once: a retry that was not signed afresh.
    pub reused_nonces: u64,
    /// The largest number of requests within one second of the protocol clock.
    pub busiest_second: u64,
    /// The largest number of requests within any span of one second, by API (`pay_v3`, `pay_v2`, `mp`).
    pub busiest_window: BTreeMap<String, u64>,
}

impl Counts {
    /// Requests to one endpoint; 0 if there were none.
    pub fn of(&self, endpoint: &str) -> u64 {
        self.by_endpoint.get(endpoint).copied().unwrap_or(0)
    }
}

/// A recorded call, for callers that check what exactly was requested.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NotedCall {
    /// `GET` or `POST`.
    pub method: String,
    /// Path and query exactly as on the wire.
    pub target: String,
    /// The body, which has the parameters of most POSTs.
    pub body: Vec<u8>,
}

/// The counts, and what is needed to update them.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) counts: Counts,
    second: Second,
    endpoint_seconds: HashMap<String, Second>,
    nonces: HashSet<String>,
    /// Arrivals of the last second, by API.
    windows: HashMap<&'static str, VecDeque<DateTime<Utc>>>,
    /// Every call, if recording is on.
    pub(super) notes: Option<Vec<NotedCall>>,
}

/// Requests within one second.
#[derive(Debug, Default, Clone, Copy)]
struct Second {
    epoch: i64,
    requests: u64,
}

impl Second {
    fn add(&mut self, now: DateTime<Utc>) -> u64 {
        if self.epoch != now.timestamp() {
            *self = Second { epoch: now.timestamp(), requests: 0 };
        }
        self.requests += 1;
        self.requests
    }
}

impl Tally {
    /// Counts a request to no endpoint.
    pub(super) fn add_unknown(&mut self, now: DateTime<Utc>) {
        self.add_any(now);
        self.counts.unknown_paths += 1;
    }

    /// Counts a request to an endpoint; answers how many it had in this second, this one included.
    pub(super) fn add(&mut self, endpoint: &str, now: DateTime<Utc>) -> u64 {
        self.add_any(now);
        *self.counts.by_endpoint.entry(endpoint.to_owned()).or_default() += 1;
        self.endpoint_seconds.entry(endpoint.to_owned()).or_default().add(now)
    }

    /// Counts an arrival at an API; they come in the order of their time.
    pub(super) fn arrive(&mut self, api: &'static str, now: DateTime<Utc>) {
        let window = self.windows.entry(api).or_default();
        window.push_back(now);
        while window.front().is_some_and(|first| now - *first > TimeDelta::seconds(1)) {
            window.pop_front();
        }
        let busiest = self.counts.busiest_window.entry(api.to_owned()).or_default();
        *busiest = (*busiest).max(window.len() as u64);
    }

    fn add_any(&mut self, now: DateTime<Utc>) {
        self.counts.total += 1;
        self.counts.busiest_second = self.counts.busiest_second.max(self.second.add(now));
    }

    /// Records a call, if recording is on.
    pub(super) fn note(&mut self, call: &Call) {
        if let Some(notes) = &mut self.notes {
            let (method, target, body) = (call.method.clone(), call.target.clone(), call.body.to_vec());
            notes.push(NotedCall { method, target, body });
        }
    }

    /// Counts a fault played.
    pub(super) fn add_fault(&mut self, kind: &str) {
        *self.counts.faults.entry(kind.to_owned()).or_default() += 1;
    }

    /// Records a nonce; a repeated one is counted.
    pub(super) fn add_nonce(&mut self, nonce: &str) {
        if !self.nonces.insert(nonce.to_owned()) {
            self.counts.reused_nonces += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(millis).unwrap()
    }

    #[test]
    fn the_busiest_second_is_kept() {
        let mut tally = Tally::default();
        for millis in [0, 999, 1000, 1001, 1999, 5000] {
            tally.arrive("pay_v3", at(millis));
            tally.add("GET /a", at(millis));
        }
        assert_eq!(tally.counts.busiest_second, 3);
        assert_eq!(tally.counts.busiest_window["pay_v3"], 4, "from 999 to 1999");
        assert_eq!(tally.counts.total, 6);
    }

    #[test]
    fn seconds_are_counted_per_endpoint() {
        let mut tally = Tally::default();
        assert_eq!(tally.add("GET /a", at(0)), 1);
        assert_eq!(tally.add("GET /b", at(0)), 1);
        assert_eq!(tally.add("GET /a", at(10)), 2);
        assert_eq!(tally.add("GET /a", at(1000)), 1);
        assert_eq!(tally.counts.of("GET /a"), 3);
        assert_eq!(tally.counts.of("GET /never"), 0);
    }

    #[test]
    fn unknown_paths_are_counted_apart() {
        let mut tally = Tally::default();
        tally.add_unknown(at(0));
        assert_eq!((tally.counts.total, tally.counts.unknown_paths), (1, 1));
        assert!(tally.counts.by_endpoint.is_empty());
    }

    #[test]
    fn a_nonce_counts_as_reused_from_its_second_time_on() {
        let mut tally = Tally::default();
        for nonce in ["A", "B", "A", "A"] {
            tally.add_nonce(nonce);
        }
        assert_eq!(tally.counts.reused_nonces, 2);
    }
}
