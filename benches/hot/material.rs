//! What the hot loops work on. The keys are those the official SDKs publish for tests.

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use coupon_recon::job::{ApiLimits, PayV3Settings, PublicKey};
use coupon_recon::secret::{Origin, Secret};
use coupon_recon::sorter::{CellPacker, KeyPacker, Packed};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};

use crate::dice::{Dice, scattered};

pub(crate) const PLATFORM_KEY: &str = "PUB_KEY_ID_0119000000012026111800000000";
pub(crate) const PAGE_ROWS: u64 = 20;
const MERCHANT_PEM: &str = include_str!("../../tests/fixtures/keys/java_merchant_private_key.pem");
const PLATFORM_PEM: &str = include_str!("../../tests/fixtures/keys/java_platform_private_key.pem");
const PLATFORM_PUBLIC_PEM: &str = include_str!("../../tests/fixtures/keys/java_platform_public_key.pem");

/// An answer and the signature that proves it.
pub(crate) struct Answer {
    pub(crate) timestamp: String,
    pub(crate) nonce: String,
    pub(crate) signature: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body as the platform would have signed it.
    pub(crate) fn signed(body: Vec<u8>) -> Answer {
        let (timestamp, nonce) = ("1795104000".to_owned(), "c5ac7061fccab6bf3e254dcf98995b8c".to_owned());
        let mut message = format!("{timestamp}\n{nonce}\n").into_bytes();
        message.extend_from_slice(&body);
        message.push(b'\n');
        let der = PrivateKeyDer::from_pem_slice(PLATFORM_PEM.as_bytes()).expect("a published key");
        let key = KeyPair::from_pkcs8(der.secret_der()).expect("a published key");
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &message, &mut signature).expect("a key that was read");
        Answer { timestamp, nonce, signature: STANDARD.encode(signature), body }
    }
}

/// A merchant whose client is never used for a call.
pub(crate) fn settings() -> PayV3Settings {
    let limits = ApiLimits {
        base_url: "https://api.mch.weixin.qq.com".parse().expect("a URL"),
        backup_url: None,
        timeout: Duration::from_secs(1),
        retry_deadline: Duration::from_secs(1),
        rate_per_second: 1,
        concurrency: 1,
    };
    PayV3Settings {
        limits,
        mchid: "1900009191".into(),
        serial_no: "1DDE55AD98ED71D6EDD4A4A16996DE7B47773A8C".into(),
        private_key_pem: Secret::new(MERCHANT_PEM),
        api_v3_key: Secret::new("0123456789abcdef0123456789abcdef"),
        public_key: Some(PublicKey {
            id: PLATFORM_KEY.into(),
            pem: PLATFORM_PUBLIC_PEM.into(),
            origin: Origin::default(),
        }),
    }
}

/// A full page of a wallet.
pub(crate) fn page() -> Vec<u8> {
    let coupons: Vec<Value> = (0..PAGE_ROWS).map(coupon).collect();
    let page = json!({ "data": coupons, "total_count": PAGE_ROWS, "limit": PAGE_ROWS, "offset": 0 });
    page.to_string().into_bytes()
}

fn coupon(number: u64) -> Value {
    json!({
        "belong_merchant": "1900000001", "stock_name": "满30减5券", "comment": "全国门店可用",
        "goods_name": "瑞云咖啡", "stock_type": "NORMAL", "transferable": false, "shareable": false,
        "coupon_state": "USED",
        "display_pattern_info": {
            "merchant_name": "瑞云咖啡", "background_color": "Color020", "description": "瑞云咖啡门店使用",
        },
        "coupon_use_rule": {
            "coupon_available_time": {
                "available_begin_time": "2026-07-21T00:00:00+08:00",
                "available_end_time": "2027-05-19T23:59:59+08:00", "available_day_after_receive": 60,
            },
            "fixed_normal_coupon": { "discount_amount": 500, "transaction_minimum": 3000 }, "use_method": "OFF_LINE",
        },
        "coupon_code": format!("1{number:019}"), "stock_id": "1288880000000001",
        "available_start_time": "2026-11-16T16:46:22+08:00", "expire_time": "2027-01-16T23:59:59+08:00",
        "receive_time": "2026-11-16T16:46:22+08:00", "send_request_no": format!("SEND{number:024}"),
        "use_request_no": format!("USE{number:025}"), "use_time": "2026-11-18T15:28:39+08:00",
        "associate_out_trade_no": format!("WX20261118{number:014}"),
    })
}

/// A row like those orders are sorted by: a key of 24 characters and some 100 bytes of cells.
pub(crate) struct Row {
    number: String,
    openid: String,
    fen: i64,
}

impl Packed for Row {
    fn pack_key(&self, key: &mut KeyPacker<'_>) {
        key.text(&self.number);
    }

    fn pack_cells(&self, cells: &mut CellPacker<'_>) {
        cells.text(&self.openid);
        cells.text("orders/2026-11-18.csv");
        cells.maybe_text(Some("拿铁, 大杯"));
        cells.integer(self.fen);
    }
}

/// Rows in no order.
pub(crate) fn rows(count: u64) -> Vec<Row> {
    let mut dice = Dice::new(7);
    let row = |number| Row {
        number: format!("WX20261118{:014}", scattered(number)),
        openid: dice.openid(),
        fen: i64::try_from(number).expect("a small number"),
    };
    (0..count).map(row).collect()
}
