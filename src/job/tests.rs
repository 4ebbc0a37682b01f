//! The loader against whole job files: the shipped example, the published schema, and every kind of mistake.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::file::JobFile;
use super::value::{Key, Kind, Need, Section};
use super::*;
use crate::money::Fen;

const NIGHTLY: &str = include_str!("../../jobs/nightly.toml");
const PRIVATE_PEM: &str = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n";
const PUBLIC_PEM: &str = "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n";

/// A folder with the files the example names, and an environment with its variables.
struct Desk {
    folder: tempfile::TempDir,
    env: BTreeMap<&'static str, String>,
}

impl Desk {
    fn new() -> Desk {
        let folder = tempfile::tempdir().unwrap();
        let secrets = folder.path().join("secrets");
        fs::create_dir(&secrets).unwrap();
        for (name, text) in [
            ("pii.key", "0123456789abcdef0123456789abcdef\n"),
            ("apiclient_key.pem", PRIVATE_PEM),
            ("wxp_pub.pem", PUBLIC_PEM),
        ] {
            fs::write(secrets.join(name), text).unwrap();
            close_to_others(&secrets.join(name));
        }
        let env = BTreeMap::from([
            ("WXPAY_API_V3_KEY", "k".repeat(32)),
            ("WXPAY_V2_KEY", "v".repeat(32)),
            ("WX_MP_SECRET", "s".repeat(32)),
        ]);
        Desk { folder, env }
    }

    fn load(&self, text: &str) -> Result<Job, JobProblems> {
        let path = self.folder.path().join("job.toml");
        fs::write(&path, text).unwrap();
        load(&path, &|name| self.env.get(name).cloned())
    }

    /// The problems of a text, without the path of this machine.
    fn problems(&self, text: &str) -> Vec<Problem> {
        self.load(text).expect_err("the job is wrong").problems
    }

    /// The one problem of the example with `from` replaced by `to`.
    fn one_problem(&self, from: &str, to: &str) -> Problem {
        assert!(NIGHTLY.contains(from), "`{from}` is not in the example");
        let problems = self.problems(&NIGHTLY.replacen(from, to, 1));
        assert_eq!(problems.len(), 1, "{problems:#?}");
        problems.into_iter().next().unwrap()
    }
}

