//! Stage `subsidies`: payment receipts by (stock, code) and by id, return receipts by id. Whom to
//! ask for and what to carry: design §12.

mod candidates;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::ask::{Place, ask_all, read_page, settle};
use super::wire::{subsidy_payment_row, subsidy_return_row};
use super::{Api, Harvest, Issue, Lookback, Night};
use crate::dataset::manifest::Intake;
use crate::journal::StageJournal;
use crate::record::{Record, SubsidyOrder, SubsidyPayment, SubsidyReturn};
use crate::sorter::Kept;
use crate::wechat::Request;
use crate::wechat::pay_v3::PayV3;
use crate::wechat::pay_v3::busifavor;

const STAGE: &str = "subsidies";
const PLACE: Place = Place { stage: STAGE, api: Api::PayV3 };

/// What decides whom to ask for.
#[derive(Debug)]
pub struct SubsidyInput<'a> {
    /// Tonight's wallets.
    pub coupons: &'a Kept,
    /// Order lines of the look-back.
    pub orders: &'a Lookback,
    /// Tonight's ledger lines.
    pub ledger: &'a [SubsidyOrder],
}

/// Receipts of both kinds.
#[derive(Debug, Default)]
pub struct Subsidies {
    /// `subsidy_payments`, sorted by key.
    pub payments: Vec<SubsidyPayment>,
    /// `subsidy_returns`, sorted by key.
    pub returns: Vec<SubsidyReturn>,
}

/// Asks for the receipts that may have changed and carries the settled rest.
pub async fn extract(night: &Night<'_>, input: &SubsidyInput<'_>) -> Result<Harvest<Subsidies>, Issue> {
    let (Some(pay_v3), Some(settings)) = (&night.apis.pay_v3, &night.job.pay_v3) else {
        return Ok(Harvest::complete(Subsidies::default()));
    };
    let desk = Desk { night, pay_v3, journal: &*night.journal.stage(STAGE)?, concurrency: settings.limits.concurrency };
    let carried = Subsidies { payments: night.yesterday()?, returns: night.yesterday()? };
    let mut ledger: Vec<SubsidyOrder> = night.all_earlier()?;
    ledger.extend(input.ledger.iter().cloned());
    let plan = candidates::choose(night, input, &ledger, &carried).map_err(|error| Issue::unsorted(&error))?;

    let mut issues = desk.ask_lists(&plan.coupons).await?;
    let mut payments = Tally::<SubsidyPayment>::new();
    desk.read_lists(&plan.coupons, &mut payments)?;
    let missing = plan.receipts_missing_from(&payments.rows);
    issues.extend(desk.ask_receipts(&missing).await?);
    desk.read_receipts(&missing, &mut payments)?;
    issues.extend(desk.ask_returns(&plan.returns).await?);
    let mut returns = Tally::<SubsidyReturn>::new();
    desk.read_returns(&plan.returns, &mut returns)?;
    carry(night, carried, &mut payments, &mut returns);

    let intake = vec![payments.intake, returns.intake];
    let rows =
        Subsidies { payments: payments.rows.into_values().collect(), returns: returns.rows.into_values().collect() };
    let mut harvest = Harvest::complete(rows);
    harvest.intake = intake;
    harvest.issues = issues;
    harvest.inputs = vec![(STAGE.to_owned(), desk.journal.digest(&night.corner())?)];
    Ok(harvest)
}

/// Receipts by key, and where they came from.
struct Tally<R> {
    rows: BTreeMap<String, R>,
    intake: Intake,
}

impl<R: Record> Tally<R> {
    fn new() -> Tally<R> {
        Tally { rows: BTreeMap::new(), intake: Intake::of(R::DATASET) }
    }

    /// A receipt of an answer; the last answer counts.
    fn put(&mut self, key: String, row: R) {
        self.intake.read(row.amount());
        if let Some(earlier) = self.rows.insert(key, row) {
            self.intake.repeat(earlier.amount());
        }
    }

    /// A receipt of an earlier night; tonight's answers know better.
    fn carry(&mut self, key: String, row: R) {
        if let Entry::Vacant(place) = self.rows.entry(key) {
            self.intake.carry(row.amount());
            place.insert(row);
        }
    }
}

/// A receipt that was not asked for tonight, or that tonight's answers do not know, stays known.
fn carry(
    night: &Night<'_>,
    carried: Subsidies,
    payments: &mut Tally<SubsidyPayment>,
    returns: &mut Tally<SubsidyReturn>,
) {
    for mut receipt in carried.payments {
        receipt.business_date = night.date;
        payments.carry(receipt.out_subsidy_no.clone(), receipt);
    }
    for mut receipt in carried.returns {
        receipt.business_date = night.date;
        returns.carry(receipt.out_subsidy_return_no.clone(), receipt);
    }
}

