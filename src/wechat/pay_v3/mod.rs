//! WeChat Pay APIv3: signs every attempt, verifies every good answer over its raw bytes, and keeps the platform's
//! keys up to date (reference v3 §1). Keeps no answer and does not page through lists.

pub mod bills;
pub mod busifavor;
pub mod certificates;
pub mod echo;
pub mod keyring;
pub mod resource;

mod account;
mod exchange;
mod judge;
mod refresh;
mod replays;
mod sign;
mod signed;
mod target;
mod unzip;

use std::sync::Arc;

use account::Account;
use exchange::Verified;
use refresh::Refresh;
use replays::{Replays, Unreplayed};
use signed::Signed;

pub use certificates::certificates;
pub use judge::failure_of;
pub use keyring::{Keyring, SignatureHeaders};
pub use resource::Sealed;
pub use sign::{Attempt, Signer};

use crate::clock::World;
use crate::http::HttpClient;
use crate::job::PayV3Settings;
use crate::wechat::answer::Answer;
use crate::wechat::endpoint;
use crate::wechat::error::{ApiError, SetupError};
use crate::wechat::request::Request;

/// A client of APIv3 for one merchant.
pub struct PayV3 {
    http: HttpClient,
    account: Arc<Account>,
    refresh: Refresh,
    replays: Replays,
}

impl PayV3 {
    /// A client with the limits of the job. Sends nothing yet.
    pub fn new(settings: &PayV3Settings, world: World) -> Result<PayV3, SetupError> {
        let http = HttpClient::new(&settings.limits, world)?;
        let account = Arc::new(Account::new(settings)?);
        // Other calls wait for the certificates, so those are requested by a second client.
        let refresh = Refresh::new(http.beside(), account.clone());
        Ok(PayV3 { http, account, refresh, replays: Replays::default() })
    }

    /// Makes a call and returns the verified answer.
    ///
    /// # Errors
    /// After the retries of reference v3 §1.9; the error has kind, trace, cause and hint.
    pub async fn send<T>(&self, request: &Request<T>) -> Result<Answer, ApiError> {
        if *request.endpoint == endpoint::CERTIFICATES {
            return self.refresh.fetch(&self.http).await;
        }
        self.refresh.keep().await?;
        let proof = Unreplayed { proof: &self.refresh, replays: &self.replays };
        Verified::new(self.signed(request), &proof).ask().await
    }

    /// The platform's keys known so far.
    pub fn keyring(&self) -> &Arc<Keyring> {
        &self.account.keyring
    }

    /// The `/v3/certificates` answers that this client has learnt from since the last call: the journal keeps them,
    /// so that the evidence of a run can always be verified.
    pub fn take_certificate_answers(&self) -> Vec<Answer> {
        self.refresh.take_answers()
    }

    fn signed<'a, T>(&'a self, request: &'a Request<T>) -> Signed<'a> {
        Signed::new(&self.http, &self.account, request)
    }
}

impl std::fmt::Debug for PayV3 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PayV3").field("keyring", &self.account.keyring).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
