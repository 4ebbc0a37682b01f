//! One run at a time per lake and job: a kernel lock that is released when its holder ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::durable::with_path;

/// Held as long as the run lives.
#[derive(Debug)]
pub struct LakeLock {
    file: File,
}

/// Why the lock could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another run holds it.
    #[error("another run holds the lake: {0}")]
    Held(String),
    /// The lock file is not accessible.
    #[error("the lock file cannot be used")]
    Io(#[from] io::Error),
}

impl LakeLock {
    /// Takes the lock at `path`, or fails with the name of its holder; `holder` is written for the next
    /// one to read.
    pub fn take(path: &Path, holder: &str) -> Result<LakeLock, LockError> {
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .map_err(with_path(path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held(read_holder(&mut file).map_err(with_path(path))?));
            }
            Err(TryLockError::Error(error)) => return Err(LockError::Io(with_path(path)(error))),
        }
        write_holder(&mut file, holder).map_err(with_path(path))?;
        Ok(LakeLock { file })
    }

    /// Identifies the lock itself rather than its holder: this boot of this machine, and the file. Two
    /// processes with the same identity held the lock one after the other. `None` where the system has no
    /// boot id.
    pub fn identity(&self) -> Option<String> {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let metadata = self.file.metadata().ok()?;
        Some(format!("{}:{}:{}", boot.trim(), metadata.dev(), metadata.ino()))
    }
}

fn write_holder(file: &mut File, holder: &str) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(holder.as_bytes())
}

fn read_holder(file: &mut File) -> io::Result<String> {
    let mut holder = String::new();
    file.read_to_string(&mut holder)?;
    Ok(if holder.is_empty() { "a run that has just begun".to_owned() } else { holder })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_run_is_told_who_holds_the_lock_and_a_dead_holder_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("job.lock");
        let first = LakeLock::take(&path, "process 7 since noon").unwrap();
        let refused = LakeLock::take(&path, "process 8").unwrap_err();
        assert_eq!(refused.to_string(), "another run holds the lake: process 7 since noon");
        drop(first);
        LakeLock::take(&path, "process 8").unwrap();
    }
}
