//! An order export of one day: lines by time, numbers in no order, every second one with a coupon.

use std::io::{self, Write};

use super::dice::{Dice, scattered};

/// A job whose only source is the export.
pub(super) const JOB: &str = r#"[job]
name = "bench-orders"
lake = "lake"
pii = "raw"

[[orders]]
path = "orders/{date}.csv"

[orders.columns]
out_trade_no = "商户订单号"
transaction_id = "微信订单号"
merchant = "商户号"
openid = "用户标识"
paid_at = "支付时间"
goods = "商品金额"
discount = "券优惠"
paid = "实付"
refund = "退款"
stock_id = "批次号"
coupon_code = "券码"
channel = "渠道"
product = "商品"
remark = "备注"
"#;

const HEADER: &str =
    "商户订单号,微信订单号,商户号,用户标识,支付时间,商品金额,券优惠,实付,退款,批次号,券码,渠道,商品,备注\n";
const PRODUCTS: [&str; 5] = ["拿铁", "\"拿铁（大杯,热）\"", "生椰拿铁", "美式咖啡", "\"早餐组合,含饮料\""];
const REMARKS: [&str; 4] = ["", "", "少冰", "不要吸管"];

/// Writes an export of about `bytes` bytes.
pub(super) fn write<W: Write>(mut to: W, bytes: u64) -> io::Result<W> {
    let mut dice = Dice::new(4_200);
    to.write_all(HEADER.as_bytes())?;
    let (mut written, mut number) = (HEADER.len() as u64, 0);
    while written < bytes {
        number += 1;
        let line = line(&mut dice, number);
        written += line.len() as u64;
        to.write_all(line.as_bytes())?;
    }
    Ok(to)
}

fn line(dice: &mut Dice, number: u64) -> String {
    let yuan = |fen: u64| format!("{}.{:02}", fen / 100, fen % 100);
    let second = (number / 300) % 86_400;
    let goods = 1_900 + dice.below(9_000);
    let has_coupon = dice.below(2) == 0;
    let discount = if has_coupon { 500 } else { 0 };
    let coupon = match has_coupon {
        true => format!("12888800000{:03},C{:019}", dice.below(40), dice.below(u64::MAX)),
        false => ",".to_owned(),
    };
    format!(
        "WX20261118{:06}{number:010},4200{:06}20261118{:010},1900000001,{},2026-11-18 {:02}:{:02}:{:02},{},{},{},{},{coupon},微信支付,{},{}\n",
        dice.below(800),
        2_000 + dice.below(900),
        scattered(number),
        dice.openid(),
        second / 3600,
        second / 60 % 60,
        second % 60,
        yuan(goods),
        yuan(discount),
        yuan(goods - discount),
        yuan(0),
        dice.pick(&PRODUCTS),
        dice.pick(&REMARKS),
    )
}
