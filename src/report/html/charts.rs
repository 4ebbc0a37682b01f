//! The charts of the page: trend, age, rules, flow, coverage.

use std::fmt::Write;

use super::super::figures::{RuleFigures, Summary};
use super::super::words;
use super::escape::{Both, BothData, Escaped, both_words, grouped, share, short_yuan, yuan, yuan_or_dash};
use super::{sankey, trend as trend_drawing};
use crate::dataset::manifest::{FootingEntry, FootingTally};
use crate::money::Fen;
use crate::quantity::{agreeing, counted};
use crate::reconcile::BreakTally;
use crate::record::Severity;

/// Rules shown before the rest is collapsed.
const RULES_SHOWN: usize = 10;

fn section(class: &str, title: Both<'_>, body: &str) -> String {
    format!("<section class=\"panel {class}\"><h2>{title}</h2>{body}</section>")
}

pub(super) fn trend(summary: &Summary<'_>) -> String {
    let drawings: String = [("wide", 640.0), ("narrow", 340.0)]
        .map(|(class, width)| trend_drawing::svg(&summary.trend, width, class))
        .concat();
    section("trend", Both("近 30 天趋势", "The last 30 days"), &format!("{drawings}{}", trend_drawing::legend()))
}

pub(super) fn ages(summary: &Summary<'_>) -> String {
    let most = summary.by_age.iter().map(|age| age.open.rows).max().unwrap_or(0).max(1);
    let mut body = String::from("<svg class=\"chart ages\" viewBox=\"0 0 380 236\" role=\"img\" aria-label=\"age\">");
    body.push_str("<path class=\"grid\" d=\"M0 186H380\"/>");
    for (index, age) in summary.by_age.iter().enumerate() {
        let x = 38.0 + 76.0 * index as f64;
        let mut top = 186.0;
        for severity in Severity::ALL.into_iter().rev().map(Severity::as_str) {
            let rows = age.by_severity.get(severity).map_or(0, |tally| tally.rows);
            let high = 138.0 * rows as f64 / most as f64;
            top -= high;
            let _ = write!(
                body,
                "<rect class=\"{severity}\" x=\"{:.1}\" y=\"{top:.1}\" width=\"40\" height=\"{high:.1}\"/>",
                x - 20.0
            );
        }
        let tally = age.open;
        let _ = write!(
            body,
            "<text class=\"value\" x=\"{x}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            top - 8.0,
            grouped(tally.rows)
        );
        let _ = write!(body, "<text class=\"name\" x=\"{x}\" y=\"206\" text-anchor=\"middle\">{}</text>", age.age_days);
        let money = short_yuan(tally.at_risk_fen);
        let _ = write!(body, "<text class=\"tick\" x=\"{x}\" y=\"224\" text-anchor=\"middle\">{money}</text>");
    }
    body.push_str("</svg>");
    let legend = Severity::ALL.map(Severity::as_str);
    let legend =
        legend.map(|it| format!("<span class=\"key {it}\"></span>{} ", both_words(words::SEVERITY, it))).concat();
    body += &format!("<p class=\"legend\">{legend}<span class=\"unit\">{}</span></p>", Both("账龄按天", "age in days"));
    section("age", Both("未结差异账龄", "Open breaks by age"), &body)
}

