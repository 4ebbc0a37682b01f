//! The spool of COUPON.SEND callbacks: signed and encrypted, some duplicated, one forged (reference
//! v3 §3, §1.3, §1.6).

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, NaiveDate, Utc};
use rand_chacha::ChaCha20Rng;
use serde_json::{Value, json};

use crate::clock::business_date_of;
use crate::simulator::state::wire_time;
use crate::simulator::world::Coupon;

use super::calendar::{Calendar, seconds};
use super::catalog::MCHID;
use super::credentials::{Credentials, alphanumeric};
use super::recipe::GenerateError;
use super::shop::{Stream, chance};

/// Callbacks per night, so that a large merchant's spool stays small.
const PER_NIGHT: usize = 12;
/// One in this many is delivered twice.
const REPEATED_EVERY: usize = 4;
const ASSOCIATED_DATA: &str = "coupon";

/// A file of the spool.
pub(super) struct SpoolFile {
    pub(super) name: String,
    pub(super) content: Value,
}

/// The spool of all nights.
pub(super) fn spool(
    coupons: &[Coupon],
    calendar: Calendar,
    credentials: &Credentials,
    seed: u64,
) -> Result<Vec<SpoolFile>, GenerateError> {
    let mut spooler =
        Spooler { credentials, rng: chance(seed, Stream::Notifications), date: calendar.first(), files: vec![] };
    for date in calendar.dates() {
        spooler.date = date;
        let received = coupons.iter().filter(|coupon| business_date_of(coupon.receive_time) == date);
        for (place, coupon) in received.take(PER_NIGHT).enumerate() {
            let body = spooler.body(coupon)?;
            spooler.deliver(&body, coupon.receive_time + seconds(3));
            if place % REPEATED_EVERY == 0 {
                spooler.deliver(&body, coupon.receive_time + seconds(63));
            }
        }
        if date == calendar.first() {
            spooler.deliver_forgery(coupons)?;
        }
    }
    Ok(spooler.files)
}

/// Builds the callbacks of one date.
struct Spooler<'a> {
    credentials: &'a Credentials,
    rng: ChaCha20Rng,
    date: NaiveDate,
    files: Vec<SpoolFile>,
}

impl Spooler<'_> {
    /// The callback about a coupon, encrypted for the merchant.
    fn body(&mut self, coupon: &Coupon) -> Result<String, GenerateError> {
        let nonce = alphanumeric(&mut self.rng, 12);
        let ciphertext = self.encrypt(&nonce, plaintext(coupon).to_string().as_bytes())?;
        let body = json!({
            "id": event_id(&mut self.rng),
            "create_time": wire_time(coupon.receive_time + seconds(1)),
            "resource_type": "encrypt-resource",
            "event_type": "COUPON.SEND",
            "summary": "商家券领券通知",
            "resource": {
                "original_type": "coupon",
                "algorithm": "AEAD_AES_256_GCM",
                "ciphertext": ciphertext,
                "associated_data": ASSOCIATED_DATA,
                "nonce": nonce,
            },
        });
        Ok(body.to_string())
    }

    fn encrypt(&self, nonce: &str, plaintext: &[u8]) -> Result<String, GenerateError> {
        let refused = |reason: String| GenerateError::Credential { what: "encrypted callback", reason };
        let key = self.credentials.account.api_v3_key.as_bytes();
        let cipher = Aes256Gcm::new_from_slice(key).map_err(|error| refused(error.to_string()))?;
        let payload = Payload { msg: plaintext, aad: ASSOCIATED_DATA.as_bytes() };
        let sealed =
            cipher.encrypt(Nonce::from_slice(nonce.as_bytes()), payload).map_err(|error| refused(error.to_string()))?;
        Ok(STANDARD.encode(sealed))
    }

    fn deliver(&mut self, body: &str, time: DateTime<Utc>) {
        let nonce = alphanumeric(&mut self.rng, 32);
        let message = format!("{}\n{nonce}\n{body}\n", time.timestamp());
        let signature = STANDARD.encode(self.credentials.sign(message.as_bytes()));
        self.spool(body, time, &nonce, &signature);
    }

    /// A forged callback about a coupon that nobody ever received, with the signature of another
    /// message.
    fn deliver_forgery(&mut self, coupons: &[Coupon]) -> Result<(), GenerateError> {
        let Some(coupon) = coupons.first() else { return Ok(()) };
        let time = super::calendar::at(self.date, 12, 0);
        let invented = Coupon { coupon_code: "FORGED-0001".to_owned(), receive_time: time, ..coupon.clone() };
        let body = self.body(&invented)?;
        let nonce = alphanumeric(&mut self.rng, 32);
        let signature = STANDARD.encode(self.credentials.sign(b"another message"));
        self.spool(&body, time, &nonce, &signature);
        Ok(())
    }

    fn spool(&mut self, body: &str, time: DateTime<Utc>, nonce: &str, signature: &str) {
        let headers = json!({
            "Wechatpay-Timestamp": time.timestamp().to_string(),
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Signature": signature,
            "Wechatpay-Serial": self.credentials.account.public_key_id,
            "Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048",
        });
        let name = format!("{}-{:04}.json", self.date.format("%Y%m%d"), self.files.len() + 1);
        self.files.push(SpoolFile { name, content: json!({"headers": headers, "body": body}) });
    }
}

fn plaintext(coupon: &Coupon) -> Value {
    json!({
        "event_type": "EVENT_TYPE_BUSICOUPON_SEND",
        "coupon_code": coupon.coupon_code,
        "stock_id": coupon.stock_id,
        "send_time": wire_time(coupon.receive_time),
        "openid": coupon.openid,
        "unionid": "",
        "send_channel": "BUSICOUPON_SEND_CHANNEL_MINIAPP",
        "send_merchant": MCHID,
        "attach_info": {"act_code": "540358695"},
    })
}

/// The shape of a UUID.
fn event_id(rng: &mut ChaCha20Rng) -> String {
    use rand::Rng;
    let digits = hex::encode(rng.r#gen::<[u8; 16]>());
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}
