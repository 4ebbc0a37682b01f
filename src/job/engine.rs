//! The checked settings of `[engine]`: what matches and judges a night, and where the cluster is. They do not affect
//! what is published. Opens no connection.

use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::host::names_loopback;
use crate::secret::Secret;

/// Default port of a Spark Connect server.
const DEFAULT_PORT: u16 = 15002;

/// `[engine]`.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// The engine.
    pub kind: EngineKind,
    /// The cluster, if configured: `--engine spark` may select it whatever `kind` is.
    pub spark: Option<SparkSettings>,
}

/// The engine for match and rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    /// This machine.
    Polars,
    /// A Spark cluster.
    Spark,
}

/// A cluster with a Spark Connect server.
#[derive(Debug, Clone)]
pub struct SparkSettings {
    /// The address of its server.
    pub remote: Remote,
    /// The lake's folder is mounted at the same path on every machine of the cluster.
    pub shared_mount: bool,
    /// Time limit of a query.
    pub query_timeout: Duration,
}

impl Default for EngineSettings {
    /// This machine.
    fn default() -> EngineSettings {
        EngineSettings { kind: EngineKind::Polars, spark: None }
    }
}

impl EngineSettings {
    /// Whether this build can drive a Spark cluster.
    pub const HAS_SPARK: bool = cfg!(feature = "spark");

    /// Why no build could run a night on the selected engine, and what to do about it.
    pub fn contradiction(&self, lake_is_in_a_bucket: bool) -> Option<(&'static str, &'static str)> {
        if self.kind == EngineKind::Polars {
            return None;
        }
        let Some(spark) = &self.spark else {
            return Some(("`engine.remote` is missing", "write `remote = \"sc://host:15002\"`"));
        };
        let is_out_of_reach = !lake_is_in_a_bucket && !spark.shared_mount && !spark.remote.is_loopback();
        is_out_of_reach.then_some((
            "`job.lake` is a folder on this machine, which a remote cluster does not see",
            "put the lake into a bucket (`lake = \"s3://bucket/prefix\"`), or write `engine.shared_mount = true` if \
             every machine of the cluster has that folder mounted at the same path",
        ))
    }

    /// Why this build cannot run a night on the selected engine, and what to do about it. It can do everything else
    /// with the same job: verify, rebuild, write a script for `spark-submit`.
    pub fn refusal(&self, lake_is_in_a_bucket: bool) -> Option<(&'static str, &'static str)> {
        if self.kind == EngineKind::Spark && !Self::HAS_SPARK {
            return Some((
                "this build has no Spark engine",
                "run one that was built with `cargo build --features spark` (`make build-spark` brings what that \
                 needs), run the night on this machine with `--engine polars`, or have it written down for \
                 `spark-submit` with `--engine spark --emit-script FILE`",
            ));
        }
        self.contradiction(lake_is_in_a_bucket)
    }
}

/// The address of a Spark Connect server, `sc://host:port/;key=value;…`.
#[derive(Debug, Clone)]
pub struct Remote {
    host: String,
    port: u16,
    use_ssl: bool,
    token: Option<Secret>,
    /// Other parameters; some are sent as headers, which may contain keys.
    parameters: Vec<(String, Secret)>,
}

