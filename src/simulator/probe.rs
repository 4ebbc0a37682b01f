//! For tests only: a small world, a manual clock, and a client that sends raw bytes with its own
//! minimal signing code, so that tests can also send what no regular client would.

#![cfg(test)]

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{DateTime, Utc};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use rsa::pkcs1v15::{Signature, SigningKey, VerifyingKey};
use rsa::pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding};
use rsa::sha2::Sha256;
use rsa::signature::{SignatureEncoding, Signer, Verifier};
use rsa::{RsaPrivateKey, RsaPublicKey};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::signature::md5_signature;
use super::world::{Account, CardCode, Code, Coupon, DatacubeRow, Event, Receipt, World};
use super::{Counts, Options, Running, Simulator};
use crate::clock::{self, Clock};

pub(super) const STOCK: &str = "1288880000000001";
pub(super) const POOL: &str = "1288880000000002";
pub(super) const OPENID: &str = "oHkLxtx0vUqe-18p_AXTZ1innxkCY";

struct TestKeys {
    merchant: RsaPrivateKey,
    platform: RsaPrivateKey,
    certificate_pem: String,
}

fn keys() -> &'static TestKeys {
    static KEYS: OnceLock<TestKeys> = OnceLock::new();
    KEYS.get_or_init(|| {
        let key = |seed| RsaPrivateKey::new(&mut ChaCha20Rng::seed_from_u64(seed), 2048).unwrap();
        let platform = key(2);
        let pem = platform.to_pkcs8_pem(LineEnding::LF).unwrap();
        let pair = rcgen::KeyPair::from_pkcs8_pem_and_sign_algo(&pem, &rcgen::PKCS_RSA_SHA256).unwrap();
        let certificate = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&pair).unwrap();
        TestKeys { merchant: key(1), platform, certificate_pem: certificate.pem() }
    })
}

/// An account with keys from fixed seeds.
pub(super) fn account() -> Account {
    let keys = keys();
    Account {
        mchid: "1900000001".into(),
        merchant_serial_no: "0F1C72E2A8931B72A2E13AF8DEE92471EB397115".into(),
        merchant_public_key_pem: keys.merchant.to_public_key().to_public_key_pem(LineEnding::LF).unwrap(),
        api_v3_key: "0123456789abcdef0123456789abcdef".into(),
        platform_private_key_pem: keys.platform.to_pkcs8_pem(LineEnding::LF).unwrap().to_string(),
        public_key_id: "PUB_KEY_ID_0119000000012026111800000000000001".into(),
        platform_certificate_pem: keys.certificate_pem.clone(),
        platform_certificate_serial: "440024045C4A427599D09BB4E3DE0279F2E813FD".into(),
        appid: "wx5edab3bdfba3dc1c".into(),
        v2_key: "192006250b4c09247ec02edce69f6a2d".into(),
        mp_secret: "mp-secret".into(),
    }
}

/// Signs with the merchant's key.
pub(super) fn merchant_signature(message: &[u8]) -> String {
    let key = SigningKey::<Sha256>::new(keys().merchant.clone());
    BASE64.encode(key.sign(message).to_bytes())
}

/// Does the platform's key stand behind this answer?
pub(super) fn is_genuine(reply: &Reply) -> bool {
    let Ok(signature) = BASE64.decode(reply.header("wechatpay-signature")) else { return false };
    let timestamp = reply.header("wechatpay-timestamp");
    let mut message = format!("{timestamp}\n{}\n", reply.header("wechatpay-nonce")).into_bytes();
    message.extend_from_slice(&reply.body);
    message.push(b'\n');
    let key = VerifyingKey::<Sha256>::new(RsaPublicKey::from(&keys().platform));
    Signature::try_from(signature.as_slice()).is_ok_and(|signature| key.verify(&message, &signature).is_ok())
}