#[cfg(unix)]
fn close_to_others(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

const MINIMAL: &str = "[job]\nname = \"n\"\nlake = \"lake\"\npii = \"raw\"\n";

#[test]
fn the_shipped_example_loads() {
    let desk = Desk::new();
    let job = desk.load(NIGHTLY).unwrap_or_else(|problems| panic!("{problems}"));
    let folder = fs::canonicalize(desk.folder.path()).unwrap();
    assert_eq!(job.lake, folder.parent().unwrap().join("out/lake"));
    assert_eq!(job.path, folder.join("job.toml"));
    let v3 = job.pay_v3.unwrap();
    assert_eq!((v3.limits.rate_per_second, v3.limits.concurrency), (100, 32));
    assert_eq!((v3.limits.timeout, v3.limits.retry_deadline), (Duration::from_secs(30), Duration::from_secs(120)));
    assert_eq!(v3.api_v3_key.expose(), "k".repeat(32));
    assert!(v3.public_key.unwrap().pem.contains("MIIB"));
    assert_eq!(job.orders.len(), 1);
    let date = chrono::NaiveDate::from_ymd_opt(2026, 11, 18).unwrap();
    let exports = folder.parent().unwrap().join("exports");
    assert_eq!(job.orders[0].path.of(date), exports.join("orders/2026-11-18*.csv"));
    assert_eq!(job.orders[0].path.name_of(date), "../exports/orders/2026-11-18*.csv");
    assert_eq!(job.subsidy_programs[0].amount, SubsidyAmount::Fixed(Fen(100)));
    assert_eq!(job.rules.discount_tolerance_fen, Fen(1));
    assert!(job.warnings.is_empty(), "{:?}", job.warnings);
    assert!(matches!(job.pii, Pii::Hmac(key) if key.expose().len() == 32));
}

#[test]
fn silent_keys_have_the_defaults_of_the_design() {
    let desk = Desk::new();
    let text = format!(
        "{MINIMAL}[pay_v3]\nmchid = \"1\"\nserial_no = \"AB\"\nprivate_key_file = \"secrets/apiclient_key.pem\"\n\
         api_v3_key_env = \"WXPAY_API_V3_KEY\"\n[mp]\nappid = \"a\"\nsecret_env = \"WX_MP_SECRET\"\n\
         [pay_v2]\nmch_id = \"1\"\nappid = \"a\"\napi_key_env = \"WXPAY_V2_KEY\"\nstock_ids = []\n\
         [wallets]\nappid = \"a\"\nbelong_merchant = \"1\"\n[bills]\n"
    );
    let job = desk.load(&text).unwrap_or_else(|problems| panic!("{problems}"));
    let (v3, v2, mp) = (job.pay_v3.unwrap().limits, job.pay_v2.unwrap().limits, job.mp.unwrap());
    assert_eq!(v3.base_url.as_str(), "https://api.mch.weixin.qq.com/");
    assert_eq!(v3.backup_url.unwrap().as_str(), "https://api2.mch.weixin.qq.com/");
    assert_eq!((v3.rate_per_second, v3.concurrency), (100, 32));
    assert_eq!((v2.rate_per_second, v2.concurrency), (20, 8));
    assert_eq!((mp.limits.rate_per_second, mp.limits.concurrency, mp.repull_days), (20, 8, 3));
    let wallets = job.wallets.unwrap();
    assert_eq!((wallets.refresh, wallets.audit_days, wallets.max_unsettled), (Refresh::Active, 30, 0));
    assert!(matches!(job.bills, Some(BillSource::Api { gzip: true })));
    assert_eq!((job.rules.lookback_days, job.rules.stuck_hours, job.rules.max_coupons_per_order), (30, 24, 1));
    assert_eq!(
        (job.report.excel_ids, job.report.language, job.report.trailer),
        (ExcelIds::Backtick, Language::Zh, true)
    );
    let ready: Vec<_> = job.sources.iter().filter(|(_, calendar)| calendar.ready_at.is_some()).collect();
    assert_eq!(ready.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["bills", "datacube"]);
    assert_eq!(job.sources.len(), SOURCE_NAMES.len());
}

#[test]
fn more_than_a_year_of_datacube_figures_is_a_slip_of_the_pen() {
    let desk = Desk::new();
    let year = NIGHTLY.replacen("repull_days = 3 ", "repull_days = 366 ", 1);
    assert_eq!(desk.load(&year).unwrap().mp.unwrap().repull_days, 366);
    let problem = desk.one_problem("repull_days = 3 ", "repull_days = 367 ");
    assert_eq!(problem.text, "`mp.repull_days` is 367: it must be at most 366");
}

#[test]
fn an_api_section_overrides_the_patience_of_the_job() {
    let desk = Desk::new();
    let text = format!(
        "{}timeout_seconds = 5\nretry_deadline_seconds = 9\n[mp]\nbase_url = \"http://127.0.0.1:1\"\nappid = \"a\"\n\
         secret_env = \"WX_MP_SECRET\"\ntimeout_seconds = 2\n",
        MINIMAL
    );
    let limits = desk.load(&text).unwrap().mp.unwrap().limits;
    assert_eq!((limits.timeout, limits.retry_deadline), (Duration::from_secs(2), Duration::from_secs(9)));
    assert_eq!(limits.backup_url, None);
}

#[test]
fn every_problem_is_reported_at_once_with_its_line() {
    let desk = Desk::new();
    let text = r#"[job]
name = "n"
lake = "gs://bucket/prefix"
pii = "raw"
first_date = "18.11.2026"
timeout_seconds = 0
[pay_v3]
base_url = "http://api.mch.weixin.qq.com"
mchidd = "1900000001"
serial_no = "AB"
private_key_file = "secrets/absent.pem"
api_v3_key = "do-not-print-me-do-not-print-me-"
rate_per_second = "many"
[[orders]]
path = "o/{day}.csv"
encoding = "klingon"
[orders.columns]
out_trade_no = "单号"
[sources.bill]
ready_at = "10:00"
[sources.bills]
ready_at = "25:00"
[rules]
use_request_pattern = "^a(b)(c)$"
[engine]
kind = "spark"
"#;
    let problems = desk.load(text).unwrap_err();
    let shown = problems.to_string();
    assert!(!shown.contains("do-not-print-me"), "{shown}");
    let lines: Vec<_> =
        problems.problems.iter().map(|problem| (problem.line.unwrap(), problem.text.as_str())).collect();
    let expected = [
        (3, "`job.lake` is on `gs://`: a folder or `s3://bucket/prefix` is known"),
        (5, "`job.first_date` is `18.11.2026`: it must be a day such as `2026-11-18`"),
        (6, "`job.timeout_seconds` is 0: it must be at least 1"),
        (7, "`pay_v3.mchid` is missing"),
        (8, "`pay_v3.base_url` must be https: only a loopback host may be asked in clear text"),
        (9, "unknown key `pay_v3.mchidd`"),
        (11, "`pay_v3.private_key_file`: `"),
        (12, "the secret `pay_v3.api_v3_key` stands in the job file"),
        (13, "`pay_v3.rate_per_second` must be a whole number, not string"),
        (15, "`orders.path` holds `{day}`: only `{date}` and `{yyyymmdd}` are known"),
        (16, "`orders.encoding` is `klingon`: no known encoding"),
        (17, "`orders.columns.paid_at` is missing"),
        (17, "`orders.columns.goods` is missing"),
        (17, "`orders.columns.discount` is missing"),
        (17, "`orders.columns.paid` is missing"),
        (17, "`orders.columns.stock_id` is missing"),
        (17, "`orders.columns.coupon_code` is missing"),
        (19, "unknown source `sources.bill`"),
        (22, "`sources.bills.ready_at` is `25:00`: it must be a time such as `10:00`"),
        (24, "`rules.use_request_pattern` has 2 groups: it must have exactly one"),
        (26, "`engine.kind` is `spark`: "),
    ];
    assert_eq!(lines.len(), expected.len(), "{shown}");
    for ((line, text), (expected_line, beginning)) in lines.iter().zip(expected) {
        assert!(*line == expected_line && text.starts_with(beginning), "line {line}: {text}\nwanted {beginning}");
    }
    assert!(shown.starts_with("error: 21 problems in "), "{shown}");
    assert!(shown.contains("hint: did you mean `mchid`?"), "{shown}");
    assert!(shown.contains("hint: did you mean `bills`?"), "{shown}");
}

#[test]
fn a_syntax_error_stands_alone_and_repeats_nothing_of_the_line() {
    let desk = Desk::new();
    let problems = desk.problems("[job]\napi_v3_key = \"hunter2\n");
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].line, Some(2));
    assert!(
        problems[0].text.starts_with("not TOML: ") && !problems[0].text.contains("hunter2"),
        "{}",
        problems[0].text
    );
}

