//! The results of a script: one folder with Parquet parts per query of the night. Accepted only from exactly the script that
//! this night would write, and only after it ran to its end.

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use serde::Deserialize;

use super::gather::{open, parts_of};
use super::place::Place;
use super::script::{END, LEDGER, Script};
use super::{Replies, rows};
use crate::contract::ColumnKind::Text;
use crate::reconcile::error::ReconcileError;

/// The results of a script.
#[derive(Debug)]
pub struct ScriptResults {
    /// Has one folder per result.
    answers: PathBuf,
}

/// What a script writes at its end.
#[derive(Debug, Deserialize)]
struct End {
    script_sha256: String,
}

impl ScriptResults {
    /// Opens the results of `script`, at the place that the cluster and we share.
    ///
    /// # Errors
    /// It has not run to its end, or another script has.
    pub fn open(script: &Script, place: &Place) -> Result<ScriptResults, ReconcileError> {
        let answers = script.answers.clone();
        place.bring(&answers)?;
        let mut left = ScriptResults { answers };
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

impl Replies for ScriptResults {
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

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray};
    use parquet::arrow::ArrowWriter;

    use super::*;

    /// The results in a folder whose scripts wrote these digests at their end.
    fn opened(lake: &Path, script: &Script, ends: &[&str]) -> Result<ScriptResults, ReconcileError> {
        let folder = script.answers.join(END);
        fs::create_dir_all(&folder).unwrap();
        let texts = |texts: &[&str]| Arc::new(StringArray::from(texts.to_vec())) as ArrayRef;
        let columns = [("script_sha256", texts(ends)), ("spark_version", texts(&vec!["4.3.0"; ends.len()]))];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let part = File::create(folder.join("part-00000.snappy.parquet")).unwrap();
        let mut writer = ArrowWriter::try_new(part, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        ScriptResults::open(script, &Place { root: lake.to_owned(), bucket: None })
    }

    #[test]
    fn only_the_very_script_that_ran_to_its_end_is_believed() {
        let lake = tempfile::tempdir().unwrap();
        let script = Script { text: "spark".to_owned(), answers: lake.path().join("answers") };
        let nothing = ScriptResults::open(&script, &Place { root: lake.path().to_owned(), bucket: None });
        assert!(matches!(nothing, Err(ReconcileError::ScriptNotRun { .. })));
        assert!(matches!(opened(lake.path(), &script, &[]), Err(ReconcileError::ScriptNotRun { .. })));
        assert!(matches!(opened(lake.path(), &script, &["0"]), Err(ReconcileError::OtherScript { .. })));
        let own = script.sha256();
        assert!(matches!(opened(lake.path(), &script, &[&own, &own]), Err(ReconcileError::OtherScript { .. })));
        let mut left = opened(lake.path(), &script, &[&own]).unwrap();
        assert!(matches!(left.reply("AO01", ""), Err(ReconcileError::Lost { .. })), "an answer that is not there");
    }
}
