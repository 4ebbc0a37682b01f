//! `report.html`: a single self-contained file, in Chinese and English, light and dark, for screen, phone
//! and paper. A content security policy allows only our own style and script, by their hashes; external
//! text is escaped, and no attribute contains a style or a handler.

mod charts;
mod escape;
mod sankey;
mod table;
mod trend;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::figures::Summary;
use super::files::{FIGURES, SUMS, WORKBOOK};
use super::flow::{CouponEnd, OrderEnd, SubsidyEnd};
use super::input::PackInput;
use super::trend::TrendDay;
use crate::dataset::status::RunStatus;
use crate::job::Language;
use crate::money::Fen;
use crate::quantity::agreeing;
use crate::record::Break;
use escape::{Both, Escaped, grouped, share, yuan};
pub(super) use table::MOST_ROWS;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// The page; `shown` are the first of the open breaks, `MOST_ROWS` at most.
pub(super) fn page(input: &PackInput<'_>, summary: &Summary<'_>, shown: &[Break]) -> String {
    let sections = [
        masthead(input, summary),
        warnings(summary),
        headline(summary),
        "<div class=\"grid\">".to_owned(),
        charts::trend(summary),
        charts::ages(summary),
        charts::rules(summary),
        charts::flow(summary),
        charts::coverage(summary),
        "</div>".to_owned(),
        table::breaks(input, summary, shown),
        foot(summary),
    ];
    format!("{}<body><main>\n{}\n</main>\n<script>{SCRIPT}</script></body></html>\n", head(input), sections.join("\n"))
}

fn head(input: &PackInput<'_>) -> String {
    let (lang, language) = match input.settings.language {
        Language::Zh => ("zh-CN", "zh"),
        Language::En => ("en", "en"),
    };
    format!(
        "<!doctype html>\n<html lang=\"{lang}\" data-lang=\"{language}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><meta name=\"referrer\" content=\"no-referrer\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src '{}'; script-src '{}'; \
         base-uri 'none'; form-action 'none'\">\
         <title>{} · {} · {}</title><style>{STYLE}</style></head>\n",
        integrity(STYLE),
        integrity(SCRIPT),
        Escaped(input.job),
        input.pick("优惠券对账", "Coupon reconciliation"),
        input.date,
    )
}

/// The hash of an inline element for the content security policy.
fn integrity(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    format!("sha256-{}", STANDARD.encode(digest))
}

fn masthead(input: &PackInput<'_>, summary: &Summary<'_>) -> String {
    let (rows, new, resolved) = (grouped(summary.open.rows), grouped(summary.new.rows), grouped(summary.resolved.rows));
    let at_risk = yuan(summary.open.at_risk_fen);
    let breaks = agreeing(&summary.open.rows, "break", "breaks");
    let (zh, en) = if summary.open.rows == 0 {
        ("今日账实相符，没有未结差异。".to_owned(), "Everything agrees: no break is open.".to_owned())
    } else {
        (
            format!("未结差异 {rows} 笔，风险金额 {at_risk}。今日新增 {new} 笔，解决 {resolved} 笔。"),
            format!("{rows} open {breaks} with {at_risk} at risk. {new} new tonight, {resolved} resolved."),
        )
    };
    format!(
        "<header class=\"masthead\"><div><p class=\"eyebrow\">{}</p><h1>{} <time>{}</time></h1>\
         <p class=\"lede\">{}</p></div>\
         <button id=\"language\" type=\"button\" hidden>{}</button></header>",
        Escaped(input.job),
        Both("优惠券对账", "Coupon reconciliation"),
        input.date,
        Both(&zh, &en),
        Both("English", "中文"),
    )
}

/// The notices above the figures.
fn warnings(summary: &Summary<'_>) -> String {
    let mut text = String::new();
    if summary.status == RunStatus::Partial {
        let what = Both(
            "本日数据不完整：有数据源未到或失败，未能判定的差异沿用前一日。",
            "This night is partial: a source is late or failed; breaks that could not be judged are carried over.",
        );
        text = format!("<p class=\"notice\" role=\"status\">{what}</p>");
    }
    if !summary.unjudged.is_empty() {
        let rules: Vec<_> =
            summary.unjudged.iter().map(|it| format!("{} ({})", Escaped(it.rule_id), Escaped(it.dataset))).collect();
        text += &format!(
            "<details class=\"notice quiet\"><summary>{} {}</summary><p>{}</p></details>",
            Both("未判定规则", "Rules not judged:"),
            rules.len(),
            rules.join(" · ")
        );
    }
    text
}

