//! Mistakes of a job file that show in the breaks of a night: a wrong `amount_unit`, or columns that hold other
//! numbers than they should. Hints for people: they never change a break, an amount or the exit code. Only what the night
//! found counts: breaks that are carried are of days before the look-back, and there are more of them every month.

use super::outcome::NightOutcome;
use super::unit_counts::UnitCounts;
use crate::dataset::manifest::FootingEntry;
use crate::reconcile::BreakFigures;

/// What is rarer can be chance.
const FEWEST: i64 = 10;

/// One sentence for the operator per mistake that the night looks like.
pub(super) fn suspect(outcome: &NightOutcome) -> impl Iterator<Item = String> {
    let (units, breaks, footing) = (outcome.units, &outcome.breaks, &outcome.manifest.footing);
    let of_amounts = wrong_unit(units).or_else(|| wrong_paid_column(units, footing));
    [of_amounts, wrong_coupon_columns(breaks, footing), wrong_order_columns(breaks, footing)].into_iter().flatten()
}

/// Fen read as yuan, or yuan as fen: nearly all orders that differ from the bill differ by a factor of exactly 100, in
/// the same direction.
fn wrong_unit(UnitCounts { differing, hundredfold, hundredth }: UnitCounts) -> Option<String> {
    let said = |count: i64, relation: &str| {
        let sentence = format!(
            "{count} of {differing} orders that differ from the bill say {relation} of what it says: check `amount_unit` of `[[orders]]`"
        );
        are_nearly_all(count, differing).then_some(sentence)
    };
    said(hundredfold, "100 times").or_else(|| said(hundredth, "a hundredth"))
}

/// Most payments of the bills have another amount than their order.
fn wrong_paid_column(UnitCounts { differing, .. }: UnitCounts, footing: &[FootingEntry]) -> Option<String> {
    let payments = rows_of("payments", footing);
    are_half(differing, payments).then(|| {
        format!(
            "{differing} orders differ from the bill in what was paid, of {payments} payments: check `paid` of `[orders.columns]`"
        )
    })
}

/// Most order lines with a coupon name one that WeChat does not know; not all would, as a cancelled order is no break.
fn wrong_coupon_columns(breaks: &BreakFigures, footing: &[FootingEntry]) -> Option<String> {
    let (unknown, lines) = (breaks.seen_of("AO04").rows, rows_of("orders", footing));
    are_half(unknown, lines).then(|| {
        format!(
            "WeChat does not know {unknown} of the coupons that {lines} order lines name: check `stock_id` and `coupon_code` of \
             `[orders.columns]`"
        )
    })
}

/// Most payments of the bills have no order.
fn wrong_order_columns(breaks: &BreakFigures, footing: &[FootingEntry]) -> Option<String> {
    let (orphans, payments) = (breaks.seen_of("PM03").rows, rows_of("payments", footing));
    are_half(orphans, payments).then(|| {
        format!(
            "{orphans} of the {payments} payments of the bills have no order in the exports: check `out_trade_no` and \
             `transaction_id` of `[orders.columns]`"
        )
    })
}

fn rows_of(side: &str, footing: &[FootingEntry]) -> i64 {
    footing.iter().find(|it| it.side == side).map_or(0, |it| it.total.rows)
}

fn are_nearly_all(count: i64, of: i64) -> bool {
    count >= FEWEST && count * 10 >= of * 9
}

