//! The shared views about orders as tables in the scratch folder, for the SQL of the rules.

use std::path::{Path, PathBuf};

use crate::reconcile::rows::builders::table_type;

table_type! {
    /// A row of `order_totals`.
    TotalsRow into TotalsTable {
        out_trade_no: text,
        transaction_id: maybe_text,
        merchant: maybe_text,
        openid: maybe_text,
        channel: maybe_text,
        source_file: text,
        paid_at: maybe_instant,
        paid_date: maybe_date,
        changed_date: date,
        goods_fen: fen,
        discount_fen: fen,
        paid_fen: fen,
        refund_fen: fen,
        bill_transaction_id: maybe_text,
        bill_paid_fen: maybe_fen,
        bill_date: maybe_date,
        bill_is_revoked: flag,
        bill_refund_fen: fen,
        bill_refund_count: integer,
        bill_refunded_at: maybe_instant,
        bill_refund_date: maybe_date,
        is_paid: flag,
        is_fully_refunded: flag,
        is_live: flag,
    }
}

table_type! {
    /// A row of `order_lines`.
    LinesRow into LinesTable {
        out_trade_no: text,
        stock_id: text,
        coupon_code: text,
        transaction_id: maybe_text,
        merchant: maybe_text,
        openid: maybe_text,
        channel: maybe_text,
        paid_at: maybe_instant,
        goods_fen: fen,
        discount_fen: fen,
        paid_fen: fen,
        refund_fen: fen,
        source_file: text,
        dt: date,
    }
}

table_type! {
    /// A row of `bill_payments`.
    PaymentsRow into PaymentsTable {
        transaction_id: text,
        out_trade_no: text,
        openid: maybe_text,
        mchid: maybe_text,
        sub_mchid: maybe_text,
        order_fen: maybe_fen,
        trade_time: instant,
        dt: date,
        is_revoked: flag,
    }
}

table_type! {
    /// A row of `bill_refunds`.
    RefundsRow into RefundsTable {
        transaction_id: text,
        out_trade_no: text,
        refund_fen: fen,
        refund_count: integer,
        refunded_at: maybe_instant,
        dt: maybe_date,
    }
}

table_type! {
    /// A row of `bill_merchants`.
    MerchantsRow into MerchantsTable {
        merchant: text,
    }
}

/// The path of a view's table.
pub(in crate::reconcile) fn path_of(folder: &Path, view: &str) -> PathBuf {
    folder.join(format!("{view}.arrow"))
}
