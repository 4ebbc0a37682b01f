//! Tests that one problem is one message: a key whose value is not understood, or whose name is misspelled, is not
//! told a second time as missing.

use super::*;

/// Sections that the example has as comments only, and sections of another kind of job.
const MORE: &str = "[openlineage]\nurl = \"https://marquez.example.com\"\napi_key_env = \"WXPAY_V2_KEY\"\n\
    [metrics]\ntextfile = \"a.prom\"\n[webhook]\nurl_env = \"HOOK\"\n";
const MUTUAL_TLS: &str =
    "client_certificate_file = \"secrets/apiclient_cert.pem\"\nclient_key_file = \"secrets/apiclient_key.pem\"\n";
const CLUSTER: &str = "[job]\nname = \"n\"\nlake = \"lake\"\npii = \"raw\"\n[engine]\nkind = \"spark\"\n\
    remote = \"sc://spark.example.com:15002/;use_ssl=true\"\ntoken_env = \"HOOK\"\nshared_mount = true\n\
    query_timeout_seconds = 5\n";
const BUCKET: &str = "[job]\nname = \"n\"\nlake = \"s3://bucket/prefix\"\nwork_dir = \"work\"\npii = \"raw\"\n[store]\n\
    endpoint = \"https://s3.example.internal\"\nregion = \"r\"\naccess_key_id_env = \"HOOK\"\n\
    secret_access_key_env = \"HOOK\"\nsession_token_env = \"HOOK\"\n";
const ROLE: &str = "[job]\nname = \"n\"\nlake = \"s3://bucket/prefix\"\nwork_dir = \"work\"\npii = \"raw\"\n[store]\n\
    credentials = \"role\"\n";
const FILES: &str = "[job]\nname = \"n\"\nlake = \"lake\"\npii = \"raw\"\n[bills]\nsource = \"files\"\npath = \"b.csv\"\n\
    [[subsidy_programs]]\nstock_id = \"1\"\npayer_merchant = \"1\"\npayee_merchant = \"2\"\namount_fen = 100\n\
    [[subsidy_programs]]\nstock_id = \"2\"\npayer_merchant = \"1\"\npayee_merchant = \"2\"\npercent_of_discount = 100\n";

fn fixture() -> Fixture {
    let mut fixture = Fixture::new();
    let certificate = "-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n";
    fs::write(fixture.folder.path().join("secrets/apiclient_cert.pem"), certificate).unwrap();
    fixture.env.insert("HOOK", "https://hook.example.com/".to_owned());
    fixture
}

/// Job files that are right and hold every key between them.
fn jobs() -> Vec<String> {
    let nightly = NIGHTLY.split("[openlineage]").next().unwrap();
    let nightly = nightly.replace("# client_certificate_file", &format!("{MUTUAL_TLS}# "));
    let whole = nightly + MORE;
    vec![whole, CLUSTER.to_owned(), BUCKET.to_owned(), ROLE.to_owned(), FILES.to_owned()]
}

/// The lines that give a key its value, each with the file in which only that line is replaced.
fn replaced(text: &str, with: impl Fn(&str) -> String) -> Vec<(String, String)> {
    let lines: Vec<_> = text.lines().collect();
    let keys = lines.iter().enumerate().filter(|(_, line)| !line.starts_with(['#', '[']) && line.contains(" = "));
    keys.map(|(at, line)| {
        let key = line.split(" = ").next().unwrap();
        let mut lines = lines.clone();
        let changed = with(key);
        lines[at] = &changed;
        (key.to_owned(), lines.join("\n"))
    })
    .collect()
}

/// The problems of the text: exactly one, with line and column.
fn assert_told_once(fixture: &Fixture, key: &str, text: &str) {
    let problems = fixture.problems(text);
    assert_eq!(problems.len(), 1, "{key}: {problems:#?}");
    assert!(problems[0].line.is_some() && problems[0].column.is_some(), "{key}: {problems:#?}");
}

#[test]
fn a_value_of_the_wrong_type_is_one_problem_whichever_key_has_it() {
    let fixture = fixture();
    let mut tried = std::collections::BTreeSet::new();
    for job in jobs() {
        fixture.load(&job).unwrap_or_else(|problems| panic!("{problems}\n{job}"));
        // No key is a date.
        for (key, text) in replaced(&job, |key| format!("{key} = 2026-11-18")) {
            assert_told_once(&fixture, &key, &text);
            assert!(fixture.problems(&text)[0].text.contains(", not datetime"), "{key}");
            tried.insert(key);
        }
    }
    assert!(tried.len() > 80, "{}", tried.len());
}

#[test]
fn a_section_that_is_no_section_is_one_problem() {
    let fixture = fixture();
    let body = "job = { name = \"n\", lake = \"lake\", pii = \"raw\" }\n";
    for section in ["store", "pay_v3", "orders", "sources", "subsidy_programs", "rules", "engine", "report"] {
        assert_told_once(&fixture, section, &format!("{section} = 5\n{body}"));
    }
    let wallets = "[stocks]\nids = []\n[wallets]\nappid = \"a\"\nbelong_merchant = \"1\"\n[bills]\n";
    assert_told_once(&fixture, "pay_v3", &format!("pay_v3 = 5\n{body}{wallets}"));
    let in_a_bucket = "job = { name = \"n\", lake = \"s3://bucket\", work_dir = \"w\", pii = \"raw\" }\n";
    assert_told_once(&fixture, "store", &format!("store = 5\n{in_a_bucket}"));
}

#[test]
fn a_word_that_is_no_choice_is_one_problem() {
    let fixture = fixture();
    let cases = [
        (NIGHTLY.replace("pii = \"hmac\"", "pii = \"rwa\"").replace("pii_key_file", "# "), "job.pii"),
        (FILES.replace("\"files\"", "\"fils\""), "bills.source"),
        (ROLE.replace("\"role\"", "\"rol\""), "store.credentials"),
    ];
    for (text, key) in cases {
        assert_told_once(&fixture, key, &text);
        assert!(fixture.problems(&text)[0].text.contains(&format!("`{key}` is ")), "{key}");
    }
}

#[test]
fn a_misspelled_key_is_not_missing_too() {
    let fixture = fixture();
    let cases = [
        ("serial_no = ", "serial_noo = "),
        ("api_v3_key_env = ", "api_v3_key_evn = "),
        ("amount_fen = ", "amount_fem = "),
        ("public_key_id = ", "public_key_di = "),
        ("creator_merchant = ", "creator_mechant = "),
        ("pii_key_file = ", "pii_key_fiel = "),
        ("out_trade_no = ", "out_trade_on = "),
    ];
    for (right, misspelled) in cases {
        let problem = fixture.one_problem(right, misspelled);
        assert!(problem.text.starts_with("unknown key") && problem.hint.unwrap().contains("did you mean"));
    }
    assert_told_once(&fixture, "pay_v4", &NIGHTLY.replace("[pay_v3]", "[pay_v4]"));
}

#[test]
fn each_of_two_sections_of_a_name_has_its_own_problems() {
    let both = FILES.replace("amount_fen = 100", "amount_fen = 1.5").replace("percent_of_discount = 100\n", "");
    let problems = fixture().problems(&both);
    let told: Vec<_> = problems.iter().map(|problem| (problem.line.unwrap(), problem.text.as_str())).collect();
    let wrong = "`subsidy_programs.amount_fen` must be a whole number of fen, not float";
    let missing = "a subsidy programme has either `amount_fen` or `percent_of_discount`";
    assert_eq!(told, [(12, wrong), (13, missing)]);
}
