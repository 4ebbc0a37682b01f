//! The common parts of all writes: parsing the body, finding the coupon, executing once per request
//! number (reference v3 §1.10).

use serde_json::{Map, Value, json};

use super::refusal::{Location, refuse, refuse_parameter, unknown};
use super::stocks;
use crate::simulator::answer::Answer;
use crate::simulator::exchange::Exchange;
use crate::simulator::memory::{Memory, Written, held, text_of};
use crate::simulator::state::CouponState;

/// The longest request number (reference v3 §1.10).
const LONGEST_NUMBER: usize = 128;

/// The body of a write.
#[derive(Debug)]
pub(super) struct Body(Map<String, Value>);

impl Body {
    /// Reads the body; it must be a JSON object.
    pub(super) fn read(exchange: &Exchange<'_>) -> Result<Body, Answer> {
        let parsed = serde_json::from_slice(&exchange.call.body);
        parsed.map(Body).map_err(|_| refuse(400, "PARAM_ERROR", "请求体不是合法的JSON对象"))
    }

    /// A required string of limited length.
    pub(super) fn text(&self, key: &str, longest: usize) -> Result<String, Answer> {
        let text = self.optional(key).unwrap_or_default();
        let fits = !text.is_empty() && text.chars().count() <= longest;
        if fits { Ok(text) } else { Err(refuse_parameter(key, &text, Location::Body)) }
    }

    /// A text that may be absent.
    pub(super) fn optional(&self, key: &str) -> Option<String> {
        Some(text_of(&self.0, key)).filter(|text| !text.is_empty())
    }

    /// A whole number within bounds.
    pub(super) fn number(&self, key: &str, least: i64, most: i64) -> Result<i64, Answer> {
        let value = self.value(key);
        let number = value.as_i64().filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| refuse_parameter(key, &value.to_string(), Location::Body))
    }

    /// All fields but the request number.
    pub(super) fn fields_without(&self, number: &str) -> Map<String, Value> {
        self.0.iter().filter(|(key, _)| *key != number).map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// Any value; null when absent.
    pub(super) fn value(&self, key: &str) -> &Value {
        self.0.get(key).unwrap_or(&Value::Null)
    }
}

/// Executes a write, given its body and its request number, once per number: the same number with the same body gets
/// the first answer, with another body it is refused.
pub(super) fn once(
    exchange: &Exchange<'_>,
    number_key: &str,
    act: impl FnOnce(&mut Memory, &Body, &str) -> Result<Value, Answer>,
) -> Result<Answer, Answer> {
    let body = Body::read(exchange)?;
    let number = body.text(number_key, LONGEST_NUMBER)?;
    let mut memory = held(&exchange.office.memory);
    let template = exchange.endpoint.template;
    // The path is part of the request: a number used for another stock is another request.
    let request = json!([exchange.call.path(), body.0]);
    match memory.written(template, &number) {
        Some(written) if written.request == request => return Ok(done(&written.answer)),
        Some(_) => return Err(refuse(400, "RESOURCE_ALREADY_EXISTS", "请求单号已被使用，且参数不一致")),
        None => (),
    }
    let answer = act(&mut memory, &body, &number)?;
    memory.remember(template, &number, Written { request, answer: answer.clone() });
    Ok(done(&answer))
}

/// An empty answer is 204.
fn done(answer: &Value) -> Answer {
    if answer.is_null() { Answer::empty(204) } else { Answer::json(200, answer) }
}

/// Position of the coupon a body names. The stock must be named when the merchant makes the codes,
/// and whenever the code alone is ambiguous.
pub(super) fn find_coupon(memory: &Memory, exchange: &Exchange<'_>, body: &Body) -> Result<usize, Answer> {
    let stock_id = body.optional("stock_id");
    let mut positions = memory.positions(stock_id.as_deref(), &body.text("coupon_code", 32)?);
    positions.retain(|position| memory.view(*position, exchange.world_now).is_some());
    let position = *positions.first().ok_or_else(|| unknown("券"))?;
    let stock = stocks::known(memory, exchange, &memory.world.coupons[position].stock_id)?;
    let is_made_by_wechat = text_of(&stock, "coupon_code_mode") == "WECHATPAY_MODE";
    if stock_id.is_none() && (positions.len() > 1 || !is_made_by_wechat) {
        return Err(refuse_parameter("stock_id", "", Location::Body));
    }
    Ok(position)
}

