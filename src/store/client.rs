//! The client of a bucket, from the settings of the job. Requests nothing.

use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::{ClientOptions, RetryConfig};

use crate::job::{BucketSettings, Credentials};

/// Timeout for a store that sends nothing.
const SILENCE: Duration = Duration::from_secs(60);

/// A client that signs with the credentials of the job and repeats what failed on the way.
pub(super) fn client(settings: &BucketSettings) -> Result<AmazonS3, object_store::Error> {
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

#[cfg(test)]
mod tests {
    use super::super::Store;
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
    }

    #[test]
    fn neither_a_store_nor_its_settings_tell_the_secret() {
        let settings = settings(None, "eu-west-1", false);
        let store = Store::connect(&settings).unwrap();
        assert!(!format!("{store:?} {settings:?}").contains("hush"));
    }
}
