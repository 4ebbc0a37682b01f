//! coupons/send: puts a coupon into a wallet (reference v3 §2.23).

use chrono::TimeDelta;
use serde_json::{Map, Value, json};

use super::refusal::{Location, check_appid, refuse, refuse_parameter};
use super::stocks;
use super::write::once;
use crate::simulator::answer::Answer;
use crate::simulator::exchange::Exchange;
use crate::simulator::memory::{Memory, text_of};
use crate::simulator::state::code_as_of;
use crate::simulator::world::Coupon;

/// Validity of a coupon whose stock does not define one.
const LIFE_DAYS: i64 = 30;
/// Days that still end within the calendar.
const LONGEST_LIFE_DAYS: i64 = 36_500;

/// Sends a coupon of a running stock; the code comes from the merchant, from the pool, or is made.
pub(super) fn send(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    once(exchange, "out_request_no", |memory, body, number| {
        check_appid(exchange, &body.text("appid", 32)?)?;
        let (openid, stock_id) = (body.text("openid", 128)?, body.text("stock_id", 20)?);
        let stock = stocks::known(memory, exchange, &stock_id)?;
        if text_of(&stock, "stock_state") != "RUNNING" {
            return Err(refuse(403, "RULE_LIMIT", "批次不在运行中"));
        }
        let coupon_code = match text_of(&stock, "coupon_code_mode").as_str() {
            "MERCHANT_API" => body.text("coupon_code", 32)?,
            "MERCHANT_UPLOAD" => take_code(memory, exchange, &stock_id, &openid)?,
            _ => format!("12{:020}", exchange.serial),
        };
        if !memory.positions(Some(&stock_id), &coupon_code).is_empty() {
            return Err(refuse_parameter("coupon_code", &coupon_code, Location::Body));
        }
        let answer = json!({"stock_id": stock_id, "out_request_no": number, "coupon_code": coupon_code});
        let now = exchange.world_now;
        memory.add_coupon(Coupon {
            openid,
            stock_id,
            coupon_code,
            receive_time: now,
            available_start_time: now,
            expire_time: now + life(&stock),
            send_request_no: Some(number.to_owned()),
            ..Coupon::default()
        });
        Ok(json!({"send_coupon_result": answer}))
    })
}

fn take_code(memory: &mut Memory, exchange: &Exchange<'_>, stock_id: &str, openid: &str) -> Result<String, Answer> {
    let now = exchange.world_now;
    let pool = memory.world.codes.entry(stock_id.to_owned()).or_default();
    let free = pool.iter_mut().find(|code| code_as_of(code, now) == Some(None));
    let free = free.ok_or_else(|| refuse(403, "RULE_LIMIT", "批次code已发完"))?;
    free.dispatched_time = Some(now);
    free.openid = Some(openid.to_owned());
    Ok(free.code.clone())
}

/// The validity of a coupon of this stock.
fn life(stock: &Map<String, Value>) -> TimeDelta {
    let rule = stock.get("coupon_use_rule");
    let days = rule.and_then(|rule| rule.pointer("/coupon_available_time/available_day_after_receive"));
    TimeDelta::days(days.and_then(Value::as_i64).unwrap_or(LIFE_DAYS).clamp(0, LONGEST_LIFE_DAYS))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::simulator::probe::{POOL, Probe, STOCK, account};

    async fn send(probe: &Probe, stock_id: &str, number: &str) -> (u16, Value) {
        let body = json!({"openid": "oNew", "appid": account().appid, "stock_id": stock_id, "out_request_no": number});
        let reply = probe.v3("POST", "/v3/marketing/busifavor/coupons/send", &body.to_string()).await;
        (reply.status, reply.json())
    }

    async fn wallet(probe: &Probe) -> Vec<Value> {
        let (appid, mchid) = (account().appid, account().mchid);
        let target = format!("/v3/marketing/busifavor/users/oNew/coupons?appid={appid}&creator_merchant={mchid}");
        probe.get(&target).await.json()["data"].as_array().cloned().unwrap_or_default()
    }

    #[test]
    fn a_validity_beyond_the_calendar_is_a_hundred_years() {
        let days = |days: i64| {
            let stock = json!({"coupon_use_rule": {"coupon_available_time": {"available_day_after_receive": days}}});
            super::life(stock.as_object().unwrap()).num_days()
        };
        assert_eq!([7, i64::MAX, -1].map(days), [7, super::LONGEST_LIFE_DAYS, 0]);
    }

    #[tokio::test]
    async fn a_sent_coupon_is_in_the_wallet() {
        let probe = Probe::start("").await;
        let (status, body) = send(&probe, STOCK, "N1").await;
        let code = &body["send_coupon_result"]["coupon_code"];
        assert_eq!((status, code.as_str().unwrap().len()), (200, 22));
        let wallet = wallet(&probe).await;
        assert_eq!((&wallet[0]["coupon_code"], &wallet[0]["coupon_state"]), (code, &json!("SENDED")));
        assert_eq!(wallet[0]["send_request_no"], "N1");
    }

    #[tokio::test]
    async fn a_pool_gives_its_next_code_until_it_is_empty() {
        let probe = Probe::start("").await;
        let (_, body) = send(&probe, POOL, "N1").await;
        assert_eq!(body["send_coupon_result"]["coupon_code"], "K2");
        for number in ["N2", "N3", "N4"] {
            assert_eq!(send(&probe, POOL, number).await.0, 200);
        }
        assert_eq!(send(&probe, POOL, "N5").await.1["code"], "RULE_LIMIT");
        assert_eq!(wallet(&probe).await.len(), 4);
    }

    #[tokio::test]
    async fn a_stock_that_is_not_running_sends_nothing() {
        let probe = Probe::start_with("", |world, _| {
            world.stocks.get_mut(STOCK).unwrap().insert("stock_state".into(), "PAUSED".into());
        })
        .await;
        assert_eq!(send(&probe, STOCK, "N1").await.1["code"], "RULE_LIMIT");
        assert_eq!(send(&probe, "1", "N2").await.1["code"], "RESOURCE_NOT_EXISTS");
    }
}
