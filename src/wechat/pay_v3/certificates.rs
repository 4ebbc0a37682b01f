//! Platform certificates: parses and decrypts the answer of `/v3/certificates` (reference v3 §1.6). Validity dates
//! are read but not enforced: old evidence must stay verifiable, and the platform never signs with an expired
//! certificate.

use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use chrono::{DateTime, Utc};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::resource::{self, DecryptError, EncryptedResource};
use crate::secret::Secret;
use crate::wechat::endpoint;
use crate::wechat::error::SignatureError;
use crate::wechat::lenient::{self, Extra};
use crate::wechat::request::{ParseError, Request, read_json};
use crate::wechat::wording::{misfit, shown};

/// `GET /v3/certificates` → the list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CertificateList {
    /// One, or two during a changeover.
    #[serde(default, deserialize_with = "readable")]
    pub data: Vec<EncryptedCertificate>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A platform certificate as sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EncryptedCertificate {
    /// Hex.
    pub serial_no: String,
    /// RFC 3339, as sent.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub effective_time: Option<String>,
    /// RFC 3339, as sent.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub expire_time: Option<String>,
    /// PEM encrypted under the APIv3 key.
    pub encrypt_certificate: EncryptedResource,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A decrypted platform certificate.
pub(super) struct Certificate {
    pub(super) serial: String,
    pub(super) expires_at: DateTime<Utc>,
    pub(super) key: ParsedPublicKey,
}

/// Why an answer with certificates is unusable.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// Not the documented JSON.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// An entry that is not as documented.
    #[error("a platform certificate is not what the API documents: {detail}")]
    Entry {
        /// What is wrong with it.
        detail: String,
    },
    /// The APIv3 key is wrong, or something else encrypted it.
    #[error("platform certificate `{}` cannot be opened", shown(serial))]
    Decrypt {
        /// Of the certificate.
        serial: String,
        /// Why.
        #[source]
        source: DecryptError,
    },
    /// The content is not an RSA certificate, or has another serial.
    #[error("platform certificate `{}` holds no RSA certificate of that serial", shown(serial))]
    Content {
        /// Of the certificate.
        serial: String,
    },
    /// The signature of the answer itself.
    #[error("the answer's signature is not valid")]
    Signature(#[from] SignatureError),
}

/// The platform certificates of the merchant. The answer verifies itself: `PayV3::send` learns
/// from it.
pub fn certificates() -> Request<CertificateList> {
    Request::without_body(&endpoint::CERTIFICATES, endpoint::CERTIFICATES.path.to_owned())
}

/// The entries that parse as documented. One of another kind does not invalidate the others.
fn readable<'de, D: Deserializer<'de>>(json: D) -> Result<Vec<EncryptedCertificate>, D::Error> {
    let entries: Vec<Value> = lenient::list(json)?;
    Ok(entries.into_iter().filter_map(|entry| EncryptedCertificate::deserialize(entry).ok()).collect())
}

/// Decrypts the usable certificates of an answer: beside an RSA certificate there may be one of another algorithm
/// (reference v3 §1.6).
///
/// # Errors
/// No certificate is usable, and why.
pub(super) fn open(api_v3_key: &Secret, body: &[u8]) -> Result<Vec<Certificate>, CertificateError> {
    #[derive(Deserialize)]
    struct Entries {
        #[serde(default, deserialize_with = "lenient::list")]
        data: Vec<Value>,
    }
    let list: Entries = read_json(body)?;
    let (mut opened, mut useless) = (Vec::new(), Vec::new());
    for entry in list.data {
        match open_one(api_v3_key, entry) {
            Ok(certificate) => opened.push(certificate),
            Err(error) => {
                tracing::debug!(%error, "a platform certificate cannot be used");
                useless.push(error);
            }
        }
    }
    match opened.is_empty().then(|| most_telling(useless)).flatten() {
        Some(error) => Err(error),
        None => Ok(opened),
    }
}

/// Why there is no certificate. The APIv3 key is blamed only if it decrypted none of those it should.
fn most_telling(mut errors: Vec<CertificateError>) -> Option<CertificateError> {
    let rank = |error: &CertificateError| match error {
        CertificateError::Content { .. } => 0,
        CertificateError::Decrypt { source: DecryptError::Tag, .. } => 1,
        _ => 2,
    };
    errors.sort_by_key(rank);
    errors.into_iter().next()
}

fn open_one(api_v3_key: &Secret, entry: Value) -> Result<Certificate, CertificateError> {
    let encrypted =
        EncryptedCertificate::deserialize(entry).map_err(|error| CertificateError::Entry { detail: misfit(&error) })?;
    let serial = canonical(&encrypted.serial_no);
    let pem = resource::open(api_v3_key, encrypted.encrypt_certificate.sealed())
        .map_err(|source| CertificateError::Decrypt { serial: serial.clone(), source })?;
    match read(&pem) {
        Some(certificate) if without_zeros(&certificate.serial) == without_zeros(&serial) => {
            Ok(Certificate { serial, ..certificate })
        }
        _ => Err(CertificateError::Content { serial }),
    }
}

/// Parses a PEM certificate with an RSA key.
pub(super) fn read(pem: &[u8]) -> Option<Certificate> {
    let der = CertificateDer::from_pem_slice(pem).ok()?;
    let (_, certificate) = X509Certificate::from_der(&der).ok()?;
    Some(Certificate {
        serial: serial_of(certificate.raw_serial()),
        expires_at: DateTime::from_timestamp(certificate.validity().not_after.timestamp(), 0)?,
        key: parse_spki(certificate.public_key().raw)?,
    })
}

/// DER adds a leading zero byte to a serial whose first bit is set; it is not part of the number.
fn serial_of(raw: &[u8]) -> String {
    match raw {
        [0, rest @ ..] if rest.first().is_some_and(|byte| *byte >= 0x80) => hex::encode_upper(rest),
        _ => hex::encode_upper(raw),
    }
}

/// Serials of certificates are hexadecimal and compared case-insensitively; ids of public keys exactly.
pub(super) fn canonical(serial: &str) -> String {
    match serial.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => serial.to_ascii_uppercase(),
        false => serial.to_owned(),
    }
}

