//! Prints answers and the table of endpoints. Tokens, and URLs that contain them, are redacted.

use serde_json::Value;

use crate::byte_order_mark;
use crate::wechat::ENDPOINTS;
use crate::wechat::pay_v2::xml;

/// Fields that grant access to whoever reads them.
const REDACTED: [&str; 2] = ["access_token", "download_url"];

/// An answer as pretty JSON; `null` for one without a body.
pub(super) fn json(body: &[u8]) -> Result<String, serde_json::Error> {
    let mut value = if body.is_empty() { Value::Null } else { serde_json::from_slice(byte_order_mark::skipped(body))? };
    redact(&mut value);
    Ok(format!("{value:#}"))
}

/// The fields of a v2 answer as pretty JSON; a file as text.
pub(super) fn xml_or_file(body: &[u8]) -> String {
    match xml::read(body) {
        Ok(fields) => {
            let object: Value = fields.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
            format!("{object:#}")
        }
        Err(_) => String::from_utf8_lossy(body).trim_end().to_owned(),
    }
}

fn redact(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(redact),
        Value::Object(map) => {
            for (key, item) in map.iter_mut() {
                if REDACTED.contains(&key.as_str()) { *item = "(redacted)".into() } else { redact(item) }
            }
        }
        _ => {}
    }
}

/// Every endpoint in aligned columns.
pub(super) fn table() -> String {
    let head = ["id", "method", "path", "api", "dataset", "rate", "reference"].map(str::to_owned);
    let rows = ENDPOINTS.iter().map(|endpoint| {
        [
            endpoint.id.to_owned(),
            endpoint.method.to_string(),
            endpoint.path.to_owned(),
            endpoint.api.section().to_owned(),
            endpoint.purpose.as_str().to_owned(),
            endpoint.documented_rate.to_owned(),
            endpoint.reference.to_owned(),
        ]
    });
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row: &[String; 7]| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..7).map(width).collect();
    let line = |row: &[String; 7]| {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_download_urls_are_never_shown() {
        let shown = json(br#"{"access_token":"T0K3N","a":[{"download_url":"https://x?token=T0K3N"}],"b":1}"#).unwrap();
        assert!(!shown.contains("T0K3N") && shown.contains("\"b\": 1"), "{shown}");
    }

    #[test]
    fn an_empty_answer_is_null_and_broken_json_is_an_error() {
        assert_eq!(json(b"").unwrap(), "null");
        assert!(json(b"<html>").is_err());
    }

    #[test]
    fn a_v2_answer_is_an_object_and_a_bill_is_itself() {
        assert_eq!(xml_or_file(b"<xml><a>1</a><b/></xml>"), "{\n  \"a\": \"1\",\n  \"b\": \"\"\n}");
        assert_eq!(xml_or_file("交易时间,金额\r\n".as_bytes()), "交易时间,金额");
    }

    #[test]
    fn the_table_has_a_line_per_endpoint_with_seven_columns() {
        let table = table();
        assert_eq!(table.lines().count(), ENDPOINTS.len() + 1);
        for line in table.lines() {
            assert_eq!(line.split("  ").filter(|cell| !cell.trim().is_empty()).count(), 7, "{line}");
        }
        let of_stocks = table.lines().find(|line| line.starts_with("pay_v3_stock ")).unwrap();
        assert!(of_stocks.contains("  pay_v3  stocks  "), "named as its section of the job file: {of_stocks}");
    }
}