/// The keys that a night with this input would ask for.
pub(super) fn keys(night: &Night<'_>, input: &SubsidyInput<'_>) -> Result<Vec<String>, Issue> {
    let carried = Subsidies { payments: night.yesterday()?, returns: night.yesterday()? };
    let mut ledger: Vec<SubsidyOrder> = night.all_earlier()?;
    ledger.extend(input.ledger.iter().cloned());
    let plan = candidates::choose(night, input, &ledger, &carried).map_err(|error| Issue::unsorted(&error))?;
    let lists = plan.coupons.iter().map(|(stock_id, code)| list_key(stock_id, code));
    Ok(lists.chain(plan.returns.iter().map(|id| return_key(id))).collect())
}

struct Desk<'a> {
    night: &'a Night<'a>,
    pay_v3: &'a PayV3,
    journal: &'a StageJournal,
    concurrency: usize,
}

impl Desk<'_> {
    async fn ask<T>(&self, questions: Vec<(String, Request<T>)>) -> Result<Vec<Issue>, Issue> {
        let ask =
            async |request: Request<T>| settle(&request, self.pay_v3.send(&request).await).map(|page| Some(vec![page]));
        ask_all(self.night, self.journal, PLACE, self.concurrency, questions, ask).await
    }

    async fn ask_lists(&self, coupons: &BTreeSet<(String, String)>) -> Result<Vec<Issue>, Issue> {
        let question = |(stock_id, code): &(String, String)| {
            (list_key(stock_id, code), busifavor::pay_receipts(stock_id, code, None))
        };
        self.ask(coupons.iter().map(question).collect()).await
    }

    async fn ask_receipts(&self, ids: &BTreeSet<String>) -> Result<Vec<Issue>, Issue> {
        self.ask(ids.iter().map(|id| (format!("receipt/{id}"), busifavor::pay_receipt(id))).collect()).await
    }

    async fn ask_returns(&self, ids: &BTreeSet<String>) -> Result<Vec<Issue>, Issue> {
        self.ask(ids.iter().map(|id| (return_key(id), busifavor::return_receipt(id))).collect()).await
    }

    fn read_lists(
        &self,
        coupons: &BTreeSet<(String, String)>,
        payments: &mut Tally<SubsidyPayment>,
    ) -> Result<(), Issue> {
        let wanted: BTreeMap<_, _> = coupons.iter().map(|coupon| (list_key(&coupon.0, &coupon.1), coupon)).collect();
        self.journal.visit(|entry| {
            let (Some((stock_id, code)), Some(page)) = (wanted.get(&entry.key), entry.pages.first()) else {
                return Ok(());
            };
            payments.intake.pages += 1;
            let list = read_page(&busifavor::pay_receipts(stock_id, code, None), page)?;
            for receipt in list.map(|list| list.pay_receipt_list).unwrap_or_default() {
                let row = subsidy_payment_row(&receipt, self.night.date)?;
                payments.put(row.out_subsidy_no.clone(), row);
            }
            Ok::<(), Issue>(())
        })
    }

    fn read_receipts(&self, ids: &BTreeSet<String>, payments: &mut Tally<SubsidyPayment>) -> Result<(), Issue> {
        self.journal.visit(|entry| {
            let id = entry.key.strip_prefix("receipt/").filter(|id| ids.contains(*id));
            if let (Some(id), Some(page)) = (id, entry.pages.first())
                && let Some(receipt) = read_page(&busifavor::pay_receipt(id), page)?
            {
                payments.intake.pages += 1;
                let row = subsidy_payment_row(&receipt, self.night.date)?;
                payments.put(row.out_subsidy_no.clone(), row);
            }
            Ok::<(), Issue>(())
        })
    }

    fn read_returns(&self, ids: &BTreeSet<String>, returns: &mut Tally<SubsidyReturn>) -> Result<(), Issue> {
        self.journal.visit(|entry| {
            let id = entry.key.strip_prefix("return/").filter(|id| ids.contains(*id));
            if let (Some(id), Some(page)) = (id, entry.pages.first())
                && let Some(receipt) = read_page(&busifavor::return_receipt(id), page)?
            {
                returns.intake.pages += 1;
                let row = subsidy_return_row(&receipt, self.night.date)?;
                returns.put(row.out_subsidy_return_no.clone(), row);
            }
            Ok::<(), Issue>(())
        })
    }
}

fn return_key(id: &str) -> String {
    format!("return/{id}")
}

fn list_key(stock_id: &str, coupon_code: &str) -> String {
    format!("list/{stock_id}/{coupon_code}")
}
