//! The checked settings of a lake in a bucket: where it is and with which credentials. Contacts no
//! store.

use std::time::Duration;

use url::Url;

use crate::secret::Secret;

/// A lake in a bucket: `job.lake = "s3://…"` and `[store]`.
#[derive(Debug, Clone)]
pub struct BucketSettings {
    /// Bucket.
    pub bucket: String,
    /// Below it, without slashes at its ends; may be empty.
    pub prefix: String,
    /// Scheme, host and port of a store other than AWS.
    pub endpoint: Option<Url>,
    /// Region requests are signed for.
    pub region: String,
    /// Whether the bucket is part of the path instead of the host name.
    pub path_style: bool,
    /// The credentials.
    pub credentials: Credentials,
    /// Time limit of a call, all attempts and waits included.
    pub retry_deadline: Duration,
}

impl BucketSettings {
    /// As written in `job.lake`.
    pub fn url(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.prefix).trim_end_matches('/').to_owned()
    }
}

/// The credentials for the object store.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// A key pair, and the token of a temporary one.
    Keys {
        /// Access key id.
        id: Secret,
        /// Secret access key.
        secret: Secret,
        /// Session token.
        token: Option<Secret>,
    },
    /// The role of this machine, container or web identity, found as the AWS tools do.
    Role,
}
