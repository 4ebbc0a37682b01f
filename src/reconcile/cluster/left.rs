//! What a script left behind: below one folder an answer to each question of the night, as Parquet parts.
//! Taken only from the very script that this night would write, and only once it ran to its end.

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use serde::Deserialize;

use super::super::error::ReconcileError;
use super::super::site::Place;
use super::gather::{open, parts_of};
use super::script::{END, LEDGER, Script};
use super::{Replies, rows};
use crate::contract::ColumnKind::Text;

/// The answers of a script.
#[derive(Debug)]
pub struct Left {
    /// One folder per answer.
    answers: PathBuf,
}

/// What a script says of itself at its end.
#[derive(Debug, Deserialize)]
struct End {
    script_sha256: String,
}

impl Left {
    /// Opens the answers of `script`, where the cluster and we see them.
    ///
    /// # Errors
    /// It has not run to its end, or another one has.
    pub fn open(script: &Script, place: &Place) -> Result<Left, ReconcileError> {
        let answers = script.answers.clone();
        place.bring(&answers)?;
        let mut left = Left { answers };
        if parts_of(&left.answers.join(END))?.is_empty() {
            return Err(ReconcileError::ScriptNotRun { answers: left.answers });
        }
        let ends: Vec<End> = rows(&mut left, (END, ""), &[("script_sha256", Text), ("spark_version", Text)])?;
        match ends.as_slice() {
            [] => Err(ReconcileError::ScriptNotRun { answers: left.answers }),
            [end] if end.script_sha256 == script.sha256() => Ok(left),
            _ => Err(ReconcileError::OtherScript { answers: left.answers }),
        }
    }
}

impl Replies for Left {
    fn reply(&mut self, name: &str, _: &str) -> Result<Vec<RecordBatch>, ReconcileError> {
        let parts = parts_of(&self.answers.join(name))?;
        if parts.is_empty() {
            return Err(ReconcileError::Lost { what: name.to_owned(), there: 1, came: 0 });
        }
        let read = parts.iter().map(|part| read(part)).collect::<Result<Vec<_>, _>>();
        Ok(read.map_err(ReconcileError::shape(name))?.into_iter().flatten().collect())
    }

    fn sorted_ledger(&mut self) -> Result<PathBuf, ReconcileError> {
        Ok(self.answers.join(LEDGER))
    }
}

fn read(part: &Path) -> Result<Vec<RecordBatch>, ArrowError> {
    open(part)?.build()?.collect()
}
