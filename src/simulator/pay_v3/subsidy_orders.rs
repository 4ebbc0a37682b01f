//! Ordering a subsidy and its return (reference v3 §2.18, §2.21). Both are first accepted, and
//! completed a minute later.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use super::refusal::{Location, refuse, refuse_parameter};
use super::stocks;
use super::write::{Body, find_coupon, once, state_of, wrong_state};
use crate::simulator::answer::Answer;
use crate::simulator::exchange::Exchange;
use crate::simulator::memory::{Memory, text_of};
use crate::simulator::state::{CouponState, receipt_as_of, wire_time};
use crate::simulator::world::Receipt;

/// 5000 yuan.
const LARGEST_AMOUNT_FEN: i64 = 500_000;

/// The common fields of both orders.
struct Order {
    stock_id: String,
    coupon_code: String,
    transaction_id: String,
    amount_fen: i64,
    fields: Map<String, Value>,
}

/// Pays a subsidy for a used coupon.
pub(super) fn pay(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    once(exchange, "out_subsidy_no", |memory, body, number| {
        let order = read_order(exchange, memory, body)?;
        if let Some(receipt) = known_payment(memory, exchange, number) {
            return repeated(exchange, receipt, &order);
        }
        check_coupon(exchange, memory, body, &order)?;
        let mut fields = Map::new();
        fields.insert("subsidy_receipt_id".into(), receipt_id(exchange, 1120).into());
        fields.extend(order.fields);
        let (now, done) = (exchange.world_now, done_at(exchange));
        fields.insert("success_time".into(), wire_time(done).into());
        fields.insert("out_subsidy_no".into(), number.into());
        fields.insert("create_time".into(), wire_time(now).into());
        let receipt = Receipt { create_time: now, statuses: statuses(now, "SUCCESS", done), body: fields };
        let answer = shown(&receipt, now);
        memory.add_pay_receipt(receipt);
        Ok(answer)
    })
}

/// Returns a subsidy, fully or partly.
pub(super) fn give_back(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    once(exchange, "out_subsidy_return_no", |memory, body, number| {
        let order = read_order(exchange, memory, body)?;
        let refund_id = body.text("refund_id", 32)?;
        let (position, left_fen) = returnable(exchange, memory, &order)?;
        if order.amount_fen > left_fen {
            return Err(refuse(400, "INVALID_REQUEST", "回退金额超过可回退金额"));
        }
        let (now, done) = (exchange.world_now, done_at(exchange));
        let payment = &mut memory.world.pay_receipts[position];
        let mut fields = Map::new();
        fields.insert("subsidy_return_receipt_id".into(), receipt_id(exchange, 2120).into());
        fields.extend(order.fields);
        fields.insert("refund_id".into(), refund_id.into());
        fields.insert("return_done_time".into(), wire_time(done).into());
        fields.insert("subsidy_receipt_id".into(), text_of(&payment.body, "subsidy_receipt_id").into());
        fields.insert("out_subsidy_return_no".into(), number.into());
        fields.insert("return_create_time".into(), wire_time(now).into());
        let end = if order.amount_fen == left_fen { "FULL_RETURN" } else { "PARTIAL_RETURN" };
        payment.statuses.extend([(now, "RETURNING".to_owned()), (done, end.to_owned())]);
        let receipt = Receipt { create_time: now, statuses: statuses(now, "SUCCESS", done), body: fields };
        let answer = shown(&receipt, now);
        memory.add_return_receipt(receipt);
        Ok(answer)
    })
}

fn read_order(exchange: &Exchange<'_>, memory: &Memory, body: &Body) -> Result<Order, Answer> {
    let stock_id = body.text("stock_id", 20)?;
    let coupon_code = body.text("coupon_code", 128)?;
    let transaction_id = body.text("transaction_id", 32)?;
    if transaction_id.len() < 28 {
        return Err(refuse_parameter("transaction_id", &transaction_id, Location::Body));
    }
    let (payer, payee) = (body.text("payer_merchant", 32)?, body.text("payee_merchant", 32)?);
    let amount_fen = body.number("amount", 1, LARGEST_AMOUNT_FEN)?;
    let description = body.text("description", 1024)?;
    let belong = text_of(&stocks::known(memory, exchange, &stock_id)?, "belong_merchant");
    if payer != exchange.office.account.mchid && payer != belong {
        return Err(refuse(403, "NO_AUTH", "补差付款商户无权限"));
    }
    let fields = json!({
        "stock_id": stock_id, "coupon_code": coupon_code, "transaction_id": transaction_id,
        "payer_merchant": payer, "payee_merchant": payee, "amount": amount_fen, "description": description,
    });
    let fields = fields.as_object().cloned().unwrap_or_default();
    Ok(Order { stock_id, coupon_code, transaction_id, amount_fen, fields })
}

