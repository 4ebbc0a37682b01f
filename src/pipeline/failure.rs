//! How a night fails, in words and exit codes.

use crate::dataset::partition::PartitionError;
use crate::error::{ExitCode, Failure};
use crate::extract::{Issue, IssueKind};
use crate::journal::JournalError;
use crate::reconcile::ReconcileError;
use crate::store::{Cause, StoreError};

/// The lake's disk said no, or the bucket behind it.
pub(super) fn disk(error: &std::io::Error, what: &str) -> Failure {
    if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref()) {
        return store_failed(error, what);
    }
    Failure::caused_by(ExitCode::Partial, what, error)
        .hinting("`job.lake` must be writable and have room; nothing half-written is visible, run again")
}

/// The lake in a bucket cannot be used.
pub(super) fn store_failed(error: &StoreError, what: &str) -> Failure {
    Failure::caused_by(store_code(error), what, error).hinting(error.hint())
}

/// How a night ends for which the store does this.
pub(super) fn store_code(error: &StoreError) -> ExitCode {
    match error {
        StoreError::Remote { cause, .. } => match cause {
            Cause::NoBucket | Cause::Unsupported => ExitCode::Usage,
            Cause::Refused | Cause::Skewed => ExitCode::Rejected,
            Cause::Conflict => ExitCode::TryLater,
            Cause::NotFound | Cause::Unreachable | Cause::Local | Cause::Other => ExitCode::Unavailable,
        },
        StoreError::Disk { .. } => ExitCode::Partial,
        StoreError::ForeignFolder { .. } => ExitCode::Usage,
        StoreError::Held(_) | StoreError::Lost(_) => ExitCode::TryLater,
    }
}

fn is_of_store(error: &std::io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<StoreError>())
}

/// The disk said no between two files of a publication.
pub(super) fn unpublished(error: &std::io::Error) -> Failure {
    if is_of_store(error) {
        return disk(error, "cannot publish");
    }
    Failure::caused_by(ExitCode::Partial, "cannot publish", error)
        .hinting("`job.lake` must be writable and have room; the next run first completes what was begun")
}

/// The journal could not be kept.
pub(super) fn unjournalled(error: &JournalError) -> Failure {
    if let JournalError::Io { source, .. } = error
        && is_of_store(source)
    {
        return disk(source, "cannot keep the journal; nothing was published");
    }
    Failure::caused_by(ExitCode::Partial, "cannot keep the journal; nothing was published", error)
        .hinting("`job.lake` must be writable and have room; what is journalled is kept, run again")
}

/// Rows that could not be staged: the disk is to blame, or the rows are.
pub(super) fn unstaged(error: &PartitionError) -> Failure {
    if !error.is_of_the_disk() {
        return violated(error);
    }
    Failure::caused_by(ExitCode::Partial, "cannot stage what was to be published; nothing was published", error)
        .hinting("`job.lake` must be writable and have room; run again")
}

/// The match could not be completed: the disk is to blame, or what it read.
pub(super) fn unmatched(error: &ReconcileError) -> Failure {
    match error {
        ReconcileError::Partition(error) => unstaged(error),
        ReconcileError::Scratch { source } => disk(source, "cannot write what the match sorts"),
        ReconcileError::ScriptNotRun { .. } => {
            Failure::new(ExitCode::TryLater, format!("{error}; nothing was published"))
                .hinting("`spark-submit` the script that `--emit-script` wrote; `--wait 2h` waits for its end")
        }
        ReconcileError::OtherScript { .. } => Failure::new(ExitCode::Usage, format!("{error}; nothing was published"))
            .hinting("the night, its rules or its sources have changed since: write the script anew and run it"),
        ReconcileError::WritesElsewhere { .. } => {
            Failure::new(ExitCode::Usage, format!("{error}; nothing was published"))
                .hinting("`job.lake` names the lake, `engine.shared_mount` says that it is mounted everywhere")
        }
        #[cfg(feature = "spark")]
        ReconcileError::Cluster(error) => super::engine::failed(error),
        error => violated(error),
    }
}

/// A contract or control total is violated.
pub(super) fn violated(error: &dyn std::error::Error) -> Failure {
    Failure::caused_by(ExitCode::Violation, "the night does not hold together", error)
}

/// The decisions file is wrong.
pub(super) fn undecided(error: &dyn std::error::Error) -> Failure {
    Failure::caused_by(ExitCode::Malformed, "the decisions cannot be used", error)
        .hinting("`decisions.path` names the file; `coupon-recon breaks` shows the break_id of each break")
}

/// Decisions are a file of people, anything else is ours.
pub(super) fn unjudgeable(error: ReconcileError) -> Failure {
    match &error {
        ReconcileError::Decision(decision) => undecided(decision),
        #[cfg(feature = "spark")]
        ReconcileError::Cluster(error) => super::engine::failed(error),
        _ => violated(&error),
    }
}

/// A failure that takes the night back, as its manifest and summary tell it; any other goes on as it
/// is.
pub(super) fn issue_of(failure: Failure) -> Result<Issue, Failure> {
    let kind = match failure.code {
        ExitCode::Violation => IssueKind::Violation,
        ExitCode::Malformed => IssueKind::Malformed,
        _ => return Err(failure),
    };
    Ok(Issue { kind, what: failure.chain.join(": "), hint: failure.hint })
}

/// A rule file is wrong.
pub(super) fn rules_wrong(error: ReconcileError) -> Failure {
    Failure::caused_by(ExitCode::Usage, "the rules cannot be used", &error)
        .hinting("`coupon-recon rules list` shows those that come with the program; `rules.folders` names your own")
}
