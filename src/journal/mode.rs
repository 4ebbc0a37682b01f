//! How a run uses the journal.

/// How a run treats what is journalled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Ask only what is not there yet.
    Resume,
    /// Ask everything again, in a new generation.
    Refetch,
    /// Ask nothing.
    Replay,
    /// Ask nothing, write nothing, and mind nothing that is not there: a dry run.
    Peek,
}

impl Mode {
    /// Whether nothing is asked and no file of the journal is moved or made.
    pub fn is_read_only(self) -> bool {
        matches!(self, Mode::Replay | Mode::Peek)
    }
}
