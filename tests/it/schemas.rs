//! The descriptions in the repository equal those that the code generates. `tests/contracts/check.py` checks
//! them against real files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

fn repository(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn schema(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(repository("schemas").join(name)).unwrap()).unwrap()
}

#[test]
fn generated_descriptions_are_current() {
    for it in coupon_recon::dictionary::describe() {
        let on_disk = std::fs::read_to_string(repository(&it.path)).unwrap_or_default();
        assert!(on_disk == it.text, "{} is not current: cargo run --example describe", it.path);
    }
}

#[test]
fn no_table_schema_is_left_of_a_table_that_is_gone() {
    let described: BTreeSet<_> = coupon_recon::dictionary::describe().into_iter().map(|it| it.path).collect();
    for file in std::fs::read_dir(repository("schemas")).unwrap() {
        let path = format!("schemas/{}", file.unwrap().file_name().to_str().unwrap());
        let is_written_by_hand = path == "schemas/decisions.tableschema.json";
        assert!(!path.ends_with(".tableschema.json") || is_written_by_hand || described.contains(&path), "{path}");
    }
}

#[test]
fn what_summary_and_manifest_share_is_described_alike() {
    let (summary, manifest) = (schema("summary.schema.json"), schema("manifest.schema.json"));
    for shared in ["tally", "side", "coverage"] {
        assert_eq!(summary["$defs"][shared], manifest["$defs"][shared], "{shared}");
    }
}

#[test]
fn both_schemas_of_a_decision_have_its_columns() {
    let table = schema("decisions.tableschema.json");
    let names: Vec<_> = table["fields"].as_array().unwrap().iter().map(|field| field["name"].clone()).collect();
    assert_eq!(names, ["break_id", "decision", "reason", "approver", "expires_on"]);
    let row = &schema("decisions.schema.json")["items"];
    assert!(row["properties"].as_object().unwrap().keys().eq(&names));
    assert_eq!(row["required"], Value::Array(names));
}
