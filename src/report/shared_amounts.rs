//! Assigns amounts that several coupons share to the first of them, so that columns add up: the order line of coupons used
//! without being named by it, and the money at risk of a break of their order or payment.

use std::collections::HashSet;

use super::coupon::Coupon;
use super::coupon_breaks::{CouponBreaks, OpenBreak};
use crate::fingerprints::Fingerprints;
use crate::money::Fen;
use crate::record::match_pass;

/// What was already assigned, while coupons are processed in order.
#[derive(Debug, Default)]
pub(super) struct SharedAmounts<'a> {
    /// Orders whose line without a coupon was assigned.
    lines: Fingerprints,
    /// Ids of assigned breaks of orders and payments.
    breaks: HashSet<&'a str>,
}

/// What is assigned to a coupon.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Share {
    /// Whether the amounts of its order line are.
    pub(super) has_line: bool,
    /// Money at risk of its own breaks and of those breaks of its order and payment that are assigned here; `None` if
    /// all its breaks are assigned to other coupons.
    pub(super) at_risk: Option<Fen>,
}

impl<'a> SharedAmounts<'a> {
    /// The share of the next coupon.
    pub(super) fn of(&mut self, row: &Coupon<'_>, broken: &CouponBreaks<'a>) -> Share {
        Share { has_line: self.has_line(row), at_risk: self.at_risk(broken) }
    }

    /// A line that names a coupon belongs to that coupon alone.
    fn has_line(&mut self, row: &Coupon<'_>) -> bool {
        match row.out_trade_no {
            Some(order) if row.match_pass != Some(match_pass::CLAIM) && row.goods_fen.is_some() => {
                self.lines.insert(&[order])
            }
            _ => true,
        }
    }

    fn at_risk(&mut self, broken: &CouponBreaks<'a>) -> Option<Fen> {
        let assigned = self.assigned(broken);
        let has_own = broken.any(|it| it.is_of_coupon);
        let is_here = broken.is_empty() || has_own || !assigned.is_empty();
        is_here.then(|| broken.at_risk_of_coupon() + at_risk(&assigned))
    }

    /// Money at risk of those breaks of the coupon's order and payment that are assigned to it.
    pub(super) fn at_risk_of_order(&mut self, broken: &CouponBreaks<'a>) -> Fen {
        at_risk(&self.assigned(broken))
    }

    fn assigned(&mut self, broken: &CouponBreaks<'a>) -> Vec<&'a OpenBreak> {
        let of_order = broken.breaks().iter().copied().filter(|it| !it.is_of_coupon);
        of_order.filter(|it| self.breaks.insert(&it.break_id)).collect()
    }
}

fn at_risk(breaks: &[&OpenBreak]) -> Fen {
    breaks.iter().map(|it| it.at_risk_fen).sum()
}

#[cfg(test)]
mod tests {
    use super::super::coupon_breaks::BreakIndex;
    use super::super::tests::open_break;
    use super::*;
    use crate::record::Break;

    fn row<'a>(code: &'a str, pass: &'a str, order: &'a str) -> Coupon<'a> {
        Coupon {
            stock_id: "1288880000000001",
            coupon_code: code,
            match_pass: Some(pass),
            out_trade_no: Some(order),
            goods_fen: Some(Fen(2_000)),
            ..Coupon::default()
        }
    }

    /// The shares of coupons, in order.
    fn shares(rows: &[Coupon<'_>], breaks: &[Break]) -> Vec<(bool, Option<i64>)> {
        let (mut index, mut once) = (BreakIndex::default(), SharedAmounts::default());
        breaks.iter().for_each(|it| index.add(it));
        let share = |row| once.of(row, &index.of_coupon(row));
        rows.iter().map(share).map(|it| (it.has_line, it.at_risk.map(|fen| fen.0))).collect()
    }

    #[test]
    fn a_line_that_two_coupons_were_used_under_stands_on_the_first_of_them() {
        let rows = [
            row("C1", "claim", "T1"),
            row("C2", "claim", "T1"),
            row("C3", "association", "T1"),
            row("C4", "use_request", "T1"),
            row("C5", "association", "T2"),
            Coupon { goods_fen: None, ..row("C6", "association", "T2") },
        ];
        let lines: Vec<_> = shares(&rows, &[]).into_iter().map(|(has_line, _)| has_line).collect();
        assert_eq!(lines, [true, true, true, false, true, true]);
    }

    #[test]
    fn a_break_of_the_order_has_its_money_on_the_first_coupon_and_nothing_on_the_next() {
        let of_order =
            Break { coupon_code: None, out_trade_no: Some("T1".into()), ..open_break("AO16", 0, 700, "open") };
        let own = Break { coupon_code: Some("C3".into()), ..open_break("AO13", 0, 30, "open") };
        let rows = ["C1", "C2", "C3"].map(|code| row(code, "claim", "T1"));
        let at_risk: Vec<_> = shares(&rows, &[of_order, own]).into_iter().map(|(_, at_risk)| at_risk).collect();
        assert_eq!(at_risk, [Some(700), None, Some(30)]);
        assert_eq!(shares(&[row("C4", "claim", "T4")], &[]), [(true, Some(0))]);
    }
}
