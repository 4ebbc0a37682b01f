//! All records of a synthetic merchant: WeChat's world, the merchant's exports, the bill, the
//! subsidy ledger. Records what it is given without checking it: breaks are records that disagree.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::json;

use crate::clock::business_date_of;
use crate::money::Fen;
use crate::simulator::state::wire_time;
use crate::simulator::world::{Coupon, Receipt, World};

/// An order with its payment, before it is recorded.
#[derive(Debug, Clone)]
pub(super) struct Purchase {
    pub(super) out_trade_no: String,
    /// Empty when not paid by WeChat.
    pub(super) transaction_id: String,
    /// The name in the export.
    pub(super) merchant: &'static str,
    pub(super) openid: String,
    pub(super) channel: Channel,
    pub(super) paid_at: DateTime<Utc>,
    /// The export shows it without a time of payment.
    pub(super) unpaid: bool,
    pub(super) lines: Vec<Line>,
    /// What WeChat charged (订单金额 of the bill).
    pub(super) charged_fen: Fen,
}

/// A line of an order, as exported.
#[derive(Debug, Clone, Default)]
pub(super) struct Line {
    /// Empty: no coupon.
    pub(super) stock_id: String,
    pub(super) coupon_code: String,
    pub(super) goods_fen: Fen,
    pub(super) discount_fen: Fen,
    pub(super) paid_fen: Fen,
    pub(super) refund_fen: Fen,
    pub(super) product: &'static str,
    pub(super) remark: &'static str,
}

/// How an order was paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Channel {
    Wechat,
    Alipay,
}

impl Channel {
    /// The name in the export.
    pub(super) fn name(self) -> &'static str {
        match self {
            Channel::Wechat => "微信支付",
            Channel::Alipay => "支付宝",
        }
    }
}

impl Purchase {
    /// The discount of its first line, the one with the coupon.
    pub(super) fn discount_fen(&self) -> Fen {
        self.lines[0].discount_fen
    }

    /// Business date of the payment.
    pub(super) fn date(&self) -> NaiveDate {
        business_date_of(self.paid_at)
    }

    /// Paid by Alipay: WeChat knows nothing of it.
    pub(super) fn pay_by_alipay(&mut self) {
        self.channel = Channel::Alipay;
        self.transaction_id.clear();
    }

    /// The export shows every line as refunded.
    pub(super) fn mark_refunded(&mut self) {
        for line in &mut self.lines {
            line.refund_fen = line.paid_fen;
        }
    }
}

/// A line in the export file of a day.
#[derive(Debug)]
pub(super) struct ExportRow {
    pub(super) file_date: NaiveDate,
    pub(super) out_trade_no: String,
    pub(super) transaction_id: String,
    pub(super) merchant: &'static str,
    pub(super) openid: String,
    pub(super) channel: Channel,
    /// `None`: not paid.
    pub(super) paid_at: Option<DateTime<Utc>>,
    pub(super) line: Line,
}

/// A row of the bill of the day of `time`.
#[derive(Debug)]
pub(super) struct BillRow {
    pub(super) time: DateTime<Utc>,
    pub(super) transaction_id: String,
    pub(super) out_trade_no: String,
    pub(super) openid: String,
    pub(super) product: &'static str,
    pub(super) entry: BillEntry,
}

/// The content of a bill row.
#[derive(Debug)]
pub(super) enum BillEntry {
    /// `favor_fen`: a WeChat voucher the platform paid; `unsettled_fen`: one the merchant paid.
    Payment {
        order_fen: Fen,
        favor_fen: Fen,
        unsettled_fen: Fen,
    },
    Revoked,
    Refund {
        refund_id: String,
        out_refund_no: String,
        applied_fen: Fen,
        /// The part of `applied_fen` that was a voucher of the merchant and is not refunded.
        unsettled_fen: Fen,
        status: &'static str,
    },
}

/// A refund as the bill shows it.
#[derive(Debug, Clone)]
pub(super) struct Refund {
    pub(super) refund_id: String,
    pub(super) out_refund_no: String,
    pub(super) amount_fen: Fen,
    pub(super) accepted_at: DateTime<Utc>,
    pub(super) status: &'static str,
}

