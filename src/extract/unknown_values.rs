//! Counts the rows of a stage with a state, a status or a type that this version does not know. It is kept as it came and
//! stops nothing (design §4; reference v3 §7), but the rules can only treat it as none of those they know: somebody should look.

use std::collections::BTreeSet;

use crate::quantity::{agreeing, counted};
use crate::record::{coupon_state, receipt_status, stock_type};
use crate::wechat::wording::shown;

/// A column and the values that this version knows.
pub(super) type Known = (&'static str, &'static [&'static str]);

/// Reference v3 §2.24.
pub(super) const STOCK_TYPE: Known = ("stock_type", &[stock_type::NORMAL, stock_type::DISCOUNT, stock_type::EXCHANGE]);
/// Reference v3 §2.24.
pub(super) const STOCK_STATE: Known = ("stock_state", &["UNAUDIT", "RUNNING", "STOPED", "PAUSED"]);
/// Reference v3 §2.24.
pub(super) const COUPON_CODE_MODE: Known = ("coupon_code_mode", &["WECHATPAY_MODE", "MERCHANT_API", "MERCHANT_UPLOAD"]);
/// Reference v3 §2.24.
pub(super) const COUPON_STATE: Known = (
    "coupon_state",
    &[
        coupon_state::SENDED,
        coupon_state::USED,
        coupon_state::EXPIRED,
        coupon_state::DELETED,
        coupon_state::DEACTIVATED,
    ],
);
/// Reference v3 §2.24.
pub(super) const CODE_STATUS: Known = ("code_status", &["AVAILABLE", "DISPATCHED"]);
/// Of a payment. Reference v3 §2.24.
pub(super) const PAYMENT_STATUS: Known = (
    "status",
    &[
        receipt_status::ACCEPTED,
        receipt_status::SUCCESS,
        receipt_status::FAIL,
        receipt_status::RETURNING,
        receipt_status::PARTIAL_RETURN,
        receipt_status::FULL_RETURN,
    ],
);
/// Of a return. Reference v3 §2.24.
pub(super) const RETURN_STATUS: Known =
    ("status", &[receipt_status::ACCEPTED, receipt_status::SUCCESS, receipt_status::FAIL]);
/// Reference v3 §4.4.
pub(super) const TRADE_STATE: Known = ("trade_state", &["SUCCESS", "REVOKED"]);
/// Reference v3 §4.4.
pub(super) const REFUND_STATUS: Known = ("refund_status", &["SUCCESS", "PROCESSING", "ABNORMAL", "CHANGE", "FAIL"]);
/// Reference v2 B.2.
pub(super) const COUPON_STOCK_STATUS: Known = ("coupon_stock_status", &["1", "2", "4", "8", "16"]);
/// Reference v2 B.3: two dialects.
pub(super) const VOUCHER_STATE: Known = ("coupon_state", &["SENDED", "USED", "EXPIRED", "2", "4", "8"]);
/// Reference v2 D: two names of a deleted card.
pub(super) const CARD_STATUS: Known = (
    "status",
    &[
        "CARD_STATUS_NOT_VERIFY",
        "CARD_STATUS_VERIFY_FAIL",
        "CARD_STATUS_VERIFY_OK",
        "CARD_STATUS_DELETE",
        "CARD_STATUS_USER_DELETE",
        "CARD_STATUS_DISPATCH",
    ],
);

/// So many different values are told: a server may make up one for each row.
const MOST_TOLD: usize = 8;

/// Rows with unknown values.
#[derive(Debug, Default)]
pub(super) struct UnknownValues {
    rows: usize,
    values: BTreeSet<(&'static str, String)>,
}

impl UnknownValues {
    /// Counts a row by the values of its columns. A value that is missing or empty is none.
    pub(super) fn see<'v>(&mut self, columns: impl IntoIterator<Item = (Known, Option<&'v str>)>) {
        let mut is_odd = false;
        for ((column, known), value) in columns {
            let Some(value) = value.filter(|value| !value.is_empty() && !known.contains(value)) else { continue };
            is_odd = true;
            if self.values.len() < MOST_TOLD {
                self.values.insert((column, shown(value).to_string()));
            }
        }
        self.rows += usize::from(is_odd);
    }

    /// Counts those of `other` too.
    pub(super) fn add(&mut self, other: UnknownValues) {
        self.rows += other.rows;
        self.values.extend(other.values);
    }

    /// Tells the values in the log of the run, for a success is quiet (design §2), and returns the number of rows, for the note
    /// `unknown_values`.
    pub(super) fn tell(self, one: &str, many: &str) -> usize {
        if self.rows > 0 {
            let values = self.values.iter().take(MOST_TOLD).map(|(column, value)| format!("`{column}` `{value}`"));
            let (rows, have) = (counted(self.rows, one, many), agreeing(&self.rows, "has", "have"));
            let values = values.collect::<Vec<_>>().join(", ");
            tracing::info!("{rows} {have} values that this version does not know, kept as they came: {values}");
        }
        self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_counts_once_however_many_of_its_values_nobody_knows() {
        let mut unknown = UnknownValues::default();
        unknown.see([(STOCK_STATE, Some("RUNNING")), (STOCK_TYPE, Some("NORMAL"))]);
        unknown.see([(STOCK_STATE, None), (STOCK_TYPE, Some(""))]);
        unknown.see([(STOCK_STATE, Some("ENDED")), (STOCK_TYPE, Some("CASHBACK"))]);
        unknown.see([(STOCK_STATE, Some("running"))]);
        let values = [("stock_state", "ENDED"), ("stock_state", "running"), ("stock_type", "CASHBACK")];
        assert!(unknown.values.iter().map(|(column, value)| (*column, value.as_str())).eq(values));
        assert_eq!(unknown.tell("stock", "stocks"), 2);
    }

    #[test]
    fn a_server_that_makes_up_a_value_for_each_row_fills_no_memory() {
        let mut unknown = UnknownValues::default();
        (0..1000).for_each(|number| unknown.see([(COUPON_STATE, Some(&*format!("S{number}")))]));
        let mut all = UnknownValues::default();
        (0..3).for_each(|_| all.add(UnknownValues { values: unknown.values.clone(), ..UnknownValues::default() }));
        all.add(unknown);
        assert_eq!((all.values.len(), all.tell("coupon", "coupons")), (MOST_TOLD, 1000));
    }
}