#[test]
fn a_missing_job_file_says_so() {
    let problems = load(Path::new("/nonexistent/job.toml"), &|_| None).unwrap_err();
    assert!(
        problems.to_string().starts_with("error: 1 problem in /nonexistent/job.toml\n  the job file cannot be read")
    );
}

#[test]
fn a_secret_is_found_in_one_place_of_the_right_size() {
    let mut desk = Desk::new();
    let both = "api_v3_key_env = \"WXPAY_API_V3_KEY\"\napi_v3_key_file = \"secrets/pii.key\"";
    let problem = desk.one_problem("api_v3_key_env = \"WXPAY_API_V3_KEY\"", both);
    assert!(problem.text.contains("both given"), "{problem}");
    let problem = desk.one_problem("api_v3_key_env = \"WXPAY_API_V3_KEY\"", "");
    assert_eq!(problem.text, "the secret `pay_v3.api_v3_key` is missing");
    let problem = desk.one_problem("\"WXPAY_API_V3_KEY\"", "\"NOT_SET\"");
    assert!(problem.text.contains("environment variable `NOT_SET` is not set"), "{problem}");
    for secret in ["0123456789abcdef0123456789abcdef", "KEYkeyKEYkeyKEYkeyKEYkeyKEYkeyKE", "a secret"] {
        let problem = desk.one_problem("\"WXPAY_API_V3_KEY\"", &format!("\"{secret}\""));
        assert!(problem.text.contains("may be the secret itself"), "{problem}");
        assert!(!problem.to_string().contains(secret), "{problem}");
    }
    desk.env.insert("WXPAY_API_V3_KEY", "short".into());
    let problem = desk.one_problem("name = \"nightly\"", "name = \"n\"");
    let wanted = "the secret has 5 bytes, it must have 32 (`pay_v3.api_v3_key_env`: `WXPAY_API_V3_KEY`)";
    assert_eq!(problem.text, wanted);
}

#[test]
fn what_is_wrong_with_a_key_names_its_file_and_the_key_of_the_job_file() {
    let desk = Desk::new();
    let cases = [
        ("apiclient_key.pem", "no pem", "`pay_v3.private_key_file`: `", "apiclient_key.pem` holds no PEM block"),
        ("wxp_pub.pem", "no pem", "`pay_v3.public_key_file`: `", "wxp_pub.pem` holds no PEM block"),
        ("pii.key", "\u{feff}", "the key of `job.pii` is shorter", "(`job.pii_key_file`: `"),
    ];
    for (name, text, key, file) in cases {
        let path = desk.folder.path().join("secrets").join(name);
        let right = fs::read_to_string(&path).unwrap();
        fs::write(&path, text).unwrap();
        let told = match desk.load(NIGHTLY) {
            Ok(job) => job.warnings.join("\n"),
            Err(problems) => problems.to_string(),
        };
        assert!(told.contains(key) && told.contains(file) && !told.contains("no pem`"), "{told}");
        fs::write(&path, right).unwrap();
    }
}