/// A subsidy payment, before it is recorded.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    pub(super) out_subsidy_no: String,
    /// Empty until it succeeds.
    pub(super) subsidy_receipt_id: String,
    pub(super) stock_id: String,
    pub(super) coupon_code: String,
    pub(super) transaction_id: String,
    pub(super) payer: &'static str,
    pub(super) payee: &'static str,
    pub(super) amount_fen: Fen,
    pub(super) created_at: DateTime<Utc>,
    /// `None`: never.
    pub(super) succeeded_at: Option<DateTime<Utc>>,
    /// Statuses with their times, oldest first.
    pub(super) statuses: Vec<(DateTime<Utc>, &'static str)>,
    pub(super) fail_reason: Option<&'static str>,
}

/// A subsidy return, before it is recorded.
#[derive(Debug, Clone)]
pub(super) struct GrantReturn {
    pub(super) out_subsidy_return_no: String,
    pub(super) subsidy_return_receipt_id: String,
    pub(super) refund_id: String,
    pub(super) amount_fen: Fen,
    pub(super) created_at: DateTime<Utc>,
}

/// A line of the merchant's subsidy ledger.
#[derive(Debug)]
pub(super) struct SubsidyRow {
    pub(super) file_date: NaiveDate,
    pub(super) out_subsidy_no: String,
    pub(super) subsidy_receipt_id: String,
    /// Empty: a payment.
    pub(super) subsidy_return_receipt_id: String,
    pub(super) stock_id: String,
    pub(super) coupon_code: String,
    pub(super) transaction_id: String,
    pub(super) payer: &'static str,
    pub(super) payee: &'static str,
    pub(super) amount_fen: Fen,
}

/// All records.
#[derive(Debug, Default)]
pub(super) struct Books {
    pub(super) world: World,
    pub(super) exports: Vec<ExportRow>,
    pub(super) bill: Vec<BillRow>,
    pub(super) subsidies: Vec<SubsidyRow>,
}

impl Books {
    /// Adds a coupon to the wallet of its user.
    pub(super) fn receive(&mut self, coupon: Coupon) {
        self.world.coupons.push(coupon);
    }

    /// Adds a purchase to the export of its day and, if paid by WeChat, to the bill.
    pub(super) fn sell(&mut self, purchase: &Purchase) {
        self.export(purchase, purchase.date());
        self.charge(purchase, purchase.paid_at);
    }

    /// Adds a purchase to the export file of `file_date`.
    pub(super) fn export(&mut self, purchase: &Purchase, file_date: NaiveDate) {
        for line in &purchase.lines {
            self.exports.push(ExportRow {
                file_date,
                out_trade_no: purchase.out_trade_no.clone(),
                transaction_id: purchase.transaction_id.clone(),
                merchant: purchase.merchant,
                openid: purchase.openid.clone(),
                channel: purchase.channel,
                paid_at: (!purchase.unpaid).then_some(purchase.paid_at),
                line: line.clone(),
            });
        }
    }

    /// Adds a purchase to the bill, unless WeChat charged nothing.
    pub(super) fn charge(&mut self, purchase: &Purchase, time: DateTime<Utc>) {
        let plain =
            BillEntry::Payment { order_fen: purchase.charged_fen, favor_fen: Fen::ZERO, unsettled_fen: Fen::ZERO };
        if purchase.channel == Channel::Wechat && purchase.charged_fen > Fen::ZERO {
            self.bill_entry(purchase, time, plain);
        }
    }

    /// Adds a bill row of the purchase.
    pub(super) fn bill_entry(&mut self, purchase: &Purchase, time: DateTime<Utc>, entry: BillEntry) {
        self.bill.push(BillRow {
            time,
            transaction_id: purchase.transaction_id.clone(),
            out_trade_no: purchase.out_trade_no.clone(),
            openid: purchase.openid.clone(),
            product: purchase.lines[0].product,
            entry,
        });
    }

