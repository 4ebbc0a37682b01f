//! The server's own signature code: Authorization header, RSA-SHA256 both ways, AES-GCM of
//! certificates, MD5 of v2. Written from the reference, never from the client's code.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{DateTime, Utc};
use md5::{Digest, Md5};
use rsa::pkcs1v15::{Signature, SigningKey, VerifyingKey};
use rsa::pkcs8::{DecodePrivateKey, DecodePublicKey};
use rsa::sha2::Sha256;
use rsa::signature::{SignatureEncoding, Signer, Verifier};
use rsa::{RsaPrivateKey, RsaPublicKey};

use super::world::Account;

/// The only scheme of v3 merchants (reference v3 §1.1).
const SCHEME: &str = "WECHATPAY2-SHA256-RSA2048";

/// The largest distance of a request's timestamp from the server's clock (reference v3 §1.1).
const WINDOW_SECONDS: u64 = 300;

/// The prefix of deliberately wrong signatures (reference v3 §1.5).
pub(super) const PROBE_PREFIX: &str = "WECHATPAY/SIGNTEST/";

/// Why an Authorization header is refused; the text is WeChat's message (reference v3 §1.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Flaw {
    #[error("Http头Authorization值格式错误，请参考《微信支付商户REST API签名规则》")]
    Format,
    #[error("Http头Authorization中的认证类型不正确")]
    Scheme,
    #[error("Http头Authorization中的timestamp与发起请求的时间不得超过5分钟")]
    Timestamp,
    #[error("商户号有误，请使用与证书匹配的商户号")]
    Merchant,
    #[error("商户证书序列号有误。请使用签名私钥匹配的证书序列号")]
    Serial,
    #[error("错误的签名，验签失败")]
    Signature,
}

/// The five items of an Authorization header.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Authorization<'a> {
    pub(super) mchid: &'a str,
    pub(super) nonce: &'a str,
    pub(super) signature: &'a str,
    pub(super) timestamp: i64,
    pub(super) serial_no: &'a str,
}

impl<'a> Authorization<'a> {
    /// Reads the header: one blank after the scheme, quoted items, no blanks round commas, in any
    /// order (reference v3 §1.1).
    pub(super) fn parse(header: &'a str) -> Result<Authorization<'a>, Flaw> {
        let (scheme, items) = header.split_once(' ').ok_or(Flaw::Format)?;
        if scheme != SCHEME {
            return Err(Flaw::Scheme);
        }
        let items = items.split(',').map(quoted_item).collect::<Option<Vec<_>>>().ok_or(Flaw::Format)?;
        let only = |name| only_item(&items, name).ok_or(Flaw::Format);
        let authorization = Authorization {
            mchid: only("mchid")?,
            nonce: only("nonce_str")?,
            signature: only("signature")?,
            timestamp: only("timestamp")?.parse().map_err(|_| Flaw::Format)?,
            serial_no: only("serial_no")?,
        };
        if items.len() == 5 { Ok(authorization) } else { Err(Flaw::Format) }
    }

    /// Checks time, merchant, serial and signature, in the order the real server does: the time
    /// before the signature (reference v3 §1.1).
    pub(super) fn check(&self, message: &str, account: &Account, keys: &Keys, now: DateTime<Utc>) -> Result<(), Flaw> {
        if self.timestamp.abs_diff(now.timestamp()) > WINDOW_SECONDS {
            return Err(Flaw::Timestamp);
        }
        if self.mchid != account.mchid {
            return Err(Flaw::Merchant);
        }
        // Serials are hexadecimal text: leading zeros count, case does not.
        if !self.serial_no.eq_ignore_ascii_case(&account.merchant_serial_no) {
            return Err(Flaw::Serial);
        }
        let signature = BASE64.decode(self.signature).map_err(|_| Flaw::Signature)?;
        keys.verify_merchant(message.as_bytes(), &signature)
    }

    /// The string that was to be signed: method, exact target, timestamp, nonce, body, each line
    /// ended (reference v3 §1.1).
    pub(super) fn message(&self, method: &str, target: &str, body: &[u8]) -> String {
        let body = String::from_utf8_lossy(body);
        format!("{method}\n{target}\n{}\n{}\n{body}\n", self.timestamp, self.nonce)
    }
}

fn quoted_item(item: &str) -> Option<(&str, &str)> {
    let (name, value) = item.split_once('=')?;
    let value = value.strip_prefix('"')?.strip_suffix('"')?;
    (!value.is_empty() && !value.contains('"')).then_some((name, value))
}

fn only_item<'a>(items: &[(&str, &'a str)], name: &str) -> Option<&'a str> {
    let mut values = items.iter().filter(|(key, _)| *key == name).map(|(_, value)| *value);
    values.next().filter(|_| values.next().is_none())
}

