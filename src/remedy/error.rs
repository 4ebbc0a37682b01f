//! Why a plan is not carried out, by the call and what is wrong with it. Decides about no call.

use std::io;

/// A plan that cannot be approved.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The digest that was approved is another's.
    #[error("the plan is not the one that was approved: its SHA-256 is {actual}")]
    NotApproved {
        /// Of the file.
        actual: String,
    },
    /// Saved in another encoding.
    #[error("the plan has bytes that are not UTF-8: save it as UTF-8 text")]
    Encoding,
    /// No JSON, or not that of a plan.
    #[error("the plan cannot be read as the JSON it was written as")]
    Unreadable(#[from] serde_json::Error),
    /// A plan of a later program.
    #[error("the plan has version {given}, this program writes and reads version {known}")]
    Version {
        /// That of the plan.
        given: u32,
        /// The program's.
        known: u32,
    },
    /// A call that no rule proposes, or whose body is not what its path takes.
    #[error("call {place} of the plan (break {break_id}): {detail}")]
    Call {
        /// From 1.
        place: usize,
        /// Of the break it is for.
        break_id: String,
        /// What is wrong.
        detail: String,
    },
    /// The file is out of reach.
    #[error("cannot read the plan")]
    Io(#[from] io::Error),
}
