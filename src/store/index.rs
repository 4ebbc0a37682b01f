//! What the work folder knows about the bucket: of which version of each object its files are copies. If it is lost or torn,
//! that costs a download, never a wrong byte.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Object;
use super::transfer::STAGED;
use crate::durable;

/// Its name in the work folder; also identifies a folder as a work folder.
pub(super) const FILE_NAME: &str = "mirror.json";

/// Copies by key.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Index {
    /// The URL of the bucket and prefix.
    pub(super) url: String,
    /// The copied objects.
    pub(super) copies: BTreeMap<String, Copy>,
}

/// A file that is a copy of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Copy {
    /// The object's version.
    pub(super) etag: String,
    /// Size of the file.
    pub(super) bytes: u64,
    /// Modification time of the file, in nanoseconds.
    pub(super) written_ns: i128,
    /// Inode of the file.
    pub(super) inode: u64,
}

impl Copy {
    /// Describes the file at `path` as a copy of this version.
    pub(super) fn describe(path: &Path, etag: String) -> io::Result<Copy> {
        let metadata = fs::metadata(path)?;
        let written_ns = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
        Ok(Copy { etag, bytes: metadata.len(), written_ns, inode: metadata.ino() })
    }

    /// Whether the file at `path` is unchanged since it was copied.
    pub(super) fn is_untouched(&self, path: &Path) -> bool {
        Copy::describe(path, self.etag.clone()).is_ok_and(|now| now == *self)
    }
}

impl Index {
    /// An empty index of this bucket.
    pub(super) fn empty(url: &str) -> Index {
        Index { url: url.to_owned(), copies: BTreeMap::new() }
    }

    /// The index of `folder`; `None` when there is none. A torn one is empty, so that everything is downloaded again.
    pub(super) fn read(folder: &Path) -> io::Result<Option<Index>> {
        match fs::read(folder.join(FILE_NAME)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes).unwrap_or_default())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether `folder` has an unchanged copy of this version of the object.
    pub(super) fn is_current(&self, object: &Object, folder: &Path) -> bool {
        let copy = self.copies.get(&object.key).filter(|copy| copy.etag == object.etag);
        copy.is_some_and(|copy| copy.is_untouched(&folder.join(&object.key)))
    }

    /// Records the version of an object of which there is no copy.
    pub(super) fn note_version(&mut self, object: &Object) {
        let unread = Copy { etag: object.etag.clone(), bytes: 0, written_ns: 0, inode: 0 };
        self.copies.insert(object.key.clone(), unread);
    }

    /// Forgets what is below `folders` and not among the listed objects.
    pub(super) fn forget_all_but(&mut self, listed: &[Object], folders: &[&str]) {
        let listed: BTreeSet<&str> = listed.iter().map(|object| object.key.as_str()).collect();
        let is_below =
            |key: &str| folders.iter().any(|folder| key.strip_prefix(folder).is_some_and(|it| it.starts_with('/')));
        self.copies.retain(|key, _| !is_below(key) || listed.contains(key.as_str()));
    }

    /// Writes it to `folder`.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        // Two runs may open a folder at the same time, though only one will get the lock.
        let beside = folder.join(format!("{FILE_NAME}.{}{STAGED}", std::process::id()));
        durable::write_file(&folder.join(FILE_NAME), &beside, &serde_json::to_vec(self).map_err(io::Error::other)?)
    }
}
