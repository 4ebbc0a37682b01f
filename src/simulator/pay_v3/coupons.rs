//! The wallet: GET users/{openid}/coupons and the single coupon (reference v3 §2.10, §2.11).

use serde_json::{Map, Value, json};

use super::query::{number, required};
use super::refusal::{Location, check_appid, refuse, refuse_parameter, unknown};
use crate::simulator::answer::Answer;
use crate::simulator::exchange::Exchange;
use crate::simulator::memory::{Memory, held, text_of};
use crate::simulator::paging::{Asked, cut};
use crate::simulator::state::{CouponState, CouponView, wire_time};
use crate::simulator::world::Event;

/// The maximum number of rows per page, whatever is requested.
const LARGEST_PAGE: usize = 20;

/// The filter for the coupons of a wallet.
#[derive(Debug)]
struct Filter {
    stock_id: Option<String>,
    state: Option<CouponState>,
    belong_merchant: Option<String>,
    is_foreign: bool,
}

/// A page of a wallet.
pub(super) fn list(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    check_user(exchange, &required(exchange, "appid")?)?;
    let filter = read_filter(exchange)?;
    let limit = number(exchange, "limit", LARGEST_PAGE, 1)?.min(LARGEST_PAGE);
    let asked = Asked { offset: number(exchange, "offset", 0, 0)?, limit };
    let memory = held(&exchange.office.memory);
    let wallet = memory.wallet(exchange.segment("openid"), exchange.world_now);
    let rows: Vec<&CouponView<'_>> = wallet.iter().filter(|view| filter.takes(&memory, exchange, view)).collect();
    let page = cut(&rows, asked, exchange.office.options.offset_meaning, exchange.fault_kind());
    let mut body = Map::new();
    if !page.rows.is_empty() {
        let data = page.rows.iter().map(|view| listed_entity(&memory, exchange, view));
        body.insert("data".into(), data.collect());
    }
    body.extend(
        [("total_count", page.total), ("limit", asked.limit), ("offset", asked.offset)]
            .map(|(key, value)| (key.to_owned(), json!(value))),
    );
    Ok(Answer::json(200, &body))
}

/// One coupon.
pub(super) fn get(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    check_user(exchange, exchange.segment("appid"))?;
    let memory = held(&exchange.office.memory);
    let wallet = memory.wallet(exchange.segment("openid"), exchange.world_now);
    let code = exchange.segment("coupon_code");
    let view = wallet.iter().find(|view| view.coupon.coupon_code == code).ok_or_else(|| unknown("券"))?;
    Ok(Answer::json(200, &entity(&memory, exchange, view)))
}

fn check_user(exchange: &Exchange<'_>, appid: &str) -> Result<(), Answer> {
    let openid = exchange.segment("openid");
    if openid.is_empty() || openid.len() > 128 {
        return Err(refuse_parameter("openid", openid, Location::Url));
    }
    check_appid(exchange, appid)?;
    if held(&exchange.office.memory).is_miscased(openid) {
        return Err(refuse(404, "USER_NOT_EXISTS", "openid不正确"));
    }
    Ok(())
}

fn read_filter(exchange: &Exchange<'_>) -> Result<Filter, Answer> {
    let query = |name| exchange.call.query(name);
    let state = match query("coupon_state") {
        Some(word) => Some(
            CouponState::from_wire(&word).ok_or_else(|| refuse_parameter("coupon_state", &word, Location::Query))?,
        ),
        None => None,
    };
    let roles = ["creator_merchant", "sender_merchant"].map(query);
    let belong_merchant = query("belong_merchant");
    // The caller must name its roles; without any it may see nothing.
    if belong_merchant.is_none() && roles.iter().all(Option::is_none) {
        return Err(refuse_parameter("creator_merchant", "", Location::Query));
    }
    let is_foreign = roles.iter().flatten().any(|merchant| *merchant != exchange.office.account.mchid);
    Ok(Filter { stock_id: query("stock_id"), state, belong_merchant, is_foreign })
}

impl Filter {
    fn takes(&self, memory: &Memory, exchange: &Exchange<'_>, view: &CouponView<'_>) -> bool {
        let belongs = |wanted: &String| {
            let stock = memory.stock(&view.coupon.stock_id, exchange.world_now).unwrap_or_default();
            text_of(&stock, "belong_merchant") == *wanted
        };
        !self.is_foreign
            && !view.coupon.missing_from_list
            && self.state.is_none_or(|state| state == view.state)
            && self.stock_id.as_ref().is_none_or(|id| *id == view.coupon.stock_id)
            && self.belong_merchant.as_ref().is_none_or(belongs)
    }
}

fn listed_entity(memory: &Memory, exchange: &Exchange<'_>, view: &CouponView<'_>) -> Value {
    let mut entity = entity(memory, exchange, view);
    if view.coupon.list_lags_association {
        entity.shift_remove("associate_out_trade_no");
    }
    entity.into()
}

/// A CouponEntity: what the stock says, then what happened to the coupon (reference v3 §2.11).
pub(super) fn entity(memory: &Memory, exchange: &Exchange<'_>, view: &CouponView<'_>) -> Map<String, Value> {
    let coupon = view.coupon;
    let stock = memory.stock(&coupon.stock_id, exchange.world_now).unwrap_or_default();
    let mut entity = stock_part(&stock);
    let mut put = |key: &str, value: String| entity.insert(key.to_owned(), value.into());
    put("coupon_state", view.state.as_str().to_owned());
    put("coupon_code", coupon.coupon_code.clone());
    put("stock_id", coupon.stock_id.clone());
    put("available_start_time", wire_time(coupon.available_start_time));
    put("expire_time", wire_time(coupon.expire_time));
    put("receive_time", wire_time(coupon.receive_time));
    if let Some(number) = &coupon.send_request_no {
        put("send_request_no", number.clone());
    }
    put_event(&mut entity, "use", shown_redemption(memory, view));
    if let Some(association) = view.association {
        entity.insert("associate_out_trade_no".into(), association.number.as_str().into());
    }
    put_event(&mut entity, "return", view.coupon_return);
    put_event(&mut entity, "deactivate", view.deactivation);
    entity
}

/// Some coupons still show a redemption that was returned.
fn shown_redemption<'a>(memory: &Memory, view: &CouponView<'a>) -> Option<&'a Event> {
    let is_kept = view.coupon_return.is_some() && memory.world.kept_redemptions.contains(&view.coupon.coupon_code);
    view.redemption.or_else(|| view.coupon.redemption.as_ref().filter(|_| is_kept))
}

fn stock_part(stock: &Map<String, Value>) -> Map<String, Value> {
    let mut part = Map::new();
    let keys = [
        "belong_merchant",
        "stock_name",
        "comment",
        "goods_name",
        "stock_type",
        "display_pattern_info",
        "coupon_use_rule",
        "custom_entrance",
    ];
    for key in keys {
        if let Some(value) = stock.get(key) {
            part.insert(key.to_owned(), value.clone());
        }
    }
    for key in ["transferable", "shareable"] {
        let rule = stock.get("stock_send_rule").and_then(|rule| rule.get(key));
        part.insert(key.to_owned(), rule.cloned().unwrap_or(Value::Bool(false)));
    }
    part
}

fn put_event(entity: &mut Map<String, Value>, name: &str, event: Option<&Event>) {
    if let Some(event) = event {
        entity.insert(format!("{name}_request_no"), event.number.as_str().into());
        entity.insert(format!("{name}_time"), wire_time(event.time).into());
    }
}