fn check_coupon(exchange: &Exchange<'_>, memory: &Memory, body: &Body, order: &Order) -> Result<(), Answer> {
    let stock = stocks::known(memory, exchange, &order.stock_id)?;
    if stock.get("subsidy") != Some(&Value::Bool(true)) {
        return Err(refuse(403, "NO_AUTH", "批次未开通补差"));
    }
    if text_of(&stock, "stock_type") == "EXCHANGE" {
        return Err(refuse(400, "INVALID_REQUEST", "换购券不支持补差"));
    }
    let discount = stock.get("coupon_use_rule").and_then(|rule| rule.pointer("/fixed_normal_coupon/discount_amount"));
    if discount.and_then(Value::as_i64).is_some_and(|discount| order.amount_fen > discount) {
        return Err(refuse(400, "INVALID_REQUEST", "补差金额超过券面额"));
    }
    match state_of(memory, exchange, find_coupon(memory, exchange, body)?) {
        CouponState::Used => Ok(()),
        other => Err(wrong_state(other)),
    }
}

fn known_payment<'a>(memory: &'a Memory, exchange: &Exchange<'_>, number: &str) -> Option<&'a Receipt> {
    let mut receipts = memory.world.pay_receipts.iter();
    receipts
        .find(|receipt| receipt.create_time <= exchange.world_now && text_of(&receipt.body, "out_subsidy_no") == number)
}

/// The number is already in the world: the same order gets its receipt, another is refused.
fn repeated(exchange: &Exchange<'_>, receipt: &Receipt, order: &Order) -> Result<Value, Answer> {
    let is_same = ["stock_id", "coupon_code", "transaction_id", "amount"]
        .iter()
        .all(|key| receipt.body.get(*key) == order.fields.get(*key));
    let refusal = || refuse(400, "RESOURCE_ALREADY_EXISTS", "补差单号已被使用，且参数不一致");
    if is_same { Ok(shown(receipt, exchange.world_now)) } else { Err(refusal()) }
}

/// The payment for this order's transaction, and how many fen of it may still be returned.
fn returnable(exchange: &Exchange<'_>, memory: &Memory, order: &Order) -> Result<(usize, i64), Answer> {
    let amount_of = |receipt: &Receipt| receipt.body.get("amount").and_then(Value::as_i64).unwrap_or(0);
    let is_paid = |position: &usize| {
        let receipt = &memory.world.pay_receipts[*position];
        let status = receipt_as_of(receipt, exchange.world_now).map(|receipt| text_of(&receipt, "status"));
        let is_done = status.is_some_and(|status| status.ends_with("SUCCESS") || status.ends_with("PARTIAL_RETURN"));
        is_done && text_of(&receipt.body, "transaction_id") == order.transaction_id
    };
    let mut positions = memory.pay_receipt_positions(&order.stock_id, &order.coupon_code).into_iter();
    let position = positions.find(is_paid).ok_or_else(|| refuse(400, "INVALID_REQUEST", "没有可回退的补差单"))?;
    let payment = &memory.world.pay_receipts[position];
    let id = text_of(&payment.body, "subsidy_receipt_id");
    let returns = memory.world.return_receipts.iter().filter(|r| text_of(&r.body, "subsidy_receipt_id") == id);
    Ok((position, amount_of(payment) - returns.map(amount_of).sum::<i64>()))
}

fn receipt_id(exchange: &Exchange<'_>, kind: u64) -> String {
    format!("{kind}{:024}", exchange.serial)
}

fn done_at(exchange: &Exchange<'_>) -> DateTime<Utc> {
    exchange.world_now + TimeDelta::minutes(1)
}

fn statuses(now: DateTime<Utc>, end: &str, done: DateTime<Utc>) -> Vec<(DateTime<Utc>, String)> {
    vec![(now, "ACCEPTED".to_owned()), (done, end.to_owned())]
}