/// A moment of November 2026 in China Standard Time: `18T10:00`.
pub(super) fn at(text: &str) -> DateTime<Utc> {
    format!("2026-11-{text}:00+08:00").parse().unwrap()
}

pub(super) fn event(number: &str, time: &str) -> Option<Event> {
    Some(Event { number: number.into(), time: at(time) })
}

/// A coupon received on the 10th, valid until the 30th.
pub(super) fn coupon(code: &str) -> Coupon {
    Coupon {
        openid: OPENID.into(),
        stock_id: STOCK.into(),
        coupon_code: code.into(),
        receive_time: at("10T08:00"),
        available_start_time: at("10T08:00"),
        expire_time: at("30T23:59"),
        send_request_no: Some(format!("SEND{code}")),
        ..Coupon::default()
    }
}

fn map(value: Value) -> serde_json::Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn stock(stock_id: &str, mode: &str) -> serde_json::Map<String, Value> {
    map(json!({
        "stock_id": stock_id, "stock_name": "新人券", "belong_merchant": "1900000002", "goods_name": "咖啡",
        "stock_type": "NORMAL", "stock_state": "RUNNING", "coupon_code_mode": mode, "subsidy": true,
        "stock_send_rule": {"max_coupons": 100, "max_coupons_per_user": 5, "transferable": true},
        "coupon_use_rule": {"fixed_normal_coupon": {"discount_amount": 500, "transaction_minimum": 2000}},
    }))
}

fn receipt(id: (&str, &str), number: (&str, &str), statuses: &[(&str, &str)]) -> Receipt {
    let body = json!({"stock_id": STOCK, "coupon_code": "C2", "amount": 100, id.0: id.1, number.0: number.1});
    let statuses: Vec<_> = statuses.iter().map(|(time, status)| (at(time), (*status).to_owned())).collect();
    Receipt { create_time: statuses[0].0, statuses, body: map(body) }
}

fn biz_row(day: &str, cond_source: i64) -> DatacubeRow {
    let row = map(json!({"ref_date": day, "view_cnt": 4, "view_user": 2}));
    DatacubeRow { cond_source: Some(cond_source), ref_date: day.into(), row }
}

fn card_row(day: &str, card_id: &str) -> DatacubeRow {
    let row = map(json!({"ref_date": day, "card_id": card_id, "view_cnt": 2}));
    DatacubeRow { cond_source: Some(1), ref_date: day.into(), row }
}

fn detail_row(day: &str, card_id: &str) -> DatacubeRow {
    let row = map(json!({"ref_date": day, "cardid": card_id, "view_cnt": 2, "payOriginalFee": 0}));
    DatacubeRow { cond_source: None, ref_date: day.into(), row }
}

fn card(card_id: &str, status: &str) -> serde_json::Map<String, Value> {
    map(json!({"card_type": "GROUPON", "groupon": {"base_info": {"id": card_id, "status": status}}}))
}

