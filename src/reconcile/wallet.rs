//! The coupon as it was at the end of D: what the wallet answered later, rolled back by the event
//! times on the wire (design §6). What the wire forgets comes from the previous ledger row.

use chrono::{DateTime, NaiveDate, Utc};

use crate::clock;
use crate::money::Fen;
use crate::record::{LedgerRow, Stock, UserCoupon};

/// Redeemed (reference v3 §2.19: the five states).
pub(super) const USED: &str = "USED";
const SENDED: &str = "SENDED";
const EXPIRED: &str = "EXPIRED";
const DELETED: &str = "DELETED";
const DEACTIVATED: &str = "DEACTIVATED";

/// The coupon columns of a ledger row.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Coupon {
    pub(super) openid: Option<String>,
    pub(super) coupon_state: Option<String>,
    pub(super) state_on_date: Option<String>,
    pub(super) terms: CouponTerms,
    pub(super) available_start_at: Option<DateTime<Utc>>,
    pub(super) expire_at: Option<DateTime<Utc>>,
    pub(super) received_at: Option<DateTime<Utc>>,
    pub(super) used_at: Option<DateTime<Utc>>,
    pub(super) returned_at: Option<DateTime<Utc>>,
    pub(super) deactivated_at: Option<DateTime<Utc>>,
    pub(super) use_request_no: Option<String>,
    pub(super) return_request_no: Option<String>,
    pub(super) associate_out_trade_no: Option<String>,
    pub(super) verified_date: Option<NaiveDate>,
}

/// What a coupon is worth, as its stock defines it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct CouponTerms {
    pub(super) stock_type: Option<String>,
    pub(super) belong_merchant: Option<String>,
    pub(super) discount_amount: Option<Fen>,
    pub(super) discount_percent: Option<i64>,
    pub(super) exchange_price: Option<Fen>,
    pub(super) transaction_minimum: Option<Fen>,
}

impl CouponTerms {
    fn of_wallet(row: &UserCoupon) -> CouponTerms {
        CouponTerms {
            stock_type: row.stock_type.clone(),
            belong_merchant: row.belong_merchant.clone(),
            discount_amount: row.discount_amount_fen,
            discount_percent: row.discount_percent,
            exchange_price: row.exchange_price_fen,
            transaction_minimum: row.transaction_minimum_fen,
        }
    }

    fn of_previous(row: &LedgerRow) -> CouponTerms {
        CouponTerms {
            stock_type: row.stock_type.clone(),
            belong_merchant: row.belong_merchant.clone(),
            discount_amount: row.discount_amount_fen,
            discount_percent: row.discount_percent,
            exchange_price: row.exchange_price_fen,
            transaction_minimum: row.transaction_minimum_fen,
        }
    }

    fn of_stock(stock: &Stock) -> CouponTerms {
        CouponTerms {
            stock_type: stock.stock_type.clone(),
            belong_merchant: stock.belong_merchant.clone(),
            discount_amount: stock.discount_amount_fen,
            discount_percent: stock.discount_percent,
            exchange_price: stock.exchange_price_fen,
            transaction_minimum: stock.transaction_minimum_fen,
        }
    }

    /// Fills what is not known from another source.
    fn or(self, other: CouponTerms) -> CouponTerms {
        CouponTerms {
            stock_type: self.stock_type.or(other.stock_type),
            belong_merchant: self.belong_merchant.or(other.belong_merchant),
            discount_amount: self.discount_amount.or(other.discount_amount),
            discount_percent: self.discount_percent.or(other.discount_percent),
            exchange_price: self.exchange_price.or(other.exchange_price),
            transaction_minimum: self.transaction_minimum.or(other.transaction_minimum),
        }
    }

    /// The discount the stock's rule gives on these goods (design §6). Without goods only a fixed
    /// discount is known.
    pub(super) fn expected_discount(&self, goods: Option<Fen>) -> Option<Fen> {
        let discount = match (self.stock_type.as_deref()?, goods) {
            ("NORMAL", _) => self.discount_amount?,
            ("DISCOUNT", Some(goods)) => goods.percent_half_up(100 - self.discount_percent?)?,
            ("EXCHANGE", Some(goods)) => goods - self.exchange_price?,
            _ => return None,
        };
        Some(goods.map_or(discount, |goods| discount.min(goods)).max(Fen::ZERO))
    }
}

