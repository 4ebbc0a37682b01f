//! Stage `notifications`: spooled COUPON.SEND callbacks, verified, decrypted, deduplicated.

use super::ask::{Place, ask_all, settle};
use super::orders::digests;
use super::{Api, Harvest, Issue, IssueKind, Night};
use crate::exports::notifications::{CallbackKeys, read};
use crate::record::CouponEvent;
use crate::wechat::Request;
use crate::wechat::pay_v3::PayV3;
use crate::wechat::pay_v3::certificates::{CertificateList, certificates};
use crate::wechat::pay_v3::keyring::Keyring;

const STAGE: &str = "notifications";
const PLACE: Place = Place { stage: STAGE, api: Api::PayV3 };

/// Reads the spool; openids stay raw. What cannot be verified is a dead letter, counted and named
/// in the log, and the stage is complete (design §12).
pub async fn extract(night: &Night<'_>) -> Result<Harvest<Vec<CouponEvent>>, Issue> {
    let Some(spool) = &night.job.notification_spool else { return Ok(Harvest::complete(Vec::new())) };
    let Some(pay_v3) = &night.apis.pay_v3 else {
        return Err(Issue::new(IssueKind::Incomplete, "callbacks cannot be verified without `[pay_v3]`"));
    };
    night.require_ready(STAGE)?;
    learn_certificates(night, pay_v3).await?;
    let spooled = read(spool, night.date, &Keys(pay_v3.keyring()))
        .map_err(|error| Issue::new(IssueKind::Malformed, error.to_string()))?;
    for letter in &spooled.dead_letters {
        tracing::info!(file = %letter.file, why = %letter.why, "a spooled callback is a dead letter");
    }
    let mut harvest = Harvest::complete(spooled.events);
    harvest.inputs = digests("notifications", &spooled.files);
    harvest.rows.sort_by(|a, b| (&a.stock_id, &a.coupon_code).cmp(&(&b.stock_id, &b.coupon_code)));
    Ok(harvest.noting("duplicates", spooled.duplicates).noting("dead_letters", spooled.dead_letters.len()))
}

/// Without a public key callbacks are signed by platform certificates: they are fetched, journalled,
/// and learnt from the journal, so that a replay verifies the same callbacks.
async fn learn_certificates(night: &Night<'_>, pay_v3: &PayV3) -> Result<(), Issue> {
    if night.job.pay_v3.as_ref().is_some_and(|settings| settings.public_key.is_some()) {
        return Ok(());
    }
    let journal = night.journal.stage(STAGE)?;
    let question = vec![("certificates".to_owned(), certificates())];
    let ask = async |request: Request<CertificateList>| {
        settle(&request, pay_v3.send(&request).await).map(|page| Some(vec![page]))
    };
    if let Some(issue) = ask_all(night, &journal, PLACE, 1, question, ask).await?.into_iter().next() {
        return Err(issue);
    }
    for page in journal.entries()?.iter().flat_map(|entry| &entry.pages) {
        let learnt = pay_v3.keyring().learn_certificates(&page.body);
        learnt.map_err(|error| Issue::new(IssueKind::Credentials, error.to_string()))?;
    }
    Ok(())
}

/// The platform's keys, as the spool needs them.
struct Keys<'a>(&'a Keyring);

impl CallbackKeys for Keys<'_> {
    fn verify(&self, timestamp: &str, nonce: &str, body: &[u8], signature: &str, serial: &str) -> Result<(), String> {
        self.0.verify(timestamp, nonce, body, signature, serial).map_err(|error| error.to_string())
    }

    fn decrypt(&self, nonce: &str, associated_data: &str, ciphertext_base64: &str) -> Result<Vec<u8>, String> {
        let opened = self.0.decrypt_resource("AEAD_AES_256_GCM", nonce, associated_data, ciphertext_base64);
        opened.map_err(|error| error.to_string())
    }
}
