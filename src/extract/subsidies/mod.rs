//! Stage `subsidies`: payment receipts by (stock, code) and by id, return receipts by id. Which ones are requested and
//! which are carried over: design §12.

mod candidates;

use std::collections::BTreeMap;

pub use candidates::{Plan, SubsidyInput};

use super::ask::{Place, ask_each, read_page, require_echo, settle_and_read};
use super::gathered::{Gatherable, Gathered, Handful, Known};
use super::night::Imprint;
use super::odd_fields::OddFields;
use super::unknown_values::{Known as KnownValues, PAYMENT_STATUS, RETURN_STATUS};
use super::wire::{subsidy_payment_row, subsidy_return_row};
use super::{Harvest, Issue, IssueKind, Night};
use crate::api::Api;
use crate::fingerprints::Fingerprints;
use crate::journal::{Entry, Page, StageJournal};
use crate::record::{Record, SubsidyPayment, SubsidyReturn};
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
    let mut reading = Reading::default();
    let (payments, mut issues) = requests.payments(plan, &mut reading).await?;
    let (returns, more) = requests.returns(plan, &mut reading).await?;
    issues.extend(more);
    let (payments, returns) = (payments.carrying(night)?, returns.carrying(night)?);

    let mut harvest = Harvest::complete(Subsidies { payments: payments.rows, returns: returns.rows });
    harvest.intake = vec![payments.intake, returns.intake];
    harvest.issues = issues;
    let is_used = |key: &str| reading.asked.contains(&[key]);
    harvest.inputs = vec![(STAGE.to_string(), requests.journal.digest_of(&night.corner(), is_used)?)];
    Ok(reading.odd.noted_in(harvest, "subsidy receipt", "subsidy receipts"))
}

/// Passes on the keys that a night with this input would request.
pub(super) fn each_key(night: &Night<'_>, input: &SubsidyInput<'_>, mut take: impl FnMut(&str)) -> Result<(), Issue> {
    let plan = candidates::choose(night, input)?;
    [(Kind::List, &plan.coupons), (Kind::Return, &plan.returns)]
        .into_iter()
        .try_for_each(|(kind, rows)| kind.each_key(rows, &mut take))
}

/// What a question is about.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// The payments of a coupon.
    List,
    /// A payment.
    Receipt,
    /// A return.
    Return,
}

impl Kind {
    /// How the journal keys of these questions begin.
    fn prefix(self) -> &'static str {
        match self {
            Kind::List => "list/",
            Kind::Receipt => "receipt/",
            Kind::Return => "return/",
        }
    }

    /// The journal key of the question about a row.
    fn key(self, row: PackedRow<'_>) -> String {
        let mut cells = row.unpack();
        let (prefix, id) = (self.prefix(), cells.key_text());
        match self {
            Kind::List => format!("{prefix}{id}/{}", cells.key_text()),
            Kind::Receipt | Kind::Return => format!("{prefix}{id}"),
        }
    }

    fn each_key(self, rows: &Kept, mut take: impl FnMut(&str)) -> Result<(), Issue> {
        let take = |row: PackedRow<'_>| {
            take(&self.key(row));
            Ok(())
        };
        rows.rows().and_then(|rows| rows.each(take)).map_err(Issue::unsorted)
    }
}

/// A receipt as WeChat Pay answers it, of a payment or of a return.
trait Receipt: Mendable {
    /// Its row.
    type Row: Gatherable;

    fn row(&self, imprint: Imprint<'_>) -> Result<Self::Row, Issue>;

    /// What of the answer has no column.
    fn extra_of(row: &Self::Row) -> Option<&str>;

    fn status_of(row: &Self::Row) -> (KnownValues, Option<&str>);
}

impl Receipt for PayReceipt {
    type Row = SubsidyPayment;

    fn row(&self, imprint: Imprint<'_>) -> Result<SubsidyPayment, Issue> {
        subsidy_payment_row(self, imprint)
    }

    fn extra_of(row: &SubsidyPayment) -> Option<&str> {
        row.extra.as_deref()
    }

