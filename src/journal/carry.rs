//! What a new generation takes over from the previous one: whole stages that are not requested again. Their files never
//! change, so both generations may share them. Requests nothing and reads no page.

use std::fs;
use std::io;
use std::path::Path;

use crate::durable;

/// Builds a generation at `beside` from the stages of `from` that `is_kept` accepts, and moves it to `to`. A crash
/// leaves nothing at `to`.
pub(super) fn carry(from: &Path, to: &Path, beside: &Path, is_kept: &dyn Fn(&str) -> bool) -> io::Result<()> {
    match fs::remove_dir_all(beside) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        removed => removed?,
    }
    durable::create_private_folder(beside)?;
    for stage in fs::read_dir(from)? {
        let stage = stage?;
        if is_kept(&stage.file_name().to_string_lossy()) && stage.file_type()?.is_dir() {
            carry_folder(&stage.path(), &beside.join(stage.file_name()))?;
        }
    }
    match durable::place_folder(beside, to)? {
        true => Ok(()),
        false => Err(io::Error::from(io::ErrorKind::Unsupported)),
    }
}

/// Links segments and kept files; torn or unfinished files are left behind.
fn carry_folder(from: &Path, to: &Path) -> io::Result<()> {
    durable::create_private_folder(to)?;
    for entry in fs::read_dir(from)? {
        let (entry, is_folder) = entry.and_then(|entry| entry.file_type().map(|kind| (entry, kind.is_dir())))?;
        let (path, place) = (entry.path(), to.join(entry.file_name()));
        if is_folder && entry.file_name() == "files" {
            carry_folder(&path, &place)?;
        } else if !is_folder && path.extension().is_none_or(|it| it != "staged") {
            carry_file(&path, &place)?;
        }
    }
    durable::sync_folder(to)
}

/// A hard link, or a copy where the file system has no hard links.
fn carry_file(from: &Path, to: &Path) -> io::Result<()> {
    if fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    fs::copy(from, to)?;
    fs::File::open(to)?.sync_all()
}