/// Why the keys of a world cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The merchant's public key is no SPKI PEM of an RSA key.
    #[error("`account.merchant_public_key_pem` is no RSA public key: {0}")]
    Merchant(rsa::pkcs8::spki::Error),
    /// The platform's private key is no PKCS#8 PEM of an RSA key.
    #[error("`account.platform_private_key_pem` is no RSA private key: {0}")]
    Platform(rsa::pkcs8::Error),
    /// The APIv3 key has another length.
    #[error("`account.api_v3_key` has {0} bytes, it must have 32")]
    ApiV3Key(usize),
}

/// The keys of a server.
pub(super) struct Keys {
    merchant: VerifyingKey<Sha256>,
    platform: SigningKey<Sha256>,
    api_v3: Aes256Gcm,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

impl Keys {
    /// Reads the keys of an account.
    pub(super) fn of(account: &Account) -> Result<Keys, KeyError> {
        let merchant =
            RsaPublicKey::from_public_key_pem(&account.merchant_public_key_pem).map_err(KeyError::Merchant)?;
        let platform = RsaPrivateKey::from_pkcs8_pem(&account.platform_private_key_pem).map_err(KeyError::Platform)?;
        let api_v3 = Aes256Gcm::new_from_slice(account.api_v3_key.as_bytes())
            .map_err(|_| KeyError::ApiV3Key(account.api_v3_key.len()))?;
        Ok(Keys { merchant: VerifyingKey::new(merchant), platform: SigningKey::new(platform), api_v3 })
    }

    fn verify_merchant(&self, message: &[u8], signature: &[u8]) -> Result<(), Flaw> {
        let signature = Signature::try_from(signature).map_err(|_| Flaw::Signature)?;
        self.merchant.verify(message, &signature).map_err(|_| Flaw::Signature)
    }

    /// Signs an answer: timestamp, nonce, raw body, each line ended (reference v3 §1.3). Base64.
    pub(super) fn sign_answer(&self, timestamp: i64, nonce: &str, body: &[u8]) -> String {
        let mut message = format!("{timestamp}\n{nonce}\n").into_bytes();
        message.extend_from_slice(body);
        message.push(b'\n');
        BASE64.encode(self.platform.sign(&message).to_bytes())
    }

    /// Encrypts with the APIv3 key, tag at the end, Base64 (reference v3 §1.6).
    pub(super) fn seal(&self, plaintext: &[u8], nonce: &[u8; 12], associated_data: &[u8]) -> String {
        let payload = Payload { msg: plaintext, aad: associated_data };
        let sealed = self.api_v3.encrypt(Nonce::from_slice(nonce), payload);
        BASE64.encode(sealed.expect("a certificate is far below the limit of GCM"))
    }
}

/// The v2 signature: non-empty parameters but `sign`, sorted by name, raw values, then the key; MD5
/// in upper-case hexadecimal (reference v2 §A.2).
pub(super) fn md5_signature<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>, key: &str) -> String {
    let mut signed: Vec<_> =
        parameters.into_iter().filter(|(name, value)| *name != "sign" && !value.is_empty()).collect();
    signed.sort_unstable();
    let joined: String = signed.iter().map(|(name, value)| format!("{name}={value}&")).collect();
    hex::encode_upper(Md5::digest(format!("{joined}key={key}")))
}