    fn status_of(row: &SubsidyPayment) -> (KnownValues, Option<&str>) {
        (PAYMENT_STATUS, row.status.as_deref())
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

    fn status_of(row: &SubsidyReturn) -> (KnownValues, Option<&str>) {
        (RETURN_STATUS, row.status.as_deref())
    }
}

/// What was read of the journal.
#[derive(Default)]
struct Reading {
    /// The keys of tonight's questions.
    asked: Fingerprints,
    odd: OddFields,
}

struct Requests<'a> {
    night: &'a Night<'a>,
    pay_v3: &'a PayV3,
    journal: &'a StageJournal,
}

impl Requests<'_> {
    /// The payment receipts: the lists of the coupons, then singly those receipts of the ledger that no list has.
    async fn payments(&self, plan: &Plan, reading: &mut Reading) -> Result<(Known<SubsidyPayment>, Vec<Issue>), Issue> {
        let room = self.night.corner();
        let mut issues = self.ask_lists(&plan.coupons).await?;
        let mut listed = Gathered::new(&room);
        self.read_lists(&plan.coupons, &mut listed, reading)?;
        let listed = listed.settle().map_err(Issue::unsorted)?;
        let missing = plan.receipts_missing_from(&listed.rows, &room).map_err(Issue::unsorted)?;
        issues.extend(self.ask_receipts(&missing).await?);
        let mut single = Gathered::after(listed.intake, &room);
        self.read_receipts(&missing, &mut single, reading)?;
        Ok((single.replace(&listed.rows).map_err(Issue::unsorted)?, issues))
    }

    async fn returns(&self, plan: &Plan, reading: &mut Reading) -> Result<(Known<SubsidyReturn>, Vec<Issue>), Issue> {
        let issues = self.ask_returns(&plan.returns).await?;
        let mut returns = Gathered::new(&self.night.corner());
        self.read_returns(&plan.returns, &mut returns, reading)?;
        Ok((returns.settle().map_err(Issue::unsorted)?, issues))
    }

