//! The result of a stage: its rows, inputs and issues.

use std::collections::BTreeMap;

use super::issue::Issue;
use crate::dataset::manifest::Intake;

/// What a stage brought home.
#[derive(Debug)]
pub struct Harvest<T> {
    /// The rows.
    pub rows: T,
    /// Why they are not complete, if they are not.
    pub issues: Vec<Issue>,
    /// Counts worth knowing.
    pub notes: BTreeMap<String, u64>,
    /// Control totals of the datasets the rows go to; `published` is for the one who publishes.
    pub intake: Vec<Intake>,
    /// Digest of what the rows were made of.
    pub inputs: Vec<(String, String)>,
}

impl<T> Harvest<T> {
    pub(super) fn complete(rows: T) -> Harvest<T> {
        Harvest { rows, issues: Vec::new(), notes: BTreeMap::new(), intake: Vec::new(), inputs: Vec::new() }
    }

    pub(super) fn noting(mut self, name: &str, count: usize) -> Harvest<T> {
        if count > 0 {
            self.notes.insert(name.to_owned(), count as u64);
        }
        self
    }
}
