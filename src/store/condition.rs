//! The format of the condition of a put. HTTP writes an ETag with its quotes (RFC 9110 §8.8.3), as AWS
//! expects; Ceph RADOS Gateway 16 compares the header literally with an ETag without quotes, and refuses
//! every such put. This is detected at the first put that is refused although the object is the named
//! one; it is only believed if the store still refuses a put that names another object.

use std::sync::atomic::{AtomicBool, Ordering};

use object_store::{PutMode, UpdateVersion};

use super::error::{Cause, StoreError};

/// An ETag that no object has.
pub(super) const NOBODY: &str = "\"00000000000000000000000000000000\"";

/// The condition of a put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put<'a> {
    /// The key must not exist.
    New,
    /// The object must have this ETag.
    Replacing(&'a str),
}

/// What is known about a store.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    /// Whether it expects ETags without quotes.
    are_bare: AtomicBool,
}

impl Conditions {
    /// The mode of a put.
    pub(super) fn mode(&self, put: Put<'_>) -> PutMode {
        match put {
            Put::New => PutMode::Create,
            Put::Replacing(etag) => {
                let etag = if self.are_bare.load(Ordering::Relaxed) { etag.trim_matches('"') } else { etag };
                PutMode::Update(UpdateVersion { e_tag: Some(etag.to_owned()), version: None })
            }
        }
    }

    /// Whether the store may have refused a put only because of the quotes.
    pub(super) fn may_be_misread(&self, refused: &StoreError) -> bool {
        refused.cause() == Cause::Conflict && !self.are_bare.load(Ordering::Relaxed)
    }

    /// Puts the object at `url` again, without quotes.
    pub(super) fn put_bare(
        &self,
        url: &str,
        etag: &str,
        put: impl Fn(Put<'_>) -> Result<String, StoreError>,
    ) -> Result<String, StoreError> {
        self.are_bare.store(true, Ordering::Relaxed);
        let outcome = match put(Put::Replacing(NOBODY)) {
            Err(error) if error.cause() == Cause::Conflict => put(Put::Replacing(etag)),
            Err(error) => Err(error),
            Ok(_) => Err(StoreError::ignores_conditions(url)),
        };
        self.are_bare.store(outcome.is_ok(), Ordering::Relaxed);
        outcome
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::stream::BoxStream;
    use object_store::memory::InMemory;
    use object_store::path::Path;
    use object_store::{
        CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
        PutOptions, PutPayload, PutResult, Result,
    };

    use super::*;
    use crate::store::Store;

    /// A store with quoted ETags, as usual, and its own interpretation of conditions.
    #[derive(Debug)]
    struct Reading {
        inner: InMemory,
        reads: Reads,
    }

    /// How it interprets the condition of a put.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Reads {
        Quoted,
        Bare,
        /// Ignores it: every put overwrites.
        Nothing,
        /// Refuses quoted conditions and ignores the others.
        QuotedOnly,
    }

    impl std::fmt::Display for Reading {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("reading")
        }
    }

    impl Reading {
        fn condition(&self, mode: PutMode) -> PutMode {
            let PutMode::Update(version) = mode else { return mode };
            let etag = version.e_tag.unwrap();
            let (is_quoted, named) = (etag.starts_with('"'), format!("\"{}\"", etag.trim_matches('"')));
            let never = "no such version".to_owned();
            let e_tag = Some(match self.reads {
                Reads::Quoted if is_quoted => named,
                Reads::Bare if !is_quoted => named,
                Reads::Quoted | Reads::Bare => never,
                Reads::QuotedOnly if is_quoted => never,
                Reads::Nothing | Reads::QuotedOnly => return PutMode::Overwrite,
            });
            PutMode::Update(UpdateVersion { e_tag, ..version })
        }
    }

    #[async_trait::async_trait]
    impl ObjectStore for Reading {
        async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
            let opts = PutOptions { mode: self.condition(opts.mode.clone()), ..opts };
            self.inner.put_opts(location, payload, opts).await
        }

        async fn put_multipart_opts(
            &self,
            location: &Path,
            opts: PutMultipartOptions,
        ) -> Result<Box<dyn MultipartUpload>> {
            self.inner.put_multipart_opts(location, opts).await
        }

        async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
            self.inner.get_opts(location, options).await
        }

        fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
            self.inner.delete_stream(locations)
        }

        fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
            self.inner.list(prefix)
        }

        async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
            self.inner.list_with_delimiter(prefix).await
        }

        async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
            self.inner.copy_opts(from, to, options).await
        }
    }

    fn store(reads: Reads) -> Store {
        Store::over(Arc::new(Reading { inner: InMemory::new(), reads }), "s3://bucket", "")
    }

    #[test]
    fn conditions_hold_whether_a_store_reads_etags_with_quotes_or_without() {
        for reads in [Reads::Quoted, Reads::Bare] {
            let store = store(reads);
            let first = store.put("a", b"1".to_vec(), Put::New).unwrap();
            let second = store.put("a", b"2".to_vec(), Put::Replacing(&first)).unwrap();
            for stale in [first.as_str(), NOBODY] {
                let error = store.put("a", b"3".to_vec(), Put::Replacing(stale)).unwrap_err();
                assert_eq!(error.cause(), Cause::Conflict, "{reads:?} {stale}");
            }
            assert!(store.put("a", b"4".to_vec(), Put::Replacing(&second)).is_ok(), "{reads:?}");
            assert_eq!(store.get("a").unwrap().unwrap().0, b"4");
            crate::store::probe(&store, "state/check-1").unwrap();
        }
    }

    #[test]
    fn a_store_that_ignores_conditions_of_either_kind_is_refused() {
        for reads in [Reads::Nothing, Reads::QuotedOnly] {
            let error = crate::store::probe(&store(reads), "state/check-1").unwrap_err();
            assert_eq!(error.cause(), Cause::Unsupported, "{reads:?}: {error}");
        }
    }
}
