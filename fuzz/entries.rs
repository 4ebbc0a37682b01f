//! What foreign bytes are fed to: one function per parser that reads what others wrote. They must
//! return, whatever comes. Used by the fuzz targets and by `tests/it/corpus.rs`; asserts nothing else.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::NaiveDate;
use coupon_recon::exports::notifications::{self, CallbackKeys};
use coupon_recon::exports::trade_bill;
use coupon_recon::job::{ApiLimits, PayV3Settings};
use coupon_recon::secret::Secret;
use coupon_recon::wechat::pay_v2::xml;
use coupon_recon::wechat::pay_v3::{Keyring, Sealed, SignatureHeaders};
use coupon_recon::wechat::{mp, pay_v2, pay_v3};

/// The flat XML of v2: read, judged, its signature checked; what reads is written and read again.
pub fn v2_xml(bytes: &[u8]) {
    let _ = pay_v2::failure_of(200, bytes);
    let _ = pay_v2::check_signature(bytes, &Secret::new("192006250b4c09247ec02edce69f6a2d"));
    let _ = pay_v2::coupon_stock("1").parse(bytes);
    let _ = pay_v2::coupon("1", "o", "1").parse(bytes);
    if let Ok(fields) = xml::read(bytes) {
        let _ = xml::read(xml::write(&fields).as_bytes());
    }
}

/// Error bodies of v3 under every status that means something, and of the platform.
pub fn v3_error(bytes: &[u8]) {
    for status in [200, 202, 204, 302, 400, 401, 403, 404, 429, 500, 502, 503] {
        let _ = pay_v3::failure_of(status, bytes);
    }
    let _ = mp::failure_of(200, bytes);
}

/// A spooled callback whose signature holds, and an encrypted certificate list.
pub fn callback(bytes: &[u8]) {
    let _ = notifications::open(bytes, &Trusting);
    let keyring = keyring();
    let _ = keyring.learn_certificates(bytes);
    let text = String::from_utf8_lossy(bytes);
    let (algorithm, ciphertext) = ("AEAD_AES_256_GCM", &*text);
    let sealed = Sealed { algorithm, nonce: "Kj7QIyUiYx1q", associated_data: "payscore", ciphertext };
    let _ = keyring.decrypt_resource(sealed);
    let (nonce, encoded) = (text.chars().take(12).collect::<String>(), STANDARD.encode(bytes));
    let sealed = Sealed { algorithm, nonce: &nonce, associated_data: &text, ciphertext: &encoded };
    let _ = keyring.decrypt_resource(sealed);
}

/// Whether a spooled callback gives an event when its signature and cipher are believed.
pub fn opens(bytes: &[u8]) -> bool {
    matches!(notifications::open(bytes, &Trusting), Ok(Some(_)))
}

/// A trade bill, packed or not.
pub fn bill(bytes: &[u8]) {
    let date = NaiveDate::from_ymd_opt(2026, 11, 18).expect("a day of the calendar");
    let _ = trade_bill::read(bytes, "bill.csv", date, &mut |_, _| Ok(()));
}

/// Believes every signature and "decrypts" Base64: so that mutations get past the cryptography.
struct Trusting;

impl CallbackKeys for Trusting {
    fn verify(&self, _: &SignatureHeaders<'_>, _: &[u8]) -> Result<(), String> {
        Ok(())
    }

    fn decrypt(&self, sealed: Sealed<'_>) -> Result<Vec<u8>, String> {
        STANDARD.decode(sealed.ciphertext).map_err(|error| error.to_string())
    }
}

fn keyring() -> Keyring {
    let limits = ApiLimits {
        base_url: "https://api.mch.weixin.qq.com".parse().expect("a URL"),
        backup_url: None,
        timeout: Duration::from_secs(1),
        retry_deadline: Duration::from_secs(1),
        rate_per_second: 1,
        concurrency: 1,
    };
    let settings = PayV3Settings {
        limits,
        mchid: "1900000001".into(),
        serial_no: "5C75181428709FED12A967C860F1ED43D421BD53".into(),
        private_key_pem: Secret::new(""),
        api_v3_key: Secret::new("0123456789abcdef0123456789abcdef"),
        public_key: None,
    };
    Keyring::from_settings(&settings).expect("the key has 32 bytes")
}
