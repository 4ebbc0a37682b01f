//! The passes that find the order of a coupon (design §6): claim, association, use request.
//! Looks at paid orders only and never guesses: two live claims are ambiguous.

use regex::Regex;

use super::facts::{Claim, LineAmounts, Order, Orders};

/// The pass that found the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// An order line names the coupon.
    Claim,
    /// The coupon names the order (`associate_out_trade_no`).
    Association,
    /// The redemption's request number is the order's, or holds it.
    UseRequest,
}

/// What the passes found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Match<'a> {
    /// No order.
    Nothing,
    /// More than one live order claims the coupon.
    Ambiguous {
        /// How many.
        claim_count: i64,
    },
    /// One order.
    Found {
        /// By which pass.
        pass: Pass,
        /// Live orders that claim the coupon: 1, or 0.
        claim_count: i64,
        /// The order.
        order: &'a Order,
        /// Amounts of the line, where it is known which.
        amounts: Option<LineAmounts>,
    },
}

/// What the wallet says about the order.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Trace<'a> {
    pub(super) associate_out_trade_no: Option<&'a str>,
    pub(super) use_request_no: Option<&'a str>,
}

impl Pass {
    /// As in `match_pass`.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Pass::Claim => "claim",
            Pass::Association => "association",
            Pass::UseRequest => "use_request",
        }
    }
}

/// Runs the passes in order; the first that hits counts.
pub(super) fn find_order<'a>(
    claims: &[Claim],
    trace: Trace<'_>,
    orders: &'a Orders,
    use_request_pattern: Option<&Regex>,
) -> Match<'a> {
    by_claim(claims, orders)
        .or_else(|| by_number(Pass::Association, trace.associate_out_trade_no, orders))
        .or_else(|| {
            let number = trace.use_request_no.and_then(|number| order_number_in(number, use_request_pattern));
            by_number(Pass::UseRequest, number, orders)
        })
        .unwrap_or(Match::Nothing)
}

fn by_claim<'a>(claims: &[Claim], orders: &'a Orders) -> Option<Match<'a>> {
    let paid = claims.iter().filter_map(|claim| Some((claim, orders.find_paid(&claim.out_trade_no)?)));
    let (live, refunded): (Vec<_>, Vec<_>) = paid.partition(|(_, order)| order.is_live);
    let found = |claim_count, (claim, order): &(&Claim, &'a Order)| Match::Found {
        pass: Pass::Claim,
        claim_count,
        order,
        amounts: Some(claim.amounts()),
    };
    match live.as_slice() {
        [one] => Some(found(1, one)),
        [] => latest_paid(&refunded).map(|last| found(0, last)),
        many => Some(Match::Ambiguous { claim_count: many.len().try_into().unwrap_or(i64::MAX) }),
    }
}

fn latest_paid<'c, 'a>(claims: &'c [(&'c Claim, &'a Order)]) -> Option<&'c (&'c Claim, &'a Order)> {
    claims.iter().max_by_key(|(claim, order)| (order.paid_at, &claim.out_trade_no))
}

fn by_number<'a>(pass: Pass, number: Option<&str>, orders: &'a Orders) -> Option<Match<'a>> {
    let order = orders.find_paid(number?)?;
    Some(Match::Found { pass, claim_count: 0, order, amounts: orders.plain_line(&order.out_trade_no) })
}

