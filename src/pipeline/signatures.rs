//! Re-verifies the signature of every journalled answer: APIv3 answers with the keys kept with them, v2 answers
//! with the key of the job.

use chrono::NaiveDate;

use super::failure::{disk, unreadable_journal};
use super::remedies::REMEDIES;
use crate::clock::World;
use crate::dataset::Lake;
use crate::dataset::runs::Runs;
use crate::error::{ExitCode, Failure};
use crate::extract::CERTIFICATES;
use crate::job::{Job, OnMismatch, PayV2Settings, PayV3Settings};
use crate::journal::{Journal, JournalError, Page};
use crate::stage::Stage;
use crate::wechat::pay_v2::{self, SignatureCheck};
use crate::wechat::pay_v3::Keyring;

/// Stages whose answers are signed by APIv3.
const SIGNED_STAGES: [Stage; 5] =
    [Stage::UserCoupons, Stage::Stocks, Stage::CouponCodes, Stage::Subsidies, Stage::Notifications];
/// The stage whose answers come from v2.
const V2_STAGE: Stage = Stage::V2Stocks;

/// The result of verifying signatures.
#[derive(Debug, Default)]
pub struct Proof {
    /// Valid signatures.
    pub verified: u64,
    /// Answers without a signature: refusals such as "unknown coupon" (reference v3 §1.3).
    pub unsigned: u64,
    /// Invalid v2 signatures where the job accepts such answers.
    pub mismatched: u64,
    /// Invalid signatures.
    pub findings: Vec<String>,
}

/// Verifies the signatures of one date.
///
/// # Errors
/// A job without an API that signs, unusable keys, an unreadable journal.
pub fn verify_signatures(job: &Job, lake: &Lake, date: NaiveDate) -> Result<Proof, Failure> {
    if job.pay_v3.is_none() && job.pay_v2.is_none() {
        let what = "signatures cannot be checked without the keys of `[pay_v3]` or `[pay_v2]`";
        return Err(Failure::new(ExitCode::Usage, what));
    }
    let runs = Runs::read(lake, date).map_err(|error| disk(&error, "cannot read the manifests"))?;
    let journal = Journal::replay(&lake.journal(date), runs.generation(), World::real());
    let journal = journal.map_err(|error| unreadable_journal(&error))?;
    let mut proof = Proof::default();
    if let Some(settings) = &job.pay_v3 {
        check_pay_v3(settings, &journal, &mut proof)?;
    }
    if let Some(settings) = &job.pay_v2 {
        check_pay_v2(settings, &journal, &mut proof).map_err(|error| unreadable_journal(&error))?;
    }
    Ok(proof)
}

fn check_pay_v3(settings: &PayV3Settings, journal: &Journal, proof: &mut Proof) -> Result<(), Failure> {
    let keyring = Keyring::from_settings(settings)
        .map_err(|error| Failure::caused_by(ExitCode::Rejected, "the keys of the job cannot be used", &error))?;
    let learn = |_: &str, page: &Page| {
        // A certificate that cannot be decrypted shows below, as signatures that cannot be verified.
        let _ = keyring.learn_certificates(&page.body);
    };
    each_page(journal, CERTIFICATES, learn).map_err(|error| unreadable_journal(&error))?;
    for stage in SIGNED_STAGES.iter().map(|stage| stage.as_str()).chain([REMEDIES]) {
        each_page(journal, stage, |key, page| check(&keyring, stage, key, page, proof))
            .map_err(|error| unreadable_journal(&error))?;
    }
    Ok(())
}

fn check_pay_v2(settings: &PayV2Settings, journal: &Journal, proof: &mut Proof) -> Result<(), JournalError> {
    let check =
        |key: &str, page: &Page| match (pay_v2::check_signature(&page.body, &settings.api_key), settings.on_mismatch) {
            (SignatureCheck::Verified, _) => proof.verified += 1,
            (SignatureCheck::Absent, _) => proof.unsigned += 1,
            (SignatureCheck::Mismatch, OnMismatch::Record) => proof.mismatched += 1,
            (SignatureCheck::Mismatch, OnMismatch::Fail) => {
                let kind = key.split('/').next().unwrap_or_default();
                proof.findings.push(format!("{V2_STAGE}/{kind}: it does not match the answer under the v2 key"));
            }
        };
    each_page(journal, V2_STAGE.as_str(), check)
}

/// Every page of a stage with its key, in the order of the journal; only a few wallets are in memory at a time.
fn each_page(journal: &Journal, stage: &str, mut check: impl FnMut(&str, &Page)) -> Result<(), JournalError> {
    journal.stage(stage)?.visit(|entry| {
        entry.pages.iter().for_each(|page| check(&entry.key, page));
        Ok(())
    })
}

fn check(keyring: &Keyring, stage: &str, key: &str, page: &Page, proof: &mut Proof) {
    if page.status >= 400 {
        proof.unsigned += 1;
        return;
    }
    match keyring.verify_evidence(&page.evidence, &page.body) {
        Ok(()) => proof.verified += 1,
        Err(error) => {
            let request_id = page.evidence.request_id.as_deref().unwrap_or("none");
            let kind = key.split('/').next().unwrap_or_default();
            let place = format!("{stage}/{kind} (request id {request_id})");
            proof.findings.push(format!("{place}: the signature does not hold: {error}"));
        }
    }
}