/// Some tools drop the leading zeros of a serial.
fn without_zeros(serial: &str) -> &str {
    serial.trim_start_matches('0')
}

/// An RSA key from its SubjectPublicKeyInfo.
pub(super) fn parse_spki(der: &[u8]) -> Option<ParsedPublicKey> {
    ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::scripted::{Reply, Script};
    use crate::wechat::pay_v3::keyring::Keyring;
    use crate::wechat::pay_v3::keyring::tests::{Trust, settings};

    #[test]
    fn the_documented_answer_parses_and_survives_a_round_trip() {
        let body = r#"{"data":[{"serial_no":"5157F09EFDC096DE15EBE81A47057A7232F1B8E1","effective_time ":"2018-06-08T10:34:56+08:00","expire_time":"2018-12-08T10:34:56+08:00","encrypt_certificate":{"algorithm":"AEAD_AES_256_GCM","nonce":"61f9c719728a","associated_data":"certificate","ciphertext":"sRvt"}}]}"#;
        let list = certificates().parse(body.as_bytes()).unwrap();
        // A stray space in the documentation makes it an unknown field, which is kept.
        assert_eq!(list.data[0].extra["effective_time "], "2018-06-08T10:34:56+08:00");
        let again: CertificateList = serde_json::from_str(&serde_json::to_string(&list).unwrap()).unwrap();
        assert_eq!(again, list);
    }

    #[test]
    fn a_certificate_tells_serial_key_and_expiry() {
        let pem = include_bytes!("../../../tests/fixtures/keys/java_merchant_certificate.pem");
        let certificate = read(pem).unwrap();
        assert_eq!(certificate.serial, "5F1C72E2A8931B72A2E13AF8DEE92471EB397115");
        assert_eq!(certificate.expires_at.to_rfc3339(), "2025-05-09T01:57:10+00:00");
        assert!(read(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----").is_none());
    }

    /// The answer of the Java SDK's tests with other entries around its own.
    fn among(entries: &[Value], own: impl Fn(&mut Value)) -> String {
        let answer = include_str!("../../../tests/fixtures/answers/pay_v3_certificates.json");
        let mut answer: Value = serde_json::from_str(answer).unwrap();
        let data = answer["data"].as_array_mut().unwrap();
        data.truncate(1);
        own(&mut data[0]);
        data.splice(0..0, entries.iter().cloned());
        answer.to_string()
    }

    async fn opened(body: &str) -> Result<Vec<String>, CertificateError> {
        let limits = Script::always(Reply::status(200, "")).await.limits();
        let keyring = Keyring::from_settings(&settings(limits, Trust::Certificates)).unwrap();
        keyring.learn_certificates(body.as_bytes())
    }

    fn strange(algorithm: &str) -> Value {
        let part =
            json!({"algorithm": algorithm, "nonce": "61f9c719728a", "associated_data": null, "ciphertext": "sRvt"});
        json!({"serial_no": "AB01", "encrypt_certificate": part})
    }

    #[tokio::test]
    async fn one_good_certificate_is_enough_whatever_stands_beside_it() {
        let beside = [strange("AEAD_SM4_GCM"), strange("AEAD_AES_256_GCM"), json!({"serial_no": 7}), Value::Null];
        let body = among(&beside, |_| ());
        assert_eq!(opened(&body).await.unwrap(), ["5DEA10EF55877E3CF6C33255C2E7DEFFF7E427EC"]);
        assert_eq!(certificates().parse(body.as_bytes()).unwrap().data.len(), 3);
        assert_eq!(opened(r#"{"data":null}"#).await.unwrap(), [""; 0]);
    }

    #[tokio::test]
    async fn the_key_is_named_only_where_it_opens_nothing() {
        let gone = |entry: &mut Value| *entry = Value::Null;
        let why = async |entries: &[Value]| opened(&among(entries, gone)).await.unwrap_err();
        let is_key = |error| matches!(error, CertificateError::Decrypt { source: DecryptError::Tag, .. });
        assert!(is_key(why(&[strange("AEAD_SM4_GCM"), strange("AEAD_AES_256_GCM")]).await));
        let other = why(&[strange("AEAD_SM4_GCM")]).await;
        assert!(matches!(other, CertificateError::Decrypt { source: DecryptError::Algorithm(_), .. }), "{other}");
        assert!(matches!(why(&[]).await, CertificateError::Entry { .. }));
        // Opened by the key, but the certificate of another serial.
        let body = among(&[strange("AEAD_AES_256_GCM")], |entry| entry["serial_no"] = json!("AB02"));
        assert!(matches!(opened(&body).await, Err(CertificateError::Content { .. })));
    }

    #[tokio::test]
    async fn associated_data_may_be_null_or_absent() {
        for associated_data in [json!({}), json!({"associated_data": null}), json!({"associated_data": ""})] {
            let mut part = json!({"algorithm": "AEAD_AES_256_GCM", "nonce": "61f9c719728a", "ciphertext": "sRvt"});
            part.as_object_mut().unwrap().extend(associated_data.as_object().unwrap().clone());
            let part = EncryptedResource::deserialize(part).unwrap();
            assert_eq!(part.associated_data.unwrap_or_default(), "");
        }
    }

    #[test]
    fn the_go_certificate_keeps_its_short_serial() {
        let pem = include_bytes!("../../../tests/fixtures/keys/go_certificate.pem");
        assert_eq!(read(pem).unwrap().serial, "D7CE59D1F522D701");
    }
}
