//! The names of the files from which the orders of the look-back come: reads only that column, since there
//! are few names among many lines.

use std::collections::BTreeSet;

use chrono::NaiveDate;

use crate::dataset::columns::row_type;
use crate::reconcile::basis::files::DayFiles;
use crate::reconcile::error::ReconcileError;
use crate::reconcile::rows::cursor::Cursor;

row_type! {
    SourceRow of SourceColumns {
        source_file: text,
    }
}

/// The names of the exports whose lines were published from `from` up to D, each once.
pub(in crate::reconcile) fn source_files(
    files: &DayFiles,
    from: NaiveDate,
) -> Result<BTreeSet<String>, ReconcileError> {
    let mut found = BTreeSet::new();
    for (_, path) in files.window("orders", from) {
        let mut lines = Cursor::<SourceColumns>::open("orders", Some(path))?;
        while let Some(line) = lines.peek() {
            if !found.contains(line.source_file) {
                found.insert(line.source_file.to_owned());
            }
            lines.advance()?;
        }
    }
    Ok(found)
}
