//! The keys that WeChat Pay signs with, by serial: its public key, its platform certificates, or
//! both during a changeover (reference v3 §1.4). Works without a network: the same code re-verifies
//! journalled evidence and opens callbacks. Never checks the age of a signature.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use aws_lc_rs::digest;
use aws_lc_rs::signature::ParsedPublicKey;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;

use super::certificates::{self, Certificate, CertificateError, canonical, parse_spki};
use super::resource::{self, DecryptError, Sealed};
use crate::job::{PayV3Settings, PublicKey};
use crate::secret::{Origin, Secret};
use crate::wechat::answer::Evidence;
use crate::wechat::error::{SetupError, SignatureError};

/// The signature headers of an answer or a callback (reference v3 §1.3).
#[derive(Debug, Clone, Copy)]
pub struct SignatureHeaders<'a> {
    /// `Wechatpay-Timestamp`, seconds.
    pub timestamp: &'a str,
    /// `Wechatpay-Nonce`.
    pub nonce: &'a str,
    /// `Wechatpay-Signature`, Base64.
    pub signature: &'a str,
    /// `Wechatpay-Serial`: the key.
    pub serial: &'a str,
}

/// Keys by serial, and the APIv3 key that decrypts resources.
pub struct Keyring {
    api_v3_key: Secret,
    public_key_id: Option<String>,
    keys: RwLock<Keys>,
}

#[derive(Default, Clone)]
struct Keys {
    by_serial: HashMap<String, ParsedPublicKey>,
    /// Serial of the certificate that expires last: the preferred one.
    newest_certificate: Option<(chrono::DateTime<chrono::Utc>, String)>,
}

impl Keyring {
    /// The keyring of a job: with its public key, or empty until certificates are learnt.
    pub fn from_settings(settings: &PayV3Settings) -> Result<Keyring, SetupError> {
        let bytes = settings.api_v3_key.expose().len();
        if bytes != 32 {
            return Err(SetupError::ApiV3Key { bytes, origin: settings.api_v3_key.origin().clone() });
        }
        let mut keys = Keys::default();
        if let Some(public_key) = &settings.public_key {
            keys.by_serial.insert(public_key.id.clone(), read_public_key(public_key)?);
        }
        let public_key_id = settings.public_key.as_ref().map(|key| key.id.clone());
        Ok(Keyring { api_v3_key: settings.api_v3_key.clone(), public_key_id, keys: RwLock::new(keys) })
    }

    /// Learns the certificates of a `/v3/certificates` answer; older ones stay valid. The APIv3 key
    /// authenticates them. Returns their serials.
    pub fn learn_certificates(&self, body: &[u8]) -> Result<Vec<String>, CertificateError> {
        let certificates = certificates::open(&self.api_v3_key, body)?;
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        Ok(certificates.into_iter().map(|certificate| keys.learn(certificate)).collect())
    }

    /// Verifies a `/v3/certificates` answer with the known keys and those it contains, and learns
    /// from it only if it is valid (reference v3 §1.6).
    pub fn verify_certificates(&self, evidence: &Evidence, body: &[u8]) -> Result<Vec<String>, CertificateError> {
        let certificates = certificates::open(&self.api_v3_key, body)?;
        let mut candidate = self.keys.read().unwrap_or_else(PoisonError::into_inner).clone();
        let serials = certificates.into_iter().map(|certificate| candidate.learn(certificate)).collect();
        candidate.verify(&SignatureHeaders::of(evidence)?, body)?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = candidate;
        Ok(serials)
    }

    /// Verifies the signature of an answer or callback over its raw body.
    ///
    /// # Errors
    /// `UnknownSerial`, or `Mismatch`, also for signatures that are not Base64, as in probes
    /// (reference v3 §1.5).
    pub fn verify(&self, headers: &SignatureHeaders<'_>, body: &[u8]) -> Result<(), SignatureError> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).verify(headers, body)
    }

    /// Verifies an answer with its evidence.
    pub fn verify_evidence(&self, evidence: &Evidence, body: &[u8]) -> Result<(), SignatureError> {
        self.verify(&SignatureHeaders::of(evidence)?, body)
    }

