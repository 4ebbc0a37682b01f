//! Platform certificates: the answer of `/v3/certificates`, opened (reference v3 §1.6).
//! Validity dates are read but not enforced: old evidence must stay verifiable, and the platform
//! never signs with an expired certificate.

use aws_lc_rs::signature::ParsedPublicKey;
use chrono::{DateTime, Utc};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::keyring::{DecryptError, Keyring, canonical, parse_spki};
use crate::wechat::endpoint;
use crate::wechat::error::SignatureError;
use crate::wechat::lenient::{self, Extra};
use crate::wechat::request::{ParseError, Request, read_json};
use crate::wechat::wording::shown;

/// `GET /v3/certificates` → the list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CertificateList {
    /// One, or two while they change over.
    #[serde(default, deserialize_with = "lenient::list")]
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
    /// PEM under the APIv3 key.
    pub encrypt_certificate: EncryptedResource,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Something encrypted under the APIv3 key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EncryptedResource {
    /// `AEAD_AES_256_GCM`
    pub algorithm: String,
    /// 12 ASCII bytes.
    pub nonce: String,
    /// May be empty or absent.
    #[serde(default)]
    pub associated_data: String,
    /// Base64, tag last.
    pub ciphertext: String,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A platform certificate, opened.
pub(super) struct Certificate {
    pub(super) serial: String,
    pub(super) expires_at: DateTime<Utc>,
    pub(super) key: ParsedPublicKey,
}

/// Why an answer with certificates is of no use.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// Not the documented JSON.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The APIv3 key does not fit.
    #[error("platform certificate `{}` cannot be opened", shown(serial))]
    Decrypt {
        /// Of the certificate.
        serial: String,
        /// Why.
        #[source]
        source: DecryptError,
    },
    /// What was inside is no RSA certificate, or another one.
    #[error("platform certificate `{}` holds no RSA certificate of that serial", shown(serial))]
    Content {
        /// Of the certificate.
        serial: String,
    },
    /// The answer's own signature.
    #[error("the answer's signature is not valid")]
    Signature(#[from] SignatureError),
}

/// The platform certificates of the merchant. The answer verifies itself: `PayV3::send` learns
/// from it.
pub fn certificates() -> Request<CertificateList> {
    Request::get(&endpoint::CERTIFICATES, endpoint::CERTIFICATES.path.to_owned())
}

/// Opens every certificate of an answer.
pub(super) fn open(keyring: &Keyring, body: &[u8]) -> Result<Vec<Certificate>, CertificateError> {
    let list: CertificateList = read_json(body)?;
    list.data.into_iter().map(|encrypted| open_one(keyring, encrypted)).collect()
}

fn open_one(keyring: &Keyring, encrypted: EncryptedCertificate) -> Result<Certificate, CertificateError> {
    let serial = canonical(&encrypted.serial_no);
    let part = &encrypted.encrypt_certificate;
    let pem = keyring
        .decrypt_resource(&part.algorithm, &part.nonce, &part.associated_data, &part.ciphertext)
        .map_err(|source| CertificateError::Decrypt { serial: serial.clone(), source })?;
    match read(&pem) {
        Some(certificate) if without_zeros(&certificate.serial) == without_zeros(&serial) => {
            Ok(Certificate { serial, ..certificate })
        }
        _ => Err(CertificateError::Content { serial }),
    }
}

/// Reads a PEM certificate with an RSA key.
pub(super) fn read(pem: &[u8]) -> Option<Certificate> {
    let der = CertificateDer::from_pem_slice(pem).ok()?;
    let (_, certificate) = X509Certificate::from_der(&der).ok()?;
    Some(Certificate {
        serial: serial_of(certificate.raw_serial()),
        expires_at: DateTime::from_timestamp(certificate.validity().not_after.timestamp(), 0)?,
        key: parse_spki(certificate.public_key().raw)?,
    })
}

/// DER puts a zero byte before a serial whose first bit is set; it is no part of the number.
fn serial_of(raw: &[u8]) -> String {
    match raw {
        [0, rest @ ..] if rest.first().is_some_and(|byte| *byte >= 0x80) => hex::encode_upper(rest),
        _ => hex::encode_upper(raw),
    }
}

/// Some printers drop leading zeros of a serial.
fn without_zeros(serial: &str) -> &str {
    serial.trim_start_matches('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_answer_parses_and_survives_a_round_trip() {
        let body = r#"{"data":[{"serial_no":"5157F09EFDC096DE15EBE81A47057A7232F1B8E1","effective_time ":"2018-06-08T10:34:56+08:00","expire_time":"2018-12-08T10:34:56+08:00","encrypt_certificate":{"algorithm":"AEAD_AES_256_GCM","nonce":"61f9c719728a","associated_data":"certificate","ciphertext":"sRvt"}}]}"#;
        let list = certificates().parse(body.as_bytes()).unwrap();
        // The documentation's stray blank makes it an unknown field; it is kept, not lost.
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

    #[test]
    fn the_go_certificate_keeps_its_short_serial() {
        let pem = include_bytes!("../../../tests/fixtures/keys/go_certificate.pem");
        assert_eq!(read(pem).unwrap().serial, "D7CE59D1F522D701");
    }
}