#[test]
fn a_key_with_a_passphrase_and_one_behind_a_byte_order_mark_are_told_apart_from_a_wrong_file() {
    let mut desk = Desk::new();
    let path = desk.folder.path().join("secrets/apiclient_key.pem");
    let openssl_1 = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIE\n-----END RSA PRIVATE KEY-----\n";
    for (pem, problem, hint) in [
        (PRIVATE_PEM.replace("PRIVATE", "ENCRYPTED PRIVATE"), "is protected by a passphrase", "`openssl pkey -in"),
        (openssl_1.to_owned(), "is protected by a passphrase", "`openssl pkey -in"),
        (format!("\u{feff}{PRIVATE_PEM}"), "holds no PEM block", "begins with a byte order mark"),
    ] {
        fs::write(&path, pem).unwrap();
        let told = desk.problems(NIGHTLY);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].text.contains(problem) && told[0].hint.as_ref().unwrap().contains(hint), "{}", told[0]);
    }
    fs::write(&path, PRIVATE_PEM).unwrap();
    desk.env.insert("WXPAY_API_V3_KEY", format!("\u{feff}{}", "k".repeat(32)));
    assert!(desk.problems(NIGHTLY)[0].hint.as_ref().unwrap().contains("byte order mark"));
}

#[test]
fn a_path_that_only_a_shell_would_understand_is_refused_wherever_it_stands() {
    let desk = Desk::new();
    for (key, written) in [
        ("job.lake", "../out/lake"),
        ("job.pii_key_file", "secrets/pii.key"),
        ("pay_v3.private_key_file", "secrets/apiclient_key.pem"),
        ("pay_v3.public_key_file", "secrets/wxp_pub.pem"),
        ("orders.path", "../exports/orders/{date}*.csv"),
        ("subsidy_ledger.path", "../exports/subsidy-orders/{date}.csv"),
        ("notifications.spool", "../exports/notifications/"),
        ("decisions.path", "decisions.csv"),
    ] {
        for start in ["~/", "$HOME/"] {
            let problem = desk.one_problem(&format!("= \"{written}\""), &format!("= \"{start}x/{{date}}\""));
            assert_eq!(
                problem.text,
                format!("`{key}` is `{start}x/{{date}}`: only a shell knows what that stands for")
            );
        }
    }
}

#[test]
fn folders_and_files_of_the_merchant_are_remembered_with_their_lines() {
    let desk = Desk::new();
    let text = NIGHTLY.replace("../exports/", "exports/").replace("roster_file = \"\"", "roster_file = \"roster.csv\"");
    let job = desk.load(&text).unwrap();
    let told = |job: &Job| job.named.iter().filter_map(Named::problem).collect::<Vec<_>>().join("\n");
    let missing = told(&job);
    for key in ["orders.path", "subsidy_ledger.path", "notifications.spool", "wallets.roster_file"] {
        let line = job.named.iter().find(|named| named.key == key).unwrap().line.unwrap();
        let name = key.rsplit('.').next().unwrap();
        assert!(text.lines().nth(line - 1).unwrap().starts_with(name), "{key}: line {line}");
    }
    assert!(missing.contains("there is no folder `") && missing.contains("orders`"), "{missing}");
    assert!(missing.contains("there is no file `") && missing.contains("roster.csv`"), "{missing}");
    for named in &job.named {
        match named.is_folder {
            true => fs::create_dir_all(&named.path).unwrap(),
            false => fs::write(&named.path, "").unwrap(),
        }
    }
    assert_eq!(told(&job), "");
}

#[test]
fn a_certificate_in_place_of_the_key_is_told_apart() {
    let desk = Desk::new();
    let path = desk.folder.path().join("secrets/apiclient_key.pem");
    fs::write(&path, "-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n").unwrap();
    let problem = desk.one_problem("name = \"nightly\"", "name = \"n\"");
    assert!(problem.text.contains("`-----BEGIN CERTIFICATE-----`"), "{problem}");
    assert!(problem.hint.unwrap().contains("apiclient_key.pem"));
}

#[test]
#[cfg(unix)]
fn a_key_file_that_others_can_read_is_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    let path = desk.folder.path().join("secrets/pii.key");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let warnings = desk.load(NIGHTLY).unwrap().warnings;
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("pii.key` can be read by others (mode 644): chmod 600"), "{warnings:?}");
}

