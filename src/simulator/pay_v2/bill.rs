//! downloadbill: the bill itself, or XML if there is none (reference v2 §B.5).

use chrono::{Months, NaiveDate};

use super::envelope::{asked, fail, refuse, refuse_bill};
use crate::clock::business_date_of;
use crate::simulator::answer::Answer;
use crate::simulator::bill_files::gzip;
use crate::simulator::exchange::Exchange;

/// How long bills are kept.
const KEPT_MONTHS: u32 = 3;

/// The bill of a day as text, or gzipped.
pub(super) fn download(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let fields = asked(exchange)?;
    let of = |name: &str| fields.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let day = of("bill_date").filter(|text| text.len() == 8);
    let day = day.and_then(|text| NaiveDate::parse_from_str(text, "%Y%m%d").ok());
    let day = day.ok_or_else(|| refuse(exchange, "invalid bill_date"))?;
    if day < business_date_of(exchange.world_now) - Months::new(KEPT_MONTHS) {
        return Err(refuse(exchange, "bill_date out of range"));
    }
    let bills = &exchange.office.bills;
    let name = bills.find(day, of("bill_type").unwrap_or("ALL"), exchange.world_now).ok_or_else(refuse_bill)?;
    let file = bills.read(name).map_err(|_| fail("System Error", Some("100")))?;
    match of("tar_type") {
        None => Ok(Answer::bytes(200, "text/plain", file)),
        Some("GZIP") => Ok(Answer::bytes(200, "application/x-gzip", gzip(&file, 0))),
        Some(_) => Err(refuse(exchange, "invalid tar_type")),
    }
}
