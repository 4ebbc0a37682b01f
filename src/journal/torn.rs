//! Sets damaged files of a stage aside, in its folder `torn/`. Deletes none: somebody may want to see what happened.

use std::path::{Path, PathBuf};

use super::error::{JournalError, io_error};
use crate::durable;

/// Moves a file to `torn/` in `stage`, the folder of its stage; returns where it is now.
pub(super) fn set_aside(stage: &Path, path: &Path) -> Result<PathBuf, JournalError> {
    let torn = stage.join("torn");
    durable::create_private_folder(&torn).map_err(|source| io_error(&torn, source))?;
    let to = torn.join(path.file_name().expect("a file of the journal has a name"));
    durable::move_file(path, &to).map_err(|source| io_error(path, source))?;
    Ok(to)
}