    /// Decrypts a resource of an answer or callback with the APIv3 key (reference v3 §1.6).
    pub fn decrypt_resource(&self, sealed: Sealed<'_>) -> Result<Vec<u8>, DecryptError> {
        resource::open(&self.api_v3_key, sealed)
    }

    /// Whether a key with this serial is known.
    pub fn knows(&self, serial: &str) -> bool {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.by_serial.contains_key(&canonical(serial))
    }

    /// The serial that answers should be signed with: the public key's id, else that of the newest
    /// certificate, else none.
    pub(crate) fn preferred_serial(&self) -> Option<String> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        self.public_key_id.clone().or_else(|| keys.newest_certificate.as_ref().map(|(_, serial)| serial.clone()))
    }

    /// Where the APIv3 key was configured.
    pub(crate) fn api_v3_key_origin(&self) -> &Origin {
        self.api_v3_key.origin()
    }

    /// Whether answers are expected under WeChat Pay's public key.
    pub(crate) fn has_public_key(&self) -> bool {
        self.public_key_id.is_some()
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Keyring").field("serials", &keys.by_serial.keys()).finish_non_exhaustive()
    }
}

impl Keys {
    fn learn(&mut self, certificate: Certificate) -> String {
        let newest = self.newest_certificate.as_ref().is_none_or(|(expires, _)| *expires < certificate.expires_at);
        if newest {
            self.newest_certificate = Some((certificate.expires_at, certificate.serial.clone()));
        }
        self.by_serial.insert(certificate.serial.clone(), certificate.key);
        certificate.serial
    }

    fn verify(&self, headers: &SignatureHeaders<'_>, body: &[u8]) -> Result<(), SignatureError> {
        let SignatureHeaders { timestamp, nonce, signature, serial } = *headers;
        let unknown = || SignatureError::UnknownSerial { serial: serial.to_owned() };
        let mismatch = || SignatureError::Mismatch { serial: serial.to_owned() };
        let key = self.by_serial.get(&canonical(serial)).ok_or_else(unknown)?;
        let signature = STANDARD.decode(signature).map_err(|_| mismatch())?;
        let mut message = digest::Context::new(&digest::SHA256);
        for line in [timestamp.as_bytes(), nonce.as_bytes(), body] {
            message.update(line);
            message.update(b"\n");
        }
        key.verify_digest_sig(&message.finish(), &signature).map_err(|_| mismatch())
    }
}