    /// Adds a refund row to the bill, if WeChat received the payment.
    pub(super) fn refund(&mut self, purchase: &Purchase, refund: &Refund) {
        if purchase.channel != Channel::Wechat {
            return;
        }
        let entry = BillEntry::Refund {
            refund_id: refund.refund_id.clone(),
            out_refund_no: refund.out_refund_no.clone(),
            applied_fen: refund.amount_fen,
            unsettled_fen: Fen::ZERO,
            status: refund.status,
        };
        self.bill_entry(purchase, refund.accepted_at, entry);
    }

    /// Adds a receipt at WeChat and its line in the merchant's ledger.
    pub(super) fn grant(&mut self, grant: &Grant) {
        self.grant_receipt(grant);
        self.grant_order(grant);
    }

    /// Adds only the receipt at WeChat.
    pub(super) fn grant_receipt(&mut self, grant: &Grant) {
        let mut body = json!({
            "stock_id": grant.stock_id,
            "coupon_code": grant.coupon_code,
            "transaction_id": grant.transaction_id,
            "payer_merchant": grant.payer,
            "payee_merchant": grant.payee,
            "amount": grant.amount_fen.0,
            "description": "商家券补差",
            "out_subsidy_no": grant.out_subsidy_no,
            "create_time": wire_time(grant.created_at),
        });
        if let Some(succeeded_at) = grant.succeeded_at {
            body["subsidy_receipt_id"] = json!(grant.subsidy_receipt_id);
            body["success_time"] = json!(wire_time(succeeded_at));
        }
        if let Some(reason) = grant.fail_reason {
            body["fail_reason"] = json!(reason);
        }
        self.world.pay_receipts.push(Receipt {
            create_time: grant.created_at,
            statuses: grant.statuses.iter().map(|(time, status)| (*time, (*status).to_owned())).collect(),
            body: body.as_object().cloned().unwrap_or_default(),
        });
    }

    /// Adds only the line in the merchant's ledger.
    pub(super) fn grant_order(&mut self, grant: &Grant) {
        self.subsidies.push(ledger_row(grant));
    }

    /// Adds a return receipt at WeChat and its line in the merchant's ledger.
    pub(super) fn grant_return(&mut self, grant: &Grant, returned: &GrantReturn) {
        self.world.return_receipts.push(return_receipt(grant, returned));
        self.subsidies.push(SubsidyRow {
            file_date: business_date_of(returned.created_at),
            subsidy_return_receipt_id: returned.subsidy_return_receipt_id.clone(),
            amount_fen: returned.amount_fen,
            ..ledger_row(grant)
        });
    }
}

/// The line of a payment in the merchant's ledger.
fn ledger_row(grant: &Grant) -> SubsidyRow {
    SubsidyRow {
        file_date: business_date_of(grant.created_at),
        out_subsidy_no: grant.out_subsidy_no.clone(),
        subsidy_receipt_id: grant.subsidy_receipt_id.clone(),
        subsidy_return_receipt_id: String::new(),
        stock_id: grant.stock_id.clone(),
        coupon_code: grant.coupon_code.clone(),
        transaction_id: grant.transaction_id.clone(),
        payer: grant.payer,
        payee: grant.payee,
        amount_fen: grant.amount_fen,
    }
}

fn return_receipt(grant: &Grant, returned: &GrantReturn) -> Receipt {
    let body = json!({
        "subsidy_return_receipt_id": returned.subsidy_return_receipt_id,
        "stock_id": grant.stock_id,
        "coupon_code": grant.coupon_code,
        "transaction_id": grant.transaction_id,
        "refund_id": returned.refund_id,
        "payer_merchant": grant.payer,
        "payee_merchant": grant.payee,
        "amount": returned.amount_fen.0,
        "description": "商家券补差回退",
        "subsidy_receipt_id": grant.subsidy_receipt_id,
        "out_subsidy_return_no": returned.out_subsidy_return_no,
        "return_create_time": wire_time(returned.created_at),
        "return_done_time": wire_time(returned.created_at),
    });
    Receipt {
        create_time: returned.created_at,
        // The API's own prefix (reference v3 §2.22).
        statuses: vec![(returned.created_at, "RETURN_RECEIPT_SUCCESS".to_owned())],
        body: body.as_object().cloned().unwrap_or_default(),
    }
}
