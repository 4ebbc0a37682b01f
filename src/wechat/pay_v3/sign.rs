//! `WECHATPAY2-SHA256-RSA2048`: the signed message and the Authorization header (reference v3
//! §1.1). Time and nonce are parameters.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;

use crate::job::PayV3Settings;
use crate::secret::{Origin, Secret};
use crate::wechat::error::SetupError;

/// Signs requests for one merchant.
pub struct Signer {
    key: KeyPair,
    key_origin: Origin,
    mchid: String,
    serial_no: String,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("mchid", &self.mchid).field("serial_no", &self.serial_no).finish_non_exhaustive()
    }
}

impl Signer {
    /// Loads the merchant's key.
    ///
    /// # Errors
    /// The key is not an RSA key in PEM.
    pub fn new(settings: &PayV3Settings) -> Result<Signer, SetupError> {
        Ok(Signer {
            key: read_private_key(&settings.private_key_pem)?,
            key_origin: settings.private_key_pem.origin().clone(),
            mchid: settings.mchid.clone(),
            serial_no: settings.serial_no.clone(),
        })
    }

    /// Where the merchant's key was configured.
    pub(super) fn key_origin(&self) -> &Origin {
        &self.key_origin
    }

    /// The Authorization header of one attempt.
    pub fn authorization(&self, attempt: &Attempt<'_>) -> String {
        let signature = self.sign(&attempt.message());
        let (mchid, serial_no, Attempt { timestamp, nonce, .. }) = (&self.mchid, &self.serial_no, attempt);
        format!(
            "WECHATPAY2-SHA256-RSA2048 mchid=\"{mchid}\",nonce_str=\"{nonce}\",signature=\"{signature}\",\
             timestamp=\"{timestamp}\",serial_no=\"{serial_no}\""
        )
    }

    fn sign(&self, message: &[u8]) -> String {
        let mut signature = vec![0; self.key.public_modulus_len()];
        // PKCS#1 v1.5 does not use the random source that the interface requires.
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
            .expect("a key that was read can sign");
        STANDARD.encode(signature)
    }
}

/// One attempt of a request, in the parts that are signed.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// `GET`, `POST`.
    pub method: &'a str,
    /// Path and query as sent.
    pub target: &'a str,
    /// Seconds since 1970.
    pub timestamp: i64,
    /// A text that no other attempt has.
    pub nonce: &'a str,
    /// The body as sent; empty for `GET`.
    pub body: &'a [u8],
}

impl Attempt<'_> {
    /// Five lines, each ended by a line feed; the body keeps its own line feeds and gets one more.
    fn message(&self) -> Vec<u8> {
        let Attempt { method, target, timestamp, nonce, body } = self;
        let mut message = format!("{method}\n{target}\n{timestamp}\n{nonce}\n").into_bytes();
        message.extend_from_slice(body);
        message.push(b'\n');
        message
    }
}

