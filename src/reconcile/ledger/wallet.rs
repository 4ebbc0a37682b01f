//! The coupon at the end of D: what the wallet answered later, rolled back by the event times in the answer (design
//! §6). What the API no longer shows is taken from the previous ledger row.

use crate::dataset::columns::{DayNumber, Micros, row_type};
use crate::money::Fen;
use crate::record::coupon_state::{DEACTIVATED, DELETED, EXPIRED, SENDED, USED};
use crate::record::{Stock, stock_type};

row_type! {
    /// A coupon as a wallet showed it.
    WalletRow of WalletColumns {
        stock_id: text,
        coupon_code: text,
        openid: text,
        belong_merchant: maybe_text,
        stock_type: maybe_text,
        coupon_state: maybe_text,
        discount_amount_fen: maybe_fen,
        discount_percent: maybe_integer,
        exchange_price_fen: maybe_fen,
        transaction_minimum_fen: maybe_fen,
        available_start_time: maybe_instant,
        expire_time: maybe_instant,
        receive_time: maybe_instant,
        use_request_no: maybe_text,
        use_time: maybe_instant,
        associate_out_trade_no: maybe_text,
        return_request_no: maybe_text,
        return_time: maybe_instant,
        deactivate_time: maybe_instant,
        verified_date: date,
    }
}

row_type! {
    /// The ledger row of the night before: what tonight may have to carry over.
    PreviousRow of PreviousColumns {
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
        order_refund_fen: maybe_fen,
        bill_paid_fen: maybe_fen,
        refund_fen: maybe_fen,
        refunded_at: maybe_instant,
        refund_count: integer,
        asked_date: maybe_date,
        verified_date: maybe_date,
    }
}

/// The coupon columns of a ledger row.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(in crate::reconcile) struct Coupon<'a> {
    pub(in crate::reconcile) openid: Option<&'a str>,
    pub(in crate::reconcile) coupon_state: Option<&'a str>,
    pub(super) state_on_date: Option<&'a str>,
    pub(in crate::reconcile) terms: CouponTerms<'a>,
    pub(super) available_start_at: Option<Micros>,
    pub(super) expire_at: Option<Micros>,
    pub(super) received_at: Option<Micros>,
    pub(super) used_at: Option<Micros>,
    pub(super) returned_at: Option<Micros>,
    pub(super) deactivated_at: Option<Micros>,
    pub(super) use_request_no: Option<&'a str>,
    pub(super) return_request_no: Option<&'a str>,
    pub(super) associate_out_trade_no: Option<&'a str>,
    pub(super) verified_date: Option<DayNumber>,
}

/// The value of a coupon, as defined by its stock.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct CouponTerms<'a> {
    pub(super) stock_type: Option<&'a str>,
    pub(super) belong_merchant: Option<&'a str>,
    pub(super) discount_amount: Option<Fen>,
    pub(super) discount_percent: Option<i64>,
    pub(super) exchange_price: Option<Fen>,
    pub(super) transaction_minimum: Option<Fen>,
}

