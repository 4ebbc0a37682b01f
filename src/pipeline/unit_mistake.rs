//! Whether the paid amounts of a night look like fen read as yuan, or yuan as fen. A hint for people: it never
//! changes a break, an amount or the exit code.

use crate::money::Fen;
use crate::record::Break;

/// The rule that compares what an order says was paid with the bill.
const PAID_AMOUNTS: &str = "PM01";
/// Fewer amounts than this can be hundredfold by chance.
const FEWEST_AMOUNTS: usize = 10;

/// A sentence for the operator if nine in ten of the open breaks on paid amounts are off by a factor of exactly 100,
/// all in the same direction: the wrong `amount_unit` in the job file makes every order such a break.
pub(super) fn suspect(breaks: &[Break]) -> Option<String> {
    let amounts: Vec<_> = breaks.iter().filter(|it| it.is_open() && it.rule_id == PAID_AMOUNTS).collect();
    let said = |relation: &str, count: usize| {
        let all = amounts.len();
        format!(
            "{count} of {all} orders that differ from the bill say {relation} of what it says: check `amount_unit` of `[[orders]]`"
        )
    };
    let is_most = |count: usize| count >= FEWEST_AMOUNTS && count * 10 >= amounts.len() * 9;
    // The rule expects of the bill (actual) what the order says (expected).
    let hundredfold = amounts.iter().filter(|it| is_hundredfold(it.expected_fen, it.actual_fen)).count();
    let hundredth = amounts.iter().filter(|it| is_hundredfold(it.actual_fen, it.expected_fen)).count();
    match (is_most(hundredfold), is_most(hundredth)) {
        (true, _) => Some(said("100 times", hundredfold)),
        (_, true) => Some(said("a hundredth", hundredth)),
        _ => None,
    }
}

fn is_hundredfold(amount: Option<Fen>, of: Option<Fen>) -> bool {
    let (Some(amount), Some(of)) = (amount, of) else { return false };
    of != Fen::ZERO && of.0.checked_mul(100) == Some(amount.0)
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;
    use crate::record::BreakStatus;

    fn breaks_of(amounts: impl IntoIterator<Item = (i64, i64)>) -> Vec<Break> {
        let date = NaiveDate::from_ymd_opt(2026, 11, 20).unwrap();
        let break_of = |(bill, order)| Break {
            expected_fen: Some(Fen(order)),
            actual_fen: Some(Fen(bill)),
            ..Break::for_tests("PM01", date)
        };
        amounts.into_iter().map(break_of).collect()
    }

    #[test]
    fn fen_read_as_yuan_are_suspected_and_so_are_yuan_read_as_fen() {
        let fen_as_yuan = suspect(&breaks_of((1..=20).map(|fen| (fen, fen * 100)))).unwrap();
        assert_eq!(
            fen_as_yuan,
            "20 of 20 orders that differ from the bill say 100 times of what it says: check `amount_unit` of `[[orders]]`"
        );
        let yuan_as_fen = suspect(&breaks_of((1..=20).map(|yuan| (yuan * 100, yuan)))).unwrap();
        assert!(yuan_as_fen.contains("say a hundredth of"), "{yuan_as_fen}");
    }

    #[test]
    fn a_tenth_may_differ_otherwise_but_not_more() {
        let hundredfold = (1..=18).map(|fen| (fen, fen * 100));
        assert!(suspect(&breaks_of(hundredfold.clone().chain([(5, 6), (7, 8)]))).is_some());
        assert!(suspect(&breaks_of(hundredfold.chain([(5, 6), (7, 8), (9, 10)]))).is_none());
    }

    #[test]
    fn a_few_amounts_zeros_and_both_directions_at_once_say_nothing() {
        assert!(suspect(&breaks_of((1..=9).map(|fen| (fen, fen * 100)))).is_none());
        assert!(suspect(&breaks_of((1..=20).map(|_| (0, 0)))).is_none());
        let both = (1..=10).map(|fen| (fen, fen * 100)).chain((1..=10).map(|yuan| (yuan * 100, yuan)));
        assert!(suspect(&breaks_of(both)).is_none());
    }

    #[test]
    fn breaks_of_other_rules_and_resolved_ones_do_not_count() {
        let mut breaks = breaks_of((1..=20).map(|fen| (fen, fen * 100)));
        breaks.iter_mut().for_each(|it| it.status = BreakStatus::Resolved);
        assert!(suspect(&breaks).is_none());
        breaks.iter_mut().for_each(|it| (it.status, it.rule_id) = (BreakStatus::Open, "PM03".to_owned()));
        assert!(suspect(&breaks).is_none());
    }
}
