//! query_coupon_stock and querycouponsinfo (reference v2 §B.2, §B.3).

use super::envelope::{Sign, asked, business_error, enveloped};
use super::xml::Fields;
use crate::simulator::answer::Answer;
use crate::simulator::exchange::Exchange;
use crate::simulator::memory::held;
use crate::simulator::world::World;

/// A stock.
pub(super) fn query_stock(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let stock_id = required(exchange, &asked(exchange)?, "coupon_stock_id", "COUPON_STOCK_ID_EMPTY")?;
    let memory = held(&exchange.office.memory);
    let stock = memory.world.v2_stocks.get(&stock_id);
    let stock = stock.ok_or_else(|| business_error(exchange, "COUPON_STOCK_ID_NOT_VALID", "批次ID信息不正确"))?;
    let sign = sign_of(&memory.world, &stock_id);
    Ok(answer_fields(exchange, ("coupon_stock_id", &stock_id), stock, sign))
}

/// A coupon: id, holder and stock must match.
pub(super) fn query_coupon(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let fields = asked(exchange)?;
    let coupon_id = required(exchange, &fields, "coupon_id", "COUPON_NOT_FOUND")?;
    let openid = required(exchange, &fields, "openid", "OPEN_ID_EMPTY")?;
    let stock_id = required(exchange, &fields, "stock_id", "COUPON_STOCK_ID_EMPTY")?;
    let memory = held(&exchange.office.memory);
    let coupon = memory.world.v2_coupons.get(&coupon_id);
    let coupon = coupon.filter(|coupon| coupon.get("openid").is_none_or(|holder| *holder == openid));
    let coupon = coupon.ok_or_else(|| business_error(exchange, "COUPON_NOT_FOUND", "代金券不存在"))?;
    if coupon.get("coupon_stock_id").is_some_and(|id| *id != stock_id) {
        return Err(business_error(exchange, "COUPON_STOCK_ID_NOT_VALID", "批次ID信息不正确"));
    }
    let sign = sign_of(&memory.world, &stock_id);
    Ok(answer_fields(exchange, ("coupon_id", &coupon_id), coupon, sign))
}

fn sign_of(world: &World, stock_id: &str) -> Sign {
    if world.v2_unsigned_stocks.contains(stock_id) { Sign::LeftOut } else { Sign::Given }
}

fn required(exchange: &Exchange<'_>, fields: &Fields, name: &str, code: &str) -> Result<String, Answer> {
    let given = fields.get(name).filter(|value| !value.is_empty());
    given.cloned().ok_or_else(|| business_error(exchange, code, &format!("{name}为空")))
}

/// The stored fields after `result_code` and the id, which may be among them.
fn answer_fields(exchange: &Exchange<'_>, id: (&str, &str), stored: &Fields, sign: Sign) -> Answer {
    let mut fields = vec![("result_code", "SUCCESS"), id];
    let others = stored.iter().filter(|(name, _)| *name != id.0 && *name != "openid");
    fields.extend(others.map(|(name, value)| (name.as_str(), value.as_str())));
    enveloped(exchange, &fields, sign)
}
