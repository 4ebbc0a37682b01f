//! The checked settings of the observers of a night: OpenLineage, Prometheus, a webhook. They do
//! not affect what is published, and failing to notify never fails a night.

use url::Url;

use crate::secret::Secret;

/// Path of the OpenLineage API, for an `openlineage.url` without one.
const LINEAGE_PATH: &str = "/api/v1/lineage";
/// Default namespace of jobs.
const NAMESPACE: &str = "coupon-recon";

/// `[openlineage]`: events are always written to the run's folder; with a URL they are sent too.
#[derive(Debug, Clone)]
pub struct LineageSettings {
    /// Namespace of the job.
    pub namespace: String,
    /// Where events are sent.
    pub url: Option<Url>,
    /// Sent as a bearer token.
    pub api_key: Option<Secret>,
}

impl Default for LineageSettings {
    /// Events only in the run's folder.
    fn default() -> LineageSettings {
        LineageSettings { namespace: NAMESPACE.to_owned(), url: None, api_key: None }
    }
}

impl LineageSettings {
    /// `url` with the path of the API, unless it has one.
    pub(super) fn endpoint(mut url: Url) -> Url {
        if url.path() == "/" {
            url.set_path(LINEAGE_PATH);
        }
        url
    }
}

/// `[webhook]`: the URL contains a key, so all of it is a secret.
#[derive(Debug, Clone)]
pub struct Webhook {
    url: Secret,
}

impl Webhook {
    /// A webhook at `url`, which was parsed before.
    pub(super) fn at(url: Secret) -> Webhook {
        Webhook { url }
    }

    /// The URL, for the one place that sends.
    pub fn url(&self) -> Url {
        Url::parse(self.url.expose()).expect("the job was checked")
    }
}
