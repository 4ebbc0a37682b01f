//! `discrepancies.csv`: every open break, the most money at risk first, then the oldest.

use super::table::{Cell, Table};
use super::{PackInput, ReportFile, is_open};
use crate::money::Fen;
use crate::record::Break;

/// Headers in both languages, in column order.
const HEADER: [(&str, &str); 22] = [
    ("差异编号", "break_id"),
    ("规则", "rule_id"),
    ("规则名称", "title"),
    ("严重程度", "severity"),
    ("责任方", "side"),
    ("状态", "status"),
    ("首次发现", "first_seen_date"),
    ("账龄(天)", "age_days"),
    ("批次号", "stock_id"),
    ("券码", "coupon_code"),
    ("用户标识", "openid"),
    ("商户订单号", "out_trade_no"),
    ("微信支付订单号", "transaction_id"),
    ("补差单号", "out_subsidy_no"),
    ("卡券ID", "card_id"),
    ("数据日期", "ref_date"),
    ("对象", "subject"),
    ("应为(元)", "expected_yuan"),
    ("实际(元)", "actual_yuan"),
    ("差额=实际-应为(元)", "difference_yuan"),
    ("风险金额(元)", "at_risk_yuan"),
    ("原因", "why"),
];

pub(super) fn render(input: &PackInput<'_>) -> ReportFile {
    let mut open: Vec<&Break> = input.breaks.iter().filter(|it| is_open(it)).collect();
    open.sort_by(|a, b| {
        let risk = b.at_risk_fen.cmp(&a.at_risk_fen);
        risk.then(b.age_days.cmp(&a.age_days)).then(a.break_id.cmp(&b.break_id))
    });
    let mut header: Vec<String> = HEADER.iter().map(|(zh, en)| input.pick(zh, en).to_owned()).collect();
    header.push(input.pick("处理建议", "action").to_owned());
    let trailer = input.settings.trailer.then(|| total(input, &open));
    let table = Table { header, rows: open.iter().map(|it| row(input, it)).collect(), trailer };
    ReportFile { name: "discrepancies.csv".into(), bytes: table.to_csv(input.settings.excel_ids) }
}

fn row(input: &PackInput<'_>, it: &Break) -> Vec<Cell> {
    let id = |value: &Option<String>| Cell::Id(value.clone());
    vec![
        Cell::Id(Some(it.break_id.clone())),
        Cell::Text(it.rule_id.clone()),
        Cell::Text(input.title(&it.rule_id)),
        Cell::Text(input.pick(zh_severity(&it.severity), &it.severity).to_owned()),
        Cell::Text(it.side.clone()),
        Cell::Text(input.pick(zh_status(&it.status), &it.status).to_owned()),
        Cell::Date(Some(it.first_seen_date)),
        Cell::Count(Some(it.age_days)),
        id(&it.stock_id),
        id(&it.coupon_code),
        id(&it.openid),
        id(&it.out_trade_no),
        id(&it.transaction_id),
        id(&it.out_subsidy_no),
        id(&it.card_id),
        Cell::Date(it.ref_date),
        Cell::Text(it.subject.clone().unwrap_or_default()),
        Cell::Yuan(it.expected_fen),
        Cell::Yuan(it.actual_fen),
        Cell::Yuan(it.difference_fen),
        Cell::Yuan(Some(it.at_risk_fen)),
        Cell::Text(it.why.clone()),
        Cell::Text(it.action.clone()),
    ]
}

/// `合计`, the number of rows, and the sum at risk in its column.
fn total(input: &PackInput<'_>, open: &[&Break]) -> Vec<Cell> {
    let mut cells = vec![Cell::Text(String::new()); HEADER.len() + 1];
    cells[0] = Cell::Text(input.pick("合计", "Total").to_owned());
    cells[1] = Cell::Count(Some(open.len() as i64));
    cells[20] = Cell::Yuan(Some(open.iter().map(|it| it.at_risk_fen).sum::<Fen>()));
    cells
}

fn zh_status(status: &str) -> &str {
    match status {
        "new" => "新增",
        "open" => "未结",
        "reopened" => "重新打开",
        other => other,
    }
}

fn zh_severity(severity: &str) -> &str {
    match severity {
        "high" => "高",
        "medium" => "中",
        "low" => "低",
        other => other,
    }
}