fn shown(receipt: &Receipt, now: DateTime<Utc>) -> Value {
    receipt_as_of(receipt, now).map_or(Value::Null, Value::Object)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::simulator::probe::{Probe, STOCK, at, event};

    const PAY: &str = "/v3/marketing/busifavor/subsidy/pay-receipts";
    const RETURN: &str = "/v3/marketing/busifavor/subsidy/return-receipts";
    const TRANSACTION: &str = "4200000913202101152566792388";

    /// C1 is used on the evening of the 18th.
    async fn used() -> Probe {
        Probe::start_with("", |world, _| world.coupons[0].redemption = event("U1", "18T19:00")).await
    }

    fn order(extra: Value) -> Value {
        let mut order = json!({
            "stock_id": STOCK, "coupon_code": "C1", "transaction_id": TRANSACTION, "payer_merchant": "1900000001",
            "payee_merchant": "1900000002", "amount": 100, "description": "补差",
        });
        order.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        order
    }

    async fn pay(probe: &Probe, extra: Value) -> (u16, Value) {
        let reply = probe.v3("POST", PAY, &order(extra).to_string()).await;
        (reply.status, reply.json())
    }

    async fn give_back(probe: &Probe, number: &str, amount: i64) -> (u16, Value) {
        let extra = json!({"out_subsidy_return_no": number, "amount": amount, "refund_id": "5010050673202101"});
        let reply = probe.v3("POST", RETURN, &order(extra).to_string()).await;
        (reply.status, reply.json())
    }

    #[tokio::test]
    async fn a_payment_is_accepted_and_done_a_minute_later() {
        let probe = used().await;
        let (status, receipt) = pay(&probe, json!({"out_subsidy_no": "S7"})).await;
        assert_eq!((status, &receipt["status"], receipt.get("success_time")), (200, &json!("ACCEPTED"), None));
        let id = receipt["subsidy_receipt_id"].as_str().unwrap();
        assert_eq!(id.len(), 28);
        probe.running.set_now(Some(at("18T20:01")));
        let receipt = probe.get(&format!("{PAY}/{id}")).await.json();
        assert_eq!(
            (&receipt["status"], &receipt["success_time"]),
            (&json!("SUCCESS"), &json!("2026-11-18T20:01:00+08:00"))
        );
        let list = probe.get(&format!("{PAY}?stock_id={STOCK}&coupon_code=C1")).await.json();
        assert_eq!(list["pay_receipt_list"].as_array().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn payments_that_may_not_be_are_refused() {
        let probe = used().await;
        let cases = [
            (json!({"amount": 501}), 400, "INVALID_REQUEST"),
            (json!({"amount": 500_001}), 400, "PARAM_ERROR"),
            (json!({"amount": 0}), 400, "PARAM_ERROR"),
            (json!({"transaction_id": "42"}), 400, "PARAM_ERROR"),
            (json!({"payer_merchant": "1900000009"}), 403, "NO_AUTH"),
            (json!({"stock_id": "1"}), 404, "RESOURCE_NOT_EXISTS"),
            (json!({"coupon_code": "C9"}), 404, "RESOURCE_NOT_EXISTS"),
            (json!({"coupon_code": "C2"}), 200, ""),
        ];
        for (position, (change, status, code)) in cases.into_iter().enumerate() {
            let mut extra = change.clone();
            extra["out_subsidy_no"] = format!("N{position}").into();
            let (answered, body) = pay(&probe, extra).await;
            assert_eq!((answered, body["code"].as_str().unwrap_or_default()), (status, code), "{change}");
        }
        probe.running.set_now(Some(at("18T18:00")));
        let (_, body) = pay(&probe, json!({"out_subsidy_no": "N9"})).await;
        assert_eq!(body["code"], "INVALID_REQUEST", "the coupon was not used then");
    }

    #[tokio::test]
    async fn a_number_the_world_knows_already_is_not_paid_twice() {
        let probe = used().await;
        let (status, body) = pay(&probe, json!({"out_subsidy_no": "S1"})).await;
        assert_eq!((status, &body["code"]), (400, &json!("RESOURCE_ALREADY_EXISTS")));
    }

    #[tokio::test]
    async fn returns_add_up_to_the_payment_and_no_further() {
        let probe = used().await;
        pay(&probe, json!({"out_subsidy_no": "S7"})).await;
        assert_eq!(give_back(&probe, "R0", 40).await.1["code"], "INVALID_REQUEST", "not paid yet");
        probe.running.set_now(Some(at("18T20:01")));
        let (status, receipt) = give_back(&probe, "R1", 40).await;
        assert_eq!((status, &receipt["status"]), (200, &json!("ACCEPTED")));
        let list = format!("{PAY}?stock_id={STOCK}&coupon_code=C1");
        let status = async || probe.get(&list).await.json()["pay_receipt_list"][0]["status"].clone();
        assert_eq!(status().await, "RETURNING");
        probe.running.set_now(Some(at("18T20:02")));
        assert_eq!(status().await, "PARTIAL_RETURN");
        assert_eq!(give_back(&probe, "R2", 61).await.1["code"], "INVALID_REQUEST");
        assert_eq!(give_back(&probe, "R3", 60).await.0, 200);
        probe.running.set_now(Some(at("18T20:03")));
        assert_eq!(status().await, "FULL_RETURN");
        let id = receipt["subsidy_return_receipt_id"].as_str().unwrap();
        assert_eq!(probe.get(&format!("{RETURN}/{id}")).await.json()["status"], "SUCCESS");
    }
}
