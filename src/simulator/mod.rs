//! An independent simulator of WeChat: verifies signatures with its own code and answers from a
//! world on disk.
//!
//! Reading order: `world` (what it knows) → `state` (as of a moment) → `memory` (indexed) →
//! `call`, `answer`, `signature`, `faults`, `counts` → `exchange` → one folder per API family
//! (`pay_v3`, `pay_v2`, `mp`) → `endpoint` (the table of paths) → `server`.
//!
//! It shares no signing, HTTP or dataset code with the client, so that agreement between the two is
//! evidence.

pub mod generate;
pub mod world;

mod state;
mod memory;
mod call;
mod answer;
mod signature;
mod faults;
mod counts;
mod paging;
mod options;
mod access_tokens;
mod bill_files;
mod exchange;

mod pay_v3;
mod pay_v2;
mod mp;
mod disruption;
mod lies;
mod endpoint;
mod server;
#[cfg(test)]
mod probe;

pub use counts::{Counts, NotedCall};
pub use endpoint::paths;
pub use faults::{Fault, Kind, Scenario, ScenarioError};
pub use options::Options;
pub use paging::OffsetMeaning;
pub use server::{Running, Simulator, SimulatorError};
