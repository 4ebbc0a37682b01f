//! The columns of a ledger row that the reports need, borrowed from its batch.

use chrono::{DateTime, NaiveDate, Utc};

use crate::dataset::columns::{DayNumber, Micros, row_type};

row_type! {
    /// A row of `coupon_ledger`.
    Coupon of CouponColumns {
        stock_id: text,
        coupon_code: text,
        openid: maybe_text,
        state_on_date: maybe_text,
        used_at: maybe_instant,
        returned_at: maybe_instant,
        match_pass: maybe_text,
        claim_count: integer,
        out_trade_no: maybe_text,
        transaction_id: maybe_text,
        order_merchant: maybe_text,
        order_paid_at: maybe_instant,
        order_live: maybe_flag,
        goods_fen: maybe_fen,
        discount_fen: maybe_fen,
        expected_discount_fen: maybe_fen,
        paid_fen: maybe_fen,
        bill_paid_fen: maybe_fen,
        order_refund_fen: maybe_fen,
        refund_fen: maybe_fen,
        refund_count: integer,
        refunded_at: maybe_instant,
        subsidy_due_date: maybe_date,
        subsidy_expected_fen: maybe_fen,
        subsidy_paid_fen: maybe_fen,
        subsidy_returned_fen: maybe_fen,
        subsidy_receipt_count: integer,
        subsidy_status: maybe_text,
    }
}

/// Converts microseconds of the ledger.
pub(super) fn instant(micros: Micros) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).expect("the ledger was made of instants")
}

/// Converts a day number of the ledger.
pub(super) fn day(number: DayNumber) -> NaiveDate {
    NaiveDate::from_epoch_days(number).expect("the ledger was made of days")
}

#[cfg(test)]
mod tests {
    use arrow::array::RecordBatch;

    use super::*;
    use crate::contract::contract;
    use crate::dataset::columns::Columns;

    #[test]
    fn every_column_is_one_of_the_contract_and_of_its_type() {
        let ledger = contract("coupon_ledger");
        assert!(CouponColumns::NAMES.iter().all(|name| ledger.columns.iter().any(|column| column.name == *name)));
        assert!(CouponColumns::of(&RecordBatch::new_empty(ledger.arrow())).is_ok());
    }
}
