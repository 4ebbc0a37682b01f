//! Users in fields that this version does not know: an openid or unionid in the column `extra` is published as in a column
//! of its own. It is known by the name of its field, by its own shape, or as the user whom the answer is about.

use serde_json::Value;

use super::night::Imprint;
use crate::wechat::lenient::{Extra, extra_json};
use crate::wechat::wording::{OPENID, with_openids};

/// Unknown fields with the users in them published.
pub(super) fn published(fields: &Extra, imprint: Imprint<'_>) -> Extra {
    let publish =
        |(name, value): (&String, &Value)| (published_text("", name, imprint), published_value(name, value, imprint));
    fields.iter().map(publish).collect()
}

/// The column `extra` of a row that was made before, with the users in it published.
pub(super) fn published_extra(extra: &str, imprint: Imprint<'_>) -> String {
    let fields: Option<Extra> = serde_json::from_str(extra).ok();
    fields.and_then(|fields| extra_json(&published(&fields, imprint))).unwrap_or_else(|| extra.to_owned())
}

fn published_value(name: &str, value: &Value, imprint: Imprint<'_>) -> Value {
    match value {
        Value::String(text) => Value::String(published_text(name, text, imprint)),
        Value::Array(items) => items.iter().map(|item| published_value(name, item, imprint)).collect(),
        Value::Object(fields) => Value::Object(published(fields, imprint)),
        other => other.clone(),
    }
}

/// The text of a field, with the users in it published.
pub(super) fn published_text(name: &str, text: &str, imprint: Imprint<'_>) -> String {
    let publish = |openid: &str| imprint.pseudonyms.publish(openid);
    if names_user(name) && !text.is_empty() {
        return publish(text);
    }
    with_openids(text, imprint.user, |run| match imprint.user == Some(run) {
        true => publish(run),
        false => publish(&run[..OPENID]) + &published_text("", &run[OPENID..], imprint),
    })
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
    use crate::pseudonyms::Pseudonyms;

    const OPENID: &str = "odXnH1CJjeQoWTld48db-pnxs-Wg";

    fn imprint<'a>(pseudonyms: &'a Pseudonyms, user: Option<&'a str>) -> Imprint<'a> {
        Imprint { pseudonyms, user, ..Imprint::raw(chrono::NaiveDate::MIN) }
    }

    fn publish(extra: &Value) -> Value {
        let keys = Pseudonyms::hmac(b"key");
        Value::Object(published(extra.as_object().unwrap(), imprint(&keys, None)))
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
    fn the_user_whom_the_answer_is_about_is_published_whatever_its_shape_and_the_name_of_the_field() {
        let keys = Pseudonyms::hmac(b"key");
        let [one, other] = ["user-1", OPENID].map(|openid| keys.publish(openid));
        let extra = json!({"owner": "user-1", "by": format!("user-1/{OPENID}"), "n": 1, "word": "user-12"});
        let told = published(extra.as_object().unwrap(), imprint(&keys, Some("user-1")));
        assert_eq!(
            Value::Object(told),
            json!({"owner": one, "by": format!("{one}/{other}"), "n": 1, "word": "user-12"})
        );
    }

    #[test]
    fn everything_else_stays_as_it_came() {
        let extra = json!({
            "loyalty": {"tier": 3, "note": "openid"}, "card_id": "pFYHLvuDbMbr241m00CAhtypawpw", "openid_count": "1",
            "code": "1227944959000000911017", "flags": [null, true, 1.5], "hash": "0".repeat(64)
        });
        assert_eq!(publish(&extra), extra);
        let raw = json!({"openid": OPENID, "note": OPENID});
        assert_eq!(Value::Object(published(raw.as_object().unwrap(), imprint(&Pseudonyms::raw(), Some(OPENID)))), raw);
    }

    #[test]
    fn a_column_made_before_is_published_in_the_same_order() {
        let keys = Pseudonyms::hmac(b"key");
        let hidden = keys.publish(OPENID);
        let extra = format!(r#"{{"a":{{"openid":"{OPENID}"}},"b":1}}"#);
        assert_eq!(published_extra(&extra, imprint(&keys, None)), format!(r#"{{"a":{{"openid":"{hidden}"}},"b":1}}"#));
        assert_eq!(published_extra("not JSON", imprint(&keys, None)), "not JSON");
    }
}
