//! send_coupon over mutual TLS (reference v2 §A.5): the real program, real certificates, and a gate
//! before the simulator that lets nobody through without a certificate of the merchant's authority.

use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::support::{Ending, Shop, Wechat};
use crate::tls::{Authority, Identity, config_of, stand_before};

/// Puts it where the job file names it.
fn keep(identity: &Identity, shop: &Shop) {
    std::fs::write(shop.path("secrets/apiclient_cert.pem"), identity.certificate.pem()).unwrap();
    std::fs::write(shop.path("secrets/client.pem"), identity.key.serialize_pem()).unwrap();
}

/// The gate before `wechat`: TLS for `localhost`, client certificates of `authority` only. Gives its URL.
fn gate(wechat: &Wechat, authority: &Authority) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let visitors = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config_of(config.with_client_cert_verifier(visitors), &authority.sign("localhost"));
    stand_before(wechat, config).url
}

/// A shop whose v2 section may name a client certificate.
fn shop(with_certificate: bool) -> Shop {
    let shop = Shop::of_seed(1);
    let named = "client_certificate_file = \"secrets/apiclient_cert.pem\"\nclient_key_file = \"secrets/client.pem\"\n";
    let keys = if with_certificate { named } else { "" };
    shop.shorten_waits();
    shop.edit("job.toml", |text| {
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
    keep(&authority.sign("merchant"), &shop);
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
    keep(&Authority::new().sign("merchant"), &shop);
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
