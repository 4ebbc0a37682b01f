//! Tests of the job file as text: invalid TOML, invalid UTF-8, and the line of every problem.

use super::*;

#[test]
fn every_problem_is_reported_at_once_with_its_line() {
    let fixture = Fixture::new();
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
    let problems = fixture.load(text).unwrap_err();
    let shown = problems.to_string();
    assert!(!shown.contains("do-not-print-me"), "{shown}");
    let lines: Vec<_> =
        problems.problems.iter().map(|problem| (problem.line.unwrap(), problem.text.as_str())).collect();
    let expected = [
        (3, "`job.lake` is on `gs://`: it must be a folder or `s3://bucket/prefix`"),
        (5, "`job.first_date` is `18.11.2026`: it must be a day such as `2026-11-18`"),
        (6, "`job.timeout_seconds` is 0: it must be at least 1"),
        (8, "`pay_v3.base_url` must be https: only a loopback host may be called in clear text"),
        (9, "unknown key `pay_v3.mchidd`"),
        (11, "`pay_v3.private_key_file`: `"),
        (12, "the secret `pay_v3.api_v3_key` is written in the job file"),
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
    assert!(shown.starts_with("error: 20 problems in "), "{shown}");
    assert!(shown.contains("hint: did you mean `mchid`?"), "{shown}");
    assert!(shown.contains("hint: did you mean `bills`?"), "{shown}");
}

#[test]
fn a_syntax_error_stands_alone_and_repeats_nothing_of_the_line() {
    let fixture = Fixture::new();
    let problems = fixture.problems("[job]\napi_v3_key = \"hunter2\n");
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
fn text_that_is_not_utf_8_is_told_to_be_saved_as_it() {
    let fixture = Fixture::new();
    let path = fixture.folder.path().join("job.toml");
    fs::write(&path, b"# \xd6\xd0\n").unwrap();
    let problems = load(&path, &|_| None).unwrap_err();
    assert!(problems.to_string().ends_with("hint: save it as UTF-8"), "{problems}");
    fs::write(fixture.folder.path().join("secrets/pii.key"), b"\xff\xfea\0").unwrap();
    let problem = fixture.problems(NIGHTLY).remove(0);
    assert!(problem.hint.as_deref().is_some_and(|hint| hint.contains("UTF-8")), "{problem}");
}
