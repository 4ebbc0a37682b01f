//! A night as a script for `spark-submit`: its contents, and that nothing is published without its results.
//! `make test-spark` runs scripts on a Spark.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use coupon_recon::reconcile::rules::Rules;

use crate::support::{Shop, Wechat};

const ON_SPARK: [&str; 4] = ["--date", "2026-11-18", "--engine", "spark"];

fn run(shop: &Shop, wechat: &Wechat, more: &[&str]) -> crate::support::Ending {
    shop.run(wechat, &[&ON_SPARK, more].concat())
}

/// The names of the calls of one function, as the script has them.
fn names(script: &str, function: &str) -> Vec<String> {
    let call = format!("\n{function}(\"");
    script.split(&call).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

#[test]
fn the_script_is_python_that_asks_for_the_ledger_and_every_rule_and_reads_what_lies_there() {
    let shop = Shop::of_seed(42);
    let wechat = shop.serve(None);
    let ending = run(&shop, &wechat, &["--emit-script", "night.py"]);
    assert_eq!(ending.code, 0, "{}", ending.stderr);
    assert!(ending.stderr.contains("next: spark-submit night.py"), "{}", ending.stderr);
    let script = fs::read_to_string(shop.path("night.py")).unwrap();
    let python = Command::new("python3").args(["-m", "py_compile"]).arg(shop.path("night.py")).output().unwrap();
    assert!(python.status.success(), "{}", String::from_utf8_lossy(&python.stderr));
    let answers: BTreeSet<_> = names(&script, "answer").into_iter().collect();
    let rules = Rules::built_in();
    let lacking: Vec<_> = rules.iter().filter(|rule| !answers.contains(&rule.id)).map(|rule| &rule.id).collect();
    assert!(lacking.is_empty(), "{lacking:?}");
    assert!(answers.contains("ledger") && answers.contains("footing"));
    for rule in rules.iter() {
        assert!(script.contains(rule.sql.trim_end()), "{} is asked as it stands in its file", rule.id);
    }
    for call in script.lines().filter(|line| line.starts_with("file(") || line.starts_with("lines(")) {
        for path in call.split('"').skip(3).step_by(2) {
            assert!(shop.lake().join(path).is_file(), "{call}");
        }
        assert_eq!(call.rsplit("# ").next().unwrap().len(), 64, "{call}");
    }
}

#[test]
fn a_name_is_declared_once_and_before_it_is_read() {
    let shop = Shop::of_seed(42);
    let wechat = shop.serve(None);
    assert_eq!(run(&shop, &wechat, &["--emit-script", "night.py"]).code, 0);
    let script = fs::read_to_string(shop.path("night.py")).unwrap();
    let declared = ["file", "lines", "rows", "view", "store"].map(|function| names(&script, function)).concat();
    let once: BTreeSet<_> = declared.iter().collect();
    assert_eq!(once.len(), declared.len(), "{declared:?}");
    let place = |call: &str| script.find(call).unwrap_or_else(|| panic!("{call}"));
    assert!(place("file(\"orders__20261118\"") < place("view(\"orders_history\""));
    assert!(place("store(\"order_lines\"") < place("store(\"order_totals\""));
    assert!(place("store(\"coupon_ledger\"") < place("answer(\"ledger\""));
}

#[test]
fn the_same_night_gives_the_same_script_and_no_secret_stands_in_it() {
    let shop = Shop::of_seed(42);
    let wechat = shop.serve(None);
    assert_eq!(run(&shop, &wechat, &["--emit-script", "one.py"]).code, 0);
    let asked = wechat.counts().total;
    assert_eq!(run(&shop, &wechat, &["--emit-script", "two.py"]).code, 0);
    assert_eq!(wechat.counts().total, asked, "what is journalled is not asked again");
    let [one, two] = ["one.py", "two.py"].map(|name| fs::read_to_string(shop.path(name)).unwrap());
    assert!(one == two, "the scripts differ");
    for openid in shop.openids() {
        assert!(!one.contains(&openid), "{openid}");
    }
    for (name, secret) in shop.secrets() {
        assert!(!one.contains(&secret), "{name} stands in the script");
    }
}

#[test]
fn without_the_answers_of_the_script_nothing_is_published() {
    let shop = Shop::of_seed(42);
    let wechat = shop.serve(None);
    assert_eq!(run(&shop, &wechat, &["--emit-script", "night.py"]).code, 0);
    let ending = run(&shop, &wechat, &["--take-script"]);
    assert_eq!(ending.code, 75, "{}", ending.stderr);
    assert!(ending.stderr.contains("has not run to its end"), "{}", ending.stderr);
    assert!(shop.published().is_empty());
    let handed = shop.lake().join("handover/ruiyun-coffee/dt=2026-11-18/inputs/orders/part-0.parquet");
    assert!(handed.is_file(), "what was handed over waits for the script");
    // The night may still be run in another way, after which the results are not needed.
    assert_eq!(shop.run(&wechat, &["--date", "2026-11-18"]).code, 0);
    assert!(!handed.exists());
}

#[test]
fn a_script_is_of_one_date_and_of_spark() {
    let shop = Shop::of_seed(42);
    let wechat = shop.serve(None);
    let cases: [(&[&str], &str); 3] = [
        (
            &["--date", "2026-11-18", "--emit-script", "night.py"],
            "`--emit-script` and `--take-script` need the Spark engine",
        ),
        (
            &["--date", "2026-11-18", "--engine", "polars", "--take-script"],
            "`--emit-script` and `--take-script` need the Spark engine",
        ),
        (
            &["--from", "2026-11-18", "--to", "2026-11-19", "--engine", "spark", "--emit-script", "night.py"],
            "a script covers one date",
        ),
    ];
    for (arguments, why) in cases {
        let ending = shop.run(&wechat, arguments);
        assert!(ending.code == 2 && ending.stderr.contains(why), "{arguments:?}: {} {}", ending.code, ending.stderr);
    }
    shop.edit("job.toml", |text| text.replace("use_request_pattern = \"\"", "use_request_pattern = '(\\d+)'"));
    let ending = run(&shop, &wechat, &["--emit-script", "night.py"]);
    assert!(ending.code == 2 && ending.stderr.contains("no script can build it"), "{}", ending.stderr);
    assert!(wechat.counts().total == 0 && !shop.path("night.py").exists());
}