/// Three coupons of one user, a pool of five codes, two receipts, bills, cards and v2 stocks.
pub(super) fn world() -> World {
    let used = Coupon {
        association: event("T2", "18T09:00"),
        redemption: event("U2", "18T10:00"),
        coupon_return: event("R2", "19T10:00"),
        ..coupon("C2")
    };
    let code = |n: usize| Code {
        code: format!("K{n}"),
        upload_time: at("10T00:00"),
        dispatched_time: (n == 1).then(|| at("18T12:00")),
        openid: (n == 1).then(|| OPENID.into()),
    };
    let pooled = Coupon { stock_id: POOL.into(), receive_time: at("18T12:00"), ..coupon("K1") };
    let v2 = |fields: &[(&str, &str)]| fields.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let paid = [("18T11:00", "ACCEPTED"), ("18T12:00", "SUCCESS")];
    World {
        account: account(),
        stocks: [(STOCK, "WECHATPAY_MODE"), (POOL, "MERCHANT_UPLOAD")]
            .map(|(id, mode)| (id.to_owned(), stock(id, mode)))
            .into(),
        coupons: vec![coupon("C1"), used, pooled],
        codes: [(POOL.to_owned(), (1..=5).map(code).collect())].into(),
        pay_receipts: vec![receipt(("subsidy_receipt_id", "P1"), ("out_subsidy_no", "S1"), &paid)],
        return_receipts: vec![receipt(("subsidy_return_receipt_id", "B1"), ("out_subsidy_return_no", "SR1"), &paid)],
        bills: [("2026-11-18".to_owned(), "bill-18.csv".to_owned())].into(),
        datacube: [
            ("getcardbizuininfo", vec![biz_row("2026-11-18", 0), biz_row("2026-11-17", 1), biz_row("2026-11-18", 1)]),
            ("getcardcardinfo", vec![card_row("2026-11-18", "p1"), card_row("2026-11-18", "p2")]),
            ("getcardmembercarddetail", vec![detail_row("2026-11-18", "m1"), detail_row("2026-11-18", "m2")]),
        ]
        .map(|(call, rows)| (call.to_owned(), rows))
        .into(),
        cards: [("p1", "CARD_STATUS_VERIFY_OK"), ("p2", "CARD_STATUS_NOT_VERIFY"), ("p3", "CARD_STATUS_VERIFY_OK")]
            .map(|(id, status)| (id.to_owned(), card(id, status)))
            .into(),
        v2_stocks: [("9728595", "4"), ("9728596", "1")]
            .map(|(id, status)| {
                (
                    id.to_owned(),
                    v2(&[("coupon_name", "测试代金券"), ("coupon_value", "200"), ("coupon_stock_status", status)]),
                )
            })
            .into(),
        v2_coupons: [(
            "4242".to_owned(),
            v2(&[("coupon_stock_id", "9728595"), ("coupon_state", "SENDED"), ("openid", OPENID)]),
        )]
        .into(),
        v2_unsigned_stocks: ["9728596".to_owned()].into(),
        card_codes: vec![CardCode {
            openid: OPENID.into(),
            card_id: "p1".into(),
            code: "819679186876".into(),
            receive_time: at("10T00:00"),
            begin_time: at("10T00:00").timestamp(),
            end_time: at("30T00:00").timestamp(),
            statuses: vec![(at("18T12:00"), "CONSUMED".into())],
        }],
        notify_url: Some("https://coffee.example/notify".into()),
        ..World::default()
    }
}

/// The bill of the 18th.
pub(super) const BILL: &str = "\u{feff}交易时间,公众账号ID\r\n`2026-11-18 10:00:00,`wx5edab3bdfba3dc1c\r\n";

/// A clock that moves when told to.
pub(super) struct HandClock(Mutex<DateTime<Utc>>);

impl HandClock {
    pub(super) fn set(&self, now: DateTime<Utc>) {
        *self.0.lock().unwrap() = now;
    }
}

impl Clock for HandClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}

/// A running simulator and the client to try it with.
pub(super) struct Probe {
    pub(super) running: Running,
    pub(super) clock: Arc<HandClock>,
    _folder: tempfile::TempDir,
}

/// An answer off the wire.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// The connection brought as many bytes as the header promised.
    pub(super) is_whole: bool,
}

impl Reply {
    /// A header; empty when absent.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(super) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    fn parse(bytes: &[u8]) -> Reply {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let header = |line: &str| line.split_once(": ").map(|(k, v)| (k.to_ascii_lowercase(), v.to_owned())).unwrap();
        let headers: Vec<_> = lines.map(header).collect();
        let mut reply = Reply { status, headers, body: bytes[end + 4..].to_vec(), is_whole: true };
        reply.is_whole = reply.header("content-length") == reply.body.len().to_string();
        reply
    }
}

impl Probe {
    /// Serves the small world on the evening of the 18th.
    pub(super) async fn start(scenario: &str) -> Probe {
        Probe::start_with(scenario, |_, _| ()).await
    }

