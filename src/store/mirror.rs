//! The work folder of a lake in a bucket: the engine works on its files, the bucket is the source of truth. What a night
//! needs is downloaded, what it makes is uploaded. A file here that the bucket does not have does not count.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use super::index::{Copy, FILE_NAME, Index};
use super::transfer::STAGED;
use super::{Cause, Lease, Object, Put, Store, StoreError};
use crate::causes::in_one_line;
use crate::durable;

/// Interval at which committed files of a night in progress are uploaded.
const TAIL_STEP: Duration = Duration::from_secs(1);

/// A work folder and its bucket.
#[derive(Debug)]
pub struct Mirror {
    store: Arc<Store>,
    folder: PathBuf,
    index: Mutex<Index>,
    lease: Mutex<Option<Lease>>,
}

impl Mirror {
    /// Makes `folder` the work folder of `store`, or opens it again.
    ///
    /// # Errors
    /// The folder belongs to another bucket, or contains files and is not a work folder: downloading a day removes what
    /// the bucket does not have, and no foreign files may be removed.
    pub fn open(store: Arc<Store>, folder: &Path) -> Result<Mirror, StoreError> {
        let disk = |source| StoreError::disk(folder, source);
        durable::create_private_folder(folder).map_err(disk)?;
        let index = match Index::read(folder).map_err(disk)? {
            Some(index) if index.url == store.url() => index,
            // Torn: no file is known to be a copy.
            Some(index) if index.url.is_empty() => Index::empty(store.url()),
            Some(index) => return Err(foreign(folder, format!("is the work folder of `{}`", index.url))),
            None if fs::read_dir(folder).map_err(disk)?.next().is_some() => {
                return Err(foreign(folder, format!("holds files but is not the work folder of `{}`", store.url())));
            }
            None => {
                let index = Index::empty(store.url());
                index.write(folder).map_err(disk)?;
                index
            }
        };
        Ok(Mirror { store, folder: folder.to_owned(), index: Mutex::new(index), lease: Mutex::default() })
    }

    /// The work folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The bucket.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// From now on uploads only while `lease` is held; `None`: the lease was released.
    pub fn guard(&self, lease: Option<Lease>) {
        *self.lease.lock().expect("no holder of this lock panics") = lease;
    }

