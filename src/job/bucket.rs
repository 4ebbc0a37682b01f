//! The bucket of a lake, checked: where it is and who asks. Asks no store itself.

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
    /// Scheme, host and port of a store that is not AWS.
    pub endpoint: Option<Url>,
    /// Region requests are signed for.
    pub region: String,
    /// Whether the bucket stands in the path and not in the host name.
    pub path_style: bool,
    /// Who asks.
    pub credentials: Credentials,
    /// Per call, all attempts and waits together.
    pub retry_deadline: Duration,
}

impl BucketSettings {
    /// As `job.lake` has it.
    pub fn url(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.prefix).trim_end_matches('/').to_owned()
    }
}

/// Who asks the object store.
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
    /// The role of this machine, container or web identity, as the AWS tools find it.
    Role,
}
