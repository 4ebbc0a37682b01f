//! coupons/associate and coupons/disassociate (reference v3 §2.12, §2.13).

use serde_json::json;

use super::refusal::refuse;
use super::write::{find_coupon, once, state_of, wrong_state};
use crate::simulator::answer::Answer;
use crate::simulator::exchange::Exchange;
use crate::simulator::state::{CouponState, wire_time};
use crate::simulator::world::Event;

/// Associates an unused coupon with an order.
pub(super) fn associate(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    once(exchange, "out_request_no", |memory, body, _| {
        body.text("stock_id", 20)?;
        let number = body.text("out_trade_no", 128)?;
        let position = find_coupon(memory, exchange, body)?;
        let state = state_of(memory, exchange, position);
        let standing = memory.view(position, exchange.world_now).and_then(|view| view.association.cloned());
        let time = match standing {
            Some(standing) if standing.number == number => standing.time,
            Some(_) => return Err(refuse(400, "INVALID_REQUEST", "券已关联其他订单")),
            None if state != CouponState::Sended => return Err(wrong_state(state)),
            None => exchange.world_now,
        };
        memory.coupon_mut(position).association = Some(Event { number, time });
        Ok(json!({"wechatpay_associate_time": wire_time(time)}))
    })
}

/// Removes the association of a coupon with an order.
pub(super) fn disassociate(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    once(exchange, "out_request_no", |memory, body, _| {
        body.text("stock_id", 20)?;
        let number = body.text("out_trade_no", 128)?;
        let position = find_coupon(memory, exchange, body)?;
        let standing = memory.view(position, exchange.world_now).and_then(|view| view.association.cloned());
        if standing.is_none_or(|standing| standing.number != number) {
            return Err(refuse(400, "INVALID_REQUEST", "券未关联该订单"));
        }
        memory.coupon_mut(position).association = None;
        Ok(json!({"wechatpay_disassociate_time": wire_time(exchange.world_now)}))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::simulator::probe::{OPENID, Probe, STOCK, account};

    async fn write(probe: &Probe, call: &str, code: &str, number: &str, order: &str) -> (u16, Value) {
        let body = json!({"stock_id": STOCK, "coupon_code": code, "out_trade_no": order, "out_request_no": number});
        let reply = probe.v3("POST", &format!("/v3/marketing/busifavor/coupons/{call}"), &body.to_string()).await;
        (reply.status, reply.json())
    }

    async fn order_of(probe: &Probe, code: &str) -> Option<Value> {
        let appid = account().appid;
        let target = format!("/v3/marketing/busifavor/users/{OPENID}/coupons/{code}/appids/{appid}");
        probe.get(&target).await.json().get("associate_out_trade_no").cloned()
    }

    #[tokio::test]
    async fn a_coupon_is_tied_to_an_order_and_untied() {
        let probe = Probe::start("").await;
        let (status, body) = write(&probe, "associate", "C1", "N1", "T1").await;
        assert_eq!((status, body), (200, json!({"wechatpay_associate_time": "2026-11-18T20:00:00+08:00"})));
        assert_eq!(order_of(&probe, "C1").await, Some(json!("T1")));
        assert_eq!(write(&probe, "associate", "C1", "N2", "T1").await.0, 200, "the same order again");
        assert_eq!(write(&probe, "associate", "C1", "N3", "T9").await.1["code"], "INVALID_REQUEST");
        assert_eq!(write(&probe, "disassociate", "C1", "N4", "T9").await.1["code"], "INVALID_REQUEST");
        assert_eq!(write(&probe, "disassociate", "C1", "N5", "T1").await.0, 200);
        assert_eq!(order_of(&probe, "C1").await, None);
    }

    #[tokio::test]
    async fn only_unused_coupons_are_tied() {
        let probe = Probe::start_with("", |world, _| world.coupons[1].association = None).await;
        assert_eq!(write(&probe, "associate", "C2", "N1", "T1").await.1["code"], "INVALID_REQUEST");
    }
}
