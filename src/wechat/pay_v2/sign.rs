//! The v2 signature: a digest over sorted `name=value` pairs and the API key (reference v2 §A.2).
//! Covers all given fields, known or not.

use aws_lc_rs::hmac;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

use super::xml::Fields;
use crate::secret::Secret;

/// The digest algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignType {
    /// 32 hex; the default and the only one documented for coupons.
    Md5,
    /// 64 hex, keyed with the API key too.
    HmacSha256,
}

/// The result of checking the signature of an answer. Coupon answers may come without one, or with
/// an invalid one (reference v2 §A.4): always recorded, fatal if the caller says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignatureCheck {
    /// Valid.
    Verified,
    /// Missing.
    Absent,
    /// Invalid.
    Mismatch,
}

impl SignatureCheck {
    /// The value in the `signature` column of the v2 datasets.
    pub fn as_str(self) -> &'static str {
        match self {
            SignatureCheck::Verified => "verified",
            SignatureCheck::Absent => "absent",
            SignatureCheck::Mismatch => "mismatch",
        }
    }
}

/// Signs all fields except `sign` and empty ones.
pub fn sign(fields: &Fields, key: &Secret, sign_type: SignType) -> String {
    let message = message(fields, key);
    match sign_type {
        SignType::Md5 => hex::encode_upper(Md5::digest(message.as_bytes())),
        SignType::HmacSha256 => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose().as_bytes());
            hex::encode_upper(hmac::sign(&key, message.as_bytes()))
        }
    }
}

/// Checks the `sign` of received fields; its length tells the algorithm.
pub fn check(fields: &Fields, key: &Secret) -> SignatureCheck {
    let Some(given) = fields.get("sign").filter(|given| !given.is_empty()) else {
        return SignatureCheck::Absent;
    };
    let sign_type = if given.len() == 64 { SignType::HmacSha256 } else { SignType::Md5 };
    let expected = sign(fields, key, sign_type);
    match aws_lc_rs::constant_time::verify_slices_are_equal(expected.as_bytes(), given.as_bytes()) {
        Ok(()) => SignatureCheck::Verified,
        Err(_) => SignatureCheck::Mismatch,
    }
}

