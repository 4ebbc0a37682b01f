//! The table of breaks on the page: those with most money at risk, searchable. The CSV has all of
//! them.

use std::collections::BTreeSet;

use super::super::figures::Summary;
use super::super::input::PackInput;
use super::super::words::{self, word};
use super::escape::{Both, BothData, Escaped, both_words, grouped, yuan_or_dash};
use crate::job::Language;
use crate::record::{Break, Severity};

/// Maximum number of breaks on the page: more would make it slow to open on a phone.
pub(in super::super) const MOST_ROWS: usize = 1000;

/// The section; `shown` are the first of the open breaks.
pub(super) fn breaks(input: &PackInput<'_>, summary: &Summary<'_>, shown: &[Break]) -> String {
    let rows: String = shown.iter().map(|it| row(input, it)).collect();
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "<section class=\"panel breaks\" id=\"breaks\"><h2>{}</h2>{}{}<table id=\"list\"><thead><tr>{}</tr></thead>\
         <tbody>{rows}</tbody></table><p class=\"empty\" id=\"nothing\" hidden>{}</p>\
         <p class=\"more\"><button type=\"button\" id=\"more\" hidden {}></button></p>\
         <p class=\"paper\">{}</p></section>",
        Both("差异明细", "Breaks"),
        not_all(shown.len(), summary.open.rows),
        tools(summary),
        heads(),
        Both("没有符合条件的差异", "No break matches"),
        BothData("再显示 50 笔", "Show 50 more"),
        Both(
            "纸面只列前 40 笔；全部见 discrepancies.csv。",
            "On paper, only the first 40; all of them are in discrepancies.csv."
        ),
    )
}

fn not_all(shown: usize, all: i64) -> String {
    let shown = i64::try_from(shown).unwrap_or(i64::MAX);
    if shown == all {
        return String::new();
    }
    let [shown, all] = [shown, all].map(grouped);
    let (zh, en) = (
        format!("此处列出风险金额最大的 {shown} 笔，全部 {all} 笔见 discrepancies.csv。"),
        format!("The {shown} with the most money at risk; all {all} are in discrepancies.csv."),
    );
    format!("<p class=\"notice quiet\">{}</p>", Both(&zh, &en))
}

fn tools(summary: &Summary<'_>) -> String {
    let rules: BTreeSet<_> = summary.by_rule.iter().map(|it| (it.rule_id, it.title_zh, it.title)).collect();
    let rules: String =
        rules.into_iter().map(|(id, zh, en)| option(id, &format!("{id} {zh}"), &format!("{id} {en}"))).collect();
    let severities: String = Severity::ALL
        .map(Severity::as_str)
        .into_iter()
        .map(|it| option(it, word(words::SEVERITY, Language::Zh, it), word(words::SEVERITY, Language::En, it)))
        .collect();
    let sides: String = summary
        .by_side
        .keys()
        .map(|it| option(it, word(words::SIDE, Language::Zh, it), word(words::SIDE, Language::En, it)))
        .collect();
    format!(
        "<div class=\"tools\" id=\"tools\" hidden><input type=\"search\" id=\"search\" aria-label=\"search\" {}>\
         <select id=\"rule\" aria-label=\"rule\">{}{rules}</select>\
         <select id=\"severity\" aria-label=\"severity\">{}{severities}</select>\
         <select id=\"side\" aria-label=\"side\">{}{sides}</select><output id=\"count\"></output></div>",
        BothData("搜索券码、订单号、原因…", "Search coupon, order, reason…"),
        option("", "全部规则", "all rules"),
        option("", "全部级别", "all severities"),
        option("", "全部责任方", "all sides"),
    )
}

fn option(value: &str, zh: &str, en: &str) -> String {
    format!("<option value=\"{}\" {}></option>", Escaped(value), BothData(zh, en))
}

fn heads() -> String {
    let sortable = |key: &str, title: Both<'_>| {
        format!("<th scope=\"col\" class=\"{key}\"><button type=\"button\" data-sort=\"{key}\">{title}</button></th>")
    };
    [
        sortable("risk", Both("风险金额", "At risk")),
        sortable("rule", Both("规则", "Rule")),
        format!("<th scope=\"col\" class=\"what\">{}</th>", Both("单据", "What")),
        format!("<th scope=\"col\" class=\"why\">{}</th>", Both("原因与处理", "Why, and what to do")),
        sortable("age", Both("账龄", "Age")),
    ]
    .concat()
}

fn row(input: &PackInput<'_>, it: &Break) -> String {
    let rule = input.rules.find(&it.rule_id);
    let (zh, en) = rule.map_or(("", ""), |rule| (rule.title_zh.as_str(), rule.title.as_str()));
    format!(
        "<tr data-risk=\"{}\" data-age=\"{}\" data-rule=\"{rule}\" data-severity=\"{severity}\" data-side=\"{}\">\
         <td class=\"risk\">{}</td>\
         <td class=\"rule\"><span class=\"chip {severity}\">{rule}</span> <span class=\"rule-title\">{}</span>\
         <small>{} · {}</small></td>\
         <td class=\"what\"><dl>{}</dl></td>\
         <td class=\"why\"><p><bdi>{}</bdi></p><p class=\"action\">{}</p></td>\
         <td class=\"age\">{}<small>{}</small></td></tr>\n",
        it.at_risk_fen.0,
        it.age_days,
        Escaped(&it.side),
        yuan_or_dash(it.at_risk_fen),
        Both(zh, en),
        both_words(words::SEVERITY, it.severity.as_str()),
        both_words(words::SIDE, &it.side),
        ids(it),
        Both(&input.why_zh(it), &it.why),
        Both(input.action_zh(it), &it.action),
        days(it.age_days),
        both_words(words::STATUS, it.status.as_str()),
        rule = Escaped(&it.rule_id),
        severity = it.severity,
    )
}

fn days(age: i64) -> String {
    let age = grouped(age);
    Both(&format!("{age} 天"), &format!("{age} d")).to_string()
}

/// The keys of a break that people can look up.
fn ids(it: &Break) -> String {
    let day = it.ref_date.map(|date| date.to_string());
    let named = [
        ("券码", "coupon", &it.coupon_code),
        ("批次", "stock", &it.stock_id),
        ("订单", "order", &it.out_trade_no),
        ("支付单", "payment", &it.transaction_id),
        ("补差单", "subsidy", &it.out_subsidy_no),
        ("卡券", "card", &it.card_id),
        ("数据日期", "day", &day),
        ("对象", "subject", &it.subject),
    ];
    let shown = named.iter().filter_map(|(zh, en, id)| Some((zh, en, id.as_deref().filter(|id| !id.is_empty())?)));
    shown.map(|(zh, en, id)| format!("<dt>{}</dt><dd><bdi>{}</bdi></dd>", Both(zh, en), Escaped(id))).collect()
}
