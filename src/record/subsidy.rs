//! Subsidy receipts and their returns. Column meanings: `schemas/`.

use std::borrow::Cow;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::Record;
use crate::money::Fen;
use crate::sorter::{CellPacker, KeyPacker, Packed, Unpacker};

/// Subsidy payment receipts (`subsidy_payments`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubsidyPayment<S = String> {
    /// Merchant's subsidy payment number.
    pub out_subsidy_no: S,
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
    /// Description of the subsidy.
    pub description: Option<S>,
    /// Status.
    pub status: Option<S>,
    /// Why it failed.
    pub fail_reason: Option<S>,
    /// When it succeeded.
    pub success_time: Option<DateTime<Utc>>,
    /// Created at.
    pub create_time: Option<DateTime<Utc>>,
    /// Business date whose run last asked.
    pub verified_date: NaiveDate,
    /// Unknown fields of the answer, JSON.
    pub extra: Option<S>,
    /// Business date in Asia/Shanghai.
    pub business_date: NaiveDate,
}

impl Record for SubsidyPayment {
    const DATASET: &str = "subsidy_payments";
    const AMOUNT: Option<&str> = Some("amount_fen");

    fn amount(&self) -> Fen {
        self.amount_fen
    }
}

impl<S: AsRef<str>> Packed for SubsidyPayment<S> {
    fn pack_key(&self, key: &mut KeyPacker<'_>) {
        key.text(self.out_subsidy_no.as_ref());
    }

    fn pack_cells(&self, cells: &mut CellPacker<'_>) {
        cells.maybe_text(self.subsidy_receipt_id.as_ref());
        cells.text(self.stock_id.as_ref());
        cells.text(self.coupon_code.as_ref());
        cells.maybe_text(self.transaction_id.as_ref());
        cells.maybe_text(self.payer_merchant.as_ref());
        cells.maybe_text(self.payee_merchant.as_ref());
        cells.integer(self.amount_fen.0);
        cells.maybe_text(self.description.as_ref());
        cells.maybe_text(self.status.as_ref());
        cells.maybe_text(self.fail_reason.as_ref());
        cells.maybe_instant(self.success_time);
        cells.maybe_instant(self.create_time);
        cells.date(self.verified_date);
        cells.maybe_text(self.extra.as_ref());
        cells.date(self.business_date);
    }
}

impl<'r> SubsidyPayment<Cow<'r, str>> {
    /// The row that lies packed.
    pub fn unpack(cells: &mut Unpacker<'r>) -> SubsidyPayment<Cow<'r, str>> {
        SubsidyPayment {
            out_subsidy_no: cells.key_text(),
            subsidy_receipt_id: cells.maybe_text().map(Cow::Borrowed),
            stock_id: Cow::Borrowed(cells.text()),
            coupon_code: Cow::Borrowed(cells.text()),
            transaction_id: cells.maybe_text().map(Cow::Borrowed),
            payer_merchant: cells.maybe_text().map(Cow::Borrowed),
            payee_merchant: cells.maybe_text().map(Cow::Borrowed),
            amount_fen: Fen(cells.integer()),
            description: cells.maybe_text().map(Cow::Borrowed),
            status: cells.maybe_text().map(Cow::Borrowed),
            fail_reason: cells.maybe_text().map(Cow::Borrowed),
            success_time: cells.maybe_instant(),
            create_time: cells.maybe_instant(),
            verified_date: cells.date(),
            extra: cells.maybe_text().map(Cow::Borrowed),
            business_date: cells.date(),
        }
    }

    /// The row with texts of its own.
    pub fn into_owned(self) -> SubsidyPayment {
        let own = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned);
        SubsidyPayment {
            out_subsidy_no: self.out_subsidy_no.into_owned(),
            subsidy_receipt_id: own(self.subsidy_receipt_id),
            stock_id: self.stock_id.into_owned(),
            coupon_code: self.coupon_code.into_owned(),
            transaction_id: own(self.transaction_id),
            payer_merchant: own(self.payer_merchant),
            payee_merchant: own(self.payee_merchant),
            amount_fen: self.amount_fen,
            description: own(self.description),
            status: own(self.status),
            fail_reason: own(self.fail_reason),
            success_time: self.success_time,
            create_time: self.create_time,
            verified_date: self.verified_date,
            extra: own(self.extra),
            business_date: self.business_date,
        }
    }
}

