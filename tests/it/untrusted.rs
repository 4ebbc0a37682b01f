//! A server whose certificate proves nothing gets no request: not one of the right host, not one of these days, not one
//! of an authority that this machine knows. It may be anybody's who sits between here and WeChat.

use std::sync::Arc;

use rustls::ServerConfig;

use crate::support::{Ending, Shop, Wechat};
use crate::tls::{Authority, Gate, Identity, config_of, stand_before};

/// A gate before `wechat` that shows `identity`.
fn gate(wechat: &Wechat, identity: &Identity) -> Gate {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    stand_before(wechat, config_of(config.with_no_client_auth(), identity))
}

/// The program, on a machine that knows `authority` and nobody else.
fn program(shop: &Shop, authority: &Authority, arguments: &[&str]) -> Ending {
    std::fs::write(shop.path("authority.pem"), &authority.pem).unwrap();
    let mut command = shop.command(arguments);
    Ending::of(command.env("SSL_CERT_FILE", shop.path("authority.pem")).output().unwrap())
}

/// Certificates that must not be accepted for `localhost`, and why.
fn wrong_ones(authority: &Authority) -> [(Identity, &'static str); 4] {
    let expired = authority.sign_with("localhost", |it| it.not_after = rcgen::date_time_ymd(2026, 1, 1));
    let early = authority.sign_with("localhost", |it| it.not_before = rcgen::date_time_ymd(2099, 1, 1));
    [
        (authority.sign("elsewhere.example"), "its certificate is for another host name"),
        (expired, "its certificate has expired"),
        (early, "its certificate is not valid yet"),
        (Identity::self_signed("localhost"), "its certificate is not signed by any authority that this machine trusts"),
    ]
}

/// Attempts of a night whose three APIs are refused: some calls are under way before the first has failed.
const FEW: usize = 100;

#[test]
fn a_night_ends_at_once_with_77_and_says_whose_certificate_is_wrong_and_how() {
    let (shop, authority) = (Shop::of_seed(1), Authority::new());
    let wechat = shop.serve(None);
    for (identity, why) in wrong_ones(&authority) {
        let gate = gate(&wechat, &identity);
        let run = ["run", "job.toml", "--date", "2026-11-18", "--base-url", &gate.url];
        let ending = program(&shop, &authority, &run);
        assert_eq!(ending.code, 77, "{}", ending.stderr);
        let host = gate.url.replace("https://", "");
        for words in [&format!("`{host}` is not trusted: {why}"), "`pay_v3.base_url` must be WeChat's own"] {
            assert!(ending.stderr.contains(words), "`{words}` is missing in:\n{}", ending.stderr);
        }
        assert!(gate.visitors() < FEW, "{} attempts", gate.visitors());
        assert!(shop.published().is_empty());
    }
    assert_eq!(wechat.counts().total, 0, "nobody was asked anything");
    let right = gate(&wechat, &authority.sign("localhost"));
    let checked = program(&shop, &authority, &["check", "job.toml", "--base-url", &right.url]);
    assert_eq!(checked.code, 0, "{}", checked.stdout);
}

#[test]
fn check_and_api_name_the_certificate_for_each_api() {
    let (shop, authority) = (Shop::of_seed(1), Authority::new());
    let wechat = shop.serve(None);
    let gate = gate(&wechat, &Identity::self_signed("localhost"));
    let checked = program(&shop, &authority, &["check", "job.toml", "--base-url", &gate.url]);
    assert_eq!(checked.code, 77, "{}", checked.stdout);
    for key in ["pay_v3.base_url", "pay_v2.base_url", "mp.base_url"] {
        assert!(checked.stdout.contains(&format!("hint: `{key}` must be WeChat's own")), "{key}: {}", checked.stdout);
    }
    assert!(gate.visitors() <= 4, "{} attempts", gate.visitors());
    let path = "/v3/marketing/busifavor/stocks/1288880000000001";
    let asked = program(&shop, &authority, &["api", "GET", path, "--job", "job.toml", "--base-url", &gate.url]);
    assert_eq!(asked.code, 77, "{}", asked.stderr);
    assert!(asked.stderr.contains("after 1 attempt ("), "{}", asked.stderr);
}

#[test]
fn a_backup_that_is_trusted_takes_the_place_of_a_host_that_is_not() {
    let (shop, authority) = (Shop::of_seed(1), Authority::new());
    let wechat = shop.serve(None);
    let (gate, right) = (gate(&wechat, &Identity::self_signed("localhost")), wechat.running().base_url());
    shop.edit("job.toml", |text| {
        let lines = text.lines().map(|line| match line.strip_prefix("base_url = ") {
            Some(_) => format!("base_url = \"{}\"\nbackup_url = \"{right}\"\n", gate.url),
            None => format!("{line}\n"),
        });
        lines.filter(|line| !line.starts_with("backup_url = ")).collect()
    });
    let ending = program(&shop, &authority, &["run", "job.toml", "--date", "2026-11-18"]);
    assert_eq!((ending.code, ending.stderr.as_str()), (0, ""));
    assert!(gate.visitors() > 0 && gate.visitors() < FEW, "{} attempts", gate.visitors());
}
