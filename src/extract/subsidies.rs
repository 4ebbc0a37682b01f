//! Stage `subsidies`: payment receipts by (stock, code) and by id, return receipts by id. Which ones are requested and
//! which are carried over: design §12.

mod candidates;

use std::collections::BTreeMap;

pub use candidates::{Plan, SubsidyInput};

use super::ask::{Place, ask_each, read_page, require_echo, settle_and_read};
use super::gathered::{Gatherable, Gathered, Known};
use super::night::Imprint;
use super::odd_fields::OddFields;
use super::wire::{subsidy_payment_row, subsidy_return_row};
use super::{Harvest, Issue, IssueKind, Night};
use crate::api::Api;
use crate::fingerprints::Fingerprints;
use crate::journal::{Page, StageJournal};
use crate::record::{SubsidyPayment, SubsidyReturn};
use crate::sorter::{Kept, PackedRow};
use crate::stage::Stage;
use crate::wechat::Request;
use crate::wechat::oddity::Mendable;
use crate::wechat::pay_v3::PayV3;
use crate::wechat::pay_v3::busifavor::{self, PayReceipt, PayReceiptList, ReturnReceipt};
use crate::wechat::wording::shown;

const STAGE: Stage = Stage::Subsidies;
const PLACE: Place = Place { stage: STAGE, api: Api::PayV3 };

/// Receipts of both kinds, packed.
#[derive(Debug, Default)]
pub struct Subsidies {
    /// `subsidy_payments`, sorted by key.
    pub payments: Kept,
    /// `subsidy_returns`, sorted by key.
    pub returns: Kept,
}

/// Chooses which receipts to request tonight; sends no request.
///
/// # Errors
/// Known rows cannot be read; the scratch folder is full.
pub fn plan(night: &Night<'_>, input: &SubsidyInput<'_>) -> Result<Plan, Issue> {
    if night.apis.pay_v3.is_none() {
        return Ok(Plan::default());
    }
    candidates::choose(night, input)
}

/// Requests the receipts that may have changed and carries the rest over: a receipt that was not requested tonight, or
/// that tonight's answers do not contain, stays known.
pub async fn extract(night: &Night<'_>, plan: &Plan) -> Result<Harvest<Subsidies>, Issue> {
    let Some(pay_v3) = &night.apis.pay_v3 else {
        return Ok(Harvest::complete(Subsidies::default()));
    };
    let requests = Requests { night, pay_v3, journal: &*night.journal.stage(STAGE.as_str())? };
    let mut odd = OddFields::default();
    let (payments, mut issues) = requests.payments(plan, &mut odd).await?;
    let (returns, more) = requests.returns(plan, &mut odd).await?;
    issues.extend(more);
    let (payments, returns) = (payments.carrying(night)?, returns.carrying(night)?);

    let mut harvest = Harvest::complete(Subsidies { payments: payments.rows, returns: returns.rows });
    harvest.intake = vec![payments.intake, returns.intake];
    harvest.issues = issues;
    harvest.inputs = vec![(STAGE.to_string(), requests.journal.digest(&night.corner())?)];
    Ok(harvest.noting("odd_fields", odd.tell("subsidy receipt", "subsidy receipts")))
}

