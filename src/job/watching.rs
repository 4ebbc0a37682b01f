//! Who is told of a night: OpenLineage, Prometheus, a webhook. None of it bears upon what is
//! published, and a failure to tell never fails a night.

use url::Url;

use crate::secret::Secret;

/// The path of the OpenLineage API below a bare `openlineage.url`.
const LINEAGE_PATH: &str = "/api/v1/lineage";
/// The namespace of jobs when `openlineage.namespace` is silent.
const NAMESPACE: &str = "coupon-recon";

/// `[openlineage]`: events always stand in the run's folder; with a URL they are sent too.
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
    /// Events in the run's folder only.
    fn default() -> LineageSettings {
        LineageSettings { namespace: NAMESPACE.to_owned(), url: None, api_key: None }
    }
}

impl LineageSettings {
    /// `url` with the path of the API, unless it names one itself.
    pub(super) fn endpoint(mut url: Url) -> Url {
        if url.path() == "/" {
            url.set_path(LINEAGE_PATH);
        }
        url
    }
}

/// `[webhook]`: the address holds a key, so the whole of it is a secret.
#[derive(Debug, Clone)]
pub struct Webhook {
    url: Secret,
}

impl Webhook {
    /// A hook at `url`, which was parsed before.
    pub(super) fn at(url: Secret) -> Webhook {
        Webhook { url }
    }

    /// The address, for the one place that sends.
    pub fn url(&self) -> Url {
        Url::parse(self.url.expose()).expect("the job was checked")
    }
}
