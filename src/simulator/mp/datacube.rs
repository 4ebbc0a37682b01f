//! The four card calls of the datacube (reference MP §D.24–§D.27).

use chrono::NaiveDate;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::read_body;
use super::errcode::refuse;
use crate::clock::business_date_of;
use crate::simulator::answer::Answer;
use crate::simulator::exchange::Exchange;
use crate::simulator::memory::held;
use crate::simulator::world::DatacubeRow;

/// Most days of a request, both ends counted.
const MOST_DAYS: i64 = 62;
const MOST_DETAIL_DAYS: i64 = 30;

#[derive(Deserialize)]
struct Request {
    #[serde(default)]
    begin_date: String,
    #[serde(default)]
    end_date: String,
    #[serde(default)]
    cond_source: Value,
    #[serde(default)]
    card_id: String,
}

impl Request {
    /// A number, or the text of one: the documentation shows both.
    fn cond_source(&self, exchange: &Exchange<'_>) -> Result<i64, Answer> {
        let number = self.cond_source.as_i64().or_else(|| self.cond_source.as_str()?.parse().ok());
        number
            .filter(|number| [0, 1].contains(number))
            .ok_or_else(|| refuse(exchange, 40097, "invalid args: cond_source"))
    }
}

/// Account totals per day.
pub(super) fn account(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    by_source(exchange, "getcardbizuininfo")
}

/// Cards per day; of one card when it is named.
pub(super) fn cards(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    by_source(exchange, "getcardcardinfo")
}

/// Member-card totals per day.
pub(super) fn member_cards(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    by_source(exchange, "getcardmembercardinfo")
}

/// One member card per day.
pub(super) fn member_card_detail(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let request: Request = read_body(exchange)?;
    let (begin, end) = days(exchange, &request, MOST_DETAIL_DAYS)?;
    if request.card_id.is_empty() {
        return Err(refuse(exchange, 41012, "missing cardid"));
    }
    let is_card = |row: &DatacubeRow| row.row.get("cardid").is_some_and(|id| *id == request.card_id);
    Ok(list(exchange, "getcardmembercarddetail", begin, end, is_card))
}

fn by_source(exchange: &Exchange<'_>, call: &str) -> Result<Answer, Answer> {
    let request: Request = read_body(exchange)?;
    let (begin, end) = days(exchange, &request, MOST_DAYS)?;
    let source = request.cond_source(exchange)?;
    let is_card = |row: &DatacubeRow| row.row.get("card_id").is_none_or(|id| *id == request.card_id);
    let is_wanted = |row: &DatacubeRow| request.card_id.is_empty() || is_card(row);
    Ok(list(exchange, call, begin, end, |row| row.cond_source == Some(source) && is_wanted(row)))
}

/// The dates come before everything else: a wrong card with a wrong span answers 61501.
fn days(exchange: &Exchange<'_>, request: &Request, most: i64) -> Result<(NaiveDate, NaiveDate), Answer> {
    let wrong_format = || refuse(exchange, 61500, "date format error");
    let begin = read_day(&request.begin_date).ok_or_else(wrong_format)?;
    let end = read_day(&request.end_date).ok_or_else(wrong_format)?;
    let count = (end - begin).num_days() + 1;
    if count < 1 || count > most || end >= business_date_of(exchange.world_now) {
        return Err(refuse(exchange, 61501, "date range error"));
    }
    Ok((begin, end))
}

fn read_day(text: &str) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|day| day.to_string() == text)
}

/// Success has no errcode (reference MP §C.3).
fn list(
    exchange: &Exchange<'_>,
    call: &str,
    begin: NaiveDate,
    end: NaiveDate,
    takes: impl Fn(&DatacubeRow) -> bool,
) -> Answer {
    let (begin, end) = (begin.to_string(), end.to_string());
    let memory = held(&exchange.office.memory);
    let rows = memory.world.datacube.get(call).map(Vec::as_slice).unwrap_or_default();
    let rows = rows.iter().filter(|row| begin <= row.ref_date && row.ref_date <= end && takes(row));
    let mut rows: Vec<&DatacubeRow> = rows.collect();
    rows.sort_by(|one, other| one.ref_date.cmp(&other.ref_date));
    let rows: Vec<_> = rows.iter().map(|row| &row.row).collect();
    Answer::json(200, &json!({"list": rows}))
}
