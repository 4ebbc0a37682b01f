//! Rows the merchant itself exports: order lines and subsidy orders. Column meanings: `schemas/`. A row owns
//! its texts, or borrows them from the line it was read from or from the bytes it lies packed in.

use std::borrow::Cow;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::Record;
use crate::money::Fen;
use crate::sorter::{CellPacker, KeyPacker, Packed, Unpacker};

/// Order lines of the merchant export files of the day (`orders`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderLine<S = String> {
    /// Merchant order number.
    pub out_trade_no: S,
    /// Coupon stock (批次) id.
    pub stock_id: S,
    /// Coupon code.
    pub coupon_code: S,
    /// WeChat Pay order id.
    pub transaction_id: Option<S>,
    /// Merchant number of the order.
    pub merchant: Option<S>,
    /// User, as HMAC-SHA256 hex unless pii is raw.
    pub openid: Option<S>,
    /// Payment channel as the export names it.
    pub channel: Option<S>,
    /// Product text of the export.
    pub product: Option<S>,
    /// Remark of the export.
    pub remark: Option<S>,
    /// When the order was paid.
    pub paid_at: Option<DateTime<Utc>>,
    /// Goods amount before discount, fen.
    pub goods_fen: Fen,
    /// Coupon discount of the line, fen.
    pub discount_fen: Fen,
    /// Amount paid on the line, fen.
    pub paid_fen: Fen,
    /// Refunded amount, fen.
    pub refund_fen: Fen,
    /// Export file the row came from.
    pub source_file: S,
    /// Line in that file, 1-based.
    pub source_line: i64,
    /// Business date in Asia/Shanghai.
    pub business_date: NaiveDate,
}

impl Record for OrderLine {
    const DATASET: &str = "orders";
    const AMOUNT: Option<&str> = Some("discount_fen");

    fn amount(&self) -> Fen {
        self.discount_fen
    }
}

/// Subsidies the merchant itself ordered (`subsidy_orders`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubsidyOrder<S = String> {
    /// Merchant's subsidy payment number.
    pub out_subsidy_no: S,
    /// WeChat's subsidy return receipt id, empty when none.
    pub subsidy_return_receipt_id: S,
    /// WeChat's subsidy payment receipt id.
    pub subsidy_receipt_id: Option<S>,
    /// Coupon stock (批次) id.
    pub stock_id: S,
    /// Coupon code.
    pub coupon_code: S,
    /// WeChat Pay order id.
    pub transaction_id: Option<S>,
    /// Merchant that pays the subsidy.
    pub payer_merchant: Option<S>,
    /// Merchant that receives the subsidy.
    pub payee_merchant: Option<S>,
    /// Amount, fen.
    pub amount_fen: Fen,
    /// Export file the row came from.
    pub source_file: S,
    /// Line in that file, 1-based.
    pub source_line: i64,
    /// Business date in Asia/Shanghai.
    pub business_date: NaiveDate,
}

impl Record for SubsidyOrder {
    const DATASET: &str = "subsidy_orders";
    const AMOUNT: Option<&str> = Some("amount_fen");

    fn amount(&self) -> Fen {
        self.amount_fen
    }
}

impl<S: AsRef<str>> Packed for OrderLine<S> {
    fn pack_key(&self, key: &mut KeyPacker<'_>) {
        key.text(self.out_trade_no.as_ref());
        key.text(self.stock_id.as_ref());
        key.text(self.coupon_code.as_ref());
    }

    fn pack_cells(&self, cells: &mut CellPacker<'_>) {
        cells.maybe_text(self.transaction_id.as_ref());
        cells.maybe_text(self.merchant.as_ref());
        cells.maybe_text(self.openid.as_ref());
        cells.maybe_text(self.channel.as_ref());
        cells.maybe_text(self.product.as_ref());
        cells.maybe_text(self.remark.as_ref());
        cells.maybe_instant(self.paid_at);
        cells.integer(self.goods_fen.0);
        cells.integer(self.discount_fen.0);
        cells.integer(self.paid_fen.0);
        cells.integer(self.refund_fen.0);
        cells.text(self.source_file.as_ref());
        cells.integer(self.source_line);
        cells.date(self.business_date);
    }
}

