//! Deserialises wire values that come in more than one JSON type (reference v3 §1.8, MP §D): numbers and booleans
//! as strings, strings as numbers, null for absent. A value that fits no reading is an error that names its type;
//! nothing is guessed.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::money::Fen;

/// Unknown fields of an answer, in wire order.
pub type Extra = Map<String, Value>;

/// The type of strings in an answer: `String`, or a `Cow` that borrows unescaped strings from the body.
pub trait Text<'de>: From<&'de str> + From<String> + AsRef<str> {}

impl<'de, T: From<&'de str> + From<String> + AsRef<str>> Text<'de> for T {}

/// A string that may come as a number or boolean; null and absent are `None`.
pub fn text<'de, D: Deserializer<'de>, T: Text<'de>>(json: D) -> Result<Option<T>, D::Error> {
    json.deserialize_any(AnyText(PhantomData))
}

/// Deserialises a string without an intermediate JSON value, since most values are strings.
struct AnyText<T>(PhantomData<T>);

impl<'de, T: Text<'de>> Visitor<'de> for AnyText<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Option<T>, E> {
        Ok(Some(text.into()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Option<T>, E> {
        self.visit_string(text.to_owned())
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Option<T>, E> {
        Ok(Some(text.into()))
    }

    fn visit_unit<E: Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Option<T>, E> {
        self.visit_string(flag.to_string())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Option<T>, E> {
        self.visit_string(number.to_string())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Option<T>, E> {
        self.visit_string(number.to_string())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Option<T>, E> {
        if number.abs() >= EVERY_DIGIT_BELOW {
            return Err(E::custom("a number has more digits than can be read exactly: it should be sent as text"));
        }
        self.visit_string(Value::from(number).to_string())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Option<T>, A::Error> {
        Err(not("text", &Value::deserialize(SeqAccessDeserializer::new(items))?))
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Option<T>, A::Error> {
        Err(not("text", &Value::deserialize(MapAccessDeserializer::new(entries))?))
    }
}

/// Ids of 22 and 28 digits are common; numbers above this (2⁵³) would be read as other ids.
const EVERY_DIGIT_BELOW: f64 = 9_007_199_254_740_992.0;

/// A key: a string or number, never empty.
pub fn key<'de, D: Deserializer<'de>, T: Text<'de>>(json: D) -> Result<T, D::Error> {
    match text::<D, T>(json)? {
        Some(text) if !text.as_ref().is_empty() => Ok(text),
        _ => Err(D::Error::custom("an id is empty")),
    }
}

/// No count or time of these APIs comes near; sums of larger ones would overflow 64 bits.
pub(crate) const LARGEST_INTEGER: u64 = 1_000_000_000_000_000;

/// An integer that may come as a string; null, absent and the empty string are `None`.
pub fn integer<'de, D: Deserializer<'de>>(json: D) -> Result<Option<i64>, D::Error> {
    let value = Value::deserialize(json)?;
    let number = match &value {
        Value::Null => return Ok(None),
        Value::String(text) if text.trim().is_empty() => return Ok(None),
        Value::String(text) => text.trim().parse().ok(),
        Value::Number(number) => number.as_i64(),
        _ => None,
    };
    match number {
        Some(number) if number.unsigned_abs() > LARGEST_INTEGER => Err(not("a number of a size that occurs", &value)),
        Some(number) => Ok(Some(number)),
        None => Err(not("a whole number", &value)),
    }
}

/// An amount in whole fen; no amount of these APIs is negative.
pub fn fen<'de, D: Deserializer<'de>>(json: D) -> Result<Option<Fen>, D::Error> {
    match integer(json)?.map(Fen) {
        Some(fen) if !fen.is_plausible() => Err(D::Error::custom(format!("{fen} yuan is more than any amount"))),
        Some(fen) if fen < Fen::ZERO => Err(D::Error::custom(format!("{fen} yuan is less than nothing"))),
        fen => Ok(fen),
    }
}

/// How many there are of something: an integer that is not negative.
pub fn count<'de, D: Deserializer<'de>>(json: D) -> Result<Option<i64>, D::Error> {
    match integer(json)? {
        Some(count) if count < 0 => Err(D::Error::custom(format!("{count} is less than none"))),
        count => Ok(count),
    }
}

/// Percent to pay, at most 100.
pub fn percent<'de, D: Deserializer<'de>>(json: D) -> Result<Option<i64>, D::Error> {
    match count(json)? {
        Some(percent) if percent > 100 => Err(D::Error::custom(format!("{percent} percent is more than the price"))),
        percent => Ok(percent),
    }
}

/// A boolean that may come as `"true"`, `"false"`, 0 or 1; null, absent and the empty string are `None`.
pub fn boolean<'de, D: Deserializer<'de>>(json: D) -> Result<Option<bool>, D::Error> {
    let value = Value::deserialize(json)?;
    match &value {
        Value::Null => Ok(None),
        Value::Bool(flag) => Ok(Some(*flag)),
        Value::Number(number) if number.as_i64() == Some(0) => Ok(Some(false)),
        Value::Number(number) if number.as_i64() == Some(1) => Ok(Some(true)),
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "" => Ok(None),
            "true" | "1" => Ok(Some(true)),
            "false" | "0" => Ok(Some(false)),
            _ => Err(not("a boolean", &value)),
        },
        _ => Err(not("a boolean", &value)),
    }
}

/// A list; null is an empty one.
pub fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(json: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::<Vec<T>>::deserialize(json)?.unwrap_or_default())
}

/// A list of integers, each of which may come as a string.
pub fn integers<'de, D: Deserializer<'de>>(json: D) -> Result<Vec<i64>, D::Error> {
    #[derive(Deserialize)]
    struct Item(#[serde(deserialize_with = "integer")] Option<i64>);
    Ok(list::<D, Item>(json)?.into_iter().filter_map(|item| item.0).collect())
}

/// A type that is read field by field, and its unknown fields.
pub trait Open: DeserializeOwned + Default {
    /// Its unknown fields.
    fn extra(&mut self) -> &mut Extra;
}

/// An inner object read field by field; null and absent are `None`.
pub fn object<'de, D: Deserializer<'de>, T: Open>(json: D) -> Result<Option<T>, D::Error> {
    match Value::deserialize(json)? {
        Value::Null => Ok(None),
        Value::Object(fields) => Ok(Some(fields_of(fields))),
        value => Err(not("an object", &value)),
    }
}

/// Reads an object all of whose fields are optional. A field that fits no reading counts as absent and is kept
/// unchanged among the unknown fields: one odd value affects nothing else.
pub fn fields_of<T: Open>(fields: Extra) -> T {
    let fits = |name: &str, value: &Value| T::deserialize(json!({ name: value })).is_ok();
    let (fitting, odd): (Extra, Extra) = fields.into_iter().partition(|(name, value)| fits(name, value));
    let mut read = T::deserialize(Value::Object(fitting)).unwrap_or_default();
    read.extra().extend(odd);
    read
}

/// Unknown fields for the `extra` column of a dataset: canonical JSON (sorted keys), `None` when empty.
pub fn extra_json(extra: &Extra) -> Option<String> {
    if extra.is_empty() {
        return None;
    }
    let sorted: std::collections::BTreeMap<_, _> = extra.iter().map(|(key, value)| (key, Sorted(value))).collect();
    Some(serde_json::to_string(&sorted).expect("JSON values can be written"))
}

/// A value written with the keys of all its objects sorted.
struct Sorted<'a>(&'a Value);

impl Serialize for Sorted<'_> {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(map) => {
                let mut entries: Vec<_> = map.iter().collect();
                entries.sort_by_key(|(key, _)| key.as_str());
                out.collect_map(entries.into_iter().map(|(key, value)| (key, Sorted(value))))
            }
            Value::Array(items) => out.collect_seq(items.iter().map(Sorted)),
            scalar => scalar.serialize(out),
        }
    }
}

