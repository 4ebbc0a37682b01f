//! Stage `notifications`: COUPON.SEND callbacks from the merchant's spool, verified, decrypted and deduplicated
//! (reference v3 §1.4 for the keys). What cannot be verified is never used.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use chrono::{DateTime, NaiveDate};
use serde::Deserialize;

use super::ask::{Place, ask_all, settle};
use super::orders::{digests, from_export};
use super::unknown_users::published_extra;
use super::{Harvest, Issue, IssueKind, Night};
use crate::api::Api;
use crate::clock::business_date_of;
use crate::exports::ExportError;
use crate::exports::notifications::{CallbackKeys, Notifications, read};
use crate::journal::StageJournal;
use crate::quantity::{agreeing, counted};
use crate::record::CouponEvent;
use crate::stage::Stage;
use crate::wechat::Request;
use crate::wechat::error::SignatureError;
use crate::wechat::pay_v3::certificates::{CertificateList, certificates};
use crate::wechat::pay_v3::keyring::Keyring;
use crate::wechat::pay_v3::{PayV3, Sealed, SignatureHeaders};

const STAGE: Stage = Stage::Notifications;
const PLACE: Place = Place { stage: STAGE, api: Api::PayV3 };
/// Journal key of an answer with certificates; the requested serials are appended.
const CERTIFICATES: &str = "certificates";

/// Reads the spool; openids stay raw. A callback that cannot be verified is a dead letter: counted, named in
/// the log, and no reason for the stage to be incomplete (design §12).
pub async fn extract(night: &Night<'_>) -> Result<Harvest<Vec<CouponEvent>>, Issue> {
    let Some(spool) = &night.job.notification_spool else { return Ok(Harvest::complete(Vec::new())) };
    let Some(pay_v3) = &night.apis.pay_v3 else {
        return Err(Issue::new(IssueKind::Incomplete, "callbacks cannot be verified without `[pay_v3]`"));
    };
    night.require_ready(STAGE)?;
    let (spooled, issues) = open(night, spool, pay_v3).await?;
    for letter in &spooled.dead_letters {
        tracing::info!(file = %letter.file, why = %letter.why, "a spooled callback is a dead letter");
    }
    let sealed = spooled.dead_letters.iter().filter(|letter| letter.is_sealed).count();
    if sealed > 0 {
        tracing::warn!("{}", sealed_letters(sealed, night.date, pay_v3.keyring()));
    }
    let mut harvest = Harvest::complete(spooled.events);
    harvest.issues = issues;
    harvest.inputs = digests("notifications", &spooled.files);
    harvest.rows.sort_by(|a, b| (&a.stock_id, &a.coupon_code).cmp(&(&b.stock_id, &b.coupon_code)));
    let harvest = harvest.noting("duplicates", spooled.duplicates).noting("dead_letters", spooled.dead_letters.len());
    Ok(harvest.noting("sealed_letters", sealed))
}

/// These callbacks are certainly from WeChat: most likely the APIv3 key is wrong.
fn sealed_letters(count: usize, date: NaiveDate, keyring: &Keyring) -> String {
    let (callbacks, are) = (counted(count, "callback", "callbacks"), agreeing(&count, "is", "are"));
    let hint = keyring.api_v3_key_origin().spell("`pay_v3.api_v3_key_env`");
    format!(
        "{callbacks} of {date} {are} signed by WeChat Pay but cannot be opened: {hint} must name the APIv3 key that was set when they arrived"
    )
}

/// Opens the spool. Callbacks are signed with a platform certificate, with the WeChat Pay public key, or with
/// either during a changeover, whatever the job configures (reference v3 §1.4): the header decides. So
/// certificates are fetched once for serials that are neither known nor ids of public keys, and the spool is
/// opened again.
async fn open(night: &Night<'_>, spool: &Path, pay_v3: &PayV3) -> Result<(Notifications, Vec<Issue>), Issue> {
    let journal = night.journal.stage(STAGE.as_str())?;
    let keys = Keys::gather(night, pay_v3.keyring(), &journal)?;
    let spooled = keys.open(night, spool)?;
    let sought = keys.to_seek(night.journal.mode().is_read_only());
    if sought.is_empty() {
        keys.refuse_none()?;
        return Ok((spooled, Vec::new()));
    }
    let issues = seek(night, pay_v3, &journal, &sought).await?;
    if let Some(issue) = issues.first().filter(|_| keys.known.is_empty()) {
        return Err(issue.clone());
    }
    let keys = Keys::gather(night, pay_v3.keyring(), &journal)?;
    keys.refuse_none()?;
    Ok((keys.open(night, spool)?, issues))
}

