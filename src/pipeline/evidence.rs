//! Re-checks the signature of every journalled APIv3 answer against the keys kept with it.

use chrono::NaiveDate;

use super::failure::disk;
use crate::clock::World;
use crate::dataset::Lake;
use crate::dataset::runs::Runs;
use crate::error::{ExitCode, Failure};
use crate::job::Job;
use crate::journal::{Journal, JournalError, Page};
use crate::wechat::Evidence;
use crate::wechat::pay_v3::Keyring;

/// Stages whose answers APIv3 signs.
const SIGNED_STAGES: [&str; 5] = ["user_coupons", "stocks", "coupon_codes", "subsidies", "notifications"];
/// Where the platform certificates of a night are kept.
pub(super) const CERTIFICATES: &str = "certificates";

/// What the signatures prove.
#[derive(Debug, Default)]
pub struct Proof {
    /// Signatures that hold.
    pub verified: u64,
    /// Answers that carry none: refusals such as "unknown coupon" (reference v3 §1.3).
    pub unsigned: u64,
    /// Signatures that do not hold.
    pub findings: Vec<String>,
}

/// Re-checks the evidence of one date.
///
/// # Errors
/// A job without APIv3, keys that are none, a journal that cannot be read.
pub fn verify_signatures(job: &Job, date: NaiveDate) -> Result<Proof, Failure> {
    let Some(settings) = &job.pay_v3 else {
        return Err(Failure::new(ExitCode::Usage, "signatures cannot be checked without `[pay_v3]`"));
    };
    let unreadable = |error: JournalError| Failure::caused_by(ExitCode::Violation, "cannot read the journal", &error);
    let keyring = Keyring::from_settings(settings)
        .map_err(|error| Failure::caused_by(ExitCode::Rejected, "the keys of the job cannot be used", &error))?;
    let lake = Lake::at(&job.lake);
    let runs = Runs::of(&lake, date).map_err(|error| disk(&error, "cannot read the manifests"))?;
    let journal = Journal::replay(&lake.journal(date), runs.generation(), World::real()).map_err(unreadable)?;
    for page in pages(&journal, CERTIFICATES).map_err(unreadable)? {
        // One that cannot be opened shows below, as the signatures it should prove.
        let _ = keyring.learn_certificates(&page.1.body);
    }
    let mut proof = Proof::default();
    for stage in SIGNED_STAGES {
        for (key, page) in pages(&journal, stage).map_err(unreadable)? {
            check(&keyring, stage, &key, &page, &mut proof);
        }
    }
    Ok(proof)
}

fn pages(journal: &Journal, stage: &str) -> Result<Vec<(String, Page)>, JournalError> {
    let entries = journal.stage(stage)?.entries()?;
    Ok(entries
        .into_iter()
        .flat_map(|entry| entry.pages.into_iter().map(move |page| (entry.key.clone(), page)))
        .collect())
}

fn check(keyring: &Keyring, stage: &str, key: &str, page: &Page, proof: &mut Proof) {
    if page.status >= 400 {
        proof.unsigned += 1;
        return;
    }
    let evidence = Evidence {
        timestamp: page.timestamp.clone(),
        nonce: page.nonce.clone(),
        signature: page.signature.clone(),
        serial: page.serial.clone(),
        request_id: page.request_id.clone(),
    };
    match keyring.verify_evidence(&evidence, &page.body) {
        Ok(()) => proof.verified += 1,
        Err(error) => {
            let request_id = page.request_id.as_deref().unwrap_or("none");
            let kind = key.split('/').next().unwrap_or_default();
            let place = format!("{stage}/{kind} (request id {request_id})");
            proof.findings.push(format!("{place}: the signature does not hold: {error}"));
        }
    }
}
