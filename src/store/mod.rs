//! A bucket that holds a lake: objects below one prefix, each uploaded at once and read in one version.
//! Knows no dataset and no job; callers decide what is uploaded when, and what may be overwritten.
//!
//! Callers block until the answer. Requests run on threads of their own, so that it does not matter whether
//! a caller is asynchronous.

mod condition;
mod error;
mod index;
mod lease;
mod mirror;
mod probe;

use std::future::Future;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Key;
use object_store::{
    ClientOptions, GetOptions, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutOptions, PutPayload,
    RetryConfig,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

use crate::durable;
use crate::job::{BucketSettings, Credentials};

use condition::Conditions;

pub use condition::Put;
pub use error::{Cause, StoreError};
pub use lease::{Holder, Lease};
pub use mirror::{Mirror, Tail};
pub use probe::probe;

/// Larger files are uploaded in parts: one request must not take longer than a store's timeout.
const PART_BYTES: usize = 16 << 20;
/// Concurrent downloads.
const AT_ONCE: usize = 16;
/// Suffix of the name of an unfinished file; never uploaded.
const STAGED: &str = ".staged";
/// Timeout for a store that sends nothing.
const SILENCE: Duration = Duration::from_secs(60);

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
    pub fn download(&self, wanted: Vec<(String, std::path::PathBuf)>) -> Result<Vec<String>, StoreError> {
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

fn client(settings: &BucketSettings) -> Result<AmazonS3, object_store::Error> {
    let options = ClientOptions::new()
        .with_allow_http(settings.endpoint.as_ref().is_some_and(|endpoint| endpoint.scheme() == "http"))
        .with_connect_timeout(Duration::from_secs(5))
        .with_timeout_disabled()
        .with_read_timeout(SILENCE);
    let retry = RetryConfig { retry_timeout: settings.retry_deadline, ..RetryConfig::default() };
    let mut builder = match &settings.credentials {
        Credentials::Role => AmazonS3Builder::from_env(),
        Credentials::Keys { id, secret, token } => {
            let builder =
                AmazonS3Builder::new().with_access_key_id(id.expose()).with_secret_access_key(secret.expose());
            match token {
                Some(token) => builder.with_token(token.expose()),
                None => builder,
            }
        }
    };
    if let Some(endpoint) = endpoint(settings) {
        builder = builder.with_endpoint(endpoint);
    }
    builder
        .with_bucket_name(&settings.bucket)
        .with_region(&settings.region)
        .with_virtual_hosted_style_request(!settings.path_style)
        .with_client_options(options)
        .with_retry(retry)
        .build()
}

/// The endpoint, if not the client's default; with the bucket in the host name if configured.
fn endpoint(settings: &BucketSettings) -> Option<String> {
    let bucket = if settings.path_style { String::new() } else { format!("{}.", settings.bucket) };
    match &settings.endpoint {
        Some(url) => {
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            Some(format!("{}://{bucket}{}{port}", url.scheme(), url.host_str().unwrap_or_default()))
        }
        // AWS in China has its own domain, which the client does not know.
        None if settings.region.starts_with("cn-") => {
            Some(format!("https://{bucket}s3.{}.amazonaws.com.cn", settings.region))
        }
        None => None,
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

async fn put_parts(objects: &dyn ObjectStore, place: &Key, path: &Path) -> Result<String, object_store::Error> {
    let file = tokio::fs::File::open(path).await.map_err(unread)?;
    put_all_parts(&mut *objects.put_multipart(place).await?, file).await
}

async fn put_all_parts(
    upload: &mut dyn MultipartUpload,
    file: impl AsyncRead + Unpin,
) -> Result<String, object_store::Error> {
    let put = put_each_part(upload, file).await;
    if put.is_err() {
        // Incomplete uploads are billed; the first error is what matters.
        let _ = upload.abort().await;
    }
    put
}

async fn put_each_part(
    upload: &mut dyn MultipartUpload,
    mut file: impl AsyncRead + Unpin,
) -> Result<String, object_store::Error> {
    loop {
        let mut part = Vec::with_capacity(PART_BYTES);
        (&mut file).take(PART_BYTES as u64).read_to_end(&mut part).await.map_err(unread)?;
        if part.is_empty() {
            return Ok(upload.complete().await?.e_tag.unwrap_or_default());
        }
        upload.put_part(PutPayload::from(part)).await?;
    }
}

fn unread(error: std::io::Error) -> object_store::Error {
    object_store::Error::Generic { store: "file", source: Box::new(error) }
}

async fn download(objects: &dyn ObjectStore, place: &Key, url: &str, path: &Path) -> Result<String, StoreError> {
    let remote = |error| StoreError::remote(url, &error);
    let disk = |source| StoreError::disk(path, source);
    let found = objects.get_opts(place, GetOptions::default()).await.map_err(remote)?;
    let etag = found.meta.e_tag.clone().unwrap_or_default();
    durable::create_folder(path.parent().expect("an object comes into a folder")).map_err(disk)?;
    let beside = beside(path);
    let mut file = tokio::fs::File::from_std(durable::create(&beside).map_err(disk)?);
    let mut chunks = found.into_stream();
    while let Some(chunk) = chunks.try_next().await.map_err(remote)? {
        file.write_all(&chunk).await.map_err(disk)?;
    }
    file.sync_all().await.map_err(disk)?;
    durable::move_file(&beside, path).map_err(disk)?;
    Ok(etag)
}

/// The temporary path of a file before it is renamed.
fn beside(path: &Path) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(STAGED);
    name.into()
}

/// Threads for the requests, separate from those of the callers.
struct Threads(Option<Runtime>);

impl Threads {
    fn start() -> Threads {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        Threads(Some(runtime.expect("the system gives threads")))
    }

    fn runtime(&self) -> &Runtime {
        self.0.as_ref().expect("there until dropped")
    }

    fn wait<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> T {
        let (done, wait) = mpsc::sync_channel(1);
        self.runtime().spawn(async move {
            // The caller is waiting below.
            let _ = done.send(task.await);
        });
        wait.recv().expect("a task ends and does not panic")
    }
}

impl Drop for Threads {
    /// Without blocking: a runtime may not be dropped normally inside another one.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
pub(crate) fn in_memory() -> Arc<Store> {
    Arc::new(Store::over(Arc::new(object_store::memory::InMemory::new()), "s3://bucket/prefix", "prefix"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(endpoint: Option<&str>, region: &str, path_style: bool) -> BucketSettings {
        let secret = crate::secret::Secret::new;
        BucketSettings {
            bucket: "coupons".into(),
            prefix: String::new(),
            endpoint: endpoint.map(|url| url.parse().unwrap()),
            region: region.into(),
            path_style,
            credentials: Credentials::Keys { id: secret("id"), secret: secret("hush"), token: None },
            retry_deadline: Duration::from_secs(1),
        }
    }

    #[test]
    fn requests_go_to_the_endpoint_with_the_bucket_where_it_belongs() {
        let of = |url, region, path_style| endpoint(&settings(url, region, path_style));
        assert_eq!(of(Some("http://127.0.0.1:7480"), "us-east-1", true).unwrap(), "http://127.0.0.1:7480");
        assert_eq!(of(Some("https://s3.example"), "r", false).unwrap(), "https://coupons.s3.example");
        assert_eq!(of(None, "cn-north-1", false).unwrap(), "https://coupons.s3.cn-north-1.amazonaws.com.cn");
        assert_eq!(of(None, "eu-west-1", false), None);
        let store = Store::connect(&settings(None, "eu-west-1", false)).unwrap();
        assert!(!format!("{store:?} {:?}", settings(None, "r", true)).contains("hush"));
    }

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

    #[test]
    fn a_link_where_a_file_is_brought_in_is_not_followed() {
        let (store, folder) = (in_memory(), tempfile::tempdir().unwrap());
        store.put("a", b"theirs".to_vec(), Put::New).unwrap();
        let (victim, path) = (folder.path().join("victim"), folder.path().join("a"));
        std::fs::write(&victim, b"precious").unwrap();
        std::os::unix::fs::symlink(&victim, beside(&path)).unwrap();
        assert!(store.download(vec![("a".into(), path)]).is_err());
        assert_eq!(std::fs::read(victim).unwrap(), b"precious");
    }

    /// An upload that fails where configured, and counts how often it was aborted.
    #[derive(Debug, Default)]
    struct Upload {
        has_bad_part: bool,
        has_bad_end: bool,
        aborted: usize,
    }

    fn outcome(fails: bool) -> Result<(), object_store::Error> {
        if fails { Err(unread(std::io::Error::other("gone"))) } else { Ok(()) }
    }

    #[async_trait::async_trait]
    impl MultipartUpload for Upload {
        fn put_part(&mut self, _part: PutPayload) -> object_store::UploadPart {
            Box::pin(std::future::ready(outcome(self.has_bad_part)))
        }

        async fn complete(&mut self) -> Result<object_store::PutResult, object_store::Error> {
            outcome(self.has_bad_end)?;
            Ok(object_store::PutResult { e_tag: Some("e".into()), version: None, extensions: Default::default() })
        }

        async fn abort(&mut self) -> Result<(), object_store::Error> {
            self.aborted += 1;
            Ok(())
        }
    }

    #[tokio::test]
    async fn an_upload_that_does_not_come_to_its_end_is_aborted_once() {
        let mut whole = Upload::default();
        assert_eq!(put_all_parts(&mut whole, &b"part"[..]).await.unwrap(), "e");
        assert_eq!(whole.aborted, 0);
        for (has_bad_part, has_bad_end) in [(true, false), (false, true)] {
            let mut upload = Upload { has_bad_part, has_bad_end, aborted: 0 };
            assert!(put_all_parts(&mut upload, &b"part"[..]).await.is_err());
            assert_eq!(upload.aborted, 1);
        }
        let folder = tempfile::tempdir().unwrap();
        let mut upload = Upload::default();
        let unreadable = tokio::fs::File::open(folder.path()).await.unwrap();
        assert!(put_all_parts(&mut upload, unreadable).await.is_err());
        assert_eq!(upload.aborted, 1);
    }
}
