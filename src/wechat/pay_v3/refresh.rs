//! Keeps platform certificates up to date: they are fetched before the first call without a public key, every few
//! hours, and for an unknown serial at most once a minute (reference v3 §1.4, §1.6). Also verifies answers with them.

use std::sync::{Arc, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Mutex;

use super::account::Account;
use super::certificates::{CertificateError, certificates};
use super::exchange::{Proof, Verified, check_age};
use super::resource::DecryptError;
use super::signed::Signed;
use crate::http::{HttpClient, Trace};
use crate::wechat::answer::Answer;
use crate::wechat::error::{ApiError, FailureKind, Problem, SignatureError};
use crate::wechat::wording::shown;

/// The official advice is to poll more often than every 12 hours.
const FRESH_FOR: TimeDelta = TimeDelta::hours(6);

/// Between two fetches for an unknown serial, and after a failed fetch.
const PAUSE: TimeDelta = TimeDelta::seconds(60);

/// The certificates of one merchant, when they were fetched, and the answers they were learnt from, until those are
/// taken.
pub(super) struct Refresh {
    http: HttpClient,
    account: Arc<Account>,
    fetched: Mutex<Fetched>,
    learnt_from: std::sync::Mutex<Vec<Answer>>,
}

#[derive(Default)]
struct Fetched {
    /// The last fetch because of an unknown serial.
    sought_at: Option<DateTime<Utc>>,
    learnt_at: Option<DateTime<Utc>>,
    failed: Option<Failed>,
}

impl Fetched {
    fn failed_lately(&self, now: DateTime<Utc>) -> Option<&Failed> {
        self.failed.as_ref().filter(|failed| now - failed.at < PAUSE)
    }
}

/// A failed fetch: its outcome counts for all callers for a minute, so that a dead host is not contacted once per
/// waiting call.
struct Failed {
    at: DateTime<Utc>,
    kind: FailureKind,
    trace: Trace,
    cause: String,
    hint: Option<String>,
}

impl Failed {
    fn new(error: &ApiError, at: DateTime<Utc>) -> Failed {
        // "No certificates" is not an answer to the call of another caller.
        let kind = match error.kind() {
            FailureKind::NotFound => FailureKind::Credentials,
            kind => kind,
        };
        let (trace, cause) = (error.trace().clone(), error.problem().to_string());
        Failed { at, kind, trace, cause, hint: error.hint().map(str::to_owned) }
    }

    fn again(&self) -> ApiError {
        let problem = Problem::Refused { kind: self.kind, code: "certificates".into(), message: self.cause.clone() };
        ApiError::new(self.trace.clone(), problem).with_hint(self.hint.clone())
    }
}

impl Refresh {
    /// Nothing is known yet; `http` is for the calls that other calls wait for.
    pub(super) fn new(http: HttpClient, account: Arc<Account>) -> Refresh {
        Refresh { http, account, fetched: Mutex::default(), learnt_from: std::sync::Mutex::default() }
    }

    pub(super) fn take_answers(&self) -> Vec<Answer> {
        std::mem::take(&mut *self.learnt_from.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, answer: &Answer) {
        self.learnt_from.lock().unwrap_or_else(PoisonError::into_inner).push(answer.clone());
    }

    /// Without a public key: ensures that there are certificates and that they are recent. Old ones stay in use when
    /// new ones cannot be fetched.
    pub(super) async fn keep(&self) -> Result<(), ApiError> {
        if self.account.keyring.has_public_key() {
            return Ok(());
        }
        let mut fetched = self.fetched.lock().await;
        let now = self.http.world().clock.now();
        if fetched.learnt_at.is_some_and(|at| now - at < FRESH_FOR) {
            return Ok(());
        }
        let outcome = match fetched.failed_lately(now) {
            Some(failed) => Err(failed.again()),
            None => self.learn(&mut fetched).await,
        };
        if fetched.learnt_at.is_some() { Ok(()) } else { outcome }
    }

    /// Fetches certificates for an unknown serial; returns whether it is known now. Ids of public keys are never in the
    /// list. A merchant without platform certificates is no error here.
    async fn learn_serial(&self, serial: &str) -> bool {
        if serial.starts_with("PUB_KEY_ID_") {
            return false;
        }
        let keyring = &self.account.keyring;
        let mut fetched = self.fetched.lock().await;
        let now = self.http.world().clock.now();
        let was_sought = fetched.sought_at.is_some_and(|at| now - at < PAUSE);
        if keyring.knows(serial) || fetched.failed_lately(now).is_some() || was_sought {
            return keyring.knows(serial);
        }
        fetched.sought_at = Some(now);
        if let Err(error) = self.learn(&mut fetched).await {
            tracing::warn!(%error, serial = shown(serial), "platform certificates cannot be fetched");
        }
        keyring.knows(serial)
    }

    /// Fetches, verifies with the certificates in the answer, and learns.
    pub(super) async fn fetch(&self, http: &HttpClient) -> Result<Answer, ApiError> {
        let answer = self.request(http).await?;
        let mut fetched = self.fetched.lock().await;
        let now = self.http.world().clock.now();
        fetched.learnt_at = Some(now);
        Ok(answer)
    }

    async fn learn(&self, fetched: &mut Fetched) -> Result<(), ApiError> {
        let asked_at = self.http.world().clock.now();
        match self.request(&self.http).await {
            Ok(_) => {
                (fetched.learnt_at, fetched.failed) = (Some(asked_at), None);
                Ok(())
            }
            Err(error) => {
                let failed = Failed::new(&error, self.http.world().clock.now());
                let error = failed.again();
                fetched.failed = Some(failed);
                Err(error)
            }
        }
    }

    async fn request(&self, http: &HttpClient) -> Result<Answer, ApiError> {
        let (request, proof) = (certificates(), OwnCertificates(self));
        let exchange = Verified::new(Signed::new(http, &self.account, &request), &proof);
        exchange.ask().await.map_err(|error| self.explain_missing(error))
    }

    /// New merchants have no platform certificate and need the public key.
    fn explain_missing(&self, error: ApiError) -> ApiError {
        let hint = match error.problem() {
            Problem::Refused { kind: FailureKind::NotFound, .. } => {
                "this merchant has no platform certificate: set `pay_v3.public_key_id` and `pay_v3.public_key_file`"
            }
            Problem::Refused { code, .. } if code == "certificates" => {
                "`pay_v3.api_v3_key_env` must name the APIv3 key of the merchant, not its v2 key"
            }
            _ => return error,
        };
        error.with_hint(Some(self.account.spell(hint)))
    }
}

/// Verifies with the known keys, and with those fetched for an unknown serial.
impl Proof for Refresh {
    async fn verify(&self, _: &Signed<'_>, answer: &Answer) -> Result<(), Problem> {
        check_age(&answer.evidence, answer.fetched_at)?;
        let keyring = &self.account.keyring;
        let outcome = match keyring.verify_evidence(&answer.evidence, &answer.body) {
            Err(SignatureError::UnknownSerial { serial }) if self.learn_serial(&serial).await => {
                keyring.verify_evidence(&answer.evidence, &answer.body)
            }
            outcome => outcome,
        };
        Ok(outcome?)
    }
}

/// Verifies with the certificates in the answer itself, and learns them if it is valid.
struct OwnCertificates<'a>(&'a Refresh);

impl Proof for OwnCertificates<'_> {
    async fn verify(&self, _: &Signed<'_>, answer: &Answer) -> Result<(), Problem> {
        check_age(&answer.evidence, answer.fetched_at)?;
        match self.0.account.keyring.verify_certificates(&answer.evidence, &answer.body) {
            Ok(_) => {
                self.0.note(answer);
                Ok(())
            }
            Err(CertificateError::Signature(error)) => Err(error.into()),
            Err(error @ CertificateError::Decrypt { source: DecryptError::Tag, .. }) => Err(Problem::Refused {
                kind: FailureKind::Credentials,
                code: "certificates".into(),
                message: format!("{error}: the APIv3 key is not the right one"),
            }),
            Err(CertificateError::Decrypt { serial, source }) => Err(Problem::Unexpected {
                detail: format!("platform certificate `{serial}` cannot be opened: {source}"),
            }),
            Err(error) => Err(Problem::Unexpected { detail: error.to_string() }),
        }
    }
}
