//! The XML envelope of v2 requests and answers: parsing, refusing, signing (reference v2 §A). Knows no stock and no
//! coupon.

use super::xml::{self, Fields};
use crate::simulator::answer::Answer;
use crate::simulator::exchange::Exchange;
use crate::simulator::faults::Kind;
use crate::simulator::signature::{PROBE_PREFIX, md5_signature, serial_text};

/// The path of the bill call, whose refusals have a number.
pub(super) const BILL_PATH: &str = "/pay/downloadbill";

/// The fields of the request.
pub(super) fn asked(exchange: &Exchange<'_>) -> Result<Fields, Answer> {
    let text = std::str::from_utf8(&exchange.call.body).ok();
    text.and_then(xml::parse).ok_or_else(|| refuse(exchange, "XML格式错误"))
}

/// `return_code` FAIL: nothing else is guaranteed, nothing is signed. The bill call has a number
/// for it (reference v2 §B.5).
pub(in crate::simulator) fn refuse(exchange: &Exchange<'_>, message: &str) -> Answer {
    let number = (exchange.endpoint.template == BILL_PATH).then_some("20001");
    fail(message, number)
}

/// The refusal of the bill call when there is no bill.
pub(in crate::simulator) fn refuse_bill() -> Answer {
    fail("No Bill Exist", Some("20002"))
}

/// The same with the number of a bill call, if it is one.
pub(super) fn fail(message: &str, number: Option<&str>) -> Answer {
    let mut fields = vec![("return_code", "FAIL"), ("return_msg", message)];
    fields.extend(number.map(|number| ("error_code", number)));
    document(fields.into_iter())
}

/// A business error: `return_code` SUCCESS, `result_code` FAIL.
pub(in crate::simulator) fn business_error(exchange: &Exchange<'_>, code: &str, description: &str) -> Answer {
    let fields = [("result_code", "FAIL"), ("err_code", code), ("err_code_des", description)];
    enveloped(exchange, &fields, Sign::Given)
}

/// Whether an answer carries its `sign`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    Given,
    LeftOut,
}

/// An answer in its envelope; `sign` covers every non-empty field (reference v2 §A.2).
pub(super) fn enveloped(exchange: &Exchange<'_>, fields: &[(&str, &str)], given: Sign) -> Answer {
    let account = &exchange.office.account;
    let nonce = serial_text("v2 nonce", exchange.serial, 32);
    let envelope = [
        ("return_code", "SUCCESS"),
        ("return_msg", "OK"),
        ("appid", account.appid.as_str()),
        ("mch_id", account.mchid.as_str()),
        ("nonce_str", nonce.as_str()),
    ];
    // The known ones are powers of two up to 16.
    let word = exchange.unknown_state("512");
    let fields = fields.iter().map(|(name, value)| match &word {
        Some(word) if STATES.contains(name) => (*name, word.as_str()),
        _ => (*name, *value),
    });
    let mut all: Vec<(&str, &str)> = envelope.into_iter().chain(fields).collect();
    let sign = sign(exchange, &all);
    if given == Sign::Given && !exchange.plays(Kind::MissingSignature) {
        all.insert(envelope.len(), ("sign", &sign));
    }
    document(all.into_iter())
}

/// Fields that contain a state.
const STATES: [&str; 2] = ["coupon_state", "coupon_stock_status"];

fn sign(exchange: &Exchange<'_>, fields: &[(&str, &str)]) -> String {
    let key = if exchange.plays(Kind::WrongSignature) { "another key" } else { &exchange.office.account.v2_key };
    let prefix = if exchange.plays(Kind::ProbeSignature) { PROBE_PREFIX } else { "" };
    format!("{prefix}{}", md5_signature(fields.iter().copied(), key))
}

fn document<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> Answer {
    Answer::bytes(200, "text/xml", xml::write(fields).into_bytes())
}