/// Passes on the keys that a night with this input would request.
pub(super) fn each_key(night: &Night<'_>, input: &SubsidyInput<'_>, mut take: impl FnMut(&str)) -> Result<(), Issue> {
    let plan = candidates::choose(night, input)?;
    for (rows, key) in [(&plan.coupons, list_key as fn(PackedRow<'_>) -> String), (&plan.returns, return_key)] {
        let rows = rows.rows().map_err(Issue::unsorted)?;
        rows.each(|row| {
            take(&key(row));
            Ok(())
        })
        .map_err(Issue::unsorted)?;
    }
    Ok(())
}

/// A receipt as WeChat Pay answers it, of a payment or of a return.
trait Receipt: Mendable {
    /// Its row.
    type Row: Gatherable;

    fn row(&self, imprint: Imprint<'_>) -> Result<Self::Row, Issue>;

    /// What of the answer has no column.
    fn extra_of(row: &Self::Row) -> Option<&str>;
}

impl Receipt for PayReceipt {
    type Row = SubsidyPayment;

    fn row(&self, imprint: Imprint<'_>) -> Result<SubsidyPayment, Issue> {
        subsidy_payment_row(self, imprint)
    }

    fn extra_of(row: &SubsidyPayment) -> Option<&str> {
        row.extra.as_deref()
    }
}

impl Receipt for ReturnReceipt {
    type Row = SubsidyReturn;

    fn row(&self, imprint: Imprint<'_>) -> Result<SubsidyReturn, Issue> {
        subsidy_return_row(self, imprint)
    }

    fn extra_of(row: &SubsidyReturn) -> Option<&str> {
        row.extra.as_deref()
    }
}

struct Requests<'a> {
    night: &'a Night<'a>,
    pay_v3: &'a PayV3,
    journal: &'a StageJournal,
}

impl Requests<'_> {
    /// The payment receipts: the lists of the coupons, then singly those receipts of the ledger that no list has.
    async fn payments(&self, plan: &Plan, odd: &mut OddFields) -> Result<(Known<SubsidyPayment>, Vec<Issue>), Issue> {
        let room = self.night.corner();
        let mut issues = self.ask_lists(&plan.coupons).await?;
        let mut listed = Gathered::new(&room);
        self.read_lists(&plan.coupons, &mut listed, odd)?;
        let listed = listed.settle().map_err(Issue::unsorted)?;
        let missing = plan.receipts_missing_from(&listed.rows, &room).map_err(Issue::unsorted)?;
        issues.extend(self.ask_receipts(&missing).await?);
        let mut single = Gathered::after(listed.intake, &room);
        self.read_receipts(&missing, &mut single, odd)?;
        Ok((single.replace(&listed.rows).map_err(Issue::unsorted)?, issues))
    }

    async fn returns(&self, plan: &Plan, odd: &mut OddFields) -> Result<(Known<SubsidyReturn>, Vec<Issue>), Issue> {
        let issues = self.ask_returns(&plan.returns).await?;
        let mut returns = Gathered::new(&self.night.corner());
        self.read_returns(&plan.returns, &mut returns, odd)?;
        Ok((returns.settle().map_err(Issue::unsorted)?, issues))
    }

    async fn ask_lists(&self, coupons: &Kept) -> Result<Vec<Issue>, Issue> {
        let question = |row: PackedRow<'_>| {
            let mut cells = row.unpack();
            (list_key(row), busifavor::pay_receipts(&cells.key_text(), &cells.key_text(), None))
        };
        let payment = |receipt: &PayReceipt| {
            receipt.row(self.night.imprint())?;
            Ok(format!("list/{}/{}", receipt.stock_id, receipt.coupon_code))
        };
        let payments = |list: &PayReceiptList| {
            require_consistent(&list.pay_receipt_list)?;
            list.pay_receipt_list.iter().map(payment).collect()
        };
        self.ask(coupons, question, payments).await
    }

    async fn ask_receipts(&self, ids: &Kept) -> Result<Vec<Issue>, Issue> {
        let question = |row: PackedRow<'_>| (receipt_key(row), busifavor::pay_receipt(&row.unpack().key_text()));
        let payment = |receipt: &PayReceipt| {
            receipt.row(self.night.imprint())?;
            Ok(told_id(receipt.subsidy_receipt_id.as_ref(), "receipt"))
        };
        self.ask(ids, question, payment).await
    }

    async fn ask_returns(&self, ids: &Kept) -> Result<Vec<Issue>, Issue> {
        let question = |row: PackedRow<'_>| (return_key(row), busifavor::return_receipt(&row.unpack().key_text()));
        let returned = |receipt: &ReturnReceipt| {
            receipt.row(self.night.imprint())?;
            Ok(told_id(receipt.subsidy_return_receipt_id.as_ref(), "return"))
        };
        self.ask(ids, question, returned).await
    }

    /// Sends one request per row. An answer that `check` cannot parse, or whose rows belong to another key than the
    /// requested one, is not journalled, as it would stay.
    async fn ask<T>(
        &self,
        rows: &Kept,
        question: impl Fn(PackedRow<'_>) -> (String, Request<T>),
        check: impl Fn(&T) -> Result<Vec<String>, Issue>,
    ) -> Result<Vec<Issue>, Issue> {
        let ask = async |(asked, request): (String, Request<T>)| {
            let (page, read) = settle_and_read(&request, self.pay_v3.send(&request).await)?;
            let told = read.as_ref().map(&check).transpose()?.unwrap_or_default();
            told.iter().try_for_each(|told| require_echo(&request, &asked, told))?;
            Ok(Some(vec![page]))
        };
        let question = |row: PackedRow<'_>| {
            let (key, request) = question(row);
            (key.clone(), (key, request))
        };
        let questions = || Ok(rows.rows()?.map(question));
        ask_each(self.night, self.journal, PLACE, questions, ask).await
    }

    // Parsing an answer does not depend on the parameters of its request, so the readers leave them empty.

    fn read_lists(
        &self,
        coupons: &Kept,
        payments: &mut Gathered<SubsidyPayment>,
        odd: &mut OddFields,
    ) -> Result<(), Issue> {
        let request = busifavor::pay_receipts("", "", None);
        self.read(coupons, list_key, |page| {
            payments.intake.pages += 1;
            let listed = read_page(&request, page)?.map(|list| list.pay_receipt_list).unwrap_or_default();
            listed.iter().try_for_each(|receipt| self.gather(receipt, payments, odd))
        })
    }

    fn read_receipts(
        &self,
        ids: &Kept,
        payments: &mut Gathered<SubsidyPayment>,
        odd: &mut OddFields,
    ) -> Result<(), Issue> {
        let request = busifavor::pay_receipt("");
        self.read(ids, receipt_key, |page| self.gather_only(read_page(&request, page)?, payments, odd))
    }

    fn read_returns(
        &self,
        ids: &Kept,
        returns: &mut Gathered<SubsidyReturn>,
        odd: &mut OddFields,
    ) -> Result<(), Issue> {
        let request = busifavor::return_receipt("");
        self.read(ids, return_key, |page| self.gather_only(read_page(&request, page)?, returns, odd))
    }

    /// Adds the receipt of an answer that holds only one; `None` if WeChat Pay does not know it.
    fn gather_only<T: Receipt>(
        &self,
        receipt: Option<T>,
        rows: &mut Gathered<T::Row>,
        odd: &mut OddFields,
    ) -> Result<(), Issue> {
        let Some(receipt) = receipt else { return Ok(()) };
        rows.intake.pages += 1;
        self.gather(&receipt, rows, odd)
    }

    fn gather<T: Receipt>(&self, receipt: &T, rows: &mut Gathered<T::Row>, odd: &mut OddFields) -> Result<(), Issue> {
        let row = receipt.row(self.night.imprint())?;
        odd.see(&T::SHAPE, T::extra_of(&row));
        rows.put(&row).map_err(Issue::unsorted)
    }

    /// Passes on the journalled answers for `rows`.
    fn read(
        &self,
        rows: &Kept,
        key: impl Fn(PackedRow<'_>) -> String,
        mut take: impl FnMut(&Page) -> Result<(), Issue>,
    ) -> Result<(), Issue> {
        let mut wanted = Fingerprints::default();
        let want = |row: PackedRow<'_>| {
            wanted.insert(&[&key(row)]);
            Ok(())
        };
        rows.rows().and_then(|rows| rows.each(want)).map_err(Issue::unsorted)?;
        self.journal.visit(|entry| match entry.pages.first() {
            Some(page) if wanted.contains(&[&entry.key]) => take(page),
            _ => Ok(()),
        })
    }
}

