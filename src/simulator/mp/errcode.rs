//! The result of a call: `errcode` and `errmsg`, zero for success (reference MP §C.3). Decides nothing.

use serde_json::{Value, json};

use crate::simulator::answer::Answer;
use crate::simulator::exchange::Exchange;
use crate::simulator::signature::serial_text;

/// `errcode` and `errmsg`, with the changing suffix of the real server (reference MP §C.3).
pub(in crate::simulator) fn refuse(exchange: &Exchange<'_>, errcode: i64, message: &str) -> Answer {
    let rid = serial_text("rid", exchange.serial, 8).to_ascii_lowercase();
    Answer::json(200, &json!({"errcode": errcode, "errmsg": format!("{message} rid: {rid}")}))
}

/// A success with these fields behind `errcode` and `errmsg`.
pub(super) fn done(fields: &Value) -> Answer {
    let mut body = json!({"errcode": 0, "errmsg": "ok"});
    if let (Some(body), Some(fields)) = (body.as_object_mut(), fields.as_object()) {
        body.extend(fields.clone());
    }
    Answer::json(200, &body)
}
