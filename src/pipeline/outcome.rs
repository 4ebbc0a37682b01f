//! The result of a night, for its caller.

use std::path::PathBuf;

use crate::dataset::manifest::Manifest;
use crate::error::ExitCode;
use crate::extract::Issue;
use crate::record::Break;

/// The result of a night.
#[derive(Debug)]
pub struct NightOutcome {
    /// The exit code of the process.
    pub code: ExitCode,
    /// Where the manifest is: a path, or the URL of its object.
    pub manifest_path: PathBuf,
    /// Its content.
    pub manifest: Manifest,
    /// Breaks of the day; empty when no rules were run.
    pub breaks: Vec<Break>,
    /// Why the night is incomplete.
    pub issues: Vec<Issue>,
}
