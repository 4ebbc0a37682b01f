//! Reads the merchant's order exports: CSV, XLSX or Parquet, with any column names (design §11 `[[orders]]`).
//! Openids stay raw; which channels pay by WeChat is decided by the rules.

use std::borrow::Cow;

use chrono::{DateTime, NaiveDate, Utc};

use super::cell::{self, AmountFormat};
use super::columnar;
use super::distinct::{Export, ExportRow, Gathered, first_difference};
use super::error::ExportError;
use super::found::{self, Found};
use super::rendered;
use super::row::{Fault, Row};
use super::sheet::Sheet;
use super::spreadsheet;
use crate::job::{FileFormat, OrderColumns, OrderSource};
use crate::money::Fen;
use crate::record::OrderLine;
use crate::sorter::{Room, Unpacker};

/// The order lines of one business date, sorted in `room`.
///
/// Several files of a day (`*` in the path) are read as one. A missing file is `ExportError::Missing`: whether
/// it is just too early is for the caller to say.
pub fn read(source: &OrderSource, date: NaiveDate, room: &Room) -> Result<Export<OrderLine>, ExportError> {
    let mut gathered = Gathered::new(room, source.on_bad_row);
    for found in found::find(&source.path, date)? {
        let sheet = open(source, &found)?;
        let columns = Positions::find(&sheet, &source.columns)?;
        gathered.add(sheet, |sheet, row| Line { source, columns: &columns, row }.read(&sheet.name, date))?;
    }
    gathered.finish()
}

fn open(source: &OrderSource, found: &Found) -> Result<Sheet, ExportError> {
    match source.format {
        FileFormat::Csv => Sheet::delimited(found, source.encoding, source.delimiter),
        FileFormat::Xlsx => spreadsheet::open(found),
        FileFormat::Parquet => columnar::open(found),
    }
}

impl ExportRow for OrderLine {
    type Row<'r> = OrderLine<Cow<'r, str>>;

    fn unpack<'r>(cells: &mut Unpacker<'r>) -> Self::Row<'r> {
        OrderLine::unpack(cells)
    }

    fn key<'a>(row: &'a Self::Row<'_>) -> [&'a str; 3] {
        [&row.out_trade_no, &row.stock_id, &row.coupon_code]
    }

    fn difference(one: &Self::Row<'_>, other: &Self::Row<'_>) -> Option<&'static str> {
        first_difference([
            ("transaction_id", one.transaction_id != other.transaction_id),
            ("merchant", one.merchant != other.merchant),
            ("openid", one.openid != other.openid),
            ("paid_at", one.paid_at != other.paid_at),
            ("goods", one.goods_fen != other.goods_fen),
            ("discount", one.discount_fen != other.discount_fen),
            ("paid", one.paid_fen != other.paid_fen),
            ("refund", one.refund_fen != other.refund_fen),
            ("channel", one.channel != other.channel),
            ("product", one.product != other.product),
            ("remark", one.remark != other.remark),
        ])
    }

    fn place<'a>(row: &'a Self::Row<'_>) -> (&'a str, u64) {
        (&row.source_file, row.source_line.unsigned_abs())
    }

    fn amount(row: &Self::Row<'_>) -> Fen {
        row.discount_fen
    }
}

/// The positions of our columns in a sheet; `None` for those the job does not map.
#[derive(Debug)]
struct Positions {
    out_trade_no: Option<usize>,
    transaction_id: Option<usize>,
    merchant: Option<usize>,
    openid: Option<usize>,
    paid_at: Option<usize>,
    goods: Option<usize>,
    discount: Option<usize>,
    paid: Option<usize>,
    refund: Option<usize>,
    stock_id: Option<usize>,
    coupon_code: Option<usize>,
    channel: Option<usize>,
    product: Option<usize>,
    remark: Option<usize>,
}

impl Positions {
    /// Every column that the job names must exist, optional ones too: otherwise a renamed header would
    /// silently turn refunds into zero.
    fn find(sheet: &Sheet, columns: &OrderColumns) -> Result<Positions, ExportError> {
        sheet.locate(|search| Positions {
            out_trade_no: search.place("out_trade_no", columns.out_trade_no.as_str()),
            transaction_id: search.place("transaction_id", columns.transaction_id.as_deref()),
            merchant: search.place("merchant", columns.merchant.as_deref()),
            openid: search.place("openid", columns.openid.as_deref()),
            paid_at: search.place("paid_at", columns.paid_at.as_str()),
            goods: search.place("goods", columns.goods.as_str()),
            discount: search.place("discount", columns.discount.as_str()),
            paid: search.place("paid", columns.paid.as_str()),
            refund: search.place("refund", columns.refund.as_deref()),
            stock_id: search.place("stock_id", columns.stock_id.as_str()),
            coupon_code: search.place("coupon_code", columns.coupon_code.as_str()),
            channel: search.place("channel", columns.channel.as_deref()),
            product: search.place("product", columns.product.as_deref()),
            remark: search.place("remark", columns.remark.as_deref()),
        })
    }
}

