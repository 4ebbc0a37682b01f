//! A bucket that holds a lake: objects below one prefix, each uploaded at once and read in one version.
//! Knows no dataset, and of a job only the settings of its bucket; callers decide what is uploaded when, and what may be
//! overwritten.
//!
//! Callers block until the answer. Requests run on threads of their own, so that it does not matter whether
//! a caller is asynchronous.

mod client;
mod condition;
mod error;
mod index;
mod lease;
mod mirror;
mod probe;
mod threads;
mod transfer;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path as Key;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutOptions, PutPayload};

use crate::job::BucketSettings;

use client::client;
use condition::Conditions;
use threads::Threads;
use transfer::{PART_BYTES, download, put_parts};

pub use condition::Put;
pub use error::{Cause, StoreError};
pub use lease::{Holder, Lease};
pub use mirror::{Mirror, Tail};
pub use probe::probe;

/// Concurrent downloads.
const AT_ONCE: usize = 16;

/// Objects of one bucket below one prefix.
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    url: String,
    prefix: String,
    conditions: Conditions,
    threads: Threads,
}

/// An object as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Key below the prefix: `datasets/orders/dt=2026-11-18/part-0.parquet`.
    pub key: String,
    /// Size.
    pub bytes: u64,
    /// Version; changes whenever the object does.
    pub etag: String,
}

impl Store {
    /// A store from its settings; nothing is requested yet.
    ///
    /// # Errors
    /// Settings that the client refuses.
    pub fn connect(settings: &BucketSettings) -> Result<Store, StoreError> {
        let objects = client(settings).map_err(|error| StoreError::remote(&settings.url(), &error))?;
        Ok(Store::over(Arc::new(objects), &settings.url(), &settings.prefix))
    }

    /// A store over any implementation; tests use one in memory.
    pub fn over(objects: Arc<dyn ObjectStore>, url: &str, prefix: &str) -> Store {
        let (conditions, threads) = (Conditions::default(), Threads::start());
        Store { objects, url: url.to_owned(), prefix: prefix.to_owned(), conditions, threads }
    }

    /// `s3://bucket/prefix`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The URL of an object, for messages.
    pub fn url_of(&self, key: &str) -> String {
        format!("{}/{key}", self.url)
    }

    /// Every object below the folder `under`, in order of keys.
    ///
    /// # Errors
    /// The bucket cannot be listed.
    pub fn list(&self, under: &str) -> Result<Vec<Object>, StoreError> {
        let prefix = self.prefix.clone();
        let mut listed = self.ask(under, |objects, folder| async move {
            let found = objects.list(Some(&folder));
            found.map_ok(|meta| object(&prefix, &meta)).try_collect::<Vec<_>>().await
        })?;
        listed.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(listed)
    }

    /// A small object; `None` when there is no such key.
    ///
    /// # Errors
    /// The store is not accessible.
    pub fn get(&self, key: &str) -> Result<Option<(Vec<u8>, String)>, StoreError> {
        if_there(self.ask(key, |objects, place| async move {
            let found = objects.get(&place).await?;
            let etag = found.meta.e_tag.clone().unwrap_or_default();
            Ok((found.bytes().await?.to_vec(), etag))
        }))
    }

    /// Uploads a small object; returns its ETag.
    ///
    /// # Errors
    /// The condition is not met (`Cause::Conflict`), or the store is not accessible.
    pub fn put(&self, key: &str, bytes: Vec<u8>, put: Put<'_>) -> Result<String, StoreError> {
        match (self.put_once(key, &bytes, put), put) {
            (Err(refused), Put::Replacing(etag)) => self.put_again(key, &bytes, etag, refused),
            (outcome, _) => outcome,
        }
    }

    /// Repeats a put that was refused although the object has `etag`, in the way that the store may
    /// understand.
    fn put_again(&self, key: &str, bytes: &[u8], etag: &str, refused: StoreError) -> Result<String, StoreError> {
        if !self.conditions.may_be_misread(&refused) || self.etag_of(key)?.as_deref() != Some(etag) {
            return Err(refused);
        }
        self.conditions.put_bare(&self.url_of(key), etag, |put| self.put_once(key, bytes, put))
    }

    fn put_once(&self, key: &str, bytes: &[u8], put: Put<'_>) -> Result<String, StoreError> {
        let (payload, options) = (PutPayload::from(bytes.to_vec()), PutOptions::from(self.conditions.mode(put)));
        let put = self.ask(key, |objects, place| async move { objects.put_opts(&place, payload, options).await })?;
        Ok(put.e_tag.unwrap_or_default())
    }

    /// Uploads a file, a large one in parts; returns its ETag. S3 supports a condition for a single put
    /// only: a large file is uploaded unconditionally, under the caller's lease.
    ///
    /// # Errors
    /// As `put`; or the file cannot be read.
    pub fn put_file(&self, key: &str, path: &Path, put: Put<'_>) -> Result<String, StoreError> {
        let bytes = std::fs::metadata(path).map_err(|source| StoreError::disk(path, source))?.len();
        if bytes <= PART_BYTES as u64 {
            let bytes = std::fs::read(path).map_err(|source| StoreError::disk(path, source))?;
            return self.put(key, bytes, put);
        }
        let path = path.to_owned();
        self.ask(key, |objects, place| async move { put_parts(&*objects, &place, &path).await })
    }

