//! GET stocks/{stock_id} (reference v3 §2.2).

use serde_json::{Map, Value};

use super::refusal::{refuse, unknown};
use crate::simulator::answer::Answer;
use crate::simulator::exchange::Exchange;
use crate::simulator::memory::{Memory, held};

/// The stock in its current state.
pub(super) fn get(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let stock = known(&held(&exchange.office.memory), exchange, exchange.segment("stock_id"))?;
    Ok(Answer::json(200, &stock))
}

/// A stock, or the refusal of an unknown one.
pub(super) fn known(memory: &Memory, exchange: &Exchange<'_>, stock_id: &str) -> Result<Map<String, Value>, Answer> {
    memory.stock(stock_id, exchange.world_now).ok_or_else(|| unknown("批次"))
}

/// A stock whose codes the merchant uploads; others have no pool (reference v3 §1.9).
pub(super) fn with_pool(memory: &Memory, exchange: &Exchange<'_>) -> Result<(), Answer> {
    let stock = known(memory, exchange, exchange.segment("stock_id"))?;
    if stock.get("coupon_code_mode").is_some_and(|mode| mode == "MERCHANT_UPLOAD") {
        Ok(())
    } else {
        Err(refuse(400, "INVALID_REQUEST", "发券模式不合法"))
    }
}