/// A string that differs for every serial number and is the same in every run: for nonces, tokens
/// and request ids of a server without randomness. Upper-case hexadecimal.
pub(super) fn serial_text(purpose: &str, serial: u64, digits: usize) -> String {
    let digest = <Sha256 as rsa::sha2::Digest>::digest(format!("{purpose}/{serial}"));
    let mut text = hex::encode_upper(digest);
    text.truncate(digits);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::probe;

    const HEADER: &str = concat!(
        r#"WECHATPAY2-SHA256-RSA2048 mchid="1900009191",nonce_str="593BEC0C930BF1AFEB40B4A08C8FB242","#,
        r#"signature="AAAA",timestamp="1554208460",serial_no="1DDE55AD98ED71D6EDD4A4A16996DE7B47773A8C""#
    );

    #[test]
    fn the_documented_header_is_read() {
        let authorization = Authorization::parse(HEADER).unwrap();
        assert_eq!(authorization.mchid, "1900009191");
        assert_eq!(authorization.timestamp, 1554208460);
        assert_eq!(authorization.serial_no, "1DDE55AD98ED71D6EDD4A4A16996DE7B47773A8C");
    }

    #[test]
    fn the_order_of_the_items_does_not_matter() {
        let header = r#"WECHATPAY2-SHA256-RSA2048 serial_no="1",timestamp="2",signature="3",nonce_str="4",mchid="5""#;
        assert_eq!(Authorization::parse(header).unwrap().mchid, "5");
    }

    #[test]
    fn broken_headers_are_format_errors() {
        let broken = [
            String::new(),
            "WECHATPAY2-SHA256-RSA2048".into(),
            HEADER.replace(",nonce_str", ", nonce_str"),
            HEADER.replace(r#""1900009191""#, "1900009191"),
            HEADER.replace("1554208460", "soon"),
            HEADER.replace("1900009191", ""),
            HEADER.replace("timestamp=", "time="),
            format!(r#"{HEADER},extra="1""#),
            format!(r#"{HEADER},mchid="1900009191""#),
        ];
        for header in broken {
            assert_eq!(Authorization::parse(&header), Err(Flaw::Format), "{header}");
        }
    }

    #[test]
    fn another_scheme_is_named() {
        let header = HEADER.replace("WECHATPAY2", "Bearer");
        assert_eq!(Authorization::parse(&header), Err(Flaw::Scheme));
    }

    #[test]
    fn the_sign_string_of_the_reference_is_built() {
        let authorization = Authorization {
            mchid: "1234567890",
            nonce: "A1B2C3D4E5F6G7",
            signature: "",
            timestamp: 1624523846,
            serial_no: "",
        };
        assert_eq!(
            authorization.message("GET", "/v3/certificates", b""),
            "GET\n/v3/certificates\n1624523846\nA1B2C3D4E5F6G7\n\n"
        );
        assert!(authorization.message("POST", "/x", b"Hello World!\n").ends_with("Hello World!\n\n"));
    }

    #[test]
    fn checks_run_in_the_order_of_the_real_server() {
        let account = probe::account();
        let keys = Keys::of(&account).unwrap();
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let mut authorization =
            Authorization { mchid: "wrong", nonce: "N", signature: "%%", timestamp: 1_700_000_301, serial_no: "wrong" };
        let check = |authorization: &Authorization<'_>| authorization.check("m", &account, &keys, now);
        assert_eq!(check(&authorization), Err(Flaw::Timestamp));
        authorization.timestamp = 1_700_000_300;
        assert_eq!(check(&authorization), Err(Flaw::Merchant));
        authorization.mchid = &account.mchid;
        assert_eq!(check(&authorization), Err(Flaw::Serial));
        authorization.serial_no = &account.merchant_serial_no;
        assert_eq!(check(&authorization), Err(Flaw::Signature));
        authorization.signature = "AAAA";
        assert_eq!(check(&authorization), Err(Flaw::Signature));
    }

    #[test]
    fn a_far_timestamp_is_a_flaw_and_no_overflow() {
        let account = probe::account();
        let keys = Keys::of(&account).unwrap();
        let authorization =
            Authorization { mchid: "1", nonce: "N", signature: "A", timestamp: i64::MIN, serial_no: "1" };
        assert_eq!(authorization.check("m", &account, &keys, DateTime::UNIX_EPOCH), Err(Flaw::Timestamp));
    }

    #[test]
    fn a_true_signature_passes_and_any_other_message_fails() {
        let account = probe::account();
        let keys = Keys::of(&account).unwrap();
        let signature = probe::merchant_signature(b"GET\n/x\n");
        let authorization = Authorization {
            mchid: &account.mchid,
            nonce: "N",
            signature: &signature,
            timestamp: 0,
            serial_no: &account.merchant_serial_no,
        };
        let check = |message| authorization.check(message, &account, &keys, DateTime::UNIX_EPOCH);
        assert_eq!(check("GET\n/x\n"), Ok(()));
        assert_eq!(check("GET\n/X\n"), Err(Flaw::Signature));
    }

    #[test]
    fn published_v2_vectors_hold() {
        let key = "192006250b4c09247ec02edce69f6a2d";
        let vector = [
            ("nonce_str", "ibuaiVcKdpRxkhJA"),
            ("mch_id", "10000100"),
            ("appid", "wxd930ea5d5a258f4f"),
            ("device_info", "1000"),
            ("body", "test"),
            ("sign", "ignored"),
        ];
        assert_eq!(md5_signature(vector, key), "9A0A8659F005D6984697E2CA0A9CF3B7");
        assert_eq!(md5_signature([("test2", "test2"), ("test1", "test1")], key), "1E3A8D73B5A4AEE787C0F68B5DAB8520");
        let request = [
            ("appid", "wx5edab3bdfba3dc1c"),
            ("coupon_stock_id", "1757"),
            ("mch_id", "10000098"),
            ("nonce_str", "1417575000"),
        ];
        assert_eq!(md5_signature(request, key), "87069FE951263C9A577A756711070C75");
    }

    #[test]
    fn empty_values_are_not_signed_and_others_are_signed_raw() {
        let key = "192006250b4c09247ec02edce69f6a2d";
        let vector = [
            ("appid", "wx5edab3bdfba3dc1c"),
            ("device_info", ""),
            ("coupon_name", "满100元减20 & <测试>"),
            ("mch_id", "10000098"),
            ("nonce_str", "abc"),
        ];
        assert_eq!(md5_signature(vector, key), "ACB138F60625B88E1AE7443466925A7D");
    }

    #[test]
    fn keys_that_are_none_are_named() {
        let broken = Account { merchant_public_key_pem: "x".into(), ..probe::account() };
        assert!(Keys::of(&broken).unwrap_err().to_string().contains("merchant_public_key_pem"));
        let broken = Account { api_v3_key: "short".into(), ..probe::account() };
        assert_eq!(Keys::of(&broken).unwrap_err().to_string(), "`account.api_v3_key` has 5 bytes, it must have 32");
    }

    #[test]
    fn serial_texts_repeat_over_runs_and_differ_within() {
        assert_eq!(serial_text("nonce", 1, 32), serial_text("nonce", 1, 32));
        assert_ne!(serial_text("nonce", 1, 32), serial_text("nonce", 2, 32));
        assert_eq!(serial_text("nonce", 1, 32).len(), 32);
    }
}
