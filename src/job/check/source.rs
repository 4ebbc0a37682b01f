//! Checks the sources of the merchant: wallets, order exports, bills, subsidies, and when each is ready. Export
//! files are not looked for here but at run time: tomorrow's do not exist yet.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, FixedOffset, NaiveDateTime, NaiveTime};

use super::Checker;
use crate::job::file::{
    BillsSection, OrderColumnsSection, OrdersSection, SourceSection, SubsidyLedgerSection, SubsidyProgramSection,
    WalletsSection,
};
use crate::job::pattern::PathPattern;
use crate::job::problem::{Place, nearest};
use crate::job::settings::{
    AmountUnit, BillSource, FileFormat, OnBadRow, OrderColumns, OrderSource, Refresh, SOURCE_NAMES, SourceCalendar,
    SubsidyAmount, SubsidyProgram, WalletSettings,
};
use crate::job::tar_type::TarType;
use crate::job::value::{Named, Section, Tables, Written};
use crate::money::Fen;

impl Checker<'_> {
    /// `[wallets]`.
    pub(super) fn wallets(&mut self, section: &WalletsSection) -> Option<WalletSettings> {
        let appid = self.text(&section.appid);
        let creator_merchant = self.digits(&section.creator_merchant);
        let belong_merchant = self.digits(&section.belong_merchant);
        let sender_merchant = self.digits(&section.sender_merchant);
        let filters = ["creator_merchant", "belong_merchant", "sender_merchant"];
        let has_filter = [&section.creator_merchant, &section.belong_merchant, &section.sender_merchant]
            .iter()
            .any(|filter| filter.is_some());
        if !has_filter && !self.problems.is_told(section.place(), &filters) {
            let text = "`[wallets]` names no merchant to list the coupons of";
            let hint = "give `creator_merchant`, `belong_merchant` or `sender_merchant`";
            self.problems.add_with_hint(section.place(), text, hint);
        }
        let refresh =
            self.choice(&section.refresh, Refresh::Active, &[("active", Refresh::Active), ("all", Refresh::All)]);
        let audit_days = self.days(&section.audit_days, 30, 1);
        let max_unsettled = self.number(&section.max_unsettled, 0, 0);
        let roster_file = match self.text_or_none(&section.roster_file) {
            Some(_) => self.dated_path(&section.roster_file),
            None => None,
        };
        let appid = appid?;
        Some(WalletSettings {
            appid,
            creator_merchant,
            belong_merchant,
            sender_merchant,
            refresh,
            audit_days,
            roster_file,
            max_unsettled,
        })
    }

    /// `[[orders]]`.
    pub(super) fn orders(&mut self, written: Option<&Written<Tables<OrdersSection>>>) -> Vec<OrderSource> {
        let sections = written.map_or(&[][..], |written| &written.value.0);
        sections.iter().filter_map(|section| self.order_source(section)).collect()
    }

    fn order_source(&mut self, section: &OrdersSection) -> Option<OrderSource> {
        let formats = [("csv", FileFormat::Csv), ("xlsx", FileFormat::Xlsx), ("parquet", FileFormat::Parquet)];
        let units = [("yuan", AmountUnit::Yuan), ("fen", AmountUnit::Fen)];
        let actions = [("fail", OnBadRow::Fail), ("quarantine", OnBadRow::Quarantine)];
        let path = self.dated_glob(&section.path);
        self.warn_if_undated(section.path.as_ref(), "orders");
        let format = self.choice(&section.format, FileFormat::Csv, &formats);
        let encoding = self.encoding(&section.encoding);
        let delimiter = self.delimiter(&section.delimiter);
        let amount_unit = self.choice(&section.amount_unit, AmountUnit::Yuan, &units);
        let time_format = self.time_format(&section.time_format);
        let on_bad_row = self.choice(&section.on_bad_row, OnBadRow::Fail, &actions);
        let wechat_channels = self.ids(&section.wechat_channels);
        let columns = section.columns.as_ref().and_then(|columns| self.order_columns(&columns.value));
        if let (Some(columns), Some(channels)) = (&section.columns, &section.wechat_channels)
            && self.text_or_none(&columns.value.channel).is_none()
            && !wechat_channels.is_empty()
            && !self.problems.is_told(&columns.place, &["channel"])
        {
            let text = format!("`{}` needs `columns.channel`: which column names the channel?", channels.place.key);
            self.problems.add(&channels.place, text);
        }
        Some(OrderSource {
            path: path?,
            format,
            encoding,
            delimiter,
            amount_unit,
            thousands_separators: section.thousands_separators.as_ref().is_some_and(|given| given.value),
            time_format,
            on_bad_row,
            wechat_channels,
            columns: columns?,
        })
    }

    fn order_columns(&mut self, section: &OrderColumnsSection) -> Option<OrderColumns> {
        self.refuse_shared_headers(section);
        let out_trade_no = self.text(&section.out_trade_no);
        let paid_at = self.text(&section.paid_at);
        let goods = self.text(&section.goods);
        let discount = self.text(&section.discount);
        let paid = self.text(&section.paid);
        let stock_id = self.text(&section.stock_id);
        let coupon_code = self.text(&section.coupon_code);
        Some(OrderColumns {
            transaction_id: self.text_or_none(&section.transaction_id),
            merchant: self.text_or_none(&section.merchant),
            openid: self.text_or_none(&section.openid),
            refund: self.text_or_none(&section.refund),
            channel: self.text_or_none(&section.channel),
            product: self.text_or_none(&section.product),
            remark: self.text_or_none(&section.remark),
            out_trade_no: out_trade_no?,
            paid_at: paid_at?,
            goods: goods?,
            discount: discount?,
            paid: paid?,
            stock_id: stock_id?,
            coupon_code: coupon_code?,
        })
    }

    /// Reports two judged columns with the same header: one of them would hold the values of the other. Columns
    /// that are only passed on may share a header.
    fn refuse_shared_headers(&mut self, section: &OrderColumnsSection) {
        let judged = [
            &section.out_trade_no,
            &section.transaction_id,
            &section.merchant,
            &section.openid,
            &section.paid_at,
            &section.goods,
            &section.discount,
            &section.paid,
            &section.refund,
            &section.stock_id,
            &section.coupon_code,
        ];
        let mut taken = BTreeMap::new();
        for written in judged.into_iter().flatten().filter(|written| !written.value.trim().is_empty()) {
            if let Some(other) = taken.insert(written.value.trim(), &written.place.key) {
                let text = format!("`{}` is `{}`, and so is `{other}`", written.place.key, written.value.trim());
                let hint = "a column of the export can mean only one of them: name the header of the other, or leave out the one that is optional";
                self.problems.add_with_hint(&written.place, text, hint);
            }
        }
    }

    fn encoding(&mut self, written: &Option<Written<String>>) -> &'static encoding_rs::Encoding {
        let Some(written) = written else { return encoding_rs::UTF_8 };
        // Encodings that browsers refuse are not accepted for files either.
        encoding_rs::Encoding::for_label_no_replacement(written.value.as_bytes()).unwrap_or_else(|| {
            let text = format!("`{}` is `{}`: no known encoding", written.place.key, written.value);
            self.problems.add_with_hint(&written.place, text, "`utf-8` or `gb18030`");
            encoding_rs::UTF_8
        })
    }

    fn delimiter(&mut self, written: &Option<Written<String>>) -> u8 {
        let Some(written) = written else { return b',' };
        match written.value.as_bytes() {
            [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => *byte,
            _ => {
                let text = format!("`{}` must be one ASCII character such as `,` or `\\t`", written.place.key);
                self.problems.add(&written.place, text);
                b','
            }
        }
    }

    fn time_format(&mut self, written: &Option<Written<String>>) -> String {
        let Some(written) = written else { return "%Y-%m-%d %H:%M:%S".to_owned() };
        let (key, format) = (&written.place.key, &written.value);
        if !tells_an_instant(format) {
            let text = format!("`{key}` is `{format}`: it does not give day and time");
            self.problems.add_with_hint(&written.place, text, "such as `%Y-%m-%d %H:%M:%S` or `%Y/%m/%d %H:%M`");
        } else if let Some(zone) = zone_as_text(format) {
            let text = format!(
                "`{key}` is `{format}`: `{zone}` in it is skipped like any text, and the time is read as Asia/Shanghai"
            );
            let hint = "write `%#z` in its place if it means UTC, or `%Z` if the time is in Asia/Shanghai all the same";
            self.problems.add_with_hint(&written.place, text, hint);
        }
        format.clone()
    }

    /// `[bills]`.
    pub(super) fn bills(&mut self, section: &BillsSection) -> Option<BillSource> {
        let from_api = self.choice(&section.source, true, &[("api", true), ("files", false)]);
        let choices = [("GZIP", TarType::Gzip), ("none", TarType::Plain)];
        let tar_type = self.choice(&section.tar_type, TarType::Gzip, &choices);
        match (from_api, &section.path) {
            (true, None) => Some(BillSource::Api { tar_type }),
            (true, Some(_)) if self.problems.is_told(section.place(), &["source"]) => None,
            (true, Some(path)) => {
                let hint = "write `source = \"files\"` to read local bills";
                self.problems.add_with_hint(&path.place, "`bills.path` has no effect with `source = \"api\"`", hint);
                None
            }
            (false, Some(_)) => self.dated_glob(&section.path).map(BillSource::Files),
            (false, None) if self.problems.is_told(section.place(), &["path"]) => None,
            (false, None) => {
                let hint = "write `path = \"bills/{yyyymmdd}.csv\"`";
                self.problems.add_with_hint(section.place(), "`bills.path` is missing", hint);
                None
            }
        }
    }

    /// `[sources.<name>]`, with an entry for every source.
    pub(super) fn calendars(
        &mut self,
        written: Option<&Written<Named<SourceSection>>>,
    ) -> BTreeMap<String, SourceCalendar> {
        let mut calendars: BTreeMap<_, _> =
            SOURCE_NAMES.iter().map(|name| ((*name).to_owned(), default_calendar(name))).collect();
        for (name, section) in written.iter().flat_map(|written| &written.value.0) {
            let Some(calendar) = calendars.get_mut(name) else {
                self.unknown_source(name, &section.place);
                continue;
            };
            calendar.ready_at = self.time(&section.value.ready_at).or(calendar.ready_at);
            calendar.grace_days = self.days(&section.value.grace_days, calendar.grace_days, 0);
        }
        calendars
    }

    fn unknown_source(&mut self, name: &str, place: &Place) {
        let hint = match nearest(name, SOURCE_NAMES.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known sources: {}", SOURCE_NAMES.join(", ")),
        };
        self.problems.add_with_hint(place, format!("unknown source `{}`", place.key), hint);
    }

    /// `[subsidy_ledger]`.
    pub(super) fn subsidy_ledger(&mut self, section: &SubsidyLedgerSection) -> Option<PathPattern> {
        self.warn_if_undated(section.path.as_ref(), "subsidy orders");
        self.dated_path(&section.path)
    }

    /// `[[subsidy_programs]]`.
    pub(super) fn subsidy_programs(
        &mut self,
        written: Option<&Written<Tables<SubsidyProgramSection>>>,
    ) -> Vec<SubsidyProgram> {
        let sections = written.map_or(&[][..], |written| &written.value.0);
        let mut seen = BTreeSet::new();
        for stock_id in sections.iter().filter_map(|section| section.stock_id.as_ref()) {
            if !seen.insert(stock_id.value.trim()) {
                let text = format!("stock `{}` has two subsidy programmes: keep one", stock_id.value);
                self.problems.add(&stock_id.place, text);
            }
        }
        sections.iter().filter_map(|section| self.subsidy_program(section)).collect()
    }

    fn subsidy_program(&mut self, section: &SubsidyProgramSection) -> Option<SubsidyProgram> {
        let stock_id = self.text(&section.stock_id);
        let payer_merchant = self.digits(&section.payer_merchant);
        let payee_merchant = self.digits(&section.payee_merchant);
        let amount = self.subsidy_amount(section);
        let due_days = self.days(&section.due_days, 0, 0);
        let (stock_id, payer_merchant, payee_merchant) = (stock_id?, payer_merchant?, payee_merchant?);
        if payer_merchant == payee_merchant {
            self.warnings.push(format!(
                "the subsidy programme of stock `{stock_id}` is paid by `{payer_merchant}` to itself: is `payer_merchant` \
                 or `payee_merchant` another one?"
            ));
        }
        Some(SubsidyProgram { stock_id, payer_merchant, payee_merchant, amount: amount?, due_days })
    }

    fn subsidy_amount(&mut self, section: &SubsidyProgramSection) -> Option<SubsidyAmount> {
        match (&section.amount_fen, &section.percent_of_discount) {
            (amount @ Some(_), None) => {
                Some(SubsidyAmount::Fixed(Fen(self.number_within(amount, 1, 1..=Fen::LARGEST.0))))
            }
            (None, percent @ Some(written)) => {
                if written.value > 100 {
                    self.problems.add(&written.place, format!("`{}` is more than 100", written.place.key));
                }
                Some(SubsidyAmount::PercentOfDiscount(self.number(percent, 1, 1)))
            }
            _ if self.problems.is_told(section.place(), &["amount_fen", "percent_of_discount"]) => None,
            _ => {
                let text = "a subsidy programme has either `amount_fen` or `percent_of_discount`";
                self.problems.add(section.place(), text);
                None
            }
        }
    }
}