impl<'a> CouponTerms<'a> {
    fn of_wallet(row: &WalletRow<'a>) -> CouponTerms<'a> {
        CouponTerms {
            stock_type: row.stock_type,
            belong_merchant: row.belong_merchant,
            discount_amount: row.discount_amount_fen,
            discount_percent: row.discount_percent,
            exchange_price: row.exchange_price_fen,
            transaction_minimum: row.transaction_minimum_fen,
        }
    }

    fn of_previous(row: &PreviousRow<'a>) -> CouponTerms<'a> {
        CouponTerms {
            stock_type: row.stock_type,
            belong_merchant: row.belong_merchant,
            discount_amount: row.discount_amount_fen,
            discount_percent: row.discount_percent,
            exchange_price: row.exchange_price_fen,
            transaction_minimum: row.transaction_minimum_fen,
        }
    }

    fn of_stock(stock: &'a Stock) -> CouponTerms<'a> {
        CouponTerms {
            stock_type: stock.stock_type.as_deref(),
            belong_merchant: stock.belong_merchant.as_deref(),
            discount_amount: stock.discount_amount_fen,
            discount_percent: stock.discount_percent,
            exchange_price: stock.exchange_price_fen,
            transaction_minimum: stock.transaction_minimum_fen,
        }
    }

    /// Fills unknown values from another source.
    fn or(self, other: CouponTerms<'a>) -> CouponTerms<'a> {
        CouponTerms {
            stock_type: self.stock_type.or(other.stock_type),
            belong_merchant: self.belong_merchant.or(other.belong_merchant),
            discount_amount: self.discount_amount.or(other.discount_amount),
            discount_percent: self.discount_percent.or(other.discount_percent),
            exchange_price: self.exchange_price.or(other.exchange_price),
            transaction_minimum: self.transaction_minimum.or(other.transaction_minimum),
        }
    }

    /// The discount that the stock's rule gives on these goods (design §6). Without goods, only a fixed discount is
    /// known.
    pub(super) fn expected_discount(&self, goods: Option<Fen>) -> Option<Fen> {
        let discount = match (self.stock_type?, goods) {
            (stock_type::NORMAL, _) => self.discount_amount?,
            (stock_type::DISCOUNT, Some(goods)) => goods.percent_half_up(100 - self.discount_percent?)?,
            (stock_type::EXCHANGE, Some(goods)) => goods - self.exchange_price?,
            _ => return None,
        };
        Some(goods.map_or(discount, |goods| discount.min(goods)).max(Fen::ZERO))
    }
}

impl<'a> Coupon<'a> {
    /// The coupon at `end`, the end of the business date. `answered` is the wallet's row, `previous` the ledger row of
    /// the night before; `stock` gives the value of a coupon that no wallet shows.
    pub(in crate::reconcile) fn at(
        end: Micros,
        answered: Option<&WalletRow<'a>>,
        previous: Option<&PreviousRow<'a>>,
        stock: Option<&'a Stock>,
    ) -> Coupon<'a> {
        let mut coupon = match (answered, previous) {
            (Some(row), previous) => rolled_back(end, row, previous),
            (None, Some(previous)) => carried(end, previous),
            (None, None) => Coupon::default(),
        };
        coupon.terms = coupon.terms.or(stock.map(CouponTerms::of_stock).unwrap_or_default());
        coupon
    }
}

fn rolled_back<'a>(end: Micros, row: &WalletRow<'a>, previous: Option<&PreviousRow<'a>>) -> Coupon<'a> {
    let happened = |time: Option<Micros>| time.filter(|time| *time < end);
    let is_used_later = row.use_time.is_some_and(|time| time >= end);
    let known_use = |value: Option<&'a str>| value.filter(|_| !is_used_later);
    // An association may be undone; one that disappeared with a return is only no longer shown.
    let forgotten_association = previous.filter(|_| is_used_later || row.return_time.is_some());
    let known_return = row.return_request_no.filter(|_| happened(row.return_time).is_some());
    Coupon {
        openid: Some(row.openid),
        coupon_state: row.coupon_state,
        state_on_date: state_on(end, row, previous),
        terms: CouponTerms::of_wallet(row),
        available_start_at: row.available_start_time,
        expire_at: row.expire_time,
        received_at: row.receive_time,
        used_at: happened(row.use_time).or_else(|| previous?.used_at),
        returned_at: happened(row.return_time).or_else(|| previous?.returned_at),
        deactivated_at: happened(row.deactivate_time).or_else(|| previous?.deactivated_at),
        use_request_no: known_use(row.use_request_no).or_else(|| previous?.use_request_no),
        return_request_no: known_return.or_else(|| previous?.return_request_no),
        associate_out_trade_no: known_use(row.associate_out_trade_no)
            .or_else(|| forgotten_association?.associate_out_trade_no),
        verified_date: Some(row.verified_date),
    }
}

/// A coupon that no wallet shows tonight (the stage failed, or it was only ever claimed) keeps its state, except for
/// expiry.
fn carried<'a>(end: Micros, previous: &PreviousRow<'a>) -> Coupon<'a> {
    let is_expired = previous.expire_at.is_some_and(|expiry| expiry < end);
    let state = match previous.state_on_date {
        Some(SENDED) if is_expired => Some(EXPIRED),
        state => state,
    };
    Coupon {
        openid: previous.openid,
        coupon_state: previous.coupon_state,
        state_on_date: state,
        terms: CouponTerms::of_previous(previous),
        available_start_at: previous.available_start_at,
        expire_at: previous.expire_at,
        received_at: previous.received_at,
        used_at: previous.used_at,
        returned_at: previous.returned_at,
        deactivated_at: previous.deactivated_at,
        use_request_no: previous.use_request_no,
        return_request_no: previous.return_request_no,
        associate_out_trade_no: previous.associate_out_trade_no,
        verified_date: previous.verified_date,
    }
}

/// The state at `end`, derived from the state answered later.
fn state_on<'a>(end: Micros, row: &WalletRow<'a>, previous: Option<&PreviousRow<'_>>) -> Option<&'a str> {
    let answered = row.coupon_state?;
    let is_after = |time: Option<Micros>| time.is_some_and(|time| time >= end);
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
    Some(state)
}

/// Whether the last redemption that the API shows was undone.
fn is_returned(row: &WalletRow<'_>) -> bool {
    row.return_time.is_some_and(|returned| row.use_time.is_none_or(|used| returned >= used))
}

/// Whether a redemption before `end` is known: the API still shows it, or yesterday's ledger has it.
fn was_used(end: Micros, row: &WalletRow<'_>, previous: Option<&PreviousRow<'_>>) -> bool {
    row.use_time.is_some_and(|time| time < end) || previous.is_some_and(|previous| previous.state_on_date == Some(USED))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The end of some business date.
    const END: Micros = 1_795_104_000_000_000;

    /// An instant so many minutes after the end of the business date.
    fn end_plus(minutes: i64) -> Option<Micros> {
        Some(END + minutes * 60_000_000)
    }

    fn answered(state: &str) -> WalletRow<'_> {
        WalletRow {
            stock_id: "S",
            coupon_code: "C",
            openid: "o1",
            coupon_state: Some(state),
            expire_time: end_plus(60 * 24 * 30),
            receive_time: end_plus(-60 * 24),
            ..WalletRow::default()
        }
    }