fn read_private_key(pem: &Secret) -> Result<KeyPair, SetupError> {
    let refused = || SetupError::PrivateKey(pem.origin().clone());
    let der = PrivateKeyDer::from_pem_slice(pem.expose().as_bytes()).map_err(|_| refused())?;
    let key = match &der {
        PrivateKeyDer::Pkcs8(der) => KeyPair::from_pkcs8(der.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(der) => KeyPair::from_der(der.secret_pkcs1_der()),
        _ => return Err(refused()),
    };
    key.map_err(|_| refused())
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wechat::pay_v3::target::Target;

    const JAVA: &str = include_str!("../../../tests/fixtures/keys/java_merchant_private_key.pem");
    const JAVA_PKCS1: &str = include_str!("../../../tests/fixtures/keys/java_merchant_private_key_pkcs1.pem");
    const GO: &str = include_str!("../../../tests/fixtures/keys/go_private_key.pem");
    const NONCE: &str = "593BEC0C930BF1AFEB40B4A08C8FB242";

    /// A signature as WeChat makes it with the platform's key pair.
    pub(crate) fn platform_signature(message: &str) -> String {
        const PLATFORM: &str = include_str!("../../../tests/fixtures/keys/java_platform_private_key.pem");
        signer(PLATFORM).sign(message.as_bytes())
    }

    /// A signature as WeChat makes it with the key of its certificate.
    pub(crate) fn certificate_signature(message: &str) -> String {
        signer(JAVA).sign(message.as_bytes())
    }

    fn signer(pem: &str) -> Signer {
        let key = read_private_key(&Secret::new(pem)).unwrap();
        let serial_no = "1DDE55AD98ED71D6EDD4A4A16996DE7B47773A8C".into();
        Signer { key, key_origin: Origin::default(), mchid: "1900009191".into(), serial_no }
    }

    #[test]
    fn g1_the_go_signer_vector_is_reproduced() {
        assert_eq!(signer(GO).sign(b"source"), G1);
    }

    #[test]
    fn j1_the_java_verifier_vector_is_reproduced_from_both_key_formats() {
        assert_eq!(signer(JAVA).sign(b"message"), J1);
        assert_eq!(signer(JAVA_PKCS1).sign(b"message"), J1);
    }

    #[test]
    fn the_go_credential_messages_are_reproduced() {
        let (target, timestamp, nonce) = ("/v3/certificates", 1624523846, "A1B2C3D4E5F6G7");
        let get = Attempt { method: "GET", target, timestamp, nonce, body: b"" }.message();
        assert_eq!(get, b"GET\n/v3/certificates\n1624523846\nA1B2C3D4E5F6G7\n\n");
        assert_eq!(signer(GO).sign(&get), GO_GET);
        let post = Attempt { method: "POST", target, timestamp, nonce, body: b"Hello World!\n" }.message();
        assert!(post.ends_with(b"\nHello World!\n\n"));
    }

    #[test]
    fn the_java_credential_message_is_reproduced() {
        let target = "/v3/pay/transactions/id/1217752501201407033233368018?mchid=1230000109";
        let nonce = "eBYqCOxa0QudMnPvVilkTzOg3gHh5Z3u";
        let message = Attempt { method: "GET", target, timestamp: 1652750623, nonce, body: b"" }.message();
        assert_eq!(signer(JAVA).sign(&message), JAVA_GET);
    }

    #[test]
    fn the_three_coupon_requests_have_the_frozen_signatures() {
        let body = br#"{"stock_id":"100088","coupon_code":"sxxe34343434","out_trade_no":"MCH_102233445","out_request_no":"1002600620019090123143254435"}"#;
        let cases: [(&str, &str, &[u8], &str); 3] = [
            ("GET", "/v3/marketing/busifavor/stocks/1212", b"", S1),
            (
                "GET",
                "/v3/marketing/busifavor/users/2323dfsdf342342/coupons?appid=wx233544546545989&stock_id=100088&coupon_state=SENDED&creator_merchant=1000000001&offset=0&limit=20",
                b"",
                S2,
            ),
            ("POST", "/v3/marketing/busifavor/coupons/associate", body, S3),
        ];
        for (method, target, body, signature) in cases {
            let attempt = Attempt { method, target, timestamp: 1700000000, nonce: NONCE, body };
            assert_eq!(signer(JAVA).sign(&attempt.message()), signature, "{target}");
        }
    }

    #[test]
    fn the_header_has_the_documented_form() {
        let target = "/v3/marketing/busifavor/stocks/1212";
        let attempt = Attempt { method: "GET", target, timestamp: 1700000000, nonce: NONCE, body: b"" };
        let header = signer(JAVA).authorization(&attempt);
        assert_eq!(
            header,
            format!(
                "WECHATPAY2-SHA256-RSA2048 mchid=\"1900009191\",nonce_str=\"{NONCE}\",signature=\"{S1}\",timestamp=\"1700000000\",serial_no=\"1DDE55AD98ED71D6EDD4A4A16996DE7B47773A8C\""
            )
        );
    }

    #[test]
    fn what_is_no_rsa_key_is_refused() {
        let certificate = include_str!("../../../tests/fixtures/keys/java_merchant_certificate.pem");
        for pem in ["", "hunter2", certificate] {
            assert!(matches!(read_private_key(&Secret::new(pem)), Err(SetupError::PrivateKey(_))));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// The `rsa` crate, which nothing on this side uses, agrees on any target and body.
        #[test]
        fn another_implementation_verifies_any_request(
            openid in "\\PC{1,20}", value in "\\PC{0,20}", body in prop::collection::vec(any::<u8>(), 0..200),
            nonce in "[0-9A-Za-z]{32}", timestamp in 1_000_000_000i64..4_000_000_000,
        ) {
            use rsa::pkcs1v15::{Signature, VerifyingKey};
            use rsa::pkcs8::DecodePrivateKey;
            use rsa::signature::Verifier;

            let target = Target::new("/v3/users/{openid}/coupons", &[&openid]).query("q", &value).finish();
            let attempt = Attempt { method: "POST", target: &target, timestamp, nonce: &nonce, body: &body };
            let header = signer(JAVA).authorization(&attempt);
            let signature = header.split("signature=\"").nth(1).unwrap().split('"').next().unwrap();
            let mut signed = format!("POST\n{target}\n{timestamp}\n{nonce}\n").into_bytes();
            signed.extend_from_slice(&body);
            signed.push(b'\n');
            let key = rsa::RsaPrivateKey::from_pkcs8_pem(JAVA).unwrap();
            let verifier = VerifyingKey::<rsa::sha2::Sha256>::new(key.to_public_key());
            let signature = Signature::try_from(STANDARD.decode(signature).unwrap().as_slice()).unwrap();
            prop_assert!(verifier.verify(&signed, &signature).is_ok());
        }
    }

    // Reference v3 §5.2.
    const G1: &str = "BKyAfU4iMCuvXMXS0Wzam3V/cnxZ+JaqigPM5OhljS2iOT95OO6Fsuml2JkFANJU9K6q9bLlDhPXuoVz+pp4hAm6pHU4ld815U4jsKu1RkyaII+1CYBUYC8TK0XtJ8FwUXXz8vZHh58rrAVN1XwNyvD1vfpxrMT4SL536GLwvpUHlCqIMzoZUguLli/K8V29QiOhuH6IEqLNJn8e9b3nwNcQ7be3CzYGpDAKBfDGPCqCv8Rw5zndhlffk2FEA70G4hvMwe51qMN/RAJbknXG23bSlObuTCN7Ndj1aJGH6/L+hdwfLpUtJm4QYVazzW7DFD27EpSQEqA8bX9+8m1rLg==";
    const J1: &str = "Rq+5ZpWV6IHTWE1+9gCrYJKguNgbItpMdlIA+PVCPCdUAKNlohZz7CL7Y8xWDIFJjdGnErMj6Z+Q/h9CF5MV+nAVkqDmBR0uP5ppsUEzco4ijvKHsvI2ro4boSW6vSfQs3W8I4QSI9a0/NFIgvj83Fv27LIYZf7deaFWmEwd1fpAeJRCyoKyBeJPdsjVx0//Lqe6Wze2zVdliLcBvaHCfpd8+rAVGS+FQDeWgHqJ7n/Zy09LmV1/ghs7pO1mdjdD16SHKlysAD3K5hNGUJX/SHrEXEcu1yO1AOb/YvOVkjNh8243rcfXNE5L4ph2XS11vS+2aToKYSOcKUagf0LLaw==";
    const GO_GET: &str = "mG2drrUCDR7EVrJmQVI6eW5VlDB0zzpcYLC83UiNxe1aNAomazwWci4q/HPA7MmlbGAswwSE7iPiLy3vflXohf42WXNA031htDbpBCVt1ti2teKFPh531KK07unc+CrCiepz6veTgsylXYO4iBI+DYQ4UDj+r8A/lhqj7yHmtLjvcJ45Og6Wdecd/T7jGgMwcEe1mR7HLzC7R6snnLOaRwnPCe6WyiWGDHHuQzvNFeaztpM3noedCPEwGculoy2MPVvNER6TpM8CUijpKChWM7Q5vIwg8QYv9bH7IuZitLMAgx0+cgaNzFbzZuXxwGB6wIAmv70dWcQx8F2erR/Nzw==";
    const JAVA_GET: &str = "I3rBjiGKeDrfOqpT4aW2VvjhsA2GEpOyCQivyRwmSroe6EftplTwTBtIyg0QKmxX+5xWmgOkHEWjebST5Vt8NL9Dka8cNN3oZsRvG8hvBxuTLMrvigG7tOF2YNUW6AKzKlCCXMAo0MF6BE/d7jNKyM7nAK+ZaiI/22T4v2RmlQFFGo1op6Li+MBeLb7624rDqkw5VKY97jMavtEFgaVWy0DKTmiXinujsU9kpYVJq8noO0NiyhDWG5RFYQmGYRzd3wio9IWRDWYi+qNWuGhg1CoSOgo02UbmT9W8/RXXxP+w0c9RLLhL3aBPT5coCp6cEbyA+KukOGAhKi93HHIYAg==";
    const S1: &str = "KbCKzH63xYhWaj5ja4bRvk2kMP7LXz5JJkOcjDxuJLMehA1Jll7SVvzkH9q3GZ9K+0AVoXxRNDAdzlo8Qh8dMhHXHYBipx8JgMh3T4WRSMj0rCuMsnMCwkVnj1rmxncqtP0AoTvL/LUkeLcR2o1t3HZV74cAhBYKh09UyDOuq42J0iO5/lKWnTt2W+MQM1bw8LRZ4tNZcoVvIBTJFHj+E4orna0ycllsILeXD0UZ0Zec/QXpPoJPYRzAkLKy8nt508Td91cX1FZwlTmo6wos4UX8ufOPAZYoVGxqpciG8aymdSvaVRsm3rhs+lc0NJH3kARZHoiuvUjZZw+iWefoyA==";
    const S2: &str = "NjlEedlAxi6Kakc8ldjVfsI7c2WF0aVrsZoZiIyi3vxergo/bpb6kWvT8Spd1zGtwm51seByfrw2nveZcBGAyMoKpLqqinoQBa0jK0Mt5oBqbD8gW6a7HiQWPw9Yf8u+T5Y10LzIG0Io6cZB2k3fHketElxn2aVFJ499zsGhqVIMC+h2MDjP3b9WN+Xje8lgkP8zwT77L668ShIIb9wigC4zFKKwMzrXrPgwZ9Y7PhcjBwPGqsZYojfVGBUtWTfXWde7qLmnKrnvtgQ+cY7z1NnfB20n/2gB2dXXyiuUqq2fQEGaMuAdVeJsYHRT4ii8KyKemGkLM4r6ueQYZzhjsA==";
    const S3: &str = "B+PwIAX8dOc5zw/9QTcl50+egTOy4/9mqfBuYsgWW1bIsEDgy5nNXxHxGzxoTtIb6hzdnKqNJJYvX5VPJ6j5gzOwa6M8u7UU5gJ7tPBglo5Ss+t3QX+Es5ThCV+f8ynb9TdapUVxKf4uDpNGEDSXQhFuiTrShSvFCfMvKzrtSEvuGn3TA4VKOdhfCxZt/zSCrLtk4hxn2dYRJ9WwH0Mn7XlMSrBTHAmsThdi67N1iLpX8ko9vtWiH0/sW+1W/L6GxoHNjPHdxMyYvGsiaRgCZNjeifjS3som/foqEnzdpe8l8QQHCXkjL266+WAha0K+mCPAdNAi8c4i1TDgIA02/A==";
}