/// Bills are generated from 09:00 and complete by 10:00 (reference v3 §4.1); datacube likewise the next morning.
fn default_calendar(name: &str) -> SourceCalendar {
    let ready_at = matches!(name, "bills" | "datacube").then(|| NaiveTime::from_hms_opt(10, 0, 0)).flatten();
    SourceCalendar { ready_at, grace_days: 0 }
}

/// Whether a time printed in this format can be parsed again.
fn tells_an_instant(format: &str) -> bool {
    let Some(text) = printed(format) else { return false };
    NaiveDateTime::parse_from_str(&text, format).is_ok_and(|read| read == sample().naive_local())
}

/// The sample time in a format; `None` if the format is invalid.
fn printed(format: &str) -> Option<String> {
    // chrono parses `%#z` but cannot print it; it parses what `%z` prints.
    let format = format.replace("%#z", "%z");
    let is_known = StrftimeItems::new(&format).all(|item| !matches!(item, Item::Error));
    let mut text = String::new();
    (is_known && write!(text, "{}", sample().format(&format)).is_ok()).then_some(text)
}

fn sample() -> DateTime<FixedOffset> {
    "2026-11-18T21:43:00+08:00".parse().expect("a literal of this file is an instant")
}

/// The name of a time zone that is plain text in a format without an offset.
fn zone_as_text(format: &str) -> Option<&'static str> {
    if printed(format).is_some_and(|text| DateTime::parse_from_str(&text, format).is_ok()) {
        return None;
    }
    let literal = |item| if let Item::Literal(text) = item { Some(text) } else { None };
    let mut words = StrftimeItems::new(format)
        .filter_map(literal)
        .flat_map(|text| text.split(|sign: char| !(sign.is_ascii_alphanumeric() || "+-:".contains(sign))));
    words.find_map(zone_of_utc)
}

