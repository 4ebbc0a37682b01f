//! Faults in the body of an answer, applied before it is signed: too large, too deeply nested, invalid
//! UTF-8, extreme numbers, hostile XML and gzip. Does not touch status, signature or connection.

use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::bill_files::gzip;
use super::exchange::Exchange;
use super::faults::Kind;

const HUGE_BODY_BYTES: usize = 100_000_000;
const BOMB_MEGABYTES: usize = 256;
const DEPTH: usize = 100_000;
const PADDING_BYTES: usize = 512;
/// Larger than any number of 64 bits.
const HUGE_NUMBER: &str = "92233720368547758070";
/// Not a WeChat host.
const ELSEWHERE: &str = "https://elsewhere.invalid/v3/billdownload/file?token=x";

const EXTERNAL_ENTITY: &str =
    "<!DOCTYPE xml [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><xml><return_code>&x;</return_code></xml>";

/// The answer as changed by the fault.
pub(super) fn tell(exchange: &Exchange<'_>, answer: Answer) -> Answer {
    let Some(fault) = exchange.fault.as_ref().filter(|_| answer.is_success()) else { return answer };
    let number = || fault.value_text().and_then(|text| text.parse().ok());
    match fault.kind {
        Kind::HugeBody => padded(answer, number().unwrap_or(HUGE_BODY_BYTES)),
        Kind::DeepJson => {
            with_body(answer, format!("{{\"data\":{}{}}}", "[".repeat(DEPTH), "]".repeat(DEPTH)).into_bytes())
        }
        Kind::InvalidUtf8 => garbled(answer),
        Kind::BarePage => with_body(answer, b"{\"limit\":20,\"offset\":0}".to_vec()),
        Kind::XmlExternalEntity => with_body(answer, EXTERNAL_ENTITY.as_bytes().to_vec()),
        Kind::XmlBillionLaughs => with_body(answer, billion_laughs().into_bytes()),
        Kind::GzipBomb => with_body(answer, gzip(&vec![0; number().unwrap_or(BOMB_MEGABYTES) << 20], 0)),
        Kind::ByteOrderMark => {
            let body = ["\u{feff}".as_bytes(), &answer.body].concat();
            with_body(answer, body)
        }
        Kind::ZeroPadding => {
            let body = [&answer.body[..], &vec![0; number().unwrap_or(PADDING_BYTES)]].concat();
            with_body(answer, body)
        }
        kind => changed(answer, |body| match kind {
            Kind::UnknownFields => add_fields(body),
            Kind::OddShapes => deform(body),
            Kind::LeanList => leave_endings_out(body),
            Kind::FailedReceipts => set(body, "status", "FAIL".into()),
            Kind::NegativeAmounts => negate_amounts(body),
            Kind::ForeignDownload => set(body, "download_url", ELSEWHERE.into()),
            Kind::EverNew => ever_new(exchange, body),
            Kind::HugeNumbers => inflate(body),
            _ => {}
        }),
    }
}

fn with_body(answer: Answer, body: Vec<u8>) -> Answer {
    Answer { body, ..answer }
}

/// Leading white space is valid JSON.
fn padded(answer: Answer, bytes: usize) -> Answer {
    let mut body = vec![b' '; bytes.saturating_sub(answer.body.len())];
    body.extend_from_slice(&answer.body);
    with_body(answer, body)
}

/// Replaces a byte of the last string by one that is invalid in UTF-8.
fn garbled(mut answer: Answer) -> Answer {
    if let Some(at) = answer.body.iter().rposition(u8::is_ascii_alphanumeric) {
        answer.body[at] = 0xff;
    }
    answer
}

fn billion_laughs() -> String {
    let ten = |name: &str| format!("&{name};").repeat(10);
    let mut entities = "<!ENTITY l0 \"lol\">".to_owned();
    for level in 1..10 {
        entities.push_str(&format!("<!ENTITY l{level} \"{}\">", ten(&format!("l{}", level - 1))));
    }
    format!("<!DOCTYPE xml [{entities}]><xml><return_code>&l9;</return_code></xml>")
}

/// Changes a JSON body; numbers that fit no type are inserted as text first.
fn changed(answer: Answer, change: impl FnOnce(&mut Value)) -> Answer {
    let Ok(mut body) = serde_json::from_slice::<Value>(&answer.body) else { return answer };
    let before = body.clone();
    change(&mut body);
    if body == before {
        return answer;
    }
    let text = body.to_string().replace(&format!("\"{HUGE_NUMBER}\""), HUGE_NUMBER);
    with_body(answer, text.into_bytes())
}

