//! `schemas/<table>.tableschema.json`: a Table Schema (Frictionless) per CSV of the finance pack, generated
//! from the tables in the code.

use serde_json::{Value, json};

use super::described::Described;
use crate::report::{Column, Kind, Table, tables};

/// The schema of every table.
pub(super) fn describe() -> impl Iterator<Item = Described> {
    tables().into_iter().map(|table| {
        let text = serde_json::to_string_pretty(&schema(table)).expect("a schema is JSON");
        Described { path: format!("schemas/{}.tableschema.json", table.name), text: text + "\n" }
    })
}

fn schema(table: &Table) -> Value {
    json!({
        "$schema": "https://datapackage.org/profiles/2.0/tableschema.json",
        "title": format!("{} · {}", table.en, table.zh),
        "description": description(table),
        "fields": table.columns.iter().map(|column| field(table, column)).collect::<Vec<_>>(),
        "missingValues": [""],
    })
}

fn description(table: &Table) -> String {
    let file = format!(
        "{}.csv of the finance pack: UTF-8 with BOM, CRLF. The header has the names if report.language = \"en\", and the titles if \"zh\". Ids begin with the mark set by report.excel_ids.",
        table.name
    );
    if !table.columns.iter().any(|column| column.is_summed) {
        return file;
    }
    file + " The last line, 合计 or Total, has the number of rows and the sums of the summed columns; \
            report.trailer = false leaves it out."
}

fn field(table: &Table, column: &Column) -> Value {
    let (kind, format) = match column.kind {
        Kind::Id | Kind::Word | Kind::Text => ("string", None),
        Kind::Yuan => ("number", None),
        Kind::Count => ("integer", None),
        Kind::Date => ("date", None),
        Kind::Time => ("datetime", Some("%Y-%m-%d %H:%M:%S")),
    };
    let (_, meaning) = table.meaning(column);
    let description = format!("{}: {meaning}", column.en);
    let mut field = json!({"name": column.name, "title": column.zh, "description": description, "type": kind});
    if let Some(format) = format {
        field["format"] = json!(format);
        field["timezone"] = json!("Asia/Shanghai");
    }
    if column.is_summed {
        field["summed"] = json!(true);
    }
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_numbers_in_yuan_and_ids_are_texts() {
        for field in tables().into_iter().flat_map(|table| table.columns.iter().map(|column| field(table, column))) {
            let name = field["name"].as_str().unwrap();
            assert_eq!(name.ends_with("_yuan"), field["type"] == "number", "{name}");
            if ["_id", "_no", "_code"].iter().any(|end| name.ends_with(end)) {
                assert_eq!(field["type"], "string", "{name}");
            }
        }
    }

    #[test]
    fn a_table_has_no_name_and_no_title_twice() {
        for table in tables() {
            let mut names: Vec<_> = table.columns.iter().flat_map(|it| [it.name, it.zh]).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), 2 * table.columns.len(), "{}", table.name);
        }
    }
}