fn zone_of_utc(word: &str) -> Option<&'static str> {
    ["Z", "UTC", "GMT"].into_iter().find(|zone| *zone == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_format_must_tell_day_and_time() {
        for format in ["%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M", "%+", "%Y-%m-%dT%H:%M:%S%z", "%Y年%m月%d日 %H时%M分"]
        {
            assert!(tells_an_instant(format), "{format}");
        }
        assert!(tells_an_instant("%Y-%m-%dT%H:%M:%S%#z"));
        for format in ["", "%Y-%m-%d", "%H:%M", "%Q", "%Y-%m-%d %I:%M", "YYYY-MM-DD HH:mm"] {
            assert!(!tells_an_instant(format), "{format}");
        }
    }

    #[test]
    fn a_zone_that_stands_as_text_would_be_passed_over() {
        for (format, zone) in [
            ("%Y-%m-%dT%H:%M:%SZ", "Z"),
            ("%Y-%m-%dT%H:%M:%S%.3fZ", "Z"),
            ("%Y-%m-%d %H:%M:%S UTC", "UTC"),
            ("%a, %d %b %Y %T GMT", "GMT"),
        ] {
            assert_eq!(zone_as_text(format), Some(zone), "{format}");
        }
        for format in [
            "%Y-%m-%d %H:%M:%S",
            "%Y-%m-%dT%H:%M:%S%#z",
            "%Y-%m-%d %H:%M:%S UTC%z",
            "%a %b %d %Y %T GMT%:z (中国标准时间)",
            "%+",
            "%a %b %d %T %Z %Y",
            "%Y-%m-%d %H:%M:%S GMT+8",
            "Zeit: %Y-%m-%d %H:%M:%S",
        ] {
            assert_eq!(zone_as_text(format), None, "{format}");
        }
    }
}
