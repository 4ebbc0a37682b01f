//! Stage `bills`: the trade bill of the day, applied for and downloaded, or a file the merchant has.
//! The file is kept in the journal as it came; its digest is checked before, its trailer after.

use std::fs::File;
use std::path::Path;

use chrono::{Months, NaiveDate};
use serde::{Deserialize, Serialize};

use super::issue::IssueKind;
use super::{Api, Harvest, Issue, Night};
use crate::clock;
use crate::dataset::manifest::Intake;
use crate::exports::trade_bill::{BillError, LocalBill, TradeBill, read, read_local};
use crate::job::{BillSource, PathPattern};
use crate::journal::{Entry, Page, StageJournal};
use crate::money::Fen;
use crate::record::{Payment, Record, Refund};
use crate::wechat::FailureKind;
use crate::wechat::pay_v3::PayV3;

const STAGE: &str = "bills";
/// How long WeChat keeps bills (reference v3 §4.1).
const KEPT_MONTHS: u32 = 3;

/// The bill of one day.
#[derive(Debug, Default)]
pub struct Bills {
    /// `payments`, sorted by key.
    pub payments: Vec<Payment>,
    /// `refunds`, sorted by key.
    pub refunds: Vec<Refund>,
}

/// What the journal remembers of a bill: the file, or that there is none. The download address is a
/// secret and is not kept.
#[derive(Debug, Serialize, Deserialize)]
struct Receipt {
    /// File in the journal; none when WeChat has no statement for the day.
    file: Option<String>,
    /// SHA-1 of the unzipped bytes, as announced and checked.
    sha1: Option<String>,
}

/// Brings the bill of the day.
pub async fn extract(night: &Night<'_>) -> Result<Harvest<Bills>, Issue> {
    match &night.job.bills {
        None => Ok(Harvest::complete(Bills::default())),
        Some(BillSource::Files(pattern)) => {
            night.require_ready(STAGE)?;
            from_files(night, pattern)
        }
        Some(BillSource::Api { gzip }) => from_api(night, *gzip).await,
    }
}

fn from_files(night: &Night<'_>, pattern: &PathPattern) -> Result<Harvest<Bills>, Issue> {
    let local = read_local(pattern, night.date).map_err(|error| from_bill(&error))?;
    let mut booked = Booked::default();
    let mut inputs = Vec::new();
    for LocalBill { bill, file } in local {
        booked.add(night, bill);
        inputs.push((format!("{STAGE}/{}", file.name), file.sha256));
    }
    Ok(Harvest { inputs, ..booked.harvest() })
}

async fn from_api(night: &Night<'_>, gzip: bool) -> Result<Harvest<Bills>, Issue> {
    let Some(pay_v3) = &night.apis.pay_v3 else {
        return Err(Issue::new(IssueKind::Incomplete, "bills by API need `[pay_v3]`"));
    };
    let journal = night.journal.stage(STAGE)?;
    let key = night.date.to_string();
    if !journal.contains(&key) {
        fetch(night, pay_v3, &journal, &key, gzip).await?;
    }
    let entry = journal.entry(&key)?.ok_or_else(|| Issue::not_journalled(1))?;
    let receipt: Receipt = serde_json::from_slice(&entry.pages[0].body)
        .map_err(|error| Issue::violation(format!("the journalled receipt of a bill is not readable: {error}")))?;
    let mut booked = Booked::default();
    if let Some(name) = &receipt.file {
        let bill = read_bill(night, &night.journal.blob_path(STAGE, name), &format!("trade bill of {key}"))?;
        booked.add(night, bill);
    }
    let mut harvest = booked.harvest();
    harvest.inputs = vec![(STAGE.to_owned(), journal.digest()?)];
    Ok(harvest)
}

async fn fetch(night: &Night<'_>, pay_v3: &PayV3, journal: &StageJournal, key: &str, gzip: bool) -> Result<(), Issue> {
    if !night.may_ask(STAGE) {
        return Err(Issue::not_journalled(1));
    }
    require_kept(night)?;
    night.require_ready(STAGE)?;
    if let Some(issue) = night.apis.health.why_down(Api::PayV3) {
        return Err(issue);
    }
    night.watcher.expect(STAGE, 1);
    let mut blob = night.journal.blob(STAGE)?;
    let receipt = match pay_v3.fetch_trade_bill(night.date, gzip, &mut blob).await {
        Ok(download) => {
            let file = blob.keep(if download.is_gzip { "csv.gz" } else { "csv" })?;
            Receipt { file: Some(file), sha1: Some(download.sha1_hex) }
        }
        // After the ready time no statement means an empty day (design §12).
        Err(error) if error.kind() == FailureKind::NoStatement => Receipt { file: None, sha1: None },
        Err(error) => {
            let issue = Issue::from(&error);
            night.apis.health.failed(Api::PayV3, &issue);
            return Err(issue);
        }
    };
    night.apis.health.answered(Api::PayV3);
    night.watcher.advance(STAGE);
    let body = serde_json::to_vec(&receipt).map_err(|error| Issue::violation(error.to_string()))?;
    journal.append(Entry { key: key.to_owned(), pages: vec![receipt_page(night, body)] })?;
    journal.flush()?;
    Ok(())
}

