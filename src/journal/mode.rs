//! How a run uses the journal.

/// How a run uses the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Requests only what is not there yet.
    Resume,
    /// Requests everything again, into a new generation.
    Refetch,
    /// Sends no requests.
    Replay,
    /// Sends no requests, writes nothing, and accepts that there may be no journal: a dry run.
    Peek,
}

impl Mode {
    /// Whether no requests are sent and no file of the journal is moved or created.
    pub fn is_read_only(self) -> bool {
        matches!(self, Mode::Replay | Mode::Peek)
    }
}
