//! send_coupon (reference v2 §B.1). The client certificate is not checked, since this server speaks
//! plain HTTP.

use serde_json::{Value, json};

use super::envelope::{Sign, asked, business_error, enveloped};
use super::xml::Fields;
use crate::simulator::answer::Answer;
use crate::simulator::exchange::Exchange;
use crate::simulator::memory::{Memory, Written, held};
use crate::simulator::signature::serial_text;

/// Gives one coupon to one user; the same partner_trade_no gets the coupon of the first time.
pub(super) fn send(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let fields = asked(exchange)?;
    let of = |name: &str| fields.get(name).cloned().unwrap_or_default();
    let (stock_id, openid, number) = (of("coupon_stock_id"), of("openid"), of("partner_trade_no"));
    for (value, code) in [(&stock_id, "COUPON_STOCK_ID_EMPTY"), (&openid, "OPEN_ID_EMPTY"), (&number, "PARAM_ERROR")] {
        if value.is_empty() {
            return Err(business_error(exchange, code, "参数为空"));
        }
    }
    if of("openid_count") != "1" {
        return Err(business_error(exchange, "PARAM_ERROR", "openid_count错误"));
    }
    let mut memory = held(&exchange.office.memory);
    let coupon_id = match sent_before(exchange, &memory, &number) {
        Some(coupon_id) => coupon_id,
        None => give(exchange, &mut memory, &stock_id, &openid)?,
    };
    let answer = json!(coupon_id);
    memory.remember(exchange.endpoint.template, &number, Written { request: Value::Null, answer });
    Ok(sent(exchange, &stock_id, &openid, &coupon_id))
}

fn sent_before(exchange: &Exchange<'_>, memory: &Memory, number: &str) -> Option<String> {
    memory.written(exchange.endpoint.template, number)?.answer.as_str().map(str::to_owned)
}

fn give(exchange: &Exchange<'_>, memory: &mut Memory, stock_id: &str, openid: &str) -> Result<String, Answer> {
    let stock = memory.world.v2_stocks.get_mut(stock_id);
    let stock = stock.ok_or_else(|| business_error(exchange, "STOCK_IS_NOT_VALID", "批次无效"))?;
    let number = |stock: &Fields, name: &str| stock.get(name).and_then(|text| text.parse::<i64>().ok());
    let given = number(stock, "is_send_num").unwrap_or(0);
    if number(stock, "coupon_total").is_some_and(|total| given >= total) {
        return Err(business_error(exchange, "AL_STOCK_OVER", "活动已结束"));
    }
    stock.insert("is_send_num".to_owned(), (given + 1).to_string());
    let coupon_id = u64::from_str_radix(&serial_text("v2 coupon", exchange.serial, 8), 16).unwrap_or(exchange.serial);
    let coupon = [
        ("coupon_stock_id", stock_id.to_owned()),
        ("coupon_state", "SENDED".to_owned()),
        ("coupon_value", stock.get("coupon_value").cloned().unwrap_or_default()),
        ("send_time", exchange.world_now.timestamp().to_string()),
        ("openid", openid.to_owned()),
    ];
    let coupon = coupon.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    memory.world.v2_coupons.insert(coupon_id.to_string(), coupon);
    Ok(coupon_id.to_string())
}

fn sent(exchange: &Exchange<'_>, stock_id: &str, openid: &str, coupon_id: &str) -> Answer {
    let fields = [
        ("result_code", "SUCCESS"),
        ("coupon_stock_id", stock_id),
        ("resp_count", "1"),
        ("success_count", "1"),
        ("failed_count", "0"),
        ("openid", openid),
        ("ret_code", "SUCCESS"),
        ("coupon_id", coupon_id),
        ("ret_msg", ""),
    ];
    enveloped(exchange, &fields, Sign::Given)
}

#[cfg(test)]
mod tests {
    use crate::simulator::pay_v2::xml;
    use crate::simulator::probe::{OPENID, Probe};

    const SEND: &str = "/mmpaymkttransfers/send_coupon";

    async fn send(probe: &Probe, stock_id: &str, number: &str) -> xml::Fields {
        let fields =
            [("coupon_stock_id", stock_id), ("openid_count", "1"), ("partner_trade_no", number), ("openid", OPENID)];
        xml::parse(&probe.v2(SEND, &fields).await.text()).unwrap()
    }

    #[tokio::test]
    async fn a_sent_coupon_is_known_to_the_query_and_sent_once() {
        let probe = Probe::start("").await;
        let (first, again) = (send(&probe, "9728595", "N1").await, send(&probe, "9728595", "N1").await);
        assert_eq!((first["ret_code"].as_str(), &first["coupon_id"]), ("SUCCESS", &again["coupon_id"]));
        assert_ne!(send(&probe, "9728595", "N2").await["coupon_id"], first["coupon_id"]);
        let ask = [("coupon_id", first["coupon_id"].as_str()), ("openid", OPENID), ("stock_id", "9728595")];
        let coupon = xml::parse(&probe.v2("/mmpaymkttransfers/querycouponsinfo", &ask).await.text()).unwrap();
        assert_eq!(coupon["coupon_state"], "SENDED");
        let stock = probe.v2("/mmpaymkttransfers/query_coupon_stock", &[("coupon_stock_id", "9728595")]).await;
        assert_eq!(xml::parse(&stock.text()).unwrap()["is_send_num"], "2");
    }

    #[tokio::test]
    async fn unknown_exhausted_and_unnamed_are_business_errors() {
        let probe = Probe::start_with("", |world, _| {
            world.v2_stocks.get_mut("9728596").unwrap().insert("coupon_total".into(), "0".into());
        })
        .await;
        assert_eq!(send(&probe, "1", "N1").await["err_code"], "STOCK_IS_NOT_VALID");
        assert_eq!(send(&probe, "9728596", "N1").await["err_code"], "AL_STOCK_OVER");
        assert_eq!(send(&probe, "", "N1").await["err_code"], "COUPON_STOCK_ID_EMPTY");
        assert_eq!(send(&probe, "9728595", "").await["err_code"], "PARAM_ERROR");
    }
}
