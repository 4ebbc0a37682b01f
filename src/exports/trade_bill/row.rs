//! Parses a detail line of a bill as a payment or a refund (reference v3 §4.4). Unknown states, banks
//! and types are kept unchanged.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};

use super::column::{Column, Layout};
use super::error::BillError;
use super::lines::{CellPlaces, Line};
use super::trailer::Amounts;
use crate::clock::{beijing_instant, business_date_of, plain_time};
use crate::money::{Fen, parse_decimal};
use crate::record::{Payment, Record, Refund};

/// A parsed line. Openids are raw.
#[derive(Debug)]
pub enum Entry<'l> {
    /// A payment, or a row that cancels one (REVOKED).
    Payment(Payment<&'l str>),
    /// A refund.
    Refund(Refund<&'l str>),
}

impl Entry<'_> {
    /// Its dataset, and its key there as shown in messages.
    pub fn key(&self) -> (&'static str, String) {
        match self {
            Entry::Payment(row) => (<Payment>::DATASET, format!("{}, {}", row.transaction_id, row.trade_state)),
            Entry::Refund(row) => (<Refund>::DATASET, row.refund_id.to_owned()),
        }
    }
}

/// A parsed detail line.
pub(super) struct Detail<'l> {
    /// The row.
    pub(super) entry: Entry<'l>,
    /// Every amount on the line, for the totals.
    pub(super) amounts: Amounts,
    /// The day of 交易时间.
    pub(super) day: NaiveDate,
}

/// Parses a detail line.
pub(super) fn read<'l>(
    file: &'l str,
    line: &'l Line,
    places: &'l CellPlaces,
    layout: &'l Layout,
    date: NaiveDate,
) -> Result<Detail<'l>, BillError> {
    let cells = Cells { file, line, places, layout };
    cells.require_shape()?;
    let amounts = cells.amounts()?;
    let trade_time = cells.required_time(Column::TradeTime)?;
    let entry = if cells.is_refund() {
        Entry::Refund(cells.refund(&amounts, trade_time, date)?)
    } else {
        Entry::Payment(cells.payment(&amounts, trade_time, date)?)
    };
    Ok(Detail { entry, amounts, day: business_date_of(trade_time) })
}

/// The cells of one line.
struct Cells<'l> {
    file: &'l str,
    line: &'l Line,
    places: &'l CellPlaces,
    layout: &'l Layout,
}

impl<'l> Cells<'l> {
    fn require_shape(&self) -> Result<(), BillError> {
        if !self.line.text.starts_with('`') {
            return Err(
                self.malformed_line("a row begins with a back-tick: was the file saved again by a spreadsheet?")
            );
        }
        if self.places.len() != self.layout.width() {
            let why = format!("{} cells where the header has {}", self.places.len(), self.layout.width());
            return Err(self.malformed_line(&why));
        }
        Ok(())
    }

