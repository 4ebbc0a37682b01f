//! Writes to stocks: create, modify, set the budget (reference v3 §2.1, §2.3, §2.4).

use serde_json::{Map, Value, json};

use super::refusal::{Location, refuse, refuse_parameter, unknown};
use super::stocks;
use super::write::{Body, once};
use crate::simulator::answer::Answer;
use crate::simulator::exchange::Exchange;
use crate::simulator::memory::Memory;
use crate::simulator::state::wire_time;

/// Required objects of a stock.
const REQUIRED_OBJECTS: [&str; 2] = ["coupon_use_rule", "stock_send_rule"];

/// Keys of a stock that may be changed.
const CHANGEABLE: [&str; 6] =
    ["custom_entrance", "comment", "goods_name", "display_pattern_info", "notify_config", "subsidy"];

/// Creates a stock; it is running at once, without an audit.
pub(super) fn create(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    once(exchange, "out_request_no", |memory, body, _| {
        check_new(body)?;
        let stock_id = format!("9{:015}", exchange.serial);
        let mut stock = body.fields_without("out_request_no");
        stock.insert("stock_state".into(), "RUNNING".into());
        stock.insert("stock_id".into(), stock_id.as_str().into());
        memory.world.stocks.insert(stock_id.clone(), stock);
        Ok(json!({"stock_id": stock_id, "create_time": wire_time(exchange.world_now)}))
    })
}

fn check_new(body: &Body) -> Result<(), Answer> {
    body.text("stock_name", 21)?;
    body.text("belong_merchant", 15)?;
    body.text("goods_name", 15)?;
    choice(body, "stock_type", &["NORMAL", "DISCOUNT", "EXCHANGE"])?;
    choice(body, "coupon_code_mode", &["WECHATPAY_MODE", "MERCHANT_API", "MERCHANT_UPLOAD"])?;
    match REQUIRED_OBJECTS.into_iter().find(|key| !body.value(key).is_object()) {
        Some(key) => Err(refuse_parameter(key, "", Location::Body)),
        None => Ok(()),
    }
}

fn choice(body: &Body, key: &str, choices: &[&str]) -> Result<(), Answer> {
    let word = body.text(key, 32)?;
    if choices.contains(&word.as_str()) { Ok(()) } else { Err(refuse_parameter(key, &word, Location::Body)) }
}

/// Changes a stock; the answer is 204. Subsidies can be enabled, never disabled.
pub(super) fn modify(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    once(exchange, "out_request_no", |memory, body, _| {
        let stock_id = exchange.segment("stock_id");
        stocks::known(memory, exchange, stock_id)?;
        let stock = memory.world.stocks.get_mut(stock_id).ok_or_else(|| unknown("批次"))?;
        let closes = body.value("subsidy") == &Value::Bool(false) && stock.get("subsidy") == Some(&Value::Bool(true));
        if closes {
            return Err(refuse_parameter("subsidy", "false", Location::Body));
        }
        let changes: Map<String, Value> = body.fields_without("out_request_no");
        stock.extend(changes.into_iter().filter(|(key, _)| CHANGEABLE.contains(&key.as_str())));
        Ok(Value::Null)
    })
}

/// Sets the budget, guarded by its current value.
pub(super) fn set_budget(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    once(exchange, "modify_budget_request_no", |memory, body, _| {
        let stock_id = exchange.segment("stock_id");
        stocks::known(memory, exchange, stock_id)?;
        let by_day = body.value("target_max_coupons").is_null();
        let key = if by_day { "max_coupons_by_day" } else { "max_coupons" };
        let target = body.number(&format!("target_{key}"), 1, 1_000_000_000)?;
        let current = body.number(&format!("current_{key}"), 0, 1_000_000_000)?;
        change_budget(memory, stock_id, key, current, target)
    })
}