    /// Makes the files below each of `folders` equal to the `wanted` ones in the bucket: current copies stay, others
    /// are downloaded, and what is not wanted or not in the bucket is removed.
    ///
    /// # Errors
    /// The bucket or the folder is not accessible.
    pub fn bring_in(
        &self,
        listed: &[Object],
        folders: &[&str],
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<(), StoreError> {
        let (wanted, others): (Vec<&Object>, Vec<&Object>) = listed.iter().partition(|object| wanted(&object.key));
        let mut index = self.index();
        let is_current = |object: &&Object| index.is_current(object, &self.folder);
        let (current, missing): (Vec<_>, Vec<_>) = wanted.into_iter().partition(is_current);
        let current: BTreeSet<&str> = current.iter().map(|object| object.key.as_str()).collect();
        for key in self.files_below(folders)?.iter().filter(|key| !current.contains(key.as_str())) {
            self.remove_file(&mut index, key)?;
        }
        self.download(&mut index, missing.iter().map(|object| object.key.clone()).collect())?;
        // Objects that are not wanted are recorded too: a put needs the version that it replaces.
        others.iter().for_each(|object| index.note_version(object));
        index.forget_all_but(listed, folders);
        self.write(&index)
    }

    /// Removes a file that is no copy of a wanted object.
    fn remove_file(&self, index: &mut Index, key: &str) -> Result<(), StoreError> {
        let path = self.folder.join(key);
        fs::remove_file(&path).map_err(|source| StoreError::disk(&path, source))?;
        index.copies.remove(key);
        Ok(())
    }

    /// Downloads objects, and records of which versions the files are copies.
    fn download(&self, index: &mut Index, keys: Vec<String>) -> Result<(), StoreError> {
        let wanted = keys.iter().map(|key| (key.clone(), self.folder.join(key))).collect();
        let etags = self.store.download(wanted)?;
        for (key, etag) in keys.into_iter().zip(etags) {
            let path = self.folder.join(&key);
            let copy = Copy::describe(&path, etag).map_err(|source| StoreError::disk(&path, source))?;
            index.copies.insert(key, copy);
        }
        Ok(())
    }

    /// Uploads a file of the work folder, unless the bucket has it already.
    ///
    /// # Errors
    /// The lease is lost, something else was written meanwhile, or the bucket is not accessible.
    pub fn put(&self, path: &Path) -> Result<(), StoreError> {
        let mut index = self.index();
        self.put_known(&mut index, path)?;
        self.write(&index)
    }

    /// Removes an object and then its file; either may be missing.
    ///
    /// # Errors
    /// The lease is lost, or the bucket is not accessible.
    pub fn remove(&self, path: &Path) -> Result<(), StoreError> {
        let mut index = self.index();
        self.check_lease()?;
        let key = self.key(path);
        self.store.remove(&key)?;
        match fs::remove_file(path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(StoreError::disk(path, source)),
            _ => index.copies.remove(&key),
        };
        self.write(&index)
    }

    /// Uploads every file below `folders` that is new or changed since its last upload, in order of names.
    ///
    /// # Errors
    /// As `put`; earlier uploads remain.
    pub fn put_below(&self, folders: &[&str]) -> Result<(), StoreError> {
        let mut index = self.index();
        let mut has_put = false;
        let mut put = || {
            for key in self.files_below(folders)? {
                let path = self.folder.join(key);
                // A file that was renamed meanwhile is found under its new name.
                if path.exists() {
                    has_put |= self.put_known(&mut index, &path)?;
                }
            }
            Ok(())
        };
        let result = put();
        // What was uploaded before an error remains.
        if has_put {
            self.write(&index)?;
        }
        result
    }

    /// The same for one folder, by its path.
    ///
    /// # Errors
    /// As `put_below`.
    pub fn put_folder(&self, folder: &Path) -> Result<(), StoreError> {
        self.put_below(&[&self.key(folder)])
    }

    /// Uploads committed files below `folders` about once a second, until the tail is dropped. Failed uploads are
    /// retried; callers that need certainty call `put_below` at the end.
    pub fn tail(self: &Arc<Self>, folders: Vec<String>) -> Tail {
        let (stop, stopped) = mpsc::channel::<()>();
        let mirror = Arc::clone(self);
        let thread = std::thread::spawn(move || {
            let folders: Vec<&str> = folders.iter().map(String::as_str).collect();
            let mut is_told = false;
            // Waits for the end of the night, not until a point in time, so the injected clock is not needed.
            while let Err(mpsc::RecvTimeoutError::Timeout) = stopped.recv_timeout(TAIL_STEP) {
                if let Err(error) = mirror.put_below(&folders) {
                    if !is_told {
                        tracing::warn!(error = in_one_line(&error), "the journal could not be put; it is tried again");
                    }
                    is_told = true;
                }
            }
        });
        Tail { stop: Some(stop), thread: Some(thread) }
    }

    /// Uploads a file unless the bucket has it; returns whether it did.
    fn put_known(&self, index: &mut Index, path: &Path) -> Result<bool, StoreError> {
        let key = self.key(path);
        let known = index.copies.get(&key);
        if known.is_some_and(|copy| copy.is_untouched(path)) {
            return Ok(false);
        }
        self.check_lease()?;
        // Taken before the upload, so that a file that changes during it is not regarded as uploaded.
        let copy = Copy::describe(path, String::new()).map_err(|source| StoreError::disk(path, source))?;
        let put = known.map_or(Put::New, |copy| Put::Replacing(&copy.etag));
        let etag = match self.store.put_file(&key, path, put) {
            Err(error) if error.cause() == Cause::Conflict => self.etag_if_same(&key, path, error)?,
            etag => etag?,
        };
        index.copies.insert(key, Copy { etag, ..copy });
        Ok(true)
    }

    fn check_lease(&self) -> Result<(), StoreError> {
        self.lease.lock().expect("no holder of this lock panics").as_ref().map_or(Ok(()), Lease::check)
    }

    /// A put whose answer was lost is repeated and then conflicts with itself.
    fn etag_if_same(&self, key: &str, path: &Path, conflict: StoreError) -> Result<String, StoreError> {
        let ours = fs::read(path).map_err(|source| StoreError::disk(path, source))?;
        match self.store.get(key)? {
            Some((theirs, etag)) if theirs == ours => Ok(etag),
            _ => Err(conflict),
        }
    }

    /// The key of a file of the work folder.
    fn key(&self, path: &Path) -> String {
        path.strip_prefix(&self.folder).expect("a file of the work folder").to_string_lossy().into_owned()
    }

    /// The keys of the files below `folders`, in order, without locks and unfinished files.
    fn files_below(&self, folders: &[&str]) -> Result<Vec<String>, StoreError> {
        let mut files = Vec::new();
        for folder in folders {
            let folder = self.folder.join(folder);
            walk(&folder, &mut files).map_err(|source| StoreError::disk(&folder, source))?;
        }
        let mut keys: Vec<_> = files.iter().map(|path| self.key(path)).collect();
        keys.retain(|key| !key.ends_with(".lock") && !key.ends_with(STAGED) && key != FILE_NAME);
        keys.sort();
        Ok(keys)
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().expect("no holder of this lock panics")
    }

    fn write(&self, index: &Index) -> Result<(), StoreError> {
        index.write(&self.folder).map_err(|source| StoreError::disk(&self.folder, source))
    }
}

/// Uploads until it is dropped.
#[derive(Debug)]
pub struct Tail {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Tail {
    fn drop(&mut self) {
        // Without its sender the thread stops waiting.
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the tail was reported already; the night's own `put_below` decides.
            let _ = thread.join();
        }
    }
}

fn foreign(folder: &Path, why: String) -> StoreError {
    StoreError::ForeignFolder { path: folder.to_owned(), why }
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::in_memory;
    use super::*;

    fn write(mirror: &Mirror, key: &str, text: &str) -> PathBuf {
        let path = mirror.folder().join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn all_in(mirror: &Mirror, folder: &str) {
        mirror.bring_in(&mirror.store().list(folder).unwrap(), &[folder], &|_| true).unwrap();
    }

    fn object(store: &Store, key: &str) -> Option<String> {
        store.get(key).unwrap().map(|(bytes, _)| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn what_one_folder_puts_another_brings_in() {
        let (store, one, two) = (in_memory(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mirror = Mirror::open(store.clone(), one.path()).unwrap();
        mirror.put(&write(&mirror, "state/wallets/a.txt", "u1\n")).unwrap();
        let mirror = Mirror::open(store, two.path()).unwrap();
        all_in(&mirror, "state");
        assert_eq!(fs::read_to_string(two.path().join("state/wallets/a.txt")).unwrap(), "u1\n");
    }

    #[test]
    fn a_file_the_bucket_does_not_have_goes_and_a_changed_one_is_brought_in_again() {
        let (store, folder) = (in_memory(), tempfile::tempdir().unwrap());
        let mirror = Mirror::open(store.clone(), folder.path()).unwrap();
        let path = write(&mirror, "state/a", "right");
        mirror.put(&path).unwrap();
        let orphan = write(&mirror, "state/b", "never put");
        let lock = write(&mirror, "state/job.lock", "");
        fs::write(&path, "wrong").unwrap();
        all_in(&mirror, "state");
        assert_eq!(fs::read_to_string(&path).unwrap(), "right");
        assert!(!orphan.exists() && lock.exists());
        let etag = store.get("state/a").unwrap().unwrap().1;
        store.put("state/a", b"newer".to_vec(), Put::Replacing(&etag)).unwrap();
        all_in(&mirror, "state");
        assert_eq!(fs::read_to_string(&path).unwrap(), "newer");
    }

    #[test]
    fn a_lost_index_costs_a_download_only() {
        let (store, folder) = (in_memory(), tempfile::tempdir().unwrap());
        let mirror = Mirror::open(store.clone(), folder.path()).unwrap();
        let path = write(&mirror, "state/a", "right");
        mirror.put(&path).unwrap();
        fs::write(folder.path().join(FILE_NAME), b"{\"url\": torn").unwrap();
        let mirror = Mirror::open(store, folder.path()).unwrap();
        fs::write(&path, "wrong").unwrap();
        all_in(&mirror, "state");
        assert_eq!(fs::read_to_string(&path).unwrap(), "right");
    }

    #[test]
    fn an_object_that_somebody_else_wrote_meanwhile_is_not_overwritten() {
        let (store, folder) = (in_memory(), tempfile::tempdir().unwrap());
        let mirror = Mirror::open(store.clone(), folder.path()).unwrap();
        let path = write(&mirror, "datasets/a", "ours");
        store.put("datasets/a", b"theirs".to_vec(), Put::New).unwrap();
        assert_eq!(mirror.put(&path).unwrap_err().cause(), Cause::Conflict);
        assert_eq!(object(&store, "datasets/a").unwrap(), "theirs");
        fs::write(&path, "theirs").unwrap();
        mirror.put(&path).expect("the same bytes are no conflict");
    }

    #[test]
    fn an_object_that_was_listed_and_not_wanted_is_replaced_by_version() {
        let (store, folder) = (in_memory(), tempfile::tempdir().unwrap());
        store.put("datasets/a", b"old".to_vec(), Put::New).unwrap();
        let mirror = Mirror::open(store.clone(), folder.path()).unwrap();
        mirror.bring_in(&store.list("datasets").unwrap(), &["datasets"], &|_| false).unwrap();
        assert!(!folder.path().join("datasets/a").exists());
        mirror.put(&write(&mirror, "datasets/a", "new")).unwrap();
        assert_eq!(object(&store, "datasets/a").unwrap(), "new");
    }

    #[test]
    fn what_is_removed_is_gone_from_folder_and_bucket() {
        let (store, folder) = (in_memory(), tempfile::tempdir().unwrap());
        let mirror = Mirror::open(store.clone(), folder.path()).unwrap();
        let path = write(&mirror, "state/j.publishing.json", "{}");
        mirror.put(&path).unwrap();
        mirror.remove(&path).unwrap();
        mirror.remove(&path).expect("gone is gone");
        assert!(!path.exists() && store.list("state").unwrap().is_empty());
    }

    #[test]
    fn the_index_on_disk_knows_a_file_that_was_replaced_under_its_key() {
        let (store, folder) = (in_memory(), tempfile::tempdir().unwrap());
        let mirror = Mirror::open(store.clone(), folder.path()).unwrap();
        for text in ["first", "second, and longer"] {
            write(&mirror, "state/a", text);
            mirror.put_below(&["state"]).unwrap();
            let etag = store.get("state/a").unwrap().unwrap().1;
            assert_eq!(Index::read(folder.path()).unwrap().unwrap().copies["state/a"].etag, etag);
        }
    }

    #[test]
    fn the_tail_puts_committed_files_and_the_end_puts_the_rest() {
        let (store, folder) = (in_memory(), tempfile::tempdir().unwrap());
        let mirror = Arc::new(Mirror::open(store.clone(), folder.path()).unwrap());
        let tail = mirror.tail(vec!["journal".to_owned()]);
        write(&mirror, "journal/s/0.parquet", "segment");
        write(&mirror, "journal/s/1.staged", "half");
        while object(&store, "journal/s/0.parquet").is_none() {
            std::thread::yield_now();
        }
        drop(tail);
        write(&mirror, "journal/s/2.parquet", "last");
        mirror.put_below(&["journal"]).unwrap();
        let keys: Vec<_> = store.list("journal").unwrap().into_iter().map(|it| it.key).collect();
        assert_eq!(keys, ["journal/s/0.parquet", "journal/s/2.parquet"]);
    }

    #[test]
    fn a_folder_with_files_of_somebody_else_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("precious"), "x").unwrap();
        let refused = Mirror::open(in_memory(), folder.path()).unwrap_err();
        assert!(refused.to_string().contains("not the work folder"), "{refused}");
        let folder = tempfile::tempdir().unwrap();
        Index::empty("s3://elsewhere").write(folder.path()).unwrap();
        assert!(Mirror::open(in_memory(), folder.path()).unwrap_err().to_string().contains("s3://elsewhere"));
    }
}
