//! The status of a run and of a stage, as named in the manifest.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    /// Everything is published.
    Complete,
    /// Something is missing from what is published.
    Partial,
    /// Nothing is published.
    Failed,
}

/// How a stage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StageStatus {
    /// All rows were obtained.
    Complete,
    /// Some rows are missing; the entry says why.
    Partial,
    /// No rows; the entry says why.
    Failed,
    /// The job has no source for it.
    Skipped,
}

impl RunStatus {
    /// The name in the manifest, messages and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            RunStatus::Complete => "complete",
            RunStatus::Partial => "partial",
            RunStatus::Failed => "failed",
        }
    }
}

impl StageStatus {
    /// The name in the manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            StageStatus::Complete => "complete",
            StageStatus::Partial => "partial",
            StageStatus::Failed => "failed",
            StageStatus::Skipped => "skipped",
        }
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for StageStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_written_as_it_is_told() {
        for status in [RunStatus::Complete, RunStatus::Partial, RunStatus::Failed] {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
        for status in [StageStatus::Complete, StageStatus::Partial, StageStatus::Failed, StageStatus::Skipped] {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
    }
}