    /// Downloads objects, each to its path; returns their ETags in the same order. An object that changed
    /// since it was listed is downloaded in its current version.
    ///
    /// # Errors
    /// The first object that could not be downloaded.
    pub fn download(&self, wanted: Vec<(String, PathBuf)>) -> Result<Vec<String>, StoreError> {
        let mut downloads = Vec::new();
        for (key, path) in wanted {
            let (objects, place, url) = (Arc::clone(&self.objects), self.place(&key)?, self.url_of(&key));
            downloads.push(async move { download(&*objects, &place, &url, &path).await });
        }
        let all = futures_util::stream::iter(downloads).buffered(AT_ONCE).try_collect::<Vec<_>>();
        self.threads.wait(all)
    }

    /// The ETag of an object; `None` when there is no such key.
    fn etag_of(&self, key: &str) -> Result<Option<String>, StoreError> {
        let meta = if_there(self.ask(key, |objects, place| async move { objects.head(&place).await }))?;
        Ok(meta.and_then(|meta| meta.e_tag))
    }

    /// Removes an object; a missing one is no error.
    ///
    /// # Errors
    /// The store is not accessible.
    pub fn remove(&self, key: &str) -> Result<(), StoreError> {
        if_there(self.ask(key, |objects, place| async move { objects.delete(&place).await })).map(drop)
    }

    /// Waits for the answer to a call about the object, or the folder, at `key`.
    fn ask<T, F>(&self, key: &str, call: impl FnOnce(Arc<dyn ObjectStore>, Key) -> F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, object_store::Error>> + Send + 'static,
    {
        let answer = self.threads.wait(call(Arc::clone(&self.objects), self.place(key)?));
        answer.map_err(|error| StoreError::remote(&self.url_of(key), &error))
    }

    /// Runs `task` in the background until the store is dropped.
    fn keep_doing(&self, task: impl Future<Output = ()> + Send + 'static) -> tokio::task::AbortHandle {
        self.threads.runtime().spawn(task).abort_handle()
    }

    fn place(&self, key: &str) -> Result<Key, StoreError> {
        let whole =
            [self.prefix.as_str(), key].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
        Key::parse(whole).map_err(|error| StoreError::remote(&self.url_of(key), &error.into()))
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.url)
    }
}

/// The answer about an object; `None` when there is no such key.
fn if_there<T>(answer: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match answer {
        Err(error) if error.cause() == Cause::NotFound => Ok(None),
        answer => answer.map(Some),
    }
}

fn object(prefix: &str, meta: &ObjectMeta) -> Object {
    let whole = meta.location.as_ref();
    let key = whole.strip_prefix(prefix).map_or(whole, |key| key.trim_start_matches('/'));
    let etag = meta.e_tag.as_deref().unwrap_or_default();
    // Some listings omit the quotes of an ETag.
    let etag = if etag.contains('"') { etag.to_owned() } else { format!("\"{etag}\"") };
    Object { key: key.to_owned(), bytes: meta.size, etag }
}

#[cfg(test)]
pub(crate) fn in_memory() -> Arc<Store> {
    Arc::new(Store::over(Arc::new(object_store::memory::InMemory::new()), "s3://bucket/prefix", "prefix"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_put_under_conditions_and_listed_below_their_prefix_only() {
        let store = in_memory();
        let etag = store.put("a/x", b"one".to_vec(), Put::New).unwrap();
        assert_eq!(store.put("a/x", b"two".to_vec(), Put::New).unwrap_err().cause(), Cause::Conflict);
        let next = store.put("a/x", b"two".to_vec(), Put::Replacing(&etag)).unwrap();
        assert_eq!(store.put("a/x", b"3".to_vec(), Put::Replacing(&etag)).unwrap_err().cause(), Cause::Conflict);
        store.put("ab/y", Vec::new(), Put::New).unwrap();
        assert_eq!(store.list("a").unwrap(), [Object { key: "a/x".into(), bytes: 3, etag: next.clone() }]);
        assert_eq!(store.get("a/x").unwrap(), Some((b"two".to_vec(), next)));
        store.remove("a/x").unwrap();
        assert_eq!(store.get("a/x").unwrap(), None);
    }

    #[tokio::test]
    async fn an_asynchronous_caller_may_wait_too() {
        let store = in_memory();
        store.put("a", b"1".to_vec(), Put::New).unwrap();
        assert!(store.get("a").unwrap().is_some());
        drop(store);
    }

    #[test]
    fn a_large_file_goes_up_in_parts_and_comes_down_the_same() {
        let (store, folder) = (in_memory(), tempfile::tempdir().unwrap());
        let (up, down) = (folder.path().join("up"), folder.path().join("new/down.parquet"));
        let bytes: Vec<u8> = (0..PART_BYTES * 2 + 5).map(|it| (it % 251) as u8).collect();
        std::fs::write(&up, &bytes).unwrap();
        let etag = store.put_file("big", &up, Put::New).unwrap();
        assert_eq!(store.download(vec![("big".into(), down.clone())]).unwrap(), [etag]);
        assert!(std::fs::read(down).unwrap() == bytes);
    }
}
