//! Where a break stands, in the words of the dataset.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use super::packed::{Cell, Unpacked};
use crate::sorter::{CellPacker, Unpacker};

/// Where a break stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(from = "String")]
pub enum BreakStatus {
    /// Seen, but data that may still explain it are not due yet.
    Expected,
    /// First night it is due.
    New,
    /// Seen before.
    Open,
    /// Gone by itself.
    Resolved,
    /// Resolved once, seen again tonight.
    Reopened,
    /// Somebody decided to live with it.
    Accepted,
    /// Somebody decided to write the money off.
    WrittenOff,
}

impl BreakStatus {
    /// As in the dataset.
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

    /// Reads the dataset's word. One this version does not know is taken as open: nothing disappears.
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

    /// Whether somebody hears of it for the first time tonight, or once more: new or reopened.
    pub fn is_news(self) -> bool {
        matches!(self, BreakStatus::New | BreakStatus::Reopened)
    }
}

impl fmt::Display for BreakStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for BreakStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl From<String> for BreakStatus {
    fn from(text: String) -> BreakStatus {
        BreakStatus::of(&text)
    }
}

impl Cell for BreakStatus {
    fn pack(&self, cells: &mut CellPacker<'_>) {
        cells.text(self.as_str());
    }
}

impl Unpacked<'_> for BreakStatus {
    type Owned = BreakStatus;

    fn unpack(cells: &mut Unpacker<'_>) -> BreakStatus {
        BreakStatus::of(cells.text())
    }

    fn own(self) -> BreakStatus {
        self
    }
}