/// Fetches the platform certificates for unknown serials and journals them, so that a replay verifies the same
/// callbacks.
async fn seek(
    night: &Night<'_>,
    pay_v3: &PayV3,
    journal: &StageJournal,
    serials: &[String],
) -> Result<Vec<Issue>, Issue> {
    let question = vec![(format!("{CERTIFICATES}/{}", serials.join("+")), certificates())];
    let ask = async |request: Request<CertificateList>| {
        settle(&request, pay_v3.send(&request).await).map(|page| Some(vec![page]))
    };
    ask_all(night, journal, PLACE, question, ask).await
}

/// The keys of the platform for the callbacks of the spool.
struct Keys<'a> {
    keyring: &'a Keyring,
    date: NaiveDate,
    /// The job's public key and the certificates in the journal of this stage. What other stages learn
    /// meanwhile does not count: a replay would not have it.
    known: BTreeSet<String>,
    /// Serials for which certificates were fetched before.
    sought: BTreeSet<String>,
    /// Unknown certificate serials that callbacks name, and whether such a callback may be of the date.
    unknown: RefCell<BTreeMap<String, bool>>,
}

impl<'a> Keys<'a> {
    /// Learns the certificates in the journal.
    fn gather(night: &Night<'_>, keyring: &'a Keyring, journal: &StageJournal) -> Result<Keys<'a>, Issue> {
        let public_key = night.job.pay_v3.as_ref().and_then(|settings| settings.public_key.as_ref());
        let mut known: BTreeSet<String> = public_key.map(|key| key.id.clone()).into_iter().collect();
        let mut sought = BTreeSet::new();
        for entry in journal.entries()? {
            let serials = entry.key.strip_prefix(CERTIFICATES).and_then(|rest| rest.strip_prefix('/'));
            sought.extend(serials.into_iter().flat_map(|serials| serials.split('+')).map(str::to_owned));
            // A merchant without platform certificates gets a 404 (reference v3 §1.4).
            for page in entry.pages.iter().filter(|page| page.status < 400) {
                let learnt = keyring.learn_certificates(&page.body);
                known.extend(learnt.map_err(|error| Issue::new(IssueKind::Credentials, error.to_string()))?);
            }
        }
        Ok(Keys { keyring, date: night.date, known, sought, unknown: RefCell::default() })
    }

    fn open(&self, night: &Night<'_>, spool: &Path) -> Result<Notifications, Issue> {
        read(spool, night.date, self).map_err(|error| match error {
            // As with every other file of the merchant: what is not there may come.
            ExportError::Missing { .. } => Issue::new(IssueKind::NotReady, error.to_string())
                .hinting("`notifications.spool` names the folder of the callbacks; create it if none has arrived yet"),
            error => from_export("notifications", error),
        })
    }

    /// Does not treat every callback as a forgery if WeChat says that there are no certificates to verify with.
    fn refuse_none(&self) -> Result<(), Issue> {
        if !self.known.is_empty() || self.sought.is_empty() {
            return Ok(());
        }
        let what = "no callback can be verified: WeChat Pay has no platform certificate for this merchant";
        Err(Issue::new(IssueKind::Credentials, what).hinting(
            "new merchants only have the public key: give `pay_v3.public_key_id` and `pay_v3.public_key_file`; \
             `--refetch` requests certificates again",
        ))
    }

    /// Serials to fetch certificates for. A replay sends no requests and ignores callbacks of other days that
    /// came after its night: only those of the date count as missing.
    fn to_seek(&self, is_replay: bool) -> Vec<String> {
        let unknown = self.unknown.borrow();
        let open = unknown.iter().filter(|(serial, _)| !self.sought.contains(*serial));
        open.filter(|(_, is_of_date)| !is_replay || **is_of_date).map(|(serial, _)| serial.clone()).collect()
    }

    /// Whether a callback that cannot be opened yet may be of the date, by the creation time in its envelope.
    fn may_be_of_date(&self, body: &[u8]) -> bool {
        #[derive(Deserialize)]
        struct Made {
            create_time: String,
        }
        let made = serde_json::from_slice::<Made>(body).ok();
        let made = made.and_then(|made| DateTime::parse_from_rfc3339(&made.create_time).ok());
        made.is_none_or(|made| business_date_of(made.to_utc()) == self.date)
    }
}