    async fn ask_lists(&self, coupons: &Kept) -> Result<Vec<Issue>, Issue> {
        let request = |row: PackedRow<'_>| {
            let mut cells = row.unpack();
            let (stock_id, coupon_code) = (cells.key_text().into_owned(), cells.key_text().into_owned());
            move || busifavor::pay_receipts(&stock_id, &coupon_code, None)
        };
        let payment = |receipt: &PayReceipt| {
            receipt.row(self.night.imprint())?;
            Ok(format!("{}{}/{}", Kind::List.prefix(), receipt.stock_id, receipt.coupon_code))
        };
        let payments = |list: &PayReceiptList| {
            require_consistent(&list.pay_receipt_list)?;
            list.pay_receipt_list.iter().map(payment).collect()
        };
        self.ask((Kind::List, coupons), request, payments).await
    }

    async fn ask_receipts(&self, ids: &Kept) -> Result<Vec<Issue>, Issue> {
        let request = |row: PackedRow<'_>| {
            let id = row.unpack().key_text().into_owned();
            move || busifavor::pay_receipt(&id)
        };
        let payment = |receipt: &PayReceipt| {
            receipt.row(self.night.imprint())?;
            Ok(told_id(Kind::Receipt, receipt.subsidy_receipt_id.as_ref()))
        };
        self.ask((Kind::Receipt, ids), request, payment).await
    }

    async fn ask_returns(&self, ids: &Kept) -> Result<Vec<Issue>, Issue> {
        let request = |row: PackedRow<'_>| {
            let id = row.unpack().key_text().into_owned();
            move || busifavor::return_receipt(&id)
        };
        let returned = |receipt: &ReturnReceipt| {
            receipt.row(self.night.imprint())?;
            Ok(told_id(Kind::Return, receipt.subsidy_return_receipt_id.as_ref()))
        };
        self.ask((Kind::Return, ids), request, returned).await
    }

    /// Sends one request per row. An answer that `check` cannot parse, or whose rows belong to another key than the
    /// requested one, is not journalled, as it would stay.
    async fn ask<T, R: Fn() -> Request<T> + Clone>(
        &self,
        (kind, rows): (Kind, &Kept),
        request: impl Fn(PackedRow<'_>) -> R,
        check: impl Fn(&T) -> Result<Vec<String>, Issue>,
    ) -> Result<Vec<Issue>, Issue> {
        let ask = async |(asked, request): (String, R)| {
            let request = request();
            let (page, read) = settle_and_read(&request, self.pay_v3.send(&request).await)?;
            let told = read.as_ref().map(&check).transpose()?.unwrap_or_default();
            told.iter().try_for_each(|told| require_echo(&request, &asked, told))?;
            Ok(Some(vec![page]))
        };
        let question = |row: PackedRow<'_>| {
            let key = kind.key(row);
            (key.clone(), (key, request(row)))
        };
        let questions = || Ok(rows.rows()?.map(question));
        ask_each(self.night, self.journal, PLACE, questions, ask).await
    }

    // Parsing an answer does not depend on the parameters of its request, so the readers leave them empty.

    fn read_lists(
        &self,
        coupons: &Kept,
        payments: &mut Gathered<SubsidyPayment>,
        reading: &mut Reading,
    ) -> Result<(), Issue> {
        let request = busifavor::pay_receipts("", "", None);
        let listed =
            |page: &Page| Ok(Some(read_page(&request, page)?.map(|list| list.pay_receipt_list).unwrap_or_default()));
        self.read((Kind::List, coupons), listed, payments, reading)
    }

    fn read_receipts(
        &self,
        ids: &Kept,
        payments: &mut Gathered<SubsidyPayment>,
        reading: &mut Reading,
    ) -> Result<(), Issue> {
        let request = busifavor::pay_receipt("");
        let payment = |page: &Page| Ok(read_page(&request, page)?.map(|receipt| vec![receipt]));
        self.read((Kind::Receipt, ids), payment, payments, reading)
    }

    fn read_returns(
        &self,
        ids: &Kept,
        returns: &mut Gathered<SubsidyReturn>,
        reading: &mut Reading,
    ) -> Result<(), Issue> {
        let request = busifavor::return_receipt("");
        let returned = |page: &Page| Ok(read_page(&request, page)?.map(|receipt| vec![receipt]));
        self.read((Kind::Return, ids), returned, returns, reading)
    }

    /// Gathers the receipts of the journalled answers for `rows`; the threads that read the journal also parse. `None`,
    /// which WeChat Pay does not know, counts as no page.
    fn read<T: Receipt>(
        &self,
        (kind, rows): (Kind, &Kept),
        receipts: impl Fn(&Page) -> Result<Option<Vec<T>>, Issue> + Sync,
        gathered: &mut Gathered<T::Row>,
        Reading { asked, odd }: &mut Reading,
    ) -> Result<(), Issue> {
        if rows.is_empty() {
            return Ok(());
        }
        kind.each_key(rows, |key| {
            asked.insert(&[key]);
        })?;
        let read = |entry: Entry| match entry.pages.first().filter(|_| asked.contains(&[&entry.key])) {
            Some(page) => receipts(page)?.map(|receipts| self.pack(&receipts)).transpose(),
            None => Ok(None),
        };
        self.journal.visit_read(kind.prefix(), read, |answer| {
            let Some((rows, odd_here)) = answer else { return Ok(()) };
            odd.add(odd_here);
            gathered.add(&rows).map_err(Issue::unsorted)
        })
    }

    /// The rows of an answer.
    fn pack<T: Receipt>(&self, receipts: &[T]) -> Result<(Handful<T::Row>, OddFields), Issue> {
        let (mut rows, mut odd) = (Handful::of_pages(1), OddFields::default());
        for receipt in receipts {
            let row = receipt.row(self.night.imprint())?;
            odd.see(&T::SHAPE, T::extra_of(&row));
            odd.see_values([T::status_of(&row)]);
            rows.put(&row, row.amount());
        }
        Ok((rows, odd))
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
fn told_id(kind: Kind, id: Option<&String>) -> Vec<String> {
    id.filter(|id| !id.is_empty()).map(|id| format!("{}{id}", kind.prefix())).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_with_an_empty_id_is_not_about_another_receipt() {
        assert_eq!(told_id(Kind::Receipt, Some(&"1120".to_owned())), ["receipt/1120"]);
        assert_eq!((told_id(Kind::Return, Some(&String::new())), told_id(Kind::Return, None)), (vec![], vec![]));
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
