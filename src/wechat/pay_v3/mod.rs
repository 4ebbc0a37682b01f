//! WeChat Pay APIv3: signs every attempt afresh, verifies every good answer over its raw bytes,
//! keeps the platform's keys up to date. Keeps no answer; walks no pages.

pub mod bills;
mod unzip;
pub mod busifavor;
pub mod certificates;
pub mod echo;
pub mod keyring;

mod exchange;
mod judge;
mod refresh;
mod replays;
mod sign;
mod target;

use std::sync::Arc;

use exchange::Signed;
use refresh::Refresh;
use replays::Replays;

pub use certificates::certificates;
pub use judge::failure_of;
pub use keyring::Keyring;
pub use sign::Signer;

use crate::clock::World;
use crate::http::{HttpClient, TransportError};
use crate::job::PayV3Settings;
use crate::wechat::answer::Answer;
use crate::wechat::error::{ApiError, FailureKind, Problem, SetupError, SignatureError};
use crate::wechat::request::Request;

/// A client of APIv3 for one merchant.
pub struct PayV3 {
    http: HttpClient,
    /// For the certificate calls other calls wait for.
    beside: HttpClient,
    signer: Signer,
    keyring: Arc<Keyring>,
    refresh: Refresh,
    replays: Replays,
}

impl PayV3 {
    /// A client within the limits of the job. Asks nothing yet.
    pub fn new(settings: &PayV3Settings, world: World) -> Result<PayV3, SetupError> {
        let http = HttpClient::new(&settings.limits, world)?;
        Ok(PayV3 {
            beside: http.beside(),
            http,
            signer: Signer::new(settings)?,
            keyring: Arc::new(Keyring::from_settings(settings)?),
            refresh: Refresh::default(),
            replays: Replays::default(),
        })
    }

    /// Makes a call and gives the verified answer.
    ///
    /// # Errors
    /// After retries as reference v3 §1.9 says; the error tells kind, cost, cause and hint.
    pub async fn send<T>(&self, request: &Request<T>) -> Result<Answer, ApiError> {
        if request.endpoint.path == crate::wechat::endpoint::CERTIFICATES.path {
            return self.fetch_certificates(&self.http).await;
        }
        self.keep_certificates().await?;
        self.call(&self.http, Signed::new(self, request)).await
    }

    /// The platform's keys as known now.
    pub fn keyring(&self) -> &Arc<Keyring> {
        &self.keyring
    }

    /// The `/v3/certificates` answers this client has learnt from since it was asked last: the journal keeps them, so
    /// that the evidence of a run stays verifiable.
    pub fn take_certificate_answers(&self) -> Vec<Answer> {
        self.refresh.take_answers()
    }

    async fn call(&self, http: &HttpClient, exchange: Signed<'_>) -> Result<Answer, ApiError> {
        match http.call(exchange.method(), exchange.path(), &exchange).await {
            Ok(settled) => Ok(Answer { attempts: settled.trace.attempts, ..settled.accepted }),
            Err(error) => {
                let error = ApiError::from(error);
                let hint = self.hint(&error);
                Err(error.with_hint(hint))
            }
        }
    }

    /// The job-file key to look at.
    fn hint(&self, error: &ApiError) -> Option<String> {
        let hint = match error.problem() {
            Problem::ClockSkew { .. } => "set this machine's clock (NTP); WeChat allows five minutes",
            Problem::Refused { kind: FailureKind::Credentials, .. } => {
                "`pay_v3.serial_no` must be the serial of the certificate that belongs to \
                 `pay_v3.private_key_file`, and both must be of merchant `pay_v3.mchid`"
            }
            Problem::Refused { code, .. } => refused_hint(code)?,
            Problem::Signature(error) => self.signature_hint(error),
            Problem::Transport(TransportError::Unsendable { .. }) => {
                "an openid, code or id in the question is none that WeChat gives: correct the file that names it"
            }
            Problem::Transport(_) => "is `pay_v3.base_url` reachable from this machine?",
            Problem::Unexpected { .. } | Problem::Sink(_) | Problem::Digest { .. } => return None,
        };
        Some(self.spell(hint))
    }

    /// A hint that names the keys as the job file does.
    fn spell(&self, hint: &str) -> String {
        self.keyring.api_v3_key_origin().spell(&self.signer.key_origin().spell(hint))
    }

    fn signature_hint(&self, error: &SignatureError) -> &'static str {
        match error {
            SignatureError::Missing(_) => {
                "something between this machine and `pay_v3.base_url` drops the Wechatpay-* headers"
            }
            SignatureError::Stale { .. } => {
                "set this machine's clock (NTP); answers older than five minutes are refused"
            }
            SignatureError::Replayed => {
                "something between this machine and `pay_v3.base_url` keeps answers: it must let them through as they are"
            }
            SignatureError::UnknownSerial { serial } if serial.starts_with("PUB_KEY_ID_") => {
                "set `pay_v3.public_key_id` and `pay_v3.public_key_file` to the key of that id"
            }
            SignatureError::UnknownSerial { .. } => {
                "the platform certificate of that serial could not be had; does `pay_v3.api_v3_key_env` name the APIv3 key?"
            }
            SignatureError::Mismatch { .. } if self.keyring.has_public_key() => {
                "`pay_v3.public_key_file` must be the key downloaded together with `pay_v3.public_key_id`"
            }
            SignatureError::Mismatch { .. } => "is `pay_v3.base_url` really WeChat Pay?",
        }
    }
}

impl std::fmt::Debug for PayV3 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PayV3").field("keyring", &self.keyring).finish_non_exhaustive()
    }
}

fn refused_hint(code: &str) -> Option<&'static str> {
    match code {
        "NO_AUTH" => Some(
            "merchant `pay_v3.mchid` may not see this; a list of coupons needs the role it has in \
             `wallets.creator_merchant`, `wallets.belong_merchant` or `wallets.sender_merchant`",
        ),
        "APPID_MCHID_NOT_MATCH" => Some("`wallets.appid` must be bound to `pay_v3.mchid`"),
        "FREQUENCY_LIMITED" | "RATELIMIT_EXCEEDED" | "RATE_LIMITED" => {
            Some("WeChat throttles this merchant: lower `pay_v3.rate_per_second`")
        }
        "MCH_NOT_EXISTS" => Some("`pay_v3.mchid` or a merchant of `[wallets]` does not exist"),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
