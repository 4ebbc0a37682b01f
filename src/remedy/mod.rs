//! What a call to WeChat can put right: a plan proposes the calls, a person approves the plan by its digest, the approved
//! calls are made once each, and their answers are journalled. Never proposes what a person has to decide first, never
//! makes a call of which the approved plan says anything else, never repeats one whose answer is known.

mod call;
mod errand;
mod error;
mod facts;
mod performance;
mod plan;
mod proposals;
#[cfg(test)]
mod tests;

pub use call::Call;
pub use error::PlanError;
pub use facts::Facts;
pub use performance::{Ended, Performance, Performed};
pub use plan::{ByHand, Impossible, Plan, Proposed, Source};
