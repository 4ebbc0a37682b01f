//! Every coupon that was used or that an order names, with its order, payment, refunds and breaks; matched ones too,
//! so that the list agrees with the redemptions. Amounts that several coupons share are on the first of them, so
//! that columns add up.

use super::coupon::{Coupon, instant};
use super::coupon_breaks::CouponBreaks;
use super::shared_amounts::Share;
use super::table::{Cell, Column, Kind, Table, column, summed};
use super::verdict::Tonight;
use super::words::{self, word};
use crate::money::Fen;
use crate::record::coupon_state;

/// `associated_orders.csv`.
pub(super) const TABLE: Table = Table {
    name: "associated_orders",
    zh: "核销订单",
    en: "Associated orders",
    dataset: "coupon_ledger",
    columns: &COLUMNS,
};

const COLUMNS: [Column; 25] = [
    column("stock_id", "批次号", "Stock", Kind::Id),
    column("coupon_code", "券码", "Coupon", Kind::Id),
    column("openid", "用户标识", "User", Kind::Id),
    column("state", "券状态", "Coupon state", Kind::Word).of("coupon_ledger", "state_on_date"),
    column("used_at", "核销时间", "Used at", Kind::Time),
    column("result", "对账结果", "Result", Kind::Word).says(
        "相符：该券没有未结差异；有差异：见差异规则；\
         未核实：没有未结差异，但已核销券无订单、没有卡包显示该券，或当晚有规则缺数据未判定。",
        "Agrees: no open break concerns the coupon. Differs: see the rules named. \
         Unproven: no open break either, but no order is known for the used coupon, no wallet shows it, \
         or a rule lacked its data tonight.",
    ),
    column("match_pass", "匹配方式", "Matched by", Kind::Word),
    column("claim_count", "报券订单数", "Claims", Kind::Count),
    column("out_trade_no", "商户订单号", "Order", Kind::Id),
    column("transaction_id", "微信支付订单号", "WeChat Pay order", Kind::Id),
    column("order_merchant", "商户号", "Merchant", Kind::Id),
    column("order_paid_at", "支付时间", "Paid at", Kind::Time),
    summed("goods_yuan", "商品金额(元)", "Goods (yuan)", Kind::Yuan),
    summed("discount_yuan", "券优惠金额(元)", "Discount (yuan)", Kind::Yuan),
    column("expected_discount_yuan", "应优惠金额(元)", "Expected discount (yuan)", Kind::Yuan),
    summed("paid_yuan", "实付金额(元)", "Paid (yuan)", Kind::Yuan),
    column("bill_paid_yuan", "账单订单金额(元)", "Paid per bill (yuan)", Kind::Yuan),
    column("order_refund_yuan", "订单退款金额(元)", "Refunded per order (yuan)", Kind::Yuan),
    column("bill_refund_yuan", "账单退款金额(元)", "Refunded per bill (yuan)", Kind::Yuan)
        .of("coupon_ledger", "refund_fen"),
    column("refund_count", "退款笔数", "Refunds", Kind::Count),
    column("refunded_at", "最近退款时间", "Refunded at", Kind::Time),
    column("returned_at", "退券时间", "Coupon returned at", Kind::Time),
    summed("at_risk_yuan", "风险金额(元)", "At risk (yuan)", Kind::Yuan).says(
        "该券未结差异的风险金额；订单或支付的差异只计在首张券上。",
        "Amount at risk in the open breaks of the coupon; that of an order or a payment is on its first coupon only.",
    ),
    column("rules", "差异规则", "Rules", Kind::Text).says(
        "未结差异涉及该券、其订单或支付的规则。",
        "Rules whose open breaks concern the coupon, its order or its payment.",
    ),
    column("break_ids", "差异编号", "Breaks", Kind::Id)
        .says("这些差异的编号，见差异明细。", "Ids of these breaks, as in the discrepancies."),
];

/// Whether a coupon is in the table.
pub(super) fn lists(row: &Coupon<'_>) -> bool {
    row.state_on_date == Some(coupon_state::USED) || row.match_pass.is_some() || row.claim_count > 0
}

pub(super) fn row<'a>(
    tonight: Tonight,
    it: &Coupon<'a>,
    broken: &'a CouponBreaks<'_>,
    share: Share,
) -> [Cell<'a>; COLUMNS.len()] {
    let of_line = |amount: Option<Fen>| Cell::Yuan(amount.filter(|_| share.has_line));
    let state = it.state_on_date.unwrap_or_default();
    let pass = it.match_pass.unwrap_or_default();
    let (language, result) = (tonight.language, tonight.of_order(it, !broken.is_empty()));
    [
        Cell::id(it.stock_id),
        Cell::id(it.coupon_code),
        Cell::maybe_id(it.openid),
        Cell::text(word(words::COUPON, language, state)),
        Cell::Time(it.used_at.map(instant)),
        Cell::text(word(words::RESULT, language, result)),
        Cell::text(word(words::MATCH_PASS, language, pass)),
        Cell::Count(Some(it.claim_count)),
        Cell::maybe_id(it.out_trade_no),
        Cell::maybe_id(it.transaction_id),
        Cell::maybe_id(it.order_merchant),
        Cell::Time(it.order_paid_at.map(instant)),
        of_line(it.goods_fen),
        of_line(it.discount_fen),
        Cell::Yuan(it.expected_discount_fen),
        of_line(it.paid_fen),
        Cell::Yuan(it.bill_paid_fen),
        Cell::Yuan(it.order_refund_fen),
        Cell::Yuan(it.refund_fen),
        Cell::Count(Some(it.refund_count)),
        Cell::Time(it.refunded_at.map(instant)),
        Cell::Time(it.returned_at.map(instant)),
        Cell::Yuan(share.at_risk),
        Cell::text(broken.rules()),
        broken.ids(),
    ]
}
