//! The result of a stage: its rows, inputs and issues.

use std::collections::BTreeMap;

use super::issue::Issue;
use crate::dataset::manifest::Intake;

/// The result of a stage.
#[derive(Debug)]
pub struct Harvest<T> {
    /// The rows.
    pub rows: T,
    /// Why the rows are incomplete, if they are.
    pub issues: Vec<Issue>,
    /// Counts for the manifest.
    pub notes: BTreeMap<String, u64>,
    /// Control totals of the datasets; `published` is filled in when they are staged.
    pub intake: Vec<Intake>,
    /// Digests of the inputs of the rows.
    pub inputs: Vec<(String, String)>,
}

impl<T> Harvest<T> {
    pub(super) fn complete(rows: T) -> Harvest<T> {
        Harvest { rows, issues: Vec::new(), notes: BTreeMap::new(), intake: Vec::new(), inputs: Vec::new() }
    }

    /// The same, incomplete because a stage failed that this one builds on; the hint is given there.
    #[must_use]
    pub fn lacking(mut self, issue: Option<&Issue>) -> Harvest<T> {
        self.issues.extend(issue.map(|issue| Issue { hint: None, ..issue.clone() }));
        self
    }

    pub(super) fn noting(mut self, name: &str, count: usize) -> Harvest<T> {
        if count > 0 {
            self.notes.insert(name.to_owned(), count as u64);
        }
        self
    }
}
