//! GET callbacks: where notifications go (reference v3 §2.17).

use serde_json::json;

use super::refusal::unknown;
use crate::simulator::answer::Answer;
use crate::simulator::exchange::Exchange;
use crate::simulator::memory::held;

/// The URL of the merchant.
pub(super) fn get(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let mchid = &exchange.office.account.mchid;
    if exchange.call.query("mchid").is_some_and(|asked| asked != *mchid) {
        return Err(super::refuse(403, "NO_AUTH", "商户无权限"));
    }
    let notify_url = held(&exchange.office.memory).world.notify_url.clone();
    let notify_url = notify_url.ok_or_else(|| unknown("回调地址"))?;
    Ok(Answer::json(200, &json!({"mchid": mchid, "notify_url": notify_url})))
}