fn headline(summary: &Summary<'_>) -> String {
    let yesterday = summary.trend.iter().rev().nth(1);
    let cards = [
        card(
            Both("风险金额", "At risk"),
            &yuan(summary.open.at_risk_fen),
            &change(yesterday, summary.open.at_risk_fen.0, |day| day.open.at_risk_fen.0, |fen| yuan(Fen(fen))),
        ),
        card(
            Both("未结差异", "Open breaks"),
            &grouped(summary.open.rows),
            &change(yesterday, summary.open.rows, |day| day.open.rows, grouped),
        ),
        matched_card(summary),
        subsidy_card(summary),
        coverage_card(summary),
    ];
    format!("<section class=\"cards\">{}</section>", cards.join(""))
}

fn card(title: Both<'_>, value: &str, below: &str) -> String {
    format!("<div class=\"card\"><h2>{title}</h2><p class=\"figure\">{value}</p><p class=\"below\">{below}</p></div>")
}

/// The change since the day before: less is better.
fn change(before: Option<&TrendDay>, now: i64, of: fn(&TrendDay) -> i64, show: fn(i64) -> String) -> String {
    let Some(before) = before else { return Both("首日，无可比", "first night, nothing to compare").to_string() };
    let difference = now - of(before);
    let date = before.date.format("%m-%d").to_string();
    let against = Both(&format!("较 {date}"), &format!("since {date}")).to_string();
    match difference {
        0 => format!("{} {against}", Both("持平", "unchanged")),
        1.. => format!("<span class=\"worse\">▲ {}</span> {against}", show(difference)),
        _ => format!("<span class=\"better\">▼ {}</span> {against}", show(difference.abs())),
    }
}

fn matched_card(summary: &Summary<'_>) -> String {
    let lines = || summary.flow.iter().filter(|line| line.coupon == CouponEnd::Used);
    let used: i64 = lines().map(|line| line.tally.coupons).sum();
    let agrees = lines().filter(|line| line.order == OrderEnd::Agrees).map(|line| line.tally.coupons).sum();
    let below = Both(
        &format!("{} 张核销券中 {} 张与订单相符", grouped(used), grouped(agrees)),
        &format!("{} of {} used coupons agree with their order", grouped(agrees), grouped(used)),
    );
    card(Both("核销相符率", "Redemptions that agree"), &share(agrees, used), &below.to_string())
}

fn subsidy_card(summary: &Summary<'_>) -> String {
    let sum = |of: fn(&super::flow::FlowTally) -> Fen| -> Fen { summary.flow.iter().map(|line| of(&line.tally)).sum() };
    let (expected, paid) = (sum(|it| it.subsidy_expected_fen), sum(|it| it.subsidy_paid_fen));
    let returned = sum(|it| it.subsidy_returned_fen);
    let owed = summary.flow.iter().filter(|line| line.subsidy == SubsidyEnd::Owed);
    let owed: Fen = owed.map(|line| line.tally.subsidy_expected_fen).sum();
    let below = Both(
        &format!("应补 {}，未补 {}，已回退 {}", yuan(expected), yuan(owed), yuan(returned)),
        &format!("{} expected, {} not ordered yet, {} returned", yuan(expected), yuan(owed), yuan(returned)),
    );
    card(Both("已补差", "Subsidies paid"), &yuan(paid), &below.to_string())
}

fn coverage_card(summary: &Summary<'_>) -> String {
    let title = Both("券包覆盖率", "Wallet coverage");
    let Some(coverage) = summary.coverage else { return card(title, "–", "") };
    let [wallets, verified] =
        [coverage.wallets, coverage.wallets_verified].map(|it| i64::try_from(it).unwrap_or(i64::MAX));
    let days = coverage.audit_days;
    let below = Both(
        &format!("{days} 天内核查 {} / {} 个用户", grouped(verified), grouped(wallets)),
        &format!("{} of {} users asked within {days} days", grouped(verified), grouped(wallets)),
    );
    card(title, &share(verified, wallets), &below.to_string())
}

fn foot(summary: &Summary<'_>) -> String {
    let mut files: Vec<String> = summary.tables.keys().map(|name| format!("{name}.csv")).collect();
    files.extend([WORKBOOK, FIGURES, SUMS].map(str::to_owned));
    let links: Vec<_> = files.iter().map(|file| format!("<a href=\"{file}\">{file}</a>")).collect();
    format!(
        "<footer><p>{}</p><p>{}: {}</p></footer>",
        Both(
            "金额单位为元；差额 = 实际 − 应为；日期与时间为北京时间。用户标识以密钥散列后发布。",
            "Amounts are in yuan; difference = actual − expected; dates and times are Beijing time. User ids are published as \
             keyed hashes."
        ),
        Both("同一文件夹中的文件", "Files beside this one"),
        links.join(" · ")
    )
}
