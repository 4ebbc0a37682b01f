//! What WeChat Pay encrypts under the APIv3 key: platform certificates, parts of callbacks (reference v3 §1.6).
//! Authenticated by that key alone; checks no signature.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::secret::Secret;
use crate::wechat::lenient::{self, Extra};
use crate::wechat::wording::shown;

/// Something encrypted under the APIv3 key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EncryptedResource {
    /// `AEAD_AES_256_GCM`
    pub algorithm: String,
    /// 12 ASCII bytes.
    pub nonce: String,
    /// May be empty, null or absent.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub associated_data: Option<String>,
    /// Base64, tag last.
    pub ciphertext: String,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Why a resource cannot be decrypted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecryptError {
    /// Another algorithm than AEAD_AES_256_GCM.
    #[error("algorithm `{}` is not AEAD_AES_256_GCM", shown(.0))]
    Algorithm(String),
    /// Not Base64, or the nonce has not 12 bytes.
    #[error("the ciphertext or its nonce is malformed")]
    Malformed,
    /// The tag does not match: another key, or other bytes.
    #[error("the APIv3 key does not open the ciphertext")]
    Tag,
}

/// The parts needed for decryption, as named fields so that they cannot be swapped.
#[derive(Debug, Clone, Copy)]
pub struct Sealed<'a> {
    /// `AEAD_AES_256_GCM`
    pub algorithm: &'a str,
    /// 12 ASCII bytes.
    pub nonce: &'a str,
    /// Empty where there is none.
    pub associated_data: &'a str,
    /// Base64, tag last.
    pub ciphertext: &'a str,
}

impl EncryptedResource {
    /// The parts needed for decryption.
    pub fn sealed(&self) -> Sealed<'_> {
        Sealed {
            algorithm: &self.algorithm,
            nonce: &self.nonce,
            associated_data: self.associated_data.as_deref().unwrap_or_default(),
            ciphertext: &self.ciphertext,
        }
    }
}

/// Decrypts a resource.
pub(super) fn open(api_v3_key: &Secret, sealed: Sealed<'_>) -> Result<Vec<u8>, DecryptError> {
    let Sealed { algorithm, nonce, associated_data, ciphertext } = sealed;
    if algorithm != "AEAD_AES_256_GCM" {
        return Err(DecryptError::Algorithm(algorithm.to_owned()));
    }
    let nonce = Nonce::try_assume_unique_for_key(nonce.as_bytes()).map_err(|_| DecryptError::Malformed)?;
    let mut bytes = STANDARD.decode(ciphertext).map_err(|_| DecryptError::Malformed)?;
    let key = UnboundKey::new(&AES_256_GCM, api_v3_key.expose().as_bytes())
        .map(LessSafeKey::new)
        .map_err(|_| DecryptError::Tag)?;
    let opened = key.open_in_place(nonce, Aad::from(associated_data.as_bytes()), &mut bytes);
    let length = opened.map_err(|_| DecryptError::Tag)?.len();
    bytes.truncate(length);
    Ok(bytes)
}
