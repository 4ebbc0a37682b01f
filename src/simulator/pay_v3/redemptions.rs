//! coupons/use, coupons/return, coupons/deactivate (reference v3 §2.9, §2.14, §2.15).

use serde_json::{Value, json};

use super::refusal::{Location, check_appid, refuse, refuse_parameter};
use super::write::{find_coupon, once, outside_validity, state_of, wrong_state};
use crate::simulator::answer::Answer;
use crate::simulator::exchange::Exchange;
use crate::simulator::memory::Memory;
use crate::simulator::state::{CouponState, wire_time};
use crate::simulator::world::{Coupon, Event};

/// Redeems a usable coupon.
pub(super) fn redeem(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    once(exchange, "use_request_no", |memory, body, number| {
        check_appid(exchange, &body.text("appid", 32)?)?;
        let use_time = body.text("use_time", 64)?;
        if chrono::DateTime::parse_from_rfc3339(&use_time).is_err() {
            return Err(refuse_parameter("use_time", &use_time, Location::Body));
        }
        let position = find_coupon(memory, exchange, body)?;
        if body.optional("openid").is_some_and(|openid| openid != memory.world.coupons[position].openid) {
            return Err(refuse(404, "USER_NOT_EXISTS", "openid不正确"));
        }
        redeem_coupon(memory, exchange, number, position)
    })
}

fn redeem_coupon(memory: &mut Memory, exchange: &Exchange<'_>, number: &str, position: usize) -> Result<Value, Answer> {
    let state = state_of(memory, exchange, position);
    let standing = memory.view(position, exchange.world_now).and_then(|view| view.redemption.cloned());
    let coupon = memory.coupon_mut(position);
    let time = match (state, standing) {
        (CouponState::Used, Some(redemption)) if redemption.number == number => redemption.time,
        (CouponState::Used, _) => return Err(refuse(400, "RESOURCE_ALREADY_EXISTS", "券已被其他订单核销")),
        (CouponState::Sended, _) if coupon.available_start_time <= exchange.world_now => {
            note_redemption(coupon, Event { number: number.to_owned(), time: exchange.world_now });
            exchange.world_now
        }
        (CouponState::Sended | CouponState::Expired, _) => return Err(outside_validity()),
        (CouponState::Deleted | CouponState::Deactivated, _) => return Err(wrong_state(state)),
    };
    Ok(json!({"stock_id": coupon.stock_id, "openid": coupon.openid, "wechatpay_use_time": wire_time(time)}))
}

/// An effective redemption replaces what the world had planned for later.
fn note_redemption(coupon: &mut Coupon, event: Event) {
    if coupon.coupon_return.as_ref().is_some_and(|past| past.time <= event.time) {
        coupon.second_redemption = Some(event);
    } else {
        coupon.redemption = Some(event);
        coupon.coupon_return = None;
        coupon.second_redemption = None;
    }
}

/// Returns a used coupon within its validity.
pub(super) fn give_back(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    once(exchange, "return_request_no", |memory, body, number| {
        body.text("stock_id", 20)?;
        let position = find_coupon(memory, exchange, body)?;
        let state = state_of(memory, exchange, position);
        let coupon = memory.coupon_mut(position);
        if state != CouponState::Used {
            return Err(wrong_state(state));
        }
        if exchange.world_now > coupon.expire_time {
            return Err(outside_validity());
        }
        if let Some(second) = coupon.second_redemption.take_if(|second| second.time <= exchange.world_now) {
            coupon.redemption = Some(second);
        }
        coupon.coupon_return = Some(Event { number: number.to_owned(), time: exchange.world_now });
        Ok(json!({"wechatpay_return_time": wire_time(exchange.world_now)}))
    })
}

