//! Moves files between the disk and a bucket, however large they are. Decides about none, and under no condition.

use std::path::{Path, PathBuf};

use futures_util::TryStreamExt;
use object_store::path::Path as Key;
use object_store::{GetOptions, MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use super::error::StoreError;
use crate::durable;

/// Larger files are uploaded in parts: one request must not take longer than a store's timeout.
pub(super) const PART_BYTES: usize = 16 << 20;
/// Suffix of the name of an unfinished file; never uploaded.
pub(super) const STAGED: &str = ".staged";

/// Uploads a file in parts; returns the ETag of the object.
pub(super) async fn put_parts(
    objects: &dyn ObjectStore,
    place: &Key,
    path: &Path,
) -> Result<String, object_store::Error> {
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

/// Downloads an object to `path`; returns its ETag. `url` is for messages.
pub(super) async fn download(
    objects: &dyn ObjectStore,
    place: &Key,
    url: &str,
    path: &Path,
) -> Result<String, StoreError> {
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
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(STAGED);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::super::{Put, in_memory};
    use super::*;

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
