//! How a cluster addresses a file of the lake, and what is copied to it and back.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

#[cfg(feature = "spark")]
use super::gather::parts_of;
use crate::reconcile::error::{ReconcileError, scratched};

/// Characters that Spark treats as a glob pattern.
const PATTERNS: [char; 6] = ['*', '?', '[', ']', '{', '}'];

/// Transfers files between the folder of a night and the bucket that the cluster uses.
pub trait Carrier: Send + Sync {
    /// Uploads a file of the folder to the bucket.
    fn put(&self, path: &Path) -> std::io::Result<()>;
    /// Whether the cluster wrote anything but markers below a folder.
    fn has_parts(&self, folder: &Path) -> std::io::Result<bool>;
    /// Downloads what the cluster wrote below a folder.
    fn fetch(&self, folder: &Path) -> std::io::Result<()>;
}

/// Where the files of a night are for the cluster.
pub struct Place {
    /// The lake's folder here.
    pub root: PathBuf,
    /// Its URL there, if it is not the same folder: `s3a://bucket/prefix`, and the transfer.
    pub bucket: Option<(String, Box<dyn Carrier>)>,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place").field("root", &self.root).finish_non_exhaustive()
    }
}

impl Place {
    /// The URI of a file below the folder. Always absolute: a server would resolve a relative one itself.
    pub(super) fn uri(&self, path: &Path) -> Result<String, ReconcileError> {
        let uri = match (&self.bucket, path.strip_prefix(&self.root)) {
            (Some((url, _)), Ok(below)) => format!("{url}/{}", below.display()),
            _ => format!("file://{}", path.display()),
        };
        if path.is_absolute() && !uri.contains(PATTERNS) {
            return Ok(uri);
        }
        Err(ReconcileError::OutOfReach { path: path.to_owned() })
    }

    /// Ensures that a session sees a file: published files are in the bucket, staged ones are not yet.
    #[cfg(feature = "spark")]
    pub(super) fn show(&self, path: &Path) -> Result<(), ReconcileError> {
        match &self.bucket {
            Some((_, carrier)) if path.starts_with(self.root.join("staging")) => carrier.put(path).map_err(scratched),
            _ => Ok(()),
        }
    }

    /// Whether the cluster wrote any part into a folder: without rows Spark writes one, and Sail none.
    #[cfg(feature = "spark")]
    pub(super) fn has_parts(&self, folder: &Path) -> Result<bool, ReconcileError> {
        match &self.bucket {
            Some((_, carrier)) => carrier.has_parts(folder).map_err(scratched),
            None => Ok(!parts_of(folder)?.is_empty()),
        }
    }

    /// Ensures that we see what the cluster wrote into a folder, without what was downloaded before: a second
    /// write uses other part names.
    pub(super) fn bring(&self, folder: &Path) -> Result<(), ReconcileError> {
        let Some((_, carrier)) = &self.bucket else { return Ok(()) };
        match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(scratched(error)),
            _ => carrier.fetch(folder).map_err(scratched),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bucket that has one part of a result.
    struct Porter;

    impl Carrier for Porter {
        fn put(&self, _: &Path) -> std::io::Result<()> {
            Ok(())
        }

        fn has_parts(&self, _: &Path) -> std::io::Result<bool> {
            Ok(true)
        }

        fn fetch(&self, folder: &Path) -> std::io::Result<()> {
            std::fs::create_dir_all(folder)?;
            std::fs::write(folder.join("part-of-the-second-run.parquet"), "")
        }
    }

    #[test]
    fn what_is_brought_from_the_bucket_takes_the_place_of_what_was_brought_before() {
        let lake = tempfile::tempdir().unwrap();
        let folder = lake.path().join("answers");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("part-of-the-first-run.parquet"), "").unwrap();
        let names = || std::fs::read_dir(&folder).unwrap().map(|it| it.unwrap().file_name()).collect::<Vec<_>>();
        let here = Place { root: lake.path().to_owned(), bucket: None };
        here.bring(&folder).unwrap();
        assert_eq!(names(), ["part-of-the-first-run.parquet"], "a folder that the cluster writes into is left alone");
        let bucket = Place { bucket: Some(("s3a://coupons/lake".to_owned(), Box::new(Porter))), ..here };
        bucket.bring(&folder).unwrap();
        assert_eq!(names(), ["part-of-the-second-run.parquet"]);
    }

    #[test]
    fn a_file_is_named_absolutely_in_its_folder_or_in_the_bucket() {
        let path = Path::new("/lake/datasets/orders/dt=2026-11-18/part-0.parquet");
        let here = Place { root: "/lake".into(), bucket: None };
        assert_eq!(here.uri(path).unwrap(), "file:///lake/datasets/orders/dt=2026-11-18/part-0.parquet");
        let bucket = Place { root: "/lake".into(), bucket: Some(("s3a://coupons/lake".to_owned(), Box::new(Porter))) };
        assert_eq!(bucket.uri(path).unwrap(), "s3a://coupons/lake/datasets/orders/dt=2026-11-18/part-0.parquet");
        for wrong in ["lake/x.parquet", "/la*ke/x.parquet", "/lake/{a}/x.parquet"] {
            assert!(here.uri(Path::new(wrong)).is_err(), "{wrong}");
        }
    }
}