/// Permanently deactivates a usable coupon.
pub(super) fn deactivate(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    once(exchange, "deactivate_request_no", |memory, body, number| {
        body.text("stock_id", 20)?;
        let position = find_coupon(memory, exchange, body)?;
        match state_of(memory, exchange, position) {
            CouponState::Sended => (),
            other => return Err(wrong_state(other)),
        }
        memory.coupon_mut(position).deactivation = Some(Event { number: number.to_owned(), time: exchange.world_now });
        Ok(json!({"wechatpay_deactivate_time": wire_time(exchange.world_now)}))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::simulator::probe::{OPENID, Probe, STOCK, account, at, is_genuine};

    async fn write(probe: &Probe, call: &str, body: Value) -> (u16, Value) {
        let reply = probe.v3("POST", &format!("/v3/marketing/busifavor/coupons/{call}"), &body.to_string()).await;
        assert_eq!(is_genuine(&reply), reply.status == 200, "2xx are signed, refusals are not");
        (reply.status, reply.json())
    }

    fn redemption(code: &str, number: &str) -> Value {
        json!({"coupon_code": code, "stock_id": STOCK, "appid": account().appid, "use_request_no": number,
            "use_time": "2026-11-18T20:00:00+08:00"})
    }

    async fn redeem(probe: &Probe, code: &str, number: &str) -> (u16, Value) {
        write(probe, "use", redemption(code, number)).await
    }

    async fn coupon(probe: &Probe, code: &str) -> Value {
        let appid = account().appid;
        probe.get(&format!("/v3/marketing/busifavor/users/{OPENID}/coupons/{code}/appids/{appid}")).await.json()
    }

    #[tokio::test]
    async fn a_redeemed_coupon_is_used() {
        let probe = Probe::start("").await;
        let (status, body) = redeem(&probe, "C1", "U1").await;
        assert_eq!(status, 200);
        assert_eq!(
            body,
            json!({"stock_id": STOCK, "openid": OPENID, "wechatpay_use_time": "2026-11-18T20:00:00+08:00"})
        );
        let used = coupon(&probe, "C1").await;
        assert_eq!((&used["coupon_state"], &used["use_request_no"]), (&json!("USED"), &json!("U1")));
    }

    #[tokio::test]
    async fn a_used_coupon_is_not_redeemed_again_under_another_number() {
        let probe = Probe::start("").await;
        let (status, body) = redeem(&probe, "C2", "U9").await;
        assert_eq!((status, &body["code"]), (400, &json!("RESOURCE_ALREADY_EXISTS")));
        let (status, body) = redeem(&probe, "C2", "U2").await;
        assert_eq!((status, &body["wechatpay_use_time"]), (200, &json!("2026-11-18T10:00:00+08:00")));
    }

    #[tokio::test]
    async fn redemptions_outside_the_validity_or_of_others_are_refused() {
        let probe = Probe::start_with("", |world, _| {
            world.coupons[0].available_start_time = at("19T00:00");
            world.coupons[2].stock_id = STOCK.into();
            world.coupons[2].expire_time = at("18T19:00");
        })
        .await;
        let code = async |body: Value| write(&probe, "use", body).await.1["code"].clone();
        assert_eq!(code(redemption("C1", "U1")).await, "RULE_LIMIT");
        assert_eq!(code(redemption("K1", "U3")).await, "RULE_LIMIT");
        assert_eq!(code(redemption("C9", "U4")).await, "RESOURCE_NOT_EXISTS");
        let mut foreign = redemption("C1", "U5");
        foreign["openid"] = "oSomebody".into();
        assert_eq!(code(foreign).await, "USER_NOT_EXISTS");
        let mut foreign = redemption("C1", "U6");
        foreign["appid"] = "wx0".into();
        assert_eq!(code(foreign).await, "APPID_MCHID_NOT_MATCH");
        let mut wrong = redemption("C1", "U7");
        wrong["use_time"] = "now".into();
        assert_eq!(code(wrong).await, "PARAM_ERROR");
    }

    #[tokio::test]
    async fn a_returned_coupon_can_be_used_and_returned_again() {
        let probe = Probe::start("").await;
        let give_back = async |number: &str| {
            write(&probe, "return", json!({"coupon_code": "C1", "stock_id": STOCK, "return_request_no": number})).await
        };
        assert_eq!(give_back("R0").await.1["code"], "INVALID_REQUEST", "not used yet");
        redeem(&probe, "C1", "U1").await;
        assert_eq!(give_back("R1").await, (200, json!({"wechatpay_return_time": "2026-11-18T20:00:00+08:00"})));
        let returned = coupon(&probe, "C1").await;
        assert_eq!((&returned["coupon_state"], returned.get("use_request_no")), (&json!("SENDED"), None));
        probe.clock.set(at("18T20:01"));
        assert_eq!(redeem(&probe, "C1", "U2").await.0, 200);
        assert_eq!(coupon(&probe, "C1").await["use_request_no"], "U2");
        probe.clock.set(at("18T20:02"));
        assert_eq!(give_back("R2").await.0, 200);
        let returned = coupon(&probe, "C1").await;
        assert_eq!((&returned["coupon_state"], &returned["return_request_no"]), (&json!("SENDED"), &json!("R2")));
    }

    #[tokio::test]
    async fn an_expired_used_coupon_is_not_returned() {
        let probe = Probe::start_with("", |world, _| world.coupons[1].expire_time = at("18T11:00")).await;
        let body = json!({"coupon_code": "C2", "stock_id": STOCK, "return_request_no": "R1"});
        assert_eq!(write(&probe, "return", body).await.1["code"], "RULE_LIMIT");
    }

    #[tokio::test]
    async fn deactivation_is_for_usable_coupons_and_final() {
        let probe = Probe::start("").await;
        let end = async |code: &str, number: &str| {
            write(
                &probe,
                "deactivate",
                json!({"coupon_code": code, "stock_id": STOCK, "deactivate_request_no": number}),
            )
            .await
        };
        assert_eq!(end("C2", "D2").await.1["code"], "INVALID_REQUEST", "it is used");
        assert_eq!(end("C1", "D1").await.0, 200);
        assert_eq!(coupon(&probe, "C1").await["coupon_state"], "DEACTIVATED");
        assert_eq!(redeem(&probe, "C1", "U1").await.1["code"], "INVALID_REQUEST");
        assert_eq!(end("C1", "D9").await.1["code"], "INVALID_REQUEST");
    }
}
