//! `coupon-recon api`: one call to one endpoint, signed, verified and shown as JSON. Changes nothing
//! at WeChat without `--write`; does not page through lists, keeps no answer, shows no token.

mod body;
mod shown;

use std::path::Path;

use bytes::Bytes;

use super::arguments::ApiCall;
use super::run::{load_job, redirect};
use super::terminal::{self, Level, say};
use crate::api::Api;
use crate::clock::World;
use crate::error::{ExitCode, Failure};
use crate::job::Job;
use crate::pipeline::unusable_keys;
use crate::secret::Secret;
use crate::wechat::endpoint::{self, Verb};
use crate::wechat::mp::Mp;
use crate::wechat::mp::token::{self, Refresh};
use crate::wechat::pay_v2::{PayV2, SignatureCheck};
use crate::wechat::pay_v3::PayV3;
use crate::wechat::{Answer, ApiError, ENDPOINTS, Endpoint, FailureKind, Request};

pub(super) async fn run(command: &ApiCall, world: &World) -> Result<ExitCode, Failure> {
    if command.list {
        say(shown::table().trim_end());
        return Ok(ExitCode::Complete);
    }
    let (Some(method), Some(path), Some(job)) = (command.method, &command.path, &command.job) else {
        return Err(Failure::new(ExitCode::Usage, "METHOD, PATH and --job are needed"));
    };
    let target = body::encode_target(path);
    let endpoint = known(method, &target)?;
    allow(endpoint, command.write)?;
    let mut job = load_job(job)?;
    if let Some(base_url) = &command.base_url {
        redirect(&mut job, base_url)?;
    }
    let caller = Caller { endpoint, target, command, job: &job, world };
    say(caller.ask().await?);
    Ok(ExitCode::Complete)
}

/// The endpoint of a method and a path.
fn known(method: Verb, target: &str) -> Result<&'static Endpoint, Failure> {
    endpoint::matching(method, target).ok_or_else(|| {
        let path = target.split('?').next().unwrap_or_default();
        let nearest = nearest(method, path);
        Failure::new(ExitCode::Usage, format!("no endpoint `{method} {path}`"))
            .hinting(format!("did you mean `{} {}`? `coupon-recon api --list` shows all", nearest.method, nearest.path))
    })
}

/// The most similar endpoint: the same path with another method, else the path with the most similar
/// segments.
fn nearest(method: Verb, path: &str) -> &'static Endpoint {
    let likeness = |endpoint: &Endpoint| {
        let same_verb = if endpoint.method == method { 0.01 } else { 0.0 };
        likeness_of(endpoint.path, path) + same_verb
    };
    let nearest = ENDPOINTS.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    nearest.expect("the table of endpoints is not empty")
}

fn likeness_of(template: &str, path: &str) -> f64 {
    let (wanted, given): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    if wanted.len() != given.len() {
        return strsim::jaro(template, path) / 2.0;
    }
    let alike =
        |(wanted, given): (&&str, &&str)| if wanted.starts_with('{') { 1.0 } else { strsim::jaro(wanted, given) };
    wanted.iter().zip(&given).map(alike).sum::<f64>() / wanted.len() as f64
}

fn allow(endpoint: &Endpoint, write: bool) -> Result<(), Failure> {
    if endpoint.is_write() && !write {
        let what = format!("`{} {}` changes something at WeChat", endpoint.method, endpoint.path);
        return Err(Failure::new(ExitCode::Usage, what).hinting("add `--write` if that is what you want"));
    }
    if *endpoint == endpoint::BILL_DOWNLOAD {
        let what = "a bill is not JSON: it is downloaded from the URL in the answer to its application";
        return Err(Failure::new(ExitCode::Usage, what).hinting("`coupon-recon run` applies for bills and keeps them"));
    }
    Ok(())
}

/// A call that is to be made.
struct Caller<'a> {
    endpoint: &'static Endpoint,
    target: String,
    command: &'a ApiCall,
    job: &'a Job,
    world: &'a World,
}

