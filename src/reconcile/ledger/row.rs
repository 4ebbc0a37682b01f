//! Builds a row of the coupon ledger: the columns from coupon, order and subsidy.

use super::order_side::OrderSide;
use super::subsidy::Subsidy;
use super::wallet::Coupon;
use crate::dataset::columns::{DayNumber, Micros};
use crate::reconcile::rows::builders::table_type;

table_type! {
    /// A row of `coupon_ledger`, in the order of its contract.
    LedgerLine into LedgerBuilder {
        stock_id: text,
        coupon_code: text,
        openid: maybe_text,
        coupon_state: maybe_text,
        state_on_date: maybe_text,
        stock_type: maybe_text,
        belong_merchant: maybe_text,
        discount_amount_fen: maybe_fen,
        discount_percent: maybe_integer,
        exchange_price_fen: maybe_fen,
        transaction_minimum_fen: maybe_fen,
        available_start_at: maybe_instant,
        expire_at: maybe_instant,
        received_at: maybe_instant,
        used_at: maybe_instant,
        returned_at: maybe_instant,
        deactivated_at: maybe_instant,
        use_request_no: maybe_text,
        return_request_no: maybe_text,
        associate_out_trade_no: maybe_text,
        match_pass: maybe_text,
        claim_count: integer,
        out_trade_no: maybe_text,
        transaction_id: maybe_text,
        order_openid: maybe_text,
        order_merchant: maybe_text,
        order_paid_at: maybe_instant,
        order_live: maybe_flag,
        order_fully_refunded: maybe_flag,
        goods_fen: maybe_fen,
        discount_fen: maybe_fen,
        paid_fen: maybe_fen,
        expected_discount_fen: maybe_fen,
        order_refund_fen: maybe_fen,
        bill_paid_fen: maybe_fen,
        refund_fen: maybe_fen,
        refunded_at: maybe_instant,
        refund_count: integer,
        subsidy_expected_fen: maybe_fen,
        subsidy_paid_fen: maybe_fen,
        subsidy_returned_fen: maybe_fen,
        subsidy_receipt_count: integer,
        subsidy_status: maybe_text,
        subsidy_transaction_id: maybe_text,
        asked_date: maybe_date,
        verified_date: maybe_date,
        used_after_paid_seconds: maybe_integer,
        subsidy_live_fen: maybe_fen,
        subsidy_due_date: maybe_date,
        business_date: date,
    }
}

/// A coupon, by its stock and code, with its other sides.
pub(super) struct JoinedCoupon<'a, 's> {
    pub(super) key: (&'a str, &'a str),
    pub(super) coupon: &'s Coupon<'a>,
    pub(super) order: &'s OrderSide<'a>,
    pub(super) subsidy: &'a Subsidy<'a>,
}

impl<'a> LedgerLine<'a> {
    /// The row of one coupon on `date`.
    pub(super) fn new(joined: &JoinedCoupon<'a, '_>, date: DayNumber, asked_date: Option<DayNumber>) -> LedgerLine<'a> {
        let JoinedCoupon { key: (stock_id, coupon_code), coupon, order, subsidy } = *joined;
        LedgerLine {
            expected_discount_fen: coupon.terms.expected_discount(order.goods),
            used_after_paid_seconds: coupon.used_at.zip(order.paid_at).map(|(used, paid)| begun_seconds(used - paid)),
            stock_id,
            coupon_code,
            openid: coupon.openid,
            coupon_state: coupon.coupon_state,
            state_on_date: coupon.state_on_date,
            stock_type: coupon.terms.stock_type,
            belong_merchant: coupon.terms.belong_merchant,
            discount_amount_fen: coupon.terms.discount_amount,
            discount_percent: coupon.terms.discount_percent,
            exchange_price_fen: coupon.terms.exchange_price,
            transaction_minimum_fen: coupon.terms.transaction_minimum,
            available_start_at: coupon.available_start_at,
            expire_at: coupon.expire_at,
            received_at: coupon.received_at,
            used_at: coupon.used_at,
            returned_at: coupon.returned_at,
            deactivated_at: coupon.deactivated_at,
            use_request_no: coupon.use_request_no,
            return_request_no: coupon.return_request_no,
            associate_out_trade_no: coupon.associate_out_trade_no,
            match_pass: order.match_pass,
            claim_count: order.claim_count,
            out_trade_no: order.out_trade_no,
            transaction_id: order.transaction_id,
            order_openid: order.openid,
            order_merchant: order.merchant,
            order_paid_at: order.paid_at,
            order_live: order.is_live,
            order_fully_refunded: order.is_fully_refunded,
            goods_fen: order.goods,
            discount_fen: order.discount,
            paid_fen: order.paid,
            order_refund_fen: order.order_refund,
            bill_paid_fen: order.bill_paid,
            refund_fen: order.bill_refund.amount,
            refunded_at: order.bill_refund.last_at,
            refund_count: order.bill_refund.count,
            subsidy_expected_fen: subsidy.expected,
            subsidy_paid_fen: subsidy.paid,
            subsidy_returned_fen: subsidy.returned,
            subsidy_receipt_count: subsidy.live_count,
            subsidy_status: subsidy.status.as_deref(),
            subsidy_transaction_id: subsidy.transaction_id,
            asked_date,
            verified_date: coupon.verified_date,
            subsidy_live_fen: subsidy.live,
            subsidy_due_date: subsidy.due_date,
            business_date: date,
        }
    }
}

/// Microseconds in seconds, a begun one counted: what is beyond a tolerance by a fraction of a second is beyond it.
fn begun_seconds(micros: Micros) -> i64 {
    micros.signum() * micros.unsigned_abs().div_ceil(1_000_000).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::contract;
    use crate::reconcile::rows::builders::Table;

    #[test]
    fn the_columns_are_those_of_the_contract_in_its_order() {
        let columns = LedgerBuilder::default().take();
        let fields = contract("coupon_ledger").arrow();
        let wanted: Vec<_> =
            fields.fields().iter().map(|field| (field.name().as_str(), field.data_type().clone())).collect();
        let found: Vec<_> = columns.iter().map(|(name, column)| (*name, column.data_type().clone())).collect();
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_begun_second_counts_on_either_side_of_the_payment() {
        let seconds = [0, 1, 1_000_000, 1_000_001, -1, -1_000_000, -1_000_001].map(begun_seconds);
        assert_eq!(seconds, [0, 1, 1, 2, -1, -1, -2]);
    }
}
