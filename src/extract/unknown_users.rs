//! Users in fields that this version does not know: an openid or unionid in the column `extra` is published as in a column
//! of its own. It is known by the name of its field or by its own shape. Knows no user.

use serde_json::Value;

use crate::pseudonyms::Pseudonyms;
use crate::wechat::lenient::{Extra, extra_json};
use crate::wechat::wording::{OPENID, with_openids};

/// Unknown fields with the users in them published.
pub(super) fn published(fields: &Extra, pseudonyms: &Pseudonyms) -> Extra {
    let publish = |(name, value): (&String, &Value)| {
        let name_published = published_text("", name, pseudonyms);
        (name_published, published_value(name, value, pseudonyms))
    };
    fields.iter().map(publish).collect()
}

/// The column `extra` of a row that was made before, with the users in it published.
pub fn published_extra(extra: &str, pseudonyms: &Pseudonyms) -> String {
    let fields: Option<Extra> = serde_json::from_str(extra).ok();
    fields.and_then(|fields| extra_json(&published(&fields, pseudonyms))).unwrap_or_else(|| extra.to_owned())
}

fn published_value(name: &str, value: &Value, pseudonyms: &Pseudonyms) -> Value {
    match value {
        Value::String(text) => Value::String(published_text(name, text, pseudonyms)),
        Value::Array(items) => items.iter().map(|item| published_value(name, item, pseudonyms)).collect(),
        Value::Object(fields) => Value::Object(published(fields, pseudonyms)),
        other => other.clone(),
    }
}

/// The text of a field, with the users in it published.
pub(super) fn published_text(name: &str, text: &str, pseudonyms: &Pseudonyms) -> String {
    match names_user(name) && !text.is_empty() {
        true => pseudonyms.publish(text),
        false => with_openids(text, |run| {
            let (openid, rest) = run.split_at(OPENID);
            pseudonyms.publish(openid) + &published_text("", rest, pseudonyms)
        }),
    }
}

/// `openid`, `sub_openid`, `receiver_openids`, `unionid`.
fn names_user(name: &str) -> bool {
    let name = name.trim_end_matches('s');
    ["openid", "unionid"].iter().any(|user| {
        let at = name.len().checked_sub(user.len());
        at.and_then(|at| name.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case(user))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OPENID: &str = "odXnH1CJjeQoWTld48db-pnxs-Wg";

    fn publish(extra: &Value) -> Value {
        let fields = published(extra.as_object().unwrap(), &Pseudonyms::hmac(b"key"));
        Value::Object(fields)
    }

    #[test]
    fn a_user_is_published_by_the_name_of_the_field_or_by_its_shape_wherever_it_stands() {
        let hidden = Pseudonyms::hmac(b"key").publish(OPENID);
        let short = Pseudonyms::hmac(b"key").publish("o1");
        let extra = json!({
            "openid": "o1", "giver": {"sub_openid": "o1", "openIds": ["o1", "o1"], "unionid": ""},
            "note": format!("given by user_{OPENID}, twice {OPENID}{OPENID}"), OPENID: [{"x": OPENID}]
        });
        let expected = json!({
            "openid": short, "giver": {"sub_openid": short, "openIds": [short, short], "unionid": ""},
            "note": format!("given by user_{hidden}, twice {hidden}{hidden}"), hidden.as_str(): [{"x": hidden}]
        });
        assert_eq!(publish(&extra), expected);
        assert!(!publish(&extra).to_string().contains(OPENID));
    }

    #[test]
    fn everything_else_stays_as_it_came() {
        let extra = json!({
            "loyalty": {"tier": 3, "note": "openid"}, "card_id": "pFYHLvuDbMbr241m00CAhtypawpw", "openid_count": "1",
            "code": "1227944959000000911017", "flags": [null, true, 1.5], "hash": "0".repeat(64)
        });
        assert_eq!(publish(&extra), extra);
        let raw = json!({"openid": OPENID, "note": OPENID});
        assert_eq!(Value::Object(published(raw.as_object().unwrap(), &Pseudonyms::raw())), raw);
    }

    #[test]
    fn a_column_made_before_is_published_in_the_same_order() {
        let keys = Pseudonyms::hmac(b"key");
        let hidden = keys.publish(OPENID);
        let extra = format!(r#"{{"a":{{"openid":"{OPENID}"}},"b":1}}"#);
        assert_eq!(published_extra(&extra, &keys), format!(r#"{{"a":{{"openid":"{hidden}"}},"b":1}}"#));
        assert_eq!(published_extra("not JSON", &keys), "not JSON");
    }
}
