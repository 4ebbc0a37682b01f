//! Converts the fields of the command line to a query, a JSON body or the XML of v2. Sends nothing.

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use crate::wechat::pay_v2::xml;

/// Characters allowed in a target as typed: RFC 3986 unreserved characters and separators. `%` is
/// kept where it starts an escape.
const TYPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/')
    .remove(b'?')
    .remove(b'&')
    .remove(b'=')
    .remove(b'%');

/// Characters allowed in the value of a query.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The target to send: spaces, Chinese and the like are encoded, escapes kept.
pub(super) fn encode_target(typed: &str) -> String {
    let mut target = String::new();
    for (position, part) in typed.split('%').enumerate() {
        if position > 0 {
            target.push_str(if begins_with_hex(part) { "%" } else { "%25" });
        }
        target.extend(utf8_percent_encode(part, TYPED));
    }
    target
}

fn begins_with_hex(text: &str) -> bool {
    text.len() >= 2 && text.bytes().take(2).all(|byte| byte.is_ascii_hexdigit())
}

/// A target with fields added to its query.
pub(super) fn with_query(target: &str, fields: &[(String, String)]) -> String {
    let mut target = target.to_owned();
    for (key, value) in fields {
        target.push(if target.contains('?') { '&' } else { '?' });
        target.push_str(&format!("{}={}", utf8_percent_encode(key, VALUE), utf8_percent_encode(value, VALUE)));
    }
    target
}

/// A JSON object; the error is the key of a field that has no place.
pub(super) fn json(fields: &[(String, String)]) -> Result<Bytes, String> {
    let mut object = Map::new();
    for (key, text) in fields {
        place(&mut object, key, value_of(text)).ok_or_else(|| key.clone())?;
    }
    Ok(Bytes::from(Value::Object(object).to_string()))
}

fn place(object: &mut Map<String, Value>, key: &str, value: Value) -> Option<()> {
    match key.split_once('.') {
        Some((outer, inner)) => {
            let nested = object.entry(outer).or_insert_with(|| Map::new().into());
            place(nested.as_object_mut()?, inner, value)
        }
        None if object.contains_key(key) => None,
        None => {
            object.insert(key.to_owned(), value);
            Some(())
        }
    }
}

/// Numbers, booleans, objects, arrays and quoted strings are JSON; everything else is a string,
/// including numbers that JSON would write differently (`007`, twenty digits).
fn value_of(text: &str) -> Value {
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Number(number)) if number.to_string() == text => Value::Number(number),
        Ok(value @ (Value::Bool(_) | Value::Object(_) | Value::Array(_) | Value::String(_))) => value,
        _ => text.into(),
    }
}

/// The fields of a v2 request.
pub(super) fn xml(fields: &[(String, String)]) -> Bytes {
    xml::write(&fields.iter().cloned().collect()).into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_typed_target_is_encoded_once() {
        assert_eq!(encode_target("/a/券 1|x?q=a%2Fb&r=5%"), "/a/%E5%88%B8%201%7Cx?q=a%2Fb&r=5%25");
    }

    #[test]
    fn fields_join_a_query_that_is_there_or_not() {
        assert_eq!(with_query("/a", &fields(&[("b", "1 2"), ("c", "券")])), "/a?b=1%202&c=%E5%88%B8");
        assert_eq!(with_query("/a?x=1", &fields(&[("b", "&")])), "/a?x=1&b=%26");
    }

    #[test]
    fn values_are_json_where_they_are_and_text_elsewhere() {
        let typed = [
            ("n", "12"),
            ("f", "1.5"),
            ("t", "true"),
            ("o", r#"{"a":[1]}"#),
            ("q", r#""12""#),
            ("z", "007"),
            ("long", "123456789012345678901234567890"),
            ("w", "null"),
            ("v", "满减"),
        ];
        let json = json(&fields(&typed)).unwrap();
        assert_eq!(
            std::str::from_utf8(&json).unwrap(),
            r#"{"n":12,"f":1.5,"t":true,"o":{"a":[1]},"q":"12","z":"007","long":"123456789012345678901234567890","w":"null","v":"满减"}"#
        );
    }

    #[test]
    fn dots_nest_and_contradictions_are_refused() {
        assert_eq!(json(&fields(&[("a.b.c", "1"), ("a.d", "x")])).unwrap(), r#"{"a":{"b":{"c":1},"d":"x"}}"#);
        assert_eq!(json(&fields(&[("a", "1"), ("a.b", "2")])), Err("a.b".to_owned()));
        assert_eq!(json(&fields(&[("a", "1"), ("a", "2")])), Err("a".to_owned()));
        assert_eq!(json(&[]).unwrap(), "{}");
    }

    proptest! {
        #[test]
        fn an_encoded_target_stays_as_it_is(typed in "/[ -~一-龥]{0,30}") {
            let once = encode_target(&typed);
            prop_assert_eq!(encode_target(&once), once);
        }
    }
}