fn order_number_in<'t>(use_request_no: &'t str, pattern: Option<&Regex>) -> Option<&'t str> {
    match pattern {
        None => Some(use_request_no),
        Some(pattern) => pattern.captures(use_request_no)?.get(1).map(|group| group.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::money::Fen;

    fn order(number: &str, paid_at: Option<i64>, is_live: bool) -> Order {
        Order {
            out_trade_no: number.to_owned(),
            transaction_id: None,
            merchant: None,
            openid: None,
            paid_at: paid_at.and_then(|seconds| DateTime::from_timestamp(seconds, 0)),
            refund_fen: Fen(0),
            bill_paid_fen: None,
            bill_refund_fen: Fen(0),
            bill_refund_count: 0,
            bill_refunded_at: None,
            is_fully_refunded: !is_live,
            is_live,
        }
    }

    fn line(number: &str, goods_fen: i64) -> Claim {
        Claim {
            stock_id: "S".to_owned(),
            coupon_code: "C".to_owned(),
            out_trade_no: number.to_owned(),
            goods_fen: Fen(goods_fen),
            discount_fen: Fen(1),
            paid_fen: Fen(goods_fen - 1),
        }
    }

    fn found<'a>(matched: &Match<'a>) -> (&'static str, i64, &'a str, Option<i64>) {
        match matched {
            Match::Found { pass, claim_count, order, amounts } => {
                (pass.as_str(), *claim_count, &order.out_trade_no, amounts.map(|amounts| amounts.goods.0))
            }
            other => panic!("no order found: {other:?}"),
        }
    }

    #[test]
    fn a_claim_goes_before_the_association_and_that_before_the_use_request() {
        let numbers = ["claim", "association", "request"];
        let orders =
            Orders::new(numbers.map(|number| order(number, Some(1), true)).to_vec(), vec![line("request", 30)]);
        let trace = Trace { associate_out_trade_no: Some("association"), use_request_no: Some("request") };
        let claims = [line("claim", 10)];
        assert_eq!(found(&find_order(&claims, trace, &orders, None)), ("claim", 1, "claim", Some(10)));
        // The line the coupon was used on is not known: nothing is guessed.
        assert_eq!(found(&find_order(&[], trace, &orders, None)), ("association", 0, "association", None));
        let trace = Trace { associate_out_trade_no: Some("elsewhere"), ..trace };
        assert_eq!(found(&find_order(&[], trace, &orders, None)), ("use_request", 0, "request", Some(30)));
    }

    #[test]
    fn two_live_claims_are_ambiguous_whatever_the_association_says() {
        let orders = Orders::new(vec![order("A", Some(1), true), order("B", Some(2), true)], Vec::new());
        let trace = Trace { associate_out_trade_no: Some("A"), use_request_no: None };
        let matched = find_order(&[line("A", 1), line("B", 1)], trace, &orders, None);
        assert_eq!(matched, Match::Ambiguous { claim_count: 2 });
    }

    #[test]
    fn the_one_live_claim_wins_over_refunded_ones_and_else_the_latest_refunded_one_does() {
        let refunded = [order("A", Some(1), false), order("B", Some(3), false)];
        let claims = [line("A", 1), line("B", 2), line("C", 3)];
        let orders = Orders::new([refunded.to_vec(), vec![order("C", Some(2), true)]].concat(), Vec::new());
        assert_eq!(found(&find_order(&claims, Trace::default(), &orders, None)), ("claim", 1, "C", Some(3)));
        let orders = Orders::new(refunded.to_vec(), Vec::new());
        assert_eq!(found(&find_order(&claims, Trace::default(), &orders, None)), ("claim", 0, "B", Some(2)));
    }

    #[test]
    fn an_unpaid_order_is_never_found() {
        let orders = Orders::new(vec![order("A", None, false)], Vec::new());
        let trace = Trace { associate_out_trade_no: Some("A"), use_request_no: Some("A") };
        assert_eq!(find_order(&[line("A", 1)], trace, &orders, None), Match::Nothing);
    }

    #[test]
    fn a_pattern_picks_the_order_number_out_of_the_use_request() {
        let orders = Orders::new(vec![order("T1", Some(1), true)], Vec::new());
        let pattern = Regex::new("^USE-([^-]+)-").unwrap();
        let trace = |number| Trace { associate_out_trade_no: None, use_request_no: Some(number) };
        assert_eq!(found(&find_order(&[], trace("USE-T1-2"), &orders, Some(&pattern))), ("use_request", 0, "T1", None));
        assert_eq!(find_order(&[], trace("T1"), &orders, Some(&pattern)), Match::Nothing);
    }
}
