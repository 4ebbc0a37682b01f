//! send_coupon over mutual TLS (reference v2 §A.5): the real program, real certificates, and a gate
//! before the simulator that lets nobody through without a certificate of the merchant's authority.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::support::{Ending, Shop, Wechat};

/// An authority that signs certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: CertificateDer<'static>,
}

/// A certificate and its key.
struct Identity {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Authority { issuer: Issuer::new(params, key), pem, der }
    }

    fn sign(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        Identity { certificate: params.signed_by(&key, &self.issuer).unwrap(), key }
    }
}

impl Identity {
    /// Puts it where the job file names it.
    fn keep(&self, shop: &Shop) {
        std::fs::write(shop.path("secrets/apiclient_cert.pem"), self.certificate.pem()).unwrap();
        std::fs::write(shop.path("secrets/client.pem"), self.key.serialize_pem()).unwrap();
    }
}

/// The gate before `wechat`: TLS for `localhost`, client certificates of `authority` only. Gives its URL.
fn gate(wechat: &Wechat, authority: &Authority) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let visitors = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
    let Identity { certificate, key } = authority.sign("localhost");
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_client_cert_verifier(visitors);
    let config = config.with_single_cert(vec![certificate.der().clone()], key).unwrap();
    let behind = wechat.running().base_url().replace("http://", "");
    let listener = wechat.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let port = listener.local_addr().unwrap().port();
    wechat.spawn(stand(listener, TlsAcceptor::from(Arc::new(config)), behind));
    format!("https://localhost:{port}")
}

async fn stand(listener: TcpListener, acceptor: TlsAcceptor, behind: String) {
    while let Ok((visitor, _)) = listener.accept().await {
        let (acceptor, behind) = (acceptor.clone(), behind.clone());
        tokio::spawn(async move {
            // A refused client was told so in the handshake.
            let Ok(mut visitor) = acceptor.accept(visitor).await else { return };
            let Ok(mut server) = TcpStream::connect(behind).await else { return };
            let _ = tokio::io::copy_bidirectional(&mut visitor, &mut server).await;
        });
    }
}

/// A shop whose v2 section may name a client certificate.
fn shop(with_certificate: bool) -> Shop {
    let shop = Shop::of_seed(1);
    let named = "client_certificate_file = \"secrets/apiclient_cert.pem\"\nclient_key_file = \"secrets/client.pem\"\n";
    let keys = if with_certificate { named } else { "" };
    shop.edit("job.toml", |text| {
        let text = text.replace("retry_deadline_seconds = 120", "retry_deadline_seconds = 1");
        text.replace("api_key_file = \"secrets/v2.key\"\n", &format!("api_key_file = \"secrets/v2.key\"\n{keys}"))
    });
    shop
}

/// `coupon-recon api POST PATH …` through the gate, trusting its authority.
fn post(shop: &Shop, url: &str, authority: &Authority, arguments: &[&str]) -> Ending {
    std::fs::write(shop.path("authority.pem"), &authority.pem).unwrap();
    let all = [&["api", "POST"], arguments, &["--job", "job.toml", "--base-url", url]].concat();
    let mut command = shop.command(&all);
    Ending::of(command.env("SSL_CERT_FILE", shop.path("authority.pem")).output().unwrap())
}

const SEND: [&str; 10] = [
    "/mmpaymkttransfers/send_coupon",
    "--write",
    "-f",
    "coupon_stock_id=9728595",
    "-f",
    "openid_count=1",
    "-f",
    "partner_trade_no=N1",
    "-f",
    "openid=oPeer",
];
const QUERY: [&str; 3] = ["/mmpaymkttransfers/query_coupon_stock", "-f", "coupon_stock_id=9728595"];

#[test]
fn a_coupon_is_sent_with_the_client_certificate_of_the_job() {
    let (shop, authority) = (shop(true), Authority::new());
    authority.sign("merchant").keep(&shop);
    let wechat = shop.serve(None);
    let url = gate(&wechat, &authority);
    let sent = post(&shop, &url, &authority, &SEND);
    assert_eq!(sent.code, 0, "{}", sent.stderr);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&sent.stdout).unwrap()["ret_code"], "SUCCESS");
    assert_eq!(wechat.counts().of("POST /mmpaymkttransfers/send_coupon"), 1);
}

#[test]
fn a_certificate_of_a_stranger_or_none_is_not_let_through() {
    let (shop, authority) = (shop(true), Authority::new());
    Authority::new().sign("merchant").keep(&shop);
    let wechat = shop.serve(None);
    let url = gate(&wechat, &authority);
    let refused = post(&shop, &url, &authority, &SEND);
    assert_eq!(refused.code, 69, "{}", refused.stderr);
    assert!(refused.stderr.contains("pay_v2.client_certificate_file"), "{}", refused.stderr);
    let bare = self::shop(false);
    let refused = post(&bare, &url, &authority, &QUERY);
    assert_eq!(refused.code, 69, "{}", refused.stderr);
    assert_eq!(wechat.counts().total, 0);
}

#[test]
fn without_a_certificate_a_coupon_is_not_even_tried() {
    let (shop, authority) = (shop(false), Authority::new());
    let wechat = shop.serve(None);
    let url = gate(&wechat, &authority);
    let refused = post(&shop, &url, &authority, &SEND);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("hint: `pay_v2.client_certificate_file`"), "{}", refused.stderr);
}