pub(super) fn rules(summary: &Summary<'_>) -> String {
    let most = summary.by_rule.iter().map(|rule| rule.open.at_risk_fen).max().unwrap_or_default();
    let (first, rest) = summary.by_rule.split_at(summary.by_rule.len().min(RULES_SHOWN));
    let rows = |rules: &[RuleFigures<'_>]| rules.iter().map(|rule| rule_row(rule, most)).collect::<String>();
    let mut body = if first.is_empty() {
        format!("<p class=\"empty\">{}</p>", Both("没有未结差异", "No break is open"))
    } else {
        format!("<ul class=\"rules\">{}</ul>", rows(first))
    };
    if !rest.is_empty() {
        let others = rest.iter().map(|rule| rule.open).fold(BreakTally::default(), BreakTally::plus);
        let (rules, breaks, money) = (rest.len(), grouped(others.rows), yuan(others.at_risk_fen));
        let more = counted(rules, "more rule", "more rules");
        let title = Both(
            &format!("其余 {rules} 条规则：{breaks} 笔，{money}"),
            &format!("{more}: {breaks} {}, {money}", agreeing(&others.rows, "break", "breaks")),
        )
        .to_string();
        body += &format!("<details><summary>{title}</summary><ul class=\"rules\">{}</ul></details>", rows(rest));
    }
    section("by-rule", Both("未结差异按规则", "Open breaks by rule"), &body)
}

fn rule_row(rule: &RuleFigures<'_>, most: Fen) -> String {
    let wide = 100.0 * rule.open.at_risk_fen.0 as f64 / most.0.max(1) as f64;
    let new = match rule.new_rows {
        0 => String::new(),
        rows => format!(" <span class=\"new\">+{}</span>", grouped(rows)),
    };
    format!(
        "<li><button type=\"button\" data-rule=\"{id}\" {hint}><span class=\"chip {}\">{id}</span>\
         <span class=\"rule-title\">{}</span><span class=\"rows\">{}{new}</span><span class=\"money\">{}</span>\
         {}</button></li>",
        rule.severity,
        Both(rule.title_zh, rule.title),
        grouped(rule.open.rows),
        yuan_or_dash(rule.open.at_risk_fen),
        bar(rule.severity.as_str(), wide),
        id = Escaped(rule.rule_id),
        hint = BothData("在明细中筛选此规则", "show these breaks below"),
    )
}

pub(super) fn flow(summary: &Summary<'_>) -> String {
    let drawings = [("wide", 1020.0), ("narrow", 340.0)].map(|(class, width)| sankey::svg(&summary.flow, width, class));
    let body = match drawings {
        [Some(wide), Some(narrow)] => format!("{wide}{narrow}"),
        _ => format!("<p class=\"empty\">{}</p>", Both("没有核销或报券的券", "No coupon was used or claimed")),
    };
    let count = sankey::still(&summary.flow);
    let (still, coupons_are) = (grouped(count), agreeing(&count, "coupon is", "coupons are"));
    let note = Both(
        &format!("宽度为券数；金额为券优惠或补差。另有 {still} 张券未核销、无订单，不在图中。"),
        &format!("Width is coupons; money is discount or subsidy. {still} more {coupons_are} unused and without order: not drawn."),
    )
    .to_string();
    section(
        "flow",
        Both("券 → 订单 → 补差", "Coupon → order → subsidy"),
        &format!("{body}<p class=\"legend\">{note}</p>"),
    )
}

pub(super) fn coverage(summary: &Summary<'_>) -> String {
    let mut body = String::new();
    if let Some(it) = summary.coverage {
        let count = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let (zh, en) =
            (format!("{} 天内核查的用户", it.audit_days), format!("Users asked within {} days", it.audit_days));
        body += &meter(Both(&zh, &en), count(it.wallets_verified), count(it.wallets));
        let title = Both("已核查的券 / 批次发放数", "Coupons verified, of those issued");
        body += &meter(title, count(it.coupons_verified), count(it.coupons_issued));
    }
    body += &footing(summary.footing);
    section("coverage", Both("覆盖与平衡", "Coverage and control totals"), &body)
}

fn meter(title: Both<'_>, part: i64, whole: i64) -> String {
    let wide = (100.0 * part as f64 / whole.max(1) as f64).min(100.0);
    // More than the total is an error of the data, not a success (rule ST01).
    let class = if part > whole { "medium" } else { "good" };
    format!(
        "<div class=\"meter\"><p><span>{title}</span><span><b>{}</b> {} / {}</span></p>{}</div>",
        share(part, whole),
        grouped(part),
        grouped(whole),
        bar(class, wide),
    )
}

/// A bar that is filled to so many percent.
fn bar(class: &str, percent: f64) -> String {
    format!(
        "<svg class=\"bar\" viewBox=\"0 0 100 4\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <rect class=\"track\" width=\"100\" height=\"4\"/><rect class=\"{class}\" width=\"{percent:.1}\" height=\"4\"/></svg>"
    )
}

/// Total = matched + unmatched + left out, in rows and in yuan.
fn footing(sides: &[FootingEntry]) -> String {
    if sides.is_empty() {
        return String::new();
    }
    let cell = |tally: &FootingTally| format!("<td>{}<small>{}</small></td>", grouped(tally.rows), yuan(tally.fen));
    let row = |side: &FootingEntry| {
        format!(
            "<tr><th scope=\"row\">{}</th>{}{}{}{}</tr>",
            both_words(words::MATCHED, &side.side),
            cell(&side.total),
            cell(&side.matched),
            cell(&side.unmatched),
            cell(&side.left_out)
        )
    };
    let rows: String = sides.iter().map(row).collect();
    let heads: String =
        [("", ""), ("总数", "total"), ("已匹配", "matched"), ("未匹配", "unmatched"), ("不属本日", "left out")]
            .map(|(zh, en)| format!("<th scope=\"col\">{}</th>", Both(zh, en)))
            .concat();
    format!(
        "<div class=\"scroll\"><table class=\"footing\"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
}