impl Caller<'_> {
    async fn ask(&self) -> Result<String, Failure> {
        match self.endpoint.api {
            Api::PayV3 => self.ask_pay_v3().await,
            Api::PayV2 => self.ask_pay_v2().await,
            Api::Mp => self.ask_mp().await,
        }
    }

    async fn ask_pay_v3(&self) -> Result<String, Failure> {
        let settings = self.job.pay_v3.as_ref().ok_or_else(|| no_section("pay_v3"))?;
        let client = PayV3::new(settings, self.world.clone()).map_err(|error| unusable_keys(&error))?;
        let answer = client.send(&self.json_request()?).await.map_err(|error| of_call(&error))?;
        shown::json(&answer.body).map_err(|error| no_json(self.endpoint, &error))
    }

    async fn ask_pay_v2(&self) -> Result<String, Failure> {
        let mut settings = self.job.pay_v2.clone().ok_or_else(|| no_section("pay_v2"))?;
        if let Some(file) = &self.command.client_certificate {
            settings.identity_pem = Some(read_pem(file)?);
        }
        let is_over_tls = settings.limits.base_url.scheme() == "https";
        if *self.endpoint == endpoint::V2_SEND_COUPON && is_over_tls && settings.identity_pem.is_none() {
            return Err(Failure::new(ExitCode::Usage, "send_coupon needs the merchant's client certificate")
                .hinting("`pay_v2.client_certificate_file` and `pay_v2.client_key_file` name it"));
        }
        let client = PayV2::new(&settings, self.world.clone()).map_err(|error| unusable_keys(&error))?;
        let body = body::xml(&self.command.fields);
        let request = Request::unread(self.endpoint, self.endpoint.path.to_owned(), body);
        let answer = client.send(&request).await.map_err(|error| of_call(&error))?;
        if *self.endpoint != endpoint::V2_BILL {
            warn_of_signature(&client, &answer, &settings.api_key);
        }
        Ok(shown::xml_or_file(&answer.body))
    }

    async fn ask_mp(&self) -> Result<String, Failure> {
        let settings = self.job.mp.as_ref().ok_or_else(|| no_section("mp"))?;
        let client = Mp::new(settings, self.world.clone()).map_err(|error| unusable_keys(&error))?;
        let answer = match self.endpoint {
            it if *it == endpoint::MP_TOKEN => client.send(&token::token(&settings.appid, &settings.secret)).await,
            it if *it == endpoint::MP_STABLE_TOKEN => {
                let is_forced =
                    self.command.fields.iter().any(|(key, value)| key == "force_refresh" && value == "true");
                let refresh = if is_forced { Refresh::Forced } else { Refresh::IfExpired };
                client.send(&token::stable_token(&settings.appid, &settings.secret, refresh)).await
            }
            _ => client.send(&self.json_request()?).await,
        };
        let answer = answer.map_err(|error| of_call(&error))?;
        shown::json(&answer.body).map_err(|error| no_json(self.endpoint, &error))
    }

    /// Fields become the query of a GET or DELETE, otherwise a JSON body.
    fn json_request(&self) -> Result<Request<()>, Failure> {
        let fields = &self.command.fields;
        let (target, body) = match self.endpoint.method {
            Verb::Get | Verb::Delete => (body::with_query(&self.target, fields), Bytes::new()),
            Verb::Post | Verb::Patch => (self.target.clone(), body::json(fields).map_err(conflicting)?),
        };
        Ok(Request::unread(self.endpoint, target, body))
    }
}

fn conflicting(key: String) -> Failure {
    Failure::new(ExitCode::Usage, format!("-f `{key}` is given twice, or both as a value and as an object"))
}

fn no_section(section: &str) -> Failure {
    Failure::new(ExitCode::Usage, format!("the job file has no `[{section}]`, which holds the credentials"))
}

fn read_pem(file: &Path) -> Result<Secret, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::caused_by(ExitCode::Usage, format!("cannot read `{}`", file.display()), &error))?;
    Ok(Secret::new(text))
}

/// v2 answers are known to have no signature or an invalid one (reference v2 §A.4): reported, not
/// refused. Bills never have one.
fn warn_of_signature(client: &PayV2, answer: &Answer, api_key: &Secret) {
    match client.check_signature(&answer.body) {
        SignatureCheck::Verified => {}
        SignatureCheck::Absent => terminal::tell(Level::Warn, "warning: the answer carries no signature"),
        SignatureCheck::Mismatch => {
            let warning = "warning: the answer's signature does not match `pay_v2.api_key_env`";
            terminal::tell(Level::Warn, api_key.origin().spell(warning))
        }
    }
}

fn of_call(error: &ApiError) -> Failure {
    Failure::of_error(exit_code_of(error.kind()), error).with_hint(error.hint().map(str::to_owned))
}

/// The exit code that a night would use: a definite refusal is an incomplete stage.
fn exit_code_of(kind: FailureKind) -> ExitCode {
    match kind {
        FailureKind::Credentials | FailureKind::SignatureInvalid => ExitCode::Rejected,
        FailureKind::Unavailable => ExitCode::Unavailable,
        FailureKind::NotReady | FailureKind::QuotaUsedUp => ExitCode::TryLater,
        FailureKind::NotFound | FailureKind::Refused | FailureKind::NoStatement => ExitCode::Partial,
    }
}

fn no_json(endpoint: &Endpoint, error: &serde_json::Error) -> Failure {
    Failure::caused_by(ExitCode::Unavailable, format!("the answer of `{}` is not JSON", endpoint.path), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_path_is_told_the_nearest_endpoint() {
        let hint = |method, path: &str| known(method, path).unwrap_err().hint.unwrap();
        assert!(hint(Verb::Get, "/v3/marketing/busifavor/stock/12").contains("busifavor/stocks/{stock_id}`"));
        assert!(hint(Verb::Post, "/v3/marketing/busifavor/stocks/12").contains("/v3/marketing/busifavor/stocks"));
        assert!(hint(Verb::Get, "/card/get?x=secret").contains("`POST /card/get`"));
    }

    #[test]
    fn a_query_never_stands_in_a_message() {
        assert!(!known(Verb::Get, "/nothing?openid=oA").unwrap_err().to_string().contains("oA"));
    }

    #[test]
    fn every_write_of_the_table_needs_the_flag_and_no_read_does() {
        for endpoint in ENDPOINTS.iter().filter(|it| **it != endpoint::BILL_DOWNLOAD) {
            assert_eq!(allow(endpoint, false).is_err(), endpoint.is_write(), "{}", endpoint.id);
            assert!(allow(endpoint, true).is_ok(), "{}", endpoint.id);
        }
    }

    #[test]
    fn kinds_of_failure_have_the_codes_of_the_table() {
        let codes = [
            (FailureKind::Credentials, 77),
            (FailureKind::SignatureInvalid, 77),
            (FailureKind::Unavailable, 69),
            (FailureKind::NotReady, 75),
            (FailureKind::QuotaUsedUp, 75),
            (FailureKind::NotFound, 4),
            (FailureKind::Refused, 4),
            (FailureKind::NoStatement, 4),
        ];
        for (kind, code) in codes {
            assert_eq!(exit_code_of(kind) as i32, code, "{kind:?}");
        }
    }
}