    /// The same with changes.
    pub(super) async fn start_with(scenario: &str, change: impl FnOnce(&mut World, &mut Options)) -> Probe {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(HandClock(Mutex::new(at("18T20:00"))));
        let outside = clock::World { clock: clock.clone(), ..clock::World::real() };
        let mut options = Options { scenario: scenario.parse().unwrap(), ..Options::new(&outside) };
        let mut world = world();
        change(&mut world, &mut options);
        write_world(folder.path(), &world);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let running = Simulator::load(folder.path()).unwrap().serve(listener, options).unwrap();
        Probe { running, clock, _folder: folder }
    }

    pub(super) fn counts(&self) -> Counts {
        self.running.counts()
    }

    /// Sends bytes, reads until the server closes.
    pub(super) async fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut stream = TcpStream::connect(self.running.addr).await.unwrap();
        let mut request = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.running.addr);
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A torn answer ends in an error; what came before it is the answer.
        let _ = stream.read_to_end(&mut answer).await;
        Reply::parse(&answer)
    }

    /// The Authorization header of a request signed now.
    pub(super) fn authorization(&self, method: &str, target: &str, body: &str, nonce: &str) -> String {
        let (account, timestamp) = (account(), self.clock.now().timestamp());
        let signature = merchant_signature(format!("{method}\n{target}\n{timestamp}\n{nonce}\n{body}\n").as_bytes());
        format!(
            "WECHATPAY2-SHA256-RSA2048 mchid=\"{}\",nonce_str=\"{nonce}\",signature=\"{signature}\",timestamp=\"{timestamp}\",serial_no=\"{}\"",
            account.mchid, account.merchant_serial_no
        )
    }

    /// A v3 request as it should be, in public-key mode.
    pub(super) async fn v3(&self, method: &str, target: &str, body: &str) -> Reply {
        let nonce = format!("{:032}", self.counts().total);
        let authorization = self.authorization(method, target, body, &nonce);
        let headers = [
            ("Accept", "application/json"),
            ("User-Agent", "probe"),
            ("Authorization", authorization.as_str()),
            ("Wechatpay-Serial", &account().public_key_id),
        ];
        self.send(method, target, &headers, body).await
    }

    pub(super) async fn get(&self, target: &str) -> Reply {
        self.v3("GET", target, "").await
    }

    /// A v2 request as it should be: account, nonce and MD5 are added.
    pub(super) async fn v2(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let account = account();
        let mut all = vec![("appid", account.appid.as_str()), ("mch_id", &account.mchid), ("nonce_str", "1417575000")];
        all.extend(fields);
        let sign = md5_signature(all.iter().copied(), &account.v2_key);
        all.push(("sign", &sign));
        let children: String = all.iter().map(|(name, value)| format!("<{name}>{value}</{name}>")).collect();
        self.send("POST", path, &[], &format!("<xml>{children}</xml>")).await
    }

    /// A fresh access token.
    pub(super) async fn token(&self) -> String {
        let body = json!({"grant_type": "client_credential", "appid": account().appid, "secret": account().mp_secret});
        let reply = self.send("POST", "/cgi-bin/stable_token", &[], &body.to_string()).await;
        reply.json()["access_token"].as_str().unwrap().to_owned()
    }

    /// An MP request with a token.
    pub(super) async fn mp(&self, path: &str, body: Value) -> Reply {
        let target = format!("{path}?access_token={}", self.token().await);
        self.send("POST", &target, &[], &body.to_string()).await
    }
}

fn write_world(folder: &Path, world: &World) {
    std::fs::create_dir(folder.join("world")).unwrap();
    std::fs::write(folder.join("world/world.json"), serde_json::to_vec(world).unwrap()).unwrap();
    std::fs::write(folder.join("world/bill-18.csv"), BILL).unwrap();
}