impl CallbackKeys for Keys<'_> {
    fn verify(&self, headers: &SignatureHeaders<'_>, body: &[u8]) -> Result<(), String> {
        let serial = headers.serial;
        let certificate = certificate_serial(serial);
        if !self.known.contains(certificate.as_deref().unwrap_or(serial)) {
            if let Some(certificate) = certificate {
                *self.unknown.borrow_mut().entry(certificate).or_default() |= self.may_be_of_date(body);
            }
            return Err(SignatureError::UnknownSerial { serial: serial.to_owned() }.to_string());
        }
        CallbackKeys::verify(self.keyring, headers, body)
    }

    fn decrypt(&self, sealed: Sealed<'_>) -> Result<Vec<u8>, String> {
        self.keyring.decrypt(sealed)
    }
}

/// The normalised serial if it can be that of a certificate: 8 to 40 hexadecimal digits (reference v3 §1.1).
/// Public keys have ids; nothing is requested for a serial that is neither.
fn certificate_serial(serial: &str) -> Option<String> {
    let is_hex = (8..=40).contains(&serial.len()) && serial.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| serial.to_ascii_uppercase())
}

/// The events with published openids.
pub fn published(night: &Night<'_>, events: &[CouponEvent]) -> Vec<CouponEvent> {
    let publish = |id: &Option<String>| id.as_deref().map(|id| night.pseudonyms.publish(id));
    let event = |it: &CouponEvent| {
        let imprint = night.imprint().about(it.openid.as_deref());
        let extra = it.extra.as_deref().map(|extra| published_extra(extra, imprint));
        CouponEvent { openid: publish(&it.openid), unionid: publish(&it.unionid), extra, ..it.clone() }
    };
    events.iter().map(event).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::scripted::{Reply, Script};
    use crate::wechat::pay_v3::keyring::tests::{PLATFORM_ID, Trust, settings};

    const OF_DATE: &[u8] = br#"{"create_time":"2026-11-18T12:00:00+08:00"}"#;
    const OF_ANOTHER: &[u8] = br#"{"create_time":"2026-11-19T00:00:00+08:00"}"#;

    async fn keyring() -> Keyring {
        let limits = Script::always(Reply::status(200, "")).await.limits();
        Keyring::from_settings(&settings(limits, Trust::PublicKey)).unwrap()
    }

    fn keys(keyring: &Keyring) -> Keys<'_> {
        let date = "2026-11-18".parse().unwrap();
        let known = [PLATFORM_ID.to_owned()].into();
        Keys { keyring, date, known, sought: BTreeSet::new(), unknown: RefCell::default() }
    }

    fn sought_after(keys: &Keys<'_>, callbacks: &[(&str, &[u8])], is_replay: bool) -> Vec<String> {
        for (serial, body) in callbacks {
            let headers = SignatureHeaders { timestamp: "1", nonce: "n", signature: "c2ln", serial };
            assert!(keys.verify(&headers, body).is_err());
        }
        keys.to_seek(is_replay)
    }

    #[tokio::test]
    async fn certificates_are_sought_for_hex_serials_alone_and_once() {
        let keyring = keyring().await;
        let mut keys = keys(&keyring);
        let nobody = [(PLATFORM_ID, OF_DATE), ("PUB_KEY_ID_0114", OF_DATE), ("no serial", OF_DATE), ("ABCD", OF_DATE)];
        assert_eq!(sought_after(&keys, &nobody, false), [""; 0]);
        let callbacks = [("0a1b2c3d4e", OF_DATE), ("0A1B2C3D4E", OF_DATE), ("FF00FF00", OF_ANOTHER)];
        assert_eq!(sought_after(&keys, &callbacks, false), ["0A1B2C3D4E", "FF00FF00"]);
        keys.sought.insert("0A1B2C3D4E".into());
        assert_eq!(keys.to_seek(false), ["FF00FF00"]);
    }

    #[tokio::test]
    async fn a_merchant_without_any_key_is_told_so_instead_of_having_forgeries_alone() {
        let keyring = keyring().await;
        let mut keys = keys(&keyring);
        keys.sought.insert("0A1B2C3D4E".into());
        assert_eq!(keys.refuse_none(), Ok(()));
        keys.known.clear();
        assert_eq!(keys.refuse_none().unwrap_err().kind, IssueKind::Credentials);
        keys.sought.clear();
        assert_eq!(keys.refuse_none(), Ok(()), "nobody was asked: no callback wanted a certificate");
    }

    #[tokio::test]
    async fn a_replay_misses_the_certificates_of_its_own_date_alone() {
        let keyring = keyring().await;
        let keys = keys(&keyring);
        assert_eq!(sought_after(&keys, &[("FF00FF00", OF_ANOTHER), ("AA00AA00", OF_DATE)], true), ["AA00AA00"]);
        // A callback without a creation time may belong to any date.
        assert_eq!(sought_after(&keys, &[("FF00FF00", b"{}")], true), ["AA00AA00", "FF00FF00"]);
    }
}