impl Coupon {
    /// The coupon at the end of `date`. `answered` is the wallet's row, `previous` the ledger's of the
    /// night before, `stock` fills what a coupon no wallet shows would be worth.
    pub(super) fn at_end_of(
        date: NaiveDate,
        answered: Option<&UserCoupon>,
        previous: Option<&LedgerRow>,
        stock: Option<&Stock>,
    ) -> Coupon {
        let mut coupon = match (answered, previous) {
            (Some(row), previous) => rolled_back(date, row, previous),
            (None, Some(previous)) => carried(date, previous),
            (None, None) => Coupon::default(),
        };
        coupon.terms = coupon.terms.or(stock.map(CouponTerms::of_stock).unwrap_or_default());
        coupon
    }
}

fn rolled_back(date: NaiveDate, row: &UserCoupon, previous: Option<&LedgerRow>) -> Coupon {
    let end = clock::end_of(date);
    let happened = |time: Option<DateTime<Utc>>| time.filter(|time| *time < end);
    let is_used_later = row.use_time.is_some_and(|time| time >= end);
    let known_use = |value: &Option<String>| value.clone().filter(|_| !is_used_later);
    // An association may be taken back; one that went with a return is only forgotten.
    let forgotten_association = previous.filter(|_| is_used_later || row.return_time.is_some());
    let before = |instant: fn(&LedgerRow) -> Option<DateTime<Utc>>| previous.and_then(instant);
    let before_text = |text: fn(&LedgerRow) -> Option<String>| previous.and_then(text);
    Coupon {
        openid: Some(row.openid.clone()),
        coupon_state: row.coupon_state.clone(),
        state_on_date: state_on(end, row, previous),
        terms: CouponTerms::of_wallet(row),
        available_start_at: row.available_start_time,
        expire_at: row.expire_time,
        received_at: row.receive_time,
        used_at: happened(row.use_time).or_else(|| before(|row| row.used_at)),
        returned_at: happened(row.return_time).or_else(|| before(|row| row.returned_at)),
        deactivated_at: happened(row.deactivate_time).or_else(|| before(|row| row.deactivated_at)),
        use_request_no: known_use(&row.use_request_no).or_else(|| before_text(|row| row.use_request_no.clone())),
        return_request_no: row
            .return_request_no
            .clone()
            .filter(|_| happened(row.return_time).is_some())
            .or_else(|| before_text(|row| row.return_request_no.clone())),
        associate_out_trade_no: known_use(&row.associate_out_trade_no)
            .or_else(|| forgotten_association?.associate_out_trade_no.clone()),
        verified_date: Some(row.verified_date),
    }
}

/// A coupon no wallet shows tonight (the stage failed, or it was only ever claimed) stays as it was;
/// the calendar goes on.
fn carried(date: NaiveDate, previous: &LedgerRow) -> Coupon {
    let is_expired = previous.expire_at.is_some_and(|expiry| expiry < clock::end_of(date));
    let state = match previous.state_on_date.as_deref() {
        Some(SENDED) if is_expired => Some(EXPIRED.to_owned()),
        _ => previous.state_on_date.clone(),
    };
    Coupon {
        openid: previous.openid.clone(),
        coupon_state: previous.coupon_state.clone(),
        state_on_date: state,
        terms: CouponTerms::of_previous(previous),
        available_start_at: previous.available_start_at,
        expire_at: previous.expire_at,
        received_at: previous.received_at,
        used_at: previous.used_at,
        returned_at: previous.returned_at,
        deactivated_at: previous.deactivated_at,
        use_request_no: previous.use_request_no.clone(),
        return_request_no: previous.return_request_no.clone(),
        associate_out_trade_no: previous.associate_out_trade_no.clone(),
        verified_date: previous.verified_date,
    }
}

/// The state at `end`, from the state answered after it.
fn state_on(end: DateTime<Utc>, row: &UserCoupon, previous: Option<&LedgerRow>) -> Option<String> {
    let answered = row.coupon_state.as_deref()?;
    let is_after = |time: Option<DateTime<Utc>>| time.is_some_and(|time| time >= end);
    let unused = if row.expire_time.is_some_and(|expiry| expiry < end) { EXPIRED } else { SENDED };
    let state = match answered {
        _ if is_after(row.return_time) && was_used(end, row, previous) => USED,
        // A redemption after D proves that the coupon was neither used nor deleted on D.
        USED | DELETED if is_after(row.use_time) => unused,
        DELETED if !is_returned(row) && was_used(end, row, previous) => USED,
        DEACTIVATED if is_after(row.deactivate_time) => unused,
        EXPIRED if is_after(row.expire_time) => SENDED,
        SENDED => unused,
        other => other,
    };
    Some(state.to_owned())
}