fn set(body: &mut Value, key: &str, value: Value) {
    if let Some(place) = body.get_mut(key) {
        *place = value;
    }
}

fn add_fields(value: &mut Value) {
    each_object(value, &mut |map| {
        map.insert("brand_new_field".to_owned(), json!({"of": ["tomorrow", 1, null]}));
    });
}

/// Deforms what a stock or a coupon says for people, and the frame of a page.
fn deform(value: &mut Value) {
    each_object(value, &mut |map| {
        if let Some(limit) = map.get_mut("limit") {
            *limit = json!("20.0");
        }
        if let Some(rule) = map.get_mut("coupon_use_rule").and_then(Value::as_object_mut) {
            rule.insert("available_week".to_owned(), json!("Monday"));
            map.insert("comment".to_owned(), json!([7.5]));
        }
    });
}

fn leave_endings_out(page: &mut Value) {
    let items = page.get_mut("data").and_then(Value::as_array_mut).into_iter().flatten();
    for item in items.filter_map(Value::as_object_mut) {
        item.retain(|key, _| !key.starts_with("return_") && !key.starts_with("deactivate_"));
    }
}

fn negate_amounts(value: &mut Value) {
    each_object(value, &mut |map| {
        let amounts = map.iter_mut().filter(|(key, _)| key.contains("amount")).map(|(_, item)| item);
        amounts.for_each(|item| *item = item.as_i64().map_or(Value::Null, |amount| (-amount).into()));
    });
}

fn inflate(value: &mut Value) {
    each_object(value, &mut |map| {
        map.values_mut().filter(|item| item.is_number()).for_each(|item| *item = HUGE_NUMBER.into());
    });
}

fn each_object(value: &mut Value, change: &mut impl FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| each_object(item, change)),
        Value::Object(map) => {
            map.values_mut().for_each(|item| each_object(item, change));
            change(map);
        }
        _ => {}
    }
}

/// A page with the first row again and again, each time with another code.
fn ever_new(exchange: &Exchange<'_>, body: &mut Value) {
    let Some(first) = body.get("data").and_then(|data| data.get(0)).cloned() else { return };
    let rows = (0..20).map(|number| {
        let mut row = first.clone();
        set(&mut row, "coupon_code", format!("{}x{number}", exchange.serial).into());
        row
    });
    let rows: Vec<Value> = rows.collect();
    set(body, "data", rows.into());
    set(body, "total_count", 1_000_000_000.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &Value) -> Answer {
        Answer::json(200, body)
    }

    #[test]
    fn numbers_become_larger_than_any_type_and_amounts_negative() {
        let page = json!({"total_count": 2, "data": [{"amount": 5, "name": "x"}]});
        let huge = changed(answer(&page), inflate);
        let text = String::from_utf8(huge.body).unwrap();
        assert_eq!(text.matches(HUGE_NUMBER).count(), 2, "{text}");
        assert!(!text.contains(&format!("\"{HUGE_NUMBER}\"")));
        let negative = changed(answer(&page), negate_amounts);
        assert_eq!(negative.body, br#"{"total_count":2,"data":[{"amount":-5,"name":"x"}]}"#);
    }

    #[test]
    fn only_what_decides_nothing_is_deformed() {
        let page = json!({"limit": 20, "total_count": 1, "data": [{"coupon_code": "A", "coupon_use_rule": {"x": 1}}]});
        let mut odd = page;
        deform(&mut odd);
        let rule = json!({"x": 1, "available_week": "Monday"});
        let coupon = json!({"coupon_code": "A", "coupon_use_rule": rule, "comment": [7.5]});
        assert_eq!(odd, json!({"limit": "20.0", "total_count": 1, "data": [coupon]}));
    }

    #[test]
    fn padding_keeps_the_document_and_garbling_breaks_it() {
        let page = json!({"total_count": 0});
        let huge = padded(answer(&page), 1000);
        assert_eq!((huge.body.len(), serde_json::from_slice::<Value>(&huge.body).unwrap()), (1000, page.clone()));
        assert!(std::str::from_utf8(&garbled(answer(&page)).body).is_err());
    }

    #[test]
    fn unknown_fields_stand_in_every_object_and_no_lie_leaves_an_answer_as_it_was() {
        let page = json!({"data": [{"a": 1}]});
        let text = String::from_utf8(changed(answer(&page), add_fields).body).unwrap();
        assert_eq!(text.matches("brand_new_field").count(), 2, "{text}");
        assert_eq!(changed(answer(&page), |_| {}), answer(&page));
        assert!(billion_laughs().matches("<!ENTITY").count() == 10);
    }
}