/// The coupon's state as of the moment.
pub(super) fn state_of(memory: &Memory, exchange: &Exchange<'_>, position: usize) -> CouponState {
    memory.view(position, exchange.world_now).map_or(CouponState::Deleted, |view| view.state)
}

/// 403 RULE_LIMIT: outside the validity.
pub(super) fn outside_validity() -> Answer {
    refuse(403, "RULE_LIMIT", "券不在有效期内")
}

/// 400 INVALID_REQUEST: the coupon is in another state than the call wants.
pub(super) fn wrong_state(state: CouponState) -> Answer {
    refuse(400, "INVALID_REQUEST", &format!("券状态不符合要求：{}", state.as_str()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::simulator::probe::{OPENID, POOL, Probe, STOCK, account};

    const ASSOCIATE: &str = "/v3/marketing/busifavor/coupons/associate";

    fn association(number: &str, order: &str) -> String {
        json!({"stock_id": STOCK, "coupon_code": "C1", "out_trade_no": order, "out_request_no": number}).to_string()
    }

    #[tokio::test]
    async fn the_same_number_is_done_once_and_answered_again() {
        let probe = Probe::start("").await;
        let first = probe.v3("POST", ASSOCIATE, &association("N1", "T1")).await;
        probe.clock.set(crate::simulator::probe::at("18T21:00"));
        let again = probe.v3("POST", ASSOCIATE, &association("N1", "T1")).await;
        assert_eq!((first.status, again.status), (200, 200));
        assert_eq!(first.json(), again.json(), "the time is that of the first call");
    }

    #[tokio::test]
    async fn the_same_number_with_other_parameters_is_refused() {
        let probe = Probe::start("").await;
        probe.v3("POST", ASSOCIATE, &association("N1", "T1")).await;
        let reply = probe.v3("POST", ASSOCIATE, &association("N1", "T9")).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "RESOURCE_ALREADY_EXISTS"));
    }

    #[tokio::test]
    async fn a_refused_write_does_not_use_its_number_up() {
        let probe = Probe::start("").await;
        let unknown = association("N1", "T1").replace("C1", "C9");
        assert_eq!(probe.v3("POST", ASSOCIATE, &unknown).await.code(), "RESOURCE_NOT_EXISTS");
        assert_eq!(probe.v3("POST", ASSOCIATE, &association("N1", "T1")).await.status, 200);
    }

    #[tokio::test]
    async fn bodies_that_are_no_objects_or_lack_a_field_are_parameter_errors() {
        let probe = Probe::start("").await;
        for body in ["", "[]", "{", "{}"] {
            let reply = probe.v3("POST", ASSOCIATE, body).await;
            assert_eq!((reply.status, reply.code().as_str()), (400, "PARAM_ERROR"), "{body}");
        }
        let long = association(&"N".repeat(129), "T1");
        let detail = probe.v3("POST", ASSOCIATE, &long).await.json()["detail"].clone();
        assert_eq!((&detail["field"], &detail["location"]), (&json!("/out_request_no"), &json!("body")));
    }

    #[tokio::test]
    async fn a_merchant_made_code_needs_its_stock() {
        let probe = Probe::start("").await;
        let mut body = json!({"coupon_code": "K1", "appid": account().appid, "use_request_no": "U1",
            "use_time": "2026-11-18T20:00:00+08:00", "openid": OPENID});
        let reply = probe.v3("POST", "/v3/marketing/busifavor/coupons/use", &body.to_string()).await;
        assert_eq!(reply.json()["detail"]["field"], "/stock_id");
        body["stock_id"] = POOL.into();
        assert_eq!(probe.v3("POST", "/v3/marketing/busifavor/coupons/use", &body.to_string()).await.status, 200);
    }
}
