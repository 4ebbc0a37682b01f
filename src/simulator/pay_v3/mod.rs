//! The v3 API: authenticates requests and signs answers; its endpoints are in the submodules
//! (reference v3 §1, §2, §4).

mod associations;
mod bills;
mod callbacks;
mod certificates;
mod codes;
mod coupons;
mod issues;
mod pool_changes;
mod query;
mod redemptions;
mod refusal;
mod stock_changes;
mod stocks;
mod subsidies;
mod subsidy_orders;
mod write;

use serde_json::Value;

use super::answer::Answer;
use super::exchange::{Endpoint, Exchange};
use super::faults::Kind;
use super::memory::held;
use super::signature::{Authorization, Flaw, PROBE_PREFIX, serial_text};

pub(super) use refusal::refuse;

/// The endpoints of v3 this server answers.
pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint::v3("GET", "/v3/certificates", certificates::list),
    Endpoint::v3("POST", "/v3/security/echo", certificates::echo),
    Endpoint::v3("GET", "/v3/bill/tradebill", bills::apply_trade),
    Endpoint::v3("GET", "/v3/bill/fundflowbill", bills::apply_fund_flow),
    Endpoint::v3("GET", bills::DOWNLOAD_PATH, bills::download),
    Endpoint::v3("GET", "/v3/marketing/busifavor/callbacks", callbacks::get),
    Endpoint::v3("GET", "/v3/marketing/busifavor/stocks/{stock_id}", stocks::get),
    Endpoint::v3("GET", "/v3/marketing/busifavor/stocks/{stock_id}/couponcodes", codes::list),
    Endpoint::v3("GET", "/v3/marketing/busifavor/stocks/{stock_id}/couponcodes/{coupon_code}", codes::get),
    Endpoint::v3("GET", "/v3/marketing/busifavor/users/{openid}/coupons", coupons::list),
    Endpoint::v3("GET", "/v3/marketing/busifavor/users/{openid}/coupons/{coupon_code}/appids/{appid}", coupons::get),
    Endpoint::v3("GET", "/v3/marketing/busifavor/subsidy/pay-receipts", subsidies::list_payments),
    Endpoint::v3("GET", "/v3/marketing/busifavor/subsidy/pay-receipts/{subsidy_receipt_id}", subsidies::get_payment),
    Endpoint::v3(
        "GET",
        "/v3/marketing/busifavor/subsidy/return-receipts/{subsidy_return_receipt_id}",
        subsidies::get_return,
    ),
    Endpoint::v3("POST", "/v3/marketing/busifavor/callbacks", callbacks::set),
    Endpoint::v3("POST", "/v3/marketing/busifavor/coupons/use", redemptions::redeem),
    Endpoint::v3("POST", "/v3/marketing/busifavor/coupons/return", redemptions::give_back),
    Endpoint::v3("POST", "/v3/marketing/busifavor/coupons/deactivate", redemptions::deactivate),
    Endpoint::v3("POST", "/v3/marketing/busifavor/coupons/associate", associations::associate),
    Endpoint::v3("POST", "/v3/marketing/busifavor/coupons/disassociate", associations::disassociate),
    Endpoint::v3("POST", "/v3/marketing/busifavor/coupons/send", issues::send),
    Endpoint::v3("POST", "/v3/marketing/busifavor/stocks/{stock_id}/couponcodes", pool_changes::upload),
    Endpoint::v3("DELETE", "/v3/marketing/busifavor/stocks/{stock_id}/couponcodes/{coupon_code}", pool_changes::delete),
    Endpoint::v3("POST", "/v3/marketing/busifavor/stocks", stock_changes::create),
    Endpoint::v3("PATCH", "/v3/marketing/busifavor/stocks/{stock_id}", stock_changes::modify),
    Endpoint::v3("PATCH", "/v3/marketing/busifavor/stocks/{stock_id}/budget", stock_changes::set_budget),
    Endpoint::v3("POST", "/v3/marketing/busifavor/subsidy/pay-receipts", subsidy_orders::pay),
    Endpoint::v3("POST", "/v3/marketing/busifavor/subsidy/return-receipts", subsidy_orders::give_back),
];

/// Ten minutes: outside every client's window.
const SKEW_SECONDS: i64 = 600;

