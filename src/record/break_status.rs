//! The status of a break, as named in the dataset.

use serde::Deserialize;

use super::word::word;

/// The status of a break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(from = "String")]
pub enum BreakStatus {
    /// Seen, but data that may still explain it are not due yet.
    Expected,
    /// Due for the first time.
    New,
    /// Seen on an earlier night.
    Open,
    /// No longer seen.
    Resolved,
    /// Seen again after it was resolved.
    Reopened,
    /// A person decided to accept it.
    Accepted,
    /// A person decided to write the amount off.
    WrittenOff,
}

impl BreakStatus {
    /// The name in the dataset.
    pub fn as_str(self) -> &'static str {
        match self {
            BreakStatus::Expected => "expected",
            BreakStatus::New => "new",
            BreakStatus::Open => "open",
            BreakStatus::Resolved => "resolved",
            BreakStatus::Reopened => "reopened",
            BreakStatus::Accepted => "accepted",
            BreakStatus::WrittenOff => "written_off",
        }
    }

    /// Parses the name in the dataset. One that this version does not know counts as open, so that no
    /// break disappears.
    pub fn of(text: &str) -> BreakStatus {
        match text {
            "expected" => BreakStatus::Expected,
            "new" => BreakStatus::New,
            "resolved" => BreakStatus::Resolved,
            "reopened" => BreakStatus::Reopened,
            "accepted" => BreakStatus::Accepted,
            "written_off" => BreakStatus::WrittenOff,
            _ => BreakStatus::Open,
        }
    }

    /// Whether it counts as open (design §7): new, open or reopened.
    pub fn is_open(self) -> bool {
        matches!(self, BreakStatus::New | BreakStatus::Open | BreakStatus::Reopened)
    }

    /// Whether it is news tonight: new or reopened.
    pub fn is_news(self) -> bool {
        matches!(self, BreakStatus::New | BreakStatus::Reopened)
    }
}

word!(BreakStatus);
