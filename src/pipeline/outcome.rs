//! The result of a night, for its caller.

use std::path::PathBuf;

use super::unit_counts::UnitCounts;
use crate::dataset::manifest::Manifest;
use crate::error::ExitCode;
use crate::extract::Issue;
use crate::reconcile::BreakFigures;
use crate::reconcile::rules::Rules;

/// The result of a night.
#[derive(Debug)]
pub struct NightOutcome {
    /// The exit code of the process.
    pub code: ExitCode,
    /// Where the manifest is: a path, or the URL of its object.
    pub manifest_path: PathBuf,
    /// Its content.
    pub manifest: Manifest,
    /// The breaks of the day, counted; none when no rules were run.
    pub breaks: BreakFigures,
    /// How their amounts relate to those of the bill.
    pub(super) units: UnitCounts,
    /// The rules of the night.
    pub(super) rules: Rules,
    /// Why the night is incomplete.
    pub issues: Vec<Issue>,
}