impl<'a> SignatureHeaders<'a> {
    fn of(evidence: &'a Evidence) -> Result<SignatureHeaders<'a>, SignatureError> {
        let present = |header: &'a Option<String>, name| header.as_deref().ok_or(SignatureError::Missing(name));
        Ok(SignatureHeaders {
            timestamp: present(&evidence.timestamp, "Wechatpay-Timestamp")?,
            nonce: present(&evidence.nonce, "Wechatpay-Nonce")?,
            signature: present(&evidence.signature, "Wechatpay-Signature")?,
            serial: present(&evidence.serial, "Wechatpay-Serial")?,
        })
    }
}

fn read_public_key(public_key: &PublicKey) -> Result<ParsedPublicKey, SetupError> {
    let der = SubjectPublicKeyInfoDer::from_pem_slice(public_key.pem.as_bytes()).ok();
    der.and_then(|der| parse_spki(&der)).ok_or_else(|| SetupError::PublicKey(public_key.origin.clone()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::http::scripted::Script;
    use crate::job::ApiLimits;

    pub(crate) const PLATFORM_ID: &str = "PUB_KEY_ID_0114232134912410000000000000";
    pub(crate) const API_V3_KEY: &str = "a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb";
    const CERTIFICATES: &str = include_str!("../../../tests/fixtures/answers/pay_v3_certificates.json");
    const NONCE: &str = "d824f2e086d3c1df967785d13fcd22ef";
    const V1_BODY: &[u8] = br#"{"wechatpay_associate_time":"2015-05-20T13:29:35+08:00"}"#;
    const V1: &str = include_str!("../../../tests/fixtures/pay_v3/v1_signature.txt");
    const V2: &str = include_str!("../../../tests/fixtures/pay_v3/v2_signature.txt");

    /// By what a merchant verifies.
    #[derive(Clone, Copy, PartialEq)]
    pub(crate) enum Trust {
        PublicKey,
        Certificates,
    }

    pub(crate) fn settings(limits: ApiLimits, trust: Trust) -> PayV3Settings {
        let pem = include_str!("../../../tests/fixtures/keys/java_platform_public_key.pem");
        PayV3Settings {
            limits,
            mchid: "1900009191".into(),
            serial_no: "5F1C72E2A8931B72A2E13AF8DEE92471EB397115".into(),
            private_key_pem: Secret::new(include_str!("../../../tests/fixtures/keys/java_merchant_private_key.pem")),
            api_v3_key: Secret::new(API_V3_KEY),
            public_key: (trust == Trust::PublicKey).then(|| PublicKey {
                id: PLATFORM_ID.into(),
                pem: pem.into(),
                origin: Origin::default(),
            }),
        }
    }

    fn signed<'a>(timestamp: &'a str, nonce: &'a str, signature: &'a str, serial: &'a str) -> SignatureHeaders<'a> {
        SignatureHeaders { timestamp, nonce, signature, serial }
    }

    async fn keyring(trust: Trust) -> Keyring {
        let limits = Script::serve(vec![crate::http::scripted::Reply::status(200, "")]).await.limits();
        Keyring::from_settings(&settings(limits, trust)).unwrap()
    }

    #[tokio::test]
    async fn v1_and_v2_hold_and_any_other_byte_does_not() {
        let keyring = keyring(Trust::PublicKey).await;
        assert_eq!(keyring.verify(&signed("1700000001", NONCE, V1, PLATFORM_ID), V1_BODY), Ok(()));
        assert_eq!(keyring.verify(&signed("1700000001", NONCE, V2, PLATFORM_ID), b""), Ok(()));
        let mismatch = Err(SignatureError::Mismatch { serial: PLATFORM_ID.into() });
        assert_eq!(keyring.verify(&signed("1700000002", NONCE, V1, PLATFORM_ID), V1_BODY), mismatch);
        assert_eq!(keyring.verify(&signed("1700000001", NONCE, V1, PLATFORM_ID), &V1_BODY[1..]), mismatch);
    }

    #[tokio::test]
    async fn a_probe_signature_is_invalid_not_a_crash() {
        let keyring = keyring(Trust::PublicKey).await;
        let probe = format!("WECHATPAY/SIGNTEST/{V1}");
        let outcome = keyring.verify(&signed("1700000001", NONCE, &probe, PLATFORM_ID), V1_BODY);
        assert_eq!(outcome, Err(SignatureError::Mismatch { serial: PLATFORM_ID.into() }));
    }

    #[tokio::test]
    async fn an_unknown_serial_is_told_from_a_wrong_signature() {
        let outcome =
            keyring(Trust::PublicKey).await.verify(&signed("1700000001", NONCE, V1, "PUB_KEY_ID_other"), V1_BODY);
        assert_eq!(outcome, Err(SignatureError::UnknownSerial { serial: "PUB_KEY_ID_other".into() }));
    }

    #[tokio::test]
    async fn j1_fails_under_the_platform_key() {
        let key = read_public_key(&PublicKey {
            id: PLATFORM_ID.into(),
            pem: include_str!("../../../tests/fixtures/keys/java_platform_public_key.pem").into(),
            origin: Origin::default(),
        });
        let j1 = crate::wechat::pay_v3::sign::tests::certificate_signature("message");
        let merchant_signature = STANDARD.decode(j1).unwrap();
        assert!(key.unwrap().verify_sig(b"message", &merchant_signature).is_err());
    }

    fn sealed<'a>(nonce: &'a str, associated_data: &'a str, ciphertext: &'a str) -> Sealed<'a> {
        Sealed { algorithm: "AEAD_AES_256_GCM", nonce, associated_data, ciphertext }
    }

    #[tokio::test]
    async fn a1_the_java_cipher_vector_opens_and_its_negatives_do_not() {
        let keyring = keyring(Trust::PublicKey).await;
        let open = |nonce, aad, text| keyring.decrypt_resource(sealed(nonce, aad, text));
        let ciphertext = "ulwSiIajGClcvcOYvOQ7+l+0PAbzzwI=";
        assert_eq!(open("uluk4a9R25RW", "associatedData", ciphertext).unwrap(), b"message");
        assert_eq!(open("uluk4a9R25RW", "bad-associatedData", ciphertext), Err(DecryptError::Tag));
        assert_eq!(open("bad-4a9R25RW", "associatedData", ciphertext), Err(DecryptError::Tag));
        assert_eq!(open("short", "associatedData", ciphertext), Err(DecryptError::Malformed));
        assert_eq!(open("uluk4a9R25RW", "", "invalid cipher"), Err(DecryptError::Malformed));
        assert_eq!(open("uluk4a9R25RW", "", "SGVsbG8gV29ybGQK"), Err(DecryptError::Tag));
        assert_eq!(open("uluk4a9R25RW", "", &STANDARD.encode([0; 128])), Err(DecryptError::Tag));
        let other = Sealed { algorithm: "AEAD_SM4_GCM", ..sealed("uluk4a9R25RW", "", "") };
        let other = keyring.decrypt_resource(other);
        assert_eq!(other, Err(DecryptError::Algorithm("AEAD_SM4_GCM".into())));
    }

    #[tokio::test]
    async fn a5_the_certificate_of_the_java_sdk_is_learnt_and_found_in_any_case() {
        let keyring = keyring(Trust::Certificates).await;
        let serial = "5DEA10EF55877E3CF6C33255C2E7DEFFF7E427EC";
        assert_eq!(keyring.learn_certificates(CERTIFICATES.as_bytes()).unwrap(), [serial]);
        assert!(keyring.knows(&serial.to_lowercase()));
        assert_eq!(keyring.preferred_serial().as_deref(), Some(serial));
    }

    #[tokio::test]
    async fn a6_the_coupon_callback_opens() {
        let plaintext = include_str!("../../../tests/fixtures/pay_v3/coupon_send_plaintext.json");
        let ciphertext = include_str!("../../../tests/fixtures/pay_v3/coupon_send_ciphertext.txt");
        let opened = keyring(Trust::PublicKey).await.decrypt_resource(sealed("j9g1wAzF9Xn1", "coupon", ciphertext));
        assert_eq!(opened.unwrap(), plaintext.as_bytes());
    }

    #[tokio::test]
    async fn the_callback_of_the_go_sdk_verifies_under_its_certificate() {
        let keyring = keyring(Trust::PublicKey).await;
        let pem = include_bytes!("../../../tests/fixtures/keys/go_certificate.pem");
        let certificate = certificates::read(pem).unwrap();
        assert_eq!(certificate.serial, "D7CE59D1F522D701");
        keyring.keys.write().unwrap().learn(certificate);
        let body = include_bytes!("../../../tests/fixtures/pay_v3/go_callback.json");
        let signature = include_str!("../../../tests/fixtures/pay_v3/go_callback_signature.txt");
        let nonce = "EcZ9Cmy4Xyx1i6RlJQzLcCyEqDa26NBz";
        assert_eq!(keyring.verify(&signed("1624523846", nonce, signature, "D7CE59D1F522D701"), body), Ok(()));
        // Both kinds of key are valid at once.
        assert_eq!(keyring.verify(&signed("1700000001", NONCE, V1, PLATFORM_ID), V1_BODY), Ok(()));
    }

    #[tokio::test]
    async fn a_wrong_api_v3_key_is_named_as_the_cause() {
        let limits = Script::always(crate::http::scripted::Reply::status(200, "")).await.limits();
        let mut settings = settings(limits, Trust::Certificates);
        settings.api_v3_key = Secret::new("0123456789abcdef0123456789abcdef");
        let error = Keyring::from_settings(&settings).unwrap().learn_certificates(CERTIFICATES.as_bytes()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "platform certificate `5DEA10EF55877E3CF6C33255C2E7DEFFF7E427EC` cannot be opened"
        );
        settings.api_v3_key = Secret::new("short");
        assert!(matches!(Keyring::from_settings(&settings), Err(SetupError::ApiV3Key { bytes: 5, .. })));
    }

    #[tokio::test]
    async fn debug_shows_serials_and_no_key() {
        let text = format!("{:?}", keyring(Trust::PublicKey).await);
        assert!(text.contains(PLATFORM_ID) && !text.contains(API_V3_KEY), "{text}");
    }
}
