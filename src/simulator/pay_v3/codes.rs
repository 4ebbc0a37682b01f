//! The code pool of a MERCHANT_UPLOAD stock: GET couponcodes and a single code (reference v3 §2.6, §2.7).

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::query::number;
use super::refusal::{Location, refuse_parameter, unknown};
use super::{coupons, stocks};
use crate::simulator::answer::Answer;
use crate::simulator::exchange::Exchange;
use crate::simulator::memory::{Memory, held};
use crate::simulator::paging::{Asked, OffsetMeaning, cut};
use crate::simulator::state::{code_as_of, wire_time};
use crate::simulator::world::Code;

/// The largest page of codes; the true one is not documented.
const LARGEST_PAGE: usize = 200;

/// A page of the pool; `limit` echoes how many rows came.
pub(super) fn list(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let memory = held(&exchange.office.memory);
    stocks::with_pool(&memory, exchange)?;
    let status = read_status(exchange)?;
    let limit = number(exchange, "limit", LARGEST_PAGE, 1)?.min(LARGEST_PAGE);
    let asked = Asked { offset: number(exchange, "offset", 0, 0)?, limit };
    let all = pool(&memory, exchange, status.as_deref());
    let page = cut(&all, asked, OffsetMeaning::Rows, exchange.fault_kind());
    let mut body = Map::new();
    body.insert("stock_id".into(), exchange.segment("stock_id").into());
    body.insert("total_count".into(), json!(page.total));
    body.insert("offset".into(), json!(asked.offset));
    body.insert("limit".into(), json!(page.rows.len()));
    if !page.rows.is_empty() {
        body.insert("data".into(), page.rows.iter().map(|known| code_row(exchange, *known)).collect());
    }
    Ok(Answer::json(200, &body))
}

/// One code, and its coupon when it was dispatched.
pub(super) fn get(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let memory = held(&exchange.office.memory);
    stocks::with_pool(&memory, exchange)?;
    let (stock_id, wanted) = (exchange.segment("stock_id"), exchange.segment("coupon_code"));
    let all = pool(&memory, exchange, None);
    let known = all.iter().find(|(code, _)| code.code == wanted).ok_or_else(|| unknown("券code"))?;
    let mut body = Map::new();
    body.insert("code_information".into(), code_row(exchange, *known));
    for position in memory.positions(Some(stock_id), wanted) {
        if let Some(view) = memory.view(position, exchange.world_now) {
            body.insert("coupon_information".into(), coupons::entity(&memory, exchange, &view).into());
        }
    }
    Ok(Answer::json(200, &body))
}

fn read_status(exchange: &Exchange<'_>) -> Result<Option<String>, Answer> {
    match exchange.call.query("status") {
        Some(word) if word != "AVAILABLE" && word != "DISPATCHED" => {
            Err(refuse_parameter("status", &word, Location::Query))
        }
        status => Ok(status),
    }
}

/// A code that was uploaded, and when it was dispatched.
type Known<'a> = (&'a Code, Option<DateTime<Utc>>);

fn pool<'a>(memory: &'a Memory, exchange: &Exchange<'_>, status: Option<&str>) -> Vec<Known<'a>> {
    let codes = memory.world.codes.get(exchange.segment("stock_id")).map(Vec::as_slice).unwrap_or_default();
    let known = codes.iter().filter_map(|code| Some((code, code_as_of(code, exchange.world_now)?)));
    known.filter(|(_, dispatched)| status.is_none_or(|status| status == status_of(*dispatched))).collect()
}

fn status_of(dispatched: Option<DateTime<Utc>>) -> &'static str {
    if dispatched.is_some() { "DISPATCHED" } else { "AVAILABLE" }
}

/// The openid belongs to an appid, so it comes only when one is named.
fn code_row(exchange: &Exchange<'_>, (code, dispatched): Known<'_>) -> Value {
    let upload_time = wire_time(code.upload_time);
    let mut row = json!({"code": code.code, "code_status": status_of(dispatched), "upload_time": upload_time});
    if let Some(time) = dispatched {
        row["dispatched_time"] = wire_time(time).into();
        row["coupon_code"] = code.code.as_str().into();
        if let (Some(openid), Some(_)) = (&code.openid, exchange.call.query("appid")) {
            row["openid"] = openid.as_str().into();
        }
    }
    row
}