fn are_half(count: i64, of: i64) -> bool {
    count >= FEWEST && count * 2 >= of
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;
    use serde_json::json;

    use super::*;
    use crate::money::Fen;
    use crate::record::{Break, BreakStatus};

    fn date() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, 20).unwrap()
    }

    fn breaks_of(amounts: impl IntoIterator<Item = (i64, i64)>) -> Vec<Break> {
        let break_of = |(bill, order)| Break {
            expected_fen: Some(Fen(order)),
            actual_fen: Some(Fen(bill)),
            ..Break::for_tests("PM01", date())
        };
        amounts.into_iter().map(break_of).collect()
    }

    fn units_of(breaks: &[Break]) -> UnitCounts {
        let mut units = UnitCounts::default();
        breaks.iter().for_each(|it| units.note(it));
        units
    }

    #[test]
    fn fen_read_as_yuan_are_suspected_and_so_are_yuan_read_as_fen() {
        let fen_as_yuan = wrong_unit(units_of(&breaks_of((1..=20).map(|fen| (fen, fen * 100))))).unwrap();
        assert_eq!(
            fen_as_yuan,
            "20 of 20 orders that differ from the bill say 100 times of what it says: check `amount_unit` of `[[orders]]`"
        );
        let yuan_as_fen = wrong_unit(units_of(&breaks_of((1..=20).map(|yuan| (yuan * 100, yuan))))).unwrap();
        assert!(yuan_as_fen.contains("say a hundredth of"), "{yuan_as_fen}");
    }

    #[test]
    fn a_tenth_may_differ_otherwise_but_not_more() {
        let hundredfold = (1..=18).map(|fen| (fen, fen * 100));
        assert!(wrong_unit(units_of(&breaks_of(hundredfold.clone().chain([(5, 6), (7, 8)])))).is_some());
        assert!(wrong_unit(units_of(&breaks_of(hundredfold.chain([(5, 6), (7, 8), (9, 10)])))).is_none());
    }

    #[test]
    fn a_few_amounts_zeros_and_both_directions_at_once_say_nothing() {
        assert!(wrong_unit(units_of(&breaks_of((1..=9).map(|fen| (fen, fen * 100))))).is_none());
        assert!(wrong_unit(units_of(&breaks_of((1..=20).map(|_| (0, 0))))).is_none());
        let both = (1..=10).map(|fen| (fen, fen * 100)).chain((1..=10).map(|yuan| (yuan * 100, yuan)));
        assert!(wrong_unit(units_of(&breaks_of(both))).is_none());
    }

    #[test]
    fn breaks_of_other_rules_and_resolved_ones_do_not_count() {
        let mut breaks = breaks_of((1..=20).map(|fen| (fen, fen * 100)));
        breaks.iter_mut().for_each(|it| it.status = BreakStatus::Resolved);
        assert!(wrong_unit(units_of(&breaks)).is_none());
        breaks.iter_mut().for_each(|it| (it.status, it.rule_id) = (BreakStatus::Open, "PM03".to_owned()));
        assert!(wrong_unit(units_of(&breaks)).is_none());
    }

    #[test]
    fn breaks_of_days_that_left_the_look_back_do_not_count() {
        let carried = |it: &Break| Break { last_seen_date: it.last_seen_date.pred_opt().unwrap(), ..it.clone() };
        let amounts: Vec<_> = breaks_of((1..=20).map(|fen| (fen, fen * 100))).iter().map(carried).collect();
        assert_eq!(units_of(&amounts), UnitCounts::default());
        let of_rule = |rule_id| BreakFigures::of(&vec![carried(&Break::for_tests(rule_id, date())); 12]);
        assert!(wrong_coupon_columns(&of_rule("AO04"), &footing_of("orders", 0)).is_none());
        assert!(wrong_order_columns(&of_rule("PM03"), &footing_of("payments", 0)).is_none());
    }

    fn footing_of(side: &str, rows: u64) -> Vec<FootingEntry> {
        let total = json!({"rows": rows, "fen": 0});
        let nothing = json!({"rows": 0, "fen": 0});
        let entry = json!({"side": side, "total": total, "matched": nothing, "unmatched": total, "left_out": nothing});
        vec![serde_json::from_value(entry).unwrap()]
    }

    fn of_rule(rule_id: &str, count: usize) -> BreakFigures {
        let it = Break::for_tests(rule_id, date());
        BreakFigures::of(&vec![it; count])
    }

    #[test]
    fn coupons_that_nobody_knows_and_payments_that_no_order_names_point_at_their_columns() {
        let coupons = wrong_coupon_columns(&of_rule("AO04", 10), &footing_of("orders", 20)).unwrap();
        assert!(coupons.ends_with("check `stock_id` and `coupon_code` of `[orders.columns]`"), "{coupons}");
        let payments = wrong_order_columns(&of_rule("PM03", 10), &footing_of("payments", 20)).unwrap();
        assert!(payments.starts_with("10 of the 20 payments of the bills have no order"), "{payments}");
    }

    #[test]
    fn amounts_most_of_which_differ_point_at_their_column() {
        let units = units_of(&breaks_of((1..=10).map(|fen| (fen, fen + 7))));
        let paid = wrong_paid_column(units, &footing_of("payments", 20)).unwrap();
        assert_eq!(
            paid,
            "10 orders differ from the bill in what was paid, of 20 payments: check `paid` of `[orders.columns]`"
        );
        assert!(wrong_paid_column(units, &footing_of("payments", 21)).is_none());
    }

    #[test]
    fn coupons_and_payments_most_of_which_are_known_say_nothing() {
        assert!(wrong_coupon_columns(&of_rule("AO04", 10), &footing_of("orders", 21)).is_none());
        assert!(wrong_order_columns(&of_rule("PM03", 10), &footing_of("payments", 21)).is_none());
        assert!(wrong_order_columns(&of_rule("PM03", 9), &footing_of("payments", 9)).is_none());
    }
}
