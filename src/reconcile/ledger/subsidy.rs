//! The subsidy side of a coupon: what a programme owes, and what its receipts say. Only sums and
//! dates; the rules judge.

use std::borrow::Cow;

use super::facts::Receipt;
use super::wallet::Coupon;
use crate::clock::business_day;
use crate::dataset::columns::DayNumber;
use crate::job::{SubsidyAmount, SubsidyProgram};
use crate::money::Fen;
use crate::reconcile::basis::terms::Terms;
use crate::record::coupon_state::USED;

/// The subsidy columns of a ledger row. Sums are null if there is no receipt.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::reconcile) struct Subsidy<'a> {
    pub(in crate::reconcile) expected: Option<Fen>,
    pub(super) due_date: Option<DayNumber>,
    pub(super) paid: Option<Fen>,
    pub(in crate::reconcile) live: Option<Fen>,
    pub(super) returned: Option<Fen>,
    pub(super) live_count: i64,
    pub(in crate::reconcile) status: Option<Cow<'a, str>>,
    pub(in crate::reconcile) transaction_id: Option<&'a str>,
}

impl<'a> Subsidy<'a> {
    /// The same, with what the programmes of its stock owe for a coupon that was used with this discount.
    pub(super) fn adding_owed(
        mut self,
        terms: &Terms,
        stock_id: &str,
        coupon: &Coupon<'_>,
        discount: Option<Fen>,
    ) -> Subsidy<'a> {
        if coupon.state_on_date == Some(USED) {
            self.expected = expected(terms.programs_of(stock_id), discount);
            self.due_date = coupon.used_at.and_then(|used_at| {
                let due_days = terms.programs_of(stock_id).map(|program| program.due_days).max()?;
                Some(business_day(used_at) + DayNumber::try_from(due_days).ok()?)
            });
        }
        self
    }

    /// What the receipts of a coupon say.
    pub(super) fn from_receipts(receipts: &mut [Receipt<'a>], returns: &[Fen]) -> Subsidy<'a> {
        if receipts.is_empty() && returns.is_empty() {
            return Subsidy::default();
        }
        receipts.sort_by_key(|receipt| (receipt.created_at, receipt.out_subsidy_no));
        let sum = |counts: fn(&Receipt<'_>) -> bool| -> Option<Fen> {
            let amounts = receipts.iter().filter(|receipt| counts(receipt)).map(|receipt| receipt.amount);
            (!receipts.is_empty()).then(|| amounts.sum())
        };
        let told = receipts.iter().find(|receipt| receipt.is_live()).or(receipts.first());
        Subsidy {
            expected: None,
            due_date: None,
            paid: sum(|receipt| receipt.is_paid()),
            live: sum(|receipt| receipt.is_live()),
            returned: Some(returns.iter().copied().sum()),
            live_count: receipts.iter().map(|receipt| i64::from(receipt.is_live())).sum(),
            status: statuses(receipts),
            transaction_id: told.and_then(|receipt| receipt.transaction_id),
        }
    }
}

fn statuses<'a>(receipts: &[Receipt<'a>]) -> Option<Cow<'a, str>> {
    match receipts {
        [] => None,
        [one] => Some(Cow::Borrowed(one.status)),
        many => Some(Cow::Owned(many.iter().map(|receipt| receipt.status).collect::<Vec<_>>().join("+"))),
    }
}

/// The amount that the programmes of a stock owe; null without one, or when a percentage lacks its
/// discount.
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

    fn receipt<'a>(number: &'a str, status: &'a str, amount_fen: i64) -> Receipt<'a> {
        Receipt {
            out_subsidy_no: number,
            transaction_id: Some(number),
            amount: Fen(amount_fen),
            status,
            created_at: None,
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

    fn used(terms: &Terms, discount: Option<i64>) -> Subsidy<'static> {
        // 2026-11-18 23:59 in Shanghai.
        let used_at = "2026-11-18T15:59:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap().timestamp_micros();
        let coupon = Coupon { state_on_date: Some(USED), used_at: Some(used_at), ..Coupon::default() };
        Subsidy::default().adding_owed(terms, "S", &coupon, discount.map(Fen))
    }

    #[test]
    fn failed_and_fully_returned_receipts_are_not_live_and_accepted_ones_not_paid() {
        let statuses = [("0", "FAIL"), ("1", "SUCCESS"), ("2", "ACCEPTED"), ("3", "FULL_RETURN"), ("4", "UNKNOWN")];
        let amount = |number: &str| 10_i64.pow(number.parse().unwrap());
        let mut receipts = statuses.map(|(number, status)| receipt(number, status, amount(number)));
        let subsidy = Subsidy::from_receipts(&mut receipts, &[]);
        assert_eq!(subsidy.live, Some(Fen(10_110)));
        assert_eq!(subsidy.paid, Some(Fen(1_010)));
        assert_eq!((subsidy.live_count, subsidy.returned), (3, Some(Fen(0))));
        assert_eq!(subsidy.status.as_deref(), Some("FAIL+SUCCESS+ACCEPTED+FULL_RETURN+UNKNOWN"));
        assert_eq!(subsidy.transaction_id, Some("1"));
    }

    #[test]
    fn without_receipts_every_sum_is_null() {
        let subsidy = Subsidy::from_receipts(&mut [], &[]);
        assert_eq!(subsidy, Subsidy::default());
    }

    #[test]
    fn only_a_used_coupon_of_a_programme_is_owed_something() {
        let terms = Terms { programs: vec![program(SubsidyAmount::Fixed(Fen(100)))], ..Terms::default() };
        let subsidy = used(&terms, None);
        assert_eq!(subsidy.expected, Some(Fen(100)));
        let due = chrono::NaiveDate::from_ymd_opt(2026, 11, 21).map(crate::reconcile::basis::parameters::days);
        assert_eq!(subsidy.due_date, due);
        let unused = Subsidy::default().adding_owed(&terms, "S", &Coupon::default(), None);
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
