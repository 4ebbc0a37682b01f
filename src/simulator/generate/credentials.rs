//! Keys, secrets and the platform certificate of a recipe, all derived from its seed. For
//! simulation only: everyone with the recipe has the keys.

use rand::Rng;
use rand_chacha::ChaCha20Rng;
use rcgen::{CertificateParams, DnType, KeyPair, SerialNumber, date_time_ymd};
use rsa::RsaPrivateKey;
use rsa::pkcs1v15::SigningKey;
use rsa::pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding};
use rsa::sha2::Sha256;
use rsa::signature::{SignatureEncoding, Signer};

use crate::simulator::world::Account;

use super::catalog::{APPID, MCHID};
use super::recipe::GenerateError;
use super::shop::{Stream, chance};

const KEY_BITS: usize = 2048;

/// All secrets of a merchant.
pub(super) struct Credentials {
    /// PKCS#8 PEM of the merchant's API key.
    pub(super) merchant_key_pem: String,
    /// SPKI PEM of the platform key.
    pub(super) platform_public_key_pem: String,
    /// Key of the published openids.
    pub(super) pii_key: String,
    /// What the simulated server knows of them.
    pub(super) account: Account,
    signer: SigningKey<Sha256>,
}

impl Credentials {
    /// The credentials of a seed.
    ///
    /// # Errors
    /// `Credential` when a library refuses; the same seed always gives the same answer.
    pub(super) fn forge(seed: u64) -> Result<Credentials, GenerateError> {
        let mut rng = chance(seed, Stream::Keys);
        let merchant = rsa_key(&mut rng, "merchant key")?;
        let platform = rsa_key(&mut rng, "platform key")?;
        let platform_pem = private_pem(&platform, "platform key")?;
        let merchant_serial = serial(&mut rng);
        let platform_serial = serial(&mut rng);
        let account = Account {
            mchid: MCHID.to_owned(),
            merchant_serial_no: upper_hex(&merchant_serial),
            merchant_public_key_pem: public_pem(&merchant, "merchant key")?,
            api_v3_key: alphanumeric(&mut rng, 32),
            platform_certificate_pem: certificate(&platform_pem, &platform_serial)?,
            platform_certificate_serial: upper_hex(&platform_serial),
            platform_private_key_pem: platform_pem,
            public_key_id: format!("PUB_KEY_ID_0{MCHID}{:018}", seed % 1_000_000_000_000_000_000),
            appid: APPID.to_owned(),
            v2_key: alphanumeric(&mut rng, 32),
            mp_secret: lower_hex(&rng.r#gen::<[u8; 16]>()),
        };
        Ok(Credentials {
            merchant_key_pem: private_pem(&merchant, "merchant key")?,
            platform_public_key_pem: public_pem(&platform, "platform key")?,
            pii_key: lower_hex(&rng.r#gen::<[u8; 32]>()),
            account,
            signer: SigningKey::new(platform),
        })
    }

    /// The platform's signature, RSASSA-PKCS1-v1_5 with SHA-256 (reference v3 §1.3).
    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.signer.sign(message).to_vec()
    }
}

fn rsa_key(rng: &mut ChaCha20Rng, what: &'static str) -> Result<RsaPrivateKey, GenerateError> {
    RsaPrivateKey::new(rng, KEY_BITS).map_err(|error| refused(what, &error))
}

fn private_pem(key: &RsaPrivateKey, what: &'static str) -> Result<String, GenerateError> {
    let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|error| refused(what, &error))?;
    Ok(pem.to_string())
}

fn public_pem(key: &RsaPrivateKey, what: &'static str) -> Result<String, GenerateError> {
    key.to_public_key().to_public_key_pem(LineEnding::LF).map_err(|error| refused(what, &error))
}

/// A certificate of the platform's key under that serial, signed with itself, valid 2024–2034.
pub(in crate::simulator) fn certificate(platform_pem: &str, serial: &[u8]) -> Result<String, GenerateError> {
    let refuse = |error: rcgen::Error| refused("platform certificate", &error);
    let key = KeyPair::from_pem(platform_pem).map_err(refuse)?;
    let mut params = CertificateParams::default();
    params.not_before = date_time_ymd(2024, 1, 1);
    params.not_after = date_time_ymd(2034, 1, 1);
    params.serial_number = Some(SerialNumber::from_slice(serial));
    params.distinguished_name.push(DnType::OrganizationName, "Simulated WeChat Pay");
    params.distinguished_name.push(DnType::CommonName, "Tenpay.com sign");
    Ok(params.self_signed(&key).map_err(refuse)?.pem())
}

/// 20 bytes; the first is neither zero nor negative, so that the hex keeps its 40 digits.
fn serial(rng: &mut ChaCha20Rng) -> [u8; 20] {
    let mut bytes: [u8; 20] = rng.r#gen();
    bytes[0] = bytes[0] & 0x7f | 0x40;
    bytes
}

/// So many of `[0-9A-Za-z]`.
pub(super) fn alphanumeric(rng: &mut ChaCha20Rng, length: usize) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    (0..length).map(|_| char::from(ALPHABET[(rng.r#gen::<u32>() % 62) as usize])).collect()
}

fn upper_hex(bytes: &[u8]) -> String {
    hex::encode_upper(bytes)
}

fn lower_hex(bytes: &[u8]) -> String {
    hex::encode(bytes)
}

fn refused(what: &'static str, reason: &dyn std::fmt::Display) -> GenerateError {
    GenerateError::Credential { what, reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use rsa::RsaPublicKey;
    use rsa::pkcs1v15::{Signature, VerifyingKey};
    use rsa::pkcs8::DecodePublicKey;
    use rsa::signature::Verifier;

    use super::*;

    #[test]
    fn one_seed_forges_one_set_of_credentials_that_fit_together() {
        let credentials = Credentials::forge(7).unwrap();
        let again = Credentials::forge(7).unwrap();
        assert_eq!(credentials.merchant_key_pem, again.merchant_key_pem);
        assert_eq!(credentials.account.platform_certificate_pem, again.account.platform_certificate_pem);
        assert_eq!(credentials.account.merchant_serial_no.len(), 40);

        let public = RsaPublicKey::from_public_key_pem(&credentials.platform_public_key_pem).unwrap();
        let signature = Signature::try_from(credentials.sign(b"message").as_slice()).unwrap();
        VerifyingKey::<Sha256>::new(public).verify(b"message", &signature).unwrap();
    }

    #[test]
    fn the_certificate_carries_its_serial_and_the_platform_key() {
        let credentials = Credentials::forge(8).unwrap();
        let pem = x509_parser::pem::parse_x509_pem(credentials.account.platform_certificate_pem.as_bytes());
        let (_, pem) = pem.unwrap();
        let certificate = pem.parse_x509().unwrap();
        assert_eq!(hex::encode_upper(certificate.raw_serial()), credentials.account.platform_certificate_serial);
        let public = RsaPublicKey::from_public_key_pem(&credentials.platform_public_key_pem).unwrap();
        assert_eq!(certificate.public_key().raw, public.to_public_key_der().unwrap().as_bytes());
        assert_eq!(certificate.validity().not_before.timestamp(), 1_704_067_200);
    }
}
