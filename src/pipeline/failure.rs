//! Maps errors to the exit code, message and hint that a run ends with.

use std::error::Error;
use std::io;
use std::path::Path;

use chrono::NaiveDate;

use crate::dataset::Lake;
use crate::dataset::manifest::LaterFormat;
use crate::dataset::partition::PartitionError;
use crate::durable::{self, advice_for, advice_for_open_files};
use crate::error::{ExitCode, Failure};
use crate::extract::{Issue, IssueKind};
use crate::job::Job;
use crate::journal::JournalError;
use crate::quantity::counted;
use crate::reconcile::ReconcileError;
use crate::record::{Break, Record};
#[cfg(feature = "spark")]
use crate::spark::SparkError;
use crate::store::{Cause, StoreError};
use crate::wechat::SetupError;

/// A failure of the lake's disk, or of the bucket behind it.
pub(super) fn disk(error: &io::Error, what: &str) -> Failure {
    if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref()) {
        return store_failed(error, what);
    }
    let otherwise = || refused(Some(error), what, error, "nothing half-written is visible");
    later_format(error, what).unwrap_or_else(otherwise)
}

/// The failure of a program that is older than the lake.
fn later_format(error: &io::Error, what: &str) -> Option<Failure> {
    error.get_ref()?.downcast_ref::<LaterFormat>()?;
    let hint = "run it with that version of the program, or a later one";
    Some(Failure::caused_by(ExitCode::Usage, what, error).hinting(hint))
}

/// No client can be made with the keys of the job.
pub fn unusable_keys(error: &SetupError) -> Failure {
    Failure::of_error(ExitCode::Rejected, error).with_hint(error.hint())
}

/// A failure of the folder for temporary files.
pub fn temporary(error: &io::Error, what: &str) -> Failure {
    Failure::caused_by(code_of_disk(error), what, error).hinting(shortage(error).unwrap_or_else(temporary_room))
}