/// Subsidy return receipts (`subsidy_returns`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubsidyReturn<S = String> {
    /// Merchant's subsidy return number.
    pub out_subsidy_return_no: S,
    /// WeChat's subsidy return receipt id, empty when none.
    pub subsidy_return_receipt_id: Option<S>,
    /// WeChat's subsidy payment receipt id.
    pub subsidy_receipt_id: Option<S>,
    /// Coupon stock (批次) id.
    pub stock_id: S,
    /// Coupon code.
    pub coupon_code: S,
    /// WeChat Pay order id.
    pub transaction_id: Option<S>,
    /// 微信退款单号.
    pub refund_id: Option<S>,
    /// Merchant that pays the subsidy.
    pub payer_merchant: Option<S>,
    /// Merchant that receives the subsidy.
    pub payee_merchant: Option<S>,
    /// Amount, fen.
    pub amount_fen: Fen,
    /// Description of the subsidy.
    pub description: Option<S>,
    /// Status.
    pub status: Option<S>,
    /// Why it failed.
    pub fail_reason: Option<S>,
    /// Return done at.
    pub return_done_time: Option<DateTime<Utc>>,
    /// Return created at.
    pub return_create_time: Option<DateTime<Utc>>,
    /// Business date whose run last asked.
    pub verified_date: NaiveDate,
    /// Unknown fields of the answer, JSON.
    pub extra: Option<S>,
    /// Business date in Asia/Shanghai.
    pub business_date: NaiveDate,
}

impl Record for SubsidyReturn {
    const DATASET: &str = "subsidy_returns";
    const AMOUNT: Option<&str> = Some("amount_fen");

    fn amount(&self) -> Fen {
        self.amount_fen
    }
}

impl<S: AsRef<str>> Packed for SubsidyReturn<S> {
    fn pack_key(&self, key: &mut KeyPacker<'_>) {
        key.text(self.out_subsidy_return_no.as_ref());
    }

    fn pack_cells(&self, cells: &mut CellPacker<'_>) {
        cells.maybe_text(self.subsidy_return_receipt_id.as_ref());
        cells.maybe_text(self.subsidy_receipt_id.as_ref());
        cells.text(self.stock_id.as_ref());
        cells.text(self.coupon_code.as_ref());
        cells.maybe_text(self.transaction_id.as_ref());
        cells.maybe_text(self.refund_id.as_ref());
        cells.maybe_text(self.payer_merchant.as_ref());
        cells.maybe_text(self.payee_merchant.as_ref());
        cells.integer(self.amount_fen.0);
        cells.maybe_text(self.description.as_ref());
        cells.maybe_text(self.status.as_ref());
        cells.maybe_text(self.fail_reason.as_ref());
        cells.maybe_instant(self.return_done_time);
        cells.maybe_instant(self.return_create_time);
        cells.date(self.verified_date);
        cells.maybe_text(self.extra.as_ref());
        cells.date(self.business_date);
    }
}

impl<'r> SubsidyReturn<Cow<'r, str>> {
    /// The row that lies packed.
    pub fn unpack(cells: &mut Unpacker<'r>) -> SubsidyReturn<Cow<'r, str>> {
        SubsidyReturn {
            out_subsidy_return_no: cells.key_text(),
            subsidy_return_receipt_id: cells.maybe_text().map(Cow::Borrowed),
            subsidy_receipt_id: cells.maybe_text().map(Cow::Borrowed),
            stock_id: Cow::Borrowed(cells.text()),
            coupon_code: Cow::Borrowed(cells.text()),
            transaction_id: cells.maybe_text().map(Cow::Borrowed),
            refund_id: cells.maybe_text().map(Cow::Borrowed),
            payer_merchant: cells.maybe_text().map(Cow::Borrowed),
            payee_merchant: cells.maybe_text().map(Cow::Borrowed),
            amount_fen: Fen(cells.integer()),
            description: cells.maybe_text().map(Cow::Borrowed),
            status: cells.maybe_text().map(Cow::Borrowed),
            fail_reason: cells.maybe_text().map(Cow::Borrowed),
            return_done_time: cells.maybe_instant(),
            return_create_time: cells.maybe_instant(),
            verified_date: cells.date(),
            extra: cells.maybe_text().map(Cow::Borrowed),
            business_date: cells.date(),
        }
    }
}
