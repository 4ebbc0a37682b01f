//! How a night ended, for whoever started it.

use std::path::PathBuf;

use crate::dataset::manifest::Manifest;
use crate::error::ExitCode;
use crate::extract::Issue;
use crate::record::Break;

/// How a night ended.
#[derive(Debug)]
pub struct NightOutcome {
    /// What the shell sees.
    pub code: ExitCode,
    /// Where the manifest stands: a path, or the URL of its object.
    pub manifest_path: PathBuf,
    /// Its content.
    pub manifest: Manifest,
    /// Breaks of the day; empty when nothing was judged.
    pub breaks: Vec<Break>,
    /// Why it is not complete.
    pub issues: Vec<Issue>,
}