    fn payment(
        &self,
        amounts: &Amounts,
        trade_time: DateTime<Utc>,
        date: NaiveDate,
    ) -> Result<Payment<&'l str>, BillError> {
        Ok(Payment {
            transaction_id: self.required(Column::TransactionId)?,
            trade_state: self.required(Column::TradeState)?,
            trade_time,
            appid: self.text(Column::Appid),
            mchid: self.text(Column::Mchid),
            sub_mchid: self.number(Column::SubMchid),
            device_info: self.text(Column::DeviceInfo),
            out_trade_no: self.required(Column::OutTradeNo)?,
            openid: self.text(Column::Openid),
            trade_type: self.text(Column::TradeType),
            bank_type: self.text(Column::BankType),
            fee_type: self.text(Column::FeeType),
            settled_fen: amounts.settled,
            coupon_fee_fen: self.fen(Column::CouponFee)?.unwrap_or_default(),
            body: self.text(Column::Body),
            attach: self.text(Column::Attach),
            service_fee_millifen: amounts.service_fee_millifen,
            rate: self.text(Column::Rate),
            order_fen: amounts.order,
            rate_remark: self.text(Column::RateRemark),
            business_date: date,
        })
    }

    fn refund(
        &self,
        amounts: &Amounts,
        trade_time: DateTime<Utc>,
        date: NaiveDate,
    ) -> Result<Refund<&'l str>, BillError> {
        Ok(Refund {
            refund_id: self
                .number(Column::RefundId)
                .ok_or_else(|| self.wrong(Column::RefundId, "a refund without its number"))?,
            out_refund_no: self.number(Column::OutRefundNo),
            transaction_id: self.required(Column::TransactionId)?,
            out_trade_no: self.required(Column::OutTradeNo)?,
            accepted_time: self.time(Column::RefundAppliedTime)?.unwrap_or(trade_time),
            success_time: self.time(Column::RefundSuccessTime)?,
            appid: self.text(Column::Appid),
            mchid: self.text(Column::Mchid),
            sub_mchid: self.number(Column::SubMchid),
            device_info: self.text(Column::DeviceInfo),
            openid: self.text(Column::Openid),
            trade_type: self.text(Column::TradeType),
            bank_type: self.text(Column::BankType),
            fee_type: self.text(Column::FeeType),
            refund_type: self.text(Column::RefundType),
            refund_status: self.text(Column::RefundStatus),
            refund_fen: amounts.refund,
            applied_refund_fen: amounts.applied_refund,
            coupon_refund_fen: amounts.coupon_refund,
            body: self.text(Column::Body),
            attach: self.text(Column::Attach),
            service_fee_millifen: amounts.service_fee_millifen,
            rate: self.text(Column::Rate),
            rate_remark: self.text(Column::RateRemark),
            business_date: date,
        })
    }

    /// The amounts; the legacy layout has one column where the current one has two.
    fn amounts(&self) -> Result<Amounts, BillError> {
        let settled = self.required_fen(Column::Settled)?;
        let refund = self.fen(Column::Refund)?.unwrap_or_default();
        Ok(Amounts {
            settled,
            refund,
            coupon_refund: self.fen(Column::CouponRefund)?.unwrap_or_default(),
            service_fee_millifen: self.decimal(Column::ServiceFee, 5)?.unwrap_or_default(),
            order: self.fen(Column::Order)?.unwrap_or(settled),
            applied_refund: self.fen(Column::AppliedRefund)?.unwrap_or(refund),
        })
    }

    /// REFUND is a refund, and so is an unknown state with a refund number. REVOKED belongs to the
    /// payment it cancels.
    fn is_refund(&self) -> bool {
        match self.cell(Column::TradeState) {
            Some("REFUND") => true,
            Some("SUCCESS" | "REVOKED") => false,
            _ => self.number(Column::RefundId).is_some(),
        }
    }

    fn cell(&self, column: Column) -> Option<&'l str> {
        self.layout.place(column).map(|place| self.places.cell(&self.line.text, place))
    }

    fn text(&self, column: Column) -> Option<&'l str> {
        self.cell(column).filter(|cell| !cell.is_empty())
    }

    /// A number where `0` means none.
    fn number(&self, column: Column) -> Option<&'l str> {
        self.text(column).filter(|cell| *cell != "0")
    }

    fn required(&self, column: Column) -> Result<&'l str, BillError> {
        self.text(column).ok_or_else(|| self.wrong(column, "must not be empty"))
    }

    fn required_fen(&self, column: Column) -> Result<Fen, BillError> {
        self.fen(column)?.ok_or_else(|| self.wrong(column, "the amount is empty"))
    }

    /// An amount; negative are only fees (reference v3 §4.4).
    fn fen(&self, column: Column) -> Result<Option<Fen>, BillError> {
        match self.decimal(column, 2)?.map(Fen) {
            Some(fen) if !fen.is_plausible() => Err(self.wrong(column, "more than ten billion yuan")),
            Some(fen) if fen < Fen::ZERO => Err(self.wrong(column, "negative, as only a fee may be")),
            fen => Ok(fen),
        }
    }

    fn decimal(&self, column: Column, places: u32) -> Result<Option<i64>, BillError> {
        let Some(cell) = self.text(column) else { return Ok(None) };
        parse_decimal(cell, places).map(Some).map_err(|error| self.wrong(column, &error.to_string()))
    }

    fn required_time(&self, column: Column) -> Result<DateTime<Utc>, BillError> {
        self.time(column)?.ok_or_else(|| self.wrong(column, "must not be empty"))
    }

    /// Beijing time; old samples have full-width colons (reference v3 §4.6).
    fn time(&self, column: Column) -> Result<Option<DateTime<Utc>>, BillError> {
        let Some(cell) = self.text(column) else { return Ok(None) };
        let time = plain_time(cell)
            .or_else(|| NaiveDateTime::parse_from_str(&cell.replace('：', ":"), "%Y-%m-%d %H:%M:%S").ok());
        time.map(|time| Some(beijing_instant(time)))
            .ok_or_else(|| self.wrong(column, "must be a time such as `2026-11-18 08:35:41`"))
    }

    fn wrong(&self, column: Column, why: &str) -> BillError {
        BillError::Row {
            file: self.file.to_owned(),
            line: self.line.number,
            column: self.layout.header(column),
            value: self.cell(column).unwrap_or_default().chars().take(60).collect(),
            why: why.to_owned(),
        }
    }

    fn malformed_line(&self, why: &str) -> BillError {
        BillError::Row {
            file: self.file.to_owned(),
            line: self.line.number,
            column: String::new(),
            // The start has time, appid and merchant; the openid comes later.
            value: self.line.text.chars().take(40).collect(),
            why: why.to_owned(),
        }
    }
}
