//! Tests of keys and secrets: where they may be configured, their sizes, and that no message shows
//! them.

use super::*;

#[test]
fn a_secret_is_found_in_one_place_of_the_right_size() {
    let mut fixture = Fixture::new();
    let both = "api_v3_key_env = \"WXPAY_API_V3_KEY\"\napi_v3_key_file = \"secrets/pii.key\"";
    let problem = fixture.one_problem("api_v3_key_env = \"WXPAY_API_V3_KEY\"", both);
    assert!(problem.text.contains("both given"), "{problem}");
    let problem = fixture.one_problem("api_v3_key_env = \"WXPAY_API_V3_KEY\"", "");
    assert_eq!(problem.text, "the secret `pay_v3.api_v3_key` is missing");
    let problem = fixture.one_problem("\"WXPAY_API_V3_KEY\"", "\"NOT_SET\"");
    assert!(problem.text.contains("environment variable `NOT_SET` is not set"), "{problem}");
    for secret in ["0123456789abcdef0123456789abcdef", "KEYkeyKEYkeyKEYkeyKEYkeyKEYkeyKE", "a secret"] {
        let problem = fixture.one_problem("\"WXPAY_API_V3_KEY\"", &format!("\"{secret}\""));
        assert!(problem.text.contains("may be the secret itself"), "{problem}");
        assert!(!problem.to_string().contains(secret), "{problem}");
    }
    fixture.env.insert("WXPAY_API_V3_KEY", "short".into());
    let problem = fixture.one_problem("name = \"nightly\"", "name = \"n\"");
    let wanted = "the secret has 5 bytes, it must have 32 (`pay_v3.api_v3_key_env`: `WXPAY_API_V3_KEY`)";
    assert_eq!(problem.text, wanted);
}

#[test]
fn what_is_wrong_with_a_key_names_its_file_and_the_key_of_the_job_file() {
    let fixture = Fixture::new();
    let cases = [
        ("apiclient_key.pem", "no pem", "`pay_v3.private_key_file`: `", "apiclient_key.pem` holds no PEM block"),
        ("wxp_pub.pem", "no pem", "`pay_v3.public_key_file`: `", "wxp_pub.pem` holds no PEM block"),
        ("pii.key", "\u{feff}", "the key of `job.pii` is shorter", "(`job.pii_key_file`: `"),
    ];
    for (name, text, key, file) in cases {
        let path = fixture.folder.path().join("secrets").join(name);
        let right = fs::read_to_string(&path).unwrap();
        fs::write(&path, text).unwrap();
        let told = match fixture.load(NIGHTLY) {
            Ok(job) => job.warnings.join("\n"),
            Err(problems) => problems.to_string(),
        };
        assert!(told.contains(key) && told.contains(file) && !told.contains("no pem`"), "{told}");
        fs::write(&path, right).unwrap();
    }
}

#[test]
fn a_key_with_a_passphrase_and_one_behind_a_byte_order_mark_are_told_apart_from_a_wrong_file() {
    let mut fixture = Fixture::new();
    let path = fixture.folder.path().join("secrets/apiclient_key.pem");
    let openssl_1 = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIE\n-----END RSA PRIVATE KEY-----\n";
    for (pem, problem, hint) in [
        (PRIVATE_PEM.replace("PRIVATE", "ENCRYPTED PRIVATE"), "is protected by a passphrase", "`openssl pkey -in"),
        (openssl_1.to_owned(), "is protected by a passphrase", "`openssl pkey -in"),
        (format!("\u{feff}{PRIVATE_PEM}"), "holds no PEM block", "begins with a byte order mark"),
    ] {
        fs::write(&path, pem).unwrap();
        let told = fixture.problems(NIGHTLY);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].text.contains(problem) && told[0].hint.as_ref().unwrap().contains(hint), "{}", told[0]);
    }
    fs::write(&path, PRIVATE_PEM).unwrap();
    fixture.env.insert("WXPAY_API_V3_KEY", format!("\u{feff}{}", "k".repeat(32)));
    assert!(fixture.problems(NIGHTLY)[0].hint.as_ref().unwrap().contains("byte order mark"));
}

#[test]
fn a_certificate_in_place_of_the_key_is_told_apart() {
    let fixture = Fixture::new();
    let path = fixture.folder.path().join("secrets/apiclient_key.pem");
    fs::write(&path, "-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n").unwrap();
    let problem = fixture.one_problem("name = \"nightly\"", "name = \"n\"");
    assert!(problem.text.contains("`-----BEGIN CERTIFICATE-----`"), "{problem}");
    assert!(problem.hint.unwrap().contains("apiclient_key.pem"));
}

#[test]
fn a_key_file_that_others_can_read_is_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = Fixture::new();
    let path = fixture.folder.path().join("secrets/pii.key");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let warnings = fixture.load(NIGHTLY).unwrap().warnings;
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("pii.key` can be read by others (mode 644): chmod 600"), "{warnings:?}");
}

#[test]
fn certificate_and_key_of_mutual_tls_go_together() {
    let fixture = Fixture::new();
    let certificate = "-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n";
    fs::write(fixture.folder.path().join("secrets/apiclient_cert.pem"), certificate).unwrap();
    let with_certificate = NIGHTLY.replace("# client_certificate_file", "client_certificate_file");
    let both = with_certificate.replace("# client_key_file", "client_key_file");
    let pem = fixture.load(&both).unwrap().pay_v2.unwrap().identity_pem.unwrap();
    assert_eq!(pem.expose(), format!("{certificate}{PRIVATE_PEM}"));
    assert_eq!(fixture.load(&both).unwrap().fingerprint, fixture.load(NIGHTLY).unwrap().fingerprint);
    let problems = fixture.problems(&with_certificate);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].text.contains("`client_certificate_file` and `client_key_file` go together"), "{problems:#?}");
    let swapped = both.replace("apiclient_cert.pem\"", "apiclient_key.pem\"");
    assert!(fixture.problems(&swapped)[0].text.contains("not a `CERTIFICATE-----` block"));
}
