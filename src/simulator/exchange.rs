//! The context of a request: the call, its endpoint, the server's state, and the fault to apply.
//! Handlers get nothing else.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};

use super::access_tokens::AccessTokens;
use super::answer::Answer;
use super::bill_files::BillFiles;
use super::call::Call;
use super::counts::Tally;
use super::faults::{Fault, Kind, Player};
use super::memory::{Memory, held};
use super::options::Options;
use super::signature::Keys;
use super::world::Account;

/// Answers a request, or refuses it.
pub(super) type Handler = fn(&Exchange<'_>) -> Result<Answer, Answer>;

/// The API family of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    PayV3,
    PayV2,
    Mp,
}

impl Family {
    /// The name in the counts.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Family::PayV3 => "pay_v3",
            Family::PayV2 => "pay_v2",
            Family::Mp => "mp",
        }
    }
}

/// An endpoint.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) method: &'static str,
    /// Path with `{names}` for its variable segments.
    pub(super) template: &'static str,
    pub(super) family: Family,
    pub(super) handle: Handler,
}

impl Endpoint {
    /// An endpoint of v3.
    pub(super) const fn v3(method: &'static str, template: &'static str, handle: Handler) -> Endpoint {
        Endpoint { method, template, family: Family::PayV3, handle }
    }

    /// An endpoint of v2; all are POSTs.
    pub(super) const fn v2(template: &'static str, handle: Handler) -> Endpoint {
        Endpoint { method: "POST", template, family: Family::PayV2, handle }
    }

    /// An endpoint of the MP.
    pub(super) const fn mp(method: &'static str, template: &'static str, handle: Handler) -> Endpoint {
        Endpoint { method, template, family: Family::Mp, handle }
    }

    /// The name in the counts.
    pub(super) fn label(&self) -> String {
        format!("{} {}", self.method, self.template)
    }
}

/// The state of a running server.
#[derive(Debug)]
pub(super) struct Office {
    pub(super) account: Account,
    pub(super) keys: Keys,
    pub(super) options: Options,
    pub(super) bills: BillFiles,
    pub(super) memory: Mutex<Memory>,
    pub(super) tally: Mutex<Tally>,
    pub(super) player: Mutex<Player>,
    pub(super) tokens: Mutex<AccessTokens>,
    pub(super) world_now: Mutex<Option<DateTime<Utc>>>,
    pub(super) answers: AtomicU64,
    /// The platform certificate that signs after a rotation: PEM and serial.
    pub(super) rotated: Mutex<Option<(String, String)>>,
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Exchange<'a> {
    pub(super) office: &'a Office,
    pub(super) call: &'a Call,
    pub(super) endpoint: &'static Endpoint,
    /// Variable segments, decoded, by the names of the template.
    pub(super) segments: Vec<(&'static str, String)>,
    pub(super) fault: Option<Fault>,
    /// The protocol clock when the request came.
    pub(super) clock_now: DateTime<Utc>,
    /// The moment of the world that is shown.
    pub(super) world_now: DateTime<Utc>,
    /// Number of this request within the life of the server.
    pub(super) serial: u64,
}

impl<'a> Exchange<'a> {
    /// Opens an exchange; the fault is chosen later, after the request was authenticated.
    pub(super) fn open(
        office: &'a Office,
        call: &'a Call,
        endpoint: &'static Endpoint,
        segments: Vec<(&'static str, String)>,
    ) -> Exchange<'a> {
        let clock_now = office.options.clock.now();
        let world_now = held(&office.world_now).unwrap_or(clock_now);
        let serial = office.answers.fetch_add(1, Ordering::Relaxed);
        Exchange { office, call, endpoint, segments, fault: None, clock_now, world_now, serial }
    }

    /// A variable segment. The template of the endpoint has it.
    pub(super) fn segment(&self, name: &str) -> &str {
        self.segments.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// The kind of the fault to apply.
    pub(super) fn fault_kind(&self) -> Option<Kind> {
        self.fault.as_ref().map(|fault| fault.kind)
    }

    /// The fault to apply, if it is of this kind.
    pub(super) fn fault_of(&self, kind: Kind) -> Option<&Fault> {
        self.fault.as_ref().filter(|fault| fault.kind == kind)
    }

    /// Whether this fault is to be applied.
    pub(super) fn plays(&self, kind: Kind) -> bool {
        self.fault_of(kind).is_some()
    }

    /// What stands in place of every state, if that fault is to be applied: its value, or a default of the API.
    pub(super) fn unknown_state(&self, default: &str) -> Option<String> {
        let fault = self.fault_of(Kind::UnknownState)?;
        Some(fault.value_text().unwrap_or_else(|| default.to_owned()))
    }
}
