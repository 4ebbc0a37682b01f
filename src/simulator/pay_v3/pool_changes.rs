//! Changes of a stock's pool: upload and delete codes (reference v3 §2.5, §2.8).

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::query::required;
use super::refusal::{Location, refuse, refuse_parameter, unknown};
use super::stocks;
use super::write::{Body, once};
use crate::simulator::answer::Answer;
use crate::simulator::exchange::Exchange;
use crate::simulator::memory::held;
use crate::simulator::state::{code_as_of, wire_time};
use crate::simulator::world::Code;

/// Codes per upload.
const MOST_CODES: usize = 200;

/// Adds codes; a part may fail and the answer is 200 all the same.
pub(super) fn upload(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    stocks::with_pool(&held(&exchange.office.memory), exchange)?;
    once(exchange, "upload_request_no", |memory, body, _| {
        let codes = read_codes(body)?;
        let stock_id = exchange.segment("stock_id").to_owned();
        let pool = memory.world.codes.entry(stock_id.clone()).or_default();
        let known: BTreeSet<String> = pool.iter().map(|code| code.code.clone()).collect();
        let mut sorted = Sorted::default();
        codes.into_iter().for_each(|code| sorted.add(code, &known));
        pool.extend(sorted.success.iter().map(|code| new_code(code, exchange.world_now)));
        Ok(sorted.answer(&stock_id, exchange.world_now))
    })
}

fn new_code(code: &str, upload_time: DateTime<Utc>) -> Code {
    Code { code: code.to_owned(), upload_time, dispatched_time: None, openid: None }
}

fn read_codes(body: &Body) -> Result<Vec<String>, Answer> {
    let list = body.value("coupon_code_list").as_array().filter(|list| (1..=MOST_CODES).contains(&list.len()));
    let texts = list.and_then(|list| list.iter().map(|code| code.as_str().map(str::to_owned)).collect());
    texts.ok_or_else(|| refuse_parameter("coupon_code_list", "", Location::Body))
}

/// The codes of an upload by what becomes of them.
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

    fn answer(&self, stock_id: &str, now: DateTime<Utc>) -> Value {
        json!({
            "stock_id": stock_id,
            "total_count": self.total,
            "success_count": self.success.len(),
            "success_codes": self.success,
            "success_time": wire_time(now),
            "fail_count": self.total - self.success.len(),
            "fail_codes": self.fail,
            "exist_codes": self.exist,
            "duplicate_codes": self.duplicate,
        })
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

#[cfg(test)]
mod tests {
    use serde_json::json;

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
}