impl Remote {
    /// Parses an address. Errors do not repeat it, as it may contain a token.
    pub fn parse(text: &str) -> Result<Remote, &'static str> {
        let rest = text.trim().strip_prefix("sc://").ok_or("must begin with `sc://`")?;
        let (authority, tail) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = host_and_port(authority)?;
        let mut remote = Remote { host, port, use_ssl: false, token: None, parameters: Vec::new() };
        if !tail.is_empty() && !tail.starts_with(';') {
            return Err("has a path: only `/;key=value;…` may follow the port");
        }
        for parameter in tail.split(';').filter(|it| !it.is_empty()) {
            remote.set(parameter)?;
        }
        Ok(remote)
    }

    fn set(&mut self, parameter: &str) -> Result<(), &'static str> {
        let pair = parameter.split_once('=').filter(|(key, value)| !key.is_empty() && !value.contains('='));
        let (key, value) = pair.ok_or("has a parameter that is not `key=value`")?;
        let value = percent_decode_str(value).decode_utf8().map_err(|_| "has a parameter that is not UTF-8")?;
        match key {
            "token" if value.is_empty() => return Err("has an empty token"),
            "token" => self.token = Some(Secret::new(value)),
            "use_ssl" => match value.to_ascii_lowercase().as_str() {
                "true" => self.use_ssl = true,
                "false" => self.use_ssl = false,
                _ => return Err("has a `use_ssl` that is neither true nor false"),
            },
            _ => self.parameters.push((key.to_owned(), Secret::new(value))),
        }
        Ok(())
    }

    /// The same, with this token instead of its own.
    pub(super) fn with_token(self, token: Secret) -> Remote {
        Remote { token: Some(token), ..self }
    }

    /// Whether it contains a token.
    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Whether the connection uses TLS.
    pub fn uses_ssl(&self) -> bool {
        self.use_ssl
    }

    /// Whether the token would be sent unencrypted over a network.
    pub fn exposes_token(&self) -> bool {
        self.has_token() && !self.use_ssl && !self.is_loopback()
    }

    /// Whether the server is on this machine.
    pub fn is_loopback(&self) -> bool {
        names_loopback(&self.host)
    }

    /// Host (an IPv6 address in brackets) and port, for messages.
    pub fn shown(&self) -> String {
        format!("sc://{}:{}", self.host, self.port)
    }

    /// Host without brackets, and port.
    pub fn endpoint(&self) -> (&str, u16) {
        (self.host.trim_matches(['[', ']']), self.port)
    }

    /// The whole address, for the one place that connects.
    pub fn url(&self) -> Secret {
        let encode =
            |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
        let mut url = format!("{}/;use_ssl={}", self.shown(), self.use_ssl);
        let token = self.token.iter().map(|token| ("token", token));
        for (key, value) in self.parameters.iter().map(|(key, value)| (key.as_str(), value)).chain(token) {
            url.push_str(&format!(";{key}={}", encode(value.expose())));
        }
        Secret::new(url)
    }

    /// Removes all secrets of this address from `text`.
    pub fn redact(&self, text: &str) -> String {
        let secrets = self.token.iter().chain(self.parameters.iter().map(|(_, value)| value));
        let secrets = secrets.map(Secret::expose).filter(|secret| secret.len() >= 4);
        secrets.fold(text.to_owned(), |text, secret| text.replace(secret, "…"))
    }
}

fn host_and_port(authority: &str) -> Result<(String, u16), &'static str> {
    let (host, port) = match authority.rfind(']') {
        Some(end) => (&authority[..=end], authority[end + 1..].strip_prefix(':')),
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let is_named = !host.is_empty() && host.bytes().all(|it| it.is_ascii_alphanumeric() || b".-_[]:".contains(&it));
    if !is_named {
        return Err("has no host: write `sc://host:15002`");
    }
    let port = port.map_or(Ok(DEFAULT_PORT), str::parse).map_err(|_| "has a port that is no number")?;
    Ok((host.to_ascii_lowercase(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_spark_connect_writes_it_and_shown_without_what_it_keeps_secret() {
        let remote = Remote::parse("sc://Spark.example:15009/;token=hunter%3B2;use_ssl=true;x-group=blue").unwrap();
        assert_eq!(remote.shown(), "sc://spark.example:15009");
        assert_eq!(remote.endpoint(), ("spark.example", 15009));
        assert!(remote.has_token() && !remote.exposes_token() && !remote.is_loopback());
        assert!(!format!("{remote:?}").contains("hunter") && !format!("{remote:?}").contains("blue"));
        let url = remote.url();
        assert_eq!(url.expose(), "sc://spark.example:15009/;use_ssl=true;x-group=blue;token=hunter%3B2");
        assert_eq!(remote.redact("denied: Bearer hunter;2"), "denied: Bearer …");
    }

    #[test]
    fn a_token_in_clear_text_is_known_and_allowed_on_this_machine_only() {
        let exposes = |address: &str| Remote::parse(address).unwrap().exposes_token();
        assert!(exposes("sc://spark.example/;token=t") && exposes("sc://10.0.0.7:15002/;token=t;use_ssl=false"));
        for safe in ["sc://spark.example", "sc://localhost/;token=t", "sc://127.0.0.9/;token=t", "sc://[::1]/;token=t"]
        {
            assert!(!exposes(safe), "{safe}");
        }
        assert!(Remote::parse("sc://spark.example").unwrap().with_token(Secret::new("t")).exposes_token());
    }

    #[test]
    fn an_ipv6_address_keeps_its_brackets_where_they_belong() {
        let remote = Remote::parse("sc://[::1]:15003").unwrap();
        assert_eq!((remote.shown().as_str(), remote.endpoint()), ("sc://[::1]:15003", ("::1", 15003)));
    }

    #[test]
    fn what_is_wrong_with_an_address_is_told_without_repeating_it() {
        for wrong in [
            "http://h/;token=hunter2",
            "sc:///;token=hunter2",
            "sc://h:x/;token=hunter2",
            "sc://h/p;token=hunter2",
            "sc://h/;token=hunter2=3",
            "sc://h/;token=hunter2;use_ssl=maybe",
            "sc://h/;token=",
        ] {
            let problem = Remote::parse(wrong).unwrap_err();
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }
}