/// Values are used raw: neither URL-encoded nor XML-escaped.
fn message(fields: &Fields, key: &Secret) -> String {
    let signed = fields.iter().filter(|(name, value)| name.as_str() != "sign" && !value.is_empty());
    let pairs = signed.map(|(name, value)| format!("{name}={value}&"));
    format!("{}key={}", pairs.collect::<String>(), key.expose())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wechat::pay_v2::xml;

    fn key() -> Secret {
        Secret::new("192006250b4c09247ec02edce69f6a2d")
    }

    /// Fields from `a=b&c=d`; values hold no `=` before their first.
    fn fields(text: &str) -> Fields {
        text.split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    fn both(fields: &Fields) -> (String, String) {
        (sign(fields, &key(), SignType::Md5), sign(fields, &key(), SignType::HmacSha256))
    }

    #[test]
    fn the_published_and_computed_vectors_of_requests_hold() {
        let send = "appid=wx5edab3bdfba3dc1c&coupon_stock_id=1757&mch_id=10000098&nonce_str=1417574675&openid=onqOjjrXT-776SpHnfexGm1_P7iE&openid_count=1&partner_trade_no=1000009820141203515766";
        let stock = "appid=wx5edab3bdfba3dc1c&coupon_stock_id=1757&mch_id=10000098&nonce_str=1417575000";
        let info = "appid=wx5edab3bdfba3dc1c&coupon_id=4242&mch_id=10000098&nonce_str=1417575784&openid=onqOjjrXT-776SpHnfexGm1_P7iE&stock_id=1757";
        let cases = [
            (
                "appid=wxd930ea5d5a258f4f&body=test&device_info=1000&mch_id=10000100&nonce_str=ibuaiVcKdpRxkhJA",
                "9A0A8659F005D6984697E2CA0A9CF3B7",
                "6A9AE1657590FD6257D693A078E1C3E4BB6BA4DC30B23E0EE2496E54170DACD6",
            ),
            (
                "test1=test1&test2=test2",
                "1E3A8D73B5A4AEE787C0F68B5DAB8520",
                "EDAC6D70D2FDF5A2382F8204FC96A1918017E46ACC5297F565ED1A7610ACF659",
            ),
            (
                send,
                "7E68DD6360339168D69A8F6E2CF07ED2",
                "61E55F6470ECB5760BE58E2C6855BF9DA46688F63A8144CB16D1876A6C48B5F6",
            ),
            (
                stock,
                "87069FE951263C9A577A756711070C75",
                "826D29FEAA3752FA55000B18E17C18B4BFA0B0B3FCE8FD8231B09E37A3E0FE18",
            ),
            (
                info,
                "8CE033F271E0D7C10153EF1E9AEF9E23",
                "82ADC1FB2C25FA44AD1D887C7507215F26BFDDAE4A6C957C0D915E6AC2C8B017",
            ),
        ];
        for (text, md5, hmac) in cases {
            assert_eq!(both(&fields(text)), (md5.to_owned(), hmac.to_owned()), "{text}");
        }
    }

    #[test]
    fn empty_values_are_dropped_and_chinese_is_utf8() {
        let mut fields = fields("appid=wx5edab3bdfba3dc1c&device_info=&mch_id=10000098&nonce_str=abc");
        fields.insert("coupon_name".into(), "满100元减20 & <测试>".into());
        assert_eq!(both(&fields).0, "ACB138F60625B88E1AE7443466925A7D");
        assert_eq!(both(&fields).1, "888BEA21453BA4A5F84C0F9F5AB90FCD1693D44B46777F6828B715A22D43412A");
    }

    #[test]
    fn special_characters_are_signed_unescaped() {
        let mut fields = fields("appid=wx5edab3bdfba3dc1c&mch_id=10000098&nonce_str=abc");
        fields.insert("coupon_desc".into(), "A&B <10% off>".into());
        assert_eq!(both(&fields).0, "500ED456675600FE84A46D23843AE396");
        assert_eq!(both(&fields).1, "6A084ED81D70459E1A21FDB4873C542C17B7BA11B93CC0F277A92B44B60EA70E");
    }

    #[test]
    fn a_sign_type_that_is_sent_is_signed() {
        let fields = fields(
            "appid=wxd930ea5d5a258f4f&body=test&device_info=1000&mch_id=10000100&nonce_str=ibuaiVcKdpRxkhJA&sign_type=HMAC-SHA256",
        );
        assert_eq!(both(&fields).1, "2C9DF1156522C0B2B03B4DBF3BCA5CACB602CBD5CA0F9E112458CF3E9855303B");
    }

    #[test]
    fn the_four_example_answers_verify_under_both_digests() {
        let cases = [
            (
                include_str!("../../../tests/fixtures/answers/pay_v2_send_coupon.xml"),
                "94B049578837D5276AC81AC51FA84A17",
                "14D2DE74D384F3D71B27C6DFB70FEEE102F7E24D722AA2B89A5624C99CA1E6C3",
            ),
            (
                include_str!("../../../tests/fixtures/answers/pay_v2_send_coupon@refused.xml"),
                "06CF0A8E709DDFBB33C8EDE11CBB2FA9",
                "B4664FF7CAB28190354603B957B4E384CCF6ADBB6B3DA8A4EAA8AF41D928B6D2",
            ),
            (
                include_str!("../../../tests/fixtures/answers/pay_v2_stock.xml"),
                "745CC14AF7EB7F9657CF71F33C7AE775",
                "9B229577E2A1BA90CA5870CEEBB5497C5E8BA1B57A24F58E12FBA29C6223F12D",
            ),
            (
                include_str!("../../../tests/fixtures/answers/pay_v2_coupon.xml"),
                "45BA6C04039DFE2F9BA70028E10A35D9",
                "0347E196BF6002C60B88E8DF41E6EC9FCBB3A90F39498C4A8C04941760F363BD",
            ),
        ];
        for (text, md5, hmac) in cases {
            let mut fields = xml::read(text.as_bytes()).unwrap();
            assert_eq!(both(&fields), (md5.to_owned(), hmac.to_owned()));
            assert_eq!(check(&fields, &key()), SignatureCheck::Verified);
            fields.insert("sign".into(), hmac.into());
            assert_eq!(check(&fields, &key()), SignatureCheck::Verified);
            fields.insert("coupon_stock_id".into(), "1".into());
            assert_eq!(check(&fields, &key()), SignatureCheck::Mismatch);
            fields.insert("sign".into(), String::new());
            assert_eq!(check(&fields, &key()), SignatureCheck::Absent);
        }
    }
}