/// Whether the last redemption on the wire was taken back.
fn is_returned(row: &UserCoupon) -> bool {
    row.return_time.is_some_and(|returned| row.use_time.is_none_or(|used| returned >= used))
}

/// Whether a redemption before `end` is known: the wire still shows it, or yesterday's books do.
fn was_used(end: DateTime<Utc>, row: &UserCoupon, previous: Option<&LedgerRow>) -> bool {
    row.use_time.is_some_and(|time| time < end)
        || previous.is_some_and(|previous| previous.state_on_date.as_deref() == Some(USED))
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::super::ledger::empty_row;
    use super::*;

    fn date() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, 19).unwrap()
    }

    /// An instant so many minutes after the end of the business date.
    fn end_plus(minutes: i64) -> Option<DateTime<Utc>> {
        Some(clock::end_of(date()) + TimeDelta::minutes(minutes))
    }

    fn answered(state: &str) -> UserCoupon {
        UserCoupon {
            stock_id: "S".to_owned(),
            coupon_code: "C".to_owned(),
            openid: "o1".to_owned(),
            belong_merchant: None,
            stock_name: None,
            comment: None,
            goods_name: None,
            stock_type: None,
            transferable: None,
            shareable: None,
            coupon_state: Some(state.to_owned()),
            discount_amount_fen: None,
            discount_percent: None,
            exchange_price_fen: None,
            transaction_minimum_fen: None,
            use_method: None,
            available_start_time: None,
            expire_time: end_plus(60 * 24 * 30),
            receive_time: end_plus(-60 * 24),
            send_request_no: None,
            use_request_no: None,
            use_time: None,
            associate_out_trade_no: None,
            return_request_no: None,
            return_time: None,
            deactivate_request_no: None,
            deactivate_time: None,
            deactivate_reason: None,
            verified_date: date(),
            extra: None,
            business_date: date(),
        }
    }

    fn yesterday(state: &str) -> LedgerRow {
        let row = empty_row(date().pred_opt().unwrap(), "S", "C");
        LedgerRow { state_on_date: Some(state.to_owned()), ..row }
    }

    fn state(row: &UserCoupon, previous: Option<&LedgerRow>) -> String {
        Coupon::at_end_of(date(), Some(row), previous, None).state_on_date.unwrap()
    }

    #[test]
    fn what_happened_after_the_day_is_rolled_back() {
        let expired_before = answered("SENDED");
        let expired_before = UserCoupon { expire_time: end_plus(-1), ..expired_before };
        let cases = [
            (UserCoupon { use_time: end_plus(-1), ..answered("USED") }, "USED"),
            (UserCoupon { use_time: end_plus(0), ..answered("USED") }, "SENDED"),
            (UserCoupon { deactivate_time: end_plus(-1), ..answered("DEACTIVATED") }, "DEACTIVATED"),
            (UserCoupon { deactivate_time: end_plus(0), ..answered("DEACTIVATED") }, "SENDED"),
            (UserCoupon { expire_time: end_plus(-1), ..answered("EXPIRED") }, "EXPIRED"),
            (UserCoupon { expire_time: end_plus(0), ..answered("EXPIRED") }, "SENDED"),
            (expired_before, "EXPIRED"),
            (answered("DELETED"), "DELETED"),
            (UserCoupon { use_time: end_plus(-1), ..answered("DELETED") }, "USED"),
            (UserCoupon { use_time: end_plus(1), ..answered("DELETED") }, "SENDED"),
            (answered("PENDING_REDEEM"), "PENDING_REDEEM"),
        ];
        for (row, expected) in cases {
            assert_eq!(state(&row, None), expected, "{:?} used {:?}", row.coupon_state, row.use_time);
        }
    }

    #[test]
    fn a_return_after_the_day_leaves_the_coupon_used_on_it() {
        let forgotten = UserCoupon { return_time: end_plus(5), ..answered("SENDED") };
        assert_eq!(state(&forgotten, Some(&yesterday("USED"))), "USED");
        let kept = UserCoupon { use_time: end_plus(-60), ..forgotten.clone() };
        assert_eq!(state(&kept, None), "USED");
        assert_eq!(state(&forgotten, Some(&yesterday("SENDED"))), "SENDED");
        let within = UserCoupon { return_time: end_plus(-5), ..answered("SENDED") };
        assert_eq!(state(&within, Some(&yesterday("USED"))), "SENDED");
    }

    #[test]
    fn a_deletion_does_not_unmake_a_redemption_of_yesterday() {
        assert_eq!(state(&answered("DELETED"), Some(&yesterday("USED"))), "USED");
        assert_eq!(state(&answered("DELETED"), Some(&yesterday("SENDED"))), "DELETED");
        let returned = UserCoupon { return_time: end_plus(-5), ..answered("DELETED") };
        assert_eq!(state(&returned, Some(&yesterday("USED"))), "DELETED");
    }

    #[test]
    fn the_books_of_the_day_know_nothing_of_later_events() {
        let row = UserCoupon {
            use_time: end_plus(1),
            use_request_no: Some("R2".to_owned()),
            associate_out_trade_no: Some("T2".to_owned()),
            deactivate_time: end_plus(2),
            ..answered("USED")
        };
        let coupon = Coupon::at_end_of(date(), Some(&row), None, None);
        assert_eq!((coupon.used_at, coupon.use_request_no, coupon.deactivated_at), (None, None, None));
        assert_eq!(coupon.associate_out_trade_no, None);
    }

    #[test]
    fn what_a_return_wiped_off_the_wire_comes_from_yesterday() {
        let previous = LedgerRow {
            used_at: end_plus(-60 * 24),
            use_request_no: Some("R1".to_owned()),
            associate_out_trade_no: Some("T1".to_owned()),
            ..yesterday("USED")
        };
        let row = UserCoupon { return_time: end_plus(-5), ..answered("SENDED") };
        let coupon = Coupon::at_end_of(date(), Some(&row), Some(&previous), None);
        assert_eq!(coupon.used_at, previous.used_at);
        assert_eq!(coupon.associate_out_trade_no.as_deref(), Some("T1"));
        // Without a return a missing association was taken back by the merchant.
        let coupon = Coupon::at_end_of(date(), Some(&answered("USED")), Some(&previous), None);
        assert_eq!(coupon.associate_out_trade_no, None);
    }

    #[test]
    fn a_coupon_no_wallet_showed_tonight_goes_on_by_the_calendar() {
        let previous = LedgerRow { expire_at: end_plus(-1), ..yesterday("SENDED") };
        assert_eq!(Coupon::at_end_of(date(), None, Some(&previous), None).state_on_date.as_deref(), Some("EXPIRED"));
        let previous = LedgerRow { expire_at: end_plus(0), ..yesterday("SENDED") };
        assert_eq!(Coupon::at_end_of(date(), None, Some(&previous), None).state_on_date.as_deref(), Some("SENDED"));
    }

    #[test]
    fn the_expected_discount_follows_the_stock_type_rounds_half_up_and_never_exceeds_the_goods() {
        let terms = |stock_type: &str| CouponTerms {
            stock_type: Some(stock_type.to_owned()),
            discount_amount: Some(Fen(500)),
            discount_percent: Some(85),
            exchange_price: Some(Fen(900)),
            ..CouponTerms::default()
        };
        let cases = [
            ("NORMAL", Some(2000), Some(500)),
            ("NORMAL", Some(300), Some(300)),
            ("NORMAL", None, Some(500)),
            ("DISCOUNT", Some(1990), Some(299)),
            ("DISCOUNT", Some(1993), Some(299)),
            ("DISCOUNT", Some(30), Some(5)),
            ("DISCOUNT", None, None),
            ("EXCHANGE", Some(2000), Some(1100)),
            ("EXCHANGE", Some(800), Some(0)),
            ("EXCHANGE", None, None),
            ("SOMETHING_NEW", Some(2000), None),
        ];
        for (stock_type, goods, expected) in cases {
            assert_eq!(
                terms(stock_type).expected_discount(goods.map(Fen)),
                expected.map(Fen),
                "{stock_type} {goods:?}"
            );
        }
    }
}