/// A published file that cannot be read: damaged, unless the error is a lack of space or file handles.
pub fn unread(error: &(dyn Error + 'static), what: &str) -> Failure {
    if let Some(older) = error.downcast_ref().and_then(|error| later_format(error, what)) {
        return older;
    }
    let failure = |code| Failure::caused_by(code, what, error);
    match durable::refusal(error).as_ref().and_then(shortage) {
        Some(advice) => failure(ExitCode::TryLater).hinting(advice),
        None => failure(ExitCode::Violation),
    }
}

/// The hint for a reader that lacks space or file handles.
fn shortage(no: &io::Error) -> Option<String> {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    match advice_for_open_files(no) {
        Some(advice) => Some(format!("{advice} and run the same command again")),
        None => matches!(no.kind(), StorageFull | QuotaExceeded | FileTooLarge).then(temporary_room),
    }
}

fn temporary_room() -> String {
    let folder = std::env::temp_dir();
    format!("`{}` must be writable and have room; `TMPDIR` names another folder", folder.display())
}

/// Lack of space means "try later"; lack of permission means that the job file names the wrong place. Neither is
/// partial: nothing of the night is published. `left` says what remains.
fn refused(refusal: Option<&io::Error>, what: &str, error: &(dyn Error + 'static), left: &str) -> Failure {
    let code = refusal.map_or(ExitCode::TryLater, code_of_disk);
    let hint = match code {
        ExitCode::Usage => "`job.lake` must name a folder that this user may write to".to_owned(),
        _ => format!(
            "{} and run again; {left}",
            refusal.map_or_else(|| advice_for(""), |no| advice_for(&no.to_string()))
        ),
    };
    Failure::caused_by(code, what, error).hinting(hint)
}

/// The exit code for an error of the disk.
fn code_of_disk(error: &io::Error) -> ExitCode {
    use io::ErrorKind::{AlreadyExists, IsADirectory, NotADirectory, PermissionDenied, ReadOnlyFilesystem};
    match error.kind() {
        // `AlreadyExists`: a file where a folder should be.
        PermissionDenied | ReadOnlyFilesystem | NotADirectory | IsADirectory | AlreadyExists => ExitCode::Usage,
        _ => ExitCode::TryLater,
    }
}

/// The lake in a bucket cannot be used.
pub(super) fn store_failed(error: &StoreError, what: &str) -> Failure {
    let failure = Failure::caused_by(store_code(error), what, error).hinting(error.hint());
    match error {
        StoreError::Held(_) | StoreError::Lost(_) => failure.untold(),
        _ => failure,
    }
}

/// The breaks of a day were requested, but it was never published.
pub fn not_published(job: &Job, lake: &Lake, date: NaiveDate) -> Failure {
    missing(job, lake, date, format!("no breaks are published for {date}"))
}

/// A day is to be verified, but nothing of it was published.
pub fn nothing_published(job: &Job, lake: &Lake, date: NaiveDate) -> Failure {
    missing(job, lake, date, format!("nothing is published for {date}: there is nothing to verify"))
}

fn missing(job: &Job, lake: &Lake, date: NaiveDate, what: String) -> Failure {
    if let Some(first) = job.first_date.filter(|first| date < *first) {
        let hint = format!("the job begins with {first} (`job.first_date`): no day before it is run");
        return Failure::new(ExitCode::Usage, what).hinting(hint);
    }
    let failure = Failure::new(ExitCode::TryLater, what);
    match lake.latest_before(Break::DATASET, NaiveDate::MAX) {
        Ok(Some(latest)) => failure.hinting(format!("run that date first; the latest published is {}", latest.date)),
        _ => failure.hinting("run that date first; `job.lake` has no published day yet"),
    }
}

/// The exit code for an error of the bucket.
pub(super) fn store_code(error: &StoreError) -> ExitCode {
    match error {
        StoreError::Remote { cause, .. } => match cause {
            Cause::NoBucket | Cause::Unsupported => ExitCode::Usage,
            Cause::Refused | Cause::Skewed => ExitCode::Rejected,
            Cause::Conflict => ExitCode::TryLater,
            Cause::NotFound | Cause::Unreachable | Cause::Local | Cause::Other => ExitCode::Unavailable,
        },
        StoreError::Disk { source, .. } => code_of_disk(source),
        StoreError::ForeignFolder { .. } => ExitCode::Usage,
        StoreError::Held(_) | StoreError::Lost(_) => ExitCode::TryLater,
    }
}

fn is_of_store(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<StoreError>())
}

/// The disk failed between two files of a publication.
pub(super) fn unpublished(error: &io::Error) -> Failure {
    if is_of_store(error) {
        return disk(error, "cannot publish");
    }
    if error.kind() == io::ErrorKind::InvalidData {
        // The error has its own hint; trying later would not help.
        return Failure::caused_by(ExitCode::Violation, "cannot complete what a run that died was publishing", error);
    }
    refused(Some(error), "cannot publish", error, "the next run first completes what was begun")
}

/// A journal that cannot be read.
pub(super) fn unreadable_journal(error: &JournalError) -> Failure {
    Failure::caused_by(ExitCode::Violation, "cannot read the journal", error)
}

/// The journal could not be written.
pub(super) fn unjournalled(error: &JournalError) -> Failure {
    unkept(error, "cannot write the journal; nothing was published")
}

/// The mark before a call, or the answer to it, could not be written.
pub(super) fn call_unkept(error: &JournalError) -> Failure {
    unkept(error, "cannot record the outcome of the calls; none was made after those reported above")
}

fn unkept(error: &JournalError, what: &str) -> Failure {
    if let JournalError::Io { source, .. } = error
        && is_of_store(source)
    {
        return disk(source, what);
    }
    let refusal = match error {
        JournalError::Io { source, .. } => Some(source),
        _ => None,
    };
    refused(refusal, what, error, "what is journalled is kept")
}

/// Rows could not be staged, because of the disk or because of the rows.
pub(super) fn unstaged(error: &PartitionError) -> Failure {
    if !error.is_of_the_disk() {
        return violated(error);
    }
    let what = "cannot stage what was to be published; nothing was published";
    refused(durable::refusal(error).as_ref(), what, error, "what is journalled is kept")
}

/// The match could not be completed, because of the disk or because of its input.
pub(super) fn unmatched(error: &ReconcileError) -> Failure {
    match error {
        ReconcileError::Partition(error) => unstaged(error),
        ReconcileError::Scratch { source } => {
            disk(source, "cannot write the scratch files of the match; nothing was published")
        }
        ReconcileError::ScriptNotRun { .. } => {
            Failure::new(ExitCode::TryLater, format!("{error}; nothing was published"))
                .hinting("`spark-submit` the script that `--emit-script` wrote; `--wait 2h` waits for its end")
                .untold()
        }
        ReconcileError::OtherScript { .. } => Failure::new(ExitCode::Usage, format!("{error}; nothing was published"))
            .hinting("the night, its rules or its sources have changed since: write the script again and run it"),
        ReconcileError::WritesElsewhere { .. } => {
            Failure::new(ExitCode::Usage, format!("{error}; nothing was published"))
                .hinting("`job.lake` names the lake, `engine.shared_mount` says that it is mounted everywhere")
        }
        #[cfg(feature = "spark")]
        ReconcileError::Cluster(error) => unclustered(error),
        error => violated(error),
    }
}

/// The cluster failed: nothing is published.
#[cfg(feature = "spark")]
pub(super) fn unclustered(error: &SparkError) -> Failure {
    let (code, hint) = match error {
        SparkError::Unreachable { .. } => (
            ExitCode::Unavailable,
            "`engine.remote` must name a running Spark Connect server; `--engine polars` needs none",
        ),
        SparkError::Untrusted { .. } => (
            ExitCode::Unavailable,
            "the authority of the cluster must be among those this machine trusts; `SSL_CERT_FILE` names a file of \
             PEM certificates in their place, for all hosts of the night",
        ),
        SparkError::Denied { .. } => {
            (ExitCode::Rejected, "`engine.token_env` or `engine.token_file` must give the token the server knows")
        }
        SparkError::Late { .. } => (
            ExitCode::TryLater,
            "give the cluster more executors, or the query more time: `engine.query_timeout_seconds`",
        ),
        SparkError::Cut { .. } => (
            ExitCode::Usage,
            "start the Connect server with `--conf spark.connect.execute.reattachable.senderMaxStreamDuration=0`, or \
             give the cluster more executors",
        ),
        SparkError::Failed { .. } | SparkError::Unreadable { .. } => {
            (ExitCode::Unavailable, "the cluster's own log says more; nothing was published, run again")
        }
    };
    Failure::caused_by(code, "the cluster failed; nothing was published", error).hinting(hint)
}

/// A contract or control total is violated, unless the disk is the cause.
pub(super) fn violated(error: &(dyn Error + 'static)) -> Failure {
    match durable::refusal(error) {
        None => Failure::caused_by(
            ExitCode::Violation,
            "the data of the night contradict each other or their contract",
            error,
        ),
        refusal => {
            let what = "cannot write the working files of the night; nothing was published";
            refused(refusal.as_ref(), what, error, "what is journalled is kept")
        }
    }
}

/// The decisions file is invalid.
pub(super) fn undecided(error: &dyn Error) -> Failure {
    Failure::caused_by(ExitCode::Malformed, "the decisions cannot be used", error)
        .hinting("`decisions.path` names the file; `coupon-recon breaks` shows the break_id of each break")
}

/// The decisions file is gone or empty although decisions were in force.
pub(super) fn decisions_lost(path: &Path, decided: usize) -> Failure {
    let decided = counted(
        decided,
        "break of the last published day was decided",
        "breaks of the last published day were decided",
    );
    let what = format!("`{}` is missing or empty, although {decided}", path.display());
    Failure::new(ExitCode::Malformed, what)
        .hinting("restore the file; if no decision is to apply any more, keep only its first line (break_id,decision,reason,approver,expires_on)")
}

/// Separates errors of the decisions file, which people write, from those of our own data.
pub(super) fn unjudgeable(error: ReconcileError) -> Failure {
    match &error {
        ReconcileError::Decision(decision) => undecided(decision),
        ReconcileError::Partition(error) => unstaged(error),
        ReconcileError::Scratch { source } => {
            disk(source, "cannot write the scratch files of the rules; nothing was published")
        }
        #[cfg(feature = "spark")]
        ReconcileError::Cluster(error) => unclustered(error),
        _ => violated(&error),
    }
}

/// Converts a failure that withdraws the night into the issue that its manifest and summary show; any other is passed
/// on as it is.
pub(super) fn issue_of(failure: Failure) -> Result<Issue, Failure> {
    let kind = match failure.code {
        ExitCode::Violation => IssueKind::Violation,
        ExitCode::Malformed => IssueKind::Malformed,
        _ => return Err(failure),
    };
    Ok(Issue { kind, what: failure.in_one_line(), hint: failure.hint })
}

/// A rule file is invalid.
pub(super) fn rules_wrong(error: ReconcileError) -> Failure {
    Failure::caused_by(ExitCode::Usage, "the rules cannot be used", &error)
        .hinting("`coupon-recon rules list` shows those that come with the program; `rules.folders` names your own")
}

#[cfg(test)]
mod tests {
    use arrow::error::ArrowError;
    use parquet::errors::ParquetError;

    use super::*;
    use crate::causes;
    use crate::http::HttpSetupError;

    fn of_the_system(code: i32) -> io::Error {
        io::Error::from_raw_os_error(code)
    }

    #[test]
    fn a_full_disk_is_for_later_and_a_closed_one_is_the_job_files_fault() {
        // ENOSPC, EDQUOT, EFBIG, EIO, ENOMEM; EACCES, EROFS, ENOTDIR, EISDIR, EEXIST.
        for (codes, wanted) in [([28, 122, 27, 5, 12], ExitCode::TryLater), ([13, 30, 20, 21, 17], ExitCode::Usage)] {
            for code in codes {
                let failure = disk(&of_the_system(code), "cannot write");
                assert_eq!(failure.code, wanted, "{code}");
                assert!(failure.hint.unwrap().contains("`job.lake`"), "{code}");
            }
        }
        let hint = disk(&of_the_system(24), "cannot write").hint.unwrap();
        assert!(hint.contains("`ulimit -n`") && !hint.contains("make room"), "{hint}");
        assert!(temporary(&of_the_system(28), "cannot read").hint.unwrap().contains("`TMPDIR`"));
    }

    #[test]
    fn a_certificate_that_cannot_be_read_is_told_with_what_the_reader_says() {
        let error = reqwest::Identity::from_pem(b"no certificate").unwrap_err();
        let causes = causes::in_one_line(&error);
        let failure = unusable_keys(&SetupError::Http(HttpSetupError::Identity(error)));
        assert_eq!(failure.causes.join(": "), causes);
    }

    #[test]
    fn the_systems_answer_is_told_once_and_with_its_path() {
        let path = || "some/file".into();
        let of_journal = JournalError::Io { path: path(), source: of_the_system(28) };
        let of_store = StoreError::Disk { path: path(), source: of_the_system(28) };
        for failure in [unjournalled(&of_journal), store_failed(&of_store, "cannot publish")] {
            let told = failure.in_one_line();
            assert_eq!(told.matches("(os error 28)").count(), 1, "{told}");
            assert!(told.contains("`some/file`"), "{told}");
        }
    }

    #[test]
    fn what_is_published_is_not_called_damaged_where_reading_it_lacks_room_or_files() {
        for (code, word) in [(24, "`ulimit -n`"), (23, "`fs.file-max`"), (28, "`TMPDIR`"), (122, "`TMPDIR`")] {
            let failure = unread(&io::Error::other(of_the_system(code)), "cannot read");
            assert_eq!(failure.code, ExitCode::TryLater, "{code}");
            assert!(failure.hint.unwrap().contains(word), "{code}");
        }
        for damaged in [of_the_system(5), of_the_system(2), io::Error::other("torn")] {
            let failure = unread(&damaged, "cannot read");
            assert_eq!((failure.code, failure.hint), (ExitCode::Violation, None), "{damaged}");
        }
    }

    /// The failure of a rule that runs into `error`.
    fn judged(error: ArrowError) -> ReconcileError {
        let rules = crate::reconcile::rules::Rules::load(&[]).unwrap();
        ReconcileError::Shape { what: "PM02".to_owned(), source: Box::new(error) }.in_rule(rules.find("PM02").unwrap())
    }

    #[test]
    fn a_publication_that_nobody_can_complete_is_not_for_later() {
        let damaged = io::Error::new(io::ErrorKind::InvalidData, "`j.publishing.json` is not readable: remove it");
        let failure = unpublished(&damaged);
        assert_eq!((failure.code, failure.hint), (ExitCode::Violation, None));
        assert_eq!(unpublished(&of_the_system(28)).code, ExitCode::TryLater);
    }

    #[test]
    fn the_disk_is_no_violation_wherever_it_says_no() {
        let scratch = || ReconcileError::Scratch { source: of_the_system(28) };
        assert_eq!(unjudgeable(scratch()).code, ExitCode::TryLater);
        assert_eq!(unmatched(&scratch()).code, ExitCode::TryLater);
        let path = "part-0.parquet".into();
        let open = PartitionError::Open { path, source: of_the_system(28) };
        assert_eq!(violated(&open).code, ExitCode::TryLater);
        assert_eq!(
            unjudgeable(judged(ArrowError::from(ParquetError::from(of_the_system(28))))).code,
            ExitCode::TryLater
        );
        assert_eq!(unjudgeable(judged(ArrowError::ParquetError("torn".into()))).code, ExitCode::Violation);
        assert_eq!(violated(&of_the_system(2)).code, ExitCode::Violation);
    }
}