    fn yesterday(state: &str) -> PreviousRow<'_> {
        PreviousRow { stock_id: "S", coupon_code: "C", state_on_date: Some(state), ..PreviousRow::default() }
    }

    fn state<'a>(row: &WalletRow<'a>, previous: Option<&PreviousRow<'a>>) -> &'a str {
        Coupon::at(END, Some(row), previous, None).state_on_date.unwrap()
    }

    #[test]
    fn what_happened_after_the_day_is_rolled_back() {
        let expired_before = answered("SENDED");
        let expired_before = WalletRow { expire_time: end_plus(-1), ..expired_before };
        let cases = [
            (WalletRow { use_time: end_plus(-1), ..answered("USED") }, "USED"),
            (WalletRow { use_time: end_plus(0), ..answered("USED") }, "SENDED"),
            (WalletRow { deactivate_time: end_plus(-1), ..answered("DEACTIVATED") }, "DEACTIVATED"),
            (WalletRow { deactivate_time: end_plus(0), ..answered("DEACTIVATED") }, "SENDED"),
            (WalletRow { expire_time: end_plus(-1), ..answered("EXPIRED") }, "EXPIRED"),
            (WalletRow { expire_time: end_plus(0), ..answered("EXPIRED") }, "SENDED"),
            (expired_before, "EXPIRED"),
            (answered("DELETED"), "DELETED"),
            (WalletRow { use_time: end_plus(-1), ..answered("DELETED") }, "USED"),
            (WalletRow { use_time: end_plus(1), ..answered("DELETED") }, "SENDED"),
            (answered("PENDING_REDEEM"), "PENDING_REDEEM"),
        ];
        for (row, expected) in cases {
            assert_eq!(state(&row, None), expected, "{:?} used {:?}", row.coupon_state, row.use_time);
        }
    }

    #[test]
    fn a_return_after_the_day_leaves_the_coupon_used_on_it() {
        let forgotten = WalletRow { return_time: end_plus(5), ..answered("SENDED") };
        assert_eq!(state(&forgotten, Some(&yesterday("USED"))), "USED");
        let kept = WalletRow { use_time: end_plus(-60), ..forgotten };
        assert_eq!(state(&kept, None), "USED");
        assert_eq!(state(&forgotten, Some(&yesterday("SENDED"))), "SENDED");
        let within = WalletRow { return_time: end_plus(-5), ..answered("SENDED") };
        assert_eq!(state(&within, Some(&yesterday("USED"))), "SENDED");
    }

    #[test]
    fn a_deletion_does_not_unmake_a_redemption_of_yesterday() {
        assert_eq!(state(&answered("DELETED"), Some(&yesterday("USED"))), "USED");
        assert_eq!(state(&answered("DELETED"), Some(&yesterday("SENDED"))), "DELETED");
        let returned = WalletRow { return_time: end_plus(-5), ..answered("DELETED") };
        assert_eq!(state(&returned, Some(&yesterday("USED"))), "DELETED");
    }

    #[test]
    fn the_books_of_the_day_know_nothing_of_later_events() {
        let row = WalletRow {
            use_time: end_plus(1),
            use_request_no: Some("R2"),
            associate_out_trade_no: Some("T2"),
            deactivate_time: end_plus(2),
            ..answered("USED")
        };
        let coupon = Coupon::at(END, Some(&row), None, None);
        assert_eq!((coupon.used_at, coupon.use_request_no, coupon.deactivated_at), (None, None, None));
        assert_eq!(coupon.associate_out_trade_no, None);
    }

    #[test]
    fn what_a_return_wiped_off_the_wire_comes_from_yesterday() {
        let previous = PreviousRow {
            used_at: end_plus(-60 * 24),
            use_request_no: Some("R1"),
            associate_out_trade_no: Some("T1"),
            ..yesterday("USED")
        };
        let row = WalletRow { return_time: end_plus(-5), ..answered("SENDED") };
        let coupon = Coupon::at(END, Some(&row), Some(&previous), None);
        assert_eq!(coupon.used_at, previous.used_at);
        assert_eq!(coupon.associate_out_trade_no, Some("T1"));
        // An association that is gone without a return was cancelled by the merchant.
        let coupon = Coupon::at(END, Some(&answered("USED")), Some(&previous), None);
        assert_eq!(coupon.associate_out_trade_no, None);
    }

    #[test]
    fn a_coupon_no_wallet_showed_tonight_goes_on_by_the_calendar() {
        let previous = PreviousRow { expire_at: end_plus(-1), ..yesterday("SENDED") };
        assert_eq!(Coupon::at(END, None, Some(&previous), None).state_on_date, Some("EXPIRED"));
        let previous = PreviousRow { expire_at: end_plus(0), ..yesterday("SENDED") };
        assert_eq!(Coupon::at(END, None, Some(&previous), None).state_on_date, Some("SENDED"));
    }

    #[test]
    fn the_expected_discount_follows_the_stock_type_rounds_half_up_and_never_exceeds_the_goods() {
        fn terms(stock_type: &str) -> CouponTerms<'_> {
            CouponTerms {
                stock_type: Some(stock_type),
                discount_amount: Some(Fen(500)),
                discount_percent: Some(85),
                exchange_price: Some(Fen(900)),
                ..CouponTerms::default()
            }
        }
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