/// A row that is being parsed.
struct Line<'r, 's> {
    source: &'s OrderSource,
    columns: &'s Positions,
    row: &'r Row,
}

impl<'r> Line<'r, '_> {
    /// The row; a malformed one still gives its discount for the control total, if that can be parsed.
    fn read(&self, file: &'r str, date: NaiveDate) -> Result<OrderLine<Cow<'r, str>>, Fault> {
        let discount = || self.amount(self.columns.discount, cell::amount_or_zero).ok();
        self.typed(file, date).map_err(|fault| Fault { amount: discount(), ..fault })
    }

    fn typed(&self, file: &'r str, date: NaiveDate) -> Result<OrderLine<Cow<'r, str>>, Fault> {
        let columns = self.columns;
        let line = OrderLine {
            out_trade_no: self.cell(columns.out_trade_no, cell::order_number)?,
            stock_id: self.cell(columns.stock_id, cell::id)?,
            coupon_code: self.cell(columns.coupon_code, cell::id)?,
            transaction_id: self.cell(columns.transaction_id, cell::optional_id)?,
            merchant: self.cell(columns.merchant, cell::optional_id)?,
            openid: self.private_cell(columns.openid, cell::optional_id)?,
            channel: self.cell(columns.channel, |text| Ok(cell::optional_name(text)))?,
            product: cell::optional_text(self.row.text(columns.product)),
            remark: cell::optional_text(self.row.text(columns.remark)),
            paid_at: self.paid_at()?,
            goods_fen: self.amount(columns.goods, cell::amount)?,
            discount_fen: self.amount(columns.discount, cell::amount_or_zero)?,
            paid_fen: self.amount(columns.paid, cell::amount)?,
            refund_fen: self.amount(columns.refund, cell::amount_or_zero)?,
            source_file: Cow::Borrowed(file),
            source_line: i64::try_from(self.row.line).unwrap_or(i64::MAX),
            business_date: date,
        };
        self.whole_claim(line)
    }

    /// A stock without a code, or a code without a stock, would silently claim nothing.
    fn whole_claim(&self, line: OrderLine<Cow<'r, str>>) -> Result<OrderLine<Cow<'r, str>>, Fault> {
        let why = match (line.stock_id.is_empty(), line.coupon_code.is_empty()) {
            (true, false) => "a coupon code without its stock: fill in both, or neither",
            (false, true) => "a stock without its coupon code: fill in both, or neither",
            _ => return Ok(line),
        };
        let place = if line.stock_id.is_empty() { self.columns.stock_id } else { self.columns.coupon_code };
        Err(Fault { place, ..Fault::of_row(why) })
    }

    fn amount(
        &self,
        place: Option<usize>,
        read: impl Fn(&str, AmountFormat) -> Result<Fen, String>,
    ) -> Result<Fen, Fault> {
        let OrderSource { amount_unit: unit, thousands_separators, .. } = *self.source;
        if place.is_none() {
            return Ok(Fen::ZERO);
        }
        self.cell(place, |text| read(text, AmountFormat { unit, thousands_separators }))
    }

    /// Typed cells contain times as times, whatever the format of texts.
    fn paid_at(&self) -> Result<Option<DateTime<Utc>>, Fault> {
        let place = self.columns.paid_at;
        let text = self.row.time(place)?;
        let typed = (self.source.format != FileFormat::Csv).then(|| cell::instant(text, rendered::TIME_FORMAT));
        let read = typed.and_then(Result::ok).map_or_else(|| cell::instant(text, &self.source.time_format), Ok);
        read.map_err(|why| Fault::of_cell(place, text, why))
    }

    fn cell<T>(&self, place: Option<usize>, read: impl Fn(&'r str) -> Result<T, String>) -> Result<T, Fault> {
        let text = self.row.value(place)?;
        read(text).map_err(|why| Fault::of_cell(place, text, why))
    }

    /// The same for a cell that must never be shown.
    fn private_cell<T>(&self, place: Option<usize>, read: impl Fn(&'r str) -> Result<T, String>) -> Result<T, Fault> {
        self.cell(place, read).map_err(Fault::without_value)
    }
}

#[cfg(test)]
mod tests;