fn receipt_page(night: &Night<'_>, body: Vec<u8>) -> Page {
    Page {
        fetched_at: super::ask::micros(night.world.clock.now()),
        method: "GET".into(),
        target: "/v3/bill/tradebill".into(),
        status: 200,
        body,
        timestamp: None,
        nonce: None,
        signature: None,
        serial: None,
        request_id: None,
    }
}

/// A bill that is not kept any more will never come: say so at once.
fn require_kept(night: &Night<'_>) -> Result<(), Issue> {
    let today = clock::business_date_of(night.world.clock.now());
    let oldest = today.checked_sub_months(Months::new(KEPT_MONTHS)).unwrap_or(NaiveDate::MIN);
    if night.date >= oldest {
        return Ok(());
    }
    let what = format!("WeChat keeps bills for {KEPT_MONTHS} months; that of {} is gone", night.date);
    Err(Issue::new(IssueKind::Incomplete, what).hinting("use `bills.source = \"files\"` with a bill you kept"))
}

/// The details of bills whose trailers agree with them, and their control totals.
#[derive(Default)]
struct Booked {
    bills: Bills,
    files: u64,
    payments_fen: Fen,
    refunds_fen: Fen,
}

impl Booked {
    fn add(&mut self, night: &Night<'_>, bill: TradeBill) {
        self.files += 1;
        self.payments_fen += bill.payments_fen;
        self.refunds_fen += bill.refunds_fen;
        let rows = published(night, bill);
        self.bills.payments.extend(rows.payments);
        self.bills.refunds.extend(rows.refunds);
    }

    fn harvest(mut self) -> Harvest<Bills> {
        let intake = |dataset, rows: usize, read_fen| Intake {
            pages: self.files,
            read: rows as u64,
            read_fen,
            ..Intake::of(dataset)
        };
        let payments = intake(Payment::DATASET, self.bills.payments.len(), self.payments_fen);
        let refunds = intake(Refund::DATASET, self.bills.refunds.len(), self.refunds_fen);
        self.bills.sort();
        Harvest { intake: vec![payments, refunds], ..Harvest::complete(self.bills) }
    }
}

fn read_bill(night: &Night<'_>, path: &Path, name: &str) -> Result<TradeBill, Issue> {
    let file = File::open(path).map_err(|error| Issue::io(path, &error))?;
    read(file, name, night.date).map_err(|error| from_bill(&error))
}

/// The rows of a bill, with published openids.
fn published(night: &Night<'_>, bill: TradeBill) -> Bills {
    let TradeBill { mut payments, mut refunds, .. } = bill;
    let publish = |openid: &mut Option<String>| *openid = openid.as_deref().map(|raw| night.persona.publish(raw));
    payments.iter_mut().for_each(|payment| publish(&mut payment.openid));
    refunds.iter_mut().for_each(|refund| publish(&mut refund.openid));
    Bills { payments, refunds }
}

impl Bills {
    fn sort(&mut self) {
        self.payments.sort_by(|a, b| (&a.transaction_id, &a.trade_state).cmp(&(&b.transaction_id, &b.trade_state)));
        self.refunds.sort_by(|a, b| a.refund_id.cmp(&b.refund_id));
    }
}

/// A trailer that differs from its details stops the night (design §12); a file that is not there has
/// not arrived yet; other faults stop the stage.
fn from_bill(error: &BillError) -> Issue {
    match error {
        BillError::TrailerDiffers { .. } => Issue::violation(error.to_string())
            .hinting("the bill contradicts itself; download it again with `--refetch`"),
        BillError::Missing { .. } => Issue::new(IssueKind::NotReady, error.to_string())
            .hinting("put the downloaded bill there and run again; `bills.path` names it"),
        _ => Issue::new(IssueKind::Malformed, error.to_string()),
    }
}
