//! Reports damage in a generation of the journal. Changes nothing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::generation::generation_name;
use super::{blob, segment};

/// A damaged file of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The stage it belongs to.
    pub stage: String,
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub what: &'static str,
}

/// Every damaged file of `generation` below `folder` (`journal/dt=D`).
///
/// # Errors
/// Folders or files that cannot be read.
pub fn audit(folder: &Path, generation: u32) -> io::Result<Vec<Damage>> {
    let mut damages = Vec::new();
    for stage in sorted(&folder.join(generation_name(generation)))? {
        let name = stage.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        for path in sorted(&stage)? {
            let what = damage_of(&path)?;
            damages.extend(what.map(|what| Damage { stage: name.clone(), path, what }));
        }
        for path in sorted(&stage.join("files"))? {
            // The rest of an interrupted download is overwritten by the next one.
            if path.extension().is_some_and(|it| it == "staged") || blob::is_sound(&path)? {
                continue;
            }
            damages.push(Damage {
                stage: name.clone(),
                path,
                what: "is not the file that was kept: its bytes changed",
            });
        }
    }
    Ok(damages)
}

fn damage_of(path: &Path) -> io::Result<Option<&'static str>> {
    if path.is_dir() || path.extension().is_some_and(|it| it == "staged") {
        return Ok(None);
    }
    Ok(match segment::soundness(path)? {
        None => Some("does not belong in the journal"),
        Some(false) => Some("is torn or was changed: length and checksum do not match its name"),
        Some(true) => None,
    })
}

fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        entries => entries?,
    };
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
