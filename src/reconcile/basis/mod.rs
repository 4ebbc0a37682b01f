//! What a night is judged on: the terms of its job, its rules, its files, and the decisions of people. Runs no query and
//! opens no partition.

pub(super) mod decisions;
pub(super) mod files;
pub(super) mod parameters;
pub(super) mod terms;

use std::path::Path;

use chrono::NaiveDate;

use super::rules::Rules;
use files::DayFiles;
use terms::Terms;

/// All that the names in a query stand for, wherever it runs.
#[derive(Debug, Clone, Copy)]
pub struct Basis<'a> {
    /// Of the job.
    pub terms: &'a Terms,
    /// Of the job, as they are tonight.
    pub rules: &'a Rules,
    /// Of the night and the days before it.
    pub files: &'a DayFiles,
}

impl<'a> Basis<'a> {
    /// The first day of the look-back.
    pub(super) fn lookback_start(self) -> NaiveDate {
        self.terms.rules.lookback_start(self.files.date)
    }

    /// The days of a dataset in the look-back, ascending.
    pub(super) fn history(self, dataset: &str) -> Vec<(NaiveDate, &'a Path)> {
        self.files.window(dataset, self.lookback_start())
    }
}