/// Checks headers, then the signature (reference v3 §1.2, §1.1).
pub(super) fn admit(exchange: &Exchange<'_>) -> Result<(), Answer> {
    let call = exchange.call;
    if call.header("accept").is_none() || call.header("user-agent").is_none() {
        return Err(refuse(400, "INVALID_REQUEST", "Http头缺少Accept或User-Agent"));
    }
    let header = call.header("authorization").ok_or_else(|| refusal::refuse_flaw(Flaw::Format))?;
    let authorization = Authorization::parse(header).map_err(refusal::refuse_flaw)?;
    let message = authorization.message(&call.method, &call.target, &call.body);
    let office = exchange.office;
    match authorization.check(&message, &office.account, &office.keys, exchange.clock_now) {
        Ok(()) => held(&office.tally).add_nonce(authorization.nonce),
        Err(Flaw::Signature) => return Err(refusal::refuse_signature(call, &message)),
        Err(flaw) => return Err(refusal::refuse_flaw(flaw)),
    }
    Ok(())
}

/// Makes an answer WeChat's: request id on all, signature on what is signable (reference v3 §1.3).
pub(super) fn finish(exchange: &Exchange<'_>, answer: Answer) -> Answer {
    if answer.body.is_empty() && !answer.is_success() || exchange.endpoint.template == bills::DOWNLOAD_PATH {
        return answer;
    }
    if exchange.plays(Kind::KeyRotation) {
        certificates::rotate(exchange);
    }
    let answer = match exchange.unknown_state("REDEEM_CONFIRMING") {
        Some(word) => with_states(answer, &word),
        None => answer,
    };
    let request_id = format!("08{}-0", serial_text("request id", exchange.serial, 40));
    let answer = answer.with_header("Request-ID", request_id);
    if answer.is_signable && !exchange.plays(Kind::MissingSignature) {
        with_signature(exchange, answer)
    } else {
        answer
    }
}

fn with_signature(exchange: &Exchange<'_>, answer: Answer) -> Answer {
    let skew = if exchange.plays(Kind::SkewedTimestamp) { SKEW_SECONDS } else { 0 };
    let timestamp = exchange.clock_now.timestamp() - skew;
    let nonce = serial_text("answer nonce", exchange.serial, 32);
    let mut signed = answer.body.clone();
    if exchange.plays(Kind::WrongSignature) {
        signed.push(b' ');
    }
    let mut signature = exchange.office.keys.sign_answer(timestamp, &nonce, &signed);
    if exchange.plays(Kind::ProbeSignature) {
        signature.insert_str(0, PROBE_PREFIX);
    }
    answer
        .with_header("Wechatpay-Timestamp", timestamp.to_string())
        .with_header("Wechatpay-Nonce", nonce)
        .with_header("Wechatpay-Signature", signature)
        .with_header("Wechatpay-Serial", serial_of_key(exchange))
        .with_header("Wechatpay-Signature-Type", "WECHATPAY2-SHA256-RSA2048".to_owned())
}

/// The request names the key; without a name it is the platform certificate, if there is one
/// (reference v3 §1.4).
fn serial_of_key(exchange: &Exchange<'_>) -> String {
    let account = &exchange.office.account;
    let names_public_key = exchange.call.header("wechatpay-serial") == Some(account.public_key_id.as_str());
    if names_public_key || account.platform_certificate_pem.is_empty() {
        return account.public_key_id.clone();
    }
    let rotated = held(&exchange.office.rotated);
    rotated.as_ref().map_or_else(|| account.platform_certificate_serial.clone(), |(_, serial)| serial.clone())
}

fn with_states(answer: Answer, word: &str) -> Answer {
    match serde_json::from_slice::<Value>(&answer.body) {
        Ok(mut body) => {
            replace_states(&mut body, word);
            Answer { body: body.to_string().into_bytes(), ..answer }
        }
        Err(_) => answer,
    }
}

fn replace_states(value: &mut Value, word: &str) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| replace_states(item, word)),
        Value::Object(map) => {
            for (key, item) in map.iter_mut() {
                match key.as_str() {
                    "coupon_state" | "stock_state" | "code_status" | "status" => *item = word.into(),
                    _ => replace_states(item, word),
                }
            }
        }
        _ => (),
    }
}

#[cfg(test)]
mod tests;