fn change_budget(memory: &mut Memory, stock_id: &str, key: &str, current: i64, target: i64) -> Result<Value, Answer> {
    let rule = memory.world.stocks.get_mut(stock_id).and_then(|stock| stock.get_mut("stock_send_rule"));
    let rule = rule.and_then(Value::as_object_mut).ok_or_else(|| unknown("批次发放规则"))?;
    if rule.get(key).and_then(Value::as_i64).unwrap_or(0) != current {
        return Err(refuse(400, "INVALID_REQUEST", "当前预算与实际不一致"));
    }
    rule.insert(key.to_owned(), target.into());
    let value = |key| rule.get(key).cloned().unwrap_or(Value::Null);
    Ok(json!({"max_coupons": value("max_coupons"), "max_coupons_by_day": value("max_coupons_by_day")}))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::simulator::probe::{Probe, STOCK, is_genuine};

    const STOCKS: &str = "/v3/marketing/busifavor/stocks";

    fn new_stock() -> Value {
        json!({
            "stock_name": "新券", "belong_merchant": "1900000002", "goods_name": "咖啡", "stock_type": "NORMAL",
            "coupon_code_mode": "WECHATPAY_MODE", "out_request_no": "N1", "coupon_use_rule": {"use_method": "OFF_LINE"},
            "stock_send_rule": {"max_coupons": 10, "max_coupons_per_user": 1},
        })
    }

    #[tokio::test]
    async fn a_created_stock_can_be_asked_for() {
        let probe = Probe::start("").await;
        let created = probe.v3("POST", STOCKS, &new_stock().to_string()).await.json();
        let stock_id = created["stock_id"].as_str().unwrap();
        assert_eq!(created["create_time"], "2026-11-18T20:00:00+08:00");
        let stock = probe.get(&format!("{STOCKS}/{stock_id}")).await.json();
        assert_eq!((&stock["stock_state"], &stock["stock_name"]), (&json!("RUNNING"), &json!("新券")));
        assert_eq!(stock.get("out_request_no"), None);
    }

    #[tokio::test]
    async fn a_stock_that_lacks_something_is_not_created() {
        let probe = Probe::start("").await;
        let cases =
            [("stock_type", json!("FREE")), ("coupon_use_rule", Value::Null), ("stock_name", json!("名".repeat(22)))];
        for (key, value) in cases {
            let mut stock = new_stock();
            stock[key] = value;
            let reply = probe.v3("POST", STOCKS, &stock.to_string()).await;
            assert_eq!(reply.json()["detail"]["field"], format!("/{key}"));
        }
    }

    #[tokio::test]
    async fn a_change_answers_204_signed_over_nothing() {
        let probe = Probe::start("").await;
        let target = format!("{STOCKS}/{STOCK}");
        let change = json!({"out_request_no": "N1", "goods_name": "茶", "stock_name": "不变", "comment": "改"});
        let reply = probe.v3("PATCH", &target, &change.to_string()).await;
        assert!(reply.status == 204 && reply.body.is_empty() && is_genuine(&reply));
        assert_eq!(probe.v3("PATCH", &target, &change.to_string()).await.status, 204);
        let stock = probe.get(&target).await.json();
        assert_eq!((&stock["goods_name"], &stock["stock_name"]), (&json!("茶"), &json!("新人券")));
        let close = json!({"out_request_no": "N2", "subsidy": false});
        assert_eq!(probe.v3("PATCH", &target, &close.to_string()).await.code(), "PARAM_ERROR");
    }

    #[tokio::test]
    async fn a_budget_is_set_against_its_present_value() {
        let probe = Probe::start("").await;
        let target = format!("/v3/marketing/busifavor/stocks/{STOCK}/budget");
        let set = async |body: Value| probe.v3("PATCH", &target, &body.to_string()).await;
        let body = json!({"modify_budget_request_no": "N1", "target_max_coupons": 200, "current_max_coupons": 100});
        assert_eq!(set(body).await.json(), json!({"max_coupons": 200, "max_coupons_by_day": null}));
        let stale = json!({"modify_budget_request_no": "N2", "target_max_coupons": 300, "current_max_coupons": 100});
        assert_eq!(set(stale).await.code(), "INVALID_REQUEST");
        let stock = probe.get(&format!("/v3/marketing/busifavor/stocks/{STOCK}")).await.json();
        assert_eq!(stock["stock_send_rule"]["max_coupons"], 200);
        assert_eq!(probe.v3("POST", &target, "{}").await.status, 405, "the budget is PATCHed");
    }
}
