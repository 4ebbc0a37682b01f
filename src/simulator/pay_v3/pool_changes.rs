//! Changes of a stock's pool and budget: upload and delete codes, set the budget (reference v3 §2.4,
//! §2.5, §2.8).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::refusal::{refuse, refuse_parameter, unknown};
use super::write::{Body, once};
use super::{required, stocks};
use crate::simulator::answer::Answer;
use crate::simulator::exchange::Exchange;
use crate::simulator::memory::{Memory, held};
use crate::simulator::state::{code_as_of, wire_time};
use crate::simulator::world::Code;

/// Codes per upload.
const MOST_CODES: usize = 200;

/// Adds codes; a part may fail and the answer is 200 all the same.
pub(super) fn upload(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    stocks::with_pool(&held(&exchange.office.memory), exchange)?;
    once(exchange, "upload_request_no", |memory, body| {
        let codes = read_codes(body)?;
        let stock_id = exchange.segment("stock_id").to_owned();
        let pool = memory.world.codes.entry(stock_id.clone()).or_default();
        let known: BTreeSet<String> = pool.iter().map(|code| code.code.clone()).collect();
        let mut sorted = Sorted::default();
        for code in codes {
            sorted.add(code, &known);
        }
        let new = |code: &String| Code {
            code: code.clone(),
            upload_time: exchange.world_now,
            dispatched_time: None,
            openid: None,
        };
        pool.extend(sorted.success.iter().map(new));
        Ok(json!({
            "stock_id": stock_id,
            "total_count": sorted.total,
            "success_count": sorted.success.len(),
            "success_codes": sorted.success,
            "success_time": wire_time(exchange.world_now),
            "fail_count": sorted.total - sorted.success.len(),
            "fail_codes": sorted.fail,
            "exist_codes": sorted.exist,
            "duplicate_codes": sorted.duplicate,
        }))
    })
}

fn read_codes(body: &Body) -> Result<Vec<String>, Answer> {
    let list = body.value("coupon_code_list").as_array().filter(|list| (1..=MOST_CODES).contains(&list.len()));
    let texts = list.and_then(|list| list.iter().map(|code| code.as_str().map(str::to_owned)).collect());
    texts.ok_or_else(|| refuse_parameter("coupon_code_list", "", "body"))
}

#[derive(Default)]
struct Sorted {
    total: usize,
    success: Vec<String>,
    fail: Vec<Value>,
    exist: Vec<String>,
    duplicate: Vec<String>,
}

impl Sorted {
    fn add(&mut self, code: String, known: &BTreeSet<String>) {
        self.total += 1;
        let is_allowed = |character: char| character.is_ascii_alphanumeric() || " -_\\/=|".contains(character);
        if known.contains(&code) {
            self.exist.push(code);
        } else if self.success.contains(&code) {
            self.duplicate.push(code);
        } else if code.is_empty() || code.chars().count() > 32 {
            self.fail.push(json!({"coupon_code": code, "code": "LENGTH_LIMIT", "message": "长度超出限制"}));
        } else if !code.chars().all(is_allowed) {
            self.fail.push(json!({"coupon_code": code, "code": "CHARACTER_LIMIT", "message": "含有不支持的字符"}));
        } else {
            self.success.push(code);
        }
    }
}

/// Takes an undispatched code out of the pool.
pub(super) fn delete(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    required(exchange, "delete_request_no")?;
    let mut memory = held(&exchange.office.memory);
    stocks::with_pool(&memory, exchange)?;
    let (stock_id, wanted) = (exchange.segment("stock_id"), exchange.segment("coupon_code"));
    let pool = memory.world.codes.entry(stock_id.to_owned()).or_default();
    let position = pool.iter().position(|code| code.code == wanted).ok_or_else(|| unknown("券code"))?;
    match code_as_of(&pool[position], exchange.world_now) {
        None => return Err(unknown("券code")),
        Some(Some(_)) => return Err(refuse(400, "INVALID_REQUEST", "券code已发放")),
        Some(None) => pool.remove(position),
    };
    Ok(Answer::json(200, &json!({"stock_id": stock_id, "delete_time": wire_time(exchange.world_now)})))
}

/// Sets the budget, guarded by the value it has now.
pub(super) fn set_budget(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    once(exchange, "modify_budget_request_no", |memory, body| {
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

    use crate::simulator::probe::{POOL, Probe, STOCK};

    fn pool() -> String {
        format!("/v3/marketing/busifavor/stocks/{POOL}/couponcodes")
    }

    #[tokio::test]
    async fn an_upload_succeeds_in_part() {
        let probe = Probe::start("").await;
        let long = "x".repeat(33);
        let body = json!({"upload_request_no": "N1", "coupon_code_list": ["K6", "K1", "K6", long, "券"]});
        let answer = probe.v3("POST", &pool(), &body.to_string()).await.json();
        assert_eq!(
            (&answer["total_count"], &answer["success_count"], &answer["fail_count"]),
            (&json!(5), &json!(1), &json!(4))
        );
        assert_eq!((&answer["success_codes"], &answer["exist_codes"]), (&json!(["K6"]), &json!(["K1"])));
        assert_eq!(answer["duplicate_codes"], json!(["K6"]));
        assert_eq!(answer["fail_codes"][0]["code"], "LENGTH_LIMIT");
        assert_eq!(probe.get(&pool()).await.json()["total_count"], 6);
        let body = json!({"upload_request_no": "N2", "coupon_code_list": []});
        assert_eq!(probe.v3("POST", &pool(), &body.to_string()).await.code(), "PARAM_ERROR");
        let other = pool().replace(POOL, STOCK);
        assert_eq!(probe.v3("POST", &other, &body.to_string()).await.code(), "INVALID_REQUEST");
    }

    #[tokio::test]
    async fn only_codes_still_in_the_pool_are_deleted() {
        let probe = Probe::start("").await;
        let delete = async |code: &str| probe.v3("DELETE", &format!("{}/{code}?delete_request_no=1", pool()), "").await;
        assert_eq!(delete("K2").await.json()["stock_id"], POOL);
        assert_eq!(delete("K2").await.code(), "RESOURCE_NOT_EXISTS");
        assert_eq!(delete("K1").await.code(), "INVALID_REQUEST", "it is dispatched");
        assert_eq!(probe.v3("DELETE", &format!("{}/K3", pool()), "").await.code(), "PARAM_ERROR");
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
