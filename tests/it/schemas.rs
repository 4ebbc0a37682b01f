//! What we publish for others to read is as its schema in `schemas/` says. The schemas are open, so that
//! fields may be added; here they are closed first, so that none is added without being described.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::support::{Ending, Shop};

const NIGHT: [&str; 2] = ["--date", "2026-11-18"];

fn repository(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn schema(name: &str) -> Value {
    read_json(&repository(&format!("schemas/{name}.schema.json")))
}

/// A validator of the schema, formats checked.
fn validator(schema: &Value) -> Validator {
    jsonschema::options().should_validate_formats(true).build(schema).unwrap()
}

fn problems(validator: &Validator, instance: &Value) -> Vec<String> {
    validator.iter_errors(instance).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// Closes every described object: what is not described is a problem.
fn closed(mut schema: Value) -> Value {
    fn close(node: &mut Value) {
        match node {
            Value::Object(map) => {
                if map.get("type") == Some(&json!("object")) && map.contains_key("properties") {
                    map.entry("additionalProperties").or_insert(json!(false));
                }
                map.values_mut().for_each(close);
            }
            Value::Array(items) => items.iter_mut().for_each(close),
            _ => {}
        }
    }
    close(&mut schema);
    schema
}

/// The manifest of a night that ended with `code`, held against its schema; so is the summary it left.
fn checked_manifest(shop: &Shop, ending: &Ending, code: i32) -> Value {
    assert_eq!(ending.code, code, "{}", ending.stderr);
    let manifest = newest_manifest(&shop.lake().join("runs"));
    assert_fits("manifest", &manifest);
    assert_eq!(manifest["exit_code"], code);
    let date = manifest["business_date"].as_str().unwrap();
    let summary = shop.lake().join(format!("reports/dt={date}/summary.json"));
    assert_eq!(summary.is_file(), manifest["status"] != "failed");
    if summary.is_file() {
        let summary = read_json(&summary);
        assert_fits("summary", &summary);
        assert_eq!(summary["footing"], manifest["footing"]);
    }
    manifest
}

fn assert_fits(name: &str, instance: &Value) {
    assert_eq!(problems(&validator(&closed(schema(name))), instance), [""; 0], "{instance:#}");
}

fn newest_manifest(runs: &Path) -> Value {
    let mut found: Vec<Value> = Vec::new();
    for day in std::fs::read_dir(runs).unwrap() {
        for run in std::fs::read_dir(day.unwrap().path()).unwrap() {
            let path = run.unwrap().path().join("manifest.json");
            found.extend(path.is_file().then(|| read_json(&path)));
        }
    }
    found.sort_by_key(|manifest| manifest["run_id"].to_string());
    found.pop().expect("a night leaves a manifest")
}

#[test]
fn every_schema_is_one_and_describes_each_of_its_properties() {
    for name in ["manifest", "summary", "decisions", "job"] {
        let schema = schema(name);
        jsonschema::draft202012::meta::validate(&schema).unwrap_or_else(|error| panic!("{name}: {error}"));
        undescribed(name, &schema);
    }
}

fn undescribed(path: &str, node: &Value) {
    let Some(properties) = node["properties"].as_object().filter(|_| node["type"] == "object") else { return };
    assert!(node["description"].is_string() || node["title"].is_string(), "{path}");
    for (name, property) in properties {
        let path = format!("{path}.{name}");
        assert!(property["description"].is_string() || property["$ref"].is_string(), "{path} has no description");
        undescribed(&path, property);
        undescribed(&path, &property["items"]);
        undescribed(&path, &property["additionalProperties"]);
    }
    for (name, definition) in node["$defs"].as_object().into_iter().flatten() {
        undescribed(name, definition);
    }
}

#[test]
fn manifests_of_complete_restated_partial_and_failed_nights_are_as_their_schema_says() {
    let shop = Shop::of_seed(1);
    let right = std::fs::read_to_string(shop.path("orders/2026-11-18.csv")).unwrap();
    let wechat = shop.serve(None);
    std::fs::remove_file(shop.path("orders/2026-11-18.csv")).unwrap();
    let partial = checked_manifest(&shop, &shop.run(&wechat, &NIGHT), 75);
    assert_eq!(partial["status"], "partial");
    assert!(partial["unjudged_rules"].as_object().is_some_and(|rules| rules.contains_key("AO01")));
    std::fs::write(shop.path("orders/2026-11-18.csv"), right).unwrap();
    let again = checked_manifest(&shop, &shop.run(&wechat, &NIGHT), 0);
    assert_eq!(again["status"], "complete");
    assert!(again["restated"].is_object() && again["coverage"].is_object(), "{again:#}");
    let late = checked_manifest(&shop, &shop.run(&wechat, &["--date", "2026-11-20"]), 0);
    assert_eq!(late["missing_dates"], json!(["2026-11-19", "2026-11-19"]));
    assert!(late["read_partitions"].as_array().is_some_and(|it| !it.is_empty()));
}

#[test]
fn the_manifest_of_a_night_that_published_nothing_is_as_its_schema_says() {
    let (shop, other) = (Shop::of_seed(1), Shop::of_seed(2));
    let wechat = shop.serve(None);
    std::fs::copy(other.path("secrets/apiclient_key.pem"), shop.path("secrets/apiclient_key.pem")).unwrap();
    let failed = checked_manifest(&shop, &shop.run(&wechat, &NIGHT), 77);
    assert_eq!((&failed["status"], &failed["files"]), (&json!("failed"), &json!([])));
}

#[test]
fn a_manifest_that_lies_does_not_pass() {
    let shop = Shop::of_seed(1);
    let right = checked_manifest(&shop, &shop.run(&shop.serve(None), &NIGHT), 0);
    let validator = validator(&closed(schema("manifest")));
    let lies = [
        ("/status", json!("fine")),
        ("/status", json!("failed")),
        ("/files", json!([])),
        ("/files/0/sha256", json!("0")),
        ("/business_date", json!("18.11.2026")),
        ("/footing/0/total/fen", json!(1.5)),
        ("/stages/0/rows", json!({"orders": -1})),
        ("/coverage", json!({"audit_days": 30})),
    ];
    for (place, lie) in lies {
        let mut manifest = right.clone();
        *manifest.pointer_mut(place).unwrap_or_else(|| panic!("{place} is not there")) = lie;
        assert!(!validator.is_valid(&manifest), "{place}");
    }
    let mut more = right;
    more["undescribed"] = json!(1);
    assert!(!validator.is_valid(&more) && self::validator(&schema("manifest")).is_valid(&more));
}

#[test]
fn what_summary_and_manifest_share_is_described_alike() {
    let (summary, manifest) = (schema("summary"), schema("manifest"));
    for shared in ["tally", "side", "coverage"] {
        assert_eq!(summary["$defs"][shared], manifest["$defs"][shared], "{shared}");
    }
}

#[test]
fn every_job_file_of_the_repository_is_as_the_job_schema_says() {
    let validator = validator(&schema("job"));
    let shop = Shop::of_seed(1);
    let files = [
        repository("jobs/nightly.toml"),
        repository("sample-data/job.toml"),
        repository("sample-data/job-certificates.toml"),
        shop.path("job.toml"),
        shop.path("job-certificates.toml"),
    ];
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let job: Value = toml::from_str(&text).unwrap();
        assert_eq!(problems(&validator, &job), [""; 0], "{}", file.display());
        let mut typo = job;
        typo["wallets"]["refesh"] = json!("all");
        assert!(!validator.is_valid(&typo), "{}", file.display());
    }
}

#[test]
fn the_examples_of_the_schemas_are_right_by_their_own_rules() {
    for name in ["manifest", "summary", "decisions", "job"] {
        let root = schema(name);
        check_examples(name, &root, &root);
    }
}

fn check_examples(path: &str, node: &Value, root: &Value) {
    for (name, child) in node.as_object().into_iter().flatten() {
        check_examples(&format!("{path}.{name}"), child, root);
    }
    let told = node["examples"].as_array().into_iter().flatten().chain(node.get("default"));
    // A property may itself be called `default` or `examples`; a schema has a type or an enum.
    for example in told.filter(|_| node["type"].is_string()) {
        let mut alone = node.clone();
        alone["$defs"] = root.get("$defs").cloned().unwrap_or(json!({}));
        assert!(validator(&alone).is_valid(example), "{path}: {example}");
    }
}

#[test]
fn decisions_are_as_their_schemas_say() {
    let validator = validator(&closed(schema("decisions")));
    let row = |decision: &str, expires_on: &str| {
        json!([{"break_id": "0123456789abcdef", "decision": decision, "reason": "agreed", "approver": "李雷",
                "expires_on": expires_on}])
    };
    assert!(validator.is_valid(&row("accepted", "")) && validator.is_valid(&row("written_off", "2026-12-31")));
    assert!(!validator.is_valid(&row("ok", "")) && !validator.is_valid(&row("accepted", "soon")));
    let table = read_json(&repository("schemas/decisions.tableschema.json"));
    let names = |fields: &Value| -> BTreeSet<String> {
        fields.as_array().unwrap().iter().map(|field| field["name"].as_str().unwrap().to_owned()).collect()
    };
    let properties: BTreeSet<_> =
        schema("decisions")["items"]["properties"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(names(&table["fields"]), properties);
}

#[test]
fn generated_descriptions_are_current() {
    for it in coupon_recon::dictionary::describe() {
        let on_disk = std::fs::read_to_string(repository(&it.path)).unwrap_or_default();
        assert!(on_disk == it.text, "{} is not current: cargo run --example describe", it.path);
    }
}
