//! The totals that a bill states, and whether its details agree (reference v3 §4.3). Compares
//! exactly: no tolerance, fees in thousandths of a fen.

use std::io::Read;

use super::error::BillError;
use super::lines::{Line, Lines, TRAILER, cells};
use crate::money::{Fen, parse_decimal};

/// The totals a bill states; `None` where its layout has no such total.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trailer {
    /// 总交易单数.
    pub rows: i64,
    /// 应结订单总金额, 总交易额.
    pub settled_fen: Option<Fen>,
    /// 退款总金额, 总退款金额.
    pub refund_fen: Option<Fen>,
    /// 充值券退款总金额, 总代金券或立减优惠退款金额.
    pub coupon_refund_fen: Option<Fen>,
    /// 手续费总金额 in thousandths of a fen.
    pub service_fee_millifen: Option<i64>,
    /// 订单总金额.
    pub order_fen: Option<Fen>,
    /// 申请退款总金额.
    pub applied_refund_fen: Option<Fen>,
}

/// Header texts of the totals, current and legacy.
const ROWS: &str = TRAILER;
const SETTLED: &[&str] = &["应结订单总金额", "总交易额"];
const REFUND: &[&str] = &["退款总金额", "总退款金额"];
const COUPON_REFUND: &[&str] = &["充值券退款总金额", "总代金券或立减优惠退款金额", "总企业红包退款金额"];
const SERVICE_FEE: &[&str] = &["手续费总金额", "返还手续费总金额"];
const ORDER: &[&str] = &["订单总金额"];
const APPLIED_REFUND: &[&str] = &["申请退款总金额"];

/// The amounts of one detail line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Amounts {
    pub(super) settled: Fen,
    pub(super) refund: Fen,
    pub(super) coupon_refund: Fen,
    pub(super) service_fee_millifen: i64,
    pub(super) order: Fen,
    pub(super) applied_refund: Fen,
}

/// The sums over the detail lines; wide enough for any number of lines.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Totals {
    /// Lines added.
    pub(super) rows: i64,
    settled: i128,
    refund: i128,
    coupon_refund: i128,
    service_fee_millifen: i128,
    order: i128,
    applied_refund: i128,
}

impl Totals {
    /// Adds a line.
    pub(super) fn add(&mut self, amounts: &Amounts) {
        self.rows += 1;
        self.settled += i128::from(amounts.settled.0);
        self.refund += i128::from(amounts.refund.0);
        self.coupon_refund += i128::from(amounts.coupon_refund.0);
        self.service_fee_millifen += i128::from(amounts.service_fee_millifen);
        self.order += i128::from(amounts.order.0);
        self.applied_refund += i128::from(amounts.applied_refund.0);
    }

    /// One sentence per stated total that differs.
    pub(super) fn differences(&self, stated: &Trailer) -> Vec<String> {
        let fen = |stated: Option<Fen>| stated.map(|fen| i128::from(fen.0));
        let total = |name, stated, summed, decimals| Total { name, stated, summed, decimals };
        let totals = [
            total(ROWS, Some(i128::from(stated.rows)), i128::from(self.rows), 0),
            total(SETTLED[0], fen(stated.settled_fen), self.settled, 2),
            total(REFUND[0], fen(stated.refund_fen), self.refund, 2),
            total(COUPON_REFUND[0], fen(stated.coupon_refund_fen), self.coupon_refund, 2),
            total(SERVICE_FEE[0], stated.service_fee_millifen.map(i128::from), self.service_fee_millifen, 5),
            total(ORDER[0], fen(stated.order_fen), self.order, 2),
            total(APPLIED_REFUND[0], fen(stated.applied_refund_fen), self.applied_refund, 2),
        ];
        totals.iter().filter_map(Total::difference).collect()
    }
}

/// One total, as stated and as computed from the lines.
struct Total {
    name: &'static str,
    stated: Option<i128>,
    summed: i128,
    decimals: u32,
}

impl Total {
    fn difference(&self) -> Option<String> {
        let stated = self.stated.filter(|stated| *stated != self.summed)?;
        let shown = |value| decimal(value, self.decimals);
        Some(format!("`{}` states {}, the rows give {}", self.name, shown(stated), shown(self.summed)))
    }
}

/// Parses the values below the trailer's `header`; only blank lines may follow.
pub(super) fn read<R: Read>(lines: &mut Lines<R>, header: &Line) -> Result<Trailer, BillError> {
    let file = lines.file();
    let mut values = Line::default();
    if !lines.next_filled(&mut values)? {
        return Err(BillError::Truncated { file: file.to_owned(), line: lines.line() });
    }
    let headers: Vec<_> = header.text.split(',').map(|cell| cell.trim().trim_start_matches('`')).collect();
    let values = Values { file, headers, cells: cells(&values.text).collect(), line: values.number };
    let trailer = values.trailer()?;
    let mut line = Line::default();
    if !lines.next_filled(&mut line)? {
        return Ok(trailer);
    }
    Err(BillError::Row {
        file: file.to_owned(),
        line: line.number,
        column: String::new(),
        value: line.text.chars().take(40).collect(),
        why: "nothing may follow the trailer: are two bills in one file?".to_owned(),
    })
}

struct Values<'v> {
    file: &'v str,
    headers: Vec<&'v str>,
    cells: Vec<&'v str>,
    line: u64,
}

impl Values<'_> {
    fn trailer(&self) -> Result<Trailer, BillError> {
        let fen = |names| Ok(self.value(names, 2)?.map(Fen));
        Ok(Trailer {
            rows: self.value(&[ROWS], 0)?.ok_or_else(|| self.wrong(ROWS, "", "must not be empty"))?,
            settled_fen: fen(SETTLED)?,
            refund_fen: fen(REFUND)?,
            coupon_refund_fen: fen(COUPON_REFUND)?,
            service_fee_millifen: self.value(SERVICE_FEE, 5)?,
            order_fen: fen(ORDER)?,
            applied_refund_fen: fen(APPLIED_REFUND)?,
        })
    }

    fn value(&self, names: &[&str], places: u32) -> Result<Option<i64>, BillError> {
        let Some(place) = self.headers.iter().position(|header| names.contains(header)) else { return Ok(None) };
        let cell = self.cells.get(place).copied().unwrap_or_default();
        parse_decimal(cell, places).map(Some).map_err(|error| self.wrong(self.headers[place], cell, &error.to_string()))
    }

    fn wrong(&self, column: &str, value: &str, why: &str) -> BillError {
        BillError::Row {
            file: self.file.to_owned(),
            line: self.line,
            column: column.to_owned(),
            value: value.to_owned(),
            why: why.to_owned(),
        }
    }
}

/// A whole number of the smallest unit as decimal text.
fn decimal(value: i128, places: u32) -> String {
    if places == 0 {
        return value.to_string();
    }
    let unit = 10u128.pow(places);
    let sign = if value < 0 { "-" } else { "" };
    let (whole, fraction) = (value.unsigned_abs() / unit, value.unsigned_abs() % unit);
    format!("{sign}{whole}.{fraction:0width$}", width = places as usize)
}
