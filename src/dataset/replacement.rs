//! One partition takes the place of another. One file takes it by one rename. Where either has more, its folder is made
//! ready beside and the folders are exchanged: who lists the day finds the old one or the new one. Where that cannot
//! be (a bucket, a file system without such an exchange), the day is withdrawn first: while it has no `_SUCCESS`, it
//! may be of two versions.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::publish::{StagedFile, same_bytes};
use super::{Lake, parts};
use crate::durable;

/// A zero-byte file beside the parts: some readers choke on one with content.
const MARKER: &str = "_SUCCESS";

/// A staged partition and the place it takes.
pub(super) struct Replacement<'a> {
    pub(super) lake: &'a Lake,
    /// The first file as it is staged; nothing but parts lies beside it.
    pub(super) staged: PathBuf,
    /// The first file as it is published.
    pub(super) published: PathBuf,
    /// What will stand, part after part.
    pub(super) files: &'a [StagedFile],
}

impl Replacement<'_> {
    /// Makes the staged partition visible. One that is published already, byte for byte, is left alone.
    pub(super) fn make(&self) -> io::Result<()> {
        let before = parts::present(folder_of(&self.published))?;
        if !self.stands(&before)? && !self.exchange(&before)? {
            self.move_each(&before)?;
        }
        // A day counts by its first part: that comes last.
        (0..self.files.len()).rev().try_for_each(|number| self.lake.put(&parts::path(&self.published, number)))?;
        let marker = self.marker();
        if !marker.exists() {
            durable::mark(&marker)?;
        }
        self.lake.put(&marker)
    }

    fn stands(&self, before: &BTreeSet<usize>) -> io::Result<bool> {
        if !before.iter().copied().eq(0..self.files.len()) {
            return Ok(false);
        }
        for (number, file) in self.files.iter().enumerate() {
            if !same_bytes(&parts::path(&self.published, number), file)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// One rename of a folder, where one of a file is not enough. False where it cannot be.
    fn exchange(&self, before: &BTreeSet<usize>) -> io::Result<bool> {
        let (from, to) = (folder_of(&self.staged), folder_of(&self.published));
        let is_whole = parts::present(from)?.into_iter().eq(0..self.files.len());
        if self.is_of_one_file(before) || self.lake.bucket().is_some() || !is_whole || holds_others(to)? {
            return Ok(false);
        }
        durable::mark(&from.join(MARKER))?;
        if let Ok(metadata) = fs::metadata(to) {
            fs::set_permissions(from, metadata.permissions())?;
        }
        durable::create_folder(to.parent().expect("a day is in its dataset"))?;
        durable::place_folder(from, to)
    }

    /// Part by part: whoever reads a day without `_SUCCESS` may see two versions of it.
    fn move_each(&self, before: &BTreeSet<usize>) -> io::Result<()> {
        durable::create_folder(folder_of(&self.published))?;
        if !self.is_of_one_file(before) {
            self.withdraw(before)?;
        }
        for number in (0..self.files.len()).rev() {
            let staged = parts::path(&self.staged, number);
            // Those that are not staged any more were moved by a run that died.
            if staged.exists() {
                durable::move_file(&staged, &parts::path(&self.published, number))?;
            }
        }
        Ok(())
    }

    /// Takes back the marker and the parts there will not be any more.
    fn withdraw(&self, before: &BTreeSet<usize>) -> io::Result<()> {
        self.lake.remove(&self.marker())?;
        let surplus = before.range(self.files.len()..).rev();
        surplus.copied().try_for_each(|number| self.lake.remove(&parts::path(&self.published, number)))
    }

    /// Whether one rename of a file does it all.
    fn is_of_one_file(&self, before: &BTreeSet<usize>) -> bool {
        self.files.len() == 1 && before.iter().all(|number| *number == 0)
    }

    fn marker(&self) -> PathBuf {
        self.published.with_file_name(MARKER)
    }
}

/// What is not ours would be lost with the folder it lies in.
fn holds_others(folder: &Path) -> io::Result<bool> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        entries => entries?,
    };
    for entry in entries {
        let name = entry?.file_name();
        if name != MARKER && name.to_str().and_then(parts::number).is_none() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn folder_of(first: &Path) -> &Path {
    first.parent().expect("a partition has a folder")
}
