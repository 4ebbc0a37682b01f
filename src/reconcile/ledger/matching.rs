//! The passes that find the order of a coupon (design §6): claim, association, use request.
//! Considers paid orders only and never guesses: two live claims are ambiguous.

use std::io;

use regex::Regex;

use super::facts::Claim;
use super::order_book::{LineAmounts, Lookup, Order};
use crate::record::match_pass;

/// The pass that found an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// An order line names the coupon.
    Claim,
    /// The coupon names the order (`associate_out_trade_no`).
    Association,
    /// The request number of the redemption is the order's, or contains it.
    UseRequest,
}

/// The result of the passes.
#[expect(clippy::large_enum_variant, reason = "one at a time, on the stack: a box would be made per coupon")]
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Match<'a> {
    /// No order.
    Nothing,
    /// More than one live order claims the coupon.
    Ambiguous {
        /// The number of them.
        claim_count: i64,
    },
    /// One order.
    Found {
        /// The pass.
        pass: Pass,
        /// Live orders that claim the coupon: 1, or 0.
        claim_count: i64,
        /// The order.
        order: Order<'a>,
        /// Amounts of the order line, if it is known which line.
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
    /// The value of `match_pass`.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Pass::Claim => match_pass::CLAIM,
            Pass::Association => match_pass::ASSOCIATION,
            Pass::UseRequest => match_pass::USE_REQUEST,
        }
    }
}

/// Runs the passes in order; the first hit counts. `blocks` is memory for reading orders.
pub(super) fn find_order<'a>(
    claims: &[Claim<'a>],
    trace: Trace<'_>,
    orders: &'a Lookup,
    blocks: &'a mut [Vec<u8>; 2],
    use_request_pattern: Option<&Regex>,
) -> io::Result<Match<'a>> {
    let [association, use_request] = blocks;
    let number = || trace.use_request_no.and_then(|number| order_number_in(number, use_request_pattern));
    let names = |claim: &Claim<'_>| {
        let own = Some(claim.order.out_trade_no);
        (trace.associate_out_trade_no == own, number() == own)
    };
    if let Some(claimed) = by_claim(claims, names) {
        return Ok(claimed);
    }
    if let Some(found) = by_number(Pass::Association, trace.associate_out_trade_no, orders, association)? {
        return Ok(found);
    }
    Ok(by_number(Pass::UseRequest, number(), orders, use_request)?.unwrap_or(Match::Nothing))
}

/// The number of paid orders that claim the coupon, live or not.
pub(super) fn paid_claims(claims: &[Claim<'_>]) -> i64 {
    count(paid(claims))
}

fn paid<'c, 'a>(claims: &'c [Claim<'a>]) -> impl Iterator<Item = &'c Claim<'a>> {
    claims.iter().filter(|claim| claim.order.paid_at.is_some())
}

fn count<T>(claims: impl Iterator<Item = T>) -> i64 {
    claims.fold(0, |count, _| count + 1)
}

/// Of claims whose orders are all refunded that one counts which the coupon `names` by association, else by use request;
/// else the one paid last.
fn by_claim<'a>(claims: &[Claim<'a>], names: impl Fn(&Claim<'a>) -> (bool, bool)) -> Option<Match<'a>> {
    let live = || paid(claims).filter(|claim| claim.order.is_live);
    let found = |claim_count, claim: &Claim<'a>| Match::Found {
        pass: Pass::Claim,
        claim_count,
        order: claim.order,
        amounts: Some(claim.amounts),
    };
    match count(live()) {
        0 => {
            let rank = |claim: &&Claim<'a>| (names(claim), claim.order.paid_at, claim.order.out_trade_no);
            paid(claims).max_by_key(rank).map(|claim| found(0, claim))
        }
        1 => live().next().map(|one| found(1, one)),
        claim_count => Some(Match::Ambiguous { claim_count }),
    }
}

fn by_number<'a>(
    pass: Pass,
    number: Option<&str>,
    orders: &'a Lookup,
    block: &'a mut Vec<u8>,
) -> io::Result<Option<Match<'a>>> {
    let Some(number) = number else { return Ok(None) };
    let order = orders.find(number, block)?.filter(|order| order.paid_at.is_some());
    Ok(order.map(|order| Match::Found { pass, claim_count: 0, order, amounts: order.plain_line }))
}

