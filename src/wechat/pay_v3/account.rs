//! The keys of both sides, the merchant's and WeChat Pay's, and hints which key of the job file to check when a
//! call fails. Sends no request.

use std::sync::Arc;

use super::keyring::Keyring;
use super::sign::Signer;
use crate::http::TransportError;
use crate::job::PayV3Settings;
use crate::wechat::error::{ApiError, FailureKind, Problem, SetupError, SignatureError};

/// One merchant and its keys.
pub(super) struct Account {
    /// Signs requests.
    pub(super) signer: Signer,
    /// Verifies answers.
    pub(super) keyring: Arc<Keyring>,
}

impl Account {
    pub(super) fn new(settings: &PayV3Settings) -> Result<Account, SetupError> {
        let signer = Signer::new(settings)?;
        Ok(Account { signer, keyring: Arc::new(Keyring::from_settings(settings)?) })
    }

    /// The key of the job file to check.
    pub(super) fn hint(&self, error: &ApiError) -> Option<String> {
        let problem = error.problem();
        problem.hint_of_a_stranger("pay_v3").or_else(|| Some(self.spell(self.hint_of(problem)?)))
    }

    fn hint_of(&self, problem: &Problem) -> Option<&'static str> {
        let hint = match problem {
            Problem::ClockSkew { .. } => "set this machine's clock (NTP); WeChat allows five minutes",
            Problem::Refused { kind: FailureKind::Credentials, .. } => {
                "`pay_v3.serial_no` must be the serial of the certificate that belongs to \
                 `pay_v3.private_key_file`, and both must be of merchant `pay_v3.mchid`"
            }
            Problem::Refused { code, .. } => refused_hint(code)?,
            Problem::Signature(error) => self.signature_hint(error),
            Problem::Transport(TransportError::Unsendable { .. }) => {
                "an openid, code or id in the request is not one that WeChat issues: correct the file that names it"
            }
            Problem::Transport(_) => "is `pay_v3.base_url` reachable from this machine?",
            Problem::NoToken { .. } | Problem::Unexpected { .. } | Problem::Sink(_) | Problem::Digest { .. } => {
                return None;
            }
        };
        Some(hint)
    }

    /// A hint that names the keys as the job file does.
    pub(super) fn spell(&self, hint: &str) -> String {
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
                "something between this machine and `pay_v3.base_url` caches answers: it must pass them on unchanged"
            }
            SignatureError::UnknownSerial { serial } if serial.starts_with("PUB_KEY_ID_") => {
                "set `pay_v3.public_key_id` and `pay_v3.public_key_file` to the key of that id"
            }
            SignatureError::UnknownSerial { .. } => {
                "the platform certificate of that serial could not be fetched; does `pay_v3.api_v3_key_env` name the APIv3 key?"
            }
            SignatureError::Mismatch { .. } if self.keyring.has_public_key() => {
                "`pay_v3.public_key_file` must be the key downloaded together with `pay_v3.public_key_id`"
            }
            SignatureError::Mismatch { .. } => "is `pay_v3.base_url` really WeChat Pay?",
        }
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