#[test]
fn contradictions_between_keys_are_found() {
    let desk = Desk::new();
    let cases = [
        ("amount_fen = 100 ", "amount_fen = 100\npercent_of_discount = 5 ", "either `amount_fen` or"),
        ("source = \"api\"", "source = \"api\"\npath = \"b.csv\"", "of no use"),
        ("source = \"api\"", "source = \"files\"", "`bills.path` is missing"),
        ("source = \"api\"", "source = \"file\"", "must be `api` or `files`"),
        ("ids = [\"1288880000000001\"]", "ids = [\"1\", \"2\", \"1\"]", "has `1` twice"),
        ("creator_merchant = \"1900000001\"", "", "names no merchant"),
        ("channel = \"支付方式\"\n", "", "needs `columns.channel`"),
        ("public_key_file = \"secrets/wxp_pub.pem\"", "", "go together"),
        ("kind = \"polars\"", "kind = \"polars\"\nshared_mount = true", "of no use without `engine.remote`"),
        ("kind = \"polars\"", "remote = \"http://h:1\"", "must begin with `sc://`"),
        ("kind = \"polars\"", "remote = \"sc://h/;token=t\"", "must not travel in clear text"),
        ("due_days = 3", "due_days = -1", "at least 0"),
        ("due_days = 3", "due_days = 100000000", "it must be at most 3660"),
        ("lookback_days = 30", "lookback_days = 4000000000", "it must be at most 3660"),
        ("delimiter = \",\"", "delimiter = \";;\"", "one ASCII character"),
        ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d", "does not tell day and time"),
        ("folders = []", "folders = [\"no-such-folder\"]", "is no folder"),
        ("merchant_pairs = []", "merchant_pairs = [[\"1\"]]", "pairs of texts"),
        ("coupons_file = \"\"", "coupons_file = \"absent.csv\"", "there is no file"),
        ("orders/{date}*.csv", "*/{date}.csv", "`*` in a folder"),
        ("subsidy-orders/{date}.csv", "subsidy-orders/*.csv", "must name one file"),
        ("../exports/orders/{date}*.csv", "~/orders/{date}*.csv", "only a shell knows"),
        ("path = \"decisions.csv\"", "path = \"$HOME/decisions.csv\"", "only a shell knows"),
    ];
    for (from, to, wanted) in cases {
        let problem = desk.one_problem(from, to);
        assert!(problem.text.contains(wanted), "{to}: {problem}");
        assert!(problem.line.is_some(), "{to}: {problem}");
    }
}

/// `NIGHTLY` with this `[engine]`.
fn with_engine(lines: &str) -> String {
    NIGHTLY.replace("kind = \"polars\"", lines)
}

#[test]
fn the_token_of_a_cluster_comes_from_a_file_the_environment_or_the_address_and_is_never_told() {
    let mut desk = Desk::new();
    fs::write(desk.folder.path().join("secrets/spark.token"), "hunter2\n").unwrap();
    let here = "remote = \"sc://127.0.0.1:15002\"";
    let token_of = |desk: &Desk, lines: &str| {
        let engine = desk.load(&with_engine(lines)).unwrap().engine;
        assert!(!format!("{engine:?}").contains("hunter"));
        engine.spark.unwrap().remote.url().expose().rsplit_once("token=").map(|(_, token)| token.to_owned())
    };
    assert_eq!(token_of(&desk, here), None);
    assert_eq!(token_of(&desk, &format!("{here}\ntoken_file = \"secrets/spark.token\"")).unwrap(), "hunter2");
    desk.env.insert("SPARK_CONNECT_AUTHENTICATE_TOKEN", "hunter3".into());
    assert_eq!(token_of(&desk, here).unwrap(), "hunter3");
    let inline = with_engine("remote = \"sc://127.0.0.1:15002/;token=hunter4\"");
    let warnings = desk.load(&inline).unwrap().warnings.join("\n");
    assert!(warnings.contains("`engine.remote` holds a token") && !warnings.contains("hunter"), "{warnings}");
    let twice = inline.replacen("remote =", "token_env = \"SPARK_CONNECT_AUTHENTICATE_TOKEN\"\nremote =", 1);
    assert!(desk.problems(&twice)[0].text.contains("keep one"));
}

#[test]
fn a_cluster_elsewhere_wants_a_lake_it_can_reach() {
    let desk = Desk::new();
    let elsewhere = "kind = \"spark\"\nremote = \"sc://spark.example:15002\"";
    let refused = |lines: &str| {
        let problems = desk.problems(&with_engine(lines));
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems[0].text.clone()
    };
    let mounted = format!("{elsewhere}\nshared_mount = true");
    assert!(refused(elsewhere).contains("a folder of this machine, which a cluster elsewhere does not see"));
    assert!(refused("kind = \"spark\"").contains("`engine.remote` is missing"));
    for reachable in [mounted.as_str(), "kind = \"spark\"\nremote = \"sc://localhost\""] {
        assert!(desk.load(&with_engine(reachable)).is_ok(), "{reachable}");
    }
    assert!(desk.load(&with_engine("kind = \"polars\"\nremote = \"sc://spark.example\"")).is_ok());
}