fn order_number_in<'t>(use_request_no: &'t str, pattern: Option<&Regex>) -> Option<&'t str> {
    match pattern {
        None => Some(use_request_no),
        Some(pattern) => pattern.captures(use_request_no)?.get(1).map(|group| group.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Fen;

    fn order(number: &str, paid_at: Option<i64>, is_live: bool) -> Order<'_> {
        Order { out_trade_no: number, paid_at, is_fully_refunded: !is_live, is_live, ..Order::default() }
    }

    fn amounts(goods: i64) -> LineAmounts {
        LineAmounts { goods: Fen(goods), discount: Fen(1), paid: Fen(goods - 1) }
    }

    fn claim(order: Order<'_>, goods: i64) -> Claim<'_> {
        Claim { amounts: amounts(goods), order }
    }

    /// Which order is found: pass, claims, number, goods of the line.
    fn found(claims: &[Claim<'_>], trace: Trace<'_>, orders: &[Order<'_>]) -> (&'static str, i64, String, Option<i64>) {
        let (lookup, mut blocks) = (Lookup::of_orders(orders), Default::default());
        match find_order(claims, trace, &lookup, &mut blocks, None).unwrap() {
            Match::Found { pass, claim_count, order, amounts } => {
                (pass.as_str(), claim_count, order.out_trade_no.to_owned(), amounts.map(|amounts| amounts.goods.0))
            }
            other => panic!("no order found: {other:?}"),
        }
    }

    fn hit(
        pass: &'static str,
        claims: i64,
        number: &str,
        goods: Option<i64>,
    ) -> (&'static str, i64, String, Option<i64>) {
        (pass, claims, number.to_owned(), goods)
    }

    #[test]
    fn a_claim_goes_before_the_association_and_that_before_the_use_request() {
        let request = Order { plain_line: Some(amounts(30)), ..order("request", Some(1), true) };
        let orders = [order("claim", Some(1), true), order("association", Some(1), true), request];
        let trace = Trace { associate_out_trade_no: Some("association"), use_request_no: Some("request") };
        let claims = [claim(orders[0], 10)];
        assert_eq!(found(&claims, trace, &orders), hit("claim", 1, "claim", Some(10)));
        // It is unknown on which line the coupon was used: nothing is guessed.
        assert_eq!(found(&[], trace, &orders), hit("association", 0, "association", None));
        let trace = Trace { associate_out_trade_no: Some("elsewhere"), ..trace };
        assert_eq!(found(&[], trace, &orders), hit("use_request", 0, "request", Some(30)));
    }

    #[test]
    fn two_live_claims_are_ambiguous_whatever_the_association_says() {
        let orders = [order("A", Some(1), true), order("B", Some(2), true)];
        let trace = Trace { associate_out_trade_no: Some("A"), use_request_no: None };
        let (lookup, mut blocks) = (Lookup::of_orders(&orders), Default::default());
        let claims = orders.map(|order| claim(order, 1));
        let matched = find_order(&claims, trace, &lookup, &mut blocks, None).unwrap();
        assert_eq!(matched, Match::Ambiguous { claim_count: 2 });
    }

    #[test]
    fn the_one_live_claim_wins_over_refunded_ones_and_else_the_latest_refunded_one_does() {
        let refunded = [claim(order("A", Some(1), false), 1), claim(order("B", Some(3), false), 2)];
        let live = claim(order("C", Some(2), true), 3);
        let all = [refunded[0], refunded[1], live];
        assert_eq!(found(&all, Trace::default(), &[]), hit("claim", 1, "C", Some(3)));
        assert_eq!(found(&refunded, Trace::default(), &[]), hit("claim", 0, "B", Some(2)));
    }

    #[test]
    fn of_refunded_claims_the_one_counts_that_the_coupon_names_and_its_association_before_its_use() {
        let refunded =
            ["A", "B", "C"].map(|number| claim(order(number, Some(i64::from(number.as_bytes()[0])), false), 1));
        let find = |associate_out_trade_no, use_request_no| {
            found(&refunded, Trace { associate_out_trade_no, use_request_no }, &[]).2
        };
        assert_eq!(find(Some("A"), Some("B")), "A");
        assert_eq!(find(None, Some("B")), "B");
        assert_eq!(find(Some("elsewhere"), None), "C");
    }

    #[test]
    fn an_unpaid_order_is_never_found() {
        let unpaid = order("A", None, false);
        let trace = Trace { associate_out_trade_no: Some("A"), use_request_no: Some("A") };
        let (lookup, mut blocks) = (Lookup::of_orders(&[unpaid]), Default::default());
        assert_eq!(find_order(&[claim(unpaid, 1)], trace, &lookup, &mut blocks, None).unwrap(), Match::Nothing);
    }

    #[test]
    fn a_pattern_picks_the_order_number_out_of_the_use_request() {
        let pattern = Regex::new("^USE-([^-]+)-").unwrap();
        let lookup = Lookup::of_orders(&[order("T1", Some(1), true)]);
        let find = |number| {
            let (trace, mut blocks) =
                (Trace { associate_out_trade_no: None, use_request_no: Some(number) }, Default::default());
            let matched = find_order(&[], trace, &lookup, &mut blocks, Some(&pattern)).unwrap();
            matches!(matched, Match::Found { pass: Pass::UseRequest, order: Order { out_trade_no: "T1", .. }, .. })
        };
        assert!(find("USE-T1-2") && !find("T1"));
    }
}
