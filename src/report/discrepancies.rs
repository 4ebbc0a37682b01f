//! The open breaks, those with most money at risk first, then the oldest.

use super::input::PackInput;
use super::table::{Cell, Column, Kind, Table, column, summed};
use super::words::{self, word};
use crate::record::Break;

/// `discrepancies.csv`.
pub(super) const TABLE: Table =
    Table { name: "discrepancies", zh: "差异明细", en: "Discrepancies", dataset: "breaks", columns: &COLUMNS };

const COLUMNS: [Column; 23] = [
    column("break_id", "差异编号", "Break", Kind::Id),
    column("rule_id", "规则", "Rule", Kind::Word),
    column("title", "规则名称", "Title", Kind::Text).says("规则的名称。", "Title of the rule."),
    column("severity", "严重程度", "Severity", Kind::Word),
    column("side", "责任方", "Side", Kind::Word),
    column("status", "状态", "Status", Kind::Word),
    column("first_seen_date", "首次发现", "First seen", Kind::Date),
    column("age_days", "账龄(天)", "Age (days)", Kind::Count),
    column("stock_id", "批次号", "Stock", Kind::Id),
    column("coupon_code", "券码", "Coupon", Kind::Id),
    column("openid", "用户标识", "User", Kind::Id),
    column("out_trade_no", "商户订单号", "Order", Kind::Id),
    column("transaction_id", "微信支付订单号", "WeChat Pay order", Kind::Id),
    column("out_subsidy_no", "补差单号", "Subsidy", Kind::Id),
    column("card_id", "卡券ID", "Card", Kind::Id),
    column("ref_date", "数据日期", "Day of the figures", Kind::Date),
    column("subject", "对象", "Subject", Kind::Text),
    column("expected_yuan", "应为(元)", "Expected (yuan)", Kind::Yuan),
    column("actual_yuan", "实际(元)", "Actual (yuan)", Kind::Yuan),
    column("difference_yuan", "差额=实际-应为(元)", "Difference (yuan)", Kind::Yuan)
        .says("实际金额减应为金额，可为负。", "Actual less expected; may be negative."),
    summed("at_risk_yuan", "风险金额(元)", "At risk (yuan)", Kind::Yuan),
    column("why", "原因", "Why", Kind::Text),
    column("action", "处理建议", "Action", Kind::Text),
];

pub(super) fn row<'a>(input: &'a PackInput<'_>, it: &'a Break) -> [Cell<'a>; COLUMNS.len()] {
    let language = input.settings.language;
    [
        Cell::id(&it.break_id),
        Cell::text(&it.rule_id),
        Cell::text(input.title(&it.rule_id)),
        Cell::text(word(words::SEVERITY, language, it.severity.as_str())),
        Cell::text(word(words::SIDE, language, &it.side)),
        Cell::text(word(words::STATUS, language, it.status.as_str())),
        Cell::Date(Some(it.first_seen_date)),
        Cell::Count(Some(it.age_days)),
        Cell::maybe_id(it.stock_id.as_deref()),
        Cell::maybe_id(it.coupon_code.as_deref()),
        Cell::maybe_id(it.openid.as_deref()),
        Cell::maybe_id(it.out_trade_no.as_deref()),
        Cell::maybe_id(it.transaction_id.as_deref()),
        Cell::maybe_id(it.out_subsidy_no.as_deref()),
        Cell::maybe_id(it.card_id.as_deref()),
        Cell::Date(it.ref_date),
        Cell::maybe_text(&it.subject),
        Cell::Yuan(it.expected_fen),
        Cell::Yuan(it.actual_fen),
        Cell::Yuan(it.difference_fen),
        Cell::Yuan(Some(it.at_risk_fen)),
        Cell::text(input.why(it)),
        Cell::text(input.action(it)),
    ]
}
