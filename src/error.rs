//! How the program fails: an exit code of the documented table, a chain of causes and a hint.
//! Collects the errors of the other modules, none of which depends on it.

use std::error::Error;
use std::fmt;

/// The exit codes (design §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i32)]
pub enum ExitCode {
    /// Complete and published.
    Complete = 0,
    /// Usage or job file wrong.
    Usage = 2,
    /// Open breaks over the stated limit.
    Gate = 3,
    /// Some stage failed, the rest is published and marked so.
    Partial = 4,
    /// Contract or control total violated; nothing published.
    Violation = 5,
    /// An export file is malformed.
    Malformed = 65,
    /// Remote APIs unavailable, nothing could be published.
    Unavailable = 69,
    /// A source is not ready, the disk is full, or another run holds the lock: try again later.
    TryLater = 75,
    /// Credentials, certificate or signature rejected.
    Rejected = 77,
    /// Nothing to do.
    NothingToDo = 99,
    /// Interrupted by Ctrl-C; the journal is kept.
    Interrupted = 130,
    /// Terminated, or its terminal hung up; the journal is kept.
    Terminated = 143,
}

/// The table as `--help` prints it.
pub const EXIT_CODE_TABLE: &str = "\
Exit codes:
  0    complete and published (breaks found are a result, not a failure)
  2    wrong usage or job file
  3    gate: open breaks exceed the stated limit
  4    partial: a stage failed; the rest is published and marked as partial
  5    contract or control total violated; nothing published
  65   an export file is malformed
  69   remote APIs unavailable and nothing could be published
  75   a source is not ready, a quota is used up, the disk is full, or another run holds the lock: try again later
  77   credentials, certificate or signature rejected
  99   nothing to do
  130  interrupted (143: terminated, or its terminal hung up): the journal is kept, and a rerun continues";

/// Why the program ends without doing what was requested.
#[derive(Debug)]
pub struct Failure {
    /// The exit code of the process.
    pub code: ExitCode,
    /// What failed.
    pub what: String,
    /// Why, outermost first.
    pub causes: Vec<String>,
    /// What to change, naming the job-file key.
    pub hint: Option<String>,
    /// True when observers are not notified: another run holds what this one needed and notifies them, or the lake, where what
    /// they were told is kept, is another job's.
    pub is_untold: bool,
}

impl Failure {
    /// A failure described by one sentence.
    pub fn new(code: ExitCode, what: impl Into<String>) -> Failure {
        Failure { code, what: what.into(), causes: Vec::new(), hint: None, is_untold: false }
    }

    /// A failure caused by an error, with the error's own causes.
    pub fn caused_by(code: ExitCode, what: impl Into<String>, error: &dyn Error) -> Failure {
        Failure { causes: chain(Some(error)), ..Failure::new(code, what) }
    }

    /// A failure described by an error and its causes.
    pub fn of_error(code: ExitCode, error: &dyn Error) -> Failure {
        Failure { causes: chain(error.source()), ..Failure::new(code, error.to_string()) }
    }

    /// What failed and why, without the hint.
    pub fn in_one_line(&self) -> String {
        self.causes.iter().fold(self.what.clone(), |told, cause| format!("{told}: {cause}"))
    }

    /// Marks a failure that observers are not notified of.
    #[must_use]
    pub fn untold(self) -> Failure {
        Failure { is_untold: true, ..self }
    }

    /// Adds a hint.
    #[must_use]
    pub fn hinting(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a hint, if there is one.
    #[must_use]
    pub fn with_hint(self, hint: Option<String>) -> Failure {
        Failure { hint: hint.or(self.hint), ..self }
    }
}

/// An error and its causes, outermost first.
fn chain(error: Option<&dyn Error>) -> Vec<String> {
    std::iter::successors(error, |&error| error.source()).map(ToString::to_string).collect()
}

impl fmt::Display for Failure {
    /// `error: …`, `  caused by: …`, `hint: …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.what)?;
        for cause in &self.causes {
            write!(f, "\n  caused by: {cause}")?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_reads_what_why_and_what_to_do() {
        let cause = std::io::Error::other("disk full");
        let failure = Failure::caused_by(ExitCode::Partial, "cannot publish", &cause).hinting("make room");
        assert_eq!(failure.to_string(), "error: cannot publish\n  caused by: disk full\nhint: make room");
    }

    #[test]
    fn the_table_names_every_code() {
        use ExitCode::*;
        let codes =
            [Complete, Usage, Gate, Partial, Violation, Malformed, Unavailable, TryLater, Rejected, NothingToDo];
        for code in codes.into_iter().chain([Interrupted, Terminated]) {
            assert!(EXIT_CODE_TABLE.contains(&(code as i32).to_string()), "{code:?}");
        }
    }
}