fn not<E: Error>(expected: &str, value: &Value) -> E {
    E::custom(format!("{} is not {expected}", kind(value)))
}

/// The type of a value, not the value: it may be an openid (design §2).
fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "a boolean".to_owned(),
        Value::Number(_) => "a number".to_owned(),
        Value::String(text) => format!("a text of {} characters", text.chars().count()),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_booleans_are_read_in_both_spellings() {
        assert_eq!(integer(json!("42")).unwrap(), Some(42));
        assert_eq!(integer(json!(-7)).unwrap(), Some(-7));
        assert_eq!(integer(json!(" ")).unwrap(), None);
        assert_eq!(fen(json!("100")).unwrap(), Some(Fen(100)));
        for (value, flag) in [(json!("false"), false), (json!("TRUE"), true), (json!(1), true), (json!(false), false)] {
            assert_eq!(boolean(value).unwrap(), Some(flag));
        }
        assert_eq!(text::<_, String>(json!(12345678901234567890u64)).unwrap().as_deref(), Some("12345678901234567890"));
        for (value, read) in [
            (json!(-7), "-7"),
            (json!(100.0), "100.0"),
            (json!(0.5), "0.5"),
            (json!(true), "true"),
            (json!("券"), "券"),
        ] {
            assert_eq!(text::<_, String>(&value).unwrap().as_deref(), Some(read));
            assert_eq!(
                text::<_, String>(&mut serde_json::Deserializer::from_str(&value.to_string())).unwrap().as_deref(),
                Some(read)
            );
        }
        assert_eq!(text::<_, String>(json!(null)).unwrap(), None);
        assert_eq!(integers(json!(["1", 2])).unwrap(), [1, 2]);
        assert_eq!(integers(Value::Null).unwrap(), [0i64; 0]);
    }

    #[test]
    fn what_fits_no_reading_is_an_error_with_the_type_and_without_the_value() {
        let message = |error: serde_json::Error| error.to_string();
        assert_eq!(message(integer(json!("5.0")).unwrap_err()), "a text of 3 characters is not a whole number");
        assert_eq!(message(integer(json!(0.5)).unwrap_err()), "a number is not a whole number");
        assert_eq!(message(boolean(json!("yes")).unwrap_err()), "a text of 3 characters is not a boolean");
        assert_eq!(message(key::<_, String>(json!("")).unwrap_err()), "an id is empty");
        assert_eq!(message(text::<_, String>(json!([1, {"a": 2}])).unwrap_err()), "a list is not text");
        assert_eq!(message(text::<_, String>(json!({"a": [1]})).unwrap_err()), "an object is not text");
    }

    #[test]
    fn amounts_and_counts_below_zero_and_more_than_the_whole_price_are_none() {
        let message = |error: serde_json::Error| error.to_string();
        assert_eq!(message(fen(json!(-5)).unwrap_err()), "-0.05 yuan is less than nothing");
        assert_eq!(message(count(json!("-1")).unwrap_err()), "-1 is less than none");
        assert_eq!(message(percent(json!(101)).unwrap_err()), "101 percent is more than the price");
        assert_eq!(message(percent(json!(-1)).unwrap_err()), "-1 is less than none");
        assert_eq!((fen(json!(0)).unwrap(), fen(Value::Null).unwrap()), (Some(Fen::ZERO), None));
        assert_eq!((count(json!("0")).unwrap(), percent(json!(100)).unwrap()), (Some(0), Some(100)));
    }

    #[test]
    fn an_id_whose_digits_do_not_fit_a_number_is_an_error_never_another_id() {
        for digits in ["1227944959000000911017", "4200000913202101152566792388", "-9007199254740992.0", "1e30"] {
            let json = &mut serde_json::Deserializer::from_str(digits);
            let error = text::<_, String>(json).unwrap_err().to_string();
            assert!(error.starts_with("a number has more digits than can be read"), "{error}");
            assert!(key::<_, String>(&mut serde_json::Deserializer::from_str(digits)).is_err(), "{digits}");
        }
    }

    #[test]
    fn extra_fields_are_written_in_one_order() {
        let extra = json!({"b": {"y": 1, "x": [{"n": 1, "m": 2}]}, "a": "券"}).as_object().unwrap().clone();
        assert_eq!(extra_json(&extra).unwrap(), r#"{"a":"券","b":{"x":[{"m":2,"n":1}],"y":1}}"#);
        assert_eq!(extra_json(&Extra::new()), None);
    }
}
