//! Why a plan is not carried out: which call, and what is wrong with it. Decides about no call.

/// A plan that cannot be approved.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The approved digest is not that of the file.
    #[error("the plan is not the one that was approved: its SHA-256 is {actual}")]
    NotApproved {
        /// The digest of the file.
        actual: String,
    },
    /// The file was saved in another encoding.
    #[error("the plan has bytes that are not UTF-8: save it as UTF-8 text")]
    Encoding,
    /// Not JSON, or not a plan.
    #[error("the plan cannot be read as the JSON it was written as")]
    Unreadable(#[from] serde_json::Error),
    /// The plan was written by a later version.
    #[error("the plan has version {given}, this program writes and reads version {known}")]
    Version {
        /// That of the plan.
        given: u32,
        /// The program's.
        known: u32,
    },
    /// A call that no rule proposes, or whose body does not fit its path.
    #[error("call {place} of the plan (break {break_id}): {detail}")]
    Call {
        /// Position in the plan, from 1.
        place: usize,
        /// The break it is for.
        break_id: String,
        /// What is wrong.
        detail: String,
    },
}
