//! Tests of paths in the job file and of the files they name.

use super::*;

#[test]
fn a_path_that_only_a_shell_would_understand_is_refused_wherever_it_stands() {
    let fixture = Fixture::new();
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
        for start in ["~/", "~finance/", "$HOME/"] {
            let problem = fixture.one_problem(&format!("= \"{written}\""), &format!("= \"{start}x/{{date}}\""));
            assert_eq!(
                problem.text,
                format!("`{key}` is `{start}x/{{date}}`: only a shell knows what that stands for")
            );
        }
    }
}

#[test]
fn a_path_that_no_file_has_is_refused_with_its_line_before_anything_looks_for_it() {
    let fixture = Fixture::new();
    for (key, written) in [
        ("job.lake", "../out/lake"),
        ("orders.path", "../exports/orders/{date}*.csv"),
        ("notifications.spool", "../exports/notifications/"),
        ("decisions.path", "decisions.csv"),
    ] {
        let problem = fixture.one_problem(&format!("= \"{written}\""), "= \"a\\u0000{date}\"");
        assert_eq!(problem.text, format!("`{key}` is `a\\0{{date}}`: a path holds no NUL"));
        assert!(problem.line.is_some());
    }
}

#[test]
fn a_secret_whose_file_or_variable_is_not_named_is_told_to_be_empty() {
    let fixture = Fixture::new();
    for (key, written) in [
        ("job.pii_key_file", "secrets/pii.key"),
        ("pay_v3.public_key_file", "secrets/wxp_pub.pem"),
        ("pay_v2.api_key_env", "WXPAY_V2_KEY"),
    ] {
        let problem = fixture.one_problem(&format!("= \"{written}\""), "= \"\"");
        assert_eq!(problem.text, format!("`{key}` is empty"));
    }
}

#[test]
fn folders_and_files_of_the_merchant_are_remembered_with_their_lines() {
    let fixture = Fixture::new();
    let text = NIGHTLY.replace("../exports/", "exports/").replace("roster_file = \"\"", "roster_file = \"roster.csv\"");
    let job = fixture.load(&text).unwrap();
    let told = |job: &Job| job.merchant_paths.iter().filter_map(MerchantPath::problem).collect::<Vec<_>>().join("\n");
    let missing = told(&job);
    for key in ["orders.path", "subsidy_ledger.path", "notifications.spool", "wallets.roster_file"] {
        let line = job.merchant_paths.iter().find(|path| path.key == key).unwrap().line.unwrap();
        let name = key.rsplit('.').next().unwrap();
        assert!(text.lines().nth(line - 1).unwrap().starts_with(name), "{key}: line {line}");
    }
    assert!(missing.contains("there is no folder `") && missing.contains("orders`"), "{missing}");
    assert!(missing.contains("there is no file `") && missing.contains("roster.csv`"), "{missing}");
    for MerchantPath { path, is_folder, .. } in &job.merchant_paths {
        match is_folder {
            true => fs::create_dir_all(path).unwrap(),
            false => fs::write(path, "").unwrap(),
        }
    }
    assert_eq!(told(&job), "");
}
