//! Trade and fund-flow bills: the application for a download, and the download (reference v3 §4.1).

use chrono::{Months, NaiveDate};
use serde_json::json;
use sha1::{Digest, Sha1};

use super::query::required;
use super::refusal::{Location, refuse, refuse_parameter};
use crate::clock::business_date_of;
use crate::simulator::answer::Answer;
use crate::simulator::bill_files::gzip;
use crate::simulator::exchange::Exchange;

/// The path for downloading bills; its answers are not signed (reference v3 §1.3).
pub(super) const DOWNLOAD_PATH: &str = "/v3/billdownload/file";

/// How long bills are kept.
const KEPT_MONTHS: u32 = 3;

/// The bill of all trades, or of payments or refunds only.
pub(super) fn apply_trade(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let bill_type = read_choice(exchange, "bill_type", &["ALL", "SUCCESS", "REFUND"])?;
    apply(exchange, bill_type.as_deref().unwrap_or("ALL"))
}

/// The bill of an account's movements: the world keeps it as `2026-11-18.FUND_BASIC`.
pub(super) fn apply_fund_flow(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let account_type = read_choice(exchange, "account_type", &["BASIC", "OPERATION", "FEES"])?;
    apply(exchange, &format!("FUND_{}", account_type.as_deref().unwrap_or("BASIC")))
}

/// Answers with the URL of the bill and its SHA-1 over the unzipped file.
fn apply(exchange: &Exchange<'_>, kind: &str) -> Result<Answer, Answer> {
    let day = read_day(exchange)?;
    let is_gzip = read_choice(exchange, "tar_type", &["GZIP"])?.is_some();
    let bills = &exchange.office.bills;
    let name = bills.find(day, kind, exchange.world_now);
    let name = name.ok_or_else(|| refuse(400, "NO_STATEMENT_EXIST", "请求的账单文件不存在"))?;
    let file = bills.read(name).map_err(|_| refuse(500, "SYSTEM_ERROR", "系统异常，请稍后重试"))?;
    let token = bills.grant(name, is_gzip, exchange.clock_now);
    let host = exchange.call.header("host").unwrap_or("api.mch.weixin.qq.com");
    let suffix = if is_gzip { "&tartype=gzip" } else { "" };
    let body = json!({
        "hash_type": "SHA1",
        "hash_value": hex::encode(Sha1::digest(&file)),
        "download_url": format!("http://{host}{DOWNLOAD_PATH}?token={token}{suffix}"),
    });
    Ok(Answer::json(200, &body))
}

/// The file itself, once per token. Unsigned.
pub(super) fn download(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let token = required(exchange, "token")?;
    let ticket = exchange.office.bills.redeem(&token, exchange.clock_now);
    let ticket = ticket.ok_or_else(|| refuse(400, "INVALID_REQUEST", "下载链接已失效，请重新申请"))?;
    let file = exchange.office.bills.read(&ticket.name);
    let file = file.map_err(|_| refuse(500, "SYSTEM_ERROR", "系统异常，请稍后重试"))?;
    Ok(match ticket.is_gzip {
        // Zipped anew for every download, as WeChat may.
        true => Answer::bytes(200, "application/x-gzip", gzip(&file, ticket.number)),
        false => Answer::bytes(200, "text/plain", file),
    })
}

fn read_day(exchange: &Exchange<'_>) -> Result<NaiveDate, Answer> {
    let text = required(exchange, "bill_date")?;
    let day = NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok().filter(|day| day.to_string() == text);
    let day = day.ok_or_else(|| refuse_parameter("bill_date", &text, Location::Query))?;
    let oldest = business_date_of(exchange.world_now) - Months::new(KEPT_MONTHS);
    if day < oldest { Err(refuse(400, "INVALID_REQUEST", "账单日期超出可查询范围")) } else { Ok(day) }
}

/// A parameter with fixed values. A literal `None` is as wrong as any other word.
fn read_choice(exchange: &Exchange<'_>, name: &str, choices: &[&str]) -> Result<Option<String>, Answer> {
    match exchange.call.query(name) {
        Some(word) if !choices.contains(&word.as_str()) => Err(refuse_parameter(name, &word, Location::Query)),
        choice => Ok(choice),
    }
}
