//! Why a stage is incomplete, by the classes that the exit codes distinguish.

use std::path::Path;

use chrono::{DateTime, Utc};

use crate::causes::in_one_line;
use crate::clock;
use crate::dataset::partition::PartitionError;
use crate::durable;
use crate::journal::JournalError;
use crate::quantity::counted;
use crate::wechat::{ApiError, FailureKind};

/// Why a stage may be incomplete, by class (design §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum IssueKind {
    /// A contract or control total is violated: nothing may be published.
    Violation,
    /// The disk of the lake failed: what could not be kept cannot be published.
    Storage,
    /// Credentials, certificate or signature rejected.
    Credentials,
    /// Answers whose signature is not valid: nobody knows who gives them.
    Unverified,
    /// A file of the merchant is malformed.
    Malformed,
    /// A remote API did not answer.
    Unavailable,
    /// Any other reason.
    Incomplete,
    /// An answer that does not have the documented shape, or is about something else.
    Garbled,
    /// Too early, or the quota is used up: trying later helps.
    NotReady,
}

/// One reason why a stage is incomplete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// The class.
    pub kind: IssueKind,
    /// What failed, in one sentence.
    pub what: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Issue {
    pub(super) fn new(kind: IssueKind, what: impl Into<String>) -> Issue {
        Issue { kind, what: what.into(), hint: None }
    }

    pub(super) fn hinting(mut self, hint: impl Into<String>) -> Issue {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn violation(what: impl Into<String>) -> Issue {
        Issue::new(IssueKind::Violation, what)
    }

    pub(crate) fn storage(what: impl Into<String>) -> Issue {
        let what = what.into();
        let advice = durable::advice_for(&what);
        Issue::new(IssueKind::Storage, what).hinting(format!("{advice} and run again; what is journalled is kept"))
    }

    /// Rows could not be written to the scratch folder, or not be read back.
    pub(crate) fn unsorted(error: std::io::Error) -> Issue {
        Issue::storage(format!("rows that do not fit in memory cannot be sorted on disk: {error}"))
    }

    pub(super) fn io(path: &Path, error: &std::io::Error) -> Issue {
        Issue::new(IssueKind::Incomplete, format!("`{}`: {error}", path.display()))
    }

    pub(super) fn not_ready(source: &str, ready: DateTime<Utc>) -> Issue {
        let ready = ready.with_timezone(&clock::beijing()).format("%Y-%m-%d %H:%M");
        Issue::new(IssueKind::NotReady, format!("`{source}` is ready at {ready} Asia/Shanghai"))
            .hinting(format!("run again then, or use `--wait`; `sources.{source}.ready_at` sets the time"))
    }

    pub(super) fn not_journalled(missing: usize) -> Issue {
        let missing = counted(missing, "answer is", "answers are");
        Issue::new(IssueKind::Incomplete, format!("{missing} not in the journal")).hinting(
            "a replay sends no requests, nor does a stage that `--stage` leaves out: run without these options to fetch the answers",
        )
    }
}

/// A published file that cannot be read, or a failing disk.
impl From<PartitionError> for Issue {
    fn from(error: PartitionError) -> Issue {
        match durable::refusal(&error) {
            Some(_) => Issue::storage(in_one_line(&error)),
            None => Issue::violation(in_one_line(&error)),
        }
    }
}

impl From<JournalError> for Issue {
    fn from(error: JournalError) -> Issue {
        match error {
            JournalError::Io { .. } => Issue::storage(in_one_line(&error)),
            _ => Issue::new(IssueKind::Incomplete, in_one_line(&error)),
        }
    }
}

impl From<&ApiError> for Issue {
    fn from(error: &ApiError) -> Issue {
        let kind = match error.kind() {
            FailureKind::Credentials => IssueKind::Credentials,
            FailureKind::SignatureInvalid => IssueKind::Unverified,
            FailureKind::Unavailable => IssueKind::Unavailable,
            FailureKind::NotReady | FailureKind::QuotaUsedUp => IssueKind::NotReady,
            _ => IssueKind::Incomplete,
        };
        Issue { kind, what: in_one_line(error), hint: error.hint().map(str::to_owned) }
    }
}
