//! The URL to which notifications are sent (reference v3 §2.16, §2.17).

use serde_json::json;

use super::refusal::{Location, refuse, refuse_parameter, unknown};
use super::write::Body;
use crate::simulator::answer::Answer;
use crate::simulator::exchange::Exchange;
use crate::simulator::memory::held;
use crate::simulator::state::wire_time;

/// The URL of the merchant.
pub(super) fn get(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let mchid = &exchange.office.account.mchid;
    if exchange.call.query("mchid").is_some_and(|asked| asked != *mchid) {
        return Err(refuse(403, "NO_AUTH", "商户无权限"));
    }
    let notify_url = held(&exchange.office.memory).world.notify_url.clone();
    let notify_url = notify_url.ok_or_else(|| unknown("回调地址"))?;
    Ok(Answer::json(200, &json!({"mchid": mchid, "notify_url": notify_url})))
}

/// Sets the URL: https, without a query.
pub(super) fn set(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let notify_url = Body::read(exchange)?.text("notify_url", 256)?;
    if !notify_url.starts_with("https://") || notify_url.contains('?') {
        return Err(refuse_parameter("notify_url", &notify_url, Location::Body));
    }
    held(&exchange.office.memory).world.notify_url = Some(notify_url.clone());
    let update_time = wire_time(exchange.world_now);
    let mchid = &exchange.office.account.mchid;
    Ok(Answer::json(200, &json!({"update_time": update_time, "notify_url": notify_url, "mchid": mchid})))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::simulator::probe::Probe;

    #[tokio::test]
    async fn a_callback_url_is_set_without_a_query() {
        let probe = Probe::start("").await;
        let target = "/v3/marketing/busifavor/callbacks";
        let set = async |url: &str| probe.v3("POST", target, &json!({"notify_url": url}).to_string()).await;
        assert_eq!(set("https://coffee.example/new").await.json()["notify_url"], "https://coffee.example/new");
        assert_eq!(probe.get(target).await.json()["notify_url"], "https://coffee.example/new");
        assert_eq!(set("http://coffee.example/").await.code(), "PARAM_ERROR");
        assert_eq!(set("https://coffee.example/?a=1").await.code(), "PARAM_ERROR");
    }
}
