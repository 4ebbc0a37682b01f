//! Remedies: a plan proposes API calls that resolve breaks, a person approves it by its digest, and each approved call
//! is made once and its answer journalled. Never proposes a call where a person has to decide first, never makes a call
//! that differs from the approved plan, never repeats a call whose answer is known.

mod answer;
mod call;
mod error;
mod facts;
mod open_breaks;
mod operation;
mod payment;
mod performance;
mod plan;
mod proposals;
#[cfg(test)]
mod tests;

pub use call::Call;
pub use error::PlanError;
pub use facts::Facts;
pub use open_breaks::{ByHand, OpenBreaks};
pub use performance::{Ended, Latest, Performance, Performed};
pub use plan::{Grounds, Impossible, Plan, Proposed, Source};
