//! Tests of the job file's fingerprint and of its schema, on which others rely.

use serde_json::Value;

use super::*;
use crate::job::file::JobFile;
use crate::job::value::{Key, Kind, Need, Section};

#[test]
fn the_fingerprint_follows_results_and_nothing_else() {
    let fixture = Fixture::new();
    let of = |text: &str| fixture.load(text).unwrap_or_else(|problems| panic!("{problems}")).fingerprint.to_string();
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
    let schema: Value = serde_json::from_str(include_str!("../../../schemas/job.schema.json")).unwrap();
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