impl<'r> OrderLine<Cow<'r, str>> {
    /// The row that lies packed.
    pub fn unpack(cells: &mut Unpacker<'r>) -> OrderLine<Cow<'r, str>> {
        OrderLine {
            out_trade_no: cells.key_text(),
            stock_id: cells.key_text(),
            coupon_code: cells.key_text(),
            transaction_id: cells.maybe_text().map(Cow::Borrowed),
            merchant: cells.maybe_text().map(Cow::Borrowed),
            openid: cells.maybe_text().map(Cow::Borrowed),
            channel: cells.maybe_text().map(Cow::Borrowed),
            product: cells.maybe_text().map(Cow::Borrowed),
            remark: cells.maybe_text().map(Cow::Borrowed),
            paid_at: cells.maybe_instant(),
            goods_fen: Fen(cells.integer()),
            discount_fen: Fen(cells.integer()),
            paid_fen: Fen(cells.integer()),
            refund_fen: Fen(cells.integer()),
            source_file: Cow::Borrowed(cells.text()),
            source_line: cells.integer(),
            business_date: cells.date(),
        }
    }
}

impl<S: AsRef<str>> Packed for SubsidyOrder<S> {
    fn pack_key(&self, key: &mut KeyPacker<'_>) {
        key.text(self.out_subsidy_no.as_ref());
        key.text(self.subsidy_return_receipt_id.as_ref());
    }

    fn pack_cells(&self, cells: &mut CellPacker<'_>) {
        cells.maybe_text(self.subsidy_receipt_id.as_ref());
        cells.text(self.stock_id.as_ref());
        cells.text(self.coupon_code.as_ref());
        cells.maybe_text(self.transaction_id.as_ref());
        cells.maybe_text(self.payer_merchant.as_ref());
        cells.maybe_text(self.payee_merchant.as_ref());
        cells.integer(self.amount_fen.0);
        cells.text(self.source_file.as_ref());
        cells.integer(self.source_line);
        cells.date(self.business_date);
    }
}

impl<'r> SubsidyOrder<Cow<'r, str>> {
    /// The row that lies packed.
    pub fn unpack(cells: &mut Unpacker<'r>) -> SubsidyOrder<Cow<'r, str>> {
        SubsidyOrder {
            out_subsidy_no: cells.key_text(),
            subsidy_return_receipt_id: cells.key_text(),
            subsidy_receipt_id: cells.maybe_text().map(Cow::Borrowed),
            stock_id: Cow::Borrowed(cells.text()),
            coupon_code: Cow::Borrowed(cells.text()),
            transaction_id: cells.maybe_text().map(Cow::Borrowed),
            payer_merchant: cells.maybe_text().map(Cow::Borrowed),
            payee_merchant: cells.maybe_text().map(Cow::Borrowed),
            amount_fen: Fen(cells.integer()),
            source_file: Cow::Borrowed(cells.text()),
            source_line: cells.integer(),
            business_date: cells.date(),
        }
    }
}

impl SubsidyOrder<Cow<'_, str>> {
    /// The row with texts of its own.
    pub fn into_owned(self) -> SubsidyOrder {
        let own = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned);
        SubsidyOrder {
            out_subsidy_no: self.out_subsidy_no.into_owned(),
            subsidy_return_receipt_id: self.subsidy_return_receipt_id.into_owned(),
            subsidy_receipt_id: own(self.subsidy_receipt_id),
            stock_id: self.stock_id.into_owned(),
            coupon_code: self.coupon_code.into_owned(),
            transaction_id: own(self.transaction_id),
            payer_merchant: own(self.payer_merchant),
            payee_merchant: own(self.payee_merchant),
            amount_fen: self.amount_fen,
            source_file: self.source_file.into_owned(),
            source_line: self.source_line,
            business_date: self.business_date,
        }
    }
}
