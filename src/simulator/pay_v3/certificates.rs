//! GET /v3/certificates and POST /v3/security/echo (reference v3 §1.6, §1.13).

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use x509_parser::pem::parse_x509_pem;

use super::refusal::{Location, refuse, refuse_parameter};
use crate::simulator::answer::Answer;
use crate::simulator::exchange::Exchange;
use crate::simulator::faults::Kind;
use crate::simulator::generate::certificate;
use crate::simulator::memory::held;
use crate::simulator::signature::serial_text;
use crate::simulator::state::wire_time;

/// Associated data of an encrypted certificate.
const ASSOCIATED_DATA: &str = "certificate";

/// The platform certificates, each encrypted with the APIv3 key. A merchant with only the public
/// key has none (reference v3 §1.4).
pub(super) fn list(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let account = &exchange.office.account;
    let pem = account.platform_certificate_pem.as_bytes();
    if pem.is_empty() {
        let message = "无可用的平台证书，请在商户平台-API安全申请使用微信支付公钥";
        return Err(refuse(404, "RESOURCE_NOT_EXISTS", message));
    }
    let mut data = vec![sealed(exchange, pem, &account.platform_certificate_serial)?];
    if let Some((pem, serial)) = &*held(&exchange.office.rotated) {
        data.push(sealed(exchange, pem.as_bytes(), serial)?);
    }
    Ok(Answer::json(200, &json!({"data": data})))
}

fn sealed(exchange: &Exchange<'_>, pem: &[u8], serial: &str) -> Result<Value, Answer> {
    let (effective_time, expire_time) = validity(pem).ok_or_else(|| refuse(500, "SYSTEM_ERROR", "平台证书无法读取"))?;
    let nonce = serial_text(&format!("certificate nonce of {serial}"), exchange.serial, 12);
    let nonce_bytes: &[u8; 12] = nonce.as_bytes().try_into().expect("twelve digits were asked for");
    let mut ciphertext = exchange.office.keys.seal(pem, nonce_bytes, ASSOCIATED_DATA.as_bytes());
    if exchange.plays(Kind::WrongTag) {
        // Base64 of the certificate's beginning, which is no letter A.
        ciphertext.replace_range(..4, "AAAA");
    }
    Ok(json!({
        "serial_no": serial,
        "effective_time": effective_time,
        "expire_time": expire_time,
        "encrypt_certificate": {
            "algorithm": "AEAD_AES_256_GCM",
            "nonce": nonce,
            "associated_data": ASSOCIATED_DATA,
            "ciphertext": ciphertext,
        },
    }))
}

/// From now on another certificate of the platform signs: the same key under a new serial, which
/// clients only learn by requesting the certificates.
pub(super) fn rotate(exchange: &Exchange<'_>) {
    let account = &exchange.office.account;
    let serial: Vec<u8> = (0x41..0x55).collect();
    if let Ok(pem) = certificate(&account.platform_private_key_pem, &serial) {
        *held(&exchange.office.rotated) = Some((pem, hex::encode_upper(serial)));
    }
}

fn validity(pem: &[u8]) -> Option<(String, String)> {
    let (_, pem) = parse_x509_pem(pem).ok()?;
    let certificate = pem.parse_x509().ok()?;
    let text = |seconds| DateTime::<Utc>::from_timestamp(seconds, 0).map(wire_time);
    let validity = certificate.validity();
    Some((text(validity.not_before.timestamp())?, text(validity.not_after.timestamp())?))
}

/// Returns the message.
pub(super) fn echo(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let body: Value =
        serde_json::from_slice(&exchange.call.body).map_err(|_| refuse(400, "PARAM_ERROR", "请求体不是合法的JSON"))?;
    let message = body.get("echo_message").and_then(Value::as_str);
    let message = message.ok_or_else(|| refuse_parameter("echo_message", "", Location::Body))?;
    Ok(Answer::json(200, &json!({"echo_message": message})))
}
