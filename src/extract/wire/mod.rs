//! Converts API objects to rows: names as in the API, amounts in fen, times as instants. What does not fit a column is kept
//! in `extra`; nothing is dropped or guessed.

mod card;
mod coupon;
mod subsidy;
mod voucher;

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;

use super::night::Imprint;
use super::unknown_users::published;
use super::{Issue, IssueKind};
use crate::money::Fen;
use crate::wechat::lenient::{Extra, extra_json};
use crate::wechat::parse_time;
use crate::wechat::wording::shown;

pub(super) use card::{card_account_row, card_day_row, card_dimension_row, member_card_row, member_detail_row};
pub(super) use coupon::{code_of, coupon_code_row, stock_row, user_coupon_row};
pub(super) use subsidy::{subsidy_payment_row, subsidy_return_row};
pub(super) use voucher::{v2_coupon_row, v2_stock_row};

/// The fields that have no column.
struct Leftover(Extra);

impl Leftover {
    /// Starts with the fields that this version does not know.
    fn of(extra: &Extra) -> Leftover {
        Leftover(extra.clone())
    }

    /// The same for an answer of the official account platform, which says `ok` beside its object (reference MP §C.3).
    fn of_mp_answer(extra: &Extra) -> Leftover {
        let mut fields = extra.clone();
        fields.retain(|name, _| !["errcode", "errmsg"].contains(&name.as_str()));
        Leftover(fields)
    }

    /// Adds unknown fields of an inner object under its name, to those of its fields that were odd.
    fn nested(&mut self, name: &str, extra: Option<&Extra>) {
        let Some(extra) = extra.filter(|extra| !extra.is_empty()) else { return };
        match self.0.get_mut(name).and_then(Value::as_object_mut) {
            Some(odd) => odd.extend(extra.clone()),
            None => drop(self.0.insert(name.to_owned(), Value::Object(extra.clone()))),
        }
    }

    /// Parses a time; text that cannot be parsed is kept in `extra`.
    fn time(&mut self, name: &str, raw: Option<&str>) -> Option<DateTime<Utc>> {
        let raw = raw.filter(|raw| !raw.is_empty())?;
        let time = parse_time(raw);
        if time.is_none() {
            self.0.insert(name.to_owned(), Value::String(raw.to_owned()));
        }
        time
    }

    /// Converts Unix seconds; a number out of range is kept in `extra`.
    fn epoch(&mut self, name: &str, seconds: Option<i64>) -> Option<DateTime<Utc>> {
        let time = DateTime::from_timestamp(seconds?, 0);
        if time.is_none() {
            self.0.insert(name.to_owned(), seconds.into());
        }
        time
    }

    /// For the column `extra`, with the users in it published like any other.
    fn json(&self, imprint: Imprint<'_>) -> Option<String> {
        extra_json(&published(&self.0, imprint))
    }
}

/// An amount that a receipt must have.
fn required_amount(of: &str, amount: Option<Fen>) -> Result<Fen, Issue> {
    amount.ok_or_else(|| Issue::new(IssueKind::Garbled, format!("{of} has no amount")))
}

/// A day of the datacube.
fn ref_date(text: &str) -> Result<NaiveDate, Issue> {
    let wrong = || Issue::new(IssueKind::Garbled, format!("datacube row has the ref_date `{}`", shown(text)));
    text.parse().map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_is_none_is_kept_as_it_came() {
        let mut leftover = Leftover::of(&Extra::new());
        assert!(leftover.time("use_time", Some("2019-12-30T13:29:35+08:00")).is_some());
        assert_eq!(leftover.time("return_time", Some("soon")), None);
        assert_eq!(leftover.time("expire_time", Some("")), None);
        assert_eq!(leftover.json(Imprint::raw(NaiveDate::MIN)).as_deref(), Some(r#"{"return_time":"soon"}"#));
    }
}