#[test]
fn a_build_without_the_engine_reads_the_job_and_refuses_the_cluster_alone() {
    let desk = Desk::new();
    let on_cluster = "kind = \"spark\"\nremote = \"sc://spark.example:15002\"\nshared_mount = true";
    let mut engine = desk.load(&with_engine(on_cluster)).unwrap().engine;
    let refusal = engine.refusal(false);
    assert_eq!(refusal.is_some(), !cfg!(feature = "spark"));
    if let Some((problem, hint)) = refusal {
        assert_eq!(problem, "this build has no Spark engine");
        assert!(hint.contains("--engine polars") && hint.contains("--emit-script"), "{hint}");
    }
    engine.kind = EngineKind::Polars;
    assert_eq!(engine.refusal(false), None);
}

#[test]
fn sections_that_ask_apiv3_need_it() {
    let desk = Desk::new();
    let text = format!(
        "{MINIMAL}[stocks]\nids = []\n[wallets]\nappid = \"a\"\nsender_merchant = \"1\"\n[bills]\n[notifications]\nspool = \"s\"\n"
    );
    let problems = desk.problems(&text);
    assert_eq!(problems.iter().map(|problem| problem.line.unwrap()).collect::<Vec<_>>(), [5, 7, 10, 11]);
    assert!(desk.load(&format!("{MINIMAL}[bills]\nsource = \"files\"\npath = \"b.csv\"\n")).is_ok());
}

#[test]
fn certificate_and_key_of_mutual_tls_go_together() {
    let desk = Desk::new();
    let certificate = "-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n";
    fs::write(desk.folder.path().join("secrets/apiclient_cert.pem"), certificate).unwrap();
    let with_certificate = NIGHTLY.replace("# client_certificate_file", "client_certificate_file");
    let both = with_certificate.replace("# client_key_file", "client_key_file");
    let pem = desk.load(&both).unwrap().pay_v2.unwrap().identity_pem.unwrap();
    assert_eq!(pem.expose(), format!("{certificate}{PRIVATE_PEM}"));
    assert_eq!(desk.load(&both).unwrap().fingerprint, desk.load(NIGHTLY).unwrap().fingerprint);
    let problems = desk.problems(&with_certificate);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].text.contains("`client_certificate_file` and `client_key_file` go together"), "{problems:#?}");
    let swapped = both.replace("apiclient_cert.pem\"", "apiclient_key.pem\"");
    assert!(desk.problems(&swapped)[0].text.contains("not a `CERTIFICATE-----` block"));
}

#[test]
fn the_fingerprint_follows_results_and_nothing_else() {
    let desk = Desk::new();
    let of = |text: &str| desk.load(text).unwrap_or_else(|problems| panic!("{problems}")).fingerprint;
    let usual = of(NIGHTLY);
    for quiet in ["rate_per_second = 100", "concurrency = 32", "timeout_seconds = 30", "ready_at = \"10:00\""] {
        assert_eq!(of(&NIGHTLY.replacen(quiet, "", 1)), usual, "{quiet}");
    }
    assert_eq!(of(&NIGHTLY.replace("https://api.mch.weixin.qq.com", "http://127.0.0.1:9")), usual);
    assert_eq!(of(&NIGHTLY.replace("../out/lake", "elsewhere")), usual);
    for (from, to) in
        [("amount_fen = 100", "amount_fen = 101"), ("../exports/orders", "orders"), ("days = 30", "days = 29")]
    {
        assert_ne!(of(&NIGHTLY.replace(from, to)), usual, "{from}");
    }
    for hidden in ["WXPAY", "secrets", "https", "out/lake", "5F1C72E2"] {
        assert!(!usual.contains(hidden), "{hidden} in {usual}");
    }
    let text = format!("{MINIMAL}[rules]\nstuck_hours = 2\nlookback_days = 3\n");
    let expected = r#"{"job":{"name":"n","pii":"raw"},"rules":{"lookback_days":3,"stuck_hours":2}}"#;
    assert_eq!(of(&text), expected);
}

#[test]
fn the_schema_and_the_loader_know_the_same_keys() {
    let schema: Value = serde_json::from_str(include_str!("../../schemas/job.schema.json")).unwrap();
    compare("job file", JobFile::KEYS, &schema);
    let names: Vec<_> = schema["properties"]["sources"]["propertyNames"]["enum"].as_array().unwrap().iter().collect();
    assert_eq!(names, SOURCE_NAMES);
}

fn compare(section: &str, keys: &[Key], schema: &Value) {
    assert_eq!(schema["additionalProperties"], Value::Bool(false), "{section}");
    let properties = schema["properties"].as_object().unwrap();
    let known: Vec<_> = keys.iter().map(|key| key.name).collect();
    let mut published: Vec<_> = properties.keys().map(String::as_str).collect();
    for key in keys {
        assert!(properties.contains_key(key.name), "{section}: `{}` is not in the schema", key.name);
    }
    published.retain(|name| !known.contains(name));
    assert!(published.is_empty(), "{section}: {published:?} are only in the schema");
    let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
    for key in keys {
        let path = format!("{section}.{}", key.name);
        let property = &properties[key.name];
        assert!(property["description"].as_str().is_some_and(|text| !text.is_empty()), "{path} has no description");
        assert_eq!(required.contains(&Value::from(key.name)), key.need == Need::Required, "{path}");
        compare_kind(&path, key.kind, property);
    }
}