/// Refuses an answer in which two receipts of one number contradict each other: which of them counts would be a guess.
fn require_consistent(receipts: &[PayReceipt]) -> Result<(), Issue> {
    let mut told = BTreeMap::new();
    for receipt in receipts {
        if told.insert(&receipt.out_subsidy_no, receipt).is_some_and(|before| before != receipt) {
            let number = shown(&receipt.out_subsidy_no);
            let what = format!("the receipts of a coupon list `{number}` twice, with different values");
            return Err(
                Issue::new(IssueKind::Garbled, what).hinting("run again; ask WeChat Pay which of them is right")
            );
        }
    }
    Ok(())
}

/// The journal key of the receipt that an answer says it is about, if it says so.
fn told_id(id: Option<&String>, kind: &str) -> Vec<String> {
    id.filter(|id| !id.is_empty()).map(|id| format!("{kind}/{id}")).into_iter().collect()
}

fn list_key(coupon: PackedRow<'_>) -> String {
    let mut cells = coupon.unpack();
    format!("list/{}/{}", cells.key_text(), cells.key_text())
}

fn receipt_key(id: PackedRow<'_>) -> String {
    format!("receipt/{}", id.unpack().key_text())
}

fn return_key(id: PackedRow<'_>) -> String {
    format!("return/{}", id.unpack().key_text())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_with_an_empty_id_is_not_about_another_receipt() {
        assert_eq!(told_id(Some(&"1120".to_owned()), "receipt"), ["receipt/1120"]);
        assert_eq!((told_id(Some(&String::new()), "return"), told_id(None, "return")), (vec![], vec![]));
    }

    #[test]
    fn a_receipt_that_is_told_twice_must_be_told_alike() {
        let receipt = |amount: i64| {
            let wire =
                serde_json::json!({"stock_id": "1", "coupon_code": "A", "out_subsidy_no": "N", "amount": amount});
            serde_json::from_value::<PayReceipt>(wire).unwrap()
        };
        let other = PayReceipt { out_subsidy_no: "M".to_owned(), ..receipt(200) };
        assert_eq!(require_consistent(&[receipt(100), other, receipt(100)]), Ok(()));
        let issue = require_consistent(&[receipt(100), receipt(200)]).unwrap_err();
        assert_eq!(issue.kind, IssueKind::Garbled);
        assert!(issue.what.contains("`N` twice"), "{}", issue.what);
    }
}
