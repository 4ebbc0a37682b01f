//! The behaviour of a server: its clocks, its interpretation of `offset`, its limits and its faults.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::faults::Scenario;
use super::paging::OffsetMeaning;
use crate::clock::{self, Clock, Sleep};

/// The configuration of a server.
#[derive(Clone)]
pub struct Options {
    /// The protocol clock: request timestamps, signatures of answers, life of tokens.
    pub clock: Arc<dyn Clock>,
    /// How a `slow` answer waits.
    pub sleep: Arc<dyn Sleep>,
    /// The moment of the world that is shown; `None` = the protocol clock.
    pub world_now: Option<DateTime<Utc>>,
    /// What `offset` of the wallet pages counts.
    pub offset_meaning: OffsetMeaning,
    /// Faults to play.
    pub scenario: Scenario,
    /// Requests per second that an endpoint accepts, by path template; others are unlimited.
    pub limits: BTreeMap<String, u64>,
}

impl Options {
    /// No faults, no limits, `offset` counts rows, the world as of the clock.
    pub fn new(outside: &clock::World) -> Options {
        Options {
            clock: outside.clock.clone(),
            sleep: outside.sleep.clone(),
            world_now: None,
            offset_meaning: OffsetMeaning::default(),
            scenario: Scenario::default(),
            limits: BTreeMap::new(),
        }
    }

    /// The limits WeChat publishes (reference v3 §1.12; stable_token: reference MP §C.2, 10,000 a minute).
    pub fn published_limits() -> BTreeMap<String, u64> {
        let limits = [
            ("/v3/marketing/busifavor/coupons/use", 500),
            ("/v3/marketing/busifavor/coupons/associate", 500),
            ("/v3/marketing/busifavor/coupons/disassociate", 500),
            ("/v3/certificates", 1000),
            ("/v3/bill/fundflowbill", 3),
            ("/cgi-bin/stable_token", 166),
        ];
        limits.map(|(template, per_second)| (template.to_owned(), per_second)).into()
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("world_now", &self.world_now)
            .field("offset_meaning", &self.offset_meaning)
            .field("scenario", &self.scenario)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