fn compare_kind(path: &str, kind: Kind, property: &Value) {
    let (type_name, items) = (property["type"].as_str().unwrap(), property["items"]["type"].as_str());
    match kind {
        Kind::Text => assert_eq!(type_name, "string", "{path}"),
        Kind::Integer => assert_eq!(type_name, "integer", "{path}"),
        Kind::Boolean => assert_eq!(type_name, "boolean", "{path}"),
        Kind::Texts => assert_eq!((type_name, items), ("array", Some("string")), "{path}"),
        Kind::Pairs => assert_eq!((type_name, items), ("array", Some("array")), "{path}"),
        Kind::Table(keys) => compare(path, keys, property),
        Kind::Tables(keys) => compare(path, keys, &property["items"]),
        Kind::Named(keys) => compare(path, keys, &property["additionalProperties"]),
    }
}

const BUCKET: &str = "[job]\nname = \"n\"\nlake = \"s3://coupons/prod/\"\nwork_dir = \"work\"\npii = \"raw\"\n";

fn bucket_of(text: &str, env: &[(&str, &str)]) -> Result<Job, JobProblems> {
    let desk = Desk::new();
    fs::write(desk.folder.path().join("job.toml"), text).unwrap();
    let env = |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    load(&desk.folder.path().join("job.toml"), &env)
}

#[test]
fn a_lake_in_a_bucket_has_a_work_folder_and_takes_the_usual_keys() {
    let env = [("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "hush"), ("AWS_REGION", "cn-north-1")];
    let job = bucket_of(BUCKET, &env).unwrap_or_else(|problems| panic!("{problems}"));
    let bucket = job.bucket.unwrap();
    assert_eq!((bucket.url().as_str(), bucket.region.as_str()), ("s3://coupons/prod", "cn-north-1"));
    assert!(!bucket.path_style && bucket.endpoint.is_none());
    assert!(job.lake.ends_with("work"), "{:?}", job.lake);
    assert!(!format!("{bucket:?}", bucket = bucket.credentials).contains("hush"));
    let cached = BUCKET.replace("work_dir = \"work\"\n", "");
    let env = [&env[..], &[("HOME", "/people/x")]].concat();
    assert!(bucket_of(&cached, &env).unwrap().lake.starts_with("/people/x/.cache/coupon-recon"));
}

#[test]
fn an_endpoint_of_ones_own_speaks_path_style_and_has_keys_of_its_own() {
    let text = format!(
        "{BUCKET}[store]\nendpoint = \"http://127.0.0.1:7480\"\naccess_key_id_env = \"ID\"\nsecret_access_key_env = \"KEY\"\n"
    );
    let bucket = bucket_of(&text, &[("ID", "id"), ("KEY", "hush")]).unwrap().bucket.unwrap();
    assert!(bucket.path_style);
    assert!(matches!(&bucket.credentials, Credentials::Keys { id, secret, token: None }
        if id.expose() == "id" && secret.expose() == "hush"));
}

#[test]
fn a_bucket_without_keys_or_with_a_wrong_name_or_endpoint_is_told_at_once() {
    let text = "[job]\nname = \"n\"\nlake = \"s3://Coupons/a//b\"\npii = \"raw\"\n\
                [store]\nendpoint = \"http://s3.example\"\nsecret_access_key = \"do-not-print-me\"\n";
    let problems = bucket_of(text, &[]).unwrap_err().to_string();
    for told in ["`Coupons` is no bucket name", "no prefix", "no cache folder", "no keys for it", "must be https"] {
        assert!(problems.contains(told), "{told}: {problems}");
    }
    assert!(!problems.contains("do-not-print-me"), "{problems}");
    let local = MINIMAL.to_owned() + "[store]\nregion = \"r\"\n";
    assert!(bucket_of(&local, &[]).unwrap_err().to_string().contains("`job.lake` is a folder"));
}

#[test]
fn a_partition_is_cut_where_the_job_says_and_what_was_made_of_it_is_the_same_inputs() {
    let silent = bucket_of(MINIMAL, &[]).unwrap();
    assert_eq!(silent.part_bytes, 4 << 30);
    let cut = bucket_of(&format!("{MINIMAL}part_bytes = 4096\n"), &[]).unwrap();
    assert_eq!((cut.part_bytes, cut.fingerprint), (4096, silent.fingerprint));
    for wrong in ["4095", "0", "-1"] {
        let problems = bucket_of(&format!("{MINIMAL}part_bytes = {wrong}\n"), &[]).unwrap_err().to_string();
        assert!(problems.contains("`job.part_bytes` is") && problems.contains("at least 4096"), "{problems}");
    }
    let problems = bucket_of(&format!("{MINIMAL}part_bytes = \"4GB\"\n"), &[]).unwrap_err().to_string();
    assert!(problems.contains("`job.part_bytes` must be a whole number of bytes, not string"), "{problems}");
}

#[test]
fn moving_a_lake_into_a_bucket_changes_no_fingerprint() {
    let env = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "hush")];
    let local = bucket_of(MINIMAL, &[]).unwrap().fingerprint;
    assert_eq!(bucket_of(&format!("{BUCKET}[store]\nregion = \"r\"\n"), &env).unwrap().fingerprint, local);
}

