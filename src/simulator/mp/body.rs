//! The JSON body of a call, and the defaults of missing members.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::errcode::refuse;
use crate::simulator::answer::Answer;
use crate::simulator::exchange::Exchange;

/// The members of a JSON object.
pub(super) type Fields = Map<String, Value>;

/// A text of a body; empty when absent.
pub(super) fn text<'a>(body: &'a Fields, key: &str) -> &'a str {
    body.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A whole number of a body; 0 when absent.
pub(super) fn integer(body: &Fields, key: &str) -> i64 {
    body.get(key).and_then(Value::as_i64).unwrap_or(0)
}

/// A yes or no of a body; no when absent.
pub(super) fn truth(body: &Fields, key: &str) -> bool {
    body.get(key).and_then(Value::as_bool).unwrap_or(false)
}

/// An object within a body.
pub(super) fn object<'a>(body: &'a Fields, key: &str) -> Option<&'a Fields> {
    body.get(key).and_then(Value::as_object)
}

/// The request as a typed body; 44002 and 47001 for none or a broken one.
pub(super) fn read_body<T: DeserializeOwned>(exchange: &Exchange<'_>) -> Result<T, Answer> {
    if exchange.call.body.is_empty() {
        return Err(refuse(exchange, 44002, "empty post data"));
    }
    serde_json::from_slice(&exchange.call.body).map_err(|_| refuse(exchange, 47001, "data format error"))
}
