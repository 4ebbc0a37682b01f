//! Where a break stands, in the words of the dataset.

/// Where a break stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
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

impl Status {
    /// As in the dataset.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Expected => "expected",
            Status::New => "new",
            Status::Open => "open",
            Status::Resolved => "resolved",
            Status::Reopened => "reopened",
            Status::Accepted => "accepted",
            Status::WrittenOff => "written_off",
        }
    }

    /// Reads the dataset's word. One this version does not know is taken as open: nothing disappears.
    pub fn of(text: &str) -> Status {
        match text {
            "expected" => Status::Expected,
            "new" => Status::New,
            "resolved" => Status::Resolved,
            "reopened" => Status::Reopened,
            "accepted" => Status::Accepted,
            "written_off" => Status::WrittenOff,
            _ => Status::Open,
        }
    }

    /// Whether it counts as open (design §7): new, open or reopened.
    pub fn is_open(self) -> bool {
        matches!(self, Status::New | Status::Open | Status::Reopened)
    }
}