#[test]
fn who_is_told_of_a_night_is_checked_and_no_address_is_shown() {
    let mut desk = Desk::new();
    desk.env.insert("HOOK", "http://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=693axxx6".into());
    desk.env.insert("NO_URL", "693axxx6".into());
    let cases = [
        ("[openlineage]\nurl = \"http://marquez.example.com\"", "`openlineage.url` must be https"),
        ("[openlineage]\nurl = \"nonsense\"", "`openlineage.url` is no URL"),
        ("[openlineage]\nurl = \"https://key:693axxx6@h\"", "must not hold a user"),
        ("[openlineage]\napi_key_env = \"WXPAY_V2_KEY\"", "of no use without `openlineage.url`"),
        ("[openlineage]\nnamspace = \"n\"", "unknown key `openlineage.namspace`"),
        ("[metrics]\ntextfile = \"a.txt\"", "must end with `.prom`"),
        ("[metrics]", "`metrics.textfile` is missing"),
        ("[webhook]", "the secret `webhook.url` is missing"),
        ("[webhook]\nurl = \"https://h/?key=693axxx6\"", "the secret `webhook.url` stands in the job file"),
        ("[webhook]\nurl_env = \"HOOK\"", "`webhook.url_env` must be https"),
        ("[webhook]\nurl_env = \"NO_URL\"", "`webhook.url_env` is no URL"),
    ];
    for (section, wanted) in cases {
        let problems = desk.problems(&format!("{MINIMAL}{section}\n"));
        assert_eq!(problems.len(), 1, "{section}: {problems:#?}");
        assert!(problems[0].text.contains(wanted), "{section}: {}", problems[0]);
        assert!(!problems[0].to_string().contains("693axxx6"), "{}", problems[0]);
    }
}

#[test]
fn more_requests_at_once_than_the_runtime_counts_are_refused() {
    let problem = Desk::new().one_problem("concurrency = 32", "concurrency = 9223372036854775807");
    assert!(problem.text.contains("pay_v3.concurrency") && problem.text.contains("at most 10000"), "{problem}");
}

#[test]
fn text_that_is_not_utf_8_is_told_to_be_saved_as_it() {
    let desk = Desk::new();
    let path = desk.folder.path().join("job.toml");
    fs::write(&path, b"# \xd6\xd0\n").unwrap();
    let problems = load(&path, &|_| None).unwrap_err();
    assert!(problems.to_string().ends_with("hint: save it as UTF-8"), "{problems}");
    fs::write(desk.folder.path().join("secrets/pii.key"), b"\xff\xfea\0").unwrap();
    let problem = desk.problems(NIGHTLY).remove(0);
    assert!(problem.hint.as_deref().is_some_and(|hint| hint.contains("UTF-8")), "{problem}");
}

#[test]
fn a_time_format_with_a_zone_as_text_is_refused_with_both_ways_out() {
    let problem = Desk::new().one_problem("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ");
    let hint = problem.hint.unwrap_or_default();
    assert!(problem.text.contains("`Z`") && hint.contains("`%#z`") && hint.contains("`%Z`"), "{} {hint}", problem.text);
}

#[test]
fn lineage_goes_to_the_usual_path_of_a_bare_host_and_nowhere_by_itself() {
    let desk = Desk::new();
    let of =
        |section: &str| desk.load(&format!("{MINIMAL}{section}\n")).unwrap_or_else(|problems| panic!("{problems}"));
    let silent = of("");
    assert_eq!((silent.lineage.namespace.as_str(), silent.lineage.url), ("coupon-recon", None));
    for (given, sent) in [("https://h:5000", "https://h:5000/api/v1/lineage"), ("https://h/x", "https://h/x")] {
        let job = of(&format!("[openlineage]\nurl = \"{given}\"\n[metrics]\ntextfile = \"m/a.prom\""));
        assert_eq!(job.lineage.url.unwrap().as_str(), sent);
        assert!(job.metrics_textfile.unwrap().ends_with("m/a.prom"));
        assert_eq!(job.fingerprint, silent.fingerprint, "who is told changes nothing that is published");
    }
}
