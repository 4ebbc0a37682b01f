//! The subsidy side of a coupon: what a programme owes it, and what its receipts say.
//! Sums and dates only; the rules judge.

use chrono::{Days, NaiveDate};

use super::facts::{Receipt, Return};
use super::terms::Terms;
use super::wallet::{Coupon, USED};
use crate::clock;
use crate::job::{SubsidyAmount, SubsidyProgram};
use crate::money::Fen;

/// The subsidy columns of a ledger row. Sums are null where there is no receipt at all.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Subsidy {
    pub(super) expected: Option<Fen>,
    pub(super) due_date: Option<NaiveDate>,
    pub(super) paid: Option<Fen>,
    pub(super) live: Option<Fen>,
    pub(super) returned: Option<Fen>,
    pub(super) live_count: i64,
    pub(super) status: Option<String>,
    pub(super) transaction_id: Option<String>,
}

impl Subsidy {
    /// The subsidy of a coupon used with this discount.
    pub(super) fn of(
        terms: &Terms,
        stock_id: &str,
        coupon: &Coupon,
        discount: Option<Fen>,
        receipts: &[Receipt],
        returns: &[Return],
    ) -> Subsidy {
        let mut subsidy = Subsidy::from_receipts(receipts, returns);
        if coupon.state_on_date.as_deref() == Some(USED) {
            subsidy.expected = expected(terms.programs_of(stock_id), discount);
            subsidy.due_date = coupon.used_at.and_then(|used_at| {
                let due_days = terms.programs_of(stock_id).map(|program| program.due_days).max()?;
                Some(clock::business_date_of(used_at) + Days::new(u64::from(due_days)))
            });
        }
        subsidy
    }

    fn from_receipts(receipts: &[Receipt], returns: &[Return]) -> Subsidy {
        let mut receipts: Vec<_> = receipts.iter().collect();
        receipts.sort_by_key(|receipt| (receipt.create_time, &receipt.out_subsidy_no));
        let sum = |counts: fn(&Receipt) -> bool| -> Option<Fen> {
            let amounts = receipts.iter().filter(|receipt| counts(receipt)).map(|receipt| receipt.amount_fen);
            (!receipts.is_empty()).then(|| amounts.sum())
        };
        let statuses: Vec<_> = receipts.iter().map(|receipt| receipt.status.as_str()).collect();
        let told = receipts.iter().find(|receipt| receipt.is_live).or(receipts.first());
        Subsidy {
            expected: None,
            due_date: None,
            paid: sum(|receipt| receipt.is_paid),
            live: sum(|receipt| receipt.is_live),
            returned: (!returns.is_empty() || !receipts.is_empty())
                .then(|| returns.iter().map(|receipt| receipt.amount_fen).sum()),
            live_count: receipts.iter().map(|receipt| i64::from(receipt.is_live)).sum(),
            status: (!statuses.is_empty()).then(|| statuses.join("+")),
            transaction_id: told.and_then(|receipt| receipt.transaction_id.clone()),
        }
    }
}

/// What the programmes of a stock owe; null without one, or when a percentage lacks its discount.
fn expected<'a>(programs: impl Iterator<Item = &'a SubsidyProgram>, discount: Option<Fen>) -> Option<Fen> {
    let amount = |program: &SubsidyProgram| match program.amount {
        SubsidyAmount::Fixed(amount) => Some(amount),
        SubsidyAmount::PercentOfDiscount(percent) => discount?.percent_half_up(percent),
    };
    let amounts: Vec<_> = programs.map(amount).collect::<Option<_>>()?;
    (!amounts.is_empty()).then(|| amounts.into_iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(number: &str, status: &str, amount_fen: i64) -> Receipt {
        let is_live = !matches!(status, "FAIL" | "FULL_RETURN");
        Receipt {
            stock_id: "S".to_owned(),
            coupon_code: "C".to_owned(),
            out_subsidy_no: number.to_owned(),
            transaction_id: Some(format!("4200-{number}")),
            amount_fen: Fen(amount_fen),
            status: status.to_owned(),
            create_time: None,
            is_live,
            is_paid: matches!(status, "SUCCESS" | "RETURNING" | "PARTIAL_RETURN" | "FULL_RETURN"),
        }
    }

    fn program(amount: SubsidyAmount) -> SubsidyProgram {
        SubsidyProgram {
            stock_id: "S".to_owned(),
            payer_merchant: "1".to_owned(),
            payee_merchant: "2".to_owned(),
            amount,
            due_days: 3,
        }
    }

    fn used(terms: &Terms, discount: Option<i64>) -> Subsidy {
        let used_at = clock::end_of(NaiveDate::from_ymd_opt(2026, 11, 18).unwrap()) - chrono::TimeDelta::minutes(1);
        let coupon = Coupon { state_on_date: Some(USED.to_owned()), used_at: Some(used_at), ..Coupon::default() };
        Subsidy::of(terms, "S", &coupon, discount.map(Fen), &[], &[])
    }

    #[test]
    fn failed_and_fully_returned_receipts_are_not_live_and_accepted_ones_not_paid() {
        let receipts = ["FAIL", "SUCCESS", "ACCEPTED", "FULL_RETURN", "UNKNOWN"]
            .iter()
            .enumerate()
            .map(|(index, status)| receipt(&index.to_string(), status, 10_i64.pow(u32::try_from(index).unwrap())))
            .collect::<Vec<_>>();
        let subsidy = Subsidy::from_receipts(&receipts, &[]);
        assert_eq!(subsidy.live, Some(Fen(10_110)));
        assert_eq!(subsidy.paid, Some(Fen(1_010)));
        assert_eq!((subsidy.live_count, subsidy.returned), (3, Some(Fen(0))));
        assert_eq!(subsidy.status.as_deref(), Some("FAIL+SUCCESS+ACCEPTED+FULL_RETURN+UNKNOWN"));
        assert_eq!(subsidy.transaction_id.as_deref(), Some("4200-1"));
    }

    #[test]
    fn without_receipts_every_sum_is_null() {
        let subsidy = Subsidy::from_receipts(&[], &[]);
        assert_eq!(subsidy, Subsidy::default());
    }

    #[test]
    fn only_a_used_coupon_of_a_programme_is_owed_something() {
        let terms = Terms { programs: vec![program(SubsidyAmount::Fixed(Fen(100)))], ..Terms::default() };
        let subsidy = used(&terms, None);
        assert_eq!(subsidy.expected, Some(Fen(100)));
        assert_eq!(subsidy.due_date, NaiveDate::from_ymd_opt(2026, 11, 21));
        let unused = Subsidy::of(&terms, "S", &Coupon::default(), None, &[], &[]);
        assert_eq!((unused.expected, unused.due_date), (None, None));
        assert_eq!(used(&Terms::default(), None).expected, None);
    }

    #[test]
    fn a_percentage_is_of_the_orders_discount_half_up() {
        let terms = Terms { programs: vec![program(SubsidyAmount::PercentOfDiscount(50))], ..Terms::default() };
        assert_eq!(used(&terms, Some(333)).expected, Some(Fen(167)));
        assert_eq!(used(&terms, None).expected, None);
    }
}
